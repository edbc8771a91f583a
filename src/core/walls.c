/* SPDX-License-Identifier: Apache-2.0 */
#include "core/walls.h"

/* Shell 1959, with gaps that halve: there may be a thousand, and more than a few of them are rare. */
static void sort(int64_t *at, uint32_t n)
{
    for (uint32_t gap = n / 2; gap > 0; gap /= 2) {
        for (uint32_t i = gap; i < n; i++) {
            int64_t moved = at[i];
            uint32_t j = i;

            for (; j >= gap && at[j - gap] > moved; j -= gap) {
                at[j] = at[j - gap];
            }
            at[j] = moved;
        }
    }
}

void mkv_walls_set(struct mkv_walls *walls, int64_t *others, uint32_t n)
{
    if (n == 0 && walls->astray) {
        return;
    }
    walls->n = n;
    if (n > 0) {
        sort(others, n);
        walls->low = others[(n - 1) / 2];
        walls->high = others[n / 2];
    }
}

/* How far @wall lies outside the middle of the others; positive: ahead of it. */
static int64_t distance(const struct mkv_walls *walls, int64_t wall)
{
    if (wall > walls->high) {
        return wall - walls->high;
    }
    return wall < walls->low ? wall - walls->low : 0;
}

static enum mkv_walls_news tell(struct mkv_walls *walls, struct mkv_now now)
{
    enum mkv_walls_news what = walls->astray ? MKV_WALLS_ASTRAY : MKV_WALLS_DOUBT;

    if (!walls->far && walls->said != MKV_WALLS_NONE) {
        walls->said = MKV_WALLS_NONE;
        return MKV_WALLS_AGREE;
    }
    if (walls->far && now.ms - walls->far_ms >= MKV_WALLS_SAY_MS && walls->said < what) {
        walls->said = what;
        return what;
    }
    return MKV_WALLS_NONE;
}

enum mkv_walls_news mkv_walls_judge(struct mkv_walls *walls, struct mkv_now *now)
{
    enum mkv_walls_news news;

    walls->own_ms = now->wall_ms;
    if (walls->n == 0 || now->wall_ms == 0) {
        return MKV_WALLS_NONE;
    }
    walls->by_ms = distance(walls, (int64_t)now->wall_ms - now->ms);
    if (walls->by_ms > MKV_WALLS_FAR_MS || walls->by_ms < -MKV_WALLS_FAR_MS) {
        walls->far_ms = walls->far ? walls->far_ms : now->ms;
        walls->far = true;
        walls->astray = walls->astray || walls->n >= 2;
    } else if (walls->by_ms < MKV_WALLS_NEAR_MS && walls->by_ms > -MKV_WALLS_NEAR_MS) {
        walls->far = false;
        walls->astray = false;
    }
    news = tell(walls, *now);
    if (walls->astray) {
        now->wall_ms = 0;
    }
    return news;
}
