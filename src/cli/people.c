/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/people.h"

#include <string.h>

#include "base/limits.h"
#include "cli/record.h"
#include "cli/say.h"
#include "cli/session.h"
#include "wire/path.h"

#define DOTTED_MAX 16384U /* more than any path in dotted text */
#define VALUE_MAX  4096U  /* of a user with all the roles there may be */

void mkv_people_init(struct mkv_people *people, struct mkv_cli *cli)
{
    *people = (struct mkv_people){.cli = cli};
    mkv_known_init(&people->users);
    mkv_known_init(&people->rules);
}

void mkv_people_deinit(struct mkv_people *people)
{
    mkv_acl_free(people->acl);
    mkv_known_deinit(&people->rules);
    mkv_known_deinit(&people->users);
}

/* --- Reading ------------------------------------------------------------------------------ */

static struct mkv_bytes key_of(const struct mkv_known *known, const struct mkv_known_row *row)
{
    return mkv_bytes(known->keys.at + row->key_start, row->key_len);
}

bool mkv_people_read_user(const struct mkv_people *people,
                          const struct mkv_known_row *row,
                          struct mkv_acl_user *ret_user)
{
    return mkv_user_read(key_of(&people->users, row),
                         mkv_bytes_from(moatkv_entry_value(row->entry)), ret_user);
}

enum mkv_entry_shape mkv_people_read_rule(const struct mkv_people *people,
                                          const struct mkv_known_row *row,
                                          struct mkv_acl_rule *ret_rule)
{
    return mkv_rule_read(key_of(&people->rules, row),
                         mkv_bytes_from(moatkv_entry_value(row->entry)), ret_rule);
}

static int add_all(struct mkv_people *people)
{
    int error = 0;

    for (size_t i = 0; i < mkv_known_count(&people->users) && error == 0; i++) {
        struct mkv_acl_user user;

        if (mkv_people_read_user(people, mkv_known_at(&people->users, i), &user)) {
            error = mkv_acl_add_user(people->acl, &user);
            error = error == MKV_E_TOO_MANY ? 0 : error; /* as servers do */
        }
    }
    for (size_t i = 0; i < mkv_known_count(&people->rules) && error == 0; i++) {
        struct mkv_acl_rule rule;

        if (mkv_people_read_rule(people, mkv_known_at(&people->rules, i), &rule) !=
            MKV_ENTRY_NONE) {
            error = mkv_acl_add_rule(people->acl, &rule);
            error = error == MKV_E_TOO_MANY ? 0 : error;
        }
    }
    return error != 0 ? error : mkv_acl_finish(people->acl);
}

static enum mkv_exit read_part(struct mkv_people *people, struct mkv_known *known, const char *path)
{
    static const moatkv_read_how how = {.size = sizeof(how), .depth_min = 1, .depth_max = 64};
    struct mkv_place place;
    enum mkv_exit status = mkv_place_init(&place, path);

    if (status == MKV_EXIT_OK) {
        status = mkv_known_read(known, people->cli, &place, &how);
    }
    mkv_place_deinit(&place);
    return status;
}

enum mkv_exit mkv_people_read(struct mkv_people *people)
{
    enum mkv_exit status = mkv_session_open(people->cli);
    int error;

    if (status == MKV_EXIT_OK) {
        status = read_part(people, &people->users, ":n.users");
    }
    if (status == MKV_EXIT_OK) {
        status = read_part(people, &people->rules, ":n.acl");
    }
    if (status != MKV_EXIT_OK) {
        return status;
    }
    error = mkv_acl_new(&people->acl);
    if (error == 0) {
        error = add_all(people);
    }
    return error == 0 ? MKV_EXIT_OK : mkv_session_fail(people->cli, error, "users and rules");
}

struct mkv_known_row *mkv_people_user(const struct mkv_people *people, const char *name)
{
    struct mkv_known_row *row = NULL;
    struct mkv_buf key;

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    if (mkv_user_key(mkv_bytes_of(name), &key) == 0) {
        row = mkv_known_find(&people->users, mkv_buf_bytes(&key));
    }
    mkv_buf_deinit(&key);
    return row;
}

