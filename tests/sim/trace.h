/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telling a run as a story, for people.
 */
#ifndef MKV_TESTS_SIM_TRACE_H
#define MKV_TESTS_SIM_TRACE_H

#include "net.h"

void trace_letter(const struct sim *sim,
                  const struct pipe *pipe,
                  unsigned side,
                  const struct letter *letter);

#endif
