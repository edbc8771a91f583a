/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that a user names; "-" is standard input.
 */
#ifndef MKV_CLI_FILE_H
#define MKV_CLI_FILE_H

#include "base/buf.h"
#include "base/error.h"
#include "cli/exit.h"

/* Each tells the user what went wrong. */

/* Opens a file for reading.  *ret_fd is to be closed, also that of standard input. */
enum mkv_exit mkv_file_open(const char *name, int *ret_fd) MKV_MUST_CHECK;

/* Appends one piece, none at the end. */
enum mkv_exit mkv_file_read(int fd, const char *name, size_t max, struct mkv_buf *out)
    MKV_MUST_CHECK;

/* Appends all of a file, as far as @out may grow. */
enum mkv_exit mkv_file_read_all(const char *name, struct mkv_buf *out) MKV_MUST_CHECK;

/* As mkv_file_open(), of a file that can be read twice: what cannot is copied to one without name. */
enum mkv_exit mkv_file_open_twice(const char *name, int *ret_fd) MKV_MUST_CHECK;

/*
 * A file that appears under its name only when it is complete: until then it lies beside it as
 * NAME.XXXXXX.
 */
struct mkv_file {
    const char *name; /* borrowed */
    char *target;     /* owned: where the name leads to; NULL: a device or a pipe */
    char *temporary;  /* owned; NULL like @target */
    int fd;
};

enum mkv_exit mkv_file_create(struct mkv_file *file, const char *name) MKV_MUST_CHECK;
/* On the disk, and under its name. */
enum mkv_exit mkv_file_commit(struct mkv_file *file) MKV_MUST_CHECK;
/* Removes what is not committed.  A zeroed file is fine. */
void mkv_file_deinit(struct mkv_file *file);

#endif
