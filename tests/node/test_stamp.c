/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Updates without a tock whose own server is not there, and tocks that come too late; clocks that
 * go wrong (docs/protocol.md, 12.7 and 12.9).
 */
#include <stdio.h>
#include <string.h>

#include "among.h"
#include "lib/check.h"
#include "lib/mem_fault.h"

static const struct mkv_bytes value = {(const uint8_t *)"\x61v", 2};

/* Three servers, equal; s1 has left. */
static int setup_three(void **state)
{
    (void)setup(state);
    start_equal(3);
    cluster_leave(&cluster, 1);
    run(35000); /* so that all know who is there */
    for (unsigned i = 0; i < 3; i++) {
        cluster_hush(&cluster, i);
        cluster.at[i].n_messages = 0;
    }
    return 0;
}

/* An update without a tock that everybody hears: {1: "v", 2: [[name, seq, counter]]} */
static void publish_now(const char *path, const char *name, uint8_t seq, uint8_t counter)
{
    struct mkv_update update = {
        .present = true,
        .value = value,
        .ticks = {.n = 1, .at = {{mkv_bytes_of(name), seq, counter}}},
    };
    struct mkv_buf payload;
    char topic[64];

    mkv_buf_init(&payload, 1000);
    assert_int_equal(mkv_update_encode(&update, &payload), 0);
    (void)snprintf(topic, sizeof(topic), "moat/main/d/%s", path);
    cluster_publish(&cluster, topic, mkv_buf_bytes(&payload));
    mkv_buf_deinit(&payload);
}

static void publish(const char *path, const char *name, uint8_t seq, uint8_t counter)
{
    publish_now(path, name, seq, counter);
    run(3);
}

/* How many updates the servers have published. */
static unsigned published(void)
{
    return cluster.at[0].n_messages + cluster.at[1].n_messages + cluster.at[2].n_messages;
}

/* A path for which server @i comes before server @j. */
static const char *path_of(unsigned i, unsigned j)
{
    static char path[8];

    for (unsigned k = 0;; k++) {
        (void)snprintf(path, sizeof(path), "p%u", k);
        publish(path, "gone", 99, (uint8_t)(k + 1));
        cluster.at[i].n_messages = 0;
        cluster.at[j].n_messages = 0;
        run(4000);
        if (cluster.at[i].n_messages == 1) {
            cluster.at[i].n_messages = 0;
            return path;
        }
        assert_int_equal(cluster.at[j].n_messages, 1);
        assert_true(k < 50);
    }
}

/* --- Stamping --------------------------------------------------------------------------------- */

static void test_stamped_once_by_the_first(void **state)
{
    (void)state;
    publish("p", "s1", 7, 1);
    run(2900);
    assert_true(holds(0, "p", NULL));
    assert_int_equal(published(), 0);
    run(110);
    assert_true(holds(0, "p", "v"));
    assert_true(holds(2, "p", "v"));
    assert_int_equal(published(), 1);
    run(70000);
    assert_int_equal(published(), 1);
    assert_true(cluster_equal(&cluster, 0, 2));
    assert_null(strstr(cluster.at[0].log == NULL ? "" : cluster.at[0].log, "without a tock"));
}

static void test_unknown_server_is_not_there_either(void **state)
{
    (void)state;
    publish("p", "nobody", 7, 1);
    run(4000);
    assert_int_equal(published(), 1);
    assert_true(holds(2, "p", "v"));
}

static void test_next_one_does_it_if_the_first_does_not(void **state)
{
    const char *path = path_of(0, 2);

    (void)state;
    cluster.at[0].lose = 1;
    publish(path, "s1", 7, 1);
    run(3200);
    assert_int_equal(published(), 0);
    run(110);
    assert_int_equal(cluster.at[2].n_messages, 1);
    assert_true(cluster_equal(&cluster, 0, 2));
}

