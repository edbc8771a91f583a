/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/key.h"

#include <string.h>

#include "base/assert.h"

#define TAG_NULL  0x10U
#define TAG_FALSE 0x20U
#define TAG_TRUE  0x21U
#define TAG_NINT  0x38U /* minus the number of bytes */
#define TAG_UINT  0x40U /* plus the number of bytes */
#define TAG_FLOAT 0x50U
#define TAG_TEXT  0x60U
#define TAG_BYTES 0x70U

/* In text and bytes, 00 is followed by one of these: a literal 00, or the end. */
#define AFTER_ZERO_LITERAL 0xffU
#define AFTER_ZERO_END     0x01U

#define FLOAT_LEN 9U
#define SIGN_BIT  (UINT64_C(1) << 63)

static uint64_t read_be(struct mkv_bytes bytes)
{
    uint64_t number = 0;

    for (size_t i = 0; i < bytes.len; i++) {
        number = number << 8 | bytes.at[i];
    }
    return number;
}

static bool is_nint(uint8_t tag)
{
    return tag >= TAG_NINT - 8 && tag < TAG_NINT;
}

static bool is_uint(uint8_t tag)
{
    return tag >= TAG_UINT && tag <= TAG_UINT + 8;
}

static bool is_string(uint8_t tag)
{
    return tag == TAG_TEXT || tag == TAG_BYTES;
}

/* Length of an escaped string up to and including its end; 0 if it has none, or is not escaped. */
static size_t string_len(struct mkv_bytes string)
{
    size_t i = 0;

    while (i + 1 < string.len) {
        if (string.at[i] != 0) {
            i++;
            continue;
        }
        if (string.at[i + 1] == AFTER_ZERO_END) {
            return i + 2;
        }
        if (string.at[i + 1] != AFTER_ZERO_LITERAL) {
            return 0;
        }
        i += 2;
    }
    return 0;
}

size_t mkv_key_element_len(struct mkv_bytes rest)
{
    if (rest.len == 0) {
        return 0;
    }

    uint8_t tag = rest.at[0];
    size_t len = 0;

    if (is_string(tag)) {
        size_t string = string_len(mkv_bytes_after(rest, 1));

        return string > 0 ? 1 + string : 0;
    }
    if (tag == TAG_NULL || tag == TAG_FALSE || tag == TAG_TRUE) {
        len = 1;
    } else if (is_nint(tag)) {
        len = 1 + TAG_NINT - tag;
    } else if (is_uint(tag)) {
        len = 1 + tag - TAG_UINT;
    } else if (tag == TAG_FLOAT) {
        len = FLOAT_LEN;
    }
    return len <= rest.len ? len : 0;
}

/* Fewer bytes would do if the first one only repeats the sign; and -2^63 is the least of all. */
static bool nint_valid(struct mkv_bytes digits)
{
    if (digits.len > 1 && digits.at[0] == 0xff) {
        return false;
    }
    return digits.len < 8 || digits.at[0] >= 0x80;
}

/* Negative floats are stored inverted, so that the greater magnitude comes first. */
static uint64_t float_bits_of_key(uint64_t stored)
{
    return (stored & SIGN_BIT) != 0 ? stored ^ SIGN_BIT : ~stored;
}

static uint64_t key_of_float_bits(uint64_t bits)
{
    return (bits & SIGN_BIT) != 0 ? ~bits : bits | SIGN_BIT;
}

/* @encoding is whole: tag, escaped content, 00 01. */
static struct mkv_bytes unescape(struct mkv_bytes encoding, uint8_t *room)
{
    size_t len = 0;

    for (size_t i = 1; i + 2 < encoding.len; i++) {
        room[len++] = encoding.at[i];
        if (encoding.at[i] == 0) {
            i++; /* the ff behind it */
        }
    }
    return mkv_bytes(room, len);
}

struct mkv_element mkv_key_unpack(struct mkv_bytes encoding, uint8_t room[MKV_PATH_KEY_MAX])
{
    struct mkv_element element = {0};

