/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Users and rules as entries of the tree (docs/protocol.md, section 13), so that they travel, and are
 * agreed upon, like others:
 *
 *     [null, "users", "ann"] = {"roles": ["guest", "nurse"], "uid": 1001, "off": false}
 *     [null, "acl", "guest", "cellar", "#"] = "r-we"
 */
#ifndef MKV_CORE_GRANTS_ENTRY_H
#define MKV_CORE_GRANTS_ENTRY_H

#include "base/buf.h"
#include "base/error.h"
#include "core/acl.h"

/*
 * Appends the key at and below which users (rules) are; of one user; of one role's rules; of one
 * rule.  BAD_NAME, PATH_TOO_LONG, NO_MEMORY: what @key then holds is of no use.
 */
int mkv_users_key(struct mkv_buf *key) MKV_MUST_CHECK;
int mkv_rules_key(struct mkv_buf *key) MKV_MUST_CHECK;
int mkv_user_key(struct mkv_bytes name, struct mkv_buf *key) MKV_MUST_CHECK;
int mkv_role_key(struct mkv_bytes role, struct mkv_buf *key) MKV_MUST_CHECK;
int mkv_rule_key(struct mkv_bytes role,
                 struct mkv_bytes filter,
                 struct mkv_buf *key) MKV_MUST_CHECK;

/* Appends a user's value. */
int mkv_user_write(const struct mkv_acl_user *user, struct mkv_buf *value) MKV_MUST_CHECK;

/*
 * Reads a user's entry, borrowed from both.  False: it is none, and stands for no user.  Of the value
 * `roles` must be there, and what we do not know does no harm.
 */
bool mkv_user_read(struct mkv_bytes key, struct mkv_bytes value, struct mkv_acl_user *ret_user);

enum mkv_entry_shape {
    MKV_ENTRY_FINE,
    MKV_ENTRY_UNREADABLE, /* its value is none: it denies every right where it matches */
    MKV_ENTRY_NONE,       /* its key is none: it stands for nothing */
};

/* The same for a rule. */
enum mkv_entry_shape mkv_rule_read(struct mkv_bytes key,
                                   struct mkv_bytes value,
                                   struct mkv_acl_rule *ret_rule);

#endif
