/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the user's terminal can do, found without asking the locale of the C library.
 */
#ifndef MKV_CLI_TERMINAL_H
#define MKV_CLI_TERMINAL_H

#include "base/bytes.h"

/* Columns of standard output: COLUMNS, else the terminal's; 0: it is no terminal, cut nothing. */
unsigned mkv_terminal_width(void);

/* Whether LC_ALL, LC_CTYPE or LANG, the first that is set, names UTF-8. */
bool mkv_terminal_utf8(void);

/* How many columns @text takes, which is UTF-8 without control characters. */
size_t mkv_terminal_columns(struct mkv_bytes text);

/* The longest beginning of @text that takes at most @columns. */
struct mkv_bytes mkv_terminal_cut(struct mkv_bytes text, size_t columns);

/*
 * Asks a question on the terminal and tells whether the answer was yes.  Without a terminal for
 * questions and answers, nobody is asked: yes.
 */
bool mkv_terminal_confirm(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
