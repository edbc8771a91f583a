/* SPDX-License-Identifier: Apache-2.0 */
/* What cases about one server begin with: one world, which all of a program's cases use in turn. */
#ifndef MKV_TESTS_NODE_LONE_H
#define MKV_TESTS_NODE_LONE_H

#include "harness.h"

extern struct world world;

/* A server on a new disk, a second after it was booted. */
int setup(void **state);
int teardown(void **state);

#endif
