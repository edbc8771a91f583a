/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "cli/file.h"
#include "cli/place.h"
#include "cli/record.h"
#include "cli/say.h"
#include "cli/session.h"
#include "cli/value.h"
#include "cli/verbs.h"

enum {
    OPT_TEXT = 1,
    OPT_JSON,
    OPT_HEX,
    OPT_CBOR,
    OPT_FILE,
    OPT_BLIND
};

static const struct mkv_option options[] = {
    {OPT_TEXT, 's', "string", NULL, "VALUE is a text, whatever it looks like"},
    {OPT_JSON, 'j', "json", NULL, "VALUE is JSON"},
    {OPT_HEX, 'x', "hex", NULL, "VALUE is CBOR in hexadecimal"},
    {OPT_CBOR, 'c', "cbor", NULL, "the file holds CBOR"},
    {OPT_FILE, 'f', "file", "FILE", "read VALUE from a file, '-' is standard input"},
    {OPT_BLIND, 0, "blind", NULL, "do not look what is there before: it counts as a conflict"},
    {0, 0, NULL, NULL, NULL},
};

/* A value of 1 MiB in hexadecimal, or in JSON with every character as \u0000. */
#define TEXT_MAX ((size_t)8 * MKV_VALUE_MAX)

static enum mkv_exit notation_of(const struct mkv_cli *cli, enum mkv_notation *ret_notation)
{
    bool in_file = mkv_cli_has(cli, OPT_FILE);
    enum mkv_notation notation = in_file ? MKV_NOTATION_YAML : MKV_NOTATION_ARGUMENT;
    const struct {
        int id;
        enum mkv_notation notation;
    } choices[] = {{OPT_TEXT, MKV_NOTATION_TEXT},
                   {OPT_JSON, MKV_NOTATION_JSON},
                   {OPT_HEX, MKV_NOTATION_HEX},
                   {OPT_CBOR, MKV_NOTATION_CBOR}};
    unsigned n = 0;

    for (unsigned i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
        if (mkv_cli_has(cli, choices[i].id)) {
            notation = choices[i].notation;
            n++;
        }
    }
    if (n > 1) {
        return mkv_say(MKV_EXIT_USAGE,
                       "set: the value cannot be two things; give one of -s -j -x -c");
    }
    if (notation == MKV_NOTATION_CBOR && !in_file) {
        return mkv_say(MKV_EXIT_USAGE, "set: -c reads a file; add -f FILE, or use -x HEX");
    }
    if (in_file == (cli->n_words == 2)) {
        return mkv_say(MKV_EXIT_USAGE, in_file ? "set: VALUE and --file are both given; give one"
                                               : "set: VALUE is missing; usage: moat-kv set PATH "
                                                 "VALUE, or set PATH -f FILE");
    }
    *ret_notation = notation;
    return MKV_EXIT_OK;
}

static enum mkv_exit read_value(const struct mkv_cli *cli, struct mkv_buf *value)
{
    enum mkv_notation notation = MKV_NOTATION_ARGUMENT;
    struct mkv_buf text;
    struct mkv_problem problem;
    enum mkv_exit status = notation_of(cli, &notation);

    if (status != MKV_EXIT_OK) {
        return status;
    }
    mkv_buf_init(&text, TEXT_MAX);
    if (mkv_cli_has(cli, OPT_FILE)) {
        status = mkv_file_read_all(mkv_cli_value(cli, OPT_FILE), &text);
    }

    struct mkv_bytes in =
        mkv_cli_has(cli, OPT_FILE) ? mkv_buf_bytes(&text) : mkv_bytes_of(cli->words[1]);

    if (status == MKV_EXIT_OK && mkv_value_read(in, notation, value, &problem) != 0) {
        status = mkv_say(MKV_EXIT_BAD_DATA, "value: %s", problem.text);
    }
    mkv_buf_deinit(&text);
    return status;
}

struct written {
    struct mkv_cli *cli;
    bool done;
    int status;
};

static void put_entry(struct mkv_cli *cli, const moatkv_entry *entry)
{
    struct mkv_records records;

    if (cli->format == MKV_FORMAT_TEXT) {
        return;
    }
    mkv_records_init(&records, &cli->out, cli->format);
    mkv_records_begin(&records, MKV_RECORD_ENTRY);
    mkv_record_entry(&records, entry);
    mkv_records_only(&records);
    mkv_records_deinit(&records);
}

static void on_written(void *user, int status, const moatkv_entry *entry)
{
    struct written *written = user;

    written->done = true;
    written->status = status;
    if (status == 0 && entry != NULL) {
        put_entry(written->cli, entry);
    }
}

static enum mkv_exit set(struct mkv_cli *cli, const struct mkv_place *place, struct mkv_bytes value)
{
    struct written written = {.cli = cli};
    const moatkv_bytes item = {.at = value.at, .len = value.len};
    int error = moatkv_set(cli->kv, mkv_place_path(place), item,
                           mkv_cli_has(cli, OPT_BLIND) ? MOATKV_BLIND : 0, on_written, &written);

    if (error != 0) {
        return mkv_session_fail(cli, error, mkv_place_text(place));
    }

    enum mkv_exit status = mkv_session_wait(cli, &written.done);

    if (status != MKV_EXIT_OK) {
        return status;
    }
    return written.status == 0 ? mkv_session_settle(cli)
                               : mkv_session_fail(cli, written.status, mkv_place_text(place));
}

static enum mkv_exit run(struct mkv_cli *cli)
{
    struct mkv_place place;
    struct mkv_buf value;
    enum mkv_exit status = mkv_place_init(&place, cli->words[0]);

    mkv_buf_init(&value, TEXT_MAX); /* larger than a value may be, so that the reader says so */
    if (status == MKV_EXIT_OK) {
        status = read_value(cli, &value);
    }
    if (status == MKV_EXIT_OK) {
        status = mkv_session_open(cli);
    }
    if (status == MKV_EXIT_OK) {
        status = set(cli, &place, mkv_buf_bytes(&value));
    }
    mkv_buf_deinit(&value);
    mkv_place_deinit(&place);
    return status;
}

static const uint8_t exits[] = {MKV_EXIT_USAGE,
                                MKV_EXIT_NO_CONNECTION,
                                MKV_EXIT_NOT_AUTHORISED,
                                MKV_EXIT_CONFLICT,
                                MKV_EXIT_BAD_DATA,
                                MKV_EXIT_NOT_WRITING,
                                0};

const struct mkv_verb mkv_verb_set = {
    .name = "set",
    .words = "PATH VALUE",
    .n_words_min = 1,
    .n_words_max = 2,
    .summary = "Writes one entry, and waits until a server has it on its disk",
    .more = "VALUE is read as YAML 1.2: true, 42, 0x2a, 1.5, null, \"42\", [1, 2], {on: true}; "
            "whatever "
            "is\nnone of these is a text.\n",
    .options = options,
    .examples = {{"set kitchen.lamp:2.on true", "a boolean"},
                 {"set kitchen.note -s '42'", "a text, not a number"},
                 {"set kitchen.plan -j -f plan.json", "JSON, from a file"}},
    .exits = exits,
    .run = run,
};
