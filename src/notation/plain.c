/* SPDX-License-Identifier: Apache-2.0 */
#include "notation/plain.h"

#include <sodium.h>

#include "notation/json_read.h"
#include "notation/json_write.h"
#include "wire/cbor.h"
#include "wire/update.h"
#include "wire/utf8.h"

#define TAG_VARIANT sodium_base64_VARIANT_URLSAFE_NO_PADDING

static int read_json(struct mkv_bytes payload, struct mkv_buf *value)
{
    struct mkv_problem problem;

    return mkv_json_read(payload, false, value, &problem);
}

static int read_item(enum mkv_mode mode, struct mkv_bytes payload, struct mkv_buf *value)
{
    struct mkv_cbor_writer w;

    mkv_cbor_writer_init(&w, value);
    switch (mode) {
    case MKV_MODE_JSON:
        return read_json(payload, value);
    case MKV_MODE_TEXT:
        if (!mkv_utf8_valid(payload)) {
            return MKV_E_BAD_UTF8;
        }
        mkv_cbor_write_text(&w, payload);
        return w.error;
    case MKV_MODE_RAW:
        mkv_cbor_write_bytes(&w, payload);
        return w.error;
    default:
        mkv_cbor_write_raw(&w, payload);
        return w.error;
    }
}

int mkv_plain_read(enum mkv_mode mode, struct mkv_bytes payload, struct mkv_buf *value)
{
    size_t start = value->len;
    int error = read_item(mode, payload, value);

    if (error == 0) {
        error = mkv_cbor_check(mkv_bytes_after(mkv_buf_bytes(value), start));
    }
    if (error != 0) {
        mkv_buf_truncate(value, start);
    }
    return error;
}

static int write_string(struct mkv_bytes value, enum mkv_cbor_kind kind, struct mkv_buf *payload)
{
    struct mkv_cbor_reader r;
    struct mkv_cbor_item item;

    mkv_cbor_reader_init(&r, value);
    mkv_cbor_next(&r, &item);
    return item.kind == kind && !item.indefinite && item.text.len > 0
               ? mkv_buf_append(payload, item.text)
               : MKV_E_UNFIT;
}

static int write_item(enum mkv_mode mode, struct mkv_bytes value, struct mkv_buf *payload)
{
    switch (mode) {
    case MKV_MODE_JSON:
        return mkv_json_write(value, false, MKV_JSON_LINE, payload);
    case MKV_MODE_TEXT:
        return write_string(value, MKV_CBOR_TEXT, payload);
    case MKV_MODE_RAW:
        return write_string(value, MKV_CBOR_BYTES, payload);
    default:
        return mkv_buf_append(payload, value);
    }
}

/* Whoever hears it must see the same bytes, or the replicas would not agree. */
static int check_same(enum mkv_mode mode, struct mkv_bytes payload, struct mkv_bytes value)
{
    struct mkv_buf back;
    int error;

    mkv_buf_init(&back, MKV_VALUE_MAX);
    error = mkv_plain_read(mode, payload, &back);
    if (error == 0 && !mkv_bytes_equal(mkv_buf_bytes(&back), value)) {
        error = MKV_E_UNFIT;
    }
    mkv_buf_deinit(&back);
    return error == 0 || error == MKV_E_NO_MEMORY ? error : MKV_E_UNFIT;
}

int mkv_plain_write(enum mkv_mode mode, struct mkv_bytes value, struct mkv_buf *payload)
{
    size_t start = payload->len;
    int error = mkv_cbor_check(value) == 0 ? write_item(mode, value, payload) : MKV_E_UNFIT;

    if (error == 0 && mode != MKV_MODE_CBOR) {
        error = check_same(mode, mkv_bytes_after(mkv_buf_bytes(payload), start), value);
    }
    if (error != 0) {
        mkv_buf_truncate(payload, start);
    }
    return error == 0 || error == MKV_E_NO_MEMORY ? error : MKV_E_UNFIT;
}

static int write_tag(struct mkv_bytes bytes, struct mkv_buf *tag)
{
    size_t start = tag->len;
    size_t size = sodium_base64_ENCODED_LEN(bytes.len, TAG_VARIANT); /* its NUL included */
    int error = mkv_buf_reserve(tag, size);

    if (error == 0) {
        (void)sodium_bin2base64((char *)tag->at + start, size, bytes.at, bytes.len, TAG_VARIANT);
        tag->len = start + size - 1;
    }
    return error;
}

static int split(enum mkv_mode mode,
                 struct mkv_update *update,
                 struct mkv_buf *head,
                 struct mkv_buf *payload,
                 struct mkv_buf *tag)
{
    int error = update->present ? mkv_plain_write(mode, update->value, payload) : 0;

    update->present = false;
    update->value = (struct mkv_bytes){0};
    if (error == 0) {
        error = mkv_update_encode(update, head);
    }
    return error != 0 ? error : write_tag(mkv_buf_bytes(head), tag);
}

int mkv_plain_split(enum mkv_mode mode,
                    struct mkv_bytes update,
                    struct mkv_buf *payload,
                    struct mkv_buf *tag)
{
    struct mkv_update decoded;
    struct mkv_buf head;
    size_t payload_len = payload->len;
    size_t tag_len = tag->len;
    int error = mkv_update_decode(update, &decoded);

    if (error != 0) {
        return error;
    }
    mkv_buf_init(&head, MKV_UPDATE_MAX);
    error = split(mode, &decoded, &head, payload, tag);
    mkv_buf_deinit(&head);
    if (error != 0) {
        mkv_buf_truncate(payload, payload_len);
        mkv_buf_truncate(tag, tag_len);
    }
    return error;
}

static int read_tag(struct mkv_bytes tag, struct mkv_buf *head)
{
    size_t len = 0;
    const char *end = NULL;
    int error = mkv_buf_reserve(head, tag.len);

    if (error != 0) {
        return error;
    }
    if (tag.len == 0 ||
        sodium_base642bin(head->at, tag.len, (const char *)tag.at, tag.len, NULL, &len, &end,
                          TAG_VARIANT) != 0 ||
        end != (const char *)tag.at + tag.len) {
        return MKV_E_MALFORMED;
    }
    head->len = len;
    return 0;
}

static int join(enum mkv_mode mode,
                struct mkv_bytes payload,
                struct mkv_bytes head,
                struct mkv_buf *value,
                struct mkv_buf *update)
{
    struct mkv_update decoded;
    int error = mkv_update_decode(head, &decoded);

    if (error == 0 && decoded.present) {
        error = MKV_E_MALFORMED; /* there would be two values */
    }
    if (error == 0 && payload.len > 0) {
        error = mkv_plain_read(mode, payload, value);
        decoded.present = true;
        decoded.value = mkv_buf_bytes(value);
    }
    return error != 0 ? error : mkv_update_encode(&decoded, update);
}

int mkv_plain_join(enum mkv_mode mode,
                   struct mkv_bytes payload,
                   struct mkv_bytes tag,
                   struct mkv_buf *update)
{
    struct mkv_buf head;
    struct mkv_buf value;
    int error;

    mkv_buf_init(&head, MKV_UPDATE_MAX);
    mkv_buf_init(&value, MKV_VALUE_MAX);
    error = read_tag(tag, &head);
    if (error == 0) {
        error = join(mode, payload, mkv_buf_bytes(&head), &value, update);
    }
    mkv_buf_deinit(&value);
    mkv_buf_deinit(&head);
    return error;
}
