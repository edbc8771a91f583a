/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/yaml_scalar.h"

#include <math.h>
#include <strings.h>

static bool is_one_of(struct mkv_bytes text, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (mkv_bytes_equal(text, mkv_bytes_of(words[i]))) {
            return true;
        }
    }
    return false;
}

#define IS_ONE_OF(text, words) is_one_of(text, words, sizeof(words) / sizeof((words)[0]))

static bool resolve_word(struct mkv_bytes text, struct mkv_scalar *scalar)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    static const char *const trues[] = {"true", "True", "TRUE"};
    static const char *const falses[] = {"false", "False", "FALSE"};
    static const char *const infinities[] = {".inf",  ".Inf",  ".INF",  "+.inf", "+.Inf",
                                             "+.INF", "-.inf", "-.Inf", "-.INF"};
    static const char *const nans[] = {".nan", ".NaN", ".NAN"};

    if (IS_ONE_OF(text, nulls)) {
        scalar->kind = MKV_SCALAR_NULL;
    } else if (IS_ONE_OF(text, trues)) {
        scalar->kind = MKV_SCALAR_TRUE;
    } else if (IS_ONE_OF(text, falses)) {
        scalar->kind = MKV_SCALAR_FALSE;
    } else if (IS_ONE_OF(text, infinities)) {
        scalar->kind = MKV_SCALAR_REAL;
        scalar->real = (double)(text.at[0] == '-' ? -INFINITY : INFINITY);
    } else if (IS_ONE_OF(text, nans)) {
        scalar->kind = MKV_SCALAR_REAL;
        scalar->real = (double)NAN;
    } else {
        return false;
    }
    return true;
}

static struct mkv_bytes skip_sign(struct mkv_bytes text)
{
    bool has_sign = text.len > 0 && (text.at[0] == '-' || text.at[0] == '+');

    return mkv_bytes_after(text, has_sign ? 1 : 0);
}

/* The base of the integer that @text is, and in @ret_digits its digits; 0 if it is none. */
static unsigned integer_base(struct mkv_bytes text, struct mkv_bytes *ret_digits)
{
    unsigned base = 10;

    *ret_digits = skip_sign(text);
    if (mkv_bytes_starts_with(text, mkv_bytes_of("0o"))) {
        base = 8;
    } else if (mkv_bytes_starts_with(text, mkv_bytes_of("0x"))) {
        base = 16;
    }
    if (base != 10) {
        *ret_digits = mkv_bytes_after(text, 2);
    }
    return ret_digits->len > 0 && mkv_digits_span(*ret_digits, base) == ret_digits->len ? base : 0;
}

/* [-+] ( . digits | digits [ . [digits] ] ) [ e [-+] digits ] */
static bool is_real(struct mkv_bytes text)
{
    struct mkv_bytes rest = skip_sign(text);
    size_t n = mkv_digits_span(rest, 10);
    size_t n_digits = n;

    rest = mkv_bytes_after(rest, n);
    if (rest.len > 0 && rest.at[0] == '.') {
        n = mkv_digits_span(mkv_bytes_after(rest, 1), 10);
        n_digits += n;
        rest = mkv_bytes_after(rest, n + 1);
    }
    if (n_digits == 0) {
        return false;
    }
    if (rest.len > 0 && (rest.at[0] == 'e' || rest.at[0] == 'E')) {
        rest = skip_sign(mkv_bytes_after(rest, 1));
        n = mkv_digits_span(rest, 10);
        return n > 0 && n == rest.len;
    }
    return rest.len == 0;
}

int mkv_scalar_resolve(struct mkv_bytes text, struct mkv_scalar *ret_scalar)
{
    struct mkv_scalar scalar = {.kind = MKV_SCALAR_TEXT};
    struct mkv_bytes digits;
    int error = 0;

    if (!resolve_word(text, &scalar)) {
        unsigned base = integer_base(text, &digits);

        if (base != 0) {
            scalar.kind = MKV_SCALAR_INTEGER;
            error = mkv_integer_read(digits, base, text.at[0] == '-', &scalar.integer);
        } else if (is_real(text)) {
            scalar.kind = MKV_SCALAR_REAL;
            error = mkv_real_read(text, &scalar.real);
        }
    }
    if (error == 0) {
        *ret_scalar = scalar;
    }
    return error;
}

bool mkv_scalar_ambiguous(struct mkv_bytes text)
{
    static const char *const words[] = {"y",    "n", "yes", "no", "on",   "off",   "true",  "false",
                                        "null", "=", "<<",  "~",  ".inf", "-.inf", "+.inf", ".nan"};
    struct mkv_bytes rest = skip_sign(text);

    if (rest.len > 0 && rest.at[0] == '.') {
        rest = mkv_bytes_after(rest, 1);
    }
    if (text.len == 0 || mkv_digits_span(rest, 10) > 0) { /* numbers, dates, times, 1_000 */
        return true;
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        struct mkv_bytes word = mkv_bytes_of(words[i]);

        if (word.len == text.len && strncasecmp((const char *)text.at, words[i], text.len) == 0) {
            return true;
        }
    }
    return false;
}
