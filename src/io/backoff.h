/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long somebody who failed has to wait: after some failures a second, then twice as long each time.
 *
 * A table of bounded size, by hash of whatever tells them apart; when it is full, who failed longest ago is forgotten.
 */
#ifndef MKV_IO_BACKOFF_H
#define MKV_IO_BACKOFF_H

#include <stdint.h>

#include "base/bytes.h"

#define MKV_BACKOFF_MAX       1024U
#define MKV_BACKOFF_FREE      5U     /* failures that cost nothing */
#define MKV_BACKOFF_MIN_MS    1000   /* after these ... */
#define MKV_BACKOFF_MAX_MS    60000  /* ... and at most */
#define MKV_BACKOFF_FORGET_MS 600000 /* without a failure for so long: as if there had been none */

struct mkv_backoff_entry {
    uint64_t hash;
    uint32_t n_failures;
    int64_t failed_ms; /* last */
};

/* Zeroed is empty. */
struct mkv_backoff {
    uint32_t n;
    struct mkv_backoff_entry at[MKV_BACKOFF_MAX];
};

/* Milliseconds until @who may try again; 0: now. */
int64_t mkv_backoff_left_ms(const struct mkv_backoff *backoff,
                            struct mkv_bytes who,
                            int64_t now_ms);

void mkv_backoff_failed(struct mkv_backoff *backoff, struct mkv_bytes who, int64_t now_ms);
void mkv_backoff_succeeded(struct mkv_backoff *backoff, struct mkv_bytes who);

#endif
