/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What many servers and clients cost, in messages and bytes, by a fleet in virtual time (fleet.h).
 *
 *     bench_cluster idle SERVERS              pings of a quiet cluster
 *     bench_cluster join ENTRIES              a new server reads everything
 *     bench_cluster changed ENTRIES CHANGED   one was cut off while the other wrote
 *     bench_cluster walk ENTRIES CHANGED      the same, and they know nothing of each other's logs
 *     bench_cluster load SERVERS CLIENTS      each client writes once in 10 s, one in 100 watches
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "fleet.h"
#include "wire/path.h"

#define VALUE_LEN 32U

/* Entry @number of machine @i's store gets a value of generation @version. */
static void put(unsigned i, uint64_t number, uint64_t version)
{
    uint8_t value[VALUE_LEN + 2] = {0x58, VALUE_LEN};
    char text[64];
    struct mkv_buf key;
    struct mkv_update update = {
        .has_tock = true,
        .present = true,
        .tock = (fleet_now.wall_ms << 12) + version,
        .value = mkv_bytes(value, sizeof(value)),
        .ticks = {.n = 1, .at = {{mkv_bytes_of("writer"), 1, number + 1}}},
    };
    struct mkv_head head;

    (void)snprintf(text, sizeof(text), "house.floor:%u.room:%u.device:%u.state",
                   (unsigned)(number / 10000), (unsigned)(number / 100 % 100),
                   (unsigned)(number % 100));
    memcpy(value + 2, &number, sizeof(number));
    memcpy(value + 10, &version, sizeof(version));
    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    fleet_check(mkv_path_from_dotted(mkv_bytes_of(text), &key), "a path");
    head = mkv_head_of(&update);
    fleet_check(mkv_store_put(fleet_machines[i].store, mkv_buf_bytes(&key), &head, &update),
                "a put");
    mkv_buf_deinit(&key);
}

static void fill(unsigned i, uint64_t n)
{
    for (uint64_t number = 0; number < n; number++) {
        put(i, number, 0);
        if (number % 10000 == 9999) {
            fleet_check(mkv_store_commit(fleet_machines[i].store), "a commit");
        }
    }
    fleet_check(mkv_store_commit(fleet_machines[i].store), "a commit");
}

static void print_counts(const char *what, int64_t ms)
{
    (void)printf("%s: %.1f s; %" PRIu64 " messages published (%" PRIu64 " bytes), %" PRIu64
                 " delivered; links: %" PRIu64 " frames, %" PRIu64 " bytes\n",
                 what, (double)ms / 1000, fleet_counts.published, fleet_counts.published_bytes,
                 fleet_counts.delivered, fleet_counts.frames, fleet_counts.link_bytes);
}

/* Runs until all are equal (and ready), @limit_ms at most. */
static void run_until_equal(const char *what, int64_t limit_ms)
{
    int64_t begin = fleet_now.ms;
    double cpu = fleet_cpu_s();

    while (!(fleet_all_ready() && fleet_equal(0, fleet_n_machines - 1)) &&
           fleet_now.ms < begin + limit_ms) {
        fleet_run(100);
    }
    print_counts(what, fleet_now.ms - begin);
    (void)printf("  %s, %.2f s of CPU\n",
                 fleet_equal(0, fleet_n_machines - 1) ? "equal" : "NOT EQUAL", fleet_cpu_s() - cpu);
}

static void idle(unsigned n)
{
    int64_t begin;
    double cpu;

    fleet_start(fleet_add_machine());
    fleet_run(1000);
    fleet_reset_counts();
    begin = fleet_now.ms;
    while (fleet_n_machines < n) {
        fleet_start(fleet_add_machine());
        fleet_run(fleet_n_machines % 16 == 0 ? 500 : 10);
    }
    while (!fleet_all_ready()) {
        fleet_run(1000);
    }
    print_counts("until all have joined", fleet_now.ms - begin);
    fleet_run(120000);
    fleet_reset_counts();
    cpu = fleet_cpu_s();
    fleet_run(600000);
    print_counts("then quiet", 600000);
    (void)printf("  a second: %.1f messages, %.0f deliveries, %.0f bytes out of the broker; CPU of "
                 "all servers %.1f %% of one core\n",
                 (double)fleet_counts.published / 600, (double)fleet_counts.delivered / 600,
                 fleet_counts.published == 0
                     ? 0.0
                     : (double)fleet_counts.published_bytes / (double)fleet_counts.published *
                           (double)fleet_counts.delivered / 600,
                 (fleet_cpu_s() - cpu) / 6);
}

static void join(uint64_t entries)
{
    fleet_add_machine();
    fill(0, entries);
    fleet_start(0);
    fleet_run(1000);
    fleet_reset_counts();
    fleet_start(fleet_add_machine());
    run_until_equal("join", 600000);
}

