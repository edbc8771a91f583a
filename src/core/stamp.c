/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rule.h"
#include "core/server_state.h"
#include "core/stamped.h"

/*
 * Updates without a tock whose own server is not here (docs/protocol.md, 12.7): after a while the
 * first in rank of those who serve gives it one, and publishes it so.  The others hear that, and
 * leave it alone.
 *
 * A repeat must never be stamped anew, or an old value would overwrite newer ones.  So whatever
 * suggests that it is one counts: an entry that knew it, a later update of its stream, or a note of
 * our own.  Two servers that cannot hear each other may both stamp it: then the later one wins
 * everywhere, with the same value.
 */
#define WAIT_MS        3000  /* until the first in rank stamps it */
#define AGAIN_MS       1000  /* when that is not possible just now */
#define LIFE_MS        60000 /* after which it has been waiting in vain */
#define PERIODS_SILENT 3     /* whoever serves has been heard by then */

/* The last heard of this name: a server may have been set up anew. */
static const struct mkv_known *find_named(const struct mkv_server *server, struct mkv_bytes name)
{
    const struct mkv_known *last = NULL;
    const struct mkv_known *known;
    size_t cursor = 0;

    while ((known = mkv_map_each(&server->cluster.known, &cursor)) != NULL) {
        if (mkv_bytes_equal(known->ping.name, name) &&
            (last == NULL || known->heard_ms > last->heard_ms)) {
            last = known;
        }
    }
    return last;
}

/* Its own server is here, and will do it. */
static bool is_cared_for(const struct mkv_server *server, struct mkv_now now, struct mkv_bytes name)
{
    const struct mkv_known *known = find_named(server, name);

    return known != NULL && mkv_actor_serves(server, now, known) && MKV_RULE(STAMP_OWNER);
}

/* When we can tell that its own server is not here: not before we have listened for a while. */
static int64_t sure_ms(const struct mkv_server *server, struct mkv_now now, struct mkv_bytes name)
{
    const struct mkv_cluster *cluster = &server->cluster;
    const struct mkv_known *known = find_named(server, name);

    return known != NULL && known->heard_ms >= cluster->connected_ms
               ? known->heard_ms
               : cluster->connected_ms + PERIODS_SILENT * mkv_actor_period(server, now);
}

int mkv_stamp_covered(struct mkv_server *server,
                      struct mkv_bytes key,
                      const struct mkv_tick *dot,
                      bool *ret_covered)
{
    const struct mkv_head head = {.name = dot->name, .seq = dot->seq, .counter = dot->counter};
    struct mkv_tree_entry held;
    struct mkv_bytes held_key;
    struct mkv_update update;
    int error;

    *ret_covered = false;
    if (!mkv_tree_find(mkv_store_tree(server->store), key, &held)) {
        return 0;
    }
    error = mkv_store_row(server->store, held.position, &held_key, &update);
    if (error == MKV_E_CORRUPT) { /* what it knew is lost */
        update.ticks =
            (struct mkv_ticks){.n = 1, .at = {{held.head.name, held.head.seq, held.head.counter}}};
        error = 0;
    }
    if (error == 0) {
        *ret_covered = mkv_ticks_cover(&update.ticks, &head) && MKV_RULE(STAMP_ONCE);
    }
    return error;
}

/* Whether it has been stamped before, as far as can be known after the fact. */
static int is_stamped(struct mkv_server *server,
                      struct mkv_bytes key,
                      const struct mkv_tick *dot,
                      bool *ret_stamped)
{
    int error = mkv_stamped_has(server->store, dot, ret_stamped);

    if (error != 0) {
        return error;
    }
    *ret_stamped = *ret_stamped && MKV_RULE(STAMP_ONCE);
    return *ret_stamped ? 0 : mkv_stamp_covered(server, key, dot, ret_stamped);
}

/* Whether its stream has been heard as far as that, with tocks: then it is nothing new. */
static bool is_behind(const struct mkv_server *server, const struct mkv_tick *dot)
{
    const struct mkv_stream *stream = mkv_streams_find(&server->cluster.streams, dot);

    return stream != NULL && stream->top >= dot->counter && MKV_RULE(STAMP_ONCE);
}

