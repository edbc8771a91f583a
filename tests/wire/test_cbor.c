/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "cbor_fixture.h"
#include "cbor_vectors.h"
#include "lib/cbor_diag.h"
#include "lib/cbor_random.h"
#include "lib/check.h"
#include "lib/prng.h"
#include "wire/cbor.h"

static void append(struct mkv_buf *buf, const char *text)
{
    assert_int_equal(mkv_buf_append(buf, mkv_bytes_of(text)), 0);
}

static void append_n(struct mkv_buf *buf, uint8_t byte, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(mkv_buf_append_u8(buf, byte), 0);
    }
}

/* A copy on the heap of just that size, so that the sanitizer sees a read beyond the end. */
static struct mkv_bytes exact_copy(struct mkv_bytes bytes)
{
    uint8_t *at = malloc(bytes.len > 0 ? bytes.len : 1);

    assert_non_null(at);
    if (bytes.len > 0) {
        memcpy(at, bytes.at, bytes.len);
    }
    return mkv_bytes(at, bytes.len);
}

static void free_copy(struct mkv_bytes copy)
{
    free((void *)(uintptr_t)copy.at);
}

static int check_copy(struct mkv_bytes in)
{
    struct mkv_bytes copy = exact_copy(in);
    int error = mkv_cbor_check(copy);

    free_copy(copy);
    return error;
}

static void assert_diag(struct mkv_bytes in, const char *wanted)
{
    struct mkv_buf text;

    mkv_buf_init(&text, BUF_MAX);
    assert_int_equal(cbor_diag(in, &text), 0);
    assert_int_equal(mkv_buf_append_u8(&text, 0), 0);
    assert_string_equal((const char *)text.at, wanted);
    mkv_buf_deinit(&text);
}

/* What every accepted item has to be: cut anywhere TRUNCATED, followed by anything TRAILING. */
static void assert_item_is_whole(struct mkv_bytes item, size_t step)
{
    struct mkv_buf longer;

    assert_int_equal(check_copy(item), 0);
    for (size_t len = 0; len < item.len; len += step) {
        assert_int_equal(check_copy(mkv_bytes(item.at, len)), MKV_E_TRUNCATED);
    }

    mkv_buf_init(&longer, BUF_MAX);
    assert_int_equal(mkv_buf_append(&longer, item), 0);
    append(&longer, "\xff\xff");
    assert_int_equal(mkv_cbor_check(mkv_buf_bytes(&longer)), MKV_E_TRAILING);

    struct mkv_cbor_reader r = reader_of(mkv_buf_bytes(&longer));
    struct mkv_bytes raw = mkv_cbor_read_raw(&r);

    assert_int_equal(r.error, 0);
    assert_ptr_equal(raw.at, longer.at);
    assert_int_equal(raw.len, item.len);
    assert_int_equal(r.rest.len, 2);
    mkv_buf_deinit(&longer);
}

static void test_rfc_items(void **state)
{
    for (size_t i = 0; i < N_OF(cbor_items); i++) {
        struct mkv_bytes in = from_hex(*state, cbor_items[i].hex);

        assert_diag(in, cbor_items[i].diag);
        assert_item_is_whole(in, 1);
    }
}

/* The strict read that fits the item, as the same text: NULL if there is none. */
static const char *strict_diag(struct mkv_cbor_reader *r, char *text, size_t size)
{
    switch (mkv_cbor_peek(r)) {
    case MKV_CBOR_UINT:
        (void)snprintf(text, size, "%" PRIu64, mkv_cbor_read_uint(r));
        return text;
    case MKV_CBOR_NINT:
        (void)snprintf(text, size, "%" PRId64, mkv_cbor_read_int(r));
        return text;
    case MKV_CBOR_FALSE:
    case MKV_CBOR_TRUE:
        return mkv_cbor_read_bool(r) ? "true" : "false";
    case MKV_CBOR_NULL:
        mkv_cbor_read_null(r);
        return "null";
    default:
        return NULL;
    }
}

