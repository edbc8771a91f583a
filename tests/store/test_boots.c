/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/check.h"
#include "store/boots.h"

static struct mkv_place place(uint64_t nonce, uint64_t position)
{
    return (struct mkv_place){.nonce = nonce, .position = position};
}

/* The picture in store/boots.h. */
static void test_ranges(void **state)
{
    struct mkv_boots boots = {0};

    (void)state;
    assert_false(mkv_boots_know(&boots, 0, place(0, 0)));
    assert_false(mkv_boots_may_know(&boots, 0, place(0, 0)));
    mkv_boots_add(&boots, place(11, 0));
    mkv_boots_add(&boots, place(12, 70));
    mkv_boots_add(&boots, place(13, 90));
    for (uint64_t position = 0; position < 200; position++) {
        assert_int_equal(mkv_boots_know(&boots, 120, place(11, position)), position <= 70);
        assert_int_equal(mkv_boots_know(&boots, 120, place(12, position)),
                         70 <= position && position <= 90);
        assert_int_equal(mkv_boots_know(&boots, 120, place(13, position)),
                         90 <= position && position <= 120);
        assert_false(mkv_boots_know(&boots, 120, place(14, position)));
    }
}

static void test_oldest_is_forgotten(void **state)
{
    struct mkv_boots boots = {0};

    (void)state;
    for (uint64_t i = 0; i < MKV_BOOTS_MAX + 5; i++) {
        mkv_boots_add(&boots, place(i, 10 * i));
    }
    assert_int_equal(boots.n, MKV_BOOTS_MAX);
    assert_false(mkv_boots_know(&boots, 10000, place(4, 45)));
    assert_true(mkv_boots_know(&boots, 10000, place(5, 55)));

    /* Nobody can tell any more; but of one that is remembered, and behind all, it is known. */
    assert_true(mkv_boots_may_know(&boots, 10000, place(4, 45)));
    assert_true(mkv_boots_may_know(&boots, 10000, place(5, 55)));
    assert_false(mkv_boots_may_know(&boots, 10000, place(5, 65)));
    assert_false(mkv_boots_may_know(&boots, 10000, place(1000, 51)));
}

/* A nonce that comes again makes nothing valid that was not: all boots before it are forgotten. */
static void test_nonce_again(void **state)
{
    struct mkv_boots boots = {0};

    (void)state;
    mkv_boots_add(&boots, place(1, 0));
    mkv_boots_add(&boots, place(2, 10));
    mkv_boots_add(&boots, place(3, 20));
    mkv_boots_add(&boots, place(2, 30));
    assert_false(mkv_boots_know(&boots, 40, place(1, 5)));
    assert_false(mkv_boots_know(&boots, 40, place(2, 15)));
    assert_true(mkv_boots_know(&boots, 40, place(3, 25)));
    assert_true(mkv_boots_know(&boots, 40, place(2, 35)));
}

static void test_bytes(void **state)
{
    uint8_t bytes[MKV_BOOTS_BYTES_MAX + 16] = {0};
    struct mkv_boots boots = {0};
    struct mkv_boots got;

    (void)state;
    for (uint64_t i = 0; i <= MKV_BOOTS_MAX; i++) {
        size_t len = mkv_boots_encode(&boots, bytes);

        assert_int_equal(mkv_boots_decode(mkv_bytes(bytes, len), &got), 0);
        assert_int_equal(got.n, boots.n);
        assert_memory_equal(got.at, boots.at, boots.n * sizeof(boots.at[0]));
        mkv_boots_add(&boots, place(i * UINT64_C(0x0123456789abcdef), i * i));
    }
    assert_int_equal(mkv_boots_decode(mkv_bytes(bytes, 15), &got), MKV_E_CORRUPT);
    assert_int_equal(mkv_boots_decode(mkv_bytes(bytes, sizeof(bytes)), &got), MKV_E_CORRUPT);
    (void)mkv_boots_encode(&boots, bytes);
    bytes[15] = 200; /* behind the second one's position */
    assert_int_equal(mkv_boots_decode(mkv_bytes(bytes, 32), &got), MKV_E_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_oldest_is_forgotten),
        cmocka_unit_test(test_nonce_again),
        cmocka_unit_test(test_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
