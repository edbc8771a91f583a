/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/dump.h"

#include "base/limits.h"
#include "wire/cbor.h"
#include "wire/path.h"

#define FORMAT_NAME "moat-kv dump"
#define SELF_TAG    55799U /* RFC 8949, section 3.4.6: "this is CBOR" */

int mkv_dump_cbor_header(const struct mkv_dump_header *header, struct mkv_buf *out)
{
    struct mkv_cbor_writer w;

    mkv_cbor_writer_init(&w, out);
    mkv_cbor_write_tag(&w, SELF_TAG);
    mkv_cbor_write_map(&w, 3U + (header->store.len > 0) + (header->time_s > 0));
    mkv_cbor_write_text(&w, mkv_bytes_of("format"));
    mkv_cbor_write_text(&w, mkv_bytes_of(FORMAT_NAME));
    mkv_cbor_write_text(&w, mkv_bytes_of("version"));
    mkv_cbor_write_uint(&w, MKV_DUMP_VERSION);
    mkv_cbor_write_text(&w, mkv_bytes_of("path"));
    mkv_path_to_cbor(header->path, &w);
    if (header->store.len > 0) {
        mkv_cbor_write_text(&w, mkv_bytes_of("store"));
        mkv_cbor_write_bytes(&w, header->store);
    }
    if (header->time_s > 0) {
        mkv_cbor_write_text(&w, mkv_bytes_of("time"));
        mkv_cbor_write_uint(&w, header->time_s);
    }
    return w.error;
}

int mkv_dump_cbor_row(struct mkv_bytes key, const struct mkv_update *entry, struct mkv_buf *out)
{
    struct mkv_cbor_writer w;

    mkv_cbor_writer_init(&w, out);
    mkv_cbor_write_array(&w, entry->present ? 4 : 3);
    mkv_path_to_cbor(key, &w);
    mkv_entry_write_parts(&w, entry);
    return w.error;
}

int mkv_dump_cbor_end(uint64_t n_rows, struct mkv_bytes digest, struct mkv_buf *out)
{
    struct mkv_cbor_writer w;

    mkv_cbor_writer_init(&w, out);
    mkv_cbor_write_map(&w, 2);
    mkv_cbor_write_text(&w, mkv_bytes_of("count"));
    mkv_cbor_write_uint(&w, n_rows);
    mkv_cbor_write_text(&w, mkv_bytes_of("blake2b"));
    mkv_cbor_write_bytes(&w, digest);
    return w.error;
}

static void read_path(struct mkv_cbor_reader *r, struct mkv_buf *key)
{
    int error;

    mkv_buf_clear(key);
    error = mkv_path_from_cbor(r, key);
    if (error != 0) {
        mkv_cbor_fail(r, error);
    }
}

/* Notes that the key with the number @bit was there; twice is an error. */
static void note(struct mkv_cbor_reader *r, unsigned *seen, unsigned bit)
{
    if ((*seen & 1U << bit) != 0) {
        mkv_cbor_fail(r, MKV_E_DUPLICATE_KEY);
    }
    *seen |= 1U << bit;
}

static void read_format(struct mkv_cbor_reader *r)
{
    struct mkv_bytes name = mkv_cbor_read_text(r);

    if (r->error == 0 && !mkv_bytes_equal(name, mkv_bytes_of(FORMAT_NAME))) {
        mkv_cbor_fail(r, MKV_E_FORMAT);
    }
}

static void read_version(struct mkv_cbor_reader *r)
{
    uint64_t version = mkv_cbor_read_uint(r);

    if (r->error == 0 && version != MKV_DUMP_VERSION) {
        mkv_cbor_fail(r, MKV_E_FORMAT);
    }
}

static void read_header_field(struct mkv_cbor_reader *r,
                              unsigned *seen,
                              struct mkv_buf *key,
                              struct mkv_dump_header *header)
{
    struct mkv_bytes name = mkv_cbor_read_text(r);

    if (mkv_bytes_equal(name, mkv_bytes_of("format"))) {
        note(r, seen, 0);
        read_format(r);
    } else if (mkv_bytes_equal(name, mkv_bytes_of("version"))) {
        note(r, seen, 1);
        read_version(r);
    } else if (mkv_bytes_equal(name, mkv_bytes_of("path"))) {
        note(r, seen, 2);
        read_path(r, key);
    } else if (mkv_bytes_equal(name, mkv_bytes_of("store"))) {
        note(r, seen, 3);
        header->store = mkv_cbor_read_bytes(r);
    } else if (mkv_bytes_equal(name, mkv_bytes_of("time"))) {
        note(r, seen, 4);
        header->time_s = mkv_cbor_read_uint(r);
    } else {
        mkv_cbor_skip(r);
    }
}

