/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/range.h"

#include <string.h>

#include "base/limits.h"

#define RANGE_PARTS 2U /* from, to */
#define PIECE_PARTS 3U /* upto, count, digest */

/* Whether @bound, as the end of something that starts at @from, leaves room for a key. */
static bool ends_behind(struct mkv_bytes bound, struct mkv_bytes from)
{
    return bound.len == 0 || mkv_bytes_compare(bound, from) > 0;
}

/* A list of 1 .. @max elements. */
static uint64_t read_list(struct mkv_cbor_reader *r, uint64_t max)
{
    uint64_t n = mkv_cbor_read_array(r, max);

    if (n == 0) {
        mkv_cbor_fail(r, MKV_E_MALFORMED);
    }
    return n;
}

/* A list of exactly @n parts. */
static void read_parts(struct mkv_cbor_reader *r, uint64_t n)
{
    if (mkv_cbor_read_array(r, UINT64_MAX) != n) {
        mkv_cbor_fail(r, MKV_E_MALFORMED);
    }
}

static struct mkv_bytes read_bound(struct mkv_cbor_reader *r)
{
    struct mkv_bytes bound = mkv_cbor_read_bytes(r);

    if (bound.len > MKV_PATH_KEY_MAX) {
        mkv_cbor_fail(r, MKV_E_TOO_LARGE);
    }
    return bound;
}

static void read_range(struct mkv_cbor_reader *r, struct mkv_range *ret_range)
{
    struct mkv_range range;

    read_parts(r, RANGE_PARTS);
    range.from = read_bound(r);
    range.to = read_bound(r);
    if (!ends_behind(range.to, range.from)) {
        mkv_cbor_fail(r, MKV_E_MALFORMED);
    }
    if (r->error == 0) {
        *ret_range = range;
    }
}

int mkv_range_reader_init(struct mkv_range_reader *r, struct mkv_bytes ranges)
{
    mkv_cbor_reader_init(&r->cbor, ranges);
    r->left = read_list(&r->cbor, MKV_RANGES_MAX);
    return r->cbor.error;
}

bool mkv_range_reader_next(struct mkv_range_reader *r, struct mkv_range *ret_range)
{
    if (r->cbor.error != 0) {
        return false;
    }
    if (r->left == 0) {
        r->cbor.error = mkv_cbor_finish(&r->cbor);
        return false;
    }
    r->left--;
    read_range(&r->cbor, ret_range);
    return r->cbor.error == 0;
}

/* The bytes between @start and where the reader stands. */
static struct mkv_bytes read_since(const struct mkv_cbor_reader *r, struct mkv_bytes start)
{
    return r->error == 0 ? mkv_bytes(start.at, start.len - r->rest.len) : mkv_bytes(NULL, 0);
}

struct mkv_bytes mkv_ranges_read_raw(struct mkv_cbor_reader *r)
{
    struct mkv_bytes start = r->rest;
    uint64_t n = read_list(r, MKV_RANGES_MAX);

    for (uint64_t i = 0; i < n && r->error == 0; i++) {
        struct mkv_range range;

        read_range(r, &range);
    }
    return read_since(r, start);
}

bool mkv_ranges_ascend(struct mkv_bytes ranges)
{
    struct mkv_range_reader r;
    struct mkv_range range;
    struct mkv_bytes end = mkv_bytes(NULL, 0); /* of the range before */
    bool first = true;

    if (mkv_range_reader_init(&r, ranges) != 0) {
        return false;
    }
    while (mkv_range_reader_next(&r, &range)) {
        bool behind = end.len > 0 && mkv_bytes_compare(range.from, end) >= 0;

        if (!first && !behind) {
            return false;
        }
        first = false;
        end = range.to;
    }
    return r.cbor.error == 0;
}

static void fail(struct mkv_cbor_writer *w, int error)
{
    if (w->error == 0) {
        w->error = error;
    }
}

static void write_list(struct mkv_cbor_writer *w, uint32_t n, uint32_t max)
{
    if (n == 0) {
        fail(w, MKV_E_MALFORMED);
    }
    if (n > max) {
        fail(w, MKV_E_TOO_LARGE);
    }
    mkv_cbor_write_array(w, n);
}

static void write_bound(struct mkv_cbor_writer *w, struct mkv_bytes bound)
{
    if (bound.len > MKV_PATH_KEY_MAX) {
        fail(w, MKV_E_TOO_LARGE);
    }
    mkv_cbor_write_bytes(w, bound);
}

void mkv_ranges_write(struct mkv_cbor_writer *w, const struct mkv_range *ranges, uint32_t n)
{
    write_list(w, n, MKV_RANGES_MAX);
    for (uint32_t i = 0; i < n && w->error == 0; i++) {
        if (!ends_behind(ranges[i].to, ranges[i].from)) {
            fail(w, MKV_E_MALFORMED);
        }
        mkv_cbor_write_array(w, RANGE_PARTS);
        write_bound(w, ranges[i].from);
        write_bound(w, ranges[i].to);
    }
}

