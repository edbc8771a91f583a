/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "cli/format.h"
#include "cli/value.h"
#include "lib/cbor_random.h"
#include "lib/check.h"
#include "wire/cbor.h"

static struct mkv_buf item;
static struct mkv_buf hex;
static struct mkv_problem problem;

static int set_up(void **state)
{
    (void)state;
    mkv_buf_init(&item, MKV_FORMAT_MAX);
    mkv_buf_init(&hex, MKV_FORMAT_MAX);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mkv_buf_deinit(&item);
    mkv_buf_deinit(&hex);
    return 0;
}

static const char *item_in_hex(void)
{
    static const char digits[] = "0123456789abcdef";

    mkv_buf_clear(&hex);
    for (size_t i = 0; i < item.len; i++) {
        assert_int_equal(mkv_buf_append_u8(&hex, (uint8_t)digits[item.at[i] >> 4]), 0);
        assert_int_equal(mkv_buf_append_u8(&hex, (uint8_t)digits[item.at[i] & 15]), 0);
    }
    assert_int_equal(mkv_buf_append_u8(&hex, 0), 0);
    return (const char *)hex.at;
}

struct example {
    const char *text;
    const char *hex; /* of the item */
};

static void check_examples(const struct example *examples, size_t n, enum mkv_notation notation)
{
    for (size_t i = 0; i < n; i++) {
        mkv_buf_clear(&item);
        if (mkv_value_read(mkv_bytes_of(examples[i].text), notation, &item, &problem) != 0) {
            print_message("%s: %s\n", examples[i].text, problem.text);
            fail();
        }
        if (strcmp(item_in_hex(), examples[i].hex) != 0) {
            print_message("%s\n", examples[i].text);
            assert_string_equal((const char *)hex.at, examples[i].hex);
        }
    }
}

#define CHECK_EXAMPLES(examples, notation)                                                         \
    check_examples(examples, sizeof(examples) / sizeof((examples)[0]), notation)

struct refusal {
    const char *text;
    int error;
    const char *words; /* that the problem's text must have */
};

static void check_refusals(const struct refusal *refusals, size_t n, enum mkv_notation notation)
{
    for (size_t i = 0; i < n; i++) {
        mkv_buf_clear(&item);
        assert_int_equal(mkv_buf_append_u8(&item, 0xf6), 0);

        int error = mkv_value_read(mkv_bytes_of(refusals[i].text), notation, &item, &problem);

        if (error != refusals[i].error || strstr(problem.text, refusals[i].words) == NULL) {
            print_message("%s: %s: %s\n", refusals[i].text, mkv_error_name(error), problem.text);
            fail();
        }
        assert_int_equal(item.len, 1);
    }
}

#define CHECK_REFUSALS(refusals, notation)                                                         \
    check_refusals(refusals, sizeof(refusals) / sizeof((refusals)[0]), notation)

/* These mean the same in an argument and in a file. */
static const struct example yaml_scalars[] = {
    {"true", "f5"},
    {"True", "f5"},
    {"TRUE", "f5"},
    {"false", "f4"},
    {"null", "f6"},
    {"~", "f6"},
    {"tRue", "6474527565"},
    {"yes", "63796573"},
    {"on", "626f6e"},
    {"no", "626e6f"},
    {"0", "00"},
    {"-0", "00"},
    {"+5", "05"},
    {"007", "07"},
    {"-1", "20"},
    {"18446744073709551615", "1bffffffffffffffff"},
    {"-18446744073709551616", "3bffffffffffffffff"},
    {"-18446744073709551610", "3bfffffffffffffff9"},
    {"9223372036854775808", "1b8000000000000000"},
    {"0o17", "0f"},
    {"0x1f", "181f"},
    {"0xFFFFFFFFFFFFFFFF", "1bffffffffffffffff"},
    {"0o1777777777777777777777", "1bffffffffffffffff"},
    {"0x", "623078"},
    {"-0x1", "642d307831"},
    {"0b1", "63306231"},
    {"1_000", "65315f303030"},
    {"2020-01-01", "6a323032302d30312d3031"},
    {"12:30:00", "6831323a33303a3030"},
    {"1.0", "f93c00"},
    {"1.", "f93c00"},
    {".5", "f93800"},
    {"-.5", "f9b800"},
    {"+.5e1", "f94500"},
    {"1e3", "f963d0"},
    {"1E+3", "f963d0"},
    {"-0.0", "f98000"},
    {"0.1", "fb3fb999999999999a"},
    {"1e-400", "f90000"},
    {".", "612e"},
    {"1e", "623165"},
    {"e1", "626531"},
    {".inf", "f97c00"},
    {"-.INF", "f9fc00"},
    {".NaN", "f97e00"},
    {"inf", "63696e66"},
    {"\"true\"", "6474727565"},
    {"'1'", "6131"},
    {"''", "60"},
    {"\"\\u00e4\\0\"", "63c3a400"},
    {"two words", "6974776f20776f726473"},
    {"a:b", "63613a62"},
    {"a#b", "63612362"},
    {"<<", "623c3c"},
    {"=", "613d"},
    {"!!str 1", "6131"},
    {"! 1", "6131"},
    {"!!int '1'", "01"},
    {"!!float 1", "f93c00"},
    {"!!binary AP8=", "4200ff"},
    {"!!binary \"\"", "40"},
    {"!simple 23", "f7"},
    {"!simple 255", "f8ff"},
    {"!tag [1, 2]", "c102"},
    {"!tag [1, !tag [2, []]]", "c1c280"},
    {"!map [[1, 2], [1, 3]]", "a201020103"},
    {"[]", "80"},
    {"{}", "a0"},
    {"[1, two, [3.5]]", "83016374776f81f94300"},
    {"{a: 1, 2: b, null: ~}", "a36161010261"
                              "62f6f6"},
    {"{a}", "a16161f6"},
    {"[a: 1]", "81a1616101"},
    {"{[1]: 2}", "a1810102"},
    {"{$value: 1, $bytes: 2}", "a26624"
                               "76616c75650166"
                               "24627974657302"},
};

