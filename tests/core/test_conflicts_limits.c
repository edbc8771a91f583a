/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record of conflicts at the limits that servers have: in a storm neither the disk nor memory is
 * flooded, however many there are and however large they are; and what should not be in the store
 * does no harm.
 */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "core/conflicts.h"
#include "lib/check.h"
#include "store/log_memory.h"
#include "store/store.h"
#include "wire/path.h"

static struct mkv_disk *disk;
static struct mkv_store *store;
static struct mkv_conflicts conflicts;
static uint8_t *value;

static int setup(void **state)
{
    struct mkv_store_options options = {.boot_nonce = 1};
    struct mkv_store_report report;

    (void)state;
    disk = mkv_disk_new(0);
    value = calloc(1, MKV_VALUE_MAX);
    assert_non_null(disk);
    assert_non_null(value);
    assert_int_equal(mkv_store_open_disk(disk, &options, &store, &report), 0);
    assert_int_equal(mkv_conflicts_load(&conflicts, mkv_conflict_limits_default, store), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mkv_conflicts_deinit(&conflicts);
    mkv_store_close(store);
    mkv_disk_free(disk);
    free(value);
    return 0;
}

/* A byte string of so many bytes, its head included. */
static struct mkv_bytes value_of(size_t len)
{
    value[0] = 0x5a;
    for (unsigned i = 0; i < 4; i++) {
        value[1 + i] = (uint8_t)((len - 5) >> (24 - 8 * i));
    }
    return mkv_bytes(value, len);
}

/* A path of its own for each number; @raw is kept as long as the row. */
static struct mkv_conflict_row row_of(uint32_t path, uint64_t id, size_t value_len, uint8_t raw[6])
{
    const uint8_t bytes[6] = {0x81,         0x1a, 0x7f, (uint8_t)(path >> 16), (uint8_t)(path >> 8),
                              (uint8_t)path};

    memcpy(raw, bytes, sizeof(bytes));
    return (struct mkv_conflict_row){
        .id = id,
        .path = mkv_bytes(raw, sizeof(bytes)),
        .loser = {.has_tock = true,
                  .present = true,
                  .value = value_of(value_len),
                  .ticks = {.n = 1, .at = {{mkv_bytes_of("a"), 1, id}}}},
        .winner = {.has_tock = true,
                   .tock = 1,
                   .ticks = {.n = 1, .at = {{mkv_bytes_of("b"), 1, 1}}}},
    };
}

static enum mkv_conflict_verdict add_row(int64_t now_ms, const struct mkv_conflict_row *row)
{
    enum mkv_conflict_verdict verdict;
    struct mkv_cbor_reader r;
    struct mkv_buf key;

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    mkv_cbor_reader_init(&r, row->path);
    assert_int_equal(mkv_path_from_cbor(&r, &key), 0);
    assert_int_equal(
        mkv_conflicts_add(&conflicts, store, now_ms, mkv_buf_bytes(&key), row, &verdict), 0);
    mkv_buf_deinit(&key);
    if (row->id % 500 == 0) {
        assert_int_equal(mkv_store_commit(store), 0);
    }
    return verdict;
}

static enum mkv_conflict_verdict add(int64_t now_ms, uint32_t path, uint64_t id, size_t value_len)
{
    uint8_t raw[6];
    struct mkv_conflict_row row = row_of(path, id, value_len, raw);

    return add_row(now_ms, &row);
}

/* After a split: 100,000 paths, in ten seconds. */
static void many_paths(void **state)
{
    const struct mkv_conflict_limits *limits = &mkv_conflict_limits_default[0];
    uint64_t n_kept = 0;

    (void)state;
    for (uint32_t i = 0; i < 100000; i++) {
        n_kept += add(1000 + i / 10, i, 1 + i, 50) == MKV_CONFLICT_KEPT;
    }
    assert_int_equal(mkv_conflicts_n(&conflicts), limits->n_max);
    assert_true(n_kept <= limits->n_max + 10 * limits->rows.per_s);
    assert_true(n_kept >= limits->n_max + 9 * limits->rows.per_s);
}

/* The same with the largest values there are: a fifth of a second of them, then by the rate. */
static void large_values(void **state)
{
    const struct mkv_conflict_limits *limits = &mkv_conflict_limits_default[0];
    uint64_t n_kept = 0;

    (void)state;
    for (uint32_t i = 0; i < 2000; i++) {
        n_kept += add(1000 + i * 10, i, 1 + i, MKV_VALUE_MAX) == MKV_CONFLICT_KEPT;
        assert_true(conflicts.shelves[0].bytes <= limits->bytes_max);
    }
    assert_true(mkv_conflicts_n(&conflicts) >= 10);
    assert_true(n_kept * MKV_VALUE_MAX <= limits->bytes.burst + 20 * limits->bytes.per_s);
    assert_true(n_kept * MKV_VALUE_MAX >= 19 * limits->bytes.per_s);
}

/* Two writers that overwrite each other a hundred times a second each, for a minute. */
static void one_path(void **state)
{
    uint64_t n_kept = 0;
    uint64_t more = 0;
    struct mkv_conflicts_walk walk;
    const struct mkv_conflict_kept *kept;

    (void)state;
    for (uint32_t i = 0; i < 60 * 200; i++) {
        n_kept += add(1000 + i * 5, 7, 1 + i, 50) == MKV_CONFLICT_KEPT;
    }
    assert_int_equal(n_kept, 60);
    assert_int_equal(mkv_conflicts_n(&conflicts), MKV_CONFLICTS_OF_PATH);
    mkv_conflicts_walk_init(&walk, &conflicts, 0);
    while ((kept = mkv_conflicts_walk_next(&walk)) != NULL) {
        more += kept->more;
    }
    assert_int_equal(more, MKV_CONFLICTS_OF_PATH * 199);
}

/* Many that are merely possible drive out none that is certain. */
static void many_that_are_possible(void **state)
{
    (void)state;
    (void)add(1000, 1, 1, 50);
    for (uint32_t i = 2; i < 20000; i++) {
        uint8_t raw[6];
        struct mkv_conflict_row row = row_of(i, i, 50, raw);

        row.class_ = 1;
        (void)add_row(1000 + i * 10, &row);
    }
    assert_true(mkv_conflicts_know(&conflicts, 1));
    assert_int_equal(mkv_conflicts_n(&conflicts), 1 + mkv_conflict_limits_default[1].n_max);
}

/* --- What should not be there ------------------------------------------------------------------ */

static void put_stored(uint64_t number, struct mkv_bytes bytes)
{
    uint8_t key[9] = {'x', 1, 0, 0, 0, 0, 0, 0, (uint8_t)number};

    assert_int_equal(mkv_store_meta_put(store, mkv_bytes(key, sizeof(key)), bytes), 0);
}

static void put_stored_row(uint64_t number, uint64_t id)
{
    uint8_t raw[6];
    struct mkv_conflict_row row = row_of(1, id, 50, raw);
    struct mkv_cbor_writer w;
    struct mkv_buf out;

    mkv_buf_init(&out, 4096);
    mkv_cbor_writer_init(&w, &out);
    mkv_conflict_row_write(&w, &row);
    assert_int_equal(w.error, 0);
    put_stored(number, mkv_buf_bytes(&out));
    mkv_buf_deinit(&out);
}

static void assert_loads(uint64_t n, uint64_t n_damaged)
{
    assert_int_equal(mkv_store_commit(store), 0);
    assert_int_equal(mkv_conflicts_load(&conflicts, mkv_conflict_limits_default, store), 0);
    assert_int_equal(mkv_conflicts_n(&conflicts), n);
    assert_int_equal(conflicts.n_damaged, n_damaged);
}

/* What is in the store, well sealed, but of another shape. */
static void what_is_no_conflict_is_left_out(void **state)
{
    static const char *const shapes[] = {"\x01", "\x80", "", "\x89\x01\x80\x00\x01\x00\x82\x01"};
    static const uint8_t short_key[] = {'x', 1};

    (void)state;
    assert_int_equal(add(1000, 5, 5, 50), MKV_CONFLICT_KEPT);
    assert_int_equal(mkv_store_meta_put(store, mkv_bytes(short_key, 2), mkv_bytes_of("\x01")), 0);
    for (unsigned i = 0; i < 4; i++) {
        put_stored(i, mkv_bytes_of(shapes[i]));
    }
    assert_loads(1, 4);
    assert_int_equal(add(3000, 6, 6, 50), MKV_CONFLICT_KEPT);
    assert_loads(2, 4);
}

/* The same twice, and more of a path than there may be: this program has not written that. */
static void more_than_there_may_be_is_left_out(void **state)
{
    (void)state;
    put_stored_row(1, 7);
    put_stored_row(2, 7);
    for (uint64_t i = 1; i <= MKV_CONFLICTS_OF_PATH; i++) {
        put_stored_row(2 + i, 100 + i);
    }
    assert_loads(MKV_CONFLICTS_OF_PATH, 2);
    assert_int_equal(add(3000, 1, 6, 50), MKV_CONFLICT_KEPT);
    assert_loads(MKV_CONFLICTS_OF_PATH, 2);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(many_paths),
        CASE(large_values),
        CASE(one_path),
        CASE(many_that_are_possible),
        CASE(what_is_no_conflict_is_left_out),
        CASE(more_than_there_may_be_is_left_out),
    };

    return cmocka_run_group_tests_name("conflicts_limits", tests, NULL, NULL);
}
