/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Merging one update into the store: the place where convergence lives (docs/protocol.md, 6).
 *
 * The greater K stays.  The tick tails decide nothing; they only tell whether the winner knew the
 * loser, and if not, that is a conflict.
 */
#ifndef MKV_CORE_MERGE_H
#define MKV_CORE_MERGE_H

#include "base/bytes.h"
#include "base/error.h"
#include "core/order.h"
#include "core/store.h"
#include "wire/update.h"

enum mkv_conflict {
    MKV_CONFLICT_NONE = -1,
    MKV_CONFLICT_CERTAIN = 0,
    MKV_CONFLICT_POSSIBLE = 1, /* a tick list was full: what it knew may have been cut off */
};

enum mkv_merge_verdict {
    MKV_MERGE_SAME, /* this very update is the entry already */
    MKV_MERGE_WON,  /* it is the entry now */
    MKV_MERGE_LOST, /* what is there is greater */
};

struct mkv_merge {
    enum mkv_merge_verdict verdict;
    enum mkv_conflict conflict;
    struct mkv_update update; /* as it is to be stored; borrowed, but for names of the loser's */
    uint8_t names[MKV_TICKS_MAX][MKV_NAME_MAX]; /* theirs: the row they stand in may go before */
};

/*
 * Decides what merging @update (with a tock) at @key would do, and changes nothing.  In a
 * conflict that the update wins, its tick list in *ret_merge has the loser's added, so that the
 * same conflict is not found again, nor one with what the loser had replaced.  If there is a conflict, *ret_other is the
 * other entry, borrowed from the store as by mkv_store_row().  Errors of mkv_store_row().
 */
int mkv_merge_decide(struct mkv_store *store,
                     struct mkv_bytes key,
                     const struct mkv_update *update,
                     struct mkv_merge *ret_merge,
                     struct mkv_update *ret_other) MKV_MUST_CHECK;

#endif
