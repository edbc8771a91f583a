/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conflicts at a server: told to the writer that lost, and in storms, within bounds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "core/conflicts.h"
#include "lib/check.h"
#include "lone.h"
#include "lost.h"
#include "wire/conflict.h"

/* --- To the writer ------------------------------------------------------------------------------ */

static void test_the_writer_is_told_once(void **state)
{
    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);

    world_update(&world, "a", "\x01", 10, seq, 1);
    lost_put(&world, "a", "q", "\x02", 11);
    world_wait(&world, 3);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_CONFLICT), 1);
    assert_int_equal(world_last(&world, 1, MKV_FRAME_CONFLICT)->conflict.more, 0);
    world_update(&world, "a", "\x01", 10, seq, 1);
    lost_put(&world, "a", "r", "\x03", 12);
    world_update(&world, "a", "\x01", 10, seq, 1);
    world_wait(&world, 3);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_CONFLICT), 1);
}

/* What a client repeats that was overwritten by one who knew it was never lost. */
static void test_a_repeat_is_no_conflict(void **state)
{
    struct mkv_update second = lost_update("q", "\x02", 11);

    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);

    second.ticks.at[second.ticks.n++] = (struct mkv_tick){mkv_bytes_of("srv"), seq, 1};
    world_update(&world, "a", "\x01", 10, seq, 1);
    lost_publish(&world, "a", &second);
    lost_put(&world, "a", "r", "\x03", 12);
    world_update(&world, "a", "\x01", 10, seq, 1);
    world_wait(&world, 3);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_CONFLICT), 0);
    assert_string_equal(lost_ask_all(&world, ":"), "a=11>12;");
}

/* Beyond what is told at once, and then by and by, they are counted, and the next one says so. */
static void test_a_writer_in_a_storm_is_told_how_many_there_were(void **state)
{
    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);

    lost_put(&world, "a", "q", "\x02", 100000);
    for (unsigned i = 1; i <= 1500; i++) {
        world_update(&world, "a", "\x01", i, seq, i);
    }
    world_wait(&world, 3);

    unsigned n = world_count(&world, 1, MKV_FRAME_CONFLICT);

    assert_int_equal(n, 1000);
    world_wait(&world, 1000);
    world_update(&world, "a", "\x01", 1501, seq, 1501);
    world_wait(&world, 3);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_CONFLICT), n + 1);
    assert_int_equal(world_last(&world, 1, MKV_FRAME_CONFLICT)->conflict.more, 1500 - n);
    assert_int_equal(world_acked(&world, 1), 1501);
}

static void test_large_values_do_not_flood_the_writer(void **state)
{
    struct mkv_update winner = lost_large_update("q", 1000);

    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);

    lost_publish(&world, "a", &winner);
    for (unsigned i = 1; i <= 100; i++) {
        world_update(&world, "a", "\x01", i, seq, i);
    }
    world_wait(&world, 3);
    assert_in_range(world_count(&world, 1, MKV_FRAME_CONFLICT), 1, 4);
    assert_int_equal(world_acked(&world, 1), 100);
    assert_int_equal(world.n_closed, 0);
}

/* It was not here when its update lost. */
static void test_a_writer_that_resumes_is_told_then(void **state)
{
    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);
    struct mkv_frame resume = *world_last(&world, 1, MKV_FRAME_SESSION);

    world_update(&world, "a", "\x01", 10, seq, 1);
    world_update(&world, "b", "\x02", 11, seq, 2);
    world_update(&world, "c", "\x03", 12, seq, 3);
    world_wait(&world, 3);
    world_close(&world, 1);
    lost_put(&world, "a", "q", "\x07", 20);
    lost_put(&world, "a", "r", "\x08", 21);
    lost_put(&world, "b", "q", "\x09", 22);
    world_wait(&world, 3);
    assert_int_equal(world_login(&world, 2, &resume), seq);
    assert_int_equal(world_count(&world, 2, MKV_FRAME_CONFLICT), 2);

    const struct mkv_frame *conflict = world_last(&world, 2, MKV_FRAME_CONFLICT);

    assert_memory_equal(conflict->conflict.loser.value.at, "\x02", 1);
    assert_memory_equal(conflict->conflict.winner.value.at, "\x09", 1);
    for (unsigned i = 0; i < world.n_heard && conflict != NULL; i++) {
        if (world.heard[i].frame.kind == MKV_FRAME_CONFLICT) {
            conflict = NULL;
            assert_memory_equal(world.heard[i].frame.conflict.loser.value.at, "\x01", 1);
            assert_memory_equal(world.heard[i].frame.conflict.winner.value.at, "\x08", 1);
        }
    }

    /* Also by the server that comes after a crash. */
    resume = *world_last(&world, 2, MKV_FRAME_SESSION);
    world_crash(&world);
    world_start(&world);
    assert_int_equal(world_login(&world, 3, &resume), seq);
    assert_int_equal(world_count(&world, 3, MKV_FRAME_CONFLICT), 2);
}

