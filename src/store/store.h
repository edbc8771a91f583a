/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening and closing a store; what is done with an open one is in core/store.h.
 */
#ifndef MKV_STORE_STORE_H
#define MKV_STORE_STORE_H

#include "core/store.h"

/* Randomness and settings for opening.  Nothing random is made inside. */
struct mkv_store_options {
    uint8_t id[16];         /* used if the store is new */
    uint8_t digest_key[16]; /* used if the store is new */
    uint64_t boot_nonce;    /* of this opening; below 2^63 */
    uint64_t size_max; /* bytes the file may grow to; 0: the default of 64 GiB (1 GiB on 32 bit) */
};

/* What opening found. */
struct mkv_store_report {
    bool created;
    uint64_t n_rows;    /* in the log, dead ones included */
    uint64_t n_corrupt; /* rows left out because their checksum is wrong */
};

/*
 * Opens, or makes, the store in @directory (file names are the store's own; mode 0600), scans the
 * log and builds the tree.  IO, DISK_FULL, LOCKED, FORMAT, CORRUPT, NO_MEMORY.  On error, *detail
 * (1,024 bytes, from the caller) says what and where in words.
 */
int mkv_store_open(const char *directory,
                   const struct mkv_store_options *options,
                   struct mkv_store **ret_store,
                   struct mkv_store_report *ret_report,
                   char detail[1024]) MKV_MUST_CHECK;

/* The same in memory: for tests and the simulator. */
int mkv_store_open_memory(const struct mkv_store_options *options,
                          struct mkv_store **ret_store) MKV_MUST_CHECK;

/* Aborts what is open.  NULL is fine. */
void mkv_store_close(struct mkv_store *store);

#endif
