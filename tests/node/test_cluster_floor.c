/* SPDX-License-Identifier: Apache-2.0 */
/* Servers among servers: what is forgotten, when, and who counts (docs/protocol.md, 12.4 - 12.6). */
#include <stdio.h>
#include <string.h>

#include "among.h"
#include "lib/check.h"

static bool set_aside(unsigned i, const char *text)
{
    return cluster.at[i].set_aside != NULL && strstr(cluster.at[i].set_aside, text) != NULL;
}

/* --- Forgetting --------------------------------------------------------------------------- */

static void test_alone(void **state)
{
    (void)state;
    start_many(1);
    write_at(0, "a", "one");
    write_at(0, "b", "two");
    write_at(0, "a", NULL);
    run(40000);
    assert_held(0, "a", "");
    run(PAST_HORIZON - 40000);
    assert_held(0, "a", NULL);
    assert_held(0, "b", "two");
    assert_true(floor_of(0) > 0);
    /* It is not forgotten again and again: it stays where it is. */
    uint64_t floor = floor_of(0);

    run(PAST_HORIZON);
    assert_int_equal(floor_of(0), floor);
    restart(0);
    run(20000);
    assert_int_equal(floor_of(0), floor);
}

static void test_all_together(void **state)
{
    (void)state;
    start_many(3);
    write_at(0, "a", "one");
    write_at(1, "a", NULL);
    run(PAST_HORIZON);
    for (unsigned i = 0; i < 3; i++) {
        assert_held(i, "a", NULL);
        assert_true(floor_of(i) > 0);
    }
    assert_heals(1);
}

/* More of them than are deleted at a time, and some that are to stay. */
static void test_many_tombstones(void **state)
{
    char path[16];

    (void)state;
    start_many(2);
    cluster_put(&cluster, 0, ":", NULL, 999); /* the root's, too */
    cluster_put(&cluster, 1, ":", NULL, 999);
    for (unsigned i = 0; i < 1500; i++) {
        (void)snprintf(path, sizeof(path), "p:%u", i);
        cluster_put(&cluster, 0, path, i % 3 == 0 ? "x" : NULL, 1000 + i);
        cluster_put(&cluster, 1, path, i % 3 == 0 ? "x" : NULL, 1000 + i);
    }
    run(PAST_HORIZON);
    write_at(0, "p:0", NULL);
    run(15000);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(cluster_sum(&cluster, i).n_entries, 500 + 2);
        assert_int_equal(cluster_sum(&cluster, i).n_live, 499 + 2);
    }
}

/* What is below the horizon comes too late: from a client that is here it is stamped anew. */
static void test_late_updates(void **state)
{
    uint64_t tock;

    (void)state;
    start_many(2);
    write_at(0, "a", "one");
    write_at(0, "a", NULL);
    tock = cluster_tock(&cluster);
    run(PAST_HORIZON);
    assert_held(0, "a", NULL);
    write_at(0, "c", "x"); /* its client is here */
    cluster_give(&cluster, 0, "a", "late", tock, "s9", 5, 1);
    assert_held(0, "a", NULL);
    cluster_give(&cluster, 0, "a", "slow", tock, "s0", cluster.at[0].seq,
                 cluster.at[0].counter + 1);
    assert_held(0, "a", "slow");
    assert_held(1, "a", "slow");
    cluster_give(&cluster, 1, "b", "late", tock, "s9", 5, 2);
    assert_held(1, "b", NULL);
}

/* A member that is away is waited for; evicted, it is not. */
static void test_an_absent_member(void **state)
{
    (void)state;
    start_many(3);
    write_at(0, "a", "one");
    cluster_crash(&cluster, 2);
    write_at(0, "a", NULL);
    write_at(0, "gone", "x");
    write_at(0, "gone", NULL);
    run(3 * PAST_HORIZON);
    assert_held(0, "a", "");
    assert_int_equal(floor_of(0), 0);
    /* It comes back, and hears of the deletion. */
    start(2);
    assert_heals(3000);
    run(30000);
    for (unsigned i = 0; i < 3; i++) {
        assert_held(i, "a", NULL);
        assert_true(floor_of(i) > 0);
    }
    assert_null(cluster.at[2].set_aside);
    /* Away again, and evicted. */
    write_at(0, "b", "two");
    cluster_crash(&cluster, 2);
    write_at(0, "b", NULL);
    assert_int_equal(cluster_evict(&cluster, 1, 2), 0);
    assert_int_equal(cluster_evict(&cluster, 1, 2), MKV_E_NOT_FOUND);
    run(PAST_HORIZON);
    assert_held(0, "b", NULL);
    /* What it holds alone does not come back with it. */
    start(2);
    assert_heals(5000);
    assert_held(2, "b", NULL);
    assert_true(set_aside(2, "b=two;"));
    run(30000);
    write_at(2, "c", "three");
    assert_held(0, "c", "three");
}

