/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dotted form of wire/path.h (docs/protocol.md, section 3.3).
 *
 * An element ends before a '.', before a ':' that is not the start of '::', ':.' or ':_', and at
 * the end.  The latter three stand for one byte each, in text and in typed elements alike, so one
 * function, take(), reads them all byte by byte and stops where the element does.
 */
#include "wire/decimal.h"
#include "wire/key.h"
#include "wire/path.h"
#include "wire/text.h"
#include "wire/utf8.h"

#define BASE64_PAD  64U
#define BASE64_NONE 65U

/* The byte that the escape sequence ':' @after stands for; 0 if it is none. */
static uint8_t escaped_byte(uint8_t after)
{
    if (after == '_') {
        return ' ';
    }
    return after == ':' || after == '.' ? after : 0;
}

/* Whether a typed element starts here. */
static bool at_typed(struct mkv_bytes rest)
{
    return rest.len > 0 && rest.at[0] == ':' && (rest.len == 1 || escaped_byte(rest.at[1]) == 0);
}

/* Takes the next byte of the present element; false at its end. */
static bool take(struct mkv_bytes *rest, uint8_t *ret_byte)
{
    if (rest->len == 0 || rest->at[0] == '.' || at_typed(*rest)) {
        return false;
    }

    bool escaped = rest->at[0] == ':';

    *ret_byte = escaped ? escaped_byte(rest->at[1]) : rest->at[0];
    *rest = mkv_bytes_after(*rest, escaped ? 2 : 1);
    return true;
}

static void read_text(struct mkv_bytes *rest, struct mkv_key_writer *w)
{
    uint8_t byte;
    size_t n = 0;

    mkv_key_begin(w, MKV_ELEMENT_TEXT);
    for (; take(rest, &byte); n++) {
        mkv_key_add(w, mkv_bytes(&byte, 1));
    }
    mkv_key_end(w);
    if (n == 0) { /* the empty text is ':e' */
        mkv_key_fail(w, MKV_E_BAD_PATH);
    }
}

/* :2, :-1, :1:.5, :1e+100 */
static void read_number(struct mkv_bytes *rest, struct mkv_key_writer *w)
{
    uint8_t text[MKV_DECIMAL_TEXT_MAX];
    struct mkv_element element;
    size_t n = 0;
    uint8_t byte;

    while (take(rest, &byte)) {
        if (n == sizeof(text)) {
            mkv_key_fail(w, MKV_E_BAD_PATH);
            return;
        }
        text[n++] = byte;
    }

    int error = mkv_element_from_number(mkv_bytes(text, n), &element);

    if (error != 0) {
        mkv_key_fail(w, error);
        return;
    }
    mkv_key_write(w, &element);
}

/* :x1f and :b101, by 4 bits or 1 bit a digit */
static void read_unsigned(struct mkv_bytes *rest, struct mkv_key_writer *w, unsigned digit_bits)
{
    struct mkv_element element = {.kind = MKV_ELEMENT_UINT};
    size_t n = 0;
    uint8_t byte;

    for (; take(rest, &byte); n++) {
        int digit = mkv_digit_value(byte);

        if (digit < 0 || digit >> digit_bits != 0) {
            mkv_key_fail(w, MKV_E_BAD_PATH);
            return;
        }
        if (element.number >> (64 - digit_bits) != 0) {
            mkv_key_fail(w, MKV_E_BAD_NUMBER);
            return;
        }
        element.number = element.number << digit_bits | (unsigned)digit;
    }
    if (n == 0) {
        mkv_key_fail(w, MKV_E_BAD_PATH);
    }
    mkv_key_write(w, &element);
}

/* :vabc */
static void read_printable(struct mkv_bytes *rest, struct mkv_key_writer *w)
{
    uint8_t byte;

    while (take(rest, &byte)) {
        if (byte < 0x20 || byte > 0x7e) {
            mkv_key_fail(w, MKV_E_BAD_PATH);
        }
        mkv_key_add(w, mkv_bytes(&byte, 1));
    }
}

/* :y00ff */
static void read_hex(struct mkv_bytes *rest, struct mkv_key_writer *w)
{
    uint8_t digits[2];

    while (take(rest, &digits[0])) {
        bool whole = take(rest, &digits[1]);
        int high = mkv_digit_value(digits[0]);
        int low = whole ? mkv_digit_value(digits[1]) : -1;

        if (high < 0 || low < 0) {
            mkv_key_fail(w, MKV_E_BAD_PATH);
            return;
        }

        uint8_t byte = (uint8_t)(high * 16 + low);

        mkv_key_add(w, mkv_bytes(&byte, 1));
    }
}

