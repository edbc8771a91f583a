/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server_state.h"

/*
 * Merging what comes over a pull, and setting aside what its peer knows better (docs/protocol.md,
 * 12).
 */

/*
 * Up to where they are right about @key, whatever we hold.  Nobody forgets a member of his own
 * cluster: who has not heard of it, has not heard of it.
 */
static uint64_t bound_at(const struct mkv_pull *pull, struct mkv_bytes key)
{
    if (mkv_members_are_at(key)) {
        return pull->members_first && pull->members_replace ? UINT64_MAX : 0;
    }
    return pull->bound;
}

/* It goes: what our tree was before is no measure any more for what we have. */
static int set_aside(struct mkv_server *server, const struct mkv_tree_entry *held)
{
    struct mkv_bytes key;
    struct mkv_update update;

    mkv_past_clear(&server->cluster.past);
    if (!held->head.present || mkv_members_are_at(held->key)) { /* nobody misses it */
        return 0;
    }

    int error = mkv_store_row(server->store, held->position, &key, &update);

    if (error == MKV_E_CORRUPT) { /* nothing to keep */
        return 0;
    }
    if (error == 0) {
        server->cluster.n_quarantined++;
        server->cluster.pull.n_quarantined++;
        mkv_effect_quarantine(server->effects, key, &update);
    }
    return error;
}

static int put(struct mkv_server *server,
               struct mkv_now now,
               struct mkv_bytes key,
               const struct mkv_update *update)
{
    struct mkv_head head = mkv_head_of(update);
    int error = mkv_store_put(server->store, key, &head, update);

    mkv_tock_see(&server->tock, update->tock);
    if (error == 0) {
        error = mkv_past_add(&server->cluster.past, mkv_sync_digest(server));
    }
    return error != 0 ? error : mkv_ingest_note(server, now, &update->ticks.at[0]);
}

static bool is_forgotten(const struct mkv_server *server, const struct mkv_update *update)
{
    return !update->present && update->tock <= server->cluster.floor.floor;
}

/*
 * Up to the bound they are right, even if ours would win: it has been forgotten there since, or
 * was never accepted by anybody who counts.
 */
static int merge_bound(struct mkv_server *server,
                       struct mkv_now now,
                       struct mkv_bytes key,
                       const struct mkv_update *update)
{
    struct mkv_tree_entry held;
    struct mkv_head head = mkv_head_of(update);
    int error;

    if (!mkv_tree_find(mkv_store_tree(server->store), key, &held)) {
        return is_forgotten(server, update) ? 0 : mkv_ingest_merge(server, now, key, update);
    }
    if (mkv_head_compare(&held.head, &head) <= 0 || held.head.tock > server->cluster.pull.bound ||
        !MKV_RULE(FROZEN_WINS)) {
        return mkv_ingest_merge(server, now, key, update);
    }
    error = set_aside(server, &held);
    return error != 0 ? error : put(server, now, key, update);
}

static int is_entry_of(struct mkv_bytes key, const uint8_t uuid[MKV_UUID_LEN], bool *ret_is_it)
{
    struct mkv_buf other;

    mkv_buf_init(&other, MKV_PATH_KEY_MAX);

    int error = mkv_member_key(uuid, &other);

    *ret_is_it = error == 0 && mkv_bytes_equal(key, mkv_buf_bytes(&other));
    mkv_buf_deinit(&other);
    return error;
}

/*
 * Who are the members of another cluster, a joiner lets those say whom it joins: what it holds of an
 * earlier one may bear greater tocks, by a clock that was wrong, and it would never find itself among
 * them.  Of its own cluster it may know what they have not heard, that somebody is evicted above all:
 * if it joins that anew, only what it is, and what they are, is for them to say.
 */
static int is_theirs_to_say(const struct mkv_server *server,
                            struct mkv_bytes key,
                            bool *ret_is_theirs)
{
    const struct mkv_pull *pull = &server->cluster.pull;
    int error = 0;

    *ret_is_theirs = pull->members_replace;
    if (!*ret_is_theirs && pull->anew) {
        error = is_entry_of(key, mkv_store_id(server->store), ret_is_theirs);
    }
    if (error == 0 && !*ret_is_theirs && pull->anew) {
        error = is_entry_of(key, pull->uuid, ret_is_theirs);
    }
    return error;
}

/* No floor stands against news of a member: what was agreed up to there was agreed without it. */
static int merge_member(struct mkv_server *server,
                        struct mkv_now now,
                        struct mkv_bytes key,
                        const struct mkv_update *update)
{
    struct mkv_tree_entry held;
    struct mkv_head head = mkv_head_of(update);
    bool found = mkv_tree_find(mkv_store_tree(server->store), key, &held);
    bool is_theirs;
    int error = is_theirs_to_say(server, key, &is_theirs);

    if (error != 0) {
        return error;
    }
    if (is_theirs && found && mkv_head_compare(&held.head, &head) > 0) {
        mkv_past_clear(&server->cluster.past);
        return put(server, now, key, update);
    }
    return !found && is_forgotten(server, update) ? 0 : mkv_ingest_merge(server, now, key, update);
}

