/* SPDX-License-Identifier: Apache-2.0 */
#include "io/listener.h"

#include <event2/listener.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/mem.h"
#include "io/clock.h"
#include "io/socket.h"

#define MODE_DEFAULT  0600
#define BACK_OFF_MS   100
#define REFUSING_MAX  16U /* links being refused at a time; more are just closed */
#define REFUSAL_BYTES 4096U

struct mkv_listener {
    struct mkv_loop *loop;
    struct mkv_listener_options options; /* refusal: see below */
    struct mkv_address address;
    struct evconnlistener *acceptor; /* owned */
    struct mkv_timer back_off;
    struct mkv_buf refusal;
    dev_t device; /* of the unix socket that we made */
    ino_t inode;
    uint32_t n_links; /* accepted and not yet freed, the next ones included */
    struct mkv_link *refusing[REFUSING_MAX];              /* owned; NULL: a free place */
    uint32_t n_refusing;                                  /* not yet freed, those closed included */
    struct mkv_link *securing[MKV_LISTENER_SECURING_MAX]; /* owned; the oldest first */
    uint32_t n_securing;
    bool freed; /* waits for the last link */
    struct mkv_task task;
};

static void release(void *context)
{
    struct mkv_listener *listener = context;

    if (listener->freed && listener->n_links == 0) {
        mkv_mem_free(listener);
    }
}

/* An accepted link; the door goes by where it is from. */
struct accepted {
    struct mkv_listener *listener;
    char origin[MKV_LINK_ORIGIN_MAX]; /* empty: it does not count */
};

static void leave(struct accepted *accepted)
{
    if (accepted->origin[0] != '\0') {
        mkv_door_leave(accepted->listener->options.door, mkv_bytes_of(accepted->origin));
    }
    mkv_mem_free(accepted);
}

static void forget_link(struct mkv_listener *listener)
{
    listener->n_links--;
    if (listener->freed) {
        mkv_task_defer(listener->loop, &listener->task);
    }
}

static void on_link_released(void *context)
{
    struct accepted *accepted = context;
    struct mkv_listener *listener = accepted->listener;

    leave(accepted);
    forget_link(listener);
}

static void on_refused_released(void *context)
{
    struct mkv_listener *listener = context;

    listener->n_refusing--;
    forget_link(listener);
}

/* Where @link is kept; NULL finds a free place.  There is one whenever this is called. */
static struct mkv_link **refusing_place(struct mkv_listener *listener, const struct mkv_link *link)
{
    unsigned i = 0;

    while (listener->refusing[i] != link) {
        i++;
        MKV_ASSERT(i < REFUSING_MAX);
    }
    return &listener->refusing[i];
}

static void on_refused_frame(void *context, struct mkv_link *link, struct mkv_bytes map)
{
    (void)context;
    (void)link;
    (void)map; /* whatever it wants, it will not get it */
}

static void on_refused_closed(void *context,
                              struct mkv_link *link,
                              int error,
                              const struct mkv_why *why)
{
    struct mkv_listener *listener = context;

    (void)error;
    (void)why;
    *refusing_place(listener, link) = NULL;
    mkv_link_free(link);
}

/* Says why before closing, so that the other side can tell its user. */
static void refuse(struct mkv_listener *listener, int fd)
{
    static const struct mkv_link_events events = {
        .frame = on_refused_frame,
        .closed = on_refused_closed,
    };
    struct mkv_link *link;

    if (listener->n_refusing == REFUSING_MAX) {
        (void)close(fd);
        return;
    }
    if (mkv_link_accept(listener->loop, fd, NULL, on_refused_released, listener, &link) != 0) {
        return;
    }
    listener->n_links++;
    listener->n_refusing++;
    *refusing_place(listener, NULL) = link;
    mkv_link_own(link, &events, listener);
    if (mkv_link_send(link, mkv_buf_bytes(&listener->refusal)) == 0) {
        mkv_link_close(link);
    } /* else it is closed already */
}

/* The link is not ours any more. */
static void forget_securing(struct mkv_listener *listener, const struct mkv_link *link)
{
    uint32_t i = 0;

    while (listener->securing[i] != link) {
        i++;
        MKV_ASSERT(i < listener->n_securing);
    }
    listener->n_securing--;
    memmove(&listener->securing[i], &listener->securing[i + 1],
            (listener->n_securing - i) * sizeof(struct mkv_link *));
}

static void on_secured(void *context, struct mkv_link *link)
{
    struct mkv_listener *listener = context;

    forget_securing(listener, link);
    listener->options.accepted(listener->options.context, link);
}

