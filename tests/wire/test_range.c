/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges and their pieces: what is read, what is refused, and where the limits are. */
#include "base/limits.h"
#include "lib/check.h"
#include "wire/range.h"

static const uint8_t zeros[2048];
static struct mkv_buf out;

static int setup(void **state)
{
    (void)state;
    mkv_buf_init(&out, MKV_FRAME_MAX);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mkv_buf_deinit(&out);
    return 0;
}

static struct mkv_range range_of(const char *from, const char *to)
{
    return (struct mkv_range){mkv_bytes_of(from), mkv_bytes_of(to)};
}

/* Into @out, from its start; the writer's error. */
static int write_ranges(const struct mkv_range *ranges, uint32_t n)
{
    struct mkv_cbor_writer w;

    mkv_buf_clear(&out);
    mkv_cbor_writer_init(&w, &out);
    mkv_ranges_write(&w, ranges, n);
    return w.error;
}

/* The error of walking a list of ranges; the raw check must say the same. */
static int walk_ranges(struct mkv_bytes ranges, uint32_t *ret_n)
{
    struct mkv_range_reader r;
    struct mkv_range range;
    struct mkv_cbor_reader raw;
    int error = mkv_range_reader_init(&r, ranges);

    *ret_n = 0;
    while (error == 0 && mkv_range_reader_next(&r, &range)) {
        (*ret_n)++;
    }
    mkv_cbor_reader_init(&raw, ranges);
    (void)mkv_ranges_read_raw(&raw);
    assert_int_equal(mkv_cbor_finish(&raw), r.cbor.error);
    return r.cbor.error;
}

static int refusal(const char *bytes, size_t len)
{
    uint32_t n;

    return walk_ranges(mkv_bytes(bytes, len), &n);
}

static void ranges_are_read_as_written(void **state)
{
    const struct mkv_range ranges[] = {range_of("", "a"), range_of("a", "ab"), range_of("c", "d"),
                                       range_of("b", "")};
    struct mkv_range_reader r;
    struct mkv_range range;

    (void)state;
    assert_int_equal(write_ranges(ranges, 4), 0);
    assert_int_equal(mkv_range_reader_init(&r, mkv_buf_bytes(&out)), 0);
    for (size_t i = 0; i < 4; i++) {
        assert_true(mkv_range_reader_next(&r, &range));
        assert_true(mkv_bytes_equal(range.from, ranges[i].from));
        assert_true(mkv_bytes_equal(range.to, ranges[i].to));
    }
    assert_false(mkv_range_reader_next(&r, &range));
    assert_int_equal(r.cbor.error, 0);
}

static void ranges_that_hold_nothing_are_refused(void **state)
{
    struct mkv_range range = range_of("a", "a");

    (void)state;
    assert_int_equal(refusal("\x81\x82\x41\x61\x41\x62", 6), 0);
    assert_int_equal(refusal("\x81\x82\x41\x61\x41\x61", 6), MKV_E_MALFORMED);
    assert_int_equal(refusal("\x81\x82\x42\x61\x00\x41\x61", 7), MKV_E_MALFORMED);
    assert_int_equal(refusal("\x81\x82\x41\x61\x40", 5), 0);
    assert_int_equal(write_ranges(&range, 1), MKV_E_MALFORMED);
}

static void what_is_no_list_of_ranges_is_refused(void **state)
{
    (void)state;
    assert_int_equal(refusal("\x80", 1), MKV_E_MALFORMED);
    assert_int_equal(refusal("\xa0", 1), MKV_E_MALFORMED);
    assert_int_equal(refusal("", 0), MKV_E_TRUNCATED);
    assert_int_equal(refusal("\x81\x81\x40", 3), MKV_E_MALFORMED);
    assert_int_equal(refusal("\x81\x83\x40\x40\x40", 5), MKV_E_MALFORMED);
    assert_int_equal(refusal("\x81\x82\x60\x40", 4), MKV_E_MALFORMED);
    assert_int_equal(refusal("\x81\x82\x40\x40\x00", 5), MKV_E_TRAILING);
    assert_int_equal(refusal("\x81\x82\x58\x01\x61\x40", 6), MKV_E_NOT_MINIMAL);
}

