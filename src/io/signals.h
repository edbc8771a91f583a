/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals, for programs only: a library must leave its user's signals alone.
 *
 * Ends of child processes are not here: io/broker.h watches its child by a descriptor.
 */
#ifndef MKV_IO_SIGNALS_H
#define MKV_IO_SIGNALS_H

#include "base/error.h"
#include "io/loop.h"

struct mkv_signals;

/*
 * Calls @fn(context, signal) from the loop at SIGTERM, SIGINT and SIGHUP, and makes the process
 * ignore SIGPIPE and SIGXFSZ.  One at a time in a process.  NO_MEMORY.
 */
int mkv_signals_new(struct mkv_loop *loop,
                    void (*fn)(void *context, int signal_number),
                    void *context,
                    struct mkv_signals **ret_signals) MKV_MUST_CHECK;

/* Restores the default actions.  NULL is fine. */
void mkv_signals_free(struct mkv_signals *signals);

#endif
