/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CBOR (RFC 8949), read and written without allocating and without recursion.
 *
 * The reader is a cursor with a sticky error: the read that fails and every one after it return
 * zero and consume nothing, so a decoder reads straight on and checks once, in mkv_cbor_finish().
 *
 * Two strictnesses.  What the protocol itself reads (mkv_cbor_read_uint, _text, _map ...) must be
 * of definite length and in its shortest form.  Values of users (mkv_cbor_read_raw, _skip) may be
 * any well-formed item: longer forms, indefinite lengths, tags and unassigned simple values pass
 * through untouched, byte for byte; only ill-formed ones, text that is not UTF-8, and those beyond
 * the limits of base/limits.h are refused.  Replicas must agree on this to the byte.
 */
#ifndef MKV_WIRE_CBOR_H
#define MKV_WIRE_CBOR_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "wire/utf8.h"

struct mkv_cbor_reader {
    struct mkv_bytes rest; /* not yet consumed; borrowed from the input */
    int error;             /* the first one met, or 0 */
};

/* What an item is. */
enum mkv_cbor_kind {
    MKV_CBOR_UINT,
    MKV_CBOR_NINT, /* -1 - n */
    MKV_CBOR_BYTES,
    MKV_CBOR_TEXT,
    MKV_CBOR_ARRAY,
    MKV_CBOR_MAP,
    MKV_CBOR_TAG,
    MKV_CBOR_FALSE,
    MKV_CBOR_TRUE,
    MKV_CBOR_NULL,
    MKV_CBOR_UNDEFINED,
    MKV_CBOR_SIMPLE, /* any other simple value */
    MKV_CBOR_FLOAT,
    MKV_CBOR_BREAK, /* ends an item of indefinite length */
    MKV_CBOR_END,   /* nothing left, or an error has been met */
};

/* Starts at the first byte of @in, which must outlive all that is read from it. */
void mkv_cbor_reader_init(struct mkv_cbor_reader *r, struct mkv_bytes in);

/*
 * Tells from its first byte what the next item is; consumes nothing.  Whether the item is cut
 * off or ill-formed shows only when it is read.
 */
enum mkv_cbor_kind mkv_cbor_peek(const struct mkv_cbor_reader *r);

/*
 * Strict reads.  An item of another kind, of indefinite length, or ill-formed: MALFORMED.  Cut
 * off: TRUNCATED.  A number or length not in its shortest form: NOT_MINIMAL; floats may have any
 * width.  Strings are borrowed from the input.
 */
uint64_t mkv_cbor_read_uint(struct mkv_cbor_reader *r);                       /* 0 .. 2^64-1 */
uint64_t mkv_cbor_read_uint_below(struct mkv_cbor_reader *r, uint64_t bound); /* else BAD_NUMBER */
int64_t mkv_cbor_read_int(struct mkv_cbor_reader *r); /* -2^63 .. 2^63-1, else BAD_NUMBER */
struct mkv_bytes mkv_cbor_read_bytes(struct mkv_cbor_reader *r);
struct mkv_bytes mkv_cbor_read_text(struct mkv_cbor_reader *r); /* BAD_UTF8 */
bool mkv_cbor_read_bool(struct mkv_cbor_reader *r);
void mkv_cbor_read_null(struct mkv_cbor_reader *r);
double mkv_cbor_read_float(struct mkv_cbor_reader *r); /* NaN and infinities too */

/*
 * The number of elements, or of key/value pairs; they follow.  More than @max: TOO_MANY.  More
 * than the bytes left could hold: TRUNCATED, so a count that is returned is safe to believe.
 */
uint64_t mkv_cbor_read_array(struct mkv_cbor_reader *r, uint64_t max);
uint64_t mkv_cbor_read_map(struct mkv_cbor_reader *r, uint64_t max);

/*
 * Checks one item of any kind, as deep as it goes, and returns its bytes (borrowed from the
 * input), or just skips it.  MALFORMED, TRUNCATED, BAD_UTF8; TOO_DEEP beyond MKV_CBOR_DEPTH_MAX
 * levels (arrays, maps, tags, strings of indefinite length), counted from this item; TOO_MANY
 * beyond MKV_CBOR_ITEMS_MAX heads in it (a break is none); TOO_LARGE if it is whole and well-formed
 * but has more than MKV_VALUE_MAX bytes.
 */
