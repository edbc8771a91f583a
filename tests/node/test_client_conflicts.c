/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "core/order.h"
#include "lib/check.h"
#include "lib/mem_fault.h"
#include "peer.h"
#include "wire/path.h"

/*
 * What a client is told of conflicts: by request, by following, and as the writer that lost.
 */
#define ID 77U

static struct peer peer;

static int setup(void **state)
{
    (void)state;
    peer_init(&peer);
    peer_open(&peer);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    peer_deinit(&peer);
    return 0;
}

static int order(uint64_t id, const char *path, uint32_t flags)
{
    struct mkv_buf key;
    struct mkv_client_order order = {.kind = MKV_CLIENT_CONFLICTS, .id = id, .flags = flags};

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    assert_int_equal(mkv_path_from_dotted(mkv_bytes_of(path), &key), 0);
    order.key = mkv_buf_bytes(&key);

    int error = mkv_client_node_order(&peer.node, peer.now_ms, &order);

    mkv_buf_deinit(&key);
    peer_listen(&peer);
    return error;
}

static struct mkv_conflict_row row_of(uint64_t id, const char *path, uint64_t more)
{
    return (struct mkv_conflict_row){
        .id = id,
        .path = mkv_bytes_of(path),
        .when = 100,
        .more = more,
        .loser = {.has_tock = true,
                  .present = true,
                  .tock = id,
                  .value = mkv_bytes_of("\x07"),
                  .ticks = {.n = 1, .at = {{mkv_bytes_of("a"), 1, 1}}}},
        .winner = {.has_tock = true,
                   .present = true,
                   .tock = id + 1,
                   .ticks = {.n = 1, .at = {{mkv_bytes_of("b"), 1, 1}}}},
    };
}

static void send_rows(const struct mkv_conflict_row *rows, unsigned n)
{
    struct mkv_frame frame = {.kind = MKV_FRAME_LOST,
                              .id = peer_last(&peer, MKV_FRAME_CONFLICTS)->id};
    struct mkv_cbor_writer w;
    struct mkv_buf list;

    mkv_buf_init(&list, 4096);
    mkv_cbor_writer_init(&w, &list);
    mkv_cbor_write_array(&w, n);
    for (unsigned i = 0; i < n; i++) {
        mkv_conflict_row_write(&w, &rows[i]);
    }
    assert_int_equal(w.error, 0);
    frame.lost = mkv_buf_bytes(&list);
    peer_send(&peer, &frame);
    mkv_buf_deinit(&list);
}

static void send_row(uint64_t id, const char *path, uint64_t more)
{
    struct mkv_conflict_row row = row_of(id, path, more);

    send_rows(&row, 1);
}

static void send_end(void)
{
    struct mkv_frame frame = {.kind = MKV_FRAME_END,
                              .id = peer_last(&peer, MKV_FRAME_CONFLICTS)->id};

    peer_send(&peer, &frame);
}

static void come_back(void)
{
    peer_lose_link(&peer);
    peer_wait(&peer, 1000);
    peer_open(&peer);
    peer_wait(&peer, 0);
}

/* --- Asking ------------------------------------------------------------------------------------- */

