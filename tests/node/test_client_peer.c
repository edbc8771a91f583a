/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client against a server and a broker that say exactly what the test wants.
 */
#include <string.h>

#include "core/client_parts.h"
#include "lib/check.h"
#include "lib/mem_fault.h"
#include "peer.h"
#include "wire/path.h"

static struct peer peer;

static int setup(void **state)
{
    (void)state;
    peer_init(&peer);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    peer_deinit(&peer);
    assert_int_equal(mem_fault_live(), 0);
    return 0;
}

static void ack(uint64_t counter)
{
    struct mkv_frame frame = {.kind = MKV_FRAME_ACK, .ack = {counter, 1, 2000}};

    peer_send(&peer, &frame);
}

/* Opening. */

static void test_opening(void **state)
{
    (void)state;
    assert_true(mkv_bytes_equal(peer_nth(&peer, MKV_CLIENT_LINK_CONNECT, 0)->text,
                                mkv_bytes_of("unix:/s")));
    peer_open(&peer);
    const struct mkv_frame *auth = peer_last(&peer, MKV_FRAME_AUTH);

    assert_true(mkv_bytes_equal(auth->auth.mechanism, mkv_bytes_of("EXTERNAL")));
    assert_false(auth->auth.resume);
    assert_int_equal(peer_count(&peer, MKV_CLIENT_MQTT_CONNECT), 0); /* nobody needs it yet */
    peer_write(&peer, "a", true);
    assert_int_equal(peer_count(&peer, MKV_CLIENT_MQTT_CONNECT), 1);
    assert_int_equal(peer_count(&peer, MKV_CLIENT_MQTT_PUBLISH), 0);
    peer_born(&peer);
    assert_int_equal(peer_count(&peer, MKV_CLIENT_MQTT_PUBLISH), 2); /* the birth, the update */
    assert_true(mkv_bytes_equal(peer_nth(&peer, MKV_CLIENT_MQTT_PUBLISH, 0)->text,
                                mkv_bytes_of("moat/main/svc/birth")));
}

static void test_no_version(void **state)
{
    struct mkv_frame hello = {.kind = MKV_FRAME_HELLO,
                              .hello = {.versions = {2, 12}, .name = mkv_bytes_of("srv")}};

    (void)state;
    mkv_client_node_link_opened(&peer.node, peer.now_ms);
    peer_send(&peer, &hello);
    const struct mkv_frame *error = peer_last(&peer, MKV_FRAME_ERROR);

    assert_int_equal(error->error.code, MKV_E_NO_VERSION);
    assert_non_null(memmem(error->error.text.at, error->error.text.len, "2 to 12", 7));
    assert_non_null(memmem(error->error.text.at, error->error.text.len, "1 to 1", 6));
    assert_int_equal(peer_count(&peer, MKV_CLIENT_LINK_CLOSE), 1);
    peer_wait(&peer, 2000); /* it may be upgraded */
    assert_int_equal(peer_count(&peer, MKV_CLIENT_LINK_CONNECT), 2);
}

static void test_wrong_turns(void **state)
{
    static const enum mkv_frame_kind kinds[] = {MKV_FRAME_BIRTH, MKV_FRAME_PONG, MKV_FRAME_BYE,
                                                MKV_FRAME_REPEAT};

    (void)state;
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct mkv_frame frame = {.kind = kinds[i], .id = 1};

        if (kinds[i] == MKV_FRAME_REPEAT) {
            frame.range = (struct mkv_frame_range){1, 1};
        }
        peer_wait(&peer, 60000);
        peer_forget(&peer);
        mkv_client_node_tick(&peer.node, peer.now_ms);
        mkv_client_node_link_opened(&peer.node, peer.now_ms);
        peer_send(&peer, &frame); /* instead of a hello */
        assert_int_equal(peer.node.client.phase, MKV_CLIENT_OFF);
        assert_int_equal(peer_last(&peer, MKV_FRAME_ERROR)->error.code, MKV_E_UNEXPECTED);
    }
}

static void test_handshake_has_a_limit(void **state)
{
    (void)state;
    mkv_client_node_link_opened(&peer.node, peer.now_ms);
    peer_wait(&peer, 11999);
    assert_int_equal(peer_count(&peer, MKV_CLIENT_LINK_CLOSE), 0);
    peer_wait(&peer, 2);
    assert_int_equal(peer_count(&peer, MKV_CLIENT_LINK_CLOSE), 1);
}

