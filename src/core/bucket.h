/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A budget that fills up again with time: so much at once, then so much a second.
 */
#ifndef MKV_CORE_BUCKET_H
#define MKV_CORE_BUCKET_H

#include <stdint.h>

/* Both below 2^31. */
struct mkv_bucket_limits {
    uint64_t burst;
    uint64_t per_s;
};

/* `= {0}` is one of which nothing has been used. */
struct mkv_bucket {
    uint64_t used; /* in thousandths */
    int64_t at_ms; /* as of then */
};

/* How much may be used now.  @now_ms does not go back; if it does, nothing fills up meanwhile. */
uint64_t mkv_bucket_room(struct mkv_bucket *bucket,
                         const struct mkv_bucket_limits *limits,
                         int64_t now_ms);

/* Uses @n, which is at most what mkv_bucket_room() has just said. */
void mkv_bucket_use(struct mkv_bucket *bucket, uint64_t n);

#endif
