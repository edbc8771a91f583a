/* SPDX-License-Identifier: Apache-2.0 */
#include "core/bucket.h"

#define PARTS      1000U              /* of one, so that milliseconds count */
#define PASSED_MAX (INT64_C(1) << 32) /* ms: longer than any bucket takes to fill up */

uint64_t mkv_bucket_room(struct mkv_bucket *bucket,
                         const struct mkv_bucket_limits *limits,
                         int64_t now_ms)
{
    if (now_ms > bucket->at_ms) {
        int64_t passed_ms =
            now_ms - bucket->at_ms < PASSED_MAX ? now_ms - bucket->at_ms : PASSED_MAX;
        uint64_t filled = (uint64_t)passed_ms * limits->per_s;

        bucket->used = filled < bucket->used ? bucket->used - filled : 0;
        bucket->at_ms = now_ms;
    }

    uint64_t used = (bucket->used + PARTS - 1) / PARTS;

    return used < limits->burst ? limits->burst - used : 0;
}

void mkv_bucket_use(struct mkv_bucket *bucket, uint64_t n)
{
    bucket->used += n * PARTS;
}
