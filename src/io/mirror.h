/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One descriptor that stands for a whole libevent base, in somebody else's event loop.
 *
 * libevent does not give away its own epoll descriptor, so this keeps a second epoll set with the
 * same interests, and in it a timer descriptor for the earliest timer.  Others poll it; nobody
 * waits on it or reads from it here.  Syncing costs one system call per watched descriptor, which
 * is fine for a client with its handful and is not done at all unless somebody asked.
 */
#ifndef MKV_IO_MIRROR_H
#define MKV_IO_MIRROR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct event;
struct event_base;

struct mkv_mirror_fd {
    int fd;
    uint32_t wanted; /* EPOLLIN | EPOLLOUT; 0: to be forgotten */
};

struct mkv_mirror {
    int epoll_fd; /* -1 until mkv_mirror_open() */
    int timer_fd;
    struct mkv_mirror_fd *fds; /* owned */
    size_t n_fds;
    size_t cap;
};

/* A closed mirror. */
void mkv_mirror_init(struct mkv_mirror *mirror);
void mkv_mirror_deinit(struct mkv_mirror *mirror);

/* Does nothing if it is open.  IO: no descriptor to be had; it stays closed. */
int mkv_mirror_open(struct mkv_mirror *mirror) MKV_MUST_CHECK;

/*
 * Takes over the present interests of @base; with @busy, or if that fails for want of memory, the
 * descriptor becomes readable at once.  @probe is a timer of @base that is not in use.
 */
void mkv_mirror_sync(struct mkv_mirror *mirror,
                     struct event_base *base,
                     struct event *probe,
                     bool busy);

/*
 * Microseconds until @base has something to do by itself: 0 if it has now, -1 for never.  @probe as
 * above.
 */
int64_t mkv_mirror_wait_us(struct event_base *base, struct event *probe);

#endif
