/* SPDX-License-Identifier: Apache-2.0 */
/* Frames, wherever their kind stands, and the rows, ranges and sums in them. */
#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "fuzz.h"
#include "wire/messages.h"
#include "wire/path.h"

/* An encoded frame begins with length (4), map (1) and kind (2 or 3): moves the kind to the end. */
static void move_kind_back(struct mkv_buf *out)
{
    uint8_t kind[3];
    size_t len = out->at[6] < 24 ? 2 : 3;

    memcpy(kind, out->at + 5, len);
    memmove(out->at + 5, out->at + 5 + len, out->len - 5 - len);
    memcpy(out->at + out->len - len, kind, len);
}

static void check_decodes(const struct mkv_buf *out, const struct mkv_frame *frame)
{
    struct mkv_frame again;
    struct mkv_bytes map;
    size_t used;

    MKV_ASSERT(mkv_frame_cut(mkv_buf_bytes(out), &map, &used) == 0);
    MKV_ASSERT(used == out->len);
    MKV_ASSERT(mkv_frame_decode(map, &again) == 0);
    MKV_ASSERT(messages_same_frame(frame, &again));
}

static void check_again(const struct mkv_frame *frame)
{
    struct mkv_buf out;

    mkv_buf_init(&out, MKV_FRAME_MAX + 4U);
    MKV_ASSERT(mkv_frame_encode(frame, &out) == 0);
    check_decodes(&out, frame);
    move_kind_back(&out);
    check_decodes(&out, frame);
    mkv_buf_deinit(&out);
}

/* Rows read, written and read again are the same rows. */
struct copy {
    struct mkv_row_writer writer;
    struct mkv_buf page;
    struct mkv_buf keys; /* of all rows, one behind the other */
    uint64_t n;
};

static void copy_rows(struct mkv_row_reader *r, struct copy *copy)
{
    struct mkv_update entry;

    while (mkv_row_reader_next(r, &entry)) {
        MKV_ASSERT(mkv_path_check(mkv_buf_bytes(&r->key)) == 0);

        int error = mkv_row_writer_add(&copy->writer, mkv_buf_bytes(&r->key), &entry, false);

        if (error == MKV_E_TOO_LARGE) { /* the page is full: the rest is left out */
            break;
        }
        MKV_ASSERT(error == 0);
        MKV_ASSERT(mkv_buf_append(&copy->keys, mkv_buf_bytes(&r->key)) == 0);
        copy->n++;
    }
    MKV_ASSERT(mkv_row_writer_take(&copy->writer, &copy->page) == 0);
}

static void check_copy(struct mkv_row_reader *r, const struct copy *copy)
{
    struct mkv_bytes keys = mkv_buf_bytes(&copy->keys);
    struct mkv_update entry;
    uint64_t n = 0;

    MKV_ASSERT(mkv_row_reader_page(r, mkv_buf_bytes(&copy->page)) == 0);
    while (mkv_row_reader_next(r, &entry)) {
        MKV_ASSERT(mkv_bytes_starts_with(keys, mkv_buf_bytes(&r->key)));
        keys = mkv_bytes_after(keys, r->key.len);
        n++;
    }
    MKV_ASSERT(r->cbor.error == 0);
    MKV_ASSERT(n == copy->n);
    MKV_ASSERT(keys.len == 0);
}

static void check_rows(struct mkv_bytes rows)
{
    static const uint8_t start[] = {0x60, 'a', 0x00, 0x01};
    struct mkv_bytes start_key = mkv_bytes(start, sizeof(start));
    struct mkv_row_reader r;
    struct mkv_row_reader again;
    struct copy copy = {.n = 0};

    mkv_buf_init(&copy.page, MKV_FRAME_MAX);
    mkv_buf_init(&copy.keys, (size_t)MKV_PAGE_ROWS_MAX * MKV_PATH_KEY_MAX);
    MKV_ASSERT(mkv_row_writer_init(&copy.writer, start_key) == 0);
    MKV_ASSERT(mkv_row_reader_init(&r, start_key) == 0);
    MKV_ASSERT(mkv_row_reader_init(&again, start_key) == 0);
    if (mkv_row_reader_page(&r, rows) == 0) {
        copy_rows(&r, &copy);
        check_copy(&again, &copy);
    }
    mkv_row_reader_deinit(&again);
    mkv_row_reader_deinit(&r);
    mkv_row_writer_deinit(&copy.writer);
    mkv_buf_deinit(&copy.keys);
    mkv_buf_deinit(&copy.page);
}

/* Conflicts read, written and read again are the same conflicts, but for the winners' values. */
static void check_lost(struct mkv_bytes lost)
{
    struct mkv_cbor_reader r;

    mkv_cbor_reader_init(&r, lost);
    for (uint64_t n = mkv_cbor_read_array(&r, MKV_PAGE_ROWS_MAX); n > 0; n--) {
        struct mkv_conflict_row row;
        struct mkv_conflict_row again;
        struct mkv_cbor_reader reader;
        struct mkv_cbor_writer writer;
        struct mkv_buf out;

        mkv_conflict_row_read(&r, &row);
        MKV_ASSERT(r.error == 0);
        mkv_buf_init(&out, MKV_FRAME_MAX);
        mkv_cbor_writer_init(&writer, &out);
        mkv_conflict_row_write(&writer, &row);
        MKV_ASSERT(writer.error == 0);
        mkv_cbor_reader_init(&reader, mkv_buf_bytes(&out));
        mkv_conflict_row_read(&reader, &again);
        MKV_ASSERT(mkv_cbor_finish(&reader) == 0);
        MKV_ASSERT(again.winner.present == row.winner.present);
        row.winner.value = again.winner.value;
        MKV_ASSERT(messages_same_conflict_row(&row, &again));
        mkv_buf_deinit(&out);
    }
    MKV_ASSERT(mkv_cbor_finish(&r) == 0);
}

