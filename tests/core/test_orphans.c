/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Updates that wait for a tock, and the record of those that got one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/orphans.h"
#include "core/stamped.h"
#include "lib/check.h"
#include "lib/mem_fault.h"
#include "lib/prng.h"
#include "store/log_memory.h"
#include "store/store.h"

static struct mkv_update update_of(uint64_t seq, uint64_t counter, struct mkv_bytes value)
{
    return (struct mkv_update){
        .present = value.at != NULL,
        .value = value,
        .ticks = {.n = 1, .at = {{mkv_bytes_of("gone"), seq, counter}}},
    };
}

static int add(struct mkv_orphans *orphans,
               int64_t due_ms,
               uint64_t counter,
               struct mkv_bytes value)
{
    struct mkv_update update = update_of(7, counter, value);

    return mkv_orphans_add(orphans, (struct mkv_now){.ms = 5}, due_ms, mkv_bytes_of("key"),
                           &update);
}

static struct mkv_orphans *new_orphans(void)
{
    struct mkv_orphans *orphans = calloc(1, sizeof(*orphans));

    assert_non_null(orphans);
    return orphans;
}

static void free_orphans(struct mkv_orphans *orphans)
{
    mkv_orphans_deinit(orphans);
    assert_int_equal(orphans->n, 0);
    assert_int_equal(orphans->n_bytes, 0);
    assert_int_equal(mem_fault_live(), 0);
    free(orphans);
}

static void test_come_out_as_they_went_in(void **state)
{
    struct mkv_orphans *orphans = new_orphans();
    struct mkv_orphan orphan;
    struct mkv_update update;

    (void)state;
    assert_int_equal(add(orphans, 30, 1, mkv_bytes_of("\x01")), 0);
    assert_int_equal(add(orphans, 10, 2, mkv_bytes(NULL, 0)), 0);
    assert_int_equal(add(orphans, 20, 3, mkv_bytes_of("\x61x")), 0);
    orphan = mkv_orphans_take(orphans, mkv_orphans_next(orphans));
    assert_int_equal(orphan.due_ms, 10);
    assert_int_equal(orphan.came_ms, 5);
    update = mkv_orphan_update(&orphan);
    assert_false(update.present);
    assert_false(update.has_tock);
    assert_int_equal(update.ticks.at[0].counter, 2);
    mkv_orphan_free(&orphan);

    orphan = mkv_orphans_take(orphans, mkv_orphans_next(orphans));
    update = mkv_orphan_update(&orphan);
    assert_int_equal(orphan.dot.counter, 3);
    assert_int_equal(orphan.dot.seq, 7);
    assert_true(mkv_bytes_equal(orphan.dot.name, mkv_bytes_of("gone")));
    assert_true(mkv_bytes_equal(orphan.key, mkv_bytes_of("key")));
    assert_true(mkv_bytes_equal(update.value, mkv_bytes_of("\x61x")));
    mkv_orphan_free(&orphan);
    assert_int_equal(mkv_orphans_next(orphans)->dot.counter, 1);
    free_orphans(orphans);
}

static void test_found_and_dropped_by_dot(void **state)
{
    struct mkv_orphans *orphans = new_orphans();
    struct mkv_tick dots[] = {
        {mkv_bytes_of("gone"), 7, 2},
        {mkv_bytes_of("gone"), 7, 4},
        {mkv_bytes_of("gone"), 8, 2},
        {mkv_bytes_of("gon"), 7, 2},
    };

    (void)state;
    for (uint64_t counter = 1; counter <= 3; counter++) {
        assert_int_equal(add(orphans, 1, counter, mkv_bytes_of("\x01")), 0);
    }
    for (unsigned i = 1; i < 4; i++) {
        assert_false(mkv_orphans_have(orphans, &dots[i]));
        assert_false(mkv_orphans_drop(orphans, &dots[i]));
    }
    assert_true(mkv_orphans_have(orphans, &dots[0]));
    assert_true(mkv_orphans_drop(orphans, &dots[0]));
    assert_false(mkv_orphans_have(orphans, &dots[0]));
    assert_int_equal(orphans->n, 2);
    free_orphans(orphans);
}

static void test_no_more_than_so_many(void **state)
{
    struct mkv_orphans *orphans = new_orphans();

    (void)state;
    for (uint64_t counter = 1; counter <= MKV_ORPHANS_MAX; counter++) {
        assert_int_equal(add(orphans, 1, counter, mkv_bytes_of("\x01")), 0);
    }
    assert_int_equal(add(orphans, 1, MKV_ORPHANS_MAX + 1, mkv_bytes_of("\x01")), MKV_E_TOO_MANY);
    free_orphans(orphans);
}

