/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/option.h"

#include <stddef.h>
#include <string.h>

#include "cli/say.h"

#define GUESS_LEN   24U /* longer words are not compared */
#define GUESS_NAMES 32U /* of both tables */

void mkv_options_init(struct mkv_options *options, int argc, char **argv)
{
    *options = (struct mkv_options){.argc = argc, .argv = argv, .at = 1};
}

static unsigned least(unsigned a, unsigned b, unsigned c)
{
    unsigned least_ab = a < b ? a : b;

    return least_ab < c ? least_ab : c;
}

/* How many letters must be changed, added, left out. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[GUESS_LEN + 1];
    size_t n = strlen(b);

    for (unsigned j = 0; j <= n; j++) {
        row[j] = j;
    }
    for (size_t i = 0; a[i] != '\0'; i++) {
        unsigned diagonal = row[0];

        row[0]++;
        for (size_t j = 1; j <= n; j++) {
            unsigned above = row[j];

            row[j] = least(row[j - 1] + 1, above + 1, diagonal + (a[i] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[n];
}

const char *mkv_option_guess(const char *word, const char *const *names, unsigned n)
{
    const char *best = NULL;
    unsigned best_distance = strlen(word) < 3 ? 2 : 3; /* what is as far off is not meant */

    for (unsigned i = 0; i < n; i++) {
        if (strlen(word) > GUESS_LEN || strlen(names[i]) > GUESS_LEN) {
            continue;
        }

        unsigned d = distance(word, names[i]);

        if (d < best_distance && d < strlen(names[i])) {
            best = names[i];
            best_distance = d;
        }
    }
    return best;
}

static const struct mkv_option *find_name(const struct mkv_option *table,
                                          const char *name,
                                          size_t len)
{
    for (; table != NULL && table->id != 0; table++) {
        if (strlen(table->name) == len && memcmp(table->name, name, len) == 0) {
            return table;
        }
    }
    return NULL;
}

static const struct mkv_option *find_letter(const struct mkv_option *table, char letter)
{
    for (; table != NULL && table->id != 0; table++) {
        if (table->letter == letter) {
            return table;
        }
    }
    return NULL;
}

static unsigned collect_names(const struct mkv_option *table, const char **names, unsigned n)
{
    for (; table != NULL && table->id != 0 && n < GUESS_NAMES; table++) {
        names[n++] = table->name;
    }
    return n;
}

static int refuse_name(const struct mkv_options *options, const char *name)
{
    const char *names[GUESS_NAMES];
    unsigned n = collect_names(options->second, names, collect_names(options->first, names, 0));
    const char *guess = mkv_option_guess(name, names, n);

    if (guess != NULL) {
        (void)mkv_say(MKV_EXIT_USAGE, "--%s: no such option; did you mean --%s?", name, guess);
    } else {
        (void)mkv_say(MKV_EXIT_USAGE,
                      "--%s: no such option; '--help' lists them, '--' goes before a word that "
                      "begins with '-'",
                      name);
    }
    return MKV_OPTION_BAD;
}

/* The next of argv as the argument of the option that was spelled @dashes and @name. */
static int take_argument(struct mkv_options *options,
                         const struct mkv_option *option,
                         const char **ret_value)
{
    if (options->at == options->argc) {
        (void)mkv_say(MKV_EXIT_USAGE, "--%s: its argument is missing; write --%s %s", option->name,
                      option->name, option->argument);
        return MKV_OPTION_BAD;
    }
    *ret_value = options->argv[options->at++];
    return option->id;
}

static int take_name(struct mkv_options *options, const char *name, const char **ret_value)
{
    const char *equals = strchr(name, '=');
    size_t len = equals != NULL ? (size_t)(equals - name) : strlen(name);
    const struct mkv_option *option = find_name(options->first, name, len);

    if (option == NULL) {
        option = find_name(options->second, name, len);
    }
    if (option == NULL) {
        return refuse_name(options, name);
    }
    if (option->argument == NULL && equals != NULL) {
        (void)mkv_say(MKV_EXIT_USAGE, "--%s takes no argument; leave out %s", option->name, equals);
        return MKV_OPTION_BAD;
    }
    if (option->argument != NULL && equals == NULL) {
        return take_argument(options, option, ret_value);
    }
    *ret_value = equals != NULL ? equals + 1 : NULL;
    return option->id;
}

static int take_letter(struct mkv_options *options, const char **ret_value)
{
    const char *rest = options->cluster + 1;
    const struct mkv_option *option = find_letter(options->first, options->cluster[0]);

    if (option == NULL) {
        option = find_letter(options->second, options->cluster[0]);
    }
    if (option == NULL) {
        (void)mkv_say(MKV_EXIT_USAGE,
                      "-%s: no such option; '--help' lists them, '--' goes before a word that "
                      "begins with '-'",
                      options->cluster);
        return MKV_OPTION_BAD;
    }
    options->cluster = option->argument == NULL && rest[0] != '\0' ? rest : NULL;
    if (option->argument != NULL && rest[0] == '\0') {
        return take_argument(options, option, ret_value);
    }
    *ret_value = option->argument != NULL ? rest : NULL;
    return option->id;
}

static bool is_option(const char *word)
{
    return word[0] == '-' && word[1] != '\0' && word[1] != '.' && (word[1] < '0' || word[1] > '9');
}

int mkv_options_next(struct mkv_options *options, const char **ret_value)
{
    *ret_value = NULL;
    if (options->cluster != NULL) {
        return take_letter(options, ret_value);
    }
    if (options->at < options->argc && !options->words_only &&
        strcmp(options->argv[options->at], "--") == 0) {
        options->words_only = true;
        options->at++;
    }
    if (options->at == options->argc) {
        return MKV_OPTION_END;
    }

    const char *word = options->argv[options->at++];

    if (options->words_only || !is_option(word)) {
        *ret_value = word;
        return MKV_OPTION_WORD;
    }
    if (word[1] == '-') {
        return take_name(options, word + 2, ret_value);
    }
    options->cluster = word + 1;
    return take_letter(options, ret_value);
}
