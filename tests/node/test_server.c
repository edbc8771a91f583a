/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server as a whole, bytes in and bytes out, on a disk in memory and in virtual time.
 */
#include <stdio.h>
#include <string.h>

#include "core/merge.h"
#include "harness.h"
#include "lib/check.h"
#include "lib/prng.h"
#include "wire/child.h"
#include "wire/path.h"

static struct world world;

static int setup(void **state)
{
    (void)state;
    world.now = (struct mkv_now){.ms = 1000};
    world_start(&world);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_free(&world);
    return 0;
}

static uint64_t acked(uint64_t link)
{
    const struct mkv_frame *ack = world_last(&world, link, MKV_FRAME_ACK);

    return ack == NULL ? 0 : ack->ack.counter;
}

static struct mkv_buf key_of(const char *path)
{
    struct mkv_buf key;

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    assert_int_equal(mkv_path_from_dotted(mkv_bytes_of(path), &key), 0);
    return key;
}

/* The value stored at @path as text, "" for a tombstone, NULL if there is nothing. */
static const char *held(const char *path)
{
    static char text[256];
    struct mkv_buf key = key_of(path);
    struct mkv_tree_entry entry;
    struct mkv_bytes row_key;
    struct mkv_update update;
    bool found = mkv_tree_find(mkv_store_tree(world.store), mkv_buf_bytes(&key), &entry);

    mkv_buf_deinit(&key);
    if (!found) {
        return NULL;
    }
    assert_int_equal(mkv_store_row(world.store, entry.position, &row_key, &update), 0);
    assert_true(update.value.len < sizeof(text));
    memcpy(text, update.value.at == NULL ? (const uint8_t *)"" : update.value.at, update.value.len);
    text[update.value.len] = '\0';
    return text;
}

/* --- Opening ------------------------------------------------------------------------------ */

static void test_session_is_given(void **state)
{
    (void)state;
    uint64_t first = world_login(&world, 1, NULL);
    uint64_t second = world_login(&world, 2, NULL);
    const struct mkv_frame *session = world_last(&world, 1, MKV_FRAME_SESSION);

    assert_true(first > 0);
    assert_int_not_equal(first, second);
    assert_true(mkv_bytes_equal(session->session.name, mkv_bytes_of("srv")));
    assert_int_equal(session->session.acked, 0);
    assert_false(session->session.clock);
}

static void test_no_common_version(void **state)
{
    struct mkv_frame hello = {.kind = MKV_FRAME_HELLO,
                              .hello = {.versions = {2, 9}, .software = mkv_bytes_of("t")}};

    (void)state;
    mkv_server_node_link_opened(world.node, world.now, 1, MKV_PEER_SAME_USER);
    world_send(&world, 1, &hello);

    const struct mkv_frame *error = world_last(&world, 1, MKV_FRAME_ERROR);

    assert_non_null(error);
    assert_int_equal(error->error.code, MKV_E_NO_VERSION);
    assert_non_null(memmem(error->error.text.at, error->error.text.len, "2 to 9", 6));
    assert_non_null(memmem(error->error.text.at, error->error.text.len, "1 to 1", 6));
    assert_int_equal(world.closed[0], 1);
}

static void test_strangers_do_not_get_in(void **state)
{
    struct mkv_frame hello = {.kind = MKV_FRAME_HELLO,
                              .hello = {.versions = {1, 1}, .software = mkv_bytes_of("t")}};
    struct mkv_frame auth = {.kind = MKV_FRAME_AUTH};
    static const char *const mechanisms[] = {"EXTERNAL", "ANONYMOUS", "PLAIN", ""};
    static const enum mkv_peer_kind peers[] = {MKV_PEER_OTHER_USER, MKV_PEER_REMOTE};
    uint64_t link = 0;

    (void)state;
    for (unsigned p = 0; p < 2; p++) {
        for (unsigned m = 0; m < 4; m++) {
            mkv_server_node_link_opened(world.node, world.now, ++link, peers[p]);
            auth.auth.mechanism = mkv_bytes_of(mechanisms[m]);
            world_send(&world, link, &hello);
            world_send(&world, link, &auth);
            assert_null(world_last(&world, link, MKV_FRAME_SESSION));
            assert_int_equal(world_last(&world, link, MKV_FRAME_ERROR)->error.code,
                             MKV_E_NOT_AUTHORISED);
        }
    }
}

