/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The strict header map that every message is (docs/protocol.md, section 4): a map of definite
 * length with unsigned keys in any order, none of them twice.
 *
 *     mkv_header_init(&h, in);
 *     while (mkv_header_next(&h, &key)) {
 *         switch (key) {
 *         case 0: tock = mkv_cbor_read_uint(&h.cbor); break;
 *         default: mkv_cbor_skip(&h.cbor);           a later version's: not ours to judge
 *         }
 *     }
 *     error = mkv_header_finish(&h);
 *
 * Which keys must be there is the caller's affair: mkv_header_has().
 */
#ifndef MKV_WIRE_HEADER_H
#define MKV_WIRE_HEADER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "wire/cbor.h"

struct mkv_header {
    struct mkv_cbor_reader cbor; /* stands at the value of the last key */
    uint64_t left;               /* pairs not yet read */
    uint32_t n_keys;
    uint64_t keys[MKV_HEADER_KEYS_MAX]; /* those met so far, unknown ones included */
};

void mkv_header_init(struct mkv_header *h, struct mkv_bytes in);

/*
 * Reads the next key; the caller must then read or skip exactly one item from h->cbor.  False at
 * the end of the map and on an error, which stays in the reader: MALFORMED (no map, or a key that
 * is not an unsigned integer), TOO_MANY keys, DUPLICATE_KEY, NOT_MINIMAL, TRUNCATED.
 */
bool mkv_header_next(struct mkv_header *h, uint64_t *ret_key);

/* Whether @key has been met. */
bool mkv_header_has(const struct mkv_header *h, uint64_t key);

/* The first error met, or TRAILING if bytes follow the map; else 0. */
int mkv_header_finish(struct mkv_header *h) MKV_MUST_CHECK;

#endif
