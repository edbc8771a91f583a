/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conflicts at a server: kept once, with the losing value, also over a crash, and told to those who
 * ask.
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

static char asked[LOST_TEXT_MAX];

/* --- Once --------------------------------------------------------------------------------------- */

static void test_a_loser_is_kept_once(void **state)
{
    (void)state;
    lost_put(&world, "a", "p", "\x01", 10);
    lost_put(&world, "a", "q", "\x02", 11);
    assert_string_equal(lost_ask_all(&world, ":"), "a=10>11;");
    world_wait(&world, 5000);
    lost_put(&world, "a", "p", "\x01", 10); /* again */
    lost_put(&world, "a", "q", "\x02", 11);
    assert_string_equal(lost_ask_all(&world, ":"), "a=10>11;");
    lost_put(&world, "a", "p", "\x03", 9); /* another, which comes late */
    assert_string_equal(lost_ask_all(&world, ":"), "a=10>11;a=9>11;");
    world_wait(&world, 5000);
    lost_put(&world, "a", "r", "\x04", 12);
    world_wait(&world, 5000);
    lost_put(&world, "a", "p", "\x01", 10); /* lost before, to another winner than this */
    lost_put(&world, "a", "p", "\x03", 9);
    assert_string_equal(lost_ask_all(&world, ":"), "a=10>11;a=9>11;a=11>12;");
}

static void test_who_knew_is_in_no_conflict(void **state)
{
    struct mkv_update first = lost_update("p", "\x01", 10);
    struct mkv_update second = lost_update("q", "\x02", 11);

    (void)state;
    second.ticks.at[second.ticks.n++] = first.ticks.at[0];
    lost_publish(&world, "a", &first);
    lost_publish(&world, "a", &second);
    lost_publish(&world, "a", &first);
    assert_string_equal(lost_ask_all(&world, ":"), "");
}

