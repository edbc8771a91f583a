/* SPDX-License-Identifier: Apache-2.0 */
#include "io/link.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"
#include "io/clock.h"
#include "io/resolve.h"
#include "io/socket.h"
#include "wire/frame.h"

#define LENGTH_LEN 4U     /* of a frame, before its map */
#define READ_LEN   65536U /* room for what follows a frame that is not yet complete */
#define IN_MAX     (MKV_FRAME_MAX + LENGTH_LEN + READ_LEN)

enum state {
    RESOLVING,  /* no socket yet */
    CONNECTING, /* one socket, not yet connected */
    SECURING,   /* agreeing on TLS */
    OPEN,
    UNREADABLE, /* open for sending only: the owner was told and shall close */
    FLUSHING,   /* mkv_link_close(): bytes are still queued */
    LINGERING,  /* all sent; waiting for the peer to hang up, lest a reset destroys what it got */
    CLOSED,
};

struct mkv_link {
    struct mkv_loop *loop;
    struct mkv_link_events events;
    void *context;
    mkv_loop_fn *released; /* or NULL */
    void *released_context;
    enum state state;
    bool owned; /* events are set */
    bool paused;
    bool ended; /* the peer has hung up; what it sent before is not yet delivered */
    bool freed;

    struct mkv_resolve *resolve; /* owned; while RESOLVING and CONNECTING */
    struct mkv_sockaddrs addresses;
    uint32_t n_tried;
    int failure;            /* errno of the last try */
    int64_t connect_by_ms;  /* monotonic */
    int fd;                 /* owned while CONNECTING, else -1: bev has it */
    struct event *writable; /* owned; while CONNECTING */
    struct mkv_timer timer; /* limit to connecting, or to closing */
    char target[MKV_ADDRESS_TEXT_MAX];
    char host[MKV_ADDRESS_HOST_MAX + 1];
    const struct mkv_tls *tls; /* NULL: without */
    struct mkv_greeting greeting;

    struct bufferevent *bev; /* owned; from OPEN until CLOSED */
    struct mkv_buf in;       /* received, not yet delivered */
    size_t queue_max;
    size_t low; /* for `drained` */
    bool wants_drained;

    /* What the task has to do. */
    struct mkv_task task;
    bool must_try;
    bool must_deliver;
    bool must_tell_drained;
    bool must_tell_closed;
    int error;
    struct mkv_why why;
    struct mkv_peer peer;
};

/* What its owner knows it by. */
static const char *name_of(const struct mkv_link *link)
{
    return link->target[0] != '\0' ? link->target : link->peer.text;
}

static void stop_connecting(struct mkv_link *link)
{
    mkv_resolve_free(link->resolve);
    link->resolve = NULL;
    if (link->writable != NULL) {
        event_free(link->writable);
        link->writable = NULL;
    }
    if (link->fd >= 0) {
        (void)close(link->fd);
        link->fd = -1;
    }
}

/* Lets go of the transport; what was received and not delivered is dropped. */
static void cut(struct mkv_link *link)
{
    stop_connecting(link);
    mkv_timer_clear(&link->timer);
    if (link->bev != NULL) {
        bufferevent_free(link->bev);
        link->bev = NULL;
    }
    link->state = CLOSED;
}

/* The end: `closed` is told from the loop. */
__attribute__((format(printf, 3, 4))) static void finish(struct mkv_link *link,
                                                         int error,
                                                         const char *format,
                                                         ...)
{
    va_list arguments;

    if (link->state == CLOSED) {
        return;
    }
    cut(link);
    link->error = error;
    va_start(arguments, format);
    (void)vsnprintf(link->why.text, sizeof(link->why.text), format, arguments);
    va_end(arguments);
    link->must_tell_closed = true;
    mkv_task_defer(link->loop, &link->task);
}

static void set_reading(struct mkv_link *link, bool on)
{
    if (link->bev != NULL) {
        (void)(on ? bufferevent_enable(link->bev, EV_READ)
                  : bufferevent_disable(link->bev, EV_READ));
    }
}

static void on_unreadable(struct mkv_link *link, int error)
{
    if (link->events.unreadable == NULL) {
        finish(link, error, "%s sent what is not a frame", name_of(link));
        return;
    }
    link->state = UNREADABLE;
    set_reading(link, false);
    link->events.unreadable(link->context, link, error);
}

