/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cli/passwd.h"
#include "cli/record.h"
#include "cli/say.h"
#include "cli/task.h"
#include "cli/verbs.h"

enum {
    OPT_UID = 1,
    OPT_ROLE,
    OPT_FILE
};

static const struct mkv_option options[] = {
    {OPT_UID, 'u', "uid", "N", "add: who connects to a server's socket as this Unix user id"},
    {OPT_ROLE, 'r', "role", "ROLE,...", "add: the roles"},
    {OPT_FILE, 0, "password-file", "FILE",
     "passwd: its first line is the password; - for standard input"},
    {0, 0, NULL, NULL, NULL},
};

static enum mkv_exit check_user(struct mkv_cli *cli)
{
    return mkv_people_check_name("user", cli->words[1]);
}

static enum mkv_exit check_user_and_role(struct mkv_cli *cli)
{
    enum mkv_exit status = check_user(cli);

    return status == MKV_EXIT_OK ? mkv_people_check_name("role", cli->words[2]) : status;
}

static enum mkv_exit no_such_user(const char *name)
{
    return mkv_say(MKV_EXIT_NOT_FOUND,
                   "there is no user '%s'; 'moat-kv user list' shows who there is", name);
}

/* The user that the command names; one whose entry cannot be read can only be deleted. */
static enum mkv_exit find(const struct mkv_people *people,
                          struct mkv_acl_user *ret_user,
                          struct mkv_known_row **ret_row)
{
    const char *name = people->cli->words[1];

    *ret_row = mkv_people_user(people, name);
    if (*ret_row == NULL) {
        return no_such_user(name);
    }
    if (!mkv_people_read_user(people, *ret_row, ret_user)) {
        return mkv_say(MKV_EXIT_BAD_DATA,
                       "the entry of user '%s' cannot be read; 'moat-kv user del %s', and add it "
                       "again",
                       name, name);
    }
    return MKV_EXIT_OK;
}

/* --- list --------------------------------------------------------------------------------- */

static void put_text(struct mkv_out *out, const struct mkv_acl_user *user)
{
    mkv_out_safe(out, user->name);
    for (uint32_t i = 0; i < user->n_roles; i++) {
        mkv_out_puts(out, i == 0 ? " " : ",");
        mkv_out_safe(out, user->roles[i]);
    }
    if (user->n_roles == 0) {
        mkv_out_puts(out, " -");
    }
    if (user->has_uid) {
        mkv_out_printf(out, " uid=%lu", (unsigned long)user->uid);
    }
    mkv_out_puts(out, user->off ? " off\n" : "\n");
}

/* "a,b" */
static void record_roles(struct mkv_records *records, const struct mkv_acl_user *user)
{
    struct mkv_buf list;
    struct mkv_cbor_writer w;

    mkv_buf_init(&list, (size_t)2 * MKV_ACL_USER_ROLES_MAX * MKV_ACL_NAME_MAX);
    mkv_cbor_writer_init(&w, &list);
    mkv_cbor_write_array(&w, user->n_roles);
    for (uint32_t i = 0; i < user->n_roles; i++) {
        mkv_cbor_write_text(&w, user->roles[i]);
    }
    mkv_out_fail(records->out, w.error);
    mkv_record_item(records, "roles", mkv_buf_bytes(&list));
    mkv_buf_deinit(&list);
}

static void put_record(struct mkv_records *records, const struct mkv_acl_user *user)
{
    mkv_records_begin(records, 3 + (uint64_t)user->has_uid);
    mkv_record_text(records, "name", user->name);
    record_roles(records, user);
    mkv_record_bool(records, "off", user->off);
    if (user->has_uid) {
        mkv_record_uint(records, "uid", user->uid);
    }
    mkv_records_add(records);
}

static enum mkv_exit list(struct mkv_people *people)
{
    struct mkv_cli *cli = people->cli;
    struct mkv_records records;

