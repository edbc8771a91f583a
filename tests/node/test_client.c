/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client as a whole, against the real server, over a net that misbehaves, in virtual time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/client_parts.h"
#include "lib/check.h"
#include "lib/prng.h"
#include "net.h"
#include "wire/path.h"

#define SERVER       "unix:/run/x"
#define BROKER       "mqtt://127.0.0.1:1883"
#define PATHS        10U
#define OPS_MAX      1024U
#define TOLD_MAX     64U
#define NAME_MAX_LEN 16U

static const char *const paths[PATHS] = {"a", "a.b", "a.b.c", "a.b:1", "a:2",
                                         "b", "b.a", "c:t",   "c.dd",  "c"};

/* What the application of one client knows. */
struct app_entry {
    bool told;
    bool present;
    struct mkv_head head;
    char name[NAME_MAX_LEN]; /* that head.name borrows */
    uint8_t value;
};

struct app {
    uint64_t watch_id;
    const char *watched;
    bool synced;
    unsigned n_synced;
    unsigned n_state;
    unsigned n_change;
    unsigned n_withdrawn;
    struct app_entry entries[PATHS];

    uint64_t last_id;
    int status[OPS_MAX]; /* of the operation, by id; 1: open, 2: not started */
    unsigned n_done;
    unsigned n_notices[16];
    uint64_t last_counter;
    unsigned n_rows;
};

struct scene {
    struct net net;
    struct app apps[NET_CLIENTS_MAX];
    struct mkv_buf keys[PATHS];
    uint64_t seed;
};

static unsigned index_of(const struct scene *scene, struct mkv_bytes key)
{
    for (unsigned i = 0; i < PATHS; i++) {
        if (mkv_bytes_equal(mkv_buf_bytes(&scene->keys[i]), key)) {
            return i;
        }
    }
    fail_msg("an unknown path was told");
    return 0;
}

/* Whatever is told of an entry must be greater than what was told before (I15). */
static void take_entry(struct scene *scene, struct app *app, const struct mkv_client_output *output)
{
    struct app_entry *entry = &app->entries[index_of(scene, output->key)];
    struct mkv_head head = mkv_head_of(output->entry);

    if (output->watch == MKV_CLIENT_WATCH_WITHDRAWN) {
        assert_true(entry->told);
        *entry = (struct app_entry){0};
        app->n_withdrawn++;
        return;
    }
    if (entry->told && mkv_head_compare(&head, &entry->head) <= 0) {
        fail_msg("seed %llu: an entry went back", (unsigned long long)scene->seed);
    }
    app->n_state += output->watch == MKV_CLIENT_WATCH_STATE;
    app->n_change += output->watch == MKV_CLIENT_WATCH_CHANGE;
    entry->told = true;
    entry->present = output->entry->present;
    entry->head = head;
    assert_true(head.name.len < NAME_MAX_LEN);
    memcpy(entry->name, head.name.at, head.name.len);
    entry->head.name.at = (const uint8_t *)entry->name;
    entry->value = entry->present ? output->entry->value.at[output->entry->value.len - 1] : 0;
}

static void told(void *context, unsigned i, const struct mkv_client_output *output)
{
    struct scene *scene = context;
    struct app *app = &scene->apps[i];

    switch (output->kind) {
    case MKV_CLIENT_TELL:
        assert_int_equal(output->id, app->watch_id);
        if (output->watch == MKV_CLIENT_WATCH_SYNCED) {
            app->synced = true;
            app->n_synced++;
        } else {
            take_entry(scene, app, output);
        }
        break;
    case MKV_CLIENT_DONE:
        assert_true(output->id <= app->last_id);
        assert_int_equal(app->status[output->id], 1); /* exactly once */
        app->status[output->id] = output->status;
        app->n_done++;
        if (output->entry != NULL) {
            app->last_counter = output->entry->ticks.at[0].counter;
        }
        break;
    case MKV_CLIENT_ROW:
        app->n_rows++;
        break;
    case MKV_CLIENT_NOTICE:
        app->n_notices[output->notice]++;
        break;
    default:
        break;
    }
}

static void scene_init(struct scene *scene, uint64_t seed)
{
    memset(scene, 0, sizeof(*scene));
    scene->seed = seed;
    for (unsigned i = 0; i < PATHS; i++) {
        mkv_buf_init(&scene->keys[i], MKV_PATH_KEY_MAX);
        assert_int_equal(mkv_path_from_dotted(mkv_bytes_of(paths[i]), &scene->keys[i]), 0);
    }
    net_init(&scene->net, seed, told, scene);
}