struct mkv_bytes mkv_cbor_read_raw(struct mkv_cbor_reader *r);
void mkv_cbor_skip(struct mkv_cbor_reader *r);

/* Sets the sticky error, unless there is one already.  @error is not 0. */
void mkv_cbor_fail(struct mkv_cbor_reader *r, int error);

/* The first error met; TRAILING if bytes are left over, which then sticks, too; else 0. */
int mkv_cbor_finish(struct mkv_cbor_reader *r) MKV_MUST_CHECK;

/* Tells whether @in is exactly one item that mkv_cbor_read_raw() accepts: 0, its error, TRAILING. */
int mkv_cbor_check(struct mkv_bytes in) MKV_MUST_CHECK;

/*
 * One lenient step, for those who look inside values (the command line's output formats).  The
 * head of any item, of definite or indefinite length.  For strings of definite length, @text
 * holds the bytes and the reader has moved behind them; arrays, maps, tags and strings of
 * indefinite length are followed by their content, which the caller reads by further steps.
 *
 * Errors of the head and of such a string: MALFORMED, TRUNCATED (also for a count that the bytes
 * left could not hold), BAD_UTF8.  How the steps nest is not looked at: a BREAK may come anywhere.
 * At the end of the input and after an error, @ret_item is all zero but for its kind, END.
 */
struct mkv_cbor_item {
    enum mkv_cbor_kind kind;
    bool indefinite;       /* BYTES, TEXT, ARRAY, MAP: ends with a BREAK */
    uint64_t number;       /* UINT: n; NINT: n of -1 - n; ARRAY, MAP: definite count; TAG; SIMPLE */
    double real;           /* FLOAT */
    struct mkv_bytes text; /* BYTES, TEXT of definite length; borrowed from the input */
};
void mkv_cbor_next(struct mkv_cbor_reader *r, struct mkv_cbor_item *ret_item);

/*
 * Writes in shortest form and definite length, floats always with 64 bits unless
 * mkv_cbor_write_float_short() is asked for.  Sticky too: the call that fails (TOO_LARGE,
 * NO_MEMORY) and all after it write nothing; check @error at the end.
 *
 * Whether the whole is well-formed is the caller's business: elements are not counted, and the
 * UTF-8 of texts and the shape of raw items are not looked at.
 */
struct mkv_cbor_writer {
    struct mkv_buf *out; /* borrowed */
    int error;
};

void mkv_cbor_writer_init(struct mkv_cbor_writer *w, struct mkv_buf *out);
void mkv_cbor_write_uint(struct mkv_cbor_writer *w, uint64_t number);
void mkv_cbor_write_int(struct mkv_cbor_writer *w, int64_t number);
void mkv_cbor_write_nint(struct mkv_cbor_writer *w, uint64_t n); /* -1 - n */
void mkv_cbor_write_bytes(struct mkv_cbor_writer *w, struct mkv_bytes bytes);
void mkv_cbor_write_text(struct mkv_cbor_writer *w, struct mkv_bytes text);
void mkv_cbor_write_array(struct mkv_cbor_writer *w, uint64_t n);
void mkv_cbor_write_map(struct mkv_cbor_writer *w, uint64_t n_pairs);
void mkv_cbor_write_tag(struct mkv_cbor_writer *w, uint64_t tag);
void mkv_cbor_write_bool(struct mkv_cbor_writer *w, bool yes);
void mkv_cbor_write_null(struct mkv_cbor_writer *w);
void mkv_cbor_write_float(struct mkv_cbor_writer *w, double real);
/* In the shortest of 16, 32 and 64 bits that keeps all of it: sign of zero and NaN's bits, too. */
void mkv_cbor_write_float_short(struct mkv_cbor_writer *w, double real);
void mkv_cbor_write_raw(struct mkv_cbor_writer *w, struct mkv_bytes item); /* as it is */

#endif