static void test_repeats_are_not_stamped(void **state)
{
    (void)state;
    publish("p", "s1", 7, 5);
    run(1000);
    publish("p", "s1", 7, 5); /* while it waits */
    publish("q", "s1", 7, 5); /* a dot is used once */
    run(10000);
    assert_int_equal(published(), 1);
    assert_true(holds(0, "q", NULL));
    write_at(0, "p", "new");
    for (unsigned k = 1; k <= 5; k++) {
        publish("p", "s1", 7, 5); /* when it has been overwritten */
        publish("p", "s1", 7, 4); /* nor one before it */
        run(10000);
    }
    assert_int_equal(published(), 1);
    assert_true(holds(0, "p", "new"));
    assert_true(holds(2, "p", "new"));
}

/* What was stamped is remembered over a restart, by whoever had heard of it. */
static void test_repeats_are_not_stamped_after_a_restart(void **state)
{
    (void)state;
    publish("p", "s1", 7, 5);
    run(4000);
    for (unsigned i = 0; i < 3; i += 2) {
        cluster_crash(&cluster, i);
    }
    for (unsigned i = 0; i < 3; i += 2) {
        cluster_start(&cluster, i);
        assert_heals(30000);
        cluster_crash(&cluster, i);
        cluster.at[i].n_messages = 0;
    }
    for (unsigned i = 0; i < 3; i += 2) { /* each alone */
        cluster_start(&cluster, i);
        assert_heals(30000);
        cluster.at[i].n_messages = 0;
        publish("q", "s1", 7, 5);
        run(35000);
        assert_int_equal(cluster.at[i].n_messages, 0);
        assert_true(holds(i, "q", NULL));
        publish("r", "s1", 7, (uint8_t)(6 + i)); /* others are */
        run(35000);
        assert_true(holds(i, "r", "v"));
        cluster_crash(&cluster, i);
    }
}

/* Neither is what an entry tells that it has replaced. */
static void test_known_by_an_entry(void **state)
{
    const uint64_t tock = cluster_tock(&cluster);

    (void)state;
    cluster_put(&cluster, 2, "p", "x", tock); /* put 1 tock */
    cluster_leave(&cluster, 0);
    run(100);
    publish("p", "put", 1, 200);
    run(5000);
    assert_int_equal(cluster.at[2].n_messages, 0);
    assert_true(holds(2, "p", "x"));
    publish("q", "put", 1, 200); /* elsewhere it is new */
    run(5000);
    assert_true(holds(2, "q", "v"));
}

static void test_one_behind_its_stream_is_old(void **state)
{
    (void)state;
    cluster_give(&cluster, 2, "a", "x", cluster_tock(&cluster), "s1", 7, 9);
    cluster_give(&cluster, 0, "a", "x", cluster_tock(&cluster), "s1", 7, 9);
    publish("p", "s1", 7, 9);
    publish("q", "s1", 7, 3);
    run(5000);
    assert_int_equal(published(), 0);
    publish("r", "s1", 7, 10);
    run(5000);
    assert_int_equal(published(), 1);
}

/* The other one has done it, perhaps long ago: it comes by the broker, or by reading. */
static void test_stamped_version_is_heard_meanwhile(void **state)
{
    (void)state;
    publish("p", "s1", 7, 1);
    publish("q", "s1", 7, 2);
    for (unsigned i = 0; i < 3; i += 2) {
        cluster_give(&cluster, i, "p", "v", cluster_tock(&cluster), "s1", 7, 1);
        cluster_give(&cluster, i, "q", "v", UINT64_C(1) << 62, "s1", 7, 2); /* a bad one, but one */
    }
    run(5000);
    assert_int_equal(published(), 0);
    assert_true(holds(0, "q", NULL));
}

