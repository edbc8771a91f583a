/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who a handle is to its servers, and whom it takes for one: certificates, the user, the password or
 * what was made of it.
 */
#ifndef MKV_CLIENT_IDENTITY_H
#define MKV_CLIENT_IDENTITY_H

#include <moatkv/client.h>

#include "client/token.h"

#define MKV_CA_NAME_MAX 512U

struct mkv_identity_options {
    char server[MKV_ADDRESS_TEXT_MAX]; /* the only one that the user is for; "": all */
    char user[MKV_SCRAM_USER_MAX + 1]; /* "": none */
    char password[MKV_SASL_PASSWORD_MAX + 1];
    char ca[MKV_CA_NAME_MAX]; /* "": the token's fingerprint, or whoever knows the password */
    bool has_token;           /* in place of the password */
    struct mkv_token token;
};

struct mkv_identity {
    struct mkv_identity_options options;
    struct mkv_tls *tls;   /* owned; NULL: no server of tls:// is trusted */
    struct mkv_sasl *sasl; /* owned; of the link that logs in, or NULL */
    bool has_learnt;
    struct mkv_token learnt; /* of the last login by password */
};

/* BAD_ARGUMENT (the CA's file), NO_MEMORY. */
int mkv_identity_init(struct mkv_identity *identity,
                      const struct mkv_identity_options *options) MKV_MUST_CHECK;
void mkv_identity_deinit(struct mkv_identity *identity);

/* As mkv_client_effect_link_prove() asks. */
void mkv_identity_prove(moatkv *kv, struct mkv_bytes mechanism, struct mkv_bytes message);

#endif
