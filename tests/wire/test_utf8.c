/* SPDX-License-Identifier: Apache-2.0 */
#include "cbor_fixture.h"
#include "wire/cbor.h"
#include "wire/utf8.h"

static bool utf8_in_cbor_valid(const char *text, size_t len)
{
    uint8_t item[16] = {(uint8_t)(0x60 + len)};
    uint8_t chunked[16] = {0x7f, (uint8_t)(0x60 + len)};

    memcpy(item + 1, text, len);
    memcpy(chunked + 2, text, len);
    chunked[2 + len] = 0xff;

    int error = mkv_cbor_check(mkv_bytes(item, len + 1));

    assert_int_equal(mkv_cbor_check(mkv_bytes(chunked, len + 3)), error);
    assert_true(error == 0 || error == MKV_E_BAD_UTF8);
    assert_int_equal(mkv_utf8_valid(mkv_bytes(text, len)), error == 0);
    return error == 0;
}

static void test_utf8_edges(void **state)
{
    static const char *const valid[] = {
        "",
        "\x7f",
        "\xc2\x80",
        "\xdf\xbf",
        "\xe0\xa0\x80",
        "\xec\xbf\xbf",
        "\xed\x80\x80",
        "\xed\x9f\xbf",
        "\xee\x80\x80",
        "\xef\xbf\xbf",
        "\xef\xb7\x90",
        "\xf0\x90\x80\x80",
        "\xf3\xbf\xbf\xbf",
        "\xf4\x8f\xbf\xbf",
        "a\xc2\x80z\xf4\x8f\xbf\xbfz",
    };
    static const char *const invalid[] = {
        "\x80",
        "\xbf",
        "\xc0",
        "\xc1",
        "\xf5",
        "\xff",
        "\xfe", /* never a first byte */
        "\xc0\x80",
        "\xc1\xbf",
        "\xe0\x80\x80",
        "\xe0\x9f\xbf", /* too long a form */
        "\xf0\x80\x80\x80",
        "\xf0\x8f\xbf\xbf", /* too long a form */
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xed\xa0\x81\xed\xb0\x80", /* surrogates */
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xf8\x88\x80\x80\x80", /* above U+10FFFF */
        "\xc2",
        "\xe1\x80",
        "\xe1",
        "\xf1\x80\x80",
        "\xf1\x80",
        "\xf1", /* cut off */
        "\xc2z",
        "\xe1\x80z",
        "\xe1zz",
        "\xf1\x80\x80z",
        "\xf1\x80zz", /* not continued */
        "\xc2\xc2\x80",
        "\xe1\x80\xc0",
        "\xf1\x80\x80\xc0",
        "\xf1\x80\x7f\x80",
        "z\x80",
    };

    (void)state;
    for (size_t i = 0; i < N_OF(valid); i++) {
        assert_true(utf8_in_cbor_valid(valid[i], strlen(valid[i])));
    }
    for (size_t i = 0; i < N_OF(invalid); i++) {
        assert_false(utf8_in_cbor_valid(invalid[i], strlen(invalid[i])));
    }
    assert_true(utf8_in_cbor_valid("a\0b", 3));
    assert_true(mkv_utf8_valid(mkv_bytes(NULL, 0)));
}

/* The arithmetic definition: decode, then see whether the number may be there at that length. */
static bool utf8_sequence_valid(const uint8_t *at, size_t len)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    static const uint8_t marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
    static const uint8_t masks[] = {0, 0, 0xe0, 0xf0, 0xf8};

    if ((at[0] & masks[len]) != marks[len]) {
        return false;
    }

    uint32_t c = at[0] & (uint8_t)~masks[len];

    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return false;
        }
        c = c << 6 | (at[i] & 0x3f);
    }
    return c >= smallest[len] && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
}

static void test_utf8_all_short_sequences(void **state)
{
    static const uint8_t thirds[] = {0x00, 0x7f, 0x80, 0xbf, 0xc0, 0xff};

    (void)state;
    for (uint32_t two = 0x8000; two <= 0xffff; two++) {
        uint8_t text[4] = {(uint8_t)(two >> 8), (uint8_t)two};

        assert_int_equal(mkv_utf8_valid(mkv_bytes(text, 2)), utf8_sequence_valid(text, 2));
        for (size_t i = 0; i < N_OF(thirds) * N_OF(thirds); i++) {
            text[2] = thirds[i / N_OF(thirds)];
            text[3] = thirds[i % N_OF(thirds)];

            bool two_and_ascii =
                utf8_sequence_valid(text, 2) && text[2] < 0x80; /* such as c2 80 00 */

            assert_int_equal(mkv_utf8_valid(mkv_bytes(text, 3)),
                             utf8_sequence_valid(text, 3) || two_and_ascii);
            if (text[0] >= 0xf0) {
                assert_int_equal(mkv_utf8_valid(mkv_bytes(text, 4)), utf8_sequence_valid(text, 4));
            }
        }
    }
}

/* A string may not be cut inside a character, not even if the next chunk goes on with it. */
static void test_utf8_split_over_chunks(void **state)
{
    struct mkv_bytes in = from_hex(*state, "7f61c361bcff");

    assert_int_equal(mkv_cbor_check(in), MKV_E_BAD_UTF8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8_edges),
        cmocka_unit_test(test_utf8_all_short_sequences),
        cmocka_unit_test(test_utf8_split_over_chunks),
    };

    return cmocka_run_group_tests(tests, setup_buf, teardown_buf);
}
