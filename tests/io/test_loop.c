/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <signal.h>

#include "io/entropy.h"
#include "io/signals.h"
#include "link_rig.h"

struct tally {
    struct mkv_loop *loop;
    unsigned n;
    unsigned order; /* digits of those that ran */
    struct mkv_task *again;
    struct mkv_task *cancelled;
};

struct step {
    struct mkv_task task;
    struct tally *tally;
    unsigned digit;
};

static void on_deadline(void *context)
{
    struct tally *tally = context;

    tally->n++;
}

static void test_waiting(void **state)
{
    struct mkv_loop *loop = rig_loop();
    int64_t start_ms = mkv_clock_monotonic_ms();

    (void)state;
    assert_int_equal(mkv_loop_run_once(loop, 0), 0);
    assert_true(mkv_clock_monotonic_ms() - start_ms < 30);
    assert_int_equal(mkv_loop_run_once(loop, 60), 0);
    assert_true(mkv_clock_monotonic_ms() - start_ms >= 59);
    assert_true(mkv_clock_monotonic_ms() - start_ms < 1000);
    mkv_loop_free(loop);
    mkv_loop_free(NULL);
}

static void test_deadline(void **state)
{
    struct tally tally = {.loop = rig_loop()};
    int64_t now_ms = mkv_clock_monotonic_ms();

    (void)state;
    assert_int_equal(mkv_loop_timeout_ms(tally.loop), -1);
    mkv_loop_on_deadline(tally.loop, on_deadline, &tally);
    mkv_loop_set_deadline(tally.loop, now_ms - 5); /* past: but not before we wait */
    assert_int_equal(tally.n, 0);
    assert_int_equal(mkv_loop_timeout_ms(tally.loop), 0);
    assert_int_equal(mkv_loop_run_once(tally.loop, -1), 0);
    assert_int_equal(tally.n, 1);
    rig_idle(tally.loop, 20);
    assert_int_equal(tally.n, 1);

    mkv_loop_set_deadline(tally.loop, now_ms + 3600000);
    assert_true(mkv_loop_timeout_ms(tally.loop) > 3590000);
    now_ms = mkv_clock_monotonic_ms();
    mkv_loop_set_deadline(tally.loop, now_ms + 50);
    int wait_ms = mkv_loop_timeout_ms(tally.loop);

    assert_true(wait_ms > 20 && wait_ms <= 51);
    rig_until(tally.loop, tally.n == 2);
    assert_true(mkv_clock_monotonic_ms() >= now_ms + 50);

    mkv_loop_set_deadline(tally.loop, mkv_clock_monotonic_ms() + 10);
    mkv_loop_set_deadline(tally.loop, MKV_LOOP_NEVER);
    assert_int_equal(mkv_loop_timeout_ms(tally.loop), -1);
    rig_idle(tally.loop, 30);
    assert_int_equal(tally.n, 2);
    mkv_loop_free(tally.loop);
}

static void on_step(void *context)
{
    struct step *step = context;
    struct tally *tally = step->tally;

    tally->n++;
    tally->order = tally->order * 10 + step->digit;
    if (tally->again != NULL) {
        mkv_task_defer(tally->loop, tally->again);
        tally->again = NULL;
    }
    if (tally->cancelled != NULL) {
        mkv_task_cancel(tally->loop, tally->cancelled);
        tally->cancelled = NULL;
    }
}

static void test_tasks(void **state)
{
    struct tally tally = {.loop = rig_loop()};
    struct step steps[4];

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        steps[i] = (struct step){
            .task = {.fn = on_step, .context = &steps[i]}, .tally = &tally, .digit = i + 1};
    }
    mkv_task_defer(tally.loop, &steps[2].task);
    mkv_task_defer(tally.loop, &steps[0].task);
    mkv_task_defer(tally.loop, &steps[3].task);
    mkv_task_defer(tally.loop, &steps[2].task);
    tally.again = &steps[1].task;
    tally.cancelled = &steps[3].task;
    assert_int_equal(mkv_loop_timeout_ms(tally.loop), 0);
    assert_int_equal(mkv_loop_run_once(tally.loop, -1), 0);
    assert_int_equal(tally.order, 312);
    mkv_task_cancel(tally.loop, &steps[3].task);

    /* The last one cancelled: the next is queued behind those before it. */
    mkv_task_defer(tally.loop, &steps[0].task);
    mkv_task_defer(tally.loop, &steps[1].task);
    mkv_task_cancel(tally.loop, &steps[1].task);
    mkv_task_defer(tally.loop, &steps[2].task);
    tally.order = 0;
    assert_int_equal(mkv_loop_run_once(tally.loop, -1), 0);
    assert_int_equal(tally.order, 13);

    /* What is still queued at the end is done. */
    mkv_task_defer(tally.loop, &steps[0].task);
    mkv_loop_free(tally.loop);
    assert_int_equal(tally.order, 131);
}

static bool is_readable(int fd, int timeout_ms)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    return poll(&poll_fd, 1, timeout_ms) == 1;
}

/* Drives a loop by its descriptor alone; the number of turns shows whether it spins. */
static unsigned drive(struct mkv_loop *loop, const unsigned *count, unsigned wanted)
{
    int fd = mkv_loop_fd(loop);
    unsigned n_turns = 0;

    assert_true(fd >= 0);
    while (*count < wanted) {
        if (!is_readable(fd, 5000)) {
            fail_msg("nothing to do after %u turns, with %u of %u", n_turns, *count, wanted);
        }
        assert_int_equal(mkv_loop_run_once(loop, 0), 0);
        assert_int_equal(mkv_loop_fd(loop), fd);
        n_turns++;
    }
    return n_turns;
}

