/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of a cluster (docs/protocol.md, section 13.5): what its servers have and nobody else.
 *
 *     file    one line a key, the one in use first:    5f0c11e9 c3ab8ff1...   id, key, in hexadecimal
 *     token   the same keys as one word for other servers: moatkv1-AQHDq4_x...
 *     login   what a server shows when it dials another:  :server/5f0c11e9, and a password
 *     proof   the end of a ping: who made it has such a key
 *
 * What has been mistyped or damaged is noticed: an id is a hash of its key, a token has a checksum.
 */
#ifndef MKV_WIRE_RING_H
#define MKV_WIRE_RING_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"

#define MKV_RING_KEYS_MAX  3U /* the one in use, and those that still count */
#define MKV_RING_KEY_LEN   ((size_t)32)
#define MKV_RING_FILE_MAX  256U /* bytes of such a file */
#define MKV_RING_TOKEN_MAX 512U /* characters of a token */

/* For what a key is used; each use has a key of its own, derived from the cluster's. */
#define MKV_RING_PING  "moat-kv ping 1"
#define MKV_RING_GUARD "moat-kv guard 1"
#define MKV_RING_LINK  "moat-kv link 1"

#define MKV_RING_LOGIN_START ":server/" /* no user's name has a colon */

struct mkv_ring {
    uint32_t n;
    uint8_t keys[MKV_RING_KEYS_MAX][MKV_RING_KEY_LEN]; /* the first is the one in use */
};

struct mkv_ring_token {
    struct mkv_ring ring;
    char root[MKV_ROOT_MAX + 1]; /* of the cluster's topics; empty: whatever it is */
};

/* Reads a file.  MALFORMED: that is none, or not as it was written. */
int mkv_ring_read(struct mkv_bytes text, struct mkv_ring *ret_ring) MKV_MUST_CHECK;
/* Appends a file; TOO_LARGE, NO_MEMORY, and @out is as it was. */
int mkv_ring_write(const struct mkv_ring *ring, struct mkv_buf *out) MKV_MUST_CHECK;

/* Blanks around it do not count.  MALFORMED: that is none, or there is a mistake in it. */
int mkv_ring_token_read(struct mkv_bytes text, struct mkv_ring_token *ret_token) MKV_MUST_CHECK;
/* Appends a token; TOO_LARGE, NO_MEMORY, and @out is as it was. */
int mkv_ring_token_write(const struct mkv_ring_token *token, struct mkv_buf *out) MKV_MUST_CHECK;

/* A new key comes into use; the oldest goes if there are too many. */
void mkv_ring_add(struct mkv_ring *ring, const uint8_t key[MKV_RING_KEY_LEN]);

/*
 * What a server with @ring has after it was given @other: if one of them has the key that the other
 * one uses, the later one of the two.  UNEXPECTED: they have nothing in common, and are those of
 * two clusters.
 */
int mkv_ring_join(struct mkv_ring *ring, const struct mkv_ring *other) MKV_MUST_CHECK;

/* The keys for one use. */
void mkv_ring_derive(const struct mkv_ring *ring, const char *use, struct mkv_ring *ret_ring);

/* By which a server logs in at another (docs/protocol.md, 13.5). */
struct mkv_ring_login {
    char user[sizeof(MKV_RING_LOGIN_START) + 8]; /* names the key, and does not tell it */
    char password[2 * MKV_RING_KEY_LEN + 1];
};

/* That of key number @i. */
void mkv_ring_login(const struct mkv_ring *ring, uint32_t i, struct mkv_ring_login *ret_login);

void mkv_ring_forget(struct mkv_ring *ring);

/* @message, a ping that was sent on @topic, ends with room for its proof: writes it, by the key in use. */
void mkv_ring_prove(const struct mkv_ring *ring,
                    struct mkv_bytes topic,
                    uint8_t *message,
                    size_t len);
/* Whether it ends with a proof by one of the keys. */
bool mkv_ring_proves(const struct mkv_ring *ring, struct mkv_bytes topic, struct mkv_bytes message);

#endif
