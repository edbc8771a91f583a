/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "lib/check.h"
#include "lib/mem_fault.h"
#include "lib/path_check.h"
#include "lib/prng.h"
#include "path_model.h"
#include "wire/path.h"

#define SEED UINT64_C(20240925)

/* Sanitized they take six times as long. */
#ifdef __SANITIZE_ADDRESS__
#    define N_RANDOM  10000U
#    define N_ORDERED 800U
#else
#    define N_RANDOM  50000U
#    define N_ORDERED 2500U
#endif

static struct mkv_element text_element(const void *at, size_t len)
{
    return (struct mkv_element){.kind = MKV_ELEMENT_TEXT, .text = mkv_bytes(at, len)};
}

/* Appends the text before + character + after as one element. */
static void append_around(struct mkv_buf *key, const char *before, uint32_t c, const char *after)
{
    char text[16];
    size_t len = strlen(before);

    memcpy(text, before, len);
    len += model_utf8(c, (uint8_t *)text + len);
    memcpy(text + len, after, strlen(after));

    struct mkv_element element = text_element(text, len + strlen(after));

    assert_int_equal(mkv_path_append(key, &element), 0);
}

/* Alone, and at the start, in the middle and at the end of a text. */
static void test_every_character(void **state)
{
    struct mkv_buf key;

    (void)state;
    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        if (c == 0xd800) {
            c = 0xe000; /* surrogates are no characters */
        }
        mkv_buf_clear(&key);
        append_around(&key, "", c, "");
        append_around(&key, "", c, "x");
        append_around(&key, "a", c, "b");
        append_around(&key, "z", c, "");
        check_all_forms(mkv_buf_bytes(&key));
    }
    mkv_buf_deinit(&key);
}

/* Each byte, as bytes: alone, and next to those that the escape of 00 is made of. */
static void test_every_byte(void **state)
{
    struct mkv_buf key;

    (void)state;
    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    for (unsigned byte = 0; byte < 256; byte++) {
        const uint8_t bytes[] = {(uint8_t)byte, 0, (uint8_t)byte, 0xff, (uint8_t)byte, 1};

        mkv_buf_clear(&key);
        for (size_t start = 0; start < sizeof(bytes); start++) {
            struct mkv_element element = {.kind = MKV_ELEMENT_BYTES,
                                          .text = mkv_bytes(bytes + start, sizeof(bytes) - start)};

            assert_int_equal(mkv_path_append(&key, &element), 0);
        }
        check_all_forms(mkv_buf_bytes(&key));
    }
    mkv_buf_deinit(&key);
}

/* Decoding each element of the key gives the model's. */
static void check_elements(const struct model_path *path, struct mkv_bytes key)
{
    struct mkv_bytes rest = key;
    struct mkv_buf scratch;

    mkv_buf_init(&scratch, MKV_PATH_KEY_MAX);
    assert_int_equal(mkv_path_depth(key), path->n);
    for (unsigned i = 0; i < path->n; i++) {
        struct mkv_element element;
        size_t before = key.len - rest.len;

        assert_int_equal(mkv_path_head(key, i).len, before);
        assert_int_equal(mkv_element_decode(mkv_path_cut(&rest), &scratch, &element), 0);
        assert_int_equal(element.kind, path->at[i].kind);
        assert_true(model_element_equal(&element, &path->at[i]));
    }
    assert_int_equal(rest.len, 0);
    assert_int_equal(mkv_path_cut(&rest).len, 0);
    assert_int_equal(mkv_path_head(key, path->n + 1).len, key.len);
    mkv_buf_deinit(&scratch);
}

static void test_random_paths(void **state)
{
    struct prng prng = {SEED};
    struct model_path path;
    struct mkv_buf key;

    (void)state;
    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    for (unsigned i = 0; i < N_RANDOM; i++) {
        model_random(&prng, MODEL_ELEMENTS_MAX, &path);
        model_key(&path, &key);
        check_elements(&path, mkv_buf_bytes(&key));
        check_all_forms(mkv_buf_bytes(&key));
    }
    mkv_buf_deinit(&key);
}

