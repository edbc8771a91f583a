/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the store needs of whatever keeps its bytes: two ordered tables that change in one
 * transaction.  It knows nothing of what the rows mean.
 *
 * Keys have 1..255 bytes and sort as bytes.  Bytes given to a method may be borrowed from anywhere
 * but the log.  Bytes handed out are borrowed from the log and valid until its next begin, put,
 * remove, commit or abort; of one table until its next get or seek.
 *
 * After an error of put, remove or commit only abort() makes sense (commit has aborted already).
 * Errors are IO, DISK_FULL, MAP_FULL, NO_MEMORY, CORRUPT and, of a transaction beyond what the
 * log can hold at once, TOO_LARGE.
 */
#ifndef MKV_STORE_LOG_H
#define MKV_STORE_LOG_H

#include "base/bytes.h"
#include "base/error.h"

#define MKV_LOG_KEY_MAX  255U
#define MKV_LOG_NOTE_MAX 80U /* bytes of the note beside the log; what is longer is cut */

enum mkv_log_table {
    MKV_LOG_ROWS, /* each put has a greater key than all before it */
    MKV_LOG_META,
};

enum mkv_log_purpose {
    MKV_LOG_WRITE,
    MKV_LOG_TIDY, /* makes room, and so may use what is set aside for that */
};

struct mkv_log {
    const struct mkv_log_methods *methods;
};

struct mkv_log_methods {
    /* NOT_FOUND. */
    int (*get)(struct mkv_log *log,
               enum mkv_log_table table,
               struct mkv_bytes key,
               struct mkv_bytes *ret_value) MKV_MUST_CHECK;

    /* The first row whose key is @key or greater (the empty key: of all).  NOT_FOUND. */
    int (*seek)(struct mkv_log *log,
                enum mkv_log_table table,
                struct mkv_bytes key,
                struct mkv_bytes *ret_key,
                struct mkv_bytes *ret_value) MKV_MUST_CHECK;

    /* Opens a transaction; none is open.  On error none is open still. */
    int (*begin)(struct mkv_log *log, enum mkv_log_purpose purpose) MKV_MUST_CHECK;

    /* Adds or replaces a row of @len bytes; the caller writes them to *ret_at, at once. */
    int (*put)(struct mkv_log *log,
               enum mkv_log_table table,
               struct mkv_bytes key,
               size_t len,
               uint8_t **ret_at) MKV_MUST_CHECK;

    /* A row that is not there is NOT_FOUND, and nothing is broken. */
    int (*remove)(struct mkv_log *log,
                  enum mkv_log_table table,
                  struct mkv_bytes key) MKV_MUST_CHECK;

    /* Returns when all is on disk. */
    int (*commit)(struct mkv_log *log) MKV_MUST_CHECK;
    void (*abort)(struct mkv_log *log);

    /* Of the last transaction that was committed; each has a greater one than those before it. */
    uint64_t (*number)(struct mkv_log *log);

    /*
     * A note beside the log, which does not go where a copy of the log goes, and is no part of any
     * transaction.  Nothing is read if there is none.  When writing returns, the note is on the
     * disk; on an error, it may be either the new or the old one.
     */
    int (*note_read)(struct mkv_log *log,
                     uint8_t ret_note[MKV_LOG_NOTE_MAX],
                     size_t *ret_len) MKV_MUST_CHECK;
    int (*note_write)(struct mkv_log *log, struct mkv_bytes note) MKV_MUST_CHECK;

    void (*sizes)(struct mkv_log *log, uint64_t *ret_bytes_used, uint64_t *ret_bytes_max);

    /* Aborts what is open. */
    void (*free)(struct mkv_log *log);
};

#endif