static void test_rfc_items_read_strictly(void **state)
{
    size_t n_read = 0;

    for (size_t i = 0; i < N_OF(cbor_items); i++) {
        struct mkv_cbor_reader r = reader_of(from_hex(*state, cbor_items[i].hex));
        char text[32];
        const char *diag = strict_diag(&r, text, sizeof(text));

        if (diag == NULL) {
            continue;
        }
        if (strcmp(cbor_items[i].diag, "-18446744073709551616") == 0) {
            assert_int_equal(mkv_cbor_finish(&r), MKV_E_BAD_NUMBER);
            continue;
        }
        assert_int_equal(mkv_cbor_finish(&r), 0);
        assert_string_equal(diag, cbor_items[i].diag);
        n_read++;
    }
    assert_int_equal(n_read, 11 + 4 + 3);
}

static void test_rfc_floats(void **state)
{
    for (size_t i = 0; i < N_OF(cbor_floats); i++) {
        struct mkv_bytes in = from_hex(*state, cbor_floats[i].hex);
        struct mkv_cbor_reader r = reader_of(in);
        double wanted = cbor_floats[i].value;
        double real = mkv_cbor_read_float(&r);

        assert_int_equal(mkv_cbor_finish(&r), 0);
        assert_true(isnan(wanted) ? isnan(real) : real == wanted);
        assert_int_equal(!!signbit(real), !!signbit(wanted));
        assert_item_is_whole(in, 1);
    }
}

static void test_rfc_texts_read_strictly(void **state)
{
    struct mkv_cbor_reader r = reader_of(from_hex(*state, "60616164f09085914401020304"));

    assert_int_equal(mkv_cbor_read_text(&r).len, 0);
    assert_true(mkv_bytes_equal(mkv_cbor_read_text(&r), mkv_bytes_of("a")));
    assert_true(mkv_bytes_equal(mkv_cbor_read_text(&r), mkv_bytes_of("\xf0\x90\x85\x91")));
    assert_true(mkv_bytes_equal(mkv_cbor_read_bytes(&r), mkv_bytes_of("\1\2\3\4")));
    assert_int_equal(mkv_cbor_finish(&r), 0);
}

static void test_rfc_ill_formed(void **state)
{
    for (size_t i = 0; i < N_OF(cbor_cut_off); i++) {
        struct mkv_bytes in = from_hex(*state, cbor_cut_off[i]);

        assert_int_equal(check_copy(in), MKV_E_TRUNCATED);
    }
    for (size_t i = 0; i < N_OF(cbor_syntax_errors); i++) {
        struct mkv_bytes in = from_hex(*state, cbor_syntax_errors[i]);
        int error = check_copy(in);

        /* a count that cannot be reached is noticed before the misplaced break behind it */
        assert_true(error == MKV_E_MALFORMED || error == MKV_E_TRUNCATED);

        struct mkv_cbor_reader r = reader_of(in);

        assert_null(mkv_cbor_read_raw(&r).at);
        assert_int_equal(r.error, error);
        assert_ptr_equal(r.rest.at, in.at);
        assert_int_equal(r.rest.len, in.len);
    }
    assert_int_equal(mkv_cbor_check(mkv_bytes(NULL, 0)), MKV_E_TRUNCATED);
}

/* @opening @depth times, then @content, then @closing as often. */
static struct mkv_bytes nest(struct mkv_buf *buf,
                             const char *const *wrap,
                             size_t depth,
                             const char *content)
{
    mkv_buf_clear(buf);
    for (size_t i = 0; i < depth; i++) {
        append(buf, wrap[0]);
    }
    append(buf, content);
    for (size_t i = 0; i < depth; i++) {
        append(buf, wrap[1]);
    }
    return mkv_buf_bytes(buf);
}

static void test_depth(void **state)
{
    static const char *const wraps[][2] = {
        {"\x81", ""},
        {"\xa1\x01", ""},
        {"\xc1", ""},
        {"\xd8\x01", ""},
        {"\x9f", "\xff"},
        {"\xbf\x01", "\xff"},
        {"\x82\x01", ""},
        {"\x82", "\x01"},
        {"\xa1", "\x01"},
        {"\xbf", "\x01\xff"},
        {"\xbf\x01\x02\x03", "\xff"},
    };
    /* each of these is a level of its own */
    static const char *const innermost[] = {"\x80",     "\xa0",     "\x9f\xff",     "\xbf\xff",
                                            "\xc1\x01", "\x5f\xff", "\x7f\x61z\xff"};

    for (size_t i = 0; i < N_OF(wraps); i++) {
        const char *const *wrap = wraps[i];

        assert_int_equal(mkv_cbor_check(nest(*state, wrap, MKV_CBOR_DEPTH_MAX, "\x17")), 0);
        assert_int_equal(mkv_cbor_check(nest(*state, wrap, MKV_CBOR_DEPTH_MAX + 1, "\x17")),
                         MKV_E_TOO_DEEP);
        for (size_t k = 0; k < N_OF(innermost); k++) {
            assert_int_equal(
                mkv_cbor_check(nest(*state, wrap, MKV_CBOR_DEPTH_MAX - 1, innermost[k])), 0);
            assert_int_equal(mkv_cbor_check(nest(*state, wrap, MKV_CBOR_DEPTH_MAX, innermost[k])),
                             MKV_E_TOO_DEEP);
        }
    }
}

