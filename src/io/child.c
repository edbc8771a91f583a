/* SPDX-License-Identifier: Apache-2.0 */
#include "io/child.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

#define READ_LEN    4096U
#define READS_MAX   16 /* in one turn */
#define EXIT_NO_RUN 127

struct mkv_child {
    struct mkv_loop *loop;
    const struct mkv_child_events *events;
    void *context;
    pid_t pid; /* 0: waited for */
    int status;
    int pid_fd; /* owned, as is error_fd; -1: closed */
    int error_fd;
    struct event *on_end; /* owned, as is on_error */
    struct event *on_error;
    bool freed;
    struct mkv_task task; /* tells the end, or frees */
    size_t len;           /* of the line that has begun */
    char line[MKV_CHILD_LINE_MAX];
};

/* Between fork() and execv(): system calls only, since another thread may have held any lock. */
_Noreturn static void become(const struct mkv_child_program *program, int error_fd, pid_t parent)
{
    static const char failed[] = "it cannot be run\n";
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigset_t none;
    int null_fd = open("/dev/null", O_RDWR);

    (void)sigemptyset(&none);
    for (int number = 1; number < NSIG; number++) {
        (void)sigaction(number, &standard, NULL);
    }
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setpgid(0, 0);
    (void)dup2(null_fd, STDIN_FILENO);
    (void)dup2(null_fd, STDOUT_FILENO);
    (void)dup2(error_fd, STDERR_FILENO);
    (void)close_range(STDERR_FILENO + 1, ~0U, 0);

    /* The parent may have ended before this took effect. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent && chdir(program->directory) == 0) {
        (void)execv(program->arguments[0], program->arguments);
    }
    (void)!write(STDERR_FILENO, failed, sizeof(failed) - 1);
    _exit(EXIT_NO_RUN);
}

static void tell_line(struct mkv_child *child)
{
    child->line[child->len] = '\0';
    child->len = 0;
    if (!child->freed) {
        child->events->line(child->context, child->line);
    }
}

static void take_text(struct mkv_child *child, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\n') {
            tell_line(child);
            continue;
        }
        child->line[child->len++] = text[i] != '\0' ? text[i] : '?';
        if (child->len == sizeof(child->line) - 1) {
            tell_line(child);
        }
    }
}

/* False if there is nothing more for now, or ever. */
static bool read_some(struct mkv_child *child)
{
    char text[READ_LEN];
    ssize_t n = read(child->error_fd, text, sizeof(text));

    if (n > 0) {
        take_text(child, text, (size_t)n);
        return true;
    }
    if (n == 0) { /* a grandchild may still hold it, so that this is not the end of the child */
        (void)event_del(child->on_error);
    }
    return false;
}

static void on_error(evutil_socket_t fd, short what, void *context)
{
    struct mkv_child *child = context;

    (void)fd;
    (void)what;
    for (int i = 0; i < READS_MAX && !child->freed && read_some(child); i++) {
    }
}

static void on_end(evutil_socket_t fd, short what, void *context)
{
    struct mkv_child *child = context;

    (void)fd;
    (void)what;

    pid_t ended = waitpid(child->pid, &child->status, WNOHANG);

    if (ended == 0 || (ended < 0 && errno == EINTR)) {
        return;
    }
    child->pid = 0; /* also where the program ignores SIGCHLD, and the status is lost */
    (void)event_del(child->on_end);
    mkv_task_defer(child->loop, &child->task);
}

static void release(struct mkv_child *child)
{
    if (child->on_end != NULL) {
        event_free(child->on_end);
    }
    if (child->on_error != NULL) {
        event_free(child->on_error);
    }
    if (child->pid_fd >= 0) {
        (void)close(child->pid_fd);
    }
    if (child->error_fd >= 0) {
        (void)close(child->error_fd);
    }
    mkv_mem_free(child);
}

/* Tells the end; being freed in here only queues the task once more. */
static void on_task(void *context)
{
    struct mkv_child *child = context;

    if (child->freed) {
        release(child);
        return;
    }
    while (!child->freed && read_some(child)) {
    }
    if (!child->freed && child->len > 0) {
        tell_line(child);
    }
    if (!child->freed) {
        child->events->ended(child->context, child->status);
    }
}

static int watch(struct mkv_child *child)
{
    struct event_base *base = mkv_loop_base(child->loop);

    child->pid_fd = pidfd_open(child->pid, 0);
    if (child->pid_fd < 0) {
        return MKV_E_IO;
    }
    child->on_end = event_new(base, child->pid_fd, EV_READ | EV_PERSIST, on_end, child);
    child->on_error = event_new(base, child->error_fd, EV_READ | EV_PERSIST, on_error, child);
    if (child->on_end == NULL || child->on_error == NULL || event_add(child->on_end, NULL) != 0 ||
        event_add(child->on_error, NULL) != 0) {
        return MKV_E_NO_MEMORY;
    }
    return 0;
}

static int run(struct mkv_child *child, const struct mkv_child_program *program)
{
    int ends[2];
    pid_t parent = getpid();

    if (pipe2(ends, O_CLOEXEC) != 0) {
        return MKV_E_IO;
    }
    child->error_fd = ends[0];
    child->pid = fork();
    if (child->pid == 0) {
        become(program, ends[1], parent);
    }
    (void)close(ends[1]);
    if (child->pid < 0) {
        child->pid = 0;
        return MKV_E_IO;
    }
    if (fcntl(child->error_fd, F_SETFL, O_NONBLOCK) != 0) {
        return MKV_E_IO;
    }
    return watch(child);
}

int mkv_child_new(struct mkv_loop *loop,
                  const struct mkv_child_program *program,
                  const struct mkv_child_events *events,
                  void *context,
                  struct mkv_child **ret_child)
{
    struct mkv_child *child = mkv_mem_alloc(sizeof(*child));

    if (child == NULL) {
        return MKV_E_NO_MEMORY;
    }
    child->loop = loop;
    child->events = events;
    child->context = context;
    child->pid_fd = -1;
    child->error_fd = -1;
    child->task = (struct mkv_task){.fn = on_task, .context = child};

    int error = run(child, program);

    if (error != 0) {
        mkv_child_free(child);
        return error;
    }
    *ret_child = child;
    return 0;
}

void mkv_child_kill(struct mkv_child *child, int signal_number)
{
    (void)pidfd_send_signal(child->pid_fd, signal_number, NULL, 0); /* fails if it has ended */
}

pid_t mkv_child_pid(const struct mkv_child *child)
{
    return child->pid;
}

void mkv_child_free(struct mkv_child *child)
{
    if (child == NULL || child->freed) {
        return;
    }
    child->freed = true;
    if (child->pid > 0) {
        (void)kill(child->pid, SIGKILL); /* not waited for: so the number is still its own */
        while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR) {
        }
        child->pid = 0;
    }
    if (child->on_end != NULL) {
        (void)event_del(child->on_end);
    }
    if (child->on_error != NULL) {
        (void)event_del(child->on_error);
    }
    mkv_task_defer(child->loop, &child->task);
}
