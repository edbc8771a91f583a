/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who logs in by password: the node hands on what it is sent, io/sasl.h judges it by the secrets in the store,
 * and whoever fails too often has to wait.
 */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "daemon/inner.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "wire/secret.h"

/* No user's name has a colon. */
#define FAKE_KEY ":unknown users"

static bool read_fake_key(struct daemon *daemon)
{
    struct mkv_buf kept;
    bool found;

    mkv_buf_init(&kept, MKV_STORE_SECRET_MAX);
    found = mkv_store_secret_get(daemon->store, mkv_bytes_of(FAKE_KEY), &kept) == 0 &&
            kept.len == sizeof(daemon->fake_key);
    if (found) {
        memcpy(daemon->fake_key, kept.at, kept.len);
    }
    mkv_buf_deinit(&kept);
    return found;
}

static bool has_passwords(struct daemon *daemon)
{
    struct mkv_bytes name;
    int error = mkv_store_secret_next(daemon->store, mkv_bytes(NULL, 0), &name);

    if (error == 0 && mkv_bytes_equal(name, mkv_bytes_of(FAKE_KEY))) {
        error = mkv_store_secret_next(daemon->store, mkv_bytes_of(FAKE_KEY), &name);
    }
    return error == 0;
}

/* If the disk does not take it, it is another one after the next start, and that is all. */
void mkv_daemon_prepare_logins(struct daemon *daemon)
{
    struct mkv_bytes key = mkv_bytes(daemon->fake_key, sizeof(daemon->fake_key));

    if (daemon->tls != NULL && daemon->config->tls_ca[0] == '\0' && !has_passwords(daemon)) {
        mkv_daemon_say(daemon, MKV_LOG_WARNING,
                       "nobody can log in at tls:// yet: 'moat-kv set :n.users.NAME {roles: []}' "
                       "and 'moat-kv passwd "
                       "NAME', on this machine, make somebody who can");
    }
    if (read_fake_key(daemon)) {
        return;
    }
    mkv_entropy_fill(daemon->fake_key, sizeof(daemon->fake_key));
    if (mkv_store_secret_put(daemon->store, mkv_bytes_of(FAKE_KEY), key) != 0 ||
        mkv_store_commit(daemon->store) != 0) {
        mkv_store_abort(daemon->store);
    }
}

static bool look_up(void *context, const char *user, struct mkv_scram_secret *ret_secret)
{
    struct daemon *daemon = context;
    struct mkv_secret secret;
    struct mkv_buf bytes;
    bool found;

    if (mkv_daemon_is_kin(user)) {
        return mkv_daemon_find_kin(daemon, user, ret_secret);
    }
    mkv_buf_init(&bytes, MKV_STORE_SECRET_MAX);
    found = strchr(user, ':') == NULL &&
            mkv_store_secret_get(daemon->store, mkv_bytes_of(user), &bytes) == 0 &&
            mkv_secret_decode(mkv_buf_bytes(&bytes), &secret) == 0;
    if (found) {
        *ret_secret = (struct mkv_scram_secret){.iterations = secret.iterations,
                                                .salt_len = (uint32_t)secret.salt.len};
        memcpy(ret_secret->salt, secret.salt.at, secret.salt.len);
        memcpy(ret_secret->stored_key, secret.stored_key.at, MKV_SCRAM_KEY_LEN);
        memcpy(ret_secret->server_key, secret.server_key.at, MKV_SCRAM_KEY_LEN);
    }
    mkv_buf_deinit(&bytes);
    return found;
}

static int begin(struct daemon *daemon, struct connection *connection)
{
    struct mkv_sasl_server_options options = {.lookup = look_up, .context = daemon};
    uint8_t binding[MKV_TLS_BINDING_LEN];
    bool is_secure = mkv_link_peer(connection->link)->is_secure;
    int error = is_secure ? mkv_link_binding(connection->link, binding) : 0;

    mkv_sasl_free(connection->sasl);
    connection->sasl = NULL;
    options.binding = is_secure ? binding : NULL;
    memcpy(options.fake_key, daemon->fake_key, sizeof(options.fake_key));
    return error != 0 ? error : mkv_sasl_server_new(&options, &connection->sasl);
}

/* Where from, then the user: one who forgot the password keeps nobody else out. */
static struct mkv_bytes who(const struct connection *connection, char *out, size_t size)
{
    const char *user = connection->sasl != NULL ? mkv_sasl_user(connection->sasl) : "";

    (void)snprintf(out, size, "%s %s", mkv_link_peer(connection->link)->origin, user);
    return mkv_bytes_of(out);
}

static int step(struct daemon *daemon,
                struct connection *connection,
                struct mkv_bytes message,
                struct mkv_buf *answer,
                bool *ret_done)
{
    int64_t now_ms = mkv_clock_monotonic_ms();
    char name[MKV_LINK_ORIGIN_MAX + MKV_SCRAM_USER_MAX + 2];
    int error = mkv_sasl_step(connection->sasl, message, answer, ret_done);
    struct mkv_bytes key = who(connection, name, sizeof(name));

    if (mkv_daemon_is_kin(mkv_sasl_user(connection->sasl))) {
        return error; /* there is nothing to be guessed, and nobody can keep the servers apart */
    }
    if (error != MKV_E_NO_MEMORY && mkv_backoff_left_ms(&daemon->backoff, key, now_ms) > 0) {
        return MKV_E_LATER; /* also to the right password: nobody learns which it is */
    }
    if (error != 0) {
        mkv_backoff_failed(&daemon->backoff, key, now_ms);
    } else if (*ret_done) {
        mkv_backoff_succeeded(&daemon->backoff, key);
    }
    return error;
}

static void judge(struct daemon *daemon,
                  struct connection *connection,
                  const struct mkv_output *output)
{
    struct mkv_judgement judgement = {0};
    struct mkv_buf answer;
    uint64_t number = connection->number;

    mkv_buf_init(&answer, MKV_SASL_MAX);
    if (output->topic.len > 0) {
        judgement.error = begin(daemon, connection);
    }
    if (judgement.error == 0 && connection->sasl == NULL) {
        judgement.error = MKV_E_NOT_AUTHORISED;
    }
    if (judgement.error == 0) {
        judgement.error = step(daemon, connection, output->payload, &answer, &judgement.done);
    }
    judgement.answer = mkv_buf_bytes(&answer);
    if (connection->sasl != NULL) {
        judgement.user = mkv_bytes_of(mkv_sasl_user(connection->sasl));
        judgement.is_server = mkv_daemon_is_kin(mkv_sasl_user(connection->sasl));
    }
    mkv_server_node_judged(daemon->node, mkv_daemon_now(daemon), number, &judgement);
    if (judgement.error != 0 || judgement.done) {
        mkv_sasl_free(connection->sasl);
        connection->sasl = NULL;
    }
    mkv_buf_deinit(&answer);
}

void mkv_daemon_login(struct daemon *daemon, const struct mkv_output *output)
{
    struct connection *connection = mkv_map_get(&daemon->connections, output->link);

    if (connection != NULL && output->link >= MKV_LINK_OUT) {
        mkv_daemon_show_kin(daemon, connection, output);
    } else if (connection != NULL) {
        judge(daemon, connection, output);
    }
}
