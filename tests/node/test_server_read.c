/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server as a whole: reads, changes, children, digests, credit.
 */
#include <stdio.h>
#include <string.h>

#include "lib/check.h"
#include "lone.h"
#include "wire/child.h"
#include "wire/path.h"

/* --- Reading ------------------------------------------------------------------------------ */

static void test_reads(void **state)
{
    static const struct {
        const char *path;
        uint32_t depth_min;
        uint32_t depth_max;
        uint32_t flags;
        const char *rows;
    } cases[] = {
        {":", 0, 64, 0, "a=01;a:2=04;a.b=02;a.b.c=03;ab=05;"},
        {"a", 0, 64, 0, "a=01;a:2=04;a.b=02;a.b.c=03;"},
        {"a", 0, 0, 0, "a=01;"},
        {"a", 1, 1, 0, "a:2=04;a.b=02;"},
        {"a", 2, 64, 0, "a.b.c=03;"},
        {"a.b.c", 0, 64, 0, "a.b.c=03;"},
        {"nothing", 0, 64, 0, ""},
        {"a", 1, 1, MKV_READ_TOMBSTONES, "a:2=04;a.b=02;a.gone=-00;"},
        {"a", 1, 1, MKV_READ_KEYS_ONLY, "a:2=f6;a.b=f6;"},
        {"a.gone", 0, 64, 0, ""},
    };
    char rows[1000];

    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);

    world_fill(&world, seq);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mkv_frame read = {.kind = MKV_FRAME_READ,
                                 .id = i + 1,
                                 .read = {.depth_min = cases[i].depth_min,
                                          .depth_max = cases[i].depth_max,
                                          .flags = cases[i].flags,
                                          .credit = 4}};

        world_ask(&world, cases[i].path, read, 1);
        world_wait(&world, 1);
        world_collect(&world, 1, i + 1, cases[i].path, rows, sizeof(rows));
        assert_string_equal(rows, cases[i].rows);
        assert_int_equal(world_last(&world, 1, MKV_FRAME_END)->id, i + 1);
    }
}

static void test_changes_since(void **state)
{
    struct mkv_frame read = {
        .kind = MKV_FRAME_READ, .id = 1, .read = {.depth_max = 64, .credit = 4}};
    char rows[1000];

    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);

    world_fill(&world, seq);
    world_ask(&world, ":", read, 1);
    world_wait(&world, 1);
    read.read.has_since = true;
    read.read.since = world_last(&world, 1, MKV_FRAME_END)->end.place;

    world_update(&world, "ab", NULL, 8, seq, 8);
    world_update(&world, "a.b", "\x09", 9, seq, 9);
    world_update(&world, "a.b", "\x0a", 10, seq, 10);
    world_wait(&world, 2);
    read.id = 2;
    world_ask(&world, ":", read, 1);
    world_wait(&world, 1);
    world_collect(&world, 1, 2, ":", rows, sizeof(rows));
    assert_string_equal(rows, "ab=-00;a.b=0a;");

    /* Only the subtree; and from the same place after a restart, too. */
    world_crash(&world);
    world_start(&world);
    (void)world_login(&world, 2, NULL);
    read.id = 3;
    world_ask(&world, "a", read, 2);
    world_wait(&world, 1);
    world_collect(&world, 2, 3, "a", rows, sizeof(rows));
    assert_string_equal(rows, "a.b=0a;");

    /* Another store's place is refused. */
    read.id = 4;
    read.read.since.nonce ^= 1;
    world_ask(&world, "a", read, 2);
    assert_int_equal(world_last(&world, 2, MKV_FRAME_ERROR)->error.code, MKV_E_STALE);
    assert_int_equal(world_last(&world, 2, MKV_FRAME_ERROR)->id, 4);
}

static void test_credit_holds_pages_back(void **state)
{
    struct mkv_frame read = {
        .kind = MKV_FRAME_READ, .id = 5, .read = {.depth_max = 64, .credit = 1}};
    struct mkv_frame credit = {.kind = MKV_FRAME_CREDIT, .id = 5, .credit = 2};
    struct mkv_frame cancel = {.kind = MKV_FRAME_CANCEL, .id = 5};
    char path[32];

    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);

    for (unsigned i = 1; i <= 1500; i++) { /* 6 pages */
        (void)snprintf(path, sizeof(path), "n:%u", i);
        world_update(&world, path, "\x01", i, seq, i);
    }
    world_wait(&world, 2);
    world_ask(&world, ":", read, 1);
    world_wait(&world, 5);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_DATA), 1);
    world_send(&world, 1, &credit);
    world_wait(&world, 5);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_DATA), 3);
    world_send(&world, 1, &cancel);
    assert_int_equal(world_last(&world, 1, MKV_FRAME_ERROR)->error.code, MKV_E_CANCELLED);
    world_send(&world, 1, &credit);
    world_wait(&world, 5);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_DATA), 3);

    /* Congestion stops it as well. */
    read.id = 6;
    read.read.credit = 100;
    mkv_server_node_link_congested(world.node, 1, true);
    world_ask(&world, ":", read, 1);
    world_wait(&world, 5);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_DATA), 3);
    mkv_server_node_link_congested(world.node, 1, false);
    world_wait(&world, 5);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_DATA), 9);
    assert_int_equal(world_last(&world, 1, MKV_FRAME_END)->end.n_rows, 1500);
}

