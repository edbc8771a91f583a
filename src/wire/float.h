/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Doubles as decimal text and back, exactly, and independent of the locale.
 *
 * Members of a cluster must write a float in the same bytes, or one entry would have two topics.
 * So the text is defined to the digit: the fewest digits that read back as the same double; of
 * several such, the nearest; of two equally near, the one with the even last digit.  printf() and
 * strtod() are no help: they follow the locale, which a library cannot know.
 *
 * The spelling is that of Python's repr(): "1.0", "-2.5", "1e+100", "1.5e-07".
 */
#ifndef MKV_WIRE_FLOAT_H
#define MKV_WIRE_FLOAT_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"

#define MKV_FLOAT_TEXT_MAX 24U /* characters, as in "-1.2345678901234567e-308" */

/* Writes the text of @real, which is finite, and returns how many characters it has. */
size_t mkv_float_format(double real, char ret_text[MKV_FLOAT_TEXT_MAX]);

/* The same, appended.  TOO_LARGE, NO_MEMORY. */
int mkv_float_to_text(double real, struct mkv_buf *text) MKV_MUST_CHECK;

/*
 * Reads the double nearest to a decimal with a point or an exponent, as mkv_decimal_scan()
 * understands it; halfway, the even one.  BAD_NUMBER if @text is none, or beyond the largest
 * finite double; what is too small becomes 0.
 */
int mkv_float_from_text(struct mkv_bytes text, double *ret_real) MKV_MUST_CHECK;

/* The IEEE 754 bits of @real, and back. */
uint64_t mkv_float_bits(double real);
double mkv_float_of_bits(uint64_t bits);

/* Whether these are the bits of a finite number: neither NaN nor infinite. */
bool mkv_float_bits_finite(uint64_t bits);

#endif