struct keyed_path {
    struct model_path path;
    struct mkv_buf key;
};

/* Integers around ±2^(8L), single, so that they meet each other. */
static void edge_path(unsigned i, struct model_path *path)
{
    uint64_t edge = i / 8 < 8 ? UINT64_C(1) << (8 * (i / 8)) : 0;
    bool negative = (i & 4) != 0;
    uint64_t number = edge + i % 4 - 2;

    path->n = 1;
    if (negative && (number == 0 || number > UINT64_C(1) << 63)) {
        negative = false;
    }
    path->at[0] = (struct mkv_element){
        .kind = negative ? MKV_ELEMENT_NINT : MKV_ELEMENT_UINT,
        .number = negative ? -number : number,
    };
}

static unsigned shared_elements(const struct model_path *a, const struct model_path *b)
{
    unsigned n = 0;

    while (n < a->n && n < b->n && a->at[n].kind == b->at[n].kind &&
           model_element_equal(&a->at[n], &b->at[n])) {
        n++;
    }
    return n;
}

static void check_pair(const struct keyed_path *a, const struct keyed_path *b)
{
    struct mkv_bytes key_a = mkv_buf_bytes(&a->key);
    struct mkv_bytes key_b = mkv_buf_bytes(&b->key);
    int expected = model_compare(&a->path, &b->path);
    int order = mkv_bytes_compare(key_a, key_b);
    unsigned shared = shared_elements(&a->path, &b->path);

    assert_int_equal((order > 0) - (order < 0), (expected > 0) - (expected < 0));
    assert_int_equal(mkv_path_shared(key_a, key_b), shared);
    assert_int_equal(mkv_bytes_starts_with(key_b, key_a), shared == a->path.n);
}

/* All pairs; short paths over few elements, so that many share a start. */
static void test_order(void **state)
{
    static struct keyed_path paths[N_ORDERED];
    struct prng prng = {SEED + 1};

    (void)state;
    for (unsigned i = 0; i < N_ORDERED; i++) {
        if (i < 72) {
            edge_path(i, &paths[i].path);
        } else {
            model_random(&prng, 3, &paths[i].path);
        }
        mkv_buf_init(&paths[i].key, MKV_PATH_KEY_MAX);
        model_key(&paths[i].path, &paths[i].key);
    }
    for (unsigned i = 0; i < N_ORDERED; i++) {
        for (unsigned j = 0; j < N_ORDERED; j++) {
            check_pair(&paths[i], &paths[j]);
        }
    }
    for (unsigned i = 0; i < N_ORDERED; i++) {
        mkv_buf_deinit(&paths[i].key);
    }
}

static void check_bad_key(const char *bytes, size_t len)
{
    assert_int_equal(mkv_path_check(mkv_bytes(bytes, len)), MKV_E_BAD_PATH);
}

#define BAD_KEY(literal) check_bad_key(literal, sizeof(literal) - 1)