static void test_a_cut_history_makes_it_possible_only(void **state)
{
    struct mkv_update second = lost_update("q", "\x02", 11);

    (void)state;
    while (second.ticks.n < MKV_TICKS_MAX) {
        second.ticks.at[second.ticks.n] = (struct mkv_tick){mkv_bytes_of("z"), second.ticks.n, 1};
        second.ticks.n++;
    }
    lost_put(&world, "a", "p", NULL, 10);
    lost_publish(&world, "a", &second);
    assert_string_equal(lost_ask_all(&world, ":"), "a=10>11?;");
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The ids and losing values of all conflicts, in an order of their own. */
static void describe(char *out, size_t size)
{
    static uint64_t link = 5000;
    char *lines[32];
    unsigned n = 0;

    (void)world_login(&world, ++link, NULL);
    lost_ask(&world, link, 1, ":", 0, 100);

    const struct mkv_frame *page = world_last(&world, link, MKV_FRAME_LOST);
    struct mkv_cbor_reader r;

    out[0] = '\0';
    if (page != NULL) {
        mkv_cbor_reader_init(&r, page->lost);
        for (uint64_t left = mkv_cbor_read_array(&r, 32); left > 0; left--) {
            struct mkv_conflict_row row;
            char line[64];

            mkv_conflict_row_read(&r, &row);
            assert_int_equal(r.error, 0);
            (void)snprintf(line, sizeof(line), "%016llx=%02x ", (unsigned long long)row.id,
                           row.loser.present ? row.loser.value.at[0] : 0xffU);
            lines[n] = strdup(line);
            assert_non_null(lines[n]);
            n++;
        }
    }
    qsort(lines, n, sizeof(lines[0]), by_text);
    for (unsigned i = 0; i < n; i++) {
        (void)snprintf(out + strlen(out), size - strlen(out), "%s", lines[i]);
        free(lines[i]);
    }
}

/* Four writers who know nothing of each other, and one who knows the first, in all 120 orders. */
static void test_all_servers_tell_of_the_same(void **state)
{
    struct mkv_update updates[5] = {lost_update("p", "\x01", 10), lost_update("q", "\x02", 11),
                                    lost_update("r", NULL, 12), lost_update("s", "\x04", 13),
                                    lost_update("t", "\x05", 9)};
    char first[1024] = "";

    updates[1].ticks.at[updates[1].ticks.n++] = updates[4].ticks.at[0];
    for (unsigned code = 0; code < 120; code++) {
        unsigned left[5] = {0, 1, 2, 3, 4};
        char text[1024];

        for (unsigned i = 0, rest = code; i < 5; i++) {
            unsigned pick = rest % (5 - i);

            rest /= 5 - i;
            lost_publish(&world, "a", &updates[left[pick]]);
            world_wait(&world, 1500);
            memmove(left + pick, left + pick + 1, (5 - i - pick - 1) * sizeof(left[0]));
        }
        for (unsigned i = 0; i < 5; i++) { /* and once more, as a sync may bring them */
            lost_publish(&world, "a", &updates[i]);
        }
        describe(text, sizeof(text));
        if (code == 0) {
            memcpy(first, text, sizeof(first));
        }
        /* The fifth may be found, too: by who did not know that it had been overwritten knowingly. */
        assert_non_null(strstr(text, "=01 "));
        assert_non_null(strstr(text, "=02 "));
        assert_non_null(strstr(text, "=ff "));
        assert_null(strstr(text, "=04 "));
        for (const char *at = text; *at != '\0'; at += 20) {
            char line[21] = {0};

            memcpy(line, at, 20);
            assert_true(strstr(first, line) != NULL || strstr(line, "=05 ") != NULL);
        }
        (void)teardown(state);
        (void)setup(state);
    }
}

/* --- Over a crash, and a disk that fails ------------------------------------------------------- */

static void test_it_survives_a_crash(void **state)
{
    (void)state;
    lost_put(&world, "a", "p", "\x01", 10);
    lost_put(&world, "a", "q", "\x02", 11);
    for (unsigned i = 0; i < 5; i++) {
        lost_put(&world, "a", "p", "\x03", 5 + i);
    }
    world_wait(&world, 1100);
    lost_put(&world, "b", "p", "\x01", 10);
    world_wait(&world, 2);
    lost_put(&world, "b", "q", "\x02", 11); /* not committed */
    world_crash(&world);
    world_start(&world);
    assert_string_equal(lost_ask_all(&world, ":"), "a=10>11+5;");
    lost_put(&world, "a", "p", "\x01", 10);
    lost_put(&world, "a", "p", "\x04", 4);
    assert_string_equal(lost_ask_all(&world, ":"), "a=10>11+5;a=4>11;");
}

static void test_a_batch_that_fails_takes_its_conflicts_along(void **state)
{
    (void)state;
    lost_put(&world, "a", "p", "\x01", 10);
    lost_put(&world, "a", "q", "\x02", 11);
    world_wait(&world, 5);
    mkv_disk_resize(world.disk, 1);
    lost_put(&world, "a", "p", "\x03", 9);
    lost_put(&world, "b", "p", "\x01", 20);
    lost_put(&world, "b", "q", "\x02", 21);
    world_wait(&world, 5);
    assert_string_equal(lost_ask_all(&world, ":"), "a=10>11;");
    mkv_disk_resize(world.disk, 0);
    world_wait(&world, 3000);
    lost_put(&world, "b", "p", "\x01", 20);
    lost_put(&world, "b", "q", "\x02", 21);
    lost_put(&world, "a", "p", "\x03", 9);
    assert_string_equal(lost_ask_all(&world, ":"), "a=10>11;b=20>21;a=9>11;");
}

/* Whichever of the server's rows is damaged: it costs no more than what it held. */
static void test_a_damaged_row_is_left_out(void **state)
{
    unsigned n_lost = 0;

    for (size_t row = 0; row < 16; row++) {
        lost_put(&world, "a", "p", "\x01", 10);
        lost_put(&world, "a", "q", "\x02", 11);
        world_wait(&world, 3);
        world_crash(&world);
        mkv_disk_damage(world.disk, MKV_LOG_META, row);
        if (world_boot(&world) == 0 && strcmp(lost_ask_all(&world, ":"), "") == 0) {
            lost_put(&world, "a", "p", "\x03", 9);
            assert_string_equal(lost_ask_all(&world, ":"), "a=9>11;");
            n_lost++;
        }
        (void)teardown(state);
        (void)setup(state);
    }
    assert_int_equal(n_lost, 1);
}

/* --- Asking ------------------------------------------------------------------------------------- */

static void test_only_what_lies_below_is_told(void **state)
{
    static const char *const paths[] = {":", "a", "a.b", "a:2", "ab"};

    (void)state;
    assert_string_equal(lost_ask_all(&world, ":"), "");
    for (unsigned i = 0; i < 5; i++) {
        lost_put(&world, paths[i], "p", "\x01", 10 + i);
        lost_put(&world, paths[i], "q", "\x02", 20 + i);
    }
    assert_string_equal(lost_ask_all(&world, ":"), ":=10>20;a=11>21;a.b=12>22;a:2=13>23;ab=14>24;");
    assert_string_equal(lost_ask_all(&world, "a"), "a=11>21;a.b=12>22;a:2=13>23;");
    assert_string_equal(lost_ask_all(&world, "a.b"), "a.b=12>22;");
    assert_string_equal(lost_ask_all(&world, "a.b.c"), "");
}

static void test_pages_come_by_credit(void **state)
{
    struct mkv_frame credit = {.kind = MKV_FRAME_CREDIT, .id = 1, .credit = 1};
    char path[32];

    (void)state;
    for (unsigned i = 0; i < 600; i++) {
        (void)snprintf(path, sizeof(path), "x:%u", i);
        lost_put(&world, path, "p", "\x01", 10);
        lost_put(&world, path, "q", "\x02", 20);
    }
    (void)world_login(&world, 1, NULL);
    lost_ask(&world, 1, 1, "x", 0, 1);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_LOST), 1);
    world_send(&world, 1, &credit);
    world_wait(&world, 1);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_LOST), 2);
    assert_null(world_last(&world, 1, MKV_FRAME_END));
    world_send(&world, 1, &credit);
    world_wait(&world, 1);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_LOST), 3);
    assert_non_null(world_last(&world, 1, MKV_FRAME_END));
    assert_int_equal(world_last(&world, 1, MKV_FRAME_END)->end.n_rows, 600);
    assert_int_equal(lost_collect(&world, 1, 1, asked, sizeof(asked)), 600);
    assert_memory_equal(asked, "x:0=10>20;x:1=10>20;x:2=10>20;", 30);
}