/* Written at one while nobody hears it: as the other one's broker would have lost it. */
static void change(uint64_t entries, uint64_t changed)
{
    for (uint64_t i = 0; i < changed; i++) {
        put(0, i * (entries / changed), 1);
    }
    fleet_check(mkv_store_commit(fleet_machines[0].store), "a commit");
}

static void changed(uint64_t entries, uint64_t n)
{
    join(entries);
    fleet_run(30000);
    fleet_reset_counts();
    change(entries, n);
    run_until_equal("changed", 600000);
}

static void walk(uint64_t entries, uint64_t n)
{
    fleet_add_machine();
    fleet_add_machine();
    fill(0, entries);
    fill(1, entries);
    change(entries, n);
    fleet_start(0);
    fleet_run(1000);
    fleet_reset_counts();
    fleet_start(1);
    run_until_equal("walk", 600000);
}

/* Path @i below `load`. */
static void load_key(unsigned i, struct mkv_buf *key)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "load.device:%u", i);
    mkv_buf_clear(key);
    fleet_check(mkv_path_from_dotted(mkv_bytes_of(text), key), "a path");
}

static void write_round(struct mkv_buf *key)
{
    uint8_t value[VALUE_LEN + 2] = {0x58, VALUE_LEN};

    for (unsigned u = 0; u < fleet_n_users; u++) {
        memcpy(value + 2, &fleet_now.ms, sizeof(fleet_now.ms));
        load_key(u, key);
        fleet_write(u, mkv_buf_bytes(key), mkv_bytes(value, sizeof(value)));
        if (u % 16 == 15) { /* so that acknowledgements are not one for all */
            fleet_run(1);
        }
    }
}

static void per_write(const char *what, uint64_t n, uint64_t bytes)
{
    (void)printf("  %s a write: %.2f, %.0f bytes\n", what, (double)n / (double)fleet_counts.written,
                 (double)bytes / (double)fleet_counts.written);
}

#define LOAD_ROUNDS 6U

static void load(unsigned n_servers, unsigned n_clients)
{
    struct mkv_buf key;
    double cpu;

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    while (fleet_n_machines < n_servers) {
        fleet_start(fleet_add_machine());
        fleet_run(fleet_n_machines % 16 == 0 ? 500 : 10);
    }
    while (!fleet_all_ready()) {
        fleet_run(1000);
    }
    while (fleet_n_users < n_clients) {
        (void)fleet_add_user(fleet_n_users % n_servers, fleet_n_users % 100 == 0);
        fleet_run(1);
    }
    write_round(&key); /* the entries are there */
    fleet_run(10000);
    fleet_reset_counts();
    cpu = fleet_cpu_s();
    for (unsigned i = 0; i < LOAD_ROUNDS; i++) {
        write_round(&key);
        fleet_run(10000);
    }
    print_counts("load", LOAD_ROUNDS * 10000);
    (void)printf("  %" PRIu64 " written, %" PRIu64 " failed, %" PRIu64 " changes told; %s\n",
                 fleet_counts.written, fleet_counts.failed, fleet_counts.told,
                 fleet_equal(0, n_servers - 1) ? "equal" : "NOT EQUAL");
    per_write("messages to the broker", fleet_counts.published, fleet_counts.published_bytes);
    per_write("messages from the broker", fleet_counts.delivered, fleet_counts.delivered_bytes);
    per_write("frames on links", fleet_counts.frames, fleet_counts.link_bytes);
    (void)printf("  CPU a write, all servers and clients: %.1f us\n",
                 (fleet_cpu_s() - cpu) * 1e6 / (double)fleet_counts.written);
    mkv_buf_deinit(&key);
}

int main(int argc, char **argv)
{
    uint64_t a = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    uint64_t b = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;

    if (argc == 3 && strcmp(argv[1], "idle") == 0 && a >= 1 && a <= FLEET_SERVERS_MAX) {
        idle((unsigned)a);
    } else if (argc == 3 && strcmp(argv[1], "join") == 0) {
        join(a);
    } else if (argc == 4 && strcmp(argv[1], "changed") == 0 && b > 0 && b <= a) {
        changed(a, b);
    } else if (argc == 4 && strcmp(argv[1], "walk") == 0 && b > 0 && b <= a) {
        walk(a, b);
    } else if (argc == 4 && strcmp(argv[1], "load") == 0 && a >= 1 && a <= FLEET_SERVERS_MAX &&
               b >= 1 && b <= FLEET_USERS_MAX) {
        load((unsigned)a, (unsigned)b);
    } else {
        (void)fprintf(stderr, "usage: bench_cluster idle SERVERS | join ENTRIES | changed ENTRIES "
                              "CHANGED | walk ENTRIES CHANGED | load SERVERS CLIENTS\n");
        return 2;
    }
    return 0;
}
