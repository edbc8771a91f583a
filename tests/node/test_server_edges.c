/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server at its edges: frames that are wrong, links and sessions that are not there, rows that
 * are damaged, and what is said to whom about it.
 */
#include <stdio.h>
#include <string.h>

#include "lib/check.h"
#include "lone.h"
#include "wire/path.h"

#define DAY_MS INT64_C(86400000)

static void send_raw(uint64_t link, const char *bytes, size_t len)
{
    mkv_server_node_frame(world.node, world.now, link, mkv_bytes(bytes, len));
    world_listen(&world);
}

static void assert_error(uint64_t link, int code, bool closed)
{
    const struct mkv_frame *error = world_last(&world, link, MKV_FRAME_ERROR);

    assert_non_null(error);
    assert_int_equal(error->error.code, code);
    assert_int_equal(world.n_closed, closed ? 1 : 0);
    if (closed) {
        assert_true(world.closed[0] == link);
    }
}

/* --- Frames ------------------------------------------------------------------------------- */

static void test_a_bad_frame_ends_the_link(void **state)
{
    struct mkv_frame ping = {.kind = MKV_FRAME_PING, .id = 1};

    (void)state;
    (void)world_login(&world, 1, NULL);
    send_raw(1, "\xa1\x00", 2);
    assert_error(1, MKV_E_TRUNCATED, true);
    world_send(&world, 1, &ping); /* what still comes is ignored, good or bad */
    send_raw(1, "\xa1\x00", 2);
    assert_null(world_last(&world, 1, MKV_FRAME_PONG));
    assert_int_equal(world_count(&world, 1, MKV_FRAME_ERROR), 1);
    world_send(&world, 99, &ping); /* a link that never was */
    send_raw(99, "\xa1\x00", 2);
    world_close(&world, 99);
    mkv_server_node_link_congested(world.node, 99, true);
    assert_int_equal(world_count(&world, 99, MKV_FRAME_ERROR), 0);
}

static void test_unknown_kinds_are_answered_if_they_ask(void **state)
{
    (void)state;
    (void)world_login(&world, 1, NULL);
    send_raw(1, "\xa1\x00\x18\x63", 4);
    assert_null(world_last(&world, 1, MKV_FRAME_ERROR));
    send_raw(1, "\xa2\x00\x18\x63\x01\x07", 6);
    assert_error(1, MKV_E_UNKNOWN_REQUEST, false);
    assert_int_equal(world_last(&world, 1, MKV_FRAME_ERROR)->id, 7);
}

static void test_what_only_a_server_says_is_not_expected(void **state)
{
    static const uint8_t zeros[32];
    static const uint8_t some_sums[22] = {0x81, 0x81, 0x83, 0x40, 0x00, 0x50};
    struct mkv_bytes empty_list = mkv_bytes_of("\x80");
    const struct mkv_frame_passwd a_secret = {.user = mkv_bytes_of("ann"),
                                              .iterations = 4096,
                                              .salt = mkv_bytes(some_sums, 16),
                                              .stored_key = mkv_bytes(zeros, 32),
                                              .server_key = mkv_bytes(zeros, 32)};
    const struct mkv_frame frames[] = {
        {.kind = MKV_FRAME_BIRTH},
        {.kind = MKV_FRAME_HELLO, .hello = {.versions = {1, 1}}},
        {.kind = MKV_FRAME_AUTH},
        {.kind = MKV_FRAME_ACK, .ack = {.level = 1}},
        {.kind = MKV_FRAME_REPEAT, .range = {1, 1}},
        {.kind = MKV_FRAME_STATE},
        {.kind = MKV_FRAME_DATA, .id = 1, .data.rows = empty_list},
        {.kind = MKV_FRAME_END, .id = 1},
        {.kind = MKV_FRAME_PONG, .id = 1},
        {.kind = MKV_FRAME_PEER, .peer.name = mkv_bytes_of("oth")},
        {.kind = MKV_FRAME_VOUCHED, .id = 1},
        {.kind = MKV_FRAME_SUMS, .id = 1, .sums = mkv_bytes(some_sums, sizeof(some_sums))},
        {.kind = MKV_FRAME_REPORTS, .id = 1, .reports = empty_list},
        {.kind = MKV_FRAME_DONE, .id = 1},
        {.kind = MKV_FRAME_SECRETS, .id = 1},
        {.kind = MKV_FRAME_SECRET, .id = 1, .passwd = a_secret},
    };

    (void)state;
    for (uint64_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        (void)world_login(&world, i + 1, NULL);
        world_send(&world, i + 1, &frames[i]);
        assert_error(i + 1, MKV_E_UNEXPECTED, true);
        world_forget(&world);
    }
}

