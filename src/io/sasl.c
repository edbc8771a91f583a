/* SPDX-License-Identifier: Apache-2.0 */
#include "io/sasl.h"

#include <gsasl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define HEX_LEN         (2 * (size_t)MKV_SCRAM_KEY_LEN + 1)
#define BASE64_LEN(len) (4 * (((size_t)(len) + 2) / 3) + 1)

struct mkv_sasl {
    Gsasl *library;
    Gsasl_session *session;
    bool is_server;
    bool has_binding;
    bool is_known; /* server: the user exists; else the secret is made up */
    bool has_secret;
    bool done;
    char binding[BASE64_LEN(MKV_TLS_BINDING_LEN)];
    size_t n_bytes;
    mkv_sasl_lookup *lookup;
    void *context;
    uint8_t fake_key[32];
    char user[MKV_SCRAM_USER_MAX + 1];
    char *password;          /* client: owned; or NULL */
    uint32_t iterations_max; /* client */
    bool has_salted;
    uint8_t salted[MKV_SCRAM_KEY_LEN];
    struct mkv_scram_secret secret; /* client: salt and iterations that go with @salted */
};

const char *mkv_sasl_mechanism(bool has_binding)
{
    return has_binding ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256";
}

static void to_base64(const uint8_t *at, size_t len, char *out, size_t size)
{
    (void)sodium_bin2base64(out, size, at, len, sodium_base64_VARIANT_ORIGINAL);
}

/* What would be here if the user existed: always the same for one name. */
static void make_up(const struct mkv_sasl *sasl, const char *user, struct mkv_scram_secret *secret)
{
    uint8_t drawn[MKV_SASL_SALT_LEN + 2 * MKV_SCRAM_KEY_LEN];

    _Static_assert(sizeof(drawn) > crypto_generichash_BYTES_MAX, "so it is drawn in two");
    memset(secret, 0, sizeof(*secret));
    secret->iterations = MKV_SASL_ITERATIONS;
    secret->salt_len = MKV_SASL_SALT_LEN;
    (void)crypto_generichash(secret->salt, MKV_SASL_SALT_LEN, (const uint8_t *)user, strlen(user),
                             sasl->fake_key, sizeof(sasl->fake_key));
    randombytes_buf(secret->stored_key, sizeof(secret->stored_key));
    randombytes_buf(secret->server_key, sizeof(secret->server_key));
}

/* Once in an exchange: the name is the client's. */
static void find_secret(struct mkv_sasl *sasl)
{
    const char *user = gsasl_property_fast(sasl->session, GSASL_AUTHID);
    struct mkv_scram_secret made_up;

    if (sasl->has_secret) {
        return;
    }
    sasl->has_secret = true;
    user = user != NULL ? user : "";
    make_up(sasl, user, &made_up);
    if (strlen(user) <= MKV_SCRAM_USER_MAX) {
        memcpy(sasl->user, user, strlen(user) + 1);
        sasl->is_known = sasl->lookup(sasl->context, user, &sasl->secret);
    }
    if (!sasl->is_known) {
        sasl->secret = made_up;
    }
}

static int set_number(Gsasl_session *session, Gsasl_property property, uint32_t number)
{
    char text[16];

    (void)snprintf(text, sizeof(text), "%u", number);
    return gsasl_property_set(session, property, text);
}

static int set_base64(Gsasl_session *session, Gsasl_property property, struct mkv_bytes bytes)
{
    char text[BASE64_LEN(MKV_SCRAM_SALT_MAX)];

    to_base64(bytes.at, bytes.len, text, sizeof(text));
    return gsasl_property_set(session, property, text);
}

