/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/cbor.h"

#include "base/limits.h"
#include "wire/cbor_head.h"
#include "wire/float.h"
#include "wire/ieee.h"

struct head {
    enum mkv_cbor_kind kind;
    uint8_t info;
    uint64_t number;
    size_t len; /* of the head itself */
};

static enum mkv_cbor_kind kind_of_simple(unsigned info)
{
    switch (info) {
    case SIMPLE_FALSE:
        return MKV_CBOR_FALSE;
    case SIMPLE_TRUE:
        return MKV_CBOR_TRUE;
    case SIMPLE_NULL:
        return MKV_CBOR_NULL;
    case SIMPLE_UNDEFINED:
        return MKV_CBOR_UNDEFINED;
    case SIMPLE_FLOAT16:
    case SIMPLE_FLOAT32:
    case SIMPLE_FLOAT64:
        return MKV_CBOR_FLOAT;
    case INFO_INDEFINITE:
        return MKV_CBOR_BREAK;
    default:
        return MKV_CBOR_SIMPLE;
    }
}

static enum mkv_cbor_kind kind_of(uint8_t first)
{
    static const enum mkv_cbor_kind kinds[] = {
        [MAJOR_UINT] = MKV_CBOR_UINT,   [MAJOR_NINT] = MKV_CBOR_NINT,
        [MAJOR_BYTES] = MKV_CBOR_BYTES, [MAJOR_TEXT] = MKV_CBOR_TEXT,
        [MAJOR_ARRAY] = MKV_CBOR_ARRAY, [MAJOR_MAP] = MKV_CBOR_MAP,
        [MAJOR_TAG] = MKV_CBOR_TAG,
    };
    unsigned major = first >> 5;

    return major == MAJOR_SIMPLE ? kind_of_simple(first & 0x1fU) : kinds[major];
}

static uint64_t read_be(const uint8_t *at, size_t n)
{
    uint64_t number = 0;

    for (size_t i = 0; i < n; i++) {
        number = number << 8 | at[i];
    }
    return number;
}

/* The head that @in begins with, of any form that is well-formed; it is not consumed. */
static int parse_head(struct mkv_bytes in, struct head *ret_head)
{
    if (in.len == 0) {
        return MKV_E_TRUNCATED;
    }

    struct head head = {.kind = kind_of(in.at[0]), .info = in.at[0] & 0x1f, .len = 1};

    if (head.info < INFO_1_BYTE) {
        head.number = head.info;
    } else if (head.info <= INFO_8_BYTES) {
        size_t n = (size_t)1 << (head.info - INFO_1_BYTE);

        if (n > in.len - 1) {
            return MKV_E_TRUNCATED;
        }
        head.number = read_be(in.at + 1, n);
        head.len += n;
    } else if (head.info < INFO_INDEFINITE || head.kind == MKV_CBOR_UINT ||
               head.kind == MKV_CBOR_NINT || head.kind == MKV_CBOR_TAG) {
        return MKV_E_MALFORMED;
    }
    *ret_head = head;
    return 0;
}

static bool head_is_shortest(const struct head *head)
{
    switch (head->info) {
    case INFO_1_BYTE:
        return head->number >= INFO_1_BYTE;
    case INFO_1_BYTE + 1:
        return head->number > UINT8_MAX;
    case INFO_1_BYTE + 2:
        return head->number > UINT16_MAX;
    case INFO_8_BYTES:
        return head->number > UINT32_MAX;
    default:
        return true;
    }
}

static double float_of_head(const struct head *head)
{
    uint64_t bits = head->number;

    if (head->info == SIMPLE_FLOAT16) {
        bits = mkv_ieee_widen(bits, mkv_ieee16);
    } else if (head->info == SIMPLE_FLOAT32) {
        bits = mkv_ieee_widen(bits, mkv_ieee32);
    }
    return mkv_float_of_bits(bits);
}

void mkv_cbor_reader_init(struct mkv_cbor_reader *r, struct mkv_bytes in)
{
    *r = (struct mkv_cbor_reader){.rest = in};
}

void mkv_cbor_fail(struct mkv_cbor_reader *r, int error)
{
    if (r->error == 0) {
        r->error = error;
    }
}

enum mkv_cbor_kind mkv_cbor_peek(const struct mkv_cbor_reader *r)
{
    if (r->error != 0 || r->rest.len == 0) {
        return MKV_CBOR_END;
    }
    return kind_of(r->rest.at[0]);
}

