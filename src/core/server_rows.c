/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "core/server_state.h"

/*
 * Meta rows:
 *     "tock"    the mark that the tock has not passed, 8 bytes big-endian
 *     "seq"     the highest session number reserved, likewise
 *     "secret"  32 random bytes: proves that a session to be resumed is one's own
 *     "s" seq   (8 bytes) which updates of a session have arrived
 *     "x", "y"  conflicts: core/conflicts.h
 *     "floor"   the floor, the horizon and what it is made from: core/floor.h
 *     "a" uuid  up to where we have read that server's log: nonce and position, and the tock of its
 *               entry among the members, 8 bytes each
 *     "joined"  the tock of our own entry among the members when we last became ready, or 2^64-1:
 *               we have been let in since, but were not ready again; how many members there were
 *               (8 bytes each); in which cluster we were ready (its uuid), which is whose the floor is
 *     "o" slot  (2 bytes) what was stamped for other servers: core/stamped.c
 *     "b" i     (2 bytes) nothing: takes up room while the disk is tried
 */
#define BALLAST_ROW      16384U
#define BALLAST_ROWS_MAX 1024U
#define KEY_MAX          200U /* of any row */
#define SESSION_KEY_LEN  9U
#define APPLIED_KEY_LEN  (1U + MKV_UUID_LEN)
#define APPLIED_LEN      24U
#define JOINED_LEN       (16U + MKV_UUID_LEN)
#define SESSION_ROW_MAX  4096U

static const struct mkv_bytes tock_key = {(const uint8_t *)"tock", 4};
static const struct mkv_bytes seq_key = {(const uint8_t *)"seq", 3};
static const struct mkv_bytes floor_key = {(const uint8_t *)"floor", 5};
static const struct mkv_bytes joined_key = {(const uint8_t *)"joined", 6};
static const struct mkv_bytes secret_key = {(const uint8_t *)"secret", 6};
static const struct mkv_bytes applied_prefix = {(const uint8_t *)"a", 1};
static const struct mkv_bytes session_prefix = {(const uint8_t *)"s\0", 2}; /* seq is below 2^56 */

static void write_number(uint8_t bytes[8], uint64_t number)
{
    for (unsigned i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(number >> (56 - 8 * i));
    }
}

