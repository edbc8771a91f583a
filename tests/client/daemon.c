/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon.h"

#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/check.h"

void daemon_init(struct daemon *daemon)
{
    *daemon = (struct daemon){.state = "/tmp/moat-kv-test-XXXXXX"};
    assert_non_null(mkdtemp(daemon->state));
    (void)snprintf(daemon->server, sizeof(daemon->server), "unix:%s/link.sock", daemon->state);
}

static void run(const struct daemon *daemon, const char *broker, int out)
{
    const char *program = getenv("MOAT_KVD");

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)dup2(out, STDOUT_FILENO);
    if (program != NULL && broker != NULL) {
        (void)execl(program, program, "--state", daemon->state, "--broker", broker, "--name", "srv",
                    NULL);
    } else if (program != NULL) {
        (void)execl(program, program, "--state", daemon->state, "--name", "srv", NULL);
    }
    _exit(127);
}

/* Reads lines until the one that begins with "ready", which tells the broker. */
static void await_ready(struct daemon *daemon, FILE *out)
{
    char line[1024];

    while (fgets(line, sizeof(line), out) != NULL) {
        const char *broker = strstr(line, " broker=");

        if (strncmp(line, "ready", 5) == 0 && broker != NULL) {
            assert_int_equal(sscanf(broker, " broker=%127s", daemon->broker), 1);
            return;
        }
    }
    fail_msg("the server ended before it was ready");
}

void daemon_start(struct daemon *daemon, const char *broker)
{
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    daemon->pid = fork();
    assert_true(daemon->pid >= 0);
    if (daemon->pid == 0) {
        (void)close(fds[0]);
        run(daemon, broker, fds[1]);
    }
    (void)close(fds[1]);

    FILE *out = fdopen(fds[0], "r");

    assert_non_null(out);
    await_ready(daemon, out);
    (void)fclose(out);
}

void daemon_stop(struct daemon *daemon, int signal)
{
    if (daemon->pid != 0) {
        assert_int_equal(kill(daemon->pid, signal), 0);
        assert_int_equal(waitpid(daemon->pid, NULL, 0), daemon->pid);
        daemon->pid = 0;
    }
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

void daemon_deinit(struct daemon *daemon)
{
    daemon_stop(daemon, SIGTERM);
    (void)nftw(daemon->state, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
