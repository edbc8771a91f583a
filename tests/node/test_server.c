/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server as a whole: opening links and writing, bytes in and bytes out, in virtual time.
 */
#include <stdio.h>
#include <string.h>

#include "core/merge.h"
#include "harness.h"
#include "lib/check.h"
#include "lib/prng.h"
#include "lone.h"
#include "wire/child.h"
#include "wire/path.h"

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
    static const enum mkv_peer_kind peers[] = {MKV_PEER_OTHER_USER, MKV_PEER_LOOPBACK,
                                               MKV_PEER_REMOTE};
    uint64_t link = 0;

    (void)state;
    for (unsigned p = 0; p < 3; p++) {
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
    assert_int_equal(world_acked(&world, 1), 0); /* the window is open: not on disk yet */
    world_wait(&world, 2);
    assert_int_equal(world_acked(&world, 1), 1);
    world_crash(&world);
    world_start(&world);
    assert_string_equal(world_held(&world, "a.b"), "\x01");
}

static void test_what_was_not_committed_was_not_acknowledged(void **state)
{
    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);

    world_update(&world, "a.b", "\x01", 1, seq, 1);
    world_crash(&world);
    world_start(&world);
    assert_null(world_held(&world, "a.b"));
    assert_int_equal(world_acked(&world, 1), 0);
}

static void test_gap_is_asked_for_and_filled(void **state)
{
    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);

    world_update(&world, "a", "\x01", 1, seq, 1);
    world_update(&world, "d", "\x04", 4, seq, 4);
    world_wait(&world, 199);
    assert_int_equal(world_acked(&world, 1), 1);
    assert_null(world_last(&world, 1, MKV_FRAME_REPEAT));
    world_wait(&world, 2);

    const struct mkv_frame *repeat = world_last(&world, 1, MKV_FRAME_REPEAT);

    assert_non_null(repeat);
    assert_int_equal(repeat->range.first, 2);
    assert_int_equal(repeat->range.last, 3);
    world_update(&world, "c", "\x03", 3, seq, 3);
    world_update(&world, "b", "\x02", 2, seq, 2);
    world_wait(&world, 2);
    assert_int_equal(world_acked(&world, 1), 4);
    world_forget(&world);
    world_wait(&world, 10000);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_REPEAT), 0);
}

static void test_all_gaps_are_asked_for_at_once(void **state)
{
    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);

    for (uint64_t counter = 2; counter <= 40; counter += 2) {
        world_update(&world, "a", "\x01", counter, seq, counter);
    }
    world_wait(&world, 201);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_REPEAT), 20);
    for (uint64_t counter = 1; counter < 40; counter += 2) {
        world_update(&world, "a", "\x01", counter, seq, counter);
    }
    world_wait(&world, 2);
    assert_int_equal(world_acked(&world, 1), 40);
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
    assert_int_equal(world_acked(&world, 1), 3);
    world_update(&world, "b", "\x02", 2, seq, 2); /* arrives after all: still merged */
    world_wait(&world, 2);
    assert_string_equal(world_held(&world, "b"), "\x02");
}

/* Moves time on with a client that says nothing but that it lives. */
static void wait_with_pings(uint64_t link, int64_t ms)
{
    struct mkv_frame ping = {.kind = MKV_FRAME_PING, .id = 1};

    for (int64_t waited = 0; waited < ms; waited += 10000) {
        world_send(&world, link, &ping);
        world_wait(&world, 10000);
    }
}

/* The ACK covers what was given up: its writer must hear first that it is not stored. */
static void test_what_never_arrives_is_nacked(void **state)
{
    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);

    world_update(&world, "a", "\x01", 1, seq, 1);
    world_update(&world, "d", "\x04", 4, seq, 4);
    wait_with_pings(1, 60000);
    assert_int_equal(world_acked(&world, 1), 1); /* a minute is too short to give up */
    wait_with_pings(1, 120000);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_REPEAT), MKV_REPEAT_TRIES_MAX);
    assert_int_equal(world_acked(&world, 1), 4);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_NACK), 2);

    const struct mkv_frame *nack = world_last(&world, 1, MKV_FRAME_NACK);

    assert_int_equal(nack->nack.counter, 3);
    assert_int_equal(nack->nack.code, MKV_E_VOID);
    assert_true((const void *)nack < (const void *)world_last(&world, 1, MKV_FRAME_ACK));
}