static void test_unknown_kinds(void **state)
{
    static const uint8_t with_id[] = {0xa2, 0x00, 0x18, 0x63, 0x01, 0x05};
    static const uint8_t without[] = {0xa1, 0x00, 0x18, 0x63};

    (void)state;
    peer_open(&peer);
    peer_forget(&peer);
    mkv_client_node_link_frame(&peer.node, peer.now_ms, mkv_bytes(without, sizeof(without)));
    peer_listen(&peer);
    assert_int_equal(peer.n, 0);
    mkv_client_node_link_frame(&peer.node, peer.now_ms, mkv_bytes(with_id, sizeof(with_id)));
    peer_listen(&peer);
    assert_int_equal(peer_last(&peer, MKV_FRAME_ERROR)->id, 5);
    assert_int_equal(peer_last(&peer, MKV_FRAME_ERROR)->error.code, MKV_E_UNKNOWN_REQUEST);
    assert_int_equal(peer.node.client.phase, MKV_CLIENT_UP);
}

/* Writing. */

static void start_writing(void)
{
    peer_open(&peer);
    peer_write(&peer, "first", true);
    peer_born(&peer);
    ack(1);
    peer_forget(&peer);
}

static void test_repeats_are_the_same_bytes(void **state)
{
    struct mkv_frame repeat = {.kind = MKV_FRAME_REPEAT, .range = {1, 5}};

    (void)state;
    start_writing();
    peer_write(&peer, "a", true);
    peer_write(&peer, "b", true);
    const struct mkv_client_output *first = peer_nth(&peer, MKV_CLIENT_MQTT_PUBLISH, 0);

    peer_answer(&peer, first->cookie, 0);
    peer_wait(&peer, 1999);
    assert_int_equal(peer_count(&peer, MKV_CLIENT_MQTT_PUBLISH), 2);
    peer_wait(&peer, 1); /* the broker has not yet answered the other one */
    assert_int_equal(peer_count(&peer, MKV_CLIENT_MQTT_PUBLISH), 3);
    const struct mkv_client_output *again = peer_nth(&peer, MKV_CLIENT_MQTT_PUBLISH, 2);

    assert_true(mkv_bytes_equal(first->text, again->text));
    assert_true(mkv_bytes_equal(first->payload, again->payload));
    peer_answer(&peer, first->cookie, 0);
    peer_answer(&peer, peer_nth(&peer, MKV_CLIENT_MQTT_PUBLISH, 1)->cookie, 0);
    peer_send(&peer, &repeat); /* 1 is acknowledged; 4 and 5 are still to come */
    assert_int_equal(peer_count(&peer, MKV_CLIENT_MQTT_PUBLISH), 5);
    assert_int_equal(peer_count_frames(&peer, MKV_FRAME_VOID), 1);
    assert_int_equal(peer_last(&peer, MKV_FRAME_VOID)->range.first, 1);
    assert_int_equal(peer_last(&peer, MKV_FRAME_VOID)->range.last, 1);
}

/* 2, 4, 8, 16, 30, 30 seconds: in 100 s there are 6. */
static void test_repeats_become_rarer(void **state)
{
    (void)state;
    start_writing();
    peer_write(&peer, "a", true);
    for (int i = 0; i < 1000; i++) {
        struct mkv_frame pong = {.kind = MKV_FRAME_PONG, .tock = 3000};
        const struct mkv_frame *ping = peer_last(&peer, MKV_FRAME_PING);

        peer_answer(&peer, 2, 0);
        if (ping != NULL) {
            pong.id = ping->id;
            peer_send(&peer, &pong);
        }
        peer_wait(&peer, 100);
    }
    assert_int_equal(peer_count(&peer, MKV_CLIENT_MQTT_PUBLISH), 1 + 6);
}

