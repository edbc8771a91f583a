/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Merging, in every order: the greatest K of all that was merged stays, whatever came first, twice
 * or by way of another server; and both sides of a pair agree on whether it was a conflict.
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "core/merge.h"
#include "lib/check.h"
#include "lib/prng.h"
#include "store/log_memory.h"
#include "store/store.h"

#define UPDATES_MAX 6U
#define KEY_LEN     9U

static struct mkv_disk *disk;
static struct mkv_store *store;
static uint32_t n_paths;

static int setup(void **state)
{
    struct mkv_store_options options = {.boot_nonce = 1};
    struct mkv_store_report report;

    (void)state;
    disk = mkv_disk_new(0);
    assert_non_null(disk);
    assert_int_equal(mkv_store_open_disk(disk, &options, &store, &report), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mkv_store_close(store);
    mkv_disk_free(disk);
    return 0;
}

/* A path that nothing has been written to: an integer of 8 bytes. */
static struct mkv_bytes fresh_path(uint8_t space[KEY_LEN])
{
    n_paths++;
    memset(space, 0xff, KEY_LEN);
    space[0] = 0x48;
    for (unsigned i = 0; i < 4; i++) {
        space[KEY_LEN - 1 - i] = (uint8_t)(n_paths >> (8 * i));
    }
    return mkv_bytes(space, KEY_LEN);
}

/* What the server does with an update. */
static struct mkv_merge merge(struct mkv_bytes key, const struct mkv_update *update)
{
    struct mkv_merge merged;
    struct mkv_update other;
    struct mkv_head head = mkv_head_of(update);

    assert_int_equal(mkv_merge_decide(store, key, update, &merged, &other), 0);
    if (merged.verdict == MKV_MERGE_WON) {
        assert_int_equal(mkv_store_put(store, key, &head, &merged.update), 0);
    }
    return merged;
}

static struct mkv_update held(struct mkv_bytes key)
{
    struct mkv_tree_entry entry;
    struct mkv_bytes row_key;
    struct mkv_update update;

    assert_true(mkv_tree_find(mkv_store_tree(store), key, &entry));
    assert_int_equal(mkv_store_row(store, entry.position, &row_key, &update), 0);
    return update;
}

/* --- The order once more, as the document has it ------------------------------------------- */

static uint64_t model_hash(struct mkv_bytes value)
{
    uint8_t hash[32];
    uint64_t number = 0;

    assert_int_equal(crypto_generichash(hash, 32, value.at, value.len, NULL, 0), 0);
    for (unsigned i = 0; i < 8; i++) {
        number = number * 256 + hash[i];
    }
    return number;
}

static bool model_greater(const struct mkv_update *a, const struct mkv_update *b)
{
    const struct mkv_tick *x = &a->ticks.at[0];
    const struct mkv_tick *y = &b->ticks.at[0];
    int names = mkv_bytes_compare(x->name, y->name);

    if (a->tock != b->tock) {
        return a->tock > b->tock;
    }
    if (names != 0) {
        return names > 0;
    }
    if (x->seq != y->seq) {
        return x->seq > y->seq;
    }
    if (x->counter != y->counter) {
        return x->counter > y->counter;
    }
    if (!a->present || !b->present) {
        return a->present && !b->present;
    }
    return model_hash(a->value) > model_hash(b->value);
}

static bool model_same(const struct mkv_update *a, const struct mkv_update *b)
{
    return !model_greater(a, b) && !model_greater(b, a);
}

/* --- Random updates, of few writers and few tocks, so that they meet ------------------------ */

static struct mkv_tick random_tick(struct prng *prng)
{
    static const char *const names[] = {"a", "ab", "b"};

    return (struct mkv_tick){.name = mkv_bytes_of(names[prng_below(prng, 3)]),
                             .seq = prng_below(prng, 3),
                             .counter = 1 + prng_below(prng, 3)};
}

static void random_update(struct prng *prng, struct mkv_update *update)
{
    static const char *const values[] = {"\x01", "\x02", "\xf6", "\x60"};
    struct mkv_tick dot = random_tick(prng);
    uint64_t n = prng_below(prng, 8);

    *update = (struct mkv_update){.has_tock = true,
                                  .tock = prng_below(prng, 3),
                                  .present = prng_below(prng, 4) > 0,
                                  .ticks = {.n = 1, .at = {dot}}};
    if (update->present) {
        update->value = mkv_bytes_of(values[prng_below(prng, 4)]);
    }
    for (uint64_t i = 0; i < n && update->ticks.n < MKV_TICKS_MAX; i++) {
        struct mkv_tick tick = random_tick(prng);
        bool there = false;

        for (uint32_t t = 0; t < update->ticks.n; t++) {
            there = there || mkv_tick_same_stream(&update->ticks.at[t], &tick);
        }
        if (!there) {
            update->ticks.at[update->ticks.n++] = tick;
        }
    }
}

static const struct mkv_update *greatest(const struct mkv_update *updates, unsigned n)
{
    const struct mkv_update *best = &updates[0];

    for (unsigned i = 1; i < n; i++) {
        if (model_greater(&updates[i], best)) {
            best = &updates[i];
        }
    }
    return best;
}

/* What is stored can be told to others, and is @expected but for what it is known to replace. */
static void assert_held(struct mkv_bytes key, const struct mkv_update *expected)
{
    struct mkv_update found = held(key);
    struct mkv_update again;
    struct mkv_buf bytes;

    assert_true(model_same(&found, expected));
    assert_int_equal(found.present, expected->present);
    assert_true(mkv_bytes_equal(found.value, expected->value));
    mkv_buf_init(&bytes, MKV_UPDATE_MAX);
    assert_int_equal(mkv_update_encode(&found, &bytes), 0);
    assert_int_equal(mkv_update_decode(mkv_buf_bytes(&bytes), &again), 0);
    mkv_buf_deinit(&bytes);
}

/* The next permutation in lexical order; false after the last. */
static bool permute(unsigned *order, unsigned n)
{
    unsigned i = n - 1;
    unsigned j = n - 1;

    while (i > 0 && order[i - 1] >= order[i]) {
        i--;
    }
    if (i == 0) {
        return false;
    }
    while (order[j] <= order[i - 1]) {
        j--;
    }

    unsigned swapped = order[j];

    order[j] = order[i - 1];
    order[i - 1] = swapped;
    for (j = n - 1; i < j; i++, j--) {
        swapped = order[i];
        order[i] = order[j];
        order[j] = swapped;
    }
    return true;
}

/* Merges them in this order, some of them by way of a second server, and all of them once more. */
static void run_order(const struct mkv_update *updates, const unsigned *order, unsigned n)
{
    uint8_t space[2][KEY_LEN];
    struct mkv_bytes here = fresh_path(space[0]);
    struct mkv_bytes there = fresh_path(space[1]);
    unsigned n_here = 1 + order[0] % n;

    for (unsigned i = 0; i < n; i++) {
        (void)merge(i < n_here ? here : there, &updates[order[i]]);
    }
    if (n_here < n) {
        struct mkv_update told = held(there);
        struct mkv_buf bytes;
        struct mkv_update copy;

        mkv_buf_init(&bytes, MKV_UPDATE_MAX);
        assert_int_equal(mkv_update_encode(&told, &bytes), 0);
        assert_int_equal(mkv_update_decode(mkv_buf_bytes(&bytes), &copy), 0);
        (void)merge(here, &copy);
        mkv_buf_deinit(&bytes);
    }
    assert_held(here, greatest(updates, n));

    uint64_t position = mkv_store_place(store).position;

    for (unsigned i = 0; i < n; i++) {
        struct mkv_merge again = merge(here, &updates[order[i]]);

        assert_int_not_equal(again.verdict, MKV_MERGE_WON);
    }
    assert_true(mkv_store_place(store).position == position);
}

static void run_seed(uint64_t seed, unsigned n)
{
    struct prng prng = {seed};
    struct mkv_update updates[UPDATES_MAX];
    unsigned order[UPDATES_MAX];

    for (unsigned i = 0; i < n; i++) {
        random_update(&prng, &updates[i]);
        order[i] = i;
    }
    do {
        run_order(updates, order, n);
    } while (permute(order, n));
    mkv_store_abort(store);
}

static void all_orders_agree(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 240; seed++) {
        unsigned n = seed % 12 == 0 ? 6 : 2 + (unsigned)(seed % 4);

        print_message("# seed %llu, %u updates\n", (unsigned long long)seed, n);
        run_seed(seed, n);
    }
}

