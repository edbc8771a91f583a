/* SPDX-License-Identifier: Apache-2.0 */
#include "core/cluster.h"

#include "core/server_state.h"

void mkv_cluster_init(struct mkv_cluster *cluster)
{
    cluster->known.n_max = MKV_KNOWN_MAX;
    cluster->joining_ms = MKV_NEVER;
    cluster->gaps_ms = MKV_NEVER;
    mkv_buf_init(&cluster->purged, MKV_PATH_KEY_MAX);
    mkv_buf_init(&cluster->pull.cursor, MKV_PATH_KEY_MAX + 1);
    mkv_buf_init(&cluster->pull.healed, MKV_PATH_KEY_MAX);
}

void mkv_cluster_deinit(struct mkv_cluster *cluster)
{
    mkv_actor_deinit(cluster);
    mkv_pull_deinit(&cluster->pull);
    mkv_members_deinit(&cluster->members);
    mkv_past_deinit(&cluster->past);
    mkv_streams_clear(&cluster->streams);
    mkv_orphans_deinit(&cluster->orphans);
    mkv_buf_deinit(&cluster->purged);
}

/*
 * When the members have changed, what we knew of them was said among others: a server that was
 * restored gets its entry written anew, so that nobody relies on what it promised before.
 */
int mkv_cluster_refresh(struct mkv_server *server)
{
    struct mkv_cluster *cluster = &server->cluster;
    uint32_t n_versions = cluster->members.n_versions;
    bool too_many = cluster->members.too_many;
    size_t cursor = 0;
    struct mkv_known *known;
    int error = mkv_members_refresh(&cluster->members, server->store);

    if (error != 0 || cluster->members.n_versions == n_versions) {
        return error;
    }
    if (cluster->members.too_many && !too_many) {
        mkv_effect_log(server->effects, MKV_LOG_ERROR,
                       "more than %u servers are or have been in this cluster: from now on no "
                       "deletion is forgotten",
                       MKV_MEMBERS_MAX);
    }
    while ((known = mkv_map_each(&cluster->known, &cursor)) != NULL) {
        known->mark = 0;
        known->complete = 0;
    }
    return 0;
}

/* --- What the server writes itself -------------------------------------------------------- */

/*
 * The counters of stream 0 are the tocks themselves: they only grow, so that no dot comes twice,
 * even on a store that was restored; nobody looks for gaps in them.
 */
static void set_ticks(struct mkv_server *server, struct mkv_bytes key, struct mkv_update *update)
{
    struct mkv_tick own = {server->config.name, 0, update->tock};
    struct mkv_tree_entry held;

    update->ticks.n = 1;
    update->ticks.at[0] = own;
    if (mkv_tree_find(mkv_store_tree(server->store), key, &held)) {
        struct mkv_tick known = {held.head.name, held.head.seq, held.head.counter};

        if (!mkv_tick_same_stream(&own, &known)) {
            update->ticks.at[update->ticks.n++] = known;
        }
    }
}

int mkv_cluster_write(struct mkv_server *server,
                      struct mkv_now now,
                      struct mkv_bytes key,
                      struct mkv_bytes value)
{
    struct mkv_update update = {
        .has_tock = true,
        .present = true,
        .tock = mkv_tock_next(&server->tock, now.wall_ms),
        .value = value,
    };

    set_ticks(server, key, &update);
    mkv_effect_publish(server->effects, key, &update);
    return mkv_ingest_merge(server, now, key, &update);
}

int mkv_cluster_set_member(struct mkv_server *server,
                           struct mkv_now now,
                           const uint8_t uuid[MKV_UUID_LEN],
                           struct mkv_bytes name,
                           bool active)
{
    struct mkv_cluster *cluster = &server->cluster;
    struct mkv_member member = {.active = active};
    struct mkv_buf key;
    struct mkv_buf value;
    int error;

    memcpy(member.uuid, uuid, MKV_UUID_LEN);
    memcpy(member.cluster, mkv_members_cluster(&cluster->members), MKV_UUID_LEN);
    memcpy(member.name, name.at, name.len);
    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    mkv_buf_init(&value, MKV_VALUE_MAX);
    error = mkv_member_key(uuid, &key);
    if (error == 0) {
        error = mkv_member_value(&member, &value);
    }
    if (error == 0) {
        error = mkv_cluster_write(server, now, mkv_buf_bytes(&key), mkv_buf_bytes(&value));
    }
    if (error == 0) {
        error = mkv_cluster_refresh(server);
    }
    mkv_buf_deinit(&value);
    mkv_buf_deinit(&key);
    return error;
}

/* While rows are lost, their number may be known no more, and the old one stays. */
int mkv_cluster_joined_as(struct mkv_server *server, uint64_t tock, uint32_t n)
{
    struct mkv_cluster *cluster = &server->cluster;

    if (mkv_store_lost(server->store) && n > 0 && n < cluster->n_joined) {
        n = cluster->n_joined;
    }
    if (cluster->joined == tock && cluster->n_joined == n) {
        return 0;
    }
    cluster->joined = tock;
    cluster->n_joined = n;
    return mkv_rows_store_joined(server);
}

/* --- Time --------------------------------------------------------------------------------- */

/*
 * Evicted, or its entry is gone: whatever it does now, the others do not wait for it.  An active
 * one may have been written anew by somebody who vouched for us without our taking him up on it.
 */
