/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/say.h"
#include "cli/task.h"
#include "cli/verbs.h"

static enum mkv_exit check_role(struct mkv_cli *cli)
{
    return cli->n_words < 2 ? MKV_EXIT_OK : mkv_people_check_name("role", cli->words[1]);
}

/* The rights as they are to be stored. */
static enum mkv_exit read_rights(const struct mkv_cli *cli, char ret_text[MKV_ACL_RIGHTS_TEXT])
{
    uint8_t allowed;
    uint8_t denied;

    if (mkv_acl_rights_parse(mkv_bytes_of(cli->words[3]), &allowed, &denied) != 0) {
        return mkv_say(MKV_EXIT_USAGE,
                       "'%s' are no rights: letters of r (read), w (change), c (create), d "
                       "(delete), e (list), a (administer), and those denied behind a '-'",
                       cli->words[3]);
    }
    mkv_acl_rights_format(allowed, denied, ret_text);
    return MKV_EXIT_OK;
}

static enum mkv_exit check_rule(struct mkv_cli *cli)
{
    char rights[MKV_ACL_RIGHTS_TEXT];
    struct mkv_place place;
    enum mkv_exit status = check_role(cli);

    if (status == MKV_EXIT_OK && cli->n_words == 4) {
        status = read_rights(cli, rights);
    }
    if (status == MKV_EXIT_OK) {
        status = mkv_place_init(&place, cli->words[2]);
        mkv_place_deinit(&place);
    }
    return status;
}

static enum mkv_exit no_such_role(const char *role)
{
    return mkv_say(MKV_EXIT_NOT_FOUND, "the role '%s' has no rules; 'moat-kv role list' shows them",
                   role);
}

static enum mkv_exit list(struct mkv_people *people)
{
    const char *role = people->cli->n_words > 1 ? people->cli->words[1] : NULL;
    size_t n;
    enum mkv_exit status = mkv_people_put_rules(people, role, &n);

    return status == MKV_EXIT_OK && role != NULL && n == 0 ? no_such_role(role) : status;
}

static enum mkv_exit grant(struct mkv_people *people)
{
    const struct mkv_cli *cli = people->cli;
    char rights[MKV_ACL_RIGHTS_TEXT];
    struct mkv_place filter;
    enum mkv_exit status = mkv_place_init(&filter, cli->words[2]);

    if (status == MKV_EXIT_OK) {
        status = read_rights(cli, rights);
    }
    if (status == MKV_EXIT_OK) {
        struct mkv_bytes key = mkv_buf_bytes(&filter.key);

        status = mkv_people_set_rule(people, cli->words[1], key, rights,
                                     mkv_people_rule(people, cli->words[1], key));
    }
    mkv_place_deinit(&filter);
    return status;
}

static enum mkv_exit revoke(struct mkv_people *people)
{
    const struct mkv_cli *cli = people->cli;
    struct mkv_place filter;
    enum mkv_exit status = mkv_place_init(&filter, cli->words[2]);

    if (status == MKV_EXIT_OK) {
        const struct mkv_known_row *row =
            mkv_people_rule(people, cli->words[1], mkv_buf_bytes(&filter.key));

        status = row != NULL ? mkv_people_delete(people, row)
                             : mkv_say(MKV_EXIT_NOT_FOUND, "the role '%s' has no rule for '%s'",
                                       cli->words[1], cli->words[2]);
    }
    mkv_place_deinit(&filter);
    return status;
}

static enum mkv_exit del(struct mkv_people *people)
{
    struct mkv_bytes role = mkv_bytes_of(people->cli->words[1]);
    enum mkv_exit status = MKV_EXIT_OK;
    size_t n = 0;

    for (size_t i = 0; i < mkv_known_count(&people->rules) && status == MKV_EXIT_OK; i++) {
        const struct mkv_known_row *row = mkv_known_at(&people->rules, i);
        struct mkv_acl_rule rule;

        if (mkv_people_read_rule(people, row, &rule) != MKV_ENTRY_NONE &&
            mkv_bytes_equal(rule.role, role)) {
            status = mkv_people_delete(people, row);
            n++;
        }
    }
    return status == MKV_EXIT_OK && n == 0 ? no_such_role(people->cli->words[1]) : status;
}

static const struct mkv_task tasks[] = {
    {"list", "[ROLE]", 0, 1, check_role, list, NULL},
    {"grant", "ROLE FILTER RIGHTS", 3, 3, check_rule, grant, NULL},
    {"revoke", "ROLE FILTER", 2, 2, check_rule, revoke, NULL},
    {"del", "ROLE", 1, 1, check_role, del, NULL},
};

static enum mkv_exit run(struct mkv_cli *cli)
{
    return mkv_task_run(cli, tasks, sizeof(tasks) / sizeof(tasks[0]));
}

static const uint8_t exits[] = {
    MKV_EXIT_NOT_FOUND, MKV_EXIT_USAGE,    MKV_EXIT_NO_CONNECTION, MKV_EXIT_NOT_AUTHORISED,
    MKV_EXIT_CONFLICT,  MKV_EXIT_BAD_DATA, MKV_EXIT_NOT_WRITING,   0};

const struct mkv_verb mkv_verb_role = {
    .name = "role",
    .words = "list [ROLE] | grant ROLE FILTER RIGHTS | revoke ROLE FILTER | del ROLE",
    .n_words_min = 1,
    .n_words_max = 4,
    .summary = "Shows and changes what roles may do",
    .more = "A filter is a path in which '+' stands for any element and '#', at its end, for all "
            "that\nfollows; neither for what begins with null. Rights: r read, w change, c create, "
            "d delete,\ne list, a administer; behind a '-' those that are denied. The most "
            "specific filter decides.\nRights that begin with '-' go behind '--'.\n",
    .examples = {{"role grant guest 'kitchen.#' re", "reads and lists the kitchen"},
                 {"role grant -- guest 'kitchen.safe.#' -re", "but not this part of it"},
                 {"role grant admin ':n.#' rea", "may see and change users and rules"}},
    .exits = exits,
    .run = run,
};