static void scene_deinit(struct scene *scene)
{
    net_deinit(&scene->net);
    for (unsigned i = 0; i < PATHS; i++) {
        mkv_buf_deinit(&scene->keys[i]);
    }
}

static int order(struct scene *scene, unsigned i, struct mkv_client_order *order)
{
    struct app *app = &scene->apps[i];
    int error;

    assert_true(app->last_id + 1 < OPS_MAX);
    order->id = app->last_id + 1;
    app->status[order->id] = 1;
    app->last_id++;
    net_enter_client(&scene->net);
    error = mkv_client_node_order(&scene->net.clients[i].node, scene->net.world.now.ms, order);
    net_leave_client(&scene->net);
    if (error != 0) {
        app->status[order->id] = 2;
        app->last_id--;
    }
    net_listen(&scene->net);
    return error;
}

static void watch(struct scene *scene, unsigned i, const char *path)
{
    struct mkv_client_order watch = {.kind = MKV_CLIENT_WATCH};
    struct mkv_buf key;

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    assert_int_equal(mkv_path_from_dotted(mkv_bytes_of(path), &key), 0);
    watch.key = mkv_buf_bytes(&key);
    scene->apps[i].watched = path;
    scene->apps[i].watch_id = scene->apps[i].last_id + 1;
    assert_int_equal(order(scene, i, &watch), 0);
    mkv_buf_deinit(&key);
}

/* Writes @value, 0 .. 23, or deletes if it is negative. */
static uint64_t write_one(struct scene *scene, unsigned i, unsigned path, int value, bool blind)
{
    uint8_t raw = (uint8_t)value;
    struct mkv_client_order write = {.kind = MKV_CLIENT_WRITE,
                                     .key = mkv_buf_bytes(&scene->keys[path]),
                                     .present = value >= 0,
                                     .blind = blind};

    if (value >= 0) {
        write.value = mkv_bytes(&raw, 1);
    }
    int error = order(scene, i, &write);

    assert_true(error == 0 || (error == MKV_E_NO_MEMORY && scene->net.no_memory > 0));
    return scene->apps[i].last_id;
}

/* The server's entry, or false. */
static bool at_server(const struct scene *scene, unsigned path, struct mkv_tree_entry *entry)
{
    return mkv_tree_find(mkv_store_tree(scene->net.world.store), mkv_buf_bytes(&scene->keys[path]),
                         entry);
}

/* The view of the first watch of client @i equals what the server has there. */
static void check_view(const struct scene *scene, unsigned i)
{
    const struct app *app = &scene->apps[i];
    const struct mkv_client_watch *seen = scene->net.clients[i].node.client.watches;
    struct mkv_summary theirs = mkv_tree_summary(mkv_store_tree(scene->net.world.store), seen->key);
    uint8_t digest[16];

    mkv_digest_bytes(theirs.digest, digest);
    if (!seen->synced || !mkv_view_equals(&seen->view, 0, theirs.n_entries, digest)) {
        fail_msg("seed %llu: the view of client %u is not that of the server",
                 (unsigned long long)scene->seed, i);
    }
    for (unsigned path = 0; path < PATHS; path++) {
        struct mkv_bytes key = mkv_buf_bytes(&scene->keys[path]);
        struct mkv_tree_entry entry = {0};
        const struct app_entry *known = &app->entries[path];

        if (!mkv_bytes_starts_with(key, seen->key)) {
            assert_false(known->told);
            continue;
        }
        bool lives = at_server(scene, path, &entry) && entry.head.present;

        if (lives != (known->told && known->present) ||
            (lives && mkv_head_compare(&entry.head, &known->head) != 0)) {
            fail_msg("seed %llu: client %u was told something else about %s",
                     (unsigned long long)scene->seed, i, paths[path]);
        }
    }
}

static struct scene scene;

/* Simple stories. */

static void test_read_needs_no_broker(void **state)
{
    struct mkv_client_order get = {.kind = MKV_CLIENT_GET};

    (void)state;
    scene_init(&scene, 1);
    net_broker(&scene.net, false);
    net_client_start(&scene.net, 0, SERVER, "");
    get.key = mkv_buf_bytes(&scene.keys[0]);
    assert_int_equal(order(&scene, 0, &get), 0);
    net_wait(&scene.net, 100);
    assert_int_equal(scene.apps[0].status[1], MKV_E_NOT_FOUND);
    assert_int_equal(scene.net.clients[0].node.client.use, MKV_CLIENT_MQTT_OFF);
    scene_deinit(&scene);
}