static int put_number(struct mkv_store *store, struct mkv_bytes key, uint64_t number)
{
    uint8_t bytes[8];

    write_number(bytes, number);
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

/* What its row tells; all else of @session stays. */
static int load_row(struct mkv_server *server, struct mkv_session *session)
{
    struct mkv_bytes user;
    uint8_t space[SESSION_KEY_LEN];
    struct mkv_buf row;

    mkv_buf_init(&row, SESSION_ROW_MAX);

    int error = mkv_store_meta_get(server->store, session_key(session->seq, space), &row);

    if (error == 0) {
        error = mkv_session_decode(mkv_buf_bytes(&row), &session->seen, &user);
    }
    if (error == 0 && user.len > 0) {
        memcpy(session->user, user.at, user.len);
        session->user[user.len] = '\0';
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

    int error = load_row(server, session);

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

/*
 * The floor says that all below it is here: not so if rows were lost.  Without one, those who have
 * a floor are asked for what is below theirs.
 */
static int load_floor(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_buf row;

    mkv_buf_init(&row, MKV_FLOOR_ROW_MAX);

    int error = mkv_store_meta_get(server->store, floor_key, &row);

    if (error == 0) {
        error = mkv_floor_decode(mkv_buf_bytes(&row), now, &server->cluster.floor);
    }
    mkv_buf_deinit(&row);
    if (error == MKV_E_NOT_FOUND) {
        server->cluster.floor = (struct mkv_floor){0};
        error = 0;
    }
    if (mkv_store_lost(server->store) && server->cluster.floor.floor > 0) {
        server->cluster.floor.floor = 0;
        server->cluster.floor.changed = true;
    }
    return error;
}

/* The horizon is what the tock was, and it is not to be before it, though no clock may say so now. */
static void see_floor(struct mkv_server *server)
{
    const struct mkv_floor *floor = &server->cluster.floor;

    mkv_tock_see(&server->tock, mkv_floor_bound(floor));
    for (uint32_t i = 0; i < floor->n_samples; i++) {
        mkv_tock_see(&server->tock, floor->samples[i].tock);
    }
}

int mkv_rows_store_floor(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_buf row;

    mkv_buf_init(&row, MKV_FLOOR_ROW_MAX);

    int error = mkv_floor_encode(&server->cluster.floor, now, &row);

    if (error == 0) {
        error = mkv_store_meta_put(server->store, floor_key, mkv_buf_bytes(&row));
    }
    mkv_buf_deinit(&row);
    return error;
}

static int load_joined(struct mkv_server *server)
{
    struct mkv_cluster *cluster = &server->cluster;
    struct mkv_buf row;

    mkv_buf_init(&row, JOINED_LEN);

    int error = mkv_store_meta_get(server->store, joined_key, &row);

    cluster->joined = 0;
    cluster->n_joined = 0;
    memcpy(cluster->joined_in, mkv_store_id(server->store), MKV_UUID_LEN);
    if (error == 0 && row.len != JOINED_LEN) {
        error = MKV_E_CORRUPT;
    }
    if (error == 0) {
        cluster->joined = number_of(row.at);
        cluster->n_joined = (uint32_t)number_of(row.at + 8);
        memcpy(cluster->joined_in, row.at + 16, MKV_UUID_LEN);
    }
    mkv_buf_deinit(&row);
    return error == MKV_E_NOT_FOUND ? 0 : error;
}

static struct mkv_bytes applied_key(const uint8_t uuid[MKV_UUID_LEN],
                                    uint8_t space[APPLIED_KEY_LEN])
{
    space[0] = 'a';
    memcpy(space + 1, uuid, MKV_UUID_LEN);
    return mkv_bytes(space, APPLIED_KEY_LEN);
}

int mkv_rows_load_applied(struct mkv_server *server, struct mkv_known *known)
{
    uint8_t space[APPLIED_KEY_LEN];
    struct mkv_buf row;

    mkv_buf_init(&row, APPLIED_LEN);

    int error = mkv_store_meta_get(server->store, applied_key(known->ping.uuid, space), &row);

    if (error == 0 && row.len != APPLIED_LEN) {
        error = MKV_E_CORRUPT;
    }
    if (error == 0) {
        known->applied = (struct mkv_place){number_of(row.at), number_of(row.at + 8)};
        known->applied_under = number_of(row.at + 16);
    }
    mkv_buf_deinit(&row);
    return error;
}

int mkv_rows_store_applied(struct mkv_server *server, const struct mkv_known *known)
{
    uint8_t space[APPLIED_KEY_LEN];
    uint8_t bytes[APPLIED_LEN];

    write_number(bytes, known->applied.nonce);
    write_number(bytes + 8, known->applied.position);
    write_number(bytes + 16, known->applied_under);
    return mkv_store_meta_put(server->store, applied_key(known->ping.uuid, space),
                              mkv_bytes(bytes, sizeof(bytes)));
}

static int drop_rows(struct mkv_server *server, struct mkv_bytes prefix)
{
    uint8_t space[KEY_MAX];
    struct mkv_bytes key = prefix;
    struct mkv_bytes next;
    int error;

    while ((error = mkv_store_meta_next(server->store, prefix, key, &next)) == 0) {
        memcpy(space, next.at, next.len);
        key = mkv_bytes(space, next.len);
        error = mkv_store_meta_delete(server->store, key);
        if (error != 0) {
            break;
        }
    }
    return error == MKV_E_NOT_FOUND ? 0 : error;
}

/* On a copy of an earlier state nobody can say what has been stamped or acknowledged since. */
int mkv_rows_drop_sessions(struct mkv_server *server)
{
    return drop_rows(server, session_prefix);
}

int mkv_rows_drop_applied(struct mkv_server *server)
{
    return drop_rows(server, applied_prefix);
}

int mkv_rows_store_joined(struct mkv_server *server)
{
    uint8_t bytes[JOINED_LEN];

    write_number(bytes, server->cluster.joined);
    write_number(bytes + 8, server->cluster.n_joined);
    memcpy(bytes + 16, server->cluster.joined_in, MKV_UUID_LEN);
    return mkv_store_meta_put(server->store, joined_key, mkv_bytes(bytes, sizeof(bytes)));
}

int mkv_rows_load(struct mkv_server *server, struct mkv_now now)
{
    int error = get_number(server->store, tock_key, &server->tock.mark);

    if (error == 0) {
        error = get_number(server->store, seq_key, &server->seq_reserved);
    }
    if (error == 0) {
        error = load_secret(server);
    }
    if (error == 0) {
        error = load_floor(server, now);
    }
    if (error == 0) {
        error = load_joined(server);
    }
    if (error == 0 && server->cluster.restored) {
        error = mkv_rows_drop_sessions(server);
    }
    if (error == 0) {
        error = load_sessions(server, now);
    }
    if (error == 0) {
        error = mkv_server_conflicts_load(server);
    }
    server->cluster.purging = server->cluster.floor.floor > 0; /* it may have been interrupted */
    if (MKV_RULE(TOCK_KEPT)) {
        server->tock.high = server->tock.mark;
    }
    see_floor(server);
    server->seq_last = server->seq_reserved;
    return error;
}

/* What cannot be resumed is not worth a row. */
static int remove_row(struct mkv_server *server, struct mkv_session *session)
{
    uint8_t space[SESSION_KEY_LEN];
    bool stored = session->stored;

    session->stored = false;
    return stored ? mkv_store_meta_delete(server->store, session_key(session->seq, space)) : 0;
}

int mkv_rows_store_session(struct mkv_server *server, struct mkv_session *session)
{
    if (session->refused) {
        return remove_row(server, session);
    }

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

int mkv_rows_reserve_seq(struct mkv_server *server, uint64_t mark)
{
    int error = put_number(server->store, seq_key, mark);

    if (error == 0) {
        server->seq_reserved = mark;
    }
    return error;
}

int mkv_rows_put_ballast(struct mkv_server *server, size_t size)
{
    static const uint8_t nothing[BALLAST_ROW] = {0};
    int error = 0;

    for (unsigned i = 0; i < BALLAST_ROWS_MAX && (size_t)i * BALLAST_ROW < size && error == 0;
         i++) {
        const uint8_t key[] = {'b', (uint8_t)(i >> 8), (uint8_t)i};

        error = mkv_store_meta_put(server->store, mkv_bytes(key, sizeof(key)),
                                   mkv_bytes(nothing, sizeof(nothing)));
    }
    return error;
}

int mkv_rows_drop_ballast(struct mkv_server *server)
{
    int error = 0;

    for (unsigned i = 0; i < BALLAST_ROWS_MAX && error == 0; i++) {
        const uint8_t key[] = {'b', (uint8_t)(i >> 8), (uint8_t)i};

        error = mkv_store_meta_delete(server->store, mkv_bytes(key, sizeof(key)));
    }
    return error;
}

int mkv_rows_move_mark(struct mkv_server *server, uint64_t mark)
{
    int error = put_number(server->store, tock_key, mark);

    if (error == 0) {
        server->tock.mark = mark;
    }
    return error;
}

/*
 * Takes a session back to what the store knows of it.  One that was refused something has no row,
 * but what was stamped for it must not be stamped again; its client cannot resume it, so what has
 * been dropped now comes again in another one.
 */
static int reload_session(struct mkv_server *server,
                          struct mkv_now now,
                          struct mkv_session *session)
{
    struct mkv_session was = *session;
    int error;

    session->seen = (struct mkv_seen){0};
    error = load_row(server, session);

    session->stored = error == 0;
    if (error == MKV_E_NOT_FOUND) {
        error = 0;
    }
    if (!session->stored && session->refused) {
        session->seen = was.seen;
    }
    mkv_session_attach(session, now, &server->config.session_limits, session->link);
    return error;
}

int mkv_rows_reload(struct mkv_server *server, struct mkv_now now)
{
    size_t cursor = 0;
    struct mkv_session *session;
    int error = get_number(server->store, tock_key, &server->tock.mark);

    if (error == 0) {
        error = get_number(server->store, seq_key, &server->seq_reserved);
    }
    if (error == 0) {
        server->cluster.floor.changed = false;
        error = load_floor(server, now);
    }
    if (error == 0) {
        error = load_joined(server);
    }
    while (error == 0 && (session = mkv_map_each(&server->sessions, &cursor)) != NULL) {
        error = reload_session(server, now, session);
    }
    if (error == 0) {
        error = mkv_server_conflicts_load(server);
    }
    return error;
}

int mkv_server_drop_session(struct mkv_server *server, struct mkv_session *session)
{
    int error = server->failure == 0 ? remove_row(server, session) : 0;

    mkv_server_forget_session(server, session);
    return error;
}
