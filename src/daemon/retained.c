/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the node, which knows updates, and a broker that may retain values (docs/retained.md).
 */
#include <inttypes.h>

#include "daemon/inner.h"
#include "notation/plain.h"
#include "wire/path.h"

#define META_FIRST 0x10 /* how the keys of paths below null begin: wire/key.h */

/* What is the cluster's own has values of any kind. */
static enum mkv_mode mode_of(const struct daemon *daemon, struct mkv_bytes topic)
{
    return mkv_topic_is_meta(mkv_bytes_of(daemon->config->root), topic) ? MKV_MODE_CBOR
                                                                        : daemon->config->mode;
}

/* A row that cannot be read is no worse than without a broker that retains. */
static int check_entry(struct daemon *daemon,
                       const struct mkv_tree_entry *entry,
                       struct mkv_buf *payload)
{
    struct mkv_bytes key;
    struct mkv_update row;
    int error = mkv_store_row(daemon->store, entry->position, &key, &row);

    mkv_buf_clear(payload);
    if (error == 0 && row.present) {
        error = mkv_plain_write(daemon->config->mode, row.value, payload);
    }
    return error == MKV_E_CORRUPT ? 0 : error;
}

static void say_unfit(const struct daemon *daemon,
                      uint64_t n_unfit,
                      struct mkv_bytes first,
                      struct mkv_why *why)
{
    struct mkv_buf path;

    mkv_buf_init(&path, sizeof(why->text));
    (void)!mkv_path_to_dotted(first, &path);
    mkv_why_set(why,
                "%" PRIu64 " values in '%s' have no message in the codec of --retained, '%.*s' for "
                "one: choose another (cbor has one for every value), or change them before",
                n_unfit, daemon->config->state, (int)path.len, (const char *)path.at);
    mkv_buf_deinit(&path);
}

/* The meta tree is always retained as CBOR. */
static bool next_entry(const struct mkv_tree *tree,
                       struct mkv_bytes key,
                       struct mkv_tree_entry *entry)
{
    bool found = mkv_tree_next(tree, key, entry);

    while (found && entry->key.at[0] == META_FIRST) {
        found = mkv_tree_next(tree, entry->key, entry);
    }
    return found;
}

int mkv_daemon_check_fit(struct daemon *daemon, struct mkv_why *why)
{
    const struct mkv_tree *tree = mkv_store_tree(daemon->store);
    struct mkv_tree_entry entry;
    struct mkv_bytes first = {0};
    struct mkv_buf payload;
    uint64_t n_unfit = 0;
    int error = 0;

    if (!mkv_mode_retains(daemon->config->mode) || daemon->config->mode == MKV_MODE_CBOR) {
        return 0;
    }
    mkv_buf_init(&payload, MKV_PLAIN_PAYLOAD_MAX);
    for (bool found = mkv_tree_at(tree, mkv_bytes(NULL, 0), &entry); found && error == 0;
         found = next_entry(tree, entry.key, &entry)) {
        error = check_entry(daemon, &entry, &payload);
        if (error == MKV_E_UNFIT) {
            first = n_unfit++ == 0 ? entry.key : first;
            error = 0;
        }
    }
    mkv_buf_deinit(&payload);
    if (error == 0 && n_unfit > 0) {
        say_unfit(daemon, n_unfit, first, why);
        return MKV_E_UNFIT;
    }
    if (error != 0) {
        mkv_why_set(why, "%s", mkv_error_text(error));
    }
    return error;
}

static void hear_tagged(struct daemon *daemon, const struct mkv_mqtt_message *message)
{
    struct mkv_now now = mkv_daemon_now(daemon);
    struct mkv_buf update;
    int error;

    mkv_buf_init(&update, MKV_UPDATE_MAX);
    error =
        mkv_plain_join(mode_of(daemon, message->topic), message->payload, message->tag, &update);
    if (error == 0) {
        mkv_server_node_message(daemon->node, now, message->topic, mkv_buf_bytes(&update), false);
    } else {
        mkv_server_node_unreadable(daemon->node, now, message->topic, error);
    }
    mkv_buf_deinit(&update);
}

/* What is wrong with it by the rules of CBOR would be a riddle to whoever writes text. */
static int read_value(enum mkv_mode mode, struct mkv_bytes payload, struct mkv_buf *value)
{
    int error = mkv_plain_read(mode, payload, value);

    return error == 0 || error == MKV_E_NO_MEMORY || error == MKV_E_TOO_LARGE ? error : MKV_E_UNFIT;
}

