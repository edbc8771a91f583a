/* SPDX-License-Identifier: Apache-2.0 */
#include "among.h"

#include <string.h>

#include "lib/check.h"

struct cluster cluster;

int setup(void **state)
{
    (void)state;
    cluster_init(&cluster);
    return 0;
}

int setup_with_puppet(void **state)
{
    (void)setup(state);
    cluster_puppet(&cluster, 1);
    return 0;
}

int teardown(void **state)
{
    (void)state;
    cluster_deinit(&cluster);
    return 0;
}

void again(void **state)
{
    (void)teardown(state);
    (void)setup(state);
}

void again_with_puppet(void **state)
{
    (void)teardown(state);
    (void)setup_with_puppet(state);
}

void start(unsigned i)
{
    cluster_start(&cluster, i);
}

void restart(unsigned i)
{
    cluster_crash(&cluster, i);
    start(i);
}

void run(int64_t ms)
{
    cluster_run(&cluster, ms);
}

void start_equal(unsigned n)
{
    cluster.at[0].alone = true;
    for (unsigned i = 0; i < n; i++) {
        start(i);
        assert_heals(3000);
    }
}

void start_many(unsigned n)
{
    start_equal(n);
    run(12000);
    cluster.at[0].alone = false;
}

void write_at(unsigned i, const char *path, const char *value)
{
    cluster_write(&cluster, i, path, value);
}

bool holds(unsigned i, const char *path, const char *value)
{
    const char *held = cluster_held(&cluster, i, path);

    return value == NULL ? held == NULL : held != NULL && strcmp(held, value) == 0;
}

void assert_held(unsigned i, const char *path, const char *value)
{
    const char *held = cluster_held(&cluster, i, path);

    if (value == NULL) {
        assert_null(held);
    } else {
        assert_non_null(held);
        assert_string_equal(held, value);
    }
}

void assert_held_by_all(unsigned n, const char *path, const char *value)
{
    for (unsigned i = 0; i < n; i++) {
        assert_held(i, path, value);
    }
}

void assert_heals(int64_t ms)
{
    assert_true(cluster_heal(&cluster, ms));
}

uint64_t floor_of(unsigned i)
{
    return cluster.at[i].ping.floor;
}

void say(const struct mkv_frame *frame)
{
    cluster_say(&cluster, 1, frame);
}

const struct mkv_frame *heard(enum mkv_frame_kind kind)
{
    return cluster_last(&cluster, 1, kind);
}
