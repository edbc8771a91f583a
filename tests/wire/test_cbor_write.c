/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>

#include "cbor_fixture.h"
#include "cbor_vectors.h"
#include "lib/cbor_random.h"
#include "lib/prng.h"
#include "wire/cbor.h"

/* One scalar, written and read again. */
struct scalar {
    unsigned form;
    uint64_t number;
    double real;
    uint8_t text[40];
    size_t text_len;
};

enum {
    N_SCALAR_FORMS = 11
};

static struct scalar random_scalar(struct prng *prng)
{
    struct scalar scalar = {.form = (unsigned)prng_below(prng, N_SCALAR_FORMS),
                            .number = prng_any_width(prng)};
    uint64_t bits = prng_next(prng);
    struct mkv_buf text;

    if (prng_below(prng, 2) == 0) {
        bits &= UINT64_MAX << 42; /* so that some fit into 16 and 32 bits */
    }
    memcpy(&scalar.real, &bits, sizeof(bits));
    mkv_buf_init(&text, sizeof(scalar.text));
    cbor_random_utf8(prng, (size_t)prng_below(prng, 10), &text);
    memcpy(scalar.text, mkv_buf_bytes(&text).at != NULL ? text.at : scalar.text, text.len);
    scalar.text_len = text.len;
    mkv_buf_deinit(&text);
    return scalar;
}

static void write_scalar(struct mkv_cbor_writer *w, const struct scalar *scalar)
{
    struct mkv_bytes text = mkv_bytes(scalar->text, scalar->text_len);

    switch (scalar->form) {
    case 0:
        mkv_cbor_write_uint(w, scalar->number);
        break;
    case 1:
        mkv_cbor_write_int(w, (int64_t)scalar->number);
        break;
    case 2:
        mkv_cbor_write_bytes(w, text);
        break;
    case 3:
        mkv_cbor_write_text(w, text);
        break;
    case 4:
        mkv_cbor_write_bool(w, scalar->number % 2 == 1);
        break;
    case 5:
        mkv_cbor_write_null(w);
        break;
    case 6:
        mkv_cbor_write_float(w, scalar->real);
        break;
    case 7:
        mkv_cbor_write_float_short(w, scalar->real);
        break;
    case 8:
        mkv_cbor_write_nint(w, scalar->number);
        break;
    case 9:
        mkv_cbor_write_tag(w, scalar->number);
        mkv_cbor_write_raw(w, mkv_bytes("\x9f\xff", 2));
        break;
    default:
        mkv_cbor_write_map(w, 1);
        mkv_cbor_write_uint(w, 7);
        mkv_cbor_write_array(w, 0);
        break;
    }
}

static bool same_bits(double a, double b)
{
    return memcmp(&a, &b, sizeof(a)) == 0;
}

static bool read_scalar(struct mkv_cbor_reader *r, const struct scalar *scalar)
{
    struct mkv_bytes text = mkv_bytes(scalar->text, scalar->text_len);
    struct mkv_cbor_item item;

    switch (scalar->form) {
    case 0:
        return mkv_cbor_read_uint(r) == scalar->number;
    case 1:
        return mkv_cbor_read_int(r) == (int64_t)scalar->number;
    case 2:
        return mkv_bytes_equal(mkv_cbor_read_bytes(r), text);
    case 3:
        return mkv_bytes_equal(mkv_cbor_read_text(r), text);
    case 4:
        return mkv_cbor_read_bool(r) == (scalar->number % 2 == 1);
    case 5:
        mkv_cbor_read_null(r);
        return true;
    case 6:
    case 7:
        return same_bits(mkv_cbor_read_float(r), scalar->real);
    case 8:
        mkv_cbor_next(r, &item);
        return item.kind == MKV_CBOR_NINT && item.number == scalar->number;
    case 9:
        mkv_cbor_next(r, &item);
        return item.kind == MKV_CBOR_TAG && item.number == scalar->number &&
               mkv_cbor_read_raw(r).len == 2;
    default:
        return mkv_cbor_read_map(r, 1) == 1 && mkv_cbor_read_uint(r) == 7 &&
               mkv_cbor_read_array(r, 0) == 0;
    }
}

