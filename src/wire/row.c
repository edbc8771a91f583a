/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/row.h"

#include "base/limits.h"
#include "wire/path.h"

#define ROW_PARTS       5U /* shared, rest, tock, ticks, value */
#define TOMBSTONE_PARTS 4U
#define FRAME_ROOM      1024U /* what is left of a frame for its head and the list's */

/* Keeps a key in room of its own, so that no later change of it can fail for want of memory. */
static int key_init(struct mkv_buf *key, struct mkv_bytes start)
{
    mkv_buf_init(key, MKV_PATH_KEY_MAX);

    int error = mkv_buf_reserve(key, MKV_PATH_KEY_MAX);

    return error != 0 ? error : mkv_buf_append(key, start);
}

int mkv_row_writer_init(struct mkv_row_writer *w, struct mkv_bytes start)
{
    *w = (struct mkv_row_writer){0};
    mkv_buf_init(&w->rows, MKV_FRAME_MAX - FRAME_ROOM);
    return key_init(&w->previous, start);
}

void mkv_row_writer_deinit(struct mkv_row_writer *w)
{
    mkv_buf_deinit(&w->rows);
    mkv_buf_deinit(&w->previous);
}

static void write_row(struct mkv_cbor_writer *cbor,
                      struct mkv_bytes previous,
                      struct mkv_bytes key,
                      const struct mkv_update *entry)
{
    unsigned shared = mkv_path_shared(previous, key);
    struct mkv_bytes rest = mkv_bytes_after(key, mkv_path_head(key, shared).len);

    mkv_cbor_write_array(cbor, entry->present ? ROW_PARTS : TOMBSTONE_PARTS);
    mkv_cbor_write_uint(cbor, shared);
    mkv_path_to_cbor(rest, cbor);
    mkv_entry_write_parts(cbor, entry);
}

int mkv_row_writer_add(struct mkv_row_writer *w,
                       struct mkv_bytes key,
                       const struct mkv_update *entry,
                       bool keys_only)
{
    static const uint8_t null_item[] = {0xf6};
    struct mkv_update row = *entry;
    struct mkv_cbor_writer cbor;
    size_t start = w->rows.len;

    if (w->n == MKV_PAGE_ROWS_MAX || start >= MKV_PAGE_BYTES) {
        return MKV_E_TOO_LARGE;
    }
    if (keys_only) {
        row.value = mkv_bytes(null_item, sizeof(null_item));
    }
    mkv_cbor_writer_init(&cbor, &w->rows);
    write_row(&cbor, mkv_buf_bytes(&w->previous), key, &row);
    if (cbor.error != 0) {
        mkv_buf_truncate(&w->rows, start);
        return cbor.error;
    }
    w->n++;
    mkv_buf_clear(&w->previous);
    return mkv_buf_append(&w->previous, key); /* cannot fail: see key_init() */
}

int mkv_row_writer_take(struct mkv_row_writer *w, struct mkv_buf *out)
{
    struct mkv_cbor_writer cbor;
    size_t start = out->len;

    mkv_cbor_writer_init(&cbor, out);
    mkv_cbor_write_array(&cbor, w->n);
    mkv_cbor_write_raw(&cbor, mkv_buf_bytes(&w->rows));
    if (cbor.error != 0) {
        mkv_buf_truncate(out, start);
        return cbor.error;
    }
    mkv_buf_clear(&w->rows);
    w->n = 0;
    return 0;
}

int mkv_row_reader_init(struct mkv_row_reader *r, struct mkv_bytes start)
{
    *r = (struct mkv_row_reader){0};
    return key_init(&r->key, start);
}

void mkv_row_reader_deinit(struct mkv_row_reader *r)
{
    mkv_buf_deinit(&r->key);
}

int mkv_row_reader_page(struct mkv_row_reader *r, struct mkv_bytes rows)
{
    mkv_cbor_reader_init(&r->cbor, rows);
    r->left = mkv_cbor_read_array(&r->cbor, MKV_PAGE_ROWS_MAX);
    return r->cbor.error;
}

/* The list's head and what comes before the path; whether a value follows at its end. */
static bool read_row_head(struct mkv_cbor_reader *cbor, uint64_t *ret_shared)
{
    uint64_t n = mkv_cbor_read_array(cbor, UINT64_MAX);

    if (n != ROW_PARTS && n != TOMBSTONE_PARTS) {
        mkv_cbor_fail(cbor, MKV_E_MALFORMED);
    }
    *ret_shared = mkv_cbor_read_uint_below(cbor, MKV_PATH_LEVELS_MAX + 1);
    return n == ROW_PARTS;
}

/* Turns r->key from the previous row's path into this one's. */
static void read_key(struct mkv_row_reader *r, uint64_t shared)
{
    struct mkv_bytes previous = mkv_buf_bytes(&r->key);

    if (shared > mkv_path_depth(previous)) {
        mkv_cbor_fail(&r->cbor, MKV_E_BAD_PATH);
    }
    if (r->cbor.error != 0) {
        return;
    }
    mkv_buf_truncate(&r->key, mkv_path_head(previous, (unsigned)shared).len);

    int error = mkv_path_from_cbor(&r->cbor, &r->key);

    if (error != 0) {
        mkv_cbor_fail(&r->cbor, error);
    }
}

bool mkv_row_reader_next(struct mkv_row_reader *r, struct mkv_update *ret_entry)
{
    uint64_t shared;

    if (r->cbor.error != 0) {
        return false;
    }
    if (r->left == 0) {
        r->cbor.error = mkv_cbor_finish(&r->cbor);
        return false;
    }

    bool present = read_row_head(&r->cbor, &shared);

    read_key(r, shared);
    mkv_entry_read_parts(&r->cbor, present, ret_entry);
    r->left--;
    return r->cbor.error == 0;
}

struct mkv_bytes mkv_rows_read_raw(struct mkv_cbor_reader *r)
{
    struct mkv_bytes start = r->rest;
    uint64_t n = mkv_cbor_read_array(r, MKV_PAGE_ROWS_MAX);

    for (uint64_t i = 0; i < n && r->error == 0; i++) {
        struct mkv_update entry;
        uint64_t shared;
        bool present = read_row_head(r, &shared);

        mkv_cbor_skip(r); /* the path, which only a reader that knows the one before can check */
        mkv_entry_read_parts(r, present, &entry);
    }
    return r->error == 0 ? mkv_bytes(start.at, start.len - r->rest.len) : mkv_bytes(NULL, 0);
}
