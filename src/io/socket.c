/* SPDX-License-Identifier: Apache-2.0 */
#include "io/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define BACKLOG       128
#define LOCK_TRIES    100
#define LOCK_PAUSE_NS 10000000

static int new_socket(int family)
{
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

int mkv_socket_connect(const struct mkv_sockaddr *address, int *ret_fd, int *ret_errno)
{
    int fd = new_socket(address->storage.ss_family);

    if (fd < 0) {
        *ret_errno = errno;
        return MKV_E_NO_CONNECTION;
    }
    mkv_socket_no_delay(fd);
    if (connect(fd, (const struct sockaddr *)&address->storage, address->len) != 0 &&
        errno != EINPROGRESS && errno != EINTR) {
        *ret_errno = errno;
        (void)close(fd);
        return MKV_E_NO_CONNECTION;
    }
    *ret_fd = fd;
    return 0;
}

int mkv_socket_error(int fd)
{
    int error = 0;
    socklen_t len = sizeof(error);

    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 ? error : errno;
}

static struct sockaddr_un unix_address(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    return address;
}

enum mkv_socket_life mkv_socket_probe(const char *path)
{
    struct stat status;
    struct sockaddr_un address = unix_address(path);

    if (lstat(path, &status) != 0) {
        return MKV_SOCKET_NONE; /* or hidden from us: then binding says so better */
    }
    if (!S_ISSOCK(status.st_mode)) {
        return MKV_SOCKET_OTHER;
    }

    int fd = new_socket(AF_UNIX);
    int result = fd >= 0 ? connect(fd, (struct sockaddr *)&address, sizeof(address)) : -1;
    bool refused = fd >= 0 && result != 0 && errno == ECONNREFUSED;

    if (fd >= 0) {
        (void)close(fd);
    }
    return refused ? MKV_SOCKET_STALE : MKV_SOCKET_LIVE;
}

/*
 * Between finding a socket stale and putting ours in its place, another process may do the same
 * and lose its own socket to us.  A lock on the directory keeps all who go by this code apart, and
 * leaves no file behind.  Held for an instant only, so that waiting for it may block.
 */
static int lock_directory(const char *path, struct mkv_why *why, int *ret_fd)
{
    char directory[MKV_ADDRESS_PATH_MAX + 1];
    const char *slash = strrchr(path, '/');
    size_t len = slash != NULL && slash != path ? (size_t)(slash - path) : 1;

    (void)snprintf(directory, sizeof(directory), "%.*s", (int)len, path);

    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) {
        return mkv_why_error(why, MKV_E_IO, "cannot open the directory %s for the socket: %s",
                             directory, strerror(errno));
    }
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
            *ret_fd = fd;
            return 0;
        }
        (void)nanosleep(&(struct timespec){.tv_nsec = LOCK_PAUSE_NS}, NULL);
    }
    (void)close(fd);
    return mkv_why_error(why, MKV_E_LOCKED, "the directory %s is locked by another process",
                         directory);
}

static int make_room(const char *path, struct mkv_why *why)
{
    switch (mkv_socket_probe(path)) {
    case MKV_SOCKET_NONE:
        return 0;
    case MKV_SOCKET_STALE:
        if (unlink(path) == 0 || errno == ENOENT) {
            return 0;
        }
        return mkv_why_error(why, MKV_E_IO, "cannot remove the stale socket %s: %s", path,
                             strerror(errno));
    case MKV_SOCKET_LIVE:
        return mkv_why_error(why, MKV_E_LOCKED,
                             "another process listens on %s: stop it, or use another path", path);
    case MKV_SOCKET_OTHER:
        break;
    }
    return mkv_why_error(why, MKV_E_LOCKED, "%s exists and is not a socket: it is left alone",
                         path);
}

/*
 * The kernel gives a unix socket the mode of its descriptor, less the umask, when it is bound: so
 * it is never wider than wanted, and widened afterwards if the umask took something away.
 */
static int bind_unix(int fd, const char *path, mode_t mode)
{
    struct sockaddr_un address = unix_address(path);

    if (fchmod(fd, mode) != 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        return errno;
    }
    if (chmod(path, mode) != 0 || listen(fd, BACKLOG) != 0) {
        int error = errno;

        (void)unlink(path);
        return error;
    }
    return 0;
}

int mkv_socket_listen_unix(const char *path, mode_t mode, int *ret_fd, struct mkv_why *why)
{
    int lock_fd = -1;
    int error = lock_directory(path, why, &lock_fd);

    if (error != 0) {
        return error;
    }
    error = make_room(path, why);
    if (error != 0) {
        (void)close(lock_fd);
        return error;
    }

    int fd = new_socket(AF_UNIX);
    int failure = fd >= 0 ? bind_unix(fd, path, mode) : errno;

    (void)close(lock_fd);
    if (failure != 0) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return mkv_why_error(why, MKV_E_IO, "cannot listen on unix:%s: %s", path,
                             strerror(failure));
    }
    *ret_fd = fd;
    return 0;
}