static int answer_server(struct mkv_sasl *sasl, Gsasl_property property)
{
    const struct mkv_scram_secret *secret = &sasl->secret;

    switch ((int)property) {
    case GSASL_SCRAM_ITER:
        find_secret(sasl);
        return set_number(sasl->session, property, secret->iterations);
    case GSASL_SCRAM_SALT:
        find_secret(sasl);
        return set_base64(sasl->session, property, mkv_bytes(secret->salt, secret->salt_len));
    case GSASL_SCRAM_STOREDKEY:
        find_secret(sasl);
        return set_base64(sasl->session, property,
                          mkv_bytes(secret->stored_key, MKV_SCRAM_KEY_LEN));
    case GSASL_SCRAM_SERVERKEY:
        find_secret(sasl);
        return set_base64(sasl->session, property,
                          mkv_bytes(secret->server_key, MKV_SCRAM_KEY_LEN));
    default:
        return GSASL_NO_CALLBACK;
    }
}

/* Whether the server's salt and number are those that the salted password was made with. */
static bool fits(const struct mkv_sasl *sasl)
{
    const char *salt = gsasl_property_fast(sasl->session, GSASL_SCRAM_SALT);
    const char *iterations = gsasl_property_fast(sasl->session, GSASL_SCRAM_ITER);
    char text[BASE64_LEN(MKV_SCRAM_SALT_MAX)];

    to_base64(sasl->secret.salt, sasl->secret.salt_len, text, sizeof(text));
    return salt != NULL && iterations != NULL && strcmp(salt, text) == 0 &&
           strtoul(iterations, NULL, 10) == sasl->secret.iterations;
}

static int answer_client(struct mkv_sasl *sasl, Gsasl_property property)
{
    char hex[HEX_LEN];

    switch ((int)property) {
    case GSASL_AUTHID:
        return gsasl_property_set(sasl->session, property, sasl->user);
    case GSASL_PASSWORD:
        return sasl->password == NULL ? GSASL_NO_CALLBACK
                                      : gsasl_property_set(sasl->session, property, sasl->password);
    case GSASL_SCRAM_SALTED_PASSWORD:
        if (!sasl->has_salted || !fits(sasl)) {
            return GSASL_NO_CALLBACK;
        }
        (void)sodium_bin2hex(hex, sizeof(hex), sasl->salted, sizeof(sasl->salted));
        return gsasl_property_set(sasl->session, property, hex);
    default:
        return GSASL_NO_CALLBACK;
    }
}

static int on_property(Gsasl *library, Gsasl_session *session, Gsasl_property property)
{
    struct mkv_sasl *sasl = gsasl_callback_hook_get(library);

    (void)session;
    if (property == GSASL_CB_TLS_EXPORTER && sasl->has_binding) {
        return gsasl_property_set(sasl->session, property, sasl->binding);
    }
    return sasl->is_server ? answer_server(sasl, property) : answer_client(sasl, property);
}

static int start(struct mkv_sasl *sasl, const uint8_t *binding)
{
    const char *mechanism = mkv_sasl_mechanism(binding != NULL);

    sasl->has_binding = binding != NULL;
    if (binding != NULL) {
        to_base64(binding, MKV_TLS_BINDING_LEN, sasl->binding, sizeof(sasl->binding));
    }
    if (gsasl_init(&sasl->library) != GSASL_OK) {
        sasl->library = NULL;
        return MKV_E_NO_MEMORY;
    }
    gsasl_callback_set(sasl->library, on_property);
    gsasl_callback_hook_set(sasl->library, sasl);

    int failure = sasl->is_server ? gsasl_server_start(sasl->library, mechanism, &sasl->session)
                                  : gsasl_client_start(sasl->library, mechanism, &sasl->session);

    return failure == GSASL_OK ? 0 : MKV_E_NO_MEMORY;
}

int mkv_sasl_server_new(const struct mkv_sasl_server_options *options, struct mkv_sasl **ret_sasl)
{
    struct mkv_sasl *sasl = mkv_mem_alloc(sizeof(*sasl));
    int error = MKV_E_NO_MEMORY;

    if (sasl != NULL) {
        sasl->is_server = true;
        sasl->lookup = options->lookup;
        sasl->context = options->context;
        memcpy(sasl->fake_key, options->fake_key, sizeof(sasl->fake_key));
        error = start(sasl, options->binding);
    }
    if (error != 0) {
        mkv_sasl_free(sasl);
        return error;
    }
    *ret_sasl = sasl;
    return 0;
}