static void test_nothing_before_login(void **state)
{
    struct mkv_frame ping = {.kind = MKV_FRAME_PING, .id = 1};

    (void)state;
    mkv_server_node_link_opened(world.node, world.now, 1, MKV_PEER_SAME_USER);
    world_send(&world, 1, &ping);
    assert_int_equal(world_last(&world, 1, MKV_FRAME_ERROR)->error.code, MKV_E_UNEXPECTED);
    assert_int_equal(world.n_closed, 1);
}

static void test_silence_ends_a_link(void **state)
{
    struct mkv_frame ping = {.kind = MKV_FRAME_PING, .id = 1};

    (void)state;
    mkv_server_node_link_opened(world.node, world.now, 1, MKV_PEER_SAME_USER);
    (void)world_login(&world, 2, NULL);
    world_wait(&world, 9000);
    assert_int_equal(world.n_closed, 0);
    world_wait(&world, 1500);
    assert_int_equal(world.n_closed, 1); /* did not log in */
    for (unsigned i = 0; i < 5; i++) {
        world_send(&world, 2, &ping);
        world_wait(&world, 25000);
    }
    assert_int_equal(world.n_closed, 1);
    assert_int_equal(world_count(&world, 2, MKV_FRAME_PONG), 5);
    world_wait(&world, 5001);
    assert_int_equal(world.n_closed, 2);
}

static void test_birth_is_acknowledged(void **state)
{
    struct mkv_birth birth = {.name = mkv_bytes_of("srv")};
    struct mkv_buf buf;

    (void)state;
    birth.seq = world_login(&world, 1, NULL);
    mkv_buf_init(&buf, 1000);
    assert_int_equal(mkv_birth_encode(&birth, &buf), 0);
    world_message(&world, "moat/main/svc/birth", mkv_buf_bytes(&buf));
    assert_int_equal(world_count(&world, 1, MKV_FRAME_BIRTH), 1);
    mkv_buf_deinit(&buf);
}

static void test_query_is_answered(void **state)
{
    struct mkv_query query = {.id = mkv_bytes_of("12345678"), .versions = {1, 1}};
    struct mkv_server_reply reply;
    struct mkv_buf buf;

    (void)state;
    mkv_buf_init(&buf, 1000);
    assert_int_equal(mkv_query_encode(&query, &buf), 0);
    world_message(&world, "moat/main/svc/query", mkv_buf_bytes(&buf));
    assert_int_equal(world.n_published, 1);
    assert_true(mkv_bytes_equal(mkv_buf_bytes(&world.topic), mkv_bytes_of("moat/main/svc/server")));
    assert_int_equal(mkv_server_reply_decode(mkv_buf_bytes(&world.published), &reply), 0);
    assert_true(mkv_bytes_equal(reply.id, query.id));
    assert_true(mkv_bytes_equal(reply.addresses.at[0], mkv_bytes_of("unix:/run/x")));
    mkv_buf_deinit(&buf);
}

/* --- Writing ------------------------------------------------------------------------------ */

static void test_ack_follows_commit(void **state)
{
    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);

    world_update(&world, "a.b", "\x01", 1, seq, 1);
    assert_int_equal(acked(1), 0); /* the window is open: not on disk yet */
    world_wait(&world, 2);
    assert_int_equal(acked(1), 1);
    world_crash(&world);
    world_start(&world);
    assert_string_equal(held("a.b"), "\x01");
}

static void test_what_was_not_committed_was_not_acknowledged(void **state)
{
    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);

    world_update(&world, "a.b", "\x01", 1, seq, 1);
    world_crash(&world);
    world_start(&world);
    assert_null(held("a.b"));
    assert_int_equal(acked(1), 0);
}