/* A piece of what begins at @from; only the @last one may go to the end of all keys. */
static bool piece_fits(struct mkv_bytes upto, struct mkv_bytes from, bool last)
{
    return ends_behind(upto, from) && (last || upto.len > 0);
}

static void read_piece(struct mkv_cbor_reader *r,
                       struct mkv_bytes from,
                       bool last,
                       struct mkv_piece *ret_piece)
{
    struct mkv_piece piece;

    read_parts(r, PIECE_PARTS);
    piece.upto = read_bound(r);
    piece.count = mkv_cbor_read_uint(r);

    struct mkv_bytes digest = mkv_cbor_read_bytes(r);

    if (digest.len != MKV_PIECE_DIGEST_LEN || !piece_fits(piece.upto, from, last)) {
        mkv_cbor_fail(r, MKV_E_MALFORMED);
    }
    if (r->error == 0) {
        memcpy(piece.digest, digest.at, MKV_PIECE_DIGEST_LEN);
        *ret_piece = piece;
    }
}

int mkv_sums_reader_init(struct mkv_sums_reader *r, struct mkv_bytes sums)
{
    *r = (struct mkv_sums_reader){0};
    mkv_cbor_reader_init(&r->cbor, sums);
    r->lists = read_list(&r->cbor, MKV_RANGES_MAX);
    return r->cbor.error;
}

/* Whether @upto, where a piece ends, is where it may end in the range that is being read. */
static bool piece_in_range(struct mkv_bytes upto, struct mkv_bytes to, bool last)
{
    if (last) {
        return mkv_bytes_equal(upto, to);
    }
    return to.len == 0 || mkv_bytes_compare(upto, to) < 0;
}

bool mkv_sums_reader_next(struct mkv_sums_reader *r, struct mkv_piece *ret_piece)
{
    struct mkv_piece piece;

    if (r->cbor.error != 0 || r->pieces == 0) {
        return false;
    }
    r->pieces--;
    read_piece(&r->cbor, r->range.from, r->pieces == 0, &piece);
    if (r->cbor.error == 0 && !piece_in_range(piece.upto, r->range.to, r->pieces == 0)) {
        mkv_cbor_fail(&r->cbor, MKV_E_MALFORMED);
    }
    if (r->cbor.error != 0) {
        return false;
    }
    r->range.from = piece.upto;
    *ret_piece = piece;
    return true;
}

static void skip_pieces(struct mkv_sums_reader *r)
{
    struct mkv_piece piece;

    while (mkv_sums_reader_next(r, &piece)) {
    }
}

bool mkv_sums_reader_enter(struct mkv_sums_reader *r, struct mkv_range range)
{
    skip_pieces(r);
    if (r->lists == 0) {
        mkv_cbor_fail(&r->cbor, MKV_E_MALFORMED);
    }
    if (r->cbor.error != 0) {
        return false;
    }
    r->lists--;
    r->range = range;
    r->pieces = read_list(&r->cbor, MKV_PIECES_MAX);
    return r->cbor.error == 0;
}

int mkv_sums_reader_finish(struct mkv_sums_reader *r)
{
    skip_pieces(r);
    if (r->lists > 0) {
        mkv_cbor_fail(&r->cbor, MKV_E_MALFORMED);
    }
    return mkv_cbor_finish(&r->cbor);
}

static void check_pieces(struct mkv_cbor_reader *r)
{
    uint64_t n = read_list(r, MKV_PIECES_MAX);
    struct mkv_piece piece = {.count = 0};

    for (uint64_t i = 0; i < n && r->error == 0; i++) {
        read_piece(r, piece.upto, i + 1 == n, &piece);
    }
}

struct mkv_bytes mkv_sums_read_raw(struct mkv_cbor_reader *r)
{
    struct mkv_bytes start = r->rest;
    uint64_t n = read_list(r, MKV_RANGES_MAX);

    for (uint64_t i = 0; i < n && r->error == 0; i++) {
        check_pieces(r);
    }
    return read_since(r, start);
}

void mkv_pieces_write(struct mkv_cbor_writer *w, const struct mkv_piece *pieces, uint32_t n)
{
    struct mkv_bytes from = mkv_bytes("", 0);

    write_list(w, n, MKV_PIECES_MAX);
    for (uint32_t i = 0; i < n && w->error == 0; i++) {
        if (!piece_fits(pieces[i].upto, from, i + 1 == n)) {
            fail(w, MKV_E_MALFORMED);
        }
        mkv_cbor_write_array(w, PIECE_PARTS);
        write_bound(w, pieces[i].upto);
        mkv_cbor_write_uint(w, pieces[i].count);
        mkv_cbor_write_bytes(w, mkv_bytes(pieces[i].digest, MKV_PIECE_DIGEST_LEN));
        from = pieces[i].upto;
    }
}
