/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/yaml_write.h"

#include <limits.h>
#include <math.h>
#include <yaml.h>

#include "cli/yaml_scalar.h"
#include "notation/json_text.h"
#include "notation/keys.h"
#include "notation/sink.h"
#include "notation/walk.h"

/* libyaml only copies them, but takes no pointer to const. */
static yaml_char_t tag_binary[] = MKV_YAML_BINARY_TAG;
static yaml_char_t tag_simple[] = "!simple";
static yaml_char_t tag_tagged[] = "!tag";
static yaml_char_t tag_pairs[] = "!map";

struct yaml_writer {
    struct mkv_sink sink;
    struct mkv_doc_walk walk;
    struct mkv_buf scratch; /* the text of a scalar */
    yaml_emitter_t emitter;
};

static int write_bytes(void *data, unsigned char *at, size_t len)
{
    struct mkv_sink *sink = data;

    mkv_sink_put(sink, mkv_bytes(at, len));
    return sink->error == 0;
}

/* The emitter owns @event from now on; @made is what its initialiser returned. */
static void emit(struct yaml_writer *w, yaml_event_t *event, int made)
{
    if (made == 0) {
        mkv_sink_fail(&w->sink, MKV_E_NO_MEMORY);
    } else if (yaml_emitter_emit(&w->emitter, event) == 0) {
        mkv_sink_fail(&w->sink,
                      w->emitter.error == YAML_MEMORY_ERROR ? MKV_E_NO_MEMORY : MKV_E_MALFORMED);
    }
}

static void emit_scalar(struct yaml_writer *w,
                        yaml_char_t *tag,
                        struct mkv_bytes text,
                        yaml_scalar_style_t style)
{
    static const uint8_t nothing[1] = {0};
    yaml_event_t event;
    const uint8_t *at = text.at != NULL ? text.at : nothing;

    if (text.len > INT_MAX) {
        mkv_sink_fail(&w->sink, MKV_E_TOO_LARGE);
        return;
    }
    if (w->sink.error == 0) {
        emit(w, &event,
             yaml_scalar_event_initialize(&event, NULL, tag, at, (int)text.len, tag == NULL,
                                          tag == NULL, style));
    }
}

static void emit_plain(struct yaml_writer *w, const char *text)
{
    emit_scalar(w, NULL, mkv_bytes_of(text), YAML_PLAIN_SCALAR_STYLE);
}

/* Quotes double whatever could be misread; only these quotes keep every character. */
static void emit_text(struct yaml_writer *w, struct mkv_bytes text)
{
    bool quote = mkv_scalar_ambiguous(text);

    for (size_t i = 0; i < text.len && !quote;) {
        uint32_t code;

        i += mkv_json_character(mkv_bytes_after(text, i), &code);
        quote = mkv_json_unsafe(code);
    }
    emit_scalar(w, NULL, text, quote ? YAML_DOUBLE_QUOTED_SCALAR_STYLE : YAML_PLAIN_SCALAR_STYLE);
}

static void open_sequence(struct yaml_writer *w, yaml_char_t *tag, yaml_sequence_style_t style)
{
    yaml_event_t event;

    if (w->sink.error == 0) {
        emit(w, &event,
             yaml_sequence_start_event_initialize(&event, NULL, tag, tag == NULL, style));
    }
}

static void close_sequence(struct yaml_writer *w)
{
    yaml_event_t event;

    if (w->sink.error == 0) {
        emit(w, &event, yaml_sequence_end_event_initialize(&event));
    }
}

static void open_mapping(struct yaml_writer *w)
{
    yaml_event_t event;

    if (w->sink.error == 0) {
        emit(w, &event,
             yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE));
    }
}

static void close_mapping(struct yaml_writer *w)
{
    yaml_event_t event;

    if (w->sink.error == 0) {
        emit(w, &event, yaml_mapping_end_event_initialize(&event));
    }
}

/* Emits the text that was written into the scratch buffer. */
static void emit_scratch(struct yaml_writer *w, const struct mkv_sink *made, yaml_char_t *tag)
{
    mkv_sink_fail(&w->sink, made->error);
    emit_scalar(w, tag, mkv_buf_bytes(&w->scratch), YAML_PLAIN_SCALAR_STYLE);
}

