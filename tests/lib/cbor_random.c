/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cbor_random.h"

#include <stdbool.h>
#include <stdlib.h>

#define DEPTH_MAX 8U

enum {
    UINT,
    NINT,
    BYTES,
    TEXT,
    ARRAY,
    MAP,
    TAG,
    SIMPLE
};

struct open_item {
    unsigned major;
    bool indefinite;
    uint64_t n; /* definite: items still to come; indefinite: those so far */
};

struct growth {
    struct prng *prng;
    struct mkv_buf *out;
    struct open_item stack[DEPTH_MAX];
    size_t depth;
    size_t n_heads_left;
};

static void put(struct mkv_buf *out, uint64_t byte)
{
    if (mkv_buf_append_u8(out, (uint8_t)byte) != 0) {
        abort();
    }
}

static void put_wide(struct mkv_buf *out, unsigned major, uint64_t number, unsigned log2_bytes)
{
    put(out, major << 5 | (24 + log2_bytes));
    for (unsigned shift = 8U << log2_bytes; shift > 0; shift -= 8) {
        put(out, number >> (shift - 8));
    }
}

/* A head of any width that holds @number. */
static void put_head(struct growth *g, unsigned major, uint64_t number)
{
    unsigned narrowest = number < 256 ? 0 : number < 65536 ? 1 : number >> 32 == 0 ? 2 : 3;

    if (number < 24 && prng_below(g->prng, 4) > 0) {
        put(g->out, major << 5 | number);
    } else {
        put_wide(g->out, major, number, narrowest + (unsigned)prng_below(g->prng, 4 - narrowest));
    }
}

static uint32_t random_scalar(struct prng *prng)
{
    static const uint32_t edges[] = {0,      0x7f,   0x80,   0x7ff,   0x800,
                                     0xd7ff, 0xe000, 0xffff, 0x10000, 0x10ffff};
    uint32_t c = (uint32_t)(prng_next(prng) >> (43 + prng_below(prng, 15)));

    if (prng_below(prng, 4) == 0) {
        return edges[prng_below(prng, sizeof(edges) / sizeof(edges[0]))];
    }
    return c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) ? 'x' : c;
}

void cbor_random_utf8(struct prng *prng, size_t n, struct mkv_buf *out)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t c = random_scalar(prng);

        if (c < 0x80) {
            put(out, c);
        } else if (c < 0x800) {
            put(out, 0xc0 | c >> 6);
            put(out, 0x80 | (c & 0x3f));
        } else if (c < 0x10000) {
            put(out, 0xe0 | c >> 12);
            put(out, 0x80 | (c >> 6 & 0x3f));
            put(out, 0x80 | (c & 0x3f));
        } else {
            put(out, 0xf0 | c >> 18);
            put(out, 0x80 | (c >> 12 & 0x3f));
            put(out, 0x80 | (c >> 6 & 0x3f));
            put(out, 0x80 | (c & 0x3f));
        }
    }
}

static void put_string(struct growth *g, unsigned major)
{
    size_t n = (size_t)prng_below(g->prng, prng_below(g->prng, 8) == 0 ? 100 : 8);

    if (major == BYTES) {
        put_head(g, major, n);
        for (size_t i = 0; i < n; i++) {
            put(g->out, prng_next(g->prng));
        }
        return;
    }

    struct mkv_buf text;

    mkv_buf_init(&text, 4096);
    cbor_random_utf8(g->prng, n, &text);
    put_head(g, major, text.len);
    if (mkv_buf_append(g->out, mkv_buf_bytes(&text)) != 0) {
        abort();
    }
    mkv_buf_deinit(&text);
}

static void put_simple(struct growth *g)
{
    switch (prng_below(g->prng, 3)) {
    case 0:
        put(g->out, SIMPLE << 5 | prng_below(g->prng, 24));
        break;
    case 1:
        put_wide(g->out, SIMPLE, 32 + prng_below(g->prng, 224), 0);
        break;
    default:
        put_wide(g->out, SIMPLE, prng_next(g->prng), 1 + (unsigned)prng_below(g->prng, 3));
        break;
    }
}

static void open_item(struct growth *g, unsigned major)
{
    struct open_item item = {.major = major};

    if (major == TAG) {
        item.n = 1;
        put_head(g, TAG, prng_any_width(g->prng));
    } else if (major == BYTES || major == TEXT || prng_below(g->prng, 2) == 0) {
        item.indefinite = true;
        put(g->out, major << 5 | 31);
    } else {
        uint64_t count = prng_below(g->prng, 5);

        item.n = major == MAP ? 2 * count : count;
        put_head(g, major, count);
    }
    g->stack[g->depth++] = item;
}

static void grow_content(struct growth *g)
{
    unsigned major = (unsigned)prng_below(g->prng, 8);
    bool may_open = g->depth < DEPTH_MAX && g->n_heads_left > 0;

    if (may_open && ((major >= ARRAY && major <= TAG) ||
                     ((major == BYTES || major == TEXT) && prng_below(g->prng, 4) == 0))) {
        open_item(g, major);
    } else if (major == BYTES || major == TEXT) {
        put_string(g, major);
    } else if (major == SIMPLE) {
        put_simple(g);
    } else {
        put_head(g, major & 1, prng_any_width(g->prng));
    }
}

/* One more item, or the break, inside the innermost one that is open. */
static void grow(struct growth *g)
{
    struct open_item *top = g->depth > 0 ? &g->stack[g->depth - 1] : NULL;

    g->n_heads_left -= g->n_heads_left > 0;
    if (top == NULL) {
        grow_content(g);
        return;
    }
    if (top->indefinite && (top->major != MAP || top->n % 2 == 0) &&
        (g->n_heads_left == 0 || prng_below(g->prng, 4) == 0)) {
        put(g->out, 0xff);
        g->depth--;
        return;
    }
    top->n += top->indefinite ? 1 : UINT64_MAX;
    if (top->major == BYTES || top->major == TEXT) {
        put_string(g, top->major);
    } else {
        grow_content(g);
    }
}

void cbor_random_item(struct prng *prng, size_t n_heads_max, struct mkv_buf *out)
{
    struct growth g = {.prng = prng, .out = out, .n_heads_left = n_heads_max};

    do {
        grow(&g);
        while (g.depth > 0 && !g.stack[g.depth - 1].indefinite && g.stack[g.depth - 1].n == 0) {
            g.depth--;
        }
    } while (g.depth > 0);
}
