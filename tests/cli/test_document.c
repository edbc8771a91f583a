/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "cli/document.h"
#include "cli/format.h"
#include "lib/cbor_random.h"
#include "lib/check.h"
#include "normal.h"
#include "wire/path.h"

#define N_ROUNDS 4000U
#define ROWS_MAX 24U
#define ROOM     (16U * 1024U * 1024U)

struct row {
    struct mkv_buf key;
    struct mkv_buf value;
};

static struct row rows[ROWS_MAX];
static struct row back[ROWS_MAX];
static unsigned n_rows;
static unsigned n_back;
static struct mkv_buf document;
static struct mkv_buf text;
static struct mkv_problem problem;

static int set_up(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS_MAX; i++) {
        mkv_buf_init(&rows[i].key, MKV_PATH_KEY_MAX);
        mkv_buf_init(&rows[i].value, MKV_VALUE_MAX);
        mkv_buf_init(&back[i].key, MKV_PATH_KEY_MAX);
        mkv_buf_init(&back[i].value, MKV_VALUE_MAX);
    }
    mkv_buf_init(&document, ROOM);
    mkv_buf_init(&text, ROOM);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS_MAX; i++) {
        mkv_buf_deinit(&rows[i].key);
        mkv_buf_deinit(&rows[i].value);
        mkv_buf_deinit(&back[i].key);
        mkv_buf_deinit(&back[i].value);
    }
    mkv_buf_deinit(&document);
    mkv_buf_deinit(&text);
    return 0;
}

static struct mkv_bytes pick(struct prng *prng, const char *const *words, size_t n)
{
    return mkv_bytes_of(words[prng_below(prng, n)]);
}

/* Mostly from a few, so that rows lie below each other and lists come about. */
static void random_element(struct prng *prng, struct mkv_buf *key)
{
    static const char *const words[] = {"a",    "b",  "",    "$value", "$$value",
                                        "$map", ":2", "::t", ":"};
    static const double reals[] = {0.0, -0.0, 1.0, 1.5, -1e300};
    struct mkv_element element = {.kind = MKV_ELEMENT_TEXT};
    uint64_t kind = prng_below(prng, 12);

    if (kind < 5) {
        element.kind = MKV_ELEMENT_UINT;
        element.number = prng_below(prng, 20) > 0 ? prng_below(prng, 3) : prng_next(prng);
    } else if (kind < 8) {
        element.text = pick(prng, words, sizeof(words) / sizeof(words[0]));
    } else if (kind == 8) {
        element.kind = MKV_ELEMENT_BYTES;
        element.text = pick(prng, words, sizeof(words) / sizeof(words[0]));
    } else if (kind == 9) {
        element.kind = MKV_ELEMENT_FLOAT;
        element.real = reals[prng_below(prng, 5)];
    } else if (kind == 10) {
        element.kind = MKV_ELEMENT_NINT;
        element.number = UINT64_MAX - (prng_next(prng) >> 1);
    } else {
        element.kind = (enum mkv_element_kind)prng_below(prng, MKV_ELEMENT_NINT);
    }
    assert_int_equal(mkv_path_append(key, &element), 0);
}

static int compare(const void *a, const void *b)
{
    return mkv_bytes_compare(mkv_buf_bytes(&((const struct row *)a)->key),
                             mkv_buf_bytes(&((const struct row *)b)->key));
}

/* Sorts, and drops rows whose key comes again. */
static void sort_rows(void)
{
    unsigned n = 0;

    qsort(rows, n_rows, sizeof(rows[0]), compare);
    for (unsigned i = 0; i < n_rows; i++) {
        if (n > 0 && compare(&rows[n - 1], &rows[i]) == 0) {
            continue;
        }
        struct row moved = rows[i];

        rows[i] = rows[n];
        rows[n++] = moved;
    }
    n_rows = n;
}