static void emit_number(struct yaml_writer *w, uint64_t number, bool negative, yaml_char_t *tag)
{
    struct mkv_sink text;

    mkv_buf_clear(&w->scratch);
    mkv_sink_init(&text, &w->scratch);
    if (negative) {
        mkv_sink_nint(&text, number);
    } else {
        mkv_sink_uint(&text, number);
    }
    emit_scratch(w, &text, tag);
}

/* YAML 1.1 wants a point in every float, so "1e+100" gets one. */
static void put_pointed(struct mkv_sink *sink, struct mkv_bytes real)
{
    const uint8_t *exponent = memchr(real.at, 'e', real.len);

    if (exponent == NULL || memchr(real.at, '.', real.len) != NULL) {
        mkv_sink_put(sink, real);
        return;
    }

    size_t n = (size_t)(exponent - real.at);

    mkv_sink_put(sink, mkv_bytes(real.at, n));
    mkv_sink_puts(sink, ".0");
    mkv_sink_put(sink, mkv_bytes_after(real, n));
}

static void emit_float(struct yaml_writer *w, double real)
{
    struct mkv_buf digits;
    struct mkv_sink text;

    if (isnan(real)) {
        emit_plain(w, ".nan");
        return;
    }
    if (isinf(real)) {
        emit_plain(w, real < 0 ? "-.inf" : ".inf");
        return;
    }
    mkv_buf_init(&digits, 64);
    mkv_buf_clear(&w->scratch);
    mkv_sink_init(&text, &digits);
    mkv_sink_float(&text, real);
    text.out = &w->scratch;
    if (text.error == 0) {
        put_pointed(&text, mkv_buf_bytes(&digits));
    }
    emit_scratch(w, &text, NULL);
    mkv_buf_deinit(&digits);
}

static void emit_bytes(struct yaml_writer *w, struct mkv_bytes bytes)
{
    struct mkv_sink text;

    mkv_buf_clear(&w->scratch);
    mkv_sink_init(&text, &w->scratch);
    mkv_sink_base64(&text, bytes);
    mkv_sink_fail(&w->sink, text.error);
    emit_scalar(w, tag_binary, mkv_buf_bytes(&w->scratch), YAML_DOUBLE_QUOTED_SCALAR_STYLE);
}

static void emit_item(struct yaml_writer *w, const struct mkv_cbor_item *item)
{
    switch (item->kind) {
    case MKV_CBOR_UINT:
        emit_number(w, item->number, false, NULL);
        break;
    case MKV_CBOR_NINT:
        emit_number(w, item->number, true, NULL);
        break;
    case MKV_CBOR_BYTES:
        emit_bytes(w, item->text);
        break;
    case MKV_CBOR_TEXT:
        emit_text(w, item->text);
        break;
    case MKV_CBOR_FALSE:
        emit_plain(w, "false");
        break;
    case MKV_CBOR_TRUE:
        emit_plain(w, "true");
        break;
    case MKV_CBOR_NULL:
        emit_plain(w, "null");
        break;
    case MKV_CBOR_UNDEFINED:
        emit_number(w, 23, false, tag_simple);
        break;
    case MKV_CBOR_SIMPLE:
        emit_number(w, item->number, false, tag_simple);
        break;
    case MKV_CBOR_FLOAT:
        emit_float(w, item->real);
        break;
    case MKV_CBOR_ARRAY:
    case MKV_CBOR_MAP:
    case MKV_CBOR_TAG:
    case MKV_CBOR_BREAK:
    case MKV_CBOR_END:
        break; /* the walk gives these as other steps */
    }
}

