/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening and closing a store; what is done with an open one is in core/store.h.
 */
#ifndef MKV_STORE_STORE_H
#define MKV_STORE_STORE_H

#include "core/store.h"

#define MKV_DETAIL_MAX 1024U /* bytes of the text that tells why opening failed, NUL included */

/* Randomness and settings for opening.  Nothing random is made inside. */
struct mkv_store_options {
    uint8_t id[16]; /* used if the store is new */
    uint8_t
        digest_key[16];  /* of the index, which is made anew each time; see mkv_digest_key_of() */
    uint64_t boot_nonce; /* of this opening; below 2^63 */
    /*
     * Bytes that the file may grow to, at least 1 MiB; 0: 64 GiB (1 GiB on 32 bit).  Up to 8 MiB
     * of them, an eighth at most, are kept for making room.
     */
    uint64_t size_max;
};

/* What opening found. */
struct mkv_store_report {
    bool created;
    uint64_t n_rows;    /* in the log, dead ones included */
    uint64_t n_corrupt; /* rows left out because their checksum is wrong */

    /* What holds from the opening that found it until mkv_store_mark_restored() says otherwise: */
    bool restored; /* this is an older state of the store, put back from a backup */
    bool lost;     /* rows have become corrupt */
};

/*
 * Opens, or makes, the store in @directory, scans the log and builds the tree.  The directory
 * itself is made if it is missing (mode 0700; files 0600, their names are the store's own).
 *
 * IO, LOCKED, FORMAT (of a later version, or damaged), CORRUPT, NO_MEMORY; DISK_FULL and MAP_FULL
 * only if the store is new, or of an older format: any other opens, so that it can be read.  On error @detail says
 * what and where in words, and nothing is left open.
 *
 * A store is taken for restored if the note beside the log (store/generation.h), which backups of
 * the log should not have with them, does not fit.  That it could not be written is no reason.
 *
 * Rows whose checksum is wrong are left out and counted, and stay on the disk.  When some are found
 * for the first time, all places of earlier boots become invalid.
 */
int mkv_store_open(const char *directory,
                   const struct mkv_store_options *options,
                   struct mkv_store **ret_store,
                   struct mkv_store_report *ret_report,
                   char detail[MKV_DETAIL_MAX]) MKV_MUST_CHECK;

/*
 * The same on a disk in memory that outlives the store and fails on demand (store/log_memory.h):
 * for tests and the simulator.  @options->size_max is not used; the disk has a limit of its own.
 */
struct mkv_disk;
int mkv_store_open_disk(struct mkv_disk *disk,
                        const struct mkv_store_options *options,
                        struct mkv_store **ret_store,
                        struct mkv_store_report *ret_report) MKV_MUST_CHECK;

/* The same on a disk of its own that is gone when it is closed.  NO_MEMORY. */
int mkv_store_open_memory(const struct mkv_store_options *options,
                          struct mkv_store **ret_store) MKV_MUST_CHECK;

/* Aborts what is open, and writes the note beside the log.  NULL is fine. */
void mkv_store_close(struct mkv_store *store);

#endif
