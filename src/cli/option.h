/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line, taken apart by tables: what is parsed is what the help shows.
 *
 *     moat-kv -o json del --recursive -nf -- -odd.path
 *
 * Options may stand anywhere, "--" ends them.  A word that begins with '-' and a digit or a point is
 * a word, since "set PATH -5" means a number.
 */
#ifndef MKV_CLI_OPTION_H
#define MKV_CLI_OPTION_H

#include <stdbool.h>

struct mkv_option {
    int id;               /* 1 or more; 0 ends a table */
    char letter;          /* 0: none */
    const char *name;     /* without its dashes */
    const char *argument; /* what stands for it in the help; NULL: takes none */
    const char *help;
};

enum {
    MKV_OPTION_END = 0,
    MKV_OPTION_WORD = -1,
    MKV_OPTION_BAD = -2, /* the user has been told */
};

struct mkv_options {
    int argc;
    char **argv;
    int at;                         /* the next one to look at */
    const char *cluster;            /* what is left of "-nf"; NULL: nothing */
    bool words_only;                /* "--" has come */
    const struct mkv_option *first; /* the tables; the first one is asked first */
    const struct mkv_option *second;
};

void mkv_options_init(struct mkv_options *options, int argc, char **argv);

/*
 * The id of the next option, or what else there is.  *ret_value is the word or the option's
 * argument, borrowed from argv; else NULL.
 */
int mkv_options_next(struct mkv_options *options, const char **ret_value);

/*
 * Which of @n names is near enough to @word that the user may have meant it; NULL: none.
 */
const char *mkv_option_guess(const char *word, const char *const *names, unsigned n);

#endif
