/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file by which a server tells the guard who may do what (docs/protocol.md, section 13.4).
 *
 *     BLAKE2b-128 of what follows ‖ {0: 1, 1: root, 2: profile, 3: [keys], 4: [users], 5: [rules]}
 *
 * Users and rules are those that the server goes by itself, so that the two cannot read the tree
 * differently.  A file that was not written to its end, or has changed since, is none.
 */
#ifndef MKV_WIRE_RIGHTS_H
#define MKV_WIRE_RIGHTS_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "wire/cbor.h"
#include "wire/credential.h"
#include "wire/topic.h"

#define MKV_RIGHTS_MAX       (UINT32_C(32) << 20) /* bytes of the file; larger: refused */
#define MKV_RIGHTS_USERS_MAX 4096U                /* more: refused */
#define MKV_RIGHTS_RULES_MAX 16384U               /* more: refused */
#define MKV_RIGHTS_ROLES_MAX 16U                  /* of one user; more: refused */
#define MKV_RIGHTS_HASH_LEN  16U

/* All bytes are borrowed from what was decoded. */
struct mkv_rights {
    struct mkv_bytes root; /* a valid one */
    enum mkv_profile profile;
    uint32_t n_keys;                           /* 1..MKV_GUARD_KEYS_MAX */
    struct mkv_bytes keys[MKV_GUARD_KEYS_MAX]; /* each of MKV_GUARD_KEY_LEN bytes */
    uint32_t n_users;
    uint32_t n_rules;
    struct mkv_bytes users; /* so many, checked; see mkv_rights_next_user() */
    struct mkv_bytes rules; /* likewise */
};

struct mkv_rights_user {
    struct mkv_bytes name; /* as mkv_user_valid() wants it; so are the roles */
    bool off;
    uint32_t n_roles;
    struct mkv_bytes roles[MKV_RIGHTS_ROLES_MAX];
};

/* What the numbers mean is said in core/acl.h; they are below 64. */
struct mkv_rights_rule {
    struct mkv_bytes role;
    struct mkv_bytes filter; /* a valid ordered key */
    uint8_t allowed;
    uint8_t denied;
};

/*
 * CORRUPT: the hash is not that of the rest.  FORMAT: of a later version.  Else what is wrong with
 * the content: MALFORMED, TRUNCATED, TRAILING, NOT_MINIMAL, TOO_MANY, TOO_LARGE, DUPLICATE_KEY,
 * BAD_UTF8, BAD_TOPIC, BAD_NAME, BAD_PATH, PATH_TOO_LONG, BAD_NUMBER.
 */
int mkv_rights_decode(struct mkv_bytes in, struct mkv_rights *ret_rights) MKV_MUST_CHECK;

/* Walk what was decoded: begin with *rest = rights->users, or ->rules.  False at the end. */
bool mkv_rights_next_user(struct mkv_bytes *rest, struct mkv_rights_user *ret_user);
bool mkv_rights_next_rule(struct mkv_bytes *rest, struct mkv_rights_rule *ret_rule);

/* Writes a file piece by piece; sticky: check at the end. */
struct mkv_rights_writer {
    struct mkv_cbor_writer cbor;
    size_t start;     /* where the file begins in its buffer */
    uint32_t n_users; /* still to come */
    uint32_t n_rules;
};

/* Begins with all but users and rules: so many as @rights says must follow, users first. */
void mkv_rights_begin(struct mkv_rights_writer *w,
                      const struct mkv_rights *rights,
                      struct mkv_buf *out);
void mkv_rights_add_user(struct mkv_rights_writer *w, const struct mkv_rights_user *user);
void mkv_rights_add_rule(struct mkv_rights_writer *w, const struct mkv_rights_rule *rule);

/* TOO_LARGE, NO_MEMORY: the buffer is then as long as before. */
int mkv_rights_end(struct mkv_rights_writer *w) MKV_MUST_CHECK;

#endif
