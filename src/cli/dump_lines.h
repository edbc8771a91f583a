/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records of a dump in JSON: each is one object on a line of its own.
 *
 *     {"path":"lamp.on","value":true,"tock":5,"ticks":[["srv",7,1]]}
 *     {"end":true,"count":1}
 */
#ifndef MKV_CLI_DUMP_LINES_H
#define MKV_CLI_DUMP_LINES_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "notation/problem.h"
#include "wire/dump.h"

/* Append one record with its end of line.  A row's entry has a tock.  TOO_LARGE, NO_MEMORY. */
int mkv_dump_line_row(struct mkv_bytes key,
                      const struct mkv_update *entry,
                      struct mkv_buf *out) MKV_MUST_CHECK;
int mkv_dump_line_end(uint64_t n_rows, struct mkv_buf *out) MKV_MUST_CHECK;

/*
 * Decodes @line, which has no end of line.  The key of a path goes into @key, what the record
 * borrows from into @item; both are cleared first.  On an error @problem says what is wrong, and
 * in which column.
 */
int mkv_dump_line_decode(struct mkv_bytes line,
                         struct mkv_buf *key,
                         struct mkv_buf *item,
                         struct mkv_dump_record *ret_record,
                         struct mkv_problem *problem) MKV_MUST_CHECK;

#endif
