/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/fact.h"
#include "cli/record.h"
#include "cli/roster.h"
#include "cli/say.h"
#include "cli/session.h"
#include "cli/verbs.h"

struct evicting {
    struct mkv_cli *cli;
    bool done;
    int status;
};

static void on_done(void *user, int status)
{
    struct evicting *evicting = user;

    evicting->done = true;
    evicting->status = status;
}

static bool is_in(struct mkv_bytes report, const char *state)
{
    return mkv_bytes_equal(mkv_fact_text(report, "state"), mkv_bytes_of(state));
}

/* The one server that @word names, by its id or, if only one has it, by its name. */
static enum mkv_exit find(const struct mkv_roster *roster,
                          const char *word,
                          struct mkv_bytes *ret_report)
{
    unsigned n_found = 0;
    bool was_evicted = false;

    for (size_t i = 0; i < roster->n; i++) {
        struct mkv_bytes report = roster->at[i];
        bool named = mkv_bytes_equal(mkv_fact_text(report, "name"), mkv_bytes_of(word));

        if (mkv_bytes_equal(mkv_fact_text(report, "id"), mkv_bytes_of(word))) {
            *ret_report = report;
            return MKV_EXIT_OK;
        }
        if (named && (mkv_fact_bool(report, "member") || mkv_fact_bool(report, "self"))) {
            *ret_report = report;
            n_found++;
        }
        was_evicted = was_evicted || (named && is_in(report, "evicted"));
    }
    if (n_found == 1) {
        return MKV_EXIT_OK;
    }
    if (n_found > 1) {
        return mkv_say(MKV_EXIT_USAGE,
                       "evict: %u servers are called '%s'; name the id of the one you mean, as "
                       "'moat-kv servers' shows it",
                       n_found, word);
    }
    return mkv_say(MKV_EXIT_NOT_FOUND, "evict: %s '%s'; 'moat-kv servers' lists them",
                   was_evicted ? "there is no server any more that is called"
                               : "there is no server with the name or id",
                   word);
}

/* One that is here would join again at once, so that nothing would be won. */
static enum mkv_exit judge(struct mkv_bytes report)
{
    struct mkv_bytes name = mkv_fact_text(report, "name");

    if (mkv_fact_bool(report, "self")) {
        return mkv_say(MKV_EXIT_USAGE,
                       "evict: %.*s is the server that was asked; stop it, and ask another one",
                       (int)name.len, (const char *)name.at);
    }
    if (is_in(report, "ready") || is_in(report, "joining")) {
        return mkv_say(
            MKV_EXIT_USAGE,
            "evict: %.*s was heard %.1f s ago and would join again at once; stop it, and "
            "try again when 'moat-kv servers' calls it absent",
            (int)name.len, (const char *)name.at,
            (double)mkv_fact_uint(report, "heard_ms", 0) / 1000);
    }
    return MKV_EXIT_OK;
}

static void tell(struct mkv_cli *cli, struct mkv_bytes report)
{
    struct mkv_bytes name = mkv_fact_text(report, "name");
    struct mkv_records records;

    if (cli->format != MKV_FORMAT_TEXT) {
        mkv_records_init(&records, &cli->out, cli->format);
        mkv_records_begin(&records, 2);
        mkv_record_text(&records, "evicted", name);
        mkv_record_text(&records, "id", mkv_fact_text(report, "id"));
        mkv_records_only(&records);
        mkv_records_deinit(&records);
    } else if (!cli->quiet) {
        mkv_out_safe(&cli->out, name);
        mkv_out_puts(
            &cli->out,
            " is no longer waited for, and deletions may be forgotten without it.\n"
            "Should it come back, it joins as a new one: what it alone still holds from before "
            "is then\nset aside in its state directory, for 'moat-kv restore --missing'.\n");
    }
}

static enum mkv_exit evict(struct mkv_cli *cli, struct mkv_bytes report)
{
    struct evicting evicting = {.cli = cli};
    struct mkv_bytes id = mkv_fact_text(report, "id");
    int error =
        moatkv_evict(cli->kv, (moatkv_bytes){.at = id.at, .len = id.len}, on_done, &evicting);

    if (error != 0) {
        return mkv_session_fail(cli, error, "evict");
    }

    enum mkv_exit status = mkv_session_wait(cli, &evicting.done);

    if (status == MKV_EXIT_OK && evicting.status != 0) {
        status = mkv_session_fail(cli, evicting.status, "evict");
    }
    if (status == MKV_EXIT_OK) {
        tell(cli, report);
    }
    return status;
}

static enum mkv_exit run(struct mkv_cli *cli)
{
    struct mkv_roster roster = {0};
    struct mkv_bytes report = {0};
    enum mkv_exit status = mkv_session_open(cli);

    if (status == MKV_EXIT_OK) {
        status = mkv_roster_read(&roster, cli);
    }
    if (status == MKV_EXIT_OK) {
        status = find(&roster, cli->words[0], &report);
    }
    if (status == MKV_EXIT_OK) {
        status = judge(report);
    }
    if (status == MKV_EXIT_OK) {
        status = evict(cli, report);
    }
    mkv_session_close(cli);
    mkv_roster_deinit(&roster);
    return status;
}

static const uint8_t exits[] = {MKV_EXIT_NOT_FOUND,     MKV_EXIT_USAGE,
                                MKV_EXIT_NO_CONNECTION, MKV_EXIT_NOT_AUTHORISED,
                                MKV_EXIT_NOT_WRITING,   0};

const struct mkv_verb mkv_verb_evict = {
    .name = "evict",
    .words = "NAME|ID",
    .n_words_min = 1,
    .n_words_max = 1,
    .summary = "Takes a server that will not come back out of the cluster",
    .more =
        "As long as a server is a member, the others keep what was deleted, so that it can hear "
        "of\n"
        "it. One that was evicted may come back: it then joins as a new one. What it alone still\n"
        "holds from before, and nobody else, is not brought back, but set aside in its state\n"
        "directory: 'moat-kv restore --missing FILE' writes it.\n",
    .examples = {{"servers", "who is absent, and since when"},
                 {"evict cellar", "do not wait for it any more"},
                 {"evict 00112233445566778899aabbccddeeff", "by its id, if two have one name"}},
    .exits = exits,
    .run = run,
};
