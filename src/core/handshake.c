/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>

#include "base/mem.h"
#include "core/server_state.h"

/*
 * Opening a link (docs/protocol.md, 7.1): hello, hello, auth, session.
 */
#define TOKEN_LEN     16U
#define EXPIRY_S      86400U /* what credentials for the broker are good for, and ... */
#define EXPIRY_STEP_S 3600U  /* ... up to so much more */
#define UNIX_2020_S   UINT64_C(1577836800)
#define SEQ_RESERVE   65536U /* session numbers that can be given out without writing */
#define SEQ_DRAWN     (UINT64_C(1) << 55) /* those drawn at random begin here */

/* By which one gets in without a password. */
static struct mkv_bytes mechanism_of(enum mkv_peer_kind peer)
{
    switch (peer) {
    case MKV_PEER_SAME_USER:
    case MKV_PEER_CERTIFIED:  /* if the certificate names a user */
    case MKV_PEER_OTHER_USER: /* if there is a user with that Unix user id */
        return mkv_bytes_of("EXTERNAL");
    case MKV_PEER_LOOPBACK:
    case MKV_PEER_SECURE:
    case MKV_PEER_REMOTE:
        break;
    }
    return mkv_bytes(NULL, 0);
}

void mkv_handshake_greet(struct mkv_server *server, const struct mkv_server_link *link)
{
    struct mkv_bytes mechanism = mechanism_of(link->peer);
    struct mkv_frame frame = {
        .kind = MKV_FRAME_HELLO,
        .hello = {.versions = {MKV_PROTOCOL_LOWEST, MKV_PROTOCOL_HIGHEST},
                  .software = server->config.software,
                  .name = server->config.name},
    };

    if (mechanism.len > 0) {
        frame.hello.mechanisms.at[frame.hello.mechanisms.n++] = mechanism;
    }
    mkv_login_offer(link, &frame.hello.mechanisms);
    mkv_effect_send(server->effects, link->number, &frame);
}

static int take_hello(struct mkv_server *server,
                      struct mkv_server_link *link,
                      const struct mkv_frame_hello *hello)
{
    char text[128];

    if (hello->versions.lowest <= MKV_PROTOCOL_HIGHEST &&
        hello->versions.highest >= MKV_PROTOCOL_LOWEST) {
        link->state = LINK_LOGIN;
        link->is_peer = hello->name.len > 0;
        return 0;
    }
    (void)snprintf(text, sizeof(text), "server speaks versions %u to %u, client %u to %u",
                   MKV_PROTOCOL_LOWEST, MKV_PROTOCOL_HIGHEST, hello->versions.lowest,
                   hello->versions.highest);
    mkv_server_send_error(server, link, 0, MKV_E_NO_VERSION, text);
    return 0;
}

static void hash_seq(const uint8_t secret[32],
                     uint64_t seq,
                     struct mkv_bytes user,
                     uint8_t ret_hash[TOKEN_LEN])
{
    uint8_t text[8 + MKV_ACL_NAME_MAX];

    for (unsigned i = 0; i < 8; i++) {
        text[i] = (uint8_t)(seq >> (56 - 8 * i));
    }
    memcpy(text + 8, user.at, user.len);
    (void)crypto_generichash(ret_hash, TOKEN_LEN, text, 8 + user.len, secret, 32);
}

/* Proves that this user has been given this session. */
static void make_token(const struct mkv_server *server,
                       uint64_t seq,
                       const char *user,
                       uint8_t ret_token[TOKEN_LEN])
{
    hash_seq(server->secret, seq, mkv_bytes_of(user), ret_token);
}

/* The session that the client asks to go on with, if it may. */
static struct mkv_session *find_resumed(struct mkv_server *server,
                                        const struct mkv_server_link *link,
                                        const struct mkv_frame_auth *auth)
{
    uint8_t token[TOKEN_LEN];

    if (!auth->resume || !mkv_bytes_equal(auth->session.name, server->config.name) ||
        auth->token.len != TOKEN_LEN) {
        return NULL;
    }
    make_token(server, auth->session.seq, link->user, token);
    if (sodium_memcmp(token, auth->token.at, TOKEN_LEN) != 0) {
        return NULL;
    }

    struct mkv_session *session = mkv_map_get(&server->sessions, auth->session.seq);

    return session == NULL || session->refused || strcmp(session->user, link->user) != 0 ? NULL
                                                                                         : session;
}

