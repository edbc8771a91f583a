/* SPDX-License-Identifier: Apache-2.0 */
#include "store/dead.h"

#include "base/assert.h"
#include "base/mem.h"

#define FIRST_CAP 64U

void mkv_dead_deinit(struct mkv_dead *dead)
{
    mkv_mem_free(dead->at);
    *dead = (struct mkv_dead){0};
}

int mkv_dead_reserve(struct mkv_dead *dead, size_t n)
{
    if (n <= dead->cap - dead->n) {
        return 0;
    }
    if (n > SIZE_MAX / sizeof(uint64_t) / 2 - dead->n) {
        return MKV_E_NO_MEMORY;
    }

    size_t cap = dead->cap > 0 ? dead->cap : FIRST_CAP;

    while (cap < dead->n + n) {
        cap *= 2;
    }

    uint64_t *at = mkv_mem_resize(dead->at, cap * sizeof(uint64_t));

    if (at == NULL) {
        return MKV_E_NO_MEMORY;
    }
    dead->at = at;
    dead->cap = cap;
    return 0;
}

void mkv_dead_add(struct mkv_dead *dead, uint64_t position)
{
    MKV_ASSERT(dead->n < dead->cap);

    size_t i = dead->n++;

    while (i > 0 && dead->at[(i - 1) / 2] > position) {
        dead->at[i] = dead->at[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    dead->at[i] = position;
}

static uint64_t take_lowest(struct mkv_dead *dead)
{
    uint64_t lowest = dead->at[0];
    uint64_t moved = dead->at[--dead->n];
    size_t i = 0;

    for (size_t below = 1; below < dead->n; below = 2 * i + 1) {
        if (below + 1 < dead->n && dead->at[below + 1] < dead->at[below]) {
            below++;
        }
        if (moved <= dead->at[below]) {
            break;
        }
        dead->at[i] = dead->at[below];
        i = below;
    }
    dead->at[i] = moved;
    return lowest;
}

size_t mkv_dead_take(struct mkv_dead *dead, size_t n_max, uint64_t *ret_positions)
{
    size_t n = 0;

    while (n < n_max && dead->n > 0) {
        ret_positions[n++] = take_lowest(dead);
    }
    return n;
}
