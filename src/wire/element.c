/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/element.h"

#include <string.h>

#include "wire/decimal.h"

#define NINT_MAGNITUDE_MAX (UINT64_C(1) << 63)

void mkv_element_to_cbor(const struct mkv_element *element, struct mkv_cbor_writer *w)
{
    switch (element->kind) {
    case MKV_ELEMENT_NULL:
        mkv_cbor_write_null(w);
        break;
    case MKV_ELEMENT_FALSE:
        mkv_cbor_write_bool(w, false);
        break;
    case MKV_ELEMENT_TRUE:
        mkv_cbor_write_bool(w, true);
        break;
    case MKV_ELEMENT_NINT:
        mkv_cbor_write_nint(w, ~element->number); /* -1 - n */
        break;
    case MKV_ELEMENT_UINT:
        mkv_cbor_write_uint(w, element->number);
        break;
    case MKV_ELEMENT_FLOAT:
        mkv_cbor_write_float(w, element->real);
        break;
    case MKV_ELEMENT_TEXT:
        mkv_cbor_write_text(w, element->text);
        break;
    case MKV_ELEMENT_BYTES:
        mkv_cbor_write_bytes(w, element->text);
        break;
    }
}

/* Numbers of whatever kind; a kind that is no element is refused. */
static void read_scalar(struct mkv_cbor_reader *r,
                        enum mkv_cbor_kind kind,
                        struct mkv_element *element)
{
    if (kind == MKV_CBOR_NINT) {
        element->kind = MKV_ELEMENT_NINT;
        element->number = (uint64_t)mkv_cbor_read_int(r);
    } else if (kind == MKV_CBOR_FLOAT) {
        element->kind = MKV_ELEMENT_FLOAT;
        element->real = mkv_cbor_read_float(r);
        if (!mkv_float_bits_finite(mkv_float_bits(element->real))) {
            mkv_cbor_fail(r, MKV_E_BAD_NUMBER);
        }
    } else if (kind == MKV_CBOR_UINT || kind == MKV_CBOR_END) { /* the end: TRUNCATED */
        element->kind = MKV_ELEMENT_UINT;
        element->number = mkv_cbor_read_uint(r);
    } else {
        mkv_cbor_fail(r, MKV_E_BAD_ELEMENT);
    }
}

void mkv_element_from_cbor(struct mkv_cbor_reader *r, struct mkv_element *ret_element)
{
    struct mkv_element element = {0};
    enum mkv_cbor_kind kind = mkv_cbor_peek(r);

    if (kind == MKV_CBOR_NULL) {
        mkv_cbor_read_null(r);
    } else if (kind == MKV_CBOR_FALSE || kind == MKV_CBOR_TRUE) {
        element.kind = mkv_cbor_read_bool(r) ? MKV_ELEMENT_TRUE : MKV_ELEMENT_FALSE;
    } else if (kind == MKV_CBOR_TEXT) {
        element.kind = MKV_ELEMENT_TEXT;
        element.text = mkv_cbor_read_text(r);
    } else if (kind == MKV_CBOR_BYTES) {
        element.kind = MKV_ELEMENT_BYTES;
        element.text = mkv_cbor_read_bytes(r);
    } else {
        read_scalar(r, kind, &element);
    }
    *ret_element = r->error == 0 ? element : (struct mkv_element){0};
}

/* The digits as a number up to @max; BAD_NUMBER beyond. */
static int read_digits(struct mkv_bytes digits, uint64_t max, uint64_t *ret_number)
{
    uint64_t number = 0;

    for (size_t i = 0; i < digits.len; i++) {
        uint64_t digit = digits.at[i] - (uint64_t)'0';

        if (number > (max - digit) / 10) {
            return MKV_E_BAD_NUMBER;
        }
        number = number * 10 + digit;
    }
    *ret_number = number;
    return 0;
}

int mkv_element_from_number(struct mkv_bytes text, struct mkv_element *ret_element)
{
    struct mkv_element element = {.kind = MKV_ELEMENT_FLOAT};
    struct mkv_decimal decimal;
    int error = 0;

    if (!mkv_decimal_scan(text, &decimal)) {
        return MKV_E_BAD_PATH;
    }
    if (decimal.real) {
        error = mkv_float_from_text(text, &element.real);
    } else {
        element.kind = decimal.negative ? MKV_ELEMENT_NINT : MKV_ELEMENT_UINT;
        error = read_digits(decimal.whole, decimal.negative ? NINT_MAGNITUDE_MAX : UINT64_MAX,
                            &element.number);
        element.number = decimal.negative ? -element.number : element.number;
    }
    if (error == 0) {
        *ret_element = element;
    }
    return error;
}

size_t mkv_element_number_format(const struct mkv_element *element,
                                 char ret_text[MKV_NUMBER_TEXT_MAX])
{
    if (element->kind == MKV_ELEMENT_FLOAT) {
        return mkv_float_format(element->real, ret_text);
    }

    bool negative = element->kind == MKV_ELEMENT_NINT;
    uint64_t number = negative ? -element->number : element->number;
    char digits[MKV_NUMBER_TEXT_MAX];
    size_t first = sizeof(digits);

    do {
        digits[--first] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    if (negative) {
        digits[--first] = '-';
    }
    memcpy(ret_text, digits + first, sizeof(digits) - first);
    return sizeof(digits) - first;
}