static void test_yaml_scalars(void **state)
{

    (void)state;
    for (size_t i = 0; i < sizeof(yaml_scalars) / sizeof(yaml_scalars[0]); i++) {
        check_examples(&yaml_scalars[i], 1, MKV_NOTATION_ARGUMENT);
        check_examples(&yaml_scalars[i], 1, MKV_NOTATION_YAML);
    }
}

static void test_yaml_files(void **state)
{
    static const struct example examples[] = {
        {"a: 1\nb:\n  - 2\n  - c # comment\n", "a261610161"
                                               "62820261"
                                               "63"},
        {"--- # comment\nfoo\n...\n", "63666f6f"},
        {"|\n a\n b\n", "64610a620a"},
        {"a\n b", "63612062"},
        {"%YAML 1.2\n---\n1\n", "01"},
        {"\xef\xbb\xbf"
         "1\n",
         "01"},
    };

    (void)state;
    CHECK_EXAMPLES(examples, MKV_NOTATION_YAML);
}

static void test_yaml_arguments_refused(void **state)
{
    static const struct refusal refusals[] = {
        {"", MKV_E_TRUNCATED, "\"\""},
        {"  ", MKV_E_TRUNCATED, "\"\""},
        {"# a", MKV_E_TRUNCATED, "only a comment"},
        {"a # b", MKV_E_TRAILING, "column 3"},
        {"[1] # b", MKV_E_TRAILING, "-s"},
        {"a: 1", MKV_E_MALFORMED, "{key: value}"},
        {"- 1", MKV_E_MALFORMED, "[1, 2]"},
        {"-", MKV_E_MALFORMED, "[1, 2]"},
        {"a\nb", MKV_E_MALFORMED, "-s"},
        {"&a b", MKV_E_MALFORMED, "anchors"},
        {"*a", MKV_E_MALFORMED, "aliases"},
        {"[&a [], *a]", MKV_E_MALFORMED, "anchors"},
        {"!foo bar", MKV_E_MALFORMED, "!foo"},
        {"!f%1b%c3%a4 bar", MKV_E_MALFORMED, "!f\\u001b\xc3\xa4"},
        {"!!int x", MKV_E_MALFORMED, "int"},
        {"!!map []", MKV_E_MALFORMED, "tag"},
        {"!foo {}", MKV_E_MALFORMED, "!foo"},
        {"[1, 2", MKV_E_MALFORMED, "column"},
        {"{a: 1", MKV_E_MALFORMED, "column"},
        {"'a", MKV_E_MALFORMED, "column"},
        {"@a", MKV_E_MALFORMED, "quote it"},
        {"%a", MKV_E_MALFORMED, "quote it"},
        {"1\n---\n2", MKV_E_TRAILING, ""},
        {"{a: 1, a: 2}", MKV_E_DUPLICATE_KEY, "twice"},
        {"{1: 1, 0x1: 2}", MKV_E_DUPLICATE_KEY, "twice"},
        {"18446744073709551616", MKV_E_BAD_NUMBER, "2^64-1"},
        {"-18446744073709551617", MKV_E_BAD_NUMBER, "-2^64"},
        {"0x10000000000000000", MKV_E_BAD_NUMBER, "quote"},
        {"1e999", MKV_E_BAD_NUMBER, "1.79e308"},
        {"!!binary x", MKV_E_MALFORMED, "base64"},
        {"!simple 20", MKV_E_BAD_NUMBER, "0-19"},
        {"!simple -1", MKV_E_BAD_NUMBER, "0-19"},
        {"!simple x", MKV_E_BAD_NUMBER, "0-19"},
        {"!tag [1]", MKV_E_TRUNCATED, "!tag ["},
        {"!tag [1, 2, 3]", MKV_E_TRAILING, "!tag ["},
        {"!tag [-1, 2]", MKV_E_MALFORMED, "!tag ["},
        {"!map [[1]]", MKV_E_MALFORMED, "!map ["},
        {"!map [1]", MKV_E_MALFORMED, "!map ["},
        {"\xff", MKV_E_BAD_UTF8, "column 1"},
        {"\x1b[31m", MKV_E_BAD_UTF8, "control"},
    };

    (void)state;
    CHECK_REFUSALS(refusals, MKV_NOTATION_ARGUMENT);
}

