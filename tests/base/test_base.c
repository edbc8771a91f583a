/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Buffers, bytes, errors, and the map against a naive model.
 */
#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/map.h"
#include "lib/check.h"
#include "lib/mem_fault.h"
#include "lib/prng.h"

static void test_bytes_order(void **state)
{
    (void)state;
    assert_true(mkv_bytes_compare(mkv_bytes_of("a"), mkv_bytes_of("ab")) < 0);
    assert_true(mkv_bytes_compare(mkv_bytes_of("b"), mkv_bytes_of("ab")) > 0);
    assert_true(mkv_bytes_compare(mkv_bytes_of("\x80"), mkv_bytes_of("\x7f")) > 0);
    assert_int_equal(mkv_bytes_compare(mkv_bytes(NULL, 0), mkv_bytes_of("")), 0);
    assert_true(mkv_bytes_starts_with(mkv_bytes_of("abc"), mkv_bytes_of("ab")));
    assert_false(mkv_bytes_starts_with(mkv_bytes_of("ab"), mkv_bytes_of("abc")));
    assert_true(mkv_bytes_starts_with(mkv_bytes_of("ab"), mkv_bytes(NULL, 0)));
}

static void test_buf_keeps_to_its_maximum(void **state)
{
    struct mkv_buf buf;

    (void)state;
    mkv_buf_init(&buf, 100);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(mkv_buf_append_u8(&buf, (uint8_t)i), 0);
    }
    assert_int_equal(mkv_buf_append_u8(&buf, 0), MKV_E_TOO_LARGE);
    assert_int_equal(buf.len, 100);
    mkv_buf_consume(&buf, 90);
    assert_int_equal(buf.at[0], 90);
    assert_int_equal(mkv_buf_append_be32(&buf, 0x01020304), 0);
    assert_memory_equal(buf.at + 10, "\x01\x02\x03\x04", 4);
    mkv_buf_truncate(&buf, 1);
    assert_int_equal(mkv_buf_append_be64(&buf, UINT64_C(0x0102030405060708)), 0);
    assert_memory_equal(buf.at + 1, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
    assert_int_equal(mkv_buf_reserve(&buf, SIZE_MAX), MKV_E_TOO_LARGE);
    mkv_buf_deinit(&buf);
}

static void test_zero_buf_takes_nothing(void **state)
{
    struct mkv_buf buf = {0};

    (void)state;
    assert_int_equal(mkv_buf_append_u8(&buf, 1), MKV_E_TOO_LARGE);
    assert_int_equal(mkv_buf_append(&buf, mkv_bytes(NULL, 0)), 0);
    mkv_buf_deinit(&buf);
}

static void test_buf_survives_lack_of_memory(void **state)
{
    struct mkv_buf buf;

    (void)state;
    mkv_buf_init(&buf, 1000);
    assert_int_equal(mkv_buf_append(&buf, mkv_bytes_of("kept")), 0);
    mem_fault_at(1);
    assert_int_equal(mkv_buf_reserve(&buf, 900), MKV_E_NO_MEMORY);
    assert_true(mem_fault_struck());
    mem_fault_at(0);
    assert_memory_equal(buf.at, "kept", 4);
    mkv_buf_deinit(&buf);
}

static void test_errors_have_names_and_texts(void **state)
{
    (void)state;
    assert_string_equal(mkv_error_name(MKV_E_TOO_LARGE), "TOO_LARGE");
    assert_string_equal(mkv_error_name(MKV_OK), "OK");
    assert_string_equal(mkv_error_text(12345), "unknown error");
    assert_int_equal(MKV_E_MALFORMED, -1); /* frozen: they travel */
    assert_int_equal(MKV_E_DISK_FULL, -102);
    assert_int_equal(MKV_E_BAD_STATE, -201);
}

#define KEYS 200U

/* The map against an array, with keys that collide and wrap. */
static void run_map(uint64_t seed)
{
    struct prng prng = {seed};
    struct mkv_map map = {.n_max = 150};
    int model[KEYS] = {0};
    int values[KEYS];
    size_t n = 0;

    for (unsigned step = 0; step < 3000; step++) {
        unsigned i = (unsigned)prng_below(&prng, KEYS);
        uint64_t key = seed % 2 == 0 ? i : (uint64_t)i << 52;

        if (model[i] == 0 && prng_below(&prng, 3) > 0) {
            int error = mkv_map_add(&map, key, &values[i]);

            assert_int_equal(error, n < 150 ? 0 : MKV_E_TOO_MANY);
            model[i] = error == 0;
            n += (unsigned)model[i];
        } else {
            assert_ptr_equal(mkv_map_remove(&map, key), model[i] ? &values[i] : NULL);
            n -= (unsigned)model[i];
            model[i] = 0;
        }
        assert_int_equal(map.n, n);
    }

    size_t cursor = 0;
    size_t seen = 0;

    for (unsigned i = 0; i < KEYS; i++) {
        uint64_t key = seed % 2 == 0 ? i : (uint64_t)i << 52;

        assert_ptr_equal(mkv_map_get(&map, key), model[i] ? &values[i] : NULL);
    }
    while (mkv_map_each(&map, &cursor) != NULL) {
        seen++;
    }
    assert_int_equal(seen, n);
    mkv_map_deinit(&map);
}

static void test_map_agrees_with_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        print_message("# seed %llu\n", (unsigned long long)seed);
        run_map(seed);
    }
}

static void test_map_survives_lack_of_memory(void **state)
{
    struct mkv_map map = {.n_max = 10};
    int value;

    (void)state;
    assert_null(mkv_map_get(&map, 1));
    assert_null(mkv_map_remove(&map, 1));
    mem_fault_at(1);
    assert_int_equal(mkv_map_add(&map, 1, &value), MKV_E_NO_MEMORY);
    mem_fault_at(0);
    assert_int_equal(mkv_map_add(&map, 1, &value), 0);
    assert_ptr_equal(mkv_map_get(&map, 1), &value);
    mkv_map_deinit(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_order),
        cmocka_unit_test(test_buf_keeps_to_its_maximum),
        cmocka_unit_test(test_zero_buf_takes_nothing),
        cmocka_unit_test(test_buf_survives_lack_of_memory),
        cmocka_unit_test(test_errors_have_names_and_texts),
        cmocka_unit_test(test_map_agrees_with_model),
        cmocka_unit_test(test_map_survives_lack_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
