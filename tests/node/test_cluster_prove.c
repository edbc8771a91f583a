/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Servers that reach each other over links that anybody could have opened: each shows the other that it has
 * the cluster's key (docs/protocol.md, 12.3), or nothing comes of it.
 */
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

static void again(void **state)
{
    (void)teardown(state);
    (void)setup(state);
}

static void start_many(unsigned n, enum mkv_peer_kind kind)
{
    cluster.at[0].alone = true;
    for (unsigned i = 0; i < n; i++) {
        cluster.at[i].kind = kind;
        cluster_start(&cluster, i);
        assert_true(cluster_heal(&cluster, 3000));
    }
    cluster_run(&cluster, 12000);
}

/* --- Servers among servers ---------------------------------------------------------------- */

static void test_they_join_and_heal(void **state)
{
    static const enum mkv_peer_kind kinds[] = {MKV_PEER_LOOPBACK, MKV_PEER_SECURE,
                                               MKV_PEER_OTHER_USER};

    for (unsigned k = 0; k < 3; k++) {
        start_many(3, kinds[k]);
        cluster.at[1].lose = 2;
        cluster.at[2].lose = 1;
        cluster_write(&cluster, 0, "a", "one");
        cluster_write(&cluster, 0, "b", "two");
        assert_false(cluster_equal(&cluster, 0, 1));
        assert_true(cluster_heal(&cluster, 15000));
        assert_string_equal(cluster_held(&cluster, 1, "a"), "one");
        again(state);
    }
}

static void test_without_the_key_nothing_is_read(void **state)
{
    (void)state;
    cluster.at[1].key = "another";
    cluster.at[0].alone = true;
    cluster.at[0].kind = MKV_PEER_SECURE;
    cluster.at[1].kind = MKV_PEER_SECURE;
    cluster_start(&cluster, 0);
    cluster_write(&cluster, 0, "a", "one");
    cluster_start(&cluster, 1);
    cluster_run(&cluster, 20000);
    assert_false(cluster_ready(&cluster, 1));
    assert_null(cluster_held(&cluster, 1, "a"));
    assert_true(cluster_said(&cluster, 0, "may not log in"));
    assert_true(cluster_said(&cluster, 1, "it has another key"));
}

static void test_never_over_what_others_can_read(void **state)
{
    (void)state;
    cluster.at[0].alone = true;
    cluster.at[0].kind = MKV_PEER_REMOTE;
    cluster_start(&cluster, 0);
    cluster_start(&cluster, 1);
    cluster_run(&cluster, 20000);
    assert_false(cluster_ready(&cluster, 1));
    assert_true(cluster_said(&cluster, 1, "the link is not encrypted"));
}

/* --- Whoever answers ---------------------------------------------------------------------- */

static void say(const struct mkv_frame *frame)
{
    cluster_say(&cluster, 1, frame);
}

static const struct mkv_frame *heard(enum mkv_frame_kind kind)
{
    return cluster_last(&cluster, 1, kind);
}

/* Server 0 dials the puppet, which may have @first for another address, and lies before its own. */
static void be_dialled(const char *first)
{
    struct mkv_ping ping;

    cluster_puppet(&cluster, 1);
    cluster.at[1].kind = MKV_PEER_SECURE;
    cluster_start_with_member(&cluster);
    ping = cluster_other_ping(&cluster);
    if (first != NULL) {
        ping.addresses.at[1] = ping.addresses.at[0];
        ping.addresses.at[0] = mkv_bytes_of(first);
        ping.addresses.n = 2;
    }
    cluster_send_ping(&cluster, &ping);
    cluster_run(&cluster, 600);
}

static void say_hello(const char *mechanism)
{
    const struct mkv_frame hello = {
        .kind = MKV_FRAME_HELLO,
        .hello = {.versions = {1, 1},
                  .software = mkv_bytes_of("test"),
                  .mechanisms = {1, {mkv_bytes_of(mechanism)}}},
    };

    say(&hello);
}

static void say_challenge(const char *text)
{
    const struct mkv_frame challenge = {.kind = MKV_FRAME_CHALLENGE, .sasl = mkv_bytes_of(text)};

    say(&challenge);
}

static void say_peer(void)
{
    struct mkv_frame peer = {.kind = MKV_FRAME_PEER,
                             .peer = {.name = mkv_bytes_of("s1"), .state = MKV_ACT_READY}};

    cluster_uuid(1, peer.peer.uuid);
    say(&peer);
}

static void test_the_whole_way(void **state)
{
    (void)state;
    be_dialled(NULL);
    say_hello("SCRAM-SHA-256-PLUS");
    assert_true(
        mkv_bytes_equal(heard(MKV_FRAME_AUTH)->auth.mechanism, mkv_bytes_of("SCRAM-SHA-256-PLUS")));
    assert_true(mkv_bytes_equal(heard(MKV_FRAME_AUTH)->auth.initial, mkv_bytes_of("k")));
    assert_true(heard(MKV_FRAME_HELLO)->hello.name.len > 0);
    say_challenge("c");
    assert_non_null(heard(MKV_FRAME_RESPONSE));
    say_challenge("v");
    assert_null(heard(MKV_FRAME_FETCH));
    say_peer();
    assert_non_null(heard(MKV_FRAME_FETCH));
}

