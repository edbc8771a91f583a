/* SPDX-License-Identifier: Apache-2.0 */
#include "node/client.h"

#include "base/limits.h"

/*
 * An effect that was lost for want of memory leaves a connection in an unknown state.  It is given
 * up, which both sides understand.
 */
static void make_good(struct mkv_client_node *node, int64_t now_ms)
{
    struct mkv_client_effects *effects = &node->effects;
    struct mkv_client_event event = {.now_ms = now_ms, .error = MKV_E_NO_MEMORY};

    if (effects->link_failed) {
        effects->link_failed = false;
        mkv_client_effects_append_static(effects, &effects->close_link);
        event.kind = MKV_CLIENT_ON_LINK_CLOSED;
        (void)mkv_client_step(&node->client, &event, effects);
    }
    if (effects->mqtt_failed) {
        effects->mqtt_failed = false;
        event.kind = MKV_CLIENT_ON_MQTT_GONE;
        (void)mkv_client_step(&node->client, &event, effects);
    }
}

static int step(struct mkv_client_node *node, const struct mkv_client_event *event)
{
    int error = mkv_client_step(&node->client, event, &node->effects);

    make_good(node, event->now_ms);
    return error;
}

/* All but orders and cancels cannot be refused, except after the end, when nothing matters. */
static void tell(struct mkv_client_node *node, const struct mkv_client_event *event)
{
    (void)step(node, event);
}

int mkv_client_node_init(struct mkv_client_node *node, const struct mkv_client_config *config)
{
    *node = (struct mkv_client_node){0};
    mkv_client_effects_init(&node->effects);
    mkv_buf_init(&node->key, MKV_PATH_KEY_MAX);
    return mkv_client_init(&node->client, config);
}

void mkv_client_node_deinit(struct mkv_client_node *node)
{
    mkv_client_deinit(&node->client);
    mkv_client_effects_deinit(&node->effects);
    mkv_buf_deinit(&node->key);
}

int mkv_client_node_order(struct mkv_client_node *node,
                          int64_t now_ms,
                          const struct mkv_client_order *order)
{
    struct mkv_client_event event = {.kind = MKV_CLIENT_ON_ORDER, .now_ms = now_ms, .order = order};
    int error = mkv_client_effects_spare(&node->effects);

    if (error != 0) {
        return error;
    }
    error = step(node, &event);
    if (error != 0) {
        mkv_client_effects_unspare(&node->effects);
    }
    return error;
}

int mkv_client_node_cancel(struct mkv_client_node *node, int64_t now_ms, uint64_t id)
{
    struct mkv_client_event event = {.kind = MKV_CLIENT_ON_CANCEL, .now_ms = now_ms, .id = id};

    return step(node, &event);
}

void mkv_client_node_close(struct mkv_client_node *node, int64_t now_ms)
{
    struct mkv_client_event event = {.kind = MKV_CLIENT_ON_CLOSE, .now_ms = now_ms};

    tell(node, &event);
}

void mkv_client_node_tick(struct mkv_client_node *node, int64_t now_ms)
{
    struct mkv_client_event event = {.kind = MKV_CLIENT_ON_TICK, .now_ms = now_ms};

    tell(node, &event);
}

void mkv_client_node_link_opened(struct mkv_client_node *node, int64_t now_ms)
{
    struct mkv_client_event event = {.kind = MKV_CLIENT_ON_LINK_OPENED, .now_ms = now_ms};

    tell(node, &event);
}

/* A later version may know this one; docs/protocol.md, section 7. */
static void answer_unknown(struct mkv_client_node *node, uint64_t id)
{
    struct mkv_frame frame = {
        .kind = MKV_FRAME_ERROR,
        .id = id,
        .error = {.code = MKV_E_UNKNOWN_REQUEST,
                  .text = mkv_bytes_of(mkv_error_text(MKV_E_UNKNOWN_REQUEST))},
    };

    if (id != 0 && node->client.phase != MKV_CLIENT_OFF) {
        mkv_client_effect_link_send(&node->effects, &frame);
    }
}

