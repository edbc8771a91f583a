/* SPDX-License-Identifier: Apache-2.0 */
#include "mosquitto_rig.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

void mosquitto_rig_init(struct mosquitto_rig *rig, const char *extra)
{
    FILE *file;

    memset(rig, 0, sizeof(*rig));
    rig_make_directory(rig->directory);
    (void)close(rig_bind_tcp(-1, &rig->port));
    (void)snprintf(rig->config, sizeof(rig->config), "%s/conf", rig->directory);
    (void)snprintf(rig->socket, sizeof(rig->socket), "%s/socket", rig->directory);
    file = fopen(rig->config, "w");
    assert_non_null(file);
    (void)fprintf(file,
                  "user root\nlog_dest none\nset_tcp_nodelay true\nmax_queued_messages 2000000000\n"
                  "max_inflight_messages 60000\nlistener 0 %s\nlistener %u 127.0.0.1\n%s\n",
                  rig->socket, rig->port, extra);
    (void)fclose(file);
}

static bool answers(int family, const struct sockaddr *address, socklen_t len)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool connected = connect(fd, address, len) == 0;

    (void)close(fd);
    return connected;
}

static bool is_up(const struct mosquitto_rig *rig)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct sockaddr_in tcp = {.sin_family = AF_INET,
                              .sin_port = htons(rig->port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    (void)snprintf(local.sun_path, sizeof(local.sun_path), "%s", rig->socket);
    return answers(AF_UNIX, (struct sockaddr *)&local, sizeof(local)) &&
           answers(AF_INET, (struct sockaddr *)&tcp, sizeof(tcp));
}

void mosquitto_rig_start(struct mosquitto_rig *rig)
{
    int64_t end_ms = mkv_clock_monotonic_ms() + RIG_LIMIT_MS;

    rig->pid = fork();
    assert_true(rig->pid >= 0);
    if (rig->pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl("/usr/sbin/mosquitto", "mosquitto", "-c", rig->config, (char *)NULL);
        _exit(127);
    }
    while (!is_up(rig) && mkv_clock_monotonic_ms() < end_ms) {
        (void)poll(NULL, 0, 5);
    }
    assert_true(is_up(rig));
}

void mosquitto_rig_end(struct mosquitto_rig *rig, int signal_number)
{
    if (rig->pid > 0) {
        assert_int_equal(kill(rig->pid, signal_number), 0);
        assert_int_equal(waitpid(rig->pid, NULL, 0), rig->pid);
        rig->pid = 0;
    }
}

void mosquitto_rig_deinit(struct mosquitto_rig *rig)
{
    mosquitto_rig_end(rig, SIGKILL);
    rig_remove_directory(rig->directory);
}