/* Its client has gone on, on the same path: what waits is old. */
static void test_replaced_meanwhile(void **state)
{
    (void)state;
    publish("p", "s1", 7, 1);
    publish("q", "s1", 7, 2);
    for (unsigned i = 0; i < 3; i += 2) {
        cluster_give(&cluster, i, "p", "new", cluster_tock(&cluster), "s1", 7, 3);
    }
    run(5000);
    assert_int_equal(published(), 1);
    assert_true(holds(0, "p", "new"));
    assert_true(holds(0, "q", "v")); /* on another one it is not */
}

static void test_stamped_version_is_read_meanwhile(void **state)
{
    (void)state;
    cluster.at[0].lose = 1; /* 2 alone has it, but 0 gets the stamped one first ... */
    publish("p", "s1", 7, 1);
    cluster_give(&cluster, 0, "p", "v", cluster_tock(&cluster), "s1", 7, 1);
    cluster.at[0].n_messages = 0;
    cluster_isolate(&cluster, 2, false);
    for (unsigned k = 0; k < 29 && holds(2, "p", NULL);
         k++) { /* ... and tells 2, if its ping comes */
        run(100);
    }
    run(5000);
    assert_true(holds(2, "p", "v"));
    assert_true(cluster_equal(&cluster, 0, 2));
}

static void test_left_to_its_own_server(void **state)
{
    (void)state;
    publish("p", "s1", 7, 1);
    cluster_start(&cluster, 1);
    assert_heals(2900); /* it is back in time */
    cluster.at[1].n_messages = 0;
    publish("q", "s1", 7, 2);
    publish("r", "s0", 7, 2);
    run(60000);
    assert_true(holds(2, "p", NULL));
    assert_true(holds(2, "q", NULL));
    assert_true(holds(2, "r", NULL));
    assert_int_equal(published(), 0);
    assert_true(cluster_said(&cluster, 0, "'s0' 7 is no session that is known here"));
    assert_false(cluster_said(&cluster, 2, "no session"));
}

/* Two stores with one name, one after the other: the last one heard counts. */
static void test_last_of_a_name_counts(void **state)
{
    struct mkv_ping before;
    struct mkv_ping after;

    (void)state;
    cluster_puppet(&cluster, 3);
    cluster_puppet(&cluster, 4);
    before = cluster_ping_of(&cluster, 3, 0);
    after = cluster_ping_of(&cluster, 4, 0);
    before.name = mkv_bytes_of("twice");
    after.name = before.name;
    cluster_send_ping(&cluster, &before);
    run(10);
    after.state = MKV_ACT_LEAVING;
    cluster_send_ping(&cluster, &after);
    publish("p", "twice", 7, 1);
    run(4000);
    assert_true(holds(0, "p", "v"));
    before.number++;
    cluster_send_ping(&cluster, &before);
    publish("q", "twice", 7, 2);
    run(4000);
    assert_true(holds(0, "q", NULL));
}

/* Of a row that is damaged the index still knows which update it was. */
static void test_known_by_a_damaged_entry(void **state)
{
    (void)state;
    cluster_leave(&cluster, 0);
    cluster_put(&cluster, 2, "p", "x", 200);
    for (size_t n = 0; n < 20; n++) {
        mkv_disk_damage(cluster.at[2].disk, MKV_LOG_ROWS, n);
    }
    publish("p", "put", 1, 200);
    publish("p", "put", 1, 201);
    run(5000);
    assert_int_equal(cluster.at[2].n_messages, 1);
    assert_true(holds(2, "p", "v"));
}

static void test_servers_own_have_a_tock(void **state)
{
    (void)state;
    publish("p", "s1", 0, 1);
    run(5000);
    assert_int_equal(published(), 0);
    assert_true(cluster_said(&cluster, 2, "'s1' 0 is no session"));
}