/* Less than what is wanted is not taken, however it is offered. */
static void test_downgrades(void **state)
{
    static const char *const less[] = {"SCRAM-SHA-256", "EXTERNAL", "ANONYMOUS", "PLAIN"};

    for (unsigned i = 0; i < 4; i++) {
        be_dialled(NULL);
        say_hello(less[i]);
        assert_null(heard(MKV_FRAME_AUTH));
        assert_true(cluster_said(&cluster, 0, "lets no server log in"));
        again(state);
    }
}

/* Says that it is the one, at any step before it has proven that. */
static void test_no_way_round(void **state)
{
    static const char *const challenges[] = {"c", "k", "cx", "v", "vx"};

    for (unsigned steps = 0; steps < 3; steps++) {
        be_dialled(NULL);
        say_hello("SCRAM-SHA-256-PLUS");
        if (steps > 0) {
            say_challenge("c");
        }
        if (steps > 1) {
            say_challenge("vx");
        }
        say_peer();
        say_peer();
        cluster_run(&cluster, 100);
        assert_null(heard(MKV_FRAME_FETCH));
        assert_null(heard(MKV_FRAME_READ));
        again(state);
    }
    for (unsigned i = 1; i < 5; i++) {
        be_dialled(NULL);
        say_hello("SCRAM-SHA-256-PLUS");
        say_challenge("c");
        say_challenge(challenges[i]);
        say_peer();
        assert_int_equal(heard(MKV_FRAME_FETCH) != NULL, i == 3);
        assert_int_equal(cluster_said(&cluster, 0, "does not have the cluster's key"), i != 3);
        again(state);
    }
}

static void test_the_next_address(void **state)
{
    struct mkv_frame error = {.kind = MKV_FRAME_ERROR,
                              .error = {.code = MKV_E_NOT_AUTHORISED, .text = mkv_bytes_of("no")}};

    for (unsigned i = 0; i < 3; i++) { /* the same puppet answers at both */
        be_dialled("tcp://s1:1");
        cluster_forget(&cluster, 1);
        assert_int_equal(cluster.at[0].n_dials, 1);
        if (i == 0) {
            say_hello("EXTERNAL");
        } else {
            say_hello("SCRAM-SHA-256-PLUS");
            i == 1 ? say_challenge("cx") : say(&error);
        }
        cluster_settle(&cluster);
        assert_int_equal(cluster.at[0].n_dials, 2);
        say_hello("SCRAM-SHA-256-PLUS");
        say_challenge("c");
        say_challenge("v");
        say_peer();
        assert_non_null(heard(MKV_FRAME_FETCH));
        again(state);
    }
}

/* --- Whoever dials ------------------------------------------------------------------------ */

static void dial_as(const char *name, const char *initial)
{
    const struct mkv_frame hello = {
        .kind = MKV_FRAME_HELLO,
        .hello = {.versions = {1, 1}, .software = mkv_bytes_of("test"), .name = mkv_bytes_of(name)},
    };
    const struct mkv_frame auth = {
        .kind = MKV_FRAME_AUTH,
        .auth = {.mechanism = mkv_bytes_of("SCRAM-SHA-256-PLUS"), .initial = mkv_bytes_of(initial)},
    };
    const struct mkv_frame response = {.kind = MKV_FRAME_RESPONSE, .sasl = mkv_bytes_of("r")};

    cluster_puppet(&cluster, 1);
    cluster.at[0].kind = MKV_PEER_SECURE;
    cluster.at[0].alone = true;
    cluster_start(&cluster, 0);
    cluster_run(&cluster, 2000);
    cluster_call(&cluster, 1, 0);
    say(&hello);
    say(&auth);
    say(&response);
}

static void test_a_server_is_no_user_and_no_user_a_server(void **state)
{
    const struct mkv_frame split = {
        .kind = MKV_FRAME_SPLIT, .id = 1, .ranges = {.ranges = mkv_bytes("\x81\x82\x40\x40", 4)}};

    dial_as("s1", "k");
    assert_non_null(heard(MKV_FRAME_PEER));
    assert_null(heard(MKV_FRAME_SESSION));
    say(&split);
    assert_non_null(heard(MKV_FRAME_SUMS));
    again(state);

    dial_as("s1", "kx"); /* another key */
    assert_null(heard(MKV_FRAME_PEER));
    assert_int_equal(heard(MKV_FRAME_ERROR)->error.code, MKV_E_NOT_AUTHORISED);
    again(state);

    dial_as("", "k"); /* the key is no password */
    assert_null(heard(MKV_FRAME_SESSION));
    assert_int_equal(heard(MKV_FRAME_ERROR)->error.code, MKV_E_NOT_AUTHORISED);
    again(state);

    dial_as("s1", "u"); /* a password is no key */
    assert_null(heard(MKV_FRAME_PEER));
    assert_int_equal(heard(MKV_FRAME_ERROR)->error.code, MKV_E_NOT_AUTHORISED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_they_join_and_heal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_the_key_nothing_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_never_over_what_others_can_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_whole_way, setup, teardown),
        cmocka_unit_test_setup_teardown(test_downgrades, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_way_round, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_next_address, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_server_is_no_user_and_no_user_a_server, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
