/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"

#include <string.h>

#include "lib/check.h"
#include "wire/path.h"

#define FIRST_TOCK 1000U

void peer_forget(struct peer *peer)
{
    for (unsigned i = 0; i < peer->n; i++) {
        mkv_client_output_free(peer->heard[i].output);
    }
    peer->n = 0;
}

void peer_listen(struct peer *peer)
{
    struct mkv_client_output *output;

    while ((output = mkv_client_effects_take(&peer->node.effects)) != NULL) {
        struct peer_heard *heard = &peer->heard[peer->n++];

        assert_true(peer->n <= PEER_HEARD_MAX);
        *heard = (struct peer_heard){.output = output};
        if (output->kind == MKV_CLIENT_LINK_SEND) {
            struct mkv_bytes map;
            size_t used;

            assert_int_equal(mkv_frame_cut(output->payload, &map, &used), 0);
            assert_int_equal(used, output->payload.len);
            assert_int_equal(mkv_frame_decode(map, &heard->frame), 0);
        }
    }
}

void peer_wait(struct peer *peer, int64_t ms)
{
    int64_t end = peer->now_ms + ms;
    int64_t next = mkv_client_deadline_ms(&peer->node.client);

    for (unsigned n = 0; next <= end; n++) {
        assert_true(n < 100000);
        peer->now_ms = next > peer->now_ms ? next : peer->now_ms;
        mkv_client_node_tick(&peer->node, peer->now_ms);
        peer_listen(peer);
        next = mkv_client_deadline_ms(&peer->node.client);
    }
    peer->now_ms = end;
}

void peer_send(struct peer *peer, const struct mkv_frame *frame)
{
    struct mkv_buf bytes;
    struct mkv_bytes map;
    size_t used;

    mkv_buf_init(&bytes, MKV_FRAME_MAX + 4);
    assert_int_equal(mkv_frame_encode(frame, &bytes), 0);
    assert_int_equal(mkv_frame_cut(mkv_buf_bytes(&bytes), &map, &used), 0);
    mkv_client_node_link_frame(&peer->node, peer->now_ms, map);
    mkv_buf_deinit(&bytes);
    peer_listen(peer);
}

void peer_open(struct peer *peer)
{
    struct mkv_frame hello = {
        .kind = MKV_FRAME_HELLO,
        .hello = {.versions = {1, 1},
                  .software = mkv_bytes_of("peer"),
                  .name = mkv_bytes_of("srv"),
                  .mechanisms = {.n = 1, .at = {mkv_bytes_of("EXTERNAL")}}},
    };
    struct mkv_frame session = {.kind = MKV_FRAME_SESSION, .session = peer->session};

    mkv_client_node_link_opened(&peer->node, peer->now_ms);
    peer_send(peer, &hello);
    peer_send(peer, &session);
    assert_int_equal(peer->node.client.phase, MKV_CLIENT_UP);
}

void peer_born(struct peer *peer)
{
    struct mkv_frame birth = {.kind = MKV_FRAME_BIRTH};

    mkv_client_node_mqtt_connected(&peer->node, peer->now_ms);
    peer_listen(peer);
    peer_send(peer, &birth);
}

void peer_lose_link(struct peer *peer)
{
    mkv_client_node_link_closed(&peer->node, peer->now_ms, MKV_E_CLOSED,
                                mkv_bytes_of("the link is cut"));
    peer_listen(peer);
}

void peer_answer(struct peer *peer, uint64_t cookie, int error)
{
    mkv_client_node_mqtt_answered(&peer->node, peer->now_ms, cookie, error,
                                  mkv_bytes_of("the broker says"));
    peer_listen(peer);
}

void peer_message(struct peer *peer, struct mkv_bytes topic, const struct mkv_update *update)
{
    struct mkv_buf payload;

    mkv_buf_init(&payload, MKV_UPDATE_MAX);
    assert_int_equal(mkv_update_encode(update, &payload), 0);
    mkv_client_node_mqtt_message(&peer->node, peer->now_ms, topic, mkv_buf_bytes(&payload), false);
    mkv_buf_deinit(&payload);
    peer_listen(peer);
}

