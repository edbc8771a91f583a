/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Servers among servers: joining, and staying the same (docs/protocol.md, 12).
 */
#include <stdio.h>
#include <string.h>

#include "among.h"
#include "lib/check.h"

/* --- Joining ------------------------------------------------------------------------------ */

static void test_three_join_and_follow(void **state)
{
    (void)state;
    cluster.at[0].alone = true;
    start(0);
    assert_true(cluster_ready(&cluster, 0));
    write_at(0, "a", "one");
    assert_int_equal(cluster.at[0].acked, 1);
    start(1);
    assert_heals(3000);
    assert_held(1, "a", "one");
    start(2);
    assert_heals(3000);
    write_at(1, "b", "two");
    write_at(2, "a", NULL);
    assert_held_by_all(3, "b", "two");
    assert_held_by_all(3, "a", "");
}

/* Whoever is joining serves nobody. */
static void test_clients_wait(void **state)
{
    (void)state;
    start(0);
    assert_false(cluster_ready(&cluster, 0));
    write_at(0, "a", "one");
    assert_int_equal(cluster.at[0].refused, MKV_E_BUSY);
    assert_int_equal(cluster.at[0].acked, 0);
    run(1100);
    assert_true(cluster_ready(&cluster, 0));
    write_at(0, "a", "two");
    assert_int_equal(cluster.at[0].acked, 1);
}

/* All new, all at once: one starts alone, the others join it. */
static void test_new_ones_at_once(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        start(i);
    }
    assert_heals(8000);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(cluster_said(&cluster, i, "no other server is here"), i == 3);
        assert_int_equal(cluster_said(&cluster, i, "joined the other servers"), i < 3);
    }
    assert_int_equal(cluster_sum(&cluster, 0).n_entries, 4);
}

/* All of a cluster come back: whoever knows of the others waits for them, and one begins. */
static void test_all_come_back(void **state)
{
    (void)state;
    start_many(3);
    write_at(0, "a", "one");
    for (unsigned i = 0; i < 3; i++) {
        cluster_crash(&cluster, i);
        cluster.at[i].alone = false;
        cluster_hush(&cluster, i);
    }
    for (unsigned i = 3; i-- > 0;) {
        start(i);
        run(1);
    }
    run(2000);
    assert_false(cluster_ready(&cluster, 0) || cluster_ready(&cluster, 1) ||
                 cluster_ready(&cluster, 2));
    assert_heals(6000);
    assert_true(cluster_said(&cluster, 2, "no other server is here"));
    assert_int_equal(cluster_sum(&cluster, 0).n_entries, 4); /* nobody's entry is written anew */
    assert_held_by_all(3, "a", "one");
}

/* One that should go first does not: the others do not wait for ever. */
static void test_patience_ends(void **state)
{
    (void)state;
    start(0);
    run(1);
    for (unsigned s = 1; s <= 12; s++) {
        struct mkv_ping ping = cluster_ping_of(&cluster, 1, 0);

        ping.state = MKV_ACT_JOINING;
        cluster_send_ping(&cluster, &ping);
        run(1000);
        assert_int_equal(cluster_ready(&cluster, 0), s >= 10);
    }
}

/* While it reads, the others go on, and others join. */
static void test_join_under_load(void **state)
{
    char path[16];

    (void)state;
    start_many(2);
    for (unsigned i = 0; i < 3000; i++) {
        (void)snprintf(path, sizeof(path), "p:%u", i);
        cluster_put(&cluster, 0, path, "x", 1000 + i);
        cluster_put(&cluster, 1, path, "x", 1000 + i);
    }
    start(2);
    start(3);
    for (unsigned i = 0; i < 30; i++) {
        (void)snprintf(path, sizeof(path), "q:%u", i);
        write_at(i % 2, path, "y");
        run(17);
    }
    assert_heals(3000);
    assert_held_by_all(4, "p:2999", "x");
    assert_held_by_all(4, "q:29", "y");
}

