/* SPDX-License-Identifier: Apache-2.0 */
/* Rows against a naive model: a list of keys and entries, written in pages and read back. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/limits.h"
#include "lib/check.h"
#include "lib/mem_fault.h"
#include "messages.h"
#include "wire/path.h"

#define ROWS_MAX 400U

struct row {
    struct mkv_bytes key; /* in the pool of the messages, like the entry */
    struct mkv_update entry;
};

struct model {
    uint64_t seed;
    struct messages m;
    struct mkv_bytes start;
    uint32_t n;
    struct row rows[ROWS_MAX];
};

static struct mkv_bytes keep(struct messages *m, struct mkv_bytes bytes)
{
    uint8_t *at = m->pool + m->used;

    assert_true(bytes.len <= MESSAGES_POOL_LEN - m->used);
    if (bytes.len > 0) {
        memcpy(at, bytes.at, bytes.len);
    }
    m->used += bytes.len;
    return mkv_bytes(at, bytes.len);
}

/* Elements that resemble each other, so that paths share some, and zeros that must be escaped. */
static struct mkv_bytes random_key(struct messages *m, struct mkv_bytes start, uint64_t n_max)
{
    static const char *const dotted[] = {"a",  "aa",   "b:n",    ":1",   ":2",
                                         ":t", ":y00", ":y0000", ":1:.5"};
    uint64_t n = prng_below(&m->prng, n_max + 1);
    struct mkv_buf key;

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    assert_int_equal(mkv_buf_append(&key, start), 0);
    for (uint64_t i = 0; i < n; i++) {
        const char *text = dotted[prng_below(&m->prng, 9)];

        assert_int_equal(mkv_path_from_dotted(mkv_bytes_of(text), &key), 0);
    }

    struct mkv_bytes kept = keep(m, mkv_buf_bytes(&key));

    mkv_buf_deinit(&key);
    return kept;
}

static void random_entry(struct messages *m, struct mkv_update *entry)
{
    do {
        messages_update(m, entry);
    } while (entry->value.len > 64); /* many rows, small values */
    if (!entry->has_tock) {
        entry->has_tock = true;
        entry->tock = prng_below(&m->prng, 1000);
    }
}

static struct model *new_model(uint64_t seed)
{
    struct model *model = calloc(1, sizeof(*model));

    assert_non_null(model);
    model->seed = seed;
    model->m.prng.state = seed;
    model->start = random_key(&model->m, mkv_bytes(NULL, 0), 3);
    model->n = (uint32_t)prng_below(&model->m.prng, 40);
    for (uint32_t i = 0; i < model->n; i++) {
        model->rows[i].key = random_key(&model->m, model->start, 5);
        random_entry(&model->m, &model->rows[i].entry);
    }
    return model;
}

static bool is_null(struct mkv_bytes value)
{
    return value.len == 1 && value.at[0] == 0xf6;
}

static bool same_entry(const struct mkv_update *a, struct mkv_update b, bool keys_only)
{
    if (keys_only && b.present) {
        b.value = a->value;
        return is_null(a->value) && messages_same_update(a, &b);
    }
    return messages_same_update(a, &b);
}

/* Takes the page from @w and reads it with @r: rows @from up to @to of the model. */
static void check_page(const struct model *model,
                       struct mkv_row_writer *w,
                       struct mkv_row_reader *r,
                       uint32_t from,
                       uint32_t to)
{
    struct mkv_update entry;
    struct mkv_buf page;

    mkv_buf_init(&page, MKV_FRAME_MAX);
    assert_int_equal(mkv_row_writer_take(w, &page), 0);
    assert_int_equal(mkv_row_reader_page(r, mkv_buf_bytes(&page)), 0);
    for (uint32_t i = from; i < to; i++) {
        assert_true(mkv_row_reader_next(r, &entry));
        if (!mkv_bytes_equal(mkv_buf_bytes(&r->key), model->rows[i].key) ||
            !same_entry(&entry, model->rows[i].entry, i % 3 == 0)) {
            fail_msg("seed %" PRIu64 ": row %" PRIu32 " differs", model->seed, i);
        }
    }
    assert_false(mkv_row_reader_next(r, &entry));
    assert_int_equal(r->cbor.error, 0);
    mkv_buf_deinit(&page);
}

