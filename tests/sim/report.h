/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is printed of runs.
 */
#ifndef MKV_TESTS_SIM_REPORT_H
#define MKV_TESTS_SIM_REPORT_H

#include "worker.h"

void report_rates(const struct sim_result *result);
/* Those that @options has not left out. */
void report_steps(const struct sim_result *result, const struct sim_options *options);

/* Looks for what is left of a failing run when all is left out that it does not need. */
void report_smallest(const struct sim_options *chosen, uint64_t seed);

/* A line for each, and one that runs it again; @words: the options to be repeated. */
void report_failures(const struct tally *tally, const char *words);

void report_tally(const struct tally *tally, double taken);

/* By a clock that does not step. */
double report_seconds(void);

#endif