/* What was published while it was away from the broker it does not hear: it begins again. */
static void test_broker_goes_while_joining(void **state)
{
    (void)state;
    cluster_puppet(&cluster, 3); /* nobody answers there: the join hangs */
    cluster.at[0].also = cluster.at[3].address;
    start_many(1);
    write_at(0, "a", "one");
    start(2);
    run(2000);
    assert_false(cluster_ready(&cluster, 2));
    cluster_cut(&cluster, 2, true);
    assert_true(cluster_said(&cluster, 2, "the broker is away"));
    write_at(0, "b", "two");
    cluster_cut(&cluster, 2, false);
    assert_false(cluster_ready(&cluster, 2));
    assert_heals(60000);
    assert_held(2, "b", "two");
}

/* The link breaks at any time: it is dialled again. */
static void test_link_breaks_while_joining(void **state)
{
    (void)state;
    start_many(2);
    write_at(0, "a", "one");
    cluster_isolate(&cluster, 2, true);
    start(2);
    run(10000);
    assert_false(cluster_ready(&cluster, 2));
    assert_true(cluster_said(&cluster, 2, "it could be reached at none of its addresses"));
    cluster_isolate(&cluster, 2, false);
    assert_heals(30000);
}

static void test_addresses(void **state)
{
    (void)state;
    cluster.at[0].also = "tcp://nobody:1"; /* the next one is tried */
    start_many(2);
    cluster_crash(&cluster, 0);
    cluster_crash(&cluster, 1);
    cluster.at[0].also = "unix:/run/elsewhere"; /* not on another host: it is left out */
    start(0);
    assert_heals(10000);
    cluster.at[1].n_dials = 0;
    start(1);
    assert_heals(3000);
    assert_int_equal(cluster.at[1].n_dials, 1);
}

/* --- Staying the same --------------------------------------------------------------------- */

static void test_what_is_lost_is_read(void **state)
{
    (void)state;
    start_many(3);
    cluster.at[1].lose = 2;
    cluster.at[2].lose = 1;
    write_at(0, "a", "one");
    write_at(0, "b", "two");
    assert_held(1, "a", NULL);
    assert_held(1, "b", NULL);
    assert_held(2, "a", NULL);
    assert_heals(11000); /* at its next ping, and a grace */
    assert_held_by_all(3, "a", "one");
    assert_int_equal(cluster.at[1].lose + cluster.at[2].lose, 0);
}

/* What changed, and no more: no sums are asked for. */
static void test_a_place_is_resumed(void **state)
{
    char path[16];

    (void)state;
    start_many(2);
    for (unsigned i = 0; i < 200; i++) {
        (void)snprintf(path, sizeof(path), "p:%u", i);
        write_at(0, path, "x");
    }
    run(20000);
    cluster_crash(&cluster, 1);
    write_at(0, "q", "y");
    cluster.at[1].n_frames = 0;
    start(1);
    assert_heals(3000);
    /* hello, auth, vouch, fetch, credit, read, credit, check, bye */
    assert_int_equal(cluster.at[1].n_frames, 9);
}

/* Pings that are lost, too, cost only time. */
static void test_pings_are_lost(void **state)
{
    (void)state;
    start_many(2);
    cluster.at[1].no_pings = true;
    cluster.at[1].lose = 1;
    write_at(0, "a", "one");
    run(60000);
    assert_held(1, "a", NULL);
    cluster.at[1].no_pings = false;
    assert_heals(11000);
}

/* Cut off both ways, with writing on both sides. */
static void test_a_split_heals(void **state)
{
    (void)state;
    start_many(3);
    write_at(0, "both", "zero");
    cluster_cut(&cluster, 2, true);
    write_at(0, "both", "left");
    run(5);
    write_at(2, "both", "right");
    write_at(2, "right", "x");
    write_at(1, "left", "x");
    run(30000);
    cluster_cut(&cluster, 2, false);
    assert_heals(12000);
    assert_held_by_all(3, "both", "right"); /* it is the later one */
    assert_held_by_all(3, "left", "x");
    assert_held_by_all(3, "right", "x");
}

