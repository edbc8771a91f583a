/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Users and rules as the tree has them (docs/protocol.md, 13.1), for the verbs user, role and acl.
 */
#ifndef MKV_CLI_PEOPLE_H
#define MKV_CLI_PEOPLE_H

#include "base/error.h"
#include "cli/cli.h"
#include "cli/known.h"
#include "core/acl.h"
#include "core/grants_entry.h"

struct mkv_people {
    struct mkv_cli *cli; /* borrowed */
    struct mkv_known users;
    struct mkv_known rules;
    struct mkv_acl *acl; /* owned: the same, for questions */
};

void mkv_people_init(struct mkv_people *people, struct mkv_cli *cli);
void mkv_people_deinit(struct mkv_people *people);

/* Connects, and reads all of them. */
enum mkv_exit mkv_people_read(struct mkv_people *people) MKV_MUST_CHECK;

/* The user's row, also if its value stands for none; NULL: there is none. */
struct mkv_known_row *mkv_people_user(const struct mkv_people *people, const char *name);
/* The row of a role's rule; NULL: there is none. */
struct mkv_known_row *mkv_people_rule(const struct mkv_people *people,
                                      const char *role,
                                      struct mkv_bytes filter);

/* Reads a row of users, or of rules, borrowed from @people. */
bool mkv_people_read_user(const struct mkv_people *people,
                          const struct mkv_known_row *row,
                          struct mkv_acl_user *ret_user);
enum mkv_entry_shape mkv_people_read_rule(const struct mkv_people *people,
                                          const struct mkv_known_row *row,
                                          struct mkv_acl_rule *ret_rule);

/* Tells whoever typed @word that it is no name of a @what. */
enum mkv_exit mkv_people_check_name(const char *what, const char *word) MKV_MUST_CHECK;

/* Writes, in place of @row (NULL: nothing is there), or deletes it; waits until it is stored. */
enum mkv_exit mkv_people_set_user(struct mkv_people *people,
                                  const struct mkv_acl_user *user,
                                  const struct mkv_known_row *row) MKV_MUST_CHECK;
enum mkv_exit mkv_people_set_rule(struct mkv_people *people,
                                  const char *role,
                                  struct mkv_bytes filter,
                                  const char *rights,
                                  const struct mkv_known_row *row) MKV_MUST_CHECK;
enum mkv_exit mkv_people_delete(struct mkv_people *people,
                                const struct mkv_known_row *row) MKV_MUST_CHECK;

/* Puts out the rules, of one role or (NULL) of all; *ret_n of them. */
enum mkv_exit mkv_people_put_rules(struct mkv_people *people,
                                   const char *role,
                                   size_t *ret_n) MKV_MUST_CHECK;

/* The text of a filter, without its end; for people. */
void mkv_people_put_filter(struct mkv_out *out, struct mkv_bytes filter);

#endif
