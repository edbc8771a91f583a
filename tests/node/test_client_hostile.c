/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nothing that a server or broker sends may do harm: frames that make sense somewhere, in any order
 * and with some bytes wrong.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/check.h"
#include "lib/mem_fault.h"
#include "lib/prng.h"
#include "peer.h"

static struct peer peer;
static uint64_t last_seed;

static struct mkv_update some_update(struct prng *prng)
{
    return (struct mkv_update){
        .has_tock = true,
        .present = true,
        .tock = prng_any_width(prng) >> 1,
        .value = mkv_bytes_of("\x05"),
        .ticks = {
            .n = 1,
            .at = {{.name = mkv_bytes_of("oth"), .seq = 1, .counter = 1 + prng_below(prng, 9)}}}};
}

static void mangle(struct prng *prng, uint8_t *bytes, size_t len)
{
    for (uint64_t n = prng_below(prng, 4); n > 0 && len > 0; n--) {
        bytes[prng_below(prng, len)] = (uint8_t)prng_next(prng);
    }
}

static void send_some(struct prng *prng)
{
    static const enum mkv_frame_kind kinds[] = {
        MKV_FRAME_ACK,   MKV_FRAME_NACK,   MKV_FRAME_CONFLICT, MKV_FRAME_REPEAT, MKV_FRAME_STATE,
        MKV_FRAME_BIRTH, MKV_FRAME_DATA,   MKV_FRAME_END,      MKV_FRAME_DIGEST, MKV_FRAME_ERROR,
        MKV_FRAME_PONG,  MKV_FRAME_REPORT, MKV_FRAME_CHILDREN, MKV_FRAME_BYE,    MKV_FRAME_LOST};
    struct mkv_update update = some_update(prng);
    struct mkv_frame frame = {.kind = kinds[prng_below(prng, sizeof(kinds) / sizeof(kinds[0]))],
                              .id = prng_below(prng, 12)};
    struct mkv_buf bytes;
    uint8_t path[] = {0x81, 0x61, 'a'};

    switch (frame.kind) {
    case MKV_FRAME_ACK:
        frame.ack = (struct mkv_frame_ack){prng_any_width(prng) >> 1, 1, prng_any_width(prng) >> 1};
        break;
    case MKV_FRAME_NACK:
        frame.nack = (struct mkv_frame_nack){1 + prng_below(prng, 9), -1, mkv_bytes_of("no")};
        break;
    case MKV_FRAME_CONFLICT:
        frame.conflict =
            (struct mkv_frame_conflict){mkv_bytes(path, sizeof(path)), 1, update, update, 0};
        break;
    case MKV_FRAME_REPEAT:
        frame.range.first = 1 + prng_below(prng, 9);
        frame.range.last = frame.range.first + (prng_any_width(prng) >> 2);
        break;
    case MKV_FRAME_STATE:
    case MKV_FRAME_ERROR:
        frame.error = (struct mkv_frame_error){-(int)prng_below(prng, 120) - 1, mkv_bytes_of("x")};
        break;
    case MKV_FRAME_DATA:
        frame.data.rows = mkv_bytes_of("\x80");
        break;
    case MKV_FRAME_CHILDREN:
        frame.rows = mkv_bytes_of("\x80");
        break;
    case MKV_FRAME_LOST:
        frame.lost = mkv_bytes_of("\x80");
        break;
    case MKV_FRAME_REPORT:
        frame.report = mkv_bytes_of("\xa0");
        break;
    default:
        break;
    }
    mkv_buf_init(&bytes, MKV_FRAME_MAX);
    if (mkv_frame_encode(&frame, &bytes) == 0) {
        mangle(prng, bytes.at + 4, bytes.len - 4);
        mkv_client_node_link_frame(&peer.node, peer.now_ms, mkv_bytes(bytes.at + 4, bytes.len - 4));
    }
    mkv_buf_deinit(&bytes);
}

static void hostile(uint64_t seed)
{
    struct prng prng = {seed};

    last_seed = seed;
    peer_init(&peer);
    for (unsigned n = 0; n < 200; n++) {
        if (peer.node.client.phase == MKV_CLIENT_CONNECTING) {
            peer_open(&peer);
            peer_born(&peer);
        }
        if (prng_below(&prng, 10) == 0) {
            peer_write(&peer, "a", prng_below(&prng, 2) == 0);
        }
        if (n == 20) {
            struct mkv_client_order order = {
                .kind = MKV_CLIENT_CONFLICTS, .id = 99, .flags = MKV_CONFLICTS_FOLLOW};

            peer_watch(&peer, ":");
            assert_int_equal(mkv_client_node_order(&peer.node, peer.now_ms, &order), 0);
        }
        struct mkv_update update = some_update(&prng);

        peer_message(&peer, mkv_bytes_of("moat/main/d/a"), &update);
        peer_answer(&peer, (prng_below(&prng, 4) << 62) | prng_below(&prng, 9), 0);
        send_some(&prng);
        peer_wait(&peer, (int64_t)prng_below(&prng, 2000));
        peer_forget(&peer);
    }
    peer_deinit(&peer);
}

static void test_hostile_server(void **state)
{
    const char *only = getenv("SEED");

    (void)state;
    for (uint64_t seed = 1; seed <= 500; seed++) {
        hostile(only != NULL ? strtoull(only, NULL, 10) : seed);
    }
    assert_int_equal(mem_fault_live(), 0);
}

static void test_what_is_for_servers_is_refused(void **state)
{
    static const uint8_t some_sums[22] = {0x81, 0x81, 0x83, 0x40, 0x00, 0x50};
    const struct mkv_bytes all = mkv_bytes_of("\x81\x82\x40\x40");
    const struct mkv_frame frames[] = {
        {.kind = MKV_FRAME_PEER, .peer.name = mkv_bytes_of("oth")},
        {.kind = MKV_FRAME_VOUCH, .id = 1, .vouch = {.number = 1, .name = mkv_bytes_of("oth")}},
        {.kind = MKV_FRAME_VOUCHED, .id = 1},
        {.kind = MKV_FRAME_SPLIT, .id = 1, .ranges.ranges = all},
        {.kind = MKV_FRAME_SUMS, .id = 1, .sums = mkv_bytes(some_sums, sizeof(some_sums))},
        {.kind = MKV_FRAME_FETCH, .id = 1, .ranges.ranges = all},
        {.kind = MKV_FRAME_SERVERS, .id = 1},
        {.kind = MKV_FRAME_EVICT, .id = 1},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        peer_init(&peer);
        peer_open(&peer);
        peer_forget(&peer);
        peer_send(&peer, &frames[i]);
        assert_int_equal(peer.node.client.phase, MKV_CLIENT_OFF);
        assert_int_equal(peer_last(&peer, MKV_FRAME_ERROR)->error.code, MKV_E_UNEXPECTED);
        peer_deinit(&peer);
    }
}

static int tell_seed(void **state)
{
    (void)state;
    print_message("# the last seed was %llu\n", (unsigned long long)last_seed);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_hostile_server, tell_seed),
        cmocka_unit_test(test_what_is_for_servers_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
