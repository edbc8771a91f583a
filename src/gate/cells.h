/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cells of a gate: one for each rule and entry, found by both, or by number.
 */
#ifndef MKV_GATE_CELLS_H
#define MKV_GATE_CELLS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/map.h"

#define MKV_GATE_HASH_LEN 16U

/* A value, by its hash.  Zero-initialised is not known. */
struct mkv_gate_print {
    enum {
        MKV_GATE_UNKNOWN,
        MKV_GATE_ABSENT,
        MKV_GATE_VALUE,
    } kind;
    uint8_t hash[MKV_GATE_HASH_LEN];
};

/* @value NULL: ABSENT. */
struct mkv_gate_print mkv_gate_print(const struct mkv_bytes *value);
/* False also if one of them is not known. */
bool mkv_gate_same(const struct mkv_gate_print *a, const struct mkv_gate_print *b);

struct mkv_gate_cell {
    struct mkv_gate_cell *next; /* of the same hash */
    struct mkv_gate_cell *busy_next;
    struct mkv_gate_cell **busy_at; /* NULL: not busy */
    uint32_t number;
    unsigned rule;
    struct mkv_buf key; /* owned */

    struct mkv_gate_print tree; /* what the tree has */
    struct mkv_buf value;       /* owned: the same, for rules that publish */
    uint64_t tock;              /* when that was written */
    struct mkv_gate_print seen; /* what the topic was last heard to have, or will be */
    struct mkv_gate_print told; /* the value of the tree that the topic has, however it is spelt */

    bool wants;            /* to write: */
    bool wants_deletion;   /* that, or ... */
    struct mkv_buf wanted; /* owned: ... this */
    bool writing;          /* on its way: */
    bool stored;           /* it is on disk, with @stored_tock; to be seen in the tree */
    struct mkv_gate_print sent;
    uint64_t stored_tock;
    int64_t stored_ms;

    bool publishing; /* a message that will come back is on its way, or until then: */
    int64_t echo_by_ms;

    int64_t again_ms; /* when a birth message makes it speak again; 0: none does */

    int64_t write_free_ms; /* for 10 a second, see step.c */
    int64_t publish_free_ms;
    bool came_in;               /* the last that was done is a write */
    struct mkv_gate_print last; /* what was published last, and ... */
    struct mkv_gate_print before;
    int64_t last_ms;
    unsigned turns;
    int64_t turn_ms;
    int64_t held_until_ms;
};

struct mkv_gate_cells {
    struct mkv_map by_hash;
    struct mkv_buf by_number; /* owned: pointers */
    struct mkv_gate_cell *busy;
};

void mkv_gate_cells_init(struct mkv_gate_cells *cells, uint32_t n_max);
void mkv_gate_cells_deinit(struct mkv_gate_cells *cells);

uint32_t mkv_gate_cells_count(const struct mkv_gate_cells *cells);
/* NULL: there is none. */
struct mkv_gate_cell *mkv_gate_cells_at(const struct mkv_gate_cells *cells, uint32_t number);
struct mkv_gate_cell *mkv_gate_cells_find(const struct mkv_gate_cells *cells,
                                          unsigned rule,
                                          struct mkv_bytes key);
/* Finds it, or makes one.  TOO_MANY, NO_MEMORY. */
int mkv_gate_cells_get(struct mkv_gate_cells *cells,
                       unsigned rule,
                       struct mkv_bytes key,
                       struct mkv_gate_cell **ret_cell) MKV_MUST_CHECK;

/* Puts it among those that tick() looks at, or takes it out. */
void mkv_gate_cells_busy(struct mkv_gate_cells *cells, struct mkv_gate_cell *cell, bool busy);

#endif
