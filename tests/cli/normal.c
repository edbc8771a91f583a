/* SPDX-License-Identifier: Apache-2.0 */
/* Recursive on purpose: it is the naive model that the walk of src/cli is compared with. */
#include "normal.h"

#include <math.h>
#include <stdlib.h>

#include "wire/cbor.h"

static void one(struct mkv_cbor_reader *r, struct mkv_cbor_writer *w);

static void string(struct mkv_cbor_reader *r, struct mkv_cbor_writer *w, struct mkv_cbor_item *item)
{
    struct mkv_buf joined;
    struct mkv_bytes text = item->text;

    mkv_buf_init(&joined, SIZE_MAX / 2);
    if (item->indefinite) {
        struct mkv_cbor_item chunk;

        for (mkv_cbor_next(r, &chunk); chunk.kind != MKV_CBOR_BREAK; mkv_cbor_next(r, &chunk)) {
            if (mkv_buf_append(&joined, chunk.text) != 0) {
                abort();
            }
        }
        text = mkv_buf_bytes(&joined);
    }
    if (item->kind == MKV_CBOR_TEXT) {
        mkv_cbor_write_text(w, text);
    } else {
        mkv_cbor_write_bytes(w, text);
    }
    mkv_buf_deinit(&joined);
}

static void collection(struct mkv_cbor_reader *r,
                       struct mkv_cbor_writer *w,
                       const struct mkv_cbor_item *item)
{
    struct mkv_buf inner;
    struct mkv_cbor_writer inner_writer;
    uint64_t n = 0;
    uint64_t wanted = item->kind == MKV_CBOR_MAP ? 2 * item->number : item->number;

    mkv_buf_init(&inner, SIZE_MAX / 2);
    mkv_cbor_writer_init(&inner_writer, &inner);
    for (; item->indefinite ? mkv_cbor_peek(r) != MKV_CBOR_BREAK : n < wanted; n++) {
        one(r, &inner_writer);
    }
    if (item->indefinite) {
        struct mkv_cbor_item end;

        mkv_cbor_next(r, &end);
    }
    if (item->kind == MKV_CBOR_MAP) {
        mkv_cbor_write_map(w, n / 2);
    } else {
        mkv_cbor_write_array(w, n);
    }
    mkv_cbor_write_raw(w, mkv_buf_bytes(&inner));
    mkv_buf_deinit(&inner);
}

static void simple(struct mkv_cbor_writer *w, uint64_t number)
{
    const uint8_t bytes[2] = {number < 24 ? (uint8_t)(0xe0U | number) : 0xf8U, (uint8_t)number};

    mkv_cbor_write_raw(w, mkv_bytes(bytes, number < 24 ? 1 : 2));
}

static void one(struct mkv_cbor_reader *r, struct mkv_cbor_writer *w)
{
    struct mkv_cbor_item item;

    mkv_cbor_next(r, &item);
    switch (item.kind) {
    case MKV_CBOR_UINT:
        mkv_cbor_write_uint(w, item.number);
        break;
    case MKV_CBOR_NINT:
        mkv_cbor_write_nint(w, item.number);
        break;
    case MKV_CBOR_BYTES:
    case MKV_CBOR_TEXT:
        string(r, w, &item);
        break;
    case MKV_CBOR_ARRAY:
    case MKV_CBOR_MAP:
        collection(r, w, &item);
        break;
    case MKV_CBOR_TAG:
        mkv_cbor_write_tag(w, item.number);
        one(r, w);
        break;
    case MKV_CBOR_FALSE:
    case MKV_CBOR_TRUE:
        mkv_cbor_write_bool(w, item.kind == MKV_CBOR_TRUE);
        break;
    case MKV_CBOR_NULL:
        mkv_cbor_write_null(w);
        break;
    case MKV_CBOR_UNDEFINED:
        simple(w, 23);
        break;
    case MKV_CBOR_SIMPLE:
        simple(w, item.number);
        break;
    case MKV_CBOR_FLOAT:
        mkv_cbor_write_float_short(w, isnan(item.real) ? (double)NAN : item.real);
        break;
    case MKV_CBOR_BREAK:
    case MKV_CBOR_END:
        abort();
    }
}

void normal_form(struct mkv_bytes item, struct mkv_buf *out)
{
    struct mkv_cbor_reader r;
    struct mkv_cbor_writer w;

    mkv_cbor_reader_init(&r, item);
    mkv_cbor_writer_init(&w, out);
    one(&r, &w);
    if (mkv_cbor_finish(&r) != 0 || w.error != 0) {
        abort();
    }
}
