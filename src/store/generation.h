/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a log is the one that was here last, or a backup of it that has been put back.
 *
 * Beside the log lies a note (store/log.h).  It names the store, a boot, and the number of a
 * transaction of that boot:
 *
 *     note:   store s, boot c, number 310
 *     log:    store s, last boot c, now at 350    it is the one
 *             store s, last boot c, now at 290    a backup: the note knows of more
 *             store s, last boot b                a backup
 *
 * The note of a boot is written when that boot is in the log.  If this fails, or the end comes
 * between the two, it still is what it was before: so the log remembers what it was when the boot
 * began.  A note that is not there is one that says nothing.
 *
 * A backup that has brought the note with it cannot be told from what it is a copy of, nor can one
 * that is younger than the note.
 */
#ifndef MKV_STORE_GENERATION_H
#define MKV_STORE_GENERATION_H

#include "store/log.h"
#include "store/store.h"

struct mkv_note {
    uint8_t at[MKV_LOG_NOTE_MAX];
    size_t len;
};

/* What has not been made up for yet; it stays until somebody accepts it. */
struct mkv_verdict {
    bool restored;
    bool lost; /* rows could not be read */
};

struct mkv_generation {
    struct mkv_verdict verdict;
    struct mkv_verdict verdict_saved; /* as of the last commit */
    struct mkv_note note;             /* that lies beside the log now */
    bool boot_saved;                  /* this boot is in the log */
    bool noted;                       /* and in the note */
    uint64_t noted_number;            /* then: the transaction that it names */
    uint64_t next_number;             /* when to write the note again */
};

/*
 * Reads note and row, and judges a log whose last boot, before this one, was @last_boot (NULL: it is
 * lost).  @is_new: it has never had one, and so cannot have been restored.  IO, NO_MEMORY.
 */
int mkv_generation_load(struct mkv_generation *generation,
                        struct mkv_log *log,
                        const uint8_t id[MKV_STORE_ID_LEN],
                        const uint64_t *last_boot,
                        bool is_new) MKV_MUST_CHECK;

/* Writes the row in the log's open transaction.  Errors of the log. */
int mkv_generation_save(const struct mkv_generation *generation,
                        struct mkv_log *log) MKV_MUST_CHECK;

/*
 * Writes the note, while no transaction is open, if it is due: when the boot has been saved, now
 * and then, and at the @end if the log has changed since.  If it cannot be written, it is due again
 * after the next transaction.
 */
void mkv_generation_note(struct mkv_generation *generation,
                         struct mkv_log *log,
                         const uint8_t id[MKV_STORE_ID_LEN],
                         uint64_t boot,
                         bool end);

#endif
