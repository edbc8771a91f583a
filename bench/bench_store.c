/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the store costs: puts in batches, opening, reading, memory and disk.
 *
 *     bench_store DIRECTORY [KEYS]
 *
 * Makes its store in DIRECTORY/bench-store and removes it.  On a disk the figures are those of
 * commits that reach it; in /dev/shm they show the work alone.
 */
#include <malloc.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/prng.h"
#include "store/store.h"

#define VALUE_LEN 32U

static char directory[512];
static struct mkv_store *store;

static double now_s(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Of this process: what a busy machine takes away does not count. */
static double cpu_s(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void fail(const char *what, int error)
{
    (void)fprintf(stderr, "%s: %s\n", what, mkv_error_text(error));
    exit(1);
}

static void open_store(void)
{
    static uint64_t nonce;
    struct mkv_store_options options = {.boot_nonce = ++nonce};
    struct mkv_store_report report;
    char detail[MKV_DETAIL_MAX];
    int error = mkv_store_open(directory, &options, &store, &report, detail);

    if (error != 0) {
        fail(detail, error);
    }
}

/* About 35 bytes, as ["home", "floor7", "sensor00042", "value"] has. */
static struct mkv_bytes key_of(uint64_t number)
{
    static char key[64];
    int len = snprintf(key, sizeof(key),
                       "\x60home%c\x01\x60"
                       "floor%u%c\x01\x60sensor%07llu%c\x01\x60v%c\x01",
                       0, (unsigned)(number % 9), 0, (unsigned long long)number, 0, 0);

    return mkv_bytes(key, (size_t)len);
}

static void put(uint64_t number, uint64_t counter)
{
    uint8_t value[VALUE_LEN] = {0x58, VALUE_LEN - 2};
    struct mkv_update update = {
        .has_tock = true,
        .present = true,
        .tock = (UINT64_C(200000000000) << 12) + counter,
        .value = mkv_bytes(value, sizeof(value)),
        .ticks = {.n = 1,
                  .at = {{.name = mkv_bytes_of("srv1"),
                          .seq = UINT64_C(200000000000),
                          .counter = counter}}},
    };

    memcpy(value + 2, &counter, sizeof(counter));

    struct mkv_head head = mkv_head_of(&update);
    int error = mkv_store_put(store, key_of(number), &head, &update);

    if (error != 0) {
        fail("put", error);
    }
}

static void commit(void)
{
    int error = mkv_store_commit(store);

    if (error != 0) {
        fail("commit", error);
    }
}

static void print_rate(const char *what, uint64_t n, double seconds)
{
    (void)printf("%-34s %9.0f /s  %8.2f us\n", what, (double)n / seconds,
                 seconds * 1e6 / (double)n);
}

static uint64_t file_size(void)
{
    char path[600];
    struct stat st = {0};

    (void)snprintf(path, sizeof(path), "%s/data.mdb", directory);
    (void)stat(path, &st);
    return (uint64_t)st.st_size;
}

static void print_disk(const char *when, uint64_t n_keys)
{
    struct mkv_store_stats stats;

    mkv_store_stats(store, &stats);
    (void)printf("%-34s %9.0f B/key in use, %.0f B/key on disk, %llu rows, %llu dead\n", when,
                 (double)stats.bytes_used / (double)n_keys, (double)file_size() / (double)n_keys,
                 (unsigned long long)stats.n_rows, (unsigned long long)stats.n_dead);
}

/* In a scattered order: most real updates are neighbours of nothing. */
static void bench_fill(uint64_t n_keys)
{
    size_t before = mallinfo2().uordblks;
    double start = now_s();

    for (uint64_t i = 0; i < n_keys; i++) {
        put(i * 7919 % n_keys, i + 1);
        if (i % 1000 == 999) {
            commit();
        }
    }
    commit();
    print_rate("new keys, batches of 1000", n_keys, now_s() - start);
    (void)printf("%-34s %9.0f B/key\n", "memory",
                 (double)(mallinfo2().uordblks - before) / (double)n_keys);
    print_disk("disk, fresh", n_keys);
}

static void bench_update(struct prng *prng, uint64_t n_keys, uint64_t batch)
{
    double start = now_s();
    uint64_t n = 0;
    char what[64];

    while (n < n_keys && now_s() - start < 3) {
        for (uint64_t i = 0; i < batch; i++) {
            put(prng_below(prng, n_keys), n_keys + ++n);
        }
        commit();
    }
    (void)snprintf(what, sizeof(what), "random updates, batches of %llu",
                   (unsigned long long)batch);
    print_rate(what, n, now_s() - start);
}

static void bench_tidy(void)
{
    struct mkv_store_stats before;
    struct mkv_store_stats after;
    double start = now_s();
    bool more = true;

    mkv_store_stats(store, &before);
    while (more) {
        int error = mkv_store_tidy(store, &more);

        if (error != 0) {
            fail("tidy", error);
        }
    }
    mkv_store_stats(store, &after);
    if (after.n_rows < before.n_rows) {
        print_rate("tidy", before.n_rows - after.n_rows, now_s() - start);
    }
}

static void bench_open(void)
{
    mkv_store_close(store);

    double start = now_s();
    double cpu_start = cpu_s();

    open_store();
    (void)printf("%-34s %9.3f s  (%.3f s of processor time)\n", "open", now_s() - start,
                 cpu_s() - cpu_start);
}

static void bench_read(struct prng *prng, uint64_t n_keys)
{
    const struct mkv_tree *tree = mkv_store_tree(store);
    struct mkv_tree_entry entry;
    struct mkv_bytes key;
    struct mkv_update update;
    double start = now_s();
    uint64_t n = 0;

    for (uint64_t i = 0; i < n_keys; i++) {
        n += mkv_tree_find(tree, key_of(prng_below(prng, n_keys)), &entry);
    }
    print_rate("find, random", n, now_s() - start);
    start = now_s();
    for (uint64_t i = 0; i < n_keys; i++) {
        n += mkv_tree_find(tree, key_of(prng_below(prng, n_keys)), &entry) &&
             mkv_store_row(store, entry.position, &key, &update) == 0;
    }
    print_rate("find and read, random", n_keys, now_s() - start);
    start = now_s();
    n = 0;
    for (bool found = mkv_tree_at(tree, (struct mkv_bytes){0}, &entry); found;
         found = mkv_tree_next(tree, entry.key, &entry)) {
        n += mkv_store_row(store, entry.position, &key, &update) == 0;
    }
    print_rate("walk the tree and read", n, now_s() - start);
    start = now_s();
    n = 0;
    for (uint64_t position = 0;; n++) {
        if (mkv_store_scan(store, position, &position) != 0 || position == 0 ||
            mkv_store_row(store, position, &key, &update) != 0) {
            break;
        }
    }
    print_rate("scan the log and read", n, now_s() - start);
}

static void remove_store(void)
{
    static const char *const names[] = {"data.mdb", "lock.mdb", "store.lock"};
    char path[600];

    for (unsigned i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(directory);
}

int main(int argc, char **argv)
{
    uint64_t n_keys = argc > 2 ? strtoull(argv[2], NULL, 10) : 100000;
    struct prng prng = {.state = 1};

    if (argc < 2 || n_keys == 0 || sodium_init() < 0) {
        (void)fprintf(stderr, "usage: %s DIRECTORY [KEYS]\n", argv[0]);
        return 2;
    }
    (void)snprintf(directory, sizeof(directory), "%s/bench-store", argv[1]);
    remove_store();
    open_store();
    (void)printf("%llu keys, %u B values, in %s\n", (unsigned long long)n_keys, VALUE_LEN,
                 directory);
    bench_fill(n_keys);
    bench_open();
    bench_read(&prng, n_keys);
    for (uint64_t batch = 1; batch <= 1000; batch *= 10) {
        bench_update(&prng, n_keys, batch);
    }
    print_disk("disk, after updates", n_keys);
    bench_tidy();
    print_disk("disk, tidied", n_keys);
    bench_open();
    mkv_store_close(store);
    remove_store();
    return 0;
}
