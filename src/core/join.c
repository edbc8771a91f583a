/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rule.h"
#include "core/server_state.h"

/*
 * From the start until the server is one of them (docs/protocol.md, 12):
 *
 *     hear the broker -> hear a server that serves -> it vouches for us, and we have all it has
 *                     -> nobody is there: start alone
 *
 * Until then no session is numbered, nothing acknowledged, no query answered.
 */
#define WAIT_FOR_MEMBERS 3     /* times longer if there are others, who may just be slower */
#define PATIENCE         5     /* times longer if another one should start first, and does not */
#define SAY_AGAIN_MS     60000 /* why it does not go on */
#define OWN_TRIES        8U    /* to join our own cluster, before others are thought of */
#define NUMBERS_SKIPPED  UINT32_MAX /* at random, at most: as if some weeks had passed */

void mkv_join_again(struct mkv_server *server, struct mkv_now now, const char *why)
{
    struct mkv_cluster *cluster = &server->cluster;
    size_t cursor = 0;
    struct mkv_server_link *link;

    mkv_effect_log(server->effects, MKV_LOG_WARNING, "this server joins anew: %s", why);
    mkv_pull_fail(server, now, why);
    mkv_gaps_forget(server);
    cluster->ready = false;
    cluster->joined_how = NULL;
    cluster->n_queries = 0;
    cluster->joining_ms = server->broker_connected ? now.ms : MKV_NEVER;
    cluster->ping_ms = now.ms;
    while ((link = mkv_map_each(&server->links, &cursor)) != NULL) {
        if (link->state != LINK_CLOSING) {
            mkv_serve_end_all(server, link);
            mkv_server_send_error(server, link, 0, MKV_E_BUSY, "this server joins anew");
        }
    }
    mkv_server_wake_at(server, now.ms);
}

/*
 * A number of ours may have been given out after the copy was made that this store is: to somebody
 * who has written something, or who has not yet.  Those who start the same copy twice must not give
 * the same ones either.  What is skipped is stored: the next start has nothing else to go by.
 */
static int skip_own_numbers(struct mkv_server *server, struct mkv_now now)
{
    const struct mkv_tree *tree = mkv_store_tree(server->store);
    uint64_t seq = now.calendar_ms > server->seq_last ? now.calendar_ms : server->seq_last;
    struct mkv_tree_entry entry;
    bool found = mkv_tree_at(tree, mkv_bytes(NULL, 0), &entry);

    while (found && !server->cluster.skipped) {
        if (mkv_bytes_equal(entry.head.name, server->config.name) && entry.head.seq > seq) {
            seq = entry.head.seq;
        }
        found = mkv_tree_next(tree, entry.key, &entry);
    }
    if (!server->cluster.skipped) {
        server->seq_last = seq + (mkv_store_place(server->store).nonce & NUMBERS_SKIPPED);
        server->cluster.skipped = true;
    }
    return server->seq_last > server->seq_reserved ? mkv_rows_reserve_seq(server, server->seq_last)
                                                   : 0;
}

static void become_ready(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_cluster *cluster = &server->cluster;

    mkv_effect_log(server->effects, MKV_LOG_INFO, "%s", cluster->joined_how);
    cluster->restored = false;
    cluster->skipped = false;
    cluster->ready = true;
    cluster->joined_how = NULL;
    cluster->joining_ms = MKV_NEVER;
    cluster->ping_ms = now.ms;
    mkv_server_wake_at(server, now.ms);
}

/* What we hold is from now on what the cluster has that our entry names, and our floor is one of its. */
static int belong(struct mkv_server *server)
{
    struct mkv_cluster *cluster = &server->cluster;
    const uint8_t *named = mkv_members_cluster(&cluster->members);

    if (memcmp(cluster->joined_in, named, MKV_UUID_LEN) == 0) {
        return 0;
    }
    memcpy(cluster->joined_in, named, MKV_UUID_LEN);
    return mkv_rows_store_joined(server);
}

/*
 * What others may rely on from now on.  A server that starts alone still lacks what it has lost, if
 * others have it: it may not even know who they are.
 */
static int settle_down(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_cluster *cluster = &server->cluster;
    bool alone = cluster->joined == 0 && cluster->members.own_tock == 0;
    int error = mkv_cluster_joined_as(server, cluster->members.own_tock, cluster->members.n);

    if (error == 0) {
        error = belong(server);
    }
    if (error == 0 && alone) {
        error = mkv_cluster_look_for_lost(server);
    }
    if (error == 0 && cluster->restored) {
        error = skip_own_numbers(server, now);
    }
    if (error == 0 && cluster->restored) {
        error = mkv_store_mark_restored(server->store, false);
    }
    return error;
}

/*
 * We have what the others have, or do without: ready, as soon as that is on disk.  A disk that takes
 * no writes keeps what it knows of the store: that it was restored, say.
 */
