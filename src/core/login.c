/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "core/server_state.h"
#include "wire/path.h"

/*
 * Logging in by password (docs/protocol.md, 7.1), and setting one.  The exchange itself is outside:
 * here only its messages go through, and its verdict counts.
 */
#define REFUSED "not authorised: wrong user or password"

static struct mkv_bytes mechanism_of(enum mkv_peer_kind peer)
{
    switch (peer) {
    case MKV_PEER_SECURE:
    case MKV_PEER_CERTIFIED:
        return mkv_bytes_of("SCRAM-SHA-256-PLUS");
    case MKV_PEER_LOOPBACK:
    case MKV_PEER_OTHER_USER:
    case MKV_PEER_SAME_USER: /* root's server, to which ours is another user */
        return mkv_bytes_of("SCRAM-SHA-256");
    case MKV_PEER_REMOTE:
        break;
    }
    return mkv_bytes(NULL, 0);
}

void mkv_login_offer(const struct mkv_server_link *link, struct mkv_texts *mechanisms)
{
    struct mkv_bytes mechanism = mechanism_of(link->peer);

    if (mechanism.len > 0) {
        mechanisms->at[mechanisms->n++] = mechanism;
    }
}

bool mkv_login_is_offered(const struct mkv_server_link *link, struct mkv_bytes mechanism)
{
    return mechanism.len > 0 && mkv_bytes_equal(mechanism_of(link->peer), mechanism);
}

/* The session to be resumed is kept until it is known who asks.  Ours have short names and tokens. */
static void keep_session(struct mkv_login *login, const struct mkv_frame_auth *auth)
{
    *login = (struct mkv_login){0};
    if (auth->resume && auth->session.name.len <= sizeof(login->name) &&
        auth->token.len <= sizeof(login->token)) {
        login->resume = true;
        login->seq = auth->session.seq;
        login->name_len = auth->session.name.len;
        memcpy(login->name, auth->session.name.at, auth->session.name.len);
        login->token_len = auth->token.len;
        memcpy(login->token, auth->token.at, auth->token.len);
    }
}

void mkv_login_begin(struct mkv_server *server,
                     struct mkv_server_link *link,
                     const struct mkv_frame_auth *auth)
{
    keep_session(&link->login, auth);
    link->state = LINK_JUDGING;
    mkv_effect_sasl(server->effects, link->number, auth->mechanism, auth->initial);
}

void mkv_login_go_on(struct mkv_server *server,
                     struct mkv_server_link *link,
                     struct mkv_bytes response)
{
    link->state = LINK_JUDGING;
    mkv_effect_sasl(server->effects, link->number, mkv_bytes(NULL, 0), response);
}

static void send_challenge(struct mkv_server *server,
                           const struct mkv_server_link *link,
                           struct mkv_bytes answer)
{
    struct mkv_frame frame = {.kind = MKV_FRAME_CHALLENGE, .sasl = answer};

    mkv_effect_send(server->effects, link->number, &frame);
}

static int take_user(struct mkv_server *server, struct mkv_server_link *link, struct mkv_bytes name)
{
    const struct mkv_acl_user *user;
    int error = mkv_grants_refresh(&server->grants, server->store, server->effects);

    if (error != 0) {
        return error;
    }
    user = mkv_acl_user(server->grants.acl, name);
    if (user == NULL || user->off) {
        return MKV_E_NOT_AUTHORISED;
    }
    memcpy(link->user, user->name.at, user->name.len);
    link->user[user->name.len] = '\0';
    return 0;
}

/*
 * A server shows the cluster's key, a user a password: none of them goes for the other.  Whoever has a
 * password must be a user as well.
 */
static int take_proven(struct mkv_server *server,
                       struct mkv_server_link *link,
                       const struct mkv_judgement *judgement)
{
    if (link->is_peer != judgement->is_server) {
        return MKV_E_NOT_AUTHORISED;
    }
    return link->is_peer ? 0 : take_user(server, link, judgement->user);
}

static void refuse(struct mkv_server *server, struct mkv_server_link *link, struct mkv_bytes name)
{
    mkv_effect_log(server->effects, MKV_LOG_WARNING, "link %llu: '%.*s' may not log in",
                   (unsigned long long)link->number, (int)name.len, (const char *)name.at);
    mkv_server_send_error(server, link, 0, MKV_E_NOT_AUTHORISED, REFUSED);
}

/* Whoever has to wait learns that, and nothing else: the password has not counted. */
static void put_off(struct mkv_server *server, struct mkv_server_link *link, struct mkv_bytes name)
{
    mkv_effect_log(server->effects, MKV_LOG_WARNING, "link %llu: '%.*s' has failed too often",
                   (unsigned long long)link->number, (int)name.len, (const char *)name.at);
    mkv_server_send_error(server, link, 0, MKV_E_LATER, mkv_error_text(MKV_E_LATER));
}

static int let_in(struct mkv_server *server, struct mkv_now now, struct mkv_server_link *link)
{
    const struct mkv_login *login = &link->login;
    const struct mkv_frame_auth auth = {
        .resume = login->resume,
        .session = {mkv_bytes(login->name, login->name_len), login->seq},
        .token = mkv_bytes(login->token, login->token_len),
    };

    return mkv_handshake_enter(server, now, link, &auth);
}

