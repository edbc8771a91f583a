/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server.h"

#include <sodium.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/mem.h"
#include "core/server_state.h"

/*
 * Meta rows:
 *     "tock"    the mark that the tock has not passed, 8 bytes big-endian
 *     "seq"     the highest session number reserved, likewise
 *     "secret"  32 random bytes: proves that a session to be resumed is one's own
 *     "s" seq   (8 bytes) which updates of a session have arrived
 */
#define SESSION_KEY_LEN 9U
#define SESSION_ROW_MAX 4096U

static const struct mkv_bytes tock_key = {(const uint8_t *)"tock", 4};
static const struct mkv_bytes seq_key = {(const uint8_t *)"seq", 3};
static const struct mkv_bytes secret_key = {(const uint8_t *)"secret", 6};
static const struct mkv_bytes session_prefix = {(const uint8_t *)"s\0", 2}; /* seq is below 2^56 */

static int put_number(struct mkv_store *store, struct mkv_bytes key, uint64_t number)
{
    uint8_t bytes[8];

    for (unsigned i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(number >> (56 - 8 * i));
    }
    return mkv_store_meta_put(store, key, mkv_bytes(bytes, sizeof(bytes)));
}

static uint64_t number_of(const uint8_t *bytes)
{
    uint64_t number = 0;

    for (unsigned i = 0; i < 8; i++) {
        number = number << 8 | bytes[i];
    }
    return number;
}

/* 0 if there is no such row yet. */
static int get_number(struct mkv_store *store, struct mkv_bytes key, uint64_t *ret_number)
{
    struct mkv_buf buf;

    mkv_buf_init(&buf, 8);

    int error = mkv_store_meta_get(store, key, &buf);

    if (error == MKV_E_NOT_FOUND) {
        *ret_number = 0;
        error = 0;
    } else if (error == 0 && buf.len != 8) {
        error = MKV_E_CORRUPT;
    } else if (error == 0) {
        *ret_number = number_of(buf.at);
    }
    mkv_buf_deinit(&buf);
    return error;
}

static struct mkv_bytes session_key(uint64_t seq, uint8_t space[SESSION_KEY_LEN])
{
    space[0] = 's';
    for (unsigned i = 0; i < 8; i++) {
        space[1 + i] = (uint8_t)(seq >> (56 - 8 * i));
    }
    return mkv_bytes(space, SESSION_KEY_LEN);
}

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

int mkv_server_drop_session(struct mkv_server *server, struct mkv_session *session)
{
    uint8_t space[SESSION_KEY_LEN];
    int error = 0;

    if (session->stored && server->failure == 0) {
        error = mkv_store_meta_delete(server->store, session_key(session->seq, space));
    }
    mkv_server_forget_session(server, session);
    return error;
}

/* --- Reading what earlier runs left ------------------------------------------------------- */

static int load_seen(struct mkv_server *server, uint64_t seq, struct mkv_seen *ret_seen)
{
    uint8_t space[SESSION_KEY_LEN];
    struct mkv_buf row;

    mkv_buf_init(&row, SESSION_ROW_MAX);

    int error = mkv_store_meta_get(server->store, session_key(seq, space), &row);

    if (error == 0) {
        error = mkv_session_decode(mkv_buf_bytes(&row), ret_seen);
    }
    mkv_buf_deinit(&row);
    return error;
}

/*
 * A damaged row, or one too many, costs its client the session and no more: it gets a new one and
 * writes anew what was not acknowledged.
 */
static int load_session(struct mkv_server *server, struct mkv_now now, uint64_t seq)
{
    struct mkv_session *session = mkv_mem_alloc(sizeof(*session));

    if (session == NULL) {
        return MKV_E_NO_MEMORY;
    }
    session->seq = seq;
    session->stored = true;

    int error = load_seen(server, seq, &session->seen);

    if (error == 0) {
        mkv_session_attach(session, now, &server->config.session_limits, 0);
        mkv_server_wake_at(server, session->ask_ms);
        error = mkv_map_add(&server->sessions, seq, session);
    }
    if (error != 0) {
        mkv_mem_free(session);
    }
    if (error != 0 && error != MKV_E_NO_MEMORY && error != MKV_E_IO) {
        mkv_effect_log(server->effects, MKV_LOG_WARNING, "session %llu is not taken up again: %s",
                       (unsigned long long)seq, mkv_error_text(error));
        error = 0;
    }
    return error;
}

