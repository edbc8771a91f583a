/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options that every verb takes.
 */
#ifndef MKV_CLI_GLOBAL_H
#define MKV_CLI_GLOBAL_H

#include "base/error.h"
#include "cli/cli.h"

/* For the help, and for cli/option.h. */
extern const struct mkv_option mkv_global_options[];

/* Whether @id is one of them. */
bool mkv_global_is(int id);

/* Keeps one in @cli; or says what is wrong with it. */
enum mkv_exit mkv_global_take(struct mkv_cli *cli, int id, const char *value) MKV_MUST_CHECK;

#endif
