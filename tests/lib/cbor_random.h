/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random CBOR items that are well-formed and within the limits, in any form that is allowed:
 * longer heads than need be, indefinite lengths, tags, unassigned simple values.  The heads are
 * put together here and not by the writer under test.
 */
#ifndef MKV_TESTS_LIB_CBOR_RANDOM_H
#define MKV_TESTS_LIB_CBOR_RANDOM_H

#include "base/buf.h"
#include "lib/prng.h"

/* Appends one item of some 1 to @n_heads_max heads. */
void cbor_random_item(struct prng *prng, size_t n_heads_max, struct mkv_buf *out);

/* Appends up to @n random characters of valid UTF-8, without a head. */
void cbor_random_utf8(struct prng *prng, size_t n, struct mkv_buf *out);

#endif
