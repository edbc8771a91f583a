/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Servers among servers: differences below the floor, which several faults at once may leave, do not
 * last; and whom nothing is read from (docs/protocol.md, 12.5, 12.6).
 */
#include <stdio.h>
#include <string.h>

#include "among.h"
#include "core/members.h"
#include "lib/check.h"

#define FOUND  75000 /* a difference: three pings, a walk, two more; and the same for the other */
#define HEALED "a value that was deleted may be there again"

/* A floor above 0, the same everywhere. */
static void raise_floor(unsigned n)
{
    write_at(0, "t", "x");
    write_at(0, "t", NULL);
    run(PAST_HORIZON + 20000); /* the greatest one has been taken over by all */
    for (unsigned i = 0; i < n; i++) {
        assert_held(i, "t", NULL);
        assert_true(floor_of(i) > 100000);
        assert_int_equal(floor_of(i), floor_of(0));
    }
}

/* --- The net ------------------------------------------------------------------------------ */

/* What one has live below the floor, the other gets; in both directions at once. */
static void test_values_below_the_floor(void **state)
{
    (void)state;
    start_many(2);
    raise_floor(2);
    cluster_put(&cluster, 0, "a.b", "alone", 1000);
    cluster_put(&cluster, 1, "c", "here", 1001);
    cluster_put(&cluster, 0, "both", "old", 1002);
    cluster_put(&cluster, 1, "both", "new", 1003);
    run(30000); /* read and compared in the usual way first */
    assert_held(1, "a.b", NULL);
    assert_false(cluster_said(&cluster, 1, HEALED));
    run(FOUND);
    for (unsigned i = 0; i < 2; i++) {
        assert_held(i, "a.b", "alone");
        assert_held(i, "c", "here");
        assert_held(i, "both", "new");
    }
    assert_true(cluster_equal(&cluster, 0, 1));
    assert_true(cluster_said(&cluster, 1,
                             "1 entries that all servers should have had for long "
                             "were not here, but at server 's0' (the first at a.b)"));
    assert_true(cluster_said(&cluster, 0,
                             "2 entries that all servers should have had for long "
                             "were not here, but at server 's1' (the first at both)"));
    cluster_hush(&cluster, 0);
    cluster_hush(&cluster, 1);
    run(FOUND);
    assert_false(cluster_said(&cluster, 0, HEALED)); /* that was all */
    assert_false(cluster_said(&cluster, 1, HEALED));
}

/* Whichever is newer: what has a value at one of them gets it at all of them. */
static void test_deletions_beside_values(void **state)
{
    (void)state;
    start_many(2);
    raise_floor(2);
    cluster_put(&cluster, 0, "old", NULL, 1000);
    cluster_put(&cluster, 1, "old", "kept", 1001);
    cluster_put(&cluster, 0, "new", NULL, 1003);
    cluster_put(&cluster, 1, "new", "kept", 1002);
    run(FOUND);
    assert_heals(FOUND);
    for (unsigned i = 0; i < 2; i++) {
        assert_held(i, "old", "kept");
        assert_held(i, "new", "kept");
    }
}

/* A deletion below the floor is forgotten where it is, and not taken where it is not. */
static void test_deletions_below_the_floor(void **state)
{
    (void)state;
    start_many(2);
    raise_floor(2);
    cluster_put(&cluster, 0, "n", NULL, 1000);
    cluster_put(&cluster, 0, "w", "alone", 1003);
    for (unsigned k = 0; k < FOUND; k += 1000) {
        run(1000);
        assert_held(1, "n", NULL);
    }
    assert_true(cluster_heal(&cluster, FOUND));
    for (unsigned i = 0; i < 2; i++) {
        assert_held(i, "n", NULL);
        assert_held(i, "w", "alone");
    }
    assert_true(cluster_said(&cluster, 1, HEALED));
    assert_false(cluster_said(&cluster, 0, HEALED));
}

static void test_three_servers(void **state)
{
    char path[16];

    (void)state;
    start_many(3);
    raise_floor(3);
    for (unsigned k = 0; k < 300; k++) {
        (void)snprintf(path, sizeof(path), "p:%u", k);
        cluster_put(&cluster, k % 3, path, "x", 1000 + k);
    }
    run(FOUND);
    assert_true(cluster_heal(&cluster, 2 * FOUND));
    for (unsigned i = 0; i < 3; i++) {
        assert_held(i, "p:0", "x");
        assert_held(i, "p:299", "x");
    }
}

