/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge is the C library, in the "C" locale: printf() with 17 digits and strtod() are exact
 * there, and that no fewer digits do is found by trying.
 */
#include <fenv.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/check.h"
#include "lib/prng.h"
#include "wire/big.h"
#include "wire/decimal.h"
#include "wire/float.h"

#define SEED UINT64_C(20240927)

static double read_float(const char *text)
{
    double real = 0;

    assert_int_equal(mkv_float_from_text(mkv_bytes_of(text), &real), 0);
    return real;
}

static void format(double real, char text[MKV_FLOAT_TEXT_MAX + 1])
{
    size_t len = mkv_float_format(real, text);

    assert_true(len <= MKV_FLOAT_TEXT_MAX);
    text[len] = '\0';
}

static bool same(double a, double b)
{
    return mkv_float_bits(a) == mkv_float_bits(b);
}

/* Significant digits of a text: none of the zeros at either end counts. */
static int count_digits(const char *text)
{
    int n = 0;
    int zeros = 0;

    for (; *text != '\0' && *text != 'e'; text++) {
        if (*text < '0' || *text > '9' || (*text == '0' && n == 0)) {
            continue;
        }
        zeros = *text == '0' ? zeros + 1 : 0;
        n++;
    }
    return n - zeros;
}

static void check_float(double real)
{
    char text[MKV_FLOAT_TEXT_MAX + 1];
    char shorter[64];

    format(real, text);
    assert_true(same(strtod(text, NULL), real));
    assert_true(same(read_float(text), real));

    int n = count_digits(text);

    assert_true(n <= 17);
    if (n > 1) {
        snprintf(shorter, sizeof(shorter), "%.*e", n - 2, real);
        assert_false(same(strtod(shorter, NULL), real));
    }
    if (n > 0) { /* with just these digits, none is nearer than the nearest */
        snprintf(shorter, sizeof(shorter), "%.*e", n - 1, real);
        assert_true(!same(strtod(shorter, NULL), real) ||
                    fabs(strtod(shorter, NULL) - strtod(text, NULL)) == 0.0);
    }
}

static void test_random_bits(void **state)
{
    struct prng prng = {SEED};

    (void)state;
    for (unsigned i = 0; i < 50000; i++) {
        uint64_t bits = prng_next(&prng);

        if (mkv_float_bits_finite(bits)) {
            check_float(mkv_float_of_bits(bits));
        }
    }
}

/* Both neighbours of each power of two and of ten, where gaps change and digits carry. */
static void test_edges(void **state)
{
    char text[32];

    (void)state;
    for (int exponent = -1074; exponent <= 1023; exponent++) {
        double power = ldexp(1.0, exponent);

        check_float(power);
        check_float(-nextafter(power, 0.0));
        check_float(nextafter(power, 2 * power > 1e308 ? 1e308 : 2 * power));
    }
    for (int exponent = -323; exponent <= 308; exponent++) {
        snprintf(text, sizeof(text), "1e%d", exponent);

        double power = strtod(text, NULL);

        check_float(power);
        check_float(nextafter(power, 0.0));
        check_float(nextafter(power, 1e308));
    }
    for (unsigned i = 0; i < 20000; i++) {
        check_float(i / 100.0);
        check_float(mkv_float_of_bits(i)); /* subnormal */
    }
}

static void check_spelling(double real, const char *expected)
{
    char text[MKV_FLOAT_TEXT_MAX + 1];

    format(real, text);
    assert_string_equal(text, expected);
}

static void test_spelling(void **state)
{
    (void)state;
    check_spelling(0.0, "0.0");
    check_spelling(-0.0, "-0.0");
    check_spelling(1.0, "1.0");
    check_spelling(-2.5, "-2.5");
    check_spelling(0.1, "0.1");
    check_spelling(0.0001, "0.0001");
    check_spelling(0.00001, "1e-05");
    check_spelling(0.00012345, "0.00012345");
    check_spelling(1e15, "1000000000000000.0");
    check_spelling(1e16, "1e+16");
    check_spelling(9999999999999998.0, "9999999999999998.0");
    check_spelling(12345678901234567.0, "1.2345678901234568e+16");
    check_spelling(1e100, "1e+100");
    check_spelling(1.5e-7, "1.5e-07");
    check_spelling(1e23, "1e+23");
    check_spelling(5e-324, "5e-324");
    check_spelling(1.7976931348623157e308, "1.7976931348623157e+308");
    check_spelling(-2.2250738585072014e-308, "-2.2250738585072014e-308");
    check_spelling(1125899906842624.25, "1125899906842624.2"); /* as near to .3: even */
    check_spelling(1125899906842624.75, "1125899906842624.8");
}

static void test_append(void **state)
{
    struct mkv_buf text;

    (void)state;
    mkv_buf_init(&text, 6);
    assert_int_equal(mkv_float_to_text(-2.5, &text), 0);
    assert_int_equal(mkv_float_to_text(1.0, &text), MKV_E_TOO_LARGE);
    assert_int_equal(text.len, 4);
    assert_memory_equal(text.at, "-2.5", 4);
    mkv_buf_deinit(&text);
}