/* The place is not honoured any more: by comparing, which finds all the same. */
static void test_a_stale_place(void **state)
{
    char path[16];

    (void)state;
    start_many(2);
    for (unsigned i = 0; i < 300; i++) {
        (void)snprintf(path, sizeof(path), "p:%u", i);
        write_at(0, path, "x");
    }
    run(12000);
    for (unsigned i = 0; i < MKV_BOOTS_MAX + 3; i++) { /* so that its boots are forgotten */
        cluster_crash(&cluster, 0);
        cluster_crash(&cluster, 1);
        cluster.at[1].cut = true;
        start(0);
        start(1);
        run(1);
    }
    run(10000);
    assert_true(cluster_ready(&cluster, 0));
    write_at(0, "q", "y");
    cluster_cut(&cluster, 1, false);
    assert_heals(5000);
    assert_false(cluster_said(&cluster, 1, "has been restored"));
    assert_held(1, "q", "y");
}

/* The same difference stays after reading what changed: then all is compared. */
static void test_a_wrong_place(void **state)
{
    (void)state;
    start_many(2);
    cluster_put(&cluster, 0, "a", "old", 5000); /* as if it had been there, and been read, before */
    cluster.at[1].lose = 1;
    write_at(0, "b", "new");
    run(9000);
    cluster_put(&cluster, 1, "c", "other", 5000);
    assert_heals(60000);
    assert_held_by_all(2, "a", "old");
    assert_held_by_all(2, "c", "other");
}

static void test_quiet_servers_only_ping(void **state)
{
    unsigned n_pings;
    unsigned n_messages;
    unsigned n_dials;
    uint64_t position;

    (void)state;
    start_many(3);
    write_at(0, "a", "one");
    write_at(0, "a", NULL); /* a tombstone, which is forgotten meanwhile */
    run(200000);
    n_pings = cluster.at[1].n_pings;
    n_messages = cluster.at[1].n_messages;
    n_dials = cluster.at[1].n_dials;
    position = mkv_store_place(cluster.at[1].store).position;
    run(100000);
    assert_int_equal(cluster.at[1].n_pings - n_pings, 10);
    assert_int_equal(cluster.at[1].n_messages, n_messages);
    assert_int_equal(cluster.at[1].n_dials, n_dials);
    assert_int_equal(mkv_store_place(cluster.at[1].store).position, position);
}

/* --- Queries ------------------------------------------------------------------------------ */

static unsigned count_replies(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < 3; i++) {
        n += cluster.at[i].n_replies;
        cluster.at[i].n_replies = 0;
    }
    return n;
}

static void test_one_answers(void **state)
{
    char id[9];
    unsigned by[3] = {0};

    (void)state;
    start_many(3);
    (void)count_replies();
    for (unsigned k = 0; k < 60; k++) {
        (void)snprintf(id, sizeof(id), "query%03u", k);
        cluster_query(&cluster, id);
        for (unsigned i = 0; i < 3; i++) {
            by[i] += cluster.at[i].n_replies;
        }
        assert_int_equal(count_replies(), 1); /* at once */
        run(2000);
        assert_int_equal(count_replies(), 0); /* nobody else */
    }
    assert_true(by[0] > 5 && by[1] > 5 && by[2] > 5);

    /* One is not there any more, which nobody knows: the next one answers. */
    cluster_crash(&cluster, 1);
    for (unsigned k = 0; k < 60; k++) {
        (void)snprintf(id, sizeof(id), "again%03u", k);
        cluster_query(&cluster, id);
        run(k < 10 ? 700 : 0);
        if (k < 10) {
            assert_int_equal(count_replies(), 1);
        }
    }
    /* More than wait at a time are left to others; none is forgotten, or comes twice. */
    run(2000);
    assert_int_equal(count_replies(), 50);
}

