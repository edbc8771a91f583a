/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server_state.h"

/*
 * Holes in the streams of other servers' clients (docs/protocol.md, 12.7): what is missing is read
 * from the server whose client it is, or from another one if that is not there.
 *
 *     hole -> grace -> its server is read from -> closed: what is still missing has been overwritten
 *
 * Each asking is one read of all that changed there, however many holes there are; and after one
 * that found nothing of what was missing the next waits for longer.  So a client that leaves out
 * counters, or somebody who forges them, costs little.
 */
#define WAIT_MAX_MS   30000
#define TRIES_MAX     10U
#define LEFT_OUT_MANY MKV_REPEAT_WINDOW /* more missing at once is hardly the broker's doing */

/* One look at all streams. */
struct look {
    struct mkv_known *another; /* to be asked for streams whose own server is not here */
    bool sought;               /* ... whether there is one has been found out */
    int64_t next_ms;
    uint32_t n_streams; /* asked for */
    uint64_t n_missing; /* in them */
    const struct mkv_stream *worst;
};

static bool is_ours(const struct mkv_server *server, const struct mkv_tick *dot)
{
    return mkv_bytes_equal(dot->name, server->config.name);
}

static bool may_be_asked(const struct mkv_server *server,
                         struct mkv_now now,
                         const struct mkv_known *known)
{
    return mkv_actor_serves(server, now, known) && mkv_sync_same_cluster(server, &known->ping) &&
           mkv_members_active(&server->cluster.members, known->ping.uuid);
}

void mkv_gaps_heard(struct mkv_server *server, struct mkv_now now, const struct mkv_tick *dot)
{
    struct mkv_cluster *cluster = &server->cluster;
    const struct mkv_stream *stream;
    int64_t due_ms;

    if (dot->seq == 0 || is_ours(server, dot) || !cluster->ready) {
        return;
    }
    stream = mkv_streams_hear(&cluster->streams, now, dot);
    if (stream == NULL || stream->since_ms != now.ms) {
        return;
    }
    due_ms = now.ms + server->config.session_limits.grace_ms;
    if (due_ms < cluster->gaps_ms) {
        cluster->gaps_ms = due_ms;
        mkv_server_wake_at(server, due_ms);
    }
}

void mkv_gaps_read(struct mkv_server *server, struct mkv_now now, const struct mkv_tick *dot)
{
    if (!is_ours(server, dot) && mkv_streams_fill(&server->cluster.streams, now, dot)) {
        server->cluster.pull.n_filled++;
    }
}

/* --- Whom to ask -------------------------------------------------------------------------- */

static struct mkv_known *find_named(const struct mkv_server *server,
                                    struct mkv_now now,
                                    struct mkv_bytes name)
{
    struct mkv_known *known;
    size_t cursor = 0;

    while ((known = mkv_map_each(&server->cluster.known, &cursor)) != NULL) {
        if (mkv_bytes_equal(known->ping.name, name) && may_be_asked(server, now, known)) {
            return known;
        }
    }
    return NULL;
}

/* The member that comes first for us: others ask others. */
static struct mkv_known *find_another(const struct mkv_server *server, struct mkv_now now)
{
    struct mkv_bytes id = mkv_bytes(mkv_store_id(server->store), MKV_UUID_LEN);
    struct mkv_known *first = NULL;
    struct mkv_known *known;
    size_t cursor = 0;

    while ((known = mkv_map_each(&server->cluster.known, &cursor)) != NULL) {
        if (may_be_asked(server, now, known) &&
            (first == NULL ||
             mkv_actor_weight(id, known->ping.uuid) < mkv_actor_weight(id, first->ping.uuid))) {
            first = known;
        }
    }
    return first;
}

static struct mkv_known *find_source(const struct mkv_server *server,
                                     struct mkv_now now,
                                     struct look *look,
                                     const struct mkv_stream *stream)
{
    struct mkv_known *known = find_named(server, now, mkv_bytes(stream->name, stream->name_len));

    if (known == NULL && !look->sought) {
        look->another = find_another(server, now);
        look->sought = true;
    }
    return known != NULL ? known : look->another;
}

/* It has been asked, and the answer is still to come. */
static bool is_awaited(const struct mkv_server *server,
                       const struct mkv_stream *stream,
                       const struct mkv_known *known)
{
    const struct mkv_pull *pull = &server->cluster.pull;

    if (stream->asked == 0 || stream->source != mkv_actor_key(known->ping.uuid)) {
        return false;
    }
    return known->wants_pull ||
           (pull->step != MKV_PULL_IDLE && pull->began_ms >= stream->asked_ms &&
            memcmp(pull->uuid, known->ping.uuid, MKV_UUID_LEN) == 0);
}

/* --- Asking ------------------------------------------------------------------------------- */

