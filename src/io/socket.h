/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets before they are links: making them, non-blocking and closed on exec.
 */
#ifndef MKV_IO_SOCKET_H
#define MKV_IO_SOCKET_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "io/address.h"
#include "io/link.h"
#include "io/resolve.h"
#include "io/why.h"

/*
 * Begins to connect.  Returns 0 and a descriptor that is writable once it is known how it went
 * (see mkv_socket_error()), or NO_CONNECTION with the kernel's errno in *ret_errno.
 */
int mkv_socket_connect(const struct mkv_sockaddr *address,
                       int *ret_fd,
                       int *ret_errno) MKV_MUST_CHECK;

/* The errno with which connecting failed, or 0. */
int mkv_socket_error(int fd);

/*
 * Listens at a unix path.  A socket left there by a dead process is replaced.  LOCKED: a live one
 * is there, or a file that is no socket.  IO.
 */
int mkv_socket_listen_unix(const char *path, mode_t mode, int *ret_fd, struct mkv_why *why)
    MKV_MUST_CHECK;

/*
 * Listens on TCP; @address must be a literal or localhost, and its port is replaced by the real
 * one.  LOCKED: the port is in use.  BAD_ARGUMENT, IO.
 */
int mkv_socket_listen_tcp(struct mkv_address *address,
                          int *ret_fd,
                          struct mkv_why *why) MKV_MUST_CHECK;

enum mkv_socket_life {
    MKV_SOCKET_NONE,  /* there is nothing at that path */
    MKV_SOCKET_STALE, /* a socket on which nobody listens */
    MKV_SOCKET_LIVE,  /* somebody listens, or may do so: we cannot tell */
    MKV_SOCKET_OTHER, /* a file of another kind */
};

/* What is at a path.  Changes nothing; a listener there sees a connection that ends at once. */
enum mkv_socket_life mkv_socket_probe(const char *path);

/* Small packets go out at once.  No effect on unix sockets. */
void mkv_socket_no_delay(int fd);

void mkv_socket_peer(int fd, struct mkv_peer *ret_peer);

#endif
