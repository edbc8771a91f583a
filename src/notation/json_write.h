/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes one CBOR item as JSON that notation/json_read.h reads back into the same item, up to the width
 * of its encoding.  Any item makes valid JSON (docs/formats.md).
 */
#ifndef MKV_NOTATION_JSON_WRITE_H
#define MKV_NOTATION_JSON_WRITE_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"

enum mkv_json_layout {
    MKV_JSON_LINE,  /* one line without spaces */
    MKV_JSON_BLOCK, /* one member a line, indented by two */
};

/*
 * Appends without an end of line.  With @document the item is one as in notation/walk.h.  TOO_LARGE,
 * NO_MEMORY, and for an item that is not well-formed the errors of wire/cbor.h; then a part may
 * have been written.
 */
int mkv_json_write(struct mkv_bytes item,
                   bool document,
                   enum mkv_json_layout layout,
                   struct mkv_buf *out) MKV_MUST_CHECK;

#endif