    mkv_records_init(&records, &cli->out, cli->format);
    for (size_t i = 0; i < mkv_known_count(&people->users); i++) {
        const struct mkv_known_row *row = mkv_known_at(&people->users, i);
        struct mkv_acl_user user = {.n_roles = 0};

        if (!mkv_people_read_user(people, row, &user)) {
            moatkv_bytes path = moatkv_entry_path(row->entry);

            (void)mkv_say(MKV_EXIT_OK, "%.*s is no user: it cannot be read", (int)path.len,
                          (const char *)path.at);
        } else if (cli->format == MKV_FORMAT_TEXT) {
            put_text(&cli->out, &user);
        } else {
            put_record(&records, &user);
        }
    }
    if (cli->format != MKV_FORMAT_TEXT) {
        mkv_records_end(&records);
    }
    mkv_records_deinit(&records);
    return cli->out.status;
}

/* --- add, del ----------------------------------------------------------------------------- */

static enum mkv_exit give_uid(const struct mkv_people *people, struct mkv_acl_user *user)
{
    const char *text = mkv_cli_value(people->cli, OPT_UID);
    uint64_t uid = 0;

    if (text == NULL) {
        return MKV_EXIT_OK;
    }
    /* Root may do everything, so that its id is nobody's. */
    enum mkv_exit status = mkv_cli_count("--uid", text, UINT32_MAX, &uid);

    if (status != MKV_EXIT_OK) {
        return status;
    }
    for (size_t i = 0; i < mkv_acl_n_users(people->acl); i++) {
        const struct mkv_acl_user *other = mkv_acl_user_at(people->acl, i);

        if (other->has_uid && other->uid == uid) {
            return mkv_say(MKV_EXIT_USAGE, "user id %s is that of '%.*s' already", text,
                           (int)other->name.len, (const char *)other->name.at);
        }
    }
    user->has_uid = true;
    user->uid = (uint32_t)uid;
    return MKV_EXIT_OK;
}

static enum mkv_exit give_role(struct mkv_acl_user *user, struct mkv_bytes role)
{
    if (!mkv_acl_name_valid(role)) {
        return mkv_say(MKV_EXIT_USAGE,
                       "'%.*s' is no name of a role: that has 1 to 64 characters of A-Z a-z 0-9 . "
                       "_ @ -",
                       (int)role.len, (const char *)role.at);
    }
    for (uint32_t i = 0; i < user->n_roles; i++) {
        if (mkv_bytes_equal(user->roles[i], role)) {
            return MKV_EXIT_OK;
        }
    }
    if (user->n_roles == MKV_ACL_USER_ROLES_MAX) {
        return mkv_say(MKV_EXIT_USAGE, "a user has %u roles at most", MKV_ACL_USER_ROLES_MAX);
    }
    user->roles[user->n_roles++] = role;
    return MKV_EXIT_OK;
}

static enum mkv_exit give_roles(struct mkv_acl_user *user, const char *text)
{
    enum mkv_exit status = MKV_EXIT_OK;

    while (text != NULL && status == MKV_EXIT_OK) {
        const char *comma = strchr(text, ',');
        size_t len = comma == NULL ? strlen(text) : (size_t)(comma - text);

        status = give_role(user, mkv_bytes(text, len));
        text = comma == NULL ? NULL : comma + 1;
    }
    return status;
}

static enum mkv_exit add(struct mkv_people *people)
{
    const struct mkv_cli *cli = people->cli;
    struct mkv_acl_user user = {.name = mkv_bytes_of(cli->words[1])};
    enum mkv_exit status;

    if (mkv_people_user(people, cli->words[1]) != NULL) {
        return mkv_say(MKV_EXIT_USAGE, "there is a user '%s' already", cli->words[1]);
    }
    status = give_uid(people, &user);
    if (status == MKV_EXIT_OK) {
        status = give_roles(&user, mkv_cli_value(cli, OPT_ROLE));
    }
    return status == MKV_EXIT_OK ? mkv_people_set_user(people, &user, NULL) : status;
}

static enum mkv_exit del(struct mkv_people *people)
{
    const struct mkv_known_row *row = mkv_people_user(people, people->cli->words[1]);

    return row == NULL ? no_such_user(people->cli->words[1]) : mkv_people_delete(people, row);
}

/* --- Changing one ------------------------------------------------------------------------- */

