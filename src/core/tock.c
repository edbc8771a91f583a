/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tock.h"

#include "base/assert.h"
#include "base/limits.h"
#include "base/rule.h"

static uint64_t wall_tock(uint64_t wall_ms)
{
    return wall_ms << MKV_TOCK_MS_SHIFT;
}

uint64_t mkv_tock_now(const struct mkv_tock *tock, uint64_t wall_ms)
{
    uint64_t wall = wall_tock(wall_ms);

    return wall > tock->high ? wall : tock->high;
}

uint64_t mkv_tock_tell(struct mkv_tock *tock, uint64_t wall_ms)
{
    tock->high = mkv_tock_now(tock, wall_ms);
    return tock->high;
}

uint64_t mkv_tock_next(struct mkv_tock *tock, uint64_t wall_ms)
{
    tock->high = mkv_tock_now(tock, wall_ms) + 1;
    MKV_ASSERT(tock->high <= (uint64_t)MKV_INTEGER_MAX); /* judge() keeps us far from the end */
    return tock->high;
}

void mkv_tock_see(struct mkv_tock *tock, uint64_t seen)
{
    if (seen > tock->high && MKV_RULE(TOCK_FOLLOWS)) {
        tock->high = seen;
    }
}

static bool exceeds(uint64_t seen, uint64_t base, uint64_t by)
{
    return seen > base && seen - base > by;
}

/*
 * Against the trusted clock if there is one, not against the highest tock seen: a bound relative
 * to that one lets a liar push it up in leaps.  But a clock can have been wrong while it was
 * trusted, and whoever goes on from what was stored or told then must not be locked out until the
 * clock gets there; so small steps are always fine.
 */
static bool is_future(const struct mkv_tock *tock, uint64_t wall_ms, uint64_t seen)
{
    if (seen > MKV_TOCK_MAX) {
        return true;
    }
    if (wall_ms == 0) {
        return exceeds(seen, tock->high, MKV_TOCK_AHEAD_MAX);
    }
    return exceeds(seen, wall_tock(wall_ms), MKV_TOCK_AHEAD_MAX) &&
           exceeds(seen, tock->high, MKV_TOCK_SLACK);
}

enum mkv_tock_verdict mkv_tock_judge(const struct mkv_tock *tock, struct mkv_now now, uint64_t seen)
{
    bool is_far = is_future(tock, now.wall_ms, seen) && MKV_RULE(FUTURE_REFUSES);

    return is_far ? MKV_TOCK_FUTURE : MKV_TOCK_FINE;
}

bool mkv_tock_mark_due(const struct mkv_tock *tock, uint64_t *ret_mark)
{
    if (tock->high <= tock->mark) {
        return false;
    }
    *ret_mark = tock->high + MKV_TOCK_MARK_STEP;
    return true;
}