static void test_write_and_read(void **state)
{
    struct mkv_client_order get = {.kind = MKV_CLIENT_GET};
    struct mkv_client_order read = {.kind = MKV_CLIENT_READ, .depth_max = 64};
    struct mkv_client_order list = {.kind = MKV_CLIENT_LIST};
    struct mkv_client_order status = {.kind = MKV_CLIENT_STATUS};
    struct mkv_client_order ping = {.kind = MKV_CLIENT_PING};

    (void)state;
    scene_init(&scene, 2);
    net_client_start(&scene.net, 0, SERVER, "");
    uint64_t id = write_one(&scene, 0, 1, 7, false);

    net_wait(&scene.net, 1000);
    assert_int_equal(scene.apps[0].status[id], 0);
    assert_int_equal(scene.apps[0].last_counter, 1);
    get.key = mkv_buf_bytes(&scene.keys[1]);
    assert_int_equal(order(&scene, 0, &get), 0);
    assert_int_equal(order(&scene, 0, &read), 0);
    assert_int_equal(order(&scene, 0, &list), 0);
    assert_int_equal(order(&scene, 0, &status), 0);
    assert_int_equal(order(&scene, 0, &ping), 0);
    net_wait(&scene.net, 1000);
    for (uint64_t i = id + 1; i <= scene.apps[0].last_id; i++) {
        assert_int_equal(scene.apps[0].status[i], 0);
    }
    assert_int_equal(scene.apps[0].n_rows, 1);
    scene_deinit(&scene);
}

static void test_overwrite_is_no_conflict(void **state)
{
    (void)state;
    scene_init(&scene, 3);
    net_client_start(&scene.net, 0, SERVER, "");
    net_client_start(&scene.net, 1, SERVER, "");
    write_one(&scene, 0, 1, 7, false);
    net_wait(&scene.net, 500);
    write_one(&scene, 1, 1, 8, false); /* reads what is there */
    net_wait(&scene.net, 500);
    watch(&scene, 0, "a");
    net_wait(&scene.net, 500);
    write_one(&scene, 0, 1, 9, false); /* has seen what is there */
    net_wait(&scene.net, 500);
    assert_int_equal(scene.apps[0].n_notices[MKV_CLIENT_CONFLICT], 0);
    assert_int_equal(scene.apps[1].n_notices[MKV_CLIENT_CONFLICT], 0);
    write_one(&scene, 1, 1, 10, true); /* blind */
    net_wait(&scene.net, 500);
    /* Which of them lost depends on the tocks that they have seen. */
    assert_int_equal(scene.apps[0].n_notices[MKV_CLIENT_CONFLICT] +
                         scene.apps[1].n_notices[MKV_CLIENT_CONFLICT],
                     1);
    check_view(&scene, 0);
    scene_deinit(&scene);
}

static void test_found_by_broker(void **state)
{
    (void)state;
    scene_init(&scene, 4);
    net_client_start(&scene.net, 0, "unix:/nobody", BROKER);
    net_client_start(&scene.net, 1, "", BROKER);
    uint64_t first = write_one(&scene, 0, 1, 7, false);
    uint64_t second = write_one(&scene, 1, 2, 7, false);

    net_wait(&scene.net, 5000);
    assert_int_equal(scene.apps[0].status[first], 0);
    assert_int_equal(scene.apps[1].status[second], 0);
    /* And back: the server goes and comes, and is found again. */
    net_server_crash(&scene.net);
    net_wait(&scene.net, 5000);
    first = write_one(&scene, 0, 1, 8, true);
    second = write_one(&scene, 1, 2, 8, false);
    net_wait(&scene.net, 5000);
    net_server_start(&scene.net);
    net_wait(&scene.net, 60000);
    assert_int_equal(scene.apps[0].status[first], 0);
    assert_int_equal(scene.apps[1].status[second], 0);
    scene_deinit(&scene);
}

