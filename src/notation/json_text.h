/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strings of JSON (RFC 8259), read and written.
 */
#ifndef MKV_NOTATION_JSON_TEXT_H
#define MKV_NOTATION_JSON_TEXT_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "notation/sink.h"

/*
 * Reads the string whose opening quote is at @pos, and appends its text.  MALFORMED, BAD_UTF8,
 * TRUNCATED, NO_MEMORY: then @ret_pos is where the fault is, and @ret_fault says what it is; it is
 * static, or NULL where the error says enough.
 */
int mkv_json_string_read(struct mkv_bytes in,
                         size_t pos,
                         struct mkv_buf *text,
                         size_t *ret_pos,
                         const char **ret_fault) MKV_MUST_CHECK;

/*
 * Writes @text, which is valid UTF-8, in quotes.  Besides what JSON demands, everything is escaped
 * that a terminal might act upon or that would make the text look different from what it is.
 */
void mkv_json_string_write(struct mkv_sink *sink, struct mkv_bytes text);

/* The same without the quotes. */
void mkv_json_characters_write(struct mkv_sink *sink, struct mkv_bytes text);

/* The length of the character @text begins with, and its code point; 1 if it is not UTF-8. */
size_t mkv_json_character(struct mkv_bytes text, uint32_t *ret_code);

/* Whether a terminal might act upon @code, or hide it, or show the text around it reordered. */
bool mkv_json_unsafe(uint32_t code);

#endif
