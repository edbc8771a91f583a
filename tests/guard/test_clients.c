/* SPDX-License-Identifier: Apache-2.0 */
#include "guard/clients.h"
#include "lib/check.h"
#include "lib/mem_fault.h"

/* The address is all that counts of a connection: it is never looked into. */
static char connections[MKV_CLIENTS_MAX + 1];

static struct mkv_guard_peer peer_by(uint8_t key)
{
    struct mkv_guard_peer peer = {.role = MKV_ROLE_OWN};

    memset(peer.key, key, sizeof(peer.key));
    return peer;
}

static void has_keys(struct mkv_guard *guard, uint8_t first, uint32_t n)
{
    guard->n_keys = n;
    for (uint32_t i = 0; i < n; i++) {
        memset(guard->keys[i], first + (int)i, sizeof(guard->keys[i]));
    }
}

static void one_is_known_until_it_is_dropped(void **state)
{
    struct mkv_guard_peer peer = peer_by(1);
    struct mkv_clients clients;

    (void)state;
    mkv_clients_init(&clients);
    assert_null(mkv_clients_get(&clients, &connections[0]));
    mkv_clients_drop(&clients, &connections[0]); /* it is none */
    assert_int_equal(mkv_clients_put(&clients, &connections[0], &peer), 0);
    assert_null(mkv_clients_get(&clients, &connections[1]));
    assert_int_equal(mkv_clients_get(&clients, &connections[0])->key[0], 1);
    mkv_clients_drop(&clients, &connections[0]);
    assert_null(mkv_clients_get(&clients, &connections[0]));
    mkv_clients_deinit(&clients);
    assert_int_equal(mem_fault_live(), 0);
}

/* Who logs in once more on a connection is who it says now, but does not get its budget anew. */
static void a_new_login_keeps_what_is_used(void **state)
{
    struct mkv_guard_peer peer = peer_by(1);
    struct mkv_clients clients;

    (void)state;
    mkv_clients_init(&clients);
    assert_int_equal(mkv_clients_put(&clients, &connections[0], &peer), 0);

    struct mkv_guard_peer *there = mkv_clients_get(&clients, &connections[0]);
    struct mkv_bucket used;

    memset(&there->messages, 0x5a, sizeof(there->messages));
    used = there->messages;
    peer = peer_by(2);
    assert_int_equal(mkv_clients_put(&clients, &connections[0], &peer), 0);
    there = mkv_clients_get(&clients, &connections[0]);
    assert_int_equal(there->key[0], 2);
    assert_memory_equal(&there->messages, &used, sizeof(used));
    mkv_clients_deinit(&clients);
}

/* All whose key has gone are found, in portions; nobody else, and no finder, who has none. */
static void stale_ones_are_found(void **state)
{
    struct mkv_guard guard = {.knows = true};
    struct mkv_clients clients;
    const void *stale[3];
    size_t n_dropped = 0;
    size_t n;

    (void)state;
    mkv_clients_init(&clients);
    for (size_t i = 0; i < 40; i++) {
        struct mkv_guard_peer peer = peer_by((uint8_t)(1 + i % 4));

        peer.finder = i % 10 == 0; /* 0, 10, 20, 30: by the keys 1, 3, 1, 3, if they had one */
        assert_int_equal(mkv_clients_put(&clients, &connections[i], &peer), 0);
    }
    has_keys(&guard, 1, 3); /* 4 has gone */
    assert_int_equal(mkv_clients_stale(&clients, &guard, stale, 0), 0);
    while ((n = mkv_clients_stale(&clients, &guard, stale, 3)) > 0) {
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(((const char *)stale[i] - connections) % 4, 3);
            mkv_clients_drop(&clients, stale[i]);
            n_dropped++;
        }
    }
    assert_int_equal(n_dropped, 10);
    has_keys(&guard, 9, 1); /* all have: what is left but the finders is stale */
    while ((n = mkv_clients_stale(&clients, &guard, stale, 3)) > 0) {
        for (size_t i = 0; i < n; i++) {
            mkv_clients_drop(&clients, stale[i]);
            n_dropped++;
        }
    }
    assert_int_equal(n_dropped, 36);
    assert_non_null(mkv_clients_get(&clients, &connections[10]));
    mkv_clients_deinit(&clients);
}

static void there_is_a_limit(void **state)
{
    struct mkv_guard_peer peer = peer_by(1);
    struct mkv_clients clients;

    (void)state;
    mkv_clients_init(&clients);
    for (size_t i = 0; i < MKV_CLIENTS_MAX; i++) {
        assert_int_equal(mkv_clients_put(&clients, &connections[i], &peer), 0);
    }
    assert_int_equal(mkv_clients_put(&clients, &connections[MKV_CLIENTS_MAX], &peer),
                     MKV_E_TOO_MANY);
    assert_int_equal(mkv_clients_put(&clients, &connections[7], &peer), 0); /* it is there */
    mkv_clients_drop(&clients, &connections[7]);
    assert_int_equal(mkv_clients_put(&clients, &connections[MKV_CLIENTS_MAX], &peer), 0);
    mkv_clients_deinit(&clients);
    assert_int_equal(mem_fault_live(), 0);
}

static void without_memory_nobody_is_let_in(void **state)
{
    struct mkv_guard_peer peer = peer_by(1);
    unsigned n_struck = 0;

    (void)state;
    for (unsigned n = 1;; n++) {
        struct mkv_clients clients;

        mkv_clients_init(&clients);
        mem_fault_at(n);

        int error = mkv_clients_put(&clients, &connections[0], &peer);
        bool struck = mem_fault_struck();

        mem_fault_at(0);
        assert_int_equal(error, struck ? MKV_E_NO_MEMORY : 0);
        assert_int_equal(mkv_clients_get(&clients, &connections[0]) == NULL, struck);
        mkv_clients_deinit(&clients);
        assert_int_equal(mem_fault_live(), 0);
        if (!struck) {
            break;
        }
        n_struck++;
    }
    assert_true(n_struck >= 2); /* the client, and its place */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_is_known_until_it_is_dropped),
        cmocka_unit_test(a_new_login_keeps_what_is_used),
        cmocka_unit_test(stale_ones_are_found),
        cmocka_unit_test(there_is_a_limit),
        cmocka_unit_test(without_memory_nobody_is_let_in),
    };

    return cmocka_run_group_tests_name("clients", tests, NULL, NULL);
}
