/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes one CBOR item as YAML that cli/yaml_read.h reads back into the same item, up to the width
 * of its encoding.  Other readers understand all but the local tags (docs/formats.md).
 */
#ifndef MKV_CLI_YAML_WRITE_H
#define MKV_CLI_YAML_WRITE_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"

/*
 * Appends, with an end of line.  With @document the item is one as in notation/walk.h.  Errors as
 * mkv_json_write().
 */
int mkv_yaml_write(struct mkv_bytes item, bool document, struct mkv_buf *out) MKV_MUST_CHECK;

#endif
