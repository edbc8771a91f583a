/* SPDX-License-Identifier: Apache-2.0 */
#include "core/merge.h"

#include "base/assert.h"
#include "base/rule.h"

static enum mkv_conflict conflict_class(const struct mkv_update *a, const struct mkv_update *b)
{
    bool cut = a->ticks.n == MKV_TICKS_MAX || b->ticks.n == MKV_TICKS_MAX;

    return cut && MKV_RULE(CONFLICT_CUT) ? MKV_CONFLICT_POSSIBLE : MKV_CONFLICT_CERTAIN;
}

/* Whether the list has a tick of this stream, and if so, which. */
static bool find_stream(const struct mkv_ticks *ticks, const struct mkv_tick *tick, uint32_t *ret_i)
{
    for (uint32_t i = 0; i < ticks->n; i++) {
        if (mkv_tick_same_stream(&ticks->at[i], tick)) {
            *ret_i = i;
            return true;
        }
    }
    return false;
}

/*
 * Adds a dot behind the update's own: the newest it replaces.  Its stream is not in the list yet,
 * or with a lower counter only, or the update would cover it.
 */
static void add_dot(struct mkv_ticks *ticks, const struct mkv_tick *dot)
{
    uint32_t kept = 1;

    MKV_ASSERT(ticks->n >= 1);
    struct mkv_ticks old = *ticks;

    ticks->at[kept++] = *dot;
    for (uint32_t i = 1; i < old.n && kept < MKV_TICKS_MAX; i++) {
        if (!mkv_tick_same_stream(&old.at[i], dot)) {
            ticks->at[kept++] = old.at[i];
        }
    }
    ticks->n = kept;
}

/* Adds, at the end and as far as there is room, what the loser had replaced. */
static void add_older(struct mkv_ticks *ticks, const struct mkv_tick *tick)
{
    uint32_t i;

    if (!find_stream(ticks, tick, &i)) {
        if (ticks->n < MKV_TICKS_MAX) {
            ticks->at[ticks->n++] = *tick;
        }
    } else if (i > 0 && ticks->at[i].counter < tick->counter) {
        ticks->at[i].counter = tick->counter;
    }
}

/*
 * The winner replaces the loser and all that this had replaced: whoever goes on from the winner has
 * no conflict with any of it.  Of its own stream the own dot says it all.
 */
static void note_loser(struct mkv_merge *merge, const struct mkv_ticks *loser)
{
    struct mkv_ticks *ticks = &merge->update.ticks;

    for (uint32_t i = 0; i < loser->n; i++) {
        struct mkv_tick copy = loser->at[i];

        memcpy(merge->names[i], copy.name.at, copy.name.len);
        copy.name = mkv_bytes(merge->names[i], copy.name.len);
        if (i == 0 && !mkv_tick_same_stream(&ticks->at[0], &copy)) {
            add_dot(ticks, &copy);
        } else if (i > 0) {
            add_older(ticks, &copy);
        }
    }
}

/* Whether whoever wrote with these ticks knew the one with that head. */
static bool knew(const struct mkv_ticks *ticks, const struct mkv_head *head)
{
    return mkv_ticks_cover(ticks, head) && MKV_RULE(CONFLICT_KNOWN);
}

/* What the order alone says, when there is no conflict to tell. */
static enum mkv_merge_verdict verdict_of(int order)
{
    if (order == 0) {
        return MKV_MERGE_SAME;
    }
    return order > 0 ? MKV_MERGE_WON : MKV_MERGE_LOST;
}

int mkv_merge_decide(struct mkv_store *store,
                     struct mkv_bytes key,
                     const struct mkv_update *update,
                     struct mkv_merge *ret_merge,
                     struct mkv_update *ret_other)
{
    struct mkv_head head = mkv_head_of(update);
    struct mkv_tree_entry held;
    struct mkv_bytes held_key;
    struct mkv_update other;

    ret_merge->verdict = MKV_MERGE_WON;
    ret_merge->conflict = MKV_CONFLICT_NONE;
    ret_merge->update = *update;
    if (!mkv_tree_find(mkv_store_tree(store), key, &held)) {
        return 0;
    }

    int order = mkv_head_compare(&head, &held.head);

    ret_merge->verdict = verdict_of(order);
    if (order == 0 || (order > 0 && knew(&update->ticks, &held.head))) {
        return 0;
    }

    int error = mkv_store_row(store, held.position, &held_key, &other);

    if (error == MKV_E_CORRUPT) { /* its head is known, and decides; what it knew is lost */
        return 0;
    }
    if (error != 0) {
        return error;
    }
    if ((order > 0 || !knew(&other.ticks, &head)) && MKV_RULE(CONFLICT_TOLD)) {
        ret_merge->conflict = conflict_class(update, &other);
        *ret_other = other;
    }
    if (order > 0) {
        note_loser(ret_merge, &other.ticks);
    }
    return 0;
}