static void test_write_then_read(void **state)
{
    struct mkv_buf *buf = *state;

    for (uint64_t seed = SEED_BASE; seed < SEED_BASE + N_SEEDS; seed++) {
        struct prng prng = {seed};
        struct scalar scalars[40];
        size_t n = (size_t)prng_below(&prng, N_OF(scalars) + 1);
        struct mkv_cbor_writer w;

        mkv_buf_clear(buf);
        mkv_cbor_writer_init(&w, buf);
        mkv_cbor_write_array(&w, n);
        for (size_t i = 0; i < n; i++) {
            scalars[i] = random_scalar(&prng);
            write_scalar(&w, &scalars[i]);
        }
        assert_int_equal(w.error, 0);
        assert_int_equal(mkv_cbor_check(mkv_buf_bytes(buf)), 0);

        struct mkv_cbor_reader r = reader_of(mkv_buf_bytes(buf));
        bool same = mkv_cbor_read_array(&r, n) == n;

        for (size_t i = 0; i < n; i++) {
            same = read_scalar(&r, &scalars[i]) && same;
        }
        if (mkv_cbor_finish(&r) != 0 || !same) {
            fail_msg("seed %#" PRIx64, seed);
        }
    }
}

/* The vectors of the RFC are in shortest form where they are definite: the writer gives the same. */
static void test_write_int_vectors(void **state)
{
    static const struct {
        int64_t number;
        const char *hex;
    } cases[] = {
        {0, "00"},
        {23, "17"},
        {24, "1818"},
        {255, "18ff"},
        {256, "190100"},
        {65535, "19ffff"},
        {65536, "1a00010000"},
        {UINT32_MAX, "1affffffff"},
        {INT64_C(1) << 32, "1b0000000100000000"},
        {INT64_MAX, "1b7fffffffffffffff"},
        {-1, "20"},
        {-24, "37"},
        {-25, "3818"},
        {-256, "38ff"},
        {-257, "390100"},
        {INT64_MIN, "3b7fffffffffffffff"},
    };
    struct mkv_buf out;

    mkv_buf_init(&out, 64);
    for (size_t i = 0; i < N_OF(cases); i++) {
        struct mkv_cbor_writer w;

        mkv_buf_clear(&out);
        mkv_cbor_writer_init(&w, &out);
        mkv_cbor_write_int(&w, cases[i].number);
        assert_int_equal(w.error, 0);
        assert_true(mkv_bytes_equal(mkv_buf_bytes(&out), from_hex(*state, cases[i].hex)));
    }
    mkv_buf_deinit(&out);
}

static void test_write_float_vectors(void **state)
{
    struct mkv_buf out;

    mkv_buf_init(&out, 64);
    for (size_t i = 0; i < N_OF(cbor_floats); i++) {
        struct mkv_bytes wanted = from_hex(*state, cbor_floats[i].hex);
        struct mkv_cbor_reader r = reader_of(wanted);
        struct mkv_cbor_writer w;

        mkv_buf_clear(&out);
        mkv_cbor_writer_init(&w, &out);
        mkv_cbor_write_float_short(&w, mkv_cbor_read_float(&r));
        assert_int_equal(w.error, 0);
        if (isfinite(cbor_floats[i].value)) {
            assert_true(mkv_bytes_equal(mkv_buf_bytes(&out), wanted));
        } else {
            assert_int_equal(out.len, 3); /* the last six vectors are longer than need be */
        }
    }
    mkv_buf_deinit(&out);
}

/* Through the reader and back: all of the 16-bit floats, and every exponent of the 32-bit ones. */
static void assert_float_survives(struct mkv_buf *out, const uint8_t *item, size_t len)
{
    struct mkv_cbor_reader r = reader_of(mkv_bytes(item, len));
    struct mkv_cbor_writer w;
    double real = mkv_cbor_read_float(&r);

    mkv_buf_clear(out);
    mkv_cbor_writer_init(&w, out);
    mkv_cbor_write_float_short(&w, real);
    assert_int_equal(w.error, 0);
    assert_true(out->len <= len);

    r = reader_of(mkv_buf_bytes(out));
    assert_true(same_bits(mkv_cbor_read_float(&r), real));
    if (out->len == len) {
        assert_memory_equal(out->at, item, len);
    }
}

