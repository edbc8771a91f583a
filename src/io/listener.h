/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accepts links on a unix socket or a TCP port, with or without TLS.
 *
 * A unix socket is made with its final mode, so that nobody can slip in, and it is removed at the
 * end.  One that somebody listens on is never taken away; one that a dead process has left is.
 */
#ifndef MKV_IO_LISTENER_H
#define MKV_IO_LISTENER_H

#include <stdint.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/error.h"
#include "io/address.h"
#include "io/door.h"
#include "io/link.h"
#include "io/loop.h"
#include "io/why.h"

#define MKV_LISTENER_LINKS_MAX    1000U /* default of links_max */
#define MKV_LISTENER_SECURING_MAX 256U  /* agreeing on TLS at a time; one more: the oldest is cut */

struct mkv_listener;

/*
 * A new link, TLS included, which is now the callee's: it calls mkv_link_own() on it, or mkv_link_free().
 * Nothing is read before it has an owner.
 */
typedef void mkv_listener_fn(void *context, struct mkv_link *link);

struct mkv_listener_options {
    mkv_listener_fn *accepted;
    void *context;
    struct mkv_link_options link; /* its tls is needed, and used, if the address is TLS */
    uint32_t links_max;           /* more at a time are refused; 0: the default */
    struct mkv_door *door;        /* borrowed: who else is refused, or has to wait; NULL: nobody */
    mode_t mode;                  /* of a unix socket; 0: 0600 */
    struct mkv_bytes refusal;     /* an encoded frame to tell them; copied; may be empty */
};

/*
 * Listens on @address (UNIX; TCP and TLS with a literal address or "localhost").  Port 0 takes any free
 * one.  LOCKED: somebody else listens there.  BAD_ARGUMENT if the address cannot be listened on, IO,
 * NO_MEMORY; the text is in @why (may be NULL).  When descriptors run out, accepting pauses and
 * goes on by itself.
 */
int mkv_listener_new(struct mkv_loop *loop,
                     const struct mkv_address *address,
                     const struct mkv_listener_options *options,
                     struct mkv_why *why,
                     struct mkv_listener **ret_listener) MKV_MUST_CHECK;

/* Stops listening and removes its unix socket; accepted links live on.  NULL is fine. */
void mkv_listener_free(struct mkv_listener *listener);

/* The address with the real port in it; valid as long as the listener. */
const struct mkv_address *mkv_listener_address(const struct mkv_listener *listener);

uint32_t mkv_listener_n_links(const struct mkv_listener *listener);

#endif
