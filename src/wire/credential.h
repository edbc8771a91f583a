/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a connection to the broker shows of itself (docs/protocol.md, section 13.3).
 *
 *     client id  attic:41:1795000000              a session: name, seq, expiry
 *                attic:0:1795000000:5f0c11e9      a server's own connection: random at the end
 *     user name  alice, or ":own", or ":server"
 *     password   32 hexadecimal digits: a MAC of the two, with a key that servers and guard share
 *
 * So the guard keeps no table of who may log in, and nobody can use a client id that was made for
 * another user, or live on it for ever.
 */
#ifndef MKV_WIRE_CREDENTIAL_H
#define MKV_WIRE_CREDENTIAL_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"

#define MKV_USER_MAX       64U /* bytes of a user name; longer: no user */
#define MKV_GUARD_KEY_LEN  32U
#define MKV_GUARD_KEYS_MAX 3U  /* in a ring: the one in use, and those that still count */
#define MKV_PASSWORD_LEN   32U /* characters */
#define MKV_SERVER_MARK    8U  /* hexadecimal digits that tell connections of a server apart */
#define MKV_CLIENT_ID_MAX  (MKV_NAME_MAX + 2U * 20U + 3U + MKV_SERVER_MARK)

#define MKV_USER_OWN    ":own"    /* has all rights, and no name */
#define MKV_USER_SERVER ":server" /* one of the servers */

enum mkv_role {
    MKV_ROLE_USER, /* what its rules allow */
    MKV_ROLE_OWN,
    MKV_ROLE_SERVER,
};

struct mkv_credential {
    enum mkv_role role;
    struct mkv_bytes user; /* of MKV_ROLE_USER, else empty; borrowed */
    struct mkv_bytes name; /* the server's that gave it; borrowed */
    uint64_t seq;          /* of the session; 0 for MKV_ROLE_SERVER */
    uint64_t expiry_s;     /* Unix time; 0: does not expire */
    struct mkv_bytes mark; /* of MKV_ROLE_SERVER, else empty; borrowed */
};

/* 1..64 bytes of A-Z a-z 0-9 . _ @ - */
bool mkv_user_valid(struct mkv_bytes user);

/* The user name that goes with it; borrowed, or static. */
struct mkv_bytes mkv_credential_user(const struct mkv_credential *credential);

/*
 * Appends the client id.  TOO_LARGE, NO_MEMORY; @id is then as long as before.  What is in
 * @credential is taken as it is.
 */
int mkv_credential_id(const struct mkv_credential *credential, struct mkv_buf *id) MKV_MUST_CHECK;

/*
 * Reads client id and user name, of which each credential has exactly one spelling.  False: these
 * two are none, whatever the password.
 */
bool mkv_credential_read(struct mkv_bytes id,
                         struct mkv_bytes user,
                         struct mkv_credential *ret_credential);

/* Whether a client id has the shape of ours, whoever shows it. */
bool mkv_credential_is_id(struct mkv_bytes id);

/* The password of both, not terminated. */
void mkv_credential_password(const uint8_t key[MKV_GUARD_KEY_LEN],
                             struct mkv_bytes id,
                             struct mkv_bytes user,
                             char ret_password[MKV_PASSWORD_LEN]);

/* Whether @password is theirs; takes as long whatever is wrong with it. */
bool mkv_credential_proves(const uint8_t key[MKV_GUARD_KEY_LEN],
                           struct mkv_bytes id,
                           struct mkv_bytes user,
                           struct mkv_bytes password);

#endif