/* The old link of a session that is resumed: a half-dead connection. */
static void take_over(struct mkv_server *server, struct mkv_session *session)
{
    struct mkv_server_link *old = mkv_map_get(&server->links, session->link);

    if (old != NULL) {
        old->session = NULL;
        mkv_server_send_error(server, old, 0, MKV_E_CLOSED,
                              "the session goes on over another link");
    }
}

/*
 * When none can be reserved: drawn from the secret of this start of the server, out of so many, and
 * so far above the milliseconds of any calendar, that it will not come twice.
 */
static uint64_t drawn_seq(struct mkv_server *server, uint64_t seq)
{
    uint8_t drawn[TOKEN_LEN];
    uint64_t number = 0;

    server->seq_last = seq;
    hash_seq(server->config.secret, seq, mkv_bytes_of(""), drawn);
    for (unsigned i = 0; i < 8; i++) {
        number = number << 8 | drawn[i];
    }
    return (number & (SEQ_DRAWN - 1)) | SEQ_DRAWN;
}

/*
 * A number never given out before, even if the store was restored from a backup: not below the
 * milliseconds since 2020.  What is reserved on disk may be given out without writing.
 */
static int next_seq(struct mkv_server *server, struct mkv_now now, uint64_t *ret_seq)
{
    uint64_t seq = server->seq_last + 1;
    int error = 0;

    if (server->failure == 0) {
        seq = now.calendar_ms > seq ? now.calendar_ms : seq;
        if (seq > server->seq_reserved) {
            error = mkv_rows_reserve_seq(server, seq + SEQ_RESERVE);
        }
    } else if (seq > server->seq_reserved) {
        *ret_seq = drawn_seq(server, seq);
        return 0;
    }
    if (error == 0) {
        server->seq_last = seq;
        *ret_seq = seq;
    }
    return error;
}

int mkv_handshake_reserve(struct mkv_server *server, struct mkv_now now)
{
    uint64_t seq = server->seq_last + 1;

    return mkv_rows_reserve_seq(server,
                                (now.calendar_ms > seq ? now.calendar_ms : seq) + SEQ_RESERVE);
}

/* Room for one more: the session whose client has been away longest goes. */
static int make_room(struct mkv_server *server)
{
    size_t cursor = 0;
    struct mkv_session *session;
    struct mkv_session *oldest = NULL;

    if (server->sessions.n < MKV_SESSIONS_MAX) {
        return 0;
    }
    while ((session = mkv_map_each(&server->sessions, &cursor)) != NULL) {
        if (session->link == 0 &&
            (oldest == NULL || session->detached_ms < oldest->detached_ms ||
             (session->detached_ms == oldest->detached_ms && session->seq < oldest->seq))) {
            oldest = session;
        }
    }
    return oldest == NULL ? MKV_E_BUSY : mkv_server_drop_session(server, oldest);
}

static int add_session(struct mkv_server *server,
                       struct mkv_now now,
                       const struct mkv_server_link *link,
                       struct mkv_session **ret_session)
{
    uint64_t seq;
    int error = make_room(server);

    if (error == 0) {
        error = next_seq(server, now, &seq);
    }
    if (error != 0) {
        return error;
    }

    struct mkv_session *session = mkv_mem_alloc(sizeof(*session));

    if (session == NULL) {
        return MKV_E_NO_MEMORY;
    }
    session->seq = seq;
    session->ask_ms = MKV_NEVER;
    memcpy(session->user, link->user, sizeof(session->user));
    error = mkv_map_add(&server->sessions, seq, session);
    if (error != 0) {
        mkv_mem_free(session);
        return error;
    }
    *ret_session = session;
    return 0;
}

/* What a session frame borrows for the connection to the broker. */
struct credentials {
    char client_id[MKV_CLIENT_ID_MAX + 1];
    char password[MKV_PASSWORD_LEN];
    uint8_t mac_key[MKV_MAC_KEY_LEN];
};

/*
 * Until when credentials are good, in Unix time: for a day and up to an hour more, so that a session
 * that is resumed soon has the same and need not leave the broker.  0, always: without a clock
 * nobody knows.
 */
static uint64_t expiry_s(struct mkv_now now)
{
    uint64_t now_s = UNIX_2020_S + now.wall_ms / 1000;

    return now.wall_ms == 0 ? 0 : (now_s / EXPIRY_STEP_S + 1) * EXPIRY_STEP_S + EXPIRY_S;
}

