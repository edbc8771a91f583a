/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/format.h"

#include <string.h>

#include "cli/plain_write.h"
#include "cli/yaml_write.h"
#include "notation/json_write.h"
#include "wire/cbor.h"

int mkv_format_of(const char *name, enum mkv_format *ret_format)
{
    static const char *const names[] = {
        [MKV_FORMAT_TEXT] = "text", [MKV_FORMAT_JSON] = "json", [MKV_FORMAT_JSONL] = "jsonl",
        [MKV_FORMAT_YAML] = "yaml", [MKV_FORMAT_CBOR] = "cbor",
    };

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            *ret_format = (enum mkv_format)i;
            return 0;
        }
    }
    return MKV_E_BAD_ARGUMENT;
}

static int write_item(struct mkv_bytes item,
                      bool document,
                      enum mkv_format format,
                      struct mkv_buf *out)
{
    switch (format) {
    case MKV_FORMAT_TEXT:
        return document ? mkv_json_write(item, true, MKV_JSON_BLOCK, out)
                        : mkv_plain_write(item, MKV_PLAIN_LINES, out);
    case MKV_FORMAT_JSON:
        return mkv_json_write(item, document, MKV_JSON_BLOCK, out);
    case MKV_FORMAT_JSONL:
        return mkv_json_write(item, document, MKV_JSON_LINE, out);
    case MKV_FORMAT_YAML:
        return mkv_yaml_write(item, document, out);
    case MKV_FORMAT_CBOR:
        return mkv_buf_append(out, item);
    }
    return MKV_E_BAD_ARGUMENT;
}

static int write_lines(struct mkv_bytes item,
                       bool document,
                       enum mkv_format format,
                       struct mkv_buf *out)
{
    size_t start = out->len;
    int error = write_item(item, document, format, out);

    if (error == 0 && format != MKV_FORMAT_YAML && format != MKV_FORMAT_CBOR) {
        error = mkv_buf_append_u8(out, '\n');
    }
    if (error != 0) {
        mkv_buf_truncate(out, start);
    }
    return error;
}

int mkv_format_value(struct mkv_bytes item, enum mkv_format format, struct mkv_buf *out)
{
    int error = mkv_cbor_check(item);

    return error != 0 ? error : write_lines(item, false, format, out);
}

int mkv_format_document(struct mkv_bytes item, enum mkv_format format, struct mkv_buf *out)
{
    return write_lines(item, true, format, out);
}

int mkv_format_line(struct mkv_bytes item, struct mkv_buf *out)
{
    size_t start = out->len;
    int error = mkv_cbor_check(item);

    if (error == 0) {
        error = mkv_plain_write(item, MKV_PLAIN_ONE_LINE, out);
    }
    if (error != 0) {
        mkv_buf_truncate(out, start);
    }
    return error;
}

int mkv_format_safe_text(struct mkv_bytes text, struct mkv_buf *out)
{
    size_t start = out->len;
    int error = mkv_plain_escape(text, MKV_PLAIN_ONE_LINE, out);

    if (error != 0) {
        mkv_buf_truncate(out, start);
    }
    return error;
}