/* A restart does not make a server forget what it promised, nor count before it has heard all. */
static void test_restarts(void **state)
{
    uint64_t horizon;

    (void)state;
    start_many(2);
    write_at(0, "a", "one");
    write_at(0, "a", NULL);
    run(50000);
    horizon = cluster.at[0].ping.horizon;
    for (unsigned k = 0; k < 4; k++) {
        restart(k % 2);
        run(12000);
        assert_true(cluster.at[0].ping.horizon >= horizon);
        horizon = cluster.at[0].ping.horizon;
    }
    run(40000);
    assert_held(0, "a", NULL);
    assert_held(1, "a", NULL);
}

/* The floor of others is learned by comparing, if it cannot just be taken over. */
static void test_a_floor_that_was_missed(void **state)
{
    (void)state;
    start_many(2);
    write_at(0, "a", "one");
    write_at(0, "a", NULL);
    cluster.at[1].no_pings = true; /* it hears of nothing, but is heard */
    run(PAST_HORIZON);
    run(PAST_HORIZON);
    cluster.at[1].no_pings = false;
    run(25000);
    assert_held(0, "a", NULL);
    assert_held(1, "a", NULL);
    assert_int_equal(floor_of(0), floor_of(1));
}

/* --- Who counts: what models have shown ----------------------------------------------------- */

/*
 * s2 accepts a value that only s0 reads, and is evicted.  What s0 said before of what it has from
 * clients says nothing of what it has from s2: the value must not be passed over.
 */
static void test_what_an_evicted_server_wrote(void **state)
{
    (void)state;
    start_many(3);
    write_at(1, "t", "x");
    write_at(1, "t", NULL);
    cluster.at[0].lose = 1;
    cluster.at[1].lose = 1;
    write_at(2, "v", "alone");
    assert_held(2, "v", "alone");
    cluster.at[1].no_pings = true; /* s0 reads it from s2, s1 hears nothing */
    run(12000);
    assert_held(0, "v", "alone");
    assert_held(1, "v", NULL);
    cluster_crash(&cluster, 2);
    assert_int_equal(cluster_evict(&cluster, 1, 2), 0);
    cluster.at[1].no_pings = false;
    run(PAST_HORIZON);
    assert_held(0, "t", NULL);
    assert_held(1, "t", NULL);
    assert_heals(1000);
    assert_held(1, "v", "alone");
}

/* Evicted without knowing: nothing is taken from it, and it joins anew as soon as it hears. */
static void test_evicted_unaware(void **state)
{
    (void)state;
    start_many(3);
    write_at(0, "t", "x");
    write_at(0, "t", NULL);
    cluster_cut(&cluster, 2, true);
    cluster_isolate(&cluster, 2, true);
    write_at(2, "v", "alone");
    assert_held(2, "v", "alone");
    assert_int_equal(cluster_evict(&cluster, 0, 2), 0);
    run(PAST_HORIZON);
    assert_held(0, "t", NULL);
    cluster_cut(&cluster, 2, false);
    cluster.at[0].n_dials = 0;
    run(25000); /* its pings are heard, but it cannot be reached, and reaches nobody */
    assert_held(0, "v", NULL);
    assert_held(1, "v", NULL);
    cluster_isolate(&cluster, 2, false);
    assert_heals(80000);
    assert_held(0, "v", NULL);
    assert_held(2, "v", NULL);
    assert_true(set_aside(2, "v=alone;"));
    assert_true(cluster_said(&cluster, 2, "no active member of the cluster any more"));
}

static void test_evicting(void **state)
{
    (void)state;
    start_many(2);
    assert_int_equal(cluster_evict(&cluster, 0, 0), MKV_E_UNEXPECTED);
    assert_int_equal(cluster_evict(&cluster, 0, 4), MKV_E_NOT_FOUND);
    assert_int_equal(cluster_evict(&cluster, 0, 1), 0);
    run(1); /* it does not wait for a ping */
    assert_true(cluster_said(&cluster, 1, "no active member of the cluster any more"));
    assert_heals(20000);
    assert_int_equal(cluster.at[1].refused, 0);
}

