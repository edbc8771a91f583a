/* SPDX-License-Identifier: Apache-2.0 */
#include "store/generation.h"

#include <inttypes.h>
#include <stdio.h>

#include "store/meta.h"

#define FLAG_RESTORED 1U
#define FLAG_LOST     2U

/* "<id> <nonce> <number>\n", all in hexadecimal digits. */
#define NOTE_LEN    (2U * MKV_STORE_ID_LEN + 1U + 16U + 1U + 16U + 1U)
#define NUMBER_FROM (2U * MKV_STORE_ID_LEN + 1U + 16U + 1U)

/* Transactions from one note to the next: a note costs as much as a few of them. */
#define NOTE_EVERY 1024U

_Static_assert(NOTE_LEN < MKV_LOG_NOTE_MAX, "with a NUL it must fit");

static struct mkv_bytes name_of_row(void)
{
    return mkv_bytes_of("generation");
}

static struct mkv_note note_of(const uint8_t id[MKV_STORE_ID_LEN], uint64_t boot, uint64_t number)
{
    struct mkv_note note = {.len = NOTE_LEN};
    char *text = (char *)note.at;

    for (size_t i = 0; i < MKV_STORE_ID_LEN; i++) {
        (void)snprintf(text + 2 * i, 3, "%02x", id[i]);
    }
    (void)snprintf(text + (size_t)2 * MKV_STORE_ID_LEN, NOTE_LEN - 2 * MKV_STORE_ID_LEN + 1,
                   " %016" PRIx64 " %016" PRIx64 "\n", boot, number);
    return note;
}

static bool same(const struct mkv_note *a, const struct mkv_note *b)
{
    return mkv_bytes_equal(mkv_bytes(a->at, a->len), mkv_bytes(b->at, b->len));
}

/* Whether it is one of the same boot, and of the same time or earlier; digits sort as numbers. */
static bool leads_to(const struct mkv_note *note, const struct mkv_note *now)
{
    return note->len == NOTE_LEN && memcmp(note->at, now->at, NUMBER_FROM) == 0 &&
           memcmp(note->at + NUMBER_FROM, now->at + NUMBER_FROM, NOTE_LEN - NUMBER_FROM) <= 0;
}

/* A row that is damaged is one that is lost; a log that has none yet knows of no note. */
static int load_row(struct mkv_generation *generation,
                    struct mkv_log *log,
                    struct mkv_note *ret_known)
{
    struct mkv_bytes row;
    struct mkv_note known = {0};
    int error = mkv_meta_get(log, MKV_META_STORE, name_of_row(), &row);

    if (error == 0 && (row.len == 0 || row.len > 1 + sizeof(known.at))) {
        error = MKV_E_CORRUPT;
    }
    if (error == 0) {
        generation->verdict.restored = (row.at[0] & FLAG_RESTORED) != 0;
        generation->verdict.lost = (row.at[0] & FLAG_LOST) != 0;
        known.len = row.len - 1;
        memcpy(known.at, row.at + 1, known.len);
    } else if (error == MKV_E_CORRUPT) {
        generation->verdict.lost = true;
    } else if (error != MKV_E_NOT_FOUND) {
        return error;
    }
    *ret_known = known;
    return 0;
}

int mkv_generation_load(struct mkv_generation *generation,
                        struct mkv_log *log,
                        const uint8_t id[MKV_STORE_ID_LEN],
                        const uint64_t *last_boot,
                        bool is_new)
{
    struct mkv_note *note = &generation->note;
    struct mkv_note known;
    int error = load_row(generation, log, &known);

    if (error == 0) {
        error = log->methods->note_read(log, note->at, &note->len);
    }
    if (error != 0) {
        return error;
    }
    if (is_new || same(note, &known)) {
        return 0;
    }
    if (last_boot == NULL) {
        generation->verdict.lost = true;
        return 0;
    }

    struct mkv_note now = note_of(id, *last_boot, log->methods->number(log));

    generation->verdict.restored = generation->verdict.restored || !leads_to(note, &now);
    return 0;
}

int mkv_generation_save(const struct mkv_generation *generation, struct mkv_log *log)
{
    const struct mkv_note *note = &generation->note;
    uint8_t row[1 + sizeof(note->at)];

    row[0] = (uint8_t)((generation->verdict.restored ? FLAG_RESTORED : 0) |
                       (generation->verdict.lost ? FLAG_LOST : 0));
    memcpy(row + 1, note->at, note->len);
    return mkv_meta_put(log, MKV_META_STORE, name_of_row(), mkv_bytes(row, 1 + note->len));
}

static bool is_due(const struct mkv_generation *generation, uint64_t number, bool end)
{
    if (!generation->boot_saved) {
        return false;
    }
    if (end) {
        return !generation->noted || generation->noted_number != number;
    }
    return number >= generation->next_number;
}

void mkv_generation_note(struct mkv_generation *generation,
                         struct mkv_log *log,
                         const uint8_t id[MKV_STORE_ID_LEN],
                         uint64_t boot,
                         bool end)
{
    uint64_t number = log->methods->number(log);

    if (!is_due(generation, number, end)) {
        return;
    }

    struct mkv_note note = note_of(id, boot, number);

    if (log->methods->note_write(log, mkv_bytes(note.at, note.len)) != 0) {
        generation->next_number = number + 1;
        return;
    }
    generation->note = note;
    generation->noted = true;
    generation->noted_number = number;
    generation->next_number = number + NOTE_EVERY;
}
