/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "cli/drawing.h"
#include "cli/nested.h"
#include "cli/record.h"
#include "cli/rows.h"
#include "cli/say.h"
#include "cli/session.h"
#include "cli/terminal.h"
#include "cli/verbs.h"

enum {
    OPT_DEPTH = 1
};

static const struct mkv_option options[] = {
    {OPT_DEPTH, 'd', "depth", "N", "so many levels, and counts of what is below them"},
    {0, 0, NULL, NULL, NULL},
};

struct picture {
    size_t base_len; /* of the key that all others begin with */
    uint64_t n;
    struct mkv_drawing drawing;
};

static enum mkv_exit on_drawn_row(void *user, struct mkv_bytes key, const moatkv_entry *entry)
{
    struct picture *picture = user;
    int error = mkv_drawing_add(&picture->drawing, mkv_bytes_after(key, picture->base_len),
                                mkv_bytes_from(moatkv_entry_value(entry)));

    picture->n++;
    return error == 0 ? MKV_EXIT_OK
                      : mkv_say(mkv_exit_of(error), "drawing the tree: %s; try -o jsonl",
                                mkv_error_text(error));
}

/* What is too deep is read as well, since it is counted. */
static enum mkv_exit draw(struct mkv_cli *cli,
                          const struct mkv_place *place,
                          unsigned depth_max,
                          uint64_t *ret_n)
{
    const moatkv_read_how all = {.size = sizeof(all), .depth_max = MKV_PATH_LEVELS_MAX};
    struct picture picture = {.base_len = place->key.len};
    int error = mkv_drawing_init(&picture.drawing, mkv_bytes_of(mkv_place_text(place)));
    enum mkv_exit status = error == 0 ? MKV_EXIT_OK : mkv_session_fail(cli, error, "tree");

    picture.drawing.depth_max = depth_max;
    picture.drawing.width = mkv_terminal_width();
    picture.drawing.utf8 = mkv_terminal_utf8();
    if (status == MKV_EXIT_OK) {
        status = mkv_rows_read(cli, place, &all, on_drawn_row, &picture);
    }
    if (status == MKV_EXIT_OK && (picture.n > 0 || place->key.len == 0)) {
        mkv_drawing_put(&picture.drawing, &cli->out);
    }
    *ret_n = picture.n;
    mkv_drawing_deinit(&picture.drawing);
    return status;
}

static enum mkv_exit on_listed_row(void *user, struct mkv_bytes key, const moatkv_entry *entry)
{
    struct mkv_records *records = user;

    (void)key; /* the path is in the entry, too */
    mkv_records_begin(records, MKV_RECORD_ENTRY);
    mkv_record_entry(records, entry);
    mkv_records_add(records);
    return records->out->status;
}

static enum mkv_exit list(struct mkv_cli *cli,
                          const struct mkv_place *place,
                          const moatkv_read_how *how,
                          uint64_t *ret_n)
{
    struct mkv_records records;

    mkv_records_init(&records, &cli->out, cli->format);

    enum mkv_exit status = mkv_rows_read(cli, place, how, on_listed_row, &records);

    *ret_n = records.n;
    mkv_records_deinit(&records);
    return status;
}

static enum mkv_exit show(struct mkv_cli *cli, const struct mkv_place *place, unsigned depth_max)
{
    const moatkv_read_how how = {.size = sizeof(how), .depth_max = depth_max};
    uint64_t n = 0;
    enum mkv_exit status = MKV_EXIT_OK;

    switch (cli->format) {
    case MKV_FORMAT_TEXT:
        status = draw(cli, place, depth_max, &n);
        break;
    case MKV_FORMAT_JSON:
    case MKV_FORMAT_YAML:
        status = mkv_nested_put(cli, place, &how, &cli->out, &n);
        if (status == MKV_EXIT_OK && n == 0) {
            mkv_out_puts(&cli->out, "{}\n");
        }
        break;
    case MKV_FORMAT_JSONL:
    case MKV_FORMAT_CBOR:
        status = list(cli, place, &how, &n);
        break;
    }
    if (status == MKV_EXIT_OK && n == 0 && place->key.len > 0) {
        return mkv_say(MKV_EXIT_NOT_FOUND, "%s: no such entry, and none below it",
                       mkv_place_text(place));
    }
    return status;
}

static enum mkv_exit run(struct mkv_cli *cli)
{
    struct mkv_place place;
    const char *depth = mkv_cli_value(cli, OPT_DEPTH);
    uint64_t depth_max = MKV_PATH_LEVELS_MAX;
    enum mkv_exit status = mkv_place_init(&place, cli->n_words > 0 ? cli->words[0] : ":");

    if (status == MKV_EXIT_OK && depth != NULL) {
        status = mkv_cli_count("--depth", depth, MKV_PATH_LEVELS_MAX, &depth_max);
    }
    if (status == MKV_EXIT_OK) {
        status = mkv_session_open(cli);
    }
    if (status == MKV_EXIT_OK) {
        status = show(cli, &place, (unsigned)depth_max);
    }
    mkv_session_close(cli);
    mkv_place_deinit(&place);
    return status;
}

static const uint8_t exits[] = {MKV_EXIT_NOT_FOUND,      MKV_EXIT_USAGE,    MKV_EXIT_NO_CONNECTION,
                                MKV_EXIT_NOT_AUTHORISED, MKV_EXIT_BAD_DATA, 0};

const struct mkv_verb mkv_verb_tree = {
    .name = "tree",
    .words = "[PATH]",
    .n_words_max = 1,
    .summary = "Draws what is at and below a path",
    .options = options,
    .examples = {{"tree kitchen", "the subtree with its values, cut to the terminal's width"},
                 {"tree -d 1", "what is right below the root, and how much is below that"},
                 {"tree kitchen -o json", "the same as one nested document"}},
    .exits = exits,
    .run = run,
};
