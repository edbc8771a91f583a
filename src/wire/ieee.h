/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Floats of 16 and 32 bits (IEEE 754) as doubles and back.
 *
 * Done on the bits and not by the processor, so that every machine keeps the payload of a NaN and
 * the sign of a zero.
 */
#ifndef MKV_WIRE_IEEE_H
#define MKV_WIRE_IEEE_H

#include <stdint.h>

struct mkv_ieee_format {
    unsigned exponent_bits;
    unsigned fraction_bits;
};

extern const struct mkv_ieee_format mkv_ieee16;
extern const struct mkv_ieee_format mkv_ieee32;

/* The double of the same value as @bits, which are those of a float of @format; as bits, too. */
uint64_t mkv_ieee_widen(uint64_t bits, struct mkv_ieee_format format);

/*
 * A float of @format for the double @bits, with what has no room there cut off.  It is the same
 * value exactly if mkv_ieee_widen() makes @bits of it again.
 */
uint64_t mkv_ieee_narrow(uint64_t bits, struct mkv_ieee_format format);

#endif
