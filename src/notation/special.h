/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What JSON and YAML cannot say directly, and say by a list or an object instead.
 *
 * Readers read that as it stands and then replace it: these functions take the content of the list
 * or object in CBOR (without its head) and append the one item that it stands for.
 */
#ifndef MKV_NOTATION_SPECIAL_H
#define MKV_NOTATION_SPECIAL_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"

/* @pairs is one array of arrays of two: a map with these keys and values.  MALFORMED if not. */
int mkv_special_map(struct mkv_bytes pairs, struct mkv_buf *item) MKV_MUST_CHECK;

/* @content is an unsigned integer and an item: the item with this tag. */
int mkv_special_tag(struct mkv_bytes content, struct mkv_buf *item) MKV_MUST_CHECK;

/* @number is an unsigned integer: a simple value, 0..19, 23 or 32..255. */
int mkv_special_simple(struct mkv_bytes number, struct mkv_buf *item) MKV_MUST_CHECK;

/* @text is a text of base64, where white space does not count: the bytes. */
int mkv_special_bytes(struct mkv_bytes text, struct mkv_buf *item) MKV_MUST_CHECK;

/* @text is the text "nan", "inf" or "-inf". */
int mkv_special_float(struct mkv_bytes text, struct mkv_buf *item) MKV_MUST_CHECK;

/* As mkv_special_bytes(), of the bare text; appends to @bytes without a head. */
int mkv_base64_read(struct mkv_bytes text, struct mkv_buf *bytes) MKV_MUST_CHECK;

#endif
