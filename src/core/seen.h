/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of one client's update counters have arrived.
 *
 * A client numbers its updates 1, 2, 3, ... without a hole.  The broker may deliver them late,
 * twice, or not at all.  We keep the highest counter below which nothing is missing, plus the
 * runs that arrived above it:
 *
 *     arrived 1..7, 9, 12, 13    =>    low = 7, runs = { 9..9, 12..13 }, missing 8, 10, 11
 *
 * Memory is bounded by the number of holes, never by the number of updates.  When to ask for a
 * repeat, and whom, is not decided here: see core/session.h.
 */
#ifndef MKV_CORE_SEEN_H
#define MKV_CORE_SEEN_H

#include <stdbool.h>
#include <stdint.h>

#define MKV_SEEN_RUNS_MAX 64 /* more holes than this: later arrivals are not recorded */

struct mkv_run {
    uint64_t first;
    uint64_t last; /* inclusive */
};

/* Zero-initialised is a valid, empty value; nothing needs to be freed. */
struct mkv_seen {
    uint64_t low;    /* 1..low have all arrived; 0: none has */
    uint32_t n_runs; /* ascending; at least one counter is missing before each run */
    struct mkv_run runs[MKV_SEEN_RUNS_MAX];
};

enum mkv_seen_verdict {
    MKV_SEEN_NEW,       /* at least one of them had not arrived before; recorded */
    MKV_SEEN_DUPLICATE, /* all arrived before; nothing changed */
    MKV_SEEN_OVERFLOW,  /* would need one run too many; nothing changed */
};

/* Records that @first..@last (1 <= first <= last) arrived.  Cannot fail. */
enum mkv_seen_verdict mkv_seen_add(struct mkv_seen *seen, uint64_t first, uint64_t last);

bool mkv_seen_has(const struct mkv_seen *seen, uint64_t counter);

/* Hole @i: the counters missing before run @i.  False if there are not so many. */
bool mkv_seen_hole(const struct mkv_seen *seen, uint32_t i, struct mkv_run *ret_hole);

/* The highest counter that arrived; 0: none. */
uint64_t mkv_seen_top(const struct mkv_seen *seen);

#endif
