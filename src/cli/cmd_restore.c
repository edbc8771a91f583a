/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "cli/dumpfile.h"
#include "cli/file.h"
#include "cli/place.h"
#include "cli/say.h"
#include "cli/session.h"
#include "cli/verbs.h"
#include "cli/writes.h"
#include "wire/path.h"

enum {
    OPT_AT = 1,
    OPT_FROM,
    OPT_DRY_RUN,
    OPT_MISSING,
    OPT_PARTIAL
};

static const struct mkv_option options[] = {
    {OPT_AT, 0, "at", "PATH", "put it there, instead of where it came from"},
    {OPT_FROM, 0, "from", "PATH", "what --at stands for (a dump in CBOR says it itself)"},
    {OPT_DRY_RUN, 'n', "dry-run", NULL, "write nothing, count what would be written"},
    {OPT_MISSING, 0, "missing", NULL, "write only what is not there; leave the rest as it is"},
    {OPT_PARTIAL, 0, "partial", NULL,
     "of a file that is cut off, take the dumps in it that are whole"},
    {0, 0, NULL, NULL, NULL},
};

struct restoring {
    struct mkv_cli *cli;
    const char *name; /* of the file */
    int fd;
    bool moves; /* --at was given */
    bool has_from;
    bool partial; /* --partial was given */
    bool is_cut;
    uint64_t n_whole; /* rows that may be used */
    struct mkv_place at;
    struct mkv_place from;
    struct mkv_place root;

    uint64_t n;            /* rows with a value */
    struct mkv_buf common; /* owned: what all keys begin with, as they will be written */
    struct mkv_writes writes;
};

typedef enum mkv_exit (*place_user)(struct restoring *restoring,
                                    const struct mkv_place *place,
                                    struct mkv_bytes value);

static enum mkv_exit refuse_row(const struct restoring *restoring, uint64_t row, int error)
{
    return mkv_say(MKV_EXIT_BAD_DATA, "%s: row %llu: %s; nothing was written", restoring->name,
                   (unsigned long long)row, mkv_error_text(error));
}

/* Where the row goes to. */
static enum mkv_exit relocate(const struct restoring *restoring,
                              const struct mkv_dump_reader *reader,
                              struct mkv_bytes key,
                              struct mkv_place *place)
{
    struct mkv_bytes from =
        restoring->has_from ? mkv_buf_bytes(&restoring->from.key) : reader->header.path;
    int error;

    if (!restoring->moves) {
        error = mkv_place_below(place, &restoring->root, key);
    } else if (!restoring->has_from && !reader->has_header) {
        return mkv_say(MKV_EXIT_USAGE,
                       "%s does not say what was dumped; name with --from what --at stands for",
                       restoring->name);
    } else if (!mkv_bytes_starts_with(key, from)) {
        return mkv_say(MKV_EXIT_BAD_DATA, "%s: row %llu is not below --from; nothing was written",
                       restoring->name, (unsigned long long)reader->n_rows);
    } else {
        error = mkv_place_below(place, &restoring->at, mkv_bytes_after(key, from.len));
    }
    return error == 0 ? MKV_EXIT_OK : refuse_row(restoring, reader->n_rows, error);
}

static enum mkv_exit take_row(struct restoring *restoring,
                              const struct mkv_dump_reader *reader,
                              struct mkv_bytes key,
                              const struct mkv_update *entry,
                              place_user on_place)
{
    struct mkv_place place = {0};

    if (!entry->present || mkv_place_is_reserved(key)) { /* nothing is taken away */
        return MKV_EXIT_OK;
    }

    enum mkv_exit status = relocate(restoring, reader, key, &place);

    if (status == MKV_EXIT_OK) {
        status = on_place(restoring, &place, entry->value);
    }
    mkv_place_deinit(&place);
    return status;
}

static enum mkv_exit feed(const struct restoring *restoring, struct mkv_dump_reader *reader)
{
    struct mkv_buf piece;
    int error = 0;

    mkv_buf_init(&piece, MKV_DUMP_PIECE_MAX);

    enum mkv_exit status =
        mkv_file_read(restoring->fd, restoring->name, MKV_DUMP_PIECE_MAX, &piece);

