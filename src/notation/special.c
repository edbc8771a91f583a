/* SPDX-License-Identifier: Apache-2.0 */
#include "notation/special.h"

#include <math.h>
#include <sodium.h>

#include "wire/cbor.h"

int mkv_special_map(struct mkv_bytes pairs, struct mkv_buf *item)
{
    struct mkv_cbor_reader r;
    struct mkv_cbor_writer w;

    mkv_cbor_reader_init(&r, pairs);
    mkv_cbor_writer_init(&w, item);

    uint64_t n = mkv_cbor_read_array(&r, UINT64_MAX);

    mkv_cbor_write_map(&w, n);
    for (uint64_t i = 0; i < n && r.error == 0; i++) {
        if (mkv_cbor_read_array(&r, 2) != 2) {
            mkv_cbor_fail(&r, MKV_E_MALFORMED);
        }
        mkv_cbor_write_raw(&w, mkv_cbor_read_raw(&r));
        mkv_cbor_write_raw(&w, mkv_cbor_read_raw(&r));
    }

    int error = mkv_cbor_finish(&r);

    return error != 0 ? error : w.error;
}

int mkv_special_tag(struct mkv_bytes content, struct mkv_buf *item)
{
    struct mkv_cbor_reader r;
    struct mkv_cbor_writer w;

    mkv_cbor_reader_init(&r, content);
    mkv_cbor_writer_init(&w, item);
    mkv_cbor_write_tag(&w, mkv_cbor_read_uint(&r));
    mkv_cbor_write_raw(&w, mkv_cbor_read_raw(&r));

    int error = mkv_cbor_finish(&r);

    return error != 0 ? error : w.error;
}

int mkv_special_simple(struct mkv_bytes number, struct mkv_buf *item)
{
    struct mkv_cbor_reader r;
    struct mkv_cbor_writer w;

    mkv_cbor_reader_init(&r, number);
    mkv_cbor_writer_init(&w, item);

    uint64_t n = mkv_cbor_read_uint_below(&r, 256);
    int error = mkv_cbor_finish(&r);

    /* 20, 21, 22 are false, true and null, which have words of their own; 24..31 do not exist. */
    if (error == 0 && n >= 20 && n < 32 && n != 23) {
        error = MKV_E_BAD_NUMBER;
    }
    if (error != 0) {
        return error;
    }

    const uint8_t bytes[2] = {n < 24 ? (uint8_t)(0xe0U | n) : 0xf8U, (uint8_t)n};

    mkv_cbor_write_raw(&w, mkv_bytes(bytes, n < 24 ? 1 : 2));
    return w.error;
}

int mkv_base64_read(struct mkv_bytes text, struct mkv_buf *bytes)
{
    size_t room = text.len / 4 * 3 + 3;
    size_t len = 0;

    if (text.len == 0) {
        return 0;
    }

    int error = mkv_buf_reserve(bytes, room);

    if (error != 0) {
        return error;
    }
    if (sodium_base642bin(bytes->at + bytes->len, room, (const char *)text.at, text.len, " \n\r\t",
                          &len, NULL, sodium_base64_VARIANT_ORIGINAL) != 0) {
        return MKV_E_MALFORMED;
    }
    bytes->len += len;
    return 0;
}

int mkv_special_bytes(struct mkv_bytes text, struct mkv_buf *item)
{
    struct mkv_cbor_reader r;
    struct mkv_cbor_writer w;
    struct mkv_buf bytes;

    mkv_cbor_reader_init(&r, text);
    mkv_cbor_writer_init(&w, item);
    mkv_buf_init(&bytes, text.len + 8);

    struct mkv_bytes base64 = mkv_cbor_read_text(&r);
    int error = mkv_cbor_finish(&r);

    if (error == 0) {
        error = mkv_base64_read(base64, &bytes);
    }
    if (error == 0) {
        mkv_cbor_write_bytes(&w, mkv_buf_bytes(&bytes));
        error = w.error;
    }
    mkv_buf_deinit(&bytes);
    return error;
}

int mkv_special_float(struct mkv_bytes text, struct mkv_buf *item)
{
    struct mkv_cbor_reader r;
    struct mkv_cbor_writer w;
    double real = (double)NAN;

    mkv_cbor_reader_init(&r, text);
    mkv_cbor_writer_init(&w, item);

    struct mkv_bytes word = mkv_cbor_read_text(&r);
    int error = mkv_cbor_finish(&r);

    if (error != 0) {
        return error;
    }
    if (mkv_bytes_equal(word, mkv_bytes_of("inf"))) {
        real = (double)INFINITY;
    } else if (mkv_bytes_equal(word, mkv_bytes_of("-inf"))) {
        real = (double)-INFINITY;
    } else if (!mkv_bytes_equal(word, mkv_bytes_of("nan"))) {
        return MKV_E_MALFORMED;
    }
    mkv_cbor_write_float_short(&w, real);
    return w.error;
}
