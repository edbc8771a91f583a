/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds one CBOR item from the outside in, for readers of notations that do not say beforehand
 * how many members a collection has.
 *
 *     open map, text "a", open array, 1, 2, close, close    =>    a1 61 61 82 01 02
 *
 * A collection starts with one byte that is kept free; on closing, the real head takes its place
 * and the content moves up if the head is longer.  So each byte moves once per level at most.
 * Everything is written in shortest form and definite length, which makes keys comparable as bytes.
 *
 * The error is sticky: after the first one nothing more is written.
 */
#ifndef MKV_NOTATION_BUILDER_H
#define MKV_NOTATION_BUILDER_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "notation/spans.h"
#include "wire/cbor.h"

/*
 * Levels of a document and of the values in it: 64 for the path, one for "$value", and three for
 * each of a value's 64, as JSON spells a map of arbitrary keys as object, list and pairs.
 */
#define MKV_NEST_MAX 264U

enum mkv_builder_kind {
    MKV_BUILDER_ARRAY,
    MKV_BUILDER_MAP,
    MKV_BUILDER_TAG, /* closed by its one item */
};

struct mkv_builder_frame {
    enum mkv_builder_kind kind;
    size_t start;  /* where its head lies in @out */
    size_t n_keys; /* spans on the stack that belong to the frames below */
    uint64_t n;    /* items in it so far; of a map, keys and values together */
    bool dense;    /* of a map: so far its keys are 0, 1, 2 ... */
};

struct mkv_builder {
    struct mkv_cbor_writer writer; /* its buffer is borrowed, its error is the builder's */
    struct mkv_buf keys;           /* owned: the spans of all keys of the open maps */
    bool dense_arrays;             /* a map whose keys are exactly 0 .. n-1 becomes an array */
    struct mkv_span repeated;      /* after DUPLICATE_KEY: where the key lies in the buffer */
    unsigned depth;
    struct mkv_builder_frame frames[MKV_NEST_MAX];
};

/* Appends to @out.  Allocates nothing yet. */
void mkv_builder_init(struct mkv_builder *b, struct mkv_buf *out);
void mkv_builder_deinit(struct mkv_builder *b);

/* Errors that may be left: TOO_LARGE, NO_MEMORY, TOO_DEEP, and on closing DUPLICATE_KEY. */
void mkv_builder_open(struct mkv_builder *b, enum mkv_builder_kind kind);
void mkv_builder_tag(struct mkv_builder *b, uint64_t tag);
/* Closes the innermost array or map; a map has as many values as keys. */
void mkv_builder_close(struct mkv_builder *b);
/* Takes the innermost array or map back, with all that is in it, as if it had never been opened. */
void mkv_builder_drop(struct mkv_builder *b);

void mkv_builder_uint(struct mkv_builder *b, uint64_t number);
void mkv_builder_nint(struct mkv_builder *b, uint64_t n); /* -1 - n */
void mkv_builder_float(struct mkv_builder *b, double real);
void mkv_builder_bool(struct mkv_builder *b, bool yes);
void mkv_builder_null(struct mkv_builder *b);
void mkv_builder_text(struct mkv_builder *b, struct mkv_bytes text);
void mkv_builder_bytes(struct mkv_builder *b, struct mkv_bytes bytes);
void mkv_builder_simple(struct mkv_builder *b, uint8_t number); /* 0..19, 23 or 32..255 */
void mkv_builder_raw(struct mkv_builder *b, struct mkv_bytes item);

/* What is in the innermost array or map so far, without its head; valid until the next change. */
struct mkv_bytes mkv_builder_content(const struct mkv_builder *b);

/* Whether the next item is the key of a map. */
bool mkv_builder_wants_key(const struct mkv_builder *b);

#endif
