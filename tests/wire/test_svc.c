/* SPDX-License-Identifier: Apache-2.0 */
/* Query, Server, Birth and Ping: what must hold for every message. */
#include "base/limits.h"
#include "codecs.h"
#include "lib/check.h"

static const struct codec *const codecs[] = {&codec_query, &codec_server, &codec_birth,
                                             &codec_ping};

static void for_each(void (*check)(const struct codec *codec, uint64_t seed), uint64_t n_seeds)
{
    for (size_t i = 0; i < sizeof(codecs) / sizeof(*codecs); i++) {
        for (uint64_t seed = 1; seed <= n_seeds; seed++) {
            check(codecs[i], seed);
        }
    }
}

static void round_trip(void **state)
{
    (void)state;
    for_each(codec_check_round_trip, 2000);
}

static void prefixes_are_refused(void **state)
{
    (void)state;
    for_each(codec_check_prefixes, 10);
}

static void flipped_bits_do_no_harm(void **state)
{
    (void)state;
    for_each(codec_check_flips, 10);
}

static void failing_allocations_are_reported(void **state)
{
    (void)state;
    for_each(codec_check_faults, 10);
}

/* What a server is configured with may be too much; it must not reach the network. */
static void too_much_is_not_written(void **state)
{
    static const uint8_t zeros[1024];
    struct mkv_server_reply reply = {
        .id = mkv_bytes(zeros, 8), .name = mkv_bytes_of("srv"), .versions = {1, 1}};
    struct mkv_buf out;

    (void)state;
    mkv_buf_init(&out, 65536);
    assert_int_equal(mkv_buf_append_u8(&out, 7), 0);

    reply.host = mkv_bytes(zeros, 255);
    assert_int_equal(mkv_server_reply_encode(&reply, &out), 0);
    mkv_buf_truncate(&out, 1);
    reply.host = mkv_bytes(zeros, 256);
    assert_int_equal(mkv_server_reply_encode(&reply, &out), MKV_E_TOO_LARGE);
    reply.host = mkv_bytes("\xff", 1);
    assert_int_equal(mkv_server_reply_encode(&reply, &out), MKV_E_BAD_UTF8);
    reply.host.len = 0;
    reply.addresses.n = 1;
    reply.addresses.at[0] = mkv_bytes(zeros, 513);
    assert_int_equal(mkv_server_reply_encode(&reply, &out), MKV_E_TOO_LARGE);
    reply.addresses.n = MKV_ADDRESSES_MAX + 1;
    assert_int_equal(mkv_server_reply_encode(&reply, &out), MKV_E_TOO_LARGE);
    reply.addresses.n = 0;
    reply.name = mkv_bytes_of("a b");
    assert_int_equal(mkv_server_reply_encode(&reply, &out), MKV_E_BAD_NAME);
    reply.name = mkv_bytes_of("srv");
    reply.versions.lowest = 2;
    assert_int_equal(mkv_server_reply_encode(&reply, &out), MKV_E_BAD_NUMBER);
    reply.versions.highest = 2;
    reply.id.len = 7;
    assert_int_equal(mkv_server_reply_encode(&reply, &out), MKV_E_MALFORMED);
    assert_int_equal(out.len, 1);
    mkv_buf_deinit(&out);
}

static void encode_refuses(const struct mkv_ping *ping, int error)
{
    struct mkv_buf out;

    mkv_buf_init(&out, 65536);
    assert_int_equal(mkv_buf_append_u8(&out, 7), 0);
    assert_int_equal(mkv_ping_encode(ping, &out), error);
    assert_int_equal(out.len, 1);
    mkv_buf_deinit(&out);
}

static void a_ping_that_would_be_refused_is_not_written(void **state)
{
    static const uint8_t zeros[MKV_HOST_LEN_MAX + 1];
    const struct mkv_ping good = {
        .name = mkv_bytes_of("srv"), .number = 1, .state = MKV_ACT_LEAVING, .versions = {1, 1}};
    struct mkv_ping ping = good;
    struct mkv_buf out;

    (void)state;
    mkv_buf_init(&out, 65536);
    ping.host = mkv_bytes(zeros, MKV_HOST_LEN_MAX);
    assert_int_equal(mkv_ping_encode(&ping, &out), 0);
    mkv_buf_deinit(&out);
    ping.host.len++;
    encode_refuses(&ping, MKV_E_TOO_LARGE);
    ping = good;
    ping.number = 0;
    encode_refuses(&ping, MKV_E_BAD_NUMBER);
    ping = good;
    ping.state++;
    encode_refuses(&ping, MKV_E_BAD_NUMBER);
    ping = good;
    ping.name.len = 0;
    encode_refuses(&ping, MKV_E_BAD_NAME);
    for (size_t i = 0; i < 8; i++) {
        ping = good;
        uint64_t *const limited[] = {&ping.nonce, &ping.number,   &ping.tock,     &ping.horizon,
                                     &ping.floor, &ping.complete, &ping.uptime_s, &ping.wall_ms};

        *limited[i] = (uint64_t)MKV_INTEGER_MAX + 1;
        encode_refuses(&ping, MKV_E_BAD_NUMBER);
    }
}

static void put_zeros(struct mkv_buf *out, size_t n)
{
    assert_int_equal(mkv_buf_append_be32(out, (uint32_t)n), 0);
    assert_int_equal(mkv_buf_reserve(out, n), 0);
    memset(out->at + out->len, 0, n);
    out->len += n;
}

/* Filled up with two unknown keys: one alone would be a value too large. */
static int decode_ping_of_size(size_t n)
{
    struct mkv_ping ping = {.name = mkv_bytes_of("srv"), .number = 1, .versions = {1, 1}};
    struct mkv_buf out;

    mkv_buf_init(&out, 2 * MKV_UPDATE_MAX);
    assert_int_equal(mkv_buf_append_u8(&out, 0), 0);
    assert_int_equal(mkv_ping_encode(&ping, &out), 0);
    assert_int_equal(out.at[1], 0xb7);
    memcpy(out.at, "\xb8\x19", 2); /* 25 pairs */
    assert_int_equal(mkv_buf_append(&out, mkv_bytes("\x18\x63\x5a", 3)), 0);
    put_zeros(&out, MKV_VALUE_MAX / 2);
    assert_int_equal(mkv_buf_append(&out, mkv_bytes("\x18\x64\x5a", 3)), 0);
    put_zeros(&out, n - out.len - 4);
    assert_int_equal(out.len, n);

    int error = mkv_ping_decode(mkv_buf_bytes(&out), &ping);

    mkv_buf_deinit(&out);
    return error;
}

static void a_ping_has_a_largest_size(void **state)
{
    (void)state;
    assert_int_equal(decode_ping_of_size(MKV_UPDATE_MAX), 0);
    assert_int_equal(decode_ping_of_size(MKV_UPDATE_MAX + 1), MKV_E_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(prefixes_are_refused),
        cmocka_unit_test(flipped_bits_do_no_harm),
        cmocka_unit_test(failing_allocations_are_reported),
        cmocka_unit_test(too_much_is_not_written),
        cmocka_unit_test(a_ping_that_would_be_refused_is_not_written),
        cmocka_unit_test(a_ping_has_a_largest_size),
    };

    return cmocka_run_group_tests_name("svc", tests, NULL, NULL);
}