int mkv_cluster_check_membership(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_cluster *cluster = &server->cluster;
    int error = mkv_cluster_refresh(server);

    cluster->members_written = cluster->members_written && error != 0;
    if (error != 0 || !cluster->ready || server->failure != 0) {
        return error;
    }
    if (cluster->members.n > 0 &&
        !mkv_members_active(&cluster->members, mkv_store_id(server->store))) {
        mkv_join_again(server, now, "it is no active member of the cluster any more");
        return 0;
    }
    if (memcmp(cluster->joined_in, mkv_members_cluster(&cluster->members), MKV_UUID_LEN) != 0) {
        mkv_join_again(server, now,
                       "it has been let into another cluster, of which it has nothing");
        return 0;
    }
    return mkv_cluster_joined_as(server, cluster->members.own_tock, cluster->members.n);
}

static int ping_time(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_cluster *cluster = &server->cluster;
    int error = 0;

    if (!server->broker_connected || server->failure != 0) {
        return 0;
    }
    if (now.ms < cluster->ping_ms) {
        mkv_server_wake_at(server, cluster->ping_ms);
        return 0;
    }
    if (cluster->ready) {
        error = mkv_cluster_check_membership(server, now);
        mkv_sync_forget(server, now);
        mkv_absent_look(server, now);
    }
    if (error == 0) {
        mkv_actor_ping(server, now, cluster->ready ? MKV_ACT_READY : MKV_ACT_JOINING);
    }
    return error;
}

int mkv_cluster_time(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_cluster *cluster = &server->cluster;
    int error = 0;

    if (cluster->stopped) {
        return 0;
    }
    if (!mkv_store_dirty(server->store)) {
        mkv_pull_settled(server);
    }
    mkv_pull_time(server, now);
    if (cluster->members_written) {
        error = mkv_cluster_check_membership(server, now);
    }
    if (error == 0 && !cluster->ready) {
        error = mkv_join_time(server, now);
    }
    mkv_gaps_time(server, now);
    if (error == 0) {
        error = mkv_sync_time(server, now);
    }
    if (error == 0) {
        error = mkv_stamp_time(server, now);
    }
    if (error == 0) {
        error = ping_time(server, now);
    }
    mkv_query_time(server, now);
    return error;
}

void mkv_server_leave(struct mkv_server *server, struct mkv_now now)
{
    now = mkv_server_clock(server, now);
    if (server->broker_connected && !server->cluster.stopped && server->cluster.n_pings > 0) {
        mkv_actor_ping(server, now, MKV_ACT_LEAVING);
    }
}

bool mkv_server_ready(const struct mkv_server *server)
{
    return server->cluster.ready;
}

/*
 * Somebody has read our log further than it goes: so it is a copy of an earlier state, and what we
 * said and stamped since is not known to us.
 */
int mkv_cluster_found_restored(struct mkv_server *server)
{
    struct mkv_server_link *link;
    struct mkv_session *session;
    size_t cursor = 0;

    while ((link = mkv_map_each(&server->links, &cursor)) != NULL) {
        link->session = NULL;
    }
    for (cursor = 0; (session = mkv_map_each(&server->sessions, &cursor)) != NULL; cursor = 0) {
        mkv_server_forget_session(server, session);
    }
    server->cluster.restored = true;
    mkv_effect_log(server->effects, MKV_LOG_WARNING,
                   "this store has been restored from a backup: others have seen more of it; what "
                   "they do not vouch for is set aside");

    int error = mkv_store_mark_restored(server->store, true);

    return error != 0 ? error : mkv_rows_drop_sessions(server);
}

/* Checkpoints may have been made when there was more. */
int mkv_cluster_look_for_lost(struct mkv_server *server)
{
    struct mkv_cluster *cluster = &server->cluster;
    int error;

    if (!mkv_store_lost(server->store) || cluster->members.n < cluster->n_joined) {
        return 0;
    }
    error = mkv_rows_drop_applied(server);
    return error != 0 ? error : mkv_store_mark_restored(server->store, false);
}

/* --- Batches ------------------------------------------------------------------------------ */

int mkv_cluster_settle(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_cluster *cluster = &server->cluster;
    struct mkv_digest digest = mkv_sync_digest(server);
    size_t cursor = 0;
    struct mkv_known *known;
    int error = 0;

    if (digest.high != cluster->settled.high || digest.low != cluster->settled.low) {
        cluster->settled = digest;
        cluster->changed_ms = now.ms;
    }
    if (cluster->floor.changed) {
        error = mkv_rows_store_floor(server, now);
        cluster->floor.changed = false;
    }
    while (error == 0 && mkv_store_dirty(server->store) &&
           (known = mkv_map_each(&cluster->known, &cursor)) != NULL) {
        if (known->applied_changed) {
            error = mkv_rows_store_applied(server, known);
            known->applied_changed = false;
        }
    }
    return error;
}

/* What was told to be here is not; all of it is asked for again. */
void mkv_cluster_rollback(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_cluster *cluster = &server->cluster;
    size_t cursor = 0;
    struct mkv_known *known;

    mkv_pull_rollback(server, now);
    mkv_past_clear(&cluster->past);
    cluster->joined_how = NULL;
    mkv_gaps_forget(server);
    cluster->members.read = false;
    cluster->purging = cluster->floor.floor > 0; /* some may be there again */
    cluster->purge_began = false;
    while ((known = mkv_map_each(&cluster->known, &cursor)) != NULL) {
        known->has_applied =
            mkv_rows_load_applied(server, known) == 0 && !mkv_store_lost(server->store);
        known->applied_changed = false;
        known->mark = 0;
    }
}