static socklen_t literal(const struct mkv_address *address, struct sockaddr_storage *out)
{
    const char *host = strcmp(address->host, "localhost") == 0 ? "127.0.0.1" : address->host;
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(address->port);
        return sizeof(*v4);
    }
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(address->port);
        return sizeof(*v6);
    }
    return 0;
}

/* The port is at the same place in both kinds of addresses. */
static uint16_t port_of(const struct sockaddr_storage *address)
{
    struct sockaddr_in v4;

    _Static_assert(offsetof(struct sockaddr_in, sin_port) ==
                       offsetof(struct sockaddr_in6, sin6_port),
                   "see above");
    memcpy(&v4, address, sizeof(v4));
    return ntohs(v4.sin_port);
}

/* IPv6 alone, so that 0.0.0.0 and [::] can be listened on side by side. */
static int bind_tcp(int fd, struct sockaddr_storage *address, socklen_t len)
{
    const int yes = 1;

    if (fd < 0) {
        return errno;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (address->ss_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes));
    }
    if (bind(fd, (struct sockaddr *)address, len) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)address, &len) != 0) {
        return errno;
    }
    return 0;
}

int mkv_socket_listen_tcp(struct mkv_address *address, int *ret_fd, struct mkv_why *why)
{
    struct sockaddr_storage storage;
    socklen_t len = literal(address, &storage);
    char text[MKV_ADDRESS_TEXT_MAX];

    mkv_address_format(address, text, sizeof(text));
    if (len == 0) {
        return mkv_why_error(why, MKV_E_BAD_ARGUMENT,
                             "cannot listen on %s: give an IP address of this machine, as in "
                             "tcp://127.0.0.1:27589",
                             text);
    }

    int fd = new_socket(storage.ss_family);
    int failure = bind_tcp(fd, &storage, len);

    if (failure != 0) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return mkv_why_error(why, failure == EADDRINUSE ? MKV_E_LOCKED : MKV_E_IO,
                             "cannot listen on %s: %s", text, strerror(failure));
    }
    address->port = port_of(&storage);
    *ret_fd = fd;
    return 0;
}

void mkv_socket_no_delay(int fd)
{
    const int yes = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)); /* fails on unix sockets */
}

static void describe_unix(int fd, struct mkv_peer *peer)
{
    struct ucred ids = {.pid = 0, .uid = (uid_t)-1, .gid = (gid_t)-1}; /* nobody, if it fails */
    socklen_t len = sizeof(ids);

    (void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &ids, &len);
    peer->is_unix = true;
    peer->is_local = true;
    peer->uid = ids.uid;
    peer->gid = ids.gid;
    peer->pid = ids.pid;
    (void)snprintf(peer->text, sizeof(peer->text), "uid %u pid %d", (unsigned)ids.uid,
                   (int)ids.pid);
    (void)snprintf(peer->origin, sizeof(peer->origin), "uid %u", (unsigned)ids.uid);
}

/* Of IPv6 whoever has one address has all of the last 64 bits. */
static void find_origin(const struct in6_addr *v6, const char *host, struct mkv_peer *peer)
{
    char net[INET6_ADDRSTRLEN] = "?";
    struct in6_addr first = {0};

    if (v6 == NULL || IN6_IS_ADDR_V4MAPPED(v6)) {
        (void)snprintf(peer->origin, sizeof(peer->origin), "%s", host);
        return;
    }
    memcpy(&first, v6, 8);
    (void)inet_ntop(AF_INET6, &first, net, sizeof(net));
    (void)snprintf(peer->origin, sizeof(peer->origin), "%s/64", net);
}

static void describe_tcp(const struct sockaddr_storage *address, struct mkv_peer *peer)
{
    char host[INET6_ADDRSTRLEN] = "?";
    struct sockaddr_in v4 = {0};
    struct sockaddr_in6 v6 = {0};
    bool is_v6 = address->ss_family == AF_INET6;

    if (is_v6) {
        memcpy(&v6, address, sizeof(v6));
        (void)inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof(host));
        peer->is_local = IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
    } else {
        memcpy(&v4, address, sizeof(v4));
        (void)inet_ntop(AF_INET, &v4.sin_addr, host, sizeof(host));
        peer->is_local = (ntohl(v4.sin_addr.s_addr) >> 24) == 127;
    }
    (void)snprintf(peer->text, sizeof(peer->text), is_v6 ? "[%s]:%u" : "%s:%u", host,
                   (unsigned)port_of(address));
    find_origin(is_v6 ? &v6.sin6_addr : NULL, host, peer);
}

void mkv_socket_peer(int fd, struct mkv_peer *ret_peer)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof(address);
    struct mkv_peer peer = {.uid = (uid_t)-1, .gid = (gid_t)-1};

    if (getpeername(fd, (struct sockaddr *)&address, &len) != 0) {
        (void)snprintf(peer.text, sizeof(peer.text), "a peer that has gone");
    } else if (address.ss_family == AF_UNIX) {
        describe_unix(fd, &peer);
    } else {
        describe_tcp(&address, &peer);
    }
    *ret_peer = peer;
}
