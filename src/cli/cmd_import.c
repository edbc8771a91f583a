/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cli/document.h"
#include "cli/file.h"
#include "cli/place.h"
#include "cli/say.h"
#include "cli/session.h"
#include "cli/verbs.h"
#include "cli/writes.h"

enum {
    OPT_AT = 1,
    OPT_JSON,
    OPT_YAML,
    OPT_DELETE,
    OPT_DRY_RUN
};

static const struct mkv_option options[] = {
    {OPT_AT, 0, "at", "PATH", "where the document goes; ':' is the root"},
    {OPT_JSON, 'j', "json", NULL, "it is JSON"},
    {OPT_YAML, 'y', "yaml", NULL, "it is YAML"},
    {OPT_DELETE, 0, "delete", NULL, "delete what is there and not in the document"},
    {OPT_DRY_RUN, 'n', "dry-run", NULL, "write nothing, count what would be written"},
    {0, 0, NULL, NULL, NULL},
};

#define DOCUMENT_MAX ((size_t)1024 * 1024 * 1024) /* of text; all of it is kept in memory */

struct importing {
    struct mkv_cli *cli;
    const char *name; /* of the file */
    struct mkv_place at;
    struct mkv_buf document; /* owned: the tree in CBOR, see cli/document.h */
    uint64_t n;              /* leaves */
    struct mkv_writes writes;
};

static bool ends_with(const char *name, const char *ending)
{
    size_t len = strlen(name);
    size_t n = strlen(ending);

    return len >= n && strcmp(name + len - n, ending) == 0;
}

static bool is_one_of(uint8_t character, const char *characters)
{
    return character != '\0' && strchr(characters, character) != NULL;
}

/* By the name; else by the first character, as no block of YAML begins like JSON. */
static enum mkv_notation guess_notation(const char *name, struct mkv_bytes text)
{
    size_t at = 0;

    if (ends_with(name, ".json")) {
        return MKV_NOTATION_JSON;
    }
    if (ends_with(name, ".yaml") || ends_with(name, ".yml")) {
        return MKV_NOTATION_YAML;
    }
    while (at < text.len && is_one_of(text.at[at], " \t\r\n")) {
        at++;
    }
    return at < text.len && is_one_of(text.at[at], "{[\"") ? MKV_NOTATION_JSON : MKV_NOTATION_YAML;
}

static enum mkv_exit read_document(struct importing *importing)
{
    const struct mkv_cli *cli = importing->cli;
    struct mkv_problem problem;
    struct mkv_buf text;

    mkv_buf_init(&text, DOCUMENT_MAX);

    enum mkv_exit status = mkv_file_read_all(importing->name, &text);

    if (status == MKV_EXIT_OK) {
        enum mkv_notation notation = guess_notation(importing->name, mkv_buf_bytes(&text));

        if (mkv_cli_has(cli, OPT_JSON) || mkv_cli_has(cli, OPT_YAML)) {
            notation = mkv_cli_has(cli, OPT_JSON) ? MKV_NOTATION_JSON : MKV_NOTATION_YAML;
        }
        if (mkv_document_read(mkv_buf_bytes(&text), notation, &importing->document, &problem) !=
            0) {
            status = mkv_say(MKV_EXIT_BAD_DATA, "%s, read as %s: %s", importing->name,
                             notation == MKV_NOTATION_JSON ? "JSON" : "YAML", problem.text);
        }
    }
    mkv_buf_deinit(&text);
    return status;
}

typedef enum mkv_exit (*leaf_user)(struct importing *importing,
                                   const struct mkv_place *place,
                                   struct mkv_bytes value);

static enum mkv_exit take_leaf(struct importing *importing,
                               struct mkv_bytes key,
                               struct mkv_bytes value,
                               leaf_user on_leaf)
{
    struct mkv_place place;
    int error = mkv_place_below(&place, &importing->at, key);
    enum mkv_exit status;

    if (error != 0) {
        status = mkv_say(MKV_EXIT_BAD_DATA, "%s: a leaf of the document: %s; nothing was written",
                         importing->name, mkv_error_text(error));
    } else {
        status = on_leaf(importing, &place, value);
    }
    mkv_place_deinit(&place);
    return status;
}

