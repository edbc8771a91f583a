/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/known.h"

#include "cli/rows.h"
#include "cli/say.h"

void mkv_known_init(struct mkv_known *known)
{
    *known = (struct mkv_known){0};
    mkv_buf_init(&known->rows, SIZE_MAX / 2);
    mkv_buf_init(&known->keys, SIZE_MAX / 2);
}

void mkv_known_deinit(struct mkv_known *known)
{
    for (size_t i = 0; i < mkv_known_count(known); i++) {
        moatkv_entry_free(mkv_known_at(known, i)->entry);
    }
    mkv_buf_deinit(&known->rows);
    mkv_buf_deinit(&known->keys);
}

static int keep(struct mkv_known *known, struct mkv_bytes key, const moatkv_entry *entry)
{
    struct mkv_known_row row = {.key_start = known->keys.len, .key_len = key.len};
    int error = mkv_buf_append(&known->keys, key);

    if (error != 0) {
        return error;
    }
    row.entry = moatkv_entry_copy(entry);
    if (row.entry == NULL) {
        return MKV_E_NO_MEMORY;
    }
    error = mkv_buf_append(&known->rows, mkv_bytes(&row, sizeof(row)));
    if (error != 0) {
        moatkv_entry_free(row.entry);
        return error;
    }
    known->n_live += moatkv_entry_deleted(entry) ? 0 : 1;
    return 0;
}

static enum mkv_exit on_row(void *user, struct mkv_bytes key, const moatkv_entry *entry)
{
    struct mkv_known *known = user;
    int error = 0;

    if (known->reserved || !mkv_place_is_reserved(key)) {
        error = keep(known, key, entry);
    }
    return error == 0
               ? MKV_EXIT_OK
               : mkv_say(mkv_exit_of(error), "reading what is there: %s", mkv_error_text(error));
}

enum mkv_exit mkv_known_read(struct mkv_known *known,
                             struct mkv_cli *cli,
                             const struct mkv_place *place,
                             const moatkv_read_how *how)
{
    known->reserved = mkv_place_is_reserved(mkv_buf_bytes(&place->key));
    return mkv_rows_read(cli, place, how, on_row, known);
}

size_t mkv_known_count(const struct mkv_known *known)
{
    return known->rows.len / sizeof(struct mkv_known_row);
}

struct mkv_known_row *mkv_known_at(const struct mkv_known *known, size_t i)
{
    return (struct mkv_known_row *)(void *)known->rows.at + i; /* aligned: the heap's own */
}

struct mkv_known_row *mkv_known_find(const struct mkv_known *known, struct mkv_bytes key)
{
    size_t low = 0;
    size_t high = mkv_known_count(known);

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct mkv_known_row *row = mkv_known_at(known, middle);
        struct mkv_bytes other = mkv_bytes(known->keys.at + row->key_start, row->key_len);
        int order = mkv_bytes_compare(other, key);

        if (order == 0) {
            return row;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}
