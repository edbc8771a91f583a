/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dump files: all rows of a subtree, with their ticks, to be restored bit by bit
 * (docs/formats.md, "Dump files").
 *
 *     header, row, row, ..., end        in CBOR, or
 *             row, row, ..., end        in lines of JSON
 *
 * Both sides work on buffers: who reads and writes the file is not decided here.  The reader needs
 * room for one row, however large the file is.  Dumps in CBOR may follow one another in a file.  It gives rows out as they come, so a fault may show
 * after some rows have been used; only MKV_DUMP_END says that the file is whole.
 */
#ifndef MKV_CLI_DUMPFILE_H
#define MKV_CLI_DUMPFILE_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "notation/problem.h"
#include "wire/dump.h"

enum mkv_dump_format {
    MKV_DUMP_CBOR,
    MKV_DUMP_LINES,
};

struct mkv_dump_writer {
    enum mkv_dump_format format;
    struct mkv_buf *out; /* borrowed; may be emptied between calls */
    uint64_t n_rows;
    struct mkv_dump_hash hash;
};

/* Each appends to @out.  TOO_LARGE, NO_MEMORY: nothing was appended, the file is of no use. */
int mkv_dump_writer_init(struct mkv_dump_writer *w,
                         enum mkv_dump_format format,
                         const struct mkv_dump_header *header,
                         struct mkv_buf *out) MKV_MUST_CHECK;
/* @entry has a tock and at least one tick, else BAD_ARGUMENT; a tombstone is kept as one. */
int mkv_dump_writer_add(struct mkv_dump_writer *w,
                        struct mkv_bytes key,
                        const struct mkv_update *entry) MKV_MUST_CHECK;
int mkv_dump_writer_finish(struct mkv_dump_writer *w) MKV_MUST_CHECK;

/* One piece of a file is at most this long. */
#define MKV_DUMP_PIECE_MAX 65536U

/* A value of 1 MiB, as "\u0000" or "{"$simple":23}", and its path and ticks. */
#define MKV_DUMP_RECORD_MAX (8U * MKV_VALUE_MAX + 16384U)

enum mkv_dump_verdict {
    MKV_DUMP_MORE, /* feed another piece, or say that there is none */
    MKV_DUMP_ROW,
    MKV_DUMP_END,   /* everything has been read and is whole */
    MKV_DUMP_FAULT, /* see the problem; nothing more can be read */
};

enum mkv_dump_state {
    MKV_DUMP_AT_START,
    MKV_DUMP_IN_ROWS,
    MKV_DUMP_AFTER_END,
};

struct mkv_dump_reader {
    enum mkv_dump_format format; /* from the first byte on */
    enum mkv_dump_state state;
    bool closed;       /* no more will be fed */
    struct mkv_buf in; /* owned: what was fed and not yet dropped */
    size_t used;       /* of it, what was read */
    uint64_t offset;   /* in the file, of what is not yet read */
    uint64_t n_rows;   /* that were read */
    uint64_t n_whole;  /* those of them that are before an end, and so as they were written */
    uint64_t n_ends;
    uint64_t n_lines;
    struct mkv_buf key;  /* owned: of the present row */
    struct mkv_buf item; /* owned: the present line in CBOR */
    struct mkv_problem *problem;
    struct mkv_dump_hash hash;

    bool has_header; /* from the first row on, if the file is CBOR */
    struct mkv_buf header_path;
    struct mkv_dump_header header;
    uint8_t store[MKV_NAME_MAX]; /* what the header's id points to */
};

/* @problem is borrowed. */
void mkv_dump_reader_init(struct mkv_dump_reader *r, struct mkv_problem *problem);
void mkv_dump_reader_deinit(struct mkv_dump_reader *r);

/* Adds the next piece of the file, after MKV_DUMP_MORE.  NO_MEMORY; BAD_ARGUMENT if too long. */
int mkv_dump_reader_feed(struct mkv_dump_reader *r, struct mkv_bytes piece) MKV_MUST_CHECK;

/* Says that the file ends here.  From now on there is no MKV_DUMP_MORE. */
void mkv_dump_reader_close(struct mkv_dump_reader *r);

/*
 * Reads on.  ROW: the row's path and entry, borrowed until the next call of any function.  FAULT:
 * the problem names the row and where it lies.  After END and FAULT, it says so again.
 */
enum mkv_dump_verdict mkv_dump_reader_next(struct mkv_dump_reader *r,
                                           struct mkv_bytes *ret_key,
                                           struct mkv_update *ret_entry);

#endif
