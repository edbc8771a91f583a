/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passwords: asked for on the terminal, without showing them, or read from a file; never an argument, which
 * others on the machine could see.
 */
#ifndef MKV_CLI_SECRET_H
#define MKV_CLI_SECRET_H

#include <stdbool.h>

#include "base/error.h"
#include "cli/exit.h"

#define MKV_SECRET_MAX 1025U /* with the NUL */

/*
 * The first line of @file ("-": of standard input); or, if that is NULL, what is typed on the terminal, @twice if
 * it is a new one.  Otherwise the user has been told.
 */
enum mkv_exit mkv_secret_ask(const char *file,
                             const char *user,
                             bool twice,
                             char ret_secret[MKV_SECRET_MAX]) MKV_MUST_CHECK;

#endif
