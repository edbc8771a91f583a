/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The embedded broker: a mosquitto of our own, started, watched and ended as a child process.
 *
 *     mkv_broker_new() -> starting --ready()--> running --down()--> waits 0.1 s ... 10 s --+
 *                            ^                                                             |
 *                            +-------------------------------------------------------------+
 *
 * It listens on `<state_dir>/broker.sock`, on a port of 127.0.0.1, or both; it stores nothing.
 * Its configuration is `<state_dir>/broker.conf`, written anew (mode 0600) at each start.  There is
 * at most one child at a time, it ends when this process ends in whatever way, and no other
 * mosquitto of the machine is ever touched.
 *
 * The broker runs as the user of this process.  A root process tells it to stay root, since a
 * mosquitto that changes its user would outlive us and could not reach the state directory: run
 * the server as a user of its own.
 */
#ifndef MKV_IO_BROKER_H
#define MKV_IO_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "io/address.h"
#include "io/loop.h"
#include "io/why.h"

#define MKV_BROKER_START_MS     10000              /* not running by then: killed, down(TIMEOUT) */
#define MKV_BROKER_STOP_MS      3000               /* from SIGTERM to SIGKILL */
#define MKV_BROKER_CLIENT_BYTES ((size_t)64 << 20) /* default of client_bytes_max */

#define MKV_BROKER_SOCKET "broker.sock" /* in state_dir */

struct mkv_broker;

struct mkv_broker_options {
    const char *state_dir;   /* exists; absolute */
    const char *binary;      /* NULL: looked for in the usual places and the PATH */
    bool unix_socket;        /* listen on <state_dir>/broker.sock */
    bool tcp;                /* listen on 127.0.0.1 */
    uint16_t port;           /* for tcp; 0: any free one, kept over restarts if possible */
    size_t client_bytes_max; /* what may wait for one slow client, twice; 0: the default */
    const char *guard;       /* the plugin moat-kv-guard.so; NULL: anybody may do anything */
    const char *rights;      /* ... and the file that it goes by, seen from state_dir */
};

struct mkv_broker_events {
    /* It accepts connections; called at each start.  The port may have changed. */
    void (*ready)(void *context);

    /*
     * It could not start, or ended unasked.  It is started again after a while.  LOCKED: port or
     * socket are in use; IO, NOT_FOUND, TIMEOUT.  @why has its last words and the mend.
     */
    void (*down)(void *context, int error, const struct mkv_why *why);

    /* It has ended after mkv_broker_stop(). */
    void (*stopped)(void *context);

    /* One line of its log, without line end.  May be NULL. */
    void (*line)(void *context, const char *text);
};

/*
 * Begins to start it.  @options and @events are copied.  NOT_FOUND: there is no mosquitto;
 * BAD_ARGUMENT; NO_MEMORY.  The text is in @why (may be NULL).
 */
int mkv_broker_new(struct mkv_loop *loop,
                   const struct mkv_broker_options *options,
                   const struct mkv_broker_events *events,
                   void *context,
                   struct mkv_why *why,
                   struct mkv_broker **ret_broker) MKV_MUST_CHECK;

/* Asks it to end; `stopped` follows, within MKV_BROKER_STOP_MS. */
void mkv_broker_stop(struct mkv_broker *broker);

/* Kills it if it still runs, waits for that (briefly), and frees.  NULL is fine. */
void mkv_broker_free(struct mkv_broker *broker);

bool mkv_broker_is_running(const struct mkv_broker *broker);

/* The child, or 0 while there is none. */
pid_t mkv_broker_pid(const struct mkv_broker *broker);

/* Where to connect; each is false if it does not listen there. */
bool mkv_broker_unix_address(const struct mkv_broker *broker, struct mkv_address *ret_address);
bool mkv_broker_tcp_address(const struct mkv_broker *broker, struct mkv_address *ret_address);

#endif
