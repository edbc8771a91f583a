/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "io/backoff.h"
#include "lib/check.h"
#include "lib/prng.h"

static struct mkv_bytes number(unsigned i)
{
    static char text[16];

    return mkv_bytes(text, (size_t)snprintf(text, sizeof(text), "n%u", i));
}

static void test_waits(void **state)
{
    static const int64_t waits[] = {0,    0,     0,     0,     1000,  2000, 4000,
                                    8000, 16000, 32000, 60000, 60000, 60000};
    static struct mkv_backoff backoff;
    struct mkv_bytes ann = mkv_bytes_of("ann");
    int64_t now_ms = 5;

    (void)state;
    for (unsigned i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        mkv_backoff_failed(&backoff, ann, now_ms);
        assert_int_equal(mkv_backoff_left_ms(&backoff, ann, now_ms), waits[i]);
        assert_int_equal(mkv_backoff_left_ms(&backoff, ann, now_ms + waits[i]), 0);
        if (waits[i] > 0) {
            assert_int_equal(mkv_backoff_left_ms(&backoff, ann, now_ms + waits[i] - 1), 1);
        }
        assert_int_equal(mkv_backoff_left_ms(&backoff, mkv_bytes_of("bob"), now_ms), 0);
        now_ms += waits[i];
    }
    now_ms += MKV_BACKOFF_FORGET_MS;
    mkv_backoff_failed(&backoff, ann, now_ms);
    assert_int_equal(mkv_backoff_left_ms(&backoff, ann, now_ms), 0);
    for (unsigned i = 0; i < 5; i++) {
        mkv_backoff_failed(&backoff, ann, now_ms);
    }
    assert_true(mkv_backoff_left_ms(&backoff, ann, now_ms) > 0);
    mkv_backoff_succeeded(&backoff, ann);
    assert_int_equal(mkv_backoff_left_ms(&backoff, ann, now_ms), 0);
    mkv_backoff_succeeded(&backoff, ann); /* no harm */
}

static void test_full(void **state)
{
    static struct mkv_backoff backoff;

    (void)state;
    for (unsigned i = 0; i < MKV_BACKOFF_MAX + 100; i++) {
        for (unsigned k = 0; k < MKV_BACKOFF_FREE; k++) {
            mkv_backoff_failed(&backoff, number(i), i);
        }
    }
    assert_int_equal(backoff.n, MKV_BACKOFF_MAX);
    for (unsigned i = 0; i < MKV_BACKOFF_MAX + 100; i++) {
        assert_int_equal(mkv_backoff_left_ms(&backoff, number(i), i) > 0, i >= 100);
    }
}

/* Against a list that is searched: who has failed how often, and when last. */
static void test_against_a_model(void **state)
{
    enum {
        NAMES = 12
    };
    static struct mkv_backoff backoff;
    struct prng prng = {.state = 7};
    unsigned n_failures[NAMES] = {0};
    int64_t failed_ms[NAMES] = {0};
    int64_t now_ms = 0;

    (void)state;
    for (unsigned i = 0; i < 50000; i++) {
        unsigned k = (unsigned)prng_below(&prng, NAMES);
        uint64_t what = prng_below(&prng, 20);
        int64_t wait_ms = 0;

        now_ms +=
            prng_below(&prng, 500) == 0 ? MKV_BACKOFF_FORGET_MS : (int64_t)prng_below(&prng, 5000);
        if (what < 8) {
            n_failures[k] = n_failures[k] > 0 && now_ms - failed_ms[k] < MKV_BACKOFF_FORGET_MS
                                ? n_failures[k] + 1
                                : 1;
            failed_ms[k] = now_ms;
            mkv_backoff_failed(&backoff, number(k), now_ms);
        } else if (what == 8) {
            n_failures[k] = 0;
            mkv_backoff_succeeded(&backoff, number(k));
        }
        if (n_failures[k] >= 5) {
            unsigned doublings = n_failures[k] - 5;

            wait_ms = doublings >= 6 ? 60000 : 1000 << doublings;
        }
        wait_ms = failed_ms[k] + wait_ms - now_ms;
        assert_int_equal(mkv_backoff_left_ms(&backoff, number(k), now_ms),
                         wait_ms > 0 ? wait_ms : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waits),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_against_a_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
