/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows and meta rows as bytes: round trips, golden bytes, and no damage that goes unnoticed.
 */
#include <stdlib.h>

#include "lib/check.h"
#include "lib/prng.h"
#include "store/row.h"

static uint8_t bytes[4096];
static uint8_t row_bytes[MKV_ROW_LEN_MAX];

static struct mkv_row random_row(struct prng *prng)
{
    struct mkv_row row = {0};
    struct mkv_update *update = &row.update;

    prng_fill(prng, bytes, sizeof(bytes));
    row.key = mkv_bytes(bytes, prng_below(prng, 2) > 0 ? prng_below(prng, 40)
                                                       : prng_below(prng, MKV_PATH_KEY_MAX + 1));
    row.gone = prng_below(prng, 5) == 0;
    if (row.gone) {
        return row;
    }
    update->has_tock = true;
    update->present = prng_below(prng, 3) > 0;
    update->tock = prng_any_width(prng) >> 1;
    update->ticks.n = 1 + (uint32_t)prng_below(prng, MKV_TICKS_MAX);
    for (uint32_t i = 0; i < update->ticks.n; i++) {
        update->ticks.at[i] = (struct mkv_tick){
            .name = mkv_bytes(bytes + prng_below(prng, 100), prng_below(prng, MKV_NAME_MAX + 1)),
            .seq = prng_any_width(prng) >> 1,
            .counter = prng_any_width(prng) >> 1,
        };
    }
    if (update->present) {
        row.vhash = prng_next(prng);
        update->value = mkv_bytes(bytes + 8, prng_below(prng, 300));
    }
    return row;
}

static void assert_same(const struct mkv_row *a, const struct mkv_row *b)
{
    assert_int_equal(a->gone, b->gone);
    assert_true(mkv_bytes_equal(a->key, b->key));
    assert_int_equal(a->vhash, b->vhash);
    assert_int_equal(a->update.has_tock, b->update.has_tock);
    assert_int_equal(a->update.present, b->update.present);
    assert_int_equal(a->update.tock, b->update.tock);
    assert_true(mkv_bytes_equal(a->update.value, b->update.value));
    assert_int_equal(a->update.ticks.n, b->update.ticks.n);
    for (uint32_t i = 0; i < a->update.ticks.n; i++) {
        assert_true(mkv_tick_equal(&a->update.ticks.at[i], &b->update.ticks.at[i]));
    }
}

static void test_round_trip(void **state)
{
    struct prng prng = {.state = 1};

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t position = prng_any_width(&prng);
        struct mkv_row row = random_row(&prng);
        size_t len = mkv_row_len(&row);
        struct mkv_row got;
        struct mkv_bytes key;

        assert_int_equal(mkv_row_check(&row), 0);
        row_bytes[len] = 0x5a;
        mkv_row_encode(&row, position, row_bytes);
        assert_int_equal(row_bytes[len], 0x5a);
        assert_int_equal(mkv_row_decode(mkv_bytes(row_bytes, len), position, &got), 0);
        assert_same(&got, &row);
        assert_int_equal(mkv_row_key(mkv_bytes(row_bytes, len), &key), 0);
        assert_true(mkv_bytes_equal(key, row.key));
        assert_int_equal(mkv_row_decode(mkv_bytes(row_bytes, len), position + 1, &got),
                         MKV_E_CORRUPT);
    }
}

/* On a heap block of its own, so that a read beyond the end is seen. */
static int decode_copy(size_t len, uint64_t position)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    struct mkv_row row;
    struct mkv_bytes key;

    assert_non_null(copy);
    memcpy(copy, row_bytes, len);
    int error = mkv_row_key(mkv_bytes(copy, len), &key);

    assert_true(error == 0 || error == MKV_E_CORRUPT);
    error = mkv_row_decode(mkv_bytes(copy, len), position, &row);

    free(copy);
    return error;
}

