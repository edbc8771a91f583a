/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connections that the guard has let in as this cluster's, by the broker's pointers to them.
 *
 * Only who stands here counts as one: a client id alone proves nothing where somebody else has let
 * the connection in (a listener by certificates, say).
 */
#ifndef MKV_GUARD_CLIENTS_H
#define MKV_GUARD_CLIENTS_H

#include "base/error.h"
#include "base/map.h"
#include "guard/guard.h"

#define MKV_CLIENTS_MAX 65536U /* more are not let in */

struct mkv_clients {
    struct mkv_map map;
};

void mkv_clients_init(struct mkv_clients *clients);
void mkv_clients_deinit(struct mkv_clients *clients);

/* NULL if it is none of ours; valid until it is dropped. */
struct mkv_guard_peer *mkv_clients_get(const struct mkv_clients *clients, const void *connection);

/*
 * Notes a connection.  One that is there already has been asked again who it is, and has used of
 * its budget what it had used.  TOO_MANY, NO_MEMORY.
 */
int mkv_clients_put(struct mkv_clients *clients,
                    const void *connection,
                    const struct mkv_guard_peer *peer) MKV_MUST_CHECK;

/*
 * Up to @n_max connections, in @ret_connections, whose key has gone from @guard; returns how many.
 */
size_t mkv_clients_stale(const struct mkv_clients *clients,
                         const struct mkv_guard *guard,
                         const void **ret_connections,
                         size_t n_max);

/* Does nothing if it is not there. */
void mkv_clients_drop(struct mkv_clients *clients, const void *connection);

#endif