static int take_options(struct mkv_sasl *sasl, const struct mkv_sasl_client_options *options)
{
    size_t len = strlen(options->user);

    if (len == 0 || len > MKV_SCRAM_USER_MAX || options->salt.len > MKV_SCRAM_SALT_MAX) {
        return MKV_E_BAD_ARGUMENT;
    }
    memcpy(sasl->user, options->user, len + 1);
    sasl->iterations_max =
        options->iterations_max > 0 ? options->iterations_max : MKV_SCRAM_ITERATIONS_MAX;
    if (options->password != NULL) {
        sasl->password = mkv_mem_alloc(strlen(options->password) + 1);
        if (sasl->password == NULL) {
            return MKV_E_NO_MEMORY;
        }
        memcpy(sasl->password, options->password, strlen(options->password) + 1);
    } else if (options->salted != NULL) {
        sasl->has_salted = true;
        memcpy(sasl->salted, options->salted, sizeof(sasl->salted));
        sasl->secret.iterations = options->iterations;
        sasl->secret.salt_len = (uint32_t)options->salt.len;
        memcpy(sasl->secret.salt, options->salt.at, options->salt.len);
    }
    return 0;
}

int mkv_sasl_client_new(const struct mkv_sasl_client_options *options, struct mkv_sasl **ret_sasl)
{
    struct mkv_sasl *sasl = mkv_mem_alloc(sizeof(*sasl));
    int error = sasl != NULL ? take_options(sasl, options) : MKV_E_NO_MEMORY;

    if (error == 0) {
        error = start(sasl, options->binding);
    }
    if (error != 0) {
        mkv_sasl_free(sasl);
        return error;
    }
    *ret_sasl = sasl;
    return 0;
}

void mkv_sasl_free(struct mkv_sasl *sasl)
{
    if (sasl == NULL) {
        return;
    }
    if (sasl->session != NULL) {
        gsasl_finish(sasl->session);
    }
    if (sasl->library != NULL) {
        gsasl_done(sasl->library);
    }
    if (sasl->password != NULL) {
        sodium_memzero(sasl->password, strlen(sasl->password));
        mkv_mem_free(sasl->password);
    }
    sodium_memzero(sasl, sizeof(*sasl));
    mkv_mem_free(sasl);
}

/*
 * A server that names very many iterations would keep the client busy for as long as it likes: "i=" is the
 * last attribute of its first message, and of that message alone.
 */
static bool asks_too_much(const struct mkv_sasl *sasl, struct mkv_bytes in)
{
    char text[16] = "";
    size_t start = in.len;

    while (start > 0 && in.at[start - 1] != ',') {
        start--;
    }
    if (in.len - start < 3 || memcmp(in.at + start, "i=", 2) != 0) {
        return false;
    }
    if (in.len - start - 2 >= sizeof(text)) {
        return true;
    }
    memcpy(text, in.at + start + 2, in.len - start - 2);

    unsigned long iterations = strtoul(text, NULL, 10);

    return iterations < MKV_SCRAM_ITERATIONS_MIN || iterations > sasl->iterations_max;
}

static int judge(const struct mkv_sasl *sasl, int result)
{
    if (result == GSASL_MALLOC_ERROR) {
        return MKV_E_NO_MEMORY;
    }
    if (result != GSASL_OK && result != GSASL_NEEDS_MORE) {
        return MKV_E_NOT_AUTHORISED;
    }
    /* Nobody can know a key that was drawn just now: but what is made up shall never be enough. */
    return result == GSASL_OK && sasl->is_server && !sasl->is_known ? MKV_E_NOT_AUTHORISED : 0;
}

