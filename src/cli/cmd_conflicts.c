/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "cli/place.h"
#include "cli/record.h"
#include "cli/say.h"
#include "cli/session.h"
#include "cli/verbs.h"

enum {
    OPT_FOLLOW = 1,
    OPT_COUNT
};

static const struct mkv_option options[] = {
    {OPT_FOLLOW, 'f', "follow", NULL, "go on with those that come"},
    {OPT_COUNT, 'n', "count", "N", "end after N of them"},
    {0, 0, NULL, NULL, NULL},
};

struct listing {
    struct mkv_cli *cli;
    struct mkv_records records;
    uint64_t n_max; /* 0: no end */
    uint64_t n;
    bool done;
    int status;
};

/* As in `watch`, the path is followed by a space, which no path has in it. */
static void put_text(struct mkv_out *out, const moatkv_conflict *conflict)
{
    const moatkv_entry *loser = moatkv_conflict_loser(conflict);
    uint64_t more = moatkv_conflict_more(conflict);
    char time[MKV_RECORD_TIME_LEN];

    mkv_out_puts(out, mkv_record_time(moatkv_conflict_tock(conflict), time) ? time : "-");
    mkv_out_puts(out, " ");
    mkv_out_safe(out, mkv_bytes_from(moatkv_entry_path(loser)));
    mkv_out_puts(out, moatkv_conflict_possible(conflict) ? " possible," : "");
    if (more > 0) {
        mkv_out_printf(out, " +%" PRIu64 ",", more);
    }
    if (moatkv_entry_deleted(loser)) {
        mkv_out_puts(out, " deleted");
    } else {
        mkv_out_puts(out, " = ");
        mkv_out_line(out, mkv_bytes_from(moatkv_entry_value(loser)));
    }
    mkv_out_puts(out, "\n");
}

static void put_record(struct mkv_records *records, const moatkv_conflict *conflict)
{
    char id[2 * sizeof(uint64_t) + 1];
    char time[MKV_RECORD_TIME_LEN];
    bool has_time = mkv_record_time(moatkv_conflict_tock(conflict), time);
    const char *kind = moatkv_conflict_possible(conflict) ? "possible" : "conflict";

    (void)snprintf(id, sizeof(id), "%016" PRIx64, moatkv_conflict_id(conflict));
    mkv_records_begin(records, 5 + MKV_RECORD_ENTRY + (has_time ? 1 : 0));
    mkv_record_text(records, "kind", mkv_bytes_of(kind));
    mkv_record_text(records, "id", mkv_bytes_of(id));
    mkv_record_entry(records, moatkv_conflict_loser(conflict));
    mkv_record_uint(records, "more", moatkv_conflict_more(conflict));
    mkv_record_uint(records, "found", moatkv_conflict_tock(conflict));
    if (has_time) {
        mkv_record_text(records, "time", mkv_bytes_of(time));
    }
    mkv_record_winner(records, "winner", moatkv_conflict_winner(conflict));
    mkv_records_add(records);
}

static void put_synced(struct listing *listing)
{
    if (listing->cli->format == MKV_FORMAT_TEXT) {
        mkv_out_puts(&listing->cli->out, "synced\n");
        return;
    }
    mkv_records_begin(&listing->records, 1);
    mkv_record_text(&listing->records, "kind", mkv_bytes_of("synced"));
    mkv_records_add(&listing->records);
}

static void put(struct listing *listing, const moatkv_conflict *conflict)
{
    if (listing->cli->format == MKV_FORMAT_TEXT) {
        put_text(&listing->cli->out, conflict);
    } else {
        put_record(&listing->records, conflict);
    }
}

static void on_conflict(void *user, int status, const moatkv_conflict *conflict)
{
    struct listing *listing = user;

    if (listing->done) {
        return;
    }
    mkv_session_progress(listing->cli);
    if (status == MOATKV_ROW) {
        put(listing, conflict);
        listing->n++;
        listing->done = listing->n_max > 0 && listing->n == listing->n_max;
    } else if (status == MOATKV_SYNCED) {
        put_synced(listing);
    } else {
        listing->status = status;
        listing->done = true;
    }
}

