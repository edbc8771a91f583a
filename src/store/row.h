/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of one row of the log, and the checksums of all rows.
 *
 *     8   checksum of the position and all that follows, big-endian
 *     1   bit 0: present; bits 1..3: the number of ticks; or bit 4 alone: gone
 *     2   length of the key, big-endian
 *     8   vhash, big-endian; missing in a tombstone
 *         key
 *         tock, as a varint: 7 bits a byte, the lowest first, the top bit says "more follows"
 *         for each tick: length of its name (1), name, seq and counter as varints
 *         raw value: the rest
 *
 * Of a row that says that its path is gone, that is, has no entry since then, the key is the end.
 *
 * The checksum is SipHash-2-4 with a constant key, which libsodium has and which takes 60 ns for
 * a usual row.  CRC-32C would need code of our own for machines without the instruction, and
 * would miss one damaged row in 2^32 instead of 2^64.  It guards against disks, not against people.
 */
#ifndef MKV_STORE_ROW_H
#define MKV_STORE_ROW_H

#include "base/bytes.h"
#include "base/error.h"
#include "core/order.h"
#include "wire/update.h"

struct mkv_row {
    bool gone; /* then there is nothing but the key */
    struct mkv_bytes key;
    uint64_t vhash; /* 0 in a tombstone */
    struct mkv_update update;
};

#define MKV_ROW_LEN_MAX (MKV_VALUE_MAX + MKV_PATH_KEY_MAX + 1024U)

/* Positions are keys of the log's table, so that they sort as bytes. */
#define MKV_POSITION_LEN 8U

void mkv_position_encode(uint64_t position, uint8_t ret_bytes[MKV_POSITION_LEN]);

/* Any 8 bytes are a position; CORRUPT for another length. */
int mkv_position_decode(struct mkv_bytes in, uint64_t *ret_position) MKV_MUST_CHECK;

/* Whether all parts are within the limits of base/limits.h; 1 tick at least: 0 or TOO_LARGE. */
int mkv_row_check(const struct mkv_row *row) MKV_MUST_CHECK;

/* Of a row that passed the check: how many bytes it takes, MKV_ROW_LEN_MAX at most. */
size_t mkv_row_len(const struct mkv_row *row);

/* Writes exactly mkv_row_len() bytes. */
void mkv_row_encode(const struct mkv_row *row, uint64_t position, uint8_t *at);

/* Borrows from @in.  CORRUPT. */
int mkv_row_decode(struct mkv_bytes in, uint64_t position, struct mkv_row *ret_row) MKV_MUST_CHECK;

/* The key alone, without a look at the checksum: it may be any bytes.  CORRUPT if there is none. */
int mkv_row_key(struct mkv_bytes in, struct mkv_bytes *ret_key) MKV_MUST_CHECK;

/* Borrows the name. */
struct mkv_head mkv_row_head(const struct mkv_row *row);

/* A meta row: the checksum of name and value, then the value. */
#define MKV_SEAL_LEN 8U

/* Writes MKV_SEAL_LEN bytes before the @len bytes of the value, which are there already. */
void mkv_seal(struct mkv_bytes name, uint8_t *at, size_t len);

/* The value inside, borrowed.  CORRUPT. */
int mkv_unseal(struct mkv_bytes name,
               struct mkv_bytes in,
               struct mkv_bytes *ret_value) MKV_MUST_CHECK;

#endif