static void on_insecure(void *context, struct mkv_link *link, int error, const struct mkv_why *why)
{
    struct mkv_listener *listener = context;

    (void)error;
    (void)why; /* anybody can cause it, at any rate: nothing to be told of */
    forget_securing(listener, link);
    mkv_link_free(link);
}

static void on_early_frame(void *context, struct mkv_link *link, struct mkv_bytes map)
{
    (void)context;
    (void)link;
    (void)map;
    MKV_ASSERT(false); /* a link that is not open delivers nothing */
}

/* Whoever holds on to many connections without going on drives out its own first. */
static void secure(struct mkv_listener *listener, struct mkv_link *link)
{
    static const struct mkv_link_events events = {
        .opened = on_secured,
        .frame = on_early_frame,
        .closed = on_insecure,
    };

    if (listener->n_securing == MKV_LISTENER_SECURING_MAX) {
        struct mkv_link *oldest = listener->securing[0];

        forget_securing(listener, oldest);
        mkv_link_free(oldest);
    }
    listener->securing[listener->n_securing++] = link;
    mkv_link_own(link, &events, listener);
}

static void turn_away(struct mkv_listener *listener, int fd)
{
    if (listener->options.link.tls == NULL) {
        refuse(listener, fd);
    } else {
        (void)close(fd); /* to say why would cost more than it is worth */
    }
}

/* Those whom the server belongs to are not counted: they need not break in. */
static bool is_counted(const struct mkv_listener *listener, const struct mkv_peer *peer)
{
    if (listener->options.door == NULL) {
        return false;
    }
    return peer->is_unix ? peer->uid != geteuid() && peer->uid != 0
                         : listener->options.link.tls != NULL;
}

/* NULL: it has to stay outside. */
static struct accepted *let_in(struct mkv_listener *listener, int fd)
{
    struct accepted *accepted = mkv_mem_alloc(sizeof(*accepted));
    struct mkv_peer peer;

    if (accepted == NULL) {
        return NULL;
    }
    accepted->listener = listener;
    mkv_socket_peer(fd, &peer);
    if (is_counted(listener, &peer)) {
        if (!mkv_door_enter(listener->options.door, mkv_bytes_of(peer.origin))) {
            mkv_mem_free(accepted);
            return NULL;
        }
        memcpy(accepted->origin, peer.origin, sizeof(peer.origin));
    }
    return accepted;
}

/* Others wait in the kernel's queue. */
static void slow_down(struct mkv_listener *listener)
{
    int64_t pause_ms = 0;

    if (listener->options.door != NULL) {
        pause_ms = mkv_door_handshake(listener->options.door, mkv_clock_monotonic_ms());
    }
    if (pause_ms > 0) {
        (void)evconnlistener_disable(listener->acceptor);
        mkv_timer_set(&listener->back_off, pause_ms);
    }
}

static void on_accept(struct evconnlistener *acceptor,
                      evutil_socket_t fd,
                      struct sockaddr *peer,
                      int peer_len,
                      void *context)
{
    struct mkv_listener *listener = context;
    struct accepted *accepted = NULL;
    struct mkv_link *link;

    (void)acceptor;
    (void)peer;
    (void)peer_len;
    if (mkv_listener_n_links(listener) < listener->options.links_max) {
        accepted = let_in(listener, (int)fd);
    }
    if (accepted == NULL) {
        turn_away(listener, (int)fd);
        return;
    }
    if (mkv_link_accept(listener->loop, (int)fd, &listener->options.link, on_link_released,
                        accepted, &link) != 0) {
        leave(accepted);
        return; /* no memory: the peer sees it closed and comes again */
    }
    listener->n_links++;
    if (listener->options.link.tls != NULL) {
        slow_down(listener);
        secure(listener, link);
    } else {
        listener->options.accepted(listener->options.context, link);
    }
}

/*
 * No descriptor or no memory for the next link.  It stays in the kernel's queue, so that the
 * listening socket stays readable: without a pause we would do nothing but fail.
 */
static void on_accept_error(struct evconnlistener *acceptor, void *context)
{
    struct mkv_listener *listener = context;

    (void)evconnlistener_disable(acceptor);
    mkv_timer_set(&listener->back_off, BACK_OFF_MS);
}

static void on_back_off(void *context)
{
    struct mkv_listener *listener = context;

    (void)evconnlistener_enable(listener->acceptor);
}

