/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server against clocks that lie, peers that take all they can get, and messages at the limits.
 */
#include <stdio.h>
#include <string.h>

#include "core/request.h"
#include "core/tock.h"
#include "lib/check.h"
#include "lone.h"

#define DAY_MS  UINT64_C(86400000)
#define WALL_MS (2000 * DAY_MS)

/* --- Clocks ------------------------------------------------------------------------------- */

/* What the server tells a client that asks now. */
static uint64_t told_tock(uint64_t link)
{
    struct mkv_frame ping = {.kind = MKV_FRAME_PING, .id = 1};

    world_send(&world, link, &ping);
    return world_last(&world, link, MKV_FRAME_PONG)->tock;
}

/* A quiet house loses its time server: who writes by what it was told must not be refused. */
static void test_tock_told_is_taken_when_trust_is_lost(void **state)
{
    (void)state;
    world.now.wall_ms = WALL_MS;

    uint64_t seq = world_login(&world, 1, NULL);

    world_update(&world, "a", "\x01", told_tock(1) + 1, seq, 1);
    world_wait(&world, 2);
    world.now.ms += 1000;
    world.now.wall_ms += DAY_MS;

    uint64_t told = told_tock(1);

    world.now.wall_ms = 0;
    world_update(&world, "a", "\x02", told + 1, seq, 2);
    world_wait(&world, 2);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_NACK), 0);
    assert_string_equal(world_held(&world, "a"), "\x02");
}

/* A clock that was far ahead, and trusted, is set right. */
static void test_tock_told_is_taken_when_the_clock_falls_back(void **state)
{
    (void)state;
    world.now.wall_ms = WALL_MS;

    uint64_t seq = world_login(&world, 1, NULL);

    world_update(&world, "a", "\x01", told_tock(1) + 1, seq, 1);
    world_wait(&world, 2);
    world.now.wall_ms -= 365 * DAY_MS;
    for (uint64_t i = 2; i < 10; i++) { /* by an estimate: some seconds have gone by */
        world_update(&world, "a", "\x02", told_tock(1) + (UINT64_C(20000) << 12), seq, i);
        world_wait(&world, 2);
    }
    assert_int_equal(world_count(&world, 1, MKV_FRAME_NACK), 0);
    assert_int_equal(world_acked(&world, 1), 9);
    assert_string_equal(world_held(&world, "a"), "\x02");

    /* That is no leave to leap. */
    world_update(&world, "a", "\x03", told_tock(1) + MKV_TOCK_AHEAD_MAX, seq, 10);
    world_wait(&world, 2);
    assert_int_equal(world_last(&world, 1, MKV_FRAME_NACK)->nack.code, MKV_E_FUTURE);
}

/* A small device boots without a clock; its clients count from 1 until it has one. */
static void test_nothing_is_stale_just_because_the_clock_came(void **state)
{
    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);

    world_update(&world, "a", "\x01", 1, seq, 1);
    world_wait(&world, 2);
    world.now.wall_ms = WALL_MS;
    world_update(&world, "b", "\x02", 2, seq, 2);
    world_wait(&world, 2);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_NACK), 0);
    assert_string_equal(world_held(&world, "b"), "\x02");
}

/* Without a clock a liar can push the counter, but not to its end. */
static void test_tock_cannot_be_pushed_to_its_end(void **state)
{
    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);

    world_crash(&world);
    world.now.ms = 1000;
    world_start(&world);
    seq = world_login(&world, 2, NULL);
    world_update(&world, "a", "\x01", INT64_MAX, seq, 1);
    world_update(&world, "a", "\x02", 0, seq, 2); /* stamped: needs a greater one */
    world_wait(&world, 2);
    assert_string_equal(world_held(&world, "a"), "\x02");
}

/* --- Limits ------------------------------------------------------------------------------- */

/* A text of @len bytes, head included, filled with @with. */
static struct mkv_bytes long_text(uint8_t *at, size_t len, char with)
{
    size_t n = len - 5;

    at[0] = 0x7a;
    for (unsigned i = 0; i < 4; i++) {
        at[1 + i] = (uint8_t)(n >> (24 - 8 * i));
    }
    memset(at + 5, with, n);
    return mkv_bytes(at, len);
}

