/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One element of a path, and its forms in CBOR and as the text of a number.
 *
 * How an element is written into an ordered key is told in wire/key.h.
 */
#ifndef MKV_WIRE_ELEMENT_H
#define MKV_WIRE_ELEMENT_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "wire/cbor.h"
#include "wire/float.h"

enum mkv_element_kind {
    MKV_ELEMENT_NULL,
    MKV_ELEMENT_FALSE,
    MKV_ELEMENT_TRUE,
    MKV_ELEMENT_NINT, /* number: the negative integer, -2^63 .. -1, as two's complement */
    MKV_ELEMENT_UINT, /* number: 0 .. 2^64-1 */
    MKV_ELEMENT_FLOAT,
    MKV_ELEMENT_TEXT,
    MKV_ELEMENT_BYTES,
};

/* Zero-initialised is null. */
struct mkv_element {
    enum mkv_element_kind kind;
    uint64_t number;
    double real;           /* finite */
    struct mkv_bytes text; /* TEXT (UTF-8) and BYTES, without escapes; borrowed */
};

/*
 * Writes or reads one element as a CBOR item.  Reading sets BAD_ELEMENT for a kind that is none,
 * BAD_NUMBER for an integer out of range, NaN or infinity, else the errors of the reader; after an
 * error *ret_element is null.  Text is borrowed from the input.
 */
void mkv_element_to_cbor(const struct mkv_element *element, struct mkv_cbor_writer *w);
void mkv_element_from_cbor(struct mkv_cbor_reader *r, struct mkv_element *ret_element);

/*
 * Reads the text of an integer or a float (docs/protocol.md, 3.3).  BAD_PATH if it is not a
 * number, BAD_NUMBER if an integer is out of range or a float would be infinite.
 */
int mkv_element_from_number(struct mkv_bytes text, struct mkv_element *ret_element) MKV_MUST_CHECK;

#define MKV_NUMBER_TEXT_MAX MKV_FLOAT_TEXT_MAX /* characters; integers have up to 20 */

/* The inverse, for UINT, NINT and FLOAT: returns how many characters it has. */
size_t mkv_element_number_format(const struct mkv_element *element,
                                 char ret_text[MKV_NUMBER_TEXT_MAX]);

#endif