static void test_more_queries_than_wait(void **state)
{
    char id[9];

    (void)state;
    start_many(2);
    cluster.at[1].no_pings = true;
    cluster_crash(&cluster, 0);
    (void)count_replies();
    for (unsigned k = 0; k < 400; k++) {
        (void)snprintf(id, sizeof(id), "query%03u", k);
        cluster_query(&cluster, id);
    }
    run(2000);

    unsigned n = count_replies();

    assert_true(n > 64 && n < 400); /* those of rank 0, and as many as may wait */
}

/* Nobody answers who does not serve; what waits is dropped by whoever joins anew. */
static void test_joining_servers_do_not_answer(void **state)
{
    (void)state;
    start(0);
    cluster_query(&cluster, "12345678");
    run(3000);
    assert_int_equal(count_replies(), 0);
}

/* --- Names and constants ------------------------------------------------------------------ */

static void test_same_name(void **state)
{
    (void)state;
    start_many(1);
    memcpy(cluster.at[1].name, "s0", sizeof("s0"));
    start(1);
    run(60000);
    assert_true(cluster.at[1].stopped);
    assert_false(cluster.at[0].stopped);
    assert_true(cluster_ready(&cluster, 0));
    assert_true(cluster_said(&cluster, 1, "another server named 's0' runs on host 's0'"));
}

static void test_same_store(void **state)
{
    struct mkv_ping ping;

    (void)state;
    start_many(1);
    run(5000);
    /* One that has been started from a copy of this store, and longer ago. */
    for (unsigned k = 1; k <= 3; k++) {
        ping = cluster_ping_of(&cluster, 1, 0);
        cluster_uuid(0, ping.uuid);
        ping.nonce = 5;
        ping.uptime_s = 100 + k;
        ping.position += 1;
        cluster_send_ping(&cluster, &ping);
        run(600);
        assert_int_equal(cluster.at[0].stopped, k >= 2);
    }
    assert_true(cluster_said(&cluster, 0, "on a copy of the same store"));
}

/* A ping of ours from before the last start may come late, any number of them. */
static void test_pings_of_an_earlier_boot(void **state)
{
    struct mkv_ping ping;

    (void)state;
    start_many(1);
    run(5000);
    ping = cluster_ping_of(&cluster, 1, 0);
    ping.name = mkv_bytes_of("s0");
    ping.host = mkv_bytes_of("s0");
    ping.nonce = cluster.at[0].ping.nonce;
    cluster_uuid(0, ping.uuid);
    ping.uptime_s = 1000;
    cluster_crash(&cluster, 0);
    start(0);
    for (unsigned k = 1; k <= 5; k++) {
        ping.number = 1000 + k;
        cluster_send_ping(&cluster, &ping);
        run(700);
    }
    assert_false(cluster.at[0].stopped);
    assert_false(cluster_said(&cluster, 0, "another server"));
}

static void test_other_constants(void **state)
{
    (void)state;
    start_many(1);
    cluster.at[1].qos = 0;
    start(1);
    run(3000);
    assert_true(cluster.at[1].stopped);
    assert_false(cluster_ready(&cluster, 1));
    assert_true(cluster_said(&cluster, 1, "all servers of a cluster must use the same"));

    /* One that serves stays as it is. */
    assert_false(cluster.at[0].stopped);
    assert_true(cluster_ready(&cluster, 0));
}