/* What @winner says of @loser, whichever comes first. */
static void run_pair(const struct mkv_update *winner, const struct mkv_update *loser)
{
    uint8_t space[KEY_LEN];
    struct mkv_head head = mkv_head_of(loser);
    struct mkv_bytes key = fresh_path(space);
    bool covers = mkv_ticks_cover(&winner->ticks, &head);
    bool cut = winner->ticks.n == MKV_TICKS_MAX || loser->ticks.n == MKV_TICKS_MAX;
    enum mkv_conflict expected = cut ? MKV_CONFLICT_POSSIBLE : MKV_CONFLICT_CERTAIN;

    expected = covers ? MKV_CONFLICT_NONE : expected;
    (void)merge(key, loser);

    struct mkv_merge won = merge(key, winner);

    assert_int_equal(won.verdict, MKV_MERGE_WON);
    assert_int_equal(won.conflict, expected);
    key = fresh_path(space);
    (void)merge(key, winner);

    struct mkv_merge lost = merge(key, loser);

    assert_int_equal(lost.verdict, MKV_MERGE_LOST);
    assert_int_equal(lost.conflict, expected);
}

static void both_sides_agree_on_conflicts(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5000; seed++) {
        struct prng prng = {seed};
        struct mkv_update a;
        struct mkv_update b;

        random_update(&prng, &a);
        random_update(&prng, &b);
        if (model_greater(&a, &b)) {
            run_pair(&a, &b);
        } else if (model_greater(&b, &a)) {
            run_pair(&b, &a);
        }
        mkv_store_abort(store);
    }
}