static enum mkv_exit judge(const struct listing *listing, const struct mkv_place *place)
{
    if (listing->status != 0) {
        return mkv_session_fail(listing->cli, listing->status, mkv_place_text(place));
    }
    if (listing->n < listing->n_max && mkv_cli_has(listing->cli, OPT_FOLLOW)) {
        return mkv_say(MKV_EXIT_NO_CONNECTION,
                       "%s: only %" PRIu64 " of %" PRIu64 " conflicts came in time",
                       mkv_place_text(place), listing->n, listing->n_max);
    }
    return MKV_EXIT_OK;
}

static enum mkv_exit list(struct listing *listing, const struct mkv_place *place)
{
    struct mkv_cli *cli = listing->cli;
    bool follow = mkv_cli_has(cli, OPT_FOLLOW);
    int error = moatkv_conflicts(cli->kv, mkv_place_path(place), follow ? MOATKV_FOLLOW : 0,
                                 on_conflict, listing, NULL);

    if (error != 0) {
        return mkv_session_fail(cli, error, mkv_place_text(place));
    }
    cli->ends_with_reader = follow;

    enum mkv_exit status =
        follow ? mkv_session_follow(cli, &listing->done) : mkv_session_wait(cli, &listing->done);

    if (status == MKV_EXIT_OK) {
        status = judge(listing, place);
    }
    if (cli->format != MKV_FORMAT_TEXT) {
        mkv_records_end(&listing->records);
    }
    return status;
}

static enum mkv_exit run(struct mkv_cli *cli)
{
    struct listing listing = {.cli = cli};
    struct mkv_place place;
    const char *count = mkv_cli_value(cli, OPT_COUNT);
    enum mkv_exit status = mkv_place_init(&place, cli->n_words > 0 ? cli->words[0] : ":");

    mkv_records_init(&listing.records, &cli->out, cli->format);
    if (status == MKV_EXIT_OK && count != NULL) {
        status = mkv_cli_count("--count", count, UINT64_MAX, &listing.n_max);
    }
    if (status == MKV_EXIT_OK) {
        status = mkv_session_open(cli);
    }
    if (status == MKV_EXIT_OK && mkv_cli_has(cli, OPT_FOLLOW)) {
        status = mkv_session_catch_signals(cli);
    }
    if (status == MKV_EXIT_OK) {
        status = list(&listing, &place);
    }
    mkv_session_close(cli);
    mkv_records_deinit(&listing.records);
    mkv_place_deinit(&place);
    return status;
}

static const uint8_t exits[] = {MKV_EXIT_USAGE,    MKV_EXIT_NO_CONNECTION, MKV_EXIT_NOT_AUTHORISED,
                                MKV_EXIT_BAD_DATA, MKV_EXIT_INTERRUPTED,   0};

const struct mkv_verb mkv_verb_conflicts = {
    .name = "conflicts",
    .words = "[PATH]",
    .n_words_max = 1,
    .summary = "Lists what was lost at and below a path, to writers who did not know of it",
    .more =
        "Each line has the time when a server found it, the path and the value that was lost;\n"
        "'get' shows what is there now. 'possible' if so much has happened to the entry that it "
        "is\n"
        "not certain; '+N' if N more of that path were only counted, since one a second is kept.\n"
        "A server keeps the last 10,000 or so. With --follow it says 'synced' and goes on, until "
        "it\n"
        "is interrupted, --count of them have come, or the --timeout is over, which here is the\n"
        "time that all of it may take.\n",
    .options = options,
    .examples = {{"conflicts", "all that were kept"},
                 {"conflicts kitchen --follow", "and those that come, below 'kitchen'"},
                 {"conflicts -o jsonl", "one object a line, with who won"}},
    .exits = exits,
    .run = run,
};