/* From somebody who knows nothing of us. */
static void hear_plain(struct daemon *daemon, const struct mkv_mqtt_message *message)
{
    struct mkv_now now = mkv_daemon_now(daemon);
    struct mkv_buf value;
    int error = 0;

    mkv_buf_init(&value, MKV_VALUE_MAX);
    if (mkv_topic_is_meta(mkv_bytes_of(daemon->config->root), message->topic)) {
        error = MKV_E_NOT_AUTHORISED; /* users, rights ...: not for everybody to write */
    } else if (message->payload.len > 0) {
        error = read_value(daemon->config->mode, message->payload, &value);
    }
    if (error == 0) {
        mkv_server_node_plain(daemon->node, now, message->topic, value.len > 0,
                              mkv_buf_bytes(&value));
    } else {
        mkv_server_node_unreadable(daemon->node, now, message->topic, error);
    }
    mkv_buf_deinit(&value);
}

void mkv_daemon_hear(struct daemon *daemon, const struct mkv_mqtt_message *message)
{
    if (!mkv_mode_retains(daemon->config->mode) ||
        !mkv_topic_is_data(mkv_bytes_of(daemon->config->root), message->topic)) {
        mkv_server_node_message(daemon->node, mkv_daemon_now(daemon), message->topic,
                                message->payload, message->retain);
    } else if (message->tag.len > 0) {
        hear_tagged(daemon, message);
    } else {
        hear_plain(daemon, message);
    }
}

static void send(struct daemon *daemon, const struct mkv_mqtt_message *message, int error)
{
    if (error == 0) {
        error = mkv_mqtt_publish(daemon->mqtt, message, 0);
    }
    if (error != 0) {
        mkv_daemon_say(daemon, MKV_LOG_WARNING, "a message on '%.*s' could not be published: %s",
                       (int)message->topic.len, (const char *)message->topic.at,
                       mkv_error_text(error));
    }
}

static void publish_plain(struct daemon *daemon, const struct mkv_output *output)
{
    struct mkv_mqtt_message message = {
        .topic = output->topic, .qos = (int)output->qos, .retain = true};
    struct mkv_buf payload;
    struct mkv_buf tag;
    int error;

    mkv_buf_init(&payload, MKV_PLAIN_PAYLOAD_MAX);
    mkv_buf_init(&tag, MKV_MQTT_TAG_MAX);
    error = mkv_plain_split(mode_of(daemon, output->topic), output->payload, &payload, &tag);
    message.payload = mkv_buf_bytes(&payload);
    message.tag = mkv_buf_bytes(&tag);
    send(daemon, &message, error);
    mkv_buf_deinit(&payload);
    mkv_buf_deinit(&tag);
}

void mkv_daemon_publish(struct daemon *daemon, const struct mkv_output *output)
{
    struct mkv_mqtt_message message = {
        .topic = output->topic, .payload = output->payload, .qos = (int)output->qos};

    if (output->retain) {
        publish_plain(daemon, output);
    } else {
        send(daemon, &message, 0);
    }
}

/*
 * To subscribe makes the broker say what it retains.  That to everything stays; of the others,
 * which would have messages come twice, we are rid at once.
 */
void mkv_daemon_look(struct daemon *daemon, const struct mkv_output *output)
{
    bool is_all = output->topic.at[output->topic.len - 1] == '#';
    int error =
        mkv_mqtt_subscribe(daemon->mqtt, output->topic, (int)output->qos, MKV_DAEMON_LOOKED);

    if (error == 0 && !is_all) {
        error = mkv_mqtt_unsubscribe(daemon->mqtt, output->topic, 0);
    }
    if (error != 0 &&
        error != MKV_E_NO_CONNECTION) { /* not answered: all begins anew after a while */
        mkv_daemon_say(daemon, MKV_LOG_WARNING, "the broker could not be asked what it retains: %s",
                       mkv_error_text(error));
    }
}

void mkv_daemon_looked(struct daemon *daemon, int error, const struct mkv_why *why)
{
    if (error != 0 && error != MKV_E_NO_CONNECTION) {
        mkv_daemon_say(daemon, MKV_LOG_WARNING, "the broker does not say what it retains: %s",
                       why->text);
    } else if (error == 0) {
        mkv_server_node_looked(daemon->node, mkv_daemon_now(daemon));
        mkv_daemon_pump(daemon);
    }
}
