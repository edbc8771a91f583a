/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No space: neither within the store's own limit, nor on the disk, nor within what the process may
 * write.  The store keeps what it has, stays readable, and goes on as soon as there is space.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include "harness.h"

static struct model committed;
static struct model now;

static void open_ok(struct harness *h)
{
    assert_int_equal(harness_open(h), 0);
    assert_false(h->report.restored);
}

/* One transaction of some rows and a meta row; returns its error, and then nothing has changed. */
static int write_batch(struct harness *h, struct prng *prng, unsigned n, size_t len_max)
{
    int error = 0;

    now = committed;
    for (unsigned i = 0; i < n && error == 0; i++) {
        error = model_put(&now, h, (unsigned)prng_below(prng, MODEL_KEYS), prng_next(prng),
                          prng_below(prng, len_max));
    }
    if (error == 0) {
        error = model_put_meta(&now, h, (unsigned)prng_below(prng, MODEL_METAS), prng_next(prng),
                               prng_below(prng, 100));
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

static int fill(struct harness *h, struct prng *prng, unsigned n, size_t len_max)
{
    int error = 0;

    for (unsigned i = 0; i < 100000 && error == 0; i++) {
        error = write_batch(h, prng, n, len_max);
    }
    assert_model(&committed, h);
    assert_false(mkv_store_dirty(h->store));
    return error;
}

static uint64_t count_rows(struct harness *h)
{
    struct mkv_store_stats stats;

    mkv_store_stats(h->store, &stats);
    assert_in_range(stats.bytes_used, 1, stats.bytes_max);
    return stats.n_rows;
}

/* Several times over: a store that is full and is tidied must not be less full each time. */
static void run_own_limit(uint64_t seed, bool lmdb)
{
    struct prng prng = {.state = seed};
    struct harness h;
    unsigned n = 1 + (unsigned)prng_below(&prng, 40);
    size_t len_max = prng_below(&prng, 2) > 0 ? 100 : 3000;

    print_message("# seed %llu\n", (unsigned long long)seed);
    committed = (struct model){0};
    harness_init(&h, lmdb);
    h.size_max = (1 + prng_below(&prng, 4)) << 20;
    if (!lmdb) {
        mkv_disk_resize(h.disk, h.size_max);
    }
    open_ok(&h);
    for (unsigned round = 0; round < 6; round++) {
        assert_int_equal(fill(&h, &prng, n, len_max), MKV_E_MAP_FULL);
        (void)write_batch(&h, &prng, n, len_max); /* a smaller one may fit */
        assert_model(&committed, &h);
        if (round % 2 == 1) { /* a full store opens, too */
            harness_close(&h);
            open_ok(&h);
            assert_model(&committed, &h);
            assert_int_equal(fill(&h, &prng, n, len_max), MKV_E_MAP_FULL);
        }

        uint64_t n_full = count_rows(&h);

        tidy_all(&h);
        committed.n_rows = count_rows(&h);
        assert_true(committed.n_rows < n_full);
        assert_model(&committed, &h);
        for (unsigned i = 0; i < 4; i++) {
            assert_int_equal(write_batch(&h, &prng, n, len_max), 0);
        }
    }
    harness_close(&h);
    open_ok(&h);
    assert_model(&committed, &h);
    harness_deinit(&h);
}

static void test_own_limit_lmdb(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        run_own_limit(seed, true);
    }
}

static void test_own_limit_memory(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        run_own_limit(seed, false);
    }
}

static bool private_mounts(void)
{
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static void write_ballast(const struct harness *h)
{
    static const uint8_t ballast[512 * 1024];

    harness_write(h, "ballast", ballast, sizeof(ballast));
}

static void remove_ballast(const struct harness *h)
{
    char path[512];

    (void)snprintf(path, sizeof(path), "%s/ballast", h->directory);
    assert_int_equal(unlink(path), 0);
}

static void run_full_disk(uint64_t seed)
{
    struct prng prng = {.state = seed};
    struct harness h;

    print_message("# seed %llu\n", (unsigned long long)seed);
    committed = (struct model){0};
    harness_init(&h, true);
    assert_int_equal(mount("none", h.directory, "tmpfs", 0, "size=2m"), 0);
    write_ballast(&h);
    open_ok(&h);
    assert_int_equal(fill(&h, &prng, 10, 2000), MKV_E_DISK_FULL);
    (void)write_batch(&h, &prng, 10, 2000); /* a smaller one may fit */
    harness_close(&h);
    open_ok(&h);
    assert_model(&committed, &h);
    assert_int_equal(fill(&h, &prng, 10, 2000), MKV_E_DISK_FULL);

    bool more;
    int error = mkv_store_tidy(h.store, &more);

    assert_true(error == 0 || error == MKV_E_DISK_FULL);
    committed.n_rows = count_rows(&h);
    assert_model(&committed, &h);
    remove_ballast(&h);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(write_batch(&h, &prng, 10, 2000), 0);
    }
    harness_close(&h);
    open_ok(&h);
    assert_model(&committed, &h);
    harness_close(&h);
    assert_int_equal(umount(h.directory), 0);
    harness_deinit(&h);
}

static void test_full_disk(void **state)
{
    (void)state;
    if (!private_mounts()) {
        print_message("# no private mounts here: %d\n", errno);
        skip();
    }
    for (uint64_t seed = 1; seed <= 6; seed++) {
        run_full_disk(seed);
    }
}

/* Not even the first transaction fits: a clear error, and a store that can be made later. */
static void test_full_from_the_start(void **state)
{
    struct harness h;

    (void)state;
    harness_init(&h, true);
    if (mount("none", h.directory, "tmpfs", 0, "size=16k") != 0) {
        harness_deinit(&h);
        skip();
    }
    assert_int_equal(harness_open(&h), MKV_E_DISK_FULL);
    assert_non_null(strstr(h.detail, h.directory));
    assert_int_equal(mount("none", h.directory, "tmpfs", MS_REMOUNT, "size=1m"), 0);
    open_ok(&h);
    harness_close(&h);
    assert_int_equal(umount(h.directory), 0);
    harness_deinit(&h);
}

static void limit_file_size(rlim_t size)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_process_limit(void **state)
{
    struct prng prng = {.state = 3};
    struct harness h;

    (void)state;
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    committed = (struct model){0};
    harness_init(&h, true);
    open_ok(&h);
    for (rlim_t size = 200001; size < 1500000; size += 300007) {
        limit_file_size(size);
        assert_int_equal(fill(&h, &prng, 10, 2000), MKV_E_DISK_FULL);
        limit_file_size(RLIM_INFINITY);
        assert_int_equal(write_batch(&h, &prng, 10, 2000), 0);
    }
    harness_close(&h);
    open_ok(&h);
    assert_model(&committed, &h);
    harness_deinit(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_limit_lmdb), cmocka_unit_test(test_own_limit_memory),
        cmocka_unit_test(test_full_disk),      cmocka_unit_test(test_full_from_the_start),
        cmocka_unit_test(test_process_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