    MKV_ASSERT(encoding.len > 0);
    MKV_ASSERT(encoding.len <= MKV_PATH_KEY_MAX);

    uint8_t tag = encoding.at[0];
    struct mkv_bytes digits = mkv_bytes_after(encoding, 1);

    if (is_string(tag)) {
        element.kind = tag == TAG_TEXT ? MKV_ELEMENT_TEXT : MKV_ELEMENT_BYTES;
        element.text = unescape(encoding, room);
    } else if (is_nint(tag)) {
        element.kind = MKV_ELEMENT_NINT;
        element.number = read_be(digits);
        if (digits.len < 8) { /* two's complement: all higher bits are set */
            element.number |= UINT64_MAX << (8 * digits.len);
        }
    } else if (is_uint(tag)) {
        element.kind = MKV_ELEMENT_UINT;
        element.number = read_be(digits);
    } else if (tag == TAG_FLOAT) {
        element.kind = MKV_ELEMENT_FLOAT;
        element.real = mkv_float_of_bits(float_bits_of_key(read_be(digits)));
    } else if (tag == TAG_FALSE || tag == TAG_TRUE) {
        element.kind = tag == TAG_TRUE ? MKV_ELEMENT_TRUE : MKV_ELEMENT_FALSE;
    } else {
        MKV_ASSERT(tag == TAG_NULL);
    }
    return element;
}

bool mkv_key_element_valid(struct mkv_bytes encoding)
{
    uint8_t room[MKV_PATH_KEY_MAX];
    uint8_t tag = encoding.at[0];
    struct mkv_bytes digits = mkv_bytes_after(encoding, 1);

    if (is_nint(tag)) {
        return nint_valid(digits);
    }
    if (is_uint(tag)) {
        return digits.len == 0 || digits.at[0] != 0;
    }
    if (tag == TAG_FLOAT) {
        return mkv_float_bits_finite(float_bits_of_key(read_be(digits)));
    }
    if (tag == TAG_TEXT) {
        return encoding.len <= sizeof(room) && mkv_utf8_valid(unescape(encoding, room));
    }
    return true;
}

static unsigned count_elements(struct mkv_bytes key)
{
    unsigned n = 0;

    while (key.len > 0) {
        size_t len = mkv_key_element_len(key);

        MKV_ASSERT(len > 0);
        key = mkv_bytes_after(key, len);
        n++;
    }
    return n;
}

void mkv_key_writer_init(struct mkv_key_writer *w, struct mkv_buf *key)
{
    *w = (struct mkv_key_writer){
        .key = key,
        .start = key->len,
        .n_elements = count_elements(mkv_buf_bytes(key)),
    };
}

void mkv_key_fail(struct mkv_key_writer *w, int error)
{
    MKV_ASSERT(error != 0);
    if (w->error == 0) {
        w->error = error;
    }
}

static void append(struct mkv_key_writer *w, struct mkv_bytes bytes)
{
    if (w->error != 0) {
        return;
    }
    if (w->key->len > MKV_PATH_KEY_MAX || bytes.len > MKV_PATH_KEY_MAX - w->key->len) {
        w->error = MKV_E_PATH_TOO_LONG;
        return;
    }
    w->error = mkv_buf_append(w->key, bytes);
    if (w->error == MKV_E_TOO_LARGE) { /* the caller's maximum is even lower */
        w->error = MKV_E_PATH_TOO_LONG;
    }
}

/* Starts an element with its tag and up to 8 bytes of @number, which are its lowest. */
static void append_tagged(struct mkv_key_writer *w, uint8_t tag, uint64_t number, unsigned len)
{
    uint8_t bytes[FLOAT_LEN] = {tag};

    if (w->n_elements >= MKV_PATH_LEVELS_MAX) {
        mkv_key_fail(w, MKV_E_PATH_TOO_LONG);
    }
    for (unsigned i = 0; i < len; i++) {
        bytes[len - i] = (uint8_t)(number >> (8 * i));
    }
    append(w, mkv_bytes(bytes, 1 + len));
    w->n_elements++;
}