static void test_gap_is_asked_for_and_filled(void **state)
{
    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);

    world_update(&world, "a", "\x01", 1, seq, 1);
    world_update(&world, "d", "\x04", 4, seq, 4);
    world_wait(&world, 199);
    assert_int_equal(acked(1), 1);
    assert_null(world_last(&world, 1, MKV_FRAME_REPEAT));
    world_wait(&world, 2);

    const struct mkv_frame *repeat = world_last(&world, 1, MKV_FRAME_REPEAT);

    assert_non_null(repeat);
    assert_int_equal(repeat->range.first, 2);
    assert_int_equal(repeat->range.last, 3);
    world_update(&world, "c", "\x03", 3, seq, 3);
    world_update(&world, "b", "\x02", 2, seq, 2);
    world_wait(&world, 2);
    assert_int_equal(acked(1), 4);
    world_forget(&world);
    world_wait(&world, 10000);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_REPEAT), 0);
}

static void test_void_closes_a_gap(void **state)
{
    struct mkv_frame gone = {.kind = MKV_FRAME_VOID, .range = {1, 2}};

    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);

    world_update(&world, "c", "\x03", 3, seq, 3);
    world_wait(&world, 300);
    world_send(&world, 1, &gone);
    world_wait(&world, 2);
    assert_int_equal(acked(1), 3);
    world_update(&world, "b", "\x02", 2, seq, 2); /* arrives after all: still merged */
    world_wait(&world, 2);
    assert_string_equal(held("b"), "\x02");
}

static void test_dead_client_leaves_a_void(void **state)
{
    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);
    struct mkv_frame status = {.kind = MKV_FRAME_STATUS, .id = 1};

    world_update(&world, "c", "\x03", 3, seq, 3);
    world_wait(&world, 2);
    mkv_server_node_link_closed(world.node, world.now, 1);
    world_wait(&world, 31000);
    (void)world_login(&world, 2, NULL);
    world_send(&world, 2, &status);

    const struct mkv_frame *report = world_last(&world, 2, MKV_FRAME_REPORT);

    assert_non_null(memmem(report->report.at, report->report.len, "\x65voids\x02", 7));
}

static void test_session_is_resumed_after_crash(void **state)
{
    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);
    uint8_t token[64];
    struct mkv_frame resume = *world_last(&world, 1, MKV_FRAME_SESSION);

    memcpy(token, resume.session.token.at, resume.session.token.len);
    resume.session.token.at = token;
    resume.session.name = mkv_bytes_of("srv");
    world_update(&world, "a", "\x01", 1, seq, 1);
    world_update(&world, "c", "\x03", 3, seq, 3);
    world_wait(&world, 2);
    world_crash(&world);
    world_forget(&world);
    world_start(&world);
    assert_int_equal(world_login(&world, 1, &resume), seq);
    assert_int_equal(world_last(&world, 1, MKV_FRAME_SESSION)->session.acked, 1);
    world_wait(&world, 250);
    assert_int_equal(world_last(&world, 1, MKV_FRAME_REPEAT)->range.first, 2);

    /* With a wrong token it is somebody else: a session of its own. */
    token[0] ^= 1;
    assert_int_not_equal(world_login(&world, 2, &resume), seq);
}

static void test_resuming_takes_over_from_a_dead_link(void **state)
{
    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);
    struct mkv_frame resume = *world_last(&world, 1, MKV_FRAME_SESSION);

    assert_int_equal(world_login(&world, 2, &resume), seq);
    assert_int_equal(world.closed[0], 1);
    world_update(&world, "a", "\x01", 1, seq, 1);
    world_wait(&world, 2);
    assert_int_equal(acked(2), 1);
    assert_int_equal(acked(1), 0);
}

static void test_missing_tock_is_stamped_once(void **state)
{
    struct mkv_update stamped;

    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);

    world_update(&world, "a", "\x01", 0, seq, 1);
    world_wait(&world, 2);
    assert_int_equal(world.n_published, 1);
    assert_int_equal(mkv_update_decode(mkv_buf_bytes(&world.published), &stamped), 0);
    assert_true(stamped.has_tock);
    assert_int_equal(stamped.ticks.at[0].counter, 1);
    assert_int_equal(acked(1), 1);

    world_update(&world, "a", "\x02", stamped.tock + 1, seq, 2); /* newer */
    world_update(&world, "a", "\x01", 0, seq, 1);                /* a repeat of the first */
    world_wait(&world, 2);
    assert_int_equal(world.n_published, 1);
    assert_string_equal(held("a"), "\x02");

    /* A repeat that comes when the session is long closed must not be stamped either. */
    struct mkv_frame bye = {.kind = MKV_FRAME_BYE, .bye_counter = 2};

    world_send(&world, 1, &bye);
    world_update(&world, "a", "\x01", 0, seq, 1);
    world_wait(&world, 2);
    assert_int_equal(world.n_published, 1);
    assert_string_equal(held("a"), "\x02");
}

