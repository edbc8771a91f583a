/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What servers know of users' passwords: a password that is set at one of them is everybody's after a ping, and
 * nobody else's (docs/protocol.md, 12.10).
 */
#include <stdio.h>
#include <string.h>

#include "among.h"
#include "core/secrets.h"
#include "lib/check.h"
#include "lib/prng.h"

#define USERS   6
#define SERVERS 3

static uint64_t n_given;

/* A user that comes, or goes: from somebody whom no server knows. */
static void give_user(const char *name, bool there)
{
    struct mkv_update update = {
        .has_tock = true,
        .tock = cluster_tock(&cluster) + n_given,
        .present = there,
        .value = mkv_bytes_of("\xa1\x65roles\x80"),
        .ticks = {.n = 1, .at = {{mkv_bytes_of("far"), 9, ++n_given}}},
    };
    struct mkv_buf payload;
    char topic[64];

    mkv_buf_init(&payload, 1000);
    assert_int_equal(mkv_update_encode(&update, &payload), 0);
    (void)snprintf(topic, sizeof(topic), "moat/main/d/$NULL/users/%s", name);
    cluster_publish(&cluster, topic, mkv_buf_bytes(&payload));
    mkv_buf_deinit(&payload);
    run(3);
}

static void set_at(unsigned i, const char *user, uint8_t number)
{
    assert_int_equal(cluster_passwd(&cluster, i, user, number), 0);
}

static void assert_password(unsigned i, const char *user, int number)
{
    assert_int_equal(cluster_password(&cluster, i, user), number);
}

/* --- Two servers -------------------------------------------------------------------------- */

static void test_after_one_ping(void **state)
{
    (void)state;
    start_many(2);
    give_user("ann", true);
    set_at(0, "ann", 1);
    assert_password(1, "ann", -1);
    run(1200); /* at once, but for the pings that have just been */
    assert_password(1, "ann", 1);
    set_at(1, "ann", 2);
    run(1200);
    assert_password(0, "ann", 2);
    assert_int_equal(cluster.at[0].n_dials + cluster.at[1].n_dials <= 5, true);
    run(60000);
    assert_int_equal(cluster.at[0].n_dials + cluster.at[1].n_dials <= 5, true); /* and then rest */
}

/* It is nobody's business, nor anybody's entry. */
static void test_who_is_no_user_has_none(void **state)
{
    (void)state;
    start_many(2);
    set_at(0, "ann", 1);
    run(15000);
    assert_password(1, "ann", -1);
    give_user("ann", true);
    run(15000);
    assert_password(1, "ann", 1);
    give_user("ann", false);
    set_at(0, "ann", 2);
    run(15000);
    assert_password(1, "ann", 1);
    assert_true(cluster_equal(&cluster, 0, 1));
}

static void test_the_later_one_counts(void **state)
{
    (void)state;
    start_many(2);
    give_user("ann", true);
    cluster_isolate(&cluster, 1, true);
    set_at(0, "ann", 1);
    run(5000);
    set_at(1, "ann", 2);
    run(15000);
    assert_password(0, "ann", 1);
    cluster_isolate(&cluster, 1, false);
    run(70000);
    assert_password(0, "ann", 2);
    assert_password(1, "ann", 2);
}

/* More than a page of them, before it is ready. */
static void test_a_new_server_has_them_before_it_is_ready(void **state)
{
    char name[16];

    (void)state;
    start_equal(1);
    for (unsigned i = 0; i < 2 * MKV_SECRETS_PAGE; i++) {
        (void)snprintf(name, sizeof(name), "u%03u", i);
        give_user(name, true);
        set_at(0, name, (uint8_t)i);
    }
    start(1);
    for (unsigned i = 0; i < 3000 && !cluster_ready(&cluster, 1); i++) {
        run(1);
    }
    assert_true(cluster_ready(&cluster, 1));
    for (unsigned i = 0; i < 2 * MKV_SECRETS_PAGE; i++) {
        (void)snprintf(name, sizeof(name), "u%03u", i);
        assert_password(1, name, (uint8_t)i);
    }
}

/* Those of whoever is no user make room. */
static void test_as_many_as_users(void **state)
{
    char name[16];
    unsigned n = 0;

    (void)state;
    start_equal(1);
    give_user("u0000", true);
    for (unsigned i = 0; i < MKV_SECRETS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "u%04u", i);
        set_at(0, name, (uint8_t)i);
    }
    assert_int_equal(cluster_passwd(&cluster, 0, "zoe", 7), 0);
    assert_password(0, "u0000", 0);
    assert_password(0, "u0001", -1);
    assert_password(0, "zoe", 7);
    for (unsigned i = 0; i < MKV_SECRETS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "u%04u", i);
        n += cluster_password(&cluster, 0, name) >= 0;
    }
    assert_int_equal(n, MKV_SECRETS_MAX - 1);
}

/* --- Many --------------------------------------------------------------------------------- */

static const char *user_name(unsigned u)
{
    static const char *const names[USERS] = {"ann", "bob", "carl", "dora", "eve", "fritz"};

    return names[u];
}