static void test_too_many_requests(void **state)
{
    struct mkv_frame read = {.kind = MKV_FRAME_READ, .read = {.depth_max = 64, .credit = 1}};
    char path[32];

    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);

    for (unsigned i = 1; i <= 600; i++) {
        (void)snprintf(path, sizeof(path), "n:%u", i);
        world_update(&world, path, "\x01", i, seq, i);
    }
    world_wait(&world, 2);
    for (read.id = 1; read.id <= MKV_REQUESTS_MAX; read.id++) {
        world_ask(&world, ":", read, 1);
    }
    world_wait(&world, 5);
    assert_null(world_last(&world, 1, MKV_FRAME_ERROR));
    world_ask(&world, ":", read, 1);
    assert_int_equal(world_last(&world, 1, MKV_FRAME_ERROR)->error.code, MKV_E_BUSY);
    assert_int_equal(world_last(&world, 1, MKV_FRAME_ERROR)->id, MKV_REQUESTS_MAX + 1);
    read.id = 3; /* in use */
    world_ask(&world, ":", read, 1);
    assert_int_equal(world_last(&world, 1, MKV_FRAME_ERROR)->error.code, MKV_E_UNEXPECTED);
    assert_int_equal(world.n_closed, 0);
}

static void test_children_and_digest(void **state)
{
    struct mkv_frame list = {.kind = MKV_FRAME_LIST, .id = 1, .path = {.credit = 4}};
    struct mkv_frame check = {.kind = MKV_FRAME_CHECK, .id = 2};
    struct mkv_cbor_reader r;
    struct mkv_child child;

    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);

    world_fill(&world, seq);
    world_ask(&world, "a", list, 1);
    world_wait(&world, 1);
    mkv_cbor_reader_init(&r, world_last(&world, 1, MKV_FRAME_CHILDREN)->rows);
    assert_int_equal(mkv_cbor_read_array(&r, 10), 2); /* a.gone is not shown */
    mkv_child_read(&r, &child);
    assert_int_equal(child.element.number, 2);
    assert_true(child.own);
    mkv_child_read(&r, &child);
    assert_true(mkv_bytes_equal(child.element.text, mkv_bytes_of("b")));
    assert_int_equal(child.entries, 2);
    assert_int_equal(mkv_cbor_finish(&r), 0);

    world_ask(&world, "a", check, 1);
    assert_int_equal(world_last(&world, 1, MKV_FRAME_DIGEST)->digest.count, 5);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* What it was about to be told is told no more: without a word it would keep the entry for ever. */
static void test_deletion_forgotten_while_changes_are_read(void **state)
{
    struct mkv_frame read = {
        .kind = MKV_FRAME_READ, .id = 1, .read = {.depth_max = 64, .credit = 1}};
    struct mkv_frame credit = {.kind = MKV_FRAME_CREDIT, .id = 2, .credit = 1};
    struct mkv_buf key;
    uint64_t counter = 0;

    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);

    counter++;
    world_update(&world, "gone", "\x01", counter, seq, counter);
    world_wait(&world, 2);
    world_ask(&world, ":", read, 1);
    world_wait(&world, 1);
    read.id = 2;
    read.read.has_since = true;
    read.read.since = world_last(&world, 1, MKV_FRAME_END)->end.place;
    for (unsigned i = 0; i < 300; i++) {
        char path[16];

        (void)snprintf(path, sizeof(path), "e%u", i);
        counter++;
        world_update(&world, path, "\x01", counter, seq, counter);
    }
    counter++;
    world_update(&world, "gone", NULL, counter, seq, counter);
    world_wait(&world, 2);
    world_forget(&world);
    world_ask(&world, ":", read, 1);
    world_wait(&world, 1);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_DATA), 1);

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    assert_int_equal(mkv_path_from_dotted(mkv_bytes_of("gone"), &key), 0);
    assert_int_equal(mkv_store_remove(world.store, mkv_buf_bytes(&key)), 0);
    assert_int_equal(mkv_store_commit(world.store), 0);
    mkv_buf_deinit(&key);
    world_send(&world, 1, &credit);
    world_wait(&world, 1);
    assert_int_equal(world_last(&world, 1, MKV_FRAME_ERROR)->error.code, MKV_E_STALE);
    assert_int_equal(world_last(&world, 1, MKV_FRAME_ERROR)->id, 2);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_END), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_reads),
        CASE(test_changes_since),
        CASE(test_credit_holds_pages_back),
        CASE(test_too_many_requests),
        CASE(test_children_and_digest),
        CASE(test_deletion_forgotten_while_changes_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