/* An evicted server with nobody around does not go on as if nothing had been. */
static void test_evicted_and_alone(void **state)
{
    (void)state;
    start_many(2);
    assert_int_equal(cluster_evict(&cluster, 0, 1), 0);
    run(1);
    cluster_crash(&cluster, 0);
    restart(1);
    run(120000);
    assert_false(cluster_ready(&cluster, 1));
    assert_true(cluster_said(&cluster, 1, "taken out of its cluster"));
    cluster_crash(&cluster, 1);
    cluster.at[1].accept_restored = true;
    start(1);
    run(10000);
    assert_true(cluster_ready(&cluster, 1));
    start(0);
    assert_heals(20000);
}

/* Vouched for, and crashed before it had everything: it is none of them yet. */
static void test_crash_between_vouched_and_joined(void **state)
{
    char path[16];

    (void)state;
    start_many(1);
    for (unsigned i = 0; i < 600; i++) {
        (void)snprintf(path, sizeof(path), "p:%u", i);
        cluster_put(&cluster, 0, path, "x", 1000 + i);
    }
    cluster.at[1].break_in = 7;
    start(1);
    run(500);
    assert_int_equal(cluster.at[1].break_in, 0);
    assert_true(cluster_sum(&cluster, 1).n_entries > 0);
    assert_false(cluster_ready(&cluster, 1));
    cluster_crash(&cluster, 0);
    restart(1);
    run(30000);
    assert_false(cluster_ready(&cluster, 1));
    assert_true(cluster_said(&cluster, 1, "had not joined it completely"));
    start(0);
    assert_heals(40000);
    assert_held(1, "p:599", "x");
}

/* --- Backups ------------------------------------------------------------------------------ */

static struct mkv_disk *back_up(unsigned i)
{
    struct mkv_disk *copy;

    assert_int_equal(mkv_disk_snapshot(cluster.at[i].disk, &copy), 0);
    return copy;
}

static void put_back(unsigned i, struct mkv_disk *copy)
{
    cluster_crash(&cluster, i);
    assert_int_equal(mkv_disk_restore(cluster.at[i].disk, copy), 0);
    mkv_disk_free(copy);
}

static void test_a_backup_is_put_back(void **state)
{
    struct mkv_disk *copy;

    (void)state;
    start_many(2);
    write_at(1, "a", "one");
    run(15000);
    copy = back_up(1);
    write_at(1, "a", "two");
    write_at(1, "b", "new");
    run(15000);
    put_back(1, copy);
    start(1);
    assert_true(cluster.at[1].report.restored);
    assert_heals(5000);
    assert_held(1, "a", "two");
    assert_held(1, "b", "new");
    run(30000);
    assert_false(cluster_said(&cluster, 1, "joins anew")); /* that was all */
    restart(1);
    assert_false(cluster.at[1].report.restored);
    assert_heals(5000);
}

/* Nobody who could say what is missing is here. */
static void test_a_backup_alone(void **state)
{
    struct mkv_disk *copy;

    (void)state;
    start_many(2);
    write_at(1, "a", "one");
    run(15000);
    copy = back_up(1);
    write_at(1, "a", "two");
    run(15000);
    cluster_crash(&cluster, 0);
    put_back(1, copy);
    cluster.at[1].alone = true;
    start(1);
    run(120000);
    assert_false(cluster_ready(&cluster, 1));
    assert_true(cluster_said(&cluster, 1, "restored from a backup"));
    restart(1); /* it does not forget that */
    run(20000);
    assert_false(cluster_ready(&cluster, 1));
    cluster_crash(&cluster, 1);
    cluster.at[1].accept_restored = true;
    start(1);
    run(15000);
    assert_true(cluster_ready(&cluster, 1));
    write_at(1, "b", "after");
    assert_int_equal(cluster.at[1].acked, 1);
    cluster_crash(&cluster, 1); /* it has been accepted: once is enough */
    cluster.at[1].accept_restored = false;
    start(1);
    run(15000);
    assert_true(cluster_ready(&cluster, 1));
}

