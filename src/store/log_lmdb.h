/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log in LMDB, in a directory of its own:
 *
 *     data.mdb, lock.mdb    LMDB's
 *     generation            the note; generation.new while it is being written
 *     store.lock            held by flock() while the log is open; gone with its process
 *
 * The memory map grows ahead of need, before a transaction begins, and never beyond its limit.  A
 * part of the limit is set aside, so that dead rows can be deleted when everything else is full.
 */
#ifndef MKV_STORE_LOG_LMDB_H
#define MKV_STORE_LOG_LMDB_H

#include "store/log.h"
#include "store/store.h"

/*
 * Opens or makes the log; the directory is made if it is missing, its parent is not.  @size_max:
 * as in struct mkv_store_options.  IO, DISK_FULL, MAP_FULL, LOCKED, FORMAT, CORRUPT, NO_MEMORY.
 */
int mkv_log_lmdb_open(const char *directory,
                      uint64_t size_max,
                      struct mkv_log **ret_log,
                      char detail[MKV_DETAIL_MAX]) MKV_MUST_CHECK;

#endif