    if (status == MKV_EXIT_OK && piece.len == 0) {
        mkv_dump_reader_close(reader);
    } else if (status == MKV_EXIT_OK) {
        error = mkv_dump_reader_feed(reader, mkv_buf_bytes(&piece));
    }
    mkv_buf_deinit(&piece);
    return error == 0
               ? status
               : mkv_say(mkv_exit_of(error), "%s: %s", restoring->name, mkv_error_text(error));
}

/* A file that is damaged at its end, of which the dumps before that are wanted. */
static enum mkv_exit take_cut(struct restoring *restoring, const struct mkv_dump_reader *reader)
{
    if (!restoring->partial || reader->n_ends == 0) {
        return mkv_say(MKV_EXIT_BAD_DATA, "%s: %s; nothing was written from here on",
                       restoring->name, reader->problem->text);
    }
    restoring->is_cut = true;
    restoring->n_whole = reader->n_whole;
    return MKV_EXIT_OK;
}

static enum mkv_exit each_row(struct restoring *restoring, place_user on_place)
{
    struct mkv_dump_reader reader;
    struct mkv_problem problem = {0};
    struct mkv_bytes key;
    struct mkv_update entry;
    enum mkv_dump_verdict verdict = MKV_DUMP_MORE;
    enum mkv_exit status = MKV_EXIT_OK;

    if (lseek(restoring->fd, 0, SEEK_SET) < 0) {
        return mkv_say(MKV_EXIT_BAD_DATA, "%s: cannot go back to its beginning", restoring->name);
    }
    mkv_dump_reader_init(&reader, &problem);
    while (status == MKV_EXIT_OK && verdict < MKV_DUMP_END) {
        verdict = mkv_dump_reader_next(&reader, &key, &entry);
        if (verdict == MKV_DUMP_MORE) {
            status = feed(restoring, &reader);
        } else if (verdict == MKV_DUMP_ROW && reader.n_rows <= restoring->n_whole) {
            status = take_row(restoring, &reader, key, &entry, on_place);
        } else if (verdict == MKV_DUMP_FAULT && !restoring->is_cut) {
            status = take_cut(restoring, &reader);
        }
    }
    mkv_dump_reader_deinit(&reader);
    return status;
}

static enum mkv_exit note_place(struct restoring *restoring,
                                const struct mkv_place *place,
                                struct mkv_bytes value)
{
    struct mkv_bytes key = mkv_buf_bytes(&place->key);
    int error = 0;

    (void)value; /* the reader has checked it */
    if (restoring->n == 0) {
        error = mkv_buf_append(&restoring->common, key);
    } else {
        unsigned shared = mkv_path_shared(mkv_buf_bytes(&restoring->common), key);

        mkv_buf_truncate(&restoring->common, mkv_path_head(key, shared).len);
    }
    restoring->n++;
    return error == 0 ? MKV_EXIT_OK : refuse_row(restoring, restoring->n, error);
}

static enum mkv_exit write_place(struct restoring *restoring,
                                 const struct mkv_place *place,
                                 struct mkv_bytes value)
{
    return mkv_writes_put(&restoring->writes, place, value);
}

/* The file has been checked from its first to its last byte. */
static enum mkv_exit write_rows(struct restoring *restoring)
{
    struct mkv_writes *writes = &restoring->writes;
    struct mkv_place target;
    int error = mkv_place_below(&target, &restoring->root, mkv_buf_bytes(&restoring->common));
    enum mkv_exit status = error == 0 ? MKV_EXIT_OK : refuse_row(restoring, 0, error);

    if (status == MKV_EXIT_OK) {
        status = mkv_writes_begin(writes, &target);
    }
    if (status == MKV_EXIT_OK) {
        status = each_row(restoring, write_place);
    }
    if (status == MKV_EXIT_OK) {
        status = mkv_writes_finish(writes);
    }
    mkv_place_deinit(&target);
    return status;
}

static enum mkv_exit restore(struct restoring *restoring)
{
    struct mkv_cli *cli = restoring->cli;
    enum mkv_exit status = each_row(restoring, note_place);

