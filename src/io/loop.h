/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop: one thread, and every callback of this room comes out of mkv_loop_run_once().
 *
 *     daemon:   for (;;) mkv_loop_run_once(loop, -1);
 *
 *     library:  poll(mkv_loop_fd(loop)) in the user's own loop, then mkv_loop_run_once(loop, 0)
 *
 * No function of this room calls back before it has returned: what has to be told is told from the
 * next mkv_loop_run_once().  Any object may be freed inside any callback, its own included.
 *
 * Order of ending: links, listeners, mqtt and broker first, then the loop.
 */
#ifndef MKV_IO_LOOP_H
#define MKV_IO_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct event;
struct event_base;
struct mkv_loop;

#define MKV_LOOP_NEVER INT64_MAX /* as a deadline: none */

typedef void mkv_loop_fn(void *context);

/* NO_MEMORY; IO if the kernel gives no file descriptor. */
int mkv_loop_new(struct mkv_loop **ret_loop) MKV_MUST_CHECK;

/* Runs what is still deferred, then frees.  NULL is fine. */
void mkv_loop_free(struct mkv_loop *loop);

/*
 * Waits at most @timeout_ms (0: not at all; negative: as long as it takes) for something to happen
 * and calls back for all that has.  Returns after one turn, also when nothing happened.  May not
 * be called from a callback.  IO if the kernel refuses to wait.
 */
int mkv_loop_run_once(struct mkv_loop *loop, int timeout_ms) MKV_MUST_CHECK;

/*
 * The owner's one timer: @fn is called once when the monotonic clock (io/clock.h) reaches @at_ms;
 * a new deadline replaces the old one, MKV_LOOP_NEVER takes it away.  It is not called before a
 * deadline was set after it fired.
 */
void mkv_loop_on_deadline(struct mkv_loop *loop, mkv_loop_fn *fn, void *context);
void mkv_loop_set_deadline(struct mkv_loop *loop, int64_t at_ms);

/*
 * For a loop inside somebody else's: a descriptor that polls readable whenever mkv_loop_run_once()
 * has something to do, timers included.  It is the loop's own: do not close it, read it or set it.
 * -1 if there is no room for it (descriptors, memory).  From the first call on the loop keeps it
 * up to date by itself at the end of each turn; after calls made outside of a turn that begin or
 * end I/O (new links, sending, deadlines) mkv_loop_settle() must be called before the next poll.
 */
int mkv_loop_fd(struct mkv_loop *loop);
void mkv_loop_settle(struct mkv_loop *loop);

/* How long a poll on that descriptor may at most wait; -1: for ever. */
int mkv_loop_timeout_ms(struct mkv_loop *loop);

/* What follows is for the other modules of this room. */

struct event_base *mkv_loop_base(struct mkv_loop *loop);

/* Something to do at the end of this turn, outside of all other callbacks; embedded in its owner. */
struct mkv_task {
    mkv_loop_fn *fn;
    void *context;
    struct mkv_task *next;
    bool queued;
};

/* Queues @task; does nothing if it is queued already.  It runs once, and may free its own memory. */
void mkv_task_defer(struct mkv_loop *loop, struct mkv_task *task);

/* Takes @task out of the queue, if it is there. */
void mkv_task_cancel(struct mkv_loop *loop, struct mkv_task *task);

/* A timer; the zero value is one that was never set. */
struct mkv_timer {
    struct event *event; /* owned */
    mkv_loop_fn *fn;
    void *context;
};

/* NO_MEMORY. */
int mkv_timer_init(struct mkv_timer *timer, struct mkv_loop *loop, mkv_loop_fn *fn, void *context)
    MKV_MUST_CHECK;
void mkv_timer_deinit(struct mkv_timer *timer);

/* Calls once, @after_ms (0 or more) from now; replaces what was set before. */
void mkv_timer_set(struct mkv_timer *timer, int64_t after_ms);
void mkv_timer_clear(struct mkv_timer *timer);

#endif
