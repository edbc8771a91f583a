/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random numbers for tests: splitmix64.  The same seed gives the same run on every machine, so a
 * failed test needs to print no more than its seed.
 */
#ifndef MKV_TESTS_LIB_PRNG_H
#define MKV_TESTS_LIB_PRNG_H

#include <stddef.h>
#include <stdint.h>

struct prng {
    uint64_t state; /* any value is a good seed */
};

static inline uint64_t prng_next(struct prng *prng)
{
    uint64_t z = prng->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* 0 .. @bound - 1; @bound is at least 1.  The bias towards small numbers does not matter here. */
static inline uint64_t prng_below(struct prng *prng, uint64_t bound)
{
    return prng_next(prng) % bound;
}

/* A number of a random width in bits: small and huge ones come equally often. */
static inline uint64_t prng_any_width(struct prng *prng)
{
    return prng_next(prng) >> prng_below(prng, 64);
}

static inline void prng_fill(struct prng *prng, uint8_t *at, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        at[i] = (uint8_t)prng_next(prng);
    }
}

#endif
