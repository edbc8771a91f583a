/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Updates without a tock whose own server is not here: they wait for somebody to stamp them, us or
 * another server (docs/protocol.md, 12.7).
 */
#ifndef MKV_CORE_ORPHANS_H
#define MKV_CORE_ORPHANS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "core/now.h"
#include "wire/update.h"

#define MKV_ORPHANS_MAX       1024U      /* more are refused, as is ... */
#define MKV_ORPHANS_BYTES_MAX (4U << 20) /* ... what would take up more than this in all */

struct mkv_orphan {
    int64_t came_ms;
    int64_t due_ms;
    struct mkv_tick dot;  /* its name lies in @bytes */
    struct mkv_bytes key; /* of its path; likewise */
    uint8_t *bytes;       /* owned: name, key and the message */
    size_t len;
};

/* Zeroed is empty. */
struct mkv_orphans {
    struct mkv_orphan at[MKV_ORPHANS_MAX]; /* in no order */
    uint32_t n;
    size_t n_bytes;
};

void mkv_orphans_deinit(struct mkv_orphans *orphans);

bool mkv_orphans_have(const struct mkv_orphans *orphans, const struct mkv_tick *dot);

/* Adds a copy; it is not there yet.  TOO_MANY, TOO_LARGE, NO_MEMORY. */
int mkv_orphans_add(struct mkv_orphans *orphans,
                    struct mkv_now now,
                    int64_t due_ms,
                    struct mkv_bytes key,
                    const struct mkv_update *update) MKV_MUST_CHECK;

/* Forgets it.  False: it was not there. */
bool mkv_orphans_drop(struct mkv_orphans *orphans, const struct mkv_tick *dot);

/* The first to be due, and of several the one with the least counter; or NULL. */
struct mkv_orphan *mkv_orphans_next(struct mkv_orphans *orphans);

/* Takes one of them out; what it owns is the caller's, to be freed. */
struct mkv_orphan mkv_orphans_take(struct mkv_orphans *orphans, struct mkv_orphan *orphan);
void mkv_orphan_free(struct mkv_orphan *orphan);

/* What it was made from; borrows from @orphan. */
struct mkv_update mkv_orphan_update(const struct mkv_orphan *orphan);

#endif