static void consume(struct mkv_cbor_reader *r, size_t n)
{
    r->rest = mkv_bytes_after(r->rest, n);
}

/* The next head, if it is of @kind, definite, and shortest where it holds a number or length. */
static bool expect_any_head(struct mkv_cbor_reader *r,
                            enum mkv_cbor_kind kind,
                            struct head *ret_head)
{
    struct head head;

    if (r->error != 0) {
        return false;
    }
    if (r->rest.len > 0 && kind_of(r->rest.at[0]) != kind) {
        mkv_cbor_fail(r, MKV_E_MALFORMED);
        return false;
    }

    int error = parse_head(r->rest, &head);

    if (error == 0 && head.info == INFO_INDEFINITE) {
        error = MKV_E_MALFORMED;
    }
    if (error == 0 && kind != MKV_CBOR_FLOAT && !head_is_shortest(&head)) {
        error = MKV_E_NOT_MINIMAL;
    }
    if (error != 0) {
        mkv_cbor_fail(r, error);
        return false;
    }
    *ret_head = head;
    return true;
}

/* The same, without detours for what most heads are: one byte of the kind that it has to be. */
static inline bool expect_head(struct mkv_cbor_reader *r,
                               enum mkv_cbor_kind kind,
                               struct head *ret_head)
{
    if (r->error == 0 && r->rest.len > 0) {
        uint8_t first = r->rest.at[0];
        uint8_t info = first & 0x1fU;

        if (info < INFO_1_BYTE && first >> 5 != MAJOR_SIMPLE && kind_of(first) == kind) {
            *ret_head = (struct head){.kind = kind, .info = info, .number = info, .len = 1};
            return true;
        }
    }
    return expect_any_head(r, kind, ret_head);
}

uint64_t mkv_cbor_read_uint(struct mkv_cbor_reader *r)
{
    struct head head;

    if (!expect_head(r, MKV_CBOR_UINT, &head)) {
        return 0;
    }
    consume(r, head.len);
    return head.number;
}

uint64_t mkv_cbor_read_uint_below(struct mkv_cbor_reader *r, uint64_t bound)
{
    struct head head;

    if (!expect_head(r, MKV_CBOR_UINT, &head)) {
        return 0;
    }
    if (head.number >= bound) {
        mkv_cbor_fail(r, MKV_E_BAD_NUMBER);
        return 0;
    }
    consume(r, head.len);
    return head.number;
}

int64_t mkv_cbor_read_int(struct mkv_cbor_reader *r)
{
    bool negative = mkv_cbor_peek(r) == MKV_CBOR_NINT;
    struct head head;

    if (!expect_head(r, negative ? MKV_CBOR_NINT : MKV_CBOR_UINT, &head)) {
        return 0;
    }
    if (head.number > INT64_MAX) {
        mkv_cbor_fail(r, MKV_E_BAD_NUMBER);
        return 0;
    }
    consume(r, head.len);
    return negative ? -1 - (int64_t)head.number : (int64_t)head.number;
}

/* What follows the head of a string, once all of it is known to be there and valid. */
static int string_of_head(const struct head *head, struct mkv_bytes in, struct mkv_bytes *ret_text)
{
    struct mkv_bytes rest = mkv_bytes_after(in, head->len);

    if (head->number > rest.len) {
        return MKV_E_TRUNCATED;
    }

    struct mkv_bytes text = mkv_bytes(rest.at, (size_t)head->number);

    if (head->kind == MKV_CBOR_TEXT && !mkv_utf8_valid(text)) {
        return MKV_E_BAD_UTF8;
    }
    *ret_text = text;
    return 0;
}

static struct mkv_bytes read_string(struct mkv_cbor_reader *r, enum mkv_cbor_kind kind)
{
    struct mkv_bytes text = {0};
    struct head head;

    if (!expect_head(r, kind, &head)) {
        return text;
    }

    int error = string_of_head(&head, r->rest, &text);

    if (error != 0) {
        mkv_cbor_fail(r, error);
        return text;
    }
    consume(r, head.len + text.len);
    return text;
}

struct mkv_bytes mkv_cbor_read_bytes(struct mkv_cbor_reader *r)
{
    return read_string(r, MKV_CBOR_BYTES);
}

struct mkv_bytes mkv_cbor_read_text(struct mkv_cbor_reader *r)
{
    return read_string(r, MKV_CBOR_TEXT);
}