static void test_bad_keys(void **state)
{
    (void)state;
    BAD_KEY("\x00");
    BAD_KEY("\x11");
    BAD_KEY("\x22");
    BAD_KEY("\x2f\x80\0\0\0\0\0\0\0\0");
    BAD_KEY("\x38");
    BAD_KEY("\x49\x01\0\0\0\0\0\0\0\0");
    BAD_KEY("\x41");                                 /* cut off */
    BAD_KEY("\x41\x00");                             /* 0 is 40 */
    BAD_KEY("\x42\x00\xff");                         /* 255 needs one byte */
    BAD_KEY("\x36\xff\x00");                         /* -256 needs one byte */
    BAD_KEY("\x30\x7f\xff\xff\xff\xff\xff\xff\xff"); /* below -2^63 */
    BAD_KEY("\x30\xff\xff\xff\xff\xff\xff\xff\xff"); /* -1 needs one byte */
    BAD_KEY("\x50\xff\xf0\0\0\0\0\0\0");             /* infinite */
    BAD_KEY("\x50\x00\x0f\xff\xff\xff\xff\xff\xff"); /* infinite */
    BAD_KEY("\x50\xff\xf8\0\0\0\0\0\0");             /* NaN */
    BAD_KEY("\x50\x00\0\0\0\0\0\0\0");               /* NaN */
    BAD_KEY("\x50\xbf\xe0\0\0\0\0\0");               /* cut off */
    BAD_KEY("\x60");
    BAD_KEY("\x60\x61");
    BAD_KEY("\x60\x61\x00");
    BAD_KEY("\x60\x61\x00\xff");
    BAD_KEY("\x60\x61\x00\x02\x00\x01");
    BAD_KEY("\x60\x61\x00\x00\x01");
    BAD_KEY("\x60\xff\x00\x01");                 /* not UTF-8 */
    BAD_KEY("\x60\xc0\x80\x00\x01");             /* not UTF-8 */
    BAD_KEY("\x60\xed\xa0\x80\x00\x01");         /* a surrogate */
    BAD_KEY("\x60\xc3\x00\x01\x60\xa9\x00\x01"); /* one character, torn */
    BAD_KEY("\x60\x61\x00\x01\x61");
    BAD_KEY("\x80");
}

/* What check() lets through is a path like any other. */
static void test_damaged_keys(void **state)
{
    struct prng prng = {SEED + 2};
    struct model_path path;
    struct mkv_buf key;

    (void)state;
    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    for (unsigned i = 0; i < 2 * N_RANDOM; i++) {
        model_random(&prng, 3, &path);
        model_key(&path, &key);
        if (key.len > 0) {
            key.at[prng_below(&prng, key.len)] = (uint8_t)prng_next(&prng);
            mkv_buf_truncate(&key, key.len - prng_below(&prng, 2));
        }
        if (mkv_path_check(mkv_buf_bytes(&key)) == 0) {
            check_all_forms(mkv_buf_bytes(&key));
        }
    }
    mkv_buf_deinit(&key);
}

/* One text of @len times 'a', which takes @len + 3 bytes of key. */
static int append_long(struct mkv_buf *key, size_t len)
{
    static char letters[2 * MKV_PATH_KEY_MAX];
    struct mkv_element element = text_element(letters, len);

    memset(letters, 'a', sizeof(letters));
    return mkv_path_append(key, &element);
}

static void check_length_limit(struct mkv_buf *key)
{
    mkv_buf_clear(key);
    assert_int_equal(append_long(key, MKV_PATH_KEY_MAX - 2), MKV_E_PATH_TOO_LONG);
    assert_int_equal(append_long(key, 2 * MKV_PATH_KEY_MAX), MKV_E_PATH_TOO_LONG);
    assert_int_equal(key->len, 0);
    assert_int_equal(append_long(key, MKV_PATH_KEY_MAX - 4), 0);
    assert_int_equal(key->len, MKV_PATH_KEY_MAX - 1);

    struct mkv_element element = {.kind = MKV_ELEMENT_UINT, .number = 1};

    assert_int_equal(mkv_path_append(key, &element), MKV_E_PATH_TOO_LONG);
    assert_int_equal(key->len, MKV_PATH_KEY_MAX - 1);
    element.kind = MKV_ELEMENT_NULL;
    assert_int_equal(mkv_path_append(key, &element), 0);
    assert_int_equal(key->len, MKV_PATH_KEY_MAX);
    check_all_forms(mkv_buf_bytes(key));
    assert_int_equal(mkv_path_append(key, &element), MKV_E_PATH_TOO_LONG);
    assert_int_equal(key->len, MKV_PATH_KEY_MAX);
}

