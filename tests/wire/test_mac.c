/* SPDX-License-Identifier: Apache-2.0 */
/* MACs of updates: as the protocol has them, and good for one key, session, topic and message only. */
#include <string.h>

#include "lib/check.h"
#include "wire/mac.h"

#define TOPIC "moat/main/d/kitchen/lamp"

static struct mkv_ring keys; /* of the protocol's example, for updates */
static struct mkv_buf buf;   /* the message */
static uint8_t own[MKV_MAC_KEY_LEN];

static struct mkv_update update_of(const char *value, uint64_t seq)
{
    return (struct mkv_update){
        .has_tock = true,
        .tock = 1,
        .present = value != NULL,
        .value = mkv_bytes_of(value == NULL ? "" : value),
        .ticks = {.n = 1, .at = {{mkv_bytes_of("srv"), seq, 1}}},
    };
}

static int set_up(void **state)
{
    struct mkv_ring ring = {.n = 1};
    const struct mkv_update update = update_of("\x62on", 7);

    (void)state;
    for (unsigned i = 0; i < MKV_RING_KEY_LEN; i++) {
        ring.keys[0][i] = (uint8_t)i;
    }
    mkv_ring_derive(&ring, MKV_RING_UPDATE, &keys);
    mkv_mac_key(keys.keys[0], &update.ticks.at[0], own);
    mkv_buf_init(&buf, MKV_UPDATE_MAX);
    return mkv_mac_encode(&update, mkv_bytes_of(TOPIC), own, &buf);
}

static int tear_down(void **state)
{
    (void)state;
    mkv_buf_deinit(&buf);
    return 0;
}

static bool is_good(const struct mkv_ring *ring, const char *name, uint64_t seq, const char *topic)
{
    const struct mkv_tick dot = {.name = mkv_bytes_of(name), .seq = seq, .counter = 1};

    return mkv_mac_check(ring, &dot, mkv_bytes_of(topic), mkv_buf_bytes(&buf));
}

static void test_example_of_the_protocol(void **state)
{
    static const uint8_t mac[] = {0x6c, 0x08, 0xdd, 0x59, 0x6d, 0x4c, 0xd6, 0x50,
                                  0x78, 0x35, 0x27, 0x12, 0x14, 0x04, 0xc8, 0x1c};
    static const uint8_t start[] = {0xa4, 0x00, 0x01, 0x01, 0x62, 'o',  'n',  0x02, 0x81,
                                    0x83, 0x63, 's',  'r',  'v',  0x07, 0x01, 0x03, 0x50};
    struct mkv_update again;

    (void)state;
    assert_int_equal(buf.len, sizeof(start) + sizeof(mac));
    assert_memory_equal(buf.at, start, sizeof(start));
    assert_memory_equal(buf.at + sizeof(start), mac, sizeof(mac));
    assert_int_equal(mkv_update_decode(mkv_buf_bytes(&buf), &again), 0);
    assert_int_equal(again.ticks.at[0].seq, 7);
    assert_true(is_good(&keys, "srv", 7, TOPIC));
}

static void test_of_one_session_topic_and_key_only(void **state)
{
    struct mkv_ring others = keys;
    const struct mkv_ring none = {.n = 0};

    (void)state;
    assert_false(is_good(&keys, "srv", 8, TOPIC));
    assert_false(is_good(&keys, "srv", 0, TOPIC));
    assert_false(is_good(&keys, "srw", 7, TOPIC));
    assert_false(is_good(&keys, "sr", 7, TOPIC));
    assert_false(is_good(&keys, "srv", 7, TOPIC "s"));
    assert_false(is_good(&none, "srv", 7, TOPIC));
    others.keys[0][31] ^= 1;
    assert_false(is_good(&others, "srv", 7, TOPIC));
    mkv_ring_add(&others, keys.keys[0]); /* one of several will do, at any place */
    assert_true(is_good(&others, "srv", 7, TOPIC));
    mkv_ring_add(&others, own);
    assert_true(is_good(&others, "srv", 7, TOPIC));
    mkv_ring_add(&others, own);
    mkv_ring_add(&others, own);
    assert_false(is_good(&others, "srv", 7, TOPIC));
}

static void test_each_bit_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < 8 * buf.len; i++) {
        buf.at[i / 8] ^= (uint8_t)(1U << (i % 8));
        assert_false(is_good(&keys, "srv", 7, TOPIC));
        buf.at[i / 8] ^= (uint8_t)(1U << (i % 8));
    }
    for (; buf.len > 0; buf.len--) {
        assert_int_equal(is_good(&keys, "srv", 7, TOPIC), buf.len == 34);
    }
    assert_false(is_good(&keys, "srv", 7, TOPIC));
}

static void test_too_large_leaves_what_was_there(void **state)
{
    static char text[MKV_UPDATE_MAX];
    struct mkv_update update = update_of("\xf6", 7);

    (void)state;
    update.value = mkv_bytes(text, sizeof(text) - 20);
    assert_int_equal(mkv_mac_encode(&update, mkv_bytes_of(TOPIC), own, &buf), MKV_E_TOO_LARGE);
    assert_int_equal(buf.len, 34);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_example_of_the_protocol, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_of_one_session_topic_and_key_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_each_bit_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_large_leaves_what_was_there, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
