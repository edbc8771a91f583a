/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UTF-8 as RFC 3629 has it: shortest form, no surrogates, nothing above U+10FFFF.
 *
 * NUL and noncharacters are valid here; a room that cannot carry them escapes them itself.
 */
#ifndef MKV_WIRE_UTF8_H
#define MKV_WIRE_UTF8_H

#include "base/bytes.h"

/* Tells whether all of @text is valid.  The empty text is. */
bool mkv_utf8_valid(struct mkv_bytes text);

#endif
