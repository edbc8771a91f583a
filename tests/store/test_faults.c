/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation, every access to a disk in memory, and every write to a real one fails in turn.
 * Whatever fails, a transaction happens wholly or not at all, and the next one goes well.
 *
 * This program's own pwrite(), writev() and fdatasync() stand before those of the C library, for
 * LMDB, too.
 */
#include <dlfcn.h>
#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#include "harness.h"
#include "lib/mem_fault.h"

#define EXPORT __attribute__((visibility("default")))

static struct {
    unsigned countdown; /* 0: nothing fails */
    int error;          /* 0: a short write */
    bool struck;
} syscall_fault;

static bool fails_now(void)
{
    if (syscall_fault.countdown == 0 || --syscall_fault.countdown > 0) {
        return false;
    }
    syscall_fault.struck = true;
    errno = syscall_fault.error;
    return true;
}

static void *real(const char *name)
{
    void *at = dlsym(RTLD_NEXT, name);

    assert_non_null(at);
    return at;
}

EXPORT ssize_t pwrite(int fd, const void *at, size_t len, off_t offset)
{
    ssize_t (*next)(int, const void *, size_t, off_t);

    *(void **)&next = real("pwrite");
    if (fails_now()) {
        return syscall_fault.error != 0 ? -1 : next(fd, at, len / 2, offset);
    }
    return next(fd, at, len, offset);
}

EXPORT ssize_t writev(int fd, const struct iovec *parts, int n)
{
    ssize_t (*next)(int, const struct iovec *, int);

    *(void **)&next = real("writev");
    if (fails_now()) {
        return syscall_fault.error != 0 ? -1 : next(fd, parts, n - 1);
    }
    return next(fd, parts, n);
}

EXPORT int fdatasync(int fd)
{
    int (*next)(int);

    *(void **)&next = real("fdatasync");
    if (fails_now()) {
        errno = syscall_fault.error != 0 ? syscall_fault.error : EIO;
        return -1;
    }
    return next(fd);
}

/* The note beside the log is written by these, and by nobody else. */
static struct {
    unsigned countdown;
    int error; /* 0: a short write */
    bool struck;
} note_fault;

static bool note_fails_now(void)
{
    if (note_fault.countdown == 0 || --note_fault.countdown > 0) {
        return false;
    }
    note_fault.struck = true;
    errno = note_fault.error != 0 ? note_fault.error : EIO;
    return true;
}

EXPORT ssize_t write(int fd, const void *at, size_t len)
{
    ssize_t (*next)(int, const void *, size_t);

    *(void **)&next = real("write");
    if (note_fails_now()) {
        return note_fault.error != 0 ? -1 : next(fd, at, len / 2);
    }
    return next(fd, at, len);
}

EXPORT int fsync(int fd)
{
    int (*next)(int);

    *(void **)&next = real("fsync");
    return note_fails_now() ? -1 : next(fd);
}

EXPORT int renameat(int old_dir, const char *old_name, int new_dir, const char *new_name)
{
    int (*next)(int, const char *, int, const char *);

    *(void **)&next = real("renameat");
    return note_fails_now() ? -1 : next(old_dir, old_name, new_dir, new_name);
}

static struct model committed;
static struct model now;

static void open_ok(struct harness *h)
{
    assert_int_equal(harness_open(h), 0);
}

static int transact(struct harness *h, uint64_t seed)
{
    struct prng prng = {.state = seed};
    int error = 0;

    now = committed;
    for (unsigned i = 0; i < 30 && error == 0; i++) {
        unsigned entry = (unsigned)prng_below(&prng, MODEL_KEYS);

        if (i % 4 == 3) {
            error = model_remove(&now, h, entry);
        } else {
            error =
                model_put(&now, h, entry, prng_next(&prng), i == 9 ? 9000 : prng_below(&prng, 100));
        }
    }
    if (error == 0) {
        error = model_put_meta(&now, h, (unsigned)prng_below(&prng, MODEL_METAS), seed, 50);
    }
    if (error == 0) {
        error = model_delete_meta(&now, h, (unsigned)prng_below(&prng, MODEL_METAS));
    }
    if (error == 0) {
        error = mkv_store_commit(h->store);
    } else {
        mkv_store_abort(h->store);
    }
    if (error == 0) {
        committed = now;
    }
    return error;
}

static void start(struct harness *h, bool lmdb)
{
    committed = (struct model){0};
    harness_init(h, lmdb);
    open_ok(h);
    for (uint64_t seed = 1; seed <= 3; seed++) {
        assert_int_equal(transact(h, seed), 0);
    }
}

static void finish(struct harness *h)
{
    harness_close(h);
    open_ok(h);
    assert_int_equal(h->report.n_corrupt, 0);
    assert_model(&committed, h);
    harness_deinit(h);
}

