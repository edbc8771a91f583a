/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters that have arrived, against an array of flags; sessions and their timers; tocks.
 */
#include <string.h>

#include "core/seen.h"
#include "core/session.h"
#include "core/tock.h"
#include "lib/check.h"
#include "lib/prng.h"

#define COUNTERS 300U
#define DAY_MS   INT64_C(86400000)

static uint64_t model_low(const bool *model)
{
    uint64_t low = 0;

    while (low < COUNTERS && model[low + 1]) {
        low++;
    }
    return low;
}

static void compare(const struct mkv_seen *seen, const bool *model)
{
    struct mkv_run hole;
    uint64_t low = model_low(model);

    assert_int_equal(seen->low, low);
    for (uint64_t c = 1; c <= COUNTERS; c++) {
        assert_int_equal(mkv_seen_has(seen, c), model[c]);
    }
    for (uint32_t i = 0; i < seen->n_runs; i++) { /* the invariants of seen.h */
        uint64_t before = i == 0 ? seen->low : seen->runs[i - 1].last;

        assert_true(seen->runs[i].first >= before + 2);
        assert_true(seen->runs[i].first <= seen->runs[i].last);
    }
    if (mkv_seen_hole(seen, 0, &hole)) {
        assert_int_equal(hole.first, low + 1);
        assert_false(model[hole.last]);
        assert_true(model[hole.last + 1]);
    } else {
        assert_int_equal(mkv_seen_top(seen), low);
    }
}

static void run_seen(uint64_t seed)
{
    struct prng prng = {seed};
    struct mkv_seen seen = {0};
    bool model[COUNTERS + 2] = {false};

    for (unsigned step = 0; step < 400; step++) {
        uint64_t first = 1 + prng_below(&prng, COUNTERS);
        uint64_t last = first + (prng_below(&prng, 4) == 0 ? prng_below(&prng, 20) : 0);
        bool news = false;

        last = last > COUNTERS ? COUNTERS : last;
        for (uint64_t c = first; c <= last; c++) {
            news = news || !model[c];
        }

        enum mkv_seen_verdict verdict = mkv_seen_add(&seen, first, last);

        if (verdict == MKV_SEEN_OVERFLOW) {
            assert_int_equal(seen.n_runs, MKV_SEEN_RUNS_MAX);
        } else {
            assert_int_equal(verdict, news ? MKV_SEEN_NEW : MKV_SEEN_DUPLICATE);
            memset(model + first, true, last - first + 1);
        }
        compare(&seen, model);
    }
}

static void test_seen_agrees_with_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        print_message("# seed %llu\n", (unsigned long long)seed);
        run_seen(seed);
    }
}

static void test_seen_is_bounded(void **state)
{
    struct mkv_seen seen = {0};

    (void)state;
    for (uint64_t i = 1; i <= MKV_SEEN_RUNS_MAX; i++) {
        assert_int_equal(mkv_seen_add(&seen, 2 * i, 2 * i), MKV_SEEN_NEW);
    }
    assert_int_equal(mkv_seen_add(&seen, 1000, 1000), MKV_SEEN_OVERFLOW);
    assert_int_equal(mkv_seen_add(&seen, 1, 1), MKV_SEEN_NEW);
    assert_int_equal(seen.low, 2);
    assert_int_equal(mkv_seen_add(&seen, 1000, 1000), MKV_SEEN_NEW); /* there is room again */
    assert_int_equal(mkv_seen_add(&seen, 1, INT64_MAX), MKV_SEEN_NEW);
    assert_int_equal(seen.n_runs, 0);
}

static void test_session_row_round_trip(void **state)
{
    struct mkv_session session = {0};
    struct mkv_seen read;
    struct mkv_bytes user;
    struct mkv_buf buf;

    (void)state;
    mkv_buf_init(&buf, 4096);
    for (uint64_t i = 0; i < MKV_SEEN_RUNS_MAX; i++) {
        (void)mkv_seen_add(&session.seen, INT64_MAX - 2 * i - 1, INT64_MAX - 2 * i - 1);
    }
    (void)mkv_seen_add(&session.seen, 1, 7);
    assert_int_equal(mkv_session_encode(&session, &buf), 0);
    assert_int_equal(mkv_session_decode(mkv_buf_bytes(&buf), &read, &user), 0);
    assert_int_equal(read.low, 7);
    assert_int_equal(read.n_runs, session.seen.n_runs);
    assert_memory_equal(read.runs, session.seen.runs, read.n_runs * sizeof(read.runs[0]));
    assert_int_equal(user.len, 0);
    mkv_buf_clear(&buf);
    memcpy(session.user, "ann", 4);
    assert_int_equal(mkv_session_encode(&session, &buf), 0);
    assert_int_equal(mkv_session_decode(mkv_buf_bytes(&buf), &read, &user), 0);
    assert_true(mkv_bytes_equal(user, mkv_bytes_of("ann")));
    assert_int_equal(read.n_runs, session.seen.n_runs);
    for (size_t len = 0; len < buf.len; len++) { /* a torn row is noticed */
        assert_int_not_equal(mkv_session_decode(mkv_bytes(buf.at, len), &read, &user), 0);
    }
    mkv_buf_deinit(&buf);
}