static void test_no_more_than_so_much(void **state)
{
    struct mkv_orphans *orphans = new_orphans();
    uint8_t *value = calloc(1, MKV_VALUE_MAX);
    struct mkv_tick first = {mkv_bytes_of("gone"), 7, 1};

    (void)state;
    value[0] = 0x5a; /* a string of bytes */
    value[1] = (uint8_t)((MKV_VALUE_MAX - 5) >> 24);
    value[2] = (uint8_t)((MKV_VALUE_MAX - 5) >> 16);
    value[3] = (uint8_t)((MKV_VALUE_MAX - 5) >> 8);
    value[4] = (uint8_t)(MKV_VALUE_MAX - 5);
    for (uint64_t counter = 1; counter <= 3; counter++) {
        assert_int_equal(add(orphans, 1, counter, mkv_bytes(value, MKV_VALUE_MAX)), 0);
    }
    assert_int_equal(add(orphans, 1, 4, mkv_bytes(value, MKV_VALUE_MAX)), MKV_E_TOO_LARGE);
    assert_true(orphans->n_bytes <= MKV_ORPHANS_BYTES_MAX);
    assert_int_equal(orphans->n, 3);
    assert_int_equal(add(orphans, 1, 5, mkv_bytes_of("\x01")), 0); /* a small one still fits */
    assert_true(mkv_orphans_drop(orphans, &first));
    assert_int_equal(add(orphans, 1, 4, mkv_bytes(value, MKV_VALUE_MAX)), 0);
    free(value);
    free_orphans(orphans);
}

static void test_no_memory_changes_nothing(void **state)
{
    struct mkv_orphans *orphans = new_orphans();
    bool struck = true;

    (void)state;
    for (unsigned n = 1; struck; n++) {
        mem_fault_at(n);
        int error = add(orphans, 1, 1, mkv_bytes_of("\x01"));

        struck = mem_fault_struck();
        mem_fault_at(0);
        assert_int_equal(error, struck ? MKV_E_NO_MEMORY : 0);
        assert_int_equal(orphans->n, struck ? 0 : 1);
        assert_true(n < 10);
    }
    free_orphans(orphans);
}

/* --- Those that have been stamped ------------------------------------------------------------- */

struct disk {
    struct mkv_disk *disk;
    struct mkv_store *store;
    uint64_t boots;
};

static void open_store(struct disk *disk)
{
    struct mkv_store_options options = {.boot_nonce = ++disk->boots};
    struct mkv_store_report report;

    if (disk->disk == NULL) {
        disk->disk = mkv_disk_new(0);
    }
    assert_int_equal(mkv_store_open_disk(disk->disk, &options, &disk->store, &report), 0);
}

static void close_store(struct disk *disk)
{
    mkv_store_close(disk->store);
    mkv_disk_free(disk->disk);
    assert_int_equal(mem_fault_live(), 0);
}

static bool has(const struct disk *disk, const char *name, uint64_t seq, uint64_t counter)
{
    struct mkv_tick dot = {mkv_bytes_of(name), seq, counter};
    bool found;

    assert_int_equal(mkv_stamped_has(disk->store, &dot, &found), 0);
    return found;
}

static void stamped(const struct disk *disk, const char *name, uint64_t seq, uint64_t counter)
{
    struct mkv_tick dot = {mkv_bytes_of(name), seq, counter};

    assert_int_equal(mkv_stamped_add(disk->store, &dot), 0);
}

static void test_stamped_is_remembered(void **state)
{
    struct disk disk = {0};

    (void)state;
    open_store(&disk);
    assert_false(has(&disk, "a", 1, 1));
    stamped(&disk, "a", 1, 5);
    stamped(&disk, "a", 1, 3); /* an earlier one: the later one stays */
    assert_true(has(&disk, "a", 1, 1));
    assert_true(has(&disk, "a", 1, 5));
    assert_false(has(&disk, "a", 1, 6));
    assert_false(has(&disk, "b", 1, 1));
    assert_false(has(&disk, "a", 2, 1));
    assert_int_equal(mkv_store_commit(disk.store), 0);
    stamped(&disk, "a", 1, 9);
    mkv_store_abort(disk.store);
    mkv_store_close(disk.store);
    open_store(&disk);
    assert_true(has(&disk, "a", 1, 5));
    assert_false(has(&disk, "a", 1, 9));
    close_store(&disk);
}