/* docs/protocol.md, 13.3; a broker without the guard wants no more than a client id. */
static void give_credentials(const struct mkv_server *server,
                             struct mkv_now now,
                             const struct mkv_session *session,
                             struct credentials *credentials,
                             struct mkv_frame_session *frame)
{
    uint64_t expires = server->config.guarded ? expiry_s(now) : 0;

    (void)snprintf(credentials->client_id, sizeof(credentials->client_id), "%.*s:%" PRIu64,
                   (int)server->config.name.len, (const char *)server->config.name.at,
                   session->seq);
    frame->client_id = mkv_bytes_of(credentials->client_id);
    if (!server->config.guarded) {
        return;
    }
    (void)snprintf(credentials->client_id + frame->client_id.len,
                   sizeof(credentials->client_id) - frame->client_id.len, ":%" PRIu64, expires);
    frame->client_id = mkv_bytes_of(credentials->client_id);
    frame->has_user = true;
    frame->user = mkv_bytes_of(session->user[0] == '\0' ? MKV_USER_OWN : session->user);
    frame->has_password = true;
    mkv_credential_password(server->config.guard_key, frame->client_id, frame->user,
                            credentials->password);
    frame->password = mkv_bytes(credentials->password, sizeof(credentials->password));
}

/* docs/protocol.md, 13.6. */
static void give_mac_key(const struct mkv_server *server,
                         const struct mkv_session *session,
                         struct credentials *credentials,
                         struct mkv_frame_session *frame)
{
    const struct mkv_server_config *config = &server->config;
    const struct mkv_tick stream = {.name = config->name, .seq = session->seq};

    frame->mode = config->mode;
    if (config->updates.n > 0) {
        mkv_mac_key(config->updates.keys[0], &stream, credentials->mac_key);
        frame->mode = MKV_MODE_MACS;
        frame->mac_key = mkv_bytes(credentials->mac_key, sizeof(credentials->mac_key));
    }
}

static void send_session(struct mkv_server *server,
                         struct mkv_now now,
                         const struct mkv_server_link *link)
{
    const struct mkv_server_config *config = &server->config;
    uint8_t token[TOKEN_LEN];
    struct credentials credentials;
    struct mkv_frame frame = {
        .kind = MKV_FRAME_SESSION,
        .session = {.name = config->name,
                    .seq = link->session->seq,
                    .root = config->root,
                    .brokers = config->brokers,
                    .profile = config->profile,
                    .qos = config->qos,
                    .tock = mkv_tock_tell(&server->tock, now.wall_ms),
                    .clock = now.wall_ms > 0,
                    .token = mkv_bytes(token, sizeof(token)),
                    .acked = link->session->seen.low},
    };

    make_token(server, link->session->seq, link->session->user, token);
    give_credentials(server, now, link->session, &credentials, &frame.session);
    give_mac_key(server, link->session, &credentials, &frame.session);
    memcpy(frame.session.store_id, mkv_store_id(server->store), MKV_STORE_ID_LEN);
    memcpy(frame.session.digest_key, mkv_store_digest_key(server->store), MKV_DIGEST_LEN);
    mkv_effect_send(server->effects, link->number, &frame);
    if (server->failure != 0) {
        mkv_server_tell_state(server, link);
    }
}

static int open_session(struct mkv_server *server,
                        struct mkv_now now,
                        struct mkv_server_link *link,
                        const struct mkv_frame_auth *auth)
{
    struct mkv_session *session = find_resumed(server, link, auth);
    bool resumed = session != NULL;

    if (resumed) {
        take_over(server, session);
    } else {
        int error = add_session(server, now, link, &session);

        if (error == MKV_E_BUSY) {
            mkv_server_send_error(server, link, 0, error, mkv_error_text(error));
            return 0;
        }
        if (error != 0) {
            return error;
        }
    }
    mkv_session_attach(session, now, &server->config.session_limits, link->number);
    mkv_server_wake_at(server, session->ask_ms);
    link->session = session;
    link->state = LINK_OPEN;
    send_session(server, now, link);
    return resumed ? mkv_server_conflicts_resume(server, now, link) : 0;
}