/* A key of a document: "$value" is reserved, so a text that looks like it gets one more '$'. */
static void emit_element(struct yaml_writer *w, const struct mkv_cbor_item *key)
{
    size_t n_dollars;
    struct mkv_sink text;

    if (key->kind == MKV_CBOR_UNDEFINED) {
        emit_plain(w, "$value");
        return;
    }
    if (key->kind != MKV_CBOR_TEXT || mkv_key_word(key->text, &n_dollars) != MKV_KEY_VALUE) {
        emit_item(w, key);
        return;
    }
    mkv_buf_clear(&w->scratch);
    mkv_sink_init(&text, &w->scratch);
    mkv_sink_puts(&text, "$");
    mkv_sink_put(&text, key->text);
    emit_scratch(w, &text, NULL);
}

static void before_item(struct yaml_writer *w, const struct mkv_doc_walk_frame *parent)
{
    if (w->walk.role == MKV_WALK_KEY && !parent->plain) {
        open_sequence(w, NULL, YAML_FLOW_SEQUENCE_STYLE);
    }
}

static void after_item(struct yaml_writer *w, const struct mkv_doc_walk_frame *parent)
{
    if (w->walk.role == MKV_WALK_MEMBER && !parent->plain) {
        close_sequence(w);
    }
}

static void put_item(struct yaml_writer *w)
{
    const struct mkv_doc_walk_frame *parent = mkv_doc_walk_parent(&w->walk, MKV_WALK_ITEM);

    before_item(w, parent);
    if (w->walk.role == MKV_WALK_KEY && parent->document) {
        emit_element(w, &w->walk.item);
    } else {
        emit_item(w, &w->walk.item);
    }
    after_item(w, parent);
}

static void put_open(struct yaml_writer *w)
{
    before_item(w, mkv_doc_walk_parent(&w->walk, MKV_WALK_OPEN));
    if (w->walk.frame.kind == MKV_CBOR_TAG) {
        open_sequence(w, tag_tagged, YAML_FLOW_SEQUENCE_STYLE);
        emit_number(w, w->walk.item.number, false, NULL);
    } else if (w->walk.frame.kind == MKV_CBOR_ARRAY) {
        open_sequence(w, NULL, YAML_BLOCK_SEQUENCE_STYLE);
    } else if (w->walk.frame.plain) {
        open_mapping(w);
    } else {
        open_sequence(w, tag_pairs, YAML_FLOW_SEQUENCE_STYLE);
    }
}

static void put_close(struct yaml_writer *w)
{
    if (w->walk.frame.kind == MKV_CBOR_MAP && w->walk.frame.plain) {
        close_mapping(w);
    } else {
        close_sequence(w);
    }
    after_item(w, mkv_doc_walk_parent(&w->walk, MKV_WALK_CLOSE));
}

static void put_step(struct yaml_writer *w, enum mkv_doc_walk_event event)
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

static void put_all(struct yaml_writer *w)
{
    yaml_event_t event;
    enum mkv_doc_walk_event step;

    emit(w, &event, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING));
    if (w->sink.error == 0) {
        emit(w, &event, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1));
    }
    do {
        step = mkv_doc_walk_next(&w->walk);
        put_step(w, step);
    } while (step != MKV_WALK_END && w->sink.error == 0);
    if (w->sink.error == 0) {
        emit(w, &event, yaml_document_end_event_initialize(&event, 1));
    }
    if (w->sink.error == 0) {
        emit(w, &event, yaml_stream_end_event_initialize(&event));
    }
}

int mkv_yaml_write(struct mkv_bytes item, bool document, struct mkv_buf *out)
{
    struct yaml_writer w;

    if (yaml_emitter_initialize(&w.emitter) == 0) {
        return MKV_E_NO_MEMORY;
    }
    mkv_sink_init(&w.sink, out);
    mkv_doc_walk_init(&w.walk, item, MKV_WALK_SCALAR_KEYS);
    w.walk.document = document;
    mkv_buf_init(&w.scratch, SIZE_MAX / 2);
    yaml_emitter_set_output(&w.emitter, write_bytes, &w.sink);
    yaml_emitter_set_unicode(&w.emitter, 1);
    yaml_emitter_set_width(&w.emitter, -1); /* a folded line would have to be unfolded again */
    put_all(&w);
    yaml_emitter_delete(&w.emitter);
    mkv_buf_deinit(&w.scratch);
    mkv_doc_walk_deinit(&w.walk);
    return w.sink.error;
}
