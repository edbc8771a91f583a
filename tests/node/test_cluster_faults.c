/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server among servers that runs out of memory, or whose disk fails, at any point of joining, of
 * vouching, of reading and being read, of setting aside, of forgetting, of evicting: either the
 * batch is undone, or it ends itself and says why, and is started again; in the end all have the
 * same, and nothing is missing.
 */
#include <stdio.h>
#include <string.h>

#include "among.h"
#include "lib/check.h"
#include "lib/mem_fault.h"

#define FAULTS_MAX 20000U

static unsigned victim;

static void around(unsigned i, bool enter)
{
    mem_fault_pause(!enter || i != victim);
}

/* It may fail once for want of memory, and once for the disk. */
static void boot(unsigned i)
{
    unsigned n = 0;

    while (cluster_boot(&cluster, i) != 0) {
        assert_int_equal(i, victim);
        assert_true(++n <= 2);
        cluster_crash(&cluster, i);
    }
}

/* As a supervisor does with servers that have ended themselves. */
static void supervise(void)
{
    for (unsigned i = 0; i < CLUSTER_MAX; i++) {
        struct cluster_server *server = &cluster.at[i];
        int error = server->node == NULL ? 0 : mkv_server_node_error(server->node);

        if (error != 0) {
            assert_true(error == MKV_E_NO_MEMORY || error == MKV_E_IO);
            assert_int_equal(i, victim);
            cluster_crash(&cluster, i);
            boot(i);
        }
    }
}

static void run_on(int64_t ms)
{
    for (int64_t passed = 0; passed < ms; passed += 500) {
        cluster_run(&cluster, 500);
        supervise();
    }
}

/* What is published reaches all but those that lose it. */
static void publish(unsigned at, const char *path, const char *value, uint64_t counter)
{
    uint64_t tock = cluster_tock(&cluster) + counter;

    for (unsigned i = 0; i < CLUSTER_MAX; i++) {
        if (cluster.at[i].node != NULL && (i == at || at == CLUSTER_MAX)) {
            cluster_give(&cluster, i, path, value, tock, "w", 1, counter);
        }
    }
}

static void assert_all_hold(const char *path, const char *value)
{
    for (unsigned i = 0; i < CLUSTER_MAX; i++) {
        const char *held = cluster.at[i].node == NULL ? value : cluster_held(&cluster, i, path);

        if ((held == NULL) != (value == NULL) || (held != NULL && strcmp(held, value) != 0)) {
            fail_msg("s%u has '%s' at %s, not '%s'", i, held == NULL ? "nothing" : held, path,
                     value == NULL ? "nothing" : value);
        }
    }
}

/* --- What is going on --------------------------------------------------------------------- */

/* Before the fault, while it may strike, and what must be so afterwards. */
struct scenario {
    const char *name;
    unsigned n_servers; /* that may be struck: the first ones */
    void (*prepare)(void);
    void (*act)(void);
    void (*check)(void);
};

static void put_many(unsigned i, const char *prefix, unsigned n)
{
    char path[16];

    for (unsigned k = 0; k < n; k++) {
        (void)snprintf(path, sizeof(path), "%s:%u", prefix, k);
        cluster_put(&cluster, i, path, k % 5 == 0 ? NULL : "x", 1000 + k);
    }
}

/* A new server: vouching, the members, splitting, fetching. */
static void prepare_join(void)
{
    start_many(1);
    put_many(0, "p", 40);
}

static void act_join(void)
{
    boot(1);
    run_on(4000);
}

static void check_join(void)
{
    assert_all_hold("p:1", "x");
    assert_all_hold("p:39", "x");
    assert_all_hold("p:5", "");
}

/* One that comes back and knows where it was: reading what changed, and comparing. */
static void prepare_return(void)
{
    start_many(2);
    cluster_crash(&cluster, 1);
    publish(0, "a", "one", 1);
    publish(0, "b", NULL, 2);
}

static void check_return(void)
{
    assert_all_hold("a", "one");
    assert_all_hold("b", "");
}

/* Updates that the broker lost: a difference is seen in a ping. */
static void prepare_pull(void)
{
    start_many(2);
    publish(0, "a", "one", 1);
    publish(0, "b", NULL, 2);
}

