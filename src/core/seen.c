/* SPDX-License-Identifier: Apache-2.0 */
#include "core/seen.h"

#include <string.h>

#include "base/assert.h"

/* The first run that ends at @counter - 1 or later: the one to extend, or to insert before. */
static uint32_t find_run(const struct mkv_seen *seen, uint64_t counter)
{
    uint32_t i = 0;

    while (i < seen->n_runs && seen->runs[i].last < counter - 1) {
        i++;
    }
    return i;
}

static void remove_runs(struct mkv_seen *seen, uint32_t at, uint32_t n)
{
    memmove(&seen->runs[at], &seen->runs[at + n], (seen->n_runs - at - n) * sizeof(seen->runs[0]));
    seen->n_runs -= n;
}

static void insert_run(struct mkv_seen *seen, uint32_t at, struct mkv_run run)
{
    memmove(&seen->runs[at + 1], &seen->runs[at], (seen->n_runs - at) * sizeof(seen->runs[0]));
    seen->runs[at] = run;
    seen->n_runs++;
}

/* Moves runs that the low end has reached into it. */
static void absorb_low(struct mkv_seen *seen)
{
    uint32_t n = 0;

    while (n < seen->n_runs && seen->runs[n].first <= seen->low + 1) {
        if (seen->runs[n].last > seen->low) {
            seen->low = seen->runs[n].last;
        }
        n++;
    }
    if (n > 0) {
        remove_runs(seen, 0, n);
    }
}

/* Joins @run with all runs from @at on that it touches. */
static void extend_run(struct mkv_seen *seen, uint32_t at, struct mkv_run run)
{
    struct mkv_run *whole = &seen->runs[at];
    uint32_t n = 0;

    if (run.first < whole->first) {
        whole->first = run.first;
    }
    if (run.last > whole->last) {
        whole->last = run.last;
    }
    while (at + 1 + n < seen->n_runs && seen->runs[at + 1 + n].first - 1 <= whole->last) {
        if (seen->runs[at + 1 + n].last > whole->last) {
            whole->last = seen->runs[at + 1 + n].last;
        }
        n++;
    }
    if (n > 0) {
        remove_runs(seen, at + 1, n);
    }
}

enum mkv_seen_verdict mkv_seen_add(struct mkv_seen *seen, uint64_t first, uint64_t last)
{
    MKV_ASSERT(first > 0); /* the decoders let no zero through */
    MKV_ASSERT(first <= last);

    if (last <= seen->low) {
        return MKV_SEEN_DUPLICATE;
    }
    if (first <= seen->low + 1) { /* in order: nearly every call */
        seen->low = last;
        absorb_low(seen);
        return MKV_SEEN_NEW;
    }

    /* Every run starts at low + 2 or later, so "first - 1" cannot wrap. */
    uint32_t i = find_run(seen, first);
    struct mkv_run run = {.first = first, .last = last};

    if (i == seen->n_runs || last < seen->runs[i].first - 1) {
        if (seen->n_runs == MKV_SEEN_RUNS_MAX) {
            return MKV_SEEN_OVERFLOW;
        }
        insert_run(seen, i, run);
        return MKV_SEEN_NEW;
    }
    if (seen->runs[i].first <= first && last <= seen->runs[i].last) {
        return MKV_SEEN_DUPLICATE;
    }
    extend_run(seen, i, run);
    return MKV_SEEN_NEW;
}

bool mkv_seen_has(const struct mkv_seen *seen, uint64_t counter)
{
    if (counter <= seen->low) {
        return true;
    }
    for (uint32_t i = 0; i < seen->n_runs && seen->runs[i].first <= counter; i++) {
        if (counter <= seen->runs[i].last) {
            return true;
        }
    }
    return false;
}

bool mkv_seen_hole(const struct mkv_seen *seen, uint32_t i, struct mkv_run *ret_hole)
{
    if (i >= seen->n_runs) {
        return false;
    }
    ret_hole->first = (i == 0 ? seen->low : seen->runs[i - 1].last) + 1;
    ret_hole->last = seen->runs[i].first - 1;
    return true;
}

uint64_t mkv_seen_top(const struct mkv_seen *seen)
{
    return seen->n_runs == 0 ? seen->low : seen->runs[seen->n_runs - 1].last;
}
