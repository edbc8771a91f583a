/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All verbs, in the order of the help.
 */
#ifndef MKV_CLI_VERBS_H
#define MKV_CLI_VERBS_H

#include "cli/cli.h"

extern const struct mkv_verb mkv_verb_get;
extern const struct mkv_verb mkv_verb_set;
extern const struct mkv_verb mkv_verb_del;
extern const struct mkv_verb mkv_verb_ls;
extern const struct mkv_verb mkv_verb_tree;
extern const struct mkv_verb mkv_verb_watch;
extern const struct mkv_verb mkv_verb_conflicts;
extern const struct mkv_verb mkv_verb_dump;
extern const struct mkv_verb mkv_verb_restore;
extern const struct mkv_verb mkv_verb_import;
extern const struct mkv_verb mkv_verb_status;
extern const struct mkv_verb mkv_verb_servers;
extern const struct mkv_verb mkv_verb_evict;
extern const struct mkv_verb mkv_verb_user;
extern const struct mkv_verb mkv_verb_role;
extern const struct mkv_verb mkv_verb_acl;
extern const struct mkv_verb mkv_verb_gate;
extern const struct mkv_verb mkv_verb_login;
extern const struct mkv_verb mkv_verb_passwd;
extern const struct mkv_verb mkv_verb_ping;
extern const struct mkv_verb mkv_verb_help;
extern const struct mkv_verb mkv_verb_version;

/* Ended by NULL. */
extern const struct mkv_verb *const mkv_verbs[];

/* NULL, and the user has been told, if there is none of that name. */
const struct mkv_verb *mkv_verb_find(const char *name);

#endif