/* Gives the owner every whole frame there is, for as long as it wants them. */
static void deliver(struct mkv_link *link)
{
    size_t n_done = 0;

    while (link->state == OPEN && !link->paused && !link->freed) {
        struct mkv_bytes map;
        size_t used = 0;
        int error = mkv_frame_cut(mkv_bytes_after(mkv_buf_bytes(&link->in), n_done), &map, &used);

        if (error != 0) {
            on_unreadable(link, error);
            break;
        }
        if (used == 0) {
            break;
        }
        n_done += used;
        mkv_greeting_get(&link->greeting, map);
        link->events.frame(link->context, link, map);
    }
    mkv_buf_consume(&link->in, n_done);
}

/* Moves what libevent has received to where it lies in one piece.  False if nothing moved. */
static bool fill(struct mkv_link *link)
{
    struct evbuffer *received = bufferevent_get_input(link->bev);
    size_t len = evbuffer_get_length(received);
    size_t room = IN_MAX - link->in.len;

    len = len < room ? len : room;
    if (len == 0) {
        return false;
    }
    if (mkv_buf_reserve(&link->in, len) != 0) {
        finish(link, MKV_E_NO_MEMORY, "%s", mkv_error_text(MKV_E_NO_MEMORY));
        return false;
    }
    (void)evbuffer_remove(received, link->in.at + link->in.len, len);
    link->in.len += len;
    return true;
}

static void receive(struct mkv_link *link)
{
    deliver(link); /* what was held back by a pause */
    while (link->state == OPEN && !link->paused && !link->freed && fill(link)) {
        deliver(link);
    }
    if (link->ended && link->state == OPEN && !link->paused && !link->freed) {
        finish(link, MKV_E_CLOSED,
               link->in.len > 0 ? "%s closed the connection in the middle of a frame"
                                : "%s closed the connection",
               name_of(link));
    }
}

/* Everything is with the kernel: says so to the peer, and waits for it to hang up. */
static void linger(struct mkv_link *link)
{
    link->state = LINGERING;
    if (link->tls != NULL) {
        mkv_tls_end(link->bev);
    }
    (void)shutdown(bufferevent_getfd(link->bev), SHUT_WR);
}

static void on_readable(struct bufferevent *bev, void *context)
{
    struct mkv_link *link = context;

    if (link->state == OPEN) {
        receive(link);
    } else {
        struct evbuffer *input = bufferevent_get_input(bev);

        (void)evbuffer_drain(input, evbuffer_get_length(input));
    }
}

static void tell_drained(struct mkv_link *link)
{
    bool sending = link->state == OPEN || link->state == UNREADABLE;

    if (sending && link->wants_drained && mkv_link_queued(link) <= link->low) {
        link->wants_drained = false;
        link->events.drained(link->context, link);
    }
}

static void on_written(struct bufferevent *bev, void *context)
{
    struct mkv_link *link = context;

    (void)bev;
    if (link->state == FLUSHING && mkv_link_queued(link) == 0) {
        linger(link);
    }
    tell_drained(link);
}

static void on_hang_up(struct mkv_link *link, bool only_sending)
{
    if (link->state == LINGERING || (link->state == FLUSHING && mkv_link_queued(link) == 0)) {
        finish(link, 0, "closed");
    } else if (link->state != OPEN) {
        finish(link, MKV_E_CLOSED, "%s closed the connection", name_of(link));
    } else if (only_sending && !link->paused) {
        /* It may have told us why before it left: reading goes on until that ends, too. */
        mkv_timer_set(&link->timer, MKV_LINK_CLOSE_MS);
    } else {
        link->ended = true;
        set_reading(link, false);
        receive(link);
    }
}

/* From now on the link is like any other. */
static void on_secured(struct mkv_link *link)
{
    mkv_timer_clear(&link->timer);
    link->state = OPEN;
    link->peer.is_secure = true;
    if (mkv_tls_is_server(link->tls)) {
        mkv_tls_user(link->bev, link->peer.user);
    }
    if (link->events.opened != NULL) {
        link->events.opened(link->context, link);
    }
}

