/* SPDX-License-Identifier: Apache-2.0 */
#include <moatkv/version.h>

#include "cli/help.h"
#include "cli/record.h"
#include "cli/verbs.h"

static enum mkv_exit run_help(struct mkv_cli *cli)
{
    if (cli->n_words == 0) {
        mkv_help_all(&cli->out);
        return MKV_EXIT_OK;
    }

    const struct mkv_verb *verb = mkv_verb_find(cli->words[0]);

    if (verb == NULL) {
        return MKV_EXIT_USAGE;
    }
    mkv_help_verb(&cli->out, verb);
    return MKV_EXIT_OK;
}

static enum mkv_exit run_version(struct mkv_cli *cli)
{
    struct mkv_records records;

    if (cli->format == MKV_FORMAT_TEXT) {
        mkv_out_printf(&cli->out, "moat-kv %s, libmoatkv %s\n", MKV_VERSION, moatkv_version());
        return MKV_EXIT_OK;
    }
    mkv_records_init(&records, &cli->out, cli->format);
    mkv_records_begin(&records, 2);
    mkv_record_text(&records, "version", mkv_bytes_of(MKV_VERSION));
    mkv_record_text(&records, "library", mkv_bytes_of(moatkv_version()));
    mkv_records_only(&records);
    mkv_records_deinit(&records);
    return MKV_EXIT_OK;
}

static const uint8_t exits[] = {MKV_EXIT_USAGE, 0};

const struct mkv_verb mkv_verb_help = {
    .name = "help",
    .words = "[VERB]",
    .n_words_max = 1,
    .summary = "Lists all verbs, or explains one",
    .examples = {{"help", "all verbs and the options that they share"},
                 {"help import", "all about one verb"},
                 {"import --help", "the same"}},
    .exits = exits,
    .run = run_help,
};

const struct mkv_verb mkv_verb_version = {
    .name = "version",
    .words = "",
    .summary = "Prints the versions of the program and of its library",
    .more = "The server's version is in 'moat-kv status'.\n",
    .examples = {{"version", "for people"}, {"version -o json", "for programs"}},
    .exits = exits,
    .run = run_version,
};
