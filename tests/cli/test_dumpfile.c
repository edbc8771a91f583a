/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "cli/dumpfile.h"
#include "lib/cbor_random.h"
#include "lib/check.h"
#include "normal.h"
#include "wire/path.h"

#define ROWS_MAX 12U
#define ROOM     (32U * 1024U * 1024U)

struct row {
    struct mkv_buf key;
    struct mkv_buf value;
    struct mkv_update entry;
};

static struct row rows[ROWS_MAX];
static unsigned n_rows;
static struct mkv_buf file;
static struct mkv_buf normal;
static struct mkv_problem problem;

static int set_up(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS_MAX; i++) {
        mkv_buf_init(&rows[i].key, MKV_PATH_KEY_MAX);
        mkv_buf_init(&rows[i].value, MKV_VALUE_MAX);
    }
    mkv_buf_init(&file, ROOM);
    mkv_buf_init(&normal, ROOM);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS_MAX; i++) {
        mkv_buf_deinit(&rows[i].key);
        mkv_buf_deinit(&rows[i].value);
    }
    mkv_buf_deinit(&file);
    mkv_buf_deinit(&normal);
    return 0;
}

static void random_entry(struct prng *prng, struct row *row)
{
    static const char *const names[] = {"a", "srv", "x.y-z_1", "B", "c"};

    mkv_buf_clear(&row->value);
    row->entry = (struct mkv_update){
        .has_tock = true,
        .present = prng_below(prng, 5) > 0,
        .tock = prng_any_width(prng) >> 1,
        .ticks.n = 1 + (uint32_t)prng_below(prng, MKV_TICKS_MAX),
    };
    for (uint32_t i = 0; i < row->entry.ticks.n; i++) {
        row->entry.ticks.at[i] = (struct mkv_tick){
            .name = mkv_bytes_of(names[i]),
            .seq = prng_any_width(prng) >> 1,
            .counter = 1 + (prng_any_width(prng) >> 2),
        };
    }
    if (row->entry.present) {
        cbor_random_item(prng, 1 + prng_below(prng, 10), &row->value);
        row->entry.value = mkv_buf_bytes(&row->value);
    }
}

static void random_rows(uint64_t seed)
{
    struct prng prng = {seed};

    n_rows = (unsigned)prng_below(&prng, ROWS_MAX + 1);
    for (unsigned i = 0; i < n_rows; i++) {
        struct mkv_buf text;

        mkv_buf_clear(&rows[i].key);
        mkv_buf_init(&text, 200);
        for (uint64_t j = prng_below(&prng, 4); j > 0; j--) {
            mkv_buf_clear(&text);
            cbor_random_utf8(&prng, (size_t)prng_below(&prng, 10), &text);

            const struct mkv_element element = {.kind = MKV_ELEMENT_TEXT,
                                                .text = mkv_buf_bytes(&text)};

            assert_int_equal(mkv_path_append(&rows[i].key, &element), 0);
        }
        mkv_buf_deinit(&text);
        random_entry(&prng, &rows[i]);
    }
}

static void write_file(enum mkv_dump_format format)
{
    const struct mkv_dump_header header = {.store = mkv_bytes("0123456789abcdef", 16),
                                           .path = mkv_bytes("\x41\x02", 2),
                                           .time_s = 1700000000};
    struct mkv_dump_writer w;

    mkv_buf_clear(&file);
    assert_int_equal(mkv_dump_writer_init(&w, format, &header, &file), 0);
    for (unsigned i = 0; i < n_rows; i++) {
        assert_int_equal(mkv_dump_writer_add(&w, mkv_buf_bytes(&rows[i].key), &rows[i].entry), 0);
    }
    assert_int_equal(mkv_dump_writer_finish(&w), 0);
}

static bool same_value(const struct mkv_update *a, const struct mkv_update *b, bool exact)
{
    if (exact || !a->present) {
        return mkv_bytes_equal(a->value, b->value);
    }
    mkv_buf_clear(&normal);
    normal_form(a->value, &normal);
    return mkv_bytes_equal(mkv_buf_bytes(&normal), b->value);
}

static bool same_entry(const struct mkv_update *a, const struct mkv_update *b, bool exact)
{
    if (a->present != b->present || a->tock != b->tock || a->has_tock != b->has_tock ||
        a->ticks.n != b->ticks.n) {
        return false;
    }
    for (uint32_t i = 0; i < a->ticks.n; i++) {
        if (!mkv_tick_equal(&a->ticks.at[i], &b->ticks.at[i])) {
            return false;
        }
    }
    return same_value(a, b, exact);
}