int mkv_server_judged(struct mkv_server *server,
                      struct mkv_now now,
                      uint64_t number,
                      const struct mkv_judgement *judgement)
{
    struct mkv_server_link *link = mkv_map_get(&server->links, number);

    if (number >= MKV_LINK_OUT) {
        return number == server->cluster.pull.link ? mkv_pull_judged(server, now, judgement) : 0;
    }
    if (link == NULL || link->state != LINK_JUDGING) {
        return 0; /* it has gone meanwhile */
    }
    if (judgement->error == MKV_E_LATER) {
        put_off(server, link, judgement->user);
        return 0;
    }
    if (judgement->error != 0) {
        refuse(server, link, judgement->user);
        return 0;
    }
    if (!judgement->done) {
        send_challenge(server, link, judgement->answer);
        link->state = LINK_ANSWERING;
        return 0;
    }

    int error = take_proven(server, link, judgement);

    if (error == MKV_E_NOT_AUTHORISED) {
        refuse(server, link, judgement->user);
        return 0;
    }
    if (error != 0) {
        return error;
    }
    link->by_password = true;
    send_challenge(server, link, judgement->answer);
    if (link->is_peer) {
        mkv_handshake_peer(server, link);
        return 0;
    }
    return let_in(server, mkv_server_clock(server, now), link);
}

void mkv_server_link_user(struct mkv_server *server, uint64_t number, struct mkv_bytes name)
{
    struct mkv_server_link *link = mkv_map_get(&server->links, number);

    if (link != NULL && mkv_acl_name_valid(name)) {
        memcpy(link->certified, name.at, name.len);
        link->certified[name.len] = '\0';
    }
}

int mkv_login_certified(struct mkv_server *server, struct mkv_server_link *link, bool *ret_may)
{
    int error = take_user(server, link, mkv_bytes_of(link->certified));

    *ret_may = error == 0 && !link->is_peer;
    if (error == MKV_E_NOT_AUTHORISED || (error == 0 && link->is_peer)) {
        refuse(server, link, mkv_bytes_of(link->certified));
        return 0;
    }
    return error;
}

/* --- Setting a password ------------------------------------------------------------------- */

static int key_of_user(struct mkv_bytes name, struct mkv_buf *key)
{
    const struct mkv_element elements[] = {
        {.kind = MKV_ELEMENT_NULL},
        {.kind = MKV_ELEMENT_TEXT, .text = mkv_bytes_of("users")},
        {.kind = MKV_ELEMENT_TEXT, .text = name},
    };
    int error = 0;

    for (unsigned i = 0; i < 3 && error == 0; i++) {
        error = mkv_path_append(key, &elements[i]);
    }
    return error;
}

/* A user sets the own password, and those of whom one may administer. */
static int may_set(struct mkv_server *server,
                   const struct mkv_server_link *link,
                   struct mkv_bytes name,
                   bool *ret_may)
{
    struct mkv_asker asker;
    struct mkv_buf key;
    int error = mkv_grants_asker(server, link->session, &asker);

    *ret_may = false;
    if (error != 0) {
        return error;
    }
    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    error = key_of_user(name, &key);
    if (error == 0) {
        *ret_may = (asker.user.len > 0 && mkv_bytes_equal(asker.user, name)) ||
                   mkv_asker_may(&asker, mkv_buf_bytes(&key), MKV_RIGHT_ADMIN);
    }
    mkv_buf_deinit(&key);
    return error;
}

int mkv_login_passwd(struct mkv_server *server,
                     struct mkv_now now,
                     struct mkv_server_link *link,
                     const struct mkv_frame *frame)
{
    const struct mkv_frame done = {.kind = MKV_FRAME_DONE, .id = frame->id};
    bool may = false;

    if (!mkv_acl_name_valid(frame->passwd.user)) {
        mkv_server_send_error(server, link, frame->id, MKV_E_BAD_NAME,
                              "a user's name has 1 to 64 characters of A-Z a-z 0-9 . _ @ -");
        return 0;
    }
    if (server->failure != 0) {
        mkv_server_send_error(server, link, frame->id, MKV_E_READ_ONLY,
                              mkv_error_text(MKV_E_READ_ONLY));
        return 0;
    }

    int error = may_set(server, link, frame->passwd.user, &may);

    if (error == 0 && !may) {
        mkv_server_send_error(server, link, frame->id, MKV_E_NOT_AUTHORISED,
                              mkv_error_text(MKV_E_NOT_AUTHORISED));
        return 0;
    }
    if (error == 0) {
        error = mkv_secrets_set(server, now, &frame->passwd);
    }
    if (error == MKV_E_TOO_MANY) {
        mkv_server_send_error(server, link, frame->id, error,
                              "as many users have passwords as may have one");
        return 0;
    }
    if (error == 0) {
        mkv_effect_log(server->effects, MKV_LOG_INFO, "link %llu sets the password of '%.*s'",
                       (unsigned long long)link->number, (int)frame->passwd.user.len,
                       (const char *)frame->passwd.user.at);
        mkv_effect_send(server->effects, link->number, &done);
        mkv_users_password(server, link, frame->passwd.user);
    }
    return error;
}
