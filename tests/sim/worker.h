/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running seeds in processes of their own: several at once, and a crash is a failure like others.
 */
#ifndef MKV_TESTS_SIM_WORKER_H
#define MKV_TESTS_SIM_WORKER_H

#include "sim.h"

#define WORKERS_MAX  16U
#define FAILURES_MAX 64U

struct failure {
    uint64_t seed;
    char what[16];
    char text[400];
};

struct tally {
    uint64_t n_seeds;
    uint64_t n_events;
    uint64_t virtual_ms;
    uint64_t n_failed;
    uint64_t equal_ms_sum;
    int64_t equal_ms_max;
    uint64_t equal_seed; /* of that */
    unsigned n_failures; /* kept */
    struct failure failures[FAILURES_MAX];
    struct reached reached;
};

/* One run in a process of its own. */
void run_apart(const struct sim_options *options, struct sim_result *ret_result);

/*
 * Seeds @first .. @last by @n_workers processes.  @stop: no more are begun after the first failure.
 * One in a hundred is run twice, and must give the same trace (I18).
 */
void run_many(const struct sim_options *options,
              uint64_t first,
              uint64_t last,
              unsigned n_workers,
              bool stop,
              struct tally *ret_tally);

#endif
