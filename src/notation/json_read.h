/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads JSON into one CBOR item.
 *
 * Not jansson: it refuses integers above 2^63-1, and a value must come out as it went in.  This
 * reader keeps integers from -2^64 to 2^64-1 exact, refuses what it cannot keep, and takes the forms
 * of docs/formats.md for what JSON has not (bytes, tags, NaN ...).
 */
#ifndef MKV_NOTATION_JSON_READ_H
#define MKV_NOTATION_JSON_READ_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "notation/problem.h"

/*
 * Appends the item to @item.  With @document, objects and lists are the inner nodes of a tree as in
 * notation/walk.h, and their keys may be spelled elements and "$value".  The item is within no limits
 * but those of @item and MKV_NEST_MAX.  On an error @problem says what and where, and what is in
 * @item is of no use.
 */
int mkv_json_read(struct mkv_bytes text,
                  bool document,
                  struct mkv_buf *item,
                  struct mkv_problem *problem) MKV_MUST_CHECK;

#endif
