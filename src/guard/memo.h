/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guard has found out already: the paths of topics, and what users may do there.
 *
 * A topic is asked about when it is written and once for each who reads it, and mostly comes again.
 * All of it holds for one file of rights only: with another one, mkv_memo_clear().  Whatever is not
 * here is found out as if there were no such thing; what is too long, or finds no memory or place, is
 * not remembered, and of what competes for a place, what was put there first is forgotten.
 */
#ifndef MKV_GUARD_MEMO_H
#define MKV_GUARD_MEMO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "core/acl.h"

#define MKV_MEMO_TOPICS    4096U /* 1.6 MB when all are in use, with their decisions 1.8 */
#define MKV_MEMO_DECISIONS 8192U
#define MKV_MEMO_TOPIC_MAX 160U /* bytes; longer ones are not remembered */
#define MKV_MEMO_KEY_MAX   192U

struct mkv_memo;

/*
 * A topic in canonical form that is remembered; valid until another one is, or all is forgotten.
 * What belongs together lies together: mostly it is no longer in the processor's first cache.
 */
struct mkv_memo_topic {
    uint64_t serial; /* no other one has it, ever; 0: unused */
    uint16_t topic_len;
    uint16_t key_len;
    uint8_t bytes[MKV_MEMO_TOPIC_MAX + MKV_MEMO_KEY_MAX]; /* the topic, the key */
};

static inline struct mkv_bytes mkv_memo_key(const struct mkv_memo_topic *topic)
{
    return mkv_bytes(topic->bytes + topic->topic_len, topic->key_len);
}

/* NO_MEMORY. */
int mkv_memo_new(struct mkv_memo **ret_memo) MKV_MUST_CHECK;

/* NULL is fine. */
void mkv_memo_free(struct mkv_memo *memo);

void mkv_memo_clear(struct mkv_memo *memo);

/* NULL: it is not remembered. */
const struct mkv_memo_topic *mkv_memo_find(struct mkv_memo *memo, struct mkv_bytes topic);

/* Remembers one that mkv_memo_find() does not find; NULL: it does not. */
const struct mkv_memo_topic *mkv_memo_keep(struct mkv_memo *memo,
                                           struct mkv_bytes topic,
                                           struct mkv_bytes key);

/* Whether it is known if @user may do that on a topic's path, and then, in *ret_allowed, if so. */
bool mkv_memo_decided(struct mkv_memo *memo,
                      const struct mkv_memo_topic *topic,
                      const struct mkv_acl_user *user,
                      enum mkv_right right,
                      bool *ret_allowed);

/* @user is known by its address: one of the table of rights as it is now. */
void mkv_memo_decide(struct mkv_memo *memo,
                     const struct mkv_memo_topic *topic,
                     const struct mkv_acl_user *user,
                     enum mkv_right right,
                     bool allowed);

#endif