static void test_depth_counts_from_each_raw_item(void **state)
{
    static const char *const list[] = {"\x81", ""};
    struct mkv_cbor_reader r = reader_of(nest(*state, list, MKV_CBOR_DEPTH_MAX + 8, "\x17"));

    for (int i = 0; i < 8; i++) {
        assert_int_equal(mkv_cbor_read_array(&r, 1), 1);
    }
    assert_int_equal(mkv_cbor_read_raw(&r).len, MKV_CBOR_DEPTH_MAX + 1);
    assert_int_equal(mkv_cbor_finish(&r), 0);
}

/* Endless nesting must stop at the limit and not take time or stack for the rest. */
static void test_depth_of_bombs(void **state)
{
    static const char *const bombs[] = {"\x81", "\x9f", "\xc1", "\xa1\x01", "\xbf\x01", "\x5f"};
    static const int errors[] = {MKV_E_TOO_DEEP, MKV_E_TOO_DEEP, MKV_E_TOO_DEEP,
                                 MKV_E_TOO_DEEP, MKV_E_TOO_DEEP, MKV_E_MALFORMED};

    for (size_t i = 0; i < N_OF(bombs); i++) {
        const char *const wrap[] = {bombs[i], ""};

        assert_int_equal(mkv_cbor_check(nest(*state, wrap, 100000, "")), errors[i]);
    }
}

static void put_be32_head(struct mkv_buf *buf, uint8_t first, uint32_t n)
{
    mkv_buf_clear(buf);
    assert_int_equal(mkv_buf_append_u8(buf, first), 0);
    assert_int_equal(mkv_buf_append_be32(buf, n), 0);
}

static void test_item_count(void **state)
{
    struct mkv_buf *buf = *state;
    uint32_t n_max = MKV_CBOR_ITEMS_MAX - 1; /* the list is an item, too */

    put_be32_head(buf, 0x9a, n_max);
    append_n(buf, 0xf6, n_max);
    assert_item_is_whole(mkv_buf_bytes(buf), 4099);

    put_be32_head(buf, 0x9a, n_max + 1);
    append_n(buf, 0xf6, n_max + 1);
    assert_int_equal(mkv_cbor_check(mkv_buf_bytes(buf)), MKV_E_TOO_MANY);

    put_be32_head(buf, 0xba, n_max / 2 + 1);
    append_n(buf, 0xf6, n_max + 1);
    assert_int_equal(mkv_cbor_check(mkv_buf_bytes(buf)), MKV_E_TOO_MANY);

    put_be32_head(buf, 0xba, n_max / 2);
    append_n(buf, 0xf6, n_max / 2 * 2);
    assert_int_equal(mkv_cbor_check(mkv_buf_bytes(buf)), 0);

    for (uint32_t n = n_max; n <= n_max + 1; n++) {
        int wanted = n == n_max ? 0 : MKV_E_TOO_MANY;

        mkv_buf_clear(buf);
        append(buf, "\x9f");
        append_n(buf, 0x00, n);
        append(buf, "\xff"); /* a break does not count */
        assert_int_equal(mkv_cbor_check(mkv_buf_bytes(buf)), wanted);

        mkv_buf_clear(buf);
        append(buf, "\x7f");
        append_n(buf, 0x60, n); /* chunks do */
        append(buf, "\xff");
        assert_int_equal(mkv_cbor_check(mkv_buf_bytes(buf)), wanted);
    }
}

