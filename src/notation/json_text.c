/* SPDX-License-Identifier: Apache-2.0 */
#include "notation/json_text.h"

#include <stdio.h>

#include "notation/number.h"
#include "wire/cbor.h"

#define SURROGATE_HIGH  0xd800U
#define SURROGATE_LOW   0xdc00U
#define SURROGATE_AFTER 0xe000U

/* One string that is being read; @fault is the sticky error. */
struct string_reader {
    struct mkv_bytes in;
    size_t pos;
    struct mkv_sink sink;
    int error;
    const char *fault;
};

static void refuse(struct string_reader *r, int error, const char *fault)
{
    if (r->error == 0) {
        r->error = error;
        r->fault = fault;
    }
}

static void put_code(struct mkv_sink *sink, uint32_t code)
{
    uint8_t bytes[4];
    size_t n = 0;

    if (code < 0x80) {
        bytes[n++] = (uint8_t)code;
    } else if (code < 0x800) {
        bytes[n++] = (uint8_t)(0xc0U | code >> 6);
    } else if (code < 0x10000) {
        bytes[n++] = (uint8_t)(0xe0U | code >> 12);
        bytes[n++] = (uint8_t)(0x80U | (code >> 6 & 0x3fU));
    } else {
        bytes[n++] = (uint8_t)(0xf0U | code >> 18);
        bytes[n++] = (uint8_t)(0x80U | (code >> 12 & 0x3fU));
        bytes[n++] = (uint8_t)(0x80U | (code >> 6 & 0x3fU));
    }
    if (code >= 0x80) {
        bytes[n++] = (uint8_t)(0x80U | (code & 0x3fU));
    }
    mkv_sink_put(sink, mkv_bytes(bytes, n));
}

/* The four digits of an escape; @pos is behind the "u". */
static uint32_t read_hex4(struct string_reader *r)
{
    struct mkv_bytes rest = mkv_bytes_after(r->in, r->pos);
    struct mkv_integer code = {0};

    if (rest.len < 4 || mkv_digits_span(mkv_bytes(rest.at, 4), 16) < 4) {
        refuse(r, MKV_E_MALFORMED, "\\u needs four hexadecimal digits");
        return 0;
    }
    refuse(r, mkv_integer_read(mkv_bytes(rest.at, 4), 16, false, &code), NULL);
    r->pos += 4;
    return (uint32_t)code.number;
}

static void read_unicode(struct string_reader *r)
{
    static const char lone[] = "half of a surrogate pair alone is not a character";
    uint32_t code = read_hex4(r);

    if (code >= SURROGATE_LOW && code < SURROGATE_AFTER) {
        refuse(r, MKV_E_BAD_UTF8, lone);
    } else if (code >= SURROGATE_HIGH && code < SURROGATE_LOW) {
        if (!mkv_bytes_starts_with(mkv_bytes_after(r->in, r->pos), mkv_bytes_of("\\u"))) {
            refuse(r, MKV_E_BAD_UTF8, lone);
            return;
        }
        r->pos += 2;

        uint32_t low = read_hex4(r);

        if (low < SURROGATE_LOW || low >= SURROGATE_AFTER) {
            refuse(r, MKV_E_BAD_UTF8, lone);
            return;
        }
        code = 0x10000 + ((code - SURROGATE_HIGH) << 10) + (low - SURROGATE_LOW);
    }
    if (r->error == 0) {
        put_code(&r->sink, code);
    }
}

/* @pos is behind the backslash. */
static void read_escape(struct string_reader *r)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";

    if (r->pos == r->in.len) {
        return; /* the string does not end: its reader says so */
    }

    uint8_t letter = r->in.at[r->pos++];

    if (letter == 'u') {
        read_unicode(r);
        return;
    }
    for (size_t i = 0; i + 1 < sizeof(letters); i++) {
        if ((uint8_t)letters[i] == letter) {
            mkv_sink_put(&r->sink, mkv_bytes(&meanings[i], 1));
            return;
        }
    }
    r->pos -= 2;
    refuse(r, MKV_E_MALFORMED, "no such escape: write \\\\ for a backslash");
}

