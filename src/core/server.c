/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server.h"

#include <sodium.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/mem.h"
#include "core/server_state.h"

void mkv_server_mark_dirty(struct mkv_server *server, struct mkv_session *session)
{
    if (!session->dirty) {
        session->dirty = true;
        session->next_dirty = server->dirty;
        server->dirty = session;
    }
}

static void unmark_dirty(struct mkv_server *server, struct mkv_session *session)
{
    struct mkv_session **at = &server->dirty;

    while (*at != session) {
        at = &(*at)->next_dirty;
    }
    *at = session->next_dirty;
    session->dirty = false;
}

void mkv_server_forget_session(struct mkv_server *server, struct mkv_session *session)
{
    if (session->dirty) {
        unmark_dirty(server, session);
    }
    (void)mkv_map_remove(&server->sessions, session->seq);
    mkv_mem_free(session);
}

int mkv_server_new(const struct mkv_server_config *config,
                   struct mkv_store *store,
                   struct mkv_effects *effects,
                   struct mkv_now now,
                   struct mkv_server **ret_server)
{
    struct mkv_server *server = mkv_mem_alloc(sizeof(*server));

    if (server == NULL) {
        return MKV_E_NO_MEMORY;
    }
    server->config = *config;
    server->store = store;
    server->effects = effects;
    server->links.n_max = MKV_SERVER_LINKS_MAX;
    server->sessions.n_max = MKV_SESSIONS_MAX;
    server->wake_ms = MKV_NEVER;
    server->started_ms = now.ms;
    server->complained_ms = now.ms - 1000;
    mkv_cluster_init(&server->cluster);
    mkv_retained_init(&server->retained);
    server->cluster.restored = config->restored;

    int error = mkv_rows_load(server, now);

    if (error != 0) {
        mkv_server_free(server);
        return error;
    }
    mkv_streams_init(&server->cluster.streams, server->secret);
    *ret_server = server;
    return 0;
}

int mkv_server_begin(struct mkv_server *server, struct mkv_now now)
{
    int error = mkv_grants_refresh(&server->grants, server->store, server->effects);

    if (error == 0) {
        error = mkv_secrets_refresh(server);
    }
    return error != 0 ? error : mkv_handshake_reserve(server, now);
}

void mkv_server_guard_key(struct mkv_server *server, const uint8_t key[MKV_GUARD_KEY_LEN])
{
    memcpy(server->config.guard_key, key, MKV_GUARD_KEY_LEN);
}

const struct mkv_acl *mkv_server_acl(const struct mkv_server *server, uint32_t *ret_version)
{
    *ret_version = server->grants.n_versions;
    return server->grants.acl;
}

void mkv_server_update_keys(struct mkv_server *server, const struct mkv_ring *updates)
{
    size_t cursor = 0;
    struct mkv_server_link *link;

    server->config.updates = *updates;
    while ((link = mkv_map_each(&server->links, &cursor)) != NULL) {
        if (link->session != NULL && link->state == LINK_OPEN) {
            mkv_effect_close(server->effects, link->number);
            link->state = LINK_CLOSING;
        }
    }
}

void mkv_server_free(struct mkv_server *server)
{
    size_t cursor = 0;
    struct mkv_server_link *link;
    struct mkv_session *session;

    if (server == NULL) {
        return;
    }
    while ((link = mkv_map_each(&server->links, &cursor)) != NULL) {
        mkv_serve_end_all(server, link);
        mkv_mem_free(link);
    }
    cursor = 0;
    while ((session = mkv_map_each(&server->sessions, &cursor)) != NULL) {
        mkv_mem_free(session);
    }
    mkv_map_deinit(&server->links);
    mkv_map_deinit(&server->sessions);
    mkv_cluster_deinit(&server->cluster);
    mkv_conflicts_deinit(&server->conflicts);
    mkv_retained_deinit(&server->retained);
    mkv_grants_deinit(&server->grants);
    sodium_memzero(server->secret, sizeof(server->secret));
    sodium_memzero(server->config.guard_key, sizeof(server->config.guard_key));
    mkv_ring_forget(&server->config.updates);
    mkv_mem_free(server);
}

