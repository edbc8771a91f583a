/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/fact.h"

#include "wire/cbor.h"

struct mkv_bytes mkv_fact(struct mkv_bytes report, const char *name)
{
    struct mkv_cbor_reader r;

    mkv_cbor_reader_init(&r, report);
    for (uint64_t left = mkv_cbor_read_map(&r, UINT32_MAX); left > 0 && r.error == 0; left--) {
        struct mkv_cbor_item key;

        mkv_cbor_next(&r, &key);

        struct mkv_bytes value = mkv_cbor_read_raw(&r);

        if (r.error == 0 && key.kind == MKV_CBOR_TEXT &&
            mkv_bytes_equal(key.text, mkv_bytes_of(name))) {
            return value;
        }
    }
    return mkv_bytes(NULL, 0);
}

/* False if there is no such fact. */
static bool read(struct mkv_bytes report, const char *name, struct mkv_cbor_item *ret_item)
{
    struct mkv_cbor_reader r;

    mkv_cbor_reader_init(&r, mkv_fact(report, name));
    mkv_cbor_next(&r, ret_item);
    return r.error == 0;
}

struct mkv_bytes mkv_fact_text(struct mkv_bytes report, const char *name)
{
    struct mkv_cbor_item item;
    bool found = read(report, name, &item) && item.kind == MKV_CBOR_TEXT;

    return found ? item.text : mkv_bytes(NULL, 0);
}

bool mkv_fact_bool(struct mkv_bytes report, const char *name)
{
    struct mkv_cbor_item item;

    return read(report, name, &item) && item.kind == MKV_CBOR_TRUE;
}

uint64_t mkv_fact_uint(struct mkv_bytes report, const char *name, uint64_t otherwise)
{
    struct mkv_cbor_item item;
    bool found = read(report, name, &item) && item.kind == MKV_CBOR_UINT;

    return found ? item.number : otherwise;
}