/* Not all that it ever lost, but the last hundred. */
static void test_a_writer_that_resumes_is_not_flooded(void **state)
{
    char path[32];

    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);
    struct mkv_frame resume = *world_last(&world, 1, MKV_FRAME_SESSION);

    for (unsigned i = 1; i <= 150; i++) {
        (void)snprintf(path, sizeof(path), "x:%u", i);
        world_update(&world, path, "\x01", i, seq, i);
        lost_put(&world, path, "q", "\x02", 1000 + i);
    }
    world_wait(&world, 3);
    world_close(&world, 1);
    assert_int_equal(world_login(&world, 2, &resume), seq);
    assert_int_equal(world_count(&world, 2, MKV_FRAME_CONFLICT), 100);
    assert_int_equal(world_last(&world, 2, MKV_FRAME_CONFLICT)->conflict.loser.tock, 150);
}

/* A batch that the store refused would come again, for ever. */
static void test_what_comes_at_once_fits_into_a_batch(void **state)
{
    uint64_t n_bytes = MKV_BATCH_BYTES_MAX + 2 * MKV_FRAME_MAX;

    (void)state;
    for (unsigned i = 0; i < MKV_CONFLICT_CLASSES; i++) {
        n_bytes += mkv_conflict_limits_default[i].bytes.burst;
        assert_true(mkv_conflict_limits_default[i].bytes.burst > MKV_STORE_META_MAX);
    }
    assert_true(n_bytes <= MKV_STORE_BATCH_BYTES);
}

/* --- Storms ------------------------------------------------------------------------------------- */

/* Two writers that overwrite each other 500 times a second each, for ten seconds. */
static void test_a_storm_on_one_path(void **state)
{
    (void)state;
    uint64_t seq[2] = {world_login(&world, 1, NULL), world_login(&world, 2, NULL)};
    uint64_t tock = 100;
    unsigned n_logged = world.n_logged;
    unsigned n_told[2] = {0, 0};
    unsigned n_pages = 0;
    struct mkv_frame ping = {.kind = MKV_FRAME_PING, .id = 99};

    (void)world_login(&world, 3, NULL);
    lost_ask(&world, 3, 1, ":", MKV_CONFLICTS_FOLLOW, 10000);
    for (uint64_t i = 1; i <= 5000; i++) {
        for (unsigned w = 0; w < 2; w++) {
            world_update(&world, "a", "\x01", ++tock, seq[w], i);
            world_wait(&world, 1);
        }
        if (i % 250 == 0) {
            for (uint64_t link = 1; link <= 3; link++) { /* they are there */
                world_send(&world, link, &ping);
            }
            n_told[0] += world_count(&world, 1, MKV_FRAME_CONFLICT);
            n_told[1] += world_count(&world, 2, MKV_FRAME_CONFLICT);
            n_pages += world_count(&world, 3, MKV_FRAME_LOST);
            world_forget(&world);
        }
    }
    world_wait(&world, 1500);
    n_pages += world_count(&world, 3, MKV_FRAME_LOST);
    /* Each of them lost 5,000 times: a thousand of them are told at once and 100 a second. */
    assert_in_range(n_told[0], 1900, 2000);
    assert_in_range(n_told[1], 1900, 2000);
    /* A page a second for each that is kept, and one for its count. */
    assert_in_range(n_pages, 11, 23);

    const char *asked = lost_ask_all(&world, ":");
    unsigned n = 0;

    for (const char *at = asked; *at != '\0'; at++) {
        n += *at == ';';
    }
    assert_int_equal(n, MKV_CONFLICTS_OF_PATH);
    assert_non_null(strstr(asked, "+999;"));
    assert_int_equal(world.n_logged, n_logged);
    assert_int_equal(world.n_closed, 0);
}

/* A split has healed: 100,000 paths that both sides have written to, in 50 s. */
static void test_a_storm_of_paths(void **state)
{
    char path[32];
    unsigned n_pages = 0;
    struct mkv_frame ping = {.kind = MKV_FRAME_PING, .id = 99};

    (void)state;
    (void)world_login(&world, 1, NULL);
    world.n_logged = 0;
    lost_ask(&world, 1, 1, ":", MKV_CONFLICTS_FOLLOW, 100000);
    for (unsigned i = 0; i < 100000; i++) {
        (void)snprintf(path, sizeof(path), "x:%u", i);
        lost_put(&world, path, "p", "\x01", 10);
        lost_put(&world, path, "q", "\x02", 20);
        if (i % 100 == 0) {
            world_wait(&world, 50);
            n_pages += world_count(&world, 1, MKV_FRAME_LOST);
            world_forget(&world);
            world_send(&world, 1, &ping);
        }
    }
    world_wait(&world, 50);
    assert_in_range(n_pages, 40, 2000);
    assert_in_range(world.n_logged, 1, 2);
    assert_int_equal(world.n_closed, 0);
    assert_non_null(strstr(world.logged, "more conflicts than are kept"));

    world_forget(&world);
    (void)world_login(&world, 2, NULL);
    lost_ask(&world, 2, 1, ":", 0, 100000);
    assert_int_equal(world_last(&world, 2, MKV_FRAME_END)->end.n_rows, 8000);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_the_writer_is_told_once),
        CASE(test_a_repeat_is_no_conflict),
        CASE(test_a_writer_in_a_storm_is_told_how_many_there_were),
        CASE(test_large_values_do_not_flood_the_writer),
        CASE(test_a_writer_that_resumes_is_told_then),
        CASE(test_a_writer_that_resumes_is_not_flooded),
        CASE(test_what_comes_at_once_fits_into_a_batch),
        CASE(test_a_storm_on_one_path),
        CASE(test_a_storm_of_paths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
