/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two clocks: one that never jumps, for deadlines, and one that tells the time, for tocks.
 */
#ifndef MKV_IO_CLOCK_H
#define MKV_IO_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Whether the wall clock may be believed. */
enum mkv_clock_trust {
    MKV_CLOCK_AUTO,   /* ask the kernel whether something keeps the clock in step (NTP, PTP, ...) */
    MKV_CLOCK_ALWAYS, /* the administrator says so */
    MKV_CLOCK_NEVER,
};

/* Milliseconds since some point in the past; never goes back.  Stands still in suspend. */
int64_t mkv_clock_monotonic_ms(void);

/* Milliseconds since 2020-01-01T00:00:00Z; negative if the clock is set to before that. */
int64_t mkv_clock_wall_ms(void);

/*
 * True if the wall clock is to be believed.  A clock before 2020 (a board without a battery that
 * has just been switched on) is not, whatever @trust says.
 */
bool mkv_clock_trusted(enum mkv_clock_trust trust);

#endif