/* Feeds @in in pieces of random size, and stops at the end or a fault. */
static enum mkv_dump_verdict read_file(struct mkv_bytes in, uint64_t seed, bool compare)
{
    struct prng prng = {seed};
    struct mkv_dump_reader r;
    struct mkv_bytes key;
    struct mkv_update entry;
    enum mkv_dump_verdict verdict;
    unsigned n = 0;

    mkv_dump_reader_init(&r, &problem);
    while ((verdict = mkv_dump_reader_next(&r, &key, &entry)) <= MKV_DUMP_ROW) {
        if (verdict == MKV_DUMP_ROW) {
            if (compare) {
                assert_true(n < n_rows);
                assert_true(mkv_bytes_equal(key, mkv_buf_bytes(&rows[n].key)));
                assert_true(same_entry(&rows[n].entry, &entry, r.format == MKV_DUMP_CBOR));
            }
            n++;
        } else if (in.len == 0) {
            mkv_dump_reader_close(&r);
        } else {
            size_t len = 1 + prng_below(&prng, prng_below(&prng, 2) > 0 ? 10 : 5000);

            len = len < in.len ? len : in.len;
            assert_int_equal(mkv_dump_reader_feed(&r, mkv_bytes(in.at, len)), 0);
            in = mkv_bytes_after(in, len);
        }
    }
    assert_int_equal(mkv_dump_reader_next(&r, &key, &entry), verdict);
    if (verdict == MKV_DUMP_END && compare) {
        assert_int_equal(n, n_rows);
        assert_int_equal(r.has_header, r.format == MKV_DUMP_CBOR);
    }
    if (r.has_header && compare) {
        assert_int_equal(r.header.time_s, 1700000000);
        assert_true(mkv_bytes_equal(r.header.store, mkv_bytes("0123456789abcdef", 16)));
        assert_true(mkv_bytes_equal(r.header.path, mkv_bytes("\x41\x02", 2)));
    }
    mkv_dump_reader_deinit(&r);
    return verdict;
}

static void check_round_trips(enum mkv_dump_format format)
{
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        random_rows(seed);
        write_file(format);
        if (read_file(mkv_buf_bytes(&file), seed, true) != MKV_DUMP_END) {
            print_message("seed %llu: %s\n", (unsigned long long)seed, problem.text);
            fail();
        }
    }
}

static void test_cbor_round_trips(void **state)
{
    (void)state;
    check_round_trips(MKV_DUMP_CBOR);
}

static void test_lines_round_trip(void **state)
{
    (void)state;
    check_round_trips(MKV_DUMP_LINES);
}

static void test_every_truncation_shows(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        random_rows(seed);
        write_file(MKV_DUMP_CBOR);
        for (size_t len = 0; len < file.len; len++) {
            assert_int_equal(read_file(mkv_bytes(file.at, len), seed, true), MKV_DUMP_FAULT);
            assert_int_equal(problem.error, MKV_E_TRUNCATED);
        }
        write_file(MKV_DUMP_LINES);
        for (size_t len = 0; len + 1 < file.len; len++) { /* the last line end may be missing */
            assert_int_equal(read_file(mkv_bytes(file.at, len), seed, true), MKV_DUMP_FAULT);
        }
        assert_int_equal(read_file(mkv_bytes(file.at, file.len - 1), seed, true), MKV_DUMP_END);
    }
}

static void test_every_changed_byte_shows(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct prng prng = {seed};

        random_rows(seed);
        write_file(MKV_DUMP_CBOR);
        for (size_t i = 0; i < file.len; i++) {
            uint8_t before = file.at[i];

            file.at[i] ^= (uint8_t)(1 + prng_below(&prng, 255));
            assert_int_equal(read_file(mkv_buf_bytes(&file), seed, false), MKV_DUMP_FAULT);
            file.at[i] = before;
        }
    }
}

static void test_truncation_names_row_and_byte(void **state)
{
    const char *text = "{\"path\":\"a\",\"value\":1}\n{\"path\":\"b\",\"value\":2}\n{\"pa";

    (void)state;
    assert_int_equal(read_file(mkv_bytes_of(text), 1, false), MKV_DUMP_FAULT);
    assert_non_null(strstr(problem.text, "line 3 at byte 46"));
    assert_int_equal(read_file(mkv_bytes(text, 46), 1, false), MKV_DUMP_FAULT);
    assert_non_null(strstr(problem.text, "ends at byte 46, after 2 whole rows"));
}

