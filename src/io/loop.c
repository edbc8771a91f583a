/* SPDX-License-Identifier: Apache-2.0 */
#include "io/loop.h"

#include <event2/event.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "base/assert.h"
#include "base/mem.h"
#include "io/clock.h"
#include "io/mirror.h"

#define TASK_ROUNDS_MAX 100 /* tasks that queue tasks for ever must not keep I/O from its turn */

struct mkv_loop {
    struct event_base *base;
    struct mkv_task *first_task;
    struct mkv_task **last_task; /* where the next one is hung */
    struct mkv_timer deadline;
    mkv_loop_fn *deadline_fn;
    void *deadline_context;
    struct event *wait_limit; /* ends a turn in which nothing else happens */
    struct mkv_mirror mirror;
    bool running;
};

static int new_base(struct event_base **ret_base)
{
    struct event_config *config = event_config_new();

    if (config == NULL) {
        return MKV_E_NO_MEMORY;
    }
    /* One thread: no locks.  A descriptor-based backend is required for the mirror. */
    (void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    (void)event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
    (void)event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
    *ret_base = event_base_new_with_config(config);
    event_config_free(config);
    return *ret_base != NULL ? 0 : MKV_E_IO;
}

static void on_wait_limit(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    (void)context; /* it has done its work by waking the loop */
}

static void on_deadline(void *context)
{
    struct mkv_loop *loop = context;

    if (loop->deadline_fn != NULL) {
        loop->deadline_fn(loop->deadline_context);
    }
}

int mkv_loop_new(struct mkv_loop **ret_loop)
{
    struct mkv_loop *loop = mkv_mem_alloc(sizeof(*loop));

    if (loop == NULL) {
        return MKV_E_NO_MEMORY;
    }
    loop->last_task = &loop->first_task;
    mkv_mirror_init(&loop->mirror);

    int error = new_base(&loop->base);

    if (error == 0) {
        error = mkv_timer_init(&loop->deadline, loop, on_deadline, loop);
    }
    if (error == 0) {
        loop->wait_limit = evtimer_new(loop->base, on_wait_limit, NULL);
        error = loop->wait_limit != NULL ? 0 : MKV_E_NO_MEMORY;
    }
    if (error != 0) {
        mkv_loop_free(loop);
        return error;
    }
    *ret_loop = loop;
    return 0;
}

struct event_base *mkv_loop_base(struct mkv_loop *loop)
{
    return loop->base;
}

void mkv_task_defer(struct mkv_loop *loop, struct mkv_task *task)
{
    if (task->queued) {
        return;
    }
    task->queued = true;
    task->next = NULL;
    *loop->last_task = task;
    loop->last_task = &task->next;
}

void mkv_task_cancel(struct mkv_loop *loop, struct mkv_task *task)
{
    if (!task->queued) {
        return;
    }
    for (struct mkv_task **at = &loop->first_task; *at != NULL; at = &(*at)->next) {
        if (*at == task) {
            *at = task->next;
            if (loop->last_task == &task->next) {
                loop->last_task = at;
            }
            break;
        }
    }
    task->queued = false;
}

/* One at a time from the front: a task may cancel or free those behind it. */
static void run_tasks(struct mkv_loop *loop)
{
    for (int n = 0; n < TASK_ROUNDS_MAX && loop->first_task != NULL; n++) {
        struct mkv_task *task = loop->first_task;

        mkv_task_cancel(loop, task);
        task->fn(task->context);
    }
}

/*
 * Writing to a connection whose peer has gone raises SIGPIPE, which would end a program that uses
 * our library.  Changing its handler is not ours to do, so the signal is blocked during a turn and
 * what we caused is taken back.
 */
struct pipe_guard {
    sigset_t before;
    bool was_pending;
};

static bool is_pending(int signal_number)
{
    sigset_t pending;

    (void)sigpending(&pending);
    return sigismember(&pending, signal_number) == 1;
}

static void guard_enter(struct pipe_guard *guard)
{
    sigset_t pipe_only;

    (void)sigemptyset(&pipe_only);
    (void)sigaddset(&pipe_only, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &pipe_only, &guard->before);
    /* Only one that the program itself has blocked can have been left pending. */
    guard->was_pending = sigismember(&guard->before, SIGPIPE) == 1 && is_pending(SIGPIPE);
}

static void guard_leave(const struct pipe_guard *guard)
{
    sigset_t pipe_only;
    const struct timespec at_once = {0};

    (void)sigemptyset(&pipe_only);
    (void)sigaddset(&pipe_only, SIGPIPE);
    if (!guard->was_pending && is_pending(SIGPIPE)) {
        (void)sigtimedwait(&pipe_only, NULL, &at_once);
    }
    (void)pthread_sigmask(SIG_SETMASK, &guard->before, NULL);
}

static struct timeval as_timeval(int64_t ms)
{
    return (struct timeval){.tv_sec = (time_t)(ms / 1000), .tv_usec = (ms % 1000) * 1000};
}

static int turn(struct mkv_loop *loop, int timeout_ms)
{
    int flags = EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY;

    if (timeout_ms == 0 || loop->first_task != NULL) {
        flags = EVLOOP_NONBLOCK;
    } else if (timeout_ms > 0) {
        struct timeval limit = as_timeval(timeout_ms);

        if (evtimer_add(loop->wait_limit, &limit) != 0) {
            return MKV_E_NO_MEMORY;
        }
    }

    int result = event_base_loop(loop->base, flags);

    (void)evtimer_del(loop->wait_limit);
    return result < 0 ? MKV_E_IO : 0;
}

int mkv_loop_fd(struct mkv_loop *loop)
{
    if (mkv_mirror_open(&loop->mirror) != 0) {
        return -1;
    }
    mkv_loop_settle(loop);
    return loop->mirror.epoll_fd;
}

void mkv_loop_settle(struct mkv_loop *loop)
{
    if (loop->mirror.epoll_fd >= 0 && !loop->running) {
        mkv_mirror_sync(&loop->mirror, loop->base, loop->wait_limit, loop->first_task != NULL);
    }
}

int mkv_loop_run_once(struct mkv_loop *loop, int timeout_ms)
{
    struct pipe_guard guard;

    MKV_ASSERT(!loop->running);
    loop->running = true;
    guard_enter(&guard);

    int error = turn(loop, timeout_ms);

    run_tasks(loop);
    guard_leave(&guard);
    loop->running = false;
    mkv_loop_settle(loop);
    return error;
}

/* Objects freed just now still wait for their memory to be given back, here and in libevent. */
static void finish_deferred(struct mkv_loop *loop)
{
    struct pipe_guard guard;
    int n_rounds = 0;

    guard_enter(&guard);
    do {
        (void)event_base_loop(loop->base, EVLOOP_NONBLOCK);
        run_tasks(loop);
    } while (loop->first_task != NULL && ++n_rounds < TASK_ROUNDS_MAX);
    guard_leave(&guard);
}

void mkv_loop_free(struct mkv_loop *loop)
{
    if (loop == NULL) {
        return;
    }
    if (loop->base != NULL) {
        finish_deferred(loop);
        mkv_timer_deinit(&loop->deadline);
        if (loop->wait_limit != NULL) {
            event_free(loop->wait_limit);
        }
        event_base_free(loop->base);
    }
    mkv_mirror_deinit(&loop->mirror);
    mkv_mem_free(loop);
}

int mkv_loop_timeout_ms(struct mkv_loop *loop)
{
    if (loop->first_task != NULL || loop->running) {
        return 0;
    }

    int64_t wait_us = mkv_mirror_wait_us(loop->base, loop->wait_limit);

    if (wait_us < 0) {
        return -1;
    }
    return wait_us > INT64_C(1000) * (INT_MAX - 1) ? INT_MAX : (int)((wait_us + 999) / 1000);
}

void mkv_loop_on_deadline(struct mkv_loop *loop, mkv_loop_fn *fn, void *context)
{
    loop->deadline_fn = fn;
    loop->deadline_context = context;
}

void mkv_loop_set_deadline(struct mkv_loop *loop, int64_t at_ms)
{
    if (at_ms == MKV_LOOP_NEVER) {
        mkv_timer_clear(&loop->deadline);
        return;
    }

    int64_t now_ms = mkv_clock_monotonic_ms();

    mkv_timer_set(&loop->deadline, at_ms > now_ms ? at_ms - now_ms : 0);
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
    struct mkv_timer *timer = context;

    (void)fd;
    (void)what;
    timer->fn(timer->context);
}

int mkv_timer_init(struct mkv_timer *timer, struct mkv_loop *loop, mkv_loop_fn *fn, void *context)
{
    struct event *event = evtimer_new(loop->base, on_timer, timer);

    if (event == NULL) {
        return MKV_E_NO_MEMORY;
    }
    *timer = (struct mkv_timer){.event = event, .fn = fn, .context = context};
    return 0;
}

void mkv_timer_deinit(struct mkv_timer *timer)
{
    if (timer->event != NULL) {
        event_free(timer->event);
    }
    *timer = (struct mkv_timer){0};
}

void mkv_timer_set(struct mkv_timer *timer, int64_t after_ms)
{
    struct timeval after = as_timeval(after_ms);

    (void)evtimer_del(timer->event);
    if (evtimer_add(timer->event, &after) != 0) {
        event_active(timer->event, EV_TIMEOUT, 0); /* no memory: too early is better than never */
    }
}

void mkv_timer_clear(struct mkv_timer *timer)
{
    if (timer->event != NULL) {
        (void)evtimer_del(timer->event);
    }
}
