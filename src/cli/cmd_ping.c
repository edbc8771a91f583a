/* SPDX-License-Identifier: Apache-2.0 */
#include <time.h>

#include "cli/place.h"
#include "cli/record.h"
#include "cli/say.h"
#include "cli/session.h"
#include "cli/verbs.h"

enum {
    OPT_COUNT = 1
};

static const struct mkv_option options[] = {
    {OPT_COUNT, 'c', "count", "N", "so many, one after the other (1)"},
    {0, 0, NULL, NULL, NULL},
};

#define COUNT_MAX 1000000U

struct pinging {
    struct mkv_cli *cli;
    struct mkv_records records;
    uint64_t n;
    int64_t started_us;
    bool done;
    int status;
};

static int64_t now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* this clock always exists */
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void put_pong(struct pinging *pinging, int64_t us)
{
    struct mkv_cli *cli = pinging->cli;
    struct mkv_bytes server = mkv_bytes_of(moatkv_server_name(cli->kv));

    if (cli->format == MKV_FORMAT_TEXT) {
        mkv_out_safe(&cli->out, server);
        mkv_out_printf(&cli->out, ": %lld.%03lld ms\n", (long long)(us / 1000),
                       (long long)(us % 1000));
        return;
    }
    mkv_records_begin(&pinging->records, 3);
    mkv_record_uint(&pinging->records, "n", pinging->n);
    mkv_record_text(&pinging->records, "server", server);
    mkv_record_float(&pinging->records, "ms", (double)us / 1000);
    mkv_records_add(&pinging->records);
}

static void on_pong(void *user, int status)
{
    struct pinging *pinging = user;

    pinging->done = true;
    pinging->status = status;
    mkv_session_progress(pinging->cli);
    if (status == 0) {
        put_pong(pinging, now_us() - pinging->started_us);
    }
}

static enum mkv_exit ping(struct pinging *pinging)
{
    struct mkv_cli *cli = pinging->cli;

    pinging->n++;
    pinging->done = false;
    pinging->started_us = now_us();

    int error = moatkv_ping(cli->kv, on_pong, pinging);

    if (error != 0) {
        return mkv_session_fail(cli, error, "ping");
    }

    enum mkv_exit status = mkv_session_wait(cli, &pinging->done);

    if (status == MKV_EXIT_OK && pinging->status != 0) {
        return mkv_session_fail(cli, pinging->status, "ping");
    }
    return status;
}

static enum mkv_exit run(struct mkv_cli *cli)
{
    struct pinging pinging = {.cli = cli};
    const char *count = mkv_cli_value(cli, OPT_COUNT);
    uint64_t n = 1;
    enum mkv_exit status = MKV_EXIT_OK;

    if (count != NULL) {
        status = mkv_cli_count("--count", count, COUNT_MAX, &n);
    }
    if (status == MKV_EXIT_OK) {
        status = mkv_session_open(cli);
    }
    mkv_records_init(&pinging.records, &cli->out, cli->format);
    while (status == MKV_EXIT_OK && pinging.n < n) {
        status = ping(&pinging);
    }
    if (status == MKV_EXIT_OK && cli->format != MKV_FORMAT_TEXT) {
        mkv_records_end(&pinging.records);
    }
    mkv_session_close(cli);
    mkv_records_deinit(&pinging.records);
    return status;
}

static const uint8_t exits[] = {MKV_EXIT_USAGE, MKV_EXIT_NO_CONNECTION, MKV_EXIT_NOT_AUTHORISED, 0};

const struct mkv_verb mkv_verb_ping = {
    .name = "ping",
    .words = "",
    .summary = "Measures how long the server takes to answer",
    .options = options,
    .examples = {{"ping", "once"},
                 {"ping -c 10", "ten times"},
                 {"ping --timeout 60", "wait up to a minute for a server to come up"}},
    .exits = exits,
    .run = run,
};
