/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Users and more than one server: only the server that gave a session knows whose it is.
 */
#include <stdio.h>
#include <string.h>

#include "among.h"
#include "lib/check.h"

static uint64_t n_given;

/* From somebody whom no server knows: as if there were no guard. */
static void give(const char *topic, const char *value)
{
    struct mkv_update update = {
        .has_tock = true,
        .tock = cluster_tock(&cluster),
        .present = true,
        .value = mkv_bytes_of(value),
        .ticks = {.n = 1, .at = {{mkv_bytes_of("far"), 9, ++n_given}}},
    };
    struct mkv_buf payload;
    char text[64];

    mkv_buf_init(&payload, 1000);
    assert_int_equal(mkv_update_encode(&update, &payload), 0);
    (void)snprintf(text, sizeof(text), "moat/main/d/%s", topic);
    cluster_publish(&cluster, text, mkv_buf_bytes(&payload));
    mkv_buf_deinit(&payload);
    cluster_run(&cluster, 3);
}

/* Two servers, equal, with a user who may write below `mine`; she writes by way of the first one. */
static int setup_two(void **state)
{
    (void)setup(state);
    cluster.at[0].uid = 1001;
    start_equal(2);
    give("$NULL/users/ann", "\xa2\x65roles\x81\x65guest\x63uid\x19\x03\xe9");
    give("$NULL/acl/guest/mine/:h", "\x63rwc");
    give("other", "\x63was");
    return 0;
}

static void expect_both(const char *path, const char *value)
{
    for (unsigned i = 0; i < 2; i++) {
        const char *held = cluster_held(&cluster, i, path);

        assert_non_null(held);
        assert_string_equal(held, value);
    }
    assert_true(cluster_equal(&cluster, 0, 1));
}

static void test_allowed(void **state)
{
    (void)state;
    cluster_write(&cluster, 0, "mine.x", "new");
    assert_int_equal(cluster.at[0].refused, 0);
    expect_both("mine.x", "new");
    cluster.at[0].lose = 1; /* it comes by way of the other one */
    cluster_write(&cluster, 0, "mine.x", "newer");
    assert_true(cluster_heal(&cluster, 60000));
    assert_int_equal(cluster.at[0].refused, 0);
    expect_both("mine.x", "newer");
}

/* The other server takes it, and what was there comes back from the one that knows better. */
static void test_refused(void **state)
{
    (void)state;
    cluster_write(&cluster, 0, "other", "new");
    assert_int_equal(cluster.at[0].refused, MKV_E_NOT_AUTHORISED);
    expect_both("other", "was");
    cluster_write(&cluster, 0, "nothing", "new");
    expect_both("nothing", "");
}

/* The server that knows does not hear it from the broker, but from the one that does not know. */
static void test_refused_by_way_of_another(void **state)
{
    (void)state;
    cluster_write(&cluster, 0, "mine.x", "first"); /* she has logged in */
    cluster.at[0].lose = 1;
    cluster_write(&cluster, 0, "other", "new");
    assert_int_equal(cluster.at[0].refused, 0);
    assert_string_equal(cluster_held(&cluster, 1, "other"), "new");
    assert_true(cluster_heal(&cluster, 60000));
    assert_int_equal(cluster.at[0].refused, MKV_E_NOT_AUTHORISED);
    expect_both("other", "was");
}

/* What comes back is lost to the other one as well: it finds out like anything that is missing. */
static void test_put_back_is_lost(void **state)
{
    (void)state;
    cluster_write(&cluster, 0, "mine.x", "first");
    cluster.at[1].lose = 2;
    cluster_write(&cluster, 0, "other", "new");
    assert_true(cluster_heal(&cluster, 60000));
    expect_both("other", "was");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup_two, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_allowed),
        CASE(test_refused),
        CASE(test_refused_by_way_of_another),
        CASE(test_put_back_is_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
