/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing is the free-format algorithm of Steele and White in the form of Burger and Dybvig
 * ("Printing floating-point numbers quickly and accurately", 1996); reading is one long division.
 * Both are exact, on integers, at some microseconds each: floats are rare in paths.
 */
#include "wire/float.h"

#include <string.h>

#include "base/assert.h"
#include "wire/big.h"
#include "wire/decimal.h"

#define FRACTION_BITS  52U
#define IMPLIED_BIT    (UINT64_C(1) << FRACTION_BITS)
#define EXPONENT_FIELD 0x7ffU
#define INFINITE_BITS  ((uint64_t)EXPONENT_FIELD << FRACTION_BITS)
#define EXPONENT_BIAS  1075    /* a double is significand * 2^(field - 1075) */
#define EXPONENT_MIN   (-1074) /* of the least significant bit */
#define DIGITS_MAX     17U     /* enough for any double */

/* Beyond these powers of ten a number is surely infinite, or surely rounds to 0. */
#define POINT_MAX 310
#define POINT_MIN (-330)

uint64_t mkv_float_bits(double real)
{
    uint64_t bits;

    _Static_assert(sizeof(bits) == sizeof(real), "doubles have 64 bits");
    memcpy(&bits, &real, sizeof(bits));
    return bits;
}

double mkv_float_of_bits(uint64_t bits)
{
    double real;

    memcpy(&real, &bits, sizeof(real));
    return real;
}

bool mkv_float_bits_finite(uint64_t bits)
{
    return (bits >> FRACTION_BITS & EXPONENT_FIELD) != EXPONENT_FIELD;
}

/* The digits of a number: 0.d1d2d3... * 10^point. */
struct digits {
    unsigned n;
    int point;
    char at[DIGITS_MAX];
};

/*
 * The state of writing: value = r / s, and every number between (r - low) / s and (r + high) / s
 * reads back as it; the ends themselves do if @even, since halfway cases go to the even neighbour.
 */
struct printer {
    struct mkv_big r;
    struct mkv_big s;
    struct mkv_big low;
    struct mkv_big high;
    bool even;
};

/* Twice the value, so that half the gap to its neighbours is a whole number. */
static void printer_init(struct printer *p, uint64_t significand, int exponent, bool near_below)
{
    /* Below a power of two the gap is only half as wide as above: once more twice. */
    mkv_big_set(&p->r, significand << (near_below ? 2 : 1));
    mkv_big_set(&p->s, near_below ? 4 : 2);
    mkv_big_set(&p->low, 1);
    mkv_big_set(&p->high, near_below ? 2 : 1);
    p->even = (significand & 1) == 0;

    if (exponent >= 0) {
        mkv_big_shift(&p->r, (unsigned)exponent);
        mkv_big_shift(&p->low, (unsigned)exponent);
        mkv_big_shift(&p->high, (unsigned)exponent);
    } else {
        mkv_big_shift(&p->s, (unsigned)-exponent);
    }
}

/* Whether (r + high) / s is 1 or more, where 1 itself counts only if it reads back. */
static bool reaches_one(const struct printer *p)
{
    struct mkv_big sum = p->r;

    mkv_big_add(&sum, &p->high);

    int order = mkv_big_compare(&sum, &p->s);

    return order > 0 || (order == 0 && p->even);
}

/* Scales r / s into 0.1 .. 1 and returns the power of ten that was taken out. */
static int printer_scale(struct printer *p, int bit_top)
{
    /* log10(2) is 0.30103; this is never above the right power, and at most two below. */
    int power = (bit_top * 30103 - (bit_top < 0 ? 99999 : 0)) / 100000;

    if (power >= 0) {
        mkv_big_scale(&p->s, (unsigned)power);
    } else {
        mkv_big_scale(&p->r, (unsigned)-power);
        mkv_big_scale(&p->low, (unsigned)-power);
        mkv_big_scale(&p->high, (unsigned)-power);
    }
    while (reaches_one(p)) {
        mkv_big_scale(&p->s, 1);
        power++;
    }
    return power;
}

/* Takes the next digit out of r / s. */
static unsigned printer_digit(struct printer *p)
{
    unsigned digit = 0;

    mkv_big_scale(&p->r, 1);
    mkv_big_scale(&p->low, 1);
    mkv_big_scale(&p->high, 1);
    while (mkv_big_compare(&p->r, &p->s) >= 0) {
        mkv_big_subtract(&p->r, &p->s);
        digit++;
    }
    return digit;
}