static void test_a_clients_error_is_heard(void **state)
{
    struct mkv_frame error = {.kind = MKV_FRAME_ERROR,
                              .id = 5,
                              .error = {.code = MKV_E_MALFORMED,
                                        .text = mkv_bytes_of("no\x1b[2J \xc2\x9b"
                                                             "2J \xc3\xa9")}};

    (void)state;
    (void)world_login(&world, 1, NULL);
    world_send(&world, 1, &error);
    assert_int_equal(world.n_closed, 0);
    assert_non_null(strstr(world.logged, "no?[2J ??2J \xc3\xa9")); /* safe to show */
    error.id = 0;
    world_send(&world, 1, &error);
    assert_int_equal(world.n_closed, 1);

    /* Who has not logged in has one line, and no more. */
    world_forget(&world);
    world_open(&world, 2);
    error.id = 5;
    world_send(&world, 2, &error);
    world_send(&world, 2, &error);
    assert_int_equal(world.n_closed, 1);
}

static void test_mechanisms(void **state)
{
    struct mkv_frame hello = {.kind = MKV_FRAME_HELLO, .hello = {.versions = {1, 1}}};
    struct mkv_frame auth = {.kind = MKV_FRAME_AUTH};

    (void)state;
    world_open(&world, 2); /* its own user has to say so */
    auth.auth.mechanism = mkv_bytes_of("ANONYMOUS");
    world_send(&world, 2, &hello);
    world_send(&world, 2, &auth);
    assert_error(2, MKV_E_NOT_AUTHORISED, true);
    assert_null(world_last(&world, 2, MKV_FRAME_SESSION));

    world_forget(&world);
    world_open(&world, 3);
    world_send(&world, 3, &hello);
    world_send(&world, 3, &hello);
    assert_error(3, MKV_E_UNEXPECTED, true);
}

/* --- Sessions ----------------------------------------------------------------------------- */

static struct mkv_frame keep_session(uint64_t link, uint8_t ret_token[static 64])
{
    struct mkv_frame given = *world_last(&world, link, MKV_FRAME_SESSION);

    memcpy(ret_token, given.session.token.at, given.session.token.len);
    given.session.token.at = ret_token;
    given.session.name = mkv_bytes_of("srv");
    return given;
}

static void test_only_ones_own_session_is_resumed(void **state)
{
    uint8_t token[64];
    struct mkv_frame other;

    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);
    struct mkv_frame given = keep_session(1, token);

    other = given;
    other.session.name = mkv_bytes_of("another");
    assert_true(world_login(&world, 2, &other) != seq);
    other = given;
    other.session.token.len--;
    assert_true(world_login(&world, 3, &other) != seq);
    other = given;
    other.session.seq++;
    assert_true(world_login(&world, 4, &other) != seq);
    assert_int_equal(world.n_closed, 0); /* nobody was thrown out */
    assert_true(world_login(&world, 5, &given) == seq);
}

static void test_sessions_end_after_a_day(void **state)
{
    uint8_t token[64];

    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);
    struct mkv_frame given = keep_session(1, token);

    world_update(&world, "a", "\x01", 1, seq, 1);
    world_wait(&world, 2);
    world_close(&world, 1);
    world_wait(&world, DAY_MS - 1000);
    assert_true(world_login(&world, 2, &given) == seq);
    world_close(&world, 2);
    world_wait(&world, DAY_MS + 1000);
    assert_true(world_login(&world, 3, &given) != seq);
    world_crash(&world);
    world_start(&world);
    assert_true(world_login(&world, 4, &given) != seq); /* its row is gone, too */
    assert_string_equal(world_held(&world, "a"), "\x01");
}

static void send_birth(const char *name, uint64_t seq)
{
    struct mkv_birth birth = {.name = mkv_bytes_of(name), .seq = seq};
    struct mkv_buf buf;

    mkv_buf_init(&buf, 100);
    assert_int_equal(mkv_birth_encode(&birth, &buf), 0);
    world_message(&world, "moat/main/svc/birth", mkv_buf_bytes(&buf));
    mkv_buf_deinit(&buf);
}