static enum mkv_exit each_leaf(struct importing *importing, leaf_user on_leaf)
{
    struct mkv_leaves leaves;
    struct mkv_problem problem = {0};
    struct mkv_bytes value;
    enum mkv_exit status = MKV_EXIT_OK;

    mkv_leaves_init(&leaves, mkv_buf_bytes(&importing->document), &problem);
    while (status == MKV_EXIT_OK && mkv_leaves_next(&leaves, &value)) {
        status = take_leaf(importing, mkv_buf_bytes(&leaves.key), value, on_leaf);
    }
    if (status == MKV_EXIT_OK && leaves.reader.error != 0) {
        status = mkv_say(MKV_EXIT_BAD_DATA, "%s: %s; nothing was written", importing->name,
                         problem.text);
    }
    mkv_leaves_deinit(&leaves);
    return status;
}

static enum mkv_exit count_leaf(struct importing *importing,
                                const struct mkv_place *place,
                                struct mkv_bytes value)
{
    (void)place; /* that it can be written is all that counts */
    (void)value;
    importing->n++;
    return MKV_EXIT_OK;
}

static enum mkv_exit write_leaf(struct importing *importing,
                                const struct mkv_place *place,
                                struct mkv_bytes value)
{
    return mkv_writes_put(&importing->writes, place, value);
}

static enum mkv_exit write_all(struct importing *importing)
{
    struct mkv_writes *writes = &importing->writes;
    enum mkv_exit status = mkv_writes_begin(writes, &importing->at);

    if (status == MKV_EXIT_OK) {
        status = each_leaf(importing, write_leaf);
    }
    if (status == MKV_EXIT_OK && mkv_cli_has(importing->cli, OPT_DELETE)) {
        status = mkv_writes_drop_rest(writes);
    }
    return status == MKV_EXIT_OK ? mkv_writes_finish(writes) : status;
}

static enum mkv_exit import(struct importing *importing)
{
    struct mkv_cli *cli = importing->cli;
    enum mkv_exit status = read_document(importing);

    if (status == MKV_EXIT_OK) { /* all of it, before anything is written */
        status = each_leaf(importing, count_leaf);
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
    importing->writes.dry_run = mkv_cli_has(cli, OPT_DRY_RUN);
    importing->writes.n_planned = importing->n;
    status = write_all(importing);
    mkv_writes_report(&importing->writes, status);
    return status;
}

static enum mkv_exit run(struct mkv_cli *cli)
{
    struct importing importing = {.cli = cli, .name = cli->words[0]};
    const char *at = mkv_cli_value(cli, OPT_AT);

    if (at == NULL) {
        return mkv_say(MKV_EXIT_USAGE, "import: where to? add --at PATH, or --at : for the root");
    }

    enum mkv_exit status = mkv_place_init(&importing.at, at);

    mkv_buf_init(&importing.document, SIZE_MAX / 2);
    mkv_writes_init(&importing.writes, cli);
    if (status == MKV_EXIT_OK) {
        status = import(&importing);
    }
    mkv_session_close(cli);
    mkv_writes_deinit(&importing.writes);
    mkv_buf_deinit(&importing.document);
    mkv_place_deinit(&importing.at);
    return status;
}

static const uint8_t exits[] = {
    MKV_EXIT_USAGE,    MKV_EXIT_NO_CONNECTION, MKV_EXIT_NOT_AUTHORISED, MKV_EXIT_CONFLICT,
    MKV_EXIT_BAD_DATA, MKV_EXIT_NOT_WRITING,   MKV_EXIT_INTERRUPTED,    0};

const struct mkv_verb mkv_verb_import = {
    .name = "import",
    .words = "FILE --at PATH",
    .n_words_min = 1,
    .n_words_max = 1,
    .summary = "Writes the leaves of a JSON or YAML document, one entry each",
    .more = "Entries that differ are written, equal ones are left alone: an import that was "
            "interrupted\n"
            "can be run again. The whole document is checked first. '-' is standard input.\n",
    .options = options,
    .examples = {{"import house.yaml --at house", "every leaf becomes an entry"},
                 {"import house.yaml --at house --delete",
                  "the subtree is then what the file says"},
                 {"import - -j --at : <all.json", "JSON from a pipe, to the root"}},
    .exits = exits,
    .run = run,
};
