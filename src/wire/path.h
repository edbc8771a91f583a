/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths (docs/protocol.md, section 3).
 *
 * Inside the program a path is its *ordered key*: plain bytes that sort with memcmp as paths do,
 * where everything below a path begins with the path's own key.  So a path is compared, stored,
 * cut and joined as bytes, and only the edges translate:
 *
 *     dotted text  kitchen.lamp:2   <->  key  60 6b.. 00 01 60 6c.. 00 01 41 02  <->  topic, CBOR
 *
 * The empty key is the root.  A key that comes from these functions is valid; one from anywhere
 * else (a disk) is checked with mkv_path_check().
 */
#ifndef MKV_WIRE_PATH_H
#define MKV_WIRE_PATH_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "wire/cbor.h"

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

struct mkv_element {
    enum mkv_element_kind kind;
    uint64_t number;
    double real;           /* finite */
    struct mkv_bytes text; /* TEXT and BYTES, without escapes */
};

/*
 * Each of the following three *appends* the key to @key, whose maximum is the caller's affair.
 * Errors: BAD_PATH (syntax), BAD_ELEMENT (a kind of element we refuse), BAD_UTF8, BAD_NUMBER,
 * PATH_TOO_LONG, NO_MEMORY; @key is then as long as before.
 */
int mkv_path_from_dotted(struct mkv_bytes text, struct mkv_buf *key) MKV_MUST_CHECK;
int mkv_path_append(struct mkv_buf *key, const struct mkv_element *element) MKV_MUST_CHECK;
/* Reads an array of elements; errors of the reader stay in it and are returned as well. */
int mkv_path_from_cbor(struct mkv_cbor_reader *r, struct mkv_buf *key) MKV_MUST_CHECK;

/* Appends to @text.  Errors: TOO_LARGE, NO_MEMORY. */
int mkv_path_to_dotted(struct mkv_bytes key, struct mkv_buf *text) MKV_MUST_CHECK;
/* Writes an array of elements. */
void mkv_path_to_cbor(struct mkv_bytes key, struct mkv_cbor_writer *w);

/* Whether @key is one that mkv_path_append() could have made: 0, BAD_PATH or PATH_TOO_LONG. */
int mkv_path_check(struct mkv_bytes key) MKV_MUST_CHECK;

/*
 * Cuts the first element off @rest, which is a valid key or the tail of one, and returns its
 * encoding (borrowed); an empty @rest gives an empty element.
 */
struct mkv_bytes mkv_path_cut(struct mkv_bytes *rest);

/* Number of elements of a valid key. */
unsigned mkv_path_depth(struct mkv_bytes key);

/* The first @n elements of a valid key; all of it if it has no more. */
struct mkv_bytes mkv_path_head(struct mkv_bytes key, unsigned n);

/* How many leading elements two valid keys have in common. */
unsigned mkv_path_shared(struct mkv_bytes a, struct mkv_bytes b);

/*
 * Decodes one element's encoding, as mkv_path_cut() returns it.  Text and bytes are unescaped
 * into @scratch, which is cleared first and must allow MKV_PATH_KEY_MAX bytes.  NO_MEMORY.
 */
int mkv_element_decode(struct mkv_bytes encoding,
                       struct mkv_buf *scratch,
                       struct mkv_element *ret_element) MKV_MUST_CHECK;

/*
 * Writes or reads one element as a CBOR item.  BAD_ELEMENT for a kind that is none, BAD_NUMBER for
 * an integer out of range, NaN or infinity; text is borrowed.
 */
void mkv_element_to_cbor(const struct mkv_element *element, struct mkv_cbor_writer *w);
void mkv_element_from_cbor(struct mkv_cbor_reader *r, struct mkv_element *ret_element);

/*
 * The shortest decimal that reads back as @real, in the spelling of Python's repr ("1.0", "1e+100",
 * "1.5e-07"), appended; independent of the locale.  @real is finite.
 */
int mkv_float_to_text(double real, struct mkv_buf *text) MKV_MUST_CHECK;

/* The inverse for any decimal with a '.' or an 'e'; BAD_NUMBER if it is none, or not finite. */
int mkv_float_from_text(struct mkv_bytes text, double *ret_real) MKV_MUST_CHECK;

#endif