/* The whole directory has been put back: others know its log further than it goes. */
static void test_a_backup_that_does_not_know(void **state)
{
    struct mkv_disk *copy;

    (void)state;
    start_many(3);
    write_at(1, "a", "one");
    run(15000);
    copy = back_up(1);
    write_at(1, "a", "two");
    run(15000);
    put_back(1, copy);
    cluster.at[1].forget_restored = true;
    start(1);
    assert_heals(5000);
    assert_true(cluster_said(&cluster, 1, "others have seen more of it"));
    assert_held(1, "a", "two");
    cluster_hush(&cluster, 1);
    run(60000);
    write_at(2, "c", "x");
    cluster.at[2].lose = 1; /* so that it reads from s1, too */
    write_at(1, "d", "y");
    run(30000);
    assert_heals(1000);
    assert_false(cluster_said(&cluster, 1, "joins anew"));
}

/* It starts while it is alone, and it shows only when its log is read. */
static void test_a_backup_that_is_read(void **state)
{
    struct mkv_disk *copy;

    (void)state;
    start_many(2);
    write_at(1, "a", "one");
    run(15000);
    copy = back_up(1);
    write_at(1, "a", "two");
    write_at(1, "b", "new");
    run(15000);
    cluster_cut(&cluster, 0, true);
    put_back(1, copy);
    cluster.at[1].forget_restored = true;
    start(1);
    cluster_crash(&cluster, 1); /* the store knows it; forget that, too */
    assert_int_equal(mkv_store_open_disk(cluster.at[1].disk,
                                         &(struct mkv_store_options){.boot_nonce = 99},
                                         &cluster.at[1].store, &cluster.at[1].report),
                     0);
    assert_int_equal(mkv_store_mark_restored(cluster.at[1].store, false), 0);
    assert_int_equal(mkv_store_commit(cluster.at[1].store), 0);
    mkv_store_close(cluster.at[1].store);
    cluster.at[1].store = NULL;
    start(1);
    run(10000);
    assert_true(cluster_ready(&cluster, 1));
    write_at(1, "c", "split");
    cluster_cut(&cluster, 0, false);
    run(20000);
    assert_heals(20000);
    assert_true(cluster_said(&cluster, 1, "joins anew: its store has been restored") ||
                cluster_said(&cluster, 0, "joins anew"));
    assert_held(1, "b", "new");
    assert_held(0, "c", "split");
}

/* --- Clusters that meet ------------------------------------------------------------------- */

static void fill(unsigned i, unsigned n)
{
    char path[16];

    for (unsigned k = 0; k < n; k++) {
        (void)snprintf(path, sizeof(path), "s%u:%u", i, k);
        write_at(i, path, "x");
    }
}

/* Grown up apart: the one with less joins the other one, with all that it has. */
static void test_two_clusters_meet(void **state)
{
    (void)state;
    cluster.at[0].alone = true;
    start(0);
    start(1);
    assert_heals(3000);
    fill(0, 40);
    cluster_cut(&cluster, 0, true);
    cluster_cut(&cluster, 1, true);
    cluster.at[2].alone = true;
    start(2);
    start(3);
    run(5000);
    assert_true(cluster_ready(&cluster, 2) && cluster_ready(&cluster, 3));
    fill(3, 5);
    cluster_cut(&cluster, 0, false);
    cluster_cut(&cluster, 1, false);
    assert_heals(30000);
    for (unsigned i = 0; i < 4; i++) {
        assert_held(i, "s0:39", "x");
        assert_held(i, "s3:4", "x");
        assert_int_equal(cluster_said(&cluster, i, "meets another cluster"), i >= 2);
        assert_null(cluster.at[i].set_aside);
    }
    run(15000);
    write_at(3, "after", "y");
    assert_held(0, "after", "y");
}

/* Equal in everything: the order of their ids decides, and only one of them gives way. */
static void test_two_equals_meet(void **state)
{
    (void)state;
    start(0);
    cluster_cut(&cluster, 0, true);
    cluster_cut(&cluster, 0, false);
    cluster.at[1].cut = true;
    run(2000);
    cluster_cut(&cluster, 0, true);
    start(1);
    cluster_cut(&cluster, 1, false);
    run(2000);
    assert_true(cluster_ready(&cluster, 0) && cluster_ready(&cluster, 1));
    write_at(0, "a", "x");
    write_at(1, "b", "y");
    cluster_cut(&cluster, 0, false);
    assert_heals(15000);
    assert_held(1, "a", "x");
    assert_held(0, "b", "y");
    assert_true(cluster_said(&cluster, 0, "meets another cluster"));
    assert_false(cluster_said(&cluster, 1, "meets another cluster"));
}

