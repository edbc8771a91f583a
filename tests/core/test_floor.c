/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The horizon and the floor, against a list of all that the tock ever was; and the past.
 */
#include <string.h>

#include "base/limits.h"
#include "core/floor.h"
#include "core/past.h"
#include "lib/check.h"
#include "lib/mem_fault.h"
#include "lib/prng.h"

#define HORIZON_MS 24000
#define STEP_MS    1000

static struct mkv_now at(int64_t ms)
{
    return (struct mkv_now){.ms = ms};
}

/* Asked each second, with something to forget: after R it is what the tock was R ago, in steps. */
static void test_horizon_follows(void **state)
{
    struct mkv_floor floor = {0};

    (void)state;
    for (int64_t ms = 0; ms <= 3 * HORIZON_MS; ms += STEP_MS) {
        uint64_t before = floor.horizon;
        int64_t next = mkv_floor_sample(&floor, at(ms), (uint64_t)ms + 1, HORIZON_MS, true);

        assert_int_equal(next, ms + STEP_MS);
        assert_true(floor.horizon >= before);
        assert_true(floor.n_samples <= MKV_SAMPLES_MAX);
        assert_int_equal(floor.horizon, ms < HORIZON_MS ? 0 : (uint64_t)(ms - HORIZON_MS) + 1);
        assert_true(floor.changed);
        floor.changed = false;
    }
}

/* Between two samples nothing happens, and nothing is to be stored. */
static void test_between_samples(void **state)
{
    struct mkv_floor floor = {0};

    (void)state;
    assert_int_equal(mkv_floor_sample(&floor, at(5), 7, HORIZON_MS, true), 5 + STEP_MS);
    floor.changed = false;
    assert_int_equal(mkv_floor_sample(&floor, at(900), 8, HORIZON_MS, true), 5 + STEP_MS);
    assert_int_equal(floor.n_samples, 1);
    assert_false(floor.changed);
}

/* While there is nothing to forget the horizon stands, and nothing is stored; then it catches up. */
static void test_nothing_to_forget(void **state)
{
    struct mkv_floor floor = {0};

    (void)state;
    for (int64_t ms = 0; ms <= 3 * HORIZON_MS; ms += STEP_MS) {
        (void)mkv_floor_sample(&floor, at(ms), (uint64_t)ms + 1, HORIZON_MS, false);
        assert_int_equal(floor.horizon, 0);
        assert_false(floor.changed);
    }
    (void)mkv_floor_sample(&floor, at(3 * HORIZON_MS + 1), 1, HORIZON_MS, true);
    assert_int_equal(floor.horizon, 2 * HORIZON_MS + 1);
    assert_true(floor.changed);
}

/* At any times, with pauses and restarts: never too high, and never going back. */
static void test_random_times(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct prng prng = {seed};
        struct mkv_floor floor = {0};
        struct mkv_sample all[400];
        unsigned n = 0;
        int64_t ms = (int64_t)prng_below(&prng, 100000);
        int64_t shift = 0; /* what the clock has been set back by restarts */
        uint64_t tock = 1;

        while (n < 400) {
            uint64_t before = floor.horizon;
            uint64_t most = 0;

            ms += (int64_t)prng_below(&prng, prng_below(&prng, 20) == 0 ? 30000 : 1500);
            tock += prng_below(&prng, 50);
            all[n++] = (struct mkv_sample){ms + shift, tock};
            (void)mkv_floor_sample(&floor, at(ms), tock, HORIZON_MS, prng_below(&prng, 3) > 0);
            for (unsigned i = 0; i < n; i++) {
                most = all[i].ms <= ms + shift - HORIZON_MS ? all[i].tock : most;
            }
            assert_true(floor.horizon >= before);
            assert_true(floor.horizon <= most);
            assert_true(floor.n_samples > 0 && floor.n_samples <= MKV_SAMPLES_MAX);
            if (prng_below(&prng, 30) == 0) { /* it is stored, and the clock starts anew */
                int64_t start = (int64_t)prng_below(&prng, 5000);
                struct mkv_floor again;
                struct mkv_buf row;

                mkv_buf_init(&row, MKV_FLOOR_ROW_MAX);
                assert_int_equal(mkv_floor_encode(&floor, at(ms), &row), 0);
                assert_int_equal(mkv_floor_decode(mkv_buf_bytes(&row), at(start), &again), 0);
                assert_int_equal(again.n_samples, floor.n_samples);
                mkv_buf_deinit(&row);
                floor = again;
                shift += ms - start;
                ms = start;
            }
        }
    }
}

