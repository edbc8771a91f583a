/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/check.h"
#include "lib/path_check.h"
#include "lib/prng.h"
#include "path_model.h"
#include "wire/path.h"

#define SEED UINT64_C(20240926)

static int read_dotted(struct mkv_bytes text, struct mkv_buf *key)
{
    mkv_buf_clear(key);
    return mkv_path_from_dotted(text, key);
}

static void check_error(const char *text, int expected)
{
    struct mkv_buf key;

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    assert_int_equal(mkv_buf_append_u8(&key, 0x21), 0);
    if (mkv_path_from_dotted(mkv_bytes_of(text), &key) != expected) {
        print_message("text %s\n", text);
        fail();
    }
    assert_int_equal(key.len, 1); /* what was there before stays */
    mkv_buf_deinit(&key);
}

/* That they are refused is in the vectors; here is how. */
static void test_errors(void **state)
{
    static const char *const malformed[] = {
        "",    "a.",   ".a",   "a..b", "a:",   ":t:",   ":tx",  ":01",
        ":-0", ":1:.", ":1,2", ":y0",  ":sYQ", ":sYR=", ":x",   ":b2",
        ":q",  "a.:1", ":v\n", ":t::", ":e:.", "a:=b",  ":1:_", ":sYQ==Y"};
    static const char *const elements[] = {":i2", ":mfoo", ":(1,2)", ":'x'", ":\"x\"", ":[1]"};
    static const char *const numbers[] = {":18446744073709551616", ":-9223372036854775809",
                                          ":1e309", ":x10000000000000000"};

    (void)state;
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        check_error(malformed[i], MKV_E_BAD_PATH);
    }
    for (size_t i = 0; i < sizeof(elements) / sizeof(elements[0]); i++) {
        check_error(elements[i], MKV_E_BAD_ELEMENT);
    }
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        check_error(numbers[i], MKV_E_BAD_NUMBER);
    }
    check_error("a\xff", MKV_E_BAD_UTF8);
    check_error("\xc3.\xa9", MKV_E_BAD_UTF8);
}

/* Characters that mean something, in all orders: accepted or not, nothing breaks. */
static size_t random_text(struct prng *prng, char *text, size_t n_max)
{
    static const char hard[] = "::::...__  aeftnvysxbim-+01925Ee=,('\"/YWQ\n";
    size_t n = prng_below(prng, n_max + 1);

    for (size_t i = 0; i < n; i++) {
        text[i] = prng_below(prng, 40) == 0 ? (char)prng_next(prng)
                                            : hard[prng_below(prng, sizeof(hard) - 1)];
    }
    return n;
}

static void test_any_text(void **state)
{
    struct prng prng = {SEED};
    struct mkv_buf key;
    unsigned n_accepted = 0;

    (void)state;
    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    for (unsigned i = 0; i < 500000; i++) {
        char text[16];
        size_t len = random_text(&prng, text, sizeof(text));

        if (read_dotted(mkv_bytes(text, len), &key) == 0) {
            n_accepted++;
            assert_int_equal(mkv_path_check(mkv_buf_bytes(&key)), 0);
            check_dotted_round_trip(mkv_buf_bytes(&key));
        } else {
            assert_int_equal(key.len, 0);
        }
    }
    assert_true(n_accepted > 10000);
    mkv_buf_deinit(&key);
}

/* A dotted text of just the longest path, in each spelling, and one more. */
static void check_longest(const char *start, const char *unit, size_t n_units, int expected)
{
    struct mkv_buf text;
    struct mkv_buf key;

    mkv_buf_init(&text, 1U << 16);
    mkv_buf_init(&key, 1U << 16);
    assert_int_equal(mkv_buf_append(&text, mkv_bytes_of(start)), 0);
    for (size_t i = 0; i < n_units; i++) {
        assert_int_equal(mkv_buf_append(&text, mkv_bytes_of(unit)), 0);
    }
    assert_int_equal(mkv_path_from_dotted(mkv_buf_bytes(&text), &key), expected);
    assert_int_equal(key.len > 0, expected == 0);
    mkv_buf_deinit(&text);
    mkv_buf_deinit(&key);
}

static void test_limits(void **state)
{
    (void)state;
    check_longest("", "a", 1021, 0);
    check_longest("", "a", 1022, MKV_E_PATH_TOO_LONG);
    check_longest("", ":_", 1021, 0);
    check_longest("", ":.", 1022, MKV_E_PATH_TOO_LONG);
    check_longest(":v", "::", 1021, 0);
    check_longest(":v", "::", 1022, MKV_E_PATH_TOO_LONG);
    check_longest(":y", "ff", 1021, 0);
    check_longest(":y", "ff", 1022, MKV_E_PATH_TOO_LONG);
    check_longest(":y", "00", 510, 0);
    check_longest(":y", "00", 511, MKV_E_PATH_TOO_LONG);
    check_longest(":s", "YWJj", 340, 0);
    check_longest(":s", "YWJj", 341, MKV_E_PATH_TOO_LONG);
    check_longest("", ":n", 64, 0);
    check_longest("", ":n", 65, MKV_E_PATH_TOO_LONG);
    check_longest("a", ".a", 63, 0);
    check_longest("a", ".a", 64, MKV_E_PATH_TOO_LONG);
    check_longest("", "a", 60000, MKV_E_PATH_TOO_LONG);
    check_longest(":x", "0", 60000, 0);
    check_longest(":b1", "0", 63, 0);
    check_longest(":b1", "0", 64, MKV_E_BAD_NUMBER);
    check_longest(":0:.", "0", 126, 0);
    check_longest(":0:.", "0", 127, MKV_E_BAD_PATH);
    check_longest(":1e", "0", 126, 0);
    check_longest(":1e", "9", 126, MKV_E_BAD_NUMBER);
    check_longest(":1e-", "9", 125, 0);
}

static void test_room_for_text(void **state)
{
    struct mkv_buf text;

    (void)state;
    mkv_buf_init(&text, 4);
    assert_int_equal(mkv_buf_append_u8(&text, '>'), 0);
    assert_int_equal(mkv_path_to_dotted(mkv_bytes("\x10\x21", 2), &text), MKV_E_TOO_LARGE);
    assert_int_equal(text.len, 1);
    assert_int_equal(mkv_path_to_dotted(mkv_bytes("\x21", 1), &text), 0);
    assert_memory_equal(text.at, ">:t", 3);
    mkv_buf_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_any_text),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_room_for_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
