/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "core/view.h"
#include "lib/check.h"
#include "lib/mem_fault.h"
#include "lib/prng.h"

#define KEYS  12U
#define STEPS 400U
#define SEEDS 300U

static const uint8_t digest_key[MKV_DIGEST_KEY_LEN] = {1, 2, 3};
static const uint8_t other_key[MKV_DIGEST_KEY_LEN] = {4, 5, 6};

static const char *const names[] = {"a", "b", "srv"};

/* A naive view: for each key the update that won, kept whole. */
struct model {
    bool held[KEYS];
    struct mkv_update at[KEYS];
    uint8_t values[KEYS];
    uint64_t floor;
};

static struct mkv_bytes key_at(unsigned i)
{
    static const char keys[] = "abcdefghijkl";

    return mkv_bytes(keys + i, 1);
}

static struct mkv_update some_update(struct prng *prng, uint8_t *value)
{
    struct mkv_update update = {
        .has_tock = true, .tock = prng_below(prng, 6), .present = prng_below(prng, 4) != 0};

    *value = (uint8_t)prng_below(prng, 3);
    if (update.present) {
        update.value = mkv_bytes(value, 1);
    }
    update.ticks.n = 1 + (uint32_t)prng_below(prng, 4);
    for (uint32_t i = 0; i < update.ticks.n; i++) {
        update.ticks.at[i] =
            (struct mkv_tick){.name = mkv_bytes_of(names[prng_below(prng, 3)]),
                              .seq = 1 + 10 * i + prng_below(prng, 3), /* no stream twice */
                              .counter = 1 + prng_below(prng, 3)};
    }
    return update;
}

static enum mkv_view_verdict model_merge(struct model *model,
                                         unsigned i,
                                         const struct mkv_update *update,
                                         uint8_t value)
{
    struct mkv_head head = mkv_head_of(update);
    bool was_there = model->held[i] && model->at[i].present;

    if (model->held[i]) {
        struct mkv_head held = mkv_head_of(&model->at[i]);

        if (mkv_head_compare(&head, &held) <= 0) {
            return MKV_VIEW_OLD;
        }
    } else if (!update->present && update->tock <= model->floor) {
        return MKV_VIEW_OLD; /* forgotten */
    }
    model->held[i] = true;
    model->at[i] = *update;
    model->values[i] = value;
    if (update->present) {
        model->at[i].value = mkv_bytes(&model->values[i], 1);
    }
    return update->present || was_there ? MKV_VIEW_NEW : MKV_VIEW_NOTHING;
}

static void model_forget(struct model *model, uint64_t floor)
{
    if (floor <= model->floor) {
        return;
    }
    model->floor = floor;
    for (unsigned i = 0; i < KEYS; i++) {
        model->held[i] = model->held[i] && (model->at[i].present || model->at[i].tock > floor);
    }
}

static void check_digest(const struct model *model, const struct mkv_view *view, const uint8_t *key)
{
    struct mkv_digest sum = {0};
    uint64_t n = 0;
    uint8_t bytes[16];

    for (unsigned i = 0; i < KEYS; i++) {
        if (model->held[i]) {
            struct mkv_head head = mkv_head_of(&model->at[i]);

            mkv_digest_add(&sum, mkv_entry_digest(key, key_at(i), &head));
            n++;
        }
    }
    mkv_digest_bytes(sum, bytes);
    assert_true(mkv_view_equals(view, 0, n, bytes));
    assert_false(mkv_view_equals(view, 0, n + 1, bytes));
    bytes[15] ^= 1;
    assert_false(mkv_view_equals(view, 0, n, bytes));
}

static void check(const struct model *model, const struct mkv_view *view, const uint8_t *key)
{
    for (unsigned i = 0; i < KEYS; i++) {
        struct mkv_ticks ticks;
        bool found = mkv_view_ticks(view, key_at(i), &ticks);

        assert_int_equal(found, model->held[i]);
        if (!found) {
            continue;
        }
        assert_int_equal(ticks.n, model->at[i].ticks.n);
        for (uint32_t t = 0; t < ticks.n; t++) {
            assert_true(mkv_tick_equal(&ticks.at[t], &model->at[i].ticks.at[t]));
        }
    }
    check_digest(model, view, key);
}

/* Deletions up to @floor do not count. */
static void check_floor(const struct model *model,
                        const struct mkv_view *view,
                        const uint8_t *key,
                        uint64_t floor)
{
    struct mkv_digest sum = {0};
    uint64_t n = 0;
    uint8_t bytes[16];

    for (unsigned i = 0; i < KEYS; i++) {
        if (model->held[i] && (model->at[i].present || model->at[i].tock > floor)) {
            struct mkv_head head = mkv_head_of(&model->at[i]);

            mkv_digest_add(&sum, mkv_entry_digest(key, key_at(i), &head));
            n++;
        }
    }
    mkv_digest_bytes(sum, bytes);
    assert_true(mkv_view_equals(view, floor, n, bytes));
}

static uint64_t last_seed;

static int tell_seed(void **state)
{
    (void)state;
    print_message("# the last seed was %llu\n", (unsigned long long)last_seed);
    return 0;
}

static void run(uint64_t seed)
{
    struct prng prng = {seed};
    struct model model = {0};
    struct mkv_view view;
    const uint8_t *key = digest_key;

    last_seed = seed;
    mkv_view_init(&view, key);
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned i = (unsigned)prng_below(&prng, KEYS);
        uint64_t what = prng_below(&prng, 40);

        if (what == 0) {
            mkv_view_remove(&view, key_at(i));
            model.held[i] = false;
        } else if (what == 1) {
            key = key == digest_key ? other_key : digest_key;
            assert_int_equal(mkv_view_rekey(&view, key), 0);
        } else if (what == 2) {
            uint64_t floor = prng_below(&prng, 4);

            assert_int_equal(mkv_view_forget(&view, floor), 0);
            model_forget(&model, floor);
        } else {
            uint8_t value;
            struct mkv_update update = some_update(&prng, &value);
            enum mkv_view_verdict verdict;

            mem_fault_at(prng_below(&prng, 4) == 0 ? 1 + (unsigned)prng_below(&prng, 3) : 0);
            int error = mkv_view_merge(&view, key_at(i), &update, &verdict);

            mem_fault_at(0);
            if (error != 0) {
                assert_int_equal(error, MKV_E_NO_MEMORY); /* and nothing has changed */
            } else {
                assert_int_equal(verdict, model_merge(&model, i, &update, value));
            }
        }
        check(&model, &view, key);
        check_floor(&model, &view, key, 1 + prng_below(&prng, 6));
    }
    mkv_view_deinit(&view);
    assert_int_equal(mem_fault_live(), 0);
}

static void test_like_a_naive_view(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        run(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_like_a_naive_view, tell_seed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
