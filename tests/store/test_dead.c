/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "lib/check.h"
#include "lib/mem_fault.h"
#include "lib/prng.h"
#include "store/dead.h"

#define MODEL_MAX 3000U

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;

    return (*x > *y) - (*x < *y);
}

/* Against a sorted array. */
static void run(uint64_t seed)
{
    static uint64_t model[MODEL_MAX];
    static uint64_t taken[MODEL_MAX];
    struct prng prng = {.state = seed};
    struct mkv_dead dead = {0};
    size_t n = 0;

    print_message("# seed %llu\n", (unsigned long long)seed);
    for (unsigned round = 0; round < 100; round++) {
        size_t n_more = prng_below(&prng, MODEL_MAX - n < 60 ? MODEL_MAX - n + 1 : 60);

        assert_int_equal(mkv_dead_reserve(&dead, n_more), 0);
        for (size_t i = 0; i < n_more; i++) {
            model[n] = prng_below(&prng, 500);
            mkv_dead_add(&dead, model[n++]);
        }
        qsort(model, n, sizeof(model[0]), compare);

        size_t n_max = prng_below(&prng, 60);
        size_t n_taken = mkv_dead_take(&dead, n_max, taken);

        assert_int_equal(n_taken, n_max < n ? n_max : n);
        if (n_taken > 0) {
            assert_memory_equal(taken, model, n_taken * sizeof(model[0]));
        }
        n -= n_taken;
        memmove(model, model + n_taken, n * sizeof(model[0]));
        assert_int_equal(dead.n, n);
    }
    mkv_dead_deinit(&dead);
    assert_int_equal(mem_fault_live(), 0);
}

static void test_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        run(seed);
    }
}

static void test_no_memory(void **state)
{
    struct mkv_dead dead = {0};
    uint64_t taken;

    (void)state;
    mem_fault_at(1);
    assert_int_equal(mkv_dead_reserve(&dead, 1), MKV_E_NO_MEMORY);
    assert_int_equal(mkv_dead_reserve(&dead, SIZE_MAX / 8), MKV_E_NO_MEMORY);
    assert_int_equal(mkv_dead_reserve(&dead, 1), 0);
    mkv_dead_add(&dead, 5);
    mem_fault_at(1);
    assert_int_equal(mkv_dead_reserve(&dead, 1000), MKV_E_NO_MEMORY);
    assert_int_equal(mkv_dead_take(&dead, 9, &taken), 1);
    assert_int_equal(taken, 5);
    mkv_dead_deinit(&dead);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