struct mkv_known_row *mkv_people_rule(const struct mkv_people *people,
                                      const char *role,
                                      struct mkv_bytes filter)
{
    struct mkv_known_row *row = NULL;
    struct mkv_buf key;

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    if (mkv_rule_key(mkv_bytes_of(role), filter, &key) == 0) {
        row = mkv_known_find(&people->rules, mkv_buf_bytes(&key));
    }
    mkv_buf_deinit(&key);
    return row;
}

enum mkv_exit mkv_people_check_name(const char *what, const char *word)
{
    if (mkv_acl_name_valid(mkv_bytes_of(word))) {
        return MKV_EXIT_OK;
    }
    return mkv_say(MKV_EXIT_USAGE,
                   "'%s' is no name of a %s: that has 1 to 64 characters of A-Z a-z 0-9 . _ @ -",
                   word, what);
}

/* --- Writing ------------------------------------------------------------------------------ */

struct writing {
    bool done;
    int status;
};

static void on_written(void *user, int status, const moatkv_entry *entry)
{
    struct writing *writing = user;

    (void)entry;
    writing->done = true;
    writing->status = status;
}

static int start(struct mkv_people *people,
                 struct mkv_bytes path,
                 const moatkv_bytes *value,
                 const struct mkv_known_row *row,
                 struct writing *writing)
{
    const moatkv_bytes where = {.at = path.at, .len = path.len};
    moatkv *kv = people->cli->kv;

    if (value == NULL) {
        return moatkv_delete_over(kv, where, row->entry, on_written, writing);
    }
    return row == NULL ? moatkv_set(kv, where, *value, 0, on_written, writing)
                       : moatkv_set_over(kv, where, *value, row->entry, on_written, writing);
}

static enum mkv_exit write_text(struct mkv_people *people,
                                const struct mkv_buf *path,
                                const moatkv_bytes *value,
                                const struct mkv_known_row *row)
{
    struct writing writing = {.done = false};
    int error = start(people, mkv_bytes(path->at, path->len - 1), value, row, &writing);
    enum mkv_exit status;

    if (error != 0) {
        return mkv_session_fail(people->cli, error, (const char *)path->at);
    }
    status = mkv_session_wait(people->cli, &writing.done);
    if (status == MKV_EXIT_OK && writing.status != 0) {
        status = mkv_session_fail(people->cli, writing.status, (const char *)path->at);
    }
    return status == MKV_EXIT_OK ? mkv_session_settle(people->cli) : status;
}

/* @value NULL: deletes. */
static enum mkv_exit write_entry(struct mkv_people *people,
                                 struct mkv_bytes key,
                                 const struct mkv_buf *value,
                                 const struct mkv_known_row *row)
{
    const moatkv_bytes item = {.at = value == NULL ? NULL : value->at,
                               .len = value == NULL ? 0 : value->len};
    struct mkv_buf path;
    enum mkv_exit status;
    int error;

    mkv_buf_init(&path, DOTTED_MAX);
    error = mkv_path_to_dotted(key, &path);
    if (error == 0) {
        error = mkv_buf_append_u8(&path, 0);
    }
    status = error == 0 ? write_text(people, &path, value == NULL ? NULL : &item, row)
                        : mkv_session_fail(people->cli, error, "path");
    mkv_buf_deinit(&path);
    return status;
}

enum mkv_exit mkv_people_set_user(struct mkv_people *people,
                                  const struct mkv_acl_user *user,
                                  const struct mkv_known_row *row)
{
    struct mkv_buf key;
    struct mkv_buf value;
    enum mkv_exit status;
    int error;

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    mkv_buf_init(&value, VALUE_MAX);
    error = mkv_user_key(user->name, &key);
    if (error == 0) {
        error = mkv_user_write(user, &value);
    }
    status = error == 0 ? write_entry(people, mkv_buf_bytes(&key), &value, row)
                        : mkv_session_fail(people->cli, error, "user");
    mkv_buf_deinit(&value);
    mkv_buf_deinit(&key);
    return status;
}