static void test_hopeless_tocks_are_refused_with_a_reason(void **state)
{
    (void)state;
    world.now.wall_ms = UINT64_C(200000000000);

    uint64_t wall = world.now.wall_ms << 12;
    uint64_t seq = world_login(&world, 1, NULL);

    world_update(&world, "a", "\x01", wall + (UINT64_C(1) << 34), seq, 1);
    world_wait(&world, 2);
    assert_int_equal(world_last(&world, 1, MKV_FRAME_NACK)->nack.code, MKV_E_FUTURE);
    world_update(&world, "a", "\x01", 5, seq, 2);
    world_wait(&world, 2);
    assert_int_equal(world_last(&world, 1, MKV_FRAME_NACK)->nack.code, MKV_E_STALE);
    assert_int_equal(world_last(&world, 1, MKV_FRAME_NACK)->nack.counter, 2);
    assert_null(held("a"));
    world_update(&world, "a", "\x01", wall, seq, 3);
    world_wait(&world, 2);
    assert_int_equal(acked(1), 3); /* refused ones count as dealt with */
    assert_string_equal(held("a"), "\x01");
}

static void test_bad_messages_change_nothing(void **state)
{
    static const char *const topics[] = {"moat/main/d/:.a",
                                         "moat/main/d/a/",
                                         "moat/main/dx",
                                         "moat/main/d/:n",
                                         "moat/main/svc/query",
                                         "moat/main/svc/birth",
                                         "moat/main/svc/nonsense",
                                         "other",
                                         "",
                                         "moat/main/d/a"};

    (void)state;
    (void)world_login(&world, 1, NULL);

    uint64_t position = mkv_store_place(world.store).position;

    for (unsigned i = 0; i < sizeof(topics) / sizeof(topics[0]); i++) {
        world_message(&world, topics[i], mkv_bytes_of("\xa1\x01\x01"));
        world_message(&world, topics[i], mkv_bytes(NULL, 0));
    }
    mkv_server_node_message(
        world.node, world.now, mkv_bytes_of("moat/main/d/a"),
        mkv_bytes("\xa3\x00\x01\x01\x62\x6f\x6e\x02\x81\x83\x63\x73\x72\x76\x07\x01", 16), true);
    world_wait(&world, 10);
    assert_int_equal(mkv_store_place(world.store).position, position);
    assert_int_equal(world.n_closed, 0);
}

static void test_own_path_too_long_is_told(void **state)
{
    char path[2100];
    char topic[2200];
    struct mkv_buf payload;

    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);
    struct mkv_update update = {
        .has_tock = true, .tock = 1, .ticks = {.n = 1, .at = {{mkv_bytes_of("srv"), seq, 1}}}};

    memset(path, 'x', sizeof(path));
    (void)snprintf(topic, sizeof(topic), "moat/main/d/%.*s", 1030, path);
    mkv_buf_init(&payload, 1000);
    assert_int_equal(mkv_update_encode(&update, &payload), 0);
    world_message(&world, topic, mkv_buf_bytes(&payload));
    world_wait(&world, 2);
    assert_int_equal(world_last(&world, 1, MKV_FRAME_NACK)->nack.code, MKV_E_PATH_TOO_LONG);
    mkv_buf_deinit(&payload);
}

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
        assert_string_equal(held(path), "\x04"); /* equal tocks: the greater seq wins */
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
    assert_int_equal(acked(1), 2);
    assert_string_equal(held("a"), "\x02");

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

/* --- Reading ------------------------------------------------------------------------------ */