/* Decimals of up to 30 digits at random exponents, and exactly halfway between two doubles. */
static void test_reading(void **state)
{
    struct prng prng = {SEED + 1};
    char text[MKV_DECIMAL_TEXT_MAX + 64];

    (void)state;
    for (unsigned i = 0; i < 100000; i++) {
        int exponent = (int)prng_below(&prng, 700) - 370;

        snprintf(text, sizeof(text), "%llu.%llue%d", (unsigned long long)prng_any_width(&prng),
                 (unsigned long long)prng_any_width(&prng), exponent);

        double expected = strtod(text, NULL);
        double real;
        int error = mkv_float_from_text(mkv_bytes_of(text), &real);

        assert_int_equal(error, isinf(expected) ? MKV_E_BAD_NUMBER : 0);
        assert_true(error != 0 || same(real, expected));
    }
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t odd = (UINT64_C(1) << 53) + 2 * prng_below(&prng, UINT64_C(1) << 52) + 1;

        snprintf(text, sizeof(text), "%llu.0", (unsigned long long)odd);
        assert_true(same(read_float(text), strtod(text, NULL)));
        snprintf(text, sizeof(text), "%llu.0000000000000000001", (unsigned long long)odd);
        assert_true(same(read_float(text), strtod(text, NULL)));
    }
}

static void test_hard_reading(void **state)
{
    static const char *const texts[] = {
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "2.2250738585072011e-308",
        "2.2250738585072012e-308",
        "1.7976931348623158e308",
        "1.797693134862315807e308",
        "1e-400",
        "0e9999",
        "0.0e-9999",
        "-0e5",
        "9007199254740993e0",
        "6.9294956446009195e15",
        "8.98846567431158e307",
        "0.500000000000000166533453693773481063544750213623046875",
        "1e00000000000000000000000000000000000000000000000000000000000000000000000000001",
        "0.00000000000000000000000000000000000000000000000000000000000000000000000001e75",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_true(same(read_float(texts[i]), strtod(texts[i], NULL)));
    }
}

static void test_no_float(void **state)
{
    static const char *const texts[] = {
        "",
        "-",
        "1",
        "-1",
        ".5",
        "1.",
        "1.e5",
        "e5",
        "1e",
        "1e+",
        "01.5",
        "+1.5",
        "1.5 ",
        " 1.5",
        "1,5",
        "1.5e5.5",
        "0x1p3",
        "nan",
        "inf",
        "1e309",
        "-1e309",
        "1.797693134862315808e308",
        "1e999999999999",
        "1_0.5",
        "--1.5",
        "1.5f",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        double real = 7;

        assert_int_equal(mkv_float_from_text(mkv_bytes_of(texts[i]), &real), MKV_E_BAD_NUMBER);
        assert_true(same(real, 7));
    }
}

/* The processor's rounding mode belongs to the program around us. */
static void test_rounding_mode(void **state)
{
    static const int modes[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO, FE_TONEAREST};

    (void)state;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        fesetround(modes[i]);
        assert_true(same(read_float("0.1"), mkv_float_of_bits(UINT64_C(0x3fb999999999999a))));
        check_spelling(mkv_float_of_bits(UINT64_C(0x3fb999999999999a)), "0.1");
    }
}

static void test_big(void **state)
{
    struct mkv_big a;
    struct mkv_big b;

    (void)state;
    mkv_big_set(&a, 0);
    assert_int_equal(mkv_big_bits(&a), 0);
    mkv_big_shift(&a, 1000);
    assert_int_equal(a.n, 0);
    mkv_big_set(&a, UINT64_MAX);
    assert_int_equal(mkv_big_bits(&a), 64);
    mkv_big_set(&b, 1);
    mkv_big_add(&a, &b);
    assert_int_equal(mkv_big_bits(&a), 65);
    mkv_big_shift(&b, 64);
    assert_int_equal(mkv_big_compare(&a, &b), 0);
    mkv_big_set(&b, 1);
    mkv_big_subtract(&a, &b);
    mkv_big_set(&b, UINT64_MAX);
    assert_int_equal(mkv_big_compare(&a, &b), 0);
    mkv_big_subtract(&a, &b);
    assert_int_equal(a.n, 0);
    mkv_big_add(&a, &b);
    mkv_big_multiply_add(&a, 0, 0);
    assert_int_equal(a.n, 0);
    mkv_big_set(&a, 1);
    mkv_big_shift(&a, 32 * MKV_BIG_LIMBS - 1);
    assert_int_equal(mkv_big_bits(&a), 32 * MKV_BIG_LIMBS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_bits),   cmocka_unit_test(test_edges),
        cmocka_unit_test(test_spelling),      cmocka_unit_test(test_reading),
        cmocka_unit_test(test_hard_reading),  cmocka_unit_test(test_no_float),
        cmocka_unit_test(test_rounding_mode), cmocka_unit_test(test_big),
        cmocka_unit_test(test_append),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
