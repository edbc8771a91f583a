/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/decimal.h"

#include "wire/cbor.h"
#include "wire/decimal.h"
#include "wire/element.h"
#include "wire/float.h"

#define EXPONENT_MAX 400 /* beyond it there are no doubles */
#define DIGITS_MAX   18

/* --- Numbers as decimals ----------------------------------------------------------------------- */

static void strip(struct mkv_gate_decimal *d)
{
    if (d->mantissa == 0) {
        d->exponent = 0;
    }
    while (d->mantissa != 0 && d->mantissa % 10 == 0) {
        d->mantissa /= 10;
        d->exponent++;
    }
}

static bool add_digits(int64_t *mantissa, struct mkv_bytes digits)
{
    bool fits = true;

    for (size_t i = 0; i < digits.len && fits; i++) {
        fits = !__builtin_mul_overflow(*mantissa, (int64_t)10, mantissa) &&
               !__builtin_add_overflow(*mantissa, (int64_t)(digits.at[i] - '0'), mantissa);
    }
    return fits;
}

static bool of_float(double real, struct mkv_gate_decimal *ret)
{
    char text[MKV_FLOAT_TEXT_MAX];
    struct mkv_decimal parts;
    int64_t mantissa = 0;

    if (!mkv_float_bits_finite(mkv_float_bits(real))) {
        return false;
    }
    if (!mkv_decimal_scan(mkv_bytes(text, mkv_float_format(real, text)), &parts) ||
        !add_digits(&mantissa, parts.whole) || !add_digits(&mantissa, parts.fraction)) {
        return false;
    }
    ret->mantissa = parts.negative ? -mantissa : mantissa;
    ret->exponent = parts.exponent - (int)parts.fraction.len;
    strip(ret);
    return true;
}

/* The number as a double as well, for when its digits are too many. */
static int read_number(struct mkv_bytes item,
                       double *ret_real,
                       struct mkv_gate_decimal *ret,
                       bool *ret_exact)
{
    struct mkv_cbor_reader r;
    struct mkv_cbor_item head;

    mkv_cbor_reader_init(&r, item);
    mkv_cbor_next(&r, &head);
    if (mkv_cbor_finish(&r) != 0) {
        return MKV_E_BAD_NUMBER;
    }
    if (head.kind == MKV_CBOR_UINT || head.kind == MKV_CBOR_NINT) {
        bool negative = head.kind == MKV_CBOR_NINT;

        *ret_real = negative ? -1.0 - (double)head.number : (double)head.number;
        *ret_exact = head.number <= INT64_MAX;
        ret->mantissa = *ret_exact ? (int64_t)head.number : 0;
        ret->mantissa = negative ? -1 - ret->mantissa : ret->mantissa;
        ret->exponent = 0;
        strip(ret);
        return 0;
    }
    if (head.kind != MKV_CBOR_FLOAT || !mkv_float_bits_finite(mkv_float_bits(head.real))) {
        return MKV_E_BAD_NUMBER;
    }
    *ret_real = head.real;
    *ret_exact = of_float(head.real, ret);
    return 0;
}

int mkv_gate_decimal_read(struct mkv_bytes item, struct mkv_gate_decimal *ret_decimal)
{
    struct mkv_gate_decimal d = {0};
    double real;
    bool exact;

    if (read_number(item, &real, &d, &exact) != 0 || !exact || d.exponent > EXPONENT_MAX ||
        d.exponent < -EXPONENT_MAX) {
        return MKV_E_BAD_NUMBER;
    }
    *ret_decimal = d;
    return 0;
}

/* "-215e-1" */
static int to_double(const struct mkv_gate_decimal *d, double *ret_real)
{
    const struct mkv_element mantissa = {.kind =
                                             d->mantissa < 0 ? MKV_ELEMENT_NINT : MKV_ELEMENT_UINT,
                                         .number = (uint64_t)d->mantissa};
    const struct mkv_element exponent = {.kind =
                                             d->exponent < 0 ? MKV_ELEMENT_NINT : MKV_ELEMENT_UINT,
                                         .number = (uint64_t)(int64_t)d->exponent};
    char text[2 * MKV_NUMBER_TEXT_MAX + 1];
    size_t n = mkv_element_number_format(&mantissa, text);

    text[n++] = 'e';
    n += mkv_element_number_format(&exponent, text + n);
    return mkv_float_from_text(mkv_bytes(text, n), ret_real);
}

/* --- Arithmetic; false: it has too many digits -------------------------------------------------- */

