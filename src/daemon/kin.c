/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How servers show each other, over a link, that they are of one cluster: by SCRAM like a user, with what is
 * derived from the cluster's keys for user and password (docs/protocol.md, 13.5).
 */
#include <sodium.h>
#include <string.h>

#include "daemon/inner.h"
#include "io/entropy.h"

/*
 * There is nothing to be guessed, so few rounds are enough; and nobody who only pretends to be a server can
 * make us compute for long.
 */
#define ITERATIONS MKV_SCRAM_ITERATIONS_MIN

static void forget(struct mkv_ring_login *login)
{
    sodium_memzero(login, sizeof(*login));
}

int mkv_daemon_prepare_kin(struct daemon *daemon)
{
    const struct mkv_tls_client_options anybody = {.anybody = true};
    struct mkv_why why = {{0}};
    int error = 0;

    daemon->n_kin = 0;
    for (uint32_t i = 0; i < daemon->ring.n && error == 0; i++) {
        struct kin *kin = &daemon->kin[i];
        struct mkv_ring_login login;
        uint8_t salt[MKV_SASL_SALT_LEN];

        mkv_ring_login(&daemon->ring, i, &login);
        mkv_entropy_fill(salt, sizeof(salt));
        memcpy(kin->user, login.user, sizeof(kin->user));
        error = mkv_sasl_secret_of(login.password, salt, ITERATIONS, &kin->secret);
        daemon->n_kin += error == 0;
        forget(&login);
    }
    if (error == 0 && daemon->tls_out == NULL) {
        error = mkv_tls_client_new(&anybody, &why, &daemon->tls_out);
    }
    return error;
}

bool mkv_daemon_is_kin(const char *user)
{
    return strncmp(user, MKV_RING_LOGIN_START, sizeof(MKV_RING_LOGIN_START) - 1) == 0;
}

bool mkv_daemon_find_kin(const struct daemon *daemon,
                         const char *user,
                         struct mkv_scram_secret *ret_secret)
{
    for (uint32_t i = 0; i < daemon->n_kin; i++) {
        if (strcmp(daemon->kin[i].user, user) == 0) {
            *ret_secret = daemon->kin[i].secret;
            return true;
        }
    }
    return false;
}

static int begin(const struct daemon *daemon, struct connection *connection)
{
    struct mkv_ring_login login;
    struct mkv_sasl_client_options options = {
        .user = login.user, .password = login.password, .iterations_max = ITERATIONS};
    uint8_t binding[MKV_TLS_BINDING_LEN];
    bool is_secure = mkv_link_peer(connection->link)->is_secure;
    int error = is_secure ? mkv_link_binding(connection->link, binding) : 0;

    mkv_sasl_free(connection->sasl);
    connection->sasl = NULL;
    if (error != 0) {
        return error;
    }
    options.binding = is_secure ? binding : NULL;
    mkv_ring_login(&daemon->ring, 0, &login);
    error = mkv_sasl_client_new(&options, &connection->sasl);
    forget(&login);
    return error;
}

void mkv_daemon_show_kin(struct daemon *daemon,
                         struct connection *connection,
                         const struct mkv_output *output)
{
    struct mkv_judgement judgement = {0};
    struct mkv_buf answer;

    mkv_buf_init(&answer, MKV_SASL_MAX);
    if (output->topic.len > 0) {
        judgement.error = begin(daemon, connection);
    }
    if (judgement.error == 0 && connection->sasl == NULL) {
        judgement.error = MKV_E_NOT_AUTHORISED;
    }
    if (judgement.error == 0) {
        judgement.error =
            mkv_sasl_step(connection->sasl, output->payload, &answer, &judgement.done);
    }
    judgement.answer = mkv_buf_bytes(&answer);
    mkv_server_node_judged(daemon->node, mkv_daemon_now(daemon), connection->number, &judgement);
    if (judgement.error != 0 || judgement.done) {
        mkv_sasl_free(connection->sasl);
        connection->sasl = NULL;
    }
    mkv_buf_deinit(&answer);
}