static void test_size(void **state)
{
    struct mkv_buf *buf = *state;

    for (uint32_t size = MKV_VALUE_MAX; size <= MKV_VALUE_MAX + 1; size++) {
        put_be32_head(buf, 0x5a, size - 5);
        append_n(buf, 0, size - 5);

        struct mkv_bytes in = mkv_buf_bytes(buf);

        assert_int_equal(mkv_cbor_check(in), size <= MKV_VALUE_MAX ? 0 : MKV_E_TOO_LARGE);
        assert_int_equal(mkv_cbor_check(mkv_bytes(in.at, in.len - 1)), MKV_E_TRUNCATED);

        struct mkv_cbor_reader r = reader_of(in);

        mkv_cbor_skip(&r);
        assert_int_equal(r.rest.len, size <= MKV_VALUE_MAX ? 0 : size);
    }
}

/* Only the parts of one item count together, not all that a reader comes across. */
static void test_item_count_is_per_raw_item(void **state)
{
    struct mkv_buf *buf = *state;

    mkv_buf_clear(buf);
    append_n(buf, 0xf6, 2 * MKV_CBOR_ITEMS_MAX);

    struct mkv_cbor_reader r = reader_of(mkv_buf_bytes(buf));

    for (size_t i = 0; i < 2 * MKV_CBOR_ITEMS_MAX; i++) {
        mkv_cbor_skip(&r);
    }
    assert_int_equal(mkv_cbor_finish(&r), 0);
}

/* Lengths and counts that cannot be true are refused before they are used for anything. */
static void test_huge_lengths(void **state)
{
    static const uint8_t firsts[] = {0x5b, 0x7b, 0x9b, 0xbb};
    static const uint64_t lengths[] = {
        UINT64_MAX,        UINT64_MAX - 8,          UINT64_C(1) << 63,   (UINT64_C(1) << 63) + 1,
        UINT64_C(1) << 32, (UINT64_C(1) << 32) + 1, (UINT64_C(1) << 31),
    };
    struct mkv_buf *buf = *state;

    for (size_t i = 0; i < N_OF(firsts); i++) {
        for (size_t k = 0; k < N_OF(lengths); k++) {
            mkv_buf_clear(buf);
            assert_int_equal(mkv_buf_append_u8(buf, firsts[i]), 0);
            assert_int_equal(mkv_buf_append_be64(buf, lengths[k]), 0);
            append_n(buf, 0, 2);
            assert_int_equal(check_copy(mkv_buf_bytes(buf)), MKV_E_TRUNCATED);

            struct mkv_cbor_reader r = reader_of(mkv_buf_bytes(buf));
            struct mkv_cbor_item item;

            mkv_cbor_next(&r, &item);
            assert_int_equal(r.error, MKV_E_TRUNCATED);
            assert_int_equal(item.kind, MKV_CBOR_END);
        }
    }
}

/* What each strict read makes of an input. */
enum strict_read {
    AS_UINT,
    AS_INT,
    AS_BYTES,
    AS_TEXT,
    AS_BOOL,
    AS_NULL,
    AS_FLOAT,
    AS_ARRAY,
    AS_MAP
};

static void read_strictly(struct mkv_cbor_reader *r, enum strict_read as)
{
    switch (as) {
    case AS_UINT:
        assert_int_equal(mkv_cbor_read_uint(r), 0);
        break;
    case AS_INT:
        assert_int_equal(mkv_cbor_read_int(r), 0);
        break;
    case AS_BYTES:
        assert_null(mkv_cbor_read_bytes(r).at);
        break;
    case AS_TEXT:
        assert_null(mkv_cbor_read_text(r).at);
        break;
    case AS_BOOL:
        assert_false(mkv_cbor_read_bool(r));
        break;
    case AS_NULL:
        mkv_cbor_read_null(r);
        break;
    case AS_FLOAT:
        assert_true(mkv_cbor_read_float(r) == 0);
        break;
    case AS_ARRAY:
        assert_int_equal(mkv_cbor_read_array(r, 3), 0);
        break;
    case AS_MAP:
        assert_int_equal(mkv_cbor_read_map(r, 3), 0);
        break;
    }
}

