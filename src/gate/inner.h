/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the sources of a gate share, see gate/gate.h.
 */
#ifndef MKV_GATE_INNER_H
#define MKV_GATE_INNER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "gate/cells.h"
#include "gate/gate.h"
#include "gate/message.h"
#include "gate/rule.h"
#include "notation/problem.h"

/* A rule in force. */
struct mkv_gate_live {
    struct mkv_gate_rule rule;
    struct mkv_gate_counts counts;
    struct mkv_problem problem;
    char where[MKV_PROBLEM_LEN];
    int64_t problem_ms;
    int64_t birth_ms; /* when its birth message was last heeded */
};

struct mkv_gate {
    struct mkv_gate_port port;
    struct mkv_bytes root;
    struct mkv_gate_live *rules[MKV_GATE_RULES_MAX];
    unsigned n_rules;
    struct mkv_gate_cells cells;
    bool connected;
    int64_t settled_ms; /* since when what was retained has come */
    struct mkv_gate_changes changes;
    struct mkv_buf topic;
    struct mkv_buf payload;
};

/* Whether the topic is the cluster's own, and none of ours. */
bool mkv_gate_is_own(const struct mkv_gate *gate, struct mkv_bytes topic);

/* Notes a trouble with this cell at its rule. */
void mkv_gate_blame_cell(struct mkv_gate *gate,
                         const struct mkv_gate_cell *cell,
                         int64_t now_ms,
                         const char *problem);

/* The tree and the topic are to be left as they are, though they differ. */
void mkv_gate_let_be(struct mkv_gate_cell *cell);

/*
 * What the topic has is not known any more: the tree says it anew.  A deletion is said if nobody would
 * hear what is retained, else when something is heard that is.
 */
void mkv_gate_doubt(const struct mkv_gate *gate, struct mkv_gate_cell *cell);

/* Does what is to be done with the cell, as far as that can be done now. */
void mkv_gate_step(struct mkv_gate *gate, struct mkv_gate_cell *cell, int64_t now_ms);

/* Heeds a message if it is the birth message of rules. */
void mkv_gate_births(struct mkv_gate *gate,
                     int64_t now_ms,
                     struct mkv_bytes topic,
                     struct mkv_bytes payload);

#endif
