/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/plain_write.h"

#include <stdio.h>

#include "notation/json_text.h"
#include "notation/json_write.h"
#include "notation/sink.h"
#include "notation/walk.h"
#include "wire/cbor.h"

/* The length of the character @text begins with, 0 if that is no UTF-8. */
static size_t character(struct mkv_bytes text, uint32_t *ret_code)
{
    size_t n = mkv_json_character(text, ret_code);

    return mkv_utf8_valid(mkv_bytes(text.at, n)) ? n : 0;
}

static bool must_escape(uint32_t code, enum mkv_plain_layout layout)
{
    if (layout == MKV_PLAIN_LINES && (code == '\n' || code == '\t')) {
        return false;
    }
    return mkv_json_unsafe(code);
}

static void put_byte(struct mkv_sink *sink, uint8_t byte)
{
    char text[8];

    (void)snprintf(text, sizeof(text), "\\x%02x", byte);
    mkv_sink_puts(sink, text);
}

int mkv_plain_escape(struct mkv_bytes text, enum mkv_plain_layout layout, struct mkv_buf *out)
{
    struct mkv_sink sink;

    mkv_sink_init(&sink, out);
    while (text.len > 0 && sink.error == 0) {
        uint32_t code;
        size_t n = character(text, &code);

        if (n == 0) {
            put_byte(&sink, text.at[0]);
            n = 1;
        } else if (must_escape(code, layout)) {
            mkv_json_characters_write(&sink, mkv_bytes(text.at, n));
        } else {
            mkv_sink_put(&sink, mkv_bytes(text.at, n));
        }
        text = mkv_bytes_after(text, n);
    }
    return sink.error;
}

int mkv_plain_write(struct mkv_bytes item, enum mkv_plain_layout layout, struct mkv_buf *out)
{
    struct mkv_doc_walk walk;

    mkv_doc_walk_init(&walk, item, MKV_WALK_TEXT_KEYS);

    enum mkv_doc_walk_event event = mkv_doc_walk_next(&walk);
    int error = mkv_doc_walk_error(&walk);

    if (error == 0 && event == MKV_WALK_ITEM && walk.item.kind == MKV_CBOR_TEXT) {
        error = mkv_plain_escape(walk.item.text, layout, out);
    } else if (error == 0) {
        error = mkv_json_write(item, false, MKV_JSON_LINE, out);
    }
    mkv_doc_walk_deinit(&walk);
    return error;
}
