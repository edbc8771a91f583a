/* SPDX-License-Identifier: Apache-2.0 */
#include "io/hash.h"

#include <sodium.h>
#include <string.h>

#include "io/entropy.h"

uint64_t mkv_hash_of(struct mkv_bytes name)
{
    static uint8_t key[crypto_shorthash_KEYBYTES];
    static const uint8_t none[crypto_shorthash_KEYBYTES];
    uint8_t hash[crypto_shorthash_BYTES];
    uint64_t number;

    if (memcmp(key, none, sizeof(key)) == 0) {
        mkv_entropy_fill(key, sizeof(key));
    }
    (void)crypto_shorthash(hash, name.at, name.len, key);
    memcpy(&number, hash, sizeof(number));
    return number;
}
