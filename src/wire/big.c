/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/big.h"

#include <string.h>

#include "base/assert.h"

#define LIMB_BITS 32U

static void append_limb(struct mkv_big *big, uint32_t limb)
{
    if (limb != 0) {
        MKV_ASSERT(big->n < MKV_BIG_LIMBS);
        big->limb[big->n++] = limb;
    }
}

static void trim(struct mkv_big *big)
{
    while (big->n > 0 && big->limb[big->n - 1] == 0) {
        big->n--;
    }
}

void mkv_big_set(struct mkv_big *big, uint64_t number)
{
    big->n = 2;
    big->limb[0] = (uint32_t)number;
    big->limb[1] = (uint32_t)(number >> LIMB_BITS);
    trim(big);
}

void mkv_big_multiply_add(struct mkv_big *big, uint32_t factor, uint32_t addend)
{
    uint64_t carry = addend;

    for (size_t i = 0; i < big->n; i++) {
        carry += (uint64_t)big->limb[i] * factor;
        big->limb[i] = (uint32_t)carry;
        carry >>= LIMB_BITS;
    }
    append_limb(big, (uint32_t)carry);
    trim(big); /* a factor of 0 */
}

void mkv_big_scale(struct mkv_big *big, unsigned exponent)
{
    for (; exponent >= 9; exponent -= 9) {
        mkv_big_multiply_add(big, 1000000000U, 0);
    }
    for (; exponent > 0; exponent--) {
        mkv_big_multiply_add(big, 10, 0);
    }
}

void mkv_big_shift(struct mkv_big *big, unsigned bits)
{
    size_t whole = bits / LIMB_BITS;

    if (big->n == 0) {
        return;
    }
    mkv_big_multiply_add(big, 1U << (bits % LIMB_BITS), 0);
    MKV_ASSERT(whole <= MKV_BIG_LIMBS - big->n);
    memmove(big->limb + whole, big->limb, big->n * sizeof(big->limb[0]));
    memset(big->limb, 0, whole * sizeof(big->limb[0]));
    big->n += whole;
}

void mkv_big_subtract(struct mkv_big *a, const struct mkv_big *b)
{
    uint64_t borrow = 0;

    for (size_t i = 0; i < a->n; i++) {
        uint64_t less = borrow + (i < b->n ? b->limb[i] : 0);

        borrow = a->limb[i] < less;
        a->limb[i] = (uint32_t)(a->limb[i] - less);
    }
    MKV_ASSERT(borrow == 0);
    trim(a);
}

void mkv_big_add(struct mkv_big *a, const struct mkv_big *b)
{
    uint64_t carry = 0;

    while (a->n < b->n) {
        a->limb[a->n++] = 0;
    }
    for (size_t i = 0; i < a->n; i++) {
        carry += (uint64_t)a->limb[i] + (i < b->n ? b->limb[i] : 0);
        a->limb[i] = (uint32_t)carry;
        carry >>= LIMB_BITS;
    }
    append_limb(a, (uint32_t)carry);
}

int mkv_big_compare(const struct mkv_big *a, const struct mkv_big *b)
{
    if (a->n != b->n) {
        return a->n < b->n ? -1 : 1;
    }
    for (size_t i = a->n; i > 0; i--) {
        if (a->limb[i - 1] != b->limb[i - 1]) {
            return a->limb[i - 1] < b->limb[i - 1] ? -1 : 1;
        }
    }
    return 0;
}

unsigned mkv_big_bits(const struct mkv_big *big)
{
    unsigned bits = (unsigned)big->n * LIMB_BITS;

    for (uint32_t top = big->n > 0 ? big->limb[big->n - 1] : UINT32_MAX; top < 1U << 31;
         top <<= 1) {
        bits--;
    }
    return bits;
}