/* What needs no translation goes over in one piece. */
static void read_run(struct string_reader *r)
{
    size_t start = r->pos;

    while (r->pos < r->in.len && r->in.at[r->pos] != '"' && r->in.at[r->pos] != '\\' &&
           r->in.at[r->pos] >= 0x20) {
        r->pos++;
    }

    struct mkv_bytes run = mkv_bytes(r->in.at + start, r->pos - start);

    if (!mkv_utf8_valid(run)) {
        r->pos = start;
        refuse(r, MKV_E_BAD_UTF8, "this text is not valid UTF-8");
        return;
    }
    mkv_sink_put(&r->sink, run);
}

static bool read_piece(struct string_reader *r)
{
    read_run(r);
    if (r->error != 0 || r->sink.error != 0) {
        return false;
    }
    if (r->pos == r->in.len) {
        refuse(r, MKV_E_TRUNCATED, "the text ends inside a string: its closing quote is missing");
        return false;
    }

    uint8_t character = r->in.at[r->pos++];

    if (character == '\\') {
        read_escape(r);
        return r->error == 0;
    }
    if (character != '"') {
        r->pos--;
        refuse(r, MKV_E_MALFORMED,
               "a control character in a string: write it as an escape, like \\n or \\u0007");
    }
    return false;
}

int mkv_json_string_read(
    struct mkv_bytes in, size_t pos, struct mkv_buf *text, size_t *ret_pos, const char **ret_fault)
{
    struct string_reader r = {.in = in, .pos = pos + 1};

    mkv_sink_init(&r.sink, text);
    while (read_piece(&r)) {
    }
    refuse(&r, r.sink.error, NULL);
    *ret_pos = r.pos;
    *ret_fault = r.fault;
    return r.error;
}

size_t mkv_json_character(struct mkv_bytes text, uint32_t *ret_code)
{
    size_t n = text.at[0] < 0xc0 ? 1 : text.at[0] < 0xe0 ? 2 : text.at[0] < 0xf0 ? 3 : 4;
    uint32_t code = text.at[0];

    if (n > text.len) {
        n = 1;
    }
    if (n > 1) {
        code &= 0x7fU >> n;
    }
    for (size_t i = 1; i < n; i++) {
        code = code << 6 | (text.at[i] & 0x3fU);
    }
    *ret_code = code;
    return n;
}

bool mkv_json_unsafe(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || /* control characters */
           code == 0x061c || code == 0x200b || code == 0x200e || code == 0x200f || /* direction */
           (code >= 0x2028 && code <= 0x202e) || /* line ends, embeddings */
           (code >= 0x2060 && code <= 0x206f) || code == 0xfeff ||
           (code >= 0xfff9 && code <= 0xfffb) || (code >= 0xe0000 && code <= 0xe007f);
}

static void put_escape(struct mkv_sink *sink, uint32_t code)
{
    static const char short_ones[] = "btn?fr"; /* U+0008 .. U+000D */
    char text[16];

    if (code == '"' || code == '\\') {
        (void)snprintf(text, sizeof(text), "\\%c", (char)code);
    } else if (code >= '\b' && code <= '\r' && code != '\v') {
        (void)snprintf(text, sizeof(text), "\\%c", short_ones[code - '\b']);
    } else if (code < 0x10000) {
        (void)snprintf(text, sizeof(text), "\\u%04x", code);
    } else {
        code -= 0x10000;
        (void)snprintf(text, sizeof(text), "\\u%04x\\u%04x", SURROGATE_HIGH + (code >> 10),
                       SURROGATE_LOW + (code & 0x3ffU));
    }
    mkv_sink_puts(sink, text);
}

void mkv_json_characters_write(struct mkv_sink *sink, struct mkv_bytes text)
{
    size_t start = 0;

    for (size_t i = 0; i < text.len;) {
        uint32_t code;
        size_t n = mkv_json_character(mkv_bytes_after(text, i), &code);

        if (code == '"' || code == '\\' || mkv_json_unsafe(code)) {
            mkv_sink_put(sink, mkv_bytes(text.at + start, i - start));
            put_escape(sink, code);
            start = i + n;
        }
        i += n;
    }
    mkv_sink_put(sink, mkv_bytes_after(text, start));
}

void mkv_json_string_write(struct mkv_sink *sink, struct mkv_bytes text)
{
    mkv_sink_puts(sink, "\"");
    mkv_json_characters_write(sink, text);
    mkv_sink_puts(sink, "\"");
}
