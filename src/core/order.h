/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one order of all updates of a path, so that all replicas agree (docs/protocol.md, section 6).
 *
 *     K = (tock, name, seq, counter, present, vhash)      the greater K wins, always, everywhere
 *
 * It is a pure function of the update's bytes: no clock, no arrival order, no tick tail decides.
 */
#ifndef MKV_CORE_ORDER_H
#define MKV_CORE_ORDER_H

#include "base/bytes.h"
#include "base/limits.h"
#include "wire/update.h"

/* What K is made of: all that must be known of an entry to merge another update into it. */
struct mkv_head {
    uint64_t tock;
    uint64_t seq;
    uint64_t counter;
    uint64_t vhash;        /* of the raw value; 0 for a deletion */
    struct mkv_bytes name; /* borrowed */
    bool present;
};

/* The first 8 bytes of BLAKE2b-256 of the raw value, as a big-endian number. */
uint64_t mkv_value_hash(struct mkv_bytes value);

/* The head of an update that has a tock; borrows its name. */
struct mkv_head mkv_head_of(const struct mkv_update *update);

/* Less than, equal to or greater than 0, as K of @a is to K of @b. */
int mkv_head_compare(const struct mkv_head *a, const struct mkv_head *b);

/*
 * Whether an update with tick list @ticks knew the update whose dot is (name, seq, counter) of
 * @head: it lists that stream with a counter that is not less.
 */
bool mkv_ticks_cover(const struct mkv_ticks *ticks, const struct mkv_head *head);

/* The digest of sets of entries: 16 bytes as two numbers, each summed modulo 2^64. */
struct mkv_digest {
    uint64_t high;
    uint64_t low;
};

#define MKV_DIGEST_KEY_LEN 16U

/* The key of all servers with the topic root @root, so that they can compare their digests. */
void mkv_digest_key_of(struct mkv_bytes root, uint8_t ret_key[MKV_DIGEST_KEY_LEN]);

/* The digest of one entry (docs/protocol.md, section 8). */
struct mkv_digest mkv_entry_digest(const uint8_t key[MKV_DIGEST_KEY_LEN],
                                   struct mkv_bytes path,
                                   const struct mkv_head *head);

static inline void mkv_digest_add(struct mkv_digest *sum, struct mkv_digest one)
{
    sum->high += one.high;
    sum->low += one.low;
}

static inline void mkv_digest_subtract(struct mkv_digest *sum, struct mkv_digest one)
{
    sum->high -= one.high;
    sum->low -= one.low;
}

/* Both halves big-endian, as it travels. */
void mkv_digest_bytes(struct mkv_digest digest, uint8_t ret_bytes[16]);

#endif