/* TLS has begun, or the peer has hung up, or the connection is broken. */
static void on_end(struct bufferevent *bev, short what, void *context)
{
    struct mkv_link *link = context;
    int failure = EVUTIL_SOCKET_ERROR();
    struct mkv_why why = {{0}};
    int tls_error = link->tls != NULL ? mkv_tls_failure(bev, &why) : 0;

    if ((what & BEV_EVENT_CONNECTED) != 0) {
        on_secured(link);
    } else if (tls_error != 0) {
        finish(link, tls_error, "%s: %s", name_of(link), why.text);
    } else if ((what & BEV_EVENT_EOF) != 0 || failure == ECONNRESET || failure == EPIPE) {
        on_hang_up(link, (what & BEV_EVENT_READING) == 0);
    } else if ((what & BEV_EVENT_ERROR) != 0) {
        finish(link, failure == ETIMEDOUT ? MKV_E_TIMEOUT : MKV_E_IO,
               "the connection to %s failed: %s", name_of(link),
               evutil_socket_error_to_string(failure));
    }
}

/* Takes @fd, also on failure. */
static int open_transport(struct mkv_link *link, int fd)
{
    int options = BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS;

    struct event_base *base = mkv_loop_base(link->loop);

    link->bev = link->tls != NULL ? mkv_tls_transport(link->tls, base, link->host, fd, options)
                                  : bufferevent_socket_new(base, fd, options);
    if (link->bev == NULL) {
        (void)close(fd);
        return MKV_E_NO_MEMORY;
    }
    mkv_socket_peer(fd, &link->peer);
    bufferevent_setcb(link->bev, on_readable, on_written, on_end, link);
    link->state = link->tls != NULL ? SECURING : OPEN;
    return 0;
}

static void on_writable(evutil_socket_t fd, short what, void *context)
{
    struct mkv_link *link = context;

    (void)what;
    link->failure = mkv_socket_error((int)fd);
    event_free(link->writable);
    link->writable = NULL;
    if (link->failure != 0) {
        link->must_try = true;
        mkv_task_defer(link->loop, &link->task);
        return;
    }
    link->fd = -1;
    mkv_timer_clear(&link->timer);
    if (open_transport(link, (int)fd) != 0) {
        finish(link, MKV_E_NO_MEMORY, "%s", mkv_error_text(MKV_E_NO_MEMORY));
        return;
    }
    set_reading(link, !link->paused);
    if (link->state == SECURING) {
        int64_t left_ms = link->connect_by_ms - mkv_clock_monotonic_ms();

        mkv_timer_set(&link->timer, left_ms > 0 ? left_ms : 0);
    } else if (link->events.opened != NULL) {
        link->events.opened(link->context, link);
    }
}

/* Begins with the next address that the kernel does not refuse at once.  False: none is left. */
static bool try_next(struct mkv_link *link)
{
    stop_connecting(link);
    while (link->n_tried < link->addresses.n) {
        uint32_t n_left = link->addresses.n - link->n_tried;
        int64_t left_ms = link->connect_by_ms - mkv_clock_monotonic_ms();
        const struct mkv_sockaddr *address = &link->addresses.at[link->n_tried++];

        if (mkv_socket_connect(address, &link->fd, &link->failure) != 0) {
            continue;
        }
        link->writable = event_new(mkv_loop_base(link->loop), link->fd, EV_WRITE | EV_PERSIST,
                                   on_writable, link);
        if (link->writable == NULL || event_add(link->writable, NULL) != 0) {
            link->failure = ENOMEM;
            return false;
        }
        /* One address that swallows packets must not use up the time of those behind it. */
        mkv_timer_set(&link->timer, left_ms > 0 ? left_ms / n_left : 0);
        link->state = CONNECTING;
        return true;
    }
    return false;
}

static void connect_next(struct mkv_link *link)
{
    if (try_next(link)) {
        return;
    }

    bool absent = link->failure == ECONNREFUSED || link->failure == ENOENT;

    finish(link, link->failure == ETIMEDOUT ? MKV_E_TIMEOUT : MKV_E_NO_CONNECTION,
           "cannot connect to %s: %s%s", link->target, strerror(link->failure),
           absent ? "; is the server running there?" : "");
}

static void on_resolved(void *context, const struct mkv_sockaddrs *found, const struct mkv_why *why)
{
    struct mkv_link *link = context;

    mkv_resolve_free(link->resolve);
    link->resolve = NULL;
    if (found == NULL) {
        finish(link, MKV_E_NO_CONNECTION, "%s", why->text);
        return;
    }
    link->addresses = *found;
    connect_next(link);
}

