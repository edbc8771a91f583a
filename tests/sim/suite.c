/* SPDX-License-Identifier: Apache-2.0 */
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "report.h"

#define FRESH_MIN 1000000U /* fresh seeds are none of the fixed ones */

static unsigned n_cases;
static unsigned n_failed;

static void tell_case(bool is_fine, const char *text)
{
    n_cases++;
    n_failed += is_fine ? 0 : 1;
    printf("%sok %u - %s\n", is_fine ? "" : "not ", n_cases, text);
    (void)fflush(stdout);
}

static void tell_failures(const struct suite *suite, const struct tally *tally)
{
    for (unsigned i = 0; i < tally->n_failures; i++) {
        const struct failure *failure = &tally->failures[i];

        printf("# %s: %s\n# again: build/tests/sim/sim --seed %llu\n", failure->what, failure->text,
               (unsigned long long)failure->seed);
    }
    if (tally->n_failures > 0) { /* the lines of a story are no cases */
        report_smallest(&suite->options, tally->failures[0].seed);
    }
}

static void run_seeds(const struct suite *suite,
                      uint64_t first,
                      uint64_t n,
                      struct reached *reached)
{
    static struct tally tally;
    double begin = report_seconds();
    char text[100];

    if (n == 0) {
        return;
    }
    run_many(&suite->options, first, first + n - 1, suite->n_workers, false, &tally);
    (void)snprintf(text, sizeof(text), "seeds %llu..%llu", (unsigned long long)first,
                   (unsigned long long)(first + n - 1));
    tell_case(tally.n_failed == 0, text);
    tell_failures(suite, &tally);
    printf("# ");
    report_tally(&tally, report_seconds() - begin);
    reach_add(reached, &tally.reached);
}

int suite_run(const struct suite *suite)
{
    struct reached reached = {0};
    uint64_t fresh = FRESH_MIN + (uint64_t)time(NULL) * 1000;

    run_seeds(suite, 1, suite->n_fixed, &reached);
    run_seeds(suite, fresh, suite->n_fresh, &reached);
    if (suite->complete) {
        unsigned missing = reach_report(&reached, false);

        tell_case(missing == 0, "each fault, rule and state was reached");
    }
    printf("1..%u\n", n_cases);
    return n_failed == 0 && n_cases > 0 ? 0 : 1;
}
