/* SPDX-License-Identifier: Apache-2.0 */
/* The list of amends against a plain array. */
#include <stdlib.h>

#include "base/mem.h"
#include "core/amends.h"
#include "lib/check.h"
#include "lib/prng.h"

#define N_IDS  64U
#define STEPS  50000U
#define DUE_MS 40U

struct model {
    bool there[N_IDS];
    int64_t due_ms[N_IDS];
    uint64_t put[N_IDS]; /* when: of those due at the same time the first goes first */
    uint8_t value[N_IDS];
};

static void put(struct mkv_amends *amends, struct model *model, struct prng *prng, unsigned step)
{
    uint64_t id = prng_below(prng, N_IDS);
    uint8_t key = (uint8_t)id;
    struct mkv_amend amend = {.due_ms = (int64_t)(step / 4 + prng_below(prng, DUE_MS)),
                              .plain = true,
                              .present = true,
                              .key = mkv_bytes(&key, 1)};

    model->there[id] = true;
    model->due_ms[id] = amend.due_ms;
    model->put[id] = step;
    model->value[id] = (uint8_t)prng_next(prng);
    amend.value = mkv_bytes(&model->value[id], 1);
    assert_int_equal(mkv_amends_put(amends, id, &amend), 0);
}

static unsigned first(const struct model *model)
{
    unsigned found = N_IDS;

    for (unsigned i = 0; i < N_IDS; i++) {
        if (model->there[i] &&
            (found == N_IDS || model->due_ms[i] < model->due_ms[found] ||
             (model->due_ms[i] == model->due_ms[found] && model->put[i] < model->put[found]))) {
            found = i;
        }
    }
    return found;
}

static void take(struct mkv_amends *amends, struct model *model, int64_t now_ms)
{
    unsigned wanted = first(model);
    struct mkv_amend *taken = mkv_amends_take(amends, now_ms);

    if (wanted == N_IDS || model->due_ms[wanted] > now_ms) {
        assert_null(taken);
        return;
    }
    assert_non_null(taken);
    assert_int_equal(taken->id, wanted);
    assert_int_equal(taken->key.at[0], wanted);
    assert_int_equal(taken->value.at[0], model->value[wanted]);
    model->there[wanted] = false;
    mkv_mem_free(taken);
}

static void as_a_plain_array(void **state)
{
    struct mkv_amends amends = {.by_id = {.n_max = MKV_AMENDS_MAX}};
    struct model model = {0};
    struct prng prng = {5};

    (void)state;
    for (unsigned step = 0; step < STEPS; step++) {
        uint64_t id = prng_below(&prng, N_IDS);

        switch (prng_below(&prng, 3)) {
        case 0:
            put(&amends, &model, &prng, step);
            break;
        case 1:
            take(&amends, &model, step / 4);
            break;
        default:
            mkv_amends_drop(&amends, id);
            model.there[id] = false;
        }
    }
    while (first(&model) != N_IDS) {
        take(&amends, &model, INT64_MAX);
    }
    assert_int_equal(amends.n_bytes, 0);
    mkv_amends_deinit(&amends);
}

static void no_more_than_there_may_be(void **state)
{
    struct mkv_amends amends = {.by_id = {.n_max = MKV_AMENDS_MAX}};
    struct mkv_amend amend = {.plain = true};
    struct mkv_amend large = {.plain = true};
    uint8_t *bytes = calloc(1, MKV_AMENDS_BYTES_MAX);

    (void)state;
    assert_non_null(bytes);
    for (unsigned i = 0; i < MKV_AMENDS_MAX; i++) {
        assert_int_equal(mkv_amends_put(&amends, i, &amend), 0);
    }
    assert_int_equal(mkv_amends_put(&amends, MKV_AMENDS_MAX, &amend), MKV_E_TOO_MANY);
    assert_int_equal(mkv_amends_put(&amends, 7, &amend), 0); /* in place of what was there */
    mkv_amends_drop(&amends, 7);
    large.value = mkv_bytes(bytes, MKV_AMENDS_BYTES_MAX);
    assert_int_equal(mkv_amends_put(&amends, 7, &large), MKV_E_TOO_LARGE);
    assert_int_equal(amends.by_id.n, MKV_AMENDS_MAX - 1);
    mkv_amends_deinit(&amends);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_a_plain_array),
        cmocka_unit_test(no_more_than_there_may_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