static void test_all_of_them_are_told(void **state)
{
    struct mkv_conflict_row rows[2] = {row_of(5, "\x81\x61\x61", 0),
                                       row_of(6, "\x82\x61\x61\x02", 9)};

    (void)state;
    rows[1].class_ = 1;
    rows[1].loser.present = false;
    assert_int_equal(order(ID, "a", 0), 0);
    assert_true(mkv_bytes_equal(peer_last(&peer, MKV_FRAME_CONFLICTS)->conflicts.path,
                                mkv_bytes_of("\x81\x61\x61")));
    assert_int_equal(peer_last(&peer, MKV_FRAME_CONFLICTS)->conflicts.flags, 0);
    send_rows(rows, 2);
    assert_int_equal(peer_count_frames(&peer, MKV_FRAME_CREDIT), 1);
    assert_int_equal(peer_count(&peer, MKV_CLIENT_LOST), 2);

    const struct mkv_client_output *first = peer_nth(&peer, MKV_CLIENT_LOST, 0);
    const struct mkv_client_output *second = peer_nth(&peer, MKV_CLIENT_LOST, 1);

    assert_int_equal(first->id, ID);
    assert_int_equal(first->conflict.id, 5);
    assert_int_equal(first->conflict.when, 100);
    assert_int_equal(first->conflict.more, 0);
    assert_int_equal(first->conflict.class_, 0);
    assert_true(mkv_bytes_equal(first->entry->value, mkv_bytes_of("\x07")));
    assert_true(mkv_bytes_equal(first->winner->value, mkv_bytes_of("\xf6")));
    assert_int_equal(first->winner->tock, 6);
    assert_int_equal(second->conflict.more, 9);
    assert_int_equal(second->conflict.class_, 1);
    assert_false(second->entry->present);
    assert_int_equal(second->key.len, first->key.len + 2);
    assert_int_equal(peer_status(&peer, ID), 1);
    send_end();
    assert_int_equal(peer_status(&peer, ID), 0);
}

/* Begun anew over another link, and nothing is told twice. */
static void test_a_break_is_not_noticed(void **state)
{
    (void)state;
    assert_int_equal(order(ID, ":", 0), 0);
    send_row(5, "\x81\x61\x61", 0);
    come_back();
    assert_int_equal(peer_count_frames(&peer, MKV_FRAME_CONFLICTS), 2);
    send_row(5, "\x81\x61\x61", 0);
    send_row(6, "\x81\x61\x61", 0);
    send_end();
    assert_int_equal(peer_count(&peer, MKV_CLIENT_LOST), 2);
    assert_int_equal(peer_status(&peer, ID), 0);
}

static void test_what_was_not_asked_for_is_left_out(void **state)
{
    (void)state;
    assert_int_equal(order(ID, "a", 0), 0);
    send_row(5, "\x81\x61\x62", 0);
    send_row(6, "\x81\x61\x61", 0);
    send_rows(NULL, 0); /* means something only to those who follow */
    assert_int_equal(peer_count(&peer, MKV_CLIENT_LOST), 1);
    assert_int_equal(peer_nth(&peer, MKV_CLIENT_LOST, 0)->conflict.id, 6);
}

/* --- Following ---------------------------------------------------------------------------------- */

static void test_a_follower_is_told_once(void **state)
{
    (void)state;
    assert_int_equal(order(ID, ":", MKV_CONFLICTS_FOLLOW), 0);
    assert_int_equal(peer_last(&peer, MKV_FRAME_CONFLICTS)->conflicts.flags, MKV_CONFLICTS_FOLLOW);
    send_row(5, "\x81\x61\x61", 0);
    send_rows(NULL, 0);
    assert_int_equal(peer_count(&peer, MKV_CLIENT_LOST), 2);
    assert_null(peer_nth(&peer, MKV_CLIENT_LOST, 1)->entry);
    send_row(6, "\x81\x61\x61", 0);
    assert_int_equal(peer_count(&peer, MKV_CLIENT_LOST), 3);
    send_row(6, "\x81\x61\x61", 0); /* no news */
    assert_int_equal(peer_count(&peer, MKV_CLIENT_LOST), 3);
    send_row(6, "\x81\x61\x61", 4);
    assert_int_equal(peer_count(&peer, MKV_CLIENT_LOST), 4);

    come_back();
    send_row(5, "\x81\x61\x61", 0);
    send_row(6, "\x81\x61\x61", 4);
    send_row(7, "\x81\x61\x61", 0);
    send_rows(NULL, 0);
    assert_int_equal(peer_count(&peer, MKV_CLIENT_LOST), 6);
    assert_int_equal(peer_nth(&peer, MKV_CLIENT_LOST, 4)->conflict.id, 7);
    assert_null(peer_nth(&peer, MKV_CLIENT_LOST, 5)->entry);
    assert_int_equal(peer_status(&peer, ID), 1);

    assert_int_equal(mkv_client_node_cancel(&peer.node, peer.now_ms, ID), 0);
    peer_listen(&peer);
    assert_int_equal(peer_status(&peer, ID), MKV_E_CANCELLED);
    assert_int_equal(peer_count_frames(&peer, MKV_FRAME_CANCEL), 1);
}

