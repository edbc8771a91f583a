/* SPDX-License-Identifier: Apache-2.0 */
#include "io/tls.h"

#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "wire/frame.h"

#define EXPORTER_LABEL "EXPORTER-Channel-Binding"

struct mkv_tls {
    SSL_CTX *context; /* owned */
    bool is_server;
    bool is_pinned;
    bool checks_host;
    uint8_t pin[MKV_TLS_FINGERPRINT_LEN];
};

/* What OpenSSL has against a file; its queue is empty afterwards. */
static int refuse_file(struct mkv_why *why, const char *what, const char *name)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());

    mkv_why_set(why, "%s '%s' cannot be used: %s", what, name,
                reason != NULL ? reason : "it is not there, or cannot be read");
    ERR_clear_error();
    return MKV_E_BAD_ARGUMENT;
}

static int new_tls(bool is_server, struct mkv_tls **ret_tls)
{
    struct mkv_tls *tls = mkv_mem_alloc(sizeof(*tls));

    if (tls == NULL) {
        return MKV_E_NO_MEMORY;
    }
    tls->is_server = is_server;
    tls->context = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
    if (tls->context == NULL) {
        ERR_clear_error();
        mkv_mem_free(tls);
        return MKV_E_NO_MEMORY;
    }
    (void)SSL_CTX_set_min_proto_version(tls->context, TLS1_3_VERSION);
    /* That the stream ends is told by the frames; a connection that breaks is no error of TLS. */
    (void)SSL_CTX_set_options(tls->context, SSL_OP_IGNORE_UNEXPECTED_EOF);
    *ret_tls = tls;
    return 0;
}

/* A certificate in the file is trusted, whether it calls itself an authority or not. */
static void trust_what_is_given(SSL_CTX *context)
{
    (void)X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
}

static int use_files(SSL_CTX *context,
                     const struct mkv_tls_server_options *options,
                     struct mkv_why *why)
{
    if (SSL_CTX_use_certificate_chain_file(context, options->certificate) != 1) {
        return refuse_file(why, "the certificate", options->certificate);
    }
    if (SSL_CTX_use_PrivateKey_file(context, options->key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context) != 1) {
        return refuse_file(why, "the key", options->key);
    }
    if (options->client_ca == NULL) {
        return 0;
    }

    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(options->client_ca);

    if (names == NULL || SSL_CTX_load_verify_locations(context, options->client_ca, NULL) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return refuse_file(why, "the clients' CA", options->client_ca);
    }
    SSL_CTX_set_client_CA_list(context, names);
    trust_what_is_given(context);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    return 0;
}

int mkv_tls_server_new(const struct mkv_tls_server_options *options,
                       struct mkv_why *why,
                       struct mkv_tls **ret_tls)
{
    struct mkv_tls *tls;
    int error = new_tls(true, &tls);

    if (error != 0) {
        return mkv_why_error(why, error, "%s", mkv_error_text(error));
    }
    (void)SSL_CTX_set_num_tickets(tls->context, 0); /* each login is a whole one */
    (void)SSL_CTX_set_session_cache_mode(tls->context, SSL_SESS_CACHE_OFF);
    error = use_files(tls->context, options, why);
    if (error != 0) {
        mkv_tls_free(tls);
        return error;
    }
    *ret_tls = tls;
    return 0;
}

