/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "client/handle.h"
#include "notation/plain.h"

static struct mkv_bytes text_of(const struct mkv_why *why)
{
    return why != NULL ? mkv_bytes_of(why->text) : mkv_bytes(NULL, 0);
}

/* The link.  Events of one that was given up find another one, or none, in its place. */

static void on_opened(void *context, struct mkv_link *link)
{
    moatkv *kv = context;

    if (link == kv->link) {
        mkv_client_node_link_opened(&kv->node, mkv_handle_now_ms());
        mkv_handle_carry_out(kv);
    }
}

static void on_frame(void *context, struct mkv_link *link, struct mkv_bytes map)
{
    moatkv *kv = context;

    if (link == kv->link) {
        mkv_client_node_link_frame(&kv->node, mkv_handle_now_ms(), map);
        mkv_handle_carry_out(kv);
    }
}

static void on_unreadable(void *context, struct mkv_link *link, int error)
{
    moatkv *kv = context;

    if (link == kv->link) {
        mkv_client_node_link_broken(&kv->node, mkv_handle_now_ms(), error);
        mkv_handle_carry_out(kv);
    }
}

static void on_closed(void *context, struct mkv_link *link, int error, const struct mkv_why *why)
{
    moatkv *kv = context;

    if (link == kv->closing) {
        kv->closing = NULL;
    } else if (link == kv->link) {
        kv->link = NULL;
        mkv_client_node_link_closed(&kv->node, mkv_handle_now_ms(),
                                    error != 0 ? error : MKV_E_CLOSED, text_of(why));
        mkv_handle_carry_out(kv);
    }
    mkv_link_free(link);
}

static const struct mkv_link_events link_events = {
    .opened = on_opened,
    .frame = on_frame,
    .unreadable = on_unreadable,
    .closed = on_closed,
};

static void link_close(moatkv *kv)
{
    if (kv->link == NULL) {
        return;
    }
    mkv_link_free(kv->closing);
    kv->closing = kv->link;
    kv->link = NULL;
    mkv_link_close(kv->closing);
}

static void link_connect(moatkv *kv, struct mkv_bytes text)
{
    struct mkv_address address;
    struct mkv_why why = {{0}};

    link_close(kv);
    int error = mkv_address_parse(text, &address, &why);

    if (error == 0) {
        const struct mkv_link_options options = {.tls = kv->identity.tls};

        error = mkv_link_connect(kv->loop, &address, &options, &link_events, kv, &kv->link);
    }
    if (error != 0) {
        mkv_client_node_link_closed(&kv->node, mkv_handle_now_ms(), error, text_of(&why));
    }
}

static void link_send(moatkv *kv, struct mkv_bytes frame)
{
    if (kv->link != NULL) {
        (void)!mkv_link_send(kv->link, frame); /* what fails closes the link, and that is told */
    }
}

/* The broker. */

static void on_connected(void *context)
{
    moatkv *kv = context;

    mkv_client_node_mqtt_connected(&kv->node, mkv_handle_now_ms());
    mkv_handle_carry_out(kv);
}

static void on_disconnected(void *context, int error, const struct mkv_why *why)
{
    moatkv *kv = context;

    mkv_client_node_mqtt_disconnected(&kv->node, mkv_handle_now_ms(), error, text_of(why), false);
    mkv_handle_carry_out(kv);
}

static enum mkv_mode mode_of(const moatkv *kv, struct mkv_bytes topic)
{
    const struct mkv_frame_session *session = &kv->node.client.session.about;

    return mkv_topic_is_meta(session->root, topic) ? MKV_MODE_CBOR : (enum mkv_mode)session->mode;
}

/* Whether what goes by @topic is a value alone, with a tag (docs/retained.md). */
static bool is_plain(const moatkv *kv, struct mkv_bytes topic)
{
    const struct mkv_frame_session *session = &kv->node.client.session.about;

    return kv->node.client.use == MKV_CLIENT_MQTT_SESSION && mkv_mode_retains(session->mode) &&
           mkv_topic_is_data(session->root, topic);
}

