/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a server's own wall clock is believed, from what the others show.
 */
#include <stdlib.h>
#include <string.h>

#include "core/walls.h"
#include "lib/check.h"
#include "lib/prng.h"

#define DAY_MS    INT64_C(86400000)
#define MINUTE_MS INT64_C(60000)

static struct mkv_now at(int64_t ms, int64_t ahead_ms)
{
    return (struct mkv_now){.ms = ms, .wall_ms = (uint64_t)(DAY_MS + ms + ahead_ms)};
}

/* Others are so far ahead of the right time. */
static void set(struct mkv_walls *walls, uint32_t n, const int64_t *ahead_ms)
{
    int64_t others[8];

    for (uint32_t i = 0; i < n; i++) {
        others[i] = DAY_MS + ahead_ms[i];
    }
    mkv_walls_set(walls, others, n);
}

/* Looks at @ms, with our clock so far ahead; whether it was believed. */
static bool believed(struct mkv_walls *walls,
                     int64_t ms,
                     int64_t ahead_ms,
                     enum mkv_walls_news expected)
{
    struct mkv_now now = at(ms, ahead_ms);
    const struct mkv_now before = now;

    assert_int_equal(mkv_walls_judge(walls, &now), expected);
    assert_int_equal(now.ms, before.ms);
    assert_int_equal(walls->own_ms, before.wall_ms);
    assert_true(now.wall_ms == 0 || now.wall_ms == before.wall_ms);
    return now.wall_ms > 0;
}

static void test_alone_nobody_doubts(void **state)
{
    struct mkv_walls walls = {0};
    struct mkv_now untrusted = {.ms = 5};

    (void)state;
    assert_true(believed(&walls, 1, 100 * DAY_MS, MKV_WALLS_NONE));
    set(&walls, 2, (int64_t[]){0, 0});
    assert_int_equal(mkv_walls_judge(&walls, &untrusted), MKV_WALLS_NONE); /* it says so itself */
    assert_int_equal(walls.own_ms, 0);
    assert_true(believed(&walls, 6, 0, MKV_WALLS_NONE));
}

static void test_one_other_makes_a_doubt(void **state)
{
    struct mkv_walls walls = {0};

    (void)state;
    set(&walls, 1, (int64_t[]){0});
    assert_true(believed(&walls, 1000, 6 * MINUTE_MS, MKV_WALLS_NONE));
    assert_true(believed(&walls, 30999, 6 * MINUTE_MS, MKV_WALLS_NONE));
    assert_true(believed(&walls, 31000, 6 * MINUTE_MS, MKV_WALLS_DOUBT));
    assert_int_equal(walls.by_ms, 6 * MINUTE_MS);
    assert_true(believed(&walls, 41000, 6 * MINUTE_MS, MKV_WALLS_NONE)); /* said once */
    set(&walls, 2, (int64_t[]){0, 0}); /* now it is known who is right */
    assert_false(believed(&walls, 51000, 6 * MINUTE_MS, MKV_WALLS_ASTRAY));
    assert_false(believed(&walls, 61000, 6 * MINUTE_MS, MKV_WALLS_NONE));
    assert_true(believed(&walls, 71000, 0, MKV_WALLS_AGREE));
    assert_true(believed(&walls, 81000, 0, MKV_WALLS_NONE));
}

static void test_others_overrule(void **state)
{
    struct mkv_walls walls = {0};

    (void)state;
    set(&walls, 3, (int64_t[]){0, 1000, -2000});
    assert_true(
        believed(&walls, 1000, 5 * MINUTE_MS, MKV_WALLS_NONE)); /* the limit itself is fine */
    assert_false(believed(&walls, 2000, 5 * MINUTE_MS + 1, MKV_WALLS_NONE)); /* at once ... */
    assert_false(believed(&walls, 32000, -6 * MINUTE_MS, MKV_WALLS_ASTRAY)); /* ... said later */
    assert_int_equal(walls.by_ms, -6 * MINUTE_MS);
    assert_false(believed(&walls, 33000, 3 * MINUTE_MS, MKV_WALLS_NONE)); /* not close enough */
    set(&walls, 0, NULL); /* they are gone: what they showed goes on to count */
    assert_false(believed(&walls, 34000, 3 * MINUTE_MS, MKV_WALLS_NONE));
    assert_true(believed(&walls, 35000, 2 * MINUTE_MS, MKV_WALLS_AGREE));
    set(&walls, 0, NULL);
    assert_true(believed(&walls, 36000, 9 * MINUTE_MS, MKV_WALLS_NONE)); /* nobody is there */
}

/* A pause of the machine: for a moment all the others seem to be behind.  Nothing is said. */
static void test_short_while_is_not_worth_a_line(void **state)
{
    struct mkv_walls walls = {0};

    (void)state;
    set(&walls, 2, (int64_t[]){0, 0});
    assert_false(believed(&walls, 1000, DAY_MS, MKV_WALLS_NONE));
    set(&walls, 2, (int64_t[]){DAY_MS, DAY_MS});
    assert_true(believed(&walls, 11000, DAY_MS, MKV_WALLS_NONE));
    assert_true(believed(&walls, 90000, DAY_MS, MKV_WALLS_NONE));
}

static void test_two_halves(void **state)
{
    struct mkv_walls walls = {0};

    (void)state;
    set(&walls, 2, (int64_t[]){0, 60 * MINUTE_MS}); /* we are the third, and decide */
    assert_true(believed(&walls, 1000, 0, MKV_WALLS_NONE));
    assert_true(believed(&walls, 2000, 60 * MINUTE_MS, MKV_WALLS_NONE));
    assert_true(believed(&walls, 3000, 30 * MINUTE_MS, MKV_WALLS_NONE));
    assert_false(believed(&walls, 4000, 66 * MINUTE_MS, MKV_WALLS_NONE));
    set(&walls, 3, (int64_t[]){60 * MINUTE_MS, 0, 60 * MINUTE_MS});
    assert_true(believed(&walls, 5000, 60 * MINUTE_MS, MKV_WALLS_NONE));
    assert_false(believed(&walls, 6000, 0, MKV_WALLS_NONE));
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

/* Its middle is what qsort() finds, for any number of others. */
static void test_middle_agrees_with_sorting(void **state)
{
    struct prng prng = {1};

    (void)state;
    for (unsigned run = 0; run < 2000; run++) {
        uint32_t n = 1 + (uint32_t)prng_below(&prng, run < 1900 ? 12 : 1024);
        struct mkv_walls walls = {0};
        int64_t others[1024];
        int64_t sorted[1024];

        for (uint32_t i = 0; i < n; i++) {
            others[i] = (int64_t)prng_below(&prng, 40) - 20;
        }
        memcpy(sorted, others, sizeof(others[0]) * n);
        qsort(sorted, n, sizeof(sorted[0]), compare);
        mkv_walls_set(&walls, others, n);
        assert_int_equal(walls.n, n);
        assert_true(walls.low == sorted[(n - 1) / 2]);
        assert_true(walls.high == sorted[n / 2]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone_nobody_doubts),
        cmocka_unit_test(test_one_other_makes_a_doubt),
        cmocka_unit_test(test_others_overrule),
        cmocka_unit_test(test_short_while_is_not_worth_a_line),
        cmocka_unit_test(test_two_halves),
        cmocka_unit_test(test_middle_agrees_with_sorting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