/* What has been forgotten in the greater one, the lesser one may not bring back. */
static void test_the_lesser_one_sets_aside(void **state)
{
    (void)state;
    start_many(2);
    fill(0, 10);
    write_at(0, "t", "x");
    write_at(0, "t", NULL);
    cluster_cut(&cluster, 0, true);
    cluster_cut(&cluster, 1, true);
    cluster.at[2].alone = true;
    start(2);
    write_at(2, "old", "v");
    cluster_cut(&cluster, 2, true);
    cluster_cut(&cluster, 0, false);
    cluster_cut(&cluster, 1, false);
    run(2 * PAST_HORIZON);
    assert_true(floor_of(0) > 0);
    write_at(2, "young", "w");
    cluster_cut(&cluster, 2, false);
    assert_heals(15000);
    assert_held(0, "young", "w");
    assert_held(0, "old", NULL);
    assert_string_equal(cluster.at[2].set_aside, "old=v;");
}

/* A server with a history of its own does not join any newcomer that happens to be there. */
static void test_a_newcomer_is_there_first(void **state)
{
    (void)state;
    start_many(2);
    fill(0, 40);
    cluster_crash(&cluster, 0);
    cluster_crash(&cluster, 1);
    cluster.at[2].alone = true;
    start(2);
    run(11000);
    assert_true(cluster_ready(&cluster, 2));
    start(0);
    start(1);
    assert_heals(30000);
    assert_true(cluster_said(&cluster, 2, "meets another cluster"));
    assert_false(cluster_said(&cluster, 0, "meets another cluster"));
    assert_held(2, "s0:39", "x");
}

/* More to set aside than a batch holds. */
static void test_much_is_set_aside(void **state)
{
    char path[16];

    (void)state;
    start_many(2);
    write_at(0, "t", "x");
    write_at(0, "t", NULL);
    cluster_open_disk(&cluster, 2);
    for (unsigned i = 0; i < 40000; i++) {
        (void)snprintf(path, sizeof(path), "q:%u", i);
        if (i < 20000) {
            cluster_put(&cluster, 2, path, "alone", 1000 + i);
        } else {
            cluster_put(&cluster, 0, path, "theirs", 1000 + i);
            cluster_put(&cluster, 1, path, "theirs", 1000 + i);
        }
    }
    cluster_close_disk(&cluster, 2);
    run(PAST_HORIZON);
    start(2);
    assert_heals(20000);
    assert_int_equal(cluster_sum(&cluster, 2).n_entries, 20003);
    assert_held(2, "q:0", NULL);
    assert_held(2, "q:39999", "theirs");
    assert_true(cluster_said(&cluster, 2, "20000 values that this server held alone"));
}

/* The quarantine cannot be written: nothing is given up. */
static void test_quarantine_fails(void **state)
{
    (void)state;
    start_many(2);
    write_at(0, "t", "x");
    write_at(0, "t", NULL);
    run(PAST_HORIZON);
    cluster_open_disk(&cluster, 2);
    cluster_put(&cluster, 2, "a", "alone", 1000);
    cluster_close_disk(&cluster, 2);
    cluster.at[2].keep_error = MKV_E_DISK_FULL;
    start(2);
    run(20000);
    assert_false(cluster_ready(&cluster, 2));
    assert_held(2, "a", "alone");
    cluster.at[2].keep_error = 0;
    assert_heals(60000);
    assert_string_equal(cluster.at[2].set_aside, "a=alone;");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_alone),
        CASE(test_all_together),
        CASE(test_many_tombstones),
        CASE(test_late_updates),
        CASE(test_an_absent_member),
        CASE(test_restarts),
        CASE(test_a_floor_that_was_missed),
        CASE(test_what_an_evicted_server_wrote),
        CASE(test_evicted_unaware),
        CASE(test_evicting),
        CASE(test_evicted_and_alone),
        CASE(test_crash_between_vouched_and_joined),
        CASE(test_a_backup_is_put_back),
        CASE(test_a_backup_alone),
        CASE(test_a_backup_that_does_not_know),
        CASE(test_a_backup_that_is_read),
        CASE(test_two_clusters_meet),
        CASE(test_two_equals_meet),
        CASE(test_the_lesser_one_sets_aside),
        CASE(test_a_newcomer_is_there_first),
        CASE(test_much_is_set_aside),
        CASE(test_quarantine_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
