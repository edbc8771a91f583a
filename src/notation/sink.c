/* SPDX-License-Identifier: Apache-2.0 */
#include "notation/sink.h"

#include <inttypes.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>

#include "wire/path.h"

void mkv_sink_init(struct mkv_sink *sink, struct mkv_buf *out)
{
    *sink = (struct mkv_sink){.out = out};
}

void mkv_sink_fail(struct mkv_sink *sink, int error)
{
    if (sink->error == 0) {
        sink->error = error;
    }
}

void mkv_sink_put(struct mkv_sink *sink, struct mkv_bytes bytes)
{
    if (sink->error == 0) {
        sink->error = mkv_buf_append(sink->out, bytes);
    }
}

void mkv_sink_puts(struct mkv_sink *sink, const char *text)
{
    mkv_sink_put(sink, mkv_bytes_of(text));
}

void mkv_sink_spaces(struct mkv_sink *sink, size_t n)
{
    static const char spaces[] = "                                ";
    const size_t n_spaces = sizeof(spaces) - 1;

    for (; n > n_spaces; n -= n_spaces) {
        mkv_sink_put(sink, mkv_bytes(spaces, n_spaces));
    }
    mkv_sink_put(sink, mkv_bytes(spaces, n));
}

void mkv_sink_uint(struct mkv_sink *sink, uint64_t number)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%" PRIu64, number);
    mkv_sink_puts(sink, text);
}

void mkv_sink_nint(struct mkv_sink *sink, uint64_t n)
{
    if (n == UINT64_MAX) { /* -2^64: its magnitude does not fit */
        mkv_sink_puts(sink, "-18446744073709551616");
        return;
    }
    mkv_sink_puts(sink, "-");
    mkv_sink_uint(sink, n + 1);
}

void mkv_sink_float(struct mkv_sink *sink, double real)
{
    if (isnan(real)) {
        mkv_sink_puts(sink, "nan");
    } else if (isinf(real)) {
        mkv_sink_puts(sink, real < 0 ? "-inf" : "inf");
    } else if (sink->error == 0) {
        sink->error = mkv_float_to_text(real, sink->out);
    }
}

void mkv_sink_base64(struct mkv_sink *sink, struct mkv_bytes bytes)
{
    char text[65];

    while (bytes.len > 0) { /* 48 bytes make 64 characters, so only the last piece is padded */
        size_t n = bytes.len < 48 ? bytes.len : 48;

        (void)sodium_bin2base64(text, sizeof(text), bytes.at, n, sodium_base64_VARIANT_ORIGINAL);
        mkv_sink_puts(sink, text);
        bytes = mkv_bytes_after(bytes, n);
    }
}
