/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps of a storm: drawn in advance, each with a random number of its own for what is to be
 * decided when its time comes.  So any of them can be left out without changing the others.
 */
#ifndef MKV_TESTS_SIM_PLAN_H
#define MKV_TESTS_SIM_PLAN_H

#include "fault.h"

#define PLAN_STEPS_MAX 400U

struct step {
    int64_t at_ms; /* since the beginning of the storm */
    enum fault what;
    uint64_t random;
    bool skipped;
};

struct plan {
    unsigned n;
    struct step at[PLAN_STEPS_MAX];
    int64_t storm_ms;
};

void plan_draw(struct plan *plan, struct prng *prng, const struct fault_rates *rates);

#endif
