/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/place.h"
#include "cli/record.h"
#include "cli/say.h"
#include "cli/session.h"
#include "cli/verbs.h"

enum {
    OPT_CHANGES_ONLY = 1,
    OPT_COUNT
};

static const struct mkv_option options[] = {
    {OPT_CHANGES_ONLY, 'c', "changes-only", NULL, "neither the state nor 'synced'"},
    {OPT_COUNT, 'n', "count", "N", "end after N changes"},
    {0, 0, NULL, NULL, NULL},
};

struct watching {
    struct mkv_cli *cli;
    struct mkv_records records;
    uint64_t n_max; /* changes; 0: no end */
    uint64_t n;
    bool synced; /* once, at least */
    bool done;
    int status; /* of the END */
};

static const char *kind_name(int kind)
{
    switch (kind) {
    case MOATKV_WATCH_STATE:
        return "state";
    case MOATKV_WATCH_SYNCED:
        return "synced";
    case MOATKV_WATCH_WITHDRAWN:
        return "withdrawn";
    default:
        return "change";
    }
}

/* The path is followed by a space, which no path has in it, so lines can be told apart. */
static void put_text(struct mkv_out *out, int kind, const moatkv_entry *entry)
{
    if (entry == NULL) {
        mkv_out_puts(out, "synced\n");
        return;
    }
    mkv_out_safe(out, mkv_bytes_from(moatkv_entry_path(entry)));
    mkv_out_puts(out, kind == MOATKV_WATCH_WITHDRAWN ? " withdrawn," : "");
    if (moatkv_entry_deleted(entry)) {
        mkv_out_puts(out, " deleted");
    } else {
        mkv_out_puts(out, " = ");
        mkv_out_line(out, mkv_bytes_from(moatkv_entry_value(entry)));
    }
    mkv_out_puts(out, "\n");
}

static void put(struct watching *watching, int kind, const moatkv_entry *entry)
{
    struct mkv_records *records = &watching->records;

    if (watching->cli->format == MKV_FORMAT_TEXT) {
        put_text(&watching->cli->out, kind, entry);
        return;
    }
    mkv_records_begin(records, entry != NULL ? 1 + MKV_RECORD_ENTRY : 1);
    mkv_record_text(records, "kind", mkv_bytes_of(kind_name(kind)));
    if (entry != NULL) {
        mkv_record_entry(records, entry);
    }
    mkv_records_add(records);
}

static void on_watch(void *user, int kind, int status, const moatkv_entry *entry)
{
    struct watching *watching = user;
    bool is_change = kind == MOATKV_WATCH_CHANGE || kind == MOATKV_WATCH_WITHDRAWN;

    if (kind == MOATKV_WATCH_END) {
        watching->status = status;
        watching->done = true;
    }
    if (watching->done) {
        return;
    }
    mkv_session_progress(watching->cli);
    watching->synced = watching->synced || kind == MOATKV_WATCH_SYNCED;
    if (is_change || !mkv_cli_has(watching->cli, OPT_CHANGES_ONLY)) {
        put(watching, kind, entry);
    }
    watching->n += is_change;
    watching->done = watching->n_max > 0 && watching->n == watching->n_max;
}

/* Until it is over, or the time is up: that is no failure unless something was waited for. */
static enum mkv_exit follow(struct watching *watching, const struct mkv_place *place)
{
    struct mkv_cli *cli = watching->cli;
    enum mkv_exit status = mkv_session_follow(cli, &watching->done);

    if (status != MKV_EXIT_OK) {
        return status;
    }
    if (watching->status != 0) {
        return mkv_session_fail(cli, watching->status, mkv_place_text(place));
    }
    if (watching->n < watching->n_max) {
        return mkv_say(MKV_EXIT_NO_CONNECTION, "%s: only %llu of %llu changes came in time",
                       mkv_place_text(place), (unsigned long long)watching->n,
                       (unsigned long long)watching->n_max);
    }
    return MKV_EXIT_OK;
}

static enum mkv_exit watch(struct watching *watching, const struct mkv_place *place)
{
    struct mkv_cli *cli = watching->cli;
    int error = moatkv_watch(cli->kv, mkv_place_path(place), on_watch, watching, NULL);

    if (error != 0) {
        return mkv_session_fail(cli, error, mkv_place_text(place));
    }
    cli->ends_with_reader = true;

    enum mkv_exit status = follow(watching, place);

    if (cli->format != MKV_FORMAT_TEXT) {
        mkv_records_end(&watching->records);
    }
    return status;
}

static enum mkv_exit run(struct mkv_cli *cli)
{
    struct watching watching = {.cli = cli};
    struct mkv_place place;
    const char *count = mkv_cli_value(cli, OPT_COUNT);
    enum mkv_exit status = mkv_place_init(&place, cli->n_words > 0 ? cli->words[0] : ":");

    mkv_records_init(&watching.records, &cli->out, cli->format);
    if (status == MKV_EXIT_OK && count != NULL) {
        status = mkv_cli_count("--count", count, UINT64_MAX, &watching.n_max);
    }
    if (status == MKV_EXIT_OK) {
        status = mkv_session_open(cli);
    }
    if (status == MKV_EXIT_OK) {
        status = mkv_session_catch_signals(cli);
    }
    if (status == MKV_EXIT_OK) {
        status = watch(&watching, &place);
    }
    mkv_session_close(cli);
    mkv_records_deinit(&watching.records);
    mkv_place_deinit(&place);
    return status;
}

static const uint8_t exits[] = {MKV_EXIT_USAGE,    MKV_EXIT_NO_CONNECTION, MKV_EXIT_NOT_AUTHORISED,
                                MKV_EXIT_BAD_DATA, MKV_EXIT_INTERRUPTED,   0};

const struct mkv_verb mkv_verb_watch = {
    .name = "watch",
    .words = "[PATH]",
    .n_words_max = 1,
    .summary = "Prints what is at and below a path, 'synced', and then each change",
    .more =
        "It goes on until it is interrupted, --count changes have come, or the --timeout is over,\n"
        "which here is the time that all of it may take. When the server goes away, it waits for\n"
        "it, and says 'synced' again.\n",
    .options = options,
    .examples = {{"watch kitchen", "everything there, and how it changes"},
                 {"watch kitchen.temp -c -n 1", "wait for one change"},
                 {"watch -o jsonl --timeout 60", "for a minute, one object a line"}},
    .exits = exits,
    .run = run,
};