/* Another server: it gets no session, since it writes nothing here. */
void mkv_handshake_peer(struct mkv_server *server, struct mkv_server_link *link)
{
    struct mkv_frame frame = {
        .kind = MKV_FRAME_PEER,
        .peer = {.name = server->config.name,
                 .place = mkv_store_place(server->store),
                 .state = server->cluster.ready ? MKV_ACT_READY : MKV_ACT_JOINING},
    };

    memcpy(frame.peer.uuid, mkv_store_id(server->store), MKV_UUID_LEN);
    mkv_effect_send(server->effects, link->number, &frame);
    link->state = LINK_OPEN;
}

/* Somebody on this machine: the user with that Unix user id.  *ret_is_one: there is one, and not off. */
static int find_user(struct mkv_server *server, struct mkv_server_link *link, bool *ret_is_one)
{
    const struct mkv_acl_user *user;
    int error = mkv_grants_refresh(&server->grants, server->store, server->effects);

    *ret_is_one = false;
    if (error != 0 || !link->has_uid) {
        return error;
    }
    user = mkv_acl_user_of_uid(server->grants.acl, link->uid);
    if (user != NULL && !user->off) {
        memcpy(link->user, user->name.at, user->name.len);
        link->user[user->name.len] = '\0';
        *ret_is_one = true;
    }
    return 0;
}

/* No server is run by a user: that link could read everything. */
static int take_user(struct mkv_server *server, struct mkv_server_link *link, bool *ret_may)
{
    char text[160];
    int error = find_user(server, link, ret_may);

    if (error == 0 && !*ret_may) {
        (void)snprintf(
            text, sizeof(text),
            "not authorised: no user has the user id %lu here (the server's owner makes one: "
            "moat-kv user add NAME --uid %lu)",
            (unsigned long)link->uid, (unsigned long)link->uid);
        mkv_server_send_error(server, link, 0, MKV_E_NOT_AUTHORISED, text);
    } else if (error == 0 && link->is_peer) {
        *ret_may = false;
        mkv_server_send_error(server, link, 0, MKV_E_NOT_AUTHORISED,
                              "not authorised: users are no servers");
    }
    return error;
}

int mkv_handshake_enter(struct mkv_server *server,
                        struct mkv_now now,
                        struct mkv_server_link *link,
                        const struct mkv_frame_auth *auth)
{
    if (!server->cluster.ready) {
        mkv_server_send_error(server, link, 0, MKV_E_BUSY,
                              "this server is still joining the others; try again, or another one");
        return 0;
    }
    return open_session(server, now, link, auth);
}

static int take_auth(struct mkv_server *server,
                     struct mkv_now now,
                     struct mkv_server_link *link,
                     const struct mkv_frame_auth *auth)
{
    struct mkv_bytes mechanism = mechanism_of(link->peer);
    bool may = true;

    if (mkv_login_is_offered(link, auth->mechanism)) {
        mkv_login_begin(server, link, auth);
        return 0;
    }
    if (mechanism.len == 0 || !mkv_bytes_equal(auth->mechanism, mechanism)) {
        mkv_server_send_error(server, link, 0, MKV_E_NOT_AUTHORISED,
                              "this mechanism is not offered here");
        return 0;
    }
    if (link->peer == MKV_PEER_OTHER_USER) {
        int error = take_user(server, link, &may);

        if (error != 0 || !may) {
            return error;
        }
    }
    if (link->peer == MKV_PEER_CERTIFIED) {
        int error = mkv_login_certified(server, link, &may);

        if (error != 0 || !may) {
            return error;
        }
    }
    if (link->is_peer) {
        mkv_handshake_peer(server, link);
        return 0;
    }
    return mkv_handshake_enter(server, now, link, auth);
}

int mkv_handshake_frame(struct mkv_server *server,
                        struct mkv_now now,
                        struct mkv_server_link *link,
                        const struct mkv_frame *frame)
{
    if (link->state == LINK_GREETING && frame->kind == MKV_FRAME_HELLO) {
        return take_hello(server, link, &frame->hello);
    }
    if (link->state == LINK_LOGIN && frame->kind == MKV_FRAME_AUTH) {
        return take_auth(server, now, link, &frame->auth);
    }
    if (link->state == LINK_ANSWERING && frame->kind == MKV_FRAME_RESPONSE) {
        mkv_login_go_on(server, link, frame->sasl);
        return 0;
    }
    mkv_server_send_error(server, link, 0, MKV_E_UNEXPECTED, "log in first: hello, then auth");
    return 0;
}
