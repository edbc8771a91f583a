/* SPDX-License-Identifier: Apache-2.0 */
#include "node/effects.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/limits.h"
#include "wire/dump.h"
#include "wire/mac.h"

#define LINE_MAX_LEN 1024U /* of a line of the log; the rest is cut off */

struct record {
    enum mkv_output_kind kind;
    enum mkv_log_level level;
    uint32_t qos;
    bool retain;
    uint64_t link;
    size_t topic_len;
    size_t payload_len;
};

void mkv_effects_init(struct mkv_effects *effects,
                      struct mkv_bytes root,
                      enum mkv_profile profile,
                      uint32_t qos)
{
    *effects = (struct mkv_effects){.root = root, .profile = profile, .qos = qos};
    mkv_buf_init(&effects->quarantine, MKV_OUTPUTS_MAX);
    mkv_buf_init(&effects->queue, MKV_OUTPUTS_MAX);
}

void mkv_effects_deinit(struct mkv_effects *effects)
{
    mkv_buf_deinit(&effects->queue);
    mkv_buf_deinit(&effects->quarantine);
}

void mkv_effects_release(struct mkv_effects *effects)
{
    effects->released = effects->queue.len;
}

size_t mkv_effects_held(const struct mkv_effects *effects)
{
    return effects->queue.len - effects->released;
}

void mkv_effects_drop(struct mkv_effects *effects)
{
    mkv_buf_truncate(&effects->queue, effects->released);
    mkv_buf_clear(&effects->quarantine);
    effects->error = 0;
}

int mkv_effects_keep(struct mkv_effects *effects)
{
    const struct mkv_quarantine *keeper = &effects->keeper;
    struct mkv_bytes rows = mkv_buf_bytes(&effects->quarantine);
    int error = rows.len == 0 ? 0 : keeper->keep(keeper->context, rows);

    mkv_buf_clear(&effects->quarantine);
    return error;
}

bool mkv_effects_take(struct mkv_effects *effects, struct mkv_output *ret_output)
{
    struct record record;
    const uint8_t *at = effects->queue.at + effects->taken;

    if (effects->taken == effects->released) {
        if (effects->taken > 0 && effects->released == effects->queue.len) {
            mkv_buf_clear(&effects->queue);
            effects->taken = 0;
            effects->released = 0;
        }
        return false;
    }
    memcpy(&record, at, sizeof(record));
    at += sizeof(record);
    *ret_output = (struct mkv_output){
        .kind = record.kind,
        .level = record.level,
        .qos = record.qos,
        .retain = record.retain,
        .link = record.link,
        .topic = mkv_bytes(at, record.topic_len),
        .payload = mkv_bytes(at + record.topic_len, record.payload_len),
    };
    effects->taken += sizeof(record) + record.topic_len + record.payload_len;
    return true;
}

/* Starts a record; topic and payload are appended behind it, then end_record() is called. */
static size_t begin_record(struct mkv_effects *effects)
{
    size_t start = effects->queue.len;
    struct record record = {0};

    if (effects->error == 0) {
        effects->error = mkv_buf_append(&effects->queue, mkv_bytes(&record, sizeof(record)));
    }
    return start;
}

/* @topic_len bytes behind the record's head are its topic, the rest is its payload. */
static void end_record(struct mkv_effects *effects,
                       size_t start,
                       size_t topic_len,
                       struct record record)
{
    if (effects->error != 0) {
        mkv_buf_truncate(&effects->queue, start);
        if (effects->error == MKV_E_TOO_LARGE) {
            effects->error = MKV_E_QUEUE_FULL;
        }
        return;
    }
    record.topic_len = topic_len;
    record.payload_len = effects->queue.len - start - sizeof(record) - topic_len;
    memcpy(effects->queue.at + start, &record, sizeof(record));
}

void mkv_effect_send(struct mkv_effects *effects, uint64_t link, const struct mkv_frame *frame)
{
    size_t start = begin_record(effects);

    if (effects->error == 0) {
        effects->error = mkv_frame_encode(frame, &effects->queue);
    }
    end_record(effects, start, 0, (struct record){.kind = MKV_OUTPUT_SEND, .link = link});
}

void mkv_effect_close(struct mkv_effects *effects, uint64_t link)
{
    size_t start = begin_record(effects);

    end_record(effects, start, 0, (struct record){.kind = MKV_OUTPUT_CLOSE, .link = link});
}

void mkv_effect_sasl(struct mkv_effects *effects,
                     uint64_t link,
                     struct mkv_bytes mechanism,
                     struct mkv_bytes message)
{
    size_t start = begin_record(effects);

    if (effects->error == 0) {
        effects->error = mkv_buf_append(&effects->queue, mechanism);
    }
    if (effects->error == 0) {
        effects->error = mkv_buf_append(&effects->queue, message);
    }
    end_record(effects, start, mechanism.len,
               (struct record){.kind = MKV_OUTPUT_SASL, .link = link});
}

static size_t topic_end(const struct mkv_effects *effects, size_t start)
{
    return effects->error != 0 ? 0 : effects->queue.len - start - sizeof(struct record);
}

/* Any server can speak for any session. */
static int encode_with_mac(struct mkv_effects *effects,
                           size_t topic_len,
                           const struct mkv_update *update)
{
    struct mkv_buf *queue = &effects->queue;
    size_t start = queue->len;
    uint8_t key[MKV_MAC_KEY_LEN];
    int error = mkv_update_encode_room(update, queue);

    if (error == 0) {
        mkv_mac_key(effects->updates.keys[0], &update->ticks.at[0], key);
        mkv_mac_sign(key, mkv_bytes(queue->at + start - topic_len, topic_len), queue->at + start,
                     queue->len - start);
    }
    return error;
}