static int load_sessions(struct mkv_server *server, struct mkv_now now)
{
    uint8_t space[SESSION_KEY_LEN];
    struct mkv_bytes key = session_key(0, space);
    int error;

    for (;;) {
        struct mkv_bytes next;

        error = mkv_store_meta_next(server->store, session_prefix, key, &next);
        if (error != 0) {
            break;
        }
        if (next.len != SESSION_KEY_LEN) {
            error = MKV_E_CORRUPT;
            break;
        }

        uint64_t seq = number_of(next.at + 1);

        error = load_session(server, now, seq);
        if (error != 0) {
            break;
        }
        key = session_key(seq, space);
    }
    return error == MKV_E_NOT_FOUND ? 0 : error;
}

static int load_secret(struct mkv_server *server)
{
    struct mkv_buf row;

    mkv_buf_init(&row, sizeof(server->secret));

    int error = mkv_store_meta_get(server->store, secret_key, &row);

    if (error == MKV_E_NOT_FOUND) {
        memcpy(server->secret, server->config.secret, sizeof(server->secret));
        error = mkv_store_meta_put(server->store, secret_key,
                                   mkv_bytes(server->secret, sizeof(server->secret)));
    } else if (error == 0 && row.len != sizeof(server->secret)) {
        error = MKV_E_CORRUPT;
    } else if (error == 0) {
        memcpy(server->secret, row.at, sizeof(server->secret));
    }
    mkv_buf_deinit(&row);
    return error;
}

static int load(struct mkv_server *server, struct mkv_now now)
{
    int error = get_number(server->store, tock_key, &server->tock.mark);

    if (error == 0) {
        error = get_number(server->store, seq_key, &server->seq_reserved);
    }
    if (error == 0) {
        error = load_secret(server);
    }
    if (error == 0) {
        error = load_sessions(server, now);
    }
    server->tock.high = server->tock.mark;
    server->seq_last = server->seq_reserved;
    return error;
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

    int error = load(server, now);

    if (error != 0) {
        mkv_server_free(server);
        return error;
    }
    *ret_server = server;
    return 0;
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
    sodium_memzero(server->secret, sizeof(server->secret));
    mkv_mem_free(server);
}

/* --- Links -------------------------------------------------------------------------------- */

void mkv_server_send_error(struct mkv_server *server,
                           struct mkv_server_link *link,
                           uint64_t id,
                           int error,
                           const char *text)
{
    struct mkv_frame frame = {
        .kind = MKV_FRAME_ERROR,
        .id = id,
        .error = {.code = error, .text = mkv_bytes_of(text)},
    };

    mkv_effect_send(server->effects, link->number, &frame);
    if (id == 0) {
        mkv_effect_close(server->effects, link->number);
        link->state = LINK_CLOSING;
    }
}

void mkv_server_tell_state(struct mkv_server *server, const struct mkv_server_link *link)
{
    const char *text = server->failure == 0 ? "writing again" : mkv_error_text(server->failure);
    struct mkv_frame frame = {
        .kind = MKV_FRAME_STATE,
        .state = {.code = server->failure, .text = mkv_bytes_of(text)},
    };

    mkv_effect_send(server->effects, link->number, &frame);
}

int mkv_server_link_opened(struct mkv_server *server,
                           struct mkv_now now,
                           uint64_t number,
                           enum mkv_peer_kind peer)
{
    struct mkv_server_link *link = mkv_mem_alloc(sizeof(*link));

    if (link == NULL) {
        return MKV_E_NO_MEMORY;
    }
    link->number = number;
    link->peer = peer;
    link->opened_ms = now.ms;
    link->heard_ms = now.ms;

    int error = mkv_map_add(&server->links, number, link);

    if (error == MKV_E_TOO_MANY) {
        mkv_server_send_error(server, link, 0, MKV_E_BUSY, "too many links to this server");
        mkv_effect_log(server->effects, MKV_LOG_WARNING, "too many links: one refused");
        error = 0;
        mkv_mem_free(link);
    } else if (error != 0) {
        mkv_mem_free(link);
    } else {
        mkv_handshake_greet(server, link);
        mkv_server_wake_at(server, now.ms + MKV_LINK_LOGIN_MS);
    }
    return error;
}

/* A session without any update is not worth remembering. */
static int detach(struct mkv_server *server, struct mkv_now now, struct mkv_session *session)
{
    mkv_session_attach(session, now, &server->config.session_limits, 0);
    if (mkv_seen_top(&session->seen) == 0) {
        return mkv_server_drop_session(server, session);
    }
    mkv_server_wake_at(server, session->ask_ms);
    return 0;
}

int mkv_server_link_closed(struct mkv_server *server, struct mkv_now now, uint64_t number)
{
    struct mkv_server_link *link = mkv_map_remove(&server->links, number);
    int error = 0;

    if (link == NULL) {
        return 0; /* one that was refused */
    }
    mkv_serve_end_all(server, link);
    if (link->session != NULL) {
        error = detach(server, now, link->session);
    }
    mkv_mem_free(link);
    return error;
}

