/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the wall clocks of the other servers say of ours (docs/protocol.md, 12.9).
 *
 * A clock can be kept in step with something that is wrong.  Its server's updates would win over
 * all others', and raise everybody's tock.  So it is compared with what the others ping:
 *
 *     theirs, in order:   -2 s   0 s   1 s   3600 s      the middle: 0 to 1 s
 *                                |------|
 *
 * If it lies further than 5 minutes outside the middle of two or more, it is not believed until it
 * agrees.  Half of the servers may be wrong: then nobody is believed who is far from the other half.
 */
#ifndef MKV_CORE_WALLS_H
#define MKV_CORE_WALLS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/now.h"

#define MKV_WALLS_FAR_MS  300000 /* further from the middle: astray ... */
#define MKV_WALLS_NEAR_MS 150000 /* ... until it is so close again */
#define MKV_WALLS_SAY_MS                                                                           \
    30000 /* after so long somebody should know: not at once, since after a
                                    pause of the machine the others are heard anew one by one */
#define MKV_WALL_MAX (UINT64_C(1) << 50) /* what is above this, in ms, is no time of day */

enum mkv_walls_news {
    MKV_WALLS_NONE,
    MKV_WALLS_DOUBT,  /* ours is far from the only other one: nobody knows which is right */
    MKV_WALLS_ASTRAY, /* ours is far from the others, and is not believed */
    MKV_WALLS_AGREE,  /* ... no longer, after this had been said */
};

/* Zeroed is the start: nobody else was heard. */
struct mkv_walls {
    uint32_t n;   /* clocks of others that it is made from */
    int64_t low;  /* the middle of them, less our mkv_now.ms ... */
    int64_t high; /* ... if there are two in the middle, this is the greater one */
    bool astray;
    bool far;                 /* since ... */
    int64_t far_ms;           /* ... this time */
    int64_t by_ms;            /* how far ours is ahead, when last looked at */
    uint64_t own_ms;          /* what it showed then, believed or not; 0: not even by itself */
    enum mkv_walls_news said; /* NONE, DOUBT or ASTRAY */
};

/*
 * @others: @n wall clocks less mkv_now.ms; they are put in order.  While ours is astray, and nobody
 * is here to compare it with, what was there last goes on to count.
 */
void mkv_walls_set(struct mkv_walls *walls, int64_t *others, uint32_t n);

/* Takes the wall clock out of @now if it is not to be believed, and says what is new. */
enum mkv_walls_news mkv_walls_judge(struct mkv_walls *walls, struct mkv_now *now);

#endif