static void on_timer(void *context)
{
    struct mkv_link *link = context;

    switch (link->state) {
    case RESOLVING:
        finish(link, MKV_E_TIMEOUT, "cannot connect to %s: no name server answers", link->target);
        break;
    case CONNECTING:
        link->failure = ETIMEDOUT;
        connect_next(link);
        break;
    case SECURING:
        finish(link, MKV_E_TIMEOUT, "%s is there but does not speak TLS", name_of(link));
        break;
    case OPEN: /* sending had failed before */
        finish(link, MKV_E_CLOSED, "%s closed the connection", name_of(link));
        break;
    case FLUSHING:
        finish(link, MKV_E_TIMEOUT, "%s does not read", name_of(link));
        break;
    case LINGERING:
        finish(link, 0, "closed");
        break;
    case UNREADABLE:
    case CLOSED:
        break;
    }
}

static void release(struct mkv_link *link)
{
    mkv_timer_deinit(&link->timer);
    mkv_buf_deinit(&link->in);
    if (link->released != NULL) {
        link->released(link->released_context);
    }
    mkv_mem_free(link);
}

/* Each step may free the link; then only its memory is left to be given back. */
static void on_task(void *context)
{
    struct mkv_link *link = context;

    if (link->must_try && !link->freed) {
        link->must_try = false;
        if (link->state == CONNECTING) {
            connect_next(link);
        }
    }
    if (link->must_deliver && !link->freed) {
        link->must_deliver = false;
        if (link->state == OPEN) {
            receive(link);
        }
    }
    if (link->must_tell_drained && !link->freed) {
        link->must_tell_drained = false;
        tell_drained(link);
    }
    if (link->must_tell_closed && link->owned && !link->freed) {
        link->must_tell_closed = false;
        link->events.closed(link->context, link, link->error, &link->why);
    }
    if (link->freed && !link->task.queued) {
        release(link);
    }
}

static struct mkv_link *new_link(struct mkv_loop *loop, const struct mkv_link_options *options)
{
    struct mkv_link *link = mkv_mem_alloc(sizeof(*link));

    if (link == NULL) {
        return NULL;
    }
    link->loop = loop;
    link->fd = -1;
    link->task = (struct mkv_task){.fn = on_task, .context = link};
    link->queue_max =
        options != NULL && options->queue_max > 0 ? options->queue_max : MKV_LINK_QUEUE_MAX;
    link->tls = options != NULL ? options->tls : NULL;
    mkv_buf_init(&link->in, IN_MAX);
    if (mkv_timer_init(&link->timer, loop, on_timer, link) != 0) {
        mkv_mem_free(link);
        return NULL;
    }
    return link;
}

int mkv_link_connect(struct mkv_loop *loop,
                     const struct mkv_address *address,
                     const struct mkv_link_options *options,
                     const struct mkv_link_events *events,
                     void *context,
                     struct mkv_link **ret_link)
{
    struct mkv_link *link = new_link(loop, options);
    int64_t connect_ms =
        options != NULL && options->connect_ms > 0 ? options->connect_ms : MKV_LINK_CONNECT_MS;

    if (link == NULL) {
        return MKV_E_NO_MEMORY;
    }
    mkv_link_own(link, events, context);
    mkv_address_format(address, link->target, sizeof(link->target));
    *ret_link = link;
    if (address->scheme != MKV_ADDRESS_TLS) {
        link->tls = NULL;
    } else if (link->tls == NULL) {
        finish(link, MKV_E_NOT_AUTHORISED,
               "%s: nobody has said yet how this server is to be known: "
               "'moat-kv login --server %s USER' does, or name the file with its certificate by "
               "--ca",
               link->target, link->target);
        return 0;
    }
    memcpy(link->host, address->host, sizeof(link->host));
    if (mkv_resolve_new(loop, address, on_resolved, link, &link->resolve) != 0) {
        link->freed = true;
        mkv_task_defer(loop, &link->task);
        return MKV_E_NO_MEMORY;
    }
    link->connect_by_ms = mkv_clock_monotonic_ms() + connect_ms;
    mkv_timer_set(&link->timer, connect_ms);
    return 0;
}

int mkv_link_accept(struct mkv_loop *loop,
                    int fd,
                    const struct mkv_link_options *options,
                    mkv_loop_fn *released,
                    void *context,
                    struct mkv_link **ret_link)
{
    struct mkv_link *link = new_link(loop, options);