static void test_nobody_there(void **state)
{
    struct mkv_buf text;

    (void)state;
    scene_init(&scene, 5);
    net_client_start(&scene.net, 0, "unix:/nobody", "");
    net_wait(&scene.net, 60000);
    mkv_buf_init(&text, 1000);
    assert_int_equal(mkv_client_detail(&scene.net.clients[0].node.client, &text), 0);
    assert_non_null(memmem(text.at, text.len, "unix:/nobody", 12));
    assert_non_null(memmem(text.at, text.len, "MOAT_KV_SERVER", 14));
    assert_in_range(scene.net.clients[0].n_connects, 4, 20);
    mkv_buf_deinit(&text);
    scene_deinit(&scene);
}

static void test_silence_ends_the_link(void **state)
{
    (void)state;
    scene_init(&scene, 6);
    net_client_start(&scene.net, 0, SERVER, "");
    net_wait(&scene.net, 120000);
    assert_int_equal(scene.net.clients[0].n_connects, 1); /* pings keep it */
    scene.net.clients[0].node.client.heard_ms = scene.net.world.now.ms;
    scene.net.server_up = false; /* it hangs: nothing arrives, nothing leaves, nothing closes */
    net_wait(&scene.net, 45000);
    assert_true(scene.apps[0].n_notices[MKV_CLIENT_DISCONNECTED] == 1);
    scene.net.server_up = true;
    net_wait(&scene.net, 60000);
    assert_int_equal(scene.net.clients[0].node.client.phase, MKV_CLIENT_UP);
    scene_deinit(&scene);
}

static void test_cancel(void **state)
{
    (void)state;
    scene_init(&scene, 7);
    net_client_start(&scene.net, 0, SERVER, "");
    watch(&scene, 0, ":");
    net_wait(&scene.net, 2000);
    assert_true(scene.apps[0].synced);
    assert_int_equal(scene.net.clients[0].n_filters, 1);
    assert_int_equal(mkv_client_node_cancel(&scene.net.clients[0].node, scene.net.world.now.ms,
                                            scene.apps[0].watch_id),
                     0);
    net_wait(&scene.net, 2000);
    assert_int_equal(scene.apps[0].status[scene.apps[0].watch_id], MKV_E_CANCELLED);
    assert_int_equal(scene.net.clients[0].n_filters, 0);
    assert_int_equal(mkv_client_node_cancel(&scene.net.clients[0].node, scene.net.world.now.ms,
                                            scene.apps[0].watch_id),
                     MKV_E_NOT_FOUND);
    scene_deinit(&scene);
}

static void test_lost_last_message_is_found(void **state)
{
    (void)state;
    scene_init(&scene, 8);
    net_client_start(&scene.net, 0, SERVER, "");
    net_client_start(&scene.net, 1, SERVER, "");
    watch(&scene, 0, ":");
    net_wait(&scene.net, 5000);
    scene.net.clients[0].mqtt_up = false; /* the broker forgets client 0, and does not say so */
    uint64_t id = write_one(&scene, 1, 3, 5, false);

    net_wait(&scene.net, 300); /* too short for two checks */
    assert_int_equal(scene.apps[1].status[id], 0);
    assert_false(scene.apps[0].entries[3].told);
    net_wait(&scene.net, 12000);
    assert_true(scene.apps[0].entries[3].told);
    assert_true(scene.apps[0].n_notices[MKV_CLIENT_REPAIRED] > 0);
    scene_deinit(&scene);
}

/* What a watch may show from now on it shows at once. */
static void test_new_rights_are_seen(void **state)
{
    struct world *world = &scene.net.world;
    uint64_t seq;

    (void)state;
    scene_init(&scene, 9);
    seq = world_login(world, 1000, NULL);
    world_update(world, ":n.users.ann", "\xa2\x65roles\x81\x65guest\x63uid\x19\x03\xe9", 1001, seq,
                 1);
    world_update(world, ":n.acl.guest.b.#", "\x61r", 1002, seq, 2);
    world_update(world, "a.b", "\x05", 1003, seq, 3);
    world_update(world, "b.a", "\x06", 1004, seq, 4);
    scene.net.clients[0].uid = 1001;
    net_client_start(&scene.net, 0, SERVER, "");
    watch(&scene, 0, ":");
    net_wait(&scene.net, 20000); /* the next check is up to 5 s away */
    assert_true(scene.apps[0].entries[6].present);
    assert_false(scene.apps[0].entries[1].told);
    world_update(world, ":n.acl.guest.a.#", "\x61r", 1005, seq, 5);
    net_wait(&scene.net, 300);
    assert_true(scene.apps[0].entries[1].present);

    /* Many changes within a second are told once more. */
    world_update(world, "c.dd", "\x07", 1006, seq, 6);
    for (unsigned i = 0; i < 50; i++) {
        world_update(world, ":n.acl.guest.c.#", i % 2 == 0 ? "\x61r" : NULL, 1010 + i, seq, 7 + i);
        net_wait(&scene.net, 10);
    }
    world_update(world, ":n.acl.guest.c.#", "\x61r", 1100, seq, 57);
    net_wait(&scene.net, 1500);
    assert_true(scene.apps[0].entries[8].present);
    scene_deinit(&scene);
}