/* What is above the floor is read in the usual way, and it is not the net that finds it. */
static void test_nothing_to_heal(void **state)
{
    uint64_t tock;

    (void)state;
    start_many(3);
    raise_floor(3);
    tock = cluster_tock(&cluster);
    cluster_put(&cluster, 0, "a", "fresh", tock);
    cluster_put(&cluster, 1, "b", NULL, tock + 1);
    cluster_put(&cluster, 2, "b", "fresh", tock);
    assert_heals(40000);
    for (unsigned i = 0; i < 3; i++) {
        assert_held(i, "a", "fresh");
        assert_held(i, "b", "");
        assert_false(cluster_said(&cluster, i, HEALED));
    }
}

/* --- Between those that know different members -------------------------------------------- */

/*
 * s2 has a value that nobody else has, and is evicted; s1 hears of it and crashes.  It must not come
 * back through s2, which has not heard and would give it that value, too.
 */
static void test_not_through_an_evicted_one(void **state)
{
    (void)state;
    start_many(3);
    write_at(0, "t", "x");
    write_at(0, "t", NULL);
    cluster_cut(&cluster, 2, true);
    cluster_isolate(&cluster, 2, true);
    write_at(2, "v", "alone");
    assert_int_equal(cluster_evict(&cluster, 0, 2), 0);
    run(PAST_HORIZON); /* it is not waited for */
    assert_held(0, "t", NULL);
    cluster_crash(&cluster, 1);
    cluster_cut(&cluster, 0, true);
    cluster_isolate(&cluster, 0, true);
    cluster_cut(&cluster, 2, false);
    cluster_isolate(&cluster, 2, false);
    start(1); /* s2 is the only one that it hears */
    run(30000);
    assert_true(cluster_ready(&cluster, 1));
    assert_true(cluster_said(&cluster, 1, "no other server is here"));
    assert_true(cluster_said(&cluster, 2, "no active member of the cluster any more"));
    assert_held(1, "v", NULL);
    cluster_cut(&cluster, 0, false);
    cluster_isolate(&cluster, 0, false);
    assert_true(cluster_heal(&cluster, FOUND));
    for (unsigned i = 0; i < 3; i++) {
        assert_held(i, "v", NULL);
        assert_false(cluster_said(&cluster, i, HEALED));
    }
}

/*
 * s1 is evicted, unaware, and holds a value that nobody else has.  s0 lets it in anew, but s1 does not
 * hear that: its link breaks after @n frames (false: it had no more).  When it comes again, s0 knows
 * it; the value is set aside all the same.
 */
static bool let_in_twice(unsigned n)
{
    start_many(3);
    cluster_crash(&cluster, 2); /* the floor waits for it */
    write_at(0, "t", "x");
    write_at(0, "t", NULL);
    cluster_cut(&cluster, 1, true);
    cluster_isolate(&cluster, 1, true);
    write_at(1, "v", "alone");
    assert_int_equal(cluster_evict(&cluster, 0, 1), 0);
    run(PAST_HORIZON);
    assert_held(0, "t", "");
    cluster_crash(&cluster, 1);
    cluster_cut(&cluster, 1, false);
    cluster_isolate(&cluster, 1, false);
    cluster.at[1].lose = 1; /* what s0 writes of it */
    cluster.at[1].break_in = n;
    start(1);
    run(20000);
    assert_true(cluster_ready(&cluster, 1));
    assert_held(1, "v", NULL);
    assert_held(0, "v", NULL);
    assert_non_null(strstr(cluster.at[1].set_aside, "v=alone;"));
    return cluster.at[1].break_in == 0;
}

static void test_let_in_twice(void **state)
{
    unsigned n = 1;

    for (; let_in_twice(n); n++) {
        (void)teardown(state);
        (void)setup(state);
    }
    assert_true(n > 6);
}

/*
 * s0 vouches for s2, of which nobody else hears; then it is put back to a backup, and comes back
 * through s1.  The floor rises among s0 and s1, and s2 holds a value from before that.
 */
static void test_a_voucher_that_is_put_back(void **state)
{
    struct mkv_disk *copy;

    (void)state;
    start_many(2);
    run(15000);
    assert_int_equal(mkv_disk_snapshot(cluster.at[0].disk, &copy), 0);
    cluster_cut(&cluster, 1, true);
    cluster_isolate(&cluster, 1, true);
    start(2);
    run(15000);
    assert_true(cluster_ready(&cluster, 2));
    cluster_cut(&cluster, 2, true);
    cluster_isolate(&cluster, 2, true);
    write_at(2, "v", "alone");
    cluster_crash(&cluster, 0);
    assert_int_equal(mkv_disk_restore(cluster.at[0].disk, copy), 0);
    mkv_disk_free(copy);
    cluster_cut(&cluster, 1, false);
    cluster_isolate(&cluster, 1, false);
    start(0);
    run(15000);
    assert_true(cluster_ready(&cluster, 0));
    write_at(0, "t", "x");
    write_at(0, "t", NULL);
    run(PAST_HORIZON);
    assert_held(0, "t", NULL);
    cluster_cut(&cluster, 2, false);
    cluster_isolate(&cluster, 2, false);
    run(FOUND);
    assert_true(cluster_heal(&cluster, 2 * FOUND));
}

