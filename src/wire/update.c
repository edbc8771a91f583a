/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/update.h"

#include "wire/act.h"
#include "wire/header.h"

enum {
    KEY_TOCK = 0,
    KEY_VALUE = 1,
    KEY_TICKS = 2,
    KEY_MAC = 3,
};

#define TOCK_BOUND ((uint64_t)MKV_INTEGER_MAX + 1)

int mkv_update_decode(struct mkv_bytes in, struct mkv_update *ret_update)
{
    struct mkv_update update = {0};
    struct mkv_header h;
    uint64_t key;

    if (in.len > MKV_UPDATE_MAX) {
        return MKV_E_TOO_LARGE;
    }
    mkv_header_init(&h, in);
    while (mkv_header_next(&h, &key)) {
        if (key == KEY_TOCK) {
            update.tock = mkv_cbor_read_uint_below(&h.cbor, TOCK_BOUND);
        } else if (key == KEY_VALUE) {
            update.value = mkv_cbor_read_raw(&h.cbor);
        } else if (key == KEY_TICKS) {
            mkv_ticks_read(&h.cbor, &update.ticks);
        } else {
            mkv_cbor_skip(&h.cbor);
        }
    }
    update.has_tock = mkv_header_has(&h, KEY_TOCK);
    update.present = mkv_header_has(&h, KEY_VALUE);

    int error = mkv_header_finish(&h);

    if (error != 0) {
        return error;
    }
    if (!mkv_header_has(&h, KEY_TICKS)) {
        return MKV_E_MALFORMED;
    }
    *ret_update = update;
    return 0;
}

/* How many items an item of definite length contains. */
static uint64_t n_content(const struct mkv_cbor_item *item)
{
    if (item->kind == MKV_CBOR_TAG) {
        return 1;
    }
    if (item->indefinite || (item->kind != MKV_CBOR_ARRAY && item->kind != MKV_CBOR_MAP)) {
        return 0;
    }
    return item->kind == MKV_CBOR_MAP ? 2 * item->number : item->number;
}

/*
 * Passes over one item, however large and deep it is.  Inside of what has indefinite length only
 * the breaks count; outside, the items that are still to come.
 */
static void pass_over(struct mkv_cbor_reader *r)
{
    uint64_t n_left = 1;
    uint64_t n_open = 0;

    while (r->error == 0 && (n_left > 0 || n_open > 0)) {
        struct mkv_cbor_item item;

        mkv_cbor_next(r, &item);
        if (item.kind == MKV_CBOR_END || (item.kind == MKV_CBOR_BREAK && n_open == 0)) {
            mkv_cbor_fail(r, MKV_E_MALFORMED);
        } else if (item.kind == MKV_CBOR_BREAK) {
            n_open--;
        } else if (n_open == 0) {
            n_left = n_left - 1 + n_content(&item); /* no overflow: so many fit into the rest */
        }
        n_open += item.indefinite;
    }
}

bool mkv_update_find_dot(struct mkv_bytes in, struct mkv_tick *ret_dot)
{
    struct mkv_ticks ticks = {0};
    struct mkv_header h;
    uint64_t key;

    mkv_header_init(&h, in);
    while (mkv_header_next(&h, &key)) {
        if (key == KEY_TICKS) {
            mkv_ticks_read(&h.cbor, &ticks);
        } else {
            pass_over(&h.cbor);
        }
    }
    if (mkv_header_finish(&h) != 0 || ticks.n == 0) {
        return false;
    }
    *ret_dot = ticks.at[0];
    return true;
}

static void write_update(struct mkv_cbor_writer *w, const struct mkv_update *update, bool room)
{
    static const uint8_t none[MKV_PROOF_LEN];

    mkv_cbor_write_map(w, 1U + update->has_tock + update->present + room);
    if (update->has_tock) {
        mkv_cbor_write_uint(w, KEY_TOCK);
        mkv_cbor_write_uint(w, update->tock);
    }
    if (update->present) {
        mkv_cbor_write_uint(w, KEY_VALUE);
        mkv_cbor_write_raw(w, update->value);
    }
    mkv_cbor_write_uint(w, KEY_TICKS);
    mkv_ticks_write(w, &update->ticks);
    if (room) {
        mkv_cbor_write_uint(w, KEY_MAC);
        mkv_cbor_write_bytes(w, mkv_bytes(none, sizeof(none)));
    }
}

static int encode(const struct mkv_update *update, bool room, struct mkv_buf *out)
{
    struct mkv_cbor_writer w;
    size_t start = out->len;

    mkv_cbor_writer_init(&w, out);
    write_update(&w, update, room);
    if (w.error == 0 && out->len - start > MKV_UPDATE_MAX) {
        w.error = MKV_E_TOO_LARGE;
    }
    if (w.error != 0) {
        mkv_buf_truncate(out, start);
    }
    return w.error;
}

int mkv_update_encode(const struct mkv_update *update, struct mkv_buf *out)
{
    return encode(update, false, out);
}

int mkv_update_encode_room(const struct mkv_update *update, struct mkv_buf *out)
{
    return encode(update, true, out);
}

void mkv_entry_read_parts(struct mkv_cbor_reader *r, bool present, struct mkv_update *ret_entry)
{
    struct mkv_update entry = {.has_tock = true, .present = present};

    entry.tock = mkv_cbor_read_uint_below(r, TOCK_BOUND);
    mkv_ticks_read(r, &entry.ticks);
    if (present) {
        entry.value = mkv_cbor_read_raw(r);
    }
    if (r->error == 0) {
        *ret_entry = entry;
    }
}

void mkv_entry_read(struct mkv_cbor_reader *r, struct mkv_update *ret_entry)
{
    uint64_t n = mkv_cbor_read_array(r, UINT64_MAX);

    if (n != 2 && n != 3) {
        mkv_cbor_fail(r, MKV_E_MALFORMED);
    }
    mkv_entry_read_parts(r, n == 3, ret_entry);
}

void mkv_entry_write_parts(struct mkv_cbor_writer *w, const struct mkv_update *entry)
{
    mkv_cbor_write_uint(w, entry->tock);
    mkv_ticks_write(w, &entry->ticks);
    if (entry->present) {
        mkv_cbor_write_raw(w, entry->value);
    }
}

void mkv_entry_write(struct mkv_cbor_writer *w, const struct mkv_update *entry)
{
    mkv_cbor_write_array(w, 2U + entry->present);
    mkv_entry_write_parts(w, entry);
}