static void note_worst(struct look *look, const struct mkv_stream *stream)
{
    uint64_t n = mkv_stream_missing(stream);

    look->n_streams++;
    look->n_missing = n > INT64_MAX - look->n_missing ? INT64_MAX : look->n_missing + n;
    if (look->worst == NULL || n > mkv_stream_missing(look->worst)) {
        look->worst = stream;
    }
}

/* All that is asked of one server at once is one asking. */
static void ask(struct mkv_server *server,
                struct mkv_now now,
                struct mkv_stream *stream,
                struct mkv_known *known)
{
    int64_t wait_ms = server->config.session_limits.grace_ms << known->gap_tries;

    if (now.ms >= known->gaps_ms) {
        known->gaps_ms = now.ms + (wait_ms < WAIT_MAX_MS ? wait_ms : WAIT_MAX_MS);
        known->gaps_asked_ms = now.ms;
        known->gap_tries += known->gap_tries < TRIES_MAX;
        known->wants_pull = true;
    }
    stream->asked = stream->top;
    stream->asked_ms = now.ms;
    stream->source = mkv_actor_key(known->ping.uuid);
}

/* Returns when to look at it again. */
static int64_t look_at(struct mkv_server *server,
                       struct mkv_now now,
                       struct look *look,
                       struct mkv_stream *stream)
{
    int64_t grace_ms = server->config.session_limits.grace_ms;
    struct mkv_known *known;

    if (now.ms < stream->since_ms + grace_ms) {
        return stream->since_ms + grace_ms;
    }
    known = find_source(server, now, look, stream);
    if (known == NULL) {
        return now.ms + mkv_actor_period(server, now);
    }
    if (is_awaited(server, stream, known)) {
        return now.ms + grace_ms;
    }
    if (now.ms < known->gaps_ms && known->gaps_asked_ms != now.ms) {
        return known->gaps_ms;
    }
    note_worst(look, stream);
    ask(server, now, stream, known);
    return known->gaps_ms;
}

static void say(struct mkv_server *server, const struct look *look)
{
    const struct mkv_stream *worst = look->worst;

    if (mkv_stream_missing(worst) >= LEFT_OUT_MANY) {
        mkv_effect_log(server->effects, MKV_LOG_WARNING,
                       "%llu updates of clients of other servers did not arrive, %llu of them of "
                       "client '%.*s' %llu, which may have left them out, or somebody writes in "
                       "its name; reading what there is",
                       (unsigned long long)look->n_missing,
                       (unsigned long long)mkv_stream_missing(worst), (int)worst->name_len,
                       (const char *)worst->name, (unsigned long long)worst->seq);
        return;
    }
    mkv_effect_log(server->effects, MKV_LOG_INFO,
                   "%llu updates of %u clients of other servers did not arrive; reading them",
                   (unsigned long long)look->n_missing, look->n_streams);
}

void mkv_gaps_time(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_cluster *cluster = &server->cluster;
    struct look look = {.next_ms = MKV_NEVER};

    if (!cluster->ready || !server->broker_connected || server->failure != 0) {
        return;
    }
    if (now.ms >= cluster->gaps_ms) {
        for (struct mkv_stream *stream = cluster->streams.n_holes == 0 ? NULL
                                                                       : cluster->streams.newest;
             stream != NULL; stream = stream->older) {
            int64_t ms =
                stream->since_ms == MKV_NEVER ? MKV_NEVER : look_at(server, now, &look, stream);

            look.next_ms = ms < look.next_ms ? ms : look.next_ms;
        }
        cluster->gaps_ms = look.next_ms;
    }
    if (look.n_streams > 0) {
        say(server, &look);
    }
    mkv_server_wake_at(server, cluster->gaps_ms);
}

void mkv_gaps_closed(struct mkv_server *server, struct mkv_now now, struct mkv_known *known)
{
    struct mkv_cluster *cluster = &server->cluster;
    uint64_t source = mkv_actor_key(known->ping.uuid);

    if (cluster->pull.n_filled > 0) {
        int64_t again_ms = now.ms + server->config.session_limits.grace_ms;

        known->gap_tries = 0;
        known->gaps_ms = again_ms < known->gaps_ms ? again_ms : known->gaps_ms;
    }
    for (struct mkv_stream *stream = cluster->streams.n_holes == 0 ? NULL : cluster->streams.newest;
         stream != NULL; stream = stream->older) {
        if (stream->asked > 0 && stream->source == source &&
            stream->asked_ms <= cluster->pull.began_ms) {
            mkv_streams_close(&cluster->streams, now, stream, stream->asked);
        }
    }
}

void mkv_gaps_forget(struct mkv_server *server)
{
    mkv_streams_clear(&server->cluster.streams);
    server->cluster.gaps_ms = MKV_NEVER;
}