bool mkv_cbor_read_bool(struct mkv_cbor_reader *r)
{
    bool yes = mkv_cbor_peek(r) == MKV_CBOR_TRUE;
    struct head head;

    if (!expect_head(r, yes ? MKV_CBOR_TRUE : MKV_CBOR_FALSE, &head)) {
        return false;
    }
    consume(r, head.len);
    return yes;
}

void mkv_cbor_read_null(struct mkv_cbor_reader *r)
{
    struct head head;

    if (expect_head(r, MKV_CBOR_NULL, &head)) {
        consume(r, head.len);
    }
}

double mkv_cbor_read_float(struct mkv_cbor_reader *r)
{
    struct head head;

    if (!expect_head(r, MKV_CBOR_FLOAT, &head)) {
        return 0;
    }
    consume(r, head.len);
    return float_of_head(&head);
}

/* Whether @n_rest bytes can hold the content of an array or map: each item takes a byte or more. */
static bool count_fits(const struct head *head, size_t n_rest)
{
    return head->number <= (head->kind == MKV_CBOR_MAP ? n_rest / 2 : n_rest);
}

static uint64_t read_count(struct mkv_cbor_reader *r, enum mkv_cbor_kind kind, uint64_t max)
{
    struct head head;

    if (!expect_head(r, kind, &head)) {
        return 0;
    }
    if (head.number > max) {
        mkv_cbor_fail(r, MKV_E_TOO_MANY);
        return 0;
    }
    if (!count_fits(&head, r->rest.len - head.len)) {
        mkv_cbor_fail(r, MKV_E_TRUNCATED);
        return 0;
    }
    consume(r, head.len);
    return head.number;
}

uint64_t mkv_cbor_read_array(struct mkv_cbor_reader *r, uint64_t max)
{
    return read_count(r, MKV_CBOR_ARRAY, max);
}

uint64_t mkv_cbor_read_map(struct mkv_cbor_reader *r, uint64_t max)
{
    return read_count(r, MKV_CBOR_MAP, max);
}

/* What the head at the start of @in says, and the string behind it. */
static int item_of_head(const struct head *head, struct mkv_bytes in, struct mkv_cbor_item *item)
{
    item->kind = head->kind;
    item->indefinite = head->info == INFO_INDEFINITE && head->kind != MKV_CBOR_BREAK;

    switch (head->kind) {
    case MKV_CBOR_BYTES:
    case MKV_CBOR_TEXT:
        return item->indefinite ? 0 : string_of_head(head, in, &item->text);
    case MKV_CBOR_ARRAY:
    case MKV_CBOR_MAP:
        item->number = head->number;
        return count_fits(head, in.len - head->len) ? 0 : MKV_E_TRUNCATED;
    case MKV_CBOR_SIMPLE:
        item->number = head->number;
        /* section 3.3: the two-byte form of a value that has a place in the first byte is not
         * merely longer than need be, it is not well-formed */
        return head->info == INFO_1_BYTE && head->number < 32 ? MKV_E_MALFORMED : 0;
    case MKV_CBOR_FLOAT:
        item->real = float_of_head(head);
        return 0;
    case MKV_CBOR_UINT:
    case MKV_CBOR_NINT:
    case MKV_CBOR_TAG:
        item->number = head->number;
        return 0;
    case MKV_CBOR_FALSE:
    case MKV_CBOR_TRUE:
    case MKV_CBOR_NULL:
    case MKV_CBOR_UNDEFINED:
    case MKV_CBOR_BREAK:
    case MKV_CBOR_END:
        return 0;
    }
    return MKV_E_MALFORMED;
}

void mkv_cbor_next(struct mkv_cbor_reader *r, struct mkv_cbor_item *ret_item)
{
    struct mkv_cbor_item item = {0};
    struct head head;

    *ret_item = (struct mkv_cbor_item){.kind = MKV_CBOR_END};
    if (mkv_cbor_peek(r) == MKV_CBOR_END) {
        return;
    }

    int error = parse_head(r->rest, &head);

    if (error == 0) {
        error = item_of_head(&head, r->rest, &item);
    }
    if (error != 0) {
        mkv_cbor_fail(r, error);
        return;
    }
    consume(r, head.len + item.text.len);
    *ret_item = item;
}

/*
 * The items that are open around the one being read, outermost first.  This stack stands in for
 * recursion, so hostile nesting costs no more than this.
 */
