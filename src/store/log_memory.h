/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log in memory, for tests and the simulator.  The disk outlives the log, so that a crash is to
 * close a store without committing and to open it again on the same disk; and it fails on demand.
 */
#ifndef MKV_STORE_LOG_MEMORY_H
#define MKV_STORE_LOG_MEMORY_H

#include "store/log.h"

struct mkv_disk;

/* @size_max: bytes it holds, counting 32 a row; 0: no limit.  NULL if out of memory. */
struct mkv_disk *mkv_disk_new(uint64_t size_max) MKV_MUST_CHECK;

/* No log may be open on it.  NULL is fine. */
void mkv_disk_free(struct mkv_disk *disk);

/*
 * The @n-th access from now (1: the next begin, put, remove, commit, get or seek, or to the note)
 * fails with @error, and only that one.  0: none does.
 */
void mkv_disk_fail_at(struct mkv_disk *disk, uint64_t n, int error);

/* Whether it has failed. */
bool mkv_disk_failed(const struct mkv_disk *disk);

/* How many transactions have been committed on it. */
uint64_t mkv_disk_commits(const struct mkv_disk *disk);

/* From now on the limit is this. */
void mkv_disk_resize(struct mkv_disk *disk, uint64_t size_max);

/* Inverts a bit of the @n-th row of a table (0: the first), if there is one. */
void mkv_disk_damage(struct mkv_disk *disk, enum mkv_log_table table, size_t n);

/*
 * A backup of the log without the note beside it, made at any time but in a transaction (BAD_STATE,
 * NO_MEMORY), and freed like any disk; and what a backup holds, put in the place of the disk's own
 * log, while none is open on it.  The backup stays as it is.  NO_MEMORY: nothing has changed.
 */
int mkv_disk_snapshot(const struct mkv_disk *disk, struct mkv_disk **ret_copy) MKV_MUST_CHECK;
int mkv_disk_restore(struct mkv_disk *disk, const struct mkv_disk *copy) MKV_MUST_CHECK;

/* One log at a time.  @owns: closing the log frees the disk, too.  NO_MEMORY. */
int mkv_log_memory_open(struct mkv_disk *disk, bool owns, struct mkv_log **ret_log) MKV_MUST_CHECK;

#endif
