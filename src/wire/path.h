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
#include "wire/element.h"
#include "wire/float.h"

/*
 * Each of the following three *appends* to @key, which holds a valid key, usually the empty one;
 * the limits of a path are those of the result.  Errors: BAD_PATH (syntax), BAD_ELEMENT (a kind of
 * element we refuse), BAD_UTF8, BAD_NUMBER (an integer out of range, a float that is not finite),
 * PATH_TOO_LONG (also if @key's own maximum is reached), NO_MEMORY; @key is then as long as before.
 */
int mkv_path_from_dotted(struct mkv_bytes text, struct mkv_buf *key) MKV_MUST_CHECK;
int mkv_path_append(struct mkv_buf *key, const struct mkv_element *element) MKV_MUST_CHECK;
/* Reads an array of elements; errors of the reader stay in it, ours are set in it: one will do. */
int mkv_path_from_cbor(struct mkv_cbor_reader *r, struct mkv_buf *key) MKV_MUST_CHECK;

/* Appends to @text, from a valid key.  Errors: TOO_LARGE, NO_MEMORY; @text is then as before. */
int mkv_path_to_dotted(struct mkv_bytes key, struct mkv_buf *text) MKV_MUST_CHECK;
/* Writes an array of elements, from a valid key. */
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
 * into @scratch, which is cleared first and must allow MKV_PATH_KEY_MAX bytes; they are valid
 * until it changes.  NO_MEMORY.
 */
int mkv_element_decode(struct mkv_bytes encoding,
                       struct mkv_buf *scratch,
                       struct mkv_element *ret_element) MKV_MUST_CHECK;

#endif