static void test_the_largest_value_is_kept(void **state)
{
    struct mkv_update loser = lost_large_update("p", 10);
    struct mkv_conflict_row row;
    struct mkv_cbor_reader r;

    (void)state;
    lost_publish(&world, "a", &loser);
    lost_put(&world, "a", "q", "\x02", 11);
    world_crash(&world);
    world_start(&world);
    lost_publish(&world, "a", &loser);
    lost_put(&world, "a", "q", "\x02", 11);
    (void)world_login(&world, 1, NULL);
    lost_ask(&world, 1, 1, ":", 0, 1);

    const struct mkv_frame *page = world_last(&world, 1, MKV_FRAME_LOST);

    assert_non_null(page);
    mkv_cbor_reader_init(&r, page->lost);
    assert_int_equal(mkv_cbor_read_array(&r, 1), 1);
    mkv_conflict_row_read(&r, &row);
    assert_int_equal(mkv_cbor_finish(&r), 0);
    assert_true(mkv_bytes_equal(row.loser.value, loser.value));
}

static void test_what_is_asked_wrongly_is_refused(void **state)
{
    struct mkv_frame frame = {.kind = MKV_FRAME_CONFLICTS, .id = 1};

    (void)state;
    (void)world_login(&world, 1, NULL);
    frame.conflicts.path = mkv_bytes_of("\x81\x80");
    world_send(&world, 1, &frame);
    assert_int_equal(world_last(&world, 1, MKV_FRAME_ERROR)->error.code, MKV_E_BAD_ELEMENT);
    assert_int_equal(world_last(&world, 1, MKV_FRAME_ERROR)->id, 1);
    lost_ask(&world, 1, 2, ":", MKV_CONFLICTS_FOLLOW, 1);
    lost_ask(&world, 1, 2, ":", MKV_CONFLICTS_FOLLOW, 1);
    assert_int_equal(world_last(&world, 1, MKV_FRAME_ERROR)->error.code, MKV_E_UNEXPECTED);
    for (uint64_t id = 3; id < 3 + MKV_REQUESTS_MAX; id++) {
        lost_ask(&world, 1, id, ":", MKV_CONFLICTS_FOLLOW, 1);
    }
    assert_int_equal(world_last(&world, 1, MKV_FRAME_ERROR)->error.code, MKV_E_BUSY);
    assert_int_equal(world.n_closed, 0);
}

/* --- Following ---------------------------------------------------------------------------------- */

static void test_who_follows_is_told_of_new_ones(void **state)
{
    struct mkv_frame credit = {.kind = MKV_FRAME_CREDIT, .id = 1, .credit = 1};
    struct mkv_frame cancel = {.kind = MKV_FRAME_CANCEL, .id = 1};

    (void)state;
    lost_put(&world, "a", "p", "\x01", 10);
    lost_put(&world, "a", "q", "\x02", 11);
    (void)world_login(&world, 1, NULL);
    lost_ask(&world, 1, 1, ":", MKV_CONFLICTS_FOLLOW, 4);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_LOST), 2); /* the second is empty */
    assert_int_equal(lost_collect(&world, 1, 1, asked, sizeof(asked)), 1);
    assert_true(mkv_bytes_equal(world_last(&world, 1, MKV_FRAME_LOST)->lost, mkv_bytes_of("\x80")));
    assert_true(mkv_server_node_deadline(world.node) > world.now.ms); /* nothing to do till then */

    lost_put(&world, "b", "p", "\x01", 12);
    lost_put(&world, "b", "q", "\x02", 13);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_LOST), 2); /* not committed yet */
    world_wait(&world, 3);
    (void)lost_collect(&world, 1, 1, asked, sizeof(asked));
    assert_string_equal(asked, "a=10>11;b=12>13;");

    /* One credit is left, then none. */
    lost_put(&world, "c", "p", "\x01", 14);
    lost_put(&world, "c", "q", "\x02", 15);
    world_wait(&world, 3);
    lost_put(&world, "d", "p", "\x01", 16);
    lost_put(&world, "d", "q", "\x02", 17);
    lost_put(&world, "e", "p", "\x01", 18);
    lost_put(&world, "e", "q", "\x02", 19);
    world_wait(&world, 3);
    (void)lost_collect(&world, 1, 1, asked, sizeof(asked));
    assert_string_equal(asked, "a=10>11;b=12>13;c=14>15;");
    world_send(&world, 1, &credit);
    world_wait(&world, 1);
    (void)lost_collect(&world, 1, 1, asked, sizeof(asked));
    assert_string_equal(asked, "a=10>11;b=12>13;c=14>15;d=16>17;e=18>19;");
    assert_null(world_last(&world, 1, MKV_FRAME_END));

    world_send(&world, 1, &cancel);
    assert_int_equal(world_last(&world, 1, MKV_FRAME_ERROR)->error.code, MKV_E_CANCELLED);
}