static void test_refusals(void **state)
{
    struct mkv_frame nack = {.kind = MKV_FRAME_NACK,
                             .nack = {3, MKV_E_FUTURE, mkv_bytes_of("check your clock")}};
    struct mkv_buf text;

    (void)state;
    start_writing();
    uint64_t second = peer_write(&peer, "a", true);
    uint64_t third = peer_write(&peer, "b", true);
    uint64_t fourth = peer_write(&peer, "c", true);

    peer_send(&peer, &nack);
    assert_int_equal(peer_status(&peer, third), MKV_E_FUTURE);
    mkv_buf_init(&text, 1000);
    assert_int_equal(mkv_client_detail(&peer.node.client, &text), 0);
    assert_non_null(memmem(text.at, text.len, "check your clock", 16));
    mkv_buf_deinit(&text);
    peer_answer(&peer, 4, MKV_E_NOT_AUTHORISED); /* the broker's own word */
    assert_int_equal(peer_status(&peer, fourth), MKV_E_NOT_AUTHORISED);
    assert_int_equal(peer_last(&peer, MKV_FRAME_VOID)->range.first, 4);
    assert_int_equal(peer_status(&peer, second), 1);
    ack(4);
    assert_int_equal(peer_status(&peer, second), 0);
    ack(100); /* more than there is */
    assert_int_equal(mkv_client_unacknowledged(&peer.node.client), 0);
}

/* What the server has given up waiting for is written once more, and not lost. */
static void test_given_up(void **state)
{
    struct mkv_frame nack = {.kind = MKV_FRAME_NACK,
                             .nack = {2, MKV_E_VOID, mkv_bytes_of("it never came")}};
    struct mkv_update update;

    (void)state;
    start_writing();
    uint64_t id = peer_write(&peer, "a", true);

    peer_send(&peer, &nack);
    ack(2);
    assert_int_equal(peer_status(&peer, id), 1);
    const struct mkv_client_output *again = peer_nth(&peer, MKV_CLIENT_MQTT_PUBLISH, 1);

    assert_int_equal(again->cookie, 3);
    assert_int_equal(mkv_update_decode(again->payload, &update), 0);
    assert_int_equal(update.ticks.at[0].counter, 3);
    ack(3);
    assert_int_equal(peer_status(&peer, id), 0);
}

static void test_server_cannot_store(void **state)
{
    struct mkv_frame frame = {.kind = MKV_FRAME_STATE,
                              .state = {MKV_E_DISK_FULL, mkv_bytes_of("no room")}};

    (void)state;
    start_writing();
    uint64_t id = peer_write(&peer, "a", true);

    peer_answer(&peer, 2, 0);
    peer_send(&peer, &frame);
    const struct mkv_client_output *notice = peer_nth(&peer, MKV_CLIENT_NOTICE, 0);

    assert_int_equal(notice->notice, MKV_CLIENT_STORING);
    assert_int_equal(notice->status, MKV_E_DISK_FULL);
    peer_forget(&peer);
    frame.state = (struct mkv_frame_error){0};
    peer_send(&peer, &frame);
    assert_int_equal(peer_count(&peer, MKV_CLIENT_MQTT_PUBLISH), 1); /* at once */
    assert_int_equal(peer_status(&peer, id), 1);
    ack(2);
    assert_int_equal(peer_status(&peer, id), 0);
}

/* The link is lost; the session is resumed under its token, and goes on. */
static void test_resume(void **state)
{
    (void)state;
    start_writing();
    uint64_t second = peer_write(&peer, "a", true);
    uint64_t third = peer_write(&peer, "b", true);
    struct mkv_buf bytes;

    mkv_buf_init(&bytes, MKV_UPDATE_MAX);
    assert_int_equal(mkv_buf_append(&bytes, peer_nth(&peer, MKV_CLIENT_MQTT_PUBLISH, 1)->payload),
                     0);
    peer_answer(&peer, 2, 0);
    peer_answer(&peer, 3, 0);
    peer_lose_link(&peer);
    peer_wait(&peer, 1000);
    peer_forget(&peer);
    peer.session.acked = 2;
    peer_open(&peer);
    const struct mkv_frame *auth = peer_last(&peer, MKV_FRAME_AUTH);

    assert_true(auth->auth.resume);
    assert_int_equal(auth->auth.session.seq, 7);
    assert_true(mkv_bytes_equal(auth->auth.token, mkv_bytes_of("token")));
    assert_int_equal(peer_status(&peer, second), 0);                 /* the session says so */
    assert_int_equal(peer_count(&peer, MKV_CLIENT_MQTT_CONNECT), 0); /* that one is still good */
    struct mkv_frame birth = {.kind = MKV_FRAME_BIRTH};

    peer_forget(&peer);
    peer_send(&peer, &birth);
    assert_int_equal(peer_count(&peer, MKV_CLIENT_MQTT_PUBLISH), 1);
    assert_true(mkv_bytes_equal(peer_nth(&peer, MKV_CLIENT_MQTT_PUBLISH, 0)->payload,
                                mkv_buf_bytes(&bytes)));
    ack(3);
    assert_int_equal(peer_status(&peer, third), 0);
    mkv_buf_deinit(&bytes);
}

