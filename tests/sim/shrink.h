/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding what of a failing run is needed for it to fail.
 */
#ifndef MKV_TESTS_SIM_SHRINK_H
#define MKV_TESTS_SIM_SHRINK_H

#include "sim.h"

/*
 * Leaves out steps, and faults that need none, as long as the same invariant still fails.
 * On return @ret_skipped and @options->allowed are those of the smallest failing run found.  At most
 * @runs_max runs, each in a process of its own, since it may crash.
 */
void shrink(struct sim_options *options,
            bool ret_skipped[PLAN_STEPS_MAX],
            struct sim_result *ret_result,
            unsigned runs_max);

#endif
