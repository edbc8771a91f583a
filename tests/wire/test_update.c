/* SPDX-License-Identifier: Apache-2.0 */
/* The update message at its limits, and what must hold for every message. */
#include <stdlib.h>

#include "base/limits.h"
#include "codecs.h"
#include "lib/check.h"

static void round_trip(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        codec_check_round_trip(&codec_update, seed);
    }
}

static void prefixes_are_refused(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        codec_check_prefixes(&codec_update, seed);
    }
}

static void flipped_bits_do_no_harm(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        codec_check_flips(&codec_update, seed);
    }
}

static void failing_allocations_are_reported(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        codec_check_faults(&codec_update, seed);
    }
}

/* A message under construction, byte by byte. */
static void put(struct mkv_buf *out, const void *bytes, size_t n)
{
    assert_int_equal(mkv_buf_append(out, mkv_bytes(bytes, n)), 0);
}

static void put_repeated(struct mkv_buf *out, uint8_t byte, size_t n)
{
    assert_int_equal(mkv_buf_reserve(out, n), 0);
    memset(out->at + out->len, byte, n);
    out->len += n;
}

#define ONE_TICK "\x81\x83\x63srv\x07\x01"

/* {1: <here>, 2: [["srv", 7, 1]]}: @value goes where <here> is. */
static int decode_with_value(struct mkv_bytes value)
{
    struct mkv_update update;
    struct mkv_buf out;

    mkv_buf_init(&out, 4 * MKV_UPDATE_MAX);
    put(&out, "\xa2\x01", 2);
    put(&out, value.at, value.len);
    put(&out, "\x02" ONE_TICK, 9);

    int error = mkv_update_decode(mkv_buf_bytes(&out), &update);

    if (error == 0) {
        assert_true(mkv_bytes_equal(update.value, value));
    }
    mkv_buf_deinit(&out);
    return error;
}

/* The same with the item under an unknown key. */
static int decode_with_unknown(struct mkv_bytes item)
{
    struct mkv_update update;
    struct mkv_buf out;

    mkv_buf_init(&out, 4 * MKV_UPDATE_MAX);
    put(&out, "\xa2\x18\x63", 3);
    put(&out, item.at, item.len);
    put(&out, "\x02" ONE_TICK, 9);

    int error = mkv_update_decode(mkv_buf_bytes(&out), &update);

    if (error == 0) {
        assert_false(update.present);
    }
    mkv_buf_deinit(&out);
    return error;
}

/* A byte string of @n bytes in all. */
static int decode_of_size(size_t n, int (*decode)(struct mkv_bytes item))
{
    struct mkv_buf item;

    mkv_buf_init(&item, 2 * MKV_UPDATE_MAX);
    put(&item, "\x5a", 1);
    assert_int_equal(mkv_buf_append_be32(&item, (uint32_t)(n - 5)), 0);
    put_repeated(&item, 0xab, n - 5);

    int error = decode(mkv_buf_bytes(&item));

    mkv_buf_deinit(&item);
    return error;
}

static int decode_nested(uint8_t head, unsigned depth, int (*decode)(struct mkv_bytes item))
{
    struct mkv_buf item;

    mkv_buf_init(&item, 2 * MKV_UPDATE_MAX);
    put_repeated(&item, head, depth);
    put(&item, "\x00", 1);

    int error = decode(mkv_buf_bytes(&item));

    mkv_buf_deinit(&item);
    return error;
}

static void a_value_has_a_largest_size(void **state)
{
    (void)state;
    assert_int_equal(decode_of_size(MKV_VALUE_MAX, decode_with_value), 0);
    assert_int_equal(decode_of_size(MKV_VALUE_MAX + 1, decode_with_value), MKV_E_TOO_LARGE);
    assert_int_equal(decode_of_size(MKV_UPDATE_MAX, decode_with_value), MKV_E_TOO_LARGE);
    assert_int_equal(decode_of_size(MKV_VALUE_MAX + 1, decode_with_unknown), MKV_E_TOO_LARGE);
}

static void a_value_has_a_greatest_depth(void **state)
{
    (void)state;
    assert_int_equal(decode_nested(0x81, 64, decode_with_value), 0);
    assert_int_equal(decode_nested(0x81, 65, decode_with_value), MKV_E_TOO_DEEP);
    assert_int_equal(decode_nested(0x81, 64, decode_with_unknown), 0);
    assert_int_equal(decode_nested(0x81, 65, decode_with_unknown), MKV_E_TOO_DEEP);
    assert_int_equal(decode_nested(0xc1, 65, decode_with_unknown), MKV_E_TOO_DEEP);
    assert_int_equal(decode_nested(0x9f, 1000000, decode_with_unknown), MKV_E_TOO_DEEP);
}

