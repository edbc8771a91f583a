/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/limits.h"
#include "cli/acl_export.h"
#include "cli/record.h"
#include "cli/root.h"
#include "cli/say.h"
#include "cli/session.h"
#include "cli/task.h"
#include "cli/verbs.h"
#include "wire/path.h"

enum {
    OPT_FOR = 1,
    OPT_PORTABLE
};

static const struct mkv_option options[] = {
    {OPT_FOR, 0, "for", "BROKER", "export: mosquitto, emqx or nats"},
    {OPT_PORTABLE, 0, "portable", NULL, "export: topics of the portable profile (always for nats)"},
    {0, 0, NULL, NULL, NULL},
};

static enum mkv_exit list(struct mkv_people *people)
{
    size_t n;

    return mkv_people_put_rules(people, NULL, &n);
}

/* --- test --------------------------------------------------------------------------------- */

static const struct {
    const char *letter;
    const char *word;
    enum mkv_right right;
} rights[] = {
    {"r", "read", MKV_RIGHT_READ},     {"w", "write", MKV_RIGHT_WRITE},
    {"c", "create", MKV_RIGHT_CREATE}, {"d", "delete", MKV_RIGHT_DELETE},
    {"e", "list", MKV_RIGHT_LIST},     {"a", "admin", MKV_RIGHT_ADMIN},
};

static enum mkv_exit read_right(const char *text, enum mkv_right *ret_right)
{
    for (unsigned i = 0; i < sizeof(rights) / sizeof(rights[0]); i++) {
        if (strcmp(text, rights[i].letter) == 0 || strcmp(text, rights[i].word) == 0) {
            *ret_right = rights[i].right;
            return MKV_EXIT_OK;
        }
    }
    return mkv_say(MKV_EXIT_USAGE,
                   "'%s' is no right: r (read), w (write), c (create), d (delete), e (list), a "
                   "(admin)",
                   text);
}

static enum mkv_exit check_test(struct mkv_cli *cli)
{
    enum mkv_right right;
    struct mkv_place place;
    enum mkv_exit status = mkv_people_check_name("user", cli->words[1]);

    if (status == MKV_EXIT_OK) {
        status = read_right(cli->words[3], &right);
    }
    if (status == MKV_EXIT_OK) {
        status = mkv_place_init(&place, cli->words[2]);
        mkv_place_deinit(&place);
    }
    return status;
}

static void put_reason(const struct mkv_people *people,
                       const struct mkv_acl_rule *rule,
                       bool allowed)
{
    struct mkv_out *out = &people->cli->out;
    const char *name = people->cli->words[1];
    const struct mkv_acl_user *user = mkv_acl_user(people->acl, mkv_bytes_of(name));
    char text[MKV_ACL_RIGHTS_TEXT];

    mkv_out_puts(out, allowed ? "allowed: " : "denied: ");
    if (user == NULL) {
        mkv_out_printf(out, "there is no user '%s'\n", name);
    } else if (user->off) {
        mkv_out_printf(out, "user '%s' is off\n", name);
    } else if (rule->role.len == 0) {
        mkv_out_puts(out, "no rule of this user's roles names that right there\n");
    } else {
        mkv_acl_rights_format(rule->allowed, rule->denied, text);
        mkv_out_puts(out, "rule ");
        mkv_out_safe(out, rule->role);
        mkv_out_puts(out, " ");
        mkv_people_put_filter(out, rule->filter);
        mkv_out_printf(out, " %s\n", text);
    }
}

static void put_record(const struct mkv_people *people,
                       const struct mkv_place *place,
                       const struct mkv_acl_rule *rule,
                       bool allowed)
{
    struct mkv_cli *cli = people->cli;
    struct mkv_records records;
    struct mkv_buf filter;

    mkv_buf_init(&filter, MKV_TOPIC_MAX);
    if (rule->role.len > 0) {
        mkv_out_fail(&cli->out, mkv_path_to_dotted(rule->filter, &filter));
    }
    mkv_records_init(&records, &cli->out, cli->format);
    mkv_records_begin(&records, rule->role.len > 0 ? 6 : 4);
    mkv_record_text(&records, "user", mkv_bytes_of(cli->words[1]));
    mkv_record_text(&records, "path", mkv_bytes_of(mkv_place_text(place)));
    mkv_record_text(&records, "right", mkv_bytes_of(cli->words[3]));
    mkv_record_bool(&records, "allowed", allowed);
    if (rule->role.len > 0) {
        mkv_record_text(&records, "role", rule->role);
        mkv_record_text(&records, "filter", mkv_buf_bytes(&filter));
    }
    mkv_records_only(&records);
    mkv_records_deinit(&records);
    mkv_buf_deinit(&filter);
}

