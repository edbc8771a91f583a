/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/place.h"
#include "cli/record.h"
#include "cli/rows.h"
#include "cli/say.h"
#include "cli/session.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "cli/writes.h"

enum {
    OPT_RECURSIVE = 1,
    OPT_DRY_RUN,
    OPT_FORCE
};

static const struct mkv_option options[] = {
    {OPT_RECURSIVE, 'r', "recursive", NULL, "everything at and below PATH; a terminal is asked"},
    {OPT_DRY_RUN, 'n', "dry-run", NULL, "delete nothing, list what would be deleted"},
    {OPT_FORCE, 'f', "force", NULL, "do not ask"},
    {0, 0, NULL, NULL, NULL},
};

static enum mkv_exit on_something(void *user, struct mkv_bytes key, const moatkv_entry *entry)
{
    (void)user;
    (void)key;
    (void)entry;
    return MKV_EXIT_NOT_FOUND; /* one is enough to know */
}

static enum mkv_exit tell_nothing(struct mkv_cli *cli, const struct mkv_place *place)
{
    const moatkv_read_how below = {
        .size = sizeof(below), .depth_min = 1, .depth_max = 64, .flags = MOATKV_KEYS_ONLY};
    enum mkv_exit status = mkv_cli_has(cli, OPT_RECURSIVE)
                               ? MKV_EXIT_OK
                               : mkv_rows_read(cli, place, &below, on_something, NULL);

    if (status == MKV_EXIT_NOT_FOUND) {
        return mkv_say(MKV_EXIT_NOT_FOUND,
                       "%s: no such entry, but there are some below it; -r deletes them",
                       mkv_place_text(place));
    }
    if (status != MKV_EXIT_OK) {
        return status;
    }
    return mkv_say(MKV_EXIT_NOT_FOUND, "%s: no such entry; 'moat-kv ls' shows what there is",
                   mkv_place_text(place));
}

static const char *entries(uint64_t n)
{
    return n == 1 ? "entry" : "entries";
}

static void put_count(struct mkv_cli *cli, uint64_t n)
{
    struct mkv_records records;

    if (cli->format == MKV_FORMAT_TEXT) {
        if (!cli->quiet) {
            mkv_out_printf(&cli->out, "%llu %s deleted\n", (unsigned long long)n, entries(n));
        }
        return;
    }
    mkv_records_init(&records, &cli->out, cli->format);
    mkv_records_begin(&records, 1);
    mkv_record_uint(&records, "deleted", n);
    mkv_records_only(&records);
    mkv_records_deinit(&records);
}

static void put_path(struct mkv_records *records, struct mkv_bytes path)
{
    if (records->format == MKV_FORMAT_TEXT) {
        mkv_out_safe(records->out, path);
        mkv_out_puts(records->out, "\n");
        return;
    }
    mkv_records_begin(records, 1);
    mkv_record_text(records, "path", path);
    mkv_records_add(records);
}

static void list_going(struct mkv_cli *cli, const struct mkv_known *known)
{
    struct mkv_records records;
    size_t n = mkv_known_count(known);

    mkv_records_init(&records, &cli->out, cli->format);
    for (size_t i = 0; i < n; i++) {
        put_path(&records, mkv_bytes_from(moatkv_entry_path(mkv_known_at(known, i)->entry)));
    }
    if (cli->format != MKV_FORMAT_TEXT) {
        mkv_records_end(&records);
    } else if (!cli->quiet) {
        mkv_out_printf(&cli->out, "%zu %s would be deleted\n", n, entries(n));
    }
    mkv_records_deinit(&records);
}

static bool is_confirmed(const struct mkv_cli *cli, const struct mkv_place *place, uint64_t n)
{
    if (!mkv_cli_has(cli, OPT_RECURSIVE) || mkv_cli_has(cli, OPT_FORCE)) {
        return true;
    }
    return mkv_terminal_confirm("Delete %llu %s at and below %s?", (unsigned long long)n,
                                entries(n), mkv_place_text(place));
}

static enum mkv_exit delete_going(struct mkv_writes *writes)
{
    enum mkv_exit status = mkv_writes_drop_rest(writes);

    if (status == MKV_EXIT_OK) {
        status = mkv_writes_finish(writes);
    }
    put_count(writes->cli, writes->n_deleted);
    return status;
}

static enum mkv_exit delete_seen(struct mkv_writes *writes, const struct mkv_place *place)
{
    struct mkv_cli *cli = writes->cli;
    const moatkv_read_how how = {.size = sizeof(how),
                                 .depth_max = mkv_cli_has(cli, OPT_RECURSIVE) ? 64 : 0,
                                 .flags = MOATKV_KEYS_ONLY};
    enum mkv_exit status = mkv_known_read(&writes->known, cli, place, &how);

    if (status != MKV_EXIT_OK) {
        return status;
    }

    uint64_t n = writes->known.n_live;

    if (n == 0) {
        return tell_nothing(cli, place);
    }
    if (mkv_cli_has(cli, OPT_DRY_RUN)) {
        list_going(cli, &writes->known);
        return MKV_EXIT_OK;
    }
    if (!is_confirmed(cli, place, n)) {
        return mkv_say(MKV_EXIT_USAGE, "nothing was deleted");
    }
    return delete_going(writes);
}

static enum mkv_exit run(struct mkv_cli *cli)
{
    struct mkv_place place;
    struct mkv_writes writes;
    enum mkv_exit status = mkv_place_init(&place, cli->words[0]);

    mkv_writes_init(&writes, cli);
    if (status == MKV_EXIT_OK) {
        status = mkv_session_open(cli);
    }
    if (status == MKV_EXIT_OK) {
        status = delete_seen(&writes, &place);
    }
    mkv_session_close(cli);
    mkv_writes_deinit(&writes);
    mkv_place_deinit(&place);
    return status;
}

static const uint8_t exits[] = {
    MKV_EXIT_NOT_FOUND, MKV_EXIT_USAGE,    MKV_EXIT_NO_CONNECTION, MKV_EXIT_NOT_AUTHORISED,
    MKV_EXIT_CONFLICT,  MKV_EXIT_BAD_DATA, MKV_EXIT_NOT_WRITING,   0};

const struct mkv_verb mkv_verb_del = {
    .name = "del",
    .words = "PATH",
    .n_words_min = 1,
    .n_words_max = 1,
    .summary = "Deletes an entry, or with -r everything at and below a path",
    .more =
        "Exactly the entries that were seen are deleted: what others write meanwhile is kept.\n",
    .options = options,
    .examples = {{"del kitchen.note", "one entry"},
                 {"del -rn kitchen", "what would be deleted"},
                 {"del -rf kitchen", "all of it, without a question"}},
    .exits = exits,
    .run = run,
};