/* Bytes of the shortest form: n < 2^(8L) for n >= 0, and n >= -2^(8L) by way of -1 - n. */
static unsigned bytes_needed(uint64_t number)
{
    unsigned len = 0;

    for (; number > 0; number >>= 8) {
        len++;
    }
    return len;
}

static void append_nint(struct mkv_key_writer *w, uint64_t number)
{
    unsigned len = bytes_needed(~number);

    if ((number & SIGN_BIT) == 0) {
        mkv_key_fail(w, MKV_E_BAD_NUMBER);
    }
    if (len == 0) { /* -1 takes a byte as well */
        len = 1;
    }
    append_tagged(w, (uint8_t)(TAG_NINT - len), number, len);
}

static void append_float(struct mkv_key_writer *w, double real)
{
    uint64_t bits = mkv_float_bits(real);

    if (!mkv_float_bits_finite(bits)) {
        mkv_key_fail(w, MKV_E_BAD_NUMBER);
    }
    append_tagged(w, TAG_FLOAT, key_of_float_bits(bits), 8);
}

static void append_string(struct mkv_key_writer *w, const struct mkv_element *element)
{
    mkv_key_begin(w, element->kind);
    mkv_key_add(w, element->text);
    mkv_key_end(w);
}

void mkv_key_write(struct mkv_key_writer *w, const struct mkv_element *element)
{
    unsigned len = bytes_needed(element->number);

    switch (element->kind) {
    case MKV_ELEMENT_NULL:
        append_tagged(w, TAG_NULL, 0, 0);
        break;
    case MKV_ELEMENT_FALSE:
        append_tagged(w, TAG_FALSE, 0, 0);
        break;
    case MKV_ELEMENT_TRUE:
        append_tagged(w, TAG_TRUE, 0, 0);
        break;
    case MKV_ELEMENT_NINT:
        append_nint(w, element->number);
        break;
    case MKV_ELEMENT_UINT:
        append_tagged(w, (uint8_t)(TAG_UINT + len), element->number, len);
        break;
    case MKV_ELEMENT_FLOAT:
        append_float(w, element->real);
        break;
    case MKV_ELEMENT_TEXT:
        if (!mkv_utf8_valid(element->text)) {
            mkv_key_fail(w, MKV_E_BAD_UTF8);
        }
        append_string(w, element);
        break;
    case MKV_ELEMENT_BYTES:
        append_string(w, element);
        break;
    }
}

void mkv_key_begin(struct mkv_key_writer *w, enum mkv_element_kind kind)
{
    append_tagged(w, kind == MKV_ELEMENT_TEXT ? TAG_TEXT : TAG_BYTES, 0, 0);
}

void mkv_key_add(struct mkv_key_writer *w, struct mkv_bytes piece)
{
    static const uint8_t zero[2] = {0, AFTER_ZERO_LITERAL};

    while (piece.len > 0 && w->error == 0) {
        const uint8_t *found = memchr(piece.at, 0, piece.len);
        size_t run = found != NULL ? (size_t)(found - piece.at) : piece.len;

        append(w, mkv_bytes(piece.at, run));
        piece = mkv_bytes_after(piece, run);
        if (piece.len > 0) {
            append(w, mkv_bytes(zero, sizeof(zero)));
            piece = mkv_bytes_after(piece, 1);
        }
    }
}

void mkv_key_end(struct mkv_key_writer *w)
{
    static const uint8_t end[2] = {0, AFTER_ZERO_END};

    append(w, mkv_bytes(end, sizeof(end)));
}

int mkv_key_finish(struct mkv_key_writer *w)
{
    if (w->error != 0) {
        mkv_buf_truncate(w->key, w->start);
    }
    return w->error;
}