    if (link == NULL) {
        (void)close(fd);
        return MKV_E_NO_MEMORY;
    }
    mkv_socket_no_delay(fd);
    if (open_transport(link, fd) != 0) {
        release(link);
        return MKV_E_NO_MEMORY;
    }
    if (link->state == SECURING) {
        mkv_timer_set(&link->timer, MKV_LINK_SECURE_MS);
    }
    link->released = released;
    link->released_context = context;
    *ret_link = link;
    return 0;
}

void mkv_link_own(struct mkv_link *link, const struct mkv_link_events *events, void *context)
{
    MKV_ASSERT(events->closed != NULL);
    link->events = *events;
    link->context = context;
    link->owned = true;
    if (link->must_tell_closed) {
        mkv_task_defer(link->loop, &link->task);
    }
    set_reading(link, !link->paused);
}

int mkv_link_send(struct mkv_link *link, struct mkv_bytes frames)
{
    if (link->state != OPEN && link->state != UNREADABLE) {
        return MKV_E_NO_CONNECTION;
    }
    if (frames.len > link->queue_max - mkv_link_queued(link)) {
        finish(link, MKV_E_QUEUE_FULL, "%s does not read what it is sent: %zu bytes are waiting",
               link->peer.text, mkv_link_queued(link));
        return MKV_E_QUEUE_FULL;
    }
    mkv_greeting_send(&link->greeting, frames);
    if (frames.len > 0 && bufferevent_write(link->bev, frames.at, frames.len) != 0) {
        finish(link, MKV_E_NO_MEMORY, "%s", mkv_error_text(MKV_E_NO_MEMORY));
        return MKV_E_NO_MEMORY;
    }
    return 0;
}

size_t mkv_link_queued(const struct mkv_link *link)
{
    return link->bev != NULL ? evbuffer_get_length(bufferevent_get_output(link->bev)) : 0;
}

void mkv_link_want_drained(struct mkv_link *link, size_t low)
{
    MKV_ASSERT(link->events.drained != NULL);
    link->low = low;
    link->wants_drained = true;
    if (link->bev == NULL) {
        return;
    }
    bufferevent_setwatermark(link->bev, EV_WRITE, low, 0);
    if (mkv_link_queued(link) <= low) {
        link->must_tell_drained = true;
        mkv_task_defer(link->loop, &link->task);
    }
}

void mkv_link_pause(struct mkv_link *link)
{
    link->paused = true;
    if (link->state == OPEN) {
        set_reading(link, false);
    }
}

void mkv_link_resume(struct mkv_link *link)
{
    if (!link->paused) {
        return;
    }
    link->paused = false;
    if (link->state == OPEN && link->owned) {
        set_reading(link, !link->ended);
        link->must_deliver = true;
        mkv_task_defer(link->loop, &link->task);
    }
}

void mkv_link_close(struct mkv_link *link)
{
    switch (link->state) {
    case RESOLVING:
    case CONNECTING:
    case SECURING:
        finish(link, 0, "closed");
        return;
    case FLUSHING:
    case LINGERING:
    case CLOSED:
        return;
    case OPEN:
    case UNREADABLE:
        break;
    }
    if (link->ended) {
        finish(link, 0, "closed");
        return;
    }
    link->state = FLUSHING;
    mkv_timer_set(&link->timer, MKV_LINK_CLOSE_MS);
    set_reading(link, true);
    bufferevent_setwatermark(link->bev, EV_WRITE, 0, 0);
    if (mkv_link_queued(link) == 0) {
        linger(link);
    }
}

void mkv_link_free(struct mkv_link *link)
{
    if (link == NULL || link->freed) {
        return;
    }
    cut(link);
    link->freed = true;
    mkv_task_defer(link->loop, &link->task);
}

const struct mkv_peer *mkv_link_peer(const struct mkv_link *link)
{
    return &link->peer;
}

int mkv_link_binding(const struct mkv_link *link, uint8_t ret_binding[MKV_TLS_BINDING_LEN])
{
    if (link->tls == NULL || link->state != OPEN) {
        return MKV_E_BAD_STATE;
    }
    return mkv_tls_binding(link->bev, &link->greeting, ret_binding);
}

bool mkv_link_fingerprint(const struct mkv_link *link, uint8_t ret_print[MKV_TLS_FINGERPRINT_LEN])
{
    return link->tls != NULL && link->bev != NULL && mkv_tls_fingerprint(link->bev, ret_print);
}
