/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every character in a topic and back is in test_path.c; which topics are refused is in
 * tests/vectors/paths.json.
 */
#include "base/limits.h"
#include "lib/check.h"
#include "lib/mem_fault.h"
#include "lib/path_check.h"
#include "lib/prng.h"
#include "path_model.h"
#include "wire/path.h"
#include "wire/topic.h"

#define SEED UINT64_C(20240928)

static const enum mkv_profile profiles[] = {MKV_PROFILE_PLAIN, MKV_PROFILE_PORTABLE};

static int read_topic(enum mkv_profile profile, struct mkv_bytes topic, struct mkv_buf *key)
{
    mkv_buf_clear(key);
    return mkv_topic_to_path(mkv_bytes_of(CHECK_ROOT), profile, topic, key);
}

/* Accepted or not; but if it is, then as the only topic of its path. */
static bool check_any_topic(struct mkv_bytes topic, enum mkv_profile profile)
{
    struct mkv_buf key;
    struct mkv_buf again;

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    mkv_buf_init(&again, MKV_TOPIC_MAX);

    int error = read_topic(profile, topic, &key);

    if (error == 0) {
        assert_int_equal(mkv_path_check(mkv_buf_bytes(&key)), 0);
        assert_int_equal(
            mkv_topic_of_path(mkv_bytes_of(CHECK_ROOT), profile, mkv_buf_bytes(&key), &again), 0);
        assert_true(mkv_bytes_equal(mkv_buf_bytes(&again), topic));
    } else {
        assert_true(error == MKV_E_BAD_TOPIC || error == MKV_E_PATH_TOO_LONG);
        assert_int_equal(key.len, 0);
    }
    mkv_buf_deinit(&key);
    mkv_buf_deinit(&again);
    return error == 0;
}

static void append_pieces(struct prng *prng, struct mkv_buf *topic)
{
    static const char *const pieces[] = {
        "/",     "::",   ":_",   ":p",  ":h",    ":.",   ":u",    "-",  "41",   "0",        "2e",
        "fffe",  "FFFE", ":e",   ":n",  ":t",    ":f",   ":y",    "0a", "0A",   ":1",       ":-",
        ":-1",   ":+1",  ":1.5", ":1e", "100",   ".",    "*",     " ",  "$",    "+",        "#",
        "$NULL", "a",    "b",    "e",   ":u24-", ":u0-", ":u2e-", ":",  "\x7f", "\xc3\xa9", "\xff",
    };
    size_t n = prng_below(prng, 6);

    for (size_t i = 0; i < n; i++) {
        const char *piece = pieces[prng_below(prng, sizeof(pieces) / sizeof(pieces[0]))];

        assert_int_equal(mkv_buf_append(topic, mkv_bytes_of(piece)), 0);
    }
}

static void test_any_topic(void **state)
{
    struct prng prng = {SEED};
    struct mkv_buf topic;
    unsigned n_accepted = 0;

    (void)state;
    mkv_buf_init(&topic, 1U << 16);
    for (unsigned i = 0; i < 500000; i++) {
        mkv_buf_clear(&topic);
        assert_int_equal(mkv_buf_append(&topic, mkv_bytes_of(CHECK_ROOT "/d/")), 0);
        append_pieces(&prng, &topic);
        n_accepted += check_any_topic(mkv_buf_bytes(&topic), profiles[i % 2]);
    }
    assert_true(n_accepted > 10000);
    mkv_buf_deinit(&topic);
}