static bool raise(int64_t *mantissa, int n)
{
    bool fits = n <= DIGITS_MAX;

    for (int i = 0; i < n && fits; i++) {
        fits = !__builtin_mul_overflow(*mantissa, (int64_t)10, mantissa);
    }
    return fits;
}

static bool multiply(struct mkv_gate_decimal *a, const struct mkv_gate_decimal *b)
{
    bool fits = !__builtin_mul_overflow(a->mantissa, b->mantissa, &a->mantissa);

    a->exponent += b->exponent;
    strip(a);
    return fits;
}

static bool add(struct mkv_gate_decimal *a, struct mkv_gate_decimal b, bool subtract)
{
    int down = a->exponent < b.exponent ? a->exponent : b.exponent;
    bool fits;

    if (a->mantissa == 0 || b.mantissa == 0) {
        down = a->mantissa == 0 ? b.exponent : a->exponent;
    }
    fits = (a->mantissa == 0 || raise(&a->mantissa, a->exponent - down)) &&
           (b.mantissa == 0 || raise(&b.mantissa, b.exponent - down));
    a->exponent = down;
    fits = fits && !(subtract ? __builtin_sub_overflow(a->mantissa, b.mantissa, &a->mantissa)
                              : __builtin_add_overflow(a->mantissa, b.mantissa, &a->mantissa));
    strip(a);
    return fits;
}

static bool divide(struct mkv_gate_decimal *a, const struct mkv_gate_decimal *b)
{
    int64_t dividend = a->mantissa;

    for (int n = 0; n <= DIGITS_MAX; n++) {
        if (dividend % b->mantissa == 0 && !(dividend == INT64_MIN && b->mantissa == -1)) {
            a->mantissa = dividend / b->mantissa;
            a->exponent -= b->exponent + n;
            strip(a);
            return true;
        }
        if (__builtin_mul_overflow(dividend, (int64_t)10, &dividend)) {
            return false;
        }
    }
    return false;
}

/* --- Results ----------------------------------------------------------------------------------- */

static int put_double(double real, struct mkv_buf *out)
{
    struct mkv_cbor_writer w;

    if (!mkv_float_bits_finite(mkv_float_bits(real))) {
        return MKV_E_BAD_NUMBER;
    }
    mkv_cbor_writer_init(&w, out);
    if (real >= -9007199254740992.0 && real <= 9007199254740992.0 &&
        (double)(int64_t)real == real) {
        mkv_cbor_write_int(&w, (int64_t)real);
    } else {
        mkv_cbor_write_float_short(&w, real);
    }
    return w.error;
}

static int put(const struct mkv_gate_decimal *d, struct mkv_buf *out)
{
    struct mkv_cbor_writer w;
    int64_t whole = d->mantissa;
    double real;

    if (d->exponent >= 0 && raise(&whole, d->exponent)) {
        mkv_cbor_writer_init(&w, out);
        mkv_cbor_write_int(&w, whole);
        return w.error;
    }
    return to_double(d, &real) == 0 ? put_double(real, out) : MKV_E_BAD_NUMBER;
}

int mkv_gate_scale_in(const struct mkv_gate_scale *scale,
                      struct mkv_bytes item,
                      struct mkv_buf *out)
{
    struct mkv_gate_decimal d = {0};
    double real = 0;
    double factor = 0;
    double offset = 0;
    bool exact = false;
    int error = read_number(item, &real, &d, &exact);

    if (error != 0) {
        return error;
    }
    if (exact && multiply(&d, &scale->factor) && add(&d, scale->offset, false)) {
        return put(&d, out);
    }
    if (to_double(&scale->factor, &factor) != 0 || to_double(&scale->offset, &offset) != 0) {
        return MKV_E_BAD_NUMBER;
    }
    return put_double(real * factor + offset, out);
}

int mkv_gate_scale_out(const struct mkv_gate_scale *scale,
                       struct mkv_bytes item,
                       struct mkv_buf *out)
{
    struct mkv_gate_decimal d = {0};
    double real = 0;
    double factor = 0;
    double offset = 0;
    bool exact = false;
    int error = read_number(item, &real, &d, &exact);

    if (error != 0) {
        return error;
    }
    if (exact && add(&d, scale->offset, true) && divide(&d, &scale->factor)) {
        return put(&d, out);
    }
    if (to_double(&scale->factor, &factor) != 0 || to_double(&scale->offset, &offset) != 0) {
        return MKV_E_BAD_NUMBER;
    }
    return put_double((real - offset) / factor, out);
}
