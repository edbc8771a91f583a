/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Updates that did not reach a server although they reached others (docs/protocol.md, 12.7), and
 * members that are not heard at all (12.6).
 */
#include <stdio.h>
#include <string.h>

#include "among.h"
#include "lib/check.h"

/* Three servers, equal, each with a client that has been heard. */
static int setup_three(void **state)
{
    (void)setup(state);
    start_equal(3);
    run(20000);
    assert_heals(3000);
    for (unsigned i = 0; i < 3; i++) {
        write_at(i, "first", "value"); /* its client's stream begins */
        cluster_hush(&cluster, i);
        cluster.at[i].n_dials = 0;
    }
    return 0;
}

/* How many lines of the log of @i contain @text. */
static unsigned lines(unsigned i, const char *text)
{
    const char *at = cluster.at[i].log;
    unsigned n = 0;

    while (at != NULL && (at = strstr(at, text)) != NULL) {
        at++;
        n++;
    }
    return n;
}

/* No pings reach @i: what it finds out, it finds out from the updates themselves. */
static void deafen(unsigned i)
{
    cluster.at[i].no_pings = true;
}

/* --- Gaps ------------------------------------------------------------------------------------- */

static void test_hole_is_read_from_its_server(void **state)
{
    (void)state;
    deafen(2);
    cluster.at[2].lose = 1;
    write_at(1, "lost", "x");
    run(5000);
    assert_null(cluster_held(&cluster, 2, "lost")); /* nothing came that tells of it */
    write_at(1, "next", "y");
    run(180);
    assert_int_equal(cluster.at[2].n_dials, 0); /* it may still be on its way */
    cluster_isolate(&cluster, 0, true);         /* the other one is not to be asked */
    run(40);
    assert_true(holds(2, "lost", "x"));
    assert_int_equal(cluster.at[2].n_dials, 1);
    assert_true(cluster_said(&cluster, 2, "1 updates of 1 clients of other servers"));
    run(20000);
    assert_int_equal(cluster.at[2].n_dials, 1); /* and that is that */
}

static void test_hole_of_one_that_has_left_is_read_from_another(void **state)
{
    (void)state;
    cluster.at[2].lose = 1;
    write_at(1, "lost", "x");
    write_at(1, "next", "y");
    cluster_leave(&cluster, 1);
    run(250);
    assert_true(holds(2, "lost", "x"));
    assert_int_equal(cluster.at[2].n_dials, 1);
}

/* Nobody is there to be asked: it is asked once somebody is. */
static void test_hole_that_nobody_can_fill_waits(void **state)
{
    (void)state;
    cluster_leave(&cluster, 0);
    cluster.at[2].lose = 1;
    write_at(1, "lost", "x");
    write_at(1, "next", "y");
    cluster_leave(&cluster, 1);
    run(60000);
    assert_int_equal(cluster.at[2].n_dials, 0);
    assert_int_equal(lines(2, "did not arrive"), 0);
    cluster_start(&cluster, 1);
    assert_heals(15000);
    assert_true(holds(2, "lost", "x"));
    run(30000);
    assert_true(cluster.at[2].n_dials <= 2); /* for its ping, and for the hole */
}

static void test_late_is_not_lost(void **state)
{
    struct cluster_server *server = &cluster.at[1];

    (void)state;
    deafen(2);
    server->counter++;
    write_at(1, "second", "y");
    run(150);
    cluster_give(&cluster, 2, "first.late", "x", cluster_tock(&cluster), "s1", server->seq,
                 server->counter - 1);
    run(2000);
    assert_int_equal(cluster.at[2].n_dials, 0);
    assert_int_equal(lines(2, "did not arrive"), 0);
}

