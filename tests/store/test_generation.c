/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store that was put back from a backup says so when it is opened, until that is accepted.  One
 * that was not never says so, whatever ended it, and whatever could not be written.
 */
#include <stdlib.h>
#include <sys/stat.h>
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

static void write_something(struct harness *h)
{
    static struct model ignored;

    assert_int_equal(model_put_meta(&ignored, h, 1, h->n_boots, 20), 0);
    assert_int_equal(mkv_store_commit(h->store), 0);
}

static void tidy(struct harness *h)
{
    bool more;

    assert_int_equal(mkv_store_tidy(h->store, &more), 0);
}

/* A store with a few boots behind it. */
static void start(struct harness *h, bool lmdb)
{
    harness_init(h, lmdb);
    for (unsigned i = 0; i < 3; i++) {
        open_ok(h);
        assert_false(h->report.restored);
        write_something(h);
        harness_close(h);
    }
    open_ok(h);
    assert_false(h->report.restored);
}

static void assert_restored(struct harness *h)
{
    for (unsigned i = 0; i < 3; i++) {
        assert_true(h->report.restored);
        assert_false(h->report.lost);
        assert_false(h->report.created);
        if (i % 2 == 0) {
            write_something(h);
            harness_close(h);
        } else {
            harness_crash(h);
        }
        open_ok(h);
    }
    for (unsigned i = 0; i < 2; i++) { /* aborted, it is as it was */
        assert_int_equal(mkv_store_mark_restored(h->store, false), 0);
        assert_true(mkv_store_dirty(h->store));
        mkv_store_abort(h->store);
    }
    reopen(h);
    assert_true(h->report.restored);
    assert_int_equal(mkv_store_mark_restored(h->store, false), 0);
    assert_true(mkv_store_dirty(h->store));
    assert_int_equal(mkv_store_commit(h->store), 0);
    assert_int_equal(mkv_store_mark_restored(h->store, false), 0);
    assert_false(mkv_store_dirty(h->store));
    reopen(h);
    assert_false(h->report.restored);
}

/* The model: how many transactions the log had, and has; opening a store is one of them. */
static void run_backups(uint64_t seed, bool lmdb)
{
    struct prng prng = {.state = seed};
    struct harness h;
    struct backup backup;
    unsigned n_since = 0;
    unsigned n_restored = 0;

    start(&h, lmdb);
    harness_back_up(&h, &backup);
    for (unsigned round = 0; round < 60; round++) {
        switch (prng_below(&prng, 5)) {
        case 0:
            write_something(&h);
            n_since++;
            break;
        case 1:
            reopen(&h);
            assert_false(h.report.restored);
            n_since++;
            break;
        case 2:
            backup_deinit(&backup);
            harness_back_up(&h, &backup);
            n_since = 0;
            break;
        default:
            harness_close(&h);
            harness_restore(&h, &backup);
            open_ok(&h);
            assert_int_equal(h.report.restored, n_since > 0);
            n_restored += h.report.restored;
            assert_int_equal(mkv_store_mark_restored(h.store, false), 0);
            assert_int_equal(mkv_store_commit(h.store), 0);
            n_since = 1;
        }
    }
    assert_true(n_restored > 5);
    backup_deinit(&backup);
    harness_deinit(&h);
}

static void test_backups(void **state)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        run_backups(seed, backend(state));
    }
}

/* Nothing is noted at the end of such a boot; but what it was is known from its beginning. */
static void test_backup_of_an_earlier_boot(void **state)
{
    struct harness h;
    struct backup backup;

    start(&h, backend(state));
    harness_back_up(&h, &backup);
    harness_crash(&h);
    open_ok(&h);
    assert_false(h.report.restored);
    harness_crash(&h);
    for (unsigned i = 0; i < 2; i++) { /* and once more */
        harness_restore(&h, &backup);
        open_ok(&h);
        assert_restored(&h);
        harness_crash(&h);
    }
    backup_deinit(&backup);
    harness_deinit(&h);
}

/* In a long boot the note is written now and then. */
static void test_backup_of_a_long_boot(void **state)
{
    struct harness h;
    struct backup backup;

    start(&h, backend(state));
    harness_back_up(&h, &backup);
    for (unsigned i = 0; i < 1100; i++) {
        write_something(&h);
        tidy(&h);
    }
    harness_crash(&h);
    harness_restore(&h, &backup);
    open_ok(&h);
    assert_restored(&h);
    backup_deinit(&backup);
    harness_deinit(&h);
}

/* At any access of making and of opening a store, with an error or the end of the process. */
static void run_failures(int error)
{
    struct harness h;
    unsigned n_opened = 0;
    bool failed = true;

    harness_init(&h, false);
    for (unsigned n = 1; failed; n++) {
        mkv_disk_fail_at(h.disk, n, error);
        n_opened += harness_open(&h) == 0;
        failed = mkv_disk_failed(h.disk);
        mkv_disk_fail_at(h.disk, 0, 0);
        if (h.store != NULL) {
            assert_false(h.report.restored);
            if (n % 2 == 0) {
                write_something(&h);
            }
            harness_crash(&h);
        }
        if (n % 3 == 0) {
            open_ok(&h);
            assert_false(h.report.restored);
            harness_crash(&h);
        }
    }
    assert_true(n_opened > 1);
    harness_deinit(&h);
}

