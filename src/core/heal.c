/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server_state.h"
#include "wire/path.h"

/*
 * Up to the floor all have the same (docs/protocol.md, 12.6): so nothing is read there any more, and
 * a difference would last for ever.  One fault at a time makes none; several that strike the same
 * list of members at once (an eviction while another server crashes, a backup put back where a new
 * one has just been vouched for) may.  Then the worst must be that a deleted value is there again,
 * not that one is lost, or that servers stay different: what has a value at one of them gets it at
 * all of them.
 */
#define STAYS_MAX      2   /* pings in a row after comparing, and it is still there */
#define PATH_SHOWN_MAX 500 /* bytes; a longer one is not shown */

/*
 * There is nothing else to wait for: the same members, the same floor, nothing left to be deleted
 * up to there, and all that lies above it has been compared.
 */
bool mkv_heal_due(const struct mkv_server *server, const struct mkv_known *known)
{
    const struct mkv_cluster *cluster = &server->cluster;

    return known->walked && known->n_differs >= STAYS_MAX && !cluster->purging &&
           known->ping.floor == cluster->floor.floor &&
           mkv_sync_same_members(cluster, mkv_sync_digest_of(known->ping.members));
}

static int note(struct mkv_server *server, struct mkv_bytes key)
{
    struct mkv_pull *pull = &server->cluster.pull;

    server->cluster.n_healed++;
    if (pull->n_healed++ > 0) {
        return 0;
    }
    mkv_buf_clear(&pull->healed);
    return mkv_buf_append(&pull->healed, key);
}

/*
 * A deletion that we do not hold is one that we have forgotten.  If our floor has moved since, it
 * may have been one that came after they had sent this.
 */
int mkv_heal_row(struct mkv_server *server,
                 struct mkv_now now,
                 struct mkv_bytes key,
                 const struct mkv_update *update)
{
    struct mkv_head head = mkv_head_of(update);
    struct mkv_tree_entry held;
    bool found = mkv_tree_find(mkv_store_tree(server->store), key, &held);

    if (server->cluster.pull.floor != server->cluster.floor.floor ||
        (found ? mkv_head_compare(&held.head, &head) >= 0 : !update->present)) {
        return 0;
    }

    int error = note(server, key);

    return error != 0 ? error : mkv_ingest_merge(server, now, key, update);
}

static void say(struct mkv_server *server, const struct mkv_known *known)
{
    const struct mkv_pull *pull = &server->cluster.pull;
    struct mkv_bytes name = known == NULL ? mkv_bytes_of("?") : known->ping.name;
    struct mkv_bytes shown = mkv_bytes_of("?");
    struct mkv_buf path;

    mkv_buf_init(&path, PATH_SHOWN_MAX);
    if (mkv_path_to_dotted(mkv_buf_bytes(&pull->healed), &path) == 0) {
        shown = mkv_buf_bytes(&path);
    }
    mkv_effect_log(server->effects, MKV_LOG_WARNING,
                   "%llu entries that all servers should have had for long were not here, but at "
                   "server '%.*s' (the first at %.*s); they have been taken over, so a value that "
                   "was deleted may be there again",
                   (unsigned long long)pull->n_healed, (int)name.len, (const char *)name.at,
                   (int)shown.len, (const char *)shown.at);
    mkv_buf_deinit(&path);
}

void mkv_heal_done(struct mkv_server *server, struct mkv_now now, const struct mkv_known *known)
{
    mkv_cluster_purge(server, now); /* what was taken may be deletions */
    if (server->cluster.pull.n_healed > 0) {
        say(server, known);
    }
}
