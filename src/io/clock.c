/* SPDX-License-Identifier: Apache-2.0 */
#include "io/clock.h"

#include <sys/timex.h>
#include <time.h>

#define SECONDS_1970_TO_2020 INT64_C(1577836800)

static int64_t read_ms(clockid_t which)
{
    struct timespec now = {0};

    (void)clock_gettime(which, &now); /* cannot fail for the two clocks we read */
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t mkv_clock_monotonic_ms(void)
{
    return read_ms(CLOCK_MONOTONIC);
}

int64_t mkv_clock_wall_ms(void)
{
    return read_ms(CLOCK_REALTIME) - SECONDS_1970_TO_2020 * 1000;
}

/* Reading the state needs no privilege.  A kernel that refuses to tell is not trusted. */
static bool kernel_says_synchronised(void)
{
    struct timex state = {0};
    int result = adjtimex(&state);

    return result >= 0 && result != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
}

bool mkv_clock_trusted(enum mkv_clock_trust trust)
{
    if (mkv_clock_wall_ms() < 0) {
        return false;
    }
    switch (trust) {
    case MKV_CLOCK_ALWAYS:
        return true;
    case MKV_CLOCK_NEVER:
        return false;
    case MKV_CLOCK_AUTO:
        break;
    }
    return kernel_says_synchronised();
}
