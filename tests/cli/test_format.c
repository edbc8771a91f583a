/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "cli/format.h"
#include "cli/value.h"
#include "lib/cbor_random.h"
#include "lib/check.h"
#include "normal.h"
#include "wire/cbor.h"

#define N_ROUNDS 20000U

static struct mkv_buf item;
static struct mkv_buf shown;
static struct mkv_buf again;
static struct mkv_buf normal;
static struct mkv_problem problem;

static int set_up(void **state)
{
    (void)state;
    mkv_buf_init(&item, MKV_FORMAT_MAX);
    mkv_buf_init(&shown, MKV_FORMAT_MAX);
    mkv_buf_init(&again, MKV_FORMAT_MAX);
    mkv_buf_init(&normal, MKV_FORMAT_MAX);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mkv_buf_deinit(&item);
    mkv_buf_deinit(&shown);
    mkv_buf_deinit(&again);
    mkv_buf_deinit(&normal);
    return 0;
}

static void load_hex(const char *hex)
{
    mkv_buf_clear(&item);
    assert_int_equal(mkv_value_read(mkv_bytes_of(hex), MKV_NOTATION_HEX, &item, &problem), 0);
}

static void show(enum mkv_format format)
{
    mkv_buf_clear(&shown);
    assert_int_equal(mkv_format_value(mkv_buf_bytes(&item), format, &shown), 0);
}

static void assert_shown(const char *expected)
{
    assert_int_equal(mkv_buf_append_u8(&shown, 0), 0);
    assert_string_equal((const char *)shown.at, expected);
}

struct example {
    const char *hex;
    const char *expected;
};

static void check_examples(const struct example *examples, size_t n, enum mkv_format format)
{
    for (size_t i = 0; i < n; i++) {
        load_hex(examples[i].hex);
        show(format);
        assert_shown(examples[i].expected);
    }
}

static void test_jsonl(void **state)
{
    static const struct example examples[] = {
        {"00", "0\n"},
        {"1bffffffffffffffff", "18446744073709551615\n"},
        {"3bffffffffffffffff", "-18446744073709551616\n"},
        {"3b7fffffffffffffff", "-9223372036854775808\n"},
        {"20", "-1\n"},
        {"f93c00", "1.0\n"},
        {"fb7e37e43c8800759c", "1e+300\n"},
        {"f98000", "-0.0\n"},
        {"f97e00", "{\"$float\":\"nan\"}\n"},
        {"f97c00", "{\"$float\":\"inf\"}\n"},
        {"f9fc00", "{\"$float\":\"-inf\"}\n"},
        {"f4", "false\n"},
        {"f5", "true\n"},
        {"f6", "null\n"},
        {"f7", "{\"$simple\":23}\n"},
        {"f0", "{\"$simple\":16}\n"},
        {"f8ff", "{\"$simple\":255}\n"},
        {"4200ff", "{\"$bytes\":\"AP8=\"}\n"},
        {"40", "{\"$bytes\":\"\"}\n"},
        {"5f410041ffff", "{\"$bytes\":\"AP8=\"}\n"},
        {"7f61616162ff", "\"ab\"\n"},
        {"67225c0a00c29b7f", "\"\\\"\\\\\\n\\u0000\\u009b\\u007f\"\n"},
        {"63e280ae", "\"\\u202e\"\n"},
        {"64f09f9880", "\"\xf0\x9f\x98\x80\"\n"},
        {"80", "[]\n"},
        {"a0", "{}\n"},
        {"9fff", "[]\n"},
        {"bfff", "{}\n"},
        {"8301820203f5", "[1,[2,3],true]\n"},
        {"a26161016162820203", "{\"a\":1,\"b\":[2,3]}\n"},
        {"c11a514b67b0", "{\"$tag\":1,\"value\":1363896240}\n"},
        {"c1c280", "{\"$tag\":1,\"value\":{\"$tag\":2,\"value\":[]}}\n"},
        {"a201020304", "{\"$map\":[[1,2],[3,4]]}\n"},
        {"a2616101616102", "{\"$map\":[[\"a\",1],[\"a\",2]]}\n"},
        {"a261610178016102", "{\"$map\":[[\"a\",1],[\"a\",2]]}\n"},
        {"a18001", "{\"$map\":[[[],1]]}\n"},
        {"a1646c24726501", "{\"l$re\":1}\n"},
        {"a166246279746573f5", "{\"$$bytes\":true}\n"},
        {"a16724246279746573f5", "{\"$$$bytes\":true}\n"},
        {"a16424726566f5", "{\"$ref\":true}\n"},
        {"a1662476616c7565f5", "{\"$$value\":true}\n"},
    };

    (void)state;
    check_examples(examples, sizeof(examples) / sizeof(examples[0]), MKV_FORMAT_JSONL);
}

