/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/ieee.h"

#define FRACTION64_BITS 52
#define EXPONENT64_MASK 0x7ffU
#define BIAS64          1023

const struct mkv_ieee_format mkv_ieee16 = {5, 10};
const struct mkv_ieee_format mkv_ieee32 = {8, 23};

uint64_t mkv_ieee_widen(uint64_t bits, struct mkv_ieee_format format)
{
    uint64_t fraction_mask = (UINT64_C(1) << format.fraction_bits) - 1;
    uint64_t exponent_mask = (UINT64_C(1) << format.exponent_bits) - 1;
    uint64_t sign = bits >> (format.fraction_bits + format.exponent_bits);
    uint64_t exponent = bits >> format.fraction_bits & exponent_mask;
    uint64_t fraction = bits & fraction_mask;
    uint64_t rebias = BIAS64 - (exponent_mask >> 1);

    if (exponent == exponent_mask) {
        exponent = EXPONENT64_MASK;
    } else if (exponent > 0) {
        exponent += rebias;
    } else if (fraction > 0) { /* subnormal: a double has room for its leading one */
        exponent = rebias + 1;
        while (fraction <= fraction_mask) {
            fraction <<= 1;
            exponent--;
        }
        fraction &= fraction_mask;
    }
    return sign << 63 | exponent << FRACTION64_BITS |
           fraction << (FRACTION64_BITS - format.fraction_bits);
}

uint64_t mkv_ieee_narrow(uint64_t bits, struct mkv_ieee_format format)
{
    uint64_t exponent_mask = (UINT64_C(1) << format.exponent_bits) - 1;
    uint64_t sign = bits >> 63;
    uint64_t exponent = bits >> FRACTION64_BITS & EXPONENT64_MASK;
    uint64_t fraction = bits & ((UINT64_C(1) << FRACTION64_BITS) - 1);
    uint64_t rebias = BIAS64 - (exponent_mask >> 1);
    unsigned cut = FRACTION64_BITS - format.fraction_bits;

    if (exponent == EXPONENT64_MASK) {
        exponent = exponent_mask;
    } else if (exponent > rebias) {
        exponent = (exponent - rebias) & exponent_mask;
    } else if (exponent + format.fraction_bits > rebias) { /* becomes subnormal */
        fraction |= UINT64_C(1) << FRACTION64_BITS;
        cut += (unsigned)(rebias + 1 - exponent);
        exponent = 0;
    } else {
        exponent = 0;
        fraction = 0;
    }
    return sign << (format.exponent_bits + format.fraction_bits) |
           exponent << format.fraction_bits | fraction >> cut;
}
