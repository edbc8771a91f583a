/* SPDX-License-Identifier: Apache-2.0 */
#include "worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"

#define TWICE 100U

/* Shared by a worker and its parent. */
struct desk {
    uint64_t seed; /* that is being run, or comes next */
    bool *stop;    /* somebody has failed, and that is enough; NULL: it is not */
    bool is_stopped;
    struct tally tally;
    struct sim_result result;
};

static struct desk *desks_new(unsigned n)
{
    struct desk *desks =
        mmap(NULL, n * sizeof(*desks), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    MKV_ASSERT(desks != MAP_FAILED);
    return desks;
}

static void crash_text(int status, char *text, size_t size)
{
    if (WIFSIGNALED(status)) {
        (void)snprintf(text, size, "the process died of signal %d", WTERMSIG(status));
    } else {
        (void)snprintf(text, size, "the process ended with status %d", WEXITSTATUS(status));
    }
}

void run_apart(const struct sim_options *options, struct sim_result *ret_result)
{
    struct desk *desk = desks_new(1);
    int status = 0;

    (void)fflush(stdout);
    pid_t child = fork();

    MKV_ASSERT(child >= 0);
    if (child == 0) {
        if (freopen("/dev/null", "w", stderr) == NULL) {
            _exit(1);
        }
        sim_run(options, &desk->result);
        (void)fflush(stdout);
        _exit(0);
    }
    (void)waitpid(child, &status, 0);
    if (status != 0) {
        desk->result.failed = true;
        (void)snprintf(desk->result.what, sizeof(desk->result.what), "CRASH");
        crash_text(status, desk->result.text, sizeof(desk->result.text));
    }
    *ret_result = desk->result;
    (void)munmap(desk, sizeof(*desk));
}

static void keep_failure(struct tally *tally, uint64_t seed, const char *what, const char *text)
{
    tally->n_failed++;
    if (tally->n_failures < FAILURES_MAX) {
        struct failure *failure = &tally->failures[tally->n_failures++];

        failure->seed = seed;
        (void)snprintf(failure->what, sizeof(failure->what), "%s", what);
        (void)snprintf(failure->text, sizeof(failure->text), "%s", text);
    }
}

static void count(struct tally *tally, uint64_t seed, const struct sim_result *result)
{
    tally->n_seeds++;
    tally->n_events += result->n_events;
    tally->virtual_ms += (uint64_t)result->virtual_ms;
    tally->equal_ms_sum += (uint64_t)result->equal_ms;
    if (result->equal_ms > tally->equal_ms_max) {
        tally->equal_ms_max = result->equal_ms;
        tally->equal_seed = seed;
    }
    reach_add(&tally->reached, &result->reached);
    if (result->failed) {
        keep_failure(tally, seed, result->what, result->text);
    }
}

static void run_one(struct desk *desk, struct sim_options *options)
{
    uint64_t trace;

    options->seed = desk->seed;
    sim_run(options, &desk->result);
    count(&desk->tally, desk->seed, &desk->result);
    trace = desk->result.trace;
    if (desk->seed % TWICE == 0) {
        sim_run(options, &desk->result);
        if (desk->result.trace != trace) {
            keep_failure(&desk->tally, desk->seed, "I18", "the same seed gave another run");
        }
    }
}

static void work(struct desk *desk, struct sim_options options, uint64_t last, unsigned stride)
{
    for (; desk->seed <= last && (desk->stop == NULL || !*desk->stop); desk->seed += stride) {
        run_one(desk, &options);
        if (desk->stop != NULL && desk->tally.n_failed > 0) {
            *desk->stop = true;
        }
    }
    _exit(0);
}

static pid_t start(struct desk *desk,
                   const struct sim_options *options,
                   uint64_t last,
                   unsigned stride)
{
    (void)fflush(stdout);
    pid_t child = fork();

    MKV_ASSERT(child >= 0);
    if (child == 0) {
        work(desk, *options, last, stride);
    }
    return child;
}

/* The worker has ended; if it crashed, another goes on behind that seed. */
static bool has_crashed(struct desk *desk, int status, unsigned stride)
{
    char text[100];

    if (status == 0) {
        return false;
    }
    crash_text(status, text, sizeof(text));
    desk->tally.n_seeds++;
    keep_failure(&desk->tally, desk->seed, "CRASH", text);
    desk->seed += stride;
    return true;
}

static void add_tally(struct tally *sum, const struct tally *one)
{
    sum->n_seeds += one->n_seeds;
    sum->n_events += one->n_events;
    sum->virtual_ms += one->virtual_ms;
    sum->equal_ms_sum += one->equal_ms_sum;
    if (one->equal_ms_max > sum->equal_ms_max) {
        sum->equal_ms_max = one->equal_ms_max;
        sum->equal_seed = one->equal_seed;
    }
    reach_add(&sum->reached, &one->reached);
    sum->n_failed += one->n_failed;
    for (unsigned i = 0; i < one->n_failures && sum->n_failures < FAILURES_MAX; i++) {
        sum->failures[sum->n_failures++] = one->failures[i];
    }
}

void run_many(const struct sim_options *options,
              uint64_t first,
              uint64_t last,
              unsigned n_workers,
              bool stop,
              struct tally *ret_tally)
{
    struct desk *desks = desks_new(n_workers + 1); /* the last one is for what all share */
    pid_t workers[WORKERS_MAX];
    unsigned n_left = n_workers;

    for (unsigned i = 0; i < n_workers; i++) {
        desks[i].seed = first + i;
        desks[i].stop = stop ? &desks[n_workers].is_stopped : NULL;
        workers[i] = start(&desks[i], options, last, n_workers);
    }
    while (n_left > 0) {
        int status = 0;
        pid_t ended = wait(&status);
        unsigned i = 0;

        while (i < n_workers && workers[i] != ended) {
            i++;
        }
        if (i == n_workers) {
            continue;
        }
        if (has_crashed(&desks[i], status, n_workers) && !stop) {
            workers[i] = start(&desks[i], options, last, n_workers);
        } else {
            n_left--;
        }
    }
    *ret_tally = (struct tally){0};
    for (unsigned i = 0; i < n_workers; i++) {
        add_tally(ret_tally, &desks[i].tally);
    }
    (void)munmap(desks, (n_workers + 1) * sizeof(*desks));
}