static void test_births_of_others(void **state)
{
    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);

    send_birth("another", seq);
    send_birth("srv", seq + 1);
    assert_null(world_last(&world, 1, MKV_FRAME_BIRTH));
    world_update(&world, "a", "\x01", 1, seq, 1);
    world_wait(&world, 2);
    world_close(&world, 1);
    send_birth("srv", seq); /* whose client is gone */
    assert_null(world_last(&world, 1, MKV_FRAME_BIRTH));
}

/* --- Updates ------------------------------------------------------------------------------ */

static void send_foreign(const char *name, bool has_tock, uint64_t tock, const char *topic)
{
    struct mkv_update update = {.has_tock = has_tock,
                                .tock = tock,
                                .present = true,
                                .value = mkv_bytes_of("\x05"),
                                .ticks = {.n = 1, .at = {{mkv_bytes_of(name), 1, 1}}}};
    struct mkv_buf buf;

    mkv_buf_init(&buf, 100);
    assert_int_equal(mkv_update_encode(&update, &buf), 0);
    world_message(&world, topic, mkv_buf_bytes(&buf));
    mkv_buf_deinit(&buf);
    world_wait(&world, 2);
}

static void test_updates_of_other_servers_clients(void **state)
{
    (void)state;
    (void)world_login(&world, 1, NULL);
    send_foreign("another", true, 1, "moat/main/d/a");
    assert_string_equal(world_held(&world, "a"), "\x05");
    send_foreign("another", true, UINT64_C(1) << 62, "moat/main/d/b");
    send_foreign("another", false, 0, "moat/main/d/b");
    send_foreign("another", false, 0, "moat/main/d/b"); /* within the same second: no line more */
    assert_null(world_held(&world, "b"));
    send_foreign("another", true, 2, "moat/main/d");
    assert_string_equal(world_held(&world, ":"), "\x05");

    uint64_t position = mkv_store_place(world.store).position;

    send_foreign("another", true, 3, "moat/main/e");
    send_foreign("another", true, 3, "moat/main/");
    send_foreign("another", true, 3, "moat/mains/d/a");
    send_foreign("another", true, 3, "moat/main/d/a//");
    assert_true(mkv_store_place(world.store).position == position);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_NACK), 0);
}

/* What was fine in its time is not refused when it is repeated much later. */
static void test_a_late_repeat_is_acknowledged(void **state)
{
    (void)state;
    world.now.wall_ms = 2000 * (uint64_t)DAY_MS;

    uint64_t wall = world.now.wall_ms << 12;
    uint64_t seq = world_login(&world, 1, NULL);

    world_update(&world, "a", "\x01", wall, seq, 1);
    world_update(&world, "a", "\x02", wall + 1, seq, 2);
    world_wait(&world, 2);
    world.now.ms += 2 * DAY_MS;
    world.now.wall_ms += 2 * (uint64_t)DAY_MS;
    world_forget(&world);
    world_update(&world, "a", "\x01", wall, seq, 1);
    assert_int_equal(world_acked(&world, 1), 2);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_NACK), 0);
    assert_string_equal(world_held(&world, "a"), "\x02");
}

/* What cannot be remembered must not be stamped: its repeat would be stamped again. */
static void test_nothing_is_stamped_that_is_not_remembered(void **state)
{
    struct mkv_frame gone = {.kind = MKV_FRAME_VOID, .range = {1, 2}};
    const uint64_t last = 3 + 2 * MKV_SEEN_RUNS_MAX;

    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);

    for (uint64_t i = 0; i < MKV_SEEN_RUNS_MAX; i++) {
        world_update(&world, "a", "\x01", 3 + 2 * i, seq, 3 + 2 * i);
    }
    world_update(&world, "b", "\x02", 0, seq, last);
    world_wait(&world, 2);
    assert_int_equal(world.n_published, 0);
    assert_null(world_held(&world, "b"));
    world_send(&world, 1, &gone); /* room for one more */
    world_update(&world, "b", "\x02", 0, seq, last);
    world_wait(&world, 2);
    assert_int_equal(world.n_published, 1);
    assert_string_equal(world_held(&world, "b"), "\x02");
}