/* It is not resumed: what was not acknowledged is written anew. */
static void test_reissue(void **state)
{
    struct mkv_update update;

    (void)state;
    start_writing();
    uint64_t second = peer_write(&peer, "a", true);
    uint64_t third = peer_write(&peer, "b", true);

    assert_int_equal(
        mkv_update_decode(peer_nth(&peer, MKV_CLIENT_MQTT_PUBLISH, 0)->payload, &update), 0);
    uint64_t tock = update.tock;

    peer_lose_link(&peer);
    peer_wait(&peer, 1000);
    peer_forget(&peer);
    peer.session.seq = 8;
    peer.session.client_id = mkv_bytes_of("srv:8");
    peer_open(&peer);
    assert_int_equal(peer_count(&peer, MKV_CLIENT_MQTT_CONNECT), 1); /* with other credentials */
    peer_born(&peer);
    const struct mkv_client_output *again = peer_nth(&peer, MKV_CLIENT_MQTT_PUBLISH, 1);

    assert_int_equal(again->cookie, 1);
    assert_int_equal(mkv_update_decode(again->payload, &update), 0);
    assert_int_equal(update.tock, tock);
    assert_int_equal(update.ticks.n, 2);
    assert_int_equal(update.ticks.at[0].seq, 8);
    assert_int_equal(update.ticks.at[0].counter, 1);
    assert_int_equal(update.ticks.at[1].seq, 7);
    assert_int_equal(update.ticks.at[1].counter, 2);
    ack(1);
    assert_int_equal(peer_status(&peer, second), 0);
    assert_int_equal(peer_status(&peer, third), 1);
    peer_write(&peer, "c", true);
    assert_int_equal(peer_nth(&peer, MKV_CLIENT_MQTT_PUBLISH, 3)->cookie, 3);
}

/* The order of the calls is the order of the updates, though one of them has to ask first. */
static void test_order_of_writes(void **state)
{
    struct mkv_frame end = {.kind = MKV_FRAME_END, .end = {.has_place = true}};
    struct mkv_update first;
    struct mkv_update second;

    (void)state;
    start_writing();
    peer_write(&peer, "a", false);
    peer_write(&peer, "a", true);
    assert_int_equal(peer_count(&peer, MKV_CLIENT_MQTT_PUBLISH), 0);
    end.id = peer_last(&peer, MKV_FRAME_READ)->id;
    peer_send(&peer, &end);
    assert_int_equal(peer_count(&peer, MKV_CLIENT_MQTT_PUBLISH), 2);
    assert_int_equal(
        mkv_update_decode(peer_nth(&peer, MKV_CLIENT_MQTT_PUBLISH, 0)->payload, &first), 0);
    assert_int_equal(
        mkv_update_decode(peer_nth(&peer, MKV_CLIENT_MQTT_PUBLISH, 1)->payload, &second), 0);
    assert_true(first.ticks.at[0].counter < second.ticks.at[0].counter);
    assert_true(first.tock < second.tock);
}

/* Watching. */

static const uint8_t key_of_a[] = {0x60, 'a', 0x00, 0x01};

static struct mkv_update some_update(uint64_t tock, uint64_t counter)
{
    return (struct mkv_update){
        .has_tock = true,
        .present = true,
        .tock = tock,
        .value = mkv_bytes_of("\x05"),
        .ticks = {.n = 1, .at = {{.name = mkv_bytes_of("oth"), .seq = 1, .counter = counter}}}};
}

static void send_row(uint64_t id, const struct mkv_update *update)
{
    struct mkv_frame data = {.kind = MKV_FRAME_DATA, .id = id};
    struct mkv_row_writer w;
    struct mkv_buf rows;

    mkv_buf_init(&rows, MKV_FRAME_MAX);
    assert_int_equal(mkv_row_writer_init(&w, mkv_bytes(NULL, 0)), 0);
    assert_int_equal(mkv_row_writer_add(&w, mkv_bytes(key_of_a, sizeof(key_of_a)), update, false),
                     0);
    assert_int_equal(mkv_row_writer_take(&w, &rows), 0);
    data.data.rows = mkv_buf_bytes(&rows);
    peer_send(&peer, &data);
    mkv_row_writer_deinit(&w);
    mkv_buf_deinit(&rows);
}