/* --- Messages that are no updates --------------------------------------------------------- */

void mkv_server_query(struct mkv_server *server, struct mkv_now now, const struct mkv_query *query)
{
    mkv_query_take(server, now, query);
}

void mkv_server_answered(struct mkv_server *server, const struct mkv_server_reply *reply)
{
    mkv_query_answered(server, reply->id);
}

void mkv_server_birth(struct mkv_server *server, const struct mkv_birth *birth)
{
    struct mkv_session *session;
    struct mkv_frame frame = {.kind = MKV_FRAME_BIRTH};

    if (!mkv_bytes_equal(birth->name, server->config.name)) {
        return; /* another server's client */
    }
    session = mkv_map_get(&server->sessions, birth->seq);
    if (session != NULL && session->link != 0) {
        mkv_effect_send(server->effects, session->link, &frame);
    }
}

int mkv_server_broker(struct mkv_server *server, struct mkv_now now, bool connected)
{
    size_t cursor = 0;
    struct mkv_session *session;

    now = mkv_server_clock(server, now);
    server->broker_connected = connected;
    server->cluster.joining_ms = connected && !server->cluster.ready ? now.ms : MKV_NEVER;
    server->cluster.ping_ms = now.ms;
    mkv_retained_reset(server, now);
    if (connected) {
        server->cluster.connected_ms = now.ms;
        mkv_server_wake_at(server, now.ms); /* sessions, too */
        return mkv_cluster_time(server, now);
    }
    if (!server->cluster.ready) { /* what is published meanwhile does not come here */
        server->cluster.joined_how = NULL;
        mkv_pull_fail(server, now, "the broker is away");
    }
    /* Holes found so far may be the broker's doing: ask again from the start. */
    while ((session = mkv_map_each(&server->sessions, &cursor)) != NULL) {
        session->tries = 0;
    }
    return 0;
}

int mkv_server_dialled(struct mkv_server *server,
                       struct mkv_now now,
                       uint64_t number,
                       int error,
                       enum mkv_peer_kind peer)
{
    return number == server->cluster.pull.link ? mkv_pull_dialled(server, now, error, peer) : 0;
}

/* --- Time --------------------------------------------------------------------------------- */

static void send_repeat(struct mkv_server *server,
                        const struct mkv_session *session,
                        struct mkv_run run)
{
    struct mkv_frame frame = {
        .kind = MKV_FRAME_REPEAT,
        .range = {.first = run.first, .last = run.last},
    };

    server->counts.repeats += run.last - run.first + 1;
    mkv_effect_send(server->effects, session->link, &frame);
}

/*
 * Asks for the first hole, and for the others as far as the window goes: what loses one update
 * often loses many, and one hole after the other would take a grace each.
 */
static void ask_repeat(struct mkv_server *server,
                       const struct mkv_session *session,
                       struct mkv_run first)
{
    uint64_t n_asked = first.last - first.first + 1;
    struct mkv_run hole;

    send_repeat(server, session, first);
    for (uint32_t i = 1; mkv_seen_hole(&session->seen, i, &hole); i++) {
        uint64_t n = hole.last - hole.first + 1;

        if (n > MKV_REPEAT_WINDOW - n_asked) {
            break;
        }
        send_repeat(server, session, hole);
        n_asked += n;
    }
    mkv_effect_log(server->effects, MKV_LOG_INFO,
                   "client %llu: %llu updates from %llu on did not arrive; asked to repeat (%u)",
                   (unsigned long long)session->seq, (unsigned long long)n_asked,
                   (unsigned long long)first.first, session->tries);
}

/* The ACK that follows covers the counters given up: their writer must learn that first. */
static void nack_void(struct mkv_server *server,
                      const struct mkv_session *session,
                      struct mkv_run run)
{
    struct mkv_frame frame = {
        .kind = MKV_FRAME_NACK,
        .nack = {.code = MKV_E_VOID, .text = mkv_bytes_of(mkv_error_text(MKV_E_VOID))},
    };