/* A map of @n keys: the ticks, and unknown ones. */
static int decode_with_keys(unsigned n)
{
    struct mkv_update update;
    struct mkv_cbor_writer w;
    struct mkv_buf out;

    mkv_buf_init(&out, MKV_UPDATE_MAX);
    mkv_cbor_writer_init(&w, &out);
    mkv_cbor_write_map(&w, n);
    for (unsigned i = 1; i < n; i++) {
        mkv_cbor_write_uint(&w, UINT64_MAX - i);
        mkv_cbor_write_null(&w);
    }
    mkv_cbor_write_uint(&w, 2);
    mkv_cbor_write_raw(&w, mkv_bytes(ONE_TICK, 8));
    assert_int_equal(w.error, 0);

    int error = mkv_update_decode(mkv_buf_bytes(&out), &update);

    mkv_buf_deinit(&out);
    return error;
}

static void a_header_has_at_most_32_keys(void **state)
{
    (void)state;
    assert_int_equal(decode_with_keys(32), 0);
    assert_int_equal(decode_with_keys(33), MKV_E_TOO_MANY);
}

/* The message as a whole: unknown keys may fill it up to the last byte. */
static int decode_of_total_size(size_t n)
{
    struct mkv_update update;
    struct mkv_buf out;

    mkv_buf_init(&out, 2 * MKV_UPDATE_MAX);
    put(&out, "\xa3\x02" ONE_TICK "\x03\x5a\x00\x0f\x00\x00", 16);
    put_repeated(&out, 1, 0xf0000);
    put(&out, "\x04\x5a", 2);
    assert_int_equal(mkv_buf_append_be32(&out, (uint32_t)(n - out.len - 4)), 0);
    put_repeated(&out, 2, n - out.len);

    int error = mkv_update_decode(mkv_buf_bytes(&out), &update);

    mkv_buf_deinit(&out);
    return error;
}

static void a_message_has_a_largest_size(void **state)
{
    (void)state;
    assert_int_equal(decode_of_total_size(MKV_UPDATE_MAX), 0);
    assert_int_equal(decode_of_total_size(MKV_UPDATE_MAX + 1), MKV_E_TOO_LARGE);
}

/* The largest update there can be, with the longest names, fits. */
static void the_largest_update_fits(void **state)
{
    static char names[MKV_TICKS_MAX][MKV_NAME_MAX];
    struct mkv_update update = {.has_tock = true, .present = true, .tock = MKV_INTEGER_MAX};
    struct mkv_update decoded;
    struct mkv_buf value;
    struct mkv_buf out;

    (void)state;
    mkv_buf_init(&value, MKV_VALUE_MAX);
    put(&value, "\x5a\x00\x0f\xff\xfb", 5);
    put_repeated(&value, 0, MKV_VALUE_MAX - 5);
    update.value = mkv_buf_bytes(&value);
    update.ticks.n = MKV_TICKS_MAX;
    for (uint32_t i = 0; i < MKV_TICKS_MAX; i++) {
        memset(names[i], 'a' + (int)i, MKV_NAME_MAX);
        update.ticks.at[i].name = mkv_bytes(names[i], MKV_NAME_MAX);
        update.ticks.at[i].seq = MKV_INTEGER_MAX;
        update.ticks.at[i].counter = MKV_INTEGER_MAX;
    }
    mkv_buf_init(&out, MKV_UPDATE_MAX);
    assert_int_equal(mkv_update_encode(&update, &out), 0);
    assert_int_equal(mkv_update_decode(mkv_buf_bytes(&out), &decoded), 0);
    assert_true(messages_same_update(&update, &decoded));
    mkv_buf_deinit(&out);

    /* One byte too few: nothing is left behind. */
    mkv_buf_init(&out, value.len);
    assert_int_equal(mkv_update_encode(&update, &out), MKV_E_TOO_LARGE);
    assert_int_equal(out.len, 0);
    mkv_buf_deinit(&out);
    mkv_buf_deinit(&value);
}

/* A result is written on success only. */
static void a_refusal_leaves_the_result_alone(void **state)
{
    struct mkv_update update = {.tock = 4711, .ticks = {.n = 3}};

    (void)state;
    assert_int_equal(mkv_update_decode(mkv_bytes("\xa2\x00\x01\x01\xf6", 5), &update),
                     MKV_E_MALFORMED);
    assert_int_equal(mkv_update_decode(mkv_bytes(NULL, 0), &update), MKV_E_TRUNCATED);
    assert_int_equal(update.tock, 4711);
    assert_int_equal(update.ticks.n, 3);
}

