/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One exchange of SCRAM-SHA-256 or SCRAM-SHA-256-PLUS (RFC 5802, 7677), of either side.
 *
 *     client  begin ->   initial ->   server  begin
 *             step  <- challenge <-
 *             step  ->  response ->           step: knows the user, or not
 *             step  <- challenge <-           (its own proof)
 *
 * A server answers for users that there are not as for those that there are, up to the last step.
 * It knows no password, and the client need not: a salted one will do.
 */
#ifndef MKV_IO_SASL_H
#define MKV_IO_SASL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "io/tls.h"
#include "wire/frame.h"

#define MKV_SASL_ITERATIONS   600000U /* of PBKDF2, for new passwords */
#define MKV_SASL_SALT_LEN     16U
#define MKV_SASL_PASSWORD_MAX 1024U
#define MKV_SASL_BYTES_MAX    16384U /* of one exchange, both directions; more: TOO_LARGE */

/* What the server keeps of a password. */
struct mkv_scram_secret {
    uint32_t iterations;
    uint32_t salt_len;
    uint8_t salt[MKV_SCRAM_SALT_MAX];
    uint8_t stored_key[MKV_SCRAM_KEY_LEN];
    uint8_t server_key[MKV_SCRAM_KEY_LEN];
};

/* Finds a user's secret; false: there is none. */
typedef bool mkv_sasl_lookup(void *context, const char *user, struct mkv_scram_secret *ret_secret);

struct mkv_sasl_server_options {
    const uint8_t *binding; /* of TLS, MKV_TLS_BINDING_LEN bytes: PLUS is then required; or NULL */
    mkv_sasl_lookup *lookup;
    void *context;
    uint8_t fake_key[32]; /* secret: makes up the salts of users that there are not */
};

struct mkv_sasl_client_options {
    const uint8_t *binding; /* as above */
    const char *user;
    const char *password;    /* or NULL, and then: */
    const uint8_t *salted;   /* MKV_SCRAM_KEY_LEN bytes: the salted password ... */
    struct mkv_bytes salt;   /* ... which counts only if the server names this salt ... */
    uint32_t iterations;     /* ... and this number; else NOT_AUTHORISED */
    uint32_t iterations_max; /* a server that names more is refused; 0: MKV_SCRAM_ITERATIONS_MAX */
};

struct mkv_sasl;

/* The mechanism that goes with the options: its name is static. */
const char *mkv_sasl_mechanism(bool has_binding);

/* NO_MEMORY.  What the options point to is copied, but for the lookup's context. */
int mkv_sasl_server_new(const struct mkv_sasl_server_options *options,
                        struct mkv_sasl **ret_sasl) MKV_MUST_CHECK;
int mkv_sasl_client_new(const struct mkv_sasl_client_options *options,
                        struct mkv_sasl **ret_sasl) MKV_MUST_CHECK;

/* Wipes what it knows.  NULL is fine. */
void mkv_sasl_free(struct mkv_sasl *sasl);

/*
 * Takes the other side's message (a client begins with an empty one) and appends the answer, which
 * may be empty.  *ret_done: this side is satisfied; the answer has to be sent all the same.
 * NOT_AUTHORISED: wrong password, no such user, the wrong connection, or no SCRAM at all: nobody is told which.  TOO_LARGE, NO_MEMORY.
 * After an error only mkv_sasl_free() may be called.
 */
int mkv_sasl_step(struct mkv_sasl *sasl, struct mkv_bytes in, struct mkv_buf *out, bool *ret_done)
    MKV_MUST_CHECK;

/* The user: of a server, once its step was done; "" before the first message. */
const char *mkv_sasl_user(const struct mkv_sasl *sasl);

/* Of a client that has computed it: MKV_SCRAM_KEY_LEN bytes, with salt and iterations as the server named them. */
bool mkv_sasl_salted(const struct mkv_sasl *sasl,
                     uint8_t ret_salted[MKV_SCRAM_KEY_LEN],
                     struct mkv_scram_secret *ret_secret);

/*
 * What a server is to keep of a new password: @ret_secret with @salt, MKV_SASL_SALT_LEN bytes at random.  It takes about half a second.
 * BAD_ARGUMENT: empty, too long, or with characters that no password may have (RFC 4013).
 */
int mkv_sasl_secret_of(const char *password,
                       const uint8_t salt[MKV_SASL_SALT_LEN],
                       uint32_t iterations,
                       struct mkv_scram_secret *ret_secret) MKV_MUST_CHECK;

#endif