/* Dumps in one file: all rows count, up to the last end that is right. */
static void test_dumps_in_one_file(void **state)
{
    struct mkv_dump_reader r;
    struct mkv_bytes key;
    struct mkv_update entry;
    enum mkv_dump_verdict verdict;
    uint64_t n = 0;
    size_t first_len;

    (void)state;
    n_rows = 0;
    for (uint64_t seed = 1; n_rows == 0; seed++) {
        random_rows(seed);
    }
    write_file(MKV_DUMP_CBOR);
    first_len = file.len;
    assert_int_equal(mkv_buf_reserve(&file, first_len), 0);
    assert_int_equal(mkv_buf_append(&file, mkv_bytes(file.at, first_len)), 0);
    for (size_t cut = 0; cut <= first_len; cut++) {
        n = 0;
        mkv_dump_reader_init(&r, &problem);
        assert_int_equal(mkv_dump_reader_feed(&r, mkv_bytes(file.at, file.len - cut)), 0);
        mkv_dump_reader_close(&r);
        while ((verdict = mkv_dump_reader_next(&r, &key, &entry)) == MKV_DUMP_ROW) {
            n++;
        }
        assert_int_equal(verdict, cut % first_len == 0 ? MKV_DUMP_END : MKV_DUMP_FAULT);
        assert_int_equal(r.n_whole, cut == 0 ? 2 * n_rows : n_rows);
        assert_int_equal(n, r.n_rows);
        assert_true(r.n_rows >= r.n_whole);
        mkv_dump_reader_deinit(&r);
    }
}

static void test_what_follows_the_end(void **state)
{
    (void)state;
    n_rows = 0;
    write_file(MKV_DUMP_CBOR);
    assert_int_equal(mkv_buf_append_u8(&file, '\n'), 0);
    assert_int_equal(read_file(mkv_buf_bytes(&file), 1, true), MKV_DUMP_FAULT);
    assert_int_equal(problem.error, MKV_E_TRAILING);
    write_file(MKV_DUMP_LINES);
    assert_int_equal(mkv_buf_append(&file, mkv_bytes_of("\n \n")), 0);
    assert_int_equal(read_file(mkv_buf_bytes(&file), 1, true), MKV_DUMP_END);
    assert_int_equal(mkv_buf_append_u8(&file, '{'), 0);
    assert_int_equal(read_file(mkv_buf_bytes(&file), 1, true), MKV_DUMP_FAULT);
    assert_int_equal(problem.error, MKV_E_TRAILING);
}

struct example {
    const char *text;
    int error; /* 0: the file is read to its end */
    const char *words;
};