static uint8_t value_space[2][MKV_VALUE_MAX];

/* The largest message there is. */
static void test_conflict_of_two_values_as_large_as_can_be(void **state)
{
    struct mkv_bytes older = long_text(value_space[0], MKV_VALUE_MAX, 'a');
    struct mkv_bytes newer = long_text(value_space[1], MKV_VALUE_MAX, 'b');

    (void)state;
    uint64_t first = world_login(&world, 1, NULL);
    uint64_t second = world_login(&world, 2, NULL);

    world_update_value(&world, "a", older, 10, first, 1);
    world_update_value(&world, "a", newer, 11, second, 1);
    world_wait(&world, 2);

    const struct mkv_frame *conflict = world_last(&world, 1, MKV_FRAME_CONFLICT);

    assert_int_equal(world.n_closed, 0);
    assert_int_equal(world_acked(&world, 1), 1);
    assert_int_equal(world_acked(&world, 2), 1);
    assert_non_null(conflict);
    assert_true(mkv_bytes_equal(conflict->conflict.loser.value, older));
    assert_true(mkv_bytes_equal(conflict->conflict.winner.value, newer));
}

/* Small messages whose answers are huge: what waits for the commit must stay within bounds. */
static void test_many_conflicts_in_one_batch(void **state)
{
    struct mkv_bytes winner = long_text(value_space[0], MKV_VALUE_MAX, 'w');

    (void)state;
    uint64_t first = world_login(&world, 1, NULL);
    uint64_t second = world_login(&world, 2, NULL);

    world_update_value(&world, "a", winner, 1000, second, 1);
    for (uint64_t i = 1; i <= 300; i++) {
        world_update(&world, "a", "\x01", i, first, i);
    }
    world_wait(&world, 2);
    assert_int_equal(world.n_closed, 0);
    assert_int_equal(world_acked(&world, 1), 300);
    assert_in_range(world_count(&world, 1, MKV_FRAME_CONFLICT), 1, 4); /* the others are counted */
}

/* --- Requests ----------------------------------------------------------------------------- */

static void fill_children(uint64_t seq, unsigned n, const char *suffix)
{
    for (unsigned i = 0; i < n; i++) {
        char path[32];

        (void)snprintf(path, sizeof(path), "x:%u%s", i, suffix);
        world_update(&world, path, "\x01", 1 + i, seq, 1 + i);
    }
    world_wait(&world, 2);
    world_forget(&world);
}

/* How often the node has to be woken until the request is done; it may do only so much a time. */
static unsigned count_turns(uint64_t link)
{
    unsigned n = 0;

    while (world_last(&world, link, MKV_FRAME_END) == NULL) {
        assert_int_equal(mkv_server_node_deadline(world.node), 0);
        mkv_server_node_time(world.node, world.now);
        world_listen(&world);
        assert_true(++n < 10000);
    }
    return n;
}

/* What is too deep is jumped over: those jumps take time as well. */
static void test_jumping_is_work(void **state)
{
    struct mkv_frame read = {
        .kind = MKV_FRAME_READ, .id = 1, .read = {.depth_max = 1, .credit = 4}};
    const unsigned n = 2 * MKV_REQUEST_ROWS_LOOKED_AT + 10;

    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);

    fill_children(seq, n, ".deep.deeper");
    read.read.depth_max = 2;
    world_ask(&world, "x", read, 1);
    assert_true(count_turns(1) >= 3);
    assert_int_equal(world_last(&world, 1, MKV_FRAME_END)->end.n_rows, 0);
    world_forget(&world);

    read.read.depth_max = 3;
    read.read.credit = 1000;
    world_ask(&world, "x", read, 1);
    (void)count_turns(1);
    assert_int_equal(world_last(&world, 1, MKV_FRAME_END)->end.n_rows, n);
}