/* The certificate itself counts, and nothing that is in it. */
static int check_pin(X509_STORE_CTX *store, void *context)
{
    const struct mkv_tls *tls = context;
    const X509 *certificate = X509_STORE_CTX_get0_cert(store);
    uint8_t print[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    if (certificate != NULL && X509_digest(certificate, EVP_sha256(), print, &len) == 1 &&
        len == sizeof(tls->pin) && sodium_memcmp(print, tls->pin, len) == 0) {
        X509_STORE_CTX_set_error(store, X509_V_OK);
        return 1;
    }
    X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
    return 0;
}

static int check_nothing(X509_STORE_CTX *store, void *context)
{
    (void)context;
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
}

int mkv_tls_client_new(const struct mkv_tls_client_options *options,
                       struct mkv_why *why,
                       struct mkv_tls **ret_tls)
{
    struct mkv_tls *tls;
    int error = new_tls(false, &tls);

    if (error != 0) {
        return mkv_why_error(why, error, "%s", mkv_error_text(error));
    }
    SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
    if (options->ca != NULL) {
        tls->checks_host = true;
        trust_what_is_given(tls->context);
        if (SSL_CTX_load_verify_locations(tls->context, options->ca, NULL) != 1) {
            mkv_tls_free(tls);
            return refuse_file(why, "the CA", options->ca);
        }
    } else if (options->pin != NULL) {
        tls->is_pinned = true;
        memcpy(tls->pin, options->pin, sizeof(tls->pin));
        SSL_CTX_set_cert_verify_callback(tls->context, check_pin, tls);
    } else if (options->anybody) {
        SSL_CTX_set_cert_verify_callback(tls->context, check_nothing, NULL);
    }
    *ret_tls = tls;
    return 0;
}

void mkv_tls_free(struct mkv_tls *tls)
{
    if (tls != NULL) {
        SSL_CTX_free(tls->context);
        mkv_mem_free(tls);
    }
}

bool mkv_tls_is_server(const struct mkv_tls *tls)
{
    return tls->is_server;
}

/* SSL_set_tlsext_host_name() without its cast, which drops a const. */
static bool name_server(SSL *ssl, const char *host)
{
    char name[TLSEXT_MAXLEN_host_name + 1];

    if (strlen(host) >= sizeof(name)) {
        return false;
    }
    memcpy(name, host, strlen(host) + 1);
    return SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name) == 1;
}

static bool expect_host(SSL *ssl, const char *host)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

    if (X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1) {
        return true;
    }
    ERR_clear_error();
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(param, host, 0) == 1 && name_server(ssl, host);
}

/* NULL: no memory. */
static SSL *begin(const struct mkv_tls *tls, const char *host)
{
    SSL *ssl = SSL_new(tls->context);

    if (ssl == NULL || (tls->checks_host && !expect_host(ssl, host))) {
        ERR_clear_error();
        SSL_free(ssl);
        return NULL;
    }
    return ssl;
}

struct bufferevent *mkv_tls_transport(
    const struct mkv_tls *tls, struct event_base *base, const char *host, int fd, int options)
{
    enum bufferevent_ssl_state role =
        tls->is_server ? BUFFEREVENT_SSL_ACCEPTING : BUFFEREVENT_SSL_CONNECTING;
    SSL *ssl = begin(tls, host);
    struct bufferevent *transport =
        ssl != NULL ? bufferevent_openssl_socket_new(base, fd, ssl, role, options) : NULL;

    if (transport == NULL) {
        SSL_free(ssl);
    } else {
        bufferevent_openssl_set_allow_dirty_shutdown(transport, 1);
    }
    return transport;
}

void mkv_tls_end(struct bufferevent *transport)
{
    (void)SSL_shutdown(bufferevent_openssl_get_ssl(transport));
    ERR_clear_error();
}

/* A peer that does not trust our certificate says so by one of these. */
static bool is_refusal(unsigned long code)
{
    switch (ERR_GET_REASON(code)) {
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
        return true;
    default:
        return false;
    }
}

