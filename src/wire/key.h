/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How elements are written into an ordered key (docs/protocol.md, section 3.2).
 *
 * Each element is self-delimiting, and sorts with memcmp:
 *
 *     null  10          -1      37 ff       0.5   50 bf e0 00 00 00 00 00 00
 *     false 20          0       40          "a"   60 61 00 01
 *     true  21          256     42 01 00    h'00' 70 00 ff 00 01
 *
 * Keys as a whole, and what is done with them, are in wire/path.h.
 */
#ifndef MKV_WIRE_KEY_H
#define MKV_WIRE_KEY_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "wire/element.h"

/* Length of the encoding of one element at the start of @rest; 0 if there is no whole one. */
size_t mkv_key_element_len(struct mkv_bytes rest);

/* Whether the @encoding of one element, of just this length, is canonical and its text UTF-8. */
bool mkv_key_element_valid(struct mkv_bytes encoding);

/*
 * Decodes the valid @encoding of one element.  Text and bytes are unescaped into @room, and live as
 * long as that.
 */
struct mkv_element mkv_key_unpack(struct mkv_bytes encoding, uint8_t room[MKV_PATH_KEY_MAX]);

/*
 * Appends elements to a key.  Sticky: after an error nothing is written any more; finish() then
 * restores the key and tells.  The limits of a path hold for the whole key, including what was in
 * it before, which must be a valid path.
 */
struct mkv_key_writer {
    struct mkv_buf *key; /* borrowed */
    size_t start;        /* its length at the beginning */
    unsigned n_elements; /* in the whole key */
    int error;           /* PATH_TOO_LONG, BAD_UTF8, BAD_NUMBER, NO_MEMORY, or the caller's */
};

void mkv_key_writer_init(struct mkv_key_writer *w, struct mkv_buf *key);
void mkv_key_write(struct mkv_key_writer *w, const struct mkv_element *element);

/*
 * Text or bytes in pieces: begin, any number of add, end.  Pieces are not checked to be UTF-8: the
 * caller has checked the whole they come from.
 */
void mkv_key_begin(struct mkv_key_writer *w, enum mkv_element_kind kind);
void mkv_key_add(struct mkv_key_writer *w, struct mkv_bytes piece);
void mkv_key_end(struct mkv_key_writer *w);

/* Sets the sticky error, unless there is one already.  @error is not 0. */
void mkv_key_fail(struct mkv_key_writer *w, int error);

/* The first error met, and the key is as it was before; else 0. */
int mkv_key_finish(struct mkv_key_writer *w) MKV_MUST_CHECK;

#endif
