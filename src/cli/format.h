/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One CBOR item as the user wants to see it: -o text, json, jsonl, yaml, cbor.
 */
#ifndef MKV_CLI_FORMAT_H
#define MKV_CLI_FORMAT_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"

enum mkv_format {
    MKV_FORMAT_TEXT,  /* for people: text as itself, everything else as in JSONL */
    MKV_FORMAT_JSON,  /* one member a line */
    MKV_FORMAT_JSONL, /* one line */
    MKV_FORMAT_YAML,
    MKV_FORMAT_CBOR, /* the bytes */
};

/* What a value of the largest size may become: "\u0000" for a byte, and indentation. */
#define MKV_FORMAT_MAX ((size_t)32 << 20)

/* Which format @name ("json") is; BAD_ARGUMENT. */
int mkv_format_of(const char *name, enum mkv_format *ret_format) MKV_MUST_CHECK;

/*
 * Appends @item in @format, each but CBOR with an end of line.  MALFORMED and the other errors of
 * wire/cbor.h if it is not one well-formed item, TOO_LARGE, NO_MEMORY; @out is then as long as
 * before.  In text, what a terminal might act upon is escaped, line ends and tabs excepted.
 */
int mkv_format_value(struct mkv_bytes item,
                     enum mkv_format format,
                     struct mkv_buf *out) MKV_MUST_CHECK;

/*
 * The same for a tree that cli/document.h built.  TEXT is as JSON.
 */
int mkv_format_document(struct mkv_bytes item,
                        enum mkv_format format,
                        struct mkv_buf *out) MKV_MUST_CHECK;

/* As MKV_FORMAT_TEXT, but always one line, and without its end: for listings. */
int mkv_format_line(struct mkv_bytes item, struct mkv_buf *out) MKV_MUST_CHECK;

/*
 * Appends @text, which need not be valid UTF-8, so that a terminal shows it and does nothing else:
 * control characters and the like become \n, \u001b ..., bytes that are no UTF-8 \xff.
 */
int mkv_format_safe_text(struct mkv_bytes text, struct mkv_buf *out) MKV_MUST_CHECK;

#endif
