/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the pages of an LMDB data file hang together.
 *
 * LMDB trusts its file: one flipped bit in a page's head makes it read or write somewhere in
 * memory.  So the whole structure is walked once before LMDB gets to see it: both heads, all page
 * numbers, every offset and length within a page, the order of all keys, the counts, the lists of
 * free pages, and that no page is used twice.  What rows and meta rows hold is not looked at;
 * those have checksums.
 *
 * Known is the format of LMDB 0.9 in this machine's byte order and word size, with tables named
 * "rows" (keys of 8 bytes) and "meta", neither of them with duplicates.
 */
#ifndef MKV_STORE_LMDB_CHECK_H
#define MKV_STORE_LMDB_CHECK_H

#include "base/bytes.h"
#include "base/error.h"

/* Where the first damage was found. */
struct mkv_lmdb_damage {
    uint64_t page;
    const char *what; /* static */
};

/*
 * @file is all of the data file, and not empty.  CORRUPT: *ret_damage tells (only then);
 * NO_MEMORY.
 */
int mkv_lmdb_check(struct mkv_bytes file, struct mkv_lmdb_damage *ret_damage) MKV_MUST_CHECK;

#endif
