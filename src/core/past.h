/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The digests that the whole tree had lately, one for each change.
 *
 * Merging only ever adds: if my tree once was what yours is now, I have all that you have, though
 * I have gone on since.  So two servers that follow the same stream of updates, one a little
 * behind the other, can tell that nothing is missing, without ever standing still.
 */
#ifndef MKV_CORE_PAST_H
#define MKV_CORE_PAST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "core/order.h"

#define MKV_PAST_MAX 16384U /* older ones are forgotten; then a difference is looked into */

/* Zeroed is empty. */
struct mkv_past {
    struct mkv_digest *at; /* owned; a ring */
    uint32_t n;
    uint32_t next;
};

void mkv_past_deinit(struct mkv_past *past);

/* Remembers.  NO_MEMORY at the first one only. */
int mkv_past_add(struct mkv_past *past, struct mkv_digest digest) MKV_MUST_CHECK;

bool mkv_past_has(const struct mkv_past *past, struct mkv_digest digest);

/* What was true is so no longer: something has been taken back or set aside. */
void mkv_past_clear(struct mkv_past *past);

#endif