int mkv_tls_failure(struct bufferevent *transport, struct mkv_why *why)
{
    long verdict = SSL_get_verify_result(bufferevent_openssl_get_ssl(transport));
    unsigned long code = bufferevent_get_openssl_error(transport);
    const char *reason = ERR_reason_error_string(code);

    if (code == 0) {
        return 0;
    }
    if (ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        if (verdict == X509_V_ERR_CERT_REJECTED) {
            return mkv_why_error(why, MKV_E_NOT_AUTHORISED,
                                 "its certificate is another one than when this user logged in; if "
                                 "that is right, log in again with 'moat-kv login'");
        }
        return mkv_why_error(why, MKV_E_NOT_AUTHORISED, "its certificate is not trusted: %s",
                             X509_verify_cert_error_string(verdict));
    }
    if (is_refusal(code)) {
        return mkv_why_error(why, MKV_E_NOT_AUTHORISED, "it does not trust our certificate: %s",
                             reason);
    }
    return mkv_why_error(why, MKV_E_IO, "no TLS 1.3 with it: %s",
                         reason != NULL ? reason : "the connection broke");
}

static X509 *certificate_of(struct bufferevent *transport)
{
    return SSL_get0_peer_certificate(bufferevent_openssl_get_ssl(transport));
}

bool mkv_tls_fingerprint(struct bufferevent *transport, uint8_t ret_print[MKV_TLS_FINGERPRINT_LEN])
{
    X509 *certificate = certificate_of(transport);
    unsigned len = 0;
    uint8_t print[EVP_MAX_MD_SIZE];

    if (certificate == NULL || X509_digest(certificate, EVP_sha256(), print, &len) != 1 ||
        len != MKV_TLS_FINGERPRINT_LEN) {
        return false;
    }
    memcpy(ret_print, print, len);
    return true;
}

static bool is_user(const char *name, int len)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._@-";

    return len > 0 && len <= (int)MKV_TLS_USER_MAX && strlen(name) == (size_t)len &&
           strspn(name, letters) == (size_t)len;
}

void mkv_tls_user(struct bufferevent *transport, char ret_user[MKV_TLS_USER_MAX + 1])
{
    const X509 *certificate = certificate_of(transport);
    char name[MKV_TLS_USER_MAX + 2] = "";
    int len = -1;

    ret_user[0] = '\0';
    if (certificate != NULL &&
        SSL_get_verify_result(bufferevent_openssl_get_ssl(transport)) == X509_V_OK) {
        len = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name,
                                        sizeof(name));
    }
    if (is_user(name, len)) {
        memcpy(ret_user, name, (size_t)len + 1);
    }
}

static void hash(struct mkv_bytes bytes, uint8_t ret_hash[32])
{
    (void)crypto_generichash(ret_hash, 32, bytes.at, bytes.len, NULL, 0);
}

void mkv_greeting_send(struct mkv_greeting *greeting, struct mkv_bytes frames)
{
    struct mkv_bytes map;
    size_t used = 0;

    if (!greeting->is_sent && mkv_frame_cut(frames, &map, &used) == 0 && used > 0) {
        greeting->is_sent = true;
        hash(map, greeting->sent);
    }
}

void mkv_greeting_get(struct mkv_greeting *greeting, struct mkv_bytes map)
{
    if (!greeting->is_got) {
        greeting->is_got = true;
        hash(map, greeting->got);
    }
}

int mkv_tls_binding(struct bufferevent *transport,
                    const struct mkv_greeting *greeting,
                    uint8_t ret_binding[MKV_TLS_BINDING_LEN])
{
    SSL *ssl = bufferevent_openssl_get_ssl(transport);
    bool accepted = SSL_is_server(ssl) == 1;
    uint8_t both[64];
    uint8_t context[32];

    if (!greeting->is_sent || !greeting->is_got) {
        return MKV_E_BAD_STATE;
    }
    memcpy(both, accepted ? greeting->sent : greeting->got, 32);
    memcpy(both + 32, accepted ? greeting->got : greeting->sent, 32);
    hash(mkv_bytes(both, sizeof(both)), context);
    if (SSL_export_keying_material(ssl, ret_binding, MKV_TLS_BINDING_LEN, EXPORTER_LABEL,
                                   strlen(EXPORTER_LABEL), context, sizeof(context), 1) != 1) {
        ERR_clear_error();
        return MKV_E_BAD_STATE;
    }
    return 0;
}
