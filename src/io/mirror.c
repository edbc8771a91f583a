/* SPDX-License-Identifier: Apache-2.0 */
#include "io/mirror.h"

#include <errno.h>
#include <event2/event.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/mem.h"

#define FIRST_CAP 8U

void mkv_mirror_init(struct mkv_mirror *mirror)
{
    *mirror = (struct mkv_mirror){.epoll_fd = -1, .timer_fd = -1};
}

void mkv_mirror_deinit(struct mkv_mirror *mirror)
{
    if (mirror->epoll_fd >= 0) {
        (void)close(mirror->epoll_fd);
        (void)close(mirror->timer_fd);
    }
    mkv_mem_free(mirror->fds);
    mkv_mirror_init(mirror);
}

int mkv_mirror_open(struct mkv_mirror *mirror)
{
    if (mirror->epoll_fd >= 0) {
        return 0;
    }

    int timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event interest = {.events = EPOLLIN, .data.fd = timer_fd};

    if (timer_fd >= 0 && epoll_fd >= 0 &&
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer_fd, &interest) == 0) {
        mirror->timer_fd = timer_fd;
        mirror->epoll_fd = epoll_fd;
        return 0;
    }
    if (timer_fd >= 0) {
        (void)close(timer_fd);
    }
    if (epoll_fd >= 0) {
        (void)close(epoll_fd);
    }
    return MKV_E_IO;
}

static struct mkv_mirror_fd *find_fd(struct mkv_mirror *mirror, int fd)
{
    for (size_t i = 0; i < mirror->n_fds; i++) {
        if (mirror->fds[i].fd == fd) {
            return &mirror->fds[i];
        }
    }
    return NULL;
}

static struct mkv_mirror_fd *add_fd(struct mkv_mirror *mirror, int fd)
{
    if (mirror->n_fds == mirror->cap) {
        size_t cap = mirror->cap > 0 ? 2 * mirror->cap : FIRST_CAP;
        struct mkv_mirror_fd *fds = mkv_mem_resize(mirror->fds, cap * sizeof(*fds));

        if (fds == NULL) {
            return NULL;
        }
        mirror->fds = fds;
        mirror->cap = cap;
    }

    struct mkv_mirror_fd *added = &mirror->fds[mirror->n_fds++];

    *added = (struct mkv_mirror_fd){.fd = fd};
    return added;
}

/* Called by libevent for each event it knows; non-zero ends the walk. */
static int note_event(const struct event_base *base, const struct event *event, void *context)
{
    struct mkv_mirror *mirror = context;
    int pending = event_pending(event, EV_READ | EV_WRITE, NULL);

    (void)base;
    if (pending == 0) {
        return 0;
    }

    int fd = event_get_fd(event);
    struct mkv_mirror_fd *watched = find_fd(mirror, fd);

    if (watched == NULL) {
        watched = add_fd(mirror, fd);
    }
    if (watched == NULL) {
        return -1;
    }
    watched->wanted |= (pending & EV_READ) != 0 ? (uint32_t)EPOLLIN : 0U;
    watched->wanted |= (pending & EV_WRITE) != 0 ? (uint32_t)EPOLLOUT : 0U;
    return 0;
}

/*
 * Says it to the kernel even if it seems to be known: a descriptor may have been closed and opened
 * again under the same number since, and the kernel forgets at close.
 */
static bool tell_kernel(const struct mkv_mirror *mirror, const struct mkv_mirror_fd *watched)
{
    struct epoll_event interest = {.events = watched->wanted, .data.fd = watched->fd};

    if (watched->wanted == 0) {
        (void)epoll_ctl(mirror->epoll_fd, EPOLL_CTL_DEL, watched->fd, NULL); /* closed: gone */
        return true;
    }
    if (epoll_ctl(mirror->epoll_fd, EPOLL_CTL_MOD, watched->fd, &interest) == 0) {
        return true;
    }
    return errno == ENOENT &&
           epoll_ctl(mirror->epoll_fd, EPOLL_CTL_ADD, watched->fd, &interest) == 0;
}

static bool sync_fds(struct mkv_mirror *mirror, struct event_base *base)
{
    size_t n_kept = 0;

    for (size_t i = 0; i < mirror->n_fds; i++) {
        mirror->fds[i].wanted = 0;
    }

    bool complete = event_base_foreach_event(base, note_event, mirror) == 0;

    for (size_t i = 0; i < mirror->n_fds; i++) {
        if (!tell_kernel(mirror, &mirror->fds[i])) {
            complete = false;
        }
        if (mirror->fds[i].wanted != 0) {
            mirror->fds[n_kept++] = mirror->fds[i];
        }
    }
    mirror->n_fds = n_kept;
    return complete;
}

static bool is_before(const struct timeval *a, const struct timeval *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_usec < b->tv_usec;
}

struct earliest {
    const struct event *probe; /* does not count */
    bool found;
    struct timeval at; /* on whatever clock event_pending() uses */
};

static int note_timer(const struct event_base *base, const struct event *event, void *context)
{
    struct earliest *earliest = context;
    struct timeval at;

    (void)base;
    if (event == earliest->probe || event_pending(event, EV_TIMEOUT, &at) == 0) {
        return 0;
    }
    if (!earliest->found || is_before(&at, &earliest->at)) {
        earliest->found = true;
        earliest->at = at;
    }
    return 0;
}

int64_t mkv_mirror_wait_us(struct event_base *base, struct event *probe)
{
    struct earliest earliest = {.probe = probe};
    struct timeval now = {0};
    struct timeval left;

    if (event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE) > 0) {
        return 0;
    }
    /*
     * libevent tells the times of its timers as wall clock time, by a difference that may be
     * seconds old.  A timer set for now is told with the same error, so that it falls out.
     */
    if (evtimer_add(probe, &now) != 0) {
        return 0;
    }
    (void)event_pending(probe, EV_TIMEOUT, &now);
    (void)event_base_foreach_event(base, note_timer, &earliest);
    (void)evtimer_del(probe);
    if (!earliest.found) {
        return -1;
    }
    evutil_timersub(&earliest.at, &now, &left);
    return left.tv_sec < 0 ? 0 : (int64_t)left.tv_sec * 1000000 + left.tv_usec;
}

void mkv_mirror_sync(struct mkv_mirror *mirror,
                     struct event_base *base,
                     struct event *probe,
                     bool busy)
{
    struct itimerspec timer = {0}; /* all zero: disarmed */
    bool complete = sync_fds(mirror, base);
    int64_t wait_us = busy || !complete ? 0 : mkv_mirror_wait_us(base, probe);

    if (wait_us >= 0) {
        timer.it_value.tv_sec = (time_t)(wait_us / 1000000);
        timer.it_value.tv_nsec = (wait_us % 1000000) * 1000 + 1; /* 0 would disarm it */
    }
    (void)timerfd_settime(mirror->timer_fd, 0, &timer, NULL);
}