static void do_something(struct prng *prng, uint8_t number)
{
    unsigned i = (unsigned)prng_below(prng, SERVERS);
    const char *user = user_name((unsigned)prng_below(prng, USERS));

    switch (prng_below(prng, 8)) {
    case 0:
        cluster_isolate(&cluster, i, !cluster.at[i].isolated);
        break;
    case 1:
        cluster_cut(&cluster, i, !cluster.at[i].cut);
        break;
    case 2:
        if (cluster.at[i].node != NULL) {
            cluster_crash(&cluster, i);
        } else {
            start(i);
        }
        break;
    case 3:
        give_user(user, prng_below(prng, 3) > 0);
        break;
    case 4:
        run((int64_t)prng_below(prng, 20000));
        break;
    default:
        if (cluster.at[i].node != NULL && cluster_ready(&cluster, i)) {
            set_at(i, user, number);
        }
        break;
    }
}

static void mend_all(void)
{
    for (unsigned i = 0; i < SERVERS; i++) {
        cluster_isolate(&cluster, i, false);
        cluster_cut(&cluster, i, false);
        if (cluster.at[i].node == NULL) {
            start(i);
        }
    }
    assert_heals(120000);
    run(90000);
}

/* Whatever happened: in the end all have the same, and then what is set last is what all have. */
static void test_all_have_the_same_in_the_end(void **state)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct prng prng = {seed};
        unsigned last = (unsigned)prng_below(&prng, SERVERS);

        again(state);
        start_many(SERVERS);
        for (unsigned k = 0; k < 40; k++) {
            do_something(&prng, (uint8_t)(1 + k));
        }
        mend_all();
        for (unsigned u = 0; u < USERS; u++) { /* so that the secrets of all count */
            give_user(user_name(u), true);
        }
        run(90000);
        for (unsigned u = 0; u < USERS; u++) {
            int number = cluster_password(&cluster, 0, user_name(u));

            if (cluster_password(&cluster, 1, user_name(u)) != number ||
                cluster_password(&cluster, 2, user_name(u)) != number) {
                fail_msg("seed %u, user %s", (unsigned)seed, user_name(u));
            }
        }
        set_at(last, "ann", 99);
        run(12000);
        for (unsigned i = 0; i < SERVERS; i++) {
            assert_password(i, "ann", 99);
        }
    }
}

/* --- A server that is none ---------------------------------------------------------------- */

static void tell(const char *user, uint8_t number, uint64_t tock)
{
    uint8_t bytes[32];
    struct mkv_frame frame = {.kind = MKV_FRAME_SECRET,
                              .id = 1,
                              .passwd = {.user = mkv_bytes_of(user),
                                         .iterations = 4096,
                                         .salt = mkv_bytes(bytes, 16),
                                         .stored_key = mkv_bytes(bytes, 32),
                                         .server_key = mkv_bytes(bytes, 32),
                                         .tock = tock}};

    memset(bytes, number, sizeof(bytes));
    say(&frame);
}

static void tell_end(uint64_t n)
{
    const struct mkv_frame frame = {.kind = MKV_FRAME_END, .id = 1, .end = {.n_rows = n}};

    say(&frame);
}

/* Server 0 hears that the puppet has other secrets, and nothing else; and asks for them. */
static void be_asked(void)
{
    struct mkv_ping ping;

    cluster_start_with_member(&cluster);
    give_user("ann", true);
    ping = cluster_ping_of(&cluster, 1, 0);
    ping.secrets[0] ^= 1;
    cluster_send_ping(&cluster, &ping);
    run(600);
    cluster_greet(&cluster, 1);
    assert_non_null(heard(MKV_FRAME_SECRETS));
    assert_int_equal(heard(MKV_FRAME_SECRETS)->passwd.user.len, 0);
}

static void test_what_is_told(void **state)
{
    (void)state;
    be_asked();
    tell("ann", 5, 9);
    tell("bob", 6, 9);
    tell_end(2);
    run(100);
    assert_password(0, "ann", 5);
    assert_password(0, "bob", 6);
    assert_null(heard(MKV_FRAME_FETCH)); /* the trees are equal */
    assert_non_null(heard(MKV_FRAME_BYE));
    set_at(0, "ann", 7);
    assert_password(0, "ann", 7);
}

static void test_lies(void **state)
{
    for (unsigned i = 0; i < 6; i++) {
        char name[16];

        again_with_puppet(state);
        be_asked();
        switch (i) {
        case 0: /* not ascending */
            tell("bob", 5, 9);
            tell("ann", 5, 9);
            break;
        case 1: /* twice */
            tell("ann", 5, 9);
            tell("ann", 6, 10);
            break;
        case 2:
            tell(":x", 5, 9);
            break;
        case 3: /* a tock by which nobody could ever set it again */
            tell("ann", 5, UINT64_MAX >> 1);
            assert_password(0, "ann", -1);
            break;
        case 4:
            tell("ann", 5, 9);
            tell_end(2);
            break;
        default:
            for (unsigned k = 0; k <= MKV_SECRETS_PAGE; k++) {
                (void)snprintf(name, sizeof(name), "u%03u", k);
                tell(name, 5, 9);
            }
            break;
        }
        run(100);
        assert_true(cluster_said(&cluster, 0, "reading from server 's1' failed"));
        assert_true(cluster_ready(&cluster, 0));
        assert_int_equal(mkv_server_node_error(cluster.at[0].node), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_after_one_ping, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_is_no_user_has_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_later_one_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_new_server_has_them_before_it_is_ready, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_as_many_as_users, setup, teardown),
        cmocka_unit_test_setup_teardown(test_all_have_the_same_in_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_told, setup_with_puppet, teardown),
        cmocka_unit_test_setup_teardown(test_lies, setup_with_puppet, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