static int merge_row(struct mkv_server *server, struct mkv_now now, const struct mkv_update *update)
{
    struct mkv_cluster *cluster = &server->cluster;
    struct mkv_bytes key = mkv_buf_bytes(&cluster->pull.rows.key);

    if (update->tock > MKV_TOCK_HELD_MAX) {
        return MKV_E_BAD_NUMBER;
    }
    cluster->pull.n_rows++;
    if (mkv_members_are_at(key)) {
        return merge_member(server, now, key, update);
    }
    if (cluster->pull.step == MKV_PULL_FETCHING && update->tock <= cluster->pull.bound) {
        return merge_bound(server, now, key, update);
    }
    if (update->tock <= cluster->floor.floor && MKV_RULE(FROZEN_SKIPS)) {
        return cluster->pull.heals ? mkv_heal_row(server, now, key, update) : 0;
    }
    return mkv_ingest_merge(server, now, key, update);
}

/* What to fetch next is read along with the rows that come. */
int mkv_pull_next_range(struct mkv_pull *pull)
{
    pull->in_range = mkv_range_reader_next(&pull->ranges, &pull->range);
    if (pull->in_range) {
        mkv_buf_clear(&pull->cursor);
        return mkv_buf_append(&pull->cursor, pull->range.from);
    }
    return 0;
}

/* What we hold from the cursor on and before @upto (empty: the end) is not there at the other's. */
static int drop_until(struct mkv_server *server, struct mkv_bytes upto)
{
    struct mkv_pull *pull = &server->cluster.pull;
    struct mkv_tree_entry held;
    int error = 0;

    if ((pull->bound == 0 && !pull->members_replace) || !MKV_RULE(FROZEN_WINS)) {
        return 0;
    }
    while (error == 0 &&
           mkv_tree_at(mkv_store_tree(server->store), mkv_buf_bytes(&pull->cursor), &held) &&
           (upto.len == 0 || mkv_bytes_compare(held.key, upto) < 0)) {
        mkv_buf_clear(&pull->cursor);
        error = mkv_buf_append(&pull->cursor, held.key);
        if (error == 0 && held.head.tock <= bound_at(pull, held.key)) {
            error = set_aside(server, &held);
            if (error == 0) {
                error = mkv_store_remove(server->store, mkv_buf_bytes(&pull->cursor));
            }
        }
        if (error == 0) { /* the next key there can be */
            error = mkv_buf_append_u8(&pull->cursor, 0);
        }
    }
    return error;
}

/* A row of the ranges asked for: all that lies before it, they do not have. */
static int advance(struct mkv_server *server, struct mkv_bytes key)
{
    struct mkv_pull *pull = &server->cluster.pull;
    int error = 0;

    while (error == 0 && pull->in_range && pull->range.to.len > 0 &&
           mkv_bytes_compare(key, pull->range.to) >= 0) {
        error = drop_until(server, pull->range.to);
        if (error == 0) {
            error = mkv_pull_next_range(pull);
        }
    }
    if (error == 0 &&
        (!pull->in_range || mkv_bytes_compare(key, mkv_buf_bytes(&pull->cursor)) < 0)) {
        return MKV_E_MALFORMED; /* not asked for, or behind one that should come later */
    }
    if (error == 0 && key.len > 0) { /* nothing lies before the root */
        error = drop_until(server, key);
    }
    if (error == 0) {
        mkv_buf_clear(&pull->cursor);
        error = mkv_buf_append(&pull->cursor, key);
    }
    return error != 0 ? error : mkv_buf_append_u8(&pull->cursor, 0);
}

int mkv_pull_end_ranges(struct mkv_server *server)
{
    struct mkv_pull *pull = &server->cluster.pull;
    int error = 0;

    while (error == 0 && pull->in_range) {
        error = drop_until(server, pull->range.to);
        if (error == 0) {
            error = mkv_pull_next_range(pull);
        }
    }
    return error;
}

int mkv_pull_rows(struct mkv_server *server, struct mkv_now now, struct mkv_bytes rows)
{
    struct mkv_pull *pull = &server->cluster.pull;
    struct mkv_update update;
    uint64_t n_before = pull->n_rows;
    int error = mkv_row_reader_page(&pull->rows, rows);

    while (error == 0 && mkv_row_reader_next(&pull->rows, &update)) {
        if (pull->step == MKV_PULL_FETCHING) {
            error = advance(server, mkv_buf_bytes(&pull->rows.key));
        }
        if (error == 0) {
            error = merge_row(server, now, &update);
        }
    }
    if (error == 0) {
        error = pull->rows.cbor.error;
    }
    return error == 0 && pull->n_rows == n_before ? MKV_E_MALFORMED : error; /* no progress */
}
