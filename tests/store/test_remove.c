/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries that are removed: no older row of their paths ever comes back, however little of what is
 * dead has been deleted when the store is opened again; and who could not have heard of it is told.
 */
#include "harness.h"

static bool on_lmdb = true;
static bool in_memory = false;

static bool backend(void **state)
{
    return *(bool *)*state;
}

static void open_ok(struct harness *h)
{
    assert_int_equal(harness_open(h), 0);
}

static void reopen(struct harness *h)
{
    harness_close(h);
    open_ok(h);
}

static void commit(struct harness *h)
{
    assert_int_equal(mkv_store_commit(h->store), 0);
}

static void update_n_rows(struct model *model, struct harness *h)
{
    struct mkv_store_stats stats;

    mkv_store_stats(h->store, &stats);
    model->n_rows = stats.n_rows;
}

/* A store that has been told to be full tidies whatever there is. */
static void press(struct harness *h)
{
    struct model ignored = {0};

    assert_false(h->lmdb);
    mkv_disk_fail_at(h->disk, 1, MKV_E_MAP_FULL);
    assert_int_equal(model_put_meta(&ignored, h, 0, 1, 1), MKV_E_MAP_FULL);
    mkv_store_abort(h->store);
}

/* What the disk holds now, opened as another store would. */
static void assert_as_opened(const struct model *model, const struct harness *h)
{
    struct harness other;
    struct mkv_disk *copy;

    assert_int_equal(mkv_disk_snapshot(h->disk, &copy), 0);
    harness_init(&other, false);
    assert_int_equal(mkv_disk_restore(other.disk, copy), 0);
    mkv_disk_free(copy);
    other.n_boots = h->n_boots;
    open_ok(&other);
    assert_model(model, &other);
    harness_deinit(&other);
}

/* Few paths, so that each has many rows; then looks at all states between which rows are deleted. */
static void run_tidying(uint64_t seed)
{
    static struct model model;
    struct prng prng = {.state = seed};
    struct harness h;
    bool more = true;

    print_message("# seed %llu\n", (unsigned long long)seed);
    model = (struct model){0};
    harness_init(&h, false);
    open_ok(&h);
    for (unsigned n = (unsigned)prng_below(&prng, 3000); n > 0; n--) {
        unsigned i = (unsigned)prng_below(&prng, 8);

        if (prng_below(&prng, 3) == 0) {
            assert_int_equal(model_remove(&model, &h, i), 0);
        } else {
            assert_int_equal(model_put(&model, &h, i, prng_next(&prng), prng_below(&prng, 30)), 0);
        }
        if (prng_below(&prng, 500) == 0) {
            commit(&h);
            assert_as_opened(&model, &h);
            reopen(&h);
        }
    }
    commit(&h);
    press(&h);
    for (unsigned n = 0; more; n++) {
        if (n % 8 > 0) { /* then the batch is one of 100 */
            mkv_disk_fail_at(h.disk, 1 + prng_below(&prng, 4), MKV_E_MAP_FULL);
        }
        assert_int_equal(mkv_store_tidy(h.store, &more), 0);
        mkv_disk_fail_at(h.disk, 0, 0);
        update_n_rows(&model, &h);
        if (n % 4 == 0 || !more) {
            assert_as_opened(&model, &h);
        }
        if (n % 16 == 15) {
            reopen(&h);
            assert_model(&model, &h);
            press(&h);
        }
    }
    assert_model(&model, &h);
    harness_deinit(&h);
}

static void test_tidying(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        run_tidying(seed);
    }
}

/* Batches of a thousand, with an end and a new beginning behind each. */
static void test_tidying_between_boots(void **state)
{
    static struct model model;
    struct prng prng = {.state = 11};
    struct harness h;
    bool more;
    unsigned n_batches = 0;

    model = (struct model){0};
    harness_init(&h, backend(state));
    open_ok(&h);
    for (unsigned n = 0; n < 12000; n++) {
        unsigned i = (unsigned)prng_below(&prng, MODEL_KEYS);

        if (prng_below(&prng, 3) == 0) {
            assert_int_equal(model_remove(&model, &h, i), 0);
        } else {
            assert_int_equal(model_put(&model, &h, i, n + 1, 10), 0);
        }
    }
    commit(&h);
    do {
        assert_int_equal(mkv_store_tidy(h.store, &more), 0);
        update_n_rows(&model, &h);
        reopen(&h);
        assert_model(&model, &h);
        n_batches++;
    } while (more);
    assert_true(n_batches > 5);
    harness_deinit(&h);
}