/* Those that go on for ever must not take all the room of others. */
static void test_four_may_be_followed(void **state)
{
    (void)state;
    for (uint64_t id = 1; id <= MKV_CLIENT_FOLLOWS_MAX; id++) {
        assert_int_equal(order(id, ":", MKV_CONFLICTS_FOLLOW), 0);
    }
    assert_int_equal(order(90, ":", MKV_CONFLICTS_FOLLOW), MKV_E_TOO_MANY);
    assert_int_equal(order(91, ":", 0), 0);
    assert_int_equal(mkv_client_node_cancel(&peer.node, peer.now_ms, 2), 0);
    assert_int_equal(order(92, ":", MKV_CONFLICTS_FOLLOW), 0);
}

static void test_answers_that_do_not_fit(void **state)
{
    struct mkv_frame frame = {.kind = MKV_FRAME_PONG};
    unsigned n = 0;

    /* The end of what has none. */
    assert_int_equal(order(ID, ":", MKV_CONFLICTS_FOLLOW), 0);
    send_end();
    assert_int_equal(peer_count(&peer, MKV_CLIENT_LINK_CLOSE), ++n);
    /* No path. */
    come_back();
    send_row(5, "\x81\x80", 0);
    assert_int_equal(peer_count(&peer, MKV_CLIENT_LINK_CLOSE), ++n);
    /* Something else. */
    come_back();
    frame.id = peer_last(&peer, MKV_FRAME_CONFLICTS)->id;
    peer_send(&peer, &frame);
    assert_int_equal(peer_count(&peer, MKV_CLIENT_LINK_CLOSE), ++n);
    assert_int_equal(peer_status(&peer, ID), 1); /* it goes on asking */

    /* A conflict for one who has not asked. */
    (void)teardown(state);
    (void)setup(state);
    struct mkv_client_order status = {.kind = MKV_CLIENT_STATUS, .id = ID};

    assert_int_equal(mkv_client_node_order(&peer.node, peer.now_ms, &status), 0);
    peer_listen(&peer);
    frame = (struct mkv_frame){.kind = MKV_FRAME_LOST,
                               .id = peer_last(&peer, MKV_FRAME_STATUS)->id,
                               .lost = mkv_bytes_of("\x80")};
    peer_send(&peer, &frame);
    assert_int_equal(peer_count(&peer, MKV_CLIENT_LINK_CLOSE), 1);
}

static void test_a_server_that_knows_no_conflicts(void **state)
{
    struct mkv_frame frame = {.kind = MKV_FRAME_ERROR, .error = {.code = MKV_E_UNKNOWN_REQUEST}};

    (void)state;
    assert_int_equal(order(ID, ":", MKV_CONFLICTS_FOLLOW), 0);
    frame.id = peer_last(&peer, MKV_FRAME_CONFLICTS)->id;
    peer_send(&peer, &frame);
    assert_int_equal(peer_status(&peer, ID), MKV_E_UNKNOWN_REQUEST);
}

/* --- As the writer ------------------------------------------------------------------------------ */

static void tell_writer(uint64_t tock, uint64_t more)
{
    struct mkv_conflict_row row = row_of(tock, "\x81\x61\x61", 0);
    struct mkv_frame frame = {
        .kind = MKV_FRAME_CONFLICT,
        .conflict = {.path = row.path, .loser = row.loser, .winner = row.winner, .more = more}};

    frame.conflict.winner.value = mkv_bytes_of("\x08");
    peer_send(&peer, &frame);
}

