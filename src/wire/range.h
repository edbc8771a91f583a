/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ranges of ordered keys and what lies in them: the content of `split`, `fetch` and `sums` frames
 * (docs/protocol.md, section 12).
 *
 *     ranges    [[from, to], ...]                     from <= key < to; an empty `to`: to the end
 *     sums      [[[upto, count, digest], ...], ...]   one list of pieces for each range asked for
 *
 * Bounds are compared as bytes; they need not be keys of paths.  Nothing here allocates: readers
 * borrow from the frame.
 */
#ifndef MKV_WIRE_RANGE_H
#define MKV_WIRE_RANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "wire/cbor.h"

#define MKV_RANGES_MAX 64U /* ranges of a request; more: TOO_MANY */
#define MKV_PIECES_MAX 16U /* pieces of a range; more: TOO_MANY */

#define MKV_PIECE_DIGEST_LEN 16U

struct mkv_range {
    struct mkv_bytes from; /* at most MKV_PATH_KEY_MAX bytes, as is `to` */
    struct mkv_bytes to;   /* empty, or greater than `from` */
};

/* What lies between the end of the piece before (or the start of the range) and @upto. */
struct mkv_piece {
    struct mkv_bytes upto; /* the last piece's is the range's `to` */
    uint64_t count;        /* entries, tombstones included */
    uint8_t digest[MKV_PIECE_DIGEST_LEN];
};

/* Walks a list of ranges. */
struct mkv_range_reader {
    struct mkv_cbor_reader cbor;
    uint64_t left; /* ranges not yet read */
};

/* MALFORMED (no list, or an empty one), TOO_MANY, NOT_MINIMAL, TRUNCATED. */
int mkv_range_reader_init(struct mkv_range_reader *r, struct mkv_bytes ranges) MKV_MUST_CHECK;

/*
 * The next range.  False at the end and on an error, which is then in r->cbor.error: MALFORMED
 * (also: @to is not greater than @from), TOO_LARGE (a bound), NOT_MINIMAL, TRUNCATED, TRAILING.
 */
bool mkv_range_reader_next(struct mkv_range_reader *r, struct mkv_range *ret_range);

/* Checks a whole list of 1 .. MKV_RANGES_MAX ranges, in any order, and returns its bytes. */
struct mkv_bytes mkv_ranges_read_raw(struct mkv_cbor_reader *r);

/* Whether it is such a list, and each range begins where the one before ends, or behind. */
bool mkv_ranges_ascend(struct mkv_bytes ranges);

/*
 * Writes the list.  What a reader would refuse is not written: MALFORMED (no range, or one whose
 * @to is not greater), TOO_LARGE (too many, or a bound too long).
 */
void mkv_ranges_write(struct mkv_cbor_writer *w, const struct mkv_range *ranges, uint32_t n);

/* Walks the lists of pieces along the ranges that were asked for. */
struct mkv_sums_reader {
    struct mkv_cbor_reader cbor;
    uint64_t lists;         /* not yet entered */
    uint64_t pieces;        /* of the present list, not yet read */
    struct mkv_range range; /* what the present list has still to cover */
};

/* Errors as for ranges. */
int mkv_sums_reader_init(struct mkv_sums_reader *r, struct mkv_bytes sums) MKV_MUST_CHECK;

/*
 * Turns to the pieces of the next range, which is @range; its bounds must live as long as they
 * are read.  False on an error: what is left of the list before is checked as well, and MALFORMED
 * if there is no further list.
 */
bool mkv_sums_reader_enter(struct mkv_sums_reader *r, struct mkv_range range);

/*
 * The next piece of this range.  False at the last one's end and on an error: as for ranges, and
 * MALFORMED for a piece that does not lie inside the range behind the one before, or a last one
 * that does not end where the range does.
 */
bool mkv_sums_reader_next(struct mkv_sums_reader *r, struct mkv_piece *ret_piece);

/* Reads what is left.  The first error; MALFORMED if there are more lists than were entered. */
int mkv_sums_reader_finish(struct mkv_sums_reader *r) MKV_MUST_CHECK;

/* Checks it all as far as it can be done without the ranges, and returns its bytes. */
struct mkv_bytes mkv_sums_read_raw(struct mkv_cbor_reader *r);

/*
 * Writes one range's list of pieces; the head of the list of these lists is the caller's to write.
 * MALFORMED (no piece, or they do not ascend), TOO_LARGE (too many, or a bound too long).
 */
void mkv_pieces_write(struct mkv_cbor_writer *w, const struct mkv_piece *pieces, uint32_t n);

#endif