/* A tombstone says all there is to know to whoever has got it; a live entry says nothing. */
static void test_places(void **state)
{
    static struct model model;
    const uint64_t tombstone = 5; /* seeds, see harness.c */
    const uint64_t value = 6;
    struct harness h;
    struct mkv_place places[8];

    model = (struct model){0};
    harness_init(&h, backend(state));
    open_ok(&h);
    for (unsigned i = 0; i < 6; i++) {
        places[i] = mkv_store_place(h.store);
        assert_int_equal(model_put(&model, &h, i, i == 2 ? tombstone : value, 1), 0);
        commit(&h);
    }
    places[6] = mkv_store_place(h.store);
    assert_int_equal(mkv_store_remove(h.store, model_key(2)), 0);
    assert_false(mkv_store_place_valid(h.store, places[2]));
    mkv_store_abort(h.store);
    assert_true(mkv_store_place_valid(h.store, places[0]));
    assert_model(&model, &h);

    assert_int_equal(model_remove(&model, &h, 2), 0);
    commit(&h);
    for (unsigned n = 0; n < 3; n++) { /* whatever has been deleted */
        for (unsigned i = 0; i <= 6; i++) {
            assert_int_equal(mkv_store_place_valid(h.store, places[i]), i > 2);
        }
        assert_true(mkv_store_place_valid(h.store, mkv_store_place(h.store)));
        tidy_all(&h);
        reopen(&h);
    }
    update_n_rows(&model, &h);
    assert_int_equal(model_remove(&model, &h, 0), 0);
    commit(&h);
    for (unsigned i = 0; i <= 6; i++) {
        assert_false(mkv_store_place_valid(h.store, places[i]));
    }
    assert_true(mkv_store_place_valid(h.store, mkv_store_place(h.store)));
    assert_model(&model, &h);
    harness_deinit(&h);
}

/* No row, no transaction, no place less. */
static void test_no_entry(void **state)
{
    static struct model model;
    struct harness h;
    struct mkv_place before;

    model = (struct model){0};
    harness_init(&h, backend(state));
    open_ok(&h);
    before = mkv_store_place(h.store);
    assert_int_equal(mkv_store_remove(h.store, model_key(3)), 0);
    assert_false(mkv_store_dirty(h.store));
    assert_int_equal(model_put(&model, &h, 3, 6, 1), 0);
    assert_int_equal(model_remove(&model, &h, 3), 0);
    assert_int_equal(mkv_store_remove(h.store, model_key(3)), 0);
    assert_int_equal(mkv_store_place(h.store).position, before.position + 2);
    commit(&h);
    assert_model(&model, &h);
    assert_int_equal(mkv_tree_summary(mkv_store_tree(h.store), model_key(0)).n_entries, 0);
    for (uint64_t position = 1; position <= 2; position++) {
        struct mkv_bytes key;
        struct mkv_update update;
        int error = mkv_store_row(h.store, position, &key, &update);

        assert_int_equal(error, position == 1 ? 0 : MKV_E_NOT_FOUND);
    }
    harness_deinit(&h);
}

/* Nothing is left of the log, not even the row that was the last: positions are not used again. */
static void test_positions_go_on(void **state)
{
    static struct model model;
    struct harness h;

    (void)state;
    model = (struct model){0};
    harness_init(&h, false);
    open_ok(&h);
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < 5; i++) {
            assert_int_equal(model_put(&model, &h, i, round + 5 * i, 1), 0);
        }
        commit(&h);
        for (unsigned i = 0; i < 5; i++) {
            assert_int_equal(model_remove(&model, &h, i), 0);
        }
        commit(&h);
        press(&h);
        tidy_all(&h);
        model.n_rows = 0;
        assert_model(&model, &h);
        reopen(&h);
        assert_int_equal(h.report.n_rows, 0);
        assert_model(&model, &h);
    }
    harness_deinit(&h);
}

static void flip(struct harness *h, size_t row)
{
    harness_close(h);
    mkv_disk_damage(h->disk, MKV_LOG_ROWS, row);
    open_ok(h);
}

/* A row that could not be read for a while: what says that its path is gone has waited for it. */
static void test_unreadable_for_a_while(void **state)
{
    static struct model model;
    struct harness h;

    (void)state;
    model = (struct model){0};
    harness_init(&h, false);
    open_ok(&h);
    assert_int_equal(model_put(&model, &h, 1, 6, 40), 0);
    assert_int_equal(model_put(&model, &h, 1, 5, 40), 0);
    assert_int_equal(model_put(&model, &h, 2, 7, 40), 0);
    commit(&h);
    flip(&h, 0);
    assert_int_equal(h.report.n_corrupt, 1);
    assert_int_equal(model_remove(&model, &h, 1), 0);
    commit(&h);
    for (unsigned n = 0; n < 2; n++) {
        press(&h);
        tidy_all(&h);
        assert_entry(&model, &h, 1);
        reopen(&h);
    }
    assert_int_equal(h.report.n_rows, 3); /* the damaged one, what is gone, and the other entry */
    flip(&h, 0);
    assert_int_equal(h.report.n_corrupt, 0);
    assert_entry(&model, &h, 1);
    assert_entry(&model, &h, 2);
    press(&h);
    tidy_all(&h);
    reopen(&h);
    assert_int_equal(h.report.n_rows, 1);
    assert_entry(&model, &h, 1);
    harness_deinit(&h);
}