/* The buffer's own maximum counts only if it is the lower one. */
static void test_length_limit(void **state)
{
    struct mkv_buf key;
    struct mkv_buf small;

    (void)state;
    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    check_length_limit(&key);
    mkv_buf_deinit(&key);
    mkv_buf_init(&key, 100000);
    check_length_limit(&key);
    assert_int_equal(mkv_buf_append_u8(&key, 0x10), 0);
    assert_int_equal(mkv_path_check(mkv_buf_bytes(&key)), MKV_E_PATH_TOO_LONG);
    mkv_buf_deinit(&key);

    mkv_buf_init(&small, 10);
    assert_int_equal(append_long(&small, 7), 0);
    mkv_buf_clear(&small);
    assert_int_equal(append_long(&small, 8), MKV_E_PATH_TOO_LONG);
    mkv_buf_deinit(&small);
}

static int read_cbor_nulls(unsigned n, struct mkv_buf *key, int *ret_sticky)
{
    uint8_t cbor[2 + MKV_PATH_LEVELS_MAX + 1] = {0x98, (uint8_t)n};
    struct mkv_cbor_reader r;

    memset(cbor + 2, 0xf6, n);
    mkv_cbor_reader_init(&r, mkv_bytes(cbor, 2 + n));

    int error = mkv_path_from_cbor(&r, key);

    *ret_sticky = r.error;
    return error;
}

static void test_level_limit(void **state)
{
    const struct mkv_element null = {.kind = MKV_ELEMENT_NULL};
    uint8_t too_many[MKV_PATH_LEVELS_MAX + 1];
    struct mkv_buf key;
    int sticky;

    (void)state;
    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    assert_int_equal(read_cbor_nulls(MKV_PATH_LEVELS_MAX + 1, &key, &sticky), MKV_E_PATH_TOO_LONG);
    assert_int_equal(sticky, MKV_E_PATH_TOO_LONG);
    assert_int_equal(key.len, 0);
    assert_int_equal(read_cbor_nulls(MKV_PATH_LEVELS_MAX, &key, &sticky), 0);
    assert_int_equal(key.len, MKV_PATH_LEVELS_MAX);
    check_all_forms(mkv_buf_bytes(&key));
    assert_int_equal(mkv_path_append(&key, &null), MKV_E_PATH_TOO_LONG);
    assert_int_equal(mkv_path_from_dotted(mkv_bytes_of(":n"), &key), MKV_E_PATH_TOO_LONG);
    assert_int_equal(key.len, MKV_PATH_LEVELS_MAX);

    memset(too_many, 0x10, sizeof(too_many));
    assert_int_equal(mkv_path_check(mkv_bytes(too_many, sizeof(too_many))), MKV_E_PATH_TOO_LONG);
    mkv_buf_deinit(&key);
}

static void check_cbor_refused(const char *bytes, size_t len, int expected)
{
    struct mkv_cbor_reader r;
    struct mkv_buf key;

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    assert_int_equal(mkv_buf_append_u8(&key, 0x21), 0);
    mkv_cbor_reader_init(&r, mkv_bytes(bytes, len));
    assert_int_equal(mkv_path_from_cbor(&r, &key), expected);
    assert_int_equal(r.error, expected);
    assert_int_equal(key.len, 1); /* what was there before stays */
    mkv_buf_deinit(&key);
}

#define BAD_CBOR(literal, error) check_cbor_refused(literal, sizeof(literal) - 1, error)

static void test_bad_cbor(void **state)
{
    (void)state;
    BAD_CBOR("", MKV_E_TRUNCATED);
    BAD_CBOR("\x00", MKV_E_MALFORMED);
    BAD_CBOR("\x9f\xff", MKV_E_MALFORMED);
    BAD_CBOR("\x82\x00", MKV_E_TRUNCATED);
    BAD_CBOR("\x82\x00\x80", MKV_E_BAD_ELEMENT);
    BAD_CBOR("\x81\xa0", MKV_E_BAD_ELEMENT);
    BAD_CBOR("\x81\xc2\x41\x01", MKV_E_BAD_ELEMENT);
    BAD_CBOR("\x81\xf7", MKV_E_BAD_ELEMENT);
    BAD_CBOR("\x81\xe0", MKV_E_BAD_ELEMENT);
    BAD_CBOR("\x81\xf9\x7c\x00", MKV_E_BAD_NUMBER);
    BAD_CBOR("\x81\xf9\x7e\x00", MKV_E_BAD_NUMBER);
    BAD_CBOR("\x81\x3b\x80\0\0\0\0\0\0\0", MKV_E_BAD_NUMBER);
    BAD_CBOR("\x81\x18\x01", MKV_E_NOT_MINIMAL);
    BAD_CBOR("\x81\x78\x01\x61", MKV_E_NOT_MINIMAL);
    BAD_CBOR("\x81\x61\xff", MKV_E_BAD_UTF8);
    BAD_CBOR("\x9b\xff\xff\xff\xff\xff\xff\xff\xff\x00", MKV_E_TRUNCATED);
}