/* Random trouble, then healing: then all that was acknowledged is there, and all views agree. */

static void trouble(struct scene *at)
{
    struct net *net = &at->net;
    unsigned i = (unsigned)prng_below(&net->prng, 3);

    switch (prng_below(&net->prng, 24)) {
    case 0:
        net_cut_link(net, i);
        break;
    case 1:
        net_cut_mqtt(net, i);
        break;
    case 2:
        net_server_crash(net);
        break;
    case 3:
    case 4:
        net_server_start(net);
        break;
    case 5:
        net_broker(net, false);
        break;
    case 6:
    case 7:
        net_broker(net, true);
        break;
    case 8:
        net_wait(net, (int64_t)prng_below(&net->prng, 20000));
        break;
    default:
        write_one(at, i, (unsigned)prng_below(&net->prng, PATHS),
                  (int)prng_below(&net->prng, 24) - 4, prng_below(&net->prng, 3) == 0);
        break;
    }
    net_wait(net, (int64_t)prng_below(&net->prng, 100));
}

/* Writes may have failed, and a watch ended, for want of memory; nothing else is excused. */
static void check_operations(const struct scene *at, unsigned i)
{
    const struct app *app = &at->apps[i];

    for (uint64_t id = 1; id <= app->last_id; id++) {
        int status = app->status[id];

        if (status == 0 || status == 2 || (status == 1 && id == app->watch_id) ||
            (status == MKV_E_NO_MEMORY && at->net.n_struck > 0)) {
            continue;
        }
        fail_msg("seed %llu: operation %u of client %u ended with %d", (unsigned long long)at->seed,
                 (unsigned)id, i, status);
    }
}

static void converge(uint64_t seed, unsigned no_memory)
{
    static const char *const watched[] = {":", "a", "a.b"};

    scene_init(&scene, seed);
    scene.net.loss = (unsigned)prng_below(&scene.net.prng, 300);
    scene.net.repeats = (unsigned)prng_below(&scene.net.prng, 300);
    scene.net.delay_max_ms = (int64_t)prng_below(&scene.net.prng, 200);
    for (unsigned i = 0; i < 3; i++) {
        net_client_start(&scene.net, i,
                         prng_below(&scene.net.prng, 3) == 0 ? "unix:/nobody" : SERVER, BROKER);
        watch(&scene, i, watched[prng_below(&scene.net.prng, 3)]);
    }
    scene.net.no_memory = no_memory;
    for (unsigned n = 0; n < 150; n++) {
        trouble(&scene);
    }
    scene.net.loss = 0;
    scene.net.no_memory = 0;
    net_server_start(&scene.net);
    net_broker(&scene.net, true);
    net_wait(&scene.net, 240000);
    for (unsigned i = 0; i < 3; i++) {
        check_operations(&scene, i);
        if (scene.apps[i].status[scene.apps[i].watch_id] == 1) {
            check_view(&scene, i);
        }
    }
    scene_deinit(&scene);
}

static void converge_all(unsigned no_memory)
{
    const char *only = getenv("SEED");

    if (only != NULL) {
        converge(strtoull(only, NULL, 10), no_memory);
        return;
    }
    for (uint64_t seed = 1; seed <= 200; seed++) {
        converge(seed, no_memory);
    }
}

static void test_convergence(void **state)
{
    (void)state;
    converge_all(0);
}

static void test_convergence_without_memory(void **state)
{
    (void)state;
    converge_all(50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_needs_no_broker),
        cmocka_unit_test(test_write_and_read),
        cmocka_unit_test(test_overwrite_is_no_conflict),
        cmocka_unit_test(test_found_by_broker),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_silence_ends_the_link),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_lost_last_message_is_found),
        cmocka_unit_test(test_new_rights_are_seen),
        cmocka_unit_test(test_convergence),
        cmocka_unit_test(test_convergence_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