/* Whether the dot of {0: @tock, 1: @value, 2: [["srv", 7, 1]]} is found; both are raw CBOR. */
static bool finds_dot(struct mkv_bytes tock, struct mkv_bytes value)
{
    struct mkv_tick dot = {0};
    struct mkv_buf out;

    mkv_buf_init(&out, 4 * MKV_UPDATE_MAX);
    put(&out, "\xa3\x00", 2);
    put(&out, tock.at, tock.len);
    put(&out, "\x01", 1);
    put(&out, value.at, value.len);
    put(&out, "\x02" ONE_TICK, 9);

    bool found = mkv_update_find_dot(mkv_buf_bytes(&out), &dot);

    if (found) {
        assert_true(mkv_bytes_equal(dot.name, mkv_bytes_of("srv")));
        assert_int_equal(dot.seq, 7);
        assert_int_equal(dot.counter, 1);
    }
    mkv_buf_deinit(&out);
    return found;
}

#define RAW(text) mkv_bytes(text, sizeof(text) - 1)

static void the_dot_is_found_beyond_the_limits(void **state)
{
    static uint8_t large[2 * MKV_VALUE_MAX]; /* zeros: an item each */
    static uint8_t deep[100001];
    const struct mkv_bytes one = RAW("\x01");

    (void)state;
    memcpy(large, "\x9a\x00\x1f\xff\xfb", 5);
    assert_true(finds_dot(one, mkv_bytes(large, sizeof(large))));
    memset(deep, 0x81, sizeof(deep) - 1);
    assert_true(finds_dot(one, mkv_bytes(deep, sizeof(deep))));
    memset(deep, 0xc1, sizeof(deep) - 1);
    assert_true(finds_dot(one, mkv_bytes(deep, sizeof(deep))));
    memset(deep, 0x9f, 50000);
    memset(deep + 50000, 0xff, 50000);
    assert_true(finds_dot(one, mkv_bytes(deep, 100000)));
    assert_true(
        finds_dot(one, RAW("\x9f\x01\x82\x02\xa1\x03\x9f\xff\x5f\x41\x00\xff\xbf\xff\xff")));
    assert_true(finds_dot(one, RAW("\x82\x9f\x01\xff\xa1\x02\xc1\x03")));
    assert_true(finds_dot(RAW("\x1b\x80\x00\x00\x00\x00\x00\x00\x00"), one));
    assert_true(finds_dot(RAW("\xf6"), RAW("\xf6")));
}

static void no_dot_is_guessed(void **state)
{
    const struct mkv_bytes one = RAW("\x01");

    (void)state;
    assert_false(finds_dot(one, RAW("\xff")));
    assert_false(finds_dot(one, RAW("\x1c")));
    assert_false(finds_dot(one, RAW("\x61\xff")));
    assert_false(finds_dot(one, RAW("\x9f\x01")));
    assert_false(finds_dot(one, RAW("\x9b\xff\xff\xff\xff\xff\xff\xff\xff")));
    assert_false(finds_dot(one, RAW("\x01\x02")));
    assert_false(finds_dot(one, RAW("")));
}

static void names_are_checked(void **state)
{
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    char longest[MKV_NAME_MAX + 1];
    unsigned n_good = 0;

    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        uint8_t byte = (uint8_t)c;
        bool valid = mkv_name_valid(mkv_bytes(&byte, 1));

        assert_true(valid == (c != 0 && strchr(good, (int)c) != NULL));
        n_good += valid;
    }
    assert_int_equal(n_good, sizeof(good) - 1);
    memset(longest, 'n', sizeof(longest));
    assert_true(mkv_name_valid(mkv_bytes(longest, 64)));
    assert_false(mkv_name_valid(mkv_bytes(longest, 65)));
    assert_false(mkv_name_valid(mkv_bytes(longest, 0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(prefixes_are_refused),
        cmocka_unit_test(flipped_bits_do_no_harm),
        cmocka_unit_test(failing_allocations_are_reported),
        cmocka_unit_test(a_value_has_a_largest_size),
        cmocka_unit_test(a_value_has_a_greatest_depth),
        cmocka_unit_test(a_header_has_at_most_32_keys),
        cmocka_unit_test(a_message_has_a_largest_size),
        cmocka_unit_test(the_largest_update_fits),
        cmocka_unit_test(a_refusal_leaves_the_result_alone),
        cmocka_unit_test(the_dot_is_found_beyond_the_limits),
        cmocka_unit_test(no_dot_is_guessed),
        cmocka_unit_test(names_are_checked),
    };

    return cmocka_run_group_tests_name("update", tests, NULL, NULL);
}
