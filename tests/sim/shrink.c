/* SPDX-License-Identifier: Apache-2.0 */
#include "shrink.h"

#include "worker.h"

struct search {
    struct sim_options *options;
    char what[16];
    unsigned runs_left;
    bool *skipped;
    struct sim_result *result;
};

/* Whether it fails the same way with what is set now; if so, that is the result. */
static bool still_fails(struct search *search)
{
    struct sim_result result;

    if (search->runs_left == 0) {
        return false;
    }
    search->runs_left--;
    run_apart(search->options, &result);
    if (!result.failed || strcmp(result.what, search->what) != 0) {
        return false;
    }
    *search->result = result;
    return true;
}

/* Tries without steps @first .. @first + @n - 1. */
static bool try_without(struct search *search, unsigned first, unsigned n)
{
    bool before[PLAN_STEPS_MAX];
    bool changes = false;

    memcpy(before, search->skipped, sizeof(before));
    for (unsigned i = first; i < first + n && i < search->result->plan.n; i++) {
        changes |= !search->skipped[i];
        search->skipped[i] = true;
    }
    if (!changes || still_fails(search)) {
        return changes;
    }
    memcpy(search->skipped, before, sizeof(before));
    return false;
}

static void drop_steps(struct search *search)
{
    for (unsigned n = (search->result->plan.n + 1) / 2; n > 0; n /= 2) {
        for (unsigned first = 0; first < search->result->plan.n; first += n) {
            (void)try_without(search, first, n);
        }
    }
}

/* Without their steps, they are gone already; what is left are those of messages and runs. */
static void drop_faults(struct search *search)
{
    for (unsigned i = 0; i < FAULTS_N; i++) {
        if (fault_kind((enum fault)i) != FAULT_STEP && search->result->rates.of[i] > 0) {
            search->options->allowed[i] = false;
            if (!still_fails(search)) {
                search->options->allowed[i] = true;
            }
        }
    }
}

void shrink(struct sim_options *options,
            bool ret_skipped[PLAN_STEPS_MAX],
            struct sim_result *ret_result,
            unsigned runs_max)
{
    struct search search = {
        .options = options, .runs_left = runs_max, .skipped = ret_skipped, .result = ret_result};

    memset(ret_skipped, 0, PLAN_STEPS_MAX * sizeof(bool));
    options->skipped = ret_skipped;
    run_apart(options, ret_result);
    memcpy(search.what, ret_result->what, sizeof(search.what));
    if (ret_result->failed) {
        drop_faults(&search);
        drop_steps(&search);
        drop_faults(&search);
        drop_steps(&search);
    }
}