static int open_socket(struct mkv_listener *listener, int *ret_fd, struct mkv_why *why)
{
    const char *path = listener->address.path;
    struct stat status;

    if (listener->address.scheme != MKV_ADDRESS_UNIX) {
        return mkv_socket_listen_tcp(&listener->address, ret_fd, why);
    }

    int error = mkv_socket_listen_unix(path, listener->options.mode, ret_fd, why);

    if (error == 0 && lstat(path, &status) == 0) {
        listener->device = status.st_dev;
        listener->inode = status.st_ino;
    }
    return error;
}

/* Whoever removed our socket by hand and put another in its place keeps that one. */
static void remove_socket(const struct mkv_listener *listener)
{
    const char *path = listener->address.path;
    struct stat status;

    if (listener->address.scheme == MKV_ADDRESS_UNIX && lstat(path, &status) == 0 &&
        status.st_dev == listener->device && status.st_ino == listener->inode) {
        (void)unlink(path);
    }
}

static int start(struct mkv_listener *listener, struct mkv_why *why)
{
    unsigned flags = LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC;
    int fd = -1;
    int error = open_socket(listener, &fd, why);

    if (error != 0) {
        return error;
    }
    listener->acceptor = evconnlistener_new(mkv_loop_base(listener->loop), on_accept, listener,
                                            flags, 0 /* listens already */, fd);
    if (listener->acceptor == NULL) {
        remove_socket(listener);
        (void)close(fd);
        return mkv_why_error(why, MKV_E_NO_MEMORY, "%s", mkv_error_text(MKV_E_NO_MEMORY));
    }
    evconnlistener_set_error_cb(listener->acceptor, on_accept_error);
    return 0;
}

static void set_options(struct mkv_listener *listener, const struct mkv_listener_options *options)
{
    listener->options = *options;
    listener->options.refusal = (struct mkv_bytes){0};
    if (listener->address.scheme != MKV_ADDRESS_TLS) {
        listener->options.link.tls = NULL;
    }
    if (options->links_max == 0) {
        listener->options.links_max = MKV_LISTENER_LINKS_MAX;
    }
    if (options->mode == 0) {
        listener->options.mode = MODE_DEFAULT;
    }
    mkv_buf_init(&listener->refusal, REFUSAL_BYTES);
}

int mkv_listener_new(struct mkv_loop *loop,
                     const struct mkv_address *address,
                     const struct mkv_listener_options *options,
                     struct mkv_why *why,
                     struct mkv_listener **ret_listener)
{
    struct mkv_listener *listener = NULL;

    if (address->scheme == MKV_ADDRESS_TLS && options->link.tls == NULL) {
        return mkv_why_error(why, MKV_E_BAD_ARGUMENT, "TLS needs a certificate and its key");
    }
    listener = mkv_mem_alloc(sizeof(*listener));
    if (listener == NULL) {
        return mkv_why_error(why, MKV_E_NO_MEMORY, "%s", mkv_error_text(MKV_E_NO_MEMORY));
    }
    listener->loop = loop;
    listener->address = *address;
    listener->task = (struct mkv_task){.fn = release, .context = listener};
    set_options(listener, options);

    int error = mkv_timer_init(&listener->back_off, loop, on_back_off, listener);

    if (error == 0) {
        error = mkv_buf_append(&listener->refusal, options->refusal);
    }
    if (error != 0) {
        mkv_why_set(why, "%s", mkv_error_text(error));
    } else {
        error = start(listener, why);
    }
    if (error != 0) {
        mkv_timer_deinit(&listener->back_off);
        mkv_buf_deinit(&listener->refusal);
        mkv_mem_free(listener);
        return error;
    }
    *ret_listener = listener;
    return 0;
}

void mkv_listener_free(struct mkv_listener *listener)
{
    if (listener == NULL || listener->freed) {
        return;
    }
    for (unsigned i = 0; i < REFUSING_MAX; i++) {
        mkv_link_free(listener->refusing[i]);
    }
    while (listener->n_securing > 0) {
        mkv_link_free(listener->securing[--listener->n_securing]);
    }
    remove_socket(listener);
    evconnlistener_free(listener->acceptor);
    mkv_timer_deinit(&listener->back_off);
    mkv_buf_deinit(&listener->refusal);
    listener->freed = true;
    mkv_task_defer(listener->loop, &listener->task);
}

const struct mkv_address *mkv_listener_address(const struct mkv_listener *listener)
{
    return &listener->address;
}

uint32_t mkv_listener_n_links(const struct mkv_listener *listener)
{
    return listener->n_links - listener->n_refusing;
}
