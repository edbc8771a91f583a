/* SPDX-License-Identifier: Apache-2.0 */
/* A server that wants MACs (docs/protocol.md, section 13.6): what it hands out, publishes, takes and ignores. */
#include <string.h>

#include "harness.h"
#include "lib/check.h"
#include "wire/mac.h"

#define TOPIC "moat/main/d/lamp"
#define TOCK  100

static struct world world;
static struct mkv_ring keys;
static uint8_t own[MKV_MAC_KEY_LEN]; /* the key that the session was given */
static uint64_t seq;

static void take_key(uint64_t link)
{
    const struct mkv_frame_session *session = &world_last(&world, link, MKV_FRAME_SESSION)->session;

    assert_int_equal(session->mode, MKV_MODE_MACS);
    assert_int_equal(session->mac_key.len, sizeof(own));
    memcpy(own, session->mac_key.at, sizeof(own));
}

static int set_up(void **state)
{
    (void)state;
    keys = (struct mkv_ring){.n = 2};
    memset(keys.keys[0], 1, MKV_RING_KEY_LEN);
    memset(keys.keys[1], 2, MKV_RING_KEY_LEN);
    world = (struct world){.updates = &keys};
    world_start(&world);
    seq = world_login(&world, 1, NULL);
    take_key(1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_free(&world);
    return 0;
}

/* An update of lamp; @key makes its MAC, NULL: it has none. */
static void write_lamp(const char *value, uint64_t tock, uint64_t counter, const uint8_t *key)
{
    const struct mkv_update update = {
        .has_tock = tock > 0,
        .tock = tock,
        .present = true,
        .value = mkv_bytes_of(value),
        .ticks = {.n = 1, .at = {{mkv_bytes_of("srv"), seq, counter}}},
    };
    struct mkv_buf payload;

    mkv_buf_init(&payload, MKV_UPDATE_MAX);
    assert_int_equal(key == NULL ? mkv_update_encode(&update, &payload)
                                 : mkv_mac_encode(&update, mkv_bytes_of(TOPIC), key, &payload),
                     0);
    world_message(&world, TOPIC, mkv_buf_bytes(&payload));
    world_wait(&world, 100);
    mkv_buf_deinit(&payload);
}

static void a_good_one_is_taken(void **state)
{
    const struct mkv_tick stream = {.name = mkv_bytes_of("srv"), .seq = seq};
    uint8_t older[MKV_MAC_KEY_LEN];

    (void)state;
    write_lamp("\x01", TOCK, 1, own);
    assert_string_equal(world_held(&world, "lamp"), "\x01");
    assert_int_equal(world_acked(&world, 1), 1);
    mkv_mac_key(keys.keys[1], &stream, older); /* a key that was in use before */
    assert_memory_not_equal(older, own, sizeof(own));
    write_lamp("\x02", TOCK + 1, 2, older);
    assert_string_equal(world_held(&world, "lamp"), "\x02");
}

static void others_are_ignored(void **state)
{
    const struct mkv_tick another = {.name = mkv_bytes_of("srv"), .seq = seq + 1};
    uint8_t wrong[MKV_MAC_KEY_LEN];

    (void)state;
    write_lamp("\x01", TOCK, 1, own);
    mkv_mac_key(keys.keys[0], &another, wrong); /* somebody else's, who is here, too */
    write_lamp("\x05", TOCK + 5, 2, NULL);
    write_lamp("\x05", TOCK + 5, 2, wrong);
    write_lamp("\x05", 0, 2, wrong);
    write_lamp("\x05", UINT64_C(1) << 61, 2, wrong); /* else refused, and its session told */
    assert_string_equal(world_held(&world, "lamp"), "\x01");
    assert_int_equal(world_count(&world, 1, MKV_FRAME_NACK), 0);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_REPEAT), 0);
    assert_int_equal(world_acked(&world, 1), 1);
    assert_non_null(strstr(world.logged, "does not prove"));
    write_lamp("\x02", TOCK + 1, 2, own);
    assert_string_equal(world_held(&world, "lamp"), "\x02");
    assert_int_equal(world_acked(&world, 1), 2);
}

/* What cannot be read is refused by its dot: so the dot must be proven, too. */
static void a_bad_one_is_refused_only_if_proven(void **state)
{
    char deep[100] = {0};
    struct mkv_update update = {
        .present = true,
        .value = mkv_bytes(deep, sizeof(deep)),
        .ticks = {.n = 1, .at = {{mkv_bytes_of("srv"), seq, 1}}},
    };
    struct mkv_buf payload;

    (void)state;
    memset(deep, '\x81', sizeof(deep) - 1);
    mkv_buf_init(&payload, MKV_UPDATE_MAX);
    assert_int_equal(mkv_update_encode(&update, &payload), 0);
    world_message(&world, TOPIC, mkv_buf_bytes(&payload));
    assert_int_equal(world_count(&world, 1, MKV_FRAME_NACK), 0);
    mkv_buf_clear(&payload);
    assert_int_equal(mkv_mac_encode(&update, mkv_bytes_of(TOPIC), own, &payload), 0);
    world_message(&world, TOPIC, mkv_buf_bytes(&payload));
    world_wait(&world, 100);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_NACK), 1);
    mkv_buf_deinit(&payload);
}

static void what_it_publishes_is_proven(void **state)
{
    const struct mkv_tick stream = {.name = mkv_bytes_of("srv"), .seq = seq};

    (void)state;
    write_lamp("\x01", 0, 1, own); /* is stamped */
    assert_int_equal(world.n_published > 0, 1);
    assert_true(mkv_bytes_equal(mkv_buf_bytes(&world.topic), mkv_bytes_of(TOPIC)));
    assert_true(mkv_mac_check(&keys, &stream, mkv_buf_bytes(&world.topic),
                              mkv_buf_bytes(&world.published)));
}

static void with_other_keys_clients_open_their_links_anew(void **state)
{
    const struct mkv_frame first = *world_last(&world, 1, MKV_FRAME_SESSION);
    uint8_t before[MKV_MAC_KEY_LEN];
    uint8_t next[MKV_RING_KEY_LEN];

    (void)state;
    memcpy(before, own, sizeof(own));
    write_lamp("\x01", TOCK, 1, before);
    memset(next, 3, sizeof(next));
    mkv_ring_add(&keys, next);
    mkv_server_node_update_keys(world.node, world.now, &keys);
    world_listen(&world);
    assert_int_equal(world.n_closed, 1);
    assert_int_equal(world.closed[0], 1);
    world_close(&world, 1);
    assert_int_equal(world_login(&world, 2, &first), seq); /* goes on */
    take_key(2);
    assert_memory_not_equal(before, own, sizeof(own));
    write_lamp("\x02", TOCK + 1, 2, before);
    write_lamp("\x03", TOCK + 2, 3, own);
    assert_string_equal(world_held(&world, "lamp"), "\x03");
    assert_int_equal(world_acked(&world, 2), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_good_one_is_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(others_are_ignored, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_bad_one_is_refused_only_if_proven, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_it_publishes_is_proven, set_up, tear_down),
        cmocka_unit_test_setup_teardown(with_other_keys_clients_open_their_links_anew, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
