/* SPDX-License-Identifier: Apache-2.0 */
/* What has been told,. */
#include "core/told.h"
#include "lib/check.h"
#include "lib/mem_fault.h"

static bool note(struct mkv_told *told, uint64_t id, uint64_t more)
{
    bool news = false;

    assert_int_equal(mkv_told_note(told, id, more, &news), 0);
    return news;
}

static void told_once_unless_it_has_grown(void **state)
{
    struct mkv_told told = {0};

    (void)state;
    assert_true(note(&told, 5, 0));
    assert_false(note(&told, 5, 0));
    assert_true(note(&told, 0, 3));
    assert_false(note(&told, 0, 2));
    assert_false(note(&told, 0, 3));
    assert_true(note(&told, 5, 1));
    assert_false(note(&told, 5, 1));
    mkv_told_deinit(&told);
}

static void the_first_are_forgotten(void **state)
{
    struct mkv_told told = {0};

    (void)state;
    for (uint64_t id = 1; id <= MKV_TOLD_MAX; id++) {
        assert_true(note(&told, id, 0));
    }
    for (uint64_t id = 1; id <= MKV_TOLD_MAX; id++) {
        assert_false(note(&told, id, 0));
    }
    assert_true(note(&told, MKV_TOLD_MAX + 1, 0));
    assert_false(note(&told, 2, 0));
    assert_true(note(&told, 1, 0)); /* for which 2 goes */
    assert_true(note(&told, 2, 0));
    assert_false(note(&told, 4, 0));
    mkv_told_deinit(&told);
    assert_int_equal(mem_fault_live(), 0);
}

static void what_fails_is_not_noted(void **state)
{
    struct mkv_told told = {0};
    bool struck = true;

    (void)state;
    for (unsigned n = 1; struck; n++) {
        bool news = false;

        mem_fault_at(n);

        int error = mkv_told_note(&told, 7, 0, &news);

        struck = mem_fault_struck();
        mem_fault_at(0);
        assert_int_equal(error, struck ? MKV_E_NO_MEMORY : 0);
        assert_true(news == !struck);
    }
    mkv_told_deinit(&told);
    assert_int_equal(mem_fault_live(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(told_once_unless_it_has_grown),
        cmocka_unit_test(the_first_are_forgotten),
        cmocka_unit_test(what_fails_is_not_noted),
    };

    return cmocka_run_group_tests_name("told", tests, NULL, NULL);
}
