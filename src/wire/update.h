/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The update message (docs/protocol.md, section 4), and the same content as a list in link frames.
 */
#ifndef MKV_WIRE_UPDATE_H
#define MKV_WIRE_UPDATE_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "wire/tick.h"

/* All bytes are borrowed from what was decoded. */
struct mkv_update {
    bool has_tock;
    bool present;           /* false: the entry is deleted, @value is empty */
    uint64_t tock;          /* below 2^63; 0 without has_tock */
    struct mkv_bytes value; /* one raw, checked CBOR item */
    struct mkv_ticks ticks;
};

/*
 * MALFORMED, TRUNCATED, TRAILING, NOT_MINIMAL, DUPLICATE_KEY, TOO_DEEP, TOO_MANY, TOO_LARGE,
 * BAD_UTF8, BAD_NUMBER, BAD_NAME, BAD_TICK.
 */
int mkv_update_decode(struct mkv_bytes in, struct mkv_update *ret_update) MKV_MUST_CHECK;

/*
 * The own dot of a message that mkv_update_decode() refuses for its value, its tock or an unknown
 * key: their limits are not looked at, so that the writer can be told.  False: there is none.
 */
bool mkv_update_find_dot(struct mkv_bytes in, struct mkv_tick *ret_dot);

/* Appends the message: keys 0, 1, 2 in this order.  TOO_LARGE, NO_MEMORY. */
int mkv_update_encode(const struct mkv_update *update, struct mkv_buf *out) MKV_MUST_CHECK;
/* The same with key 3 behind them, so that the last MKV_PROOF_LEN bytes have room for a MAC (wire/mac.h). */
int mkv_update_encode_room(const struct mkv_update *update, struct mkv_buf *out) MKV_MUST_CHECK;

/*
 * The *entry* of link frames: [tock, ticks] or [tock, ticks, value].  Sets has_tock; what is
 * written needs it, too.  A list of another length is MALFORMED.
 */
void mkv_entry_read(struct mkv_cbor_reader *r, struct mkv_update *ret_entry);
void mkv_entry_write(struct mkv_cbor_writer *w, const struct mkv_update *entry);

/* The same without the list's head, for lists that hold more (wire/row.h). */
void mkv_entry_read_parts(struct mkv_cbor_reader *r, bool present, struct mkv_update *ret_entry);
void mkv_entry_write_parts(struct mkv_cbor_writer *w, const struct mkv_update *entry);

#endif
