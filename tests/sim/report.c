/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include <stdio.h>
#include <time.h>

#include "shrink.h"

#define SHRINK_RUNS 400U

void report_rates(const struct sim_result *result)
{
    printf("faults:");
    for (unsigned i = 0; i < FAULTS_N; i++) {
        if (result->rates.of[i] > 0) {
            printf(" %s %u", fault_name((enum fault)i), result->rates.of[i]);
        }
    }
    printf("\n");
}

void report_steps(const struct sim_result *result, const struct sim_options *options)
{
    const struct plan *plan = &result->plan;

    for (unsigned i = 0; i < plan->n; i++) {
        if (options->allowed[plan->at[i].what] &&
            (options->skipped == NULL || !options->skipped[i])) {
            printf("  step %3u at %7lld ms: %s\n", i, (long long)plan->at[i].at_ms,
                   fault_name(plan->at[i].what));
        }
    }
}

/* Shows what is left of a failing run, and its end. */
void report_smallest(const struct sim_options *chosen, uint64_t seed)
{
    static bool skipped[PLAN_STEPS_MAX];
    struct sim_options options = *chosen;
    struct sim_result result;

    options.seed = seed;
    options.trace = false;
    shrink(&options, skipped, &result, SHRINK_RUNS);
    printf("seed %llu, %s: %s\n", (unsigned long long)seed, result.what, result.text);
    printf("what is needed for it: ");
    report_rates(&result);
    report_steps(&result, &options);
    if (chosen->trace) {
        options.trace = true;
        run_apart(&options, &result);
    }
}

void report_failures(const struct tally *tally, const char *words)
{
    for (unsigned i = 0; i < tally->n_failures; i++) {
        const struct failure *failure = &tally->failures[i];

        printf("FAILED %s: %s\n    again: tests/sim/sim --seed %llu%s\n", failure->what,
               failure->text, (unsigned long long)failure->seed, words);
    }
}

double report_seconds(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void report_tally(const struct tally *tally, double taken)
{
    double n = tally->n_seeds > 0 ? (double)tally->n_seeds : 1;

    printf("%llu seeds, %llu failed; %.1f s, %.1f ms and %.0f events a seed, %.0f events a second, "
           "%.1f virtual days; equal %.1f s after a heal, at most %.1f s (seed %llu)\n",
           (unsigned long long)tally->n_seeds, (unsigned long long)tally->n_failed, taken,
           1000 * taken / n, (double)tally->n_events / n, (double)tally->n_events / taken,
           (double)tally->virtual_ms / 86400000, (double)tally->equal_ms_sum / n / 1000,
           (double)tally->equal_ms_max / 1000, (unsigned long long)tally->equal_seed);
}
