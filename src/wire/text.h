/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Appends pieces of text to a buffer.  Sticky: after an error nothing is written any more, so a
 * writer of many small pieces checks once, at the end.
 */
#ifndef MKV_WIRE_TEXT_H
#define MKV_WIRE_TEXT_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"

struct mkv_text_writer {
    struct mkv_buf *out; /* borrowed */
    size_t start;        /* its length at the beginning */
    int error;           /* the first one met, TOO_LARGE or NO_MEMORY, or 0 */
};

void mkv_text_writer_init(struct mkv_text_writer *w, struct mkv_buf *out);
void mkv_text_write(struct mkv_text_writer *w, struct mkv_bytes piece);
void mkv_text_write_char(struct mkv_text_writer *w, char character);

/* With its NUL left out. */
void mkv_text_write_string(struct mkv_text_writer *w, const char *string);

/* In lower-case hexadecimal, two digits a byte. */
void mkv_text_write_hex(struct mkv_text_writer *w, struct mkv_bytes bytes);

/* The first error met, and the buffer is as it was before; else 0. */
int mkv_text_finish(struct mkv_text_writer *w) MKV_MUST_CHECK;

#endif