static void test_strict_refusals(void **state)
{
    static const struct {
        enum strict_read as;
        int error;
        const char *hex;
    } cases[] = {
        {AS_UINT, MKV_E_TRUNCATED, ""},
        {AS_UINT, MKV_E_TRUNCATED, "18"},
        {AS_UINT, MKV_E_TRUNCATED, "1bffffffffffffff"},
        {AS_UINT, MKV_E_MALFORMED, "1c"},
        {AS_UINT, MKV_E_MALFORMED, "1f"},
        {AS_UINT, MKV_E_MALFORMED, "20"},
        {AS_UINT, MKV_E_MALFORMED, "ff"},
        {AS_UINT, MKV_E_MALFORMED, "c100"},
        {AS_UINT, MKV_E_MALFORMED, "f90000"},
        {AS_UINT, MKV_E_NOT_MINIMAL, "1800"},
        {AS_UINT, MKV_E_NOT_MINIMAL, "1817"},
        {AS_UINT, MKV_E_NOT_MINIMAL, "1900ff"},
        {AS_UINT, MKV_E_NOT_MINIMAL, "1a0000ffff"},
        {AS_UINT, MKV_E_NOT_MINIMAL, "1b00000000ffffffff"},
        {AS_INT, MKV_E_NOT_MINIMAL, "3817"},
        {AS_INT, MKV_E_NOT_MINIMAL, "3b00000000ffffffff"},
        {AS_INT, MKV_E_BAD_NUMBER, "1b8000000000000000"},
        {AS_INT, MKV_E_BAD_NUMBER, "3b8000000000000000"},
        {AS_INT, MKV_E_BAD_NUMBER, "3bffffffffffffffff"},
        {AS_INT, MKV_E_MALFORMED, "3f"},
        {AS_INT, MKV_E_MALFORMED, "40"},
        {AS_INT, MKV_E_TRUNCATED, "38"},
        {AS_BYTES, MKV_E_MALFORMED, "60"},
        {AS_BYTES, MKV_E_MALFORMED, "5f4100ff"},
        {AS_BYTES, MKV_E_NOT_MINIMAL, "580100"},
        {AS_BYTES, MKV_E_TRUNCATED, "42ff"},
        {AS_BYTES, MKV_E_TRUNCATED, "5bffffffffffffffff"},
        {AS_TEXT, MKV_E_MALFORMED, "40"},
        {AS_TEXT, MKV_E_MALFORMED, "7f6100ff"},
        {AS_TEXT, MKV_E_NOT_MINIMAL, "780100"},
        {AS_TEXT, MKV_E_TRUNCATED, "62c3"},
        {AS_TEXT, MKV_E_BAD_UTF8, "61c3"},
        {AS_BOOL, MKV_E_MALFORMED, "f6"},
        {AS_BOOL, MKV_E_MALFORMED, "00"},
        {AS_BOOL, MKV_E_MALFORMED, "f814"},
        {AS_BOOL, MKV_E_TRUNCATED, ""},
        {AS_NULL, MKV_E_MALFORMED, "f7"},
        {AS_NULL, MKV_E_MALFORMED, "f816"},
        {AS_NULL, MKV_E_TRUNCATED, ""},
        {AS_FLOAT, MKV_E_MALFORMED, "00"},
        {AS_FLOAT, MKV_E_MALFORMED, "fc"},
        {AS_FLOAT, MKV_E_TRUNCATED, "fb00000000000000"},
        {AS_FLOAT, MKV_E_TRUNCATED, "f900"},
        {AS_ARRAY, MKV_E_MALFORMED, "a0"},
        {AS_ARRAY, MKV_E_MALFORMED, "9fff"},
        {AS_ARRAY, MKV_E_NOT_MINIMAL, "980100"},
        {AS_ARRAY, MKV_E_TOO_MANY, "8400000000"},
        {AS_ARRAY, MKV_E_TOO_MANY, "9bffffffffffffffff"},
        {AS_ARRAY, MKV_E_TRUNCATED, "830000"},
        {AS_MAP, MKV_E_MALFORMED, "80"},
        {AS_MAP, MKV_E_MALFORMED, "bfff"},
        {AS_MAP, MKV_E_NOT_MINIMAL, "b8010000"},
        {AS_MAP, MKV_E_TOO_MANY, "a40000000000000000"},
        {AS_MAP, MKV_E_TRUNCATED, "a30000000000"},
    };

    for (size_t i = 0; i < N_OF(cases); i++) {
        struct mkv_bytes in = from_hex(*state, cases[i].hex);
        struct mkv_cbor_reader r = reader_of(in);

        read_strictly(&r, cases[i].as);
        assert_int_equal(r.error, cases[i].error);
        assert_int_equal(r.rest.len, in.len); /* what is refused is not consumed */
    }
}