static void send_end(uint64_t id, uint64_t position)
{
    struct mkv_frame end = {.kind = MKV_FRAME_END,
                            .id = id,
                            .end = {.n_rows = 1, .has_place = true, .place = {1, position}}};

    peer_send(&peer, &end);
}

static void send_digest(const struct mkv_update *update, uint64_t position)
{
    struct mkv_frame frame = {.kind = MKV_FRAME_DIGEST,
                              .id = peer_last(&peer, MKV_FRAME_CHECK)->id,
                              .digest = {.place = {1, position}}};

    if (update != NULL) {
        struct mkv_head head = mkv_head_of(update);

        frame.digest.count = 1;
        mkv_digest_bytes(
            mkv_entry_digest(peer.session.digest_key, mkv_bytes(key_of_a, sizeof(key_of_a)), &head),
            frame.digest.digest);
    }
    peer_send(&peer, &frame);
}

/* A watch of everything is synced; the server has nothing. */
static void start_watching(void)
{
    peer_open(&peer);
    peer_watch(&peer, ":");
    peer_born(&peer);
    const struct mkv_client_output *subscribe = peer_nth(&peer, MKV_CLIENT_MQTT_SUBSCRIBE, 0);

    assert_true(mkv_bytes_equal(subscribe->text, mkv_bytes_of("moat/main/d/#")));
    assert_null(peer_last(&peer, MKV_FRAME_READ)); /* not before the SUBACK */
    peer_answer(&peer, subscribe->cookie, 0);
    send_end(peer_last(&peer, MKV_FRAME_READ)->id, 10);
    assert_int_equal(peer_nth(&peer, MKV_CLIENT_TELL, 0)->watch, MKV_CLIENT_WATCH_SYNCED);
    peer_forget(&peer);
}

static void test_never_backwards(void **state)
{
    struct mkv_update newer = some_update(2000, 2);
    struct mkv_update older = some_update(1999, 1);
    struct mkv_update unstamped = some_update(0, 3);

    (void)state;
    start_watching();
    peer_message(&peer, mkv_bytes_of("moat/main/d/a"), &newer);
    peer_message(&peer, mkv_bytes_of("moat/main/d/a"), &older);
    peer_message(&peer, mkv_bytes_of("moat/main/d/a"), &newer);
    unstamped.has_tock = false;
    peer_message(&peer, mkv_bytes_of("moat/main/d/b"), &unstamped);
    peer_message(&peer, mkv_bytes_of("moat/other/d/b"), &newer);
    peer_message(&peer, mkv_bytes_of("moat/main/d/:061"), &newer);
    assert_int_equal(peer_count(&peer, MKV_CLIENT_TELL), 1);
    newer.tock = 2000 + (1ULL << 33); /* the server would refuse it */
    peer_message(&peer, mkv_bytes_of("moat/main/d/a"), &newer);
    assert_int_equal(peer_count(&peer, MKV_CLIENT_TELL), 1);
}

static void test_repair(void **state)
{
    struct mkv_update missed = some_update(2000, 2);

    (void)state;
    start_watching();
    peer_wait(&peer, 1000);
    send_digest(NULL, 11); /* all well: what follows can be asked for from here */
    peer_wait(&peer, 5000);
    send_digest(&missed, 12);
    peer_wait(&peer, 499);
    assert_int_equal(peer_count_frames(&peer, MKV_FRAME_CHECK), 2);
    peer_wait(&peer, 1);
    send_digest(&missed, 12);
    const struct mkv_frame *read = peer_last(&peer, MKV_FRAME_READ);

    assert_true(read->read.has_since);
    assert_int_equal(read->read.since.position, 11);
    send_row(read->id, &missed);
    send_end(read->id, 12);
    assert_int_equal(peer_nth(&peer, MKV_CLIENT_TELL, 0)->watch, MKV_CLIENT_WATCH_CHANGE);
    assert_int_equal(peer_count(&peer, MKV_CLIENT_TELL), 1); /* it was synced all the time */
    peer_wait(&peer, 500);
    send_digest(&missed, 13);
    peer_forget(&peer);
    peer_wait(&peer, 4900);
    assert_int_equal(peer_count_frames(&peer, MKV_FRAME_CHECK), 0);
}