/* What is not known any more is taken for the worst. */
static void test_forgotten_is_damaged(void **state)
{
    unsigned n_invalid = 0;

    (void)state;
    for (size_t row = 0; row < 6; row++) {
        static struct model model;
        struct harness h;
        struct mkv_place place;

        model = (struct model){0};
        harness_init(&h, false);
        open_ok(&h);
        assert_int_equal(model_put(&model, &h, 1, 6, 1), 0);
        assert_int_equal(model_remove(&model, &h, 1), 0);
        commit(&h);
        place = mkv_store_place(h.store);
        press(&h);
        tidy_all(&h);
        harness_close(&h);
        mkv_disk_damage(h.disk, MKV_LOG_META, row);
        if (harness_open(&h) == 0) {
            n_invalid += !mkv_store_place_valid(h.store, place);
            reopen(&h);
            assert_true(mkv_store_place_valid(h.store, mkv_store_place(h.store)));
        }
        harness_deinit(&h);
    }
    assert_int_equal(n_invalid, 2); /* "boots" and "forgotten" */
}

static void test_limits(void **state)
{
    static struct model model;
    static struct model now;
    struct harness h;

    model = (struct model){0};
    harness_init(&h, backend(state));
    open_ok(&h);
    for (unsigned n = 0; n < MKV_STORE_BATCH_ROWS / 2; n++) {
        assert_int_equal(model_put(&model, &h, n % MODEL_KEYS, 6, 1), 0);
        assert_int_equal(model_remove(&model, &h, n % MODEL_KEYS), 0);
    }
    commit(&h);
    assert_model(&model, &h);
    now = model;
    for (unsigned n = 0; n < MKV_STORE_BATCH_ROWS; n++) {
        assert_int_equal(model_put(&now, &h, n % MODEL_KEYS, 6, 1), 0);
    }
    assert_int_equal(mkv_store_remove(h.store, model_key(1)), MKV_E_TOO_LARGE);
    assert_int_equal(mkv_store_remove(h.store, model_key(1)), MKV_E_TOO_LARGE);
    assert_int_equal(mkv_store_commit(h.store), MKV_E_TOO_LARGE);
    assert_model(&model, &h);
    tidy_all(&h);
    reopen(&h);
    update_n_rows(&model, &h);
    assert_model(&model, &h);
    harness_deinit(&h);
}

/* Entries of one length until no more fit; the store is then as full as it can be of live rows. */
static void fill(struct harness *h, size_t value_len)
{
    static uint8_t value[6000];
    struct mkv_update update = {.has_tock = true, .present = true, .ticks = {.n = 1}};
    int error = 0;

    update.ticks.at[0] = (struct mkv_tick){.name = mkv_bytes_of("s"), .counter = 1};
    update.value = mkv_bytes(value, value_len);

    struct mkv_head head = mkv_head_of(&update);

    for (unsigned n = 0; error == 0; n++) {
        uint8_t key[4] = {(uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n, 1};

        error = mkv_store_put(h->store, mkv_bytes(key, sizeof(key)), &head, &update);
        error = error != 0 ? error : mkv_store_commit(h->store);
    }
    mkv_store_abort(h->store);
    assert_int_equal(error, MKV_E_MAP_FULL);
}

/* Nothing is dead, and there is no room: removals and tidying in turns make some all the same. */
static void test_full_of_entries(void **state)
{
    static const size_t lengths[] = {1, 30, 100, 700, 2200, 6000};

    (void)state;
    for (unsigned l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++) {
        struct harness h;
        uint64_t n_entries;
        unsigned n_tries = 0;

        harness_init(&h, true);
        h.size_max = 2U << 20;
        open_ok(&h);
        fill(&h, lengths[l]);
        n_entries = mkv_tree_summary(mkv_store_tree(h.store), model_key(0)).n_entries;
        for (uint64_t n = n_entries; n > 0; n_tries++) {
            struct mkv_tree_entry entry;
            bool more;

            assert_true(mkv_tree_at(mkv_store_tree(h.store), (struct mkv_bytes){0}, &entry));

            int error = mkv_store_remove(h.store, entry.key);

            error = error != 0 ? error : mkv_store_commit(h.store);
            mkv_store_abort(h.store);
            n -= error == 0;
            assert_int_equal(mkv_store_tidy(h.store, &more), 0);
            assert_true(n_tries < 2 * n_entries);
        }
        print_message("# %u entries of %u bytes took %u tries\n", (unsigned)n_entries,
                      (unsigned)lengths[l], n_tries);
        harness_deinit(&h);
    }
}

#define ON_BOTH(function)                                                                          \
    {#function " (lmdb)", function, NULL, NULL, &on_lmdb},                                         \
    {                                                                                              \
#        function " (memory)", function, NULL, NULL, &in_memory                                    \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tidying),
        ON_BOTH(test_tidying_between_boots),
        ON_BOTH(test_places),
        ON_BOTH(test_no_entry),
        cmocka_unit_test(test_positions_go_on),
        cmocka_unit_test(test_unreadable_for_a_while),
        cmocka_unit_test(test_forgotten_is_damaged),
        ON_BOTH(test_limits),
        cmocka_unit_test(test_full_of_entries),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
