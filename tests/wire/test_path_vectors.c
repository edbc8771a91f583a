/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/vectors/paths.json, which is for all who write a client, and path_vectors.json, which is
 * what the predecessors wrote and read:
 *
 *     test_path_vectors PATHS-JSON PATH-VECTORS-JSON
 */
#include <jansson.h>
#include <stdlib.h>

#include "lib/check.h"
#include "wire/decimal.h"
#include "wire/path.h"
#include "wire/topic.h"

static json_t *paths;
static json_t *predecessors;

static struct mkv_bytes string_of(const json_t *object, const char *name)
{
    const json_t *string = json_object_get(object, name);

    assert_true(json_is_string(string));
    return mkv_bytes(json_string_value(string), json_string_length(string));
}

static void append_hex(struct mkv_bytes hex, struct mkv_buf *out)
{
    for (size_t i = 0; i < hex.len; i += 2) {
        int byte = mkv_digit_value(hex.at[i]) * 16 + mkv_digit_value(hex.at[i + 1]);

        assert_int_equal(mkv_buf_append_u8(out, (uint8_t)byte), 0);
    }
}

static void check_bytes(const struct mkv_buf *buf, struct mkv_bytes expected, const char *what)
{
    if (!mkv_bytes_equal(mkv_buf_bytes(buf), expected)) {
        print_error("%s: %.*s\n", what, (int)expected.len, (const char *)expected.at);
        fail();
    }
}

static void check_hex(const struct mkv_buf *buf, struct mkv_bytes hex, const char *what)
{
    struct mkv_buf expected;

    mkv_buf_init(&expected, 1U << 16);
    append_hex(hex, &expected);
    check_bytes(buf, mkv_buf_bytes(&expected), what);
    mkv_buf_deinit(&expected);
}

/* {"float": text}, {"int": text}, {"bytes": hex} */
static void read_object(json_t *json, struct mkv_buf *scratch, struct mkv_element *element)
{
    if (json_object_get(json, "bytes") != NULL) {
        append_hex(string_of(json, "bytes"), scratch);
        element->kind = MKV_ELEMENT_BYTES;
        element->text = mkv_buf_bytes(scratch);
        return;
    }

    bool real = json_object_get(json, "float") != NULL;
    int error = mkv_element_from_number(string_of(json, real ? "float" : "int"), element);

    assert_int_equal(error, 0);
}

static void append_element(json_t *json, struct mkv_buf *key)
{
    struct mkv_element element = {0};
    struct mkv_buf scratch;

    mkv_buf_init(&scratch, MKV_PATH_KEY_MAX);
    if (json_is_string(json)) {
        element.kind = MKV_ELEMENT_TEXT;
        element.text = mkv_bytes(json_string_value(json), json_string_length(json));
    } else if (json_is_integer(json)) {
        element.kind = json_integer_value(json) < 0 ? MKV_ELEMENT_NINT : MKV_ELEMENT_UINT;
        element.number = (uint64_t)json_integer_value(json);
    } else if (json_is_boolean(json)) {
        element.kind = json_is_true(json) ? MKV_ELEMENT_TRUE : MKV_ELEMENT_FALSE;
    } else if (json_is_object(json)) {
        read_object(json, &scratch, &element);
    }
    assert_int_equal(mkv_path_append(key, &element), 0);
    mkv_buf_deinit(&scratch);
}

static void append_elements(const json_t *object, struct mkv_buf *key)
{
    json_t *elements = json_object_get(object, "elements");
    json_t *element;
    size_t i;

    assert_true(json_is_array(elements));
    json_array_foreach(elements, i, element)
    {
        append_element(element, key);
    }
}

static void check_topic(const json_t *vector, const char *name, enum mkv_profile profile)
{
    struct mkv_bytes root = string_of(paths, "root");
    struct mkv_buf key;
    struct mkv_buf out;

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    mkv_buf_init(&out, MKV_TOPIC_MAX);
    append_hex(string_of(vector, "key"), &key);
    assert_int_equal(mkv_topic_of_path(root, profile, mkv_buf_bytes(&key), &out), 0);
    check_bytes(&out, string_of(vector, name), name);
    mkv_buf_clear(&key);
    assert_int_equal(mkv_topic_to_path(root, profile, mkv_buf_bytes(&out), &key), 0);
    check_hex(&key, string_of(vector, "key"), name);
    mkv_buf_deinit(&key);
    mkv_buf_deinit(&out);
}

static void check_dotted(struct mkv_bytes key, struct mkv_bytes dotted)
{
    struct mkv_buf out;

    mkv_buf_init(&out, 1U << 16);
    assert_int_equal(mkv_path_to_dotted(key, &out), 0);
    check_bytes(&out, dotted, "dotted");
    mkv_buf_clear(&out);
    assert_int_equal(mkv_path_from_dotted(dotted, &out), 0);
    check_bytes(&out, key, "key of dotted");
    mkv_buf_deinit(&out);
}

static int read_cbor(struct mkv_bytes hex, struct mkv_buf *key)
{
    struct mkv_cbor_reader r;
    struct mkv_buf cbor;

    mkv_buf_init(&cbor, 1U << 16);
    append_hex(hex, &cbor);
    mkv_cbor_reader_init(&r, mkv_buf_bytes(&cbor));

    int error = mkv_path_from_cbor(&r, key);
    int end = mkv_cbor_finish(&r);

    mkv_buf_deinit(&cbor);
    if (error == 0 && end != 0) { /* a good path, but something follows it */
        mkv_buf_clear(key);
    }
    return error != 0 ? error : end;
}