static void test_uint_below(void **state)
{
    struct mkv_cbor_reader r = reader_of(from_hex(*state, "18ff18ff"));

    assert_int_equal(mkv_cbor_read_uint_below(&r, 256), 255);
    assert_int_equal(mkv_cbor_read_uint_below(&r, 255), 0);
    assert_int_equal(mkv_cbor_finish(&r), MKV_E_BAD_NUMBER);

    r = reader_of(from_hex(*state, "1bffffffffffffffff"));
    assert_int_equal(mkv_cbor_read_uint_below(&r, UINT64_MAX), 0);
    assert_int_equal(mkv_cbor_finish(&r), MKV_E_BAD_NUMBER);
}

static void test_int_extremes(void **state)
{
    struct mkv_cbor_reader r = reader_of(from_hex(*state, "1b7fffffffffffffff3b7fffffffffffffff"));

    assert_true(mkv_cbor_read_int(&r) == INT64_MAX);
    assert_true(mkv_cbor_read_int(&r) == INT64_MIN);
    assert_int_equal(mkv_cbor_finish(&r), 0);
}

/* After an error nothing is read any more, however good, and the first error stays. */
static void test_error_is_sticky(void **state)
{
    struct mkv_bytes in = from_hex(*state, "01f5820102f6616140f93c00a0");
    struct mkv_cbor_reader r = reader_of(in);
    struct mkv_cbor_item item;

    mkv_cbor_fail(&r, MKV_E_BAD_TICK);
    mkv_cbor_fail(&r, MKV_E_BAD_PATH);
    for (enum strict_read as = AS_UINT; as <= AS_MAP; as++) {
        read_strictly(&r, as);
    }
    assert_int_equal(mkv_cbor_read_uint_below(&r, 9), 0);
    assert_null(mkv_cbor_read_raw(&r).at);
    mkv_cbor_skip(&r);
    mkv_cbor_next(&r, &item);
    assert_int_equal(item.kind, MKV_CBOR_END);
    assert_int_equal(mkv_cbor_peek(&r), MKV_CBOR_END);
    assert_int_equal(r.rest.len, in.len);
    assert_int_equal(mkv_cbor_finish(&r), MKV_E_BAD_TICK);
}

static void test_finish(void **state)
{
    struct mkv_cbor_reader r = reader_of(from_hex(*state, "0102"));

    assert_int_equal(mkv_cbor_read_uint(&r), 1);
    assert_int_equal(mkv_cbor_finish(&r), MKV_E_TRAILING);
    assert_int_equal(mkv_cbor_read_uint(&r), 0);

    r = reader_of(mkv_bytes(NULL, 0));
    assert_int_equal(mkv_cbor_finish(&r), 0);
}

static void test_peek_and_next_at_the_end(void **state)
{
    struct mkv_cbor_reader r = reader_of(from_hex(*state, "ff"));
    struct mkv_cbor_item item;

    assert_int_equal(mkv_cbor_peek(&r), MKV_CBOR_BREAK);
    mkv_cbor_next(&r, &item);
    assert_int_equal(item.kind, MKV_CBOR_BREAK);
    assert_false(item.indefinite);
    mkv_cbor_next(&r, &item);
    assert_int_equal(item.kind, MKV_CBOR_END);
    assert_int_equal(r.error, 0);
}

static void test_every_first_byte(void **state)
{
    static const enum mkv_cbor_kind by_major[] = {
        MKV_CBOR_UINT,  MKV_CBOR_NINT, MKV_CBOR_BYTES, MKV_CBOR_TEXT,
        MKV_CBOR_ARRAY, MKV_CBOR_MAP,  MKV_CBOR_TAG,
    };

    (void)state;
    for (unsigned first = 0; first < 256; first++) {
        uint8_t in[64] = {(uint8_t)first, 0x40}; /* the rest is zero: enough for any short item */
        struct mkv_cbor_reader r = reader_of(mkv_bytes(in, sizeof(in)));
        struct mkv_cbor_item item;
        enum mkv_cbor_kind kind = mkv_cbor_peek(&r);
        unsigned info = first & 0x1f;

        mkv_cbor_next(&r, &item);
        if (first < 0xe0) {
            assert_int_equal(kind, by_major[first >> 5]);
        }

        bool is_reserved =
            (info >= 28 && info <= 30) || first == 0x1f || first == 0x3f || first == 0xdf;

        assert_int_equal(r.error == MKV_E_MALFORMED, is_reserved);
        assert_int_equal(item.kind, r.error == 0 ? kind : MKV_CBOR_END);
        assert_int_equal(item.indefinite, info == 31 && !is_reserved && first != 0xff);
    }
}