static void act_pull(void)
{
    run_on(14000);
}

/* It has been evicted and does not know: its place is void, what it has alone is set aside. */
static void prepare_set_aside(void)
{
    start_many(2);
    publish(CLUSTER_MAX, "t", "x", 1);
    publish(CLUSTER_MAX, "t", NULL, 2);
    cluster_cut(&cluster, 1, true);
    cluster_isolate(&cluster, 1, true);
    publish(1, "v", "alone", 3);
    publish(0, "w", "kept", 4);
    assert_int_equal(cluster_evict(&cluster, 0, 1), 0);
    run_on(PAST_HORIZON);
}

static void act_set_aside(void)
{
    cluster_isolate(&cluster, 1, false);
    cluster_cut(&cluster, 1, false);
    run_on(20000);
}

static void check_set_aside(void)
{
    assert_all_hold("t", NULL);
    assert_all_hold("v", NULL);
    assert_all_hold("w", "kept");
    assert_non_null(strstr(cluster.at[1].set_aside, "v=alone;"));
}

/* A deletion passes the horizon, and then the floor. */
static void prepare_forget(void)
{
    start_many(2);
    publish(CLUSTER_MAX, "a", "x", 1);
    publish(CLUSTER_MAX, "a", NULL, 2);
    publish(CLUSTER_MAX, "b", "stays", 3);
    run_on(40000);
    assert_all_hold("a", "");
}

static void act_forget(void)
{
    run_on(PAST_HORIZON - 40000);
}

static void check_forget(void)
{
    run_on(20000);
    assert_all_hold("a", NULL);
    assert_all_hold("b", "stays");
}

static int evicted; /* what the client was told */

/* The last of three is gone for good. */
static void prepare_evict(void)
{
    start_many(3);
    publish(CLUSTER_MAX, "a", "x", 1);
    publish(CLUSTER_MAX, "a", NULL, 2);
    cluster_crash(&cluster, 2);
    run_on(PAST_HORIZON);
    assert_all_hold("a", "");
}

static void act_evict(void)
{
    evicted = cluster_evict(&cluster, 0, 2);
    run_on(12000);
}

static void check_evict(void)
{
    int again = cluster_evict(&cluster, 0, 2);

    if (evicted == 0) { /* what was told is so */
        assert_int_equal(again, MKV_E_NOT_FOUND);
    } else {
        assert_true(again == 0 || again == MKV_E_NOT_FOUND);
    }
    run_on(PAST_HORIZON);
    assert_all_hold("a", NULL);
}

/* An older state of its store has been put back: it knows, and joins anew. */
static void prepare_backup(void)
{
    struct mkv_disk *copy;

    start_many(2);
    assert_int_equal(mkv_disk_snapshot(cluster.at[1].disk, &copy), 0);
    publish(CLUSTER_MAX, "a", "one", 1);
    publish(CLUSTER_MAX, "b", NULL, 2);
    cluster_crash(&cluster, 1);
    assert_int_equal(mkv_disk_restore(cluster.at[1].disk, copy), 0);
    mkv_disk_free(copy);
}

/* Rows of it have been damaged. */
static void prepare_lost(void)
{
    start_many(2);
    publish(CLUSTER_MAX, "a", "one", 1);
    publish(CLUSTER_MAX, "b", NULL, 2);
    cluster_crash(&cluster, 1);
    for (unsigned i = 0; i < 10; i++) {
        mkv_disk_damage(cluster.at[1].disk, MKV_LOG_ROWS, i);
    }
}

/* Each has started without the other; the one that has less goes over. */
static void prepare_meeting(void)
{
    cluster.at[0].alone = true;
    cluster.at[1].alone = true;
    start(0);
    cluster_cut(&cluster, 0, true);
    start(1);
    put_many(0, "p", 20);
    put_many(1, "q", 3);
    run_on(2000);
}

static void act_meeting(void)
{
    cluster_cut(&cluster, 0, false);
    run_on(15000);
}

static void check_meeting(void)
{
    assert_all_hold("p:19", "x");
    assert_all_hold("q:1", "x");
}

