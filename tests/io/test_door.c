/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The door against naive models: a table of counts, and a list of when handshakes began.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/door.h"
#include "lib/check.h"
#include "lib/prng.h"

static struct mkv_door door;

static struct mkv_bytes origin(unsigned i)
{
    static char text[16];

    return mkv_bytes(text, (size_t)snprintf(text, sizeof(text), "o%u", i));
}

static void test_at_the_limit(void **state)
{
    (void)state;
    door = (struct mkv_door){0};
    for (unsigned i = 0; i < MKV_DOOR_EACH; i++) {
        assert_true(mkv_door_enter(&door, origin(1)));
    }
    assert_false(mkv_door_enter(&door, origin(1)));
    assert_true(mkv_door_enter(&door, origin(2)));
    mkv_door_leave(&door, origin(1));
    assert_true(mkv_door_enter(&door, origin(1)));
    assert_false(mkv_door_enter(&door, origin(1)));
}

static void test_full(void **state)
{
    (void)state;
    door = (struct mkv_door){.each = 1};
    for (unsigned i = 0; i < MKV_DOOR_ORIGINS_MAX; i++) {
        assert_true(mkv_door_enter(&door, origin(i)));
    }
    assert_false(mkv_door_enter(&door, origin(MKV_DOOR_ORIGINS_MAX)));
    mkv_door_leave(&door, origin(7));
    assert_true(mkv_door_enter(&door, origin(MKV_DOOR_ORIGINS_MAX)));
    assert_false(mkv_door_enter(&door, origin(7)));
}

#define ORIGINS 9U

static void test_counts(void **state)
{
    struct prng prng = {.state = 1};
    unsigned counts[ORIGINS] = {0};

    (void)state;
    door = (struct mkv_door){.each = 3};
    for (unsigned i = 0; i < 20000; i++) {
        unsigned k = (unsigned)prng_below(&prng, ORIGINS);

        if (prng_below(&prng, 2) == 0) {
            assert_int_equal(mkv_door_enter(&door, origin(k)), counts[k] < 3);
            counts[k] += counts[k] < 3;
        } else if (counts[k] > 0) {
            mkv_door_leave(&door, origin(k));
            counts[k]--;
        }
    }
    for (unsigned k = 0; k < ORIGINS; k++) {
        for (; counts[k] > 0; counts[k]--) {
            mkv_door_leave(&door, origin(k));
        }
    }
    assert_int_equal(door.n, 0);
}

/* Whoever waits as long as is said never begins more than 2 x per_s in any second, and goes on at per_s. */
static void test_handshakes(void **state)
{
    static const uint32_t rates[] = {1, 7, 50, 999};

    (void)state;
    for (unsigned r = 0; r < sizeof(rates) / sizeof(rates[0]); r++) {
        static int64_t began_ms[20000];
        int64_t now_ms = 12345;
        uint32_t rate = rates[r];
        uint32_t n = 0;

        door = (struct mkv_door){.per_s = rate};
        for (; now_ms < 12345 + 10000; n++) {
            began_ms[n] = now_ms;
            now_ms += mkv_door_handshake(&door, now_ms);
            assert_true(n < 2 * rate || began_ms[n] - began_ms[n - 2 * rate] >= 990);
        }
        assert_true(n >= 10 * rate);
        assert_true(n <= 11 * rate + 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at_the_limit),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_handshakes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
