/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulator as a test: many seeds, told as TAP.
 */
#ifndef MKV_TESTS_SIM_SUITE_H
#define MKV_TESTS_SIM_SUITE_H

#include "worker.h"

struct suite {
    struct sim_options options;
    unsigned n_workers;
    uint64_t n_fixed; /* the same seeds each time, from 1 on */
    uint64_t n_fresh; /* others each time */
    bool complete;    /* it is a failure if something was never reached */
};

/* The exit status. */
int suite_run(const struct suite *suite);

#endif
