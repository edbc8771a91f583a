/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server as a whole: order and conflicts, failing disks, crashes, and a naive model.
 */
#include <stdio.h>
#include <string.h>

#include "core/merge.h"
#include "lib/check.h"
#include "lib/prng.h"
#include "lone.h"

/* --- Order and conflicts ------------------------------------------------------------------ */

struct writing {
    const char *value;
    uint64_t tock;
    uint64_t seq;
    uint64_t counter;
};

static void permute(unsigned n, unsigned code, unsigned *order)
{
    unsigned left[8];

    for (unsigned i = 0; i < n; i++) {
        left[i] = i;
    }
    for (unsigned i = 0; i < n; i++) {
        unsigned pick = code % (n - i);

        code /= n - i;
        order[i] = left[pick];
        memmove(left + pick, left + pick + 1, (n - i - pick - 1) * sizeof(left[0]));
    }
}

/* Five updates of two writers, equal tocks and a deletion among them, in all 120 orders. */
static void test_same_winner_in_every_order(void **state)
{
    (void)state;
    uint64_t first = world_login(&world, 1, NULL);
    uint64_t second = world_login(&world, 2, NULL);
    const struct writing writings[] = {
        {"\x01", 10, first, 1},  {"\x02", 11, second, 1}, {NULL, 12, first, 2},
        {"\x04", 12, second, 2}, {"\x05", 9, first, 3},
    };

    for (unsigned code = 0; code < 120; code++) {
        unsigned order[5];
        char path[16];

        (void)snprintf(path, sizeof(path), "p:%u", code);
        permute(5, code, order);
        for (unsigned i = 0; i < 5; i++) {
            const struct writing *w = &writings[order[i]];

            world_update(&world, path, w->value, w->tock, w->seq, w->counter);
        }
        world_wait(&world, 2);
        world_forget(&world);
        assert_string_equal(world_held(&world, path),
                            "\x04"); /* equal tocks: the greater seq wins */
    }
}

static void test_loser_is_told_with_its_value(void **state)
{
    (void)state;
    uint64_t first = world_login(&world, 1, NULL);
    uint64_t second = world_login(&world, 2, NULL);
    const struct mkv_frame *conflict;

    /* The loser is what is stored. */
    world_update(&world, "a", "\x01", 10, first, 1);
    world_update(&world, "a", "\x02", 11, second, 1);
    world_wait(&world, 2);
    conflict = world_last(&world, 1, MKV_FRAME_CONFLICT);
    assert_non_null(conflict);
    assert_int_equal(conflict->conflict.class_, MKV_CONFLICT_CERTAIN);
    assert_memory_equal(conflict->conflict.loser.value.at, "\x01", 1);
    assert_memory_equal(conflict->conflict.winner.value.at, "\x02", 1);
    assert_null(world_last(&world, 2, MKV_FRAME_CONFLICT));

    /* The loser arrives late. */
    world_update(&world, "a", "\x03", 9, first, 2);
    world_wait(&world, 2);
    conflict = world_last(&world, 1, MKV_FRAME_CONFLICT);
    assert_memory_equal(conflict->conflict.loser.value.at, "\x03", 1);
    assert_int_equal(world_acked(&world, 1), 2);
    assert_string_equal(world_held(&world, "a"), "\x02");

    /* The same update again is no news. */
    world_forget(&world);
    world_update(&world, "a", "\x02", 11, second, 1);
    world_wait(&world, 2);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_CONFLICT), 0);
    assert_int_equal(world_count(&world, 2, MKV_FRAME_CONFLICT), 0);

    /* One's own stream is never in conflict with itself. */
    world_update(&world, "b", "\x01", 20, first, 3);
    world_update(&world, "b", "\x02", 21, first, 4);
    world_update(&world, "b", "\x01", 20, first, 3);
    world_wait(&world, 2);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_CONFLICT), 0);
}

/* --- Failures ----------------------------------------------------------------------------- */

