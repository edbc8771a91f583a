/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conflicts, as a server keeps and tells them: the content of `lost` frames (docs/protocol.md,
 * section 7.3), a list of
 *
 *     [id, path, class, when, more, winner, tock, ticks, value]      the last three: the loser
 *
 * The loser stands in the row itself and not in a list of its own, so that the limits of its value
 * count from the value wherever the row is read.
 */
#ifndef MKV_WIRE_CONFLICT_H
#define MKV_WIRE_CONFLICT_H

#include <stdint.h>

#include "base/bytes.h"
#include "wire/cbor.h"
#include "wire/update.h"

#define MKV_CONFLICT_CLASSES 2U /* 0: conflict; 1: possible, since history may have been cut */

/* All bytes are borrowed from what was read. */
struct mkv_conflict_row {
    uint64_t id;           /* of the losing update, the same at all servers */
    struct mkv_bytes path; /* the raw CBOR array; mkv_path_from_cbor() reads it */
    uint32_t class_;       /* below MKV_CONFLICT_CLASSES */
    uint64_t when;         /* the server's tock when it found the conflict; below 2^63 */
    uint64_t more;         /* conflicts of this path after this one that were only counted */
    struct mkv_update loser;
    struct mkv_update winner; /* without its value: `null` unless it is a deletion */
};

/* Reads one element of the list.  MALFORMED, BAD_NUMBER, errors of mkv_entry_read(). */
void mkv_conflict_row_read(struct mkv_cbor_reader *r, struct mkv_conflict_row *ret_row);

/* Writes one; `null` in place of the winner's value, whatever that is. */
void mkv_conflict_row_write(struct mkv_cbor_writer *w, const struct mkv_conflict_row *row);

/* Checks a whole list, which may be of MKV_PAGE_ROWS_MAX conflicts, and returns its bytes. */
struct mkv_bytes mkv_conflict_rows_read_raw(struct mkv_cbor_reader *r);

#endif