static void ranges_have_limits(void **state)
{
    struct mkv_range ranges[MKV_RANGES_MAX + 1];
    uint32_t n;

    (void)state;
    for (uint32_t i = 0; i <= MKV_RANGES_MAX; i++) {
        ranges[i] = range_of("", "");
    }
    assert_int_equal(write_ranges(ranges, MKV_RANGES_MAX), 0);
    assert_int_equal(walk_ranges(mkv_buf_bytes(&out), &n), 0);
    assert_int_equal(n, MKV_RANGES_MAX);
    assert_int_equal(write_ranges(ranges, MKV_RANGES_MAX + 1), MKV_E_TOO_LARGE);
    assert_int_equal(write_ranges(ranges, 0), MKV_E_MALFORMED);
    out.len = 0;
    assert_int_equal(mkv_buf_append(&out, mkv_bytes("\x98\x41", 2)), 0);
    assert_int_equal(mkv_buf_append(&out, mkv_bytes(zeros, sizeof(zeros))), 0);
    assert_int_equal(walk_ranges(mkv_buf_bytes(&out), &n), MKV_E_TOO_MANY);
}

static void bounds_have_a_longest(void **state)
{
    struct mkv_range range = {mkv_bytes(zeros, MKV_PATH_KEY_MAX - 1),
                              mkv_bytes(zeros, MKV_PATH_KEY_MAX)};
    uint32_t n;

    (void)state;
    assert_int_equal(write_ranges(&range, 1), 0);
    assert_int_equal(walk_ranges(mkv_buf_bytes(&out), &n), 0);
    range.to.len++;
    assert_int_equal(write_ranges(&range, 1), MKV_E_TOO_LARGE);
    mkv_buf_clear(&out);
    assert_int_equal(mkv_buf_append(&out, mkv_bytes("\x81\x82\x40\x59\x04\x01", 6)), 0);
    assert_int_equal(mkv_buf_append(&out, mkv_bytes(zeros, MKV_PATH_KEY_MAX + 1)), 0);
    assert_int_equal(walk_ranges(mkv_buf_bytes(&out), &n), MKV_E_TOO_LARGE);
}

static bool ascend(const struct mkv_range *ranges, uint32_t n)
{
    assert_int_equal(write_ranges(ranges, n), 0);
    return mkv_ranges_ascend(mkv_buf_bytes(&out));
}

static void order_of_ranges_is_seen(void **state)
{
    const struct mkv_range good[] = {range_of("", "a"), range_of("a", "b"), range_of("ba", "")};
    const struct mkv_range overlap[] = {range_of("a", "c"), range_of("b", "d")};
    const struct mkv_range swapped[] = {range_of("c", "d"), range_of("a", "b")};
    const struct mkv_range behind_the_end[] = {range_of("a", ""), range_of("b", "c")};
    const struct mkv_range whole_twice[] = {range_of("", ""), range_of("", "")};

    (void)state;
    assert_true(ascend(good, 1));
    assert_true(ascend(good, 3));
    assert_false(ascend(overlap, 2));
    assert_false(ascend(swapped, 2));
    assert_false(ascend(behind_the_end, 2));
    assert_false(ascend(whole_twice, 2));
    assert_false(mkv_ranges_ascend(mkv_bytes("\x80", 1)));
    assert_false(mkv_ranges_ascend(mkv_bytes("\x82\x82\x40\x41\x61\x82\x41\x61", 8)));
}

/* --- Pieces ------------------------------------------------------------------------------- */

/* One list of pieces with these ends, the last of which may be empty. */
static int write_pieces(struct mkv_cbor_writer *w, const char *const *uptos, uint32_t n)
{
    struct mkv_piece pieces[MKV_PIECES_MAX + 1];

    for (uint32_t i = 0; i < n; i++) {
        pieces[i] = (struct mkv_piece){.upto = mkv_bytes_of(uptos[i]), .count = i};
        pieces[i].digest[15] = (uint8_t)(0xa0 + i);
    }
    mkv_pieces_write(w, pieces, n);
    return w->error;
}

