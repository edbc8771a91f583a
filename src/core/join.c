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

void mkv_join_again(struct mkv_server *server, struct mkv_now now, const char *why)
{
    struct mkv_cluster *cluster = &server->cluster;
    size_t cursor = 0;
    struct mkv_server_link *link;

    mkv_effect_log(server->effects, MKV_LOG_WARNING, "this server joins anew: %s", why);
    mkv_pull_fail(server, now, why);
    cluster->ready = false;
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

/* A number of ours may have been given out after the copy was made that this store is. */
static void skip_own_numbers(struct mkv_server *server)
{
    const struct mkv_tree *tree = mkv_store_tree(server->store);
    struct mkv_tree_entry entry;
    bool found = mkv_tree_at(tree, mkv_bytes(NULL, 0), &entry);

    while (found) {
        if (mkv_bytes_equal(entry.head.name, server->config.name) &&
            entry.head.seq > server->seq_last) {
            server->seq_last = entry.head.seq;
        }
        found = mkv_tree_next(tree, entry.key, &entry);
    }
}

/*
 * We have what the others have, or do without.  A disk that takes no writes keeps what it knows of
 * the store: that it was restored, say.
 */
static int become_ready(struct mkv_server *server, struct mkv_now now, const char *how)
{
    struct mkv_cluster *cluster = &server->cluster;
    int error = server->failure == 0 ? mkv_store_mark_restored(server->store, false) : 0;

    if (error != 0) {
        return error;
    }
    if (server->cluster.restored) {
        skip_own_numbers(server);
    }
    cluster->ready = true;
    cluster->joining_ms = MKV_NEVER;
    cluster->ping_ms = now.ms;
    mkv_effect_log(server->effects, MKV_LOG_INFO, "%s", how);
    mkv_server_wake_at(server, now.ms);
    return 0;
}

int mkv_join_done(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_cluster *cluster = &server->cluster;
    int error = mkv_cluster_refresh(server);

    if (error != 0) {
        return error;
    }
    if (!mkv_members_active(&cluster->members, mkv_store_id(server->store))) {
        mkv_effect_log(server->effects, MKV_LOG_WARNING,
                       "the others' list of servers does not name this one; joining goes on");
        return 0;
    }
    return become_ready(server, now, "joined the other servers");
}

/* The first in rank that was not tried in vain more often than others. */
static struct mkv_known *choose(const struct mkv_server *server, struct mkv_now now)
{
    struct mkv_bytes id = mkv_bytes(mkv_store_id(server->store), MKV_UUID_LEN);
    struct mkv_known *best = NULL;
    struct mkv_known *known;
    size_t cursor = 0;

    while ((known = mkv_map_each(&server->cluster.known, &cursor)) != NULL) {
        if (mkv_actor_serves(server, now, known) &&
            (best == NULL || known->n_failures < best->n_failures ||
             (known->n_failures == best->n_failures &&
              mkv_actor_weight(id, known->ping.uuid) < mkv_actor_weight(id, best->ping.uuid)))) {
            best = known;
        }
    }
    return best;
}

/* Whether the other one, which is joining, too, should start before us. */
static bool goes_first(const struct mkv_server *server, const struct mkv_ping *ping)
{
    const struct mkv_cluster *cluster = &server->cluster;

    bool is_empty =
        mkv_tree_summary(mkv_store_tree(server->store), mkv_bytes(NULL, 0)).n_entries == 0;

    if (ping->floor != cluster->floor.floor) {
        return ping->floor > cluster->floor.floor;
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
        if (mkv_actor_live(server, now, known) && goes_first(server, &known->ping)) {
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

static int start_alone(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_cluster *cluster = &server->cluster;
    int error = 0;

    if (server->cluster.restored && !server->config.accept_restored && MKV_RULE(RESTORED_WAITS)) {
        complain(server, now,
                 "the store has been restored from a backup, and no other server is here that "
                 "could bring it up to date: start one, or, if what was written since the backup "
                 "is lost for good, start this one with --accept-restored");
        return 0;
    }
    if (server->failure == 0 && cluster->members.n > 0) {
        error = mkv_cluster_set_member(server, now, mkv_store_id(server->store),
                                       server->config.name, true);
    }
    return error != 0 ? error : become_ready(server, now, "no other server is here");
}

int mkv_join_time(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_cluster *cluster = &server->cluster;
    struct mkv_known *known = choose(server, now);
    int error;

    if (cluster->joining_ms == MKV_NEVER || cluster->pull.step != MKV_PULL_IDLE ||
        mkv_actor_rivalled(server, now)) {
        return 0; /* our next ping comes back here */
    }
    error = mkv_cluster_refresh(server);
    if (error != 0) {
        return error;
    }
    if (!MKV_RULE(JOIN_FIRST)) {
        return become_ready(server, now, "serving");
    }
    if (known != NULL && server->failure != 0) {
        complain(server, now, "this server cannot join the others while its disk takes no writes");
        return 0;
    }
    if (known != NULL && now.ms < known->retry_ms) {
        mkv_server_wake_at(server, known->retry_ms);
        return 0;
    }
    if (known != NULL) {
        return mkv_pull_start(server, now, known, true, false, 0);
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
    return start_alone(server, now);
}