static void random_rows(uint64_t seed)
{
    struct prng prng = {seed};
    struct mkv_buf value;

    mkv_buf_init(&value, ROOM);
    n_rows = 1 + (unsigned)prng_below(&prng, ROWS_MAX);
    for (unsigned i = 0; i < n_rows; i++) {
        uint64_t depth = prng_below(&prng, 5);

        mkv_buf_clear(&rows[i].key);
        mkv_buf_clear(&rows[i].value);
        mkv_buf_clear(&value);
        for (uint64_t j = 0; j < depth; j++) {
            random_element(&prng, &rows[i].key);
        }
        cbor_random_item(&prng, 1 + prng_below(&prng, 8), &value);
        normal_form(mkv_buf_bytes(&value), &rows[i].value);
    }
    mkv_buf_deinit(&value);
    sort_rows();
}

static void write_document(enum mkv_format format)
{
    struct mkv_document_writer w;

    mkv_buf_clear(&document);
    mkv_document_writer_init(&w, &document);
    for (unsigned i = 0; i < n_rows; i++) {
        assert_int_equal(
            mkv_document_writer_add(&w, mkv_buf_bytes(&rows[i].key), mkv_buf_bytes(&rows[i].value)),
            0);
    }
    assert_int_equal(mkv_document_writer_finish(&w), 0);
    mkv_document_writer_deinit(&w);
    mkv_buf_clear(&text);
    assert_int_equal(mkv_format_document(mkv_buf_bytes(&document), format, &text), 0);
}

static int read_document(struct mkv_bytes in, enum mkv_notation notation)
{
    struct mkv_leaves leaves;
    struct mkv_bytes value;

    n_back = 0;
    mkv_buf_clear(&document);

    int error = mkv_document_read(in, notation, &document, &problem);

    if (error != 0) {
        return error;
    }
    mkv_leaves_init(&leaves, mkv_buf_bytes(&document), &problem);
    while (n_back < ROWS_MAX && mkv_leaves_next(&leaves, &value)) {
        struct row *row = &back[n_back++];

        mkv_buf_clear(&row->key);
        mkv_buf_clear(&row->value);
        assert_int_equal(mkv_buf_append(&row->key, mkv_buf_bytes(&leaves.key)), 0);
        assert_int_equal(mkv_buf_append(&row->value, value), 0);
    }
    error = leaves.reader.error;
    mkv_leaves_deinit(&leaves);
    return error;
}

static bool same_rows(void)
{
    if (n_rows != n_back) {
        return false;
    }
    for (unsigned i = 0; i < n_rows; i++) {
        if (compare(&rows[i], &back[i]) != 0 ||
            !mkv_bytes_equal(mkv_buf_bytes(&rows[i].value), mkv_buf_bytes(&back[i].value))) {
            return false;
        }
    }
    return true;
}

static void check_round_trip(uint64_t seed, enum mkv_format format, enum mkv_notation notation)
{
    write_document(format);
    if (read_document(mkv_buf_bytes(&text), notation) != 0 || !same_rows()) {
        print_message("seed %llu: %s\n%.*s\n", (unsigned long long)seed, problem.text,
                      (int)(text.len < 3000 ? text.len : 3000), (const char *)text.at);
        fail();
    }
}

static void test_any_tree_survives(void **state)
{
    const char *given = getenv("SEED");
    uint64_t first = given != NULL ? strtoull(given, NULL, 10) : 1;

    (void)state;
    for (uint64_t seed = first; seed < first + N_ROUNDS; seed++) {
        random_rows(seed);
        check_round_trip(seed, MKV_FORMAT_JSON, MKV_NOTATION_JSON);
        check_round_trip(seed, MKV_FORMAT_JSONL, MKV_NOTATION_JSON);
        check_round_trip(seed, MKV_FORMAT_YAML, MKV_NOTATION_YAML);
    }
}

/* A path of 64 elements, and below it a value of 64 levels. */
static void test_deepest_tree(void **state)
{
    const struct mkv_element zero = {.kind = MKV_ELEMENT_UINT, .number = 7};

    (void)state;
    n_rows = 1;
    mkv_buf_clear(&rows[0].key);
    mkv_buf_clear(&rows[0].value);
    for (unsigned i = 0; i < 64; i++) {
        assert_int_equal(mkv_path_append(&rows[0].key, &zero), 0);
        assert_int_equal(mkv_buf_append(&rows[0].value, mkv_bytes("\xa1\x01", 2)), 0);
    }
    assert_int_equal(mkv_buf_append_u8(&rows[0].value, 1), 0);
    check_round_trip(0, MKV_FORMAT_JSON, MKV_NOTATION_JSON);
    check_round_trip(0, MKV_FORMAT_YAML, MKV_NOTATION_YAML);
}

