/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Doing the steps of a plan.
 */
#ifndef MKV_TESTS_SIM_STEP_H
#define MKV_TESTS_SIM_STEP_H

#include "plan.h"

struct sim;

void step_do(struct sim *sim, const struct step *step);

/* All faults end: the ways are free, everybody is there, disks and clocks are right. */
void step_heal(struct sim *sim);

#endif
