/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the user is told on standard error: one line each, "moat-kv: what: why; mend".
 *
 * What a terminal might act upon is escaped, so texts from anywhere may go into the format.
 */
#ifndef MKV_CLI_SAY_H
#define MKV_CLI_SAY_H

#include "cli/exit.h"

/* Says it and returns @status, so that a refusal is one statement. */
enum mkv_exit mkv_say(enum mkv_exit status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
