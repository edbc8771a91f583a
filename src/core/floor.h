/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When deletions may be forgotten (docs/protocol.md, 12).
 *
 *     floor  <=  complete  <=  horizon  <=  tock
 *
 * The *horizon* is a promise: no update is accepted from MQTT any more whose tock is not above it.
 * It is what our tock was R ago, in time that this server was up, so no clock is needed.  *Complete*
 * is how far up we are sure to have all that any member accepted.  The *floor* is what all members
 * are complete up to: there all have the same, so tombstones at or below it are of no more use, and
 * nothing may be merged there ever again (causal stability: Baquero et al.).
 *
 * All three only grow, over restarts, too; but for the floor of whoever goes over to another cluster,
 * where nobody ever agreed to it.  While there is nothing to forget, they stand still, and
 * nothing is written.
 */
#ifndef MKV_CORE_FLOOR_H
#define MKV_CORE_FLOOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "core/now.h"

#define MKV_SAMPLES_PER_HORIZON 24
#define MKV_SAMPLES_MAX         (MKV_SAMPLES_PER_HORIZON + 2U)
#define MKV_FLOOR_ROW_MAX       1024U

struct mkv_sample {
    int64_t ms;
    uint64_t tock;
};

/* Zeroed is the start. */
struct mkv_floor {
    uint64_t horizon;
    uint64_t floor;
    struct mkv_sample samples[MKV_SAMPLES_MAX]; /* ascending */
    uint32_t n_samples;
    bool changed; /* to be stored with the next commit */
};

/*
 * Takes note of our @tock at @now; @in_use: there is something to forget, so the horizon is worth
 * moving.  Returns when to come again.
 */
int64_t mkv_floor_sample(
    struct mkv_floor *floor, struct mkv_now now, uint64_t tock, int64_t horizon_ms, bool in_use);

/* Raise them, never lower. */
void mkv_floor_raise_horizon(struct mkv_floor *floor, uint64_t horizon);
void mkv_floor_raise(struct mkv_floor *floor, uint64_t to);

/* Into a cluster whose floor is @theirs: ours must not exceed it, or they would take it for theirs. */
void mkv_floor_go_over(struct mkv_floor *floor, uint64_t theirs);

/* What is not above this is not accepted from MQTT. */
static inline uint64_t mkv_floor_bound(const struct mkv_floor *floor)
{
    return floor->horizon > floor->floor ? floor->horizon : floor->floor;
}

/* The content of its row in the store.  CORRUPT. */
int mkv_floor_encode(const struct mkv_floor *floor,
                     struct mkv_now now,
                     struct mkv_buf *out) MKV_MUST_CHECK;
int mkv_floor_decode(struct mkv_bytes in,
                     struct mkv_now now,
                     struct mkv_floor *ret_floor) MKV_MUST_CHECK;

#endif
