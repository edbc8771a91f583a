/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What cases about several servers begin with and look at: one cluster, which all of a program's
 * cases use in turn.
 */
#ifndef MKV_TESTS_NODE_AMONG_H
#define MKV_TESTS_NODE_AMONG_H

#include "cluster.h"

#define PAST_HORIZON 75000 /* the horizon of 48 s in steps of 2 s, and two pings */

extern struct cluster cluster;

/* A cluster without servers; or with a puppet as server 1. */
int setup(void **state);
int setup_with_puppet(void **state);
int teardown(void **state);
/* From the beginning, within a case. */
void again(void **state);
void again_with_puppet(void **state);

void start(unsigned i);
/* As it is after a crash. */
void restart(unsigned i);
void run(int64_t ms);
/* Servers 0 .. @n - 1 have joined one after the other; the first one would start alone again. */
void start_equal(unsigned n);
/* The same, and all know who is there; none of them would start alone again. */
void start_many(unsigned n);

void write_at(unsigned i, const char *path, const char *value);
/* Whether it holds that value; NULL: nothing. */
bool holds(unsigned i, const char *path, const char *value);
void assert_held(unsigned i, const char *path, const char *value);
void assert_held_by_all(unsigned n, const char *path, const char *value);
/* Within @ms all are ready and equal. */
void assert_heals(int64_t ms);
/* That it has told of. */
uint64_t floor_of(unsigned i);

/* The puppet speaks, and the last that it was told. */
void say(const struct mkv_frame *frame);
const struct mkv_frame *heard(enum mkv_frame_kind kind);

#endif
