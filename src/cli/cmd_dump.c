/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "cli/dumpfile.h"
#include "cli/file.h"
#include "cli/nested.h"
#include "cli/rows.h"
#include "cli/say.h"
#include "cli/session.h"
#include "cli/verbs.h"

enum {
    OPT_FILE = 1,
    OPT_TICKS
};

static const struct mkv_option options[] = {
    {OPT_FILE, 'f', "file", "FILE", "write into this file, which changes only when all is there"},
    {OPT_TICKS, 0, "ticks", NULL,
     "not only whose each entry is, but all that this server knows it to have replaced"},
    {0, 0, NULL, NULL, NULL},
};

static const moatkv_read_how all = {.size = sizeof(all), .depth_max = MKV_PATH_LEVELS_MAX};

struct dumping {
    struct mkv_out *out;
    size_t n_ticks_max;
    struct mkv_dump_writer writer;
};

static enum mkv_exit tell(int error)
{
    return mkv_say(mkv_exit_of(error), "dump: %s", mkv_error_text(error));
}

/* What is behind the first differs between servers: in which order they heard of it. */
static int take_ticks(const moatkv_entry *entry, size_t n_max, struct mkv_ticks *ticks)
{
    size_t n = moatkv_entry_n_ticks(entry);

    for (size_t i = 0; i < n && i < n_max; i++) {
        struct mkv_tick *tick = &ticks->at[i];
        moatkv_bytes name;
        int error = moatkv_entry_tick(entry, i, &name, &tick->seq, &tick->counter);

        if (error != 0) {
            return error;
        }
        tick->name = mkv_bytes_from(name);
        ticks->n++;
    }
    return 0;
}

static enum mkv_exit on_row(void *user, struct mkv_bytes key, const moatkv_entry *entry)
{
    struct dumping *dumping = user;
    struct mkv_update row = {.has_tock = true,
                             .present = true,
                             .tock = moatkv_entry_tock(entry),
                             .value = mkv_bytes_from(moatkv_entry_value(entry))};
    int error = take_ticks(entry, dumping->n_ticks_max, &row.ticks);

    if (error == 0) {
        error = mkv_dump_writer_add(&dumping->writer, key, &row);
    }
    mkv_out_settle(dumping->out);
    return error == 0 ? dumping->out->status : tell(error);
}

static enum mkv_exit dump_rows(struct mkv_cli *cli,
                               const struct mkv_place *place,
                               struct mkv_out *out,
                               uint64_t *ret_n)
{
    struct dumping dumping = {.out = out,
                              .n_ticks_max = mkv_cli_has(cli, OPT_TICKS) ? MKV_TICKS_MAX : 1};
    const struct mkv_dump_header header = {.path = mkv_buf_bytes(&place->key)};
    enum mkv_dump_format format = cli->format == MKV_FORMAT_CBOR ? MKV_DUMP_CBOR : MKV_DUMP_LINES;
    int error = mkv_dump_writer_init(&dumping.writer, format, &header, &out->buf);

    if (error != 0) {
        return tell(error);
    }

    enum mkv_exit status = mkv_rows_read(cli, place, &all, on_row, &dumping);

    if (status != MKV_EXIT_OK) {
        return status;
    }
    *ret_n = dumping.writer.n_rows;
    error = mkv_dump_writer_finish(&dumping.writer);
    return error == 0 ? MKV_EXIT_OK : tell(error);
}

/* A dump of the root may be empty, as a fresh system must be able to make its backup. */
static enum mkv_exit dump_to(struct mkv_cli *cli,
                             const struct mkv_place *place,
                             struct mkv_out *out)
{
    bool nests = cli->format == MKV_FORMAT_JSON || cli->format == MKV_FORMAT_YAML;
    uint64_t n = 0;
    enum mkv_exit status =
        nests ? mkv_nested_put(cli, place, &all, out, &n) : dump_rows(cli, place, out, &n);

    if (status == MKV_EXIT_OK && n == 0 && (nests || place->key.len > 0)) {
        return mkv_say(MKV_EXIT_NOT_FOUND, "%s: no such entry, and none below it",
                       mkv_place_text(place));
    }
    return status == MKV_EXIT_OK ? mkv_out_flush(out) : status;
}

static enum mkv_exit dump_to_file(struct mkv_cli *cli,
                                  const struct mkv_place *place,
                                  const char *name)
{
    struct mkv_file file;
    struct mkv_out out;
    enum mkv_exit status = mkv_file_create(&file, name);

    mkv_out_init(&out, file.fd, name);
    if (status == MKV_EXIT_OK) {
        status = dump_to(cli, place, &out);
    }
    if (status == MKV_EXIT_OK) {
        status = mkv_file_commit(&file);
    }
    mkv_out_deinit(&out);
    mkv_file_deinit(&file);
    return status;
}

static enum mkv_exit dump(struct mkv_cli *cli, const struct mkv_place *place)
{
    const char *name = mkv_cli_value(cli, OPT_FILE);

    if (name == NULL || strcmp(name, "-") == 0) {
        return dump_to(cli, place, &cli->out);
    }

    enum mkv_exit status = mkv_session_catch_signals(cli);

    return status == MKV_EXIT_OK ? dump_to_file(cli, place, name) : status;
}

static enum mkv_exit run(struct mkv_cli *cli)
{
    struct mkv_place place;
    enum mkv_exit status = mkv_place_init(&place, cli->n_words > 0 ? cli->words[0] : ":");

    if (status == MKV_EXIT_OK && cli->format == MKV_FORMAT_CBOR && !mkv_cli_has(cli, OPT_FILE) &&
        isatty(STDOUT_FILENO)) {
        status =
            mkv_say(MKV_EXIT_USAGE,
                    "dump: CBOR is nothing for a terminal; name a file with -f, or use -o jsonl");
    }
    if (status == MKV_EXIT_OK) {
        status = mkv_session_open(cli);
    }
    if (status == MKV_EXIT_OK) {
        status = dump(cli, &place);
    }
    mkv_session_close(cli);
    mkv_place_deinit(&place);
    return status;
}

static const uint8_t exits[] = {MKV_EXIT_NOT_FOUND,
                                MKV_EXIT_USAGE,
                                MKV_EXIT_NO_CONNECTION,
                                MKV_EXIT_NOT_AUTHORISED,
                                MKV_EXIT_BAD_DATA,
                                MKV_EXIT_INTERRUPTED,
                                0};

const struct mkv_verb mkv_verb_dump = {
    .name = "dump",
    .words = "[PATH]",
    .n_words_max = 1,
    .summary = "Writes out everything at and below a path",
    .more =
        "-o cbor makes a dump file with a checksum, jsonl (and text) one object a line; 'restore'\n"
        "reads both. -o json and yaml make one nested document, for 'import' and for editors.\n"
        "Servers that have the same make the same dump files, byte for byte.\n",
    .options = options,
    .examples = {{"dump -o cbor -f backup.mkv", "a backup of everything"},
                 {"dump kitchen -o yaml", "a subtree as a document"},
                 {"dump kitchen -o jsonl | wc -l", "one line per entry, and one for the end"}},
    .exits = exits,
    .run = run,
};