void mkv_effect_publish(struct mkv_effects *effects,
                        struct mkv_bytes key,
                        const struct mkv_update *update)
{
    size_t start = begin_record(effects);

    if (effects->error == 0) {
        effects->error = mkv_topic_of_path(effects->root, effects->profile, key, &effects->queue);
    }

    size_t topic_len = topic_end(effects, start);

    if (effects->error == 0) {
        effects->error = effects->updates.n > 0 ? encode_with_mac(effects, topic_len, update)
                                                : mkv_update_encode(update, &effects->queue);
    }
    end_record(effects, start, topic_len,
               (struct record){
                   .kind = MKV_OUTPUT_PUBLISH, .qos = effects->qos, .retain = effects->retain});
}

void mkv_effect_look(struct mkv_effects *effects, struct mkv_bytes key)
{
    size_t start = begin_record(effects);

    if (effects->error == 0) {
        effects->error =
            key.len > 0 ? mkv_topic_of_path(effects->root, effects->profile, key, &effects->queue)
                        : mkv_topic_filter(effects->root, effects->profile, key, &effects->queue);
    }
    end_record(effects, start, topic_end(effects, start),
               (struct record){.kind = MKV_OUTPUT_LOOK, .qos = effects->qos});
}

void mkv_effect_quarantine(struct mkv_effects *effects,
                           struct mkv_bytes key,
                           const struct mkv_update *entry)
{
    if (effects->error == 0) {
        int error = mkv_dump_cbor_row(key, entry, &effects->quarantine);

        effects->error = error == MKV_E_TOO_LARGE ? MKV_E_QUEUE_FULL : error;
    }
    if (effects->error == 0 && effects->quarantine.len >= MKV_KEEP_BYTES) {
        effects->error = mkv_effects_keep(effects);
    }
}

void mkv_effect_dial(struct mkv_effects *effects, uint64_t link, struct mkv_bytes address)
{
    size_t start = begin_record(effects);

    if (effects->error == 0) {
        effects->error = mkv_buf_append(&effects->queue, address);
    }
    end_record(effects, start, 0, (struct record){.kind = MKV_OUTPUT_DIAL, .link = link});
}

/* Begins a message on <root>/svc/@name; *ret_topic_len bytes of the record are its topic. */
static size_t begin_svc(struct mkv_effects *effects, const char *name, size_t *ret_topic_len)
{
    size_t start = begin_record(effects);

    if (effects->error == 0) {
        effects->error = mkv_topic_of_svc(effects->root, name, &effects->queue);
    }
    *ret_topic_len = topic_end(effects, start);
    return start;
}

void mkv_effect_ping(struct mkv_effects *effects, const struct mkv_ping *ping)
{
    struct mkv_ping proven = *ping;
    size_t topic_len;
    size_t start = begin_svc(effects, "act", &topic_len);

    proven.has_proof = effects->ring.n > 0;
    if (effects->error == 0) {
        effects->error = mkv_ping_encode(&proven, &effects->queue);
    }
    if (effects->error == 0 && proven.has_proof) {
        uint8_t *topic = effects->queue.at + start + sizeof(struct record);

        mkv_ring_prove(&effects->ring, mkv_bytes(topic, topic_len), topic + topic_len,
                       effects->queue.len - start - sizeof(struct record) - topic_len);
    }
    end_record(effects, start, topic_len, (struct record){.kind = MKV_OUTPUT_PUBLISH});
}

void mkv_effect_reply(struct mkv_effects *effects, const struct mkv_server_reply *reply)
{
    size_t topic_len;
    size_t start = begin_svc(effects, "server", &topic_len);

    if (effects->error == 0) {
        effects->error = mkv_server_reply_encode(reply, &effects->queue);
    }
    end_record(effects, start, topic_len,
               (struct record){.kind = MKV_OUTPUT_PUBLISH, .qos = effects->qos});
}

bool mkv_effect_room(const struct mkv_effects *effects)
{
    return effects->queue.len - effects->taken < MKV_OUTPUTS_ROOM;
}

/* U+0080 to U+009F, in UTF-8: terminals obey these, too. */
static bool is_c1_control(const char *at)
{
    return (unsigned char)at[0] == 0xc2 && (unsigned char)at[1] >= 0x80 &&
           (unsigned char)at[1] <= 0x9f;
}

/* Topics and peers' texts may hold control characters: they must not reach a terminal. */
static void make_printable(char *text)
{
    for (char *at = text; *at != '\0'; at++) {
        if (is_c1_control(at)) {
            *at++ = '?';
            *at = '?';
        } else if ((unsigned char)*at < 0x20 || (unsigned char)*at == 0x7f) {
            *at = '?';
        }
    }
}

/* One record of @text, made printable. */
static void add_line(struct mkv_effects *effects, struct record record, char *text)
{
    size_t start = begin_record(effects);

    make_printable(text);
    if (effects->error == 0) {
        effects->error = mkv_buf_append(&effects->queue, mkv_bytes_of(text));
    }
    end_record(effects, start, 0, record);
}

void mkv_effect_log(struct mkv_effects *effects, enum mkv_log_level level, const char *format, ...)
{
    char text[LINE_MAX_LEN];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    add_line(effects, (struct record){.kind = MKV_OUTPUT_LOG, .level = level}, text);
}

void mkv_effect_stop(struct mkv_effects *effects, const char *format, ...)
{
    char text[LINE_MAX_LEN];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    add_line(effects, (struct record){.kind = MKV_OUTPUT_STOP}, text);
}
