/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a store promises, on LMDB and in memory alike.
 */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

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

static size_t random_len(struct prng *prng)
{
    switch (prng_below(prng, 40)) {
    case 0:
        return MKV_VALUE_MAX;
    case 1:
        return 1900 + prng_below(prng, 400); /* around half a page */
    case 2:
    case 3:
        return prng_below(prng, 20000);
    default:
        return prng_below(prng, 100);
    }
}

static void random_write(struct prng *prng, struct model *model, struct harness *h)
{
    uint64_t seed = prng_next(prng);

    if (prng_below(prng, 4) > 0) {
        unsigned i = (unsigned)prng_below(prng, MODEL_KEYS);

        if (prng_below(prng, 4) > 0) {
            assert_int_equal(model_put(model, h, i, seed, random_len(prng)), 0);
        } else {
            assert_int_equal(model_remove(model, h, i), 0);
        }
        assert_entry(model, h, i);
    } else if (prng_below(prng, 3) > 0) {
        unsigned i = (unsigned)prng_below(prng, MODEL_METAS);

        assert_int_equal(model_put_meta(model, h, i, seed, prng_below(prng, 300)), 0);
    } else {
        assert_int_equal(model_delete_meta(model, h, (unsigned)prng_below(prng, MODEL_METAS)), 0);
    }
}

static void run_random(uint64_t seed, bool lmdb)
{
    static struct model committed;
    static struct model now;
    struct prng prng = {.state = seed};
    struct places places = {0};
    struct harness h;

    print_message("# seed %llu\n", (unsigned long long)seed);
    committed = (struct model){0};
    harness_init(&h, lmdb);
    open_ok(&h);
    assert_true(h.report.created);
    for (unsigned round = 0; round < 60; round++) {
        now = committed;
        assert_false(mkv_store_dirty(h.store));
        for (uint64_t n = prng_below(&prng, 20); n > 0; n--) {
            random_write(&prng, &now, &h);
        }
        assert_true(now.position == committed.position || mkv_store_dirty(h.store));
        if (round % 8 == 0) {
            assert_model(&now, &h);
        }
        if (prng_below(&prng, 4) > 0) {
            assert_int_equal(mkv_store_commit(h.store), 0);
            committed = now;
            note_place(&places, mkv_store_place(h.store));
        } else if (prng_below(&prng, 2) > 0) {
            mkv_store_abort(h.store);
        } else {
            reopen(&h); /* a crash: nothing has been committed */
            assert_false(h.report.created);
            assert_int_equal(h.report.n_corrupt, 0);
            assert_int_equal(h.report.n_rows, committed.n_rows);
        }
        if (round % 4 == 0) {
            assert_model(&committed, &h);
        }
        assert_places(&committed, &h, &places);
    }
    reopen(&h);
    assert_model(&committed, &h);
    harness_deinit(&h);
}

static void test_random(void **state)
{
    for (uint64_t seed = 1; seed <= 25; seed++) {
        run_random(seed, backend(state));
    }
}

static void test_identity(void **state)
{
    struct harness h;
    uint8_t id[16];

    harness_init(&h, backend(state));
    h.digest_key[0] = 'I';
    open_ok(&h);
    assert_memory_equal(mkv_store_digest_key(h.store), "Its digest keys", 16);
    h.digest_key[0] = 'i';
    memcpy(id, mkv_store_id(h.store), sizeof(id));
    assert_memory_equal(id, "the id of store", 16);
    reopen(&h);
    assert_memory_equal(mkv_store_id(h.store), id, 16);
    assert_memory_equal(mkv_store_digest_key(h.store), "its digest keys", 16);
    harness_deinit(&h);
}

