/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client's updates that are not acknowledged, by their counters, as the very bytes that were
 * published (docs/protocol.md, section 7.2):
 *
 *     add ->  17  18  20  21   -> acknowledged up to 18: 17 and 18 leave in this order
 *                 (19 was refused and has left before)
 *
 * A repeat must be the same bytes, so the message is encoded once and kept.  The bounds are those
 * of mkv_pending_fits(); when to publish again is noted here but decided in core/client_write.c.
 */
#ifndef MKV_CORE_PENDING_H
#define MKV_CORE_PENDING_H

#include "base/bytes.h"
#include "base/error.h"
#include "wire/topic.h"
#include "wire/update.h"

#define MKV_PENDING_COUNT_MAX 1000U
#define MKV_PENDING_BYTES_MAX ((size_t)16 * 1024 * 1024)

struct mkv_pending_update {
    struct mkv_pending_update *next; /* with a greater counter */
    uint64_t id;                     /* of the application's operation */
    uint64_t counter;
    int64_t repeat_ms; /* publish again then, unless in flight */
    int64_t wait_ms;   /* between the last publication and repeat_ms */
    bool in_flight;    /* with the connection to the broker, which has not answered */
    struct mkv_bytes key;
    struct mkv_bytes topic;
    struct mkv_bytes payload; /* these three lie in the same piece of memory */
};

/* Zero-initialised is valid and empty. */
struct mkv_pending {
    struct mkv_pending_update *head; /* owned, ascending counters */
    struct mkv_pending_update *tail;
    size_t n;
    size_t n_bytes; /* of payloads, keys and topics */
};

/* Where updates are published. */
struct mkv_pending_where {
    struct mkv_bytes root;
    enum mkv_profile profile;
    struct mkv_bytes mac_key; /* of the session; empty: messages bear no MAC */
};

void mkv_pending_deinit(struct mkv_pending *pending);

/* Whether @n more updates of @n_bytes altogether fit. */
bool mkv_pending_fits(const struct mkv_pending *pending, size_t n, size_t n_bytes);

/*
 * Encodes and appends @update, whose own counter is greater than all others here.  The update
 * added is pending->tail.  TOO_LARGE, PATH_TOO_LONG, NO_MEMORY: unchanged.
 */
int mkv_pending_add(struct mkv_pending *pending,
                    uint64_t id,
                    struct mkv_bytes key,
                    const struct mkv_pending_where *where,
                    const struct mkv_update *update) MKV_MUST_CHECK;

/* Takes the first update out if its counter is at most @counter; else NULL.  It is the caller's. */
struct mkv_pending_update *mkv_pending_take_until(struct mkv_pending *pending, uint64_t counter);

/* Takes out the one with this counter; NULL if there is none. */
struct mkv_pending_update *mkv_pending_take(struct mkv_pending *pending, uint64_t counter);

/* The first update with this counter or a greater one; NULL if there is none. */
struct mkv_pending_update *mkv_pending_from(const struct mkv_pending *pending, uint64_t counter);

/*
 * Renames all updates to the stream (@name, @seq), counters from 1: same tock and value, the old
 * dot behind the new one in the tick list (docs/protocol.md, 7.1).  NO_MEMORY, TOO_LARGE: unchanged.
 */
int mkv_pending_reissue(struct mkv_pending *pending,
                        const struct mkv_pending_where *where,
                        struct mkv_bytes name,
                        uint64_t seq) MKV_MUST_CHECK;

/*
 * Encodes all of them anew, with the same dots, since MACs are by another key now, or have come or gone.
 * NO_MEMORY, TOO_LARGE: unchanged.
 */
int mkv_pending_renew(struct mkv_pending *pending,
                      const struct mkv_pending_where *where) MKV_MUST_CHECK;

/* Frees one that was taken out; NULL is fine. */
void mkv_pending_update_free(struct mkv_pending_update *update);

/*
 * Writes the ticks of a new update: its dot, then @known's ticks, one per stream, as many as fit.
 * Names are borrowed from both.
 */
void mkv_ticks_follow(const struct mkv_tick *dot,
                      const struct mkv_ticks *known,
                      struct mkv_ticks *ret_ticks);

#endif
