/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unsigned integers of up to 1,792 bits, for the exact conversion of floats.
 *
 * All the arithmetic that reading and writing a double needs, and no more.  The room is fixed:
 * wire/float.c bounds its exponents and digits such that nothing can outgrow it, so that outgrowing
 * it is a mistake of ours and asserted.
 */
#ifndef MKV_WIRE_BIG_H
#define MKV_WIRE_BIG_H

#include <stddef.h>
#include <stdint.h>

#define MKV_BIG_LIMBS 56U

/* Zero-initialised is the number 0. */
struct mkv_big {
    size_t n;                     /* limbs in use; the last of them is not 0 */
    uint32_t limb[MKV_BIG_LIMBS]; /* least significant first */
};

void mkv_big_set(struct mkv_big *big, uint64_t number);

/* big = big * factor + addend. */
void mkv_big_multiply_add(struct mkv_big *big, uint32_t factor, uint32_t addend);

/* big = big * 10^exponent. */
void mkv_big_scale(struct mkv_big *big, unsigned exponent);

/* big = big * 2^bits. */
void mkv_big_shift(struct mkv_big *big, unsigned bits);

/* a = a - b; @b is at most @a. */
void mkv_big_subtract(struct mkv_big *a, const struct mkv_big *b);

/* a = a + b. */
void mkv_big_add(struct mkv_big *a, const struct mkv_big *b);

/* Less than, equal to, or greater than 0, as a - b. */
int mkv_big_compare(const struct mkv_big *a, const struct mkv_big *b);

/* The number of bits up to the highest that is set; 0 for the number 0. */
unsigned mkv_big_bits(const struct mkv_big *big);

#endif
