/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The time of an event.  The core reads no clock: whoever brings the event says when it is.
 */
#ifndef MKV_CORE_NOW_H
#define MKV_CORE_NOW_H

#include <stdint.h>

#define MKV_NEVER INT64_MAX

struct mkv_now {
    int64_t ms;           /* by a clock that never steps; never decreases */
    uint64_t wall_ms;     /* since 2020-01-01T00:00:00Z; 0: the clock is not trusted */
    uint64_t calendar_ms; /* the same, trusted or not: only for numbers that must not come twice */
};

#endif