/*
 * s1 is put back to a backup, and finds only s2, which never was with it, and lets it in; but s1's link
 * breaks after @n frames (false: it had no more).  By the broker it hears that its entry names the other
 * cluster now; its floor is not that one's for that, and s2 does not take it over.
 */
static bool go_over_twice(unsigned n)
{
    struct mkv_disk *copy;

    start_many(2);
    raise_floor(2);
    assert_int_equal(mkv_disk_snapshot(cluster.at[1].disk, &copy), 0);
    write_at(1, "later", "x");
    cluster_crash(&cluster, 0);
    cluster_crash(&cluster, 1);
    cluster.at[2].alone = true;
    start(2);
    run(1000);
    cluster_put(&cluster, 2, "v", "alone", 1000);
    assert_int_equal(mkv_disk_restore(cluster.at[1].disk, copy), 0);
    mkv_disk_free(copy);
    cluster.at[1].break_in = n;
    start(1);
    assert_true(cluster.at[1].report.restored);
    run(FOUND);
    for (unsigned i = 1; i < 3; i++) {
        assert_true(cluster_ready(&cluster, i));
        assert_held(i, "v", "alone");
        assert_int_equal(floor_of(i), 0);
    }
    assert_null(cluster.at[2].set_aside);
    return cluster.at[1].break_in == 0;
}

static void test_go_over_twice(void **state)
{
    unsigned n = 1;

    for (; go_over_twice(n); n++) {
        (void)teardown(state);
        (void)setup(state);
    }
    assert_true(n > 6);
}

/* Server 1 is a puppet, for which server 0 has vouched. */
static void start_with_puppet(void)
{
    cluster_puppet(&cluster, 1);
    cluster_start_with_member(&cluster);
    run(10000); /* so that its last ping tells of its members */
    cluster_forget(&cluster, 1);
}

/* It tells of a difference; is dialled, and asked for the members, where there is nothing new. */
static void tell_members(bool same)
{
    struct mkv_ping ping = cluster_ping_of(&cluster, 1, 0);

    memset(ping.digest, 0x5a, sizeof(ping.digest));
    if (!same) {
        ping.members[0] ^= 1;
    }
    cluster_send_ping(&cluster, &ping);
    run(600);
    cluster_greet(&cluster, 1);
    cluster_tell_members(&cluster);
}

/* From who counts other members, nothing else is read; once they agree, all is. */
static void test_members_come_first(void **state)
{
    (void)state;
    start_with_puppet();
    tell_members(false);
    assert_int_equal(cluster_count(&cluster, 1, MKV_FRAME_SPLIT), 0);
    assert_int_equal(cluster_count(&cluster, 1, MKV_FRAME_READ), 0);
    assert_int_equal(cluster_count(&cluster, 1, MKV_FRAME_BYE), 1);
    assert_false(cluster_said(&cluster, 0, "failed"));
    cluster_forget(&cluster, 1);
    tell_members(true);
    assert_int_equal(cluster_count(&cluster, 1, MKV_FRAME_SPLIT), 1);
    assert_int_equal(cluster_count(&cluster, 1, MKV_FRAME_BYE), 0);
}

/* A member is taken over even if it is older than the floor; and nobody's list loses one. */
static void test_members_below_the_floor(void **state)
{
    struct mkv_member member = {.active = true, .name = "s5"};
    struct mkv_update update = {.has_tock = true, .present = true, .tock = 1000};
    struct mkv_buf key;
    struct mkv_buf value;
    struct mkv_head head;
    struct mkv_tree_entry entry;

    (void)state;
    start_many(2);
    raise_floor(2);
    cluster_uuid(5, member.uuid);
    cluster_uuid(0, member.cluster);
    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    mkv_buf_init(&value, MKV_VALUE_MAX);
    assert_int_equal(mkv_member_key(member.uuid, &key), 0);
    assert_int_equal(mkv_member_value(&member, &value), 0);
    update.value = mkv_buf_bytes(&value);
    update.ticks.n = 1;
    update.ticks.at[0] = (struct mkv_tick){mkv_bytes_of("s9"), 0, 1000};
    head = mkv_head_of(&update);
    assert_int_equal(mkv_store_put(cluster.at[1].store, mkv_buf_bytes(&key), &head, &update), 0);
    assert_int_equal(mkv_store_commit(cluster.at[1].store), 0);
    run(15000);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(
            mkv_tree_find(mkv_store_tree(cluster.at[i].store), mkv_buf_bytes(&key), &entry));
        assert_false(cluster_said(&cluster, i, HEALED));
    }
    mkv_buf_deinit(&value);
    mkv_buf_deinit(&key);
}