static void test_json_is_indented(void **state)
{
    static const struct example examples[] = {
        {"a26161016162820280", "{\n  \"a\": 1,\n  \"b\": [\n    2,\n    []\n  ]\n}\n"},
        {"a10102", "{\"$map\":[\n  [1,2]\n]}\n"},
    };

    (void)state;
    check_examples(examples, sizeof(examples) / sizeof(examples[0]), MKV_FORMAT_JSON);
}

static void test_text(void **state)
{
    static const struct example examples[] = {
        {"63c3a431", "\xc3\xa4"
                     "1\n"},
        {"66610a0962225c", "a\n\tb\"\\\n"},
        {"651b5b33316d", "\\u001b[31m\n"},
        {"60", "\n"},
        {"181e", "30\n"},
        {"a161611864", "{\"a\":100}\n"},
        {"7f61616162ff", "ab\n"},
    };

    (void)state;
    check_examples(examples, sizeof(examples) / sizeof(examples[0]), MKV_FORMAT_TEXT);
}

static void test_line_has_no_line_ends(void **state)
{
    (void)state;
    load_hex("64610a0962");
    mkv_buf_clear(&shown);
    assert_int_equal(mkv_format_line(mkv_buf_bytes(&item), &shown), 0);
    assert_shown("a\\n\\tb");
}

static void test_safe_text_takes_any_bytes(void **state)
{
    (void)state;
    mkv_buf_clear(&shown);
    assert_int_equal(mkv_format_safe_text(mkv_bytes("a\xff\xc3\xa4\xc3\x1b", 6), &shown), 0);
    assert_shown("a\\xff\xc3\xa4\\xc3\\u001b");
}

static void test_yaml(void **state)
{
    static const struct example examples[] = {
        {"63796573", "\"yes\"\n"},
        {"6431323334", "\"1234\"\n"},
        {"60", "\"\"\n"},
        {"6a323032302d30312d3031", "\"2020-01-01\"\n"},
        {"65686f757365", "house\n"},
        {"66613a2062633a", "'a: bc:'\n"},
        {"fb7e37e43c8800759c", "1.0e+300\n"},
        {"f97c00", ".inf\n"},
        {"f7", "!simple 23\n"},
        {"4200ff", "!!binary \"AP8=\"\n"},
        {"a2616101616282f6a0", "a: 1\nb:\n- null\n- {}\n"},
        {"a20102f504", "1: 2\ntrue: 4\n"},
        {"c101", "!tag [1, 1]\n"},
        {"a18001", "!map [[[], 1]]\n"},
    };

    (void)state;
    check_examples(examples, sizeof(examples) / sizeof(examples[0]), MKV_FORMAT_YAML);
}

static void test_refuses_what_is_not_one_item(void **state)
{
    (void)state;
    for (unsigned format = MKV_FORMAT_TEXT; format <= MKV_FORMAT_CBOR; format++) {
        mkv_buf_clear(&shown);
        assert_int_equal(
            mkv_format_value(mkv_bytes("\x82\x01", 2), (enum mkv_format)format, &shown),
            MKV_E_TRUNCATED);
        assert_int_equal(
            mkv_format_value(mkv_bytes("\x01\x01", 2), (enum mkv_format)format, &shown),
            MKV_E_TRAILING);
        assert_int_equal(mkv_format_value(mkv_bytes("\xff", 1), (enum mkv_format)format, &shown),
                         MKV_E_MALFORMED);
        assert_int_equal(shown.len, 0);
    }
}

static void test_output_is_bounded(void **state)
{
    struct mkv_buf small;

    (void)state;
    load_hex("78206161616161616161616161616161616161616161616161616161616161616161");
    for (unsigned format = MKV_FORMAT_TEXT; format <= MKV_FORMAT_CBOR; format++) {
        mkv_buf_init(&small, 20);
        assert_int_equal(mkv_format_value(mkv_buf_bytes(&item), (enum mkv_format)format, &small),
                         MKV_E_TOO_LARGE);
        assert_int_equal(small.len, 0);
        mkv_buf_deinit(&small);
    }
}

