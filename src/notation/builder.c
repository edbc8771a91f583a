/* SPDX-License-Identifier: Apache-2.0 */
#include "notation/builder.h"

#include <string.h>

#include "base/assert.h"

#define HEAD_MAX 9U /* bytes of the longest head */

void mkv_builder_init(struct mkv_builder *b, struct mkv_buf *out)
{
    mkv_cbor_writer_init(&b->writer, out);
    mkv_buf_init(&b->keys, SIZE_MAX / 2);
    b->dense_arrays = false;
    b->repeated = (struct mkv_span){0};
    b->depth = 0;
}

void mkv_builder_deinit(struct mkv_builder *b)
{
    mkv_buf_deinit(&b->keys);
}

static void fail(struct mkv_builder *b, int error)
{
    if (b->writer.error == 0) {
        b->writer.error = error;
    }
}

static size_t here(const struct mkv_builder *b)
{
    return b->writer.out->len;
}

static struct mkv_builder_frame *top(struct mkv_builder *b)
{
    return &b->frames[b->depth - 1];
}

static void key_done(struct mkv_builder *b, struct mkv_builder_frame *frame, size_t start)
{
    struct mkv_bytes key = mkv_bytes_after(mkv_buf_bytes(b->writer.out), start);
    struct mkv_cbor_reader r;

    fail(b, mkv_spans_push(&b->keys, (struct mkv_span){start, key.len}));
    mkv_cbor_reader_init(&r, key);
    if (mkv_cbor_read_uint(&r) != frame->n / 2 || mkv_cbor_finish(&r) != 0) {
        frame->dense = false;
    }
}

/* Counts the item that began at @start, and all tags that are complete with it. */
static void item_done(struct mkv_builder *b, size_t start)
{
    if (b->writer.error != 0) {
        return;
    }
    while (b->depth > 0) {
        struct mkv_builder_frame *frame = top(b);

        if (frame->kind == MKV_BUILDER_MAP && frame->n % 2 == 0) {
            key_done(b, frame, start);
        }
        frame->n++;
        if (frame->kind != MKV_BUILDER_TAG) {
            return;
        }
        start = frame->start;
        b->depth--;
    }
}

static void push(struct mkv_builder *b, enum mkv_builder_kind kind)
{
    if (b->writer.error != 0) {
        return;
    }
    if (b->depth == MKV_NEST_MAX) {
        fail(b, MKV_E_TOO_DEEP);
        return;
    }
    b->frames[b->depth++] = (struct mkv_builder_frame){
        .kind = kind,
        .start = here(b),
        .n_keys = mkv_spans_count(&b->keys),
        .dense = true,
    };
}

void mkv_builder_open(struct mkv_builder *b, enum mkv_builder_kind kind)
{
    MKV_ASSERT(kind != MKV_BUILDER_TAG);
    push(b, kind);
    if (b->writer.error == 0) {
        fail(b, mkv_buf_append_u8(b->writer.out, 0));
    }
}

void mkv_builder_tag(struct mkv_builder *b, uint64_t tag)
{
    push(b, MKV_BUILDER_TAG);
    mkv_cbor_write_tag(&b->writer, tag);
}

/* Moves the values together over their keys. */
static void strip_keys(struct mkv_builder *b, const struct mkv_builder_frame *frame)
{
    struct mkv_buf *out = b->writer.out;
    const struct mkv_span *keys = mkv_spans_at(&b->keys) + frame->n_keys;
    size_t n = (size_t)(frame->n / 2);
    size_t to = frame->start + 1;

    for (size_t i = 0; i < n; i++) {
        size_t from = keys[i].start + keys[i].len;
        size_t end = i + 1 < n ? keys[i + 1].start : out->len;

        memmove(out->at + to, out->at + from, end - from);
        to += end - from;
    }
    mkv_buf_truncate(out, to);
}

static void refuse_repeated_key(struct mkv_builder *b, const struct mkv_builder_frame *frame)
{
    size_t n = mkv_spans_count(&b->keys) - frame->n_keys;

    if (n > 1 && mkv_spans_repeat(b->writer.out->at, mkv_spans_at(&b->keys) + frame->n_keys, n,
                                  &b->repeated)) {
        fail(b, MKV_E_DUPLICATE_KEY);
    }
}

