/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/value.h"

#include <sodium.h>

#include "base/limits.h"
#include "cli/yaml_read.h"
#include "notation/json_read.h"
#include "wire/cbor.h"

static int refuse(struct mkv_problem *problem, int error)
{
    return mkv_problem_set(problem, error, "%s", mkv_error_text(error));
}

static int read_text(struct mkv_bytes text, struct mkv_buf *item, struct mkv_problem *problem)
{
    struct mkv_cbor_writer w;

    if (!mkv_utf8_valid(text)) {
        return mkv_problem_set(problem, MKV_E_BAD_UTF8,
                               "this text is not valid UTF-8: store it as bytes, with "
                               "!!binary BASE64 or -x HEX");
    }
    mkv_cbor_writer_init(&w, item);
    mkv_cbor_write_text(&w, text);
    return w.error == 0 ? 0 : refuse(problem, w.error);
}

static int read_hex(struct mkv_bytes text, struct mkv_buf *item, struct mkv_problem *problem)
{
    const char *digits = (const char *)text.at;
    const char *end = digits;
    size_t room = text.len / 2 + 1;
    size_t len = 0;
    int error = mkv_buf_reserve(item, room);

    if (error != 0) {
        return refuse(problem, error);
    }
    if (text.len > 0 &&
        sodium_hex2bin(item->at + item->len, room, digits, text.len, " \t\r\n", &len, &end) != 0) {
        end = digits; /* an odd digit at the very end */
    }
    if (text.len == 0 || end != digits + text.len) {
        return mkv_problem_at(problem, MKV_E_MALFORMED, text, (size_t)(end - digits),
                              "this is not hexadecimal: give CBOR as pairs of the digits 0-9 a-f");
    }
    item->len += len;
    return 0;
}

static int read_raw(struct mkv_bytes text, struct mkv_buf *item, struct mkv_problem *problem)
{
    int error = mkv_buf_append(item, text);

    return error == 0 ? 0 : refuse(problem, error);
}

static int translate(struct mkv_bytes text,
                     enum mkv_notation notation,
                     struct mkv_buf *item,
                     struct mkv_problem *problem)
{
    switch (notation) {
    case MKV_NOTATION_ARGUMENT:
        return mkv_yaml_read(text, MKV_YAML_ARGUMENT, item, problem);
    case MKV_NOTATION_YAML:
        return mkv_yaml_read(text, MKV_YAML_VALUE, item, problem);
    case MKV_NOTATION_JSON:
        return mkv_json_read(text, false, item, problem);
    case MKV_NOTATION_TEXT:
        return read_text(text, item, problem);
    case MKV_NOTATION_HEX:
        return read_hex(text, item, problem);
    case MKV_NOTATION_CBOR:
        return read_raw(text, item, problem);
    }
    return refuse(problem, MKV_E_BAD_ARGUMENT);
}

int mkv_value_read(struct mkv_bytes text,
                   enum mkv_notation notation,
                   struct mkv_buf *item,
                   struct mkv_problem *problem)
{
    size_t start = item->len;
    int error = translate(text, notation, item, problem);

    if (error == 0) {
        struct mkv_bytes made = mkv_bytes_after(mkv_buf_bytes(item), start);

        error = made.len > MKV_VALUE_MAX ? MKV_E_TOO_LARGE : mkv_cbor_check(made);
        if (error != 0) {
            (void)refuse(problem, error);
        }
    }
    if (error != 0) {
        mkv_buf_truncate(item, start);
    }
    return error;
}
