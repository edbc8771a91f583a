/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lineage of a log: for each time it was opened, a nonce and the last position at that moment.
 *
 *     boots:   (a, 0)          (b, 70)    (c, 90)            the log stands at 120
 *     valid:    a: 0 .. 70      b: 70..90   c: 90..120
 *
 * When a backup is restored, positions are used for a second time.  Whoever knows one of the first
 * time has it from a boot that the backup does not know, or from the one that the backup was taken
 * in; of the latter only what the backup holds falls within that boot's range.
 */
#ifndef MKV_STORE_BOOTS_H
#define MKV_STORE_BOOTS_H

#include "base/bytes.h"
#include "base/error.h"
#include "core/store.h"

#define MKV_BOOTS_BYTES_MAX (16U * MKV_BOOTS_MAX)

/* Zeroed is empty. */
struct mkv_boots {
    uint32_t n;
    struct mkv_place at[MKV_BOOTS_MAX]; /* positions ascend */
};

/* Forgets the oldest if there are too many; a nonce seen before, with all boots before it. */
void mkv_boots_add(struct mkv_boots *boots, struct mkv_place boot);

/* Whether @place was one of this log, which now stands at @position. */
bool mkv_boots_know(const struct mkv_boots *boots, uint64_t position, struct mkv_place place);

/*
 * Whether it may have been one, of a boot that has been forgotten.  Those that a restored store
 * does not know lie behind it.
 */
bool mkv_boots_may_know(const struct mkv_boots *boots, uint64_t position, struct mkv_place place);

/* The nonce of the last boot that had not begun behind @position, or of the first; there is one. */
uint64_t mkv_boots_nonce_at(const struct mkv_boots *boots, uint64_t position);

/* Writes 16 bytes a boot; returns how many bytes. */
size_t mkv_boots_encode(const struct mkv_boots *boots, uint8_t ret_bytes[MKV_BOOTS_BYTES_MAX]);

/* CORRUPT: too many, of a wrong length, or not in order. */
int mkv_boots_decode(struct mkv_bytes in, struct mkv_boots *ret_boots) MKV_MUST_CHECK;

#endif