static void test_session_rows_that_are_none(void **state)
{
    static const char *const rows[] = {
        "\x80",             /* no lowest */
        "\x82\x01\x03",     /* half a run */
        "\x83\x05\x05\x06", /* begins below the lowest */
        "\x83\x05\x08\x07", /* backwards */
        "\x83\x05\x08\x61", /* text */
        "\x81\x20",         /* negative */
        "\x05",             /* no list */
        "\x81\x05\x05",     /* more than one item */
        "\x82\x60\x05",     /* a user without a name */
        "\x82\x61:\x05",    /* ... with a name that is none */
        "\x81\x61u",        /* nothing but a user */
    };
    struct mkv_seen seen = {.low = 42};
    struct mkv_bytes user;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_not_equal(mkv_session_decode(mkv_bytes_of(rows[i]), &seen, &user), 0);
        assert_int_equal(seen.low, 42);
    }
}

static const struct mkv_session_limits limits = {.grace_ms = 200, .void_ms = 30000};

static struct mkv_now at(int64_t ms)
{
    return (struct mkv_now){.ms = ms};
}

static void note(struct mkv_session *session, int64_t ms, uint64_t counter)
{
    (void)mkv_session_note(session, at(ms), &limits, (struct mkv_run){counter, counter});
}

static void test_hole_is_asked_for_then_void(void **state)
{
    struct mkv_session session = {.link = 1, .ask_ms = MKV_NEVER};
    struct mkv_run run = {0};
    unsigned asked = 0;
    int64_t waited = 0;

    (void)state;
    note(&session, 0, 1);
    assert_true(session.ask_ms == MKV_NEVER);
    note(&session, 0, 4);
    assert_int_equal(session.ask_ms, 200);
    note(&session, 100, 5); /* the same hole: the wait goes on */
    assert_int_equal(session.ask_ms, 200);
    while (mkv_session_due(&session, at(session.ask_ms), &limits, &run) == MKV_SESSION_ASK) {
        assert_int_equal(run.first, 2);
        assert_int_equal(run.last, 3);
        asked++;
        assert_true(session.ask_ms > waited); /* ever longer */
        waited = session.ask_ms;
    }
    assert_int_equal(asked, MKV_REPEAT_TRIES_MAX);
    assert_int_equal(session.seen.low, 5); /* given up: 2..3 are void */
    assert_true(session.ask_ms == MKV_NEVER);
}

static void test_huge_hole_is_asked_for_in_windows(void **state)
{
    struct mkv_session session = {.link = 1, .ask_ms = MKV_NEVER};
    struct mkv_run run = {0};

    (void)state;
    note(&session, 0, 1000000);
    assert_int_equal(mkv_session_due(&session, at(200), &limits, &run), MKV_SESSION_ASK);
    assert_int_equal(run.first, 1);
    assert_int_equal(run.last, MKV_REPEAT_WINDOW);
}

static void test_hole_of_one_who_is_gone_becomes_void(void **state)
{
    struct mkv_session session = {.link = 1, .ask_ms = MKV_NEVER};
    struct mkv_run run = {0};

    (void)state;
    note(&session, 0, 1000000);
    mkv_session_attach(&session, at(1000), &limits, 0);
    assert_int_equal(session.ask_ms, 31000);
    assert_int_equal(mkv_session_due(&session, at(30999), &limits, &run), MKV_SESSION_WAIT);
    assert_int_equal(mkv_session_due(&session, at(31000), &limits, &run), MKV_SESSION_VOID);
    assert_int_equal(run.last, 999999);
    assert_int_equal(session.seen.low, 1000000);
}

static void test_resuming_gives_new_time(void **state)
{
    struct mkv_session session = {.link = 1, .ask_ms = MKV_NEVER};
    struct mkv_run run = {0};

    (void)state;
    note(&session, 0, 2);
    mkv_session_attach(&session, at(1000), &limits, 0);
    mkv_session_attach(&session, at(20000), &limits, 2);
    assert_int_equal(session.ask_ms, 20200);
    assert_int_equal(mkv_session_due(&session, at(20200), &limits, &run), MKV_SESSION_ASK);
    note(&session, 20300, 1);
    assert_true(session.ask_ms == MKV_NEVER);
}

