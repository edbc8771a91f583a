/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes values for people: text as itself, everything else as JSON on one line.
 *
 * It cannot be read back; but whatever a value holds, a terminal only shows it.
 */
#ifndef MKV_CLI_PLAIN_WRITE_H
#define MKV_CLI_PLAIN_WRITE_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"

enum mkv_plain_layout {
    MKV_PLAIN_LINES,    /* line ends and tabs stay what they are */
    MKV_PLAIN_ONE_LINE, /* they are escaped, too */
};

/* Appends without an end of line.  TOO_LARGE, NO_MEMORY, and errors of wire/cbor.h. */
int mkv_plain_write(struct mkv_bytes item,
                    enum mkv_plain_layout layout,
                    struct mkv_buf *out) MKV_MUST_CHECK;

/* Appends @text, which need not be UTF-8, with what is not safe to show escaped. */
int mkv_plain_escape(struct mkv_bytes text,
                     enum mkv_plain_layout layout,
                     struct mkv_buf *out) MKV_MUST_CHECK;

#endif