enum mkv_exit mkv_people_set_rule(struct mkv_people *people,
                                  const char *role,
                                  struct mkv_bytes filter,
                                  const char *rights,
                                  const struct mkv_known_row *row)
{
    struct mkv_buf key;
    struct mkv_buf value;
    struct mkv_cbor_writer w;
    enum mkv_exit status;
    int error;

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    mkv_buf_init(&value, VALUE_MAX);
    error = mkv_rule_key(mkv_bytes_of(role), filter, &key);
    mkv_cbor_writer_init(&w, &value);
    mkv_cbor_write_text(&w, mkv_bytes_of(rights));
    error = error != 0 ? error : w.error;
    status = error == 0 ? write_entry(people, mkv_buf_bytes(&key), &value, row)
                        : mkv_session_fail(people->cli, error, "rule");
    mkv_buf_deinit(&value);
    mkv_buf_deinit(&key);
    return status;
}

enum mkv_exit mkv_people_delete(struct mkv_people *people, const struct mkv_known_row *row)
{
    moatkv_bytes path = moatkv_entry_path(row->entry);
    struct mkv_buf key;
    enum mkv_exit status;
    int error;

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    error = mkv_place_key(path, &key);
    status = error == 0 ? write_entry(people, mkv_buf_bytes(&key), NULL, row)
                        : mkv_session_fail(people->cli, error, "path");
    mkv_buf_deinit(&key);
    return status;
}

/* --- Rules, for people -------------------------------------------------------------------- */

void mkv_people_put_filter(struct mkv_out *out, struct mkv_bytes filter)
{
    struct mkv_buf dotted;

    mkv_buf_init(&dotted, DOTTED_MAX);
    mkv_out_fail(out, mkv_path_to_dotted(filter, &dotted));
    mkv_out_safe(out, mkv_buf_bytes(&dotted));
    mkv_buf_deinit(&dotted);
}

static void record_rule(struct mkv_records *records,
                        const struct mkv_acl_rule *rule,
                        const char *rights,
                        bool readable)
{
    struct mkv_buf dotted;

    mkv_buf_init(&dotted, DOTTED_MAX);
    mkv_out_fail(records->out, mkv_path_to_dotted(rule->filter, &dotted));
    mkv_records_begin(records, 4);
    mkv_record_text(records, "role", rule->role);
    mkv_record_text(records, "filter", mkv_buf_bytes(&dotted));
    mkv_record_text(records, "rights", mkv_bytes_of(rights));
    mkv_record_bool(records, "readable", readable);
    mkv_records_add(records);
    mkv_buf_deinit(&dotted);
}

static void put_rule(struct mkv_records *records,
                     const struct mkv_cli *cli,
                     const struct mkv_acl_rule *rule,
                     bool readable)
{
    char rights[MKV_ACL_RIGHTS_TEXT];
    struct mkv_out *out = records->out;

    mkv_acl_rights_format(rule->allowed, rule->denied, rights);
    if (cli->format != MKV_FORMAT_TEXT) {
        record_rule(records, rule, rights, readable);
        return;
    }
    mkv_out_safe(out, rule->role);
    mkv_out_puts(out, " ");
    mkv_people_put_filter(out, rule->filter);
    mkv_out_printf(out, " %s%s\n", rights,
                   readable ? "" : "  (its value cannot be read, so it denies everything)");
}

enum mkv_exit mkv_people_put_rules(struct mkv_people *people, const char *role, size_t *ret_n)
{
    struct mkv_cli *cli = people->cli;
    struct mkv_records records;

    *ret_n = 0;
    mkv_records_init(&records, &cli->out, cli->format);
    for (size_t i = 0; i < mkv_known_count(&people->rules); i++) {
        struct mkv_acl_rule rule;
        enum mkv_entry_shape shape =
            mkv_people_read_rule(people, mkv_known_at(&people->rules, i), &rule);

        if (shape != MKV_ENTRY_NONE &&
            (role == NULL || mkv_bytes_equal(rule.role, mkv_bytes_of(role)))) {
            put_rule(&records, cli, &rule, shape == MKV_ENTRY_FINE);
            (*ret_n)++;
        }
    }
    if (cli->format != MKV_FORMAT_TEXT) {
        mkv_records_end(&records);
    }
    mkv_records_deinit(&records);
    return cli->out.status;
}
