/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/conflict.h"

#include "base/limits.h"

#define CONFLICT_PARTS 9U
#define DELETION_PARTS 8U /* the loser has no value */

static struct mkv_bytes read_path(struct mkv_cbor_reader *r)
{
    if (mkv_cbor_peek(r) != MKV_CBOR_ARRAY) {
        mkv_cbor_fail(r, r->rest.len > 0 ? MKV_E_MALFORMED : MKV_E_TRUNCATED);
    }
    return mkv_cbor_read_raw(r);
}

void mkv_conflict_row_read(struct mkv_cbor_reader *r, struct mkv_conflict_row *ret_row)
{
    struct mkv_conflict_row row = {0};
    uint64_t n = mkv_cbor_read_array(r, UINT64_MAX);

    if (n != CONFLICT_PARTS && n != DELETION_PARTS) {
        mkv_cbor_fail(r, MKV_E_MALFORMED);
    }
    row.id = mkv_cbor_read_uint(r);
    row.path = read_path(r);
    row.class_ = (uint32_t)mkv_cbor_read_uint_below(r, MKV_CONFLICT_CLASSES);
    row.when = mkv_cbor_read_uint_below(r, (uint64_t)MKV_INTEGER_MAX + 1);
    row.more = mkv_cbor_read_uint(r);
    mkv_entry_read(r, &row.winner);
    mkv_entry_read_parts(r, n == CONFLICT_PARTS, &row.loser);
    if (r->error == 0) {
        *ret_row = row;
    }
}

void mkv_conflict_row_write(struct mkv_cbor_writer *w, const struct mkv_conflict_row *row)
{
    static const uint8_t null_item[] = {0xf6};
    struct mkv_update winner = row->winner;

    winner.value = mkv_bytes(null_item, sizeof(null_item));
    mkv_cbor_write_array(w, row->loser.present ? CONFLICT_PARTS : DELETION_PARTS);
    mkv_cbor_write_uint(w, row->id);
    mkv_cbor_write_raw(w, row->path);
    mkv_cbor_write_uint(w, row->class_);
    mkv_cbor_write_uint(w, row->when);
    mkv_cbor_write_uint(w, row->more);
    mkv_entry_write(w, &winner);
    mkv_entry_write_parts(w, &row->loser);
}

struct mkv_bytes mkv_conflict_rows_read_raw(struct mkv_cbor_reader *r)
{
    struct mkv_bytes start = r->rest;
    uint64_t n = mkv_cbor_read_array(r, MKV_PAGE_ROWS_MAX);

    for (uint64_t i = 0; i < n && r->error == 0; i++) {
        struct mkv_conflict_row row;

        mkv_conflict_row_read(r, &row);
    }
    return r->error == 0 ? mkv_bytes(start.at, start.len - r->rest.len) : mkv_bytes(NULL, 0);
}