static void test_tock_grows_with_and_without_clock(void **state)
{
    struct mkv_tock tock = {0};
    uint64_t first = mkv_tock_next(&tock, 0);
    uint64_t mark;

    (void)state;
    assert_int_equal(first, 1);
    assert_int_equal(mkv_tock_next(&tock, 0), 2);
    assert_true(mkv_tock_next(&tock, 1000) == (UINT64_C(1000) << 12) + 1);
    assert_true(mkv_tock_next(&tock, 999) == (UINT64_C(1000) << 12) + 2); /* the clock fell back */
    mkv_tock_see(&tock, UINT64_C(2000) << 12);
    assert_true(mkv_tock_next(&tock, 1000) == (UINT64_C(2000) << 12) + 1);
    assert_true(mkv_tock_mark_due(&tock, &mark));
    assert_true(mark > tock.high);
    tock.mark = mark;
    assert_false(mkv_tock_mark_due(&tock, &mark));
}

static enum mkv_tock_verdict judge(const struct mkv_tock *tock, uint64_t wall_ms, uint64_t seen)
{
    return mkv_tock_judge(tock, (struct mkv_now){.ms = 1000, .wall_ms = wall_ms}, seen);
}

static void test_tock_from_outside_is_judged(void **state)
{
    const uint64_t wall = 10 * (uint64_t)DAY_MS;
    struct mkv_tock tock = {0};

    (void)state;
    assert_int_equal(judge(&tock, wall, wall << 12), MKV_TOCK_FINE);
    assert_int_equal(judge(&tock, wall, (wall << 12) + MKV_TOCK_AHEAD_MAX), MKV_TOCK_FINE);
    assert_int_equal(judge(&tock, wall, (wall << 12) + MKV_TOCK_AHEAD_MAX + 1), MKV_TOCK_FUTURE);
    assert_int_equal(judge(&tock, wall, 0), MKV_TOCK_FINE); /* the past is for core/floor */

    tock.high = UINT64_C(1) << 60; /* a liar came through once: leaps are for the clock to judge */
    assert_int_equal(judge(&tock, wall, tock.high + MKV_TOCK_SLACK), MKV_TOCK_FINE);
    assert_int_equal(judge(&tock, wall, tock.high + MKV_TOCK_SLACK + 1), MKV_TOCK_FUTURE);
    tock.high = MKV_TOCK_MAX;
    assert_int_equal(judge(&tock, wall, MKV_TOCK_MAX), MKV_TOCK_FINE);
    assert_int_equal(judge(&tock, wall, MKV_TOCK_MAX + 1), MKV_TOCK_FUTURE);
    assert_int_equal(judge(&tock, 0, MKV_TOCK_MAX + 1), MKV_TOCK_FUTURE);

    tock.high = 1000; /* without a clock: against the counter, and the past is open */
    assert_int_equal(judge(&tock, 0, 1), MKV_TOCK_FINE);
    assert_int_equal(judge(&tock, 0, 1000 + MKV_TOCK_AHEAD_MAX), MKV_TOCK_FINE);
    assert_int_equal(judge(&tock, 0, 1001 + MKV_TOCK_AHEAD_MAX), MKV_TOCK_FUTURE);
    assert_int_equal(judge(&tock, 0, INT64_MAX), MKV_TOCK_FUTURE);
}

static void test_tock_told_counts_as_seen(void **state)
{
    struct mkv_tock tock = {.high = 7};

    (void)state;
    assert_int_equal(mkv_tock_tell(&tock, 0), 7);
    assert_true(mkv_tock_tell(&tock, 1000) == UINT64_C(1000) << 12);
    assert_true(mkv_tock_now(&tock, 0) == UINT64_C(1000) << 12);
    assert_true(mkv_tock_tell(&tock, 999) == UINT64_C(1000) << 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seen_agrees_with_model),
        cmocka_unit_test(test_seen_is_bounded),
        cmocka_unit_test(test_session_row_round_trip),
        cmocka_unit_test(test_session_rows_that_are_none),
        cmocka_unit_test(test_hole_is_asked_for_then_void),
        cmocka_unit_test(test_huge_hole_is_asked_for_in_windows),
        cmocka_unit_test(test_hole_of_one_who_is_gone_becomes_void),
        cmocka_unit_test(test_resuming_gives_new_time),
        cmocka_unit_test(test_tock_grows_with_and_without_clock),
        cmocka_unit_test(test_tock_from_outside_is_judged),
        cmocka_unit_test(test_tock_told_counts_as_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
