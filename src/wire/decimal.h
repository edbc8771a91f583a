/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a number, taken apart (docs/protocol.md, section 3.3).
 *
 *     -12.50e+3    ->    negative, whole "12", fraction "50", exponent 3, real
 *
 * The grammar is that of JSON, with three refusals more: `-0` without point or exponent, since
 * there is no such integer; more than 128 characters; and whatever the caller cannot use.
 */
#ifndef MKV_WIRE_DECIMAL_H
#define MKV_WIRE_DECIMAL_H

#include "base/bytes.h"
#include "base/error.h"

#define MKV_DECIMAL_TEXT_MAX     128U  /* characters; more: refused */
#define MKV_DECIMAL_EXPONENT_MAX 10000 /* greater ones are read as this: zero or infinite anyway */

struct mkv_decimal {
    bool negative;
    bool real;                 /* has a point or an exponent */
    struct mkv_bytes whole;    /* one digit or more */
    struct mkv_bytes fraction; /* the digits behind the point, if any */
    int exponent;              /* -MKV_DECIMAL_EXPONENT_MAX .. MKV_DECIMAL_EXPONENT_MAX */
};

/* Whether @text is such a number; the digits are borrowed from it.  False leaves *ret_decimal. */
bool mkv_decimal_scan(struct mkv_bytes text, struct mkv_decimal *ret_decimal) MKV_MUST_CHECK;

/* The value of an ASCII digit in bases up to 16, either case; -1 if it is none. */
int mkv_digit_value(uint8_t character);

#endif