/* Copies of a server's own ping: brokers send in a circle. */
static void test_a_circle_of_brokers(void **state)
{
    unsigned n_pings;

    (void)state;
    start_many(2);
    for (unsigned k = 0; k < 5; k++) {
        struct mkv_buf copy;

        mkv_buf_init(&copy, 16384);
        assert_int_equal(mkv_buf_append(&copy, mkv_buf_bytes(&cluster.at[0].ping_text)), 0);
        cluster_publish(&cluster, "moat/main/svc/act", mkv_buf_bytes(&copy));
        mkv_buf_deinit(&copy);
        assert_int_equal(cluster_said(&cluster, 0, "in a circle"), k >= 1);
    }
    run(11000); /* the next one is on time, as it was planned before, those behind it are rarer */
    n_pings = cluster.at[0].n_pings;
    run(85000);
    assert_int_equal(cluster.at[0].n_pings, n_pings);
    run(100000); /* nothing went round any more */
    assert_true(cluster.at[0].n_pings - n_pings >= 8);
}

/*
 * Rows are lost, and nobody is there who has them: it starts with what there is, but not before it
 * can store that, or it would look for what is lost for ever, and forget nothing.
 */
static void test_lost_rows_and_a_full_disk(void **state)
{
    (void)state;
    start_many(1);
    write_at(0, "a", "x");
    write_at(0, "b", "y");
    cluster_crash(&cluster, 0);
    mkv_disk_damage(cluster.at[0].disk, MKV_LOG_ROWS, 0);
    cluster.at[0].alone = false;
    start(0);
    mkv_disk_resize(cluster.at[0].disk, 1);
    run(60000);
    assert_false(cluster_ready(&cluster, 0));
    assert_true(cluster_said(&cluster, 0, "cannot start alone while its disk takes no writes"));
    mkv_disk_resize(cluster.at[0].disk, 0);
    assert_heals(5000);
    write_at(0, "b", NULL);
    run(120000);
    assert_held(0, "b", NULL);
    assert_false(mkv_store_lost(cluster.at[0].store));
}

/* Whoever evicted a server does not forget that when it joins one that has not heard of it. */
static void test_an_eviction_outlives_a_join(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 2; round++) {
        cluster_deinit(&cluster);
        cluster_init(&cluster);
        cluster.at[0].alone = true;
        start(0);
        assert_heals(3000);
        write_at(0, "a", "x");
        start(1);
        assert_heals(3000);
        start(2);
        assert_heals(3000);
        run(12000);
        cluster_crash(&cluster, 2);
        cluster.at[1].lose = 1;
        assert_int_equal(cluster_evict(&cluster, 0, 2), 0);
        cluster_crash(&cluster, 0);
        if (round == 1) { /* it is not sure of itself any more, and asks to be let in anew */
            mkv_disk_damage(cluster.at[0].disk, MKV_LOG_ROWS, 0);
        }
        start(0);
        assert_true(cluster.at[0].report.lost == (round == 1));
        assert_heals(10000);
        run(30000);
        assert_held_by_all(2, "a", "x");
        assert_int_equal(cluster_evict(&cluster, 1, 2), MKV_E_NOT_FOUND);
        assert_int_equal(cluster_evict(&cluster, 0, 2), MKV_E_NOT_FOUND);
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_three_join_and_follow),
        CASE(test_clients_wait),
        CASE(test_new_ones_at_once),
        CASE(test_all_come_back),
        CASE(test_patience_ends),
        CASE(test_join_under_load),
        CASE(test_broker_goes_while_joining),
        CASE(test_link_breaks_while_joining),
        CASE(test_addresses),
        CASE(test_what_is_lost_is_read),
        CASE(test_a_place_is_resumed),
        CASE(test_pings_are_lost),
        CASE(test_a_split_heals),
        CASE(test_a_stale_place),
        CASE(test_a_wrong_place),
        CASE(test_quiet_servers_only_ping),
        CASE(test_one_answers),
        CASE(test_more_queries_than_wait),
        CASE(test_joining_servers_do_not_answer),
        CASE(test_same_name),
        CASE(test_same_store),
        CASE(test_pings_of_an_earlier_boot),
        CASE(test_other_constants),
        CASE(test_a_circle_of_brokers),
        CASE(test_lost_rows_and_a_full_disk),
        CASE(test_an_eviction_outlives_a_join),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
