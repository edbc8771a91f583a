/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who knew of what he overwrote (I11): no conflict is told where he did, and one is kept where he
 * did not.
 */
#ifndef MKV_TESTS_SIM_CONFLICT_H
#define MKV_TESTS_SIM_CONFLICT_H

#include "oracle.h"

/* A machine says that there was a conflict. */
void conflict_told(struct sim *sim, const struct machine *machine, const struct mkv_frame *frame);

/* At a machine @now has come in the place of @last. */
void conflict_check(struct sim *sim,
                    const struct machine *machine,
                    unsigned key,
                    const struct known *last,
                    const struct known *now);

#endif
