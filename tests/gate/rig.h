/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules and values as JSON, for the tests of this room.
 */
#ifndef MKV_TESTS_GATE_RIG_H
#define MKV_TESTS_GATE_RIG_H

#include "base/buf.h"
#include "base/bytes.h"
#include "gate/rule.h"

/* The item that the JSON stands for; lives until the next four calls. */
struct mkv_bytes item_of(const char *json);
/* The item as JSON; likewise. */
const char *json_of(struct mkv_bytes item);

/* The key of a dotted path, and back; likewise. */
struct mkv_bytes key_of(const char *dotted);
const char *dotted_of(struct mkv_bytes key);

/* Reads a rule called "r" that has to be good. */
void make_rule(struct mkv_gate_rule *rule, const char *json);

/* Frees what the above keep. */
void rig_end(void);

#endif
