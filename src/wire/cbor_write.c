/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/cbor.h"
#include "wire/cbor_head.h"
#include "wire/float.h"
#include "wire/ieee.h"

#define HEAD_MAX 9U /* bytes */

void mkv_cbor_writer_init(struct mkv_cbor_writer *w, struct mkv_buf *out)
{
    *w = (struct mkv_cbor_writer){.out = out};
}

/* Appends a head and what follows it: both or neither, so that a full buffer ends in whole items. */
static void write_head_bytes(struct mkv_cbor_writer *w,
                             struct mkv_bytes head,
                             struct mkv_bytes body)
{
    if (w->error == 0) {
        w->error = mkv_buf_reserve(w->out, head.len + body.len);
    }
    if (w->error == 0) {
        w->error = mkv_buf_append(w->out, head);
    }
    if (w->error == 0) {
        w->error = mkv_buf_append(w->out, body);
    }
}

/* A head whose number takes up exactly @n_bytes (1, 2, 4 or 8) behind the first byte. */
static size_t put_wide_head(uint8_t *at, enum major major, uint64_t number, unsigned n_bytes)
{
    unsigned info = INFO_1_BYTE;

    for (unsigned n = n_bytes; n > 1; n /= 2) {
        info++;
    }
    at[0] = (uint8_t)((unsigned)major << 5 | info);
    for (unsigned i = 0; i < n_bytes; i++) {
        at[1 + i] = (uint8_t)(number >> (8 * (n_bytes - 1 - i)));
    }
    return 1 + n_bytes;
}

static size_t put_head(uint8_t *at, enum major major, uint64_t number)
{
    if (number < INFO_1_BYTE) {
        at[0] = (uint8_t)((unsigned)major << 5 | (unsigned)number);
        return 1;
    }
    if (number <= UINT8_MAX) {
        return put_wide_head(at, major, number, 1);
    }
    if (number <= UINT16_MAX) {
        return put_wide_head(at, major, number, 2);
    }
    return put_wide_head(at, major, number, number <= UINT32_MAX ? 4 : 8);
}

static void write_item(struct mkv_cbor_writer *w,
                       enum major major,
                       uint64_t number,
                       struct mkv_bytes body)
{
    uint8_t head[HEAD_MAX];
    size_t len = put_head(head, major, number);

    write_head_bytes(w, mkv_bytes(head, len), body);
}

static void write_head(struct mkv_cbor_writer *w, enum major major, uint64_t number)
{
    write_item(w, major, number, mkv_bytes(NULL, 0));
}

void mkv_cbor_write_uint(struct mkv_cbor_writer *w, uint64_t number)
{
    write_head(w, MAJOR_UINT, number);
}

void mkv_cbor_write_nint(struct mkv_cbor_writer *w, uint64_t n)
{
    write_head(w, MAJOR_NINT, n);
}

void mkv_cbor_write_int(struct mkv_cbor_writer *w, int64_t number)
{
    if (number < 0) {
        mkv_cbor_write_nint(w, (uint64_t)(-1 - number));
    } else {
        mkv_cbor_write_uint(w, (uint64_t)number);
    }
}

void mkv_cbor_write_bytes(struct mkv_cbor_writer *w, struct mkv_bytes bytes)
{
    write_item(w, MAJOR_BYTES, bytes.len, bytes);
}

void mkv_cbor_write_text(struct mkv_cbor_writer *w, struct mkv_bytes text)
{
    write_item(w, MAJOR_TEXT, text.len, text);
}

void mkv_cbor_write_array(struct mkv_cbor_writer *w, uint64_t n)
{
    write_head(w, MAJOR_ARRAY, n);
}

void mkv_cbor_write_map(struct mkv_cbor_writer *w, uint64_t n_pairs)
{
    write_head(w, MAJOR_MAP, n_pairs);
}

void mkv_cbor_write_tag(struct mkv_cbor_writer *w, uint64_t tag)
{
    write_head(w, MAJOR_TAG, tag);
}

void mkv_cbor_write_bool(struct mkv_cbor_writer *w, bool yes)
{
    write_head(w, MAJOR_SIMPLE, yes ? SIMPLE_TRUE : SIMPLE_FALSE);
}

void mkv_cbor_write_null(struct mkv_cbor_writer *w)
{
    write_head(w, MAJOR_SIMPLE, SIMPLE_NULL);
}

static void write_float_bits(struct mkv_cbor_writer *w, uint64_t bits, unsigned n_bytes)
{
    uint8_t head[HEAD_MAX];
    size_t len = put_wide_head(head, MAJOR_SIMPLE, bits, n_bytes);

    write_head_bytes(w, mkv_bytes(head, len), mkv_bytes(NULL, 0));
}

void mkv_cbor_write_float(struct mkv_cbor_writer *w, double real)
{
    write_float_bits(w, mkv_float_bits(real), 8);
}

void mkv_cbor_write_float_short(struct mkv_cbor_writer *w, double real)
{
    uint64_t bits = mkv_float_bits(real);
    uint64_t half = mkv_ieee_narrow(bits, mkv_ieee16);
    uint64_t single = mkv_ieee_narrow(bits, mkv_ieee32);

    if (mkv_ieee_widen(half, mkv_ieee16) == bits) {
        write_float_bits(w, half, 2);
    } else if (mkv_ieee_widen(single, mkv_ieee32) == bits) {
        write_float_bits(w, single, 4);
    } else {
        write_float_bits(w, bits, 8);
    }
}

void mkv_cbor_write_raw(struct mkv_cbor_writer *w, struct mkv_bytes item)
{
    write_head_bytes(w, mkv_bytes(NULL, 0), item);
}