/* Whether what is left of r / s is nearer to 1 than to 0; at one half, if @digit is odd. */
static bool rounds_up(const struct printer *p, unsigned digit)
{
    struct mkv_big twice = p->r;

    mkv_big_shift(&twice, 1);

    int order = mkv_big_compare(&twice, &p->s);

    return order > 0 || (order == 0 && digit % 2 == 1);
}

static void print_digits(struct printer *p, struct digits *digits)
{
    bool done = false;

    while (!done) {
        unsigned digit = printer_digit(p);
        int order = mkv_big_compare(&p->r, &p->low);
        bool may_stay = order < 0 || (order == 0 && p->even);
        bool may_rise = reaches_one(p);

        done = may_stay || may_rise;
        if (may_rise && (!may_stay || rounds_up(p, digit))) {
            digit++;
        }
        MKV_ASSERT(digit <= 9);
        MKV_ASSERT(digits->n < DIGITS_MAX);
        digits->at[digits->n++] = (char)('0' + digit);
    }
}

/* The shortest digits of a double that is neither 0 nor negative. */
static void shortest_digits(uint64_t bits, struct digits *ret_digits)
{
    unsigned field = bits >> FRACTION_BITS & EXPONENT_FIELD;
    uint64_t significand = bits & (IMPLIED_BIT - 1);
    bool near_below = significand == 0 && field > 1;
    struct printer p;

    significand |= field > 0 ? IMPLIED_BIT : 0;

    int exponent = (field > 0 ? (int)field : 1) - EXPONENT_BIAS;

    printer_init(&p, significand, exponent, near_below);

    int bit_top = exponent + 63 - __builtin_clzll(significand);

    *ret_digits = (struct digits){.point = printer_scale(&p, bit_top)};
    print_digits(&p, ret_digits);
}

static size_t put(char *text, size_t len, const char *from, size_t n)
{
    memcpy(text + len, from, n);
    return len + n;
}

static size_t put_zeros(char *text, size_t len, size_t n)
{
    memset(text + len, '0', n);
    return len + n;
}

/* 0.00123, 123.0, 1.23 */
static size_t put_fixed(char *text, size_t len, const struct digits *digits)
{
    if (digits->point <= 0) {
        len = put(text, len, "0.", 2);
        len = put_zeros(text, len, (size_t)-digits->point);
        return put(text, len, digits->at, digits->n);
    }

    size_t point = (size_t)digits->point;

    if (digits->n <= point) {
        len = put(text, len, digits->at, digits->n);
        len = put_zeros(text, len, point - digits->n);
        return put(text, len, ".0", 2);
    }
    len = put(text, len, digits->at, point);
    len = put(text, len, ".", 1);
    return put(text, len, digits->at + point, digits->n - point);
}

/* 1e+100, 1.5e-07 */
static size_t put_exponent(char *text, size_t len, const struct digits *digits)
{
    int exponent = digits->point - 1;
    unsigned size = (unsigned)(exponent < 0 ? -exponent : exponent);
    const char tail[3] = {(char)('0' + size / 100), (char)('0' + size / 10 % 10),
                          (char)('0' + size % 10)};

    len = put(text, len, digits->at, 1);
    if (digits->n > 1) {
        len = put(text, len, ".", 1);
        len = put(text, len, digits->at + 1, digits->n - 1);
    }
    len = put(text, len, exponent < 0 ? "e-" : "e+", 2);
    return size < 100 ? put(text, len, tail + 1, 2) : put(text, len, tail, 3);
}

size_t mkv_float_format(double real, char ret_text[MKV_FLOAT_TEXT_MAX])
{
    uint64_t bits = mkv_float_bits(real);
    size_t len = 0;

    MKV_ASSERT(mkv_float_bits_finite(bits));
    if (bits >> 63 != 0) {
        len = put(ret_text, len, "-", 1);
    }
    bits &= INT64_MAX;
    if (bits == 0) {
        return put(ret_text, len, "0.0", 3);
    }

    struct digits digits;

    shortest_digits(bits, &digits);
    if (digits.point > -4 && digits.point <= 16) {
        return put_fixed(ret_text, len, &digits);
    }
    return put_exponent(ret_text, len, &digits);
}

