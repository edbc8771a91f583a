/* SPDX-License-Identifier: Apache-2.0 */
#include "base/assert.h"
#include "base/buf.h"
#include "base/limits.h"
#include "fuzz.h"
#include "lib/cbor_diag.h"
#include "wire/cbor.h"

#define TEXT_MAX (256U << 20)

/* The verdict of a walk by mkv_cbor_next() with its own rules of nesting. */
static int walk(struct mkv_bytes in)
{
    struct mkv_buf text;

    mkv_buf_init(&text, TEXT_MAX);

    int error = cbor_diag(in, &text);

    mkv_buf_deinit(&text);
    return error;
}

/* Both checks agree, on what is refused as well as why. */
static void check_whole(struct mkv_bytes in)
{
    MKV_ASSERT(mkv_cbor_check(in) == walk(in));
}

/* What is accepted as one item of a sequence lies inside, and is accepted alone. */
static void check_sequence(struct mkv_bytes in)
{
    struct mkv_cbor_reader r;

    mkv_cbor_reader_init(&r, in);
    while (r.rest.len > 0) {
        struct mkv_bytes rest = r.rest;
        struct mkv_bytes item = mkv_cbor_read_raw(&r);

        if (r.error != 0) {
            MKV_ASSERT(item.at == NULL && item.len == 0);
            MKV_ASSERT(r.rest.at == rest.at && r.rest.len == rest.len);
            return;
        }
        MKV_ASSERT(item.at == rest.at);
        MKV_ASSERT(item.len > 0 && item.len <= rest.len && item.len <= MKV_VALUE_MAX);
        MKV_ASSERT(r.rest.len == rest.len - item.len);
        MKV_ASSERT(mkv_cbor_check(item) == 0);
        MKV_ASSERT(mkv_cbor_check(mkv_bytes(item.at, item.len - 1)) == MKV_E_TRUNCATED);
    }
}

/* Reads one item strictly and writes it again. */
static void copy_strictly(struct mkv_cbor_reader *r, struct mkv_cbor_writer *w)
{
    switch (mkv_cbor_peek(r)) {
    case MKV_CBOR_UINT:
        mkv_cbor_write_uint(w, mkv_cbor_read_uint(r));
        break;
    case MKV_CBOR_NINT:
        mkv_cbor_write_int(w, mkv_cbor_read_int(r));
        break;
    case MKV_CBOR_BYTES:
        mkv_cbor_write_bytes(w, mkv_cbor_read_bytes(r));
        break;
    case MKV_CBOR_TEXT:
        mkv_cbor_write_text(w, mkv_cbor_read_text(r));
        break;
    case MKV_CBOR_ARRAY:
        mkv_cbor_write_array(w, mkv_cbor_read_array(r, UINT64_MAX));
        break;
    case MKV_CBOR_MAP:
        mkv_cbor_write_map(w, mkv_cbor_read_map(r, UINT64_MAX));
        break;
    case MKV_CBOR_FALSE:
    case MKV_CBOR_TRUE:
        mkv_cbor_write_bool(w, mkv_cbor_read_bool(r));
        break;
    case MKV_CBOR_NULL:
        mkv_cbor_read_null(r);
        mkv_cbor_write_null(w);
        break;
    case MKV_CBOR_FLOAT: /* may have a longer form than the writer's */
    case MKV_CBOR_TAG:
    case MKV_CBOR_UNDEFINED:
    case MKV_CBOR_SIMPLE:
    case MKV_CBOR_BREAK:
    case MKV_CBOR_END:
        mkv_cbor_fail(r, MKV_E_MALFORMED);
        break;
    }
}

/* What the strict reads let through has one form only: the one that is written. */
static void check_strict_reads(struct mkv_bytes in)
{
    struct mkv_buf copy;
    struct mkv_cbor_reader r;
    struct mkv_cbor_writer w;
    size_t n_good = 0;

    mkv_buf_init(&copy, in.len + 16);
    mkv_cbor_reader_init(&r, in);
    mkv_cbor_writer_init(&w, &copy);
    while (r.rest.len > 0 && r.error == 0) {
        n_good = copy.len;
        copy_strictly(&r, &w);
    }
    if (r.error == 0) {
        n_good = copy.len;
    }
    MKV_ASSERT(w.error == 0);
    MKV_ASSERT(n_good == in.len - r.rest.len);
    MKV_ASSERT(mkv_bytes_equal(mkv_bytes(copy.at, n_good), mkv_bytes(in.at, n_good)));
    mkv_buf_deinit(&copy);
}

/* A float comes back from its shortest form with all its bits. */
static void check_floats(struct mkv_bytes in)
{
    struct mkv_cbor_reader r;
    struct mkv_cbor_writer w;
    struct mkv_buf copy;

    mkv_cbor_reader_init(&r, in);

    double real = mkv_cbor_read_float(&r);

    if (r.error != 0) {
        return;
    }
    mkv_buf_init(&copy, 9);
    mkv_cbor_writer_init(&w, &copy);
    mkv_cbor_write_float_short(&w, real);
    MKV_ASSERT(w.error == 0);
    MKV_ASSERT(copy.len <= in.len - r.rest.len);
    mkv_cbor_reader_init(&r, mkv_buf_bytes(&copy));

    double again = mkv_cbor_read_float(&r);

    MKV_ASSERT(mkv_cbor_finish(&r) == 0);
    MKV_ASSERT(memcmp(&real, &again, sizeof(real)) == 0);
    mkv_buf_deinit(&copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mkv_bytes in = mkv_bytes(data, size);

    check_whole(in);
    check_sequence(in);
    check_strict_reads(in);
    check_floats(in);
    return 0;
}
