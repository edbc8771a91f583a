/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guard decides about connections, messages and subscriptions (docs/protocol.md, 13.4).
 *
 *     guard/source  ── the file of rights ──►  struct mkv_guard  ◄── guard/plugin: mosquitto's events
 *
 * Pure: time comes with the question, and the answer is for guard/plugin to carry out.  Nothing is
 * allowed as long as no rights are known.
 */
#ifndef MKV_GUARD_GUARD_H
#define MKV_GUARD_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "core/acl.h"
#include "core/bucket.h"
#include "guard/memo.h"
#include "wire/credential.h"
#include "wire/rights.h"

/* Answers to a Query and its asking are small; larger ones are denied. */
#define MKV_GUARD_SVC_MAX 8192U

enum mkv_guard_answer {
    MKV_GUARD_ALLOW,
    MKV_GUARD_DENY,
    MKV_GUARD_NOT_OURS, /* somebody else's connection or topic: others may decide */
};

/* @why is static text for people; NULL with MKV_GUARD_ALLOW. */
struct mkv_judgement {
    enum mkv_guard_answer answer;
    const char *why;
};

struct mkv_guard_now {
    int64_t ms;     /* by a clock that does not step */
    int64_t unix_s; /* by the machine's clock, right or not */
};

struct mkv_guard_limits {
    struct mkv_bucket_limits messages; /* of one connection */
    bool finders; /* who has no credentials may look for a server, and do nothing else */
};

/* One connection that was let in. */
struct mkv_guard_peer {
    bool finder; /* no credential */
    enum mkv_role role;
    uint64_t seq;
    int64_t expiry_s;               /* 0: none */
    uint8_t key[MKV_GUARD_KEY_LEN]; /* that has proven it, unless it is a finder */
    struct mkv_bucket messages;
    uint8_t name_len;
    uint8_t user_len;
    char name[MKV_NAME_MAX];        /* its server's */
    char user[MKV_USER_MAX];        /* of MKV_ROLE_USER */
    uint64_t looked_up;             /* in which of the guard's tables; 0: in none so far */
    const struct mkv_acl_user *row; /* ... and what it is there; NULL: nobody */
};

struct mkv_guard {
    struct mkv_guard_limits limits;
    bool knows; /* rights: all below is set */
    enum mkv_profile profile;
    struct mkv_buf root;
    uint32_t n_keys;
    uint8_t keys[MKV_GUARD_KEYS_MAX][MKV_GUARD_KEY_LEN];
    uint64_t n_taken;      /* how many files of rights there have been */
    struct mkv_acl *acl;   /* owned */
    struct mkv_memo *memo; /* owned; what has been found out by this table */
    uint64_t server_tock;  /* the highest that a server has told here */
    struct mkv_buf topic;  /* the one decoded last: it may be too long for the memo */
    struct mkv_buf key;    /* its path, if topic_error is 0 */
    int topic_error;
};

void mkv_guard_init(struct mkv_guard *guard, const struct mkv_guard_limits *limits);
void mkv_guard_deinit(struct mkv_guard *guard);

/*
 * Takes over the rights of a file's bytes, in place of all it had.  Errors of mkv_rights_decode(),
 * NO_MEMORY: then it goes on with what it had.
 */
int mkv_guard_take(struct mkv_guard *guard, struct mkv_bytes file) MKV_MUST_CHECK;

/* May this connection be?  @user and @password may be empty.  *ret_peer is set with ALLOW. */
struct mkv_judgement mkv_guard_login(const struct mkv_guard *guard,
                                     struct mkv_guard_now now,
                                     struct mkv_bytes id,
                                     struct mkv_bytes user,
                                     struct mkv_bytes password,
                                     struct mkv_guard_peer *ret_peer);

/*
 * Whether the key that has proven it still counts.  It may have gone with mkv_guard_take(): then
 * the connection is to end.
 */
bool mkv_guard_counts(const struct mkv_guard *guard, const struct mkv_guard_peer *peer);

struct mkv_guard_message {
    struct mkv_bytes topic;
    struct mkv_bytes payload;
    bool retain;
};

/*
 * In the following @peer is NULL for a connection that mkv_guard_login() was not asked about, or
 * did not let in as its own.
 */
struct mkv_judgement mkv_guard_write(struct mkv_guard *guard,
                                     struct mkv_guard_now now,
                                     struct mkv_guard_peer *peer,
                                     const struct mkv_guard_message *message);

/* May it have this message, to whatever it has subscribed? */
struct mkv_judgement mkv_guard_read(struct mkv_guard *guard,
                                    struct mkv_guard_peer *peer,
                                    struct mkv_bytes topic);

struct mkv_judgement mkv_guard_subscribe(const struct mkv_guard *guard,
                                         const struct mkv_guard_peer *peer,
                                         struct mkv_bytes filter);

#endif