static void test_nothing_is_given_up_while_the_broker_is_away(void **state)
{
    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);

    world_update(&world, "c", "\x03", 3, seq, 3);
    mkv_server_node_broker(world.node, world.now, false);
    wait_with_pings(1, 600000);
    assert_int_equal(world_acked(&world, 1), 0);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_REPEAT), 0);
    mkv_server_node_broker(world.node, world.now, true);
    world_wait(&world, 1);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_REPEAT), 1);
}

/* Logs in over @link as the owner of the session in @given: the frame that gave it, token copied. */
static uint64_t login_again(uint64_t link, struct mkv_frame given, uint8_t token[static 64])
{
    given.session.token.at = token;
    given.session.name = mkv_bytes_of("srv");
    return world_login(&world, link, &given);
}

static struct mkv_frame keep_session(uint64_t link, uint8_t ret_token[static 64])
{
    struct mkv_frame given = *world_last(&world, link, MKV_FRAME_SESSION);

    memcpy(ret_token, given.session.token.at, given.session.token.len);
    return given;
}

/* The client may still have what was given up: to resume would tell it that it is stored. */
static void test_a_session_with_a_void_is_not_resumed(void **state)
{
    uint8_t token[64];

    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);
    struct mkv_frame given = keep_session(1, token);

    world_update(&world, "c", "\x03", 3, seq, 3);
    world_wait(&world, 2);
    mkv_server_node_link_closed(world.node, world.now, 1);
    world_wait(&world, 31000);
    assert_int_not_equal(login_again(2, given, token), seq);
}

/* A nack that got lost with its link must not turn into an ACK, after a crash neither. */
static void test_a_session_with_a_nack_is_not_resumed(void **state)
{
    uint8_t token[64];

    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);
    struct mkv_frame given = keep_session(1, token);

    world_update(&world, "a", "\x01", 1, seq, 1);
    world_wait(&world, 2);
    world_update(&world, "b", "\x02", UINT64_C(1) << 62, seq, 2);
    world_wait(&world, 2);
    assert_non_null(world_last(&world, 1, MKV_FRAME_NACK));
    mkv_server_node_link_closed(world.node, world.now, 1);
    assert_int_not_equal(login_again(2, given, token), seq);
    world_crash(&world);
    world_forget(&world);
    world_start(&world);
    assert_int_not_equal(login_again(1, given, token), seq);
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
    assert_int_equal(world_acked(&world, 2), 1);
    assert_int_equal(world_acked(&world, 1), 0);
}

static void test_bye_before_all_has_arrived(void **state)
{
    struct mkv_frame bye = {.kind = MKV_FRAME_BYE, .bye_counter = 2};
    struct mkv_frame status = {.kind = MKV_FRAME_STATUS, .id = 1};

    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);

    world_update(&world, "b", "\x02", 2, seq, 2);
    world_wait(&world, 2);
    world_send(&world, 1, &bye);
    mkv_server_node_link_closed(world.node, world.now, 1);
    world_wait(&world, 29000); /* the first may still be on its way */
    (void)world_login(&world, 2, NULL);
    world_send(&world, 2, &status);
    assert_non_null(memmem(world_last(&world, 2, MKV_FRAME_REPORT)->report.at,
                           world_last(&world, 2, MKV_FRAME_REPORT)->report.len, "\x65voids\x00",
                           7));
    world_update(&world, "a", "\x01", 0, seq, 1); /* it is: and can be stamped */
    world_wait(&world, 2);
    assert_string_equal(world_held(&world, "a"), "\x01");
}