/* Every third row is written without its value; pages end at random. */
static void check_stream(uint64_t seed)
{
    struct model *model = new_model(seed);
    struct mkv_row_writer w;
    struct mkv_row_reader r;
    uint32_t taken = 0;

    assert_int_equal(mkv_row_writer_init(&w, model->start), 0);
    assert_int_equal(mkv_row_reader_init(&r, model->start), 0);
    for (uint32_t i = 0; i < model->n; i++) {
        assert_int_equal(
            mkv_row_writer_add(&w, model->rows[i].key, &model->rows[i].entry, i % 3 == 0), 0);
        if (prng_below(&model->m.prng, 4) == 0) {
            check_page(model, &w, &r, taken, i + 1);
            taken = i + 1;
        }
    }
    check_page(model, &w, &r, taken, model->n);
    mkv_row_reader_deinit(&r);
    mkv_row_writer_deinit(&w);
    free(model);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 500; seed++) {
        check_stream(seed);
    }
}

static struct mkv_update small_entry(void)
{
    return (struct mkv_update){.has_tock = true,
                               .present = true,
                               .tock = 1,
                               .value = mkv_bytes("\x00", 1),
                               .ticks = {.n = 1, .at = {{mkv_bytes_of("srv"), 7, 1}}}};
}

static void a_page_is_full_at_256_rows(void **state)
{
    struct mkv_update entry = small_entry();
    struct mkv_row_writer w;
    struct mkv_buf page;

    (void)state;
    mkv_buf_init(&page, MKV_FRAME_MAX);
    assert_int_equal(mkv_row_writer_init(&w, mkv_bytes(NULL, 0)), 0);
    for (unsigned i = 0; i < MKV_PAGE_ROWS_MAX; i++) {
        assert_int_equal(mkv_row_writer_add(&w, mkv_bytes("\x10", 1), &entry, false), 0);
    }
    assert_int_equal(mkv_row_writer_add(&w, mkv_bytes(NULL, 0), &entry, false), MKV_E_TOO_LARGE);
    assert_int_equal(mkv_row_writer_take(&w, &page), 0);
    assert_int_equal(mkv_row_writer_add(&w, mkv_bytes(NULL, 0), &entry, false), 0);
    mkv_row_writer_deinit(&w);
    mkv_buf_deinit(&page);
}

/* The largest row fits an empty page and its frame, and is refused by one that is nearly full. */
static void the_largest_row_fits_an_empty_page(void **state)
{
    static uint8_t value[MKV_VALUE_MAX] = {0x5a, 0x00, 0x0f, 0xff, 0xfb};
    static char names[MKV_TICKS_MAX][MKV_NAME_MAX];
    struct mkv_update entry = small_entry();
    struct mkv_row_writer w;
    struct mkv_buf key;
    struct mkv_buf page;
    struct mkv_buf out;

    (void)state;
    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    for (unsigned i = 0; i < MKV_PATH_LEVELS_MAX;
         i++) { /* 64 levels, and nearly as long as can be */
        assert_int_equal(mkv_path_from_dotted(mkv_bytes_of("thirteen-byte"), &key), 0);
    }
    assert_int_equal(mkv_row_writer_init(&w, mkv_bytes(NULL, 0)), 0);
    entry.value = mkv_bytes(value, sizeof(value));
    entry.tock = MKV_INTEGER_MAX;
    entry.ticks.n = MKV_TICKS_MAX;
    for (unsigned i = 0; i < MKV_TICKS_MAX; i++) {
        memset(names[i], 'a' + (int)i, MKV_NAME_MAX);
        entry.ticks.at[i] =
            (struct mkv_tick){mkv_bytes(names[i], MKV_NAME_MAX), MKV_INTEGER_MAX, MKV_INTEGER_MAX};
    }
    assert_int_equal(mkv_row_writer_add(&w, mkv_buf_bytes(&key), &entry, false), 0);
    assert_int_equal(mkv_row_writer_add(&w, mkv_buf_bytes(&key), &entry, true), MKV_E_TOO_LARGE);

    mkv_buf_init(&page, MKV_FRAME_MAX);
    mkv_buf_init(&out, MKV_FRAME_MAX + 4U);
    assert_int_equal(mkv_row_writer_take(&w, &page), 0);

    struct mkv_frame frame = {
        .kind = MKV_FRAME_DATA, .id = MKV_INTEGER_MAX, .data.rows = mkv_buf_bytes(&page)};
    struct mkv_frame decoded;

    assert_int_equal(mkv_frame_encode(&frame, &out), 0);
    assert_int_equal(mkv_frame_decode(mkv_bytes(out.at + 4, out.len - 4), &decoded), 0);
    mkv_row_writer_deinit(&w);
    mkv_buf_deinit(&key);
    mkv_buf_deinit(&page);
    mkv_buf_deinit(&out);
}