/* One hole is old enough, another one is not. */
static void test_each_hole_has_its_grace(void **state)
{
    const struct cluster_server *server = &cluster.at[0];

    (void)state;
    deafen(2);
    cluster.at[2].lose = 1;
    write_at(1, "lost", "x");
    write_at(1, "next", "y");
    run(100);
    cluster_give(&cluster, 2, "late", "x", cluster_tock(&cluster), "s0", server->seq,
                 server->counter + 2);
    run(120);
    assert_int_equal(cluster.at[2].n_dials, 1);
    cluster_give(&cluster, 2, "late", "y", cluster_tock(&cluster), "s0", server->seq,
                 server->counter + 1);
    run(5000);
    assert_int_equal(cluster.at[2].n_dials, 1);
    assert_int_equal(lines(2, "did not arrive"), 1);
}

/* It is asked for once; that the link does not come about is another matter. */
static void test_hole_of_one_that_cannot_be_reached(void **state)
{
    (void)state;
    cluster_isolate(&cluster, 1, true);
    cluster.at[2].lose = 1;
    write_at(1, "lost", "x");
    write_at(1, "next", "y");
    run(5000); /* before a ping of 0 has brought it */
    assert_true(cluster.at[2].n_dials >= 2);
    assert_int_equal(lines(2, "did not arrive"), 1);
    cluster_isolate(&cluster, 1, false);
    run(15000);
    assert_true(holds(2, "lost", "x"));
    assert_int_equal(lines(2, "did not arrive"), 1);
}

/* The puppet answers what it is asked: that there is nothing. */
static void answer_with_nothing(unsigned i)
{
    const struct cluster_server *server = &cluster.at[i];

    for (unsigned k = 0; k < server->n_heard; k++) { /* the answer brings the next question */
        const struct mkv_frame *frame = &server->heard[k].frame;
        struct mkv_frame end = {.kind = MKV_FRAME_END, .id = frame->id};

        if (frame->kind == MKV_FRAME_READ || frame->kind == MKV_FRAME_FETCH) {
            cluster_say(&cluster, i, &end);
        }
    }
    assert_non_null(cluster_last(&cluster, i, MKV_FRAME_READ));
    cluster_forget(&cluster, i);
}

/* A server that takes its time is not asked again, but for what it was not asked for. */
static void test_answer_that_takes_long(void **state)
{
    struct mkv_ping ping;

    (void)state;
    cluster_crash(&cluster, 1);
    cluster_puppet(&cluster, 1); /* we speak for it from now on */
    ping = cluster_ping_of(&cluster, 1, 2);
    ping.number = 1000;
    cluster_send_ping(&cluster, &ping);
    for (uint64_t seq = 9; seq <= 10; seq++) {
        cluster_give(&cluster, 2, "p", "x", cluster_tock(&cluster), "s1", seq, 1);
        cluster_give(&cluster, 2, "p", "y", cluster_tock(&cluster), "s1", seq, 3);
        run(250);
        if (seq == 9) {
            cluster_greet(&cluster, 1);
        }
        run(3000);
        assert_int_equal(cluster.at[2].n_dials, 1);
        assert_int_equal(lines(2, "did not arrive"), seq - 8);
    }
    answer_with_nothing(1);
    run(1);
    assert_int_equal(cluster.at[2].n_dials, 2);
    cluster_greet(&cluster, 1);
    answer_with_nothing(1);
    ping.number++;
    cluster_send_ping(&cluster, &ping);
    run(20000);
    assert_int_equal(lines(2, "did not arrive"), 2);
}

/* In place of a server that is not there a member is asked, and no server of another cluster. */
static void test_hole_of_a_stranger(void **state)
{
    struct mkv_ping ping;

    (void)state;
    cluster_puppet(&cluster, 3);
    cluster_puppet(&cluster, 4);
    ping = cluster_ping_of(&cluster, 3, 2);
    cluster_send_ping(&cluster, &ping); /* it is no member */
    ping = cluster_ping_of(&cluster, 4, 2);
    ping.name = mkv_bytes_of("zz");
    ping.count = 0; /* so it will give way */
    memset(ping.cluster, 0x77, sizeof(ping.cluster));
    cluster_send_ping(&cluster, &ping);
    for (uint64_t seq = 1; seq <= 4; seq++) {
        cluster_give(&cluster, 2, "p", "x", cluster_tock(&cluster), "zz", seq, 1);
        cluster_give(&cluster, 2, "p", "y", cluster_tock(&cluster), "zz", seq, 3);
    }
    run(5000);
    assert_int_equal(lines(2, "did not arrive"), 2); /* the first one, and those a little later */
    assert_int_equal(cluster.at[2].n_dials, 2);
    assert_int_equal(cluster_count(&cluster, 3, MKV_FRAME_HELLO), 0);
    assert_int_equal(cluster_count(&cluster, 4, MKV_FRAME_HELLO), 0);
}