static uint64_t order(struct peer *peer, const char *path, struct mkv_client_order *order)
{
    struct mkv_buf key;

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    assert_int_equal(mkv_path_from_dotted(mkv_bytes_of(path), &key), 0);
    order->key = mkv_buf_bytes(&key);
    order->id = ++peer->last_id;
    assert_int_equal(mkv_client_node_order(&peer->node, peer->now_ms, order), 0);
    mkv_buf_deinit(&key);
    peer_listen(peer);
    return order->id;
}

uint64_t peer_write(struct peer *peer, const char *path, bool blind)
{
    struct mkv_client_order write = {
        .kind = MKV_CLIENT_WRITE, .present = true, .value = mkv_bytes_of("\x07"), .blind = blind};

    return order(peer, path, &write);
}

uint64_t peer_watch(struct peer *peer, const char *path)
{
    struct mkv_client_order watch = {.kind = MKV_CLIENT_WATCH};

    return order(peer, path, &watch);
}

const struct mkv_client_output *peer_nth(const struct peer *peer,
                                         enum mkv_client_output_kind kind,
                                         unsigned i)
{
    for (unsigned n = 0; n < peer->n; n++) {
        if (peer->heard[n].output->kind == kind && i-- == 0) {
            return peer->heard[n].output;
        }
    }
    return NULL;
}

unsigned peer_count(const struct peer *peer, enum mkv_client_output_kind kind)
{
    unsigned n = 0;

    while (peer_nth(peer, kind, n) != NULL) {
        n++;
    }
    return n;
}

const struct mkv_frame *peer_last(const struct peer *peer, enum mkv_frame_kind kind)
{
    for (unsigned n = peer->n; n > 0; n--) {
        const struct peer_heard *heard = &peer->heard[n - 1];

        if (heard->output->kind == MKV_CLIENT_LINK_SEND && heard->frame.kind == kind) {
            return &heard->frame;
        }
    }
    return NULL;
}

unsigned peer_count_frames(const struct peer *peer, enum mkv_frame_kind kind)
{
    unsigned n = 0;

    for (unsigned i = 0; i < peer->n; i++) {
        n += peer->heard[i].output->kind == MKV_CLIENT_LINK_SEND &&
             peer->heard[i].frame.kind == kind;
    }
    return n;
}

int peer_status(const struct peer *peer, uint64_t id)
{
    for (unsigned i = 0; i < peer->n; i++) {
        const struct mkv_client_output *output = peer->heard[i].output;

        if (output->kind == MKV_CLIENT_DONE && output->id == id) {
            return output->status;
        }
    }
    return 1;
}

void peer_init_with(struct peer *peer, const struct mkv_client_config *config)
{
    memset(peer, 0, sizeof(*peer));
    peer->now_ms = 1;
    peer->session = (struct mkv_frame_session){
        .name = mkv_bytes_of("srv"),
        .seq = 7,
        .root = mkv_bytes_of("moat/main"),
        .brokers = {.n = 1, .at = {mkv_bytes_of("mqtt://127.0.0.1:1883")}},
        .client_id = mkv_bytes_of("srv:7"),
        .qos = 1,
        .tock = FIRST_TOCK,
        .token = mkv_bytes_of("token"),
    };
    assert_int_equal(mkv_client_node_init(&peer->node, config), 0);
    mkv_client_node_tick(&peer->node, peer->now_ms);
    peer_listen(peer);
}

void peer_init(struct peer *peer)
{
    const struct mkv_client_config config = {
        .servers = {.n = 1, .at = {mkv_bytes_of("unix:/s")}},
        .root = mkv_bytes_of("moat/main"),
        .software = mkv_bytes_of("test"),
        .seed = 4711,
    };

    peer_init_with(peer, &config);
}

void peer_deinit(struct peer *peer)
{
    mkv_client_node_close(&peer->node, peer->now_ms);
    peer_listen(peer);
    peer_forget(peer);
    mkv_client_node_deinit(&peer->node);
}
