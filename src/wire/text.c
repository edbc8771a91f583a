/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/text.h"

void mkv_text_writer_init(struct mkv_text_writer *w, struct mkv_buf *out)
{
    *w = (struct mkv_text_writer){.out = out, .start = out->len};
}

void mkv_text_write(struct mkv_text_writer *w, struct mkv_bytes piece)
{
    if (w->error == 0) {
        w->error = mkv_buf_append(w->out, piece);
    }
}

void mkv_text_write_char(struct mkv_text_writer *w, char character)
{
    mkv_text_write(w, mkv_bytes(&character, 1));
}

void mkv_text_write_string(struct mkv_text_writer *w, const char *string)
{
    mkv_text_write(w, mkv_bytes_of(string));
}

void mkv_text_write_hex(struct mkv_text_writer *w, struct mkv_bytes bytes)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < bytes.len; i++) {
        mkv_text_write_char(w, digits[bytes.at[i] >> 4]);
        mkv_text_write_char(w, digits[bytes.at[i] & 15]);
    }
}

int mkv_text_finish(struct mkv_text_writer *w)
{
    if (w->error != 0) {
        mkv_buf_truncate(w->out, w->start);
    }
    return w->error;
}