/* What has been overwritten does not come: the hole is closed all the same. */
static void test_hole_of_what_was_overwritten(void **state)
{
    (void)state;
    deafen(2);
    cluster.at[2].lose = 1;
    write_at(1, "path", "old");
    write_at(1, "path", "new");
    run(25000);
    assert_true(holds(2, "path", "new"));
    assert_int_equal(cluster.at[2].n_dials, 1);
    assert_int_equal(lines(2, "did not arrive"), 1);
}

/* Many holes of many clients at once are one reading. */
static void test_many_holes_are_read_at_once(void **state)
{
    char path[16];

    (void)state;
    deafen(2);
    for (unsigned k = 0; k < 10; k++) {
        for (unsigned i = 0; i < 2; i++) {
            (void)snprintf(path, sizeof(path), "p:%u:%u", i, k);
            cluster.at[2].lose = k % 2 == 1;
            write_at(i, path, "x");
        }
    }
    cluster.at[2].lose = 0;
    write_at(0, "p", "x");
    write_at(1, "p", "y");
    run(400);
    assert_true(cluster_equal(&cluster, 1, 2));
    assert_true(cluster.at[2].n_dials <=
                3); /* of two servers, which were asked one after the other */
}

static void test_counter_that_jumps_costs_one_reading(void **state)
{
    struct cluster_server *server = &cluster.at[1];

    (void)state;
    cluster_give(&cluster, 2, "forged", "x", cluster_tock(&cluster), "s1", server->seq, 1000000);
    run(60000);
    assert_int_equal(cluster.at[2].n_dials, 1);
    assert_int_equal(lines(2, "did not arrive"), 1);
    assert_true(cluster_said(&cluster, 2, "999998 of them of client 's1'"));
    write_at(1, "true", "y"); /* the true one goes on */
    assert_true(holds(2, "true", "y"));
}

/* As far as counters go: what is told of it is no less. */
static void test_greatest_jumps(void **state)
{
    (void)state;
    for (uint64_t seq = 7; seq <= 8; seq++) {
        cluster_give(&cluster, 2, "forged", "x", cluster_tock(&cluster), "s1", seq, 1);
    }
    for (uint64_t seq = 7; seq <= 8; seq++) {
        cluster_give(&cluster, 2, "forged", "y", cluster_tock(&cluster), "s1", seq, INT64_MAX);
    }
    cluster_isolate(&cluster, 1, true);
    run(1000);
    assert_true(cluster_said(&cluster, 2, "9223372036854775805 updates of clients"));
    cluster_isolate(&cluster, 1, false);
    run(60000);
    assert_int_equal(lines(2, "did not arrive"), 2);
}

/* However it jumps, and whoever does: ever more rarely. */
static void test_jumping_all_the_time_does_not_pay(void **state)
{
    uint64_t counter = 1000;

    (void)state;
    for (unsigned k = 0; k < 250; k++) {
        counter += 100000;
        cluster_give(&cluster, 2, "forged", k % 2 == 0 ? "x" : "y", cluster_tock(&cluster), "s1",
                     k % 3, counter);
        run(97);
    }
    assert_in_range(cluster.at[2].n_dials, 4, 8); /* at 0.2, 0.4, 0.8 ... 25 s */
    assert_true(lines(2, "did not arrive") <= 8);
}

