/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A child process whose standard error we read line by line, and that does not outlive us.
 *
 * Its end is noticed by a descriptor of the process, not by SIGCHLD: so it disturbs no handler, and
 * no other child of the process is ever waited for.
 */
#ifndef MKV_IO_CHILD_H
#define MKV_IO_CHILD_H

#include <sys/types.h>

#include "base/error.h"
#include "io/loop.h"

#define MKV_CHILD_LINE_MAX 1024U /* longer lines are told in pieces */

struct mkv_child;

/* Both are called from the loop; mkv_child_free() may be called in them. */
struct mkv_child_events {
    /* One line of its standard error, without line end. */
    void (*line)(void *context, const char *text);

    /* It has ended, and all its lines have been told.  @status is that of waitpid(). */
    void (*ended)(void *context, int status);
};

struct mkv_child_program {
    const char *directory;  /* to run in */
    char *const *arguments; /* the first is the program's path; ends with NULL */
};

/*
 * Runs a program in a process group of its own, so that a terminal's Ctrl-C is ours to
 * hear alone.  Standard input and output are /dev/null.  It is killed when this process ends in
 * whatever way, provided that it does not change its user.  A program that cannot be run ends with
 * status 127 and a line that says why.  NO_MEMORY, IO.
 */
int mkv_child_new(struct mkv_loop *loop,
                  const struct mkv_child_program *program,
                  const struct mkv_child_events *events,
                  void *context,
                  struct mkv_child **ret_child) MKV_MUST_CHECK;

void mkv_child_kill(struct mkv_child *child, int signal_number);

pid_t mkv_child_pid(const struct mkv_child *child);

/* Kills it if it still runs, and waits for that.  NULL is fine. */
void mkv_child_free(struct mkv_child *child);

#endif
