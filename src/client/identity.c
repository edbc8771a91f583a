/* SPDX-License-Identifier: Apache-2.0 */
#include "client/identity.h"

#include <sodium.h>

#include "client/handle.h"
#include "client/options.h"
#include "io/entropy.h"

int mkv_identity_init(struct mkv_identity *identity, const struct mkv_identity_options *options)
{
    const struct mkv_tls_client_options tls = {
        .ca = options->ca[0] != '\0' ? options->ca : NULL,
        .pin = options->has_token ? options->token.pin : NULL,
        .anybody = options->user[0] != '\0',
    };

    *identity = (struct mkv_identity){.options = *options};
    return tls.ca != NULL || tls.anybody ? mkv_tls_client_new(&tls, NULL, &identity->tls) : 0;
}

void mkv_identity_deinit(struct mkv_identity *identity)
{
    mkv_sasl_free(identity->sasl);
    mkv_tls_free(identity->tls);
    sodium_memzero(identity, sizeof(*identity));
}

static int begin(moatkv *kv)
{
    struct mkv_identity *identity = &kv->identity;
    const struct mkv_identity_options *options = &identity->options;
    bool is_secure = kv->link != NULL && mkv_link_peer(kv->link)->is_secure;
    uint8_t binding[MKV_TLS_BINDING_LEN];
    struct mkv_sasl_client_options sasl = {.binding = is_secure ? binding : NULL,
                                           .user = options->user};
    int error = is_secure ? mkv_link_binding(kv->link, binding) : 0;

    if (kv->link == NULL || (!is_secure && !mkv_link_peer(kv->link)->is_local)) {
        return MKV_E_NOT_AUTHORISED; /* others could listen, and try passwords */
    }

    if (options->has_token) {
        sasl.salted = options->token.salted;
        sasl.salt = mkv_bytes(options->token.salt, options->token.salt_len);
        sasl.iterations = options->token.iterations;
    } else {
        sasl.password = options->password;
    }
    mkv_sasl_free(identity->sasl);
    identity->sasl = NULL;
    return error != 0 ? error : mkv_sasl_client_new(&sasl, &identity->sasl);
}

/* Both have proved themselves over this connection: so this is the server's certificate. */
static void learn(moatkv *kv)
{
    struct mkv_identity *identity = &kv->identity;
    struct mkv_bytes server = mkv_dial_next(&kv->node.client.dial);
    struct mkv_token *token = &identity->learnt;
    struct mkv_scram_secret secret;

    identity->has_learnt = server.len < sizeof(token->server) &&
                           mkv_link_fingerprint(kv->link, token->pin) &&
                           mkv_sasl_salted(identity->sasl, token->salted, &secret);
    if (identity->has_learnt) {
        memcpy(token->server, server.at, server.len);
        token->server[server.len] = '\0';
        memcpy(token->user, identity->options.user, sizeof(token->user));
        token->iterations = secret.iterations;
        token->salt_len = secret.salt_len;
        memcpy(token->salt, secret.salt, sizeof(token->salt));
    }
}

void mkv_identity_prove(moatkv *kv, struct mkv_bytes mechanism, struct mkv_bytes message)
{
    struct mkv_identity *identity = &kv->identity;
    struct mkv_buf answer;
    bool done = false;
    int error = mechanism.len > 0 ? begin(kv) : 0;

    mkv_buf_init(&answer, MKV_SASL_MAX);
    if (error == 0 && identity->sasl == NULL) {
        error = MKV_E_BAD_STATE;
    }
    if (error == 0) {
        error = mkv_sasl_step(identity->sasl, message, &answer, &done);
    }
    if (error == 0 && done && kv->link != NULL) {
        learn(kv);
    }
    if (error != 0 || done) {
        mkv_sasl_free(identity->sasl);
        identity->sasl = NULL;
    }
    mkv_client_node_link_proof(&kv->node, mkv_handle_now_ms(), error, mkv_buf_bytes(&answer), done);
    mkv_buf_deinit(&answer);
}

int moatkv_save_login(moatkv *kv, const char *file)
{
    char name[MKV_TOKEN_NAME_MAX];
    int error = 0;

    if (!kv->identity.has_learnt) {
        return MKV_E_BAD_STATE;
    }
    if (file == NULL) {
        error = mkv_token_name(name);
        file = name;
    }
    return error != 0 ? error : mkv_token_write(file, &kv->identity.learnt, NULL);
}

int moatkv_passwd(
    moatkv *kv, const char *user, const char *password, moatkv_on_done done, void *data)
{
    struct mkv_client_order order = {.kind = MKV_CLIENT_PASSWD};
    struct mkv_operation operation = {.on_done = done, .user = data};
    uint8_t salt[MKV_SASL_SALT_LEN];
    struct mkv_scram_secret secret;
    int error;

    if (user == NULL || password == NULL || user[0] == '\0' ||
        strlen(user) > sizeof(order.password.user)) {
        return MKV_E_BAD_ARGUMENT;
    }
    mkv_entropy_fill(salt, sizeof(salt));
    error = mkv_sasl_secret_of(password, salt, MKV_SASL_ITERATIONS, &secret);
    if (error != 0) {
        return error;
    }
    order.password.user_len = strlen(user);
    memcpy(order.password.user, user, order.password.user_len);
    order.password.iterations = secret.iterations;
    order.password.salt_len = secret.salt_len;
    memcpy(order.password.salt, secret.salt, sizeof(secret.salt));
    memcpy(order.password.stored_key, secret.stored_key, sizeof(secret.stored_key));
    memcpy(order.password.server_key, secret.server_key, sizeof(secret.server_key));
    return mkv_handle_order(kv, &order, &operation, NULL);
}
