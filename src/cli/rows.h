/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads all entries at and below a place, in the order of their keys, each once.
 *
 * When the connection breaks on the way, reading starts anew and goes on behind the last row.
 */
#ifndef MKV_CLI_ROWS_H
#define MKV_CLI_ROWS_H

#include <moatkv/client.h>

#include "base/bytes.h"
#include "base/error.h"
#include "cli/cli.h"
#include "cli/place.h"

/* @key and @entry are borrowed.  Whatever it returns but OK ends the reading. */
typedef enum mkv_exit (*mkv_on_row)(void *user, struct mkv_bytes key, const moatkv_entry *entry);

/* The status of @on_row, or why there was no more. */
enum mkv_exit mkv_rows_read(struct mkv_cli *cli,
                            const struct mkv_place *place,
                            const moatkv_read_how *how,
                            mkv_on_row on_row,
                            void *user) MKV_MUST_CHECK;

#endif
