/* SPDX-License-Identifier: Apache-2.0 */
/* Conflicts as rows of a page: what is written is read, whatever does not fit is refused. */
#include <stdlib.h>

#include "base/limits.h"
#include "lib/check.h"
#include "lib/mem_fault.h"
#include "messages.h"

static struct mkv_conflict_row some_row(void)
{
    return (struct mkv_conflict_row){
        .id = 7,
        .path = mkv_bytes_of("\x81\x61\x61"),
        .when = 9,
        .more = 3,
        .loser = {.has_tock = true,
                  .present = true,
                  .tock = 5,
                  .value = mkv_bytes_of("\x01"),
                  .ticks = {.n = 1, .at = {{mkv_bytes_of("srv"), 7, 1}}}},
        .winner = {.has_tock = true,
                   .present = true,
                   .tock = 6,
                   .value = mkv_bytes_of("\x02"),
                   .ticks = {.n = 1, .at = {{mkv_bytes_of("srv"), 8, 1}}}},
    };
}

static void write_row(const struct mkv_conflict_row *row, struct mkv_buf *out)
{
    struct mkv_cbor_writer w;

    mkv_buf_init(out, MKV_FRAME_MAX);
    mkv_cbor_writer_init(&w, out);
    mkv_conflict_row_write(&w, row);
    assert_int_equal(w.error, 0);
}

static void what_is_written_is_read(void **state)
{
    struct messages *m = calloc(1, sizeof(*m));

    (void)state;
    assert_non_null(m);
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        struct mkv_conflict_row row;
        struct mkv_conflict_row again;
        struct mkv_cbor_reader r;
        struct mkv_buf out;

        m->prng.state = seed;
        m->used = 0;
        messages_conflict_row(m, &row);
        write_row(&row, &out);
        mkv_cbor_reader_init(&r, mkv_buf_bytes(&out));
        mkv_conflict_row_read(&r, &again);
        assert_int_equal(mkv_cbor_finish(&r), 0);
        assert_true(messages_same_conflict_row(&row, &again));
        mkv_buf_deinit(&out);
    }
    free(m);
}

static void the_value_of_the_winner_is_left_out(void **state)
{
    struct mkv_conflict_row row = some_row();
    struct mkv_conflict_row again;
    struct mkv_cbor_reader r;
    struct mkv_buf out;

    (void)state;
    write_row(&row, &out);
    mkv_cbor_reader_init(&r, mkv_buf_bytes(&out));
    mkv_conflict_row_read(&r, &again);
    assert_int_equal(mkv_cbor_finish(&r), 0);
    assert_true(mkv_bytes_equal(again.winner.value, mkv_bytes_of("\xf6")));
    assert_true(mkv_bytes_equal(again.loser.value, mkv_bytes_of("\x01")));
    mkv_buf_deinit(&out);
}

static int decode_page(const struct mkv_conflict_row *row, uint64_t n, struct mkv_frame *ret_frame)
{
    struct mkv_cbor_writer w;
    struct mkv_buf page;
    struct mkv_buf out;
    struct mkv_frame frame = {.kind = MKV_FRAME_LOST, .id = 1};

    mkv_buf_init(&page, MKV_FRAME_MAX);
    mkv_buf_init(&out, MKV_FRAME_MAX);
    mkv_cbor_writer_init(&w, &page);
    mkv_cbor_write_array(&w, n);
    for (uint64_t i = 0; i < n; i++) {
        mkv_conflict_row_write(&w, row);
    }
    assert_int_equal(w.error, 0);
    frame.lost = mkv_buf_bytes(&page);
    assert_int_equal(mkv_frame_encode(&frame, &out), 0);

    int error = mkv_frame_decode(mkv_bytes(out.at + 4, out.len - 4), ret_frame);

    mkv_buf_deinit(&page);
    mkv_buf_deinit(&out);
    return error;
}

/* As large and as deep as a value may be, and one more. */
static void the_loser_is_a_value_like_any_other(void **state)
{
    struct mkv_conflict_row row = some_row();
    struct mkv_frame frame;
    uint8_t *value = calloc(1, MKV_VALUE_MAX + 1);
    uint8_t deep[66];

    (void)state;
    assert_non_null(value);
    memcpy(value, "\x5a\x00\x0f\xff\xfb", 5);
    row.loser.value = mkv_bytes(value, MKV_VALUE_MAX);
    assert_int_equal(decode_page(&row, 1, &frame), 0);
    value[4] = 0xfc;
    row.loser.value = mkv_bytes(value, MKV_VALUE_MAX + 1);
    assert_int_equal(decode_page(&row, 1, &frame), MKV_E_TOO_LARGE);
    free(value);

    memset(deep, 0x81, sizeof(deep));
    deep[65] = 0;
    row.loser.value = mkv_bytes(deep + 1, 65);
    assert_int_equal(decode_page(&row, 1, &frame), 0);
    row.loser.value = mkv_bytes(deep, 66);
    assert_int_equal(decode_page(&row, 1, &frame), MKV_E_TOO_DEEP);
}

static void a_page_is_full_at_256(void **state)
{
    struct mkv_conflict_row row = some_row();
    struct mkv_frame frame;

    (void)state;
    assert_int_equal(decode_page(&row, 0, &frame), 0);
    assert_int_equal(decode_page(&row, MKV_PAGE_ROWS_MAX, &frame), 0);
    assert_int_equal(decode_page(&row, MKV_PAGE_ROWS_MAX + 1, &frame), MKV_E_TOO_MANY);
}

static void every_prefix_is_refused(void **state)
{
    struct mkv_conflict_row row = some_row();
    struct mkv_buf out;

    (void)state;
    write_row(&row, &out);
    for (size_t len = 0; len < out.len; len++) {
        uint8_t *tight = malloc(len > 0 ? len : 1);
        struct mkv_conflict_row again = {.id = 99};
        struct mkv_cbor_reader r;

        assert_non_null(tight);
        memcpy(tight, out.at, len);
        mkv_cbor_reader_init(&r, mkv_bytes(tight, len));
        mkv_conflict_row_read(&r, &again);
        assert_int_not_equal(r.error, 0);
        assert_true(again.id == 99);
        free(tight);
    }
    mkv_buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(the_value_of_the_winner_is_left_out),
        cmocka_unit_test(the_loser_is_a_value_like_any_other),
        cmocka_unit_test(a_page_is_full_at_256),
        cmocka_unit_test(every_prefix_is_refused),
    };

    return cmocka_run_group_tests_name("conflict", tests, NULL, NULL);
}