/* A conflict is found once: whoever wins over a loser has it in its list from then on. */
static void a_winner_remembers_its_loser(void **state)
{
    unsigned n_conflicts = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 5000; seed++) {
        struct prng prng = {seed};
        uint8_t space[KEY_LEN];
        struct mkv_bytes key = fresh_path(space);
        struct mkv_update a;
        struct mkv_update b;

        random_update(&prng, &a);
        random_update(&prng, &b);
        (void)merge(key, &a);
        if (merge(key, &b).verdict == MKV_MERGE_WON) {
            struct mkv_update found = held(key);
            struct mkv_head loser = mkv_head_of(&a);

            n_conflicts++;
            assert_true(mkv_ticks_cover(&found.ticks, &loser) ||
                        mkv_tick_same_stream(&found.ticks.at[0], &a.ticks.at[0]));
        }
        mkv_store_abort(store);
    }
    assert_true(n_conflicts > 1000);
}

/* Who goes on from a winner knows what the loser had replaced: a late repeat of that is no conflict. */
static void a_winner_replaces_what_its_loser_had_replaced(void **state)
{
    static const struct mkv_tick dots[] = {{{(const uint8_t *)"a", 1}, 1, 1},
                                           {{(const uint8_t *)"a", 1}, 2, 1},
                                           {{(const uint8_t *)"a", 1}, 3, 1},
                                           {{(const uint8_t *)"a", 1}, 3, 2}};
    const struct mkv_update updates[] = {
        {.has_tock = true, .tock = 1, .ticks = {.n = 1, .at = {dots[0]}}},
        {.has_tock = true, .tock = 2, .ticks = {.n = 2, .at = {dots[1], dots[0]}}},
        {.has_tock = true, .tock = 3, .ticks = {.n = 1, .at = {dots[2]}}}, /* blind */
    };
    struct mkv_update last = {.has_tock = true, .tock = 4};
    uint8_t space[KEY_LEN];
    struct mkv_bytes key = fresh_path(space);

    (void)state;
    assert_int_equal(merge(key, &updates[0]).conflict, MKV_CONFLICT_NONE);
    assert_int_equal(merge(key, &updates[1]).conflict, MKV_CONFLICT_NONE);
    assert_int_equal(merge(key, &updates[2]).conflict, MKV_CONFLICT_CERTAIN);
    last.ticks = held(key).ticks;
    assert_int_equal(last.ticks.n, 3);
    last.ticks.at[0] = dots[3];
    assert_int_equal(merge(key, &last).conflict, MKV_CONFLICT_NONE);
    assert_int_equal(merge(key, &updates[0]).conflict, MKV_CONFLICT_NONE);
    mkv_store_abort(store);
}

/* A row that is damaged still counts: its head is known, and decides. */
static void a_damaged_row_takes_part(void **state)
{
    uint8_t space[KEY_LEN];
    struct mkv_bytes key = fresh_path(space);
    struct mkv_update update = {.has_tock = true,
                                .tock = 5,
                                .present = true,
                                .value = mkv_bytes_of("\x01"),
                                .ticks = {.n = 1, .at = {{mkv_bytes_of("a"), 1, 1}}}};

    (void)state;
    (void)merge(key, &update);
    assert_int_equal(mkv_store_commit(store), 0);
    mkv_disk_damage(disk, MKV_LOG_ROWS, 0);
    update.ticks.at[0].name = mkv_bytes_of("b");
    update.tock = 4;

    struct mkv_merge lost = merge(key, &update);

    assert_int_equal(lost.verdict, MKV_MERGE_LOST);
    assert_int_equal(lost.conflict, MKV_CONFLICT_NONE);
    update.tock = 6;
    assert_int_equal(merge(key, &update).verdict, MKV_MERGE_WON);
    assert_held(key, &update);
}

static void a_row_that_cannot_be_read_is_told(void **state)
{
    uint8_t space[KEY_LEN];
    struct mkv_bytes key = fresh_path(space);
    struct mkv_update update = {
        .has_tock = true, .tock = 5, .ticks = {.n = 1, .at = {{mkv_bytes_of("a"), 1, 1}}}};
    struct mkv_merge merged;
    struct mkv_update other;

    (void)state;
    (void)merge(key, &update);
    assert_int_equal(mkv_store_commit(store), 0);
    update.ticks.at[0].name = mkv_bytes_of("b");
    mkv_disk_fail_at(disk, 1, MKV_E_IO);
    assert_int_equal(mkv_merge_decide(store, key, &update, &merged, &other), MKV_E_IO);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(all_orders_agree),
        CASE(both_sides_agree_on_conflicts),
        CASE(a_winner_remembers_its_loser),
        CASE(a_winner_replaces_what_its_loser_had_replaced),
        CASE(a_damaged_row_takes_part),
        CASE(a_row_that_cannot_be_read_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
