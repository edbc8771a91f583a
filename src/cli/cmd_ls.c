/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/place.h"
#include "cli/record.h"
#include "cli/say.h"
#include "cli/session.h"
#include "cli/verbs.h"

struct listing {
    struct mkv_cli *cli;
    struct mkv_records records;
    uint64_t n;
    bool done;
    int status;
};

static void put_child_text(struct mkv_out *out, const moatkv_child *child)
{
    mkv_out_printf(out, "%8llu %c ", (unsigned long long)moatkv_child_n_entries(child),
                   moatkv_child_has_value(child) ? '=' : ' ');
    mkv_out_safe(out, mkv_bytes_from(moatkv_child_path(child)));
    mkv_out_puts(out, "\n");
}

static void put_child(struct listing *listing, const moatkv_child *child)
{
    struct mkv_records *records = &listing->records;

    if (listing->cli->format == MKV_FORMAT_TEXT) {
        put_child_text(&listing->cli->out, child);
        return;
    }
    mkv_records_begin(records, 3);
    mkv_record_text(records, "path", mkv_bytes_from(moatkv_child_path(child)));
    mkv_record_uint(records, "entries", moatkv_child_n_entries(child));
    mkv_record_bool(records, "has_value", moatkv_child_has_value(child));
    mkv_records_add(records);
}

static void on_child(void *user, int status, const moatkv_child *child)
{
    struct listing *listing = user;

    if (status != MOATKV_ROW) {
        listing->status = status;
        listing->done = true;
        return;
    }
    mkv_session_progress(listing->cli);
    listing->n++;
    put_child(listing, child);
}

static void on_own(void *user, int status, const moatkv_entry *entry)
{
    struct listing *listing = user;

    (void)entry; /* only whether it is there */
    listing->status = status;
    listing->done = true;
}

/* Nothing is below @place: fine if it is an entry, or the root. */
static enum mkv_exit look_at_own(struct listing *listing, const struct mkv_place *place)
{
    struct mkv_cli *cli = listing->cli;
    int error = 0;

    if (place->key.len == 0) {
        return MKV_EXIT_OK;
    }
    listing->done = false;
    error = moatkv_get(cli->kv, mkv_place_path(place), on_own, listing);
    if (error != 0) {
        return mkv_session_fail(cli, error, mkv_place_text(place));
    }

    enum mkv_exit status = mkv_session_wait(cli, &listing->done);

    if (status == MKV_EXIT_OK && listing->status == MOATKV_E_NOT_FOUND) {
        return mkv_say(MKV_EXIT_NOT_FOUND, "%s: no such entry, and none below it",
                       mkv_place_text(place));
    }
    if (status == MKV_EXIT_OK && listing->status != 0) {
        return mkv_session_fail(cli, listing->status, mkv_place_text(place));
    }
    return status;
}

static enum mkv_exit list(struct listing *listing, const struct mkv_place *place)
{
    struct mkv_cli *cli = listing->cli;
    int error = moatkv_list(cli->kv, mkv_place_path(place), on_child, listing, NULL);

    if (error != 0) {
        return mkv_session_fail(cli, error, mkv_place_text(place));
    }

    enum mkv_exit status = mkv_session_wait(cli, &listing->done);

    if (status == MKV_EXIT_OK && listing->status != 0) {
        return mkv_session_fail(cli, listing->status, mkv_place_text(place));
    }
    if (status == MKV_EXIT_OK && listing->n == 0) {
        status = look_at_own(listing, place);
    }
    if (status == MKV_EXIT_OK && cli->format != MKV_FORMAT_TEXT) {
        mkv_records_end(&listing->records);
    }
    return status;
}

static enum mkv_exit run(struct mkv_cli *cli)
{
    struct listing listing = {.cli = cli};
    struct mkv_place place;
    enum mkv_exit status = mkv_place_init(&place, cli->n_words > 0 ? cli->words[0] : ":");

    mkv_records_init(&listing.records, &cli->out, cli->format);
    if (status == MKV_EXIT_OK) {
        status = mkv_session_open(cli);
    }
    if (status == MKV_EXIT_OK) {
        status = list(&listing, &place);
    }
    mkv_session_close(cli);
    mkv_records_deinit(&listing.records);
    mkv_place_deinit(&place);
    return status;
}

static const uint8_t exits[] = {MKV_EXIT_NOT_FOUND,      MKV_EXIT_USAGE,    MKV_EXIT_NO_CONNECTION,
                                MKV_EXIT_NOT_AUTHORISED, MKV_EXIT_BAD_DATA, 0};

const struct mkv_verb mkv_verb_ls = {
    .name = "ls",
    .words = "[PATH]",
    .n_words_max = 1,
    .summary = "Lists what is right below a path: how many entries, '=' if it has a value itself",
    .examples = {{"ls", "what is right below the root"},
                 {"ls kitchen -o jsonl", "one object a line, with path and counts"},
                 {"tree kitchen -d 2", "two levels, with values"}},
    .exits = exits,
    .run = run,
};