static void send_path(const char *path, struct mkv_frame frame, uint64_t link)
{
    struct mkv_buf key = key_of(path);
    struct mkv_buf raw;
    struct mkv_cbor_writer w;

    mkv_buf_init(&raw, 8192);
    mkv_cbor_writer_init(&w, &raw);
    mkv_path_to_cbor(mkv_buf_bytes(&key), &w);
    assert_int_equal(w.error, 0);
    if (frame.kind == MKV_FRAME_READ) {
        frame.read.path = mkv_buf_bytes(&raw);
    } else {
        frame.path.path = mkv_buf_bytes(&raw);
    }
    world_send(&world, link, &frame);
    mkv_buf_deinit(&raw);
    mkv_buf_deinit(&key);
}

/* Collects all rows of request @id as "path=value;" with a value's first byte in hex. */
static void collect(uint64_t link, uint64_t id, const char *start, char *out, size_t size)
{
    struct mkv_buf key = key_of(start);
    struct mkv_row_reader reader;
    struct mkv_update entry;
    struct mkv_buf text;

    out[0] = '\0';
    mkv_buf_init(&text, 4096);
    assert_int_equal(mkv_row_reader_init(&reader, mkv_buf_bytes(&key)), 0);
    for (unsigned i = 0; i < world.n_heard; i++) {
        const struct mkv_frame *frame = &world.heard[i].frame;

        if (world.heard[i].link != link || frame->kind != MKV_FRAME_DATA || frame->id != id) {
            continue;
        }
        assert_int_equal(mkv_row_reader_page(&reader, frame->rows), 0);
        while (mkv_row_reader_next(&reader, &entry)) {
            size_t len = strlen(out);

            mkv_buf_clear(&text);
            assert_int_equal(mkv_path_to_dotted(mkv_buf_bytes(&reader.key), &text), 0);
            (void)snprintf(out + len, size - len, "%.*s=%s%02x;", (int)text.len,
                           (const char *)text.at, entry.present ? "" : "-",
                           entry.present ? entry.value.at[0] : 0U);
        }
        assert_int_equal(reader.cbor.error, 0);
    }
    mkv_row_reader_deinit(&reader);
    mkv_buf_deinit(&text);
    mkv_buf_deinit(&key);
}

