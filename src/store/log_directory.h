/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory that a log lives in: making it, keeping others out of it, the note in it, and its
 * disk's space.
 */
#ifndef MKV_STORE_LOG_DIRECTORY_H
#define MKV_STORE_LOG_DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "store/log.h"
#include "store/store.h"

/* The error that an errno stands for: NO_MEMORY, DISK_FULL, or IO for all the rest; 0 for 0. */
int mkv_log_directory_error(int number);

/*
 * Makes the directory if it is missing, locks it, and checks the data file if there is one.
 * *ret_lock_fd: closing it gives the lock back, as does the end of the process.  LOCKED, CORRUPT,
 * IO, DISK_FULL, NO_MEMORY; @detail tells.
 */
int mkv_log_directory_claim(const char *directory,
                            int *ret_lock_fd,
                            char detail[MKV_DETAIL_MAX]) MKV_MUST_CHECK;

/* The note beside the log, as in store/log.h: it is the file "generation" of the directory. */
int mkv_log_directory_note(const char *directory,
                           uint8_t ret_note[MKV_LOG_NOTE_MAX],
                           size_t *ret_len) MKV_MUST_CHECK;
int mkv_log_directory_set_note(const char *directory, struct mkv_bytes note) MKV_MUST_CHECK;

/* Whether the file could not grow by @need bytes. */
bool mkv_log_directory_full(int fd, size_t need);

#endif
