/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the program ends: statuses that scripts rely on.
 *
 * A function that returns one of them has told the user why, unless it is OK.
 */
#ifndef MKV_CLI_EXIT_H
#define MKV_CLI_EXIT_H

enum mkv_exit {
    MKV_EXIT_OK = 0,
    MKV_EXIT_NOT_FOUND = 1,
    MKV_EXIT_USAGE = 2,
    MKV_EXIT_NO_CONNECTION = 3, /* or no answer in time */
    MKV_EXIT_NOT_AUTHORISED = 4,
    MKV_EXIT_CONFLICT = 5,      /* a write of this command lost against another one */
    MKV_EXIT_BAD_DATA = 6,      /* a value, a path, a file */
    MKV_EXIT_NOT_WRITING = 7,   /* or, if that was asked for, not all servers have the same */
    MKV_EXIT_INTERRUPTED = 130, /* as shells call an end by SIGINT ... */
    MKV_EXIT_PIPE = 141,        /* ... and one by SIGPIPE: nobody reads the output any more */
};

/* Which one stands for an error of the library or of ours; @error is negative. */
enum mkv_exit mkv_exit_of(int error);

/* What the number means, for help; NULL if it is none of the above. */
const char *mkv_exit_text(unsigned number);

#endif
