/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Help, made from the tables that are parsed.
 */
#ifndef MKV_CLI_HELP_H
#define MKV_CLI_HELP_H

#include "cli/cli.h"

/* The verbs and the global options. */
void mkv_help_all(struct mkv_out *out);

/* One verb: synopsis, options, examples, exit codes. */
void mkv_help_verb(struct mkv_out *out, const struct mkv_verb *verb);

#endif