    for (uint64_t counter = run.first; counter <= run.last; counter++) {
        frame.nack.counter = counter;
        mkv_effect_send(server->effects, session->link, &frame);
    }
}

static void tell_void(struct mkv_server *server, struct mkv_session *session, struct mkv_run run)
{
    if (session->link != 0) { /* then it is no more than MKV_REPEAT_WINDOW of them */
        nack_void(server, session, run);
    }
    server->counts.voids += run.last - run.first + 1;
    mkv_server_mark_dirty(server, session);
    mkv_effect_log(server->effects, MKV_LOG_WARNING,
                   "client %llu: updates %llu..%llu never arrived and are given up (%s)",
                   (unsigned long long)session->seq, (unsigned long long)run.first,
                   (unsigned long long)run.last,
                   session->link == 0 ? "the client is gone" : "it does not repeat them");
}

static void session_time(struct mkv_server *server, struct mkv_now now, struct mkv_session *session)
{
    struct mkv_run run;

    switch (mkv_session_due(session, now, &server->config.session_limits, &run)) {
    case MKV_SESSION_WAIT:
        break;
    case MKV_SESSION_ASK:
        ask_repeat(server, session, run);
        break;
    case MKV_SESSION_VOID:
        tell_void(server, session, run);
        break;
    }
    mkv_server_wake_at(server, session->ask_ms);
}

/* Forgetting changes the map that is being walked: one at a time, then start over. */
static struct mkv_session *find_expired(const struct mkv_server *server, struct mkv_now now)
{
    size_t cursor = 0;
    struct mkv_session *session;

    while ((session = mkv_map_each(&server->sessions, &cursor)) != NULL) {
        if (session->link == 0 && now.ms - session->detached_ms >= MKV_RESUME_MS) {
            return session;
        }
    }
    return NULL;
}

static int sessions_time(struct mkv_server *server, struct mkv_now now)
{
    size_t cursor = 0;
    struct mkv_session *session;
    int error = 0;

    while ((session = mkv_map_each(&server->sessions, &cursor)) != NULL) {
        /* While nothing is recorded, or nothing can arrive, nothing is missing either. */
        if (server->failure == 0 && server->broker_connected) {
            session_time(server, now, session);
        }
        if (session->link == 0) {
            mkv_server_wake_at(server, session->detached_ms + MKV_RESUME_MS);
        }
    }
    while (error == 0 && (session = find_expired(server, now)) != NULL) {
        error = mkv_server_drop_session(server, session);
    }
    return error;
}

static void link_time(struct mkv_server *server, struct mkv_now now, struct mkv_server_link *link)
{
    int64_t until = link->heard_ms + MKV_LINK_SILENCE_MS;

    if (link->state == LINK_CLOSING) {
        return;
    }
    if (link->state != LINK_OPEN && link->opened_ms + MKV_LINK_LOGIN_MS < until) {
        until = link->opened_ms + MKV_LINK_LOGIN_MS;
    }
    if (now.ms >= until) {
        mkv_server_send_error(server, link, 0, MKV_E_TIMEOUT,
                              link->state == LINK_OPEN ? "nothing heard for 30 s"
                                                       : "no login within 10 s");
    } else {
        mkv_server_wake_at(server, until);
    }
}

int mkv_server_time(struct mkv_server *server, struct mkv_now now)
{
    int error = 0;

    now = mkv_server_clock(server, now);
    if (now.ms >= server->wake_ms) {
        size_t cursor = 0;
        struct mkv_server_link *link;

        server->wake_ms = MKV_NEVER;
        while ((link = mkv_map_each(&server->links, &cursor)) != NULL) {
            link_time(server, now, link);
        }
        mkv_users_time(server, now);
        error = sessions_time(server, now);
        if (error == 0) {
            error = mkv_cluster_time(server, now);
        }
        if (error == 0) {
            error = mkv_server_conflicts_time(server, now);
        }
        if (error == 0) {
            error = mkv_retained_time(server, now);
        }
        if (server->failure != 0) {
            mkv_server_wake_at(server, server->probe_ms);
        }
    }
    if (error == 0 && server->requests_pending) {
        error = mkv_serve_turn(server, now);
    }
    return error;
}