static int get_ready(struct mkv_server *server, struct mkv_now now, const char *how)
{
    int error = server->failure == 0 ? settle_down(server, now) : 0;

    if (error == 0) {
        server->cluster.joined_how = how;
        if (mkv_store_dirty(server->store)) {
            mkv_server_wake_at(server, now.ms + 1);
        } else {
            become_ready(server, now);
        }
    }
    return error;
}

bool mkv_join_unsure(const struct mkv_server *server)
{
    const struct mkv_cluster *cluster = &server->cluster;

    return cluster->restored || mkv_store_lost(server->store) ||
           cluster->joined != cluster->members.own_tock;
}

int mkv_join_done(struct mkv_server *server, struct mkv_now now, struct mkv_known *known)
{
    struct mkv_cluster *cluster = &server->cluster;

    if (!mkv_members_active(&cluster->members, mkv_store_id(server->store))) {
        mkv_effect_log(server->effects, MKV_LOG_WARNING,
                       "the others' list of servers does not name this one; joining goes on");
        if (known != NULL) {
            mkv_sync_failed(server, now, known);
        }
        return 0;
    }
    return get_ready(server, now, "joined the other servers");
}

/* By what we know; it may not have heard that yet. */
static bool is_evicted(const struct mkv_server *server, const struct mkv_known *known)
{
    const struct mkv_member *member = mkv_members_find(&server->cluster.members, known->ping.uuid);

    return member != NULL && !member->active;
}

/*
 * Whether it is one of those that we belong to, or we may as well join them.  Whoever has more than
 * they have starts as what it is, and then they join it.  So does whoever knows that they are out
 * of the cluster: what they hold alone does not count there any more.
 */
static bool may_join(const struct mkv_server *server,
                     struct mkv_now now,
                     const struct mkv_known *known)
{
    if (!mkv_actor_serves(server, now, known)) {
        return false;
    }
    if (mkv_join_unsure(server)) {
        return true;
    }
    return mkv_sync_same_cluster(server, &known->ping)
               ? !is_evicted(server, known)
               : mkv_sync_compare(server, &known->ping) <= 0;
}

/* It does not matter any more where all attempts fail. */
static bool is_ours(const struct mkv_server *server, const struct mkv_known *known)
{
    return mkv_sync_same_cluster(server, &known->ping) && known->n_failures < OWN_TRIES;
}

/* One that is not evicted, as far as we know; our own cluster, then the one that was not tried in vain more often, then the first in rank. */
static bool is_better(const struct mkv_server *server,
                      const struct mkv_known *known,
                      const struct mkv_known *best)
{
    struct mkv_bytes id = mkv_bytes(mkv_store_id(server->store), MKV_UUID_LEN);
    bool ours = is_ours(server, known);
    bool evicted = is_evicted(server, known);

    if (evicted != is_evicted(server, best)) {
        return !evicted;
    }
    if (ours != is_ours(server, best)) {
        return ours;
    }
    if (known->n_failures != best->n_failures) {
        return known->n_failures < best->n_failures;
    }
    return mkv_actor_weight(id, known->ping.uuid) < mkv_actor_weight(id, best->ping.uuid);
}

static struct mkv_known *choose(const struct mkv_server *server, struct mkv_now now)
{
    struct mkv_known *best = NULL;
    struct mkv_known *known;
    size_t cursor = 0;

    while ((known = mkv_map_each(&server->cluster.known, &cursor)) != NULL) {
        if (may_join(server, now, known) && (best == NULL || is_better(server, known, best))) {
            best = known;
        }
    }
    return best;
}

static bool is_zero(struct mkv_digest digest)
{
    return digest.high == 0 && digest.low == 0;
}

/* Whether the other one, which is joining, too, should start before us. */
static bool goes_first(const struct mkv_server *server, const struct mkv_ping *ping)
{
    const struct mkv_cluster *cluster = &server->cluster;
    bool is_single = is_zero(cluster->members.digest);
    bool is_empty =
        mkv_tree_summary(mkv_store_tree(server->store), mkv_bytes(NULL, 0)).n_entries == 0;

    if (ping->floor != cluster->floor.floor) {
        return ping->floor > cluster->floor.floor;
    }
    if (is_single != is_zero(mkv_sync_digest_of(ping->members))) {
        return is_single;
    }
    if (is_empty != (ping->count == 0)) {
        return is_empty;
    }
    return memcmp(ping->uuid, mkv_store_id(server->store), MKV_UUID_LEN) > 0;
}

static bool somebody_goes_first(const struct mkv_server *server, struct mkv_now now)
{
    const struct mkv_known *known;
    size_t cursor = 0;

    while ((known = mkv_map_each(&server->cluster.known, &cursor)) != NULL) {
        if (known->ping.state == MKV_ACT_JOINING && mkv_actor_live(server, now, known) &&
            goes_first(server, &known->ping)) {
            return true;
        }
    }
    return false;
}

static bool has_other_members(const struct mkv_server *server)
{
    const struct mkv_members *members = &server->cluster.members;

    for (uint32_t i = 0; i < members->n; i++) {
        if (members->at[i].active &&
            memcmp(members->at[i].uuid, mkv_store_id(server->store), MKV_UUID_LEN) != 0) {
            return true;
        }
    }
    return false;
}

