/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cbor_diag.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"

/* An item that is open, and what is still to be printed of it. */
struct open_item {
    enum mkv_cbor_kind kind;
    bool ends_by_break;
    uint64_t n_wanted; /* unless it ends by a break */
    uint64_t n_printed;
};

struct diag {
    struct mkv_buf *out;
    struct open_item stack[MKV_CBOR_DEPTH_MAX + 1]; /* one more: the walk stops when it is used */
    size_t depth;
    size_t n_heads;
};

__attribute__((format(printf, 2, 3))) static void print(struct diag *diag, const char *format, ...)
{
    char text[64];
    va_list args;

    va_start(args, format);

    int len = vsnprintf(text, sizeof(text), format, args);

    va_end(args);
    if (len < 0 || (size_t)len >= sizeof(text) ||
        mkv_buf_append(diag->out, mkv_bytes(text, (size_t)len)) != 0) {
        abort();
    }
}

static void print_bytes(struct diag *diag, struct mkv_bytes bytes)
{
    print(diag, "h'");
    for (size_t i = 0; i < bytes.len; i++) {
        print(diag, "%02x", bytes.at[i]);
    }
    print(diag, "'");
}

static void print_text(struct diag *diag, struct mkv_bytes text)
{
    print(diag, "\"");
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i];

        if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
            print(diag, "%c", c);
        } else {
            print(diag, "\\x%02x", c);
        }
    }
    print(diag, "\"");
}

static void print_nint(struct diag *diag, uint64_t n)
{
    if (n == UINT64_MAX) {
        print(diag, "-18446744073709551616");
    } else {
        print(diag, "-%" PRIu64, n + 1);
    }
}

static void print_float(struct diag *diag, double real)
{
    uint64_t bits;

    memcpy(&bits, &real, sizeof(bits));
    print(diag, "f'%016" PRIx64 "'", bits);
}

static void print_separator(struct diag *diag)
{
    if (diag->depth == 0) {
        return;
    }

    struct open_item *top = &diag->stack[diag->depth - 1];

    if (top->n_printed > 0) {
        print(diag, top->kind == MKV_CBOR_MAP && top->n_printed % 2 == 1 ? ": " : ", ");
    }
    top->n_printed++;
}

static void print_opening(struct diag *diag, const struct mkv_cbor_item *item)
{
    if (item->kind == MKV_CBOR_TAG) {
        print(diag, "%" PRIu64 "(", item->number);
    } else {
        print(diag, "%c", "([{"[(item->kind == MKV_CBOR_ARRAY) + 2 * (item->kind == MKV_CBOR_MAP)]);
    }
    if (item->indefinite) {
        print(diag, "_ ");
    }
}

static void close_top(struct diag *diag)
{
    const struct open_item *top = &diag->stack[--diag->depth];

    print(diag, "%c", ")]}"[(top->kind == MKV_CBOR_ARRAY) + 2 * (top->kind == MKV_CBOR_MAP)]);
}

static void open_item(struct diag *diag, const struct mkv_cbor_item *item)
{
    uint64_t n_wanted = item->kind == MKV_CBOR_TAG   ? 1
                        : item->kind == MKV_CBOR_MAP ? item->number * 2
                                                     : item->number;

    print_opening(diag, item);
    diag->stack[diag->depth++] = (struct open_item){
        .kind = item->kind, .ends_by_break = item->indefinite, .n_wanted = n_wanted};
}

static void print_item(struct diag *diag, const struct mkv_cbor_item *item)
{
    switch (item->kind) {
    case MKV_CBOR_UINT:
        print(diag, "%" PRIu64, item->number);
        break;
    case MKV_CBOR_NINT:
        print_nint(diag, item->number);
        break;
    case MKV_CBOR_BYTES:
        print_bytes(diag, item->text);
        break;
    case MKV_CBOR_TEXT:
        print_text(diag, item->text);
        break;
    case MKV_CBOR_FALSE:
        print(diag, "false");
        break;
    case MKV_CBOR_TRUE:
        print(diag, "true");
        break;
    case MKV_CBOR_NULL:
        print(diag, "null");
        break;
    case MKV_CBOR_UNDEFINED:
        print(diag, "undefined");
        break;
    case MKV_CBOR_SIMPLE:
        print(diag, "simple(%" PRIu64 ")", item->number);
        break;
    case MKV_CBOR_FLOAT:
        print_float(diag, item->real);
        break;
    case MKV_CBOR_ARRAY:
    case MKV_CBOR_MAP:
    case MKV_CBOR_TAG:
    case MKV_CBOR_BREAK:
    case MKV_CBOR_END:
        abort(); /* not for here */
    }
}

static int step_break(struct diag *diag)
{
    if (diag->depth == 0 || !diag->stack[diag->depth - 1].ends_by_break) {
        return MKV_E_MALFORMED;
    }

    const struct open_item *top = &diag->stack[diag->depth - 1];

    if (top->kind == MKV_CBOR_MAP && top->n_printed % 2 == 1) {
        return MKV_E_MALFORMED;
    }
    close_top(diag);
    return 0;
}

static bool is_chunk_of(const struct mkv_cbor_item *item, const struct open_item *string)
{
    return item->kind == string->kind && !item->indefinite;
}

static int step(struct diag *diag, const struct mkv_cbor_item *item)
{
    const struct open_item *top = diag->depth > 0 ? &diag->stack[diag->depth - 1] : NULL;

    if (item->kind == MKV_CBOR_BREAK) {
        return step_break(diag);
    }
    if (++diag->n_heads > MKV_CBOR_ITEMS_MAX) {
        return MKV_E_TOO_MANY;
    }
    if (top != NULL && (top->kind == MKV_CBOR_BYTES || top->kind == MKV_CBOR_TEXT) &&
        !is_chunk_of(item, top)) {
        return MKV_E_MALFORMED;
    }
    print_separator(diag);
    if (item->indefinite || item->kind == MKV_CBOR_ARRAY || item->kind == MKV_CBOR_MAP ||
        item->kind == MKV_CBOR_TAG) {
        open_item(diag, item);
    } else {
        print_item(diag, item);
    }
    return diag->depth > MKV_CBOR_DEPTH_MAX ? MKV_E_TOO_DEEP : 0;
}

static bool top_is_complete(const struct diag *diag)
{
    if (diag->depth == 0) {
        return false;
    }

    const struct open_item *top = &diag->stack[diag->depth - 1];

    return !top->ends_by_break && top->n_printed == top->n_wanted;
}

int cbor_diag(struct mkv_bytes in, struct mkv_buf *out)
{
    struct diag diag = {.out = out};
    struct mkv_cbor_reader r;
    struct mkv_cbor_item item;

    mkv_cbor_reader_init(&r, in);
    do {
        mkv_cbor_next(&r, &item);
        if (r.error != 0) {
            return r.error;
        }
        if (item.kind == MKV_CBOR_END) {
            return MKV_E_TRUNCATED;
        }

        int error = step(&diag, &item);

        if (error != 0) {
            return error;
        }
        while (top_is_complete(&diag)) {
            close_top(&diag);
        }
    } while (diag.depth > 0);

    if (in.len - r.rest.len > MKV_VALUE_MAX) {
        return MKV_E_TOO_LARGE;
    }
    return mkv_cbor_finish(&r);
}
