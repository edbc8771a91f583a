/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Setting a user's password: `passwd USER`, and the same as `user passwd USER`.
 */
#ifndef MKV_CLI_PASSWD_H
#define MKV_CLI_PASSWD_H

#include "base/error.h"
#include "cli/cli.h"

/*
 * Gets the password from @file, or (NULL) asks for it; then connects, and waits until the server has it.
 * Both texts are borrowed.  Otherwise the user of the program has been told.
 */
enum mkv_exit mkv_passwd(struct mkv_cli *cli, const char *user, const char *file) MKV_MUST_CHECK;

#endif