/* Values that are looked at and not sent take time, too. */
static void test_reading_large_values_is_work(void **state)
{
    struct mkv_bytes value = long_text(value_space[0], MKV_VALUE_MAX, 'v');
    struct mkv_frame read = {.kind = MKV_FRAME_READ,
                             .id = 1,
                             .read = {.depth_max = 64, .credit = 4, .flags = MKV_READ_KEYS_ONLY}};
    const unsigned n = 20;

    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);

    for (uint64_t i = 1; i <= n; i++) {
        char path[32];

        (void)snprintf(path, sizeof(path), "x:%u", (unsigned)i);
        world_update_value(&world, path, value, i, seq, i);
    }
    world_wait(&world, 2);
    world_forget(&world);
    world_ask(&world, "x", read, 1);
    assert_true(count_turns(1) >= n * MKV_VALUE_MAX / MKV_REQUEST_BYTES_LOOKED_AT);
    assert_int_equal(world_last(&world, 1, MKV_FRAME_END)->end.n_rows, n);
}

/* Whoever fills all the room there is does not keep others from theirs. */
static void run_greedy(uint64_t greedy, uint64_t modest)
{
    struct mkv_bytes value = long_text(value_space[0], MKV_VALUE_MAX, 'v');
    struct mkv_frame read = {
        .kind = MKV_FRAME_READ, .id = 1, .read = {.depth_max = 64, .credit = 1000}};
    const unsigned n = 6;
    unsigned n_ends = 0;
    unsigned n_modest = 0;
    uint64_t seq = world_login(&world, 1, NULL);

    (void)world_login(&world, 2, NULL);
    for (uint64_t i = 1; i <= n; i++) {
        char path[32];

        (void)snprintf(path, sizeof(path), "x:%u", (unsigned)i);
        world_update_value(&world, path, value, i, seq, i);
    }
    world_wait(&world, 2);
    world_ask(&world, "x", read, modest);
    for (read.id = 1; read.id <= MKV_REQUESTS_MAX; read.id++) {
        world_ask(&world, "x", read, greedy);
    }
    world_forget(&world);
    for (unsigned i = 0; n_ends < MKV_REQUESTS_MAX; i++) {
        mkv_server_node_time(world.node, world.now);
        world_listen(&world);
        n_ends += world_count(&world, greedy, MKV_FRAME_END);
        n_modest += world_count(&world, modest, MKV_FRAME_DATA);
        world_forget(&world);
        assert_true(i < 1000);
    }
    assert_true(n_modest >= n - 1);
}

static void test_the_greedy_do_not_starve_others(void **state)
{
    run_greedy(1, 2);
    (void)teardown(state);
    (void)setup(state);
    run_greedy(2, 1);
}

/* --- Disks -------------------------------------------------------------------------------- */

/* The store is full to the brim, but of rows that are dead: the server makes room by itself. */
static void test_a_store_full_of_the_dead_recovers(void **state)
{
    struct mkv_bytes value = long_text(value_space[0], 100000, 'v');
    struct mkv_store_stats stats;

    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);

    mkv_disk_resize(world.disk, 1000000);
    for (uint64_t i = 1; world_last(&world, 1, MKV_FRAME_ERROR) == NULL; i++) {
        world_update_value(&world, "a", value, i, seq, i);
        world_wait(&world, 2);
        assert_true(i < 100);
    }
    mkv_store_stats(world.store, &stats);
    mkv_disk_resize(world.disk, stats.bytes_used);
    world_wait(&world, 5000);
    seq = world_login(&world, 2, NULL);
    assert_null(world_last(&world, 2, MKV_FRAME_STATE));
    world_update(&world, "b", "\x01", 1000, seq, 1);
    world_wait(&world, 2);
    assert_int_equal(world_acked(&world, 2), 1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_tock_told_is_taken_when_trust_is_lost),
        CASE(test_tock_told_is_taken_when_the_clock_falls_back),
        CASE(test_nothing_is_stale_just_because_the_clock_came),
        CASE(test_tock_cannot_be_pushed_to_its_end),
        CASE(test_conflict_of_two_values_as_large_as_can_be),
        CASE(test_many_conflicts_in_one_batch),
        CASE(test_jumping_is_work),
        CASE(test_reading_large_values_is_work),
        CASE(test_the_greedy_do_not_starve_others),
        CASE(test_a_store_full_of_the_dead_recovers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