int mkv_float_to_text(double real, struct mkv_buf *text)
{
    char room[MKV_FLOAT_TEXT_MAX];

    return mkv_buf_append(text, mkv_bytes(room, mkv_float_format(real, room)));
}

static void append_digits(struct mkv_big *big, struct mkv_bytes digits)
{
    for (size_t i = 0; i < digits.len; i++) {
        mkv_big_multiply_add(big, 10, digits.at[i] - (uint32_t)'0');
    }
}

/* How many digits are left of the point, were it written without an exponent. */
static int point_of(const struct mkv_decimal *decimal)
{
    size_t zeros = 0;

    if (decimal->whole.at[0] != '0') {
        return (int)decimal->whole.len + decimal->exponent;
    }
    while (zeros < decimal->fraction.len && decimal->fraction.at[zeros] == '0') {
        zeros++;
    }
    return decimal->exponent - (int)zeros;
}

/*
 * The first 64 bits of the binary fraction a / b, which is below 1; whether anything followed
 * them is told by the lowest bit, which is far below the ones that count.
 */
static uint64_t divide(struct mkv_big *a, const struct mkv_big *b)
{
    uint64_t quotient = 0;

    for (unsigned i = 0; i < 64; i++) {
        mkv_big_shift(a, 1);
        quotient <<= 1;
        if (mkv_big_compare(a, b) >= 0) {
            mkv_big_subtract(a, b);
            quotient |= 1;
        }
    }
    return a->n > 0 ? quotient | 1 : quotient;
}

/* Rounds number * 2^exponent to a double's bits; 53 bits of @number or fewer remain. */
static uint64_t round_to_bits(uint64_t number, int exponent)
{
    int drop = 64 - __builtin_clzll(number) - (int)FRACTION_BITS - 1;

    if (exponent + drop < EXPONENT_MIN) {
        drop = EXPONENT_MIN - exponent;
    }
    if (drop > 64) {
        return 0;
    }

    uint64_t kept = drop < 64 ? number >> drop : 0;
    uint64_t half = UINT64_C(1) << (drop - 1);
    uint64_t dropped = number & (half | (half - 1));

    if (dropped > half || (dropped == half && (kept & 1) == 1)) {
        kept++;
    }
    if (kept < IMPLIED_BIT) {
        return kept; /* subnormal, or 0 */
    }

    int field = exponent + drop + EXPONENT_BIAS;

    if (field >= (int)EXPONENT_FIELD) {
        return INFINITE_BITS;
    }
    /* A carry out of the fraction runs into the exponent, where it belongs. */
    return ((uint64_t)field << FRACTION_BITS) + (kept - IMPLIED_BIT);
}

/* The bits of digits * 10^exponent, where @digits is not 0. */
static uint64_t decimal_bits(struct mkv_big *digits, int exponent)
{
    struct mkv_big divisor;

    mkv_big_set(&divisor, 1);
    if (exponent >= 0) {
        mkv_big_scale(digits, (unsigned)exponent);
    } else {
        mkv_big_scale(&divisor, (unsigned)-exponent);
    }

    /* One bit shorter than the divisor: a fraction between 1/4 and 1. */
    int shift = (int)mkv_big_bits(&divisor) - 1 - (int)mkv_big_bits(digits);

    if (shift >= 0) {
        mkv_big_shift(digits, (unsigned)shift);
    } else {
        mkv_big_shift(&divisor, (unsigned)-shift);
    }
    return round_to_bits(divide(digits, &divisor), -64 - shift);
}

int mkv_float_from_text(struct mkv_bytes text, double *ret_real)
{
    struct mkv_decimal decimal;
    struct mkv_big digits = {0};
    uint64_t bits = 0;

    if (!mkv_decimal_scan(text, &decimal) || !decimal.real) {
        return MKV_E_BAD_NUMBER;
    }
    append_digits(&digits, decimal.whole);
    append_digits(&digits, decimal.fraction);

    if (digits.n > 0 && point_of(&decimal) > POINT_MAX) {
        return MKV_E_BAD_NUMBER;
    }
    if (digits.n > 0 && point_of(&decimal) >= POINT_MIN) {
        bits = decimal_bits(&digits, decimal.exponent - (int)decimal.fraction.len);
    }
    if (!mkv_float_bits_finite(bits)) {
        return MKV_E_BAD_NUMBER;
    }
    *ret_real = mkv_float_of_bits(decimal.negative ? bits | UINT64_C(1) << 63 : bits);
    return 0;
}