static void read_header(struct mkv_cbor_reader *r,
                        struct mkv_buf *key,
                        struct mkv_dump_record *record)
{
    unsigned seen = 0;

    record->kind = MKV_DUMP_IS_HEADER;
    if (mkv_cbor_peek(r) == MKV_CBOR_TAG) {
        struct mkv_cbor_item tag;

        mkv_cbor_next(r, &tag);
        if (r->error == 0 && tag.number != SELF_TAG) {
            mkv_cbor_fail(r, MKV_E_FORMAT);
        }
    }

    uint64_t n = mkv_cbor_read_map(r, MKV_HEADER_KEYS_MAX);

    for (uint64_t i = 0; i < n && r->error == 0; i++) {
        read_header_field(r, &seen, key, &record->header);
    }
    if (r->error == 0 && (seen & 7U) != 7U) {
        mkv_cbor_fail(r, MKV_E_FORMAT);
    }
    if (r->error == MKV_E_MALFORMED) { /* some other file, most likely */
        r->error = MKV_E_FORMAT;
    }
    record->header.path = mkv_buf_bytes(key);
}

static void read_row(struct mkv_cbor_reader *r, struct mkv_buf *key, struct mkv_dump_record *record)
{
    uint64_t n = mkv_cbor_read_array(r, 4);

    record->kind = MKV_DUMP_IS_ROW;
    if (r->error == 0 && n < 3) {
        mkv_cbor_fail(r, MKV_E_MALFORMED);
    }
    read_path(r, key);
    mkv_entry_read_parts(r, n == 4, &record->entry);
    record->key = mkv_buf_bytes(key);
}

static void read_end(struct mkv_cbor_reader *r, struct mkv_dump_record *record)
{
    unsigned seen = 0;
    uint64_t n = mkv_cbor_read_map(r, MKV_HEADER_KEYS_MAX);

    record->kind = MKV_DUMP_IS_END;
    for (uint64_t i = 0; i < n && r->error == 0; i++) {
        struct mkv_bytes name = mkv_cbor_read_text(r);

        if (mkv_bytes_equal(name, mkv_bytes_of("count"))) {
            note(r, &seen, 0);
            record->n_rows = mkv_cbor_read_uint(r);
        } else if (mkv_bytes_equal(name, mkv_bytes_of("blake2b"))) {
            note(r, &seen, 1);
            record->digest = mkv_cbor_read_bytes(r);
        } else {
            mkv_cbor_skip(r);
        }
    }
    if (r->error == 0 && (seen != 3U || record->digest.len != MKV_DUMP_DIGEST_LEN)) {
        mkv_cbor_fail(r, MKV_E_MALFORMED);
    }
}

int mkv_dump_cbor_decode(struct mkv_bytes in,
                         bool first,
                         struct mkv_buf *key,
                         struct mkv_dump_record *ret_record,
                         size_t *ret_len)
{
    struct mkv_dump_record record = {0};
    struct mkv_cbor_reader r;

    mkv_cbor_reader_init(&r, in);
    if (in.len == 0) {
        return MKV_E_TRUNCATED;
    }
    if (first) {
        read_header(&r, key, &record);
    } else if (mkv_cbor_peek(&r) == MKV_CBOR_MAP) {
        read_end(&r, &record);
    } else {
        read_row(&r, key, &record);
    }
    if (r.error == 0) {
        *ret_record = record;
        *ret_len = in.len - r.rest.len;
    }
    return r.error;
}

_Static_assert(_Alignof(crypto_generichash_blake2b_state) <= MKV_DUMP_HASH_ALIGN,
               "the room is large enough to be aligned");

static crypto_generichash_blake2b_state *state_of(struct mkv_dump_hash *hash)
{
    size_t excess = (uintptr_t)hash->room % MKV_DUMP_HASH_ALIGN;

    return (void *)(hash->room + (excess > 0 ? MKV_DUMP_HASH_ALIGN - excess : 0));
}

void mkv_dump_hash_init(struct mkv_dump_hash *hash)
{
    (void)crypto_generichash_blake2b_init(state_of(hash), NULL, 0, MKV_DUMP_DIGEST_LEN);
}

void mkv_dump_hash_add(struct mkv_dump_hash *hash, struct mkv_bytes bytes)
{
    (void)crypto_generichash_blake2b_update(state_of(hash), bytes.at, bytes.len);
}

void mkv_dump_hash_finish(struct mkv_dump_hash *hash, uint8_t ret_digest[MKV_DUMP_DIGEST_LEN])
{
    (void)crypto_generichash_blake2b_final(state_of(hash), ret_digest, MKV_DUMP_DIGEST_LEN);
}