static void begin_sums(struct mkv_cbor_writer *w, uint64_t n)
{
    mkv_buf_clear(&out);
    mkv_cbor_writer_init(w, &out);
    mkv_cbor_write_array(w, n);
}

/* The error of reading @sums along @ranges, and how many pieces there were before it. */
static int walk_sums(const struct mkv_range *ranges, uint32_t n, uint32_t *ret_pieces)
{
    struct mkv_sums_reader r;
    struct mkv_piece piece;
    int error = mkv_sums_reader_init(&r, mkv_buf_bytes(&out));

    *ret_pieces = 0;
    for (uint32_t i = 0; i < n && error == 0; i++) {
        if (!mkv_sums_reader_enter(&r, ranges[i])) {
            break;
        }
        while (mkv_sums_reader_next(&r, &piece)) {
            (*ret_pieces)++;
        }
    }
    return mkv_sums_reader_finish(&r);
}

static int raw_error(void)
{
    struct mkv_cbor_reader raw;

    mkv_cbor_reader_init(&raw, mkv_buf_bytes(&out));
    (void)mkv_sums_read_raw(&raw);
    return mkv_cbor_finish(&raw);
}

static void pieces_are_read_as_written(void **state)
{
    static const char *const uptos[] = {"b", "c", "cc", "e"};
    struct mkv_cbor_writer w;
    struct mkv_sums_reader r;
    struct mkv_piece piece;

    (void)state;
    begin_sums(&w, 1);
    assert_int_equal(write_pieces(&w, uptos, 4), 0);
    assert_int_equal(raw_error(), 0);
    assert_int_equal(mkv_sums_reader_init(&r, mkv_buf_bytes(&out)), 0);
    assert_true(mkv_sums_reader_enter(&r, range_of("a", "e")));
    for (uint32_t i = 0; i < 4; i++) {
        assert_true(mkv_sums_reader_next(&r, &piece));
        assert_true(mkv_bytes_equal(piece.upto, mkv_bytes_of(uptos[i])));
        assert_int_equal(piece.count, i);
        assert_int_equal(piece.digest[15], 0xa0 + i);
    }
    assert_false(mkv_sums_reader_next(&r, &piece));
    assert_int_equal(mkv_sums_reader_finish(&r), 0);
}

static int walk_one(const char *const *uptos, uint32_t n, struct mkv_range range)
{
    struct mkv_cbor_writer w;
    uint32_t n_pieces;

    begin_sums(&w, 1);
    assert_int_equal(write_pieces(&w, uptos, n), 0);
    assert_int_equal(raw_error(), 0);
    return walk_sums(&range, 1, &n_pieces);
}

static void pieces_must_fill_the_range(void **state)
{
    static const char *const uptos[] = {"b", "c", ""};

    (void)state;
    assert_int_equal(walk_one(uptos, 3, range_of("a", "")), 0);
    assert_int_equal(walk_one(uptos, 3, range_of("", "")), 0);
    assert_int_equal(walk_one(uptos, 2, range_of("a", "c")), 0);
    assert_int_equal(walk_one(uptos, 2, range_of("a", "d")), MKV_E_MALFORMED);
    assert_int_equal(walk_one(uptos, 2, range_of("a", "bb")), MKV_E_MALFORMED);
    assert_int_equal(walk_one(uptos, 2, range_of("a", "b")), MKV_E_MALFORMED);
    assert_int_equal(walk_one(uptos, 2, range_of("a", "")), MKV_E_MALFORMED);
    assert_int_equal(walk_one(uptos, 3, range_of("a", "d")), MKV_E_MALFORMED);
    assert_int_equal(walk_one(uptos, 2, range_of("b", "c")), MKV_E_MALFORMED);
    assert_int_equal(walk_one(uptos, 2, range_of("bb", "c")), MKV_E_MALFORMED);
}

/* What lies outside is not handed out first and refused afterwards. */
static void no_piece_outside_the_range_is_seen(void **state)
{
    static const char *const uptos[] = {"b", "x", "y"};
    const struct mkv_range range = range_of("a", "c");
    struct mkv_cbor_writer w;
    uint32_t n_pieces;

    (void)state;
    begin_sums(&w, 1);
    assert_int_equal(write_pieces(&w, uptos, 3), 0);
    assert_int_equal(walk_sums(&range, 1, &n_pieces), MKV_E_MALFORMED);
    assert_int_equal(n_pieces, 1);
}