int mkv_sasl_step(struct mkv_sasl *sasl, struct mkv_bytes in, struct mkv_buf *out, bool *ret_done)
{
    char *answer = NULL;
    size_t len = 0;

    if (sasl->done) { /* what a client has to say to a server's last word */
        *ret_done = true;
        return in.len == 0 ? 0 : MKV_E_NOT_AUTHORISED;
    }
    if (!sasl->is_server && asks_too_much(sasl, in)) {
        return MKV_E_NOT_AUTHORISED;
    }

    int result = gsasl_step(sasl->session, (const char *)in.at, in.len, &answer, &len);
    int error = judge(sasl, result);

    sasl->n_bytes += in.len + len;
    if (error == 0 && sasl->n_bytes > MKV_SASL_BYTES_MAX) {
        error = MKV_E_TOO_LARGE;
    }
    if (error == 0 && len > 0) {
        error = mkv_buf_append(out, mkv_bytes(answer, len));
    }
    gsasl_free(answer);
    if (error == 0) {
        sasl->done = result == GSASL_OK;
        *ret_done = sasl->done;
    }
    return error;
}

const char *mkv_sasl_user(const struct mkv_sasl *sasl)
{
    return sasl->user;
}

bool mkv_sasl_salted(const struct mkv_sasl *sasl,
                     uint8_t ret_salted[MKV_SCRAM_KEY_LEN],
                     struct mkv_scram_secret *ret_secret)
{
    const char *hex = gsasl_property_fast(sasl->session, GSASL_SCRAM_SALTED_PASSWORD);
    const char *salt = gsasl_property_fast(sasl->session, GSASL_SCRAM_SALT);
    const char *iterations = gsasl_property_fast(sasl->session, GSASL_SCRAM_ITER);
    struct mkv_scram_secret secret = {0};
    size_t salt_len = 0;
    size_t len = 0;

    if (hex == NULL || salt == NULL || iterations == NULL ||
        sodium_hex2bin(ret_salted, MKV_SCRAM_KEY_LEN, hex, strlen(hex), NULL, &len, NULL) != 0 ||
        len != MKV_SCRAM_KEY_LEN ||
        sodium_base642bin(secret.salt, sizeof(secret.salt), salt, strlen(salt), NULL, &salt_len,
                          NULL, sodium_base64_VARIANT_ORIGINAL) != 0) {
        return false;
    }
    secret.salt_len = (uint32_t)salt_len;
    secret.iterations = (uint32_t)strtoul(iterations, NULL, 10);
    *ret_secret = secret;
    return true;
}

int mkv_sasl_secret_of(const char *password,
                       const uint8_t salt[MKV_SASL_SALT_LEN],
                       uint32_t iterations,
                       struct mkv_scram_secret *ret_secret)
{
    struct mkv_scram_secret secret = {.iterations = iterations, .salt_len = MKV_SASL_SALT_LEN};
    char salted[MKV_SCRAM_KEY_LEN];
    char client_key[MKV_SCRAM_KEY_LEN];
    char *prepared = NULL;
    int result = GSASL_SASLPREP_ERROR;

    memcpy(secret.salt, salt, MKV_SASL_SALT_LEN);
    if (password[0] != '\0' && strlen(password) <= MKV_SASL_PASSWORD_MAX) {
        result = gsasl_saslprep(password, GSASL_ALLOW_UNASSIGNED, &prepared, NULL);
    }
    if (result == GSASL_OK) {
        result = gsasl_scram_secrets_from_password(
            GSASL_HASH_SHA256, prepared, iterations, (const char *)secret.salt, secret.salt_len,
            salted, client_key, (char *)secret.server_key, (char *)secret.stored_key);
    }
    gsasl_free(prepared);
    sodium_memzero(salted, sizeof(salted));
    sodium_memzero(client_key, sizeof(client_key));
    if (result != GSASL_OK) {
        return MKV_E_BAD_ARGUMENT;
    }
    *ret_secret = secret;
    return 0;
}