/* A difference below the floor, which does not last. */
static void prepare_heal(void)
{
    prepare_forget();
    act_forget();
    run_on(15000);
    assert_all_hold("a", NULL);
    assert_true(cluster.at[0].ping.floor > 1000 && cluster.at[1].ping.floor > 1000);
    cluster_put(&cluster, 0, "h", "old", 1000);
    cluster_put(&cluster, 1, "k", "older", 900);
}

static void act_heal(void)
{
    run_on(80000);
}

/* All have what server @i alone had; but if it was started again, it may have been set aside. */
static void assert_kept(unsigned i, const char *path, const char *value)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%s=%s;", path, value);
    if (cluster.at[i].set_aside == NULL || strstr(cluster.at[i].set_aside, text) == NULL) {
        assert_all_hold(path, value);
    }
}

static void check_heal(void)
{
    assert_kept(0, "h", "old");
    assert_kept(1, "k", "older");
    assert_all_hold("b", "stays");
}

static const struct scenario scenarios[] = {
    {"joining", 2, prepare_join, act_join, check_join},
    {"coming back", 2, prepare_return, act_join, check_return},
    {"reading", 2, prepare_pull, act_pull, check_return},
    {"setting aside", 2, prepare_set_aside, act_set_aside, check_set_aside},
    {"forgetting", 2, prepare_forget, act_forget, check_forget},
    {"evicting", 2, prepare_evict, act_evict, check_evict},
    {"put back", 2, prepare_backup, act_join, check_return},
    {"lost rows", 2, prepare_lost, act_join, check_return},
    {"meeting", 2, prepare_meeting, act_meeting, check_meeting},
    {"healing", 2, prepare_heal, act_heal, check_heal},
};

/* --- Faults ------------------------------------------------------------------------------- */

static void arm_disk(uint64_t nth)
{
    struct cluster_server *server = &cluster.at[victim];

    if (server->disk == NULL) {
        cluster_open_disk(&cluster, victim);
        cluster_close_disk(&cluster, victim);
    }
    mkv_disk_fail_at(server->disk, nth, MKV_E_IO);
}

/* Returns whether the allocation or the access that was to fail was needed at all. */
static bool run_once(const struct scenario *scenario, unsigned nth_allocation, uint64_t nth_access)
{
    bool struck;

    mem_fault_at(0);
    cluster_init(&cluster);
    scenario->prepare();
    mem_fault_pause(true);
    cluster.around = around;
    mem_fault_at(nth_allocation);
    arm_disk(nth_access);
    scenario->act();
    struck = mem_fault_struck() || mkv_disk_failed(cluster.at[victim].disk);
    mem_fault_at(0);
    mkv_disk_fail_at(cluster.at[victim].disk, 0, 0);
    supervise();
    for (unsigned k = 0; k < 120 && !cluster_heal(&cluster, 0); k++) {
        run_on(1000);
    }
    assert_heals(0);
    scenario->check();
    assert_heals(15000);
    cluster_deinit(&cluster);
    assert_int_equal(mem_fault_live(), 0);
    return struck;
}

static void run_all(bool memory)
{
    for (unsigned i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        for (victim = 0; victim < scenarios[i].n_servers; victim++) {
            unsigned n = 1;

            while (run_once(&scenarios[i], memory ? n : 0, memory ? 0 : n)) {
                assert_true(++n < FAULTS_MAX);
            }
            assert_true(n > 1); /* there was something to fail */
            print_message("# %s, s%u: %u %s\n", scenarios[i].name, victim, n - 1,
                          memory ? "allocations" : "accesses");
        }
    }
}

static void test_every_allocation_fails_in_turn(void **state)
{
    (void)state;
    run_all(true);
}

static void test_every_access_of_the_disk_fails_in_turn(void **state)
{
    (void)state;
    run_all(false);
}

/* Memory goes while a failed batch is taken back, or while what was undone is done again. */
static void test_both_fail(void **state)
{
    (void)state;
    victim = 1;
    for (unsigned i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        for (uint64_t access = 1; access <= 41; access += 4) {
            for (unsigned n = 1; n <= 140; n += 1 + n / 8) {
                (void)run_once(&scenarios[i], n, access);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_allocation_fails_in_turn),
        cmocka_unit_test(test_every_access_of_the_disk_fails_in_turn),
        cmocka_unit_test(test_both_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
