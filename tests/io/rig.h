/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of this room share: waiting for something with a deadline, a directory of one's
 * own, and sockets without any of the code under test.
 */
#ifndef MKV_TESTS_IO_RIG_H
#define MKV_TESTS_IO_RIG_H

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/address.h"
#include "io/clock.h"
#include "io/loop.h"
#include "lib/check.h"

#define RIG_LIMIT_MS 20000

/* Runs the loop until @condition holds; fails the test if it does not in time. */
#define rig_until(loop, condition)                                                                 \
    do {                                                                                           \
        int64_t rig_end_ms = mkv_clock_monotonic_ms() + RIG_LIMIT_MS;                              \
        bool rig_held = (condition);                                                               \
        while (!rig_held && mkv_clock_monotonic_ms() < rig_end_ms) {                               \
            assert_int_equal(mkv_loop_run_once(loop, 10), 0);                                      \
            rig_held = (condition);                                                                \
        }                                                                                          \
        _assert_true(rig_held, #condition, __FILE__, __LINE__);                                    \
    } while (0)

/* Runs the loop for a while in which nothing is expected to happen. */
static inline void rig_idle(struct mkv_loop *loop, int ms)
{
    int64_t end_ms = mkv_clock_monotonic_ms() + ms;

    while (mkv_clock_monotonic_ms() < end_ms) {
        assert_int_equal(mkv_loop_run_once(loop, 5), 0);
    }
}

static inline struct mkv_loop *rig_loop(void)
{
    struct mkv_loop *loop = NULL;

    assert_int_equal(mkv_loop_new(&loop), 0);
    return loop;
}

/* @out has room for 64 bytes. */
static inline void rig_make_directory(char *out)
{
    (void)snprintf(out, 64, "/tmp/mkv-io-XXXXXX");
    assert_non_null(mkdtemp(out));
}

static inline void rig_remove_directory(const char *path)
{
    DIR *directory = opendir(path);

    assert_non_null(directory);
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        char file[512];

        (void)snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
        (void)unlink(file);
    }
    (void)closedir(directory);
    assert_int_equal(rmdir(path), 0);
}

static inline struct mkv_address rig_address(const char *text)
{
    struct mkv_address address;
    struct mkv_why why = {0};

    if (mkv_address_parse(mkv_bytes_of(text), &address, &why) != 0) {
        fail_msg("%s: %s", text, why.text);
    }
    return address;
}

static inline struct mkv_address rig_unix_address(const char *directory, const char *name)
{
    char text[128];

    (void)snprintf(text, sizeof(text), "unix:%s/%s", directory, name);
    return rig_address(text);
}

static inline int rig_connect_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* A TCP socket on a free port of 127.0.0.1, listening if @backlog is not negative. */
static inline int rig_bind_tcp(int backlog, uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    if (backlog >= 0) {
        assert_int_equal(listen(fd, backlog), 0);
    }
    *ret_port = ntohs(address.sin_port);
    return fd;
}

#endif