static void test_damage(void **state)
{
    struct prng prng = {.state = 2};

    (void)state;
    for (unsigned i = 0; i < 300; i++) {
        struct mkv_row row = random_row(&prng);
        size_t len = mkv_row_len(&row);

        mkv_row_encode(&row, i, row_bytes);
        for (unsigned j = 0; j < 100; j++) {
            size_t bit = prng_below(&prng, 8 * len);

            row_bytes[bit / 8] ^= (uint8_t)(1U << (bit % 8));
            assert_int_equal(decode_copy(len, i), MKV_E_CORRUPT);
            row_bytes[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        }
        for (size_t shorter = 0; shorter < len; shorter += 1 + len / 50) {
            assert_int_equal(decode_copy(shorter, i), MKV_E_CORRUPT);
        }
        assert_int_equal(decode_copy(len, i), 0);
    }
}

/* The format on disk: if this changes, so must the version in store/format.c. */
static void test_golden(void **state)
{
    static const uint8_t golden[] = {0xa0, 0xe9, 0x49, 0x16, 0x02, 0x74, 0xe2, 0xff, /* checksum */
                                     0x05,       /* 2 ticks, present */
                                     0x00, 0x03, /* key length */
                                     1,    2,    3,    4,    5,    6,    7,    8, /* vhash */
                                     0x60, 0x61, 0x62,                            /* key */
                                     0xac, 0x02,                                  /* tock 300 */
                                     3,    's',  'r',  'v',  7,    1,             /* first tick */
                                     1,    'x',  0,    0x80, 1,                   /* second tick */
                                     0x62, 0x6f, 0x6e};                           /* value */
    struct mkv_row row = {
        .key = mkv_bytes("\x60\x61\x62", 3),
        .vhash = 0x0102030405060708,
        .update = {.has_tock = true,
                   .present = true,
                   .tock = 300,
                   .value = mkv_bytes("\x62on", 3),
                   .ticks = {.n = 2,
                             .at = {{.name = mkv_bytes_of("srv"), .seq = 7, .counter = 1},
                                    {.name = mkv_bytes_of("x"), .seq = 0, .counter = 128}}}}};

    (void)state;
    assert_int_equal(mkv_row_len(&row), sizeof(golden));
    mkv_row_encode(&row, 42, row_bytes);
    assert_memory_equal(row_bytes, golden, sizeof(golden));
}

static void test_golden_gone(void **state)
{
    static const uint8_t golden[] = {0x2e, 0x82, 0x50, 0xca, 0xbe, 0x3d, 0x50, 0x44, /* checksum */
                                     0x10,                                           /* gone */
                                     0x00, 0x03,        /* key length */
                                     0x60, 0x61, 0x62}; /* key */
    struct mkv_row row = {.gone = true, .key = mkv_bytes("\x60\x61\x62", 3)};

    (void)state;
    assert_int_equal(mkv_row_len(&row), sizeof(golden));
    mkv_row_encode(&row, 42, row_bytes);
    assert_memory_equal(row_bytes, golden, sizeof(golden));
}

static void test_check(void **state)
{
    struct prng prng = {.state = 3};
    struct mkv_row good = random_row(&prng);
    struct mkv_row row = {.gone = true, .key = {.len = MKV_PATH_KEY_MAX}};

    (void)state;
    assert_int_equal(mkv_row_check(&row), 0);
    row.key.len++;
    assert_int_equal(mkv_row_check(&row), MKV_E_TOO_LARGE);
    while (good.gone) {
        good = random_row(&prng);
    }
    row = good;
    row.key.len = MKV_PATH_KEY_MAX + 1;
    assert_int_equal(mkv_row_check(&row), MKV_E_TOO_LARGE);
    row = good;
    row.update.value.len = MKV_VALUE_MAX + 1;
    assert_int_equal(mkv_row_check(&row), MKV_E_TOO_LARGE);
    row = good;
    row.update.ticks.n = 0;
    assert_int_equal(mkv_row_check(&row), MKV_E_TOO_LARGE);
    row.update.ticks.n = MKV_TICKS_MAX + 1;
    assert_int_equal(mkv_row_check(&row), MKV_E_TOO_LARGE);
    row = good;
    row.update.tock = UINT64_C(1) << 63;
    assert_int_equal(mkv_row_check(&row), MKV_E_TOO_LARGE);
    row = good;
    row.update.ticks.at[0].name.len = MKV_NAME_MAX + 1;
    assert_int_equal(mkv_row_check(&row), MKV_E_TOO_LARGE);
    row = good;
    row.update.ticks.at[0].seq = UINT64_C(1) << 63;
    assert_int_equal(mkv_row_check(&row), MKV_E_TOO_LARGE);
    row = good;
    row.update.ticks.at[0].counter = UINT64_C(1) << 63;
    assert_int_equal(mkv_row_check(&row), MKV_E_TOO_LARGE);
}

static void test_seal(void **state)
{
    uint8_t sealed[MKV_SEAL_LEN + 5];
    struct mkv_bytes value;

    (void)state;
    memcpy(sealed + MKV_SEAL_LEN, "value", 5);
    mkv_seal(mkv_bytes_of("name"), sealed, 5);
    assert_int_equal(mkv_unseal(mkv_bytes_of("name"), mkv_bytes(sealed, sizeof(sealed)), &value),
                     0);
    assert_true(mkv_bytes_equal(value, mkv_bytes_of("value")));
    assert_int_equal(mkv_unseal(mkv_bytes_of("nome"), mkv_bytes(sealed, sizeof(sealed)), &value),
                     MKV_E_CORRUPT);
    for (size_t bit = 0; bit < 8 * sizeof(sealed); bit++) {
        sealed[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        assert_int_equal(
            mkv_unseal(mkv_bytes_of("name"), mkv_bytes(sealed, sizeof(sealed)), &value),
            MKV_E_CORRUPT);
        sealed[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
    for (size_t len = 0; len < sizeof(sealed); len++) {
        assert_int_equal(mkv_unseal(mkv_bytes_of("name"), mkv_bytes(sealed, len), &value),
                         MKV_E_CORRUPT);
    }
    mkv_seal(mkv_bytes_of("name"), sealed, 0);
    assert_int_equal(mkv_unseal(mkv_bytes_of("name"), mkv_bytes(sealed, MKV_SEAL_LEN), &value), 0);
    assert_int_equal(value.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_damage),
        cmocka_unit_test(test_golden),     cmocka_unit_test(test_golden_gone),
        cmocka_unit_test(test_check),      cmocka_unit_test(test_seal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
