/* SPDX-License-Identifier: Apache-2.0 */
#include "notation/json_write.h"

#include <math.h>

#include "notation/json_text.h"
#include "notation/keys.h"
#include "notation/sink.h"
#include "notation/walk.h"

#define INDENT 2U

struct json_writer {
    struct mkv_sink sink;
    struct mkv_doc_walk walk;
    enum mkv_json_layout layout;
    size_t level; /* of indentation */
};

static void put_line(struct json_writer *w)
{
    if (w->layout == MKV_JSON_BLOCK) {
        mkv_sink_puts(&w->sink, "\n");
        mkv_sink_spaces(&w->sink, w->level * INDENT);
    }
}

static void put_separator(struct json_writer *w)
{
    if (!w->walk.first) {
        mkv_sink_puts(&w->sink, ",");
    }
    put_line(w);
}

static void before_item(struct json_writer *w, const struct mkv_doc_walk_frame *parent)
{
    switch (w->walk.role) {
    case MKV_WALK_ROOT:
    case MKV_WALK_TAGGED:
        break;
    case MKV_WALK_ELEMENT:
        put_separator(w);
        break;
    case MKV_WALK_KEY:
        put_separator(w);
        mkv_sink_puts(&w->sink, parent->plain ? "" : "[");
        break;
    case MKV_WALK_MEMBER:
        mkv_sink_puts(&w->sink, parent->plain ? ":" : ",");
        mkv_sink_puts(&w->sink, parent->plain && w->layout == MKV_JSON_BLOCK ? " " : "");
        break;
    }
}

static void after_item(struct json_writer *w, const struct mkv_doc_walk_frame *parent)
{
    if (w->walk.role == MKV_WALK_MEMBER && !parent->plain) {
        mkv_sink_puts(&w->sink, "]");
    }
}

static void put_text_key(struct json_writer *w, struct mkv_bytes key, bool document)
{
    size_t n_dollars;
    size_t n_colons = 0;

    mkv_sink_puts(&w->sink, "\"");
    if (mkv_key_word(key, &n_dollars) != MKV_KEY_NONE) {
        mkv_sink_puts(&w->sink, "$");
    } else if (document) {
        mkv_sink_fail(&w->sink, mkv_key_colons(key, &n_colons));
        mkv_sink_puts(&w->sink, n_colons > 0 ? ":" : "");
    }
    mkv_json_characters_write(&w->sink, key);
    mkv_sink_puts(&w->sink, "\"");
}

static void put_spelled_key(struct json_writer *w, const struct mkv_cbor_item *key)
{
    struct mkv_buf spelled;

    mkv_buf_init(&spelled, SIZE_MAX / 2);
    mkv_sink_fail(&w->sink, mkv_key_spell(key, &spelled));
    mkv_json_string_write(&w->sink, mkv_buf_bytes(&spelled));
    mkv_buf_deinit(&spelled);
}

/* The key of an object; other maps are written as pairs of ordinary items. */
static void put_key(struct json_writer *w, const struct mkv_doc_walk_frame *parent)
{
    const struct mkv_cbor_item *key = &w->walk.item;

    if (key->kind == MKV_CBOR_TEXT) {
        put_text_key(w, key->text, parent->document);
    } else if (key->kind == MKV_CBOR_UNDEFINED) {
        mkv_sink_puts(&w->sink, "\"$value\"");
    } else {
        put_spelled_key(w, key);
    }
}

static void put_float(struct json_writer *w, double real)
{
    bool finite = isfinite(real);

    mkv_sink_puts(&w->sink, finite ? "" : "{\"$float\":\"");
    mkv_sink_float(&w->sink, real);
    mkv_sink_puts(&w->sink, finite ? "" : "\"}");
}

static void put_simple(struct json_writer *w, uint64_t number)
{
    mkv_sink_puts(&w->sink, "{\"$simple\":");
    mkv_sink_uint(&w->sink, number);
    mkv_sink_puts(&w->sink, "}");
}

static void put_bytes(struct json_writer *w, struct mkv_bytes bytes)
{
    mkv_sink_puts(&w->sink, "{\"$bytes\":\"");
    mkv_sink_base64(&w->sink, bytes);
    mkv_sink_puts(&w->sink, "\"}");
}