struct level {
    enum mkv_cbor_kind kind;
    bool indefinite;
    uint64_t n_left; /* items still to come; indefinite: those seen, which for a map end up even */
};

struct walk {
    struct level levels[MKV_CBOR_DEPTH_MAX];
    size_t depth;
    size_t n_heads;
};

static bool item_opens_level(const struct mkv_cbor_item *item)
{
    return item->indefinite || item->kind == MKV_CBOR_ARRAY || item->kind == MKV_CBOR_MAP ||
           item->kind == MKV_CBOR_TAG;
}

static int open_level(struct walk *walk, const struct mkv_cbor_item *item)
{
    if (walk->depth == MKV_CBOR_DEPTH_MAX) {
        return MKV_E_TOO_DEEP;
    }

    struct level *level = &walk->levels[walk->depth++];

    *level = (struct level){.kind = item->kind, .indefinite = item->indefinite};
    if (item->kind == MKV_CBOR_TAG) {
        level->n_left = 1;
    } else if (item->kind == MKV_CBOR_MAP) {
        level->n_left = 2 * item->number; /* no overflow: mkv_cbor_next() saw that so many fit */
    } else {
        level->n_left = item->number;
    }
    return 0;
}

static int take_break(struct walk *walk)
{
    if (walk->depth == 0) {
        return MKV_E_MALFORMED;
    }

    const struct level *level = &walk->levels[walk->depth - 1];

    if (!level->indefinite || (level->kind == MKV_CBOR_MAP && level->n_left % 2 != 0)) {
        return MKV_E_MALFORMED;
    }
    walk->depth--;
    return 0;
}

static int take_content(struct walk *walk, const struct mkv_cbor_item *item)
{
    if (++walk->n_heads > MKV_CBOR_ITEMS_MAX) {
        return MKV_E_TOO_MANY;
    }
    if (walk->depth > 0) {
        struct level *level = &walk->levels[walk->depth - 1];
        bool is_string = level->kind == MKV_CBOR_BYTES || level->kind == MKV_CBOR_TEXT;

        if (is_string && (item->kind != level->kind || item->indefinite)) {
            return MKV_E_MALFORMED; /* only definite chunks of its own kind */
        }
        level->n_left = level->indefinite ? level->n_left + 1 : level->n_left - 1;
    }
    return item_opens_level(item) ? open_level(walk, item) : 0;
}

static int take_item(struct walk *walk, const struct mkv_cbor_item *item)
{
    if (item->kind == MKV_CBOR_END) {
        return MKV_E_TRUNCATED;
    }
    return item->kind == MKV_CBOR_BREAK ? take_break(walk) : take_content(walk, item);
}

static void close_full_levels(struct walk *walk)
{
    while (walk->depth > 0) {
        const struct level *level = &walk->levels[walk->depth - 1];

        if (level->indefinite || level->n_left > 0) {
            return;
        }
        walk->depth--;
    }
}

struct mkv_bytes mkv_cbor_read_raw(struct mkv_cbor_reader *r)
{
    struct mkv_bytes start = r->rest;
    struct walk walk;
    struct mkv_cbor_item item;

    walk.depth = 0;
    walk.n_heads = 0;
    do {
        mkv_cbor_next(r, &item);

        int error = take_item(&walk, &item);

        if (error != 0) {
            mkv_cbor_fail(r, error); /* unless mkv_cbor_next() knew better */
        }
        close_full_levels(&walk);
    } while (r->error == 0 && walk.depth > 0);

    if (start.len - r->rest.len > MKV_VALUE_MAX) {
        mkv_cbor_fail(r, MKV_E_TOO_LARGE);
    }
    if (r->error != 0) {
        r->rest = start;
        return mkv_bytes(NULL, 0);
    }
    return mkv_bytes(start.at, start.len - r->rest.len);
}

void mkv_cbor_skip(struct mkv_cbor_reader *r)
{
    (void)mkv_cbor_read_raw(r); /* the bytes are not wanted; an error sticks to @r */
}

int mkv_cbor_finish(struct mkv_cbor_reader *r)
{
    if (r->rest.len > 0) {
        mkv_cbor_fail(r, MKV_E_TRAILING);
    }
    return r->error;
}

int mkv_cbor_check(struct mkv_bytes in)
{
    struct mkv_cbor_reader r;

    mkv_cbor_reader_init(&r, in);
    mkv_cbor_skip(&r);
    return mkv_cbor_finish(&r);
}