/* One byte of a good topic is changed: another path's, or none. */
static void test_damaged_topic(void **state)
{
    struct prng prng = {SEED + 1};
    struct model_path path;
    struct mkv_buf key;
    struct mkv_buf topic;

    (void)state;
    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    mkv_buf_init(&topic, MKV_TOPIC_MAX);
    for (unsigned i = 0; i < 100000; i++) {
        enum mkv_profile profile = profiles[i % 2];

        model_random(&prng, 4, &path);
        model_key(&path, &key);
        mkv_buf_clear(&topic);
        assert_int_equal(
            mkv_topic_of_path(mkv_bytes_of(CHECK_ROOT), profile, mkv_buf_bytes(&key), &topic), 0);
        topic.at[prng_below(&prng, topic.len)] = (uint8_t)prng_below(&prng, 128);
        (void)check_any_topic(mkv_buf_bytes(&topic), profile);
    }
    mkv_buf_deinit(&key);
    mkv_buf_deinit(&topic);
}

static void check_refused(const char *topic, size_t len)
{
    for (unsigned i = 0; i < 2; i++) {
        assert_false(check_any_topic(mkv_bytes(topic, len), profiles[i]));
    }
}

#define REFUSED(literal) check_refused(literal, sizeof(literal) - 1)

/* What JSON cannot hold: the vectors have the rest. */
static void test_not_utf8(void **state)
{
    (void)state;
    REFUSED("moat/main/d/\xff");
    REFUSED("moat/main/d/\xc0\xaf");
    REFUSED("moat/main/d/\xed\xa0\x80");
    REFUSED("moat/main/d/\xc3/\xa9");
    REFUSED("moat/main/d/a\xc3");
    REFUSED("moat/main/d/a\0b");
}

/* A topic that decodes to a path of @n_units units of text, in one element. */
static int read_long(const char *unit, size_t n_units)
{
    struct mkv_buf topic;
    struct mkv_buf key;

    mkv_buf_init(&topic, 1U << 20);
    mkv_buf_init(&key, 1U << 20);
    assert_int_equal(mkv_buf_append(&topic, mkv_bytes_of(CHECK_ROOT "/d/")), 0);
    for (size_t i = 0; i < n_units; i++) {
        assert_int_equal(mkv_buf_append(&topic, mkv_bytes_of(unit)), 0);
    }

    int error = read_topic(MKV_PROFILE_PLAIN, mkv_buf_bytes(&topic), &key);

    mkv_buf_deinit(&topic);
    mkv_buf_deinit(&key);
    return error;
}

static void test_path_limits(void **state)
{
    (void)state;
    assert_int_equal(read_long("a", 1021), 0);
    assert_int_equal(read_long("a", 1022), MKV_E_PATH_TOO_LONG);
    assert_int_equal(read_long(":p", 1021), 0);
    assert_int_equal(read_long(":p", 1022), MKV_E_PATH_TOO_LONG);
    assert_int_equal(read_long(":u1-", 1021), 0);
    assert_int_equal(read_long(":u1-", 1022), MKV_E_PATH_TOO_LONG);
    assert_int_equal(read_long(":u0-", 510), 0);
    assert_int_equal(read_long(":u0-", 511), MKV_E_PATH_TOO_LONG);
    assert_int_equal(read_long("a", 65535 - 12), MKV_E_PATH_TOO_LONG);
    assert_int_equal(read_long("a", 65536 - 12), MKV_E_BAD_TOPIC);
    assert_int_equal(read_long("a", 900000), MKV_E_BAD_TOPIC);
}

static int read_levels(unsigned n)
{
    struct mkv_buf topic;
    struct mkv_buf key;

    mkv_buf_init(&topic, 1U << 16);
    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    assert_int_equal(mkv_buf_append(&topic, mkv_bytes_of(CHECK_ROOT "/d")), 0);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(mkv_buf_append(&topic, mkv_bytes_of("/a")), 0);
    }

    int error = read_topic(MKV_PROFILE_PLAIN, mkv_buf_bytes(&topic), &key);

    mkv_buf_deinit(&topic);
    mkv_buf_deinit(&key);
    return error;
}

static void test_level_limit(void **state)
{
    (void)state;
    assert_int_equal(read_levels(0), 0);
    assert_int_equal(read_levels(MKV_PATH_LEVELS_MAX), 0);
    assert_int_equal(read_levels(MKV_PATH_LEVELS_MAX + 1), MKV_E_PATH_TOO_LONG);
    assert_int_equal(read_levels(20000), MKV_E_PATH_TOO_LONG);
}