static void test_stale_place(void **state)
{
    struct mkv_frame stale = {.kind = MKV_FRAME_ERROR, .error = {.code = MKV_E_STALE}};

    (void)state;
    start_watching();
    peer_lose_link(&peer);
    peer_wait(&peer, 1000);
    peer_forget(&peer);
    peer_open(&peer);
    const struct mkv_frame *read = peer_last(&peer, MKV_FRAME_READ);

    assert_true(read->read.has_since);
    stale.id = read->id;
    peer_send(&peer, &stale);
    read = peer_last(&peer, MKV_FRAME_READ);
    assert_false(read->read.has_since);
    send_end(read->id, 20);
    assert_int_equal(peer_nth(&peer, MKV_CLIENT_TELL, 0)->watch, MKV_CLIENT_WATCH_SYNCED);
}

/* Answers every check with an empty tree and every read with nothing, for a while. */
static void play_empty_server(int64_t ms)
{
    for (int64_t end = peer.now_ms + ms; peer.now_ms < end;) {
        unsigned n_checks = peer_count_frames(&peer, MKV_FRAME_CHECK);
        unsigned n_reads = peer_count_frames(&peer, MKV_FRAME_READ);
        const struct mkv_frame *ping;

        peer_wait(&peer, 100);
        if (peer_count_frames(&peer, MKV_FRAME_CHECK) > n_checks) {
            send_digest(NULL, 11);
        }
        if (peer_count_frames(&peer, MKV_FRAME_READ) > n_reads) {
            send_end(peer_last(&peer, MKV_FRAME_READ)->id, 11);
        }
        ping = peer_last(&peer, MKV_FRAME_PING);
        if (ping != NULL) {
            struct mkv_frame pong = {.kind = MKV_FRAME_PONG, .id = ping->id, .tock = 3000};

            peer_send(&peer, &pong);
        }
    }
}

/* A change that no server has is taken back, but not in haste. */
static void test_withdrawn(void **state)
{
    struct mkv_update phantom = some_update(2000, 2);

    (void)state;
    start_watching();
    peer_message(&peer, mkv_bytes_of("moat/main/d/a"), &phantom);
    assert_int_equal(peer_count(&peer, MKV_CLIENT_TELL), 1);
    play_empty_server(30000);
    assert_int_equal(peer_count(&peer, MKV_CLIENT_TELL), 1);
    play_empty_server(120000);
    assert_int_equal(peer_nth(&peer, MKV_CLIENT_TELL, 1)->watch, MKV_CLIENT_WATCH_WITHDRAWN);
    peer_forget(&peer);
    play_empty_server(60000); /* and then there is peace */
    assert_int_equal(peer_count_frames(&peer, MKV_FRAME_READ), 0);
    peer_message(&peer, mkv_bytes_of("moat/main/d/a"), &phantom); /* there it is, after all */
    assert_int_equal(peer_nth(&peer, MKV_CLIENT_TELL, 0)->watch, MKV_CLIENT_WATCH_CHANGE);
}

static void test_refused_watch_ends(void **state)
{
    (void)state;
    peer_open(&peer);
    uint64_t id = peer_watch(&peer, ":");

    peer_born(&peer);
    peer_answer(&peer, peer_nth(&peer, MKV_CLIENT_MQTT_SUBSCRIBE, 0)->cookie, MKV_E_NOT_AUTHORISED);
    assert_int_equal(peer_status(&peer, id), MKV_E_NOT_AUTHORISED);
}

static void refuse_subscription(unsigned i)
{
    const struct mkv_client_output *subscribe = peer_nth(&peer, MKV_CLIENT_MQTT_SUBSCRIBE, i);

    assert_non_null(subscribe);
    assert_int_equal(subscribe->qos, peer.session.qos);
    peer_answer(&peer, subscribe->cookie, MKV_E_REFUSED);
}

/* Without a reason it may be for now only: the watch asks again, after twice the time. */
static void test_unexplained_refusal_is_asked_again(void **state)
{
    (void)state;
    peer.session.qos = 0;
    peer_open(&peer);
    uint64_t id = peer_watch(&peer, ":");

    peer_born(&peer);
    for (unsigned i = 0; i < 4; i++) {
        refuse_subscription(i);
        assert_int_equal(peer_status(&peer, id), 1);
        peer_wait(&peer, (1000 << i) - 1);
        assert_int_equal(peer_count(&peer, MKV_CLIENT_MQTT_SUBSCRIBE), i + 1);
        peer_wait(&peer, 1);
    }
    refuse_subscription(4);
    assert_int_equal(peer_status(&peer, id), MKV_E_REFUSED);
}

