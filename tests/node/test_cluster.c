/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Servers among servers: joining, staying the same, forgetting (docs/protocol.md, 12).
 */
#include <stdio.h>
#include <string.h>

#include "cluster.h"
#include "lib/check.h"

static struct cluster cluster;

static int setup(void **state)
{
    (void)state;
    cluster_init(&cluster);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cluster_deinit(&cluster);
    return 0;
}

static void test_three_join_and_follow(void **state)
{
    (void)state;
    cluster.at[0].alone = true;
    cluster_start(&cluster, 0);
    assert_true(cluster_ready(&cluster, 0));
    cluster_write(&cluster, 0, "a", "one");
    assert_int_equal(cluster.at[0].acked, 1);
    cluster_start(&cluster, 1);
    assert_true(cluster_heal(&cluster, 3000));
    assert_string_equal(cluster_held(&cluster, 1, "a"), "one");
    cluster_start(&cluster, 2);
    assert_true(cluster_heal(&cluster, 3000));
    cluster_write(&cluster, 1, "b", "two");
    cluster_write(&cluster, 2, "a", NULL);
    for (unsigned i = 0; i < 3; i++) {
        assert_string_equal(cluster_held(&cluster, i, "b"), "two");
        assert_string_equal(cluster_held(&cluster, i, "a"), "");
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_three_join_and_follow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