static void test_wild_items(void **state)
{
    struct mkv_buf *buf = *state;

    for (uint64_t seed = SEED_BASE; seed < SEED_BASE + N_SEEDS; seed++) {
        struct prng prng = {seed};

        mkv_buf_clear(buf);
        cbor_random_item(&prng, (size_t)prng_below(&prng, 60), buf);

        struct mkv_buf diag;

        mkv_buf_init(&diag, BUF_MAX);
        if (mkv_cbor_check(mkv_buf_bytes(buf)) != 0 || cbor_diag(mkv_buf_bytes(buf), &diag) != 0) {
            fail_msg("seed %#" PRIx64, seed);
        }
        mkv_buf_deinit(&diag);
        if (seed % 8 == 0) {
            assert_item_is_whole(mkv_buf_bytes(buf), 1);
        }
    }
}

/* Damages a good item, so that the errors lie deep inside it. */
static void damage(struct prng *prng, struct mkv_buf *buf)
{
    for (uint64_t n = 1 + prng_below(prng, 3); n > 0 && buf->len > 0; n--) {
        size_t i = (size_t)prng_below(prng, buf->len);

        switch (prng_below(prng, 3)) {
        case 0:
            buf->at[i] = (uint8_t)prng_next(prng);
            break;
        case 1:
            buf->at[i] ^= (uint8_t)(1U << prng_below(prng, 8));
            break;
        default:
            memmove(buf->at + i, buf->at + i + 1, buf->len - i - 1);
            mkv_buf_truncate(buf, buf->len - 1);
            break;
        }
    }
}

static void test_damaged_items_and_noise(void **state)
{
    struct mkv_buf *buf = *state;
    size_t n_refused = 0;

    for (uint64_t seed = SEED_BASE; seed < SEED_BASE + 10 * N_SEEDS; seed++) {
        struct prng prng = {seed};

        mkv_buf_clear(buf);
        if (seed % 4 == 0) {
            append_n(buf, 0, (size_t)prng_below(&prng, 64));
            prng_fill(&prng, buf->at, buf->len);
        } else {
            cbor_random_item(&prng, (size_t)prng_below(&prng, 40), buf);
            damage(&prng, buf);
        }

        struct mkv_buf diag;
        int error = check_copy(mkv_buf_bytes(buf));

        mkv_buf_init(&diag, BUF_MAX);
        if (cbor_diag(mkv_buf_bytes(buf), &diag) != error) {
            fail_msg("seed %#" PRIx64, seed);
        }
        mkv_buf_deinit(&diag);
        n_refused += error != 0;
    }
    assert_in_range(n_refused, N_SEEDS, 9 * N_SEEDS); /* or the test tests nothing */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc_items),
        cmocka_unit_test(test_rfc_items_read_strictly),
        cmocka_unit_test(test_rfc_floats),
        cmocka_unit_test(test_rfc_texts_read_strictly),
        cmocka_unit_test(test_rfc_ill_formed),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_depth_counts_from_each_raw_item),
        cmocka_unit_test(test_depth_of_bombs),
        cmocka_unit_test(test_item_count),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_item_count_is_per_raw_item),
        cmocka_unit_test(test_huge_lengths),
        cmocka_unit_test(test_strict_refusals),
        cmocka_unit_test(test_uint_below),
        cmocka_unit_test(test_int_extremes),
        cmocka_unit_test(test_error_is_sticky),
        cmocka_unit_test(test_finish),
        cmocka_unit_test(test_peek_and_next_at_the_end),
        cmocka_unit_test(test_every_first_byte),
        cmocka_unit_test(test_wild_items),
        cmocka_unit_test(test_damaged_items_and_noise),
    };

    return cmocka_run_group_tests(tests, setup_buf, teardown_buf);
}
