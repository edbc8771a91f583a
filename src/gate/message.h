/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one message means to the tree by one rule, and what one entry of the tree says by it.
 *
 *     zigbee2mqtt/lamp {"state":"ON"}   =>   dev.lamp.state "ON"
 *     dev.lamp.state "OFF"              =>   zigbee2mqtt/lamp/set {"state":"OFF"}
 *
 * Pure: nothing is compared with what was before.
 */
#ifndef MKV_GATE_MESSAGE_H
#define MKV_GATE_MESSAGE_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "gate/rule.h"
#include "notation/problem.h"

#define MKV_GATE_CHANGES_MAX 1024U /* fields of one message; more: refused */

struct mkv_gate_change {
    size_t key_start; /* into the bytes */
    size_t key_len;
    size_t value_start;
    size_t value_len;
};

/* What a message says. */
struct mkv_gate_changes {
    struct mkv_buf key;   /* owned: what the topic stands for */
    bool clears;          /* an empty message: what is there, or below with fields, is deleted */
    struct mkv_buf bytes; /* owned: keys and values */
    struct mkv_buf list;  /* owned: of struct mkv_gate_change */
};

void mkv_gate_changes_init(struct mkv_gate_changes *changes);
void mkv_gate_changes_deinit(struct mkv_gate_changes *changes);
size_t mkv_gate_changes_count(const struct mkv_gate_changes *changes);
/* Number @i, below the count; valid until they change. */
void mkv_gate_changes_at(const struct mkv_gate_changes *changes,
                         size_t i,
                         struct mkv_bytes *ret_key,
                         struct mkv_bytes *ret_value);

/*
 * Reads a message whose topic matches the rule's.  Errors, with @problem: those of the codec, of
 * the forms, of paths; TOO_MANY; NO_MEMORY.  Then nothing of it counts.
 */
int mkv_gate_read(const struct mkv_gate_rule *rule,
                  struct mkv_bytes topic,
                  struct mkv_bytes payload,
                  struct mkv_gate_changes *changes,
                  struct mkv_problem *problem) MKV_MUST_CHECK;

/* Whether the rule is about the entry @key. */
bool mkv_gate_concerns(const struct mkv_gate_rule *rule, struct mkv_bytes key);

/*
 * Writes topic and payload for an entry that the rule is about; @value NULL: it was deleted.  The
 * topic is empty if there is nothing to say: a deletion where nothing is retained.  BAD_ARGUMENT,
 * BAD_TOPIC, with @problem; NO_MEMORY.
 */
int mkv_gate_write(const struct mkv_gate_rule *rule,
                   struct mkv_bytes key,
                   const struct mkv_bytes *value,
                   struct mkv_buf *topic,
                   struct mkv_buf *payload,
                   struct mkv_problem *problem) MKV_MUST_CHECK;

#endif
