/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/help.h"

#include <stdio.h>

#include "cli/global.h"
#include "cli/verbs.h"

static void put_options(struct mkv_out *out, const struct mkv_option *option)
{
    for (; option->id != 0; option++) {
        char spelled[64];

        (void)snprintf(spelled, sizeof(spelled), "%c%c%s--%s%s%s", option->letter != 0 ? '-' : ' ',
                       option->letter != 0 ? option->letter : ' ',
                       option->letter != 0 ? ", " : "  ", option->name,
                       option->argument != NULL ? " " : "",
                       option->argument != NULL ? option->argument : "");
        mkv_out_printf(out, "  %-24s ", spelled);
        mkv_out_puts(out, option->help);
        mkv_out_puts(out, "\n");
    }
}

void mkv_help_all(struct mkv_out *out)
{
    mkv_out_puts(out, "Usage: moat-kv [OPTION]... VERB [ARGUMENT]...\n"
                      "Reads, writes and watches a MoaT-KV tree.\n\nVerbs:\n");
    for (unsigned i = 0; mkv_verbs[i] != NULL; i++) {
        mkv_out_printf(out, "  %-8s ", mkv_verbs[i]->name);
        mkv_out_puts(out, mkv_verbs[i]->summary);
        mkv_out_puts(out, "\n");
    }
    mkv_out_puts(out, "\nOptions, before or after the verb:\n");
    put_options(out, mkv_global_options);
    mkv_out_puts(
        out, "\nPaths are written like kitchen.lamp:2.on, the root is ':'. Without --server the "
             "addresses\nin MOAT_KV_SERVER are used, else the socket of this user's server. "
             "MOAT_KV_BROKER and\nMOAT_KV_ROOT stand for --broker and --root.\n\n"
             "'moat-kv help VERB' explains a verb, with examples and exit codes.\n");
}

static void put_examples(struct mkv_out *out, const struct mkv_verb *verb)
{
    mkv_out_puts(out, verb->examples[0].command == NULL ? "" : "\nExamples:\n");
    for (unsigned i = 0; i < MKV_CLI_EXAMPLES_MAX && verb->examples[i].command != NULL; i++) {
        mkv_out_puts(out, "  moat-kv ");
        mkv_out_puts(out, verb->examples[i].command);
        mkv_out_puts(out, "\n      ");
        mkv_out_puts(out, verb->examples[i].meaning);
        mkv_out_puts(out, "\n");
    }
}

static void put_exit(struct mkv_out *out, unsigned number)
{
    mkv_out_printf(out, "  %-3u %s\n", number, mkv_exit_text(number));
}

void mkv_help_verb(struct mkv_out *out, const struct mkv_verb *verb)
{
    mkv_out_printf(out, "Usage: moat-kv %s%s%s [OPTION]...\n", verb->name,
                   verb->words[0] != '\0' ? " " : "", verb->words);
    mkv_out_puts(out, verb->summary);
    mkv_out_puts(out, ".\n");
    if (verb->more != NULL) {
        mkv_out_puts(out, "\n");
        mkv_out_puts(out, verb->more);
    }
    if (verb->options != NULL) {
        mkv_out_puts(out, "\nOptions:\n");
        put_options(out, verb->options);
    }
    mkv_out_puts(out, "\nOptions of every verb:\n");
    put_options(out, mkv_global_options);
    put_examples(out, verb);
    mkv_out_puts(out, "\nExit codes:\n");
    put_exit(out, MKV_EXIT_OK);
    for (const uint8_t *number = verb->exits; *number != 0; number++) {
        put_exit(out, *number);
    }
}
