/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `moat-kv login` leaves behind, so that nobody has to type the password again: a file of lines
 *
 *     server: tls://attic.example:27589
 *     user: ann
 *     fingerprint: <SHA-256 of the server's certificate, hexadecimal>
 *     iterations: 600000
 *     salt: <hexadecimal>
 *     salted-password: <hexadecimal>
 *
 * which is YAML.  Whoever can read it can log in as that user, until the password is changed.
 */
#ifndef MKV_CLIENT_TOKEN_H
#define MKV_CLIENT_TOKEN_H

#include "base/error.h"
#include "io/address.h"
#include "io/sasl.h"
#include "io/tls.h"
#include "io/why.h"

struct mkv_token {
    char server[MKV_ADDRESS_TEXT_MAX];
    char user[MKV_SCRAM_USER_MAX + 1];
    uint8_t pin[MKV_TLS_FINGERPRINT_LEN];
    uint32_t iterations;
    size_t salt_len;
    uint8_t salt[MKV_SCRAM_SALT_MAX];
    uint8_t salted[MKV_SCRAM_KEY_LEN];
};

#define MKV_TOKEN_NAME_MAX 512U

/*
 * The file of this user: MOAT_KV_TOKEN, else $XDG_CONFIG_HOME/moat-kv/token.yaml, else
 * ~/.config/moat-kv/token.yaml.  BAD_STATE: there is no home.  TOO_LARGE.
 */
int mkv_token_name(char out[MKV_TOKEN_NAME_MAX]) MKV_MUST_CHECK;

/* NOT_FOUND, IO, MALFORMED, NOT_AUTHORISED (others may read it); text in @why. */
int mkv_token_read(const char *name,
                   struct mkv_token *ret_token,
                   struct mkv_why *why) MKV_MUST_CHECK;

/* In place of one that is there, with mode 0600; its folder is made.  IO. */
int mkv_token_write(const char *name,
                    const struct mkv_token *token,
                    struct mkv_why *why) MKV_MUST_CHECK;

#endif