static int take_bye(struct mkv_server *server, struct mkv_server_link *link, uint64_t counter)
{
    struct mkv_session *session = link->session;
    int error = 0;

    link->session = NULL;
    if (session != NULL && session->seen.low >= counter) { /* all is here: nothing will follow */
        error = mkv_server_drop_session(server, session);
    } else if (session != NULL) {
        session->link = 0; /* perhaps it comes back and brings the rest */
    }
    mkv_effect_close(server->effects, link->number);
    link->state = LINK_CLOSING;
    return error;
}

int mkv_server_frame(struct mkv_server *server,
                     struct mkv_now now,
                     uint64_t number,
                     const struct mkv_frame *frame)
{
    struct mkv_server_link *link = mkv_map_get(&server->links, number);

    if (link == NULL || link->state == LINK_CLOSING) {
        return 0;
    }
    link->heard_ms = now.ms;
    if (frame->kind == MKV_FRAME_BYE) {
        return take_bye(server, link, frame->bye_counter);
    }
    if (frame->kind == MKV_FRAME_ERROR) {
        mkv_effect_log(server->effects, MKV_LOG_WARNING, "link %llu: the client reports: %.*s",
                       (unsigned long long)number, (int)frame->error.text.len,
                       (const char *)frame->error.text.at);
        if (frame->id == 0) {
            mkv_effect_close(server->effects, number);
            link->state = LINK_CLOSING;
        }
        return 0;
    }
    if (link->state != LINK_OPEN) {
        return mkv_handshake_frame(server, now, link, frame);
    }
    return mkv_serve_frame(server, now, link, frame);
}

int mkv_server_bad_frame(
    struct mkv_server *server, struct mkv_now now, uint64_t number, int error, uint64_t id)
{
    struct mkv_server_link *link = mkv_map_get(&server->links, number);

    if (link == NULL || link->state == LINK_CLOSING) {
        return 0;
    }
    link->heard_ms = now.ms;
    if (error != MKV_E_UNKNOWN_REQUEST) {
        mkv_effect_log(server->effects, MKV_LOG_WARNING, "link %llu: bad frame: %s",
                       (unsigned long long)number, mkv_error_text(error));
        mkv_server_send_error(server, link, 0, error, mkv_error_text(error));
    } else if (id != 0) {
        mkv_server_send_error(server, link, id, error, mkv_error_text(error));
    }
    return 0;
}

/* --- Messages that are no updates --------------------------------------------------------- */