static void test_a_follower_without_credit_learns_later_that_it_has_caught_up(void **state)
{
    struct mkv_frame credit = {.kind = MKV_FRAME_CREDIT, .id = 1, .credit = 2};

    (void)state;
    lost_put(&world, "a", "p", "\x01", 10);
    lost_put(&world, "a", "q", "\x02", 11);
    (void)world_login(&world, 1, NULL);
    lost_ask(&world, 1, 1, ":", MKV_CONFLICTS_FOLLOW, 1);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_LOST), 1);
    world_send(&world, 1, &credit);
    world_wait(&world, 1);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_LOST), 2);
    assert_true(mkv_bytes_equal(world_last(&world, 1, MKV_FRAME_LOST)->lost, mkv_bytes_of("\x80")));
}

/* A second after the first, those that were only counted are told, with the one that is kept. */
static void test_what_was_only_counted_is_told(void **state)
{
    (void)state;
    (void)world_login(&world, 1, NULL);
    lost_ask(&world, 1, 1, "a", MKV_CONFLICTS_FOLLOW, 100);
    lost_put(&world, "a", "q", "\x02", 100);
    for (unsigned i = 0; i < 50; i++) {
        lost_put(&world, "a", "p", "\x01", 1 + i);
        world_wait(&world, 10);
    }
    (void)lost_collect(&world, 1, 1, asked, sizeof(asked));
    assert_string_equal(asked, "a=1>100;");
    world_wait(&world, 1000);
    (void)lost_collect(&world, 1, 1, asked, sizeof(asked));
    assert_string_equal(asked, "a=1>100;a=1>100+49;");
    assert_string_equal(lost_ask_all(&world, ":"), "a=1>100+49;");
    world_wait(&world, 20000);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_LOST), 3);
}

static void test_a_follower_that_does_not_read_is_not_flooded(void **state)
{
    char path[32];

    (void)state;
    (void)world_login(&world, 1, NULL);
    lost_ask(&world, 1, 1, ":", MKV_CONFLICTS_FOLLOW, 1000000);
    mkv_server_node_link_congested(world.node, 1, true);
    for (unsigned i = 0; i < 1000; i++) {
        (void)snprintf(path, sizeof(path), "x:%u", i);
        lost_put(&world, path, "p", "\x01", 10);
        lost_put(&world, path, "q", "\x02", 20);
        world_wait(&world, 3);
    }
    assert_int_equal(world_count(&world, 1, MKV_FRAME_LOST), 1);
    mkv_server_node_link_congested(world.node, 1, false);
    world_wait(&world, 3);
    assert_int_equal(lost_collect(&world, 1, 1, asked, sizeof(asked)), 1000);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_LOST), 5);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_loser_is_kept_once),
        CASE(test_who_knew_is_in_no_conflict),
        CASE(test_a_cut_history_makes_it_possible_only),
        CASE(test_all_servers_tell_of_the_same),
        CASE(test_it_survives_a_crash),
        CASE(test_a_batch_that_fails_takes_its_conflicts_along),
        CASE(test_a_damaged_row_is_left_out),
        CASE(test_only_what_lies_below_is_told),
        CASE(test_pages_come_by_credit),
        CASE(test_the_largest_value_is_kept),
        CASE(test_what_is_asked_wrongly_is_refused),
        CASE(test_who_follows_is_told_of_new_ones),
        CASE(test_a_follower_without_credit_learns_later_that_it_has_caught_up),
        CASE(test_what_was_only_counted_is_told),
        CASE(test_a_follower_that_does_not_read_is_not_flooded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
