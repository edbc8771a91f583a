/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guard says in the broker's log: so much and no more, and harmless to whoever reads it.
 *
 * Refusals are caused by others, as often as they like, and quote what they have sent.
 */
#ifndef MKV_GUARD_REPORT_H
#define MKV_GUARD_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "core/bucket.h"

#define MKV_REPORT_QUOTE_MAX 200U /* characters of a quotation with its NUL; more is cut off */

/* `= {0}` is one that has said nothing. */
struct mkv_report {
    struct mkv_bucket lines;
    uint64_t n_left_out; /* since the last line */
};

/*
 * Whether another line may be said now: 20 at once, then one a second.  With true, *ret_left_out is
 * how many were not said before it.
 */
bool mkv_report_may(struct mkv_report *report, int64_t now_ms, uint64_t *ret_left_out);

/* @text in printable ASCII, all else as \xHH, ended by a NUL, and by "..." if it was cut off. */
void mkv_report_quote(struct mkv_bytes text, char ret_quote[MKV_REPORT_QUOTE_MAX]);

#endif