/* A reader that has failed gives an empty element and no path. */
static void test_failed_reader(void **state)
{
    struct mkv_cbor_reader r;
    struct mkv_element element;
    struct mkv_buf key;

    (void)state;
    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    mkv_cbor_reader_init(&r, mkv_bytes_of("\x81\x05"));
    mkv_cbor_fail(&r, MKV_E_TOO_DEEP);
    assert_int_equal(mkv_path_from_cbor(&r, &key), MKV_E_TOO_DEEP);
    mkv_element_from_cbor(&r, &element);
    assert_int_equal(element.kind, MKV_ELEMENT_NULL);
    assert_int_equal(r.error, MKV_E_TOO_DEEP);
    mkv_buf_deinit(&key);
}

static void test_bad_elements(void **state)
{
    struct mkv_element bad[] = {
        {.kind = MKV_ELEMENT_FLOAT, .real = mkv_float_of_bits(UINT64_C(0x7ff0000000000000))},
        {.kind = MKV_ELEMENT_FLOAT, .real = mkv_float_of_bits(UINT64_C(0xfff8000000000000))},
        {.kind = MKV_ELEMENT_NINT, .number = 5},
        {.kind = MKV_ELEMENT_NINT, .number = (UINT64_C(1) << 63) - 1},
        text_element("\xff", 1),
    };
    struct mkv_buf key;

    (void)state;
    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int expected = bad[i].kind == MKV_ELEMENT_TEXT ? MKV_E_BAD_UTF8 : MKV_E_BAD_NUMBER;

        assert_int_equal(mkv_path_append(&key, &bad[i]), expected);
        assert_int_equal(key.len, 0);
    }
    mkv_buf_deinit(&key);
}

/* Each allocation fails in turn: the error is told, and nothing is left behind. */
static void test_no_memory(void **state)
{
    static const char dotted[] = "a.b:1:2:3:.5:v0123456789012345678901234567890123456789"
                                 ".0123456789012345678901234567890123456789";
    unsigned n = 0;

    (void)state;
    do {
        struct mkv_buf key;
        struct mkv_buf text;

        mkv_buf_init(&key, MKV_PATH_KEY_MAX);
        mkv_buf_init(&text, 1000);
        mem_fault_at(++n);

        int error = mkv_path_from_dotted(mkv_bytes_of(dotted), &key);

        assert_true(error == 0 || (error == MKV_E_NO_MEMORY && key.len == 0));
        if (error == 0) {
            error = mkv_path_to_dotted(mkv_buf_bytes(&key), &text);
            assert_true(error == 0 || (error == MKV_E_NO_MEMORY && text.len == 0));
        }
        assert_int_equal(error != 0, mem_fault_struck());
        mkv_buf_deinit(&key);
        mkv_buf_deinit(&text);
        assert_int_equal(mem_fault_live(), 0);
    } while (mem_fault_struck());
    assert_true(n > 3);
    mem_fault_at(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_character), cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_random_paths),    cmocka_unit_test(test_order),
        cmocka_unit_test(test_bad_keys),        cmocka_unit_test(test_damaged_keys),
        cmocka_unit_test(test_length_limit),    cmocka_unit_test(test_level_limit),
        cmocka_unit_test(test_bad_cbor),        cmocka_unit_test(test_failed_reader),
        cmocka_unit_test(test_bad_elements),    cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