int64_t mkv_server_deadline(const struct mkv_server *server)
{
    return server->requests_pending ? 0 : server->wake_ms;
}

/* --- Batches ------------------------------------------------------------------------------ */

void mkv_server_ack(struct mkv_server *server, struct mkv_now now, struct mkv_session *session)
{
    struct mkv_frame frame = {
        .kind = MKV_FRAME_ACK,
        .ack = {.counter = session->seen.low,
                .level = 1,
                .tock = mkv_tock_tell(&server->tock, now.wall_ms)},
    };

    if (session->link != 0 && session->seen.low > 0) {
        session->acked = session->seen.low;
        mkv_effect_send(server->effects, session->link, &frame);
    }
}

bool mkv_server_dirty(const struct mkv_server *server)
{
    return server->dirty != NULL || mkv_store_dirty(server->store) || server->cluster.floor.changed;
}

int mkv_server_settle(struct mkv_server *server, struct mkv_now now)
{
    uint64_t mark;
    int error = 0;

    now = mkv_server_clock(server, now);
    while (server->dirty != NULL && error == 0) {
        struct mkv_session *session = server->dirty;

        server->dirty = session->next_dirty;
        session->dirty = false;
        error = mkv_rows_store_session(server, session);
        if (session->seen.low > session->acked) {
            mkv_server_ack(server, now, session);
        }
    }
    if (error == 0) {
        error = mkv_cluster_settle(server, now);
    }
    if (error == 0) {
        error = mkv_grants_refresh(&server->grants, server->store, server->effects);
    }
    if (error == 0) {
        error = mkv_secrets_refresh(server);
    }
    if (error == 0) {
        mkv_users_settle(server, now);
    }
    if (error == 0 && mkv_store_dirty(server->store) && mkv_tock_mark_due(&server->tock, &mark)) {
        error = mkv_rows_move_mark(server, mark);
    }
    if (error == 0) {
        mkv_server_conflicts_wake(server);
    }
    return error;
}

int mkv_server_rollback(struct mkv_server *server, struct mkv_now now, int failure)
{
    size_t cursor = 0;
    struct mkv_server_link *link;

    while (server->dirty != NULL) {
        server->dirty->dirty = false;
        server->dirty = server->dirty->next_dirty;
    }

    int error = mkv_rows_reload(server, now);

    mkv_cluster_rollback(server, now);
    mkv_retained_reset(server, now);
    mkv_secrets_rollback(server);
    /* Nobody knows which of the dropped frames a link was waiting for: all start over. */
    while ((link = mkv_map_each(&server->links, &cursor)) != NULL) {
        mkv_serve_end_all(server, link);
        mkv_server_send_error(server, link, 0, failure, mkv_error_text(failure));
    }
    mkv_effect_log(server->effects, MKV_LOG_ERROR,
                   "cannot write the store: %s; until it can, updates are not acknowledged",
                   mkv_error_text(failure));
    server->failure = failure;
    server->probe_ms = now.ms + MKV_PROBE_MS;
    mkv_server_wake_at(server, server->probe_ms);
    return error;
}

bool mkv_server_probe_due(const struct mkv_server *server, struct mkv_now now)
{
    return server->failure != 0 && now.ms >= server->probe_ms;
}

int mkv_server_probe(struct mkv_server *server, struct mkv_now now, size_t size)
{
    server->probe_ms = now.ms + MKV_PROBE_MS;
    mkv_server_wake_at(server, server->probe_ms);

    int error = mkv_rows_reserve_seq(server, server->seq_reserved);

    return error != 0 ? error : mkv_rows_put_ballast(server, size);
}

int mkv_server_recovered(struct mkv_server *server)
{
    size_t cursor = 0;
    struct mkv_server_link *link;

    server->failure = 0;
    while ((link = mkv_map_each(&server->links, &cursor)) != NULL) {
        if (link->state == LINK_OPEN && !link->is_peer) {
            mkv_server_tell_state(server, link);
        }
    }
    mkv_effect_log(server->effects, MKV_LOG_INFO, "the store can be written again");
    return mkv_rows_drop_ballast(server);
}