static void test_a_batch_ends_when_it_is_large(void **state)
{
    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);

    for (uint64_t i = 1; i <= MKV_BATCH_UPDATES_MAX; i++) {
        assert_int_equal(world_acked(&world, 1), 0);
        world_update(&world, "a", "\x01", i, seq, i);
    }
    assert_int_equal(world_acked(&world, 1), MKV_BATCH_UPDATES_MAX);

    world_update(&world, "a", "\x01", 2000, seq, MKV_BATCH_UPDATES_MAX + 1);
    mkv_server_node_flush(world.node, world.now); /* or when somebody is in a hurry */
    world_listen(&world);
    assert_int_equal(world_acked(&world, 1), MKV_BATCH_UPDATES_MAX + 1);
    mkv_server_node_flush(world.node, world.now);
}

static void test_voids_wait_for_the_disk(void **state)
{
    struct mkv_frame gone = {.kind = MKV_FRAME_VOID, .range = {1, 2}};

    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);

    mkv_disk_resize(world.disk, 1);
    world_update(&world, "a", "\x01", 3, seq, 3);
    world_wait(&world, 2);
    world_close(&world, 1);
    (void)world_login(&world, 2, NULL);
    world_send(&world, 2, &gone);
    world_wait(&world, 2);
    assert_int_equal(world_acked(&world, 2), 0);
    mkv_disk_resize(world.disk, 0);
    world_wait(&world, 1100);
    world_send(&world, 2, &gone);
    world_wait(&world, 2);
    assert_int_equal(world_acked(&world, 2), 2);
}

/* --- Requests ----------------------------------------------------------------------------- */

static void test_credit_has_no_end(void **state)
{
    struct mkv_frame read = {
        .kind = MKV_FRAME_READ, .id = 1, .read = {.depth_max = 64, .credit = UINT32_MAX}};
    struct mkv_frame credit = {.kind = MKV_FRAME_CREDIT, .id = 1, .credit = UINT32_MAX};
    struct mkv_frame cancel = {.kind = MKV_FRAME_CANCEL, .id = 2};

    (void)state;
    world_fill(&world, world_login(&world, 1, NULL));
    mkv_server_node_link_congested(world.node, 1, true);
    world_ask(&world, ":", read, 1);
    world_send(&world, 1, &credit);
    credit.id = 2; /* of nothing that is open */
    world_send(&world, 1, &credit);
    world_send(&world, 1, &cancel);
    mkv_server_node_link_congested(world.node, 1, false);
    world_wait(&world, 1);
    assert_int_equal(world_last(&world, 1, MKV_FRAME_END)->end.n_rows, 5);
    assert_null(world_last(&world, 1, MKV_FRAME_ERROR));
}

static void test_paths_that_are_none(void **state)
{
    static const char *const frames[] = {"\xa3\x00\x14\x01\x01\x02\x81\x80", /* read [[]] */
                                         "\xa3\x00\x15\x01\x01\x02\x81\x80",
                                         "\xa3\x00\x16\x01\x01\x02\x81\x80"};

    (void)state;
    (void)world_login(&world, 1, NULL);
    for (unsigned i = 0; i < 3; i++) {
        send_raw(1, frames[i], 8);
        assert_error(1, MKV_E_BAD_ELEMENT, false);
        assert_int_equal(world_last(&world, 1, MKV_FRAME_ERROR)->id, 1);
        world_forget(&world);
    }
}

static void test_children_of_long_names_fill_pages(void **state)
{
    struct mkv_frame list = {.kind = MKV_FRAME_LIST, .id = 1, .path = {.credit = 100}};
    const unsigned n = 100;

    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);

    for (unsigned i = 0; i < n; i++) {
        char path[1000];

        (void)snprintf(path, sizeof(path), "%0900u.x", i);
        world_update(&world, path, "\x01", 1 + i, seq, 1 + i);
    }
    world_update(&world, "gone", NULL, 1000, seq, n + 1); /* a tombstone is no child */
    world_wait(&world, 2);
    world_ask(&world, ":", list, 1);
    world_wait(&world, 1);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_CHILDREN), 2);
    assert_int_equal(world_last(&world, 1, MKV_FRAME_END)->end.n_rows, n);
}

