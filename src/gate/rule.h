/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One rule of a gateway (docs/gateway.md): an entry [null, "gate", NAME] whose value is a map.
 *
 *     {topic: zigbee2mqtt/+, set: zigbee2mqtt/+/set, path: dev.+, dir: both, codec: json,
 *      fields: true}
 */
#ifndef MKV_GATE_RULE_H
#define MKV_GATE_RULE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "gate/codec.h"
#include "gate/form.h"
#include "notation/problem.h"

#define MKV_GATE_NAME_MAX   64U
#define MKV_GATE_RULE_MAX   16384U /* bytes of a rule's value; more: refused */
#define MKV_GATE_FIELDS_MAX 64U    /* fields that a rule names; more: refused */

enum mkv_gate_dir {
    MKV_GATE_IN = 1,
    MKV_GATE_OUT = 2,
    MKV_GATE_BOTH = 3,
};

struct mkv_gate_field {
    size_t key_start; /* into the rule's keys: path of the member in the object */
    size_t key_len;
    struct mkv_gate_form form;
};

struct mkv_gate_rule {
    char name[MKV_GATE_NAME_MAX + 1];
    struct mkv_buf value;   /* owned: what the texts below are borrowed from */
    struct mkv_bytes topic; /* filter of what is read; with no @set, also of what is written */
    struct mkv_bytes set;   /* of what is written; empty: as @topic */
    struct mkv_bytes birth_topic; /* of the message that makes it say all again; empty: none ... */
    struct mkv_bytes birth_payload; /* ... with this payload */
    struct mkv_buf path;            /* owned: the key, with wildcards */
    enum mkv_gate_dir dir;
    enum mkv_gate_codec codec;
    int qos; /* 0 or 1 */
    bool retain;
    bool off;
    bool has_fields;           /* members of a JSON object are entries below the path */
    unsigned n_fields;         /* 0: all */
    struct mkv_buf field_keys; /* owned */
    struct mkv_gate_field fields[MKV_GATE_FIELDS_MAX];
    struct mkv_gate_form form; /* without fields */
};

/* 1 to 64 of A-Z a-z 0-9 . _ - */
bool mkv_gate_name_valid(struct mkv_bytes name);

/*
 * Reads a rule; both arguments are copied.  BAD_NAME, BAD_ARGUMENT, BAD_TOPIC, BAD_PATH ... with
 * @problem; NO_MEMORY.  Deinitialise in any case.
 */
int mkv_gate_rule_init(struct mkv_gate_rule *rule,
                       struct mkv_bytes name,
                       struct mkv_bytes value,
                       struct mkv_problem *problem) MKV_MUST_CHECK;
void mkv_gate_rule_deinit(struct mkv_gate_rule *rule);

bool mkv_gate_rule_reads(const struct mkv_gate_rule *rule);
bool mkv_gate_rule_writes(const struct mkv_gate_rule *rule);
/* Whether what it publishes is what it reads, so that the message comes back. */
bool mkv_gate_rule_echoes(const struct mkv_gate_rule *rule);

/* The filter of what it publishes. */
struct mkv_bytes mkv_gate_rule_target(const struct mkv_gate_rule *rule);

#endif
