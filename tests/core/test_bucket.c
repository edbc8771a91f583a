/* SPDX-License-Identifier: Apache-2.0 */
/* A bucket against a model that goes through every millisecond. */
#include "core/bucket.h"
#include "lib/check.h"
#include "lib/prng.h"

static void full_at_first_and_then_at_its_rate(void **state)
{
    const struct mkv_bucket_limits limits = {.burst = 10, .per_s = 4};
    struct mkv_bucket bucket = {0};

    (void)state;
    assert_int_equal(mkv_bucket_room(&bucket, &limits, 5000), 10);
    mkv_bucket_use(&bucket, 10);
    assert_int_equal(mkv_bucket_room(&bucket, &limits, 5000), 0);
    assert_int_equal(mkv_bucket_room(&bucket, &limits, 5249), 0);
    assert_int_equal(mkv_bucket_room(&bucket, &limits, 5250), 1);
    assert_int_equal(mkv_bucket_room(&bucket, &limits, 6000), 4);
    assert_int_equal(mkv_bucket_room(&bucket, &limits, 7499), 9);
    assert_int_equal(mkv_bucket_room(&bucket, &limits, 7500), 10);
    assert_int_equal(mkv_bucket_room(&bucket, &limits, INT64_MAX), 10);
}

static void time_that_goes_back_fills_nothing(void **state)
{
    const struct mkv_bucket_limits limits = {.burst = 10, .per_s = 4};
    struct mkv_bucket bucket = {0};

    (void)state;
    (void)mkv_bucket_room(&bucket, &limits, 5000);
    mkv_bucket_use(&bucket, 10);
    assert_int_equal(mkv_bucket_room(&bucket, &limits, 0), 0);
    assert_int_equal(mkv_bucket_room(&bucket, &limits, 5000), 0);
    assert_int_equal(mkv_bucket_room(&bucket, &limits, 6000), 4);
}

static void run_seed(uint64_t seed)
{
    struct prng prng = {seed};
    const struct mkv_bucket_limits limits = {.burst = 1 + prng_below(&prng, 50),
                                             .per_s = 1 + prng_below(&prng, 3000)};
    struct mkv_bucket bucket = {0};
    int64_t now_ms = (int64_t)prng_below(&prng, 1000);
    uint64_t left = 1000 * limits.burst; /* in thousandths */

    for (unsigned i = 0; i < 500; i++) {
        uint64_t passed = prng_below(&prng, 4) == 0 ? prng_below(&prng, 300) : 0;

        now_ms += (int64_t)passed;
        for (uint64_t ms = 0; ms < passed; ms++) {
            left = left + limits.per_s < 1000 * limits.burst ? left + limits.per_s
                                                             : 1000 * limits.burst;
        }

        uint64_t room = mkv_bucket_room(&bucket, &limits, now_ms);
        uint64_t n = prng_below(&prng, room + 1);

        assert_true(room == left / 1000);
        mkv_bucket_use(&bucket, n);
        left -= 1000 * n;
    }
}

static void it_agrees_with_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 500; seed++) {
        run_seed(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_at_first_and_then_at_its_rate),
        cmocka_unit_test(time_that_goes_back_fills_nothing),
        cmocka_unit_test(it_agrees_with_the_model),
    };

    return cmocka_run_group_tests_name("bucket", tests, NULL, NULL);
}