static void test_a_damaged_row_is_left_out(void **state)
{
    struct mkv_frame read = {
        .kind = MKV_FRAME_READ, .id = 1, .read = {.depth_max = 64, .credit = 4}};
    char rows[100];

    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);

    world_update(&world, "a", "\x01", 1, seq, 1);
    world_update(&world, "b", "\x02", 2, seq, 2);
    world_wait(&world, 2);
    mkv_disk_damage(world.disk, MKV_LOG_ROWS, 0);
    world_ask(&world, ":", read, 1);
    world_wait(&world, 1);
    world_collect(&world, 1, 1, ":", rows, sizeof(rows));
    assert_string_equal(rows, "b=02;");
    assert_non_null(strstr(world.logged, "damaged"));
    mkv_disk_damage(world.disk, MKV_LOG_ROWS, 0);
}

/* --- A store that was restored ------------------------------------------------------------ */

/* Alone, it waits for others or for a word, however often it is started; then all is well. */
static void test_a_restored_store_waits(void **state)
{
    struct mkv_disk *backup;
    uint64_t seq;

    (void)state;
    seq = world_login(&world, 1, NULL);
    world_update(&world, "a", "\x01", 1, seq, 1);
    world_wait(&world, 10);
    world_crash(&world);
    assert_int_equal(mkv_disk_snapshot(world.disk, &backup), 0);
    world_start(&world);
    world_wait(&world, 10);
    world_crash(&world);
    assert_int_equal(mkv_disk_restore(world.disk, backup), 0);
    mkv_disk_free(backup);
    for (unsigned i = 0; i < 3; i++) {
        world_start(&world);
        assert_true(world.report.restored);
        world_wait(&world, 60000);
        assert_false(mkv_server_node_ready(world.node));
        world_crash(&world);
    }
    world.accept_restored = true;
    world_start(&world);
    world_wait(&world, 60000);
    assert_true(mkv_server_node_ready(world.node));
    world_crash(&world);
    world.accept_restored = false;
    world_start(&world);
    assert_false(world.report.restored);
    world_wait(&world, 60000);
    assert_true(mkv_server_node_ready(world.node));
}

/* Rows that are lost are no reason to wait. */
static void test_lost_rows_are_accepted(void **state)
{
    uint64_t seq;

    (void)state;
    seq = world_login(&world, 1, NULL);
    world_update(&world, "a", "\x01", 1, seq, 1);
    world_wait(&world, 10);
    world_crash(&world);
    mkv_disk_damage(world.disk, MKV_LOG_ROWS, 0);
    world_start(&world);
    assert_true(world.report.lost);
    world_wait(&world, 60000);
    assert_true(mkv_server_node_ready(world.node));
    world_crash(&world);
    world_start(&world);
    assert_false(world.report.lost);
}

/* --- The server's own rows ---------------------------------------------------------------- */

/* Better not to start than to give out a number twice. */
static void test_rows_of_another_shape(void **state)
{
    static const char *const keys[] = {"tock", "seq", "secret", "s\0abc"};
    static const size_t lens[] = {4, 3, 6, 5};

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct mkv_bytes key = mkv_bytes(keys[i], lens[i]);

        assert_int_equal(mkv_store_meta_put(world.store, key, mkv_bytes_of("short")), 0);
        assert_int_equal(mkv_store_commit(world.store), 0);
        world_crash(&world);
        assert_int_equal(world_boot(&world), MKV_E_CORRUPT);
        assert_int_equal(mkv_store_meta_delete(world.store, key), 0);
        assert_int_equal(mkv_store_commit(world.store), 0);
        world_crash(&world);
        world_start(&world);
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_bad_frame_ends_the_link),
        CASE(test_unknown_kinds_are_answered_if_they_ask),
        CASE(test_what_only_a_server_says_is_not_expected),
        CASE(test_a_clients_error_is_heard),
        CASE(test_mechanisms),
        CASE(test_only_ones_own_session_is_resumed),
        CASE(test_sessions_end_after_a_day),
        CASE(test_births_of_others),
        CASE(test_updates_of_other_servers_clients),
        CASE(test_a_late_repeat_is_acknowledged),
        CASE(test_nothing_is_stamped_that_is_not_remembered),
        CASE(test_a_batch_ends_when_it_is_large),
        CASE(test_voids_wait_for_the_disk),
        CASE(test_credit_has_no_end),
        CASE(test_paths_that_are_none),
        CASE(test_children_of_long_names_fill_pages),
        CASE(test_a_damaged_row_is_left_out),
        CASE(test_a_restored_store_waits),
        CASE(test_lost_rows_are_accepted),
        CASE(test_rows_of_another_shape),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