void mkv_client_node_link_frame(struct mkv_client_node *node, int64_t now_ms, struct mkv_bytes map)
{
    struct mkv_frame frame;
    struct mkv_client_event event = {
        .kind = MKV_CLIENT_ON_LINK_FRAME, .now_ms = now_ms, .frame = &frame};
    int error = mkv_frame_decode(map, &frame);

    if (error == 0) {
        tell(node, &event);
    } else if (error == MKV_E_UNKNOWN_REQUEST) {
        answer_unknown(node, frame.id);
        make_good(node, now_ms);
    } else {
        mkv_client_node_link_broken(node, now_ms, error);
    }
}

void mkv_client_node_link_broken(struct mkv_client_node *node, int64_t now_ms, int error)
{
    struct mkv_client_event event = {
        .kind = MKV_CLIENT_ON_LINK_BROKEN, .now_ms = now_ms, .error = error};

    tell(node, &event);
}

void mkv_client_node_link_proof(
    struct mkv_client_node *node, int64_t now_ms, int error, struct mkv_bytes answer, bool done)
{
    struct mkv_client_event event = {.kind = MKV_CLIENT_ON_LINK_PROOF,
                                     .now_ms = now_ms,
                                     .error = error,
                                     .answer = answer,
                                     .done = done};

    tell(node, &event);
}

void mkv_client_node_link_closed(struct mkv_client_node *node,
                                 int64_t now_ms,
                                 int error,
                                 struct mkv_bytes why)
{
    struct mkv_client_event event = {
        .kind = MKV_CLIENT_ON_LINK_CLOSED, .now_ms = now_ms, .error = error, .why = why};

    tell(node, &event);
}

void mkv_client_node_mqtt_connected(struct mkv_client_node *node, int64_t now_ms)
{
    struct mkv_client_event event = {.kind = MKV_CLIENT_ON_MQTT_CONNECTED, .now_ms = now_ms};

    tell(node, &event);
}

void mkv_client_node_mqtt_disconnected(
    struct mkv_client_node *node, int64_t now_ms, int error, struct mkv_bytes why, bool gone)
{
    struct mkv_client_event event = {.kind = gone ? MKV_CLIENT_ON_MQTT_GONE
                                                  : MKV_CLIENT_ON_MQTT_DISCONNECTED,
                                     .now_ms = now_ms,
                                     .error = error,
                                     .why = why};

    tell(node, &event);
}

void mkv_client_node_mqtt_answered(
    struct mkv_client_node *node, int64_t now_ms, uint64_t cookie, int error, struct mkv_bytes why)
{
    struct mkv_client_event event = {.kind = MKV_CLIENT_ON_MQTT_ANSWERED,
                                     .now_ms = now_ms,
                                     .cookie = cookie,
                                     .error = error,
                                     .why = why};

    tell(node, &event);
}

void mkv_client_node_mqtt_drained(struct mkv_client_node *node, int64_t now_ms)
{
    struct mkv_client_event event = {.kind = MKV_CLIENT_ON_MQTT_DRAINED, .now_ms = now_ms};

    tell(node, &event);
}

static void on_reply(struct mkv_client_node *node, int64_t now_ms, struct mkv_bytes payload)
{
    struct mkv_server_reply reply;
    struct mkv_client_event event = {
        .kind = MKV_CLIENT_ON_MQTT_REPLY, .now_ms = now_ms, .reply = &reply};

    if (mkv_server_reply_decode(payload, &reply) == 0) {
        tell(node, &event);
    }
}

void mkv_client_node_mqtt_message(struct mkv_client_node *node,
                                  int64_t now_ms,
                                  struct mkv_bytes topic,
                                  struct mkv_bytes payload,
                                  bool retain)
{
    struct mkv_pending_where where = mkv_client_where(&node->client);
    struct mkv_update update;
    struct mkv_client_event event = {.kind = MKV_CLIENT_ON_MQTT_UPDATE, .now_ms = now_ms};

    if (retain || payload.len == 0 || node->client.use == MKV_CLIENT_MQTT_OFF) {
        return;
    }
    if (mkv_topic_is_svc(where.root, "server", topic)) {
        on_reply(node, now_ms, payload);
        return;
    }
    mkv_buf_clear(&node->key);
    if (mkv_topic_to_path(where.root, where.profile, topic, &node->key) == 0 &&
        mkv_update_decode(payload, &update) == 0) {
        event.update.key = mkv_buf_bytes(&node->key);
        event.update.content = &update;
        tell(node, &event);
    }
}