static void run_memory_in_transaction(bool lmdb)
{
    struct harness h;
    bool struck = true;

    start(&h, lmdb);
    for (unsigned n = 1; struck; n++) {
        mem_fault_at(n);

        int error = transact(&h, n);

        struck = mem_fault_struck();
        mem_fault_at(0);
        assert_int_equal(error, struck ? MKV_E_NO_MEMORY : 0);
        assert_model(&committed, &h);
    }
    finish(&h);
    assert_int_equal(mem_fault_live(), 0);
}

static void test_memory_in_transaction(void **state)
{
    (void)state;
    run_memory_in_transaction(true);
    run_memory_in_transaction(false);
}

static void run_memory_at_open(bool lmdb)
{
    struct harness h;
    bool struck = true;

    start(&h, lmdb);
    for (unsigned n = 1; struck; n++) {
        harness_close(&h);
        mem_fault_at(n);

        int error = harness_open(&h);

        struck = mem_fault_struck();
        mem_fault_at(0);
        assert_int_equal(error, struck ? MKV_E_NO_MEMORY : 0);
        if (struck) {
            open_ok(&h);
        }
        assert_model(&committed, &h);
    }
    finish(&h);
    assert_int_equal(mem_fault_live(), 0);
}

static void test_memory_at_open(void **state)
{
    struct mkv_store_options options = {.boot_nonce = 1};
    struct mkv_store *store = NULL;
    bool struck = true;

    (void)state;
    run_memory_at_open(true);
    run_memory_at_open(false);
    for (unsigned n = 1; struck; n++) {
        mem_fault_at(n);

        int error = mkv_store_open_memory(&options, &store);

        struck = mem_fault_struck();
        mem_fault_at(0);
        assert_int_equal(error, struck ? MKV_E_NO_MEMORY : 0);
    }
    mkv_store_close(store);
    assert_int_equal(mem_fault_live(), 0);
}

/* The disk in memory, at each access of a transaction, of tidying, and of opening. */
static void test_disk(void **state)
{
    static const int errors[] = {MKV_E_IO, MKV_E_DISK_FULL, MKV_E_MAP_FULL, MKV_E_NO_MEMORY};
    struct harness h;

    (void)state;
    for (unsigned e = 0; e < sizeof(errors) / sizeof(errors[0]); e++) {
        bool failed = true;

        start(&h, false);
        for (unsigned n = 1; failed; n++) {
            mkv_disk_fail_at(h.disk, n, errors[e]);

            int error = transact(&h, n);

            failed = mkv_disk_failed(h.disk);
            mkv_disk_fail_at(h.disk, 0, 0);
            assert_int_equal(error, failed ? errors[e] : 0);
            assert_model(&committed, &h);
        }
        finish(&h);
    }
    assert_int_equal(mem_fault_live(), 0);
}

/* All but the note beside the log is needed. */
static void test_disk_at_open(void **state)
{
    struct harness h;
    bool failed = true;
    unsigned n_opened = 0;

    (void)state;
    start(&h, false);
    for (unsigned n = 1; failed; n++) {
        harness_close(&h);
        mkv_disk_fail_at(h.disk, n, MKV_E_IO);

        int error = harness_open(&h);

        failed = mkv_disk_failed(h.disk);
        mkv_disk_fail_at(h.disk, 0, 0);
        assert_true(error == 0 || (failed && error == MKV_E_IO));
        n_opened += failed && error == 0;
        if (error != 0) {
            open_ok(&h);
        }
        assert_model(&committed, &h);
    }
    assert_int_equal(n_opened, 1);
    finish(&h);
    assert_int_equal(mem_fault_live(), 0);
}

/* An old store opens on a full disk; the boot it could not save goes with the first write. */
static void test_disk_full_at_open(void **state)
{
    struct harness h;
    struct mkv_place place;
    unsigned n_opened = 0;

    (void)state;
    start(&h, false);
    for (unsigned n = 1; n < 1000; n++) {
        harness_close(&h);
        mkv_disk_fail_at(h.disk, n, MKV_E_DISK_FULL);
        if (harness_open(&h) != 0) { /* while reading, the error makes no sense */
            mkv_disk_fail_at(h.disk, 0, 0);
            open_ok(&h);
            continue;
        }
        if (!mkv_disk_failed(h.disk)) {
            break;
        }
        n_opened++;
        mkv_disk_fail_at(h.disk, 0, 0);
        assert_model(&committed, &h);
        assert_int_equal(model_put_meta(&committed, &h, 3, n, 10), 0);
        assert_int_equal(mkv_store_commit(h.store), 0);
        place = mkv_store_place(h.store);
        harness_close(&h);
        open_ok(&h);
        assert_true(mkv_store_place_valid(h.store, place));
        assert_model(&committed, &h);
    }
    mkv_disk_fail_at(h.disk, 0, 0);
    assert_int_equal(n_opened, 7); /* begin, four rows, commit, note */
    finish(&h);
}

