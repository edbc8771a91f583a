/* SPDX-License-Identifier: Apache-2.0 */
#include "io/entropy.h"

#include <sodium.h>

void mkv_entropy_init(void)
{
    int result = sodium_init();

    (void)result; /* should it fail, all works still, with the slowest code there is */
}

void mkv_entropy_fill(void *at, size_t len)
{
    randombytes_buf(at, len);
}

uint64_t mkv_entropy_u64(void)
{
    uint64_t number;

    randombytes_buf(&number, sizeof(number));
    return number;
}

uint32_t mkv_entropy_below(uint32_t bound)
{
    return randombytes_uniform(bound);
}
