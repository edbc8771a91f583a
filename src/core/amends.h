/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths at which the broker was heard to have something else than the tree, until that is amended
 * (docs/retained.md): either the broker is told what the tree has, or the tree takes what the broker has.
 * There is one amend for a path, the last one.
 */
#ifndef MKV_CORE_AMENDS_H
#define MKV_CORE_AMENDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/map.h"

#define MKV_AMENDS_MAX       4096U       /* more are refused, as is ... */
#define MKV_AMENDS_BYTES_MAX (16U << 20) /* ... what would take up more than this in all */

struct mkv_amend {
    struct mkv_amend *next; /* in the order in which they are due */
    struct mkv_amend *previous;
    uint64_t id;
    int64_t due_ms;
    bool plain;   /* the tree is to take @value; else it is to be said what the tree has */
    bool present; /* false: a deletion */
    struct mkv_bytes key;
    struct mkv_bytes value; /* both in @bytes */
    uint8_t bytes[];
};

/* `= {.by_id = {.n_max = MKV_AMENDS_MAX}}` is empty. */
struct mkv_amends {
    struct mkv_map by_id; /* owned, with the list */
    struct mkv_amend *first;
    struct mkv_amend *last;
    size_t n_bytes;
};

void mkv_amends_deinit(struct mkv_amends *amends);

/*
 * Takes a copy of @amend's due_ms, plain, present, key and value; @id stands for the key.  TOO_MANY,
 * TOO_LARGE, NO_MEMORY: then there is none for this path.
 */
int mkv_amends_put(struct mkv_amends *amends,
                   uint64_t id,
                   const struct mkv_amend *amend) MKV_MUST_CHECK;

/* There is nothing to amend any more. */
void mkv_amends_drop(struct mkv_amends *amends, uint64_t id);

/* Takes out the first one if it is due, to be freed by mkv_mem_free(); else NULL. */
struct mkv_amend *mkv_amends_take(struct mkv_amends *amends, int64_t now_ms);

#endif
