/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/verbs.h"

#include <string.h>

#include "cli/say.h"

const struct mkv_verb *const mkv_verbs[] = {
    &mkv_verb_get,
    &mkv_verb_set,
    &mkv_verb_del,
    &mkv_verb_ls,
    &mkv_verb_tree,
    &mkv_verb_watch,
    &mkv_verb_conflicts,
    &mkv_verb_dump,
    &mkv_verb_restore,
    &mkv_verb_import,
    &mkv_verb_status,
    &mkv_verb_servers,
    &mkv_verb_evict,
    &mkv_verb_user,
    &mkv_verb_role,
    &mkv_verb_acl,
    &mkv_verb_gate,
    &mkv_verb_login,
    &mkv_verb_passwd,
    &mkv_verb_ping,
    &mkv_verb_help,
    &mkv_verb_version,
    NULL,
};

#define N_VERBS (sizeof(mkv_verbs) / sizeof(mkv_verbs[0]) - 1)

const struct mkv_verb *mkv_verb_find(const char *name)
{
    const char *names[N_VERBS];

    for (unsigned i = 0; i < N_VERBS; i++) {
        if (strcmp(name, mkv_verbs[i]->name) == 0) {
            return mkv_verbs[i];
        }
        names[i] = mkv_verbs[i]->name;
    }

    const char *guess = mkv_option_guess(name, names, N_VERBS);

    if (guess != NULL) {
        (void)mkv_say(MKV_EXIT_USAGE, "'%s': no such verb; did you mean '%s'?", name, guess);
    } else {
        (void)mkv_say(MKV_EXIT_USAGE, "'%s': no such verb; 'moat-kv help' lists them", name);
    }
    return NULL;
}