static const char base64_digits[65] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* The value of a digit of base64; BASE64_PAD for padding, BASE64_NONE for anything else. */
static unsigned base64_value(uint8_t character)
{
    for (unsigned i = 0; i < 64; i++) {
        if (base64_digits[i] == (char)character) {
            return i;
        }
    }
    return character == '=' ? BASE64_PAD : BASE64_NONE;
}

/* Takes up to four digits, and returns how many there were. */
static unsigned take_base64(struct mkv_bytes *rest, unsigned ret_digits[4])
{
    unsigned n = 0;
    uint8_t character;

    while (n < 4 && take(rest, &character)) {
        ret_digits[n++] = base64_value(character);
    }
    return n;
}

/*
 * How many bytes four digits stand for: 3, or 2 and 1 before padding, whose left-over bits must be
 * 0; 0 if that is malformed.
 */
static size_t base64_bytes(const unsigned digits[4])
{
    if (digits[0] >= BASE64_PAD || digits[1] >= BASE64_PAD || digits[2] > BASE64_PAD) {
        return 0;
    }
    if (digits[2] == BASE64_PAD) {
        return digits[3] == BASE64_PAD && digits[1] % 16 == 0 ? 1 : 0;
    }
    if (digits[3] == BASE64_PAD) {
        return digits[2] % 4 == 0 ? 2 : 0;
    }
    return digits[3] < BASE64_PAD ? 3 : 0;
}

/* :sYWKZ; what stands behind the padding is noticed by the caller */
static void read_base64(struct mkv_bytes *rest, struct mkv_key_writer *w)
{
    size_t n_bytes = 3;

    while (n_bytes == 3) {
        unsigned digits[4] = {0};
        unsigned n_digits = take_base64(rest, digits);

        if (n_digits == 0) {
            return;
        }
        n_bytes = n_digits == 4 ? base64_bytes(digits) : 0;
        if (n_bytes == 0) {
            mkv_key_fail(w, MKV_E_BAD_PATH);
        }

        const uint8_t bytes[3] = {
            (uint8_t)(digits[0] << 2 | digits[1] >> 4),
            (uint8_t)(digits[1] << 4 | digits[2] >> 2),
            (uint8_t)(digits[2] << 6 | digits[3]),
        };

        mkv_key_add(w, mkv_bytes(bytes, n_bytes));
    }
}

static void read_bytes(uint8_t type, struct mkv_bytes *rest, struct mkv_key_writer *w)
{
    mkv_key_begin(w, MKV_ELEMENT_BYTES);
    if (type == 'v') {
        read_printable(rest, w);
    } else if (type == 'y') {
        read_hex(rest, w);
    } else {
        read_base64(rest, w);
    }
    mkv_key_end(w);
}

/* :t, :f, :n, :e; false if @type is none of these. */
static bool read_constant(uint8_t type, struct mkv_key_writer *w)
{
    struct mkv_element element = {0};

    switch (type) {
    case 'n':
        element.kind = MKV_ELEMENT_NULL;
        break;
    case 't':
        element.kind = MKV_ELEMENT_TRUE;
        break;
    case 'f':
        element.kind = MKV_ELEMENT_FALSE;
        break;
    case 'e':
        element.kind = MKV_ELEMENT_TEXT;
        break;
    default:
        return false;
    }
    mkv_key_write(w, &element);
    return true;
}

/* Expressions, marks and lists, which the predecessors had. */
static bool is_refused(uint8_t type)
{
    return type == 'i' || type == 'm' || type == '(' || type == '[' || type == '\'' || type == '"';
}

/* @rest begins with a colon that starts a typed element. */
static void read_typed(struct mkv_bytes *rest, struct mkv_key_writer *w)
{
    uint8_t type = rest->len > 1 ? rest->at[1] : 0;
    struct mkv_bytes number = mkv_bytes_after(*rest, 1);
    struct mkv_bytes content = mkv_bytes_after(number, rest->len > 1);
    uint8_t more;

    *rest = content;
    if (type == '-' || (type >= '0' && type <= '9')) {
        *rest = number;
        read_number(rest, w);
    } else if (type == 'x' || type == 'b') {
        read_unsigned(rest, w, type == 'x' ? 4 : 1);
    } else if (type == 'v' || type == 'y' || type == 's') {
        read_bytes(type, rest, w);
    } else if (!read_constant(type, w)) {
        mkv_key_fail(w, is_refused(type) ? MKV_E_BAD_ELEMENT : MKV_E_BAD_PATH);
    }
    if (take(rest, &more)) { /* ":tx", or behind the padding of base64 */
        mkv_key_fail(w, MKV_E_BAD_PATH);
    }
}