static bool follows(const struct mkv_range *range, const struct mkv_range *before)
{
    return before->to.len > 0 && mkv_bytes_compare(before->to, range->from) <= 0;
}

/* Ranges have one spelling: read and written they are the same bytes. */
static void check_ranges(struct mkv_bytes ranges, bool ascending)
{
    struct mkv_range at[MKV_RANGES_MAX];
    struct mkv_range_reader r;
    struct mkv_cbor_writer w;
    struct mkv_buf out;
    uint32_t n = 0;

    MKV_ASSERT(mkv_range_reader_init(&r, ranges) == 0);
    while (mkv_range_reader_next(&r, &at[n])) {
        MKV_ASSERT(at[n].to.len == 0 || mkv_bytes_compare(at[n].from, at[n].to) < 0);
        MKV_ASSERT(!ascending || n == 0 || follows(&at[n], &at[n - 1]));
        n++;
    }
    MKV_ASSERT(r.cbor.error == 0);
    mkv_buf_init(&out, MKV_FRAME_MAX);
    mkv_cbor_writer_init(&w, &out);
    mkv_ranges_write(&w, at, n);
    MKV_ASSERT(w.error == 0);
    MKV_ASSERT(mkv_bytes_equal(mkv_buf_bytes(&out), ranges));
    mkv_buf_deinit(&out);
}

/*
 * Reads one list of pieces along a range that may not be the one it is of, and writes it again.
 * Whatever comes out lies inside the range.
 */
static void copy_pieces(struct mkv_sums_reader *r,
                        struct mkv_range range,
                        struct mkv_cbor_writer *w)
{
    struct mkv_piece pieces[MKV_PIECES_MAX];
    struct mkv_bytes before = range.from;
    uint32_t n = 0;

    if (!mkv_sums_reader_enter(r, range)) {
        return;
    }
    while (mkv_sums_reader_next(r, &pieces[n])) {
        struct mkv_bytes upto = pieces[n++].upto;

        MKV_ASSERT(upto.len == 0 || mkv_bytes_compare(upto, before) > 0);
        MKV_ASSERT(r->pieces > 0 || mkv_bytes_equal(upto, range.to));
        MKV_ASSERT(r->pieces == 0 || upto.len > 0);
        MKV_ASSERT(range.to.len == 0 || mkv_bytes_compare(upto, range.to) <= 0);
        before = upto;
    }
    if (r->cbor.error == 0) {
        mkv_pieces_write(w, pieces, n);
        MKV_ASSERT(w->error == 0);
    }
}

/* Where the next list of pieces ends; moves @r behind it. */
static struct mkv_bytes end_of_pieces(struct mkv_cbor_reader *r)
{
    struct mkv_bytes upto = {0};
    uint64_t n = mkv_cbor_read_array(r, MKV_PIECES_MAX);

    for (uint64_t i = 0; i < n; i++) {
        (void)mkv_cbor_read_array(r, 3);
        upto = mkv_cbor_read_bytes(r);
        (void)mkv_cbor_read_uint(r);
        (void)mkv_cbor_read_bytes(r);
    }
    return upto;
}

/* With the ranges that the sums are of, all is read and written again; else it is refused. */
static void check_sums(struct mkv_bytes sums, bool with_their_ranges)
{
    struct mkv_sums_reader r;
    struct mkv_cbor_reader ahead;
    struct mkv_cbor_writer w;
    struct mkv_buf out;

    MKV_ASSERT(mkv_sums_reader_init(&r, sums) == 0);
    mkv_buf_init(&out, MKV_FRAME_MAX);
    mkv_cbor_writer_init(&w, &out);
    mkv_cbor_write_array(&w, r.lists);
    mkv_cbor_reader_init(&ahead, r.cbor.rest);

    struct mkv_range range = {.to = end_of_pieces(&ahead)};

    while (r.lists > 0 && r.cbor.error == 0) {
        copy_pieces(&r, range, &w);
        if (with_their_ranges && r.lists > 0) {
            range.to = end_of_pieces(&ahead);
        }
    }

    int error = mkv_sums_reader_finish(&r);

    MKV_ASSERT(error == 0 || (error == MKV_E_MALFORMED && !with_their_ranges));
    MKV_ASSERT(error != 0 || mkv_bytes_equal(mkv_buf_bytes(&out), sums));
    mkv_buf_deinit(&out);
}

static void check_content(const struct mkv_frame *frame)
{
    switch ((int)frame->kind) {
    case MKV_FRAME_DATA:
        check_rows(frame->data.rows);
        break;
    case MKV_FRAME_SPLIT:
    case MKV_FRAME_FETCH:
        check_ranges(frame->ranges.ranges, frame->kind == MKV_FRAME_FETCH);
        break;
    case MKV_FRAME_SUMS:
        check_sums(frame->sums, true);
        check_sums(frame->sums, false);
        break;
    case MKV_FRAME_LOST:
        check_lost(frame->lost);
        break;
    default:
        break;
    }
}

/* Whatever a stream begins with: what is cut off it lies inside. */
static void check_cut(struct mkv_bytes stream)
{
    struct mkv_bytes map;
    size_t used;

    if (mkv_frame_cut(stream, &map, &used) == 0 && used > 0) {
        MKV_ASSERT(used <= stream.len);
        MKV_ASSERT(map.at == stream.at + 4);
        MKV_ASSERT(map.len == used - 4);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mkv_bytes in = mkv_bytes(data, size);
    struct mkv_frame frame;

    check_cut(in);
    if (mkv_frame_decode(in, &frame) == 0) {
        check_again(&frame);
        check_content(&frame);
    }
    return 0;
}
