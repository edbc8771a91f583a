/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/out.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/format.h"
#include "cli/say.h"

#define OUT_FULL 65536U

void mkv_out_init(struct mkv_out *out, int fd, const char *name)
{
    *out = (struct mkv_out){.fd = fd, .name = name};
    mkv_buf_init(&out->buf, SIZE_MAX / 2);
}

void mkv_out_deinit(struct mkv_out *out)
{
    mkv_buf_deinit(&out->buf);
}

void mkv_out_fail(struct mkv_out *out, int error)
{
    if (error != 0 && out->status == MKV_EXIT_OK) {
        out->status = mkv_say(mkv_exit_of(error), "%s: %s", out->name, mkv_error_text(error));
    }
}

/* A descriptor that somebody else made non-blocking is waited for. */
static void wait_for_room(int fd)
{
    struct pollfd room = {.fd = fd, .events = POLLOUT};

    (void)poll(&room, 1, -1); /* if it fails, the write tells why */
}

static enum mkv_exit write_all(struct mkv_out *out)
{
    size_t at = 0;

    while (at < out->buf.len) {
        ssize_t n = write(out->fd, out->buf.at + at, out->buf.len - at);

        if (n >= 0) {
            at += (size_t)n;
        } else if (errno == EAGAIN) {
            wait_for_room(out->fd);
        } else if (errno == EPIPE) {
            return MKV_EXIT_PIPE;
        } else if (errno != EINTR) {
            return mkv_say(MKV_EXIT_BAD_DATA, "%s: %s; nothing more was written", out->name,
                           strerror(errno));
        }
    }
    return MKV_EXIT_OK;
}

enum mkv_exit mkv_out_flush(struct mkv_out *out)
{
    if (out->status == MKV_EXIT_OK) {
        out->status = write_all(out);
    }
    mkv_buf_clear(&out->buf);
    return out->status;
}

void mkv_out_settle(struct mkv_out *out)
{
    if (out->buf.len >= OUT_FULL) {
        (void)mkv_out_flush(out); /* the status stays */
    }
}

void mkv_out_put(struct mkv_out *out, struct mkv_bytes bytes)
{
    mkv_out_fail(out, mkv_buf_append(&out->buf, bytes));
    mkv_out_settle(out);
}

void mkv_out_puts(struct mkv_out *out, const char *text)
{
    mkv_out_put(out, mkv_bytes_of(text));
}

void mkv_out_printf(struct mkv_out *out, const char *format, ...)
{
    char text[256];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    mkv_out_puts(out, text);
}

void mkv_out_safe(struct mkv_out *out, struct mkv_bytes text)
{
    mkv_out_fail(out, mkv_format_safe_text(text, &out->buf));
    mkv_out_settle(out);
}

void mkv_out_line(struct mkv_out *out, struct mkv_bytes item)
{
    mkv_out_fail(out, mkv_format_line(item, &out->buf));
    mkv_out_settle(out);
}