static void test_watch_that_was_heard_does_not_give_up(void **state)
{
    const struct mkv_frame birth = {.kind = MKV_FRAME_BIRTH};

    (void)state;
    start_watching();
    mkv_client_node_mqtt_disconnected(&peer.node, peer.now_ms, MKV_E_NO_CONNECTION,
                                      mkv_bytes_of("gone"), false);
    mkv_client_node_mqtt_connected(&peer.node, peer.now_ms);
    peer_listen(&peer);
    for (unsigned i = 0; i < 7; i++) {
        refuse_subscription(0);
        peer_forget(&peer);
        for (unsigned second = 0; second < 30 && second < 1U << i; second++) {
            peer_send(&peer, &birth); /* the link is alive */
            peer_wait(&peer, 1000);
        }
    }
    peer_answer(&peer, peer_nth(&peer, MKV_CLIENT_MQTT_SUBSCRIBE, 0)->cookie, 0);
    assert_non_null(peer_last(&peer, MKV_FRAME_READ));
}

static void test_busy_server_is_asked_again(void **state)
{
    struct mkv_frame busy = {.kind = MKV_FRAME_ERROR, .error = {.code = MKV_E_BUSY}};
    struct mkv_client_order status = {.kind = MKV_CLIENT_STATUS, .id = 77};

    (void)state;
    peer_open(&peer);
    assert_int_equal(mkv_client_node_order(&peer.node, peer.now_ms, &status), 0);
    peer_listen(&peer);
    busy.id = peer_last(&peer, MKV_FRAME_STATUS)->id;
    peer_send(&peer, &busy);
    assert_int_equal(peer_status(&peer, 77), 1);
    peer_wait(&peer, 100);
    assert_int_equal(peer_count_frames(&peer, MKV_FRAME_STATUS), 2);
}

/* Two brokers that cannot be reached are tried in turn, at leisure. */
static void test_brokers_in_turn(void **state)
{
    (void)state;
    peer.session.brokers.n = 2;
    peer.session.brokers.at[1] = mkv_bytes_of("unix:/broker");
    peer_open(&peer);
    peer_write(&peer, "a", true);
    for (int i = 0; i < 1000; i++) { /* 10 s */
        mkv_client_node_mqtt_disconnected(&peer.node, peer.now_ms, MKV_E_NO_CONNECTION,
                                          mkv_bytes_of("refused"), false);
        peer_listen(&peer);
        peer_wait(&peer, 10);
    }
    assert_in_range(peer_count(&peer, MKV_CLIENT_MQTT_REDIRECT), 4, 12);
    assert_true(mkv_bytes_equal(peer_nth(&peer, MKV_CLIENT_MQTT_REDIRECT, 0)->text,
                                mkv_bytes_of("unix:/broker")));
    assert_true(mkv_bytes_equal(peer_nth(&peer, MKV_CLIENT_MQTT_REDIRECT, 1)->text,
                                mkv_bytes_of("mqtt://127.0.0.1:1883")));
}

#define WITH_PEER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PEER(test_opening),
        WITH_PEER(test_no_version),
        WITH_PEER(test_wrong_turns),
        WITH_PEER(test_handshake_has_a_limit),
        WITH_PEER(test_unknown_kinds),
        WITH_PEER(test_repeats_are_the_same_bytes),
        WITH_PEER(test_repeats_become_rarer),
        WITH_PEER(test_refusals),
        WITH_PEER(test_given_up),
        WITH_PEER(test_server_cannot_store),
        WITH_PEER(test_resume),
        WITH_PEER(test_reissue),
        WITH_PEER(test_order_of_writes),
        WITH_PEER(test_never_backwards),
        WITH_PEER(test_repair),
        WITH_PEER(test_stale_place),
        WITH_PEER(test_withdrawn),
        WITH_PEER(test_refused_watch_ends),
        WITH_PEER(test_unexplained_refusal_is_asked_again),
        WITH_PEER(test_watch_that_was_heard_does_not_give_up),
        WITH_PEER(test_busy_server_is_asked_again),
        WITH_PEER(test_brokers_in_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