static void make_dead(struct harness *h)
{
    for (uint64_t seed = 100; seed < 160; seed++) {
        assert_int_equal(transact(h, seed), 0);
    }
}

static void assert_nothing_lost(struct harness *h)
{
    struct mkv_store_stats stats;

    mkv_store_stats(h->store, &stats);
    committed.n_rows = stats.n_rows;
    assert_model(&committed, h);
}

static void test_disk_while_tidying(void **state)
{
    struct harness h;

    (void)state;
    start(&h, false);
    make_dead(&h);
    for (unsigned n = 1; n < 1010; n += n < 5 || n > 990 ? 1 : 97) {
        bool more;

        mkv_disk_fail_at(h.disk, n, MKV_E_IO);

        int error = mkv_store_tidy(h.store, &more);

        mkv_disk_fail_at(h.disk, 0, 0);
        assert_nothing_lost(&h);
        if (error == 0) {
            break;
        }
        assert_int_equal(error, MKV_E_IO);
    }
    finish(&h);
    assert_int_equal(mem_fault_live(), 0);
}

static void set_syscall_fault(unsigned n, int error)
{
    syscall_fault.countdown = n;
    syscall_fault.error = error;
    syscall_fault.struck = false;
}

/*
 * After a meta page could not be written, LMDB wants to be opened again, and a page may be half
 * written: the store must get over that, too, or refuse to write, but never mix up its index.
 */
static void test_system_calls(void **state)
{
    static const int errors[] = {EIO, ENOSPC, EDQUOT, 0};
    struct harness h;

    (void)state;
    for (unsigned e = 0; e < sizeof(errors) / sizeof(errors[0]); e++) {
        bool struck = true;

        start(&h, true);
        for (unsigned n = 1; struck; n++) {
            set_syscall_fault(n, errors[e]);

            int error = transact(&h, n);

            struck = syscall_fault.struck;
            set_syscall_fault(0, 0);
            if (struck) {
                assert_int_not_equal(error, 0);
                print_message("# call %u, errno %d: %s\n", n, errors[e], mkv_error_name(error));
            }
            assert_model(&committed, &h);
            assert_int_equal(transact(&h, n + 1000), 0);
            assert_model(&committed, &h);
        }
        finish(&h);
    }
    assert_int_equal(mem_fault_live(), 0);
}

static void test_system_calls_while_tidying(void **state)
{
    struct harness h;
    bool struck = true;

    (void)state;
    start(&h, true);
    for (unsigned n = 1; struck; n++) {
        bool more;

        make_dead(&h);
        set_syscall_fault(n, EIO);

        int error = mkv_store_tidy(h.store, &more);

        struck = syscall_fault.struck;
        set_syscall_fault(0, 0);
        assert_int_equal(error, struck ? MKV_E_IO : 0);
        assert_nothing_lost(&h);
        assert_int_equal(transact(&h, n), 0);
    }
    finish(&h);
}

static void test_system_calls_at_open(void **state)
{
    struct harness h;
    bool struck = true;

    (void)state;
    start(&h, true);
    for (unsigned n = 1; struck; n++) {
        harness_close(&h);
        set_syscall_fault(n, EIO);

        int error = harness_open(&h);

        struck = syscall_fault.struck;
        set_syscall_fault(0, 0);
        assert_int_equal(error, struck ? MKV_E_IO : 0);
        if (struck) {
            open_ok(&h);
        }
        assert_model(&committed, &h);
    }
    finish(&h);
}

/* Each call in turn; then neither this opening nor the next one is impressed. */
static void test_note(void **state)
{
    static const int errors[] = {EIO, ENOSPC, 0};
    struct harness h;

    (void)state;
    for (unsigned e = 0; e < sizeof(errors) / sizeof(errors[0]); e++) {
        unsigned n_struck = 0;

        start(&h, true);
        for (unsigned n = 1; n <= 6; n++) {
            harness_crash(&h);
            note_fault.countdown = n;
            note_fault.error = errors[e];
            note_fault.struck = false;
            open_ok(&h);
            n_struck += note_fault.struck;
            note_fault.countdown = 0;
            assert_false(h.report.restored);
            harness_crash(&h);
            open_ok(&h);
            assert_false(h.report.restored);
            assert_model(&committed, &h);
        }
        assert_int_equal(n_struck, 4); /* the file, written and synced; its name; the directory */
        finish(&h);
    }
    assert_int_equal(mem_fault_live(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_in_transaction),
        cmocka_unit_test(test_memory_at_open),
        cmocka_unit_test(test_disk),
        cmocka_unit_test(test_disk_at_open),
        cmocka_unit_test(test_disk_full_at_open),
        cmocka_unit_test(test_disk_while_tidying),
        cmocka_unit_test(test_system_calls),
        cmocka_unit_test(test_system_calls_while_tidying),
        cmocka_unit_test(test_system_calls_at_open),
        cmocka_unit_test(test_note),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