static void check_cbor(const json_t *vector, struct mkv_bytes key)
{
    struct mkv_cbor_writer w;
    struct mkv_buf out;

    mkv_buf_init(&out, 1U << 16);
    mkv_cbor_writer_init(&w, &out);
    mkv_path_to_cbor(key, &w);
    assert_int_equal(w.error, 0);
    check_hex(&out, string_of(vector, "cbor"), "cbor");
    mkv_buf_clear(&out);
    assert_int_equal(read_cbor(string_of(vector, "cbor"), &out), 0);
    check_bytes(&out, key, "key of cbor");
    mkv_buf_deinit(&out);
}

static void test_paths(void **state)
{
    json_t *vector;
    size_t i;

    (void)state;
    json_array_foreach(json_object_get(paths, "paths"), i, vector)
    {
        struct mkv_buf key;

        mkv_buf_init(&key, MKV_PATH_KEY_MAX);
        append_elements(vector, &key);
        check_hex(&key, string_of(vector, "key"), "key");
        check_cbor(vector, mkv_buf_bytes(&key));
        check_dotted(mkv_buf_bytes(&key), string_of(vector, "dotted"));
        check_topic(vector, "plain", MKV_PROFILE_PLAIN);
        check_topic(vector, "portable", MKV_PROFILE_PORTABLE);
        mkv_buf_deinit(&key);
    }
    assert_true(i > 100);
}

static void test_dotted_read(void **state)
{
    json_t *vector;
    size_t i;

    (void)state;
    json_array_foreach(json_object_get(paths, "dotted_read"), i, vector)
    {
        struct mkv_buf key;

        mkv_buf_init(&key, MKV_PATH_KEY_MAX);
        assert_int_equal(mkv_path_from_dotted(string_of(vector, "text"), &key), 0);
        check_hex(&key, string_of(vector, "key"), "dotted_read");
        mkv_buf_deinit(&key);
    }
    assert_true(i > 20);
}

static int read_refused(const char *name, struct mkv_bytes text, struct mkv_buf *key)
{
    struct mkv_bytes root = string_of(paths, "root");

    if (strcmp(name, "dotted_refused") == 0) {
        return mkv_path_from_dotted(text, key);
    }
    if (strcmp(name, "cbor_refused") == 0) {
        return read_cbor(text, key);
    }
    if (strcmp(name, "plain_refused") == 0) {
        return mkv_topic_to_path(root, MKV_PROFILE_PLAIN, text, key);
    }
    return mkv_topic_to_path(root, MKV_PROFILE_PORTABLE, text, key);
}

static void check_refused(const char *name)
{
    json_t *vector;
    size_t i;

    json_array_foreach(json_object_get(paths, name), i, vector)
    {
        struct mkv_bytes text = mkv_bytes(json_string_value(vector), json_string_length(vector));
        struct mkv_buf key;

        mkv_buf_init(&key, MKV_PATH_KEY_MAX);
        if (read_refused(name, text, &key) == 0) {
            print_error("%s: accepted: %s\n", name, json_string_value(vector));
            fail();
        }
        assert_int_equal(key.len, 0);
        mkv_buf_deinit(&key);
    }
    assert_true(i > 20);
}

static void test_refused(void **state)
{
    (void)state;
    check_refused("dotted_refused");
    check_refused("cbor_refused");
    check_refused("plain_refused");
    check_refused("portable_refused");
}

/* What we support is spelled as it was; what we do not is refused, and never misread. */
static void test_predecessors_wrote(void **state)
{
    json_t *vector;
    size_t i;

    (void)state;
    json_array_foreach(json_object_get(predecessors, "encode"), i, vector)
    {
        struct mkv_bytes dotted = string_of(vector, "dotted");
        struct mkv_buf key;

        mkv_buf_init(&key, MKV_PATH_KEY_MAX);
        if (json_is_true(json_object_get(vector, "supported"))) {
            append_elements(vector, &key);
            check_dotted(mkv_buf_bytes(&key), dotted);
        } else {
            assert_int_not_equal(mkv_path_from_dotted(dotted, &key), 0);
        }
        mkv_buf_deinit(&key);
    }
    assert_true(i > 50);
}

static void test_predecessors_read(void **state)
{
    json_t *vector;
    size_t i;

    (void)state;
    json_array_foreach(json_object_get(predecessors, "parse"), i, vector)
    {
        struct mkv_buf key;
        struct mkv_buf expected;

        mkv_buf_init(&key, MKV_PATH_KEY_MAX);
        mkv_buf_init(&expected, MKV_PATH_KEY_MAX);

        int error = mkv_path_from_dotted(string_of(vector, "text"), &key);

        if (json_object_get(vector, "error") != NULL) {
            assert_int_not_equal(error, 0);
        } else {
            assert_int_equal(error, 0);
            append_elements(vector, &expected);
            check_bytes(&key, mkv_buf_bytes(&expected), "read");
        }
        mkv_buf_deinit(&key);
        mkv_buf_deinit(&expected);
    }
    assert_true(i > 30);
}

static json_t *load(const char *name)
{
    json_error_t error;
    json_t *json = json_load_file(name, JSON_ALLOW_NUL, &error);

    if (json == NULL) {
        print_error("%s:%d: %s\n", name, error.line, error.text);
        exit(1);
    }
    return json;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_dotted_read),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_predecessors_wrote),
        cmocka_unit_test(test_predecessors_read),
    };

    if (argc != 3) {
        return 2;
    }
    paths = load(argv[1]);
    predecessors = load(argv[2]);

    int n_failed = cmocka_run_group_tests(tests, NULL, NULL);

    json_decref(paths);
    json_decref(predecessors);
    return n_failed;
}