static void fail_with_seed(uint64_t seed, const char *what)
{
    print_message("seed %llu: %s: %s\n%.*s\n", (unsigned long long)seed, what, problem.text,
                  (int)(shown.len < 2000 ? shown.len : 2000), (const char *)shown.at);
    fail();
}

static void check_round_trip(uint64_t seed, enum mkv_format format, enum mkv_notation notation)
{
    mkv_buf_clear(&again);
    show(format);
    if (mkv_value_read(mkv_buf_bytes(&shown), notation, &again, &problem) != 0) {
        fail_with_seed(seed, "not read back");
    }
    if (!mkv_bytes_equal(mkv_buf_bytes(&again), mkv_buf_bytes(&normal))) {
        fail_with_seed(seed, "read back as something else");
    }
}

static uint64_t first_seed(void)
{
    const char *text = getenv("SEED");

    return text != NULL ? strtoull(text, NULL, 10) : 1;
}

static void test_round_trips(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed(); seed < first_seed() + N_ROUNDS; seed++) {
        struct prng prng = {seed};

        mkv_buf_clear(&item);
        mkv_buf_clear(&normal);
        cbor_random_item(&prng, 1 + prng_below(&prng, 60), &item);
        normal_form(mkv_buf_bytes(&item), &normal);
        check_round_trip(seed, MKV_FORMAT_JSON, MKV_NOTATION_JSON);
        check_round_trip(seed, MKV_FORMAT_JSONL, MKV_NOTATION_JSON);
        check_round_trip(seed, MKV_FORMAT_YAML, MKV_NOTATION_YAML);
    }
}

/* Keys that are reserved, or nearly: the generator above would hardly ever hit one. */
static void test_round_trips_of_reserved_keys(void **state)
{
    static const char *const keys[] = {"$bytes", "$$bytes", "$tag", "value",   "$map", "$float",
                                       "$value", "$$$map",  "$ref", "$simple", "",     ":1"};
    struct mkv_cbor_writer w;

    (void)state;
    for (uint64_t seed = first_seed(); seed < first_seed() + N_ROUNDS / 4; seed++) {
        struct prng prng = {seed};
        uint64_t n = prng_below(&prng, 4);

        mkv_buf_clear(&item);
        mkv_buf_clear(&normal);
        mkv_cbor_writer_init(&w, &item);
        mkv_cbor_write_map(&w, n);
        for (uint64_t i = 0; i < n; i++) {
            mkv_cbor_write_text(&w, mkv_bytes_of(keys[prng_below(&prng, 12)]));
            cbor_random_item(&prng, 5, &item);
        }
        normal_form(mkv_buf_bytes(&item), &normal);
        check_round_trip(seed, MKV_FORMAT_JSONL, MKV_NOTATION_JSON);
        check_round_trip(seed, MKV_FORMAT_YAML, MKV_NOTATION_YAML);
    }
}

/* 64 levels of what needs most room and nesting in JSON. */
static void test_deepest(void **state)
{
    (void)state;
    mkv_buf_clear(&item);
    for (unsigned i = 0; i < 64; i++) {
        assert_int_equal(mkv_buf_append(&item, mkv_bytes("\xa1\x01", 2)), 0);
    }
    assert_int_equal(mkv_buf_append_u8(&item, 1), 0);
    mkv_buf_clear(&normal);
    normal_form(mkv_buf_bytes(&item), &normal);
    check_round_trip(0, MKV_FORMAT_JSON, MKV_NOTATION_JSON);
    check_round_trip(0, MKV_FORMAT_YAML, MKV_NOTATION_YAML);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jsonl),
        cmocka_unit_test(test_json_is_indented),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_line_has_no_line_ends),
        cmocka_unit_test(test_safe_text_takes_any_bytes),
        cmocka_unit_test(test_yaml),
        cmocka_unit_test(test_refuses_what_is_not_one_item),
        cmocka_unit_test(test_output_is_bounded),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_round_trips_of_reserved_keys),
        cmocka_unit_test(test_deepest),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
