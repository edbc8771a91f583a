/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where two trees differ, found from the root down (range-based set reconciliation: Meyer,
 * SRDS 2023).  Keys are split into ranges; those whose count and digest are the same on both sides
 * are done with, the others are split further until so little is left that it is fetched.  What it
 * costs goes with the difference, not with the trees.
 *
 *     mkv_walk_next() -> split: ask for the sums of these ranges -> mkv_walk_sums() -> again
 *                     -> fetch: ask for the entries of these ranges; when all are here, again
 *                     -> done
 */
#ifndef MKV_CORE_WALK_H
#define MKV_CORE_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "core/tree.h"
#include "wire/range.h"

#define MKV_WALK_BYTES_MAX (1U << 20) /* of ranges waiting to be split; beyond: they are fetched */
#define MKV_WALK_DEPTH_MAX 24U        /* cut so often, a range is fetched: honest sums need 16 */
#define MKV_WALK_OWN_MAX   1024U      /* entries of ours in the ranges of one fetch, about */

/* Zeroed is ended. */
struct mkv_walk {
    struct mkv_buf to_split; /* owned: a stack of ranges, those with the lowest keys on top */
    struct mkv_buf to_fetch; /* owned: a queue of ranges, ascending */
    size_t n_taken;          /* bytes of the queue that have been asked for */
    size_t last_fetch;       /* where the last range of the queue begins */
    bool cut;                /* of its first range a part has been asked for ... */
    struct mkv_buf cut_at;   /* owned: ... up to here */
    struct mkv_buf asked;    /* owned: the ranges asked about last, as they travel */
    uint16_t depths[MKV_RANGES_MAX]; /* how often they have been cut already */
};

enum mkv_walk_need {
    MKV_WALK_SPLIT,
    MKV_WALK_FETCH,
    MKV_WALK_DONE,
};

/* Begins with all keys, whatever it was before.  NO_MEMORY. */
int mkv_walk_start(struct mkv_walk *walk) MKV_MUST_CHECK;
/* The same, to fetch this range and no more. */
int mkv_walk_start_fetch(struct mkv_walk *walk, struct mkv_range range) MKV_MUST_CHECK;
void mkv_walk_deinit(struct mkv_walk *walk);

/*
 * What to ask for next; the ranges are in walk->asked then.  In those to be fetched @tree has few
 * entries, so that what is done about these fits into one batch.  NO_MEMORY.
 */
int mkv_walk_next(struct mkv_walk *walk,
                  const struct mkv_tree *tree,
                  enum mkv_walk_need *ret_need) MKV_MUST_CHECK;

/* The answer to a split: the other's sums of the ranges asked about.  MALFORMED, NO_MEMORY. */
int mkv_walk_sums(struct mkv_walk *walk,
                  const struct mkv_tree *tree,
                  struct mkv_bytes sums) MKV_MUST_CHECK;

#endif