/* Replaces all entries in large batches until a third is dead, and tidies in between. */
static void test_tidy(void **state)
{
    static struct model model;
    struct mkv_store_stats stats;
    struct harness h;
    bool more = true;

    model = (struct model){0};
    harness_init(&h, backend(state));
    open_ok(&h);
    assert_int_equal(mkv_store_tidy(h.store, &more), 0);
    assert_false(more);
    for (unsigned i = 0; i < 5000; i++) {
        assert_int_equal(model_put(&model, &h, i % MODEL_KEYS, i + 1, i % 50), 0);
        if (i == 100) {
            assert_int_equal(mkv_store_tidy(h.store, &more), MKV_E_BAD_STATE);
        }
        if (i % 500 == 499) {
            assert_int_equal(mkv_store_commit(h.store), 0);
        }
    }
    mkv_store_stats(h.store, &stats);
    assert_int_equal(stats.n_rows, 5000);
    assert_int_equal(stats.n_dead, 5000 - MODEL_KEYS);
    assert_int_equal(mkv_store_tidy(h.store, &more), 0);
    assert_true(more);
    reopen(&h); /* forgets what it was about, and finds it again */
    mkv_store_stats(h.store, &stats);
    assert_int_equal(stats.n_rows, 4000);
    assert_int_equal(stats.n_dead, 4000 - MODEL_KEYS);
    tidy_all(&h);
    mkv_store_stats(h.store, &stats);
    assert_in_range(stats.n_dead, 0, 999);
    model.n_rows = stats.n_rows;
    assert_model(&model, &h);
    reopen(&h);
    assert_model(&model, &h);
    harness_deinit(&h);
}

static void test_places(void **state)
{
    static struct model model;
    struct harness h;
    struct mkv_place first;
    struct mkv_place second;

    model = (struct model){0};
    harness_init(&h, backend(state));
    open_ok(&h);
    first = mkv_store_place(h.store);
    assert_true(mkv_store_place_valid(h.store, first));
    assert_int_equal(model_put(&model, &h, 1, 1, 1), 0);
    assert_int_equal(mkv_store_commit(h.store), 0);
    second = mkv_store_place(h.store);
    assert_int_equal(second.position, first.position + 1);
    second.position++;
    assert_false(mkv_store_place_valid(h.store, second));
    second.position--;
    reopen(&h);
    assert_true(mkv_store_place_valid(h.store, first));
    assert_true(mkv_store_place_valid(h.store, second));
    second.nonce++; /* this boot's, and it began at that position */
    assert_true(mkv_store_place_valid(h.store, second));
    second.position--;
    assert_false(mkv_store_place_valid(h.store, second));
    for (unsigned i = 0; i < MKV_BOOTS_MAX - 2; i++) {
        reopen(&h);
        assert_true(mkv_store_place_valid(h.store, first));
    }
    reopen(&h);
    assert_false(mkv_store_place_valid(h.store, first));
    harness_deinit(&h);
}

/* Each position of the log, in whatever boot it was written, can be told as a place in it. */
static void test_place_at(void **state)
{
    static struct model model;
    struct harness h;
    uint64_t began_at = 0; /* the first boot that is remembered */

    model = (struct model){0};
    harness_init(&h, backend(state));
    open_ok(&h);
    for (uint64_t boot = 1; boot <= MKV_BOOTS_MAX + 3; boot++) {
        if (boot > MKV_BOOTS_MAX) {
            began_at = 3 * ((boot - MKV_BOOTS_MAX) / 2); /* every second boot writes 3 rows */
        }
        for (uint64_t position = 0; position <= model.position; position++) {
            struct mkv_place place = mkv_store_place_at(h.store, position);

            assert_int_equal(place.position, position);
            assert_int_equal(mkv_store_place_valid(h.store, place), position >= began_at);
        }
        assert_int_equal(mkv_store_place_at(h.store, model.position).nonce,
                         mkv_store_place(h.store).nonce);
        for (unsigned i = 0; i < 3 && boot % 2 == 0; i++) {
            assert_int_equal(model_put(&model, &h, i, boot, 1), 0);
        }
        assert_int_equal(mkv_store_commit(h.store), 0);
        reopen(&h);
    }
    harness_deinit(&h);
}

/* Bytes that come from the store itself may be written back. */
static void test_borrowed(void **state)
{
    static struct model model;
    struct harness h;

    model = (struct model){0};
    harness_init(&h, backend(state));
    open_ok(&h);
    for (unsigned i = 0; i < 40; i++) {
        assert_int_equal(model_put(&model, &h, i, i + 1, 90 * i), 0);
    }
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < 40; i++) {
            struct mkv_bytes key;
            struct mkv_update update;
            uint64_t position = model.entries[i].position;

            assert_int_equal(mkv_store_row(h.store, position, &key, &update), 0);

            struct mkv_head head = mkv_head_of(&update);

            assert_int_equal(mkv_store_put(h.store, key, &head, &update), 0);
            model.entries[i].position = ++model.position;
            model.n_rows++;
        }
        if (round % 2 == 0) {
            assert_int_equal(mkv_store_commit(h.store), 0);
        }
        assert_model(&model, &h);
    }
    harness_deinit(&h);
}

