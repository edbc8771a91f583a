/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table behind core/acl.h, for core/acl.c (making it) and core/acl_decide.c (asking it) alone.
 *
 * Rules are sorted by their filters, so those whose filters begin alike are neighbours: a node of the tree
 * that filters form is a range of the list, and to step down is to search in that range.
 */
#ifndef MKV_CORE_ACL_TABLE_H
#define MKV_CORE_ACL_TABLE_H

#include "core/acl.h"

struct mkv_acl_user_row {
    struct mkv_acl_user user;               /* first: what users see */
    uint32_t n_roles;                       /* those that have rules ... */
    uint32_t roles[MKV_ACL_USER_ROLES_MAX]; /* ... as numbers, ascending */
};

struct mkv_acl_rule_row {
    struct mkv_acl_rule rule; /* first: what users see */
    uint32_t role;            /* its number: roles are numbered by their names' order */
};

struct mkv_acl_list {
    void **at; /* owned; what they point to lies in the table's blocks */
    size_t n;
    size_t cap;
};

/* Memory that stays where it is until the table is freed. */
struct mkv_acl_block {
    struct mkv_acl_block *next;
    size_t used;
    size_t size;
    max_align_t room[];
};

struct mkv_acl {
    struct mkv_acl_block *blocks;
    struct mkv_acl_list users;    /* by name, once finished */
    struct mkv_acl_list rules;    /* by filter, then role */
    struct mkv_acl_list roles;    /* by name: some rule of each */
    struct mkv_bytes whole_below; /* roles from this name on are cut; empty: none is */
    size_t n_cut;
    bool finished;
};

static inline const struct mkv_acl_user_row *mkv_acl_user_row(const struct mkv_acl *acl, size_t i)
{
    return acl->users.at[i];
}

static inline const struct mkv_acl_rule_row *mkv_acl_rule_row(const struct mkv_acl *acl, size_t i)
{
    return acl->rules.at[i];
}

/* acl.c */
const struct mkv_acl_user_row *mkv_acl_find_user(const struct mkv_acl *acl, struct mkv_bytes name);

/* `+` and `#` as elements of keys. */
extern const struct mkv_bytes mkv_acl_one;
extern const struct mkv_bytes mkv_acl_rest;

#endif
