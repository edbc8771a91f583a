/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run of the command line: what was typed, where the output goes, and the connection.
 *
 *     moat-kv  [global options]  VERB  [words and options of the verb, global ones among them]
 *
 * Each verb is one file that offers a `struct mkv_verb`; main.c has the list.
 */
#ifndef MKV_CLI_CLI_H
#define MKV_CLI_CLI_H

#include <moatkv/client.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "cli/exit.h"
#include "cli/format.h"
#include "cli/option.h"
#include "cli/out.h"

#define MKV_CLI_OPTIONS_MAX  16U /* ids of a verb's options are below */
#define MKV_CLI_WORDS_MAX    4U
#define MKV_CLI_EXAMPLES_MAX 3U

/* Options of verbs and global ones share the numbers of mkv_options_next(). */
enum {
    MKV_CLI_GLOBAL = 100
};

struct mkv_cli;

struct mkv_example {
    const char *command; /* without the "moat-kv" before it */
    const char *meaning;
};

struct mkv_verb {
    const char *name;
    const char *words; /* as in the synopsis: "PATH [VALUE]" */
    unsigned n_words_min;
    unsigned n_words_max;
    const char *summary;                               /* one line */
    const char *more;                                  /* lines of explanation, or NULL */
    const struct mkv_option *options;                  /* ended by id 0; NULL: none */
    struct mkv_example examples[MKV_CLI_EXAMPLES_MAX]; /* the first ones; some may be missing */
    const uint8_t *exits;                              /* besides 0, 2; ended by 0 */
    enum mkv_exit (*run)(struct mkv_cli *cli);
};

struct mkv_cli {
    const struct mkv_verb *verb;
    const char *words[MKV_CLI_WORDS_MAX]; /* borrowed from argv, like all texts here */
    unsigned n_words;
    uint32_t given; /* a bit for each option of the verb */
    const char *values[MKV_CLI_OPTIONS_MAX];

    struct mkv_buf servers; /* owned: addresses separated by commas; empty: none given */
    const char *broker;     /* NULL: not given */
    const char *root;       /* NULL: not given */
    const char *user;       /* to log in as; NULL: as the library finds out */
    const char *password;   /* with a user */
    const char *ca;         /* or NULL */
    int timeout_ms;         /* -1: not given */
    bool has_format;
    enum mkv_format format;
    bool quiet;
    bool help;

    struct mkv_out out; /* standard output */

    /* The rest is of cli/session.h. */
    moatkv *kv;            /* owned; NULL: not connected */
    int64_t progress_ms;   /* when something last went on, by the monotonic clock */
    int storing;           /* 0, or why the server could not write when it was last heard of */
    unsigned told;         /* what the user was told since something last went on */
    int signal_fd;         /* -1: signals have their usual effect */
    int also_fd;           /* ends a step as well; -1: none */
    bool ends_with_reader; /* it is over when nobody reads standard output any more */
    bool link_lost;        /* and not yet found again */
    bool refused;          /* a server did not authorise us */
    uint64_t n_conflicts;  /* writes of this command that lost */
};

bool mkv_cli_has(const struct mkv_cli *cli, int id);

/* The argument of an option; NULL if it was not given. */
const char *mkv_cli_value(const struct mkv_cli *cli, int id);

/*
 * Reads a decimal number above 0 of seconds into milliseconds, or a whole one from 1 to @max; else
 * tells the user that @what is wrong.
 */
enum mkv_exit mkv_cli_seconds(const char *what, const char *text, int *ret_ms) MKV_MUST_CHECK;
enum mkv_exit mkv_cli_count(const char *what, const char *text, uint64_t max, uint64_t *ret_count)
    MKV_MUST_CHECK;

#endif