static void assert_broken(struct harness *h, struct model *model, int error)
{
    static struct model ignored;

    assert_true(mkv_store_dirty(h->store));
    assert_int_equal(model_put(&ignored, h, 0, 1, 1), error);
    assert_int_equal(model_put_meta(&ignored, h, 0, 1, 1), error);
    assert_int_equal(model_delete_meta(&ignored, h, 0), error);
    assert_int_equal(mkv_store_commit(h->store), error);
    assert_false(mkv_store_dirty(h->store));
    assert_model(model, h);
    assert_int_equal(mkv_store_commit(h->store), 0);
}

static void test_limits(void **state)
{
    static struct model model;
    static struct model now;
    static uint8_t long_bytes[MKV_STORE_META_MAX + 1];
    struct mkv_update update = {.has_tock = true, .present = true, .ticks = {.n = 1}};
    struct mkv_head head;
    struct harness h;

    model = (struct model){0};
    harness_init(&h, backend(state));
    open_ok(&h);
    assert_int_equal(model_put(&model, &h, MODEL_KEYS - 1, 1, MKV_VALUE_MAX), 0);
    assert_int_equal(model_put_meta(&model, &h, MODEL_METAS - 1, 2, MKV_STORE_META_MAX), 0);
    assert_int_equal(model_put_meta(&model, &h, 1, 2, 0), 0);
    assert_int_equal(mkv_store_commit(h.store), 0);
    reopen(&h);
    assert_model(&model, &h);

    update.ticks.at[0] = (struct mkv_tick){.name = mkv_bytes_of("s"), .counter = 1};
    update.value = mkv_bytes(long_bytes, MKV_VALUE_MAX + 1);
    head = mkv_head_of(&update);
    assert_int_equal(mkv_store_put(h.store, model_key(1), &head, &update), MKV_E_TOO_LARGE);
    assert_broken(&h, &model, MKV_E_TOO_LARGE);
    assert_int_equal(
        mkv_store_meta_put(h.store, model_meta_name(1), mkv_bytes(long_bytes, sizeof(long_bytes))),
        MKV_E_TOO_LARGE);
    assert_broken(&h, &model, MKV_E_TOO_LARGE);

    now = model;
    for (unsigned i = 0; i < MKV_STORE_BATCH_ROWS; i++) {
        assert_int_equal(model_put(&now, &h, i % MODEL_KEYS, i + 1, 1), 0);
    }
    assert_int_equal(model_put(&now, &h, 1, 1, 1), MKV_E_TOO_LARGE);
    assert_broken(&h, &model, MKV_E_TOO_LARGE);
    now = model;
    for (unsigned i = 0; i < MKV_STORE_BATCH_BYTES / MKV_VALUE_MAX - 1; i++) {
        assert_int_equal(model_put(&now, &h, i % MODEL_KEYS, 1, MKV_VALUE_MAX), 0);
    }
    assert_int_equal(model_put(&now, &h, 1, 1, MKV_VALUE_MAX), MKV_E_TOO_LARGE);
    assert_broken(&h, &model, MKV_E_TOO_LARGE);

    now = model;
    for (unsigned i = 0; i < MKV_STORE_BATCH_BYTES / MKV_STORE_META_MAX - 1; i++) {
        assert_int_equal(model_put_meta(&now, &h, i % MODEL_METAS, i + 1, MKV_STORE_META_MAX), 0);
    }
    assert_model(&now, &h);
    assert_int_equal(mkv_store_commit(h.store), 0);
    reopen(&h);
    assert_model(&now, &h);
    harness_deinit(&h);
}