/* Without the broker it waits, for a minute. */
static void test_waits_for_the_broker(void **state)
{
    (void)state;
    cluster_leave(&cluster, 0);
    for (unsigned k = 0; k < 2; k++) {
        const char *path = k == 0 ? "p" : "q";

        publish(path, "s1", 7, (uint8_t)(k + 1));
        cluster_cut(&cluster, 2, true);
        run(k == 0 ? 20000 : 40000);
        cluster_cut(&cluster, 2, false);
        run(29000); /* it cannot know before that s1 is not there */
        assert_true(holds(2, path, NULL));
        run(5000);
        assert_true(holds(2, path, k == 0 ? "v" : NULL));
    }
}

static void test_no_more_than_so_many_wait(void **state)
{
    (void)state;
    cluster_leave(&cluster, 0);
    for (unsigned k = 0; k < 1025; k++) {
        publish_now("p", "s1", (uint8_t)(1 + k / 200), (uint8_t)(1 + k % 200));
        if (k == 1023) {
            assert_false(cluster_said(&cluster, 2, "no session"));
        }
    }
    assert_true(cluster_said(&cluster, 2, "'s1' 6 is no session"));
    run(10000);
    assert_int_equal(cluster.at[2].n_messages, 1024);
    assert_true(holds(2, "p", "v"));
}

/* An own session's that is repeated without a tock, when it was stamped elsewhere meanwhile. */
static void test_own_server_does_not_stamp_it_again(void **state)
{
    uint64_t seq;

    (void)state;
    write_at(0, "p", "old");
    seq = cluster.at[0].seq;
    write_at(0, "p", "new"); /* counter 2 */
    cluster.at[0].n_messages = 0;
    cluster_give(&cluster, 0, "p", "late", 0, "s0", seq, 1); /* repeated */
    assert_int_equal(cluster.at[0].n_messages, 0);
    assert_true(holds(0, "p", "new"));
    cluster_give(&cluster, 0, "q", "x", 0, "s0", seq, 3);
    assert_int_equal(cluster.at[0].n_messages, 1);
    cluster_give(&cluster, 0, "p", "y", cluster_tock(&cluster) + 100, "s0", seq, 5);
    cluster_give(&cluster, 0, "p", "z", 0, "s0", seq, 4); /* has never come, but 5 replaces it */
    assert_int_equal(cluster.at[0].n_messages, 1);
    assert_true(holds(0, "p", "y"));
    assert_int_equal(cluster.at[0].acked, 5);
}

/* Several of one client, on many paths: all of them, whoever does it, and in whatever order. */
static void test_burst_of_one_client(void **state)
{
    char path[8];

    (void)state;
    for (uint8_t k = 1; k <= 100; k++) {
        (void)snprintf(path, sizeof(path), "p%u", k);
        publish_now(path, "s1", 7, k);
    }
    run(4000);
    assert_int_equal(published(), 100);
    assert_true(cluster.at[0].n_messages > 20);
    assert_true(cluster.at[2].n_messages > 20);
    for (uint8_t k = 1; k <= 100; k++) {
        (void)snprintf(path, sizeof(path), "p%u", k);
        assert_true(holds(0, path, "v"));
    }
    assert_true(cluster_equal(&cluster, 0, 2));
}

/* --- Hopeless tocks --------------------------------------------------------------------------- */

/* One's own client that is here has it stamped; anybody else is refused, and its owner told why. */
static void test_hopeless_tock(void **state)
{
    (void)state;
    write_at(0, "p", "x");
    write_at(0, "p", NULL); /* something to forget, so that the horizon moves */
    cluster_start(&cluster, 1);
    for (unsigned k = 0; k < 6; k++) { /* in time, the client with it */
        run(20000);
        cluster.at[0].client = 0;
        write_at(0, "tick", "tock");
    }
    assert_true(cluster.at[0].ping.horizon > 0);
    cluster_give(&cluster, 2, "q", "v", 1000, "s0", cluster.at[0].seq, 2);
    assert_true(holds(2, "q", NULL));
    cluster.at[0].n_messages = 0;
    cluster_give(&cluster, 0, "q", "v", 1000, "s0", cluster.at[0].seq, 2);
    assert_int_equal(cluster.at[0].n_messages, 1);
    assert_true(holds(0, "q", "v"));
    assert_true(holds(2, "q", "v"));
    assert_int_equal(cluster.at[0].refused, 0);
    cluster_give(&cluster, 0, "q", "w", cluster_tock(&cluster) << 1, "s0", cluster.at[0].seq, 3);
    assert_int_equal(cluster.at[0].refused, MKV_E_FUTURE);
    assert_true(holds(0, "q", "v"));
}