static void there_is_one_list_for_each_range(void **state)
{
    static const char *const uptos[] = {"b", "c"};
    const struct mkv_range ranges[] = {range_of("a", "c"), range_of("", "c"), range_of("", "c")};
    struct mkv_cbor_writer w;
    uint32_t n_pieces;

    (void)state;
    begin_sums(&w, 2);
    assert_int_equal(write_pieces(&w, uptos, 2), 0);
    assert_int_equal(write_pieces(&w, uptos, 2), 0);
    assert_int_equal(walk_sums(ranges, 2, &n_pieces), 0);
    assert_int_equal(n_pieces, 4);
    assert_int_equal(walk_sums(ranges, 1, &n_pieces), MKV_E_MALFORMED);
    assert_int_equal(walk_sums(ranges, 3, &n_pieces), MKV_E_MALFORMED);
    assert_int_equal(n_pieces, 4);
}

/* A reader that leaves a list early has the rest of it checked. */
static void pieces_left_unread_are_checked(void **state)
{
    static const char *const uptos[] = {"b", "c"};
    struct mkv_cbor_writer w;
    struct mkv_sums_reader r;

    (void)state;
    begin_sums(&w, 2);
    assert_int_equal(write_pieces(&w, uptos, 2), 0);
    assert_int_equal(write_pieces(&w, uptos, 2), 0);
    assert_int_equal(mkv_sums_reader_init(&r, mkv_buf_bytes(&out)), 0);
    assert_true(mkv_sums_reader_enter(&r, range_of("a", "c")));
    assert_true(mkv_sums_reader_enter(&r, range_of("a", "c")));
    assert_int_equal(mkv_sums_reader_finish(&r), 0);
    assert_int_equal(mkv_sums_reader_init(&r, mkv_buf_bytes(&out)), 0);
    assert_true(mkv_sums_reader_enter(&r, range_of("a", "x")));
    assert_false(mkv_sums_reader_enter(&r, range_of("a", "c")));
    assert_int_equal(mkv_sums_reader_finish(&r), MKV_E_MALFORMED);
}

static int raw_error_of(const char *bytes, size_t len)
{
    mkv_buf_clear(&out);
    assert_int_equal(mkv_buf_append(&out, mkv_bytes(bytes, len)), 0);
    return raw_error();
}

#define DIGEST                                                                                     \
    "\x50"                                                                                         \
    "0123456789abcdef"

static void what_are_no_sums_is_refused(void **state)
{
    (void)state;
    assert_int_equal(raw_error_of("\x81\x81\x83\x40\x00" DIGEST, 22), 0);
    assert_int_equal(raw_error_of("\x80", 1), MKV_E_MALFORMED);
    assert_int_equal(raw_error_of("\x81\x80", 2), MKV_E_MALFORMED);
    assert_int_equal(raw_error_of("\x81\x81\x82\x40\x00", 5), MKV_E_MALFORMED);
    assert_int_equal(raw_error_of("\x81\x81\x83\x40\x20" DIGEST, 22), MKV_E_MALFORMED);
    assert_int_equal(raw_error_of("\x81\x81\x83\x40\x00\x4f"
                                  "0123456789abcde",
                                  21),
                     MKV_E_MALFORMED);
    assert_int_equal(raw_error_of("\x81\x81\x83\x60\x00" DIGEST, 22), MKV_E_MALFORMED);
    /* an end of all keys in the middle */
    assert_int_equal(raw_error_of("\x81\x82\x83\x40\x00" DIGEST "\x83\x41\x61\x00" DIGEST, 43),
                     MKV_E_MALFORMED);
    /* twice the same end */
    assert_int_equal(raw_error_of("\x81\x82\x83\x41\x61\x00" DIGEST "\x83\x41\x61\x00" DIGEST, 44),
                     MKV_E_MALFORMED);
    assert_int_equal(raw_error_of("\x81\x82\x83\x41\x61\x00" DIGEST "\x83\x41\x62\x00" DIGEST, 44),
                     0);
}