static void test_failures(void **state)
{
    (void)state;
    run_failures(MKV_E_IO);
    run_failures(MKV_E_DISK_FULL);
    run_failures(MKV_E_NO_MEMORY);
}

/* A disk that takes the log but not the note, over many boots; and then it does. */
static void test_no_note_for_long(void **state)
{
    struct harness h;
    struct backup backup;
    unsigned n_note = 0; /* the access that opening can do without */
    int error = MKV_E_DISK_FULL;

    (void)state;
    start(&h, false);
    harness_crash(&h);
    while (error != 0) {
        mkv_disk_fail_at(h.disk, ++n_note, MKV_E_IO);
        error = harness_open(&h);
        assert_true(mkv_disk_failed(h.disk));
    }
    harness_crash(&h);
    for (unsigned i = 0; i < 5; i++) {
        mkv_disk_fail_at(h.disk, n_note, MKV_E_DISK_FULL);
        open_ok(&h);
        assert_true(mkv_disk_failed(h.disk));
        assert_false(h.report.restored);
        write_something(&h);
        harness_crash(&h);
    }
    mkv_disk_fail_at(h.disk, n_note, MKV_E_DISK_FULL);
    open_ok(&h);
    harness_back_up(&h, &backup);
    write_something(&h);
    tidy(&h); /* there is room again */
    harness_crash(&h);
    harness_restore(&h, &backup);
    open_ok(&h);
    assert_restored(&h);
    backup_deinit(&backup);
    harness_deinit(&h);
}

/* The log of a store that has been moved, without its note, is taken for a backup, too. */
static void test_elsewhere(void **state)
{
    for (unsigned n_boots = 1; n_boots <= 3; n_boots++) {
        struct harness h;
        struct harness other;
        struct backup backup;

        harness_init(&h, backend(state));
        for (unsigned i = 0; i < n_boots; i++) {
            harness_close(&h);
            open_ok(&h);
        }
        harness_back_up(&h, &backup);
        harness_init(&other, backend(state));
        harness_restore(&other, &backup);
        other.n_boots = 100;
        open_ok(&other);
        assert_restored(&other);
        backup_deinit(&backup);
        harness_deinit(&h);
        harness_deinit(&other);
    }
}

/* A store is made in the place of another one, of which a backup comes back later. */
static void test_made_anew(void **state)
{
    struct harness h;
    struct backup nothing;
    struct backup backup;

    (void)state;
    harness_init(&h, false);
    harness_back_up(&h, &nothing);
    open_ok(&h);
    harness_back_up(&h, &backup);
    harness_close(&h);
    harness_restore(&h, &nothing);
    for (unsigned n = 1; n < 8; n++) {
        mkv_disk_fail_at(h.disk, n, MKV_E_IO);
        if (harness_open(&h) == 0) {
            harness_crash(&h);
        }
    }
    mkv_disk_fail_at(h.disk, 0, 0);
    open_ok(&h);
    assert_false(h.report.restored);
    harness_close(&h);
    harness_restore(&h, &backup);
    open_ok(&h);
    assert_restored(&h);
    backup_deinit(&nothing);
    backup_deinit(&backup);
    harness_deinit(&h);
}

/* Notes that are damaged, of another store, or no notes. */
static void test_other_notes(void **state)
{
    struct harness h;
    uint8_t note[200];
    uint8_t *good;
    size_t len;

    (void)state;
    start(&h, true);
    harness_close(&h);
    good = harness_read(&h, "generation", &len);
    assert_int_equal(len, 67);
    for (size_t i = 0; i < len + 3; i++) {
        size_t bad_len = i < len ? len : i == len ? 0 : i == len + 1 ? len - 1 : sizeof(note);

        memset(note, 'f', sizeof(note));
        memcpy(note, good, len);
        if (i < len) {
            note[i] = 'g'; /* no digit, and more than all of them */
        }
        harness_write(&h, "generation", note, bad_len);
        open_ok(&h);
        assert_true(h.report.restored);
        assert_int_equal(mkv_store_mark_restored(h.store, false), 0);
        assert_int_equal(mkv_store_commit(h.store), 0);
        harness_close(&h);
        free(good);
        good = harness_read(&h, "generation", &len);
        assert_int_equal(len, 67);
    }
    free(good);
    harness_deinit(&h);
}