static void test_links_and_sessions_are_bounded(void **state)
{
    (void)state;
    for (uint64_t link = 1; link <= MKV_SERVER_LINKS_MAX; link++) {
        (void)world_login(&world, link, NULL);
        world_forget(&world);
    }
    mkv_server_node_link_opened(world.node, world.now, MKV_SERVER_LINKS_MAX + 1,
                                MKV_PEER_SAME_USER);
    world_listen(&world);
    assert_int_equal(world_last(&world, MKV_SERVER_LINKS_MAX + 1, MKV_FRAME_ERROR)->error.code,
                     MKV_E_BUSY);
    assert_int_equal(world.n_closed, 1);
    mkv_server_node_link_closed(world.node, world.now, 1);
    (void)world_login(&world, MKV_SERVER_LINKS_MAX + 2, NULL);

    /* Clients that wrote something and died: the one longest gone is forgotten first. */
    mkv_server_node_link_closed(world.node, world.now, MKV_SERVER_LINKS_MAX + 2);
    for (uint64_t i = 1; i <= MKV_SESSIONS_MAX; i++) {
        uint64_t link = MKV_SERVER_LINKS_MAX + 2 + i;
        uint64_t seq = world_login(&world, link, NULL);

        world_update(&world, "a", "\x01", i, seq, 1);
        mkv_server_node_link_closed(world.node, world.now, link);
        world_forget(&world);
    }
    world_wait(&world, 2);
    world_crash(&world);
    world_start(&world);
    assert_true(world_login(&world, 9999, NULL) > 0);
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
    assert_int_equal(world_acked(&world, 1), 1);

    world_update(&world, "a", "\x02", stamped.tock + 1, seq, 2); /* newer */
    world_update(&world, "a", "\x01", 0, seq, 1);                /* a repeat of the first */
    world_wait(&world, 2);
    assert_int_equal(world.n_published, 1);
    assert_string_equal(world_held(&world, "a"), "\x02");

    /* A repeat that comes when the session is long closed must not be stamped either. */
    struct mkv_frame bye = {.kind = MKV_FRAME_BYE, .bye_counter = 2};

    world_send(&world, 1, &bye);
    world_update(&world, "a", "\x01", 0, seq, 1);
    world_wait(&world, 2);
    assert_int_equal(world.n_published, 1);
    assert_string_equal(world_held(&world, "a"), "\x02");
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

    /* The past is judged while deletions are kept: a day, in time that the server was up. */
    world_update(&world, "gone", NULL, wall, seq, 2);
    for (int hour = 0; hour < 26; hour++) {
        world_wait(&world, 3600000);
    }
    world_close(&world, 1);
    world_update(&world, "a", "\x01", wall, seq, 3); /* nobody is here who could be told */
    world_wait(&world, 2);
    assert_null(world_held(&world, "a"));

    /* A client that is here, and does not know the time, has its update stamped. */
    seq = world_login(&world, 2, NULL);
    world_forget(&world);
    world_update(&world, "a", "\x01", wall, seq, 1);
    world_wait(&world, 2);
    assert_int_equal(world.n_published, 1);
    assert_int_equal(world_acked(&world, 2), 1);
    assert_string_equal(world_held(&world, "a"), "\x01");
    world_update(&world, "a", "\x02", wall, seq, 1); /* another one under its number: refused */
    world_wait(&world, 2);
    assert_int_equal(world.n_published, 1);
    assert_string_equal(world_held(&world, "a"), "\x01");
}

/* Who is a member is for servers to say: a client that removed them all would end all waiting. */
static void test_clients_do_not_write_members(void **state)
{
    (void)state;
    uint64_t seq = world_login(&world, 1, NULL);

    world_update(&world, ":n.servers.x", "\x01", 5, seq, 1);
    world_update(&world, ":n.servers", NULL, 6, seq, 2);
    world_wait(&world, 2);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_NACK), 2);
    assert_int_equal(world_last(&world, 1, MKV_FRAME_NACK)->nack.code, MKV_E_NOT_AUTHORISED);
    assert_null(world_held(&world, ":n.servers.x"));
    world_update(&world, ":n.server", "\x01", 7, seq, 3);
    world_wait(&world, 2);
    assert_string_equal(world_held(&world, ":n.server"), "\x01");
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
        CASE(test_all_gaps_are_asked_for_at_once),
        CASE(test_void_closes_a_gap),
        CASE(test_what_never_arrives_is_nacked),
        CASE(test_nothing_is_given_up_while_the_broker_is_away),
        CASE(test_a_session_with_a_void_is_not_resumed),
        CASE(test_a_session_with_a_nack_is_not_resumed),
        CASE(test_dead_client_leaves_a_void),
        CASE(test_session_is_resumed_after_crash),
        CASE(test_resuming_takes_over_from_a_dead_link),
        CASE(test_bye_before_all_has_arrived),
        CASE(test_links_and_sessions_are_bounded),
        CASE(test_missing_tock_is_stamped_once),
        CASE(test_hopeless_tocks_are_refused_with_a_reason),
        CASE(test_clients_do_not_write_members),
        CASE(test_bad_messages_change_nothing),
        CASE(test_own_path_too_long_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