/* Whatever access of the disk fails: nothing is acknowledged that is not there after a restart. */
static void run_failing_disk(uint64_t n, int error, bool *ret_struck)
{
    uint64_t seq = world_login(&world, 1, NULL);
    uint64_t told;

    mkv_disk_fail_at(world.disk, n, error);
    for (unsigned i = 1; i <= 3; i++) {
        world_update(&world, "a", i == 2 ? NULL : "\x01", i, seq, i);
        world_update(&world, "b", "\x02", i, seq, 10 + i);
        world_wait(&world, 2);
    }
    *ret_struck = mkv_disk_failed(world.disk);
    mkv_disk_fail_at(world.disk, 0, 0);
    told = world_acked(&world, 1);
    if (mkv_server_node_error(world.node) == 0) { /* it recovers by itself, and says so */
        world_wait(&world, 5000);
        (void)world_login(&world, 2, NULL);
        assert_null(world_last(&world, 2, MKV_FRAME_STATE));
    }
    world_crash(&world);
    world_start(&world);
    if (told >= 1) {
        assert_non_null(world_held(&world, "a"));
    }
    if (told >= 3) {
        assert_string_equal(world_held(&world, "a"), "\x01");
    }
}

static void test_failing_disk(void **state)
{
    bool struck = true;

    for (uint64_t n = 1; struck; n++) {
        print_message("# access %llu fails\n", (unsigned long long)n);
        run_failing_disk(n, n % 2 == 0 ? MKV_E_DISK_FULL : MKV_E_IO, &struck);
        (void)teardown(state);
        (void)setup(state);
        assert_true(n < 1000);
    }
}

static void test_full_disk_keeps_serving(void **state)
{
    struct mkv_frame read = {
        .kind = MKV_FRAME_READ, .id = 1, .read = {.depth_max = 64, .credit = 4}};
    char rows[1000];

    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);
    struct mkv_frame resume = *world_last(&world, 1, MKV_FRAME_SESSION);

    world_fill(&world, seq);
    mkv_disk_resize(world.disk, 1);
    world_update(&world, "new", "\x09", 20, seq, 8);
    world_wait(&world, 2);
    assert_int_equal(world_acked(&world, 1), 7);
    assert_int_equal(world_last(&world, 1, MKV_FRAME_ERROR)->error.code, MKV_E_MAP_FULL);
    mkv_server_node_link_closed(world.node, world.now, 1);

    /* New links are served, told, and get no acknowledgement. */
    assert_int_equal(world_login(&world, 2, &resume), seq);
    assert_int_equal(world_last(&world, 2, MKV_FRAME_STATE)->state.code, MKV_E_MAP_FULL);
    (void)world_login(&world, 3, NULL);
    world_update(&world, "new", "\x09", 20, seq, 8);
    world_wait(&world, 5000);
    assert_int_equal(world_acked(&world, 2), 0);
    assert_int_equal(world.n_closed, 1);
    world_ask(&world, ":", read, 3);
    world_wait(&world, 1);
    world_collect(&world, 3, 1, ":", rows, sizeof(rows));
    assert_string_equal(rows, "a=01;a:2=04;a.b=02;a.b.c=03;ab=05;");

    /* There is room again: it says so, and takes the repeat. */
    mkv_disk_resize(world.disk, 0);
    world_wait(&world, 1100);
    assert_int_equal(world_last(&world, 2, MKV_FRAME_STATE)->state.code, 0);
    world_update(&world, "new", "\x09", 20, seq, 8);
    world_wait(&world, 2);
    assert_int_equal(world_acked(&world, 2), 8);
    assert_string_equal(world_held(&world, "new"), "\x09");
}

/* Room for the probe but not for the update: it must not close all links every second. */
static void test_nearly_full_disk_does_not_flap(void **state)
{
    static uint8_t large[100000] = {0x5a, 0x00, 0x01, 0x86, 0x9b}; /* 99,995 bytes */
    const struct mkv_bytes value = mkv_bytes(large, sizeof(large));
    unsigned failures = 0;

    (void)state;
    mkv_disk_resize(world.disk, 20000);
    for (uint64_t link = 1; world.now.ms < 61000; link++) {
        uint64_t seq = world_login(&world, link, NULL);

        if (world_last(&world, link, MKV_FRAME_STATE) == NULL) { /* it thinks that it can write */
            world_update_value(&world, "large", value, link, seq, 1);
            failures++;
        }
        world_wait(&world, 500);
        assert_int_equal(world_acked(&world, link), 0);
        mkv_server_node_link_closed(world.node, world.now, link);
        world_forget(&world);
    }
    assert_int_equal(failures, 1);
}