/* No path comes near the limit of a topic, but a root that was never checked does. */
static void test_topic_limit(void **state)
{
    static char root[MKV_TOPIC_MAX];
    struct mkv_bytes key = mkv_bytes("\x41\x07", 2); /* "/:7" */
    struct mkv_buf topic;

    (void)state;
    memset(root, 'r', sizeof(root));
    mkv_buf_init(&topic, 1U << 20);
    assert_int_equal(mkv_buf_append_u8(&topic, '>'), 0);
    assert_int_equal(mkv_topic_of_path(mkv_bytes(root, MKV_TOPIC_MAX - 4), 0, key, &topic),
                     MKV_E_TOO_LARGE);
    assert_int_equal(mkv_topic_filter(mkv_bytes(root, MKV_TOPIC_MAX - 6), 0, key, &topic),
                     MKV_E_TOO_LARGE);
    assert_int_equal(mkv_topic_of_svc(mkv_bytes(root, MKV_TOPIC_MAX - 5), "x", &topic),
                     MKV_E_TOO_LARGE);
    assert_int_equal(topic.len, 1);
    assert_int_equal(mkv_topic_of_path(mkv_bytes(root, MKV_TOPIC_MAX - 5), 0, key, &topic), 0);
    assert_int_equal(topic.len, 1 + MKV_TOPIC_MAX);
    mkv_buf_clear(&topic);
    assert_int_equal(mkv_topic_filter(mkv_bytes(root, MKV_TOPIC_MAX - 7), 0, key, &topic), 0);
    assert_int_equal(topic.len, MKV_TOPIC_MAX);
    mkv_buf_clear(&topic);
    assert_int_equal(mkv_topic_of_svc(mkv_bytes(root, MKV_TOPIC_MAX - 6), "x", &topic), 0);
    assert_int_equal(topic.len, MKV_TOPIC_MAX);
    mkv_buf_deinit(&topic);
}

static void check_text(struct mkv_buf *buf, const char *expected)
{
    assert_int_equal(buf->len, strlen(expected));
    assert_memory_equal(buf->at, expected, buf->len);
    mkv_buf_clear(buf);
}

static void test_filter_and_svc(void **state)
{
    struct mkv_bytes root = mkv_bytes_of("r");
    struct mkv_bytes key = mkv_bytes("\x60$\x00\x01\x21", 5);
    struct mkv_buf out;

    (void)state;
    mkv_buf_init(&out, MKV_TOPIC_MAX);
    assert_int_equal(mkv_topic_filter(root, MKV_PROFILE_PLAIN, mkv_bytes("", 0), &out), 0);
    check_text(&out, "r/d/#");
    assert_int_equal(mkv_topic_filter(root, MKV_PROFILE_PLAIN, key, &out), 0);
    check_text(&out, "r/d/:.$/:t/#");
    assert_int_equal(mkv_topic_filter(root, MKV_PROFILE_PORTABLE, key, &out), 0);
    check_text(&out, "r/d/:u24-/:t/#");
    assert_int_equal(mkv_topic_of_svc(root, "birth", &out), 0);
    check_text(&out, "r/svc/birth");
    assert_true(mkv_topic_is_svc(root, "birth", mkv_bytes_of("r/svc/birth")));
    assert_false(mkv_topic_is_svc(root, "birth", mkv_bytes_of("r/svc/birth/")));
    assert_false(mkv_topic_is_svc(root, "birth", mkv_bytes_of("r/svc/birt")));
    assert_false(mkv_topic_is_svc(root, "birth", mkv_bytes_of("r/d/birth")));
    assert_false(mkv_topic_is_svc(root, "birth", mkv_bytes_of("rr/svc/birth")));
    assert_false(mkv_topic_is_svc(root, "birth", mkv_bytes_of("")));
    mkv_buf_deinit(&out);
}

