/* SPDX-License-Identifier: Apache-2.0 */
#include "client/pipe.h"

#include <errno.h>
#include <time.h>

static void only_sigpipe(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGPIPE);
}

void mkv_pipe_guard(struct mkv_pipe_guard *guard)
{
    sigset_t pending;
    sigset_t sigpipe;

    (void)sigemptyset(&pending);
    (void)sigpending(&pending);
    guard->was_pending = sigismember(&pending, SIGPIPE) == 1;
    only_sigpipe(&sigpipe);
    (void)pthread_sigmask(SIG_BLOCK, &sigpipe, &guard->mask);
}

void mkv_pipe_unguard(const struct mkv_pipe_guard *guard)
{
    const struct timespec at_once = {0};
    int saved = errno;
    sigset_t sigpipe;

    only_sigpipe(&sigpipe);
    if (!guard->was_pending) {
        while (sigtimedwait(&sigpipe, NULL, &at_once) < 0 && errno == EINTR) {
        }
    }
    (void)pthread_sigmask(SIG_SETMASK, &guard->mask, NULL);
    errno = saved;
}