/* However many streams there are, there are so many rows; and nobody is taken for another. */
static void test_stamped_is_bounded(void **state)
{
    struct disk disk = {0};
    struct mkv_bytes key = mkv_bytes(NULL, 0);
    unsigned n_rows = 0;
    unsigned n_known = 0;
    uint8_t space[8];

    (void)state;
    open_store(&disk);
    for (uint64_t seq = 1; seq <= 3 * MKV_STAMPED_ROWS; seq++) {
        stamped(&disk, "a", seq, seq);
        assert_true(has(&disk, "a", seq, seq));
        if (seq % 1000 == 0) {
            assert_int_equal(mkv_store_commit(disk.store), 0);
        }
    }
    for (uint64_t seq = 1; seq <= 3 * MKV_STAMPED_ROWS; seq++) {
        n_known += has(&disk, "a", seq, seq);
        assert_false(has(&disk, "a", seq, seq + 1));
    }
    while (mkv_store_meta_next(disk.store, mkv_bytes_of("o"), key, &key) == 0) {
        assert_true(key.len <= sizeof(space));
        memcpy(space, key.at, key.len);
        key = mkv_bytes(space, key.len);
        n_rows++;
    }
    assert_int_equal(n_known, n_rows);
    assert_true(n_rows <= MKV_STAMPED_ROWS);
    assert_true(n_rows > MKV_STAMPED_ROWS / 10 * 9); /* the hash spreads them */
    close_store(&disk);
}

static void test_damaged_row_is_none(void **state)
{
    static const char *const rows[] = {
        "\x80",
        "\x05",
        "",
        "\x81\x83\x61"
        "a\x01",
        "\x81\x83\x61"
        "a\x01\x05\x05",
    };
    struct disk disk = {0};
    struct mkv_bytes key;
    uint8_t space[8];
    uint8_t huge[500] = {0};

    (void)state;
    open_store(&disk);
    stamped(&disk, "a", 1, 5);
    assert_int_equal(mkv_store_meta_next(disk.store, mkv_bytes_of("o"), mkv_bytes(NULL, 0), &key),
                     0);
    memcpy(space, key.at, key.len);
    key = mkv_bytes(space, key.len);
    for (unsigned i = 0; i <= sizeof(rows) / sizeof(rows[0]); i++) {
        struct mkv_bytes row = i < sizeof(rows) / sizeof(rows[0]) ? mkv_bytes_of(rows[i])
                                                                  : mkv_bytes(huge, sizeof(huge));

        assert_int_equal(mkv_store_meta_put(disk.store, key, row), 0);
        assert_false(has(&disk, "a", 1, 1));
        stamped(&disk, "a", 1, 5);
        assert_true(has(&disk, "a", 1, 5));
    }
    close_store(&disk);
}

static void test_stamped_without_memory(void **state)
{
    struct disk disk = {0};
    struct mkv_tick dot = {mkv_bytes_of("a"), 1, 5};
    bool struck = true;

    (void)state;
    open_store(&disk);
    for (unsigned n = 1; struck; n++) {
        mem_fault_at(n);
        int error = mkv_stamped_add(disk.store, &dot);

        struck = mem_fault_struck();
        mem_fault_at(0);
        assert_int_equal(error, struck ? MKV_E_NO_MEMORY : 0);
        if (struck) {
            mkv_store_abort(disk.store);
            assert_false(has(&disk, "a", 1, 1));
        }
        assert_true(n < 50);
    }
    assert_true(has(&disk, "a", 1, 5));
    mem_fault_at(1);
    bool found;
    assert_int_equal(mkv_stamped_has(disk.store, &dot, &found), MKV_E_NO_MEMORY);
    mem_fault_at(0);
    close_store(&disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_come_out_as_they_went_in),
        cmocka_unit_test(test_found_and_dropped_by_dot),
        cmocka_unit_test(test_no_more_than_so_many),
        cmocka_unit_test(test_no_more_than_so_much),
        cmocka_unit_test(test_no_memory_changes_nothing),
        cmocka_unit_test(test_stamped_is_remembered),
        cmocka_unit_test(test_stamped_is_bounded),
        cmocka_unit_test(test_damaged_row_is_none),
        cmocka_unit_test(test_stamped_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