/* A page is refused by the reader with this error; the stream began at ["a"]. */
static void refused(const char *rows, size_t len, int error)
{
    struct mkv_row_reader r;
    struct mkv_update entry;

    assert_int_equal(mkv_row_reader_init(&r, mkv_bytes("\x60\x61\x00\x01", 4)), 0);
    if (mkv_row_reader_page(&r, mkv_bytes(rows, len)) == 0) {
        while (mkv_row_reader_next(&r, &entry)) {
        }
    }
    assert_int_equal(r.cbor.error, error);
    assert_false(mkv_row_reader_next(&r, &entry));
    mkv_row_reader_deinit(&r);
}

#define TICKS "\x81\x83\x63srv\x07\x01"

static void bad_pages_are_refused(void **state)
{
    (void)state;
    refused("\x81\x84\x01\x80\x01" TICKS, 13, 0);
    refused("\x80", 1, 0);
    refused("\x80\x00", 2, MKV_E_TRAILING);
    refused("\xa0", 1, MKV_E_MALFORMED);
    refused("\x9f\xff", 2, MKV_E_MALFORMED);
    refused("\x81\x83\x01\x80\x01", 5, MKV_E_MALFORMED);
    refused("\x81\x84\x02\x80\x01" TICKS, 13, MKV_E_BAD_PATH); /* shares more than there is */
    refused("\x81\x84\x18\x41\x80\x01" TICKS, 14, MKV_E_BAD_NUMBER);
    refused("\x81\x84\x01\x81\x80\x01" TICKS, 14, MKV_E_BAD_ELEMENT);
    refused("\x81\x84\x01\x80\x01\x80", 6, MKV_E_BAD_TICK);
    refused("\x81\x85\x01\x80\x01" TICKS, 13, MKV_E_TRUNCATED);
    refused("\x99\x01\x01", 3, MKV_E_TOO_MANY);
}

/* 64 shared levels and one more. */
static void a_path_has_at_most_64_levels(void **state)
{
    uint8_t start[MKV_PATH_LEVELS_MAX];
    struct mkv_row_reader r;
    struct mkv_update entry;

    (void)state;
    memset(start, 0x10, sizeof(start));
    assert_int_equal(mkv_row_reader_init(&r, mkv_bytes(start, sizeof(start))), 0);
    assert_int_equal(mkv_row_reader_page(&r, mkv_bytes("\x81\x84\x18\x40\x81\xf6\x01" TICKS, 15)),
                     0);
    assert_false(mkv_row_reader_next(&r, &entry));
    assert_int_equal(r.cbor.error, MKV_E_PATH_TOO_LONG);
    mkv_row_reader_deinit(&r);
}

/* Writes and reads some rows; any failing allocation stops it, cleanly. */
static int write_and_read(const struct model *model)
{
    struct mkv_row_writer w = {0};
    struct mkv_row_reader r = {{mkv_bytes(NULL, 0), 0}, {0}, 0};
    struct mkv_update entry;
    struct mkv_buf page;
    int error = mkv_row_writer_init(&w, model->start);

    mkv_buf_init(&page, MKV_FRAME_MAX);
    for (uint32_t i = 0; i < model->n && error == 0; i++) {
        size_t len = w.rows.len;

        error = mkv_row_writer_add(&w, model->rows[i].key, &model->rows[i].entry, false);
        assert_true(error == 0 || w.rows.len == len);
        assert_int_equal(w.n, i + (error == 0));
    }
    if (error == 0) {
        error = mkv_row_writer_take(&w, &page);
        assert_int_equal(w.n, error == 0 ? 0 : model->n);
        assert_true(error == 0 || page.len == 0);
    }
    if (error == 0) {
        error = mkv_row_reader_init(&r, model->start);
    }
    if (error == 0) {
        error = mkv_row_reader_page(&r, mkv_buf_bytes(&page));
        while (error == 0 && mkv_row_reader_next(&r, &entry)) {
        }
        error = error != 0 ? error : r.cbor.error;
    }
    mkv_row_writer_deinit(&w);
    mkv_row_reader_deinit(&r);
    mkv_buf_deinit(&page);
    return error;
}

static void failing_allocations_are_reported(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct model *model = new_model(seed);
        bool struck = true;

        for (unsigned n = 1; struck; n++) {
            mem_fault_at(n);

            int error = write_and_read(model);

            struck = mem_fault_struck();
            mem_fault_at(0);
            assert_int_equal(error, struck ? MKV_E_NO_MEMORY : 0);
            assert_int_equal(mem_fault_live(), 0);
        }
        free(model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_page_is_full_at_256_rows),
        cmocka_unit_test(the_largest_row_fits_an_empty_page),
        cmocka_unit_test(bad_pages_are_refused),
        cmocka_unit_test(a_path_has_at_most_64_levels),
        cmocka_unit_test(failing_allocations_are_reported),
    };

    return cmocka_run_group_tests_name("row", tests, NULL, NULL);
}
