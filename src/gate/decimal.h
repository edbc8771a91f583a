/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scaled numbers: what a device counts in, as what the tree has, and back.
 *
 *     tree = message * factor + offset          215 * 0.1 + 0  =  21.5
 *
 * Computed with decimal digits, so that 215 * 0.1 is 21.5 and not 21.500000000000004, and the way
 * back ends at 215.  What needs more than 18 digits is computed with doubles.
 */
#ifndef MKV_GATE_DECIMAL_H
#define MKV_GATE_DECIMAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"

/* mantissa * 10^exponent, the mantissa without zeros at its end. */
struct mkv_gate_decimal {
    int64_t mantissa;
    int exponent;
};

struct mkv_gate_scale {
    struct mkv_gate_decimal factor; /* not 0 */
    struct mkv_gate_decimal offset;
};

/* Reads one CBOR number of up to 18 digits; BAD_NUMBER if it is none. */
int mkv_gate_decimal_read(struct mkv_bytes item,
                          struct mkv_gate_decimal *ret_decimal) MKV_MUST_CHECK;

/*
 * Appends the scaled number: an integer if it is whole, else a float.  BAD_NUMBER: @item is no
 * finite number, or the result would be none.  TOO_LARGE, NO_MEMORY.
 */
int mkv_gate_scale_in(const struct mkv_gate_scale *scale,
                      struct mkv_bytes item,
                      struct mkv_buf *out) MKV_MUST_CHECK;
/* The inverse. */
int mkv_gate_scale_out(const struct mkv_gate_scale *scale,
                       struct mkv_bytes item,
                       struct mkv_buf *out) MKV_MUST_CHECK;

#endif