static unsigned n_conflicts(void)
{
    unsigned n = 0;
    const struct mkv_client_output *notice;

    for (unsigned i = 0; (notice = peer_nth(&peer, MKV_CLIENT_NOTICE, i)) != NULL; i++) {
        n += notice->notice == MKV_CLIENT_CONFLICT;
    }
    return n;
}

/* When the session is resumed, the server tells again of what may not have been heard. */
static void test_the_writer_is_told_once(void **state)
{
    (void)state;
    tell_writer(5, 0);
    assert_int_equal(n_conflicts(), 1);
    come_back();
    tell_writer(5, 0);
    assert_int_equal(n_conflicts(), 1);
    tell_writer(6, 3);
    assert_int_equal(n_conflicts(), 2);
    for (unsigned i = 0;; i++) {
        const struct mkv_client_output *notice = peer_nth(&peer, MKV_CLIENT_NOTICE, i);

        assert_non_null(notice);
        if (notice->notice == MKV_CLIENT_CONFLICT && notice->entry->tock == 6) {
            assert_int_equal(notice->n, 3);
            break;
        }
    }
}

/* --- Without memory ----------------------------------------------------------------------------- */

/* The operation ends with NO_MEMORY, or the link is begun anew, and then all is told. */
static bool strike(unsigned n)
{
    size_t live = mem_fault_live();

    peer_init(&peer);
    peer_open(&peer);
    assert_int_equal(order(ID, ":", MKV_CONFLICTS_FOLLOW), 0);
    send_row(5, "\x81\x61\x61", 0);

    struct mkv_conflict_row rows[2] = {row_of(5, "\x81\x61\x61", 1), row_of(6, "\x81\x61\x62", 0)};

    for (unsigned again = 0; again < 2; again++) {
        struct mkv_frame frame = {.kind = MKV_FRAME_LOST,
                                  .id = peer_last(&peer, MKV_FRAME_CONFLICTS)->id};
        struct mkv_cbor_writer w;
        struct mkv_buf list;
        struct mkv_buf bytes;

        mkv_buf_init(&list, 4096);
        mkv_buf_init(&bytes, 4096);
        mkv_cbor_writer_init(&w, &list);
        mkv_cbor_write_array(&w, 2);
        mkv_conflict_row_write(&w, &rows[0]);
        mkv_conflict_row_write(&w, &rows[1]);
        frame.lost = mkv_buf_bytes(&list);
        assert_int_equal(mkv_frame_encode(&frame, &bytes), 0);
        mem_fault_at(again == 0 ? n : 0);
        mkv_client_node_link_frame(&peer.node, peer.now_ms, mkv_bytes(bytes.at + 4, bytes.len - 4));
        n = again == 0 && !mem_fault_struck() ? 0 : n;
        mem_fault_at(0);
        mkv_buf_deinit(&bytes);
        mkv_buf_deinit(&list);
        peer_listen(&peer);
        if (peer_status(&peer, ID) != 1) {
            break;
        }
        if (peer_count(&peer, MKV_CLIENT_LINK_CLOSE) > 0) {
            come_back();
        }
    }
    assert_true(peer_status(&peer, ID) == 1 || peer_status(&peer, ID) == MKV_E_NO_MEMORY);
    if (peer_status(&peer, ID) == 1) {
        assert_int_equal(peer_count(&peer, MKV_CLIENT_LOST), 3);
    }
    peer_deinit(&peer);
    assert_int_equal(mem_fault_live(), live);
    return n > 0;
}

static void test_without_memory(void **state)
{
    unsigned n = 1;

    (void)teardown(state);
    while (strike(n)) {
        n++;
    }
    assert_true(n > 5);
    (void)setup(state);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_all_of_them_are_told),
        CASE(test_a_break_is_not_noticed),
        CASE(test_what_was_not_asked_for_is_left_out),
        CASE(test_a_follower_is_told_once),
        CASE(test_four_may_be_followed),
        CASE(test_answers_that_do_not_fit),
        CASE(test_a_server_that_knows_no_conflicts),
        CASE(test_the_writer_is_told_once),
        CASE(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