static void test_fd_timers(void **state)
{
    struct tally tally = {.loop = rig_loop()};
    int fd = mkv_loop_fd(tally.loop);
    int64_t start_ms = mkv_clock_monotonic_ms();

    (void)state;
    assert_false(is_readable(fd, 30));
    mkv_loop_on_deadline(tally.loop, on_deadline, &tally);
    mkv_loop_set_deadline(tally.loop, start_ms + 100);
    mkv_loop_settle(tally.loop);
    assert_false(is_readable(fd, 0));
    assert_true(drive(tally.loop, &tally.n, 1) < 5);
    assert_true(mkv_clock_monotonic_ms() >= start_ms + 100);
    assert_false(is_readable(fd, 30));
    mkv_loop_set_deadline(tally.loop, start_ms);
    mkv_loop_settle(tally.loop);
    assert_true(is_readable(fd, 1000));
    mkv_loop_set_deadline(tally.loop, MKV_LOOP_NEVER);
    mkv_loop_settle(tally.loop);
    assert_false(is_readable(fd, 30));
    mkv_loop_free(tally.loop);
}

/* Listener, both ends and reconnecting: everything by one descriptor, with numbers reused. */
static void test_fd_links(void **state)
{
    struct rig *rig = rig_new();

    (void)state;
    rig_listen(rig, (struct mkv_listener_options){0}, NULL);
    for (unsigned i = 0; i < 10; i++) {
        rig_connect(rig, NULL);
        mkv_loop_settle(rig->loop);
        (void)drive(rig->loop, &rig->client.n_opened, i + 1);
        (void)drive(rig->loop, &rig->n_ends, i + 1);
        rig->ends[i].echo = true;
        rig_send(rig->client.link, 1000);
        mkv_loop_settle(rig->loop);
        assert_true(drive(rig->loop, &rig->client.n_frames, 1000 * (i + 1)) < 200);
        while (is_readable(mkv_loop_fd(rig->loop), 10)) {
            assert_int_equal(mkv_loop_run_once(rig->loop, 0), 0);
        }
        mkv_link_close(rig->client.link);
        mkv_loop_settle(rig->loop);
        (void)drive(rig->loop, &rig->ends[i].n_closed, 1);
        mkv_link_free(rig->ends[i].link);
        rig->ends[i].link = NULL;
        mkv_loop_settle(rig->loop);
        (void)drive(rig->loop, &rig->client.n_closed, 1);
        rig->client.n_closed = 0;
        mkv_link_free(rig->client.link);
        rig->client.link = NULL;
        mkv_loop_settle(rig->loop);
    }
    while (is_readable(mkv_loop_fd(rig->loop), 10)) {
        assert_int_equal(mkv_loop_run_once(rig->loop, 0), 0);
    }
    rig_free(rig);
}

static int last_signal;

static void on_signal(void *context, int signal_number)
{
    unsigned *n = context;

    (*n)++;
    last_signal = signal_number;
}

static void test_signals(void **state)
{
    struct mkv_loop *loop = rig_loop();
    struct mkv_signals *signals = NULL;
    unsigned n = 0;

    (void)state;
    assert_int_equal(mkv_signals_new(loop, on_signal, &n, &signals), 0);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    assert_int_equal(n, 0);
    rig_until(loop, n == 1);
    assert_int_equal(last_signal, SIGTERM);
    assert_int_equal(kill(getpid(), SIGINT), 0);
    rig_until(loop, n == 2);
    assert_int_equal(kill(getpid(), SIGHUP), 0);
    rig_until(loop, n == 3);
    assert_int_equal(raise(SIGPIPE), 0);
    mkv_signals_free(signals);
    mkv_signals_free(NULL);
    mkv_loop_free(loop);

    struct sigaction action;

    assert_int_equal(sigaction(SIGTERM, NULL, &action), 0);
    assert_true(action.sa_handler == SIG_DFL);
}

static void test_clock(void **state)
{
    int64_t before_ms = mkv_clock_monotonic_ms();

    (void)state;
    assert_true(mkv_clock_monotonic_ms() >= before_ms);
    assert_true(mkv_clock_wall_ms() > INT64_C(1000) * 86400 * 365 * 4); /* 2024 */
    assert_true(mkv_clock_wall_ms() < INT64_C(1000) * 86400 * 365 * 200);
    assert_true(mkv_clock_trusted(MKV_CLOCK_ALWAYS));
    assert_false(mkv_clock_trusted(MKV_CLOCK_NEVER));
    (void)mkv_clock_trusted(MKV_CLOCK_AUTO);
}

static void test_entropy(void **state)
{
    uint8_t a[32] = {0};
    uint8_t b[32] = {0};
    unsigned seen = 0;

    (void)state;
    mkv_entropy_fill(a, sizeof(a));
    mkv_entropy_fill(b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
    assert_true(mkv_entropy_u64() != mkv_entropy_u64());
    for (unsigned i = 0; i < 1000; i++) {
        uint32_t number = mkv_entropy_below(3);

        assert_true(number < 3);
        seen |= 1U << number;
    }
    assert_int_equal(seen, 7);
    assert_int_equal(mkv_entropy_below(1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waiting),  cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_tasks),    cmocka_unit_test(test_fd_timers),
        cmocka_unit_test(test_fd_links), cmocka_unit_test(test_signals),
        cmocka_unit_test(test_clock),    cmocka_unit_test(test_entropy),
    };

    return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
