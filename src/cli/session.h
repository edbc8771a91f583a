/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection of one command: opened once, waited on with a limit, closed at the end.
 *
 * A verb starts operations of <moatkv/client.h> and waits for what their callbacks set:
 *
 *     mkv_session_open  ->  moatkv_get(...)  ->  mkv_session_wait(&done)  ->  mkv_session_close
 *
 * The limit (--timeout, 10 s) is on silence, not on work: callbacks call mkv_session_progress(),
 * and a long import goes on for as long as something goes on.  When a wait fails, the session is
 * closed at once, so that no callback comes later than the function that waits for it.
 */
#ifndef MKV_CLI_SESSION_H
#define MKV_CLI_SESSION_H

#include "base/error.h"
#include "cli/cli.h"

/* Connects, and tells the user if that fails. */
enum mkv_exit mkv_session_open(struct mkv_cli *cli) MKV_MUST_CHECK;

/* Completes all open operations with CANCELLED.  Without a session it does nothing. */
void mkv_session_close(struct mkv_cli *cli);

/*
 * From now on SIGINT and SIGTERM do not kill: waits return MKV_EXIT_INTERRUPTED, so that the
 * command can leave things in order.
 */
enum mkv_exit mkv_session_catch_signals(struct mkv_cli *cli) MKV_MUST_CHECK;

/* Something went on: the time limit starts anew. */
void mkv_session_progress(struct mkv_cli *cli);

/* The same, and it shows that the server can store. */
void mkv_session_stored(struct mkv_cli *cli);

/*
 * Waits for something to happen, at cli->also_fd as well, once, and at most @wait_ms (-1: for ever).  INTERRUPTED; PIPE if
 * cli->ends_with_reader says so; and the status of the output, which is flushed.
 */
enum mkv_exit mkv_session_step(struct mkv_cli *cli, int wait_ms) MKV_MUST_CHECK;

/* Steps until *done, or there was no progress for too long: that is told to the user. */
enum mkv_exit mkv_session_wait(struct mkv_cli *cli, const bool *done) MKV_MUST_CHECK;

/*
 * Steps until *done, or the --timeout is over, which here is the time that all of it may take: that
 * is no failure.
 */
enum mkv_exit mkv_session_follow(struct mkv_cli *cli, const bool *done) MKV_MUST_CHECK;

/* Milliseconds of the monotonic clock. */
int64_t mkv_session_now_ms(void);

/*
 * Waits until the server has told of the conflicts that it knows, since they travel on the same
 * way as the answer; then the command's status: CONFLICT if a write of it lost.
 */
enum mkv_exit mkv_session_settle(struct mkv_cli *cli) MKV_MUST_CHECK;

/* Says that @what failed with @error, in words of the library where it has some. */
enum mkv_exit mkv_session_fail(struct mkv_cli *cli, int error, const char *what);

#endif
