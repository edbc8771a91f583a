/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The positions of dead rows, as a heap with the lowest on top: batches to delete come out sorted
 * and close together in the log, and no moment comes at which millions must be sorted at once.
 */
#ifndef MKV_STORE_DEAD_H
#define MKV_STORE_DEAD_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Zeroed is empty. */
struct mkv_dead {
    uint64_t *at; /* owned */
    size_t n;
    size_t cap;
};

void mkv_dead_deinit(struct mkv_dead *dead);

/* Makes room for @n more.  NO_MEMORY: unchanged. */
int mkv_dead_reserve(struct mkv_dead *dead, size_t n) MKV_MUST_CHECK;

/* There must be room. */
void mkv_dead_add(struct mkv_dead *dead, uint64_t position);

/* Takes the lowest @n_max, or as many as there are, in ascending order; returns how many. */
size_t mkv_dead_take(struct mkv_dead *dead, size_t n_max, uint64_t *ret_positions);

#endif