    if (status == MKV_EXIT_OK && restoring->is_cut) { /* now that it is known how far it is whole */
        (void)mkv_say(MKV_EXIT_OK, "%s: its end is damaged; the %llu rows before that are taken",
                      restoring->name, (unsigned long long)restoring->n_whole);
        restoring->n = 0;
        mkv_buf_clear(&restoring->common);
        status = each_row(restoring, note_place);
    }
    if (status == MKV_EXIT_OK) {
        status = mkv_session_open(cli);
    }
    if (status == MKV_EXIT_OK) {
        status = mkv_session_catch_signals(cli);
    }
    if (status != MKV_EXIT_OK) {
        return status;
    }
    restoring->writes.only_missing = mkv_cli_has(cli, OPT_MISSING);
    restoring->writes.dry_run = mkv_cli_has(cli, OPT_DRY_RUN);
    restoring->writes.n_planned = restoring->n;
    if (restoring->n > 0) {
        status = write_rows(restoring);
    }
    mkv_writes_report(&restoring->writes, status);
    return status;
}

static enum mkv_exit read_places(struct restoring *restoring)
{
    struct mkv_cli *cli = restoring->cli;
    enum mkv_exit status = mkv_place_init(&restoring->root, ":");

    restoring->moves = mkv_cli_has(cli, OPT_AT);
    restoring->has_from = mkv_cli_has(cli, OPT_FROM);
    restoring->partial = mkv_cli_has(cli, OPT_PARTIAL);
    if (status == MKV_EXIT_OK && restoring->has_from && !restoring->moves) {
        status = mkv_say(MKV_EXIT_USAGE, "restore: --from goes with --at; say where it should go");
    }
    if (status == MKV_EXIT_OK && restoring->moves) {
        status = mkv_place_init(&restoring->at, mkv_cli_value(cli, OPT_AT));
    }
    if (status == MKV_EXIT_OK && restoring->has_from) {
        status = mkv_place_init(&restoring->from, mkv_cli_value(cli, OPT_FROM));
    }
    return status;
}

static enum mkv_exit run(struct mkv_cli *cli)
{
    struct restoring restoring = {
        .cli = cli, .name = cli->words[0], .fd = -1, .n_whole = UINT64_MAX};
    enum mkv_exit status = read_places(&restoring);

    mkv_buf_init(&restoring.common, MKV_PATH_KEY_MAX);
    mkv_writes_init(&restoring.writes, cli);
    if (status == MKV_EXIT_OK) {
        status = mkv_file_open_twice(cli->words[0], &restoring.fd);
    }
    if (status == MKV_EXIT_OK) {
        status = restore(&restoring);
        (void)close(restoring.fd); /* it was only read */
    }
    mkv_session_close(cli);
    mkv_writes_deinit(&restoring.writes);
    mkv_buf_deinit(&restoring.common);
    mkv_place_deinit(&restoring.root);
    mkv_place_deinit(&restoring.at);
    mkv_place_deinit(&restoring.from);
    return status;
}

static const uint8_t exits[] = {
    MKV_EXIT_USAGE,    MKV_EXIT_NO_CONNECTION, MKV_EXIT_NOT_AUTHORISED, MKV_EXIT_CONFLICT,
    MKV_EXIT_BAD_DATA, MKV_EXIT_NOT_WRITING,   MKV_EXIT_INTERRUPTED,    0};

const struct mkv_verb mkv_verb_restore = {
    .name = "restore",
    .words = "FILE",
    .n_words_min = 1,
    .n_words_max = 1,
    .summary = "Writes back what 'dump' wrote, as CBOR or lines",
    .more =
        "Entries that differ are written, equal ones are left alone, others are not touched. The\n"
        "whole file is checked before anything is written. '-' is standard input.\n",
    .options = options,
    .examples = {{"restore backup.mkv", "everything, to where it was"},
                 {"restore backup.mkv --dry-run", "how much that would change"},
                 {"restore kitchen.mkv --at cellar", "what was below 'kitchen' to below 'cellar'"}},
    .exits = exits,
    .run = run,
};
