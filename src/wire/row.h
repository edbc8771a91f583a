/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows: the content of `data` frames (docs/protocol.md, section 7.3).
 *
 * A stream of rows is cut into pages, one list of rows each.  A row names its path by what it
 * shares with the row before, across pages:
 *
 *     requested   ["home"]
 *     row         [1, [], tock, ticks, value]                  home
 *     row         [1, ["hall", "lamp"], tock, ticks, value]    home.hall.lamp
 *     row         [2, ["door"], tock, ticks]                   home.hall.door, deleted
 */
#ifndef MKV_WIRE_ROW_H
#define MKV_WIRE_ROW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "wire/cbor.h"
#include "wire/update.h"

/* Builds pages.  `= {0}` may be deinitialised. */
struct mkv_row_writer {
    struct mkv_buf rows;     /* owned: the rows of this page, without the list's head */
    struct mkv_buf previous; /* owned: the key of the last row, or of the stream's start */
    uint32_t n;              /* rows of this page */
};

/* @start is the key of the path that was asked for; it is copied.  NO_MEMORY. */
int mkv_row_writer_init(struct mkv_row_writer *w, struct mkv_bytes start) MKV_MUST_CHECK;
void mkv_row_writer_deinit(struct mkv_row_writer *w);

/*
 * Appends a row to the page.  @key is valid; @entry has a tock.  With @keys_only the value of a
 * live row is written as null.
 *
 * TOO_LARGE: the page is full (by rows or bytes): take it, then add this row again; a row always
 * fits into an empty page.  NO_MEMORY.  After an error the page is as it was.
 */
int mkv_row_writer_add(struct mkv_row_writer *w,
                       struct mkv_bytes key,
                       const struct mkv_update *entry,
                       bool keys_only) MKV_MUST_CHECK;

/*
 * Appends the page's list of rows to @out and starts the next page; the path goes on.  TOO_LARGE,
 * NO_MEMORY: then @out and the page are as they were.
 */
int mkv_row_writer_take(struct mkv_row_writer *w, struct mkv_buf *out) MKV_MUST_CHECK;

/* Walks them.  One reader serves a whole stream.  `= {0}` may be deinitialised. */
struct mkv_row_reader {
    struct mkv_cbor_reader cbor;
    struct mkv_buf key; /* owned: the key of the present row */
    uint64_t left;      /* rows of this page not yet read */
};

/* @start as for the writer.  NO_MEMORY. */
int mkv_row_reader_init(struct mkv_row_reader *r, struct mkv_bytes start) MKV_MUST_CHECK;
void mkv_row_reader_deinit(struct mkv_row_reader *r);

/*
 * Starts with the rows of the next page, which must live as long as they are read.  MALFORMED,
 * TOO_MANY rows, NOT_MINIMAL, TRUNCATED.
 */
int mkv_row_reader_page(struct mkv_row_reader *r, struct mkv_bytes rows) MKV_MUST_CHECK;

/*
 * Reads the next row: true, its key in r->key and its content, which borrows from the page.  False
 * at the end of the page and on an error, which is then in r->cbor.error; after an error the key
 * is lost and the stream cannot be read on.
 */
bool mkv_row_reader_next(struct mkv_row_reader *r, struct mkv_update *ret_entry);

/*
 * Checks the shape of a page and returns its bytes.  Each path and value has limits of its own, so
 * mkv_cbor_read_raw(), which knows those of a single value, is not for pages.
 */
struct mkv_bytes mkv_rows_read_raw(struct mkv_cbor_reader *r);

#endif
