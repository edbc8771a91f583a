/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stream links over unix sockets, TCP and TLS.
 *
 * A link carries whole frames (docs/protocol.md, section 7) and understands none of them:
 *
 *     bytes received -> mkv_frame_cut() -> events->frame(map)
 *     mkv_link_send(bytes of encoded frames) -> queue -> socket
 *
 *     connecting --opened--> open --closed(error)--> dead, to be freed by its owner
 *                              |
 *                              +-- mkv_link_close(): what is queued still goes out, then closed(0)
 *
 * `closed` is called exactly once, unless mkv_link_free() comes first; after it only
 * mkv_link_free() may be called (and the other functions do nothing).
 */
#ifndef MKV_IO_LINK_H
#define MKV_IO_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/error.h"
#include "io/address.h"
#include "io/loop.h"
#include "io/tls.h"
#include "io/why.h"

#define MKV_LINK_QUEUE_MAX  ((size_t)8 << 20) /* default of queue_max */
#define MKV_LINK_CONNECT_MS 10000             /* default of connect_ms */
#define MKV_LINK_SECURE_MS  10000             /* an accepted one has so long for its TLS */
#define MKV_LINK_CLOSE_MS   2000 /* a closing link whose peer does not read is cut after this */
#define MKV_LINK_PEER_MAX   64U
#define MKV_LINK_ORIGIN_MAX 48U

struct mkv_link;

/* Who is at the other end. */
struct mkv_peer {
    bool is_unix;   /* then the three ids below are those the peer connected with */
    bool is_local;  /* unix socket or loopback address */
    bool is_secure; /* TLS; then, of a client with a certificate, also: */
    char user[MKV_TLS_USER_MAX + 1]; /* see mkv_tls_user() */
    uid_t uid;
    gid_t gid;
    pid_t pid;
    char text[MKV_LINK_PEER_MAX]; /* "uid 1000 pid 4711", "192.0.2.7:51324", "[::1]:51324" */
    /* What is the same for all links that count as one's: "uid 1000", "192.0.2.7", "2001:db8:0:7::/64". */
    char origin[MKV_LINK_ORIGIN_MAX];
};

/*
 * The owner's ears.  @map is borrowed: valid during the call.  All may be NULL but frame and
 * closed.
 */
struct mkv_link_events {
    /* The link can be used; not for accepted ones, unless they have to agree on TLS first. */
    void (*opened)(void *context, struct mkv_link *link);

    void (*frame)(void *context, struct mkv_link *link, struct mkv_bytes map);

    /*
     * The peer sends what cannot be cut into frames (MALFORMED, TOO_LARGE).  Nothing more will be
     * read.  The owner may send a last frame and must call mkv_link_close() or mkv_link_free().
     * Without this function the link closes with that error.
     */
    void (*unreadable)(void *context, struct mkv_link *link, int error);

    /* See mkv_link_want_drained(). */
    void (*drained)(void *context, struct mkv_link *link);

    /*
     * 0: after mkv_link_close(), all was sent.  CLOSED: the peer closed.  NO_CONNECTION: never
     * reached it.  TIMEOUT: not in time.  QUEUE_FULL: it does not read.  NOT_AUTHORISED: a
     * certificate is not trusted.  IO, NO_MEMORY.
     */
    void (*closed)(void *context, struct mkv_link *link, int error, const struct mkv_why *why);
};

struct mkv_link_options {
    size_t queue_max;   /* bytes waiting to be sent, beyond which the link is cut; 0: the default */
    int64_t connect_ms; /* name look-up, connecting and TLS together; 0: the default */
    const struct mkv_tls *tls; /* for TLS; borrowed, must outlive the link; NULL: without */
};

/*
 * Begins to connect to @address (UNIX, TCP, or TLS if @options say how); all its addresses are tried
 * in turn.  @events and @options (NULL: defaults) are copied.  NO_MEMORY; everything else is told by
 * `closed`.
 */
int mkv_link_connect(struct mkv_loop *loop,
                     const struct mkv_address *address,
                     const struct mkv_link_options *options,
                     const struct mkv_link_events *events,
                     void *context,
                     struct mkv_link **ret_link) MKV_MUST_CHECK;

/* Gives an accepted link its owner.  To be called from the listener's `accepted`, or soon after it. */
void mkv_link_own(struct mkv_link *link, const struct mkv_link_events *events, void *context);

/*
 * Queues encoded frames, lengths included.  QUEUE_FULL: the queue would pass its maximum; the link
 * is then cut and `closed` follows.  NO_MEMORY: likewise.  NO_CONNECTION: not open (yet, or any
 * more); nothing happens.
 */
int mkv_link_send(struct mkv_link *link, struct mkv_bytes frames) MKV_MUST_CHECK;

/* Bytes queued and not yet taken by the kernel. */
size_t mkv_link_queued(const struct mkv_link *link);

/* `drained` is called once, as soon as at most @low bytes are queued; from the loop, even if so. */
void mkv_link_want_drained(struct mkv_link *link, size_t low);

/*
 * Stops delivering frames, and reading; the peer then feels it.  What has been read already is
 * delivered after resuming, also if the peer has gone by then.  A paused link notices that its peer is gone only when it sends or resumes.
 */
void mkv_link_pause(struct mkv_link *link);
void mkv_link_resume(struct mkv_link *link);

/*
 * Delivers no more frames, sends what is queued and waits for the peer to see it and to hang up,
 * for MKV_LINK_CLOSE_MS at most; then `closed` is called: with 0, or TIMEOUT if not all went out.
 */
void mkv_link_close(struct mkv_link *link);

/* Cuts the link at once if it is not closed, and frees it; nothing is called any more. */
void mkv_link_free(struct mkv_link *link);

/* Valid as long as the link. */
const struct mkv_peer *mkv_link_peer(const struct mkv_link *link);

/*
 * What binds a login to this very connection: mkv_tls_binding().  BAD_STATE without TLS, or before
 * both sides have said their first frame.
 */
int mkv_link_binding(const struct mkv_link *link,
                     uint8_t ret_binding[MKV_TLS_BINDING_LEN]) MKV_MUST_CHECK;

/* That of the peer's certificate; false if there is none. */
bool mkv_link_fingerprint(const struct mkv_link *link, uint8_t ret_print[MKV_TLS_FINGERPRINT_LEN]);

/*
 * Makes a link of the connected socket @fd, which becomes its own (also on failure).  @released is
 * called when the link is freed.  For io/listener.h.  NO_MEMORY.
 */
int mkv_link_accept(struct mkv_loop *loop,
                    int fd,
                    const struct mkv_link_options *options,
                    mkv_loop_fn *released,
                    void *context,
                    struct mkv_link **ret_link) MKV_MUST_CHECK;

#endif