/* A useful one makes that good again. */
static void test_waits_are_short_again_after_a_loss(void **state)
{
    unsigned n_dials;

    (void)state;
    deafen(2);
    for (uint64_t k = 1; k <= 20; k++) {
        cluster_give(&cluster, 2, "forged", "x", cluster_tock(&cluster), "s1", 5, 100 * k);
        run(200);
    }
    cluster.at[2].lose = 1;
    write_at(1, "lost", "x");
    write_at(1, "next", "y");
    run(500);
    assert_null(cluster_held(&cluster, 2, "lost"));
    run(3500); /* as long as the wait has become */
    assert_true(holds(2, "lost", "x"));
    n_dials = cluster.at[2].n_dials;
    for (unsigned k = 0; k < 2; k++) { /* a wait after each, and then that is short again */
        cluster.at[2].lose = 1;
        write_at(1, "lost", k == 0 ? "y" : "z");
        write_at(1, "next", "z");
        run(k == 0 ? 2000 : 450);
        assert_true(holds(2, "lost", k == 0 ? "y" : "z"));
    }
    assert_int_equal(cluster.at[2].n_dials, n_dials + 2);
}

/* Servers' own entries are numbered by their tock: nothing is missing between them. */
static void test_servers_leave_no_holes(void **state)
{
    (void)state;
    deafen(2);
    cluster_give(&cluster, 2, "own", "x", cluster_tock(&cluster), "s1", 0, 1000);
    cluster_give(&cluster, 2, "own", "y", cluster_tock(&cluster), "s1", 0, 2000);
    run(5000);
    assert_int_equal(cluster.at[2].n_dials, 0);
}

/* What can be read by nobody is not missing anywhere. */
static void test_what_is_refused_is_not_missing(void **state)
{
    static const char ticks[] = "\x02\x81\x83\x62"
                                "s1\x07\x02";
    char bad[100] = "\xa2\x01";
    const uint64_t tock = cluster_tock(&cluster);

    (void)state;
    deafen(2);
    cluster_give(&cluster, 2, "p", "x", tock, "s1", 7, 1);
    memset(bad + 2, 0x81, 65); /* a list in a list ... one too many */
    bad[67] = '\x01';
    memcpy(bad + 68, ticks, sizeof(ticks) - 1);
    cluster_publish(&cluster, "moat/main/d/p", mkv_bytes(bad, 68 + sizeof(ticks) - 1));
    cluster_give(&cluster, 2, "p", "y", tock + 1, "s1", 7, 3);
    cluster_give(&cluster, 2, "p", "z", 1, "s1", 7, 4);                          /* stale */
    cluster_give(&cluster, 2, "p", "z", tock + (UINT64_C(1) << 40), "s1", 7, 5); /* in future */
    cluster_give(&cluster, 2, "p", "z", tock + 2, "s1", 7, 6);
    run(3000);
    assert_true(cluster_said(&cluster, 2, "a message on 'moat/main/d/p' is ignored"));
    assert_int_equal(cluster.at[2].n_dials, 0);
    assert_true(holds(2, "p", "z"));
}

/* Its own client's update comes by way of another server: it counts as arrived. */
static void test_own_hole_is_filled_by_reading(void **state)
{
    const struct cluster_server *server = &cluster.at[0];

    (void)state;
    assert_int_equal(server->acked, 1);
    cluster.at[0].lose = 1;
    write_at(0, "lost", "x");
    assert_int_equal(server->acked, 1);
    write_at(0, "next", "y");
    run(100);
    assert_int_equal(server->acked, 1); /* the server asks its client, which is dumb here */
    assert_heals(12000);
    run(10);
    assert_int_equal(server->acked, 3);
    assert_true(holds(0, "lost", "x"));
    assert_int_equal(server->refused, 0);
}

/* The disk fails while updates come: what was not stored must not count as heard. */
static void test_failed_batch_was_not_heard(void **state)
{
    (void)state;
    mkv_disk_fail_at(cluster.at[2].disk, 1, MKV_E_IO);
    write_at(1, "lost", "x");
    assert_true(mkv_disk_failed(cluster.at[2].disk));
    mkv_disk_fail_at(cluster.at[2].disk, 0, 0);
    assert_null(cluster_held(&cluster, 2, "lost"));
    run(3000);
    write_at(1, "next", "y");
    assert_heals(22000);
    assert_true(holds(2, "lost", "x"));
}

