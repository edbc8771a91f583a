/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/global.h"

#include "cli/say.h"

enum {
    OPT_SERVER = MKV_CLI_GLOBAL,
    OPT_BROKER,
    OPT_ROOT,
    OPT_TIMEOUT,
    OPT_OUTPUT,
    OPT_QUIET,
    OPT_HELP,
};

const struct mkv_option mkv_global_options[] = {
    {OPT_SERVER, 0, "server", "ADDR",
     "a server: unix:/PATH, tls://HOST:PORT or tcp://HOST:PORT; more than once: tried in this "
     "order"},
    {OPT_BROKER, 0, "broker", "ADDR",
     "a broker to ask for a server: mqtt://HOST:PORT or unix:/PATH"},
    {OPT_ROOT, 0, "root", "TOPIC", "the topic root of the cluster, to ask a broker (moat/main)"},
    {OPT_TIMEOUT, 0, "timeout", "SECONDS", "give up when nothing went on for so long (10)"},
    {OPT_OUTPUT, 'o', "output", "FORMAT", "text, json, jsonl, yaml or cbor (text)"},
    {OPT_QUIET, 'q', "quiet", NULL, "no progress and no remarks, errors only"},
    {OPT_HELP, 'h', "help", NULL, "explain the verb, or list all of them"},
    {0, 0, NULL, NULL, NULL},
};

bool mkv_global_is(int id)
{
    return id >= MKV_CLI_GLOBAL;
}

/* The list is kept with a NUL behind it. */
static enum mkv_exit add_server(struct mkv_cli *cli, const char *address)
{
    struct mkv_buf *servers = &cli->servers;
    int error = 0;

    if (address[0] == '\0') {
        return mkv_say(MKV_EXIT_USAGE,
                       "--server: the address is empty; write unix:/PATH or tcp://HOST:PORT");
    }
    if (servers->len > 0) {
        servers->at[servers->len - 1] = ',';
    }
    error = mkv_buf_append(servers, mkv_bytes_of(address));
    if (error == 0) {
        error = mkv_buf_append_u8(servers, '\0');
    }
    if (error != 0) {
        return mkv_say(mkv_exit_of(error), "--server: %s", mkv_error_text(error));
    }
    return MKV_EXIT_OK;
}

static enum mkv_exit take_format(struct mkv_cli *cli, const char *name)
{
    if (mkv_format_of(name, &cli->format) != 0) {
        return mkv_say(MKV_EXIT_USAGE,
                       "-o: '%s' is no format; write text, json, jsonl, yaml or cbor", name);
    }
    cli->has_format = true;
    return MKV_EXIT_OK;
}

enum mkv_exit mkv_global_take(struct mkv_cli *cli, int id, const char *value)
{
    switch (id) {
    case OPT_SERVER:
        return add_server(cli, value);
    case OPT_BROKER:
        cli->broker = value;
        break;
    case OPT_ROOT:
        cli->root = value;
        break;
    case OPT_TIMEOUT:
        return mkv_cli_seconds("--timeout", value, &cli->timeout_ms);
    case OPT_OUTPUT:
        return take_format(cli, value);
    case OPT_QUIET:
        cli->quiet = true;
        break;
    case OPT_HELP:
        cli->help = true;
        break;
    default:
        break;
    }
    return MKV_EXIT_OK;
}