static void pieces_have_limits(void **state)
{
    static const char *const uptos[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i",
                                        "j", "k", "l", "m", "n", "o", "p", ""};
    struct mkv_cbor_writer w;

    (void)state;
    begin_sums(&w, MKV_RANGES_MAX);
    for (unsigned i = 0; i < MKV_RANGES_MAX; i++) {
        assert_int_equal(write_pieces(&w, uptos, MKV_PIECES_MAX), 0);
    }
    assert_int_equal(raw_error(), 0);
    assert_int_equal(write_pieces(&w, uptos, MKV_PIECES_MAX + 1), MKV_E_TOO_LARGE);
    begin_sums(&w, 1);
    assert_int_equal(write_pieces(&w, uptos, 0), MKV_E_MALFORMED);
    begin_sums(&w, 1);
    assert_int_equal(write_pieces(&w, (const char *const[]){"a", "a"}, 2), MKV_E_MALFORMED);
    begin_sums(&w, 1);
    assert_int_equal(write_pieces(&w, (const char *const[]){"", "a"}, 2), MKV_E_MALFORMED);

    begin_sums(&w, MKV_RANGES_MAX + 1);
    mkv_cbor_write_raw(&w, mkv_bytes(zeros, sizeof(zeros)));
    assert_int_equal(raw_error(), MKV_E_TOO_MANY);
    begin_sums(&w, 1);
    mkv_cbor_write_array(&w, MKV_PIECES_MAX + 1);
    mkv_cbor_write_raw(&w, mkv_bytes(zeros, sizeof(zeros)));
    assert_int_equal(raw_error(), MKV_E_TOO_MANY);
}

/* The largest sums there can be are larger than a value may be, and fit into a frame. */
static void the_largest_sums_are_read(void **state)
{
    static uint8_t bound[MKV_PATH_KEY_MAX];
    struct mkv_piece pieces[MKV_PIECES_MAX] = {0};
    uint8_t bounds[MKV_PIECES_MAX][MKV_PATH_KEY_MAX];
    struct mkv_cbor_writer w;

    (void)state;
    for (unsigned i = 0; i < MKV_PIECES_MAX; i++) {
        memcpy(bounds[i], bound, sizeof(bound));
        bounds[i][0] = (uint8_t)i;
        pieces[i].upto = mkv_bytes(bounds[i], sizeof(bound));
        pieces[i].count = UINT64_MAX;
    }
    begin_sums(&w, MKV_RANGES_MAX);
    for (unsigned i = 0; i < MKV_RANGES_MAX; i++) {
        mkv_pieces_write(&w, pieces, MKV_PIECES_MAX);
    }
    assert_int_equal(w.error, 0);
    assert_true(out.len > MKV_VALUE_MAX);
    assert_int_equal(raw_error(), 0);
    pieces[0].upto = mkv_bytes(zeros, MKV_PATH_KEY_MAX + 1);
    begin_sums(&w, 1);
    mkv_pieces_write(&w, pieces, 1);
    assert_int_equal(w.error, MKV_E_TOO_LARGE);
}

#define WITH_BUF(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BUF(ranges_are_read_as_written),
        WITH_BUF(ranges_that_hold_nothing_are_refused),
        WITH_BUF(what_is_no_list_of_ranges_is_refused),
        WITH_BUF(ranges_have_limits),
        WITH_BUF(bounds_have_a_longest),
        WITH_BUF(order_of_ranges_is_seen),
        WITH_BUF(pieces_are_read_as_written),
        WITH_BUF(pieces_must_fill_the_range),
        WITH_BUF(no_piece_outside_the_range_is_seen),
        WITH_BUF(there_is_one_list_for_each_range),
        WITH_BUF(pieces_left_unread_are_checked),
        WITH_BUF(what_are_no_sums_is_refused),
        WITH_BUF(pieces_have_limits),
        WITH_BUF(the_largest_sums_are_read),
    };

    return cmocka_run_group_tests_name("range", tests, NULL, NULL);
}