static void test_json(void **state)
{
    static const struct example examples[] = {
        {"true", "f5"},
        {" [ 1 , 2 ] \n", "820102"},
        {"{\"a\":{\"b\":[]}}", "a16161a1616280"},
        {"18446744073709551615", "1bffffffffffffffff"},
        {"-18446744073709551616", "3bffffffffffffffff"},
        {"9007199254740993", "1b0020000000000001"},
        {"-0", "00"},
        {"-0.0", "f98000"},
        {"1.0", "f93c00"},
        {"1e2", "f95640"},
        {"1E-2", "fb3f847ae147ae147b"},
        {"100000.5", "fa47c35040"},
        {"123456789012345678901234567890.0", "fb45f8ee90ff6c373e"},
        {"\"\"", "60"},
        {"\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "6961225c2f080c0a0d09"},
        {"\"\\u00e4\\ud83d\\ude00\\u0000\"", "67c3a4f09f988000"},
        {"{\"$bytes\":\"AP8=\"}", "4200ff"},
        {"{\"$float\":\"nan\"}", "f97e00"},
        {"{\"$float\":\"-inf\"}", "f9fc00"},
        {"{\"$simple\":23}", "f7"},
        {"{\"$tag\":32,\"value\":\"a\"}", "d8206161"},
        {"{\"$map\":[[1,2],[[],3],[1,4]]}", "a3010280030104"},
        {"{\"$map\":[]}", "a0"},
        {"{\"$$bytes\":1}", "a166246279746573"
                            "01"},
        {"{\"$foo\":1}", "a164"
                         "24666f6f"
                         "01"},
        {"{\":2\":1}", "a1623a3201"},
        {"\xef\xbb\xbf"
         "1",
         "01"},
    };

    (void)state;
    CHECK_EXAMPLES(examples, MKV_NOTATION_JSON);
}

static void test_json_refused(void **state)
{
    static const struct refusal refusals[] = {
        {"", MKV_E_TRUNCATED, "line 1, column 1"},
        {"[1,", MKV_E_TRUNCATED, "column 4"},
        {"[1", MKV_E_TRUNCATED, "']'"},
        {"{\"a\":1", MKV_E_TRUNCATED, "'}'"},
        {"{\"a\"", MKV_E_MALFORMED, "':'"},
        {"{a:1}", MKV_E_MALFORMED, "double quotes"},
        {"{'a':1}", MKV_E_MALFORMED, "double quotes"},
        {"'a'", MKV_E_MALFORMED, "double quotes"},
        {"[1,]", MKV_E_MALFORMED, "column 4"},
        {"{\"a\":1,}", MKV_E_MALFORMED, "comma"},
        {"[1 2]", MKV_E_MALFORMED, "','"},
        {"[1}", MKV_E_MALFORMED, "']'"},
        {"]", MKV_E_MALFORMED, "not JSON"},
        {"1 2", MKV_E_TRAILING, "column 3"},
        {"nul", MKV_E_MALFORMED, "not JSON"},
        {"nulll", MKV_E_TRAILING, "column 5"},
        {"01", MKV_E_MALFORMED, "leading zeros"},
        {"1.", MKV_E_MALFORMED, "digits"},
        {".5", MKV_E_MALFORMED, "not JSON"},
        {"+1", MKV_E_MALFORMED, "not JSON"},
        {"1e", MKV_E_MALFORMED, "digits"},
        {"-", MKV_E_MALFORMED, "not JSON"},
        {"NaN", MKV_E_MALFORMED, "$float"},
        {"-Infinity", MKV_E_MALFORMED, "$float"},
        {"18446744073709551616", MKV_E_BAD_NUMBER, "2^64-1"},
        {"-18446744073709551617", MKV_E_BAD_NUMBER, "2^64-1"},
        {"1e999", MKV_E_BAD_NUMBER, "64 bits"},
        {"\"a", MKV_E_TRUNCATED, "quote"},
        {"\"a\\", MKV_E_TRUNCATED, "quote"},
        {"\"\n\"", MKV_E_MALFORMED, "escape"},
        {"\"\\x\"", MKV_E_MALFORMED, "escape"},
        {"\"\\u12\"", MKV_E_MALFORMED, "four"},
        {"\"\\ud83d\"", MKV_E_BAD_UTF8, "surrogate"},
        {"\"\\ud83d\\u0041\"", MKV_E_BAD_UTF8, "surrogate"},
        {"\"\\ude00\"", MKV_E_BAD_UTF8, "surrogate"},
        {"\"\xff\"", MKV_E_BAD_UTF8, "UTF-8"},
        {"\"\xed\xa0\x80\"", MKV_E_BAD_UTF8, "UTF-8"},
        {"{\"a\":1,\"\\u0061\":2}", MKV_E_DUPLICATE_KEY, "\"a\""},
        {"{\"$bytes\":\"A\"}", MKV_E_MALFORMED, "BASE64"},
        {"{\"$bytes\":1}", MKV_E_MALFORMED, "BASE64"},
        {"{\"$bytes\":\"\",\"a\":1}", MKV_E_MALFORMED, "BASE64"},
        {"{\"a\":1,\"$bytes\":\"\"}", MKV_E_MALFORMED, "first"},
        {"{\"$float\":\"1\"}", MKV_E_MALFORMED, "nan"},
        {"{\"$simple\":24}", MKV_E_BAD_NUMBER, "0-19"},
        {"{\"$simple\":256}", MKV_E_BAD_NUMBER, "0-19"},
        {"{\"$tag\":1}", MKV_E_MALFORMED, "VALUE"},
        {"{\"$tag\":-1,\"value\":2}", MKV_E_MALFORMED, "VALUE"},
        {"{\"$tag\":1,\"v\":2}", MKV_E_MALFORMED, "VALUE"},
        {"{\"$map\":1}", MKV_E_MALFORMED, "KEY"},
        {"{\"$map\":[[1]]}", MKV_E_MALFORMED, "KEY"},
        {"{\"$value\":1}", MKV_E_MALFORMED, "$$value"},
    };

    (void)state;
    CHECK_REFUSALS(refusals, MKV_NOTATION_JSON);
}

static void test_text_hex_and_cbor(void **state)
{
    static const struct example texts[] = {
        {"", "60"}, {"true", "6474727565"}, {" a\n", "6320610a"}};
    static const struct example hexes[] = {
        {"00", "00"}, {" 83 01 02 03\n", "83010203"}, {"1800", "1800"}, {"9F01ff", "9f01ff"}};
    static const struct refusal bad_texts[] = {{"\xff", MKV_E_BAD_UTF8, "-x"}};
    static const struct refusal bad_hexes[] = {
        {"", MKV_E_MALFORMED, "pairs"},       {"0", MKV_E_MALFORMED, "pairs"},
        {"0g", MKV_E_MALFORMED, "pairs"},     {"0x00", MKV_E_MALFORMED, "pairs"},
        {"0001", MKV_E_TRAILING, "trailing"}, {"82", MKV_E_TRUNCATED, "truncated"},
        {"ff", MKV_E_MALFORMED, "CBOR"},      {"61ff", MKV_E_BAD_UTF8, "UTF-8"},
    };

    (void)state;
    CHECK_EXAMPLES(texts, MKV_NOTATION_TEXT);
    CHECK_EXAMPLES(hexes, MKV_NOTATION_HEX);
    CHECK_REFUSALS(bad_texts, MKV_NOTATION_TEXT);
    CHECK_REFUSALS(bad_hexes, MKV_NOTATION_HEX);
    mkv_buf_clear(&item);
    assert_int_equal(
        mkv_value_read(mkv_bytes("\x82\x01\x02", 3), MKV_NOTATION_CBOR, &item, &problem), 0);
    assert_string_equal(item_in_hex(), "820102");
}

static void nested(struct mkv_buf *text, unsigned n)
{
    mkv_buf_clear(text);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(mkv_buf_append_u8(text, '['), 0);
    }
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(mkv_buf_append_u8(text, ']'), 0);
    }
}

