/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a server keeps of a user's password, as it lies in the store: a CBOR map
 *
 *     1 iterations, 2 salt, 3 StoredKey, 4 ServerKey, 5 tock of when it was set
 *
 * with the strict header of docs/protocol.md, section 4, and the ranges of the frame `passwd`.
 */
#ifndef MKV_WIRE_SECRET_H
#define MKV_WIRE_SECRET_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "wire/frame.h"

struct mkv_secret {
    uint64_t tock;
    uint32_t iterations;
    struct mkv_bytes salt; /* borrowed, as are the others */
    struct mkv_bytes stored_key;
    struct mkv_bytes server_key;
};

/* Errors as in wire/update.h. */
int mkv_secret_decode(struct mkv_bytes in, struct mkv_secret *ret_secret) MKV_MUST_CHECK;

/* Appends.  What could not be decoded is not written: BAD_NUMBER, MALFORMED, TOO_LARGE; NO_MEMORY. */
int mkv_secret_encode(const struct mkv_secret *secret, struct mkv_buf *out) MKV_MUST_CHECK;

#endif