static void test_missing(void **state)
{
    struct harness h;
    struct mkv_bytes key;
    struct mkv_update update;
    struct mkv_buf value;
    uint64_t position = 7;

    harness_init(&h, backend(state));
    open_ok(&h);
    assert_int_equal(mkv_store_row(h.store, 1, &key, &update), MKV_E_NOT_FOUND);
    assert_int_equal(mkv_store_scan(h.store, 0, &position), 0);
    assert_int_equal(position, 0);
    assert_int_equal(mkv_store_scan(h.store, UINT64_MAX, &position), 0);
    assert_int_equal(position, 0);
    mkv_buf_init(&value, 10);
    assert_int_equal(mkv_store_meta_get(h.store, mkv_bytes_of("x"), &value), MKV_E_NOT_FOUND);
    assert_int_equal(mkv_store_meta_next(h.store, mkv_bytes_of(""), mkv_bytes_of(""), &key),
                     MKV_E_NOT_FOUND);
    assert_int_equal(mkv_store_meta_delete(h.store, mkv_bytes_of("x")), 0);
    assert_int_equal(mkv_store_meta_put(h.store, mkv_bytes_of("x"), mkv_bytes_of("eleven byte")),
                     0);
    assert_int_equal(mkv_store_meta_get(h.store, mkv_bytes_of("x"), &value), MKV_E_TOO_LARGE);
    assert_int_equal(mkv_store_meta_next(h.store, mkv_bytes_of("y"), mkv_bytes_of(""), &key),
                     MKV_E_NOT_FOUND);
    assert_int_equal(mkv_store_meta_next(h.store, mkv_bytes_of("x"), mkv_bytes_of(""), &key), 0);
    assert_int_equal(mkv_store_meta_next(h.store, mkv_bytes_of("x"), mkv_bytes_of("x"), &key),
                     MKV_E_NOT_FOUND);
    mkv_buf_deinit(&value);
    harness_deinit(&h);
}

/* Another process, and a second time in this one. */
static void test_locked(void **state)
{
    struct harness h;
    struct harness other;
    int status;

    (void)state;
    harness_init(&h, true);
    open_ok(&h);
    other = h;
    assert_int_equal(harness_open(&other), MKV_E_LOCKED);
    assert_non_null(strstr(other.detail, h.directory));

    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        _exit(harness_open(&other) == MKV_E_LOCKED ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    harness_deinit(&h);
}

static void test_no_directory(void **state)
{
    struct harness h;
    char directory[200];

    (void)state;
    harness_init(&h, true);
    assert_in_range(strlen(h.directory), 1, sizeof(directory) - 1);
    memcpy(directory, h.directory, sizeof(directory));
    (void)snprintf(h.directory, sizeof(h.directory), "%s/a", directory);
    open_ok(&h); /* makes one directory */
    harness_close(&h);
    (void)snprintf(h.directory, sizeof(h.directory), "%s/b/c", directory);
    assert_int_equal(harness_open(&h), MKV_E_IO);
    assert_non_null(strstr(h.detail, h.directory));
    (void)snprintf(h.directory, sizeof(h.directory), "%s", directory);
    harness_deinit(&h);
}

/* What was given out after a backup is not valid once the backup has been restored. */
static void test_restored_backup(void **state)
{
    static struct model model;
    static struct model backup;
    struct backup bytes;
    struct harness h;
    struct mkv_place before;
    struct mkv_place after;

    model = (struct model){0};
    harness_init(&h, backend(state));
    open_ok(&h);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(model_put(&model, &h, i, i + 1, 10), 0);
    }
    assert_int_equal(mkv_store_commit(h.store), 0);
    before = mkv_store_place(h.store);
    backup = model;
    harness_back_up(&h, &bytes);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(model_put(&model, &h, i, i + 100, 10), 0);
    }
    assert_int_equal(mkv_store_commit(h.store), 0);
    after = mkv_store_place(h.store);
    assert_true(mkv_store_place_valid(h.store, after));
    harness_close(&h);
    harness_restore(&h, &bytes);
    backup_deinit(&bytes);
    open_ok(&h);
    assert_model(&backup, &h);
    for (unsigned i = 0; i < 30; i++) { /* the same positions, for the second time */
        assert_int_equal(model_put(&backup, &h, i, i + 200, 10), 0);
    }
    assert_int_equal(mkv_store_commit(h.store), 0);
    assert_true(mkv_store_place(h.store).position > after.position);
    assert_false(mkv_store_place_valid(h.store, after));
    assert_true(mkv_store_place_valid(h.store, before));
    harness_deinit(&h);
}

#define ON_BOTH(function)                                                                          \
    {#function " (lmdb)", function, NULL, NULL, &on_lmdb},                                         \
    {                                                                                              \
#        function " (memory)", function, NULL, NULL, &in_memory                                    \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(test_random),
        ON_BOTH(test_identity),
        ON_BOTH(test_tidy),
        ON_BOTH(test_places),
        ON_BOTH(test_place_at),
        ON_BOTH(test_borrowed),
        ON_BOTH(test_limits),
        ON_BOTH(test_missing),
        cmocka_unit_test(test_locked),
        cmocka_unit_test(test_no_directory),
        ON_BOTH(test_restored_backup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