static void fill(uint64_t seq)
{
    world_update(&world, "a", "\x01", 1, seq, 1);
    world_update(&world, "a.b", "\x02", 2, seq, 2);
    world_update(&world, "a.b.c", "\x03", 3, seq, 3);
    world_update(&world, "a:2", "\x04", 4, seq, 4);
    world_update(&world, "ab", "\x05", 5, seq, 5);
    world_update(&world, "a.gone", "\x06", 6, seq, 6);
    world_update(&world, "a.gone", NULL, 7, seq, 7);
    world_wait(&world, 2);
}

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

    fill(seq);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mkv_frame read = {.kind = MKV_FRAME_READ,
                                 .id = i + 1,
                                 .read = {.depth_min = cases[i].depth_min,
                                          .depth_max = cases[i].depth_max,
                                          .flags = cases[i].flags,
                                          .credit = 4}};

        send_path(cases[i].path, read, 1);
        world_wait(&world, 1);
        collect(1, i + 1, cases[i].path, rows, sizeof(rows));
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

    fill(seq);
    send_path(":", read, 1);
    world_wait(&world, 1);
    read.read.has_since = true;
    read.read.since = world_last(&world, 1, MKV_FRAME_END)->end.place;

    world_update(&world, "ab", NULL, 8, seq, 8);
    world_update(&world, "a.b", "\x09", 9, seq, 9);
    world_update(&world, "a.b", "\x0a", 10, seq, 10);
    world_wait(&world, 2);
    read.id = 2;
    send_path(":", read, 1);
    world_wait(&world, 1);
    collect(1, 2, ":", rows, sizeof(rows));
    assert_string_equal(rows, "ab=-00;a.b=0a;");

    /* Only the subtree; and from the same place after a restart, too. */
    world_crash(&world);
    world_start(&world);
    (void)world_login(&world, 2, NULL);
    read.id = 3;
    send_path("a", read, 2);
    world_wait(&world, 1);
    collect(2, 3, "a", rows, sizeof(rows));
    assert_string_equal(rows, "a.b=0a;");

    /* Another store's place is refused. */
    read.id = 4;
    read.read.since.nonce ^= 1;
    send_path("a", read, 2);
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
    send_path(":", read, 1);
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
    send_path(":", read, 1);
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
        send_path(":", read, 1);
    }
    world_wait(&world, 5);
    assert_null(world_last(&world, 1, MKV_FRAME_ERROR));
    send_path(":", read, 1);
    assert_int_equal(world_last(&world, 1, MKV_FRAME_ERROR)->error.code, MKV_E_BUSY);
    assert_int_equal(world_last(&world, 1, MKV_FRAME_ERROR)->id, MKV_REQUESTS_MAX + 1);
    read.id = 3; /* in use */
    send_path(":", read, 1);
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

    fill(seq);
    send_path("a", list, 1);
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

    send_path("a", check, 1);
    assert_int_equal(world_last(&world, 1, MKV_FRAME_DIGEST)->digest.count, 5);
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
    told = acked(1);
    if (mkv_server_node_error(world.node) == 0) { /* it recovers by itself, and says so */
        world_wait(&world, 5000);
        (void)world_login(&world, 2, NULL);
        assert_null(world_last(&world, 2, MKV_FRAME_STATE));
    }
    world_crash(&world);
    world_start(&world);
    if (told >= 1) {
        assert_non_null(held("a"));
    }
    if (told >= 3) {
        assert_string_equal(held("a"), "\x01");
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

    fill(seq);
    mkv_disk_resize(world.disk, 1);
    world_update(&world, "new", "\x09", 20, seq, 8);
    world_wait(&world, 2);
    assert_int_equal(acked(1), 7);
    assert_int_equal(world_last(&world, 1, MKV_FRAME_ERROR)->error.code, MKV_E_MAP_FULL);
    mkv_server_node_link_closed(world.node, world.now, 1);

    /* New links are served, told, and get no acknowledgement. */
    assert_int_equal(world_login(&world, 2, &resume), seq);
    assert_int_equal(world_last(&world, 2, MKV_FRAME_STATE)->state.code, MKV_E_MAP_FULL);
    (void)world_login(&world, 3, NULL);
    world_update(&world, "new", "\x09", 20, seq, 8);
    world_wait(&world, 5000);
    assert_int_equal(acked(2), 0);
    assert_int_equal(world.n_closed, 1);
    send_path(":", read, 3);
    world_wait(&world, 1);
    collect(3, 1, ":", rows, sizeof(rows));
    assert_string_equal(rows, "a=01;a:2=04;a.b=02;a.b.c=03;ab=05;");

    /* There is room again: it says so, and takes the repeat. */
    mkv_disk_resize(world.disk, 0);
    world_wait(&world, 1100);
    assert_int_equal(world_last(&world, 2, MKV_FRAME_STATE)->state.code, 0);
    world_update(&world, "new", "\x09", 20, seq, 8);
    world_wait(&world, 2);
    assert_int_equal(acked(2), 8);
    assert_string_equal(held("new"), "\x09");
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

        assert_string_equal(held(paths[p]), best.present ? value : "");
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
        CASE(test_session_is_given),
        CASE(test_no_common_version),
        CASE(test_strangers_do_not_get_in),
        CASE(test_nothing_before_login),
        CASE(test_silence_ends_a_link),
        CASE(test_birth_is_acknowledged),
        CASE(test_query_is_answered),
        CASE(test_ack_follows_commit),
        CASE(test_what_was_not_committed_was_not_acknowledged),
        CASE(test_gap_is_asked_for_and_filled),
        CASE(test_void_closes_a_gap),
        CASE(test_dead_client_leaves_a_void),
        CASE(test_session_is_resumed_after_crash),
        CASE(test_resuming_takes_over_from_a_dead_link),
        CASE(test_missing_tock_is_stamped_once),
        CASE(test_hopeless_tocks_are_refused_with_a_reason),
        CASE(test_bad_messages_change_nothing),
        CASE(test_own_path_too_long_is_told),
        CASE(test_same_winner_in_every_order),
        CASE(test_loser_is_told_with_its_value),
        CASE(test_reads),
        CASE(test_changes_since),
        CASE(test_credit_holds_pages_back),
        CASE(test_too_many_requests),
        CASE(test_children_and_digest),
        CASE(test_failing_disk),
        CASE(test_full_disk_keeps_serving),
        CASE(test_random_updates_agree_with_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