/* What has no tag is repeated by a server with one; what is retained we have from a server. */
static void hear_plain(moatkv *kv, const struct mkv_mqtt_message *message)
{
    struct mkv_buf update;

    mkv_buf_init(&update, MKV_UPDATE_MAX);
    if (message->tag.len > 0 &&
        mkv_plain_join(mode_of(kv, message->topic), message->payload, message->tag, &update) == 0) {
        mkv_client_node_mqtt_message(&kv->node, mkv_handle_now_ms(), message->topic,
                                     mkv_buf_bytes(&update), message->retain);
    }
    mkv_buf_deinit(&update);
}

static void on_message(void *context, const struct mkv_mqtt_message *message)
{
    moatkv *kv = context;

    if (is_plain(kv, message->topic)) {
        hear_plain(kv, message);
    } else {
        mkv_client_node_mqtt_message(&kv->node, mkv_handle_now_ms(), message->topic,
                                     message->payload, message->retain);
    }
    mkv_handle_carry_out(kv);
}

static void on_answered(
    void *context, uint64_t cookie, int error, int qos, const struct mkv_why *why)
{
    moatkv *kv = context;

    (void)qos; /* any will do: correctness never depends on it */
    mkv_client_node_mqtt_answered(&kv->node, mkv_handle_now_ms(), cookie, error, text_of(why));
    mkv_handle_carry_out(kv);
}

static void on_drained(void *context)
{
    moatkv *kv = context;

    mkv_client_node_mqtt_drained(&kv->node, mkv_handle_now_ms());
    mkv_handle_carry_out(kv);
}

static const struct mkv_mqtt_events mqtt_events = {
    .connected = on_connected,
    .disconnected = on_disconnected,
    .message = on_message,
    .answered = on_answered,
    .drained = on_drained,
};

/* A C string; NULL if there is a NUL in @text, or no memory. */
static char *string_of(struct mkv_bytes text)
{
    char *string = NULL;

    if (text.len == 0 || memchr(text.at, 0, text.len) == NULL) {
        string = mkv_mem_alloc(text.len + 1);
    }
    if (string != NULL && text.len > 0) {
        memcpy(string, text.at, text.len);
    }
    return string;
}

static int publish_plain(moatkv *kv, const struct mkv_client_output *output)
{
    struct mkv_mqtt_message message = {
        .topic = output->text, .qos = (int)output->qos, .retain = true};
    struct mkv_buf payload;
    struct mkv_buf tag;
    int error;

    mkv_buf_init(&payload, MKV_PLAIN_PAYLOAD_MAX);
    mkv_buf_init(&tag, MKV_MQTT_TAG_MAX);
    error = mkv_plain_split(mode_of(kv, output->text), output->payload, &payload, &tag);
    message.payload = mkv_buf_bytes(&payload);
    message.tag = mkv_buf_bytes(&tag);
    if (error == 0) {
        error = mkv_mqtt_publish(kv->mqtt, &message, output->cookie);
    }
    mkv_buf_deinit(&payload);
    mkv_buf_deinit(&tag);
    return error;
}

static int mqtt_new(moatkv *kv, const struct mkv_client_broker *broker, struct mkv_why *why)
{
    char *client_id = string_of(broker->client_id);
    char *user = string_of(broker->user);
    char *password = string_of(broker->password);
    struct mkv_mqtt_options options = {
        .client_id = client_id,
        .user = broker->has_user ? user : NULL,
        .password = broker->has_password ? password : NULL,
        .version =
            mkv_mode_retains(kv->node.client.session.about.mode) ? MKV_MQTT_V5 : MKV_MQTT_ANY,
    };
    int error = mkv_address_parse(broker->address, &options.address, why);

    if (error == 0 && (client_id == NULL || user == NULL || password == NULL)) {
        error = MKV_E_BAD_ARGUMENT;
    }
    if (error == 0) {
        error = mkv_mqtt_new(kv->loop, &options, &mqtt_events, kv, why, &kv->mqtt);
    }
    mkv_mem_free(password);
    mkv_mem_free(user);
    mkv_mem_free(client_id);
    return error;
}

static void mqtt_disconnect(moatkv *kv)
{
    mkv_mqtt_free(kv->mqtt);
    kv->mqtt = NULL;
}

static void mqtt_connect(moatkv *kv, const struct mkv_client_broker *broker)
{
    struct mkv_why why = {{0}};

    mqtt_disconnect(kv);
    int error = mqtt_new(kv, broker, &why);

    if (error != 0) {
        mkv_client_node_mqtt_disconnected(&kv->node, mkv_handle_now_ms(), error, text_of(&why),
                                          true);
    }
}

