/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps SIGPIPE away from the application.
 *
 * The libraries below us write to sockets without MSG_NOSIGNAL.  The signal's disposition is the
 * process's, and not ours to change; but it is sent to the writing thread, so that we can hold it
 * back and swallow it, unless one was pending already.
 */
#ifndef MKV_CLIENT_PIPE_H
#define MKV_CLIENT_PIPE_H

#include <signal.h>
#include <stdbool.h>

struct mkv_pipe_guard {
    bool was_pending; /* then nothing needs to be done: it is held back anyway */
    sigset_t mask;    /* to be restored */
};

void mkv_pipe_guard(struct mkv_pipe_guard *guard);
void mkv_pipe_unguard(const struct mkv_pipe_guard *guard);

#endif
