/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A real server for a test: moat-kvd, as named by MOAT_KVD, in a directory of its own.
 */
#ifndef MKV_TESTS_CLIENT_DAEMON_H
#define MKV_TESTS_CLIENT_DAEMON_H

#include <sys/types.h>

struct daemon {
    pid_t pid; /* 0: not running */
    char state[64];
    char server[96];  /* its address */
    char broker[128]; /* as it said when it was ready */
};

/* Makes the directory. */
void daemon_init(struct daemon *daemon);

/* Starts it and waits until it is ready; @broker: NULL for an embedded one. */
void daemon_start(struct daemon *daemon, const char *broker);

/* Sends @signal and waits for its end. */
void daemon_stop(struct daemon *daemon, int signal);

/* Stops it and removes the directory. */
void daemon_deinit(struct daemon *daemon);

#endif