static void mqtt_redirect(moatkv *kv, struct mkv_bytes text)
{
    struct mkv_address address;
    struct mkv_why why = {{0}};
    int error = mkv_address_parse(text, &address, &why);

    if (error != 0) {
        mkv_client_node_mqtt_disconnected(&kv->node, mkv_handle_now_ms(), error, text_of(&why),
                                          true);
    } else if (kv->mqtt != NULL) {
        mkv_mqtt_redirect(kv->mqtt, &address);
    }
}

static void mqtt_request(moatkv *kv, const struct mkv_client_output *output)
{
    int error = MKV_E_NO_CONNECTION;

    if (kv->mqtt != NULL && output->kind == MKV_CLIENT_MQTT_SUBSCRIBE) {
        error = mkv_mqtt_subscribe_live(kv->mqtt, output->text, (int)output->qos, output->cookie);
    } else if (kv->mqtt != NULL && is_plain(kv, output->text)) {
        error = publish_plain(kv, output);
    } else if (kv->mqtt != NULL) {
        struct mkv_mqtt_message message = {
            .topic = output->text, .payload = output->payload, .qos = (int)output->qos};

        error = mkv_mqtt_publish(kv->mqtt, &message, output->cookie);
    }
    if (error != 0) {
        mkv_client_node_mqtt_answered(&kv->node, mkv_handle_now_ms(), output->cookie, error,
                                      mkv_bytes(NULL, 0));
    }
}

static void mqtt_unsubscribe(moatkv *kv, const struct mkv_client_output *output)
{
    if (kv->mqtt != NULL) {
        /* Should it fail, messages come that nobody wants. */
        (void)!mkv_mqtt_unsubscribe(kv->mqtt, output->text, UINT64_MAX);
    }
}

static void tell(moatkv *kv, struct mkv_client_output *output)
{
    if (kv->told_last == NULL) {
        kv->told = output;
    } else {
        kv->told_last->next = output;
    }
    kv->told_last = output;
}

/* Returns true if the output is done with; else it is for the application. */
static bool carry(moatkv *kv, const struct mkv_client_output *output)
{
    switch (output->kind) {
    case MKV_CLIENT_LINK_CONNECT:
        link_connect(kv, output->text);
        return true;
    case MKV_CLIENT_LINK_SEND:
        link_send(kv, output->payload);
        return true;
    case MKV_CLIENT_LINK_PROVE:
        mkv_identity_prove(kv, output->text, output->payload);
        return true;
    case MKV_CLIENT_LINK_CLOSE:
        link_close(kv);
        return true;
    case MKV_CLIENT_MQTT_CONNECT:
        mqtt_connect(kv, &output->broker);
        return true;
    case MKV_CLIENT_MQTT_REDIRECT:
        mqtt_redirect(kv, output->text);
        return true;
    case MKV_CLIENT_MQTT_DISCONNECT:
        mqtt_disconnect(kv);
        return true;
    case MKV_CLIENT_MQTT_UNSUBSCRIBE:
        mqtt_unsubscribe(kv, output);
        return true;
    case MKV_CLIENT_MQTT_SUBSCRIBE:
    case MKV_CLIENT_MQTT_PUBLISH:
        mqtt_request(kv, output);
        return true;
    case MKV_CLIENT_ROW:
    case MKV_CLIENT_CHILD:
    case MKV_CLIENT_FACT:
    case MKV_CLIENT_LOST:
    case MKV_CLIENT_TELL:
    case MKV_CLIENT_DONE:
    case MKV_CLIENT_NOTICE:
        break;
    }
    return false;
}

void mkv_handle_carry_out(moatkv *kv)
{
    struct mkv_client_output *output = mkv_client_effects_take(&kv->node.effects);

    while (output != NULL) {
        if (carry(kv, output)) {
            mkv_client_output_free(output);
        } else {
            tell(kv, output);
        }
        output = mkv_client_effects_take(&kv->node.effects);
    }
    /* What waits to be told makes the loop ready; but not within a turn, which would never end. */
    bool is_due = kv->told != NULL && !kv->dispatching;

    mkv_loop_set_deadline(kv->loop,
                          is_due ? mkv_handle_now_ms() : mkv_client_deadline_ms(&kv->node.client));
}