static void test_roots(void **state)
{
    static const char *const good[] = {"moat/main", "a",      "a//b", "a b.c*",
                                       "\xc3\xa9",  "a$b/$c", ":"};
    static const char *const bad[] = {
        "",   "/a",  "a/",    "/",    "$a",           "a/+",      "+",
        "a#", "a\n", "a\x7f", "\xff", "\xef\xbf\xbf", "\xc2\x80", "a\xef\xb7\x90"};
    char longest[MKV_ROOT_MAX + 1];

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(mkv_root_check(mkv_bytes_of(good[i])), 0);
        assert_true(mkv_root_suits(mkv_bytes_of(good[i]), MKV_PROFILE_PLAIN));
        assert_int_equal(mkv_root_suits(mkv_bytes_of(good[i]), MKV_PROFILE_PORTABLE), i != 3);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(mkv_root_check(mkv_bytes_of(bad[i])), MKV_E_BAD_TOPIC);
    }
    assert_int_equal(mkv_root_check(mkv_bytes("a\0b", 3)), MKV_E_BAD_TOPIC);
    memset(longest, 'a', sizeof(longest));
    assert_int_equal(mkv_root_check(mkv_bytes(longest, MKV_ROOT_MAX)), 0);
    assert_int_equal(mkv_root_check(mkv_bytes(longest, MKV_ROOT_MAX + 1)), MKV_E_BAD_TOPIC);
}

/* The path is appended to what is there, and judged by the topic alone. */
static void test_appends(void **state)
{
    struct mkv_buf key;

    (void)state;
    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    assert_int_equal(mkv_buf_append_u8(&key, 0x21), 0);
    assert_int_equal(mkv_topic_to_path(mkv_bytes_of("r"), 0, mkv_bytes_of("r/d/$NULL/:n"), &key),
                     0);
    assert_int_equal(mkv_topic_to_path(mkv_bytes_of("r"), 0, mkv_bytes_of("r/d/:n"), &key),
                     MKV_E_BAD_TOPIC);
    check_text(&key, "\x21\x10\x10");
    mkv_buf_deinit(&key);
}

/* Each allocation fails in turn: the error is told, and nothing is left behind. */
static void test_no_memory(void **state)
{
    static const char topic[] =
        CHECK_ROOT "/d/a/:1.5/0123456789012345678901234567890123456789/x/:y00ff";
    unsigned n = 0;

    (void)state;
    do {
        struct mkv_buf key;
        struct mkv_buf out;

        mkv_buf_init(&key, MKV_PATH_KEY_MAX);
        mkv_buf_init(&out, MKV_TOPIC_MAX);
        mem_fault_at(++n);

        int error = read_topic(MKV_PROFILE_PLAIN, mkv_bytes_of(topic), &key);

        assert_true(error == 0 || (error == MKV_E_NO_MEMORY && key.len == 0));
        if (error == 0) {
            error = mkv_topic_filter(mkv_bytes_of("r"), MKV_PROFILE_PORTABLE, mkv_buf_bytes(&key),
                                     &out);
            assert_true(error == 0 || (error == MKV_E_NO_MEMORY && out.len == 0));
        }
        assert_int_equal(error != 0, mem_fault_struck());
        mkv_buf_deinit(&key);
        mkv_buf_deinit(&out);
        assert_int_equal(mem_fault_live(), 0);
    } while (mem_fault_struck());
    assert_true(n > 3);
    mem_fault_at(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_topic),      cmocka_unit_test(test_damaged_topic),
        cmocka_unit_test(test_not_utf8),       cmocka_unit_test(test_path_limits),
        cmocka_unit_test(test_level_limit),    cmocka_unit_test(test_topic_limit),
        cmocka_unit_test(test_filter_and_svc), cmocka_unit_test(test_roots),
        cmocka_unit_test(test_appends),        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