/* --- Failures --------------------------------------------------------------------------------- */

/* Whatever access of the disk fails: it is not stamped twice, and all are equal in the end. */
static void test_failing_disk(void **state)
{
    bool struck = true;

    for (uint64_t n = 1; struck; n++) {
        print_message("# access %llu fails\n", (unsigned long long)n);
        cluster_leave(&cluster, 0);
        mkv_disk_fail_at(cluster.at[2].disk, n, MKV_E_IO);
        publish("p", "s1", 7, 1);
        run(3500);
        struck = mkv_disk_failed(cluster.at[2].disk);
        mkv_disk_fail_at(cluster.at[2].disk, 0, 0);
        if (mkv_server_node_error(cluster.at[2].node) == 0) {
            run(5000);
            publish("p", "s1", 7, 1); /* its client repeats it */
            run(5000);
            assert_true(holds(2, "p", "v"));
            publish("p", "s1", 7, 1);
            cluster.at[2].n_messages = 0;
            run(5000);
            assert_int_equal(cluster.at[2].n_messages, 0);
        }
        (void)teardown(state);
        (void)setup_three(state);
        assert_true(n < 200);
    }
}

static unsigned fault;

static void around(unsigned i, bool enter)
{
    if (i != 2) {
        return;
    }
    mem_fault_pause(!enter);
}

/* Whatever allocation fails: the same. */
static void test_no_memory(void **state)
{
    bool struck = true;

    for (fault = 1; struck; fault++) {
        print_message("# allocation %u fails\n", fault);
        cluster_leave(&cluster, 0);
        mem_fault_pause(true);
        cluster.around = around;
        mem_fault_at(fault);
        publish("p", "s1", 7, 1);
        run(3500);
        struck = mem_fault_struck();
        mem_fault_at(0);
        cluster.around = NULL;
        mem_fault_pause(false);
        if (mkv_server_node_error(cluster.at[2].node) == 0) {
            run(5000);
            publish("p", "s1", 7, 1);
            run(5000);
            assert_true(holds(2, "p", "v"));
        }
        (void)teardown(state);
        assert_int_equal(mem_fault_live(), 0);
        (void)setup_three(state);
        assert_true(fault < 500);
    }
}

/* --- Clocks ----------------------------------------------------------------------------------- */

#define HOUR_MS INT64_C(3600000)

/* Puppets 3 and 4 ping for @s seconds, with clocks that are so far ahead of the true ones. */
static void ping_for(unsigned s, unsigned n, int64_t ahead_ms)
{
    for (unsigned k = 0; k < s; k += 10) {
        for (unsigned i = 3; i < 3 + n; i++) {
            struct mkv_ping ping = cluster_ping_of(&cluster, i, 2);

            ping.wall_ms = (uint64_t)((int64_t)cluster.now.wall_ms + ahead_ms);
            cluster_send_ping(&cluster, &ping);
        }
        run(10000);
    }
}

static void clock_setup(void)
{
    cluster_leave(&cluster, 0);
    run(40000);
    cluster_puppet(&cluster, 3);
    cluster_puppet(&cluster, 4);
    cluster_hush(&cluster, 2);
}

static bool trusts_its_clock(void)
{
    return cluster.at[2].ping.tock >= (cluster.now.wall_ms - 11000) << 12;
}

