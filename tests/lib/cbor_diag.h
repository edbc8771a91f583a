/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CBOR item as text, for tests to compare: RFC 8949's diagnostic notation, except that floats
 * are the bits of a double (f'3ff0000000000000') and that bytes of text outside printable ASCII,
 * quotes and backslashes are \xHH.  So each item has one text only.
 *
 * It walks by mkv_cbor_next() with rules of nesting of its own: a second opinion on what
 * mkv_cbor_check() accepts.
 */
#ifndef MKV_TESTS_LIB_CBOR_DIAG_H
#define MKV_TESTS_LIB_CBOR_DIAG_H

#include "base/buf.h"
#include "wire/cbor.h"

/*
 * Appends the text of the item that @in consists of.  0, or the error for which it is refused;
 * then @out holds the text up to there.
 */
int cbor_diag(struct mkv_bytes in, struct mkv_buf *out) MKV_MUST_CHECK;

#endif