/* Puts the head of @frame into the byte kept free for it, moving the content if that is not enough. */
static void put_head(struct mkv_builder *b, const struct mkv_builder_frame *frame)
{
    struct mkv_buf *out = b->writer.out;
    size_t end = out->len;
    uint8_t head[HEAD_MAX];

    if (frame->kind == MKV_BUILDER_MAP) {
        mkv_cbor_write_map(&b->writer, frame->n / 2);
    } else {
        mkv_cbor_write_array(&b->writer, frame->n);
    }
    if (b->writer.error != 0) {
        return;
    }

    size_t len = out->len - end;

    MKV_ASSERT(len <= HEAD_MAX);
    memcpy(head, out->at + end, len);
    memmove(out->at + frame->start + len, out->at + frame->start + 1, end - frame->start - 1);
    memcpy(out->at + frame->start, head, len);
    mkv_buf_truncate(out, end + len - 1);
}

void mkv_builder_close(struct mkv_builder *b)
{
    if (b->writer.error != 0) {
        return;
    }
    MKV_ASSERT(b->depth > 0);

    struct mkv_builder_frame frame = *top(b);

    MKV_ASSERT(frame.kind != MKV_BUILDER_TAG);
    if (frame.kind == MKV_BUILDER_MAP) {
        MKV_ASSERT(frame.n % 2 == 0);
        if (b->dense_arrays && frame.dense && frame.n > 0) {
            strip_keys(b, &frame);
            frame.kind = MKV_BUILDER_ARRAY;
            frame.n /= 2;
        } else {
            refuse_repeated_key(b, &frame);
        }
    }
    if (b->writer.error == 0) {
        put_head(b, &frame);
        mkv_buf_truncate(&b->keys, frame.n_keys * sizeof(struct mkv_span));
        b->depth--;
        item_done(b, frame.start);
    }
}

void mkv_builder_drop(struct mkv_builder *b)
{
    if (b->writer.error != 0) {
        return;
    }
    MKV_ASSERT(b->depth > 0);

    const struct mkv_builder_frame *frame = top(b);

    mkv_buf_truncate(b->writer.out, frame->start);
    mkv_buf_truncate(&b->keys, frame->n_keys * sizeof(struct mkv_span));
    b->depth--;
}

void mkv_builder_uint(struct mkv_builder *b, uint64_t number)
{
    size_t start = here(b);

    mkv_cbor_write_uint(&b->writer, number);
    item_done(b, start);
}

void mkv_builder_nint(struct mkv_builder *b, uint64_t n)
{
    size_t start = here(b);

    mkv_cbor_write_nint(&b->writer, n);
    item_done(b, start);
}

void mkv_builder_float(struct mkv_builder *b, double real)
{
    size_t start = here(b);

    mkv_cbor_write_float_short(&b->writer, real);
    item_done(b, start);
}

void mkv_builder_bool(struct mkv_builder *b, bool yes)
{
    size_t start = here(b);

    mkv_cbor_write_bool(&b->writer, yes);
    item_done(b, start);
}

void mkv_builder_null(struct mkv_builder *b)
{
    size_t start = here(b);

    mkv_cbor_write_null(&b->writer);
    item_done(b, start);
}

void mkv_builder_text(struct mkv_builder *b, struct mkv_bytes text)
{
    size_t start = here(b);

    mkv_cbor_write_text(&b->writer, text);
    item_done(b, start);
}

void mkv_builder_bytes(struct mkv_builder *b, struct mkv_bytes bytes)
{
    size_t start = here(b);

    mkv_cbor_write_bytes(&b->writer, bytes);
    item_done(b, start);
}

void mkv_builder_simple(struct mkv_builder *b, uint8_t number)
{
    const uint8_t item[2] = {number < 24 ? (uint8_t)(0xe0U | number) : 0xf8U, number};

    mkv_builder_raw(b, mkv_bytes(item, number < 24 ? 1 : 2));
}

void mkv_builder_raw(struct mkv_builder *b, struct mkv_bytes item)
{
    size_t start = here(b);

    mkv_cbor_write_raw(&b->writer, item);
    item_done(b, start);
}

struct mkv_bytes mkv_builder_content(const struct mkv_builder *b)
{
    MKV_ASSERT(b->depth > 0);
    return mkv_bytes_after(mkv_buf_bytes(b->writer.out), b->frames[b->depth - 1].start + 1);
}

bool mkv_builder_wants_key(const struct mkv_builder *b)
{
    if (b->depth == 0) {
        return false;
    }

    const struct mkv_builder_frame *frame = &b->frames[b->depth - 1];

    return frame->kind == MKV_BUILDER_MAP && frame->n % 2 == 0;
}