static enum mkv_exit test_place(const struct mkv_people *people,
                                const struct mkv_place *place,
                                enum mkv_right right)
{
    static const unsigned changes = MKV_RIGHT_WRITE | MKV_RIGHT_CREATE | MKV_RIGHT_DELETE;
    struct mkv_bytes key = mkv_buf_bytes(&place->key);
    struct mkv_acl_rule rule;
    bool meta = key.len > 0 && key.at[0] == 0x10;
    bool allowed = mkv_acl_decide(people->acl, mkv_bytes_of(people->cli->words[1]), key,
                                  meta && (right & changes) != 0 ? MKV_RIGHT_ADMIN : right, &rule);

    if (people->cli->format == MKV_FORMAT_TEXT) {
        put_reason(people, &rule, allowed);
    } else {
        put_record(people, place, &rule, allowed);
    }
    return allowed ? MKV_EXIT_OK : MKV_EXIT_NOT_AUTHORISED;
}

static enum mkv_exit test(struct mkv_people *people)
{
    enum mkv_right right = MKV_RIGHT_READ;
    struct mkv_place place;
    enum mkv_exit status = mkv_place_init(&place, people->cli->words[2]);

    if (status == MKV_EXIT_OK) {
        status = read_right(people->cli->words[3], &right);
    }
    if (status == MKV_EXIT_OK) {
        status = test_place(people, &place, right);
    }
    mkv_place_deinit(&place);
    return status;
}

/* --- export ------------------------------------------------------------------------------- */

static enum mkv_exit check_export(struct mkv_cli *cli)
{
    const char *word = mkv_cli_value(cli, OPT_FOR);
    enum mkv_export_target target;

    if (word == NULL || mkv_export_target_of(word, &target) != 0) {
        return mkv_say(MKV_EXIT_USAGE,
                       "acl export: for which broker? --for mosquitto, emqx or nats");
    }
    return MKV_EXIT_OK;
}

static enum mkv_exit export_rights(struct mkv_people *people)
{
    struct mkv_cli *cli = people->cli;
    struct mkv_export to = {.acl = people->acl, .out = &cli->out};
    struct mkv_buf root;
    int error = mkv_export_target_of(mkv_cli_value(cli, OPT_FOR), &to.target);
    enum mkv_exit status;

    mkv_buf_init(&root, MKV_ROOT_MAX);
    to.profile = to.target == MKV_EXPORT_NATS || mkv_cli_has(cli, OPT_PORTABLE)
                     ? MKV_PROFILE_PORTABLE
                     : MKV_PROFILE_PLAIN;
    status = mkv_root_ask(cli, &root);
    if (status == MKV_EXIT_OK) {
        to.root = mkv_buf_bytes(&root);
        error = error != 0 ? error : mkv_export_all(&to);
        status = error == 0 ? cli->out.status : mkv_session_fail(cli, error, "export");
    }
    mkv_buf_deinit(&root);
    return status;
}

static const struct mkv_task tasks[] = {
    {"list", "", 0, 0, NULL, list, NULL},
    {"test", "USER PATH RIGHT", 3, 3, check_test, test, NULL},
    {"export", "--for mosquitto|emqx|nats", 0, 0, check_export, export_rights, NULL},
};

static enum mkv_exit run(struct mkv_cli *cli)
{
    return mkv_task_run(cli, tasks, sizeof(tasks) / sizeof(tasks[0]));
}

static const uint8_t exits[] = {MKV_EXIT_USAGE, MKV_EXIT_NO_CONNECTION, MKV_EXIT_NOT_AUTHORISED,
                                MKV_EXIT_BAD_DATA, 0};

const struct mkv_verb mkv_verb_acl = {
    .name = "acl",
    .words = "list | test USER PATH RIGHT | export --for BROKER",
    .n_words_min = 1,
    .n_words_max = 4,
    .summary = "Shows all rules, which of them decides, and what a broker can make of them",
    .more = "'test' ends with status 0 if the user may, and with 4 if not. In what begins with "
            "null every\nchange needs the right to administer.\n",
    .options = options,
    .examples = {{"acl test ann kitchen.lamp r", "whether ann may read it, and by which rule"},
                 {"acl list", "all rules there are"},
                 {"acl export --for mosquitto", "an acl_file, for a broker without the guard"}},
    .exits = exits,
    .run = run,
};
