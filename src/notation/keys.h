/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys that mean more than their text (docs/formats.md, "Keys").
 *
 * JSON has text keys only, and no bytes, tags, NaN ...  So a few keys are reserved: those that are
 * '$' and one of the words below.  A key that really is such a text is written with one more '$',
 * and reading takes it off again.  In documents the keys are path elements, and one that is not
 * text is written in dotted spelling, ":2"; a text that looks like that gets one more ':'.
 *
 *     text "$bytes" <=> "$$bytes"    text "$ref" <=> "$ref"    2 <=> ":2"    text ":2" <=> "::2"
 */
#ifndef MKV_NOTATION_KEYS_H
#define MKV_NOTATION_KEYS_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "wire/cbor.h"

enum mkv_key_word {
    MKV_KEY_NONE, /* not reserved */
    MKV_KEY_BYTES,
    MKV_KEY_FLOAT,
    MKV_KEY_SIMPLE,
    MKV_KEY_MAP,
    MKV_KEY_TAG,
    MKV_KEY_VALUE,
};

/* Which word follows the '$' that @text begins with, and how many these are. */
enum mkv_key_word mkv_key_word(struct mkv_bytes text, size_t *ret_n_dollars);

/*
 * Whether @text is one or more ':' and then what is the dotted spelling, less its ':', of an
 * element that is not text.  NO_MEMORY leaves @ret_n_colons 0.
 */
int mkv_key_colons(struct mkv_bytes text, size_t *ret_n_colons) MKV_MUST_CHECK;

/* Appends the CBOR of the element whose spelling @text is, as mkv_key_colons() found with 1. */
int mkv_key_to_cbor(struct mkv_bytes text, struct mkv_buf *item) MKV_MUST_CHECK;

/* Appends the CBOR of one element of an ordered key, as mkv_path_cut() returns it. */
int mkv_key_element(struct mkv_bytes encoding, struct mkv_buf *item) MKV_MUST_CHECK;

/* Appends the dotted spelling of @item, which is an element and no text; else BAD_ELEMENT. */
int mkv_key_spell(const struct mkv_cbor_item *item, struct mkv_buf *text) MKV_MUST_CHECK;

#endif