static void test_clock_that_others_contradict(void **state)
{
    uint64_t tock;

    (void)state;
    clock_setup();
    assert_true(trusts_its_clock());
    ping_for(40, 2, -HOUR_MS); /* ours is an hour ahead */
    tock = cluster.at[2].ping.tock;
    ping_for(60, 2, -HOUR_MS);
    assert_true(cluster.at[2].ping.tock < tock + (UINT64_C(5000) << 12));
    assert_int_equal(cluster.at[2].ping.wall_ms / 100000, cluster.now.wall_ms / 100000);
    assert_true(
        cluster_said(&cluster, 2, "this server's clock is 3600 s ahead of those of 2 other"));
    cluster_hush(&cluster, 2);
    write_at(2, "p", "v");
    assert_true(cluster.at[2].acked > 0); /* its own clients, who go by that clock, still write */
    ping_for(60, 2, -HOUR_MS);
    assert_false(cluster_said(&cluster, 2, "clock")); /* said once */
    ping_for(20, 2, 0);
    assert_true(trusts_its_clock());
    assert_true(cluster_said(&cluster, 2, "agrees with those of other servers again"));
}

static void test_clock_that_one_contradicts(void **state)
{
    (void)state;
    clock_setup();
    ping_for(100, 1, HOUR_MS);
    assert_true(trusts_its_clock());
    assert_true(cluster_said(&cluster, 2, "is 3600 s behind that of the only other server"));
}

/* Whoever does not trust its own clock, or has a mad one, does not count. */
static void test_clocks_that_do_not_count(void **state)
{
    struct mkv_ping ping;

    (void)state;
    clock_setup();
    for (unsigned k = 0; k < 10; k++) {
        for (unsigned i = 3; i <= 4; i++) {
            ping = cluster_ping_of(&cluster, i, 2);
            ping.wall_ms = i == 3 ? 0 : UINT64_C(1) << 62;
            cluster_send_ping(&cluster, &ping);
        }
        run(10000);
    }
    assert_true(trusts_its_clock());
    assert_false(cluster_said(&cluster, 2, "clock"));
}

/* A newcomer whose clock is wrong does not raise anybody's tock with it. */
static void test_newcomer_with_a_wrong_clock(void **state)
{
    uint64_t tock;

    (void)state;
    cluster_leave(&cluster, 2);
    run(40000);
    tock = cluster.at[0].ping.tock;
    cluster_puppet(&cluster, 3);
    cluster_crash(&cluster, 0);
    cluster.now.wall_ms += HOUR_MS; /* of 2, which is the only one that is real */
    cluster_start(&cluster, 2);
    run(2);
    assert_true(cluster.at[2].ping.tock < tock + (UINT64_C(60000) << 12));
    assert_int_equal(cluster.at[2].ping.state, MKV_ACT_JOINING);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup_three, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_stamped_once_by_the_first),
        CASE(test_unknown_server_is_not_there_either),
        CASE(test_next_one_does_it_if_the_first_does_not),
        CASE(test_repeats_are_not_stamped),
        CASE(test_repeats_are_not_stamped_after_a_restart),
        CASE(test_known_by_an_entry),
        CASE(test_one_behind_its_stream_is_old),
        CASE(test_stamped_version_is_heard_meanwhile),
        CASE(test_replaced_meanwhile),
        CASE(test_stamped_version_is_read_meanwhile),
        CASE(test_left_to_its_own_server),
        CASE(test_last_of_a_name_counts),
        CASE(test_known_by_a_damaged_entry),
        CASE(test_servers_own_have_a_tock),
        CASE(test_waits_for_the_broker),
        CASE(test_no_more_than_so_many_wait),
        CASE(test_burst_of_one_client),
        CASE(test_own_server_does_not_stamp_it_again),
        CASE(test_hopeless_tock),
        CASE(test_failing_disk),
        CASE(test_no_memory),
        CASE(test_clock_that_others_contradict),
        CASE(test_clock_that_one_contradicts),
        CASE(test_clocks_that_do_not_count),
        CASE(test_newcomer_with_a_wrong_clock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