static int keep(struct mkv_server *server,
                struct mkv_now now,
                struct mkv_bytes key,
                const struct mkv_update *update,
                bool *ret_taken)
{
    struct mkv_orphans *orphans = &server->cluster.orphans;
    int error = mkv_orphans_add(orphans, now, now.ms + WAIT_MS, key, update);

    if (error == MKV_E_TOO_MANY || error == MKV_E_TOO_LARGE) {
        *ret_taken = false;
        return 0;
    }
    mkv_server_wake_at(server, now.ms + WAIT_MS);
    return error;
}

int mkv_stamp_take(struct mkv_server *server,
                   struct mkv_now now,
                   struct mkv_bytes key,
                   const struct mkv_update *update,
                   bool *ret_taken)
{
    const struct mkv_tick *dot = &update->ticks.at[0];
    bool stamped;
    int error;

    *ret_taken = dot->seq != 0 && !mkv_bytes_equal(dot->name, server->config.name);
    if (!*ret_taken || !server->cluster.ready || is_cared_for(server, now, dot->name) ||
        mkv_orphans_have(&server->cluster.orphans, dot) || is_behind(server, dot)) {
        return 0;
    }
    error = is_stamped(server, key, dot, &stamped);
    if (error == 0 && !stamped) {
        error = keep(server, now, key, update, ret_taken);
    }
    return error;
}

int mkv_stamp_seen(struct mkv_server *server, const struct mkv_tick *dot)
{
    struct mkv_orphans *orphans = &server->cluster.orphans;

    return orphans->n > 0 && mkv_orphans_drop(orphans, dot) ? mkv_stamped_add(server->store, dot)
                                                            : 0;
}

/* @orphan has been taken out: what is merged is looked for among those that wait. */
static int stamp(struct mkv_server *server, struct mkv_now now, const struct mkv_orphan *orphan)
{
    struct mkv_update update = mkv_orphan_update(orphan);
    int error = mkv_stamped_add(server->store, &orphan->dot);

    if (error != 0) {
        return error;
    }
    update.has_tock = true;
    update.tock = mkv_tock_next(&server->tock, now.wall_ms);
    server->counts.stamped++;
    mkv_effect_publish(server->effects, orphan->key, &update);
    return mkv_ingest_merge(server, now, orphan->key, &update);
}

enum fate {
    WAITS,
    GOES,
    IS_STAMPED
};

/* For one whose time has come, or WAITS, and then that has been set anew. */
static int decide(struct mkv_server *server,
                  struct mkv_now now,
                  struct mkv_orphan *orphan,
                  enum fate *ret_fate)
{
    int64_t due_ms = orphan->came_ms + WAIT_MS;
    int64_t known_ms = sure_ms(server, now, orphan->dot.name);
    bool covered;
    int error;

    *ret_fate = GOES;
    if (now.ms >= orphan->came_ms + LIFE_MS || is_cared_for(server, now, orphan->dot.name)) {
        return 0;
    }
    *ret_fate = WAITS;
    if (!server->cluster.ready || !server->broker_connected) {
        orphan->due_ms = now.ms + AGAIN_MS;
        return 0;
    }
    due_ms = due_ms > known_ms ? due_ms : known_ms;
    due_ms += mkv_actor_rank(server, now, orphan->key) * server->config.times.query_ms;
    if (now.ms < due_ms) {
        orphan->due_ms = due_ms;
        return 0;
    }
    /* Had it come with a tock meanwhile, it would not wait any more; a later one of its stream may. */
    error = mkv_stamp_covered(server, orphan->key, &orphan->dot, &covered);
    *ret_fate = covered ? GOES : IS_STAMPED;
    return error;
}

int mkv_stamp_time(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_orphans *orphans = &server->cluster.orphans;
    struct mkv_orphan *next = mkv_orphans_next(orphans);
    int error = 0;

    if (server->failure != 0) {
        return 0;
    }
    for (; error == 0 && next != NULL && now.ms >= next->due_ms; next = mkv_orphans_next(orphans)) {
        enum fate fate;

        error = decide(server, now, next, &fate);
        if (error == 0 && fate != WAITS) {
            struct mkv_orphan orphan = mkv_orphans_take(orphans, next);

            error = fate == GOES ? 0 : stamp(server, now, &orphan);
            mkv_orphan_free(&orphan);
        }
    }
    if (next != NULL) {
        mkv_server_wake_at(server, next->due_ms);
    }
    return error;
}
