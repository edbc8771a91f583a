/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text that is being written: a buffer with a sticky error, checked once at the end.
 */
#ifndef MKV_NOTATION_SINK_H
#define MKV_NOTATION_SINK_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"

struct mkv_sink {
    struct mkv_buf *out; /* borrowed */
    int error;           /* the first one met: TOO_LARGE, NO_MEMORY; then nothing is written */
};

void mkv_sink_init(struct mkv_sink *sink, struct mkv_buf *out);
void mkv_sink_put(struct mkv_sink *sink, struct mkv_bytes bytes);
void mkv_sink_puts(struct mkv_sink *sink, const char *text);
void mkv_sink_spaces(struct mkv_sink *sink, size_t n);
void mkv_sink_uint(struct mkv_sink *sink, uint64_t number);
void mkv_sink_nint(struct mkv_sink *sink, uint64_t n); /* -1 - n */
/* NaN and infinities too: "nan", "inf", "-inf". */
void mkv_sink_float(struct mkv_sink *sink, double real);
void mkv_sink_base64(struct mkv_sink *sink, struct mkv_bytes bytes);
/* Sets the sticky error, unless there is one already or @error is 0. */
void mkv_sink_fail(struct mkv_sink *sink, int error);

#endif