/* Something is in the way of the file, and nothing can be done about it. */
static void test_note_in_the_way(void **state)
{
    char path[512];
    struct harness h;

    (void)state;
    start(&h, true);
    (void)snprintf(path, sizeof(path), "%s/generation.new", h.directory);
    assert_int_equal(mkdir(path, 0700), 0);
    for (unsigned i = 0; i < 3; i++) {
        write_something(&h);
        reopen(&h);
        assert_false(h.report.restored);
    }
    assert_int_equal(rmdir(path), 0);
    reopen(&h);
    assert_false(h.report.restored);
    assert_int_equal(access(path, F_OK), -1);
    harness_deinit(&h);
}

/* Rows that have become corrupt are told of as long, and are no reason to call it a backup. */
static void test_lost(void **state)
{
    static struct model model;
    struct harness h;

    (void)state;
    model = (struct model){0};
    harness_init(&h, false);
    open_ok(&h);
    assert_int_equal(model_put(&model, &h, 1, 6, 40), 0);
    assert_int_equal(model_put(&model, &h, 2, 6, 40), 0);
    assert_int_equal(mkv_store_commit(h.store), 0);
    for (size_t row = 0; row < 2; row++) {
        reopen(&h);
        assert_false(h.report.lost);
        harness_close(&h);
        mkv_disk_damage(h.disk, MKV_LOG_ROWS, row);
        for (unsigned i = 0; i < 3; i++) {
            open_ok(&h);
            assert_true(h.report.lost);
            assert_false(h.report.restored);
            assert_int_equal(h.report.n_corrupt, row + 1);
            harness_crash(&h);
        }
        open_ok(&h);
        for (unsigned i = 0; i < 2; i++) {
            assert_true(mkv_store_lost(h.store));
            assert_int_equal(mkv_store_mark_restored(h.store, false), 0);
            assert_false(mkv_store_lost(h.store));
            if (i == 0) {
                mkv_store_abort(h.store);
            }
        }
        assert_int_equal(mkv_store_commit(h.store), 0);
    }
    harness_deinit(&h);
}

/* Rows about it are damaged: that is a loss, but no reason to take it for a backup. */
static void test_row_is_damaged(void **state)
{
    unsigned n_lost = 0;

    (void)state;
    for (size_t row = 0; row < 6; row++) {
        struct harness h;
        struct backup backup;

        start(&h, false);
        harness_close(&h);
        harness_back_up(&h, &backup);
        for (unsigned i = 0; i < 2; i++) {
            mkv_disk_damage(h.disk, MKV_LOG_META, row);
            if (harness_open(&h) == 0) {
                assert_true(h.report.restored == (i == 1) || h.report.lost);
                assert_true(!h.report.restored || i == 1);
                n_lost += h.report.lost;
                harness_close(&h);
            }
            harness_restore(&h, &backup);
        }
        backup_deinit(&backup);
        harness_deinit(&h);
    }
    assert_int_equal(n_lost, 4); /* "boots" and "generation" */
}

/* What the log itself cannot know, others may. */
static void test_found_out_by_others(void **state)
{
    struct harness h;

    start(&h, backend(state));
    assert_int_equal(mkv_store_mark_restored(h.store, true), 0);
    mkv_store_abort(h.store);
    reopen(&h);
    assert_false(h.report.restored);
    assert_int_equal(mkv_store_mark_restored(h.store, true), 0);
    assert_int_equal(mkv_store_mark_restored(h.store, true), 0);
    assert_int_equal(mkv_store_commit(h.store), 0);
    assert_int_equal(mkv_store_mark_restored(h.store, true), 0);
    assert_false(mkv_store_dirty(h.store));
    reopen(&h);
    assert_restored(&h);
    harness_deinit(&h);
}

/* What cannot be saved has not been accepted. */
static void test_accept_fails(void **state)
{
    struct harness h;
    bool failed = true;

    (void)state;
    for (unsigned n = 1; failed; n++) {
        struct backup backup;

        start(&h, false);
        harness_back_up(&h, &backup);
        reopen(&h);
        harness_close(&h);
        harness_restore(&h, &backup);
        open_ok(&h);
        assert_true(h.report.restored);
        mkv_disk_fail_at(h.disk, n, MKV_E_DISK_FULL);

        int error = mkv_store_mark_restored(h.store, false);

        assert_int_equal(mkv_store_mark_restored(h.store, false), error);
        error = mkv_store_commit(h.store);
        failed = mkv_disk_failed(h.disk);
        mkv_disk_fail_at(h.disk, 0, 0);
        assert_int_equal(error, failed ? MKV_E_DISK_FULL : 0);
        reopen(&h);
        assert_int_equal(h.report.restored, failed);
        backup_deinit(&backup);
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
        ON_BOTH(test_backups),
        ON_BOTH(test_backup_of_an_earlier_boot),
        ON_BOTH(test_backup_of_a_long_boot),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_no_note_for_long),
        ON_BOTH(test_elsewhere),
        cmocka_unit_test(test_made_anew),
        cmocka_unit_test(test_other_notes),
        cmocka_unit_test(test_note_in_the_way),
        cmocka_unit_test(test_lost),
        cmocka_unit_test(test_row_is_damaged),
        ON_BOTH(test_found_out_by_others),
        cmocka_unit_test(test_accept_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
