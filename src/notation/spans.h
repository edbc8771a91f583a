/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds keys that a map has twice.
 *
 * The keys lie somewhere in one run of bytes and are compared byte by byte, so the caller writes
 * each of them in one way only (shortest form, definite length).
 */
#ifndef MKV_NOTATION_SPANS_H
#define MKV_NOTATION_SPANS_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"

struct mkv_span {
    size_t start; /* into the run */
    size_t len;
};

/* Appends to a buffer that holds nothing but spans.  TOO_LARGE, NO_MEMORY. */
int mkv_spans_push(struct mkv_buf *spans, struct mkv_span span) MKV_MUST_CHECK;

/* The spans in @spans, and how many there are; valid until it next changes. */
struct mkv_span *mkv_spans_at(const struct mkv_buf *spans);
size_t mkv_spans_count(const struct mkv_buf *spans);

/* Whether two of the @n spans hold the same bytes of @base; @spans may be sorted by this. */
bool mkv_spans_repeat(const uint8_t *base,
                      struct mkv_span *spans,
                      size_t n,
                      struct mkv_span *ret_repeated);

#endif