struct example {
    const char *document;
    const char *leaves; /* dotted=json, separated by spaces */
};

static void check_leaves(const struct example *example, enum mkv_notation notation)
{
    assert_int_equal(read_document(mkv_bytes_of(example->document), notation), 0);
    mkv_buf_clear(&text);
    for (unsigned i = 0; i < n_back; i++) {
        assert_int_equal(mkv_path_to_dotted(mkv_buf_bytes(&back[i].key), &text), 0);
        assert_int_equal(mkv_buf_append_u8(&text, '='), 0);
        assert_int_equal(mkv_format_value(mkv_buf_bytes(&back[i].value), MKV_FORMAT_JSONL, &text),
                         0);
        text.at[text.len - 1] = ' ';
    }
    text.at[text.len - 1] = 0;
    assert_string_equal((const char *)text.at, example->leaves);
}

static void test_leaves_of_json(void **state)
{
    static const struct example examples[] = {
        {"5", ":=5"},
        {"{}", ":={}"},
        {"[]", ":=[]"},
        {"{\"a\":{\"b\":[1,{}]},\"c\":[]}", "a.b:0=1 a.b:1={} c=[]"},
        {"{\"$value\":1,\"b\":2}", ":=1 b=2"},
        {"{\"a\":{\"$value\":[1,2]}}", "a=[1,2]"},
        {"{\"a\":{\"$value\":{\":2\":1}}}", "a={\":2\":1}"},
        {"{\"$$value\":1}", "$value=1"},
        {"{\":2\":1,\"::2\":2,\":t\":3,\":x\":4,\":\":5}", ":2=1 ::2=2 :t=3 ::x=4 ::=5"},
        {"{\"$ref\":1,\"$$ref\":2}", "$ref=1 $$ref=2"},
        {"{\"a\":{\"$bytes\":\"AA==\"}}", "a={\"$bytes\":\"AA==\"}"},
        {"[{\"$tag\":1,\"value\":{\":2\":[3]}}]", ":0={\"$tag\":1,\"value\":{\":2\":[3]}}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        check_leaves(&examples[i], MKV_NOTATION_JSON);
    }
}

static void test_leaves_of_yaml(void **state)
{
    static const struct example examples[] = {
        {"a: 1\nb:\n- x\n- {}\n", "a=1 b:0=\"x\" b:1={}"},
        {"1: a\n1.5: b\ntrue: c\nnull: d\n'1': e\n",
         ":1=\"a\" :1:.5=\"b\" :t=\"c\" :n=\"d\" 1=\"e\""},
        {"$value: [1]\n$$value: 2\n:2: 3\n", ":=[1] $value=2 ::2=3"},
        {"!!binary AA==: 1\n", ":sAA===1"},
        {"a: # comment\n  b: yes\n", "a.b=\"yes\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        check_leaves(&examples[i], MKV_NOTATION_YAML);
    }
}

static void test_a_list_needs_all_of_its_indices(void **state)
{
    static const char *const documents[] = {
        "[1,2]\n",
        "{\":1\":1,\":2\":2}\n",
        "{\"$value\":0,\":0\":1,\":1\":2}\n",
        "{\":0\":1,\":1\":2,\"a\":3}\n",
        "[{\":t\":[0]}]\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
        assert_int_equal(read_document(mkv_bytes_of(documents[i]), MKV_NOTATION_JSON), 0);
        n_rows = n_back;
        for (unsigned j = 0; j < n_rows; j++) {
            struct row swapped = rows[j];

            rows[j] = back[j];
            back[j] = swapped;
        }
        write_document(MKV_FORMAT_JSONL);
        assert_int_equal(mkv_buf_append_u8(&text, 0), 0);
        assert_string_equal((const char *)text.at, documents[i]);
    }
}

struct refusal {
    const char *document;
    int error;
    const char *words; /* that the problem's text must have */
};

static void check_refusals(const struct refusal *refusals, size_t n, enum mkv_notation notation)
{
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(read_document(mkv_bytes_of(refusals[i].document), notation),
                         refusals[i].error);
        if (strstr(problem.text, refusals[i].words) == NULL) {
            print_message("%s: %s\n", refusals[i].document, problem.text);
            fail();
        }
    }
}

static void test_refusals(void **state)
{
    static const struct refusal json[] = {
        {"", MKV_E_TRUNCATED, "line 1, column 1"},
        {"{\"a\":1,\n \"a\":2}", MKV_E_DUPLICATE_KEY, "line 2, column 7"},
        {"{\"$value\":1,\"$value\":1}", MKV_E_DUPLICATE_KEY, "twice"},
        {"{\"a\":{\"$map\":[]}}", MKV_E_MALFORMED, "$value"},
        {"{\"$value\":{\"$value\":1}}", MKV_E_MALFORMED, "$$value"},
    };
    static const struct refusal yaml[] = {
        {"a: 1\na: 2\n", MKV_E_DUPLICATE_KEY, "twice"},
        {"[1]: 2\n", MKV_E_BAD_ELEMENT, "scalar"},
        {".nan: 2\n", MKV_E_BAD_NUMBER, "range"},
        {"!simple 23: 2\n", MKV_E_BAD_ELEMENT, "line 1"},
        {"-9223372036854775809: 2\n", MKV_E_BAD_NUMBER, "range"},
        {"a: &x 1\n", MKV_E_MALFORMED, "anchors"},
        {"a: !map []\n", MKV_E_MALFORMED, "$value"},
        {"a: 1\n--- b\n", MKV_E_TRAILING, "second document"},
    };

    (void)state;
    check_refusals(json, sizeof(json) / sizeof(json[0]), MKV_NOTATION_JSON);
    check_refusals(yaml, sizeof(yaml) / sizeof(yaml[0]), MKV_NOTATION_YAML);
}

static void test_too_deep_a_path_is_named(void **state)
{
    (void)state;
    mkv_buf_clear(&text);
    for (unsigned i = 0; i < 65; i++) {
        assert_int_equal(mkv_buf_append(&text, mkv_bytes_of("{\"a\":")), 0);
    }
    assert_int_equal(mkv_buf_append_u8(&text, '1'), 0);
    for (unsigned i = 0; i < 65; i++) {
        assert_int_equal(mkv_buf_append_u8(&text, '}'), 0);
    }
    assert_int_equal(read_document(mkv_buf_bytes(&text), MKV_NOTATION_JSON), MKV_E_PATH_TOO_LONG);
    assert_non_null(strstr(problem.text, "at or below a.a.a"));
}

static void test_rows_must_ascend(void **state)
{
    struct mkv_document_writer w;

    (void)state;
    mkv_buf_clear(&document);
    mkv_document_writer_init(&w, &document);
    assert_int_equal(mkv_document_writer_finish(&w), MKV_E_NOT_FOUND);
    assert_int_equal(mkv_document_writer_add(&w, mkv_bytes("\x40", 1), mkv_bytes("\x01", 1)), 0);
    assert_int_equal(mkv_document_writer_add(&w, mkv_bytes("\x40", 1), mkv_bytes("\x01", 1)),
                     MKV_E_BAD_ARGUMENT);
    assert_int_equal(mkv_document_writer_add(&w, mkv_bytes("", 0), mkv_bytes("\x01", 1)),
                     MKV_E_BAD_ARGUMENT);
    mkv_document_writer_deinit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_tree_survives),
        cmocka_unit_test(test_deepest_tree),
        cmocka_unit_test(test_leaves_of_json),
        cmocka_unit_test(test_leaves_of_yaml),
        cmocka_unit_test(test_a_list_needs_all_of_its_indices),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_too_deep_a_path_is_named),
        cmocka_unit_test(test_rows_must_ascend),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
