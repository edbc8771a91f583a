/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where this server sets aside what it alone still held when the others had forgotten it
 * (docs/protocol.md, section 12): dump files in the state directory, for `moat-kv restore`.
 *
 *     header, row, row, end, header, row, row, row, end ...
 *
 * Each call appends a whole dump with an end of its own and touches nothing of what is there.  A
 * crash in the middle of one leaves a damaged end, for `restore --partial`; its rows are then still
 * in the store, as that commits only after the call.  A file that could not be written is left as
 * it was, and the next call begins another one.
 */
#ifndef MKV_DAEMON_QUARANTINE_H
#define MKV_DAEMON_QUARANTINE_H

#include "base/bytes.h"
#include "base/error.h"
#include "core/store.h"
#include "io/why.h"
#include "wire/dump.h"

#define MKV_QUARANTINE_FILES_MAX 1000U /* in a directory; then nothing more is set aside */
#define MKV_QUARANTINE_NAME_MAX  512U

struct mkv_quarantine_file {
    const char *directory; /* borrowed */
    uint8_t store[MKV_STORE_ID_LEN];
    char name[MKV_QUARANTINE_NAME_MAX]; /* of the present file */
    int fd;                             /* -1: there is none */
    uint64_t size;                      /* of it */
    uint64_t n_rows;                    /* in it */
};

/* Touches no file.  @directory must outlive it. */
void mkv_quarantine_file_init(struct mkv_quarantine_file *file,
                              const char *directory,
                              const uint8_t store[MKV_STORE_ID_LEN]);
void mkv_quarantine_file_deinit(struct mkv_quarantine_file *file);

/*
 * Adds @rows, as mkv_dump_cbor_row() makes them, one after the other: on 0 they are on the disk, in
 * the file called @name.  DISK_FULL, IO, NO_MEMORY, MALFORMED, TOO_MANY (files): nothing was added, and @why
 * (may be NULL) says which file cannot be written, and why.
 */
int mkv_quarantine_file_keep(struct mkv_quarantine_file *file,
                             struct mkv_bytes rows,
                             struct mkv_why *why) MKV_MUST_CHECK;

/* How many files of earlier runs there are. */
uint32_t mkv_quarantine_count(const char *directory);

#endif
