/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "cli/place.h"
#include "cli/record.h"
#include "cli/say.h"
#include "cli/session.h"
#include "cli/value.h"
#include "cli/verbs.h"

enum {
    OPT_META = 1,
    OPT_DEFAULT
};

static const struct mkv_option options[] = {
    {OPT_META, 'm', "meta", NULL, "also when it was written, and by whom"},
    {OPT_DEFAULT, 'd', "default", "VALUE", "print this (as YAML) if there is no such entry"},
    {0, 0, NULL, NULL, NULL},
};

static void put_value(struct mkv_cli *cli, struct mkv_bytes value)
{
    mkv_out_fail(&cli->out, mkv_format_value(value, cli->format, &cli->out.buf));
}

static void put_tick(struct mkv_out *out, const moatkv_entry *entry, size_t i)
{
    moatkv_bytes name = {0};
    uint64_t seq = 0;
    uint64_t counter = 0;

    if (moatkv_entry_tick(entry, i, &name, &seq, &counter) == 0) {
        mkv_out_safe(out, mkv_bytes_from(name));
        mkv_out_printf(out, " %llu %llu", (unsigned long long)seq, (unsigned long long)counter);
    }
}

static void put_meta_text(struct mkv_out *out, const moatkv_entry *entry)
{
    char time[MKV_RECORD_TIME_LEN];
    size_t n = moatkv_entry_n_ticks(entry);

    mkv_out_puts(out, "path    ");
    mkv_out_safe(out, mkv_bytes_from(moatkv_entry_path(entry)));
    mkv_out_puts(out, "\nvalue   ");
    mkv_out_line(out, mkv_bytes_from(moatkv_entry_value(entry)));
    mkv_out_printf(out, "\ntock    %llu", (unsigned long long)moatkv_entry_tock(entry));
    if (mkv_record_time(moatkv_entry_tock(entry), time)) {
        mkv_out_printf(out, "\ntime    %s", time);
    }
    for (size_t i = 0; i < n; i++) {
        mkv_out_puts(out, i == 0 ? "\nwriter  " : "\nknew    ");
        put_tick(out, entry, i);
    }
    mkv_out_puts(out, "\n");
}

static void put_meta(struct mkv_cli *cli, const moatkv_entry *entry)
{
    struct mkv_records records;
    char time[MKV_RECORD_TIME_LEN];
    bool has_time = mkv_record_time(moatkv_entry_tock(entry), time);

    if (cli->format == MKV_FORMAT_TEXT) {
        put_meta_text(&cli->out, entry);
        return;
    }
    mkv_records_init(&records, &cli->out, cli->format);
    mkv_records_begin(&records, MKV_RECORD_ENTRY + (has_time ? 1 : 0));
    mkv_record_entry(&records, entry);
    if (has_time) {
        mkv_record_text(&records, "time", mkv_bytes_of(time));
    }
    mkv_records_only(&records);
    mkv_records_deinit(&records);
}

struct got {
    struct mkv_cli *cli;
    bool done;
    int status;
};

static void on_entry(void *user, int status, const moatkv_entry *entry)
{
    struct got *got = user;

    got->done = true;
    got->status = status;
    if (status == 0 && mkv_cli_has(got->cli, OPT_META)) {
        put_meta(got->cli, entry);
    } else if (status == 0) {
        put_value(got->cli, mkv_bytes_from(moatkv_entry_value(entry)));
    }
}

static enum mkv_exit get(struct mkv_cli *cli,
                         const struct mkv_place *place,
                         struct mkv_bytes fallback)
{
    struct got got = {.cli = cli};
    int error = moatkv_get(cli->kv, mkv_place_path(place), on_entry, &got);

    if (error != 0) {
        return mkv_session_fail(cli, error, mkv_place_text(place));
    }

    enum mkv_exit status = mkv_session_wait(cli, &got.done);

    if (status != MKV_EXIT_OK || got.status == 0) {
        return status;
    }
    if (got.status == MOATKV_E_NOT_FOUND && fallback.len > 0) {
        put_value(cli, fallback);
        return MKV_EXIT_OK;
    }
    if (got.status == MOATKV_E_NOT_FOUND) {
        return mkv_say(MKV_EXIT_NOT_FOUND, "%s: no such entry; 'moat-kv ls' shows what there is",
                       mkv_place_text(place));
    }
    return mkv_session_fail(cli, got.status, mkv_place_text(place));
}

/* Leaves @fallback empty if the option was not given. */
static enum mkv_exit read_default(const struct mkv_cli *cli, struct mkv_buf *fallback)
{
    struct mkv_problem problem;
    const char *text = mkv_cli_value(cli, OPT_DEFAULT);

    if (text != NULL &&
        mkv_value_read(mkv_bytes_of(text), MKV_NOTATION_ARGUMENT, fallback, &problem) != 0) {
        return mkv_say(MKV_EXIT_BAD_DATA, "--default: %s", problem.text);
    }
    return MKV_EXIT_OK;
}

static enum mkv_exit run(struct mkv_cli *cli)
{
    struct mkv_place place;
    struct mkv_buf fallback;
    enum mkv_exit status = mkv_place_init(&place, cli->words[0]);

    mkv_buf_init(&fallback, MKV_VALUE_MAX);
    if (status == MKV_EXIT_OK) {
        status = read_default(cli, &fallback);
    }
    if (status == MKV_EXIT_OK) {
        status = mkv_session_open(cli);
    }
    if (status == MKV_EXIT_OK) {
        status = get(cli, &place, mkv_buf_bytes(&fallback));
    }
    mkv_buf_deinit(&fallback);
    mkv_place_deinit(&place);
    return status;
}

static const uint8_t exits[] = {MKV_EXIT_NOT_FOUND,      MKV_EXIT_USAGE,    MKV_EXIT_NO_CONNECTION,
                                MKV_EXIT_NOT_AUTHORISED, MKV_EXIT_BAD_DATA, 0};

const struct mkv_verb mkv_verb_get = {
    .name = "get",
    .words = "PATH",
    .n_words_min = 1,
    .n_words_max = 1,
    .summary = "Prints the value of one entry",
    .options = options,
    .examples = {{"get kitchen.lamp:2.on", "the value, for people"},
                 {"get kitchen.temp -m -o json", "with time and writer, for programs"},
                 {"get kitchen.temp --default 20", "20 if there is none, instead of exit code 1"}},
    .exits = exits,
    .run = run,
};
