/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tock.h"

#include "base/assert.h"
#include "base/limits.h"

static uint64_t wall_tock(uint64_t wall_ms)
{
    return wall_ms << MKV_TOCK_MS_SHIFT;
}

uint64_t mkv_tock_now(const struct mkv_tock *tock, uint64_t wall_ms)
{
    uint64_t wall = wall_tock(wall_ms);

    return wall > tock->high ? wall : tock->high;
}

uint64_t mkv_tock_next(struct mkv_tock *tock, uint64_t wall_ms)
{
    tock->high = mkv_tock_now(tock, wall_ms) + 1;
    MKV_ASSERT(tock->high <= (uint64_t)MKV_INTEGER_MAX); /* judge() keeps us far from the end */
    return tock->high;
}

void mkv_tock_see(struct mkv_tock *tock, uint64_t seen)
{
    if (seen > tock->high) {
        tock->high = seen;
    }
}

/*
 * Against the trusted clock if there is one, never against the highest tock seen: a bound relative
 * to that one would let a liar push it up step by step.
 */
enum mkv_tock_verdict mkv_tock_judge(const struct mkv_tock *tock, uint64_t wall_ms, uint64_t seen)
{
    uint64_t base = wall_ms > 0 ? wall_tock(wall_ms) : tock->high;

    if (seen > base && seen - base > MKV_TOCK_AHEAD_MAX) {
        return MKV_TOCK_FUTURE;
    }
    if (wall_ms > 0 && base > MKV_TOCK_HORIZON && seen <= base - MKV_TOCK_HORIZON) {
        return MKV_TOCK_STALE;
    }
    return MKV_TOCK_FINE;
}

bool mkv_tock_mark_due(const struct mkv_tock *tock, uint64_t *ret_mark)
{
    if (tock->high <= tock->mark) {
        return false;
    }
    *ret_mark = tock->high + MKV_TOCK_MARK_STEP;
    return true;
}