static void put_back(unsigned i, struct mkv_disk *copy)
{
    assert_int_equal(mkv_disk_restore(cluster.at[i].disk, copy), 0);
    mkv_disk_free(copy);
}

/*
 * Both are put back, and s0 is told to start with that, from before the floor of s1.  What it takes
 * then is not lost to that floor, which s1 has of an agreement that s0 knows nothing of.
 */
static void test_a_voucher_that_went_back(void **state)
{
    struct mkv_disk *copies[2];
    uint64_t floor;

    (void)state;
    start_many(2);
    assert_int_equal(mkv_disk_snapshot(cluster.at[0].disk, &copies[0]), 0);
    raise_floor(2);
    floor = floor_of(1);
    assert_int_equal(mkv_disk_snapshot(cluster.at[1].disk, &copies[1]), 0);
    write_at(1, "later", "x");
    cluster_crash(&cluster, 0);
    cluster_crash(&cluster, 1);
    put_back(0, copies[0]);
    put_back(1, copies[1]);
    cluster.at[0].accept_restored = true;
    cluster_start(&cluster, 0);
    run(10000);
    assert_true(cluster_ready(&cluster, 0));
    assert_true(floor_of(0) < floor);
    cluster_give(&cluster, 0, "v", "since", floor - 1, "s9", 1, 1);
    assert_held(0, "v", "since");
    cluster_start(&cluster, 1);
    assert_true(cluster.at[1].report.restored);
    assert_true(cluster_heal(&cluster, 5000));
    run(FOUND);
    for (unsigned i = 0; i < 2; i++) {
        assert_held(i, "v", "since");
        assert_null(cluster.at[i].set_aside);
        assert_false(cluster_said(&cluster, i, HEALED));
    }
}

/* s1 was let in by s2 and its link broke after @n frames; now it is told to start alone. */
static bool start_alone_elsewhere(unsigned n, unsigned *n_elsewhere)
{
    struct mkv_disk *copy;
    uint8_t uuid[16];

    start_many(2);
    raise_floor(2);
    assert_int_equal(mkv_disk_snapshot(cluster.at[1].disk, &copy), 0);
    write_at(1, "later", "x");
    cluster_crash(&cluster, 0);
    cluster_crash(&cluster, 1);
    cluster.at[2].alone = true;
    cluster_start(&cluster, 2);
    run(1000);
    put_back(1, copy);
    cluster.at[1].break_in = n;
    cluster_start(&cluster, 1);
    for (unsigned i = 0; i < 50 && cluster.at[1].break_in > 0; i++) {
        run(20);
    }
    cluster_crash(&cluster, 2);
    run(1);
    cluster_crash(&cluster, 1);
    cluster.at[1].accept_restored = true;
    cluster_start(&cluster, 1);
    run(30000);
    assert_true(cluster_ready(&cluster, 1));
    cluster_uuid(2, uuid);
    if (memcmp(cluster.at[1].ping.cluster, uuid, sizeof(uuid)) == 0) {
        ++*n_elsewhere;
        assert_int_equal(floor_of(1), 0);
    } else {
        assert_true(floor_of(1) > 0);
    }
    return cluster.at[1].break_in == 0;
}

/* What was agreed upon in one cluster says nothing in another. */
static void test_alone_in_another_cluster(void **state)
{
    unsigned n_elsewhere = 0;
    unsigned n = 1;

    for (; n < 12 && start_alone_elsewhere(n, &n_elsewhere); n++) {
        (void)teardown(state);
        (void)setup(state);
    }
    assert_true(n_elsewhere > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_values_below_the_floor, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deletions_below_the_floor, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deletions_beside_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_three_servers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_to_heal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_through_an_evicted_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_let_in_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_voucher_that_is_put_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_go_over_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_voucher_that_went_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_alone_in_another_cluster, setup, teardown),
        cmocka_unit_test_setup_teardown(test_members_come_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_members_below_the_floor, setup, teardown),
    };

    return cmocka_run_group_tests_name("cluster_heal", tests, NULL, NULL);
}
