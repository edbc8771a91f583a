/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lets another program ask what wire/cbor.h makes of an item: one question a line, the item as
 * hexadecimal digits; one answer a line, "error NAME" or three parts with tabs between them:
 *
 *     DIAG  LONG  SHORT
 *
 * DIAG is the text of tests/lib/cbor_diag.h.  LONG and SHORT are the item as mkv_cbor_write_...()
 * writes it, with floats of 64 bits or as few as keep the value; "-" if a part of it has
 * indefinite length, which the writer does not write.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "lib/cbor_diag.h"
#include "wire/cbor.h"

#define BYTES_MAX (2U << 20)

static void write_float(struct mkv_cbor_writer *w, double real, bool is_short)
{
    if (is_short) {
        mkv_cbor_write_float_short(w, real);
    } else {
        mkv_cbor_write_float(w, real);
    }
}

/* Writes what @item says; @raw is the item as it was read. */
static void write_item(struct mkv_cbor_writer *w,
                       const struct mkv_cbor_item *item,
                       struct mkv_bytes raw,
                       bool is_short)
{
    switch (item->kind) {
    case MKV_CBOR_UINT:
        mkv_cbor_write_uint(w, item->number);
        break;
    case MKV_CBOR_NINT:
        mkv_cbor_write_nint(w, item->number);
        break;
    case MKV_CBOR_BYTES:
        mkv_cbor_write_bytes(w, item->text);
        break;
    case MKV_CBOR_TEXT:
        mkv_cbor_write_text(w, item->text);
        break;
    case MKV_CBOR_ARRAY:
        mkv_cbor_write_array(w, item->number);
        break;
    case MKV_CBOR_MAP:
        mkv_cbor_write_map(w, item->number);
        break;
    case MKV_CBOR_TAG:
        mkv_cbor_write_tag(w, item->number);
        break;
    case MKV_CBOR_FALSE:
    case MKV_CBOR_TRUE:
        mkv_cbor_write_bool(w, item->kind == MKV_CBOR_TRUE);
        break;
    case MKV_CBOR_NULL:
        mkv_cbor_write_null(w);
        break;
    case MKV_CBOR_FLOAT:
        write_float(w, item->real, is_short);
        break;
    case MKV_CBOR_UNDEFINED:
    case MKV_CBOR_SIMPLE:
        mkv_cbor_write_raw(w, raw);
        break;
    case MKV_CBOR_BREAK:
    case MKV_CBOR_END:
        break;
    }
}

/* Reads the item @in head by head and writes it again; false if it has indefinite lengths. */
static bool rewrite(struct mkv_bytes in, bool is_short, struct mkv_buf *out)
{
    struct mkv_cbor_reader r;
    struct mkv_cbor_writer w;
    struct mkv_cbor_item item;

    mkv_cbor_reader_init(&r, in);
    mkv_cbor_writer_init(&w, out);
    while (r.rest.len > 0) {
        struct mkv_bytes start = r.rest;

        mkv_cbor_next(&r, &item);
        MKV_ASSERT(r.error == 0);
        if (item.indefinite) {
            return false;
        }
        write_item(&w, &item, mkv_bytes(start.at, start.len - r.rest.len), is_short);
    }
    MKV_ASSERT(w.error == 0);
    return true;
}

static void print_rewritten(struct mkv_bytes in, bool is_short)
{
    struct mkv_buf out;

    mkv_buf_init(&out, BYTES_MAX);
    printf("\t");
    if (rewrite(in, is_short, &out)) {
        for (size_t i = 0; i < out.len; i++) {
            printf("%02x", out.at[i]);
        }
    } else {
        printf("-");
    }
    mkv_buf_deinit(&out);
}

static void answer(struct mkv_bytes in)
{
    struct mkv_buf diag;
    int error = mkv_cbor_check(in);

    mkv_buf_init(&diag, 16 * BYTES_MAX);
    if (error != 0) {
        MKV_ASSERT(cbor_diag(in, &diag) == error);
        printf("error %s\n", mkv_error_name(error));
    } else {
        MKV_ASSERT(cbor_diag(in, &diag) == 0);
        printf("%.*s", (int)diag.len, (const char *)diag.at);
        print_rewritten(in, false);
        print_rewritten(in, true);
        printf("\n");
    }
    mkv_buf_deinit(&diag);
}

static void read_hex(const char *hex, struct mkv_buf *ret_bytes)
{
    for (; hex[0] != '\0' && hex[0] != '\n'; hex += 2) {
        char pair[3] = {hex[0], hex[1], '\0'};
        int error = mkv_buf_append_u8(ret_bytes, (uint8_t)strtoul(pair, NULL, 16));

        MKV_ASSERT(error == 0);
    }
}

int main(void)
{
    char *line = NULL;
    size_t cap = 0;

    while (getline(&line, &cap, stdin) >= 0) {
        struct mkv_buf bytes;

        mkv_buf_init(&bytes, BYTES_MAX);
        read_hex(line, &bytes);
        answer(mkv_buf_bytes(&bytes));
        mkv_buf_deinit(&bytes);
    }
    free(line);
    return 0;
}
