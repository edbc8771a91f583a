/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one normal form of a CBOR item: shortest heads, definite lengths, one NaN.  What a notation
 * cannot keep is the width of the encoding, and this is what is left without it.
 */
#ifndef MKV_TESTS_CLI_NORMAL_H
#define MKV_TESTS_CLI_NORMAL_H

#include "base/buf.h"
#include "base/bytes.h"

/* Appends the normal form of @item, which is well-formed; aborts when out of memory. */
void normal_form(struct mkv_bytes item, struct mkv_buf *out);

#endif
