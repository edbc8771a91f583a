/* SPDX-License-Identifier: Apache-2.0 */
#include "notation/number.h"

#include <string.h>

#include "base/buf.h"
#include "notation/sink.h"
#include "wire/path.h"

static unsigned digit_of(uint8_t character)
{
    if (character >= '0' && character <= '9') {
        return character - (unsigned)'0';
    }
    if (character >= 'a' && character <= 'f') {
        return character - (unsigned)'a' + 10;
    }
    if (character >= 'A' && character <= 'F') {
        return character - (unsigned)'A' + 10;
    }
    return 16;
}

size_t mkv_digits_span(struct mkv_bytes text, unsigned base)
{
    size_t n = 0;

    while (n < text.len && digit_of(text.at[n]) < base) {
        n++;
    }
    return n;
}

/* number = number * base + digit, or false beyond 2^64-1. */
static bool shift_in(uint64_t *number, unsigned base, unsigned digit)
{
    uint64_t shifted;

    if (__builtin_mul_overflow(*number, (uint64_t)base, &shifted)) {
        return false;
    }
    return !__builtin_add_overflow(shifted, (uint64_t)digit, number);
}

int mkv_integer_read(struct mkv_bytes digits,
                     unsigned base,
                     bool negative,
                     struct mkv_integer *ret_integer)
{
    uint64_t number = 0;

    for (size_t i = 0; i + 1 < digits.len; i++) {
        if (!shift_in(&number, base, digit_of(digits.at[i]))) {
            return MKV_E_BAD_NUMBER;
        }
    }

    unsigned last = digit_of(digits.at[digits.len - 1]);

    if (number == 0 && last == 0) { /* there is no negative zero among the integers */
        negative = false;
    } else if (negative) {
        /* What is stored of -m is m - 1, which fits even for m = 2^64. */
        number -= last == 0 ? 1 : 0;
        last = last == 0 ? base - 1 : last - 1;
    }
    if (!shift_in(&number, base, last)) {
        return MKV_E_BAD_NUMBER;
    }
    *ret_integer = (struct mkv_integer){.negative = negative, .number = number};
    return 0;
}

/* Puts the digits at the beginning of @text, or a zero if there are none; returns what follows. */
static struct mkv_bytes put_digits(struct mkv_sink *sink, struct mkv_bytes text)
{
    size_t n = mkv_digits_span(text, 10);

    mkv_sink_put(sink, n > 0 ? mkv_bytes(text.at, n) : mkv_bytes_of("0"));
    return mkv_bytes_after(text, n);
}

/* Spells @text as wire/path.h wants it: digits on both sides of the point, a small "e". */
static int spell_out(struct mkv_bytes text, struct mkv_buf *out)
{
    struct mkv_sink sink;

    mkv_sink_init(&sink, out);
    if (text.len > 0 && (text.at[0] == '-' || text.at[0] == '+')) {
        mkv_sink_puts(&sink, text.at[0] == '-' ? "-" : "");
        text = mkv_bytes_after(text, 1);
    }
    text = put_digits(&sink, text);
    mkv_sink_puts(&sink, ".");
    text = put_digits(&sink, text.len > 0 && text.at[0] == '.' ? mkv_bytes_after(text, 1) : text);
    if (text.len > 0) {
        mkv_sink_puts(&sink, "e");
        mkv_sink_put(&sink, mkv_bytes_after(text, 1));
    }
    return sink.error;
}

int mkv_real_read(struct mkv_bytes text, double *ret_real)
{
    struct mkv_buf spelled;

    mkv_buf_init(&spelled, text.len + 8);

    int error = spell_out(text, &spelled);

    if (error == 0) {
        error = mkv_float_from_text(mkv_buf_bytes(&spelled), ret_real);
    }
    mkv_buf_deinit(&spelled);
    return error;
}
