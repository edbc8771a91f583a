/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the output goes: a buffer before a descriptor, with a sticky status.
 *
 * Large outputs stream: whatever is put may be written at once.  A reader that goes away
 * ("| head") ends the command quietly.
 */
#ifndef MKV_CLI_OUT_H
#define MKV_CLI_OUT_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "cli/exit.h"

struct mkv_out {
    int fd;
    const char *name;     /* for messages; borrowed */
    struct mkv_buf buf;   /* owned */
    enum mkv_exit status; /* the first trouble; then nothing is written any more */
};

void mkv_out_init(struct mkv_out *out, int fd, const char *name);
/* What was not flushed is lost. */
void mkv_out_deinit(struct mkv_out *out);

/* Tells the user, unless something else went wrong before.  @error is negative, or 0: nothing. */
void mkv_out_fail(struct mkv_out *out, int error);

void mkv_out_put(struct mkv_out *out, struct mkv_bytes bytes);
void mkv_out_puts(struct mkv_out *out, const char *text);
void mkv_out_printf(struct mkv_out *out, const char *format, ...)
    __attribute__((format(printf, 2, 3))); /* up to 200 characters */

/* So that a terminal only shows it: escaped, on one line. */
void mkv_out_safe(struct mkv_out *out, struct mkv_bytes text);

/* One CBOR item for people, on one line, without its end. */
void mkv_out_line(struct mkv_out *out, struct mkv_bytes item);

/* Writes when much has gathered.  For whoever appended to the buffer directly. */
void mkv_out_settle(struct mkv_out *out);

/* Writes everything; the status so far. */
enum mkv_exit mkv_out_flush(struct mkv_out *out);

#endif