static void put_scalar(struct json_writer *w, const struct mkv_cbor_item *item)
{
    switch (item->kind) {
    case MKV_CBOR_UINT:
        mkv_sink_uint(&w->sink, item->number);
        break;
    case MKV_CBOR_NINT:
        mkv_sink_nint(&w->sink, item->number);
        break;
    case MKV_CBOR_BYTES:
        put_bytes(w, item->text);
        break;
    case MKV_CBOR_TEXT:
        mkv_json_string_write(&w->sink, item->text);
        break;
    case MKV_CBOR_FALSE:
        mkv_sink_puts(&w->sink, "false");
        break;
    case MKV_CBOR_TRUE:
        mkv_sink_puts(&w->sink, "true");
        break;
    case MKV_CBOR_NULL:
        mkv_sink_puts(&w->sink, "null");
        break;
    case MKV_CBOR_UNDEFINED:
        put_simple(w, 23);
        break;
    case MKV_CBOR_SIMPLE:
        put_simple(w, item->number);
        break;
    case MKV_CBOR_FLOAT:
        put_float(w, item->real);
        break;
    case MKV_CBOR_ARRAY:
    case MKV_CBOR_MAP:
    case MKV_CBOR_TAG:
    case MKV_CBOR_BREAK:
    case MKV_CBOR_END:
        break; /* the walk gives these as other steps */
    }
}

static void put_item(struct json_writer *w)
{
    const struct mkv_doc_walk_frame *parent = mkv_doc_walk_parent(&w->walk, MKV_WALK_ITEM);

    before_item(w, parent);
    if (w->walk.role == MKV_WALK_KEY && parent->plain) {
        put_key(w, parent);
    } else {
        put_scalar(w, &w->walk.item);
    }
    after_item(w, parent);
}

static void put_open(struct json_writer *w)
{
    before_item(w, mkv_doc_walk_parent(&w->walk, MKV_WALK_OPEN));
    if (w->walk.frame.kind == MKV_CBOR_TAG) {
        mkv_sink_puts(&w->sink, "{\"$tag\":");
        mkv_sink_uint(&w->sink, w->walk.item.number);
        mkv_sink_puts(&w->sink, ",\"value\":");
    } else if (w->walk.frame.kind == MKV_CBOR_ARRAY) {
        mkv_sink_puts(&w->sink, "[");
        w->level++;
    } else {
        mkv_sink_puts(&w->sink, w->walk.frame.plain ? "{" : "{\"$map\":[");
        w->level++;
    }
}

static void put_close(struct json_writer *w)
{
    const struct mkv_doc_walk_frame *frame = &w->walk.frame;

    if (frame->kind != MKV_CBOR_TAG) {
        w->level--;
        if (frame->n > 0) {
            put_line(w);
        }
    }
    if (frame->kind == MKV_CBOR_ARRAY || !frame->plain) {
        mkv_sink_puts(&w->sink, "]");
    }
    mkv_sink_puts(&w->sink, frame->kind == MKV_CBOR_ARRAY ? "" : "}");
    after_item(w, mkv_doc_walk_parent(&w->walk, MKV_WALK_CLOSE));
}

static void put_step(struct json_writer *w, enum mkv_doc_walk_event event)
{
    switch (event) {
    case MKV_WALK_ITEM:
        put_item(w);
        break;
    case MKV_WALK_OPEN:
        put_open(w);
        break;
    case MKV_WALK_CLOSE:
        put_close(w);
        break;
    case MKV_WALK_END:
        mkv_sink_fail(&w->sink, mkv_doc_walk_error(&w->walk));
        break;
    }
}

int mkv_json_write(struct mkv_bytes item,
                   bool document,
                   enum mkv_json_layout layout,
                   struct mkv_buf *out)
{
    struct json_writer w;
    enum mkv_doc_walk_event event;

    mkv_sink_init(&w.sink, out);
    mkv_doc_walk_init(&w.walk, item, MKV_WALK_TEXT_KEYS);
    w.walk.document = document;
    w.layout = layout;
    w.level = 0;
    do {
        event = mkv_doc_walk_next(&w.walk);
        put_step(&w, event);
    } while (event != MKV_WALK_END && w.sink.error == 0);
    mkv_doc_walk_deinit(&w.walk);
    return w.sink.error;
}
