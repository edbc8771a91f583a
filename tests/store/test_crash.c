/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that is killed in the middle of its work loses nothing that it has reported, and
 * leaves nothing half done.
 */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

#define ROUNDS 60U

/* The work of batch @number: the same in the child and in the parent that follows it. */
static int do_batch(struct model *model, struct harness *h, uint64_t seed, uint64_t number)
{
    struct prng prng = {.state = seed ^ (number << 20)};
    int error = 0;

    for (uint64_t n = 1 + prng_below(&prng, 60); n > 0 && error == 0; n--) {
        unsigned i = (unsigned)prng_below(&prng, MODEL_KEYS);

        if (prng_below(&prng, 4) == 0) {
            error = model_remove(model, h, i);
        } else {
            error = model_put(model, h, i, prng_next(&prng),
                              prng_below(&prng, prng_below(&prng, 30) == 0 ? 30000 : 100));
        }
    }
    if (error == 0) {
        error = model_put_meta(model, h, (unsigned)prng_below(&prng, MODEL_METAS), prng_next(&prng),
                               prng_below(&prng, 100));
    }
    return error;
}

/* Reports each committed batch by one byte; a fifth of them are aborted and done again. */
static _Noreturn void work(struct harness *h, uint64_t seed, uint64_t number, int report_fd)
{
    static struct model ignored;
    struct prng prng = {.state = seed + number};
    bool more;

    if (harness_open(h) != 0) {
        _exit(1);
    }
    for (;; number++) {
        if (prng_below(&prng, 5) == 0) {
            if (do_batch(&ignored, h, seed, number) != 0) {
                _exit(2);
            }
            mkv_store_abort(h->store);
        }
        if (do_batch(&ignored, h, seed, number) != 0 || mkv_store_commit(h->store) != 0) {
            _exit(3);
        }
        if (write(report_fd, "c", 1) != 1) {
            _exit(4);
        }
        if (mkv_store_tidy(h->store, &more) != 0) {
            _exit(5);
        }
    }
}

/* Lets the child work until it has reported @n batches, and for a moment longer; then kills it. */
static uint64_t work_and_kill(struct harness *h, uint64_t seed, uint64_t number, struct prng *prng)
{
    uint64_t n = prng_below(prng, 60);
    uint64_t n_reported = 0;
    int ends[2];
    int status;
    char byte;

    assert_int_equal(pipe(ends), 0);

    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        work(h, seed, number, ends[1]);
    }
    (void)close(ends[1]);
    while (n_reported < n && read(ends[0], &byte, 1) == 1) {
        n_reported++;
    }
    (void)poll(NULL, 0, (int)prng_below(prng, 3)); /* anywhere in the next batches */
    for (uint64_t spin = prng_below(prng, 20000); spin > 0; spin--) {
        (void)prng_next(prng);
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    while (read(ends[0], &byte, 1) == 1) {
        n_reported++;
    }
    (void)close(ends[0]);
    return n_reported;
}

/* Does the batch to the model alone, on a store in memory that nobody looks at. */
static void follow(struct model *model, uint64_t seed, uint64_t number)
{
    struct harness shadow;

    harness_init(&shadow, false);
    assert_int_equal(harness_open(&shadow), 0);
    assert_int_equal(do_batch(model, &shadow, seed, number), 0);
    harness_deinit(&shadow);
}

static void run(uint64_t seed)
{
    static struct model model;
    struct prng prng = {.state = seed};
    struct harness h;
    struct mkv_store_stats stats;
    uint64_t number = 0;
    unsigned n_more = 0;

    print_message("# seed %llu\n", (unsigned long long)seed);
    model = (struct model){0};
    harness_init(&h, true);
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t n = work_and_kill(&h, seed, number, &prng);

        for (uint64_t end = number + n; number < end; number++) {
            follow(&model, seed, number);
        }
        h.n_boots += 2;
        assert_int_equal(harness_open(&h), 0);
        assert_int_equal(h.report.n_corrupt, 0);
        assert_false(h.report.restored);
        if (mkv_store_place(h.store).position != model.position) { /* one more was committed */
            follow(&model, seed, number++);
            n_more++;
        }
        mkv_store_stats(h.store, &stats);
        model.n_rows = stats.n_rows; /* it may have been tidied, or not */
        assert_model(&model, &h);
        harness_close(&h);
    }
    print_message("# %llu batches, %u of them not reported\n", (unsigned long long)number, n_more);
    harness_deinit(&h);
}

static void test_kill(void **state)
{
    (void)state;
    run(1);
    run(2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kill),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