static void test_only_grow(void **state)
{
    struct mkv_floor floor = {0};

    (void)state;
    mkv_floor_raise_horizon(&floor, 10);
    mkv_floor_raise(&floor, 5);
    assert_true(floor.changed);
    assert_int_equal(mkv_floor_bound(&floor), 10);
    floor.changed = false;
    mkv_floor_raise_horizon(&floor, 10);
    mkv_floor_raise_horizon(&floor, 9);
    mkv_floor_raise(&floor, 5);
    mkv_floor_raise(&floor, 4);
    assert_false(floor.changed);
    assert_int_equal(floor.horizon, 10);
    assert_int_equal(floor.floor, 5);
    mkv_floor_raise(&floor, 11);
    assert_int_equal(mkv_floor_bound(&floor), 11);
}

/* Theirs, if it is the lesser one; the promise about the past stays. */
static void test_go_over(void **state)
{
    struct mkv_floor floor = {.horizon = 10, .floor = 5};

    (void)state;
    mkv_floor_go_over(&floor, 7);
    assert_false(floor.changed);
    assert_int_equal(floor.floor, 5);
    mkv_floor_go_over(&floor, 3);
    assert_true(floor.changed);
    assert_int_equal(floor.floor, 3);
    assert_int_equal(floor.horizon, 10);
}

static void assert_corrupt(const char *bytes, size_t len)
{
    struct mkv_floor floor;

    assert_int_equal(mkv_floor_decode(mkv_bytes(bytes, len), at(0), &floor), MKV_E_CORRUPT);
}

static void test_bad_rows(void **state)
{
    struct mkv_floor floor;

    (void)state;
    assert_int_equal(mkv_floor_decode(mkv_bytes("\x82\x07\x05", 3), at(0), &floor), 0);
    assert_int_equal(floor.horizon, 7);
    assert_int_equal(floor.floor, 5);
    assert_corrupt("", 0);
    assert_corrupt("\x80", 1);
    assert_corrupt("\x81\x07", 2);
    assert_corrupt("\x83\x07\x05\x01", 4);
    assert_corrupt("\x82\x07", 2);
    assert_corrupt("\x82\x07\x05\x05", 4);
    assert_corrupt("\x82\x07\x60", 3);
    assert_corrupt("\xa1\x07\x05", 3);
    assert_corrupt("\x84\x07\x05\x1b\xff\xff\xff\xff\xff\xff\xff\xff\x01", 13); /* its age */
    assert_corrupt("\x98\x38", 2);                                              /* too many */
}

static void test_memory(void **state)
{
    struct mkv_floor floor = {.horizon = 7};
    struct mkv_buf row;

    (void)state;
    mkv_buf_init(&row, MKV_FLOOR_ROW_MAX);
    mem_fault_at(1);
    assert_int_equal(mkv_floor_encode(&floor, at(0), &row), MKV_E_NO_MEMORY);
    mem_fault_at(0);
    mkv_buf_deinit(&row);
}

/* --- The past ----------------------------------------------------------------------------- */

static struct mkv_digest digest(uint64_t n)
{
    return (struct mkv_digest){.high = n >> 1, .low = n & 1};
}

static void test_past(void **state)
{
    struct mkv_past past = {0};

    (void)state;
    assert_false(mkv_past_has(&past, digest(0)));
    mem_fault_at(1);
    assert_int_equal(mkv_past_add(&past, digest(0)), MKV_E_NO_MEMORY);
    mem_fault_at(0);
    for (uint64_t n = 0; n < MKV_PAST_MAX + 10; n++) {
        assert_false(mkv_past_has(&past, digest(n)));
        assert_int_equal(mkv_past_add(&past, digest(n)), 0);
        assert_true(mkv_past_has(&past, digest(n)));
    }
    assert_false(mkv_past_has(&past, digest(9)));
    assert_true(mkv_past_has(&past, digest(10)));
    mkv_past_clear(&past);
    assert_false(mkv_past_has(&past, digest(10)));
    assert_int_equal(mkv_past_add(&past, digest(10)), 0);
    assert_true(mkv_past_has(&past, digest(10)));
    mkv_past_deinit(&past);
    assert_int_equal(mem_fault_live(), 0);
}

#define CASE(f) cmocka_unit_test(f)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_horizon_follows), CASE(test_between_samples), CASE(test_nothing_to_forget),
        CASE(test_random_times),    CASE(test_only_grow),       CASE(test_go_over),
        CASE(test_bad_rows),        CASE(test_memory),          CASE(test_past),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