static void test_lines_by_hand(void **state)
{
    static const struct example examples[] = {
        {"{\"end\":true,\"count\":0}", 0, ""},
        {"\n{\"value\":1,\"path\":\"a.b:2\"}\n\n{\"count\":1,\"end\":true}\n", 0, ""},
        {"{\"path\":\"a\",\"deleted\":true,\"note\":[1]}\r\n{\"end\":true,\"count\":1}\r\n", 0, ""},
        {"{\"path\":\"a\",\"value\":{\"$bytes\":\"\"},\"tock\":5,\"ticks\":[[\"s\",0,1]]}\n"
         "{\"end\":true,\"count\":1}",
         0, ""},
        {"{\"path\":\"a\"}\n", MKV_E_MALFORMED, "\"value\""},
        {"{\"value\":1}\n", MKV_E_MALFORMED, "\"path\""},
        {"{\"path\":\"a\",\"value\":1,\"deleted\":true}\n", MKV_E_MALFORMED, "either"},
        {"{\"path\":\"a.\",\"value\":1}\n", MKV_E_BAD_PATH, "line 1"},
        {"\n{\"path\":\"a\",\"value\":}\n", MKV_E_MALFORMED, "line 2 at byte 1: column 21"},
        {"{\"path\":\"a\",\"value\":1,\"tock\":-1}\n", MKV_E_MALFORMED, "ticks"},
        {"{\"path\":\"a\",\"value\":1,\"tock\":9223372036854775808}\n", MKV_E_BAD_NUMBER, "range"},
        {"{\"path\":\"a\",\"value\":1,\"ticks\":[]}\n", MKV_E_BAD_TICK, "tick"},
        {"[1]\n", MKV_E_FORMAT, "not a dump"},
        {"{\"end\":true}\n", MKV_E_MALFORMED, "count"},
        {"{\"end\":true,\"count\":1}\n", MKV_E_CORRUPT, "1 rows"},
        {"", MKV_E_TRUNCATED, "byte 0"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        bool whole = read_file(mkv_bytes_of(examples[i].text), i, false) == MKV_DUMP_END;

        if (problem.error != examples[i].error || whole != (examples[i].error == 0) ||
            (!whole && strstr(problem.text, examples[i].words) == NULL)) {
            print_message("%s%s\n", examples[i].text, problem.text);
            fail();
        }
    }
}

static void check_cbor(struct mkv_bytes in, int error)
{
    assert_int_equal(read_file(in, 1, false), MKV_DUMP_FAULT);
    assert_int_equal(problem.error, error);
}

static void test_what_is_no_dump(void **state)
{
    (void)state;
    check_cbor(mkv_bytes("\xa0", 1), MKV_E_FORMAT);
    check_cbor(mkv_bytes("\xc0\xa0", 2), MKV_E_FORMAT);
    check_cbor(mkv_bytes("\x83\x01\x02\x03", 4), MKV_E_FORMAT);
    check_cbor(mkv_bytes("PK\x03\x04 a file of another kind", 28), MKV_E_FORMAT);
    check_cbor(mkv_bytes_of("\xa1\x67version\x02"), MKV_E_FORMAT);
    check_cbor(mkv_bytes_of("\xa1\x66"
                            "format\x61x"),
               MKV_E_FORMAT);
    check_cbor(mkv_bytes_of("\xa2\x64time\x01\x64time\x01"), MKV_E_DUPLICATE_KEY);
}

/* A length that never comes must not make the reader collect the whole file. */
static void test_memory_is_bounded(void **state)
{
    static uint8_t piece[MKV_DUMP_PIECE_MAX];
    struct mkv_dump_reader r;
    struct mkv_bytes key;
    struct mkv_update entry;
    enum mkv_dump_verdict verdict;

    (void)state;
    memset(piece, 'x', sizeof(piece));
    for (unsigned lines = 0; lines < 2; lines++) {
        unsigned n = 0;

        mkv_dump_reader_init(&r, &problem);
        assert_int_equal(mkv_dump_reader_feed(
                             &r, lines > 0 ? mkv_bytes_of("{")
                                           : mkv_bytes("\xa1\x64path\x81\x7a\x7f\xff\xff\xff", 12)),
                         0);
        while ((verdict = mkv_dump_reader_next(&r, &key, &entry)) == MKV_DUMP_MORE) {
            assert_int_equal(mkv_dump_reader_feed(&r, mkv_bytes(piece, sizeof(piece))), 0);
            assert_true(++n < 200);
        }
        assert_int_equal(verdict, MKV_DUMP_FAULT);
        assert_int_equal(problem.error, MKV_E_TOO_LARGE);
        mkv_dump_reader_deinit(&r);
    }
}

static void test_largest_values(void **state)
{
    (void)state;
    n_rows = 1;
    mkv_buf_clear(&rows[0].key);
    mkv_buf_clear(&rows[0].value);
    assert_int_equal(mkv_buf_append(&rows[0].value, mkv_bytes("\x7a\x00\x0f\xff\xfb", 5)), 0);
    while (rows[0].value.len < MKV_VALUE_MAX) { /* NUL takes most room in JSON */
        assert_int_equal(mkv_buf_append_u8(&rows[0].value, 0), 0);
    }
    rows[0].entry = (struct mkv_update){
        .has_tock = true,
        .present = true,
        .value = mkv_buf_bytes(&rows[0].value),
        .ticks = {.n = 1, .at = {{.name = mkv_bytes_of("a"), .counter = 1}}},
    };
    write_file(MKV_DUMP_CBOR);
    assert_int_equal(read_file(mkv_buf_bytes(&file), 1, true), MKV_DUMP_END);
    write_file(MKV_DUMP_LINES);
    assert_int_equal(read_file(mkv_buf_bytes(&file), 1, true), MKV_DUMP_END);
}

static void test_writer_wants_ticks(void **state)
{
    const struct mkv_dump_header header = {0};
    struct mkv_update entry = {.has_tock = true, .present = true, .value = mkv_bytes("\x01", 1)};
    struct mkv_dump_writer w;
    struct mkv_buf small;

    (void)state;
    mkv_buf_clear(&file);
    assert_int_equal(mkv_dump_writer_init(&w, MKV_DUMP_CBOR, &header, &file), 0);
    assert_int_equal(mkv_dump_writer_add(&w, mkv_bytes("", 0), &entry), MKV_E_BAD_ARGUMENT);
    mkv_buf_init(&small, 10);
    assert_int_equal(mkv_dump_writer_init(&w, MKV_DUMP_CBOR, &header, &small), MKV_E_TOO_LARGE);
    assert_int_equal(small.len, 0);
    mkv_buf_deinit(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cbor_round_trips),
        cmocka_unit_test(test_lines_round_trip),
        cmocka_unit_test(test_every_truncation_shows),
        cmocka_unit_test(test_every_changed_byte_shows),
        cmocka_unit_test(test_truncation_names_row_and_byte),
        cmocka_unit_test(test_what_follows_the_end),
        cmocka_unit_test(test_lines_by_hand),
        cmocka_unit_test(test_dumps_in_one_file),
        cmocka_unit_test(test_what_is_no_dump),
        cmocka_unit_test(test_memory_is_bounded),
        cmocka_unit_test(test_largest_values),
        cmocka_unit_test(test_writer_wants_ticks),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