static enum mkv_exit grant(struct mkv_people *people)
{
    struct mkv_acl_user user = {.n_roles = 0};
    struct mkv_known_row *row;
    enum mkv_exit status = find(people, &user, &row);

    if (status == MKV_EXIT_OK) {
        status = give_role(&user, mkv_bytes_of(people->cli->words[2]));
    }
    return status == MKV_EXIT_OK ? mkv_people_set_user(people, &user, row) : status;
}

static enum mkv_exit revoke(struct mkv_people *people)
{
    struct mkv_bytes role = mkv_bytes_of(people->cli->words[2]);
    struct mkv_acl_user user = {.n_roles = 0};
    struct mkv_known_row *row;
    enum mkv_exit status = find(people, &user, &row);
    uint32_t n = 0;

    if (status != MKV_EXIT_OK) {
        return status;
    }
    for (uint32_t i = 0; i < user.n_roles; i++) {
        if (!mkv_bytes_equal(user.roles[i], role)) {
            user.roles[n++] = user.roles[i];
        }
    }
    if (n == user.n_roles) {
        return mkv_say(MKV_EXIT_NOT_FOUND, "user '%s' does not have the role '%s'",
                       people->cli->words[1], people->cli->words[2]);
    }
    user.n_roles = n;
    return mkv_people_set_user(people, &user, row);
}

static enum mkv_exit turn(struct mkv_people *people, bool off)
{
    struct mkv_acl_user user = {.n_roles = 0};
    struct mkv_known_row *row;
    enum mkv_exit status = find(people, &user, &row);

    user.off = off;
    return status == MKV_EXIT_OK ? mkv_people_set_user(people, &user, row) : status;
}

static enum mkv_exit turn_off(struct mkv_people *people)
{
    return turn(people, true);
}

static enum mkv_exit turn_on(struct mkv_people *people)
{
    return turn(people, false);
}

/* Who may set a password need not see who there is. */
static enum mkv_exit passwd(struct mkv_cli *cli)
{
    return mkv_passwd(cli, cli->words[1], mkv_cli_value(cli, OPT_FILE));
}

static const struct mkv_task tasks[] = {
    {"list", "", 0, 0, NULL, list, NULL},
    {"add", "NAME [--uid N] [--role ROLE,...]", 1, 1, check_user, add, NULL},
    {"del", "NAME", 1, 1, check_user, del, NULL},
    {"grant", "NAME ROLE", 2, 2, check_user_and_role, grant, NULL},
    {"revoke", "NAME ROLE", 2, 2, check_user_and_role, revoke, NULL},
    {"off", "NAME", 1, 1, check_user, turn_off, NULL},
    {"on", "NAME", 1, 1, check_user, turn_on, NULL},
    {"passwd", "NAME", 1, 1, check_user, NULL, passwd},
};

static enum mkv_exit run(struct mkv_cli *cli)
{
    return mkv_task_run(cli, tasks, sizeof(tasks) / sizeof(tasks[0]));
}

static const uint8_t exits[] = {
    MKV_EXIT_NOT_FOUND, MKV_EXIT_USAGE,    MKV_EXIT_NO_CONNECTION, MKV_EXIT_NOT_AUTHORISED,
    MKV_EXIT_CONFLICT,  MKV_EXIT_BAD_DATA, MKV_EXIT_NOT_WRITING,   0};

const struct mkv_verb mkv_verb_user = {
    .name = "user",
    .words = "list | {add | del | off | on | passwd} NAME | {grant | revoke} NAME ROLE",
    .n_words_min = 1,
    .n_words_max = 3,
    .summary = "Shows and changes who there is, and which roles they have",
    .more = "What a role may do, 'moat-kv role' says. A user who is off keeps the roles but has no "
            "rights\nand does not get in. All of it holds at once, also for those who are "
            "connected. 'user passwd' is 'moat-kv passwd'.\n",
    .options = options,
    .examples = {{"user add ann --uid 1001 --role guest,nurse", "a Unix user, with two roles"},
                 {"user revoke ann nurse", "without one of them"},
                 {"user list -o json", "who there is"}},
    .exits = exits,
    .run = run,
};