static int64_t wait_ms(const struct mkv_server *server)
{
    int64_t ms = server->config.times.join_wait_ms;

    if (has_other_members(server)) {
        return WAIT_FOR_MEMBERS * ms;
    }
    return server->config.alone && !server->cluster.restored ? 0 : ms;
}

static void complain(struct mkv_server *server, struct mkv_now now, const char *why)
{
    struct mkv_cluster *cluster = &server->cluster;

    if (now.ms >= cluster->lonely_ms) {
        cluster->lonely_ms = now.ms + SAY_AGAIN_MS;
        mkv_effect_log(server->effects, MKV_LOG_ERROR, "%s", why);
    }
}

/* What keeps it from going on with what it has, as one of them; NULL: nothing. */
static const char *why_not_alone(const struct mkv_server *server)
{
    const struct mkv_cluster *cluster = &server->cluster;

    if (server->config.accept_restored || !MKV_RULE(RESTORED_WAITS)) {
        return NULL;
    }
    if (cluster->restored) {
        return "the store has been restored from a backup, and no other server is here that could "
               "bring it up to date: start one, or, if what was written since the backup is lost "
               "for good, start this one with --accept-restored";
    }
    if (cluster->joined != cluster->members.own_tock) {
        return "this server has been taken out of its cluster, or had not joined it completely, "
               "and none of the others is here: start one, or, if all of them are gone for good, "
               "start this one with --accept-restored";
    }
    return NULL;
}

static int start_alone(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_cluster *cluster = &server->cluster;
    const uint8_t *own = mkv_store_id(server->store);
    const char *why = why_not_alone(server);
    int error = 0;

    if (why != NULL) {
        complain(server, now, why);
        return 0;
    }
    if (server->failure != 0 && mkv_join_unsure(server)) { /* what it is then has to be stored */
        complain(server, now,
                 "this server has lost something, and cannot start alone while its disk takes no "
                 "writes");
        return 0;
    }
    if (server->failure == 0 && cluster->members.n > 0 &&
        (mkv_join_unsure(server) ||
         !mkv_members_active_as(&cluster->members, own, server->config.name))) {
        error = mkv_cluster_set_member(server, now, own, server->config.name, true);
    }
    if (memcmp(cluster->joined_in, mkv_members_cluster(&cluster->members), MKV_UUID_LEN) != 0) {
        mkv_floor_go_over(&cluster->floor, 0); /* it was agreed upon in another cluster */
    }
    return error != 0 ? error : get_ready(server, now, "no other server is here");
}

/* Only such servers are here as we cannot join.  To serve beside them would split their cluster, or ours. */
static int keep_away(struct mkv_server *server, struct mkv_now now)
{
    if (has_other_members(server)) {
        complain(server, now,
                 "this server waits for one of its own cluster: those that are here have other "
                 "keys. If its key has been changed meanwhile, 'moat-kvd key' prints a token where "
                 "the right one is, and --join-file takes it");
        return 0; /* our next ping comes back here */
    }
    server->cluster.stopped = true;
    mkv_effect_stop(server->effects,
                    "servers that have another key use this root at this broker: 'moat-kvd key' "
                    "prints a token there, and with --join-file this server joins them; or give it "
                    "another --root");
    return 0;
}

int mkv_join_time(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_cluster *cluster = &server->cluster;
    struct mkv_known *known;
    int error;

    if (cluster->joining_ms == MKV_NEVER || cluster->pull.step != MKV_PULL_IDLE ||
        mkv_actor_rivalled(server, now)) {
        return 0; /* our next ping comes back here */
    }
    if (cluster->joined_how != NULL) {
        return get_ready(server, now, cluster->joined_how);
    }
    error = mkv_cluster_refresh(server);
    if (error != 0) {
        return error;
    }
    if (!MKV_RULE(JOIN_FIRST)) {
        return get_ready(server, now, "serving");
    }
    known = choose(server, now);
    if (known != NULL && server->failure != 0) {
        complain(server, now, "this server cannot join the others while its disk takes no writes");
        return 0;
    }
    if (known != NULL && now.ms < known->retry_ms) {
        mkv_server_wake_at(server, known->retry_ms);
        return 0;
    }
    if (known != NULL) {
        return mkv_pull_start(server, now, known, MKV_PULL_JOIN, 0);
    }
    if (now.ms < cluster->joining_ms + wait_ms(server)) {
        mkv_server_wake_at(server, cluster->joining_ms + wait_ms(server));
        return 0;
    }
    if (somebody_goes_first(server, now) &&
        now.ms < cluster->joining_ms +
                     PATIENCE * (wait_ms(server) + server->config.times.join_wait_ms)) {
        return 0; /* our next ping comes back here */
    }
    return mkv_actor_strangers(server, now) ? keep_away(server, now) : start_alone(server, now);
}