/* --- Members that are not heard --------------------------------------------------------------- */

static void test_absent_member_is_told_of(void **state)
{
    (void)state;
    cluster_crash(&cluster, 2);
    run(20000);
    assert_int_equal(lines(0, "has not been heard"), 0);
    run(30000);
    assert_int_equal(lines(0, "server 's2' has not been heard for"), 1);
    assert_int_equal(lines(1, "server 's2' has not been heard for"), 1);
    assert_int_equal(lines(0, "evict"), 0);
    run(86400000);
    assert_int_equal(lines(0, "has not been heard"), 2);
    assert_true(cluster_said(&cluster, 0,
                             "server 's2' has not been heard for 24 h: what is deleted "
                             "is kept until it returns, or, if it never will, "
                             "`moat-kv evict s2`"));
    run(86400000);
    assert_int_equal(lines(0, "has not been heard"), 3);
    assert_true(cluster_said(&cluster, 0, "for 48 h"));
    cluster_start(&cluster, 2);
    assert_heals(15000);
    run(86400000);
    assert_int_equal(lines(0, "has not been heard"), 3);
}

/* Whoever is cut off itself cannot tell; one that was never heard is missed, too. */
static void test_absent_is_who_could_be_heard(void **state)
{
    (void)state;
    cluster_cut(&cluster, 0, true);
    run(100000);
    assert_int_equal(lines(0, "has not been heard"), 0);
    cluster_crash(&cluster, 2);
    cluster_cut(&cluster, 0, false);
    run(29000);
    assert_int_equal(lines(0, "has not been heard"), 0);
    run(15000);
    assert_int_equal(lines(0, "'s2' has not been heard"), 1);
    assert_int_equal(lines(0, "'s1' has not been heard"), 0);
    cluster_crash(&cluster, 0);
    cluster_hush(&cluster, 0);
    cluster_start(&cluster, 0);
    run(50000);
    assert_int_equal(lines(0, "'s2' has not been heard"), 1);
}

/* Whoever has been evicted is not missed. */
static void test_evicted_is_not_absent(void **state)
{
    struct mkv_frame evict = {.kind = MKV_FRAME_EVICT, .id = 9};

    (void)state;
    memcpy(evict.uuid, mkv_store_id(cluster.at[2].store), sizeof(evict.uuid));
    cluster_crash(&cluster, 2);
    cluster_puppet(&cluster, 3);
    cluster_dial(&cluster, 3, 0);
    cluster_say(&cluster, 3, &evict);
    run(10);
    assert_non_null(cluster_last(&cluster, 3, MKV_FRAME_DONE));
    run(100000000);
    assert_int_equal(lines(0, "has not been heard"), 0);
    assert_int_equal(lines(1, "has not been heard"), 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup_three, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_hole_is_read_from_its_server),
        CASE(test_hole_of_one_that_has_left_is_read_from_another),
        CASE(test_hole_that_nobody_can_fill_waits),
        CASE(test_late_is_not_lost),
        CASE(test_each_hole_has_its_grace),
        CASE(test_hole_of_one_that_cannot_be_reached),
        CASE(test_answer_that_takes_long),
        CASE(test_hole_of_a_stranger),
        CASE(test_hole_of_what_was_overwritten),
        CASE(test_many_holes_are_read_at_once),
        CASE(test_counter_that_jumps_costs_one_reading),
        CASE(test_greatest_jumps),
        CASE(test_jumping_all_the_time_does_not_pay),
        CASE(test_waits_are_short_again_after_a_loss),
        CASE(test_servers_leave_no_holes),
        CASE(test_what_is_refused_is_not_missing),
        CASE(test_own_hole_is_filled_by_reading),
        CASE(test_failed_batch_was_not_heard),
        CASE(test_absent_member_is_told_of),
        CASE(test_absent_is_who_could_be_heard),
        CASE(test_evicted_is_not_absent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
