/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is at and below a place, read once and kept in memory, so that writes and deletions can name
 * exactly what they replace.
 */
#ifndef MKV_CLI_KNOWN_H
#define MKV_CLI_KNOWN_H

#include <moatkv/client.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "cli/cli.h"
#include "cli/place.h"

struct mkv_known_row {
    size_t key_start; /* into the keys */
    size_t key_len;
    moatkv_entry *entry; /* owned */
    bool met;            /* for the user of the row; false at first */
};

struct mkv_known {
    struct mkv_buf rows; /* owned: in the order of their keys */
    struct mkv_buf keys; /* owned */
    size_t n_live;       /* rows that are no tombstones */
    bool reserved; /* it was asked for what is reserved, see cli/place.h; else that is left out */
};

void mkv_known_init(struct mkv_known *known);
void mkv_known_deinit(struct mkv_known *known);

/* Reads the rows that @how asks for. */
enum mkv_exit mkv_known_read(struct mkv_known *known,
                             struct mkv_cli *cli,
                             const struct mkv_place *place,
                             const moatkv_read_how *how) MKV_MUST_CHECK;

size_t mkv_known_count(const struct mkv_known *known);
struct mkv_known_row *mkv_known_at(const struct mkv_known *known, size_t i);

/* The row with this key, or NULL. */
struct mkv_known_row *mkv_known_find(const struct mkv_known *known, struct mkv_bytes key);

#endif
