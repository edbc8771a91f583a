/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS 1.3 for links: certificates, whom to trust, and what binds a login to its connection.
 *
 *     server: certificate and key -> mkv_tls -> a transport for each accepted link
 *     client: whom to trust       -> mkv_tls -> a transport for each link
 *
 * A transport is libevent's bufferevent, which io/link.c reads, writes and frees like any other.
 */
#ifndef MKV_IO_TLS_H
#define MKV_IO_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "io/why.h"

#define MKV_TLS_FINGERPRINT_LEN 32U /* SHA-256 of a certificate */
#define MKV_TLS_USER_MAX        64U
#define MKV_TLS_BINDING_LEN     32U

struct bufferevent;
struct event_base;
struct mkv_tls;

/* Names of PEM files. */
struct mkv_tls_server_options {
    const char *certificate; /* and those between it and its authority, in this order */
    const char *key;
    const char *client_ca; /* clients may show a certificate that it has signed; NULL: none */
};

/* Whom a client trusts.  One of the three is set. */
struct mkv_tls_client_options {
    const char *ca;     /* file with certificates: the server's own, or its authority's; or NULL */
    const uint8_t *pin; /* fingerprint of the server's certificate; copied; or NULL */
    bool anybody; /* whoever proves by the password to be the right one: SCRAM, see io/sasl.h */
};

/* BAD_ARGUMENT (a file that cannot be read, or does not fit), NO_MEMORY; text in @why. */
int mkv_tls_server_new(const struct mkv_tls_server_options *options,
                       struct mkv_why *why,
                       struct mkv_tls **ret_tls) MKV_MUST_CHECK;
int mkv_tls_client_new(const struct mkv_tls_client_options *options,
                       struct mkv_why *why,
                       struct mkv_tls **ret_tls) MKV_MUST_CHECK;

/* It must outlive its links.  NULL is fine. */
void mkv_tls_free(struct mkv_tls *tls);

bool mkv_tls_is_server(const struct mkv_tls *tls);

/*
 * Begins TLS on a connected socket, which is the transport's from now on.  @host is what a client
 * calls the server, a name or an address: a certificate that is checked against @ca must be for it.
 * NULL: no memory; the socket is still the caller's.
 */
struct bufferevent *mkv_tls_transport(
    const struct mkv_tls *tls, struct event_base *base, const char *host, int fd, int options);

/* Tells the peer that nothing more will follow. */
void mkv_tls_end(struct bufferevent *transport);

/*
 * Why a transport failed: 0 if it was not TLS that did.  NOT_AUTHORISED: a certificate is not
 * trusted, here or there.  IO: all else.
 */
int mkv_tls_failure(struct bufferevent *transport, struct mkv_why *why);

/* The SHA-256 of the peer's certificate; false if it showed none. */
bool mkv_tls_fingerprint(struct bufferevent *transport, uint8_t ret_print[MKV_TLS_FINGERPRINT_LEN]);

/*
 * The common name in a certificate that the client has shown and the server's CA has signed; "" if
 * there is none, or it has no form of a user's name (1 to 64 of A-Z a-z 0-9 . _ @ -).
 */
void mkv_tls_user(struct bufferevent *transport, char ret_user[MKV_TLS_USER_MAX + 1]);

/* The first frame in each direction. */
struct mkv_greeting {
    bool is_sent;
    bool is_got;
    uint8_t sent[32]; /* hash of its map */
    uint8_t got[32];
};

/* @frames are about to be sent, lengths included; only the first one ever counts. */
void mkv_greeting_send(struct mkv_greeting *greeting, struct mkv_bytes frames);
void mkv_greeting_get(struct mkv_greeting *greeting, struct mkv_bytes map);

/*
 * Bytes that only the two ends of this connection know, and only if both saw the same greeting:
 * those of RFC 9266, with the BLAKE2b-256 of the hashes of the accepting side's and of the
 * connecting side's first frame for context.  BAD_STATE: these have not been exchanged yet.
 */
int mkv_tls_binding(struct bufferevent *transport,
                    const struct mkv_greeting *greeting,
                    uint8_t ret_binding[MKV_TLS_BINDING_LEN]) MKV_MUST_CHECK;

#endif