static void test_limits(void **state)
{
    static const enum mkv_notation notations[] = {MKV_NOTATION_ARGUMENT, MKV_NOTATION_YAML,
                                                  MKV_NOTATION_JSON};
    static const unsigned deep[] = {65, 264, 265, 100000};
    struct mkv_buf text;

    (void)state;
    mkv_buf_init(&text, MKV_FORMAT_MAX);
    for (unsigned i = 0; i < 3; i++) {
        mkv_buf_clear(&item);
        nested(&text, 64);
        assert_int_equal(mkv_value_read(mkv_buf_bytes(&text), notations[i], &item, &problem), 0);
        for (unsigned j = 0; j < 4; j++) {
            nested(&text, deep[j]);
            assert_int_equal(mkv_value_read(mkv_buf_bytes(&text), notations[i], &item, &problem),
                             MKV_E_TOO_DEEP);
        }
    }
    mkv_buf_clear(&text);
    for (unsigned i = 0; i < 1048576 - 5; i++) {
        assert_int_equal(mkv_buf_append_u8(&text, 'x'), 0);
    }
    mkv_buf_clear(&item);
    assert_int_equal(mkv_value_read(mkv_buf_bytes(&text), MKV_NOTATION_TEXT, &item, &problem), 0);
    assert_int_equal(item.len, 1048576);
    assert_int_equal(mkv_buf_append_u8(&text, 'x'), 0);
    mkv_buf_clear(&item);
    assert_int_equal(mkv_value_read(mkv_buf_bytes(&text), MKV_NOTATION_TEXT, &item, &problem),
                     MKV_E_TOO_LARGE);
    mkv_buf_deinit(&text);
}

