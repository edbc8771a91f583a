/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an address to socket addresses, without ever blocking.
 *
 * The system's name server list and hosts file are read anew for each look-up, since a daemon
 * outlives many of them.
 */
#ifndef MKV_IO_RESOLVE_H
#define MKV_IO_RESOLVE_H

#include <stdint.h>
#include <sys/socket.h>

#include "base/error.h"
#include "io/address.h"
#include "io/loop.h"
#include "io/why.h"

#define MKV_RESOLVE_RESULTS_MAX 8U /* more addresses of one host are ignored */

struct mkv_sockaddr {
    struct sockaddr_storage storage;
    socklen_t len;
};

struct mkv_sockaddrs {
    uint32_t n; /* at least 1 on success */
    struct mkv_sockaddr at[MKV_RESOLVE_RESULTS_MAX];
};

struct mkv_resolve;

/* @found is NULL if there is none: then @why says so.  Both are valid during the call only. */
typedef void mkv_resolve_fn(void *context,
                            const struct mkv_sockaddrs *found,
                            const struct mkv_why *why);

/*
 * Looks @address up and calls @fn once from the loop.  A unix path or a literal needs no network.
 * There is no deadline here but that of the name servers: whoever waits brings his own, and ends
 * the look-up by mkv_resolve_free().  NO_MEMORY.
 */
int mkv_resolve_new(struct mkv_loop *loop,
                    const struct mkv_address *address,
                    mkv_resolve_fn *fn,
                    void *context,
                    struct mkv_resolve **ret_resolve) MKV_MUST_CHECK;

/* Ends it, called back or not.  NULL is fine. */
void mkv_resolve_free(struct mkv_resolve *resolve);

/* The numeric text of the host, without port; "" for a unix socket. */
void mkv_sockaddr_host(const struct mkv_sockaddr *address, char *out, size_t size);

#endif