static void test_all_halves(void **state)
{
    for (unsigned bits = 0; bits < 65536; bits++) {
        uint8_t item[3] = {0xf9, (uint8_t)(bits >> 8), (uint8_t)bits};
        struct mkv_cbor_reader r = reader_of(mkv_bytes(item, 3));
        double real = mkv_cbor_read_float(&r);
        int exponent = (int)(bits >> 10 & 0x1f);
        double fraction = bits & 0x3ff;
        double wanted = exponent == 0    ? ldexp(fraction, -24)
                        : exponent != 31 ? ldexp(fraction + 1024, exponent - 25)
                        : fraction == 0  ? HUGE_VAL
                                         : (double)NAN;

        assert_true(isnan(wanted) ? isnan(real) : fabs(real) == wanted);
        assert_int_equal(!!signbit(real), bits >> 15);
        assert_float_survives(*state, item, 3);
    }
}

static void test_singles_of_every_exponent(void **state)
{
    struct prng prng = {SEED_BASE};

    for (uint32_t top = 0; top < 512; top++) {
        for (unsigned k = 0; k < 40; k++) {
            uint32_t fraction = k < 24 ? (1U << k) - (k % 2) : (uint32_t)prng_next(&prng);
            uint32_t bits = top << 23 | (fraction & 0x7fffff);
            uint8_t item[5] = {0xfa, (uint8_t)(bits >> 24), (uint8_t)(bits >> 16),
                               (uint8_t)(bits >> 8), (uint8_t)bits};
            struct mkv_cbor_reader r = reader_of(mkv_bytes(item, 5));
            double real = mkv_cbor_read_float(&r);
            float single;

            memcpy(&single, &bits, sizeof(single));
            assert_true(isnan(single) ? isnan(real) : real == (double)single);
            assert_float_survives(*state, item, 5);
        }
    }
}

/* A double is written shorter exactly when the processor's conversion there and back keeps it. */
static void test_short_floats_of_random_doubles(void **state)
{
    struct mkv_buf *out = *state;
    struct prng prng = {SEED_BASE};

    for (unsigned i = 0; i < 200000; i++) {
        uint64_t exponent = 1023 - 170 + prng_below(&prng, 340);
        uint64_t bits = prng_next(&prng) << 63 | exponent << 52 |
                        (prng_next(&prng) >> 12 & UINT64_MAX << prng_below(&prng, 54));
        double real;
        struct mkv_cbor_writer w;

        memcpy(&real, &bits, sizeof(real));
        mkv_buf_clear(out);
        mkv_cbor_writer_init(&w, out);
        mkv_cbor_write_float_short(&w, real);

        bool fits_single = fabs(real) <= 0x1.fffffep127 && (double)(float)real == real;

        assert_int_equal(w.error, 0);
        assert_int_equal(out->len <= 5, fits_single);

        struct mkv_cbor_reader r = reader_of(mkv_buf_bytes(out));

        assert_true(same_bits(mkv_cbor_read_float(&r), real));
    }
}

/* Out of room: the failing item leaves no part of itself, and nothing comes after it. */
static void test_writer_out_of_room(void **state)
{
    (void)state;
    for (size_t max = 0; max < 12; max++) {
        struct mkv_buf out;
        struct mkv_cbor_writer w;

        mkv_buf_init(&out, max);
        mkv_cbor_writer_init(&w, &out);
        mkv_cbor_write_uint(&w, 1000);                  /* 3 bytes */
        mkv_cbor_write_text(&w, mkv_bytes_of("hello")); /* 6 */
        mkv_cbor_write_float_short(&w, 1.5);            /* 3 */
        assert_int_equal(w.error, MKV_E_TOO_LARGE);
        assert_int_equal(out.len, max < 3 ? 0 : max < 9 ? 3 : 9);
        mkv_cbor_write_null(&w);
        mkv_cbor_write_raw(&w, mkv_bytes("\0", 1));
        assert_int_equal(out.len, max < 3 ? 0 : max < 9 ? 3 : 9);
        mkv_buf_deinit(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_then_read),
        cmocka_unit_test(test_write_int_vectors),
        cmocka_unit_test(test_write_float_vectors),
        cmocka_unit_test(test_all_halves),
        cmocka_unit_test(test_singles_of_every_exponent),
        cmocka_unit_test(test_short_floats_of_random_doubles),
        cmocka_unit_test(test_writer_out_of_room),
    };

    return cmocka_run_group_tests(tests, setup_buf, teardown_buf);
}