/* Texts of the characters that mean something to YAML, as value, in a list, as a key, in a flow. */
static void test_any_text_survives_yaml(void **state)
{
    static const char alphabet[] = " :#-?!&*{}[],'\"\n\t|>%@`~a1.=\\/e_+0xo";
    const char *given = getenv("SEED");
    uint64_t first = given != NULL ? strtoull(given, NULL, 10) : 1;
    struct mkv_buf text;
    struct mkv_buf wanted;
    struct mkv_cbor_writer w;

    (void)state;
    mkv_buf_init(&text, MKV_FORMAT_MAX);
    mkv_buf_init(&wanted, MKV_FORMAT_MAX);
    for (uint64_t seed = first; seed < first + 20000; seed++) {
        struct prng prng = {seed};
        uint8_t characters[12];
        struct mkv_bytes any = mkv_bytes(characters, prng_below(&prng, sizeof(characters)));

        for (size_t i = 0; i < any.len; i++) {
            characters[i] = (uint8_t)alphabet[prng_below(&prng, sizeof(alphabet) - 1)];
        }
        mkv_buf_clear(&wanted);
        mkv_cbor_writer_init(&w, &wanted);
        if (prng_below(&prng, 2) > 0) {
            mkv_cbor_write_tag(&w, 9);
        }
        if (prng_below(&prng, 2) > 0) {
            mkv_cbor_write_array(&w, 1);
        }
        if (prng_below(&prng, 2) > 0) {
            mkv_cbor_write_map(&w, 1);
            mkv_cbor_write_text(&w, any);
        }
        mkv_cbor_write_text(&w, any);
        mkv_buf_clear(&text);
        mkv_buf_clear(&item);
        assert_int_equal(mkv_format_value(mkv_buf_bytes(&wanted), MKV_FORMAT_YAML, &text), 0);
        if (mkv_value_read(mkv_buf_bytes(&text), MKV_NOTATION_YAML, &item, &problem) != 0 ||
            !mkv_bytes_equal(mkv_buf_bytes(&item), mkv_buf_bytes(&wanted))) {
            print_message("seed %llu: %.*s\n", (unsigned long long)seed, (int)text.len,
                          (const char *)text.at);
            fail();
        }
    }
    mkv_buf_deinit(&text);
    mkv_buf_deinit(&wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_yaml_scalars),
        cmocka_unit_test(test_yaml_files),
        cmocka_unit_test(test_yaml_arguments_refused),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_json_refused),
        cmocka_unit_test(test_text_hex_and_cbor),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_any_text_survives_yaml),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