/* A restart finds no session numbers in reserve and can take none: logins and reads go on. */
static void test_restart_on_a_full_disk_serves(void **state)
{
    struct mkv_frame read = {
        .kind = MKV_FRAME_READ, .id = 1, .read = {.depth_max = 64, .credit = 4}};
    char rows[1000];

    (void)state;
    world_fill(&world, world_login(&world, 1, NULL));
    mkv_disk_resize(world.disk, 1);
    world_crash(&world);
    world_forget(&world);
    world_start(&world);
    uint64_t first = world_login(&world, 1, NULL);
    uint64_t second = world_login(&world, 2, NULL);

    assert_int_not_equal(first, second);
    assert_int_equal(world_last(&world, 1, MKV_FRAME_STATE)->state.code, MKV_E_MAP_FULL);
    assert_int_equal(world.n_closed, 0);
    world_ask(&world, ":", read, 2);
    world_wait(&world, 1);
    world_collect(&world, 2, 1, ":", rows, sizeof(rows));
    assert_string_equal(rows, "a=01;a:2=04;a.b=02;a.b.c=03;ab=05;");

    mkv_disk_resize(world.disk, 0);
    world_wait(&world, 1100);
    world_update(&world, "new", "\x09", 20, first, 1);
    world_wait(&world, 2);
    assert_int_equal(world_acked(&world, 1), 1);
}

/* --- Everything at once, against a naive model -------------------------------------------- */

#define PATHS   4U
#define WRITERS 3U

struct model {
    bool there;
    bool present;
    uint64_t tock;
    uint64_t seq;
    uint64_t counter;
    uint8_t value;
};

static bool beats(const struct model *a, const struct model *b)
{
    if (a->tock != b->tock) {
        return a->tock > b->tock;
    }
    if (a->seq != b->seq) {
        return a->seq > b->seq;
    }
    return a->counter > b->counter;
}

static void run_random(uint64_t seed)
{
    static const char *const paths[PATHS] = {"a", "a.b", ":n", "x:1"};
    struct prng prng = {seed};
    struct model sent[400];
    unsigned sent_path[400];
    uint64_t seqs[WRITERS];
    uint64_t counters[WRITERS] = {0};
    unsigned n = 0;

    for (unsigned i = 0; i < WRITERS; i++) {
        seqs[i] = world_login(&world, i + 1, NULL);
    }
    while (n < 400) {
        unsigned w = (unsigned)prng_below(&prng, WRITERS);
        struct model m = {.there = true,
                          .present = prng_below(&prng, 3) > 0,
                          .tock = 1 + prng_below(&prng, 50),
                          .seq = seqs[w],
                          .counter = ++counters[w],
                          .value = (uint8_t)(1 + prng_below(&prng, 23))};

        sent_path[n] = (unsigned)prng_below(&prng, PATHS);
        sent[n++] = m;
    }
    /* Each arrives once or more often, in any order. */
    for (unsigned i = 0; i < 1200; i++) {
        unsigned pick = i < n ? i : (unsigned)prng_below(&prng, n);
        struct model m = sent[pick];
        unsigned p = sent_path[pick];
        const char value[2] = {(char)m.value, 0};

        world_update(&world, paths[p], m.present ? value : NULL, m.tock, m.seq, m.counter);
        if (prng_below(&prng, 50) == 0) {
            world_wait(&world, 2);
            world_crash(&world); /* between batches: nothing may be lost */
            world_start(&world);
        }
        world_forget(&world);
    }
    world_wait(&world, 2);
    for (unsigned p = 0; p < PATHS; p++) {
        struct model best = {0};

        for (unsigned i = 0; i < n; i++) {
            if (sent_path[i] == p && (!best.there || beats(&sent[i], &best))) {
                best = sent[i];
            }
        }

        const char value[2] = {(char)best.value, 0};

        assert_string_equal(world_held(&world, paths[p]), best.present ? value : "");
    }
}

static void test_random_updates_agree_with_model(void **state)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        print_message("# seed %llu\n", (unsigned long long)seed);
        run_random(seed);
        (void)teardown(state);
        (void)setup(state);
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_same_winner_in_every_order),
        CASE(test_loser_is_told_with_its_value),
        CASE(test_failing_disk),
        CASE(test_full_disk_keeps_serving),
        CASE(test_nearly_full_disk_does_not_flap),
        CASE(test_restart_on_a_full_disk_serves),
        CASE(test_random_updates_agree_with_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
