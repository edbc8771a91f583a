/* SPDX-License-Identifier: Apache-2.0 */
/*
 * moat-kv: the command line of MoaT-KV.
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli/global.h"
#include "cli/help.h"
#include "cli/say.h"
#include "cli/session.h"
#include "cli/verbs.h"

#define SERVERS_MAX 65536U

static void init(struct mkv_cli *cli)
{
    *cli = (struct mkv_cli){
        .timeout_ms = -1, .format = MKV_FORMAT_TEXT, .signal_fd = -1, .also_fd = -1};
    mkv_buf_init(&cli->servers, SERVERS_MAX);
    mkv_out_init(&cli->out, STDOUT_FILENO, "standard output");
}

static void deinit(struct mkv_cli *cli)
{
    mkv_session_close(cli);
    if (cli->signal_fd >= 0) {
        (void)close(cli->signal_fd); /* nothing was written to it */
    }
    mkv_buf_deinit(&cli->servers);
    mkv_out_deinit(&cli->out);
}

/* The first word is the verb; the others are its own. */
static enum mkv_exit take_word(struct mkv_cli *cli, struct mkv_options *options, const char *word)
{
    if (cli->verb == NULL) {
        cli->verb = mkv_verb_find(word);
        options->first = cli->verb != NULL ? cli->verb->options : NULL;
        return cli->verb != NULL ? MKV_EXIT_OK : MKV_EXIT_USAGE;
    }
    if (cli->n_words == cli->verb->n_words_max) {
        return mkv_say(MKV_EXIT_USAGE, "%s: '%s' is one word too many; usage: moat-kv %s %s",
                       cli->verb->name, word, cli->verb->name, cli->verb->words);
    }
    cli->words[cli->n_words++] = word;
    return MKV_EXIT_OK;
}

static enum mkv_exit parse(struct mkv_cli *cli, int argc, char **argv)
{
    struct mkv_options options;
    const char *value = NULL;
    enum mkv_exit status = MKV_EXIT_OK;
    int id;

    mkv_options_init(&options, argc, argv);
    options.second = mkv_global_options;
    while (status == MKV_EXIT_OK && (id = mkv_options_next(&options, &value)) != MKV_OPTION_END) {
        if (id == MKV_OPTION_BAD) {
            return MKV_EXIT_USAGE;
        }
        if (id == MKV_OPTION_WORD) {
            status = take_word(cli, &options, value);
        } else if (mkv_global_is(id)) {
            status = mkv_global_take(cli, id, value);
        } else {
            cli->given |= 1U << (unsigned)id;
            cli->values[id] = value;
        }
    }
    return status;
}

static enum mkv_exit check_words(const struct mkv_cli *cli)
{
    if (cli->verb == NULL) {
        return mkv_say(MKV_EXIT_USAGE, "which verb? 'moat-kv help' lists them");
    }
    if (cli->n_words < cli->verb->n_words_min) {
        return mkv_say(MKV_EXIT_USAGE, "%s: something is missing; usage: moat-kv %s %s",
                       cli->verb->name, cli->verb->name, cli->verb->words);
    }
    return MKV_EXIT_OK;
}

static enum mkv_exit run(struct mkv_cli *cli, int argc, char **argv)
{
    enum mkv_exit status = parse(cli, argc, argv);

    if (status != MKV_EXIT_OK) {
        return status;
    }
    if (cli->help) {
        if (cli->verb != NULL) {
            mkv_help_verb(&cli->out, cli->verb);
        } else {
            mkv_help_all(&cli->out);
        }
        return MKV_EXIT_OK;
    }
    status = check_words(cli);
    return status == MKV_EXIT_OK ? cli->verb->run(cli) : status;
}

int main(int argc, char **argv)
{
    struct mkv_cli cli;
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    (void)sigaction(SIGPIPE, &ignore, NULL); /* writing tells as well, and more orderly */
    init(&cli);

    enum mkv_exit status = run(&cli, argc, argv);
    enum mkv_exit output = mkv_out_flush(&cli.out);

    deinit(&cli);
    return (int)(status == MKV_EXIT_OK ? output : status);
}