/* Reads the elements of a path that is not empty. */
static void read_elements(struct mkv_bytes rest, struct mkv_key_writer *w)
{
    bool text_follows = !at_typed(rest);

    while (w->error == 0) {
        if (text_follows) {
            read_text(&rest, w);
        } else {
            read_typed(&rest, w);
        }
        if (rest.len == 0) {
            return;
        }
        text_follows = rest.at[0] == '.';
        rest = mkv_bytes_after(rest, text_follows);
    }
}

int mkv_path_from_dotted(struct mkv_bytes text, struct mkv_buf *key)
{
    struct mkv_key_writer w;

    mkv_key_writer_init(&w, key);
    if (!mkv_utf8_valid(text)) { /* escapes are ASCII: what they are taken out of stays valid */
        mkv_key_fail(&w, MKV_E_BAD_UTF8);
    } else if (!mkv_bytes_equal(text, mkv_bytes(":", 1))) {
        read_elements(text, &w);
    }
    return mkv_key_finish(&w);
}

static void write_escaped(struct mkv_text_writer *w, struct mkv_bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        char character = (char)text.at[i];

        if (character == ' ') {
            mkv_text_write_string(w, ":_");
            continue;
        }
        if (character == ':' || character == '.') {
            mkv_text_write_char(w, ':');
        }
        mkv_text_write_char(w, character);
    }
}

static bool is_printable(struct mkv_bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.at[i] < 0x20 || bytes.at[i] > 0x7e) {
            return false;
        }
    }
    return true;
}

static void write_base64(struct mkv_text_writer *w, struct mkv_bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t n = bytes.len - i < 3 ? bytes.len - i : 3;
        uint32_t group = (uint32_t)bytes.at[i] << 16;

        group |= n > 1 ? (uint32_t)bytes.at[i + 1] << 8 : 0;
        group |= n > 2 ? (uint32_t)bytes.at[i + 2] : 0;
        mkv_text_write_char(w, base64_digits[group >> 18]);
        mkv_text_write_char(w, base64_digits[group >> 12 & 63]);
        mkv_text_write_char(w, n > 1 ? base64_digits[group >> 6 & 63] : '=');
        mkv_text_write_char(w, n > 2 ? base64_digits[group & 63] : '=');
    }
}

static void write_bytes(struct mkv_text_writer *w, struct mkv_bytes bytes)
{
    if (is_printable(bytes)) {
        mkv_text_write_string(w, ":v");
        write_escaped(w, bytes);
    } else {
        mkv_text_write_string(w, ":s");
        write_base64(w, bytes);
    }
}

static void write_number(struct mkv_text_writer *w, const struct mkv_element *element)
{
    char number[MKV_NUMBER_TEXT_MAX];

    mkv_text_write_char(w, ':');
    write_escaped(w, mkv_bytes(number, mkv_element_number_format(element, number)));
}

static void write_element(struct mkv_text_writer *w, const struct mkv_element *element, bool first)
{
    switch (element->kind) {
    case MKV_ELEMENT_NULL:
        mkv_text_write_string(w, ":n");
        break;
    case MKV_ELEMENT_FALSE:
        mkv_text_write_string(w, ":f");
        break;
    case MKV_ELEMENT_TRUE:
        mkv_text_write_string(w, ":t");
        break;
    case MKV_ELEMENT_NINT:
    case MKV_ELEMENT_UINT:
    case MKV_ELEMENT_FLOAT:
        write_number(w, element);
        break;
    case MKV_ELEMENT_TEXT:
        if (element->text.len == 0) {
            mkv_text_write_string(w, ":e");
            break;
        }
        mkv_text_write_string(w, first ? "" : ".");
        write_escaped(w, element->text);
        break;
    case MKV_ELEMENT_BYTES:
        write_bytes(w, element->text);
        break;
    }
}

int mkv_path_to_dotted(struct mkv_bytes key, struct mkv_buf *text)
{
    uint8_t room[MKV_PATH_KEY_MAX];
    struct mkv_text_writer w;

    mkv_text_writer_init(&w, text);
    if (key.len == 0) {
        mkv_text_write_char(&w, ':');
    }
    for (bool first = true; key.len > 0; first = false) {
        struct mkv_element element = mkv_key_unpack(mkv_path_cut(&key), room);

        write_element(&w, &element, first);
    }
    return mkv_text_finish(&w);
}
