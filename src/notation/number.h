/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads numbers as JSON and YAML spell them, exactly and independent of the locale.
 */
#ifndef MKV_NOTATION_NUMBER_H
#define MKV_NOTATION_NUMBER_H

#include "base/bytes.h"
#include "base/error.h"

struct mkv_integer {
    bool negative;
    uint64_t number; /* n; negative: n of -1 - n */
};

/*
 * @digits are one or more digits of @base (2 to 16), without sign; @negative says that a minus
 * stood before them.  BAD_NUMBER below -2^64 or above 2^64-1.
 */
int mkv_integer_read(struct mkv_bytes digits,
                     unsigned base,
                     bool negative,
                     struct mkv_integer *ret_integer) MKV_MUST_CHECK;

/*
 * @text is [-+] digits [. digits] [e [-+] digits], where one side of the point may have no digits.
 * BAD_NUMBER if it is too large for a double.  NO_MEMORY.
 */
int mkv_real_read(struct mkv_bytes text, double *ret_real) MKV_MUST_CHECK;

/* How many of the bytes at the beginning of @text are digits of @base. */
size_t mkv_digits_span(struct mkv_bytes text, unsigned base);

#endif