void mkv_server_query(struct mkv_server *server, const struct mkv_query *query)
{
    struct mkv_server_reply reply = {
        .id = query->id,
        .name = server->config.name,
        .addresses = server->config.links,
        .versions = {MKV_PROTOCOL_LOWEST, MKV_PROTOCOL_HIGHEST},
        .host = server->config.host,
    };

    mkv_effect_reply(server->effects, &reply);
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

void mkv_server_broker(struct mkv_server *server, struct mkv_now now, bool connected)
{
    size_t cursor = 0;
    struct mkv_session *session;

    (void)now;
    server->broker_connected = connected;
    if (connected) {
        return;
    }
    /* Holes found so far may be the broker's doing: ask again from the start. */
    while ((session = mkv_map_each(&server->sessions, &cursor)) != NULL) {
        session->tries = 0;
    }
}

/* --- Time --------------------------------------------------------------------------------- */

static void ask_repeat(struct mkv_server *server,
                       const struct mkv_session *session,
                       struct mkv_run run)
{
    struct mkv_frame frame = {
        .kind = MKV_FRAME_REPEAT,
        .range = {.first = run.first, .last = run.last},
    };

    server->counts.repeats += run.last - run.first + 1;
    mkv_effect_send(server->effects, session->link, &frame);
    mkv_effect_log(server->effects, MKV_LOG_INFO,
                   "client %llu: updates %llu..%llu did not arrive; asked to repeat (%u)",
                   (unsigned long long)session->seq, (unsigned long long)run.first,
                   (unsigned long long)run.last, session->tries);
}

static void tell_void(struct mkv_server *server, struct mkv_session *session, struct mkv_run run)
{
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
        if (server->failure == 0) { /* while nothing is recorded, nothing is missing either */
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

    if (now.ms >= server->wake_ms) {
        size_t cursor = 0;
        struct mkv_server_link *link;

        server->wake_ms = MKV_NEVER;
        while ((link = mkv_map_each(&server->links, &cursor)) != NULL) {
            link_time(server, now, link);
        }
        error = sessions_time(server, now);
        if (server->failure != 0) {
            mkv_server_wake_at(server, server->probe_ms);
        }
    }
    if (error == 0 && server->requests_pending) {
        error = mkv_serve_turn(server);
    }
    return error;
}

int64_t mkv_server_deadline(const struct mkv_server *server)
{
    return server->requests_pending ? 0 : server->wake_ms;
}

/* --- Batches ------------------------------------------------------------------------------ */

static int store_session(struct mkv_server *server, struct mkv_session *session)
{
    uint8_t space[SESSION_KEY_LEN];
    struct mkv_buf row;

    mkv_buf_init(&row, SESSION_ROW_MAX);

    int error = mkv_session_encode(session, &row);

    if (error == 0) {
        error = mkv_store_meta_put(server->store, session_key(session->seq, space),
                                   mkv_buf_bytes(&row));
    }
    mkv_buf_deinit(&row);
    session->stored = true;
    return error;
}

void mkv_server_ack(struct mkv_server *server, struct mkv_now now, struct mkv_session *session)
{
    struct mkv_frame frame = {
        .kind = MKV_FRAME_ACK,
        .ack = {.counter = session->seen.low,
                .level = 1,
                .tock = mkv_tock_now(&server->tock, now.wall_ms)},
    };

    if (session->link != 0 && session->seen.low > 0) {
        session->acked = session->seen.low;
        mkv_effect_send(server->effects, session->link, &frame);
    }
}

bool mkv_server_dirty(const struct mkv_server *server)
{
    return server->dirty != NULL || mkv_store_dirty(server->store);
}

int mkv_server_settle(struct mkv_server *server, struct mkv_now now)
{
    uint64_t mark;
    int error = 0;

    while (server->dirty != NULL && error == 0) {
        struct mkv_session *session = server->dirty;

        server->dirty = session->next_dirty;
        session->dirty = false;
        error = store_session(server, session);
        if (session->seen.low > session->acked) {
            mkv_server_ack(server, now, session);
        }
    }
    if (error == 0 && mkv_store_dirty(server->store) && mkv_tock_mark_due(&server->tock, &mark)) {
        error = put_number(server->store, tock_key, mark);
        server->tock.mark = mark;
    }
    return error;
}

int mkv_server_reserve_seq(struct mkv_server *server, uint64_t mark)
{
    int error = put_number(server->store, seq_key, mark);

    if (error == 0) {
        server->seq_reserved = mark;
    }
    return error;
}

/* Takes a session back to what the store knows of it. */
static int reload_session(struct mkv_server *server,
                          struct mkv_now now,
                          struct mkv_session *session)
{
    int error = load_seen(server, session->seq, &session->seen);

    session->dirty = false;
    session->stored = error == 0;
    if (error == MKV_E_NOT_FOUND) {
        session->seen = (struct mkv_seen){0};
        error = 0;
    }
    mkv_session_attach(session, now, &server->config.session_limits, session->link);
    return error;
}

int mkv_server_rollback(struct mkv_server *server, struct mkv_now now, int failure)
{
    size_t cursor = 0;
    struct mkv_server_link *link;
    struct mkv_session *session;
    int error = get_number(server->store, tock_key, &server->tock.mark);

    if (error == 0) {
        error = get_number(server->store, seq_key, &server->seq_reserved);
    }
    server->dirty = NULL;
    while (error == 0 && (session = mkv_map_each(&server->sessions, &cursor)) != NULL) {
        error = reload_session(server, now, session);
    }
    /* Nobody knows which of the dropped frames a link was waiting for: all start over. */
    cursor = 0;
    while ((link = mkv_map_each(&server->links, &cursor)) != NULL) {
        mkv_serve_end_all(server, link);
        mkv_server_send_error(server, link, 0, failure, mkv_error_text(failure));
        mkv_effect_close(server->effects, link->number); /* an earlier one may have been dropped */
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

int mkv_server_probe(struct mkv_server *server, struct mkv_now now)
{
    server->probe_ms = now.ms + MKV_PROBE_MS;
    mkv_server_wake_at(server, server->probe_ms);
    return put_number(server->store, seq_key, server->seq_reserved);
}

void mkv_server_recovered(struct mkv_server *server)
{
    size_t cursor = 0;
    struct mkv_server_link *link;

    server->failure = 0;
    while ((link = mkv_map_each(&server->links, &cursor)) != NULL) {
        if (link->state == LINK_OPEN) {
            mkv_server_tell_state(server, link);
        }
    }
    mkv_effect_log(server->effects, MKV_LOG_INFO, "the store can be written again");
}
