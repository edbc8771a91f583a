/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/decimal.h"

int mkv_digit_value(uint8_t character)
{
    if (character >= '0' && character <= '9') {
        return character - '0';
    }
    if (character >= 'a' && character <= 'f') {
        return character - 'a' + 10;
    }
    if (character >= 'A' && character <= 'F') {
        return character - 'A' + 10;
    }
    return -1;
}

static bool take(struct mkv_bytes *rest, uint8_t character)
{
    if (rest->len == 0 || rest->at[0] != character) {
        return false;
    }
    *rest = mkv_bytes_after(*rest, 1);
    return true;
}

static struct mkv_bytes take_digits(struct mkv_bytes *rest)
{
    size_t n = 0;

    while (n < rest->len && rest->at[n] >= '0' && rest->at[n] <= '9') {
        n++;
    }

    struct mkv_bytes digits = mkv_bytes(rest->at, n);

    *rest = mkv_bytes_after(*rest, n);
    return digits;
}

/* Behind the `e`: a sign, perhaps, and digits. */
static bool take_exponent(struct mkv_bytes *rest, int *ret_exponent)
{
    bool negative = take(rest, '-');

    if (!negative) {
        (void)take(rest, '+'); /* says nothing */
    }

    struct mkv_bytes digits = take_digits(rest);
    int exponent = 0;

    for (size_t i = 0; i < digits.len && exponent < MKV_DECIMAL_EXPONENT_MAX; i++) {
        exponent = exponent * 10 + digits.at[i] - '0';
    }
    if (exponent > MKV_DECIMAL_EXPONENT_MAX) {
        exponent = MKV_DECIMAL_EXPONENT_MAX;
    }
    *ret_exponent = negative ? -exponent : exponent;
    return digits.len > 0;
}

bool mkv_decimal_scan(struct mkv_bytes text, struct mkv_decimal *ret_decimal)
{
    struct mkv_decimal decimal = {0};
    struct mkv_bytes rest = text;

    decimal.negative = take(&rest, '-');
    decimal.whole = take_digits(&rest);
    if (text.len > MKV_DECIMAL_TEXT_MAX || decimal.whole.len == 0 ||
        (decimal.whole.at[0] == '0' && decimal.whole.len > 1)) {
        return false;
    }

    if (take(&rest, '.')) {
        decimal.real = true;
        decimal.fraction = take_digits(&rest);
        if (decimal.fraction.len == 0) {
            return false;
        }
    }
    if (take(&rest, 'e') || take(&rest, 'E')) {
        decimal.real = true;
        if (!take_exponent(&rest, &decimal.exponent)) {
            return false;
        }
    }
    if (rest.len > 0 || (decimal.negative && !decimal.real && decimal.whole.at[0] == '0')) {
        return false;
    }

    *ret_decimal = decimal;
    return true;
}
