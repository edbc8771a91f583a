/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sorted is by 7 bytes of the keys at a time, which stand in the array itself: the keys proper,
 * scattered all over memory, are only looked at once for each 7 bytes that they share with others.
 *
 *     depth 0:   word = bytes 0..6 of the key, then how many of these there are
 *     depth 7:   among keys with equal words: bytes 7..13, ...
 *
 * Keys with equal words that end within them are the same key.
 */
#include "core/tree_load.h"

#include "base/assert.h"
#include "base/mem.h"
#include "core/tree_node.h"

#define FIRST_CAP  1024U
#define WORD_BYTES 7U
#define RANGES_MAX 64U /* pending at once: 2 log3(2^32) = 41 at most, see sort() */
#define LEVELS_MAX 48U
#define SHORT_MAX  12U /* ranges up to this are sorted by insertion */

struct range {
    size_t from;
    size_t n;
    size_t depth;
};

void mkv_tree_loader_init(struct mkv_tree_loader *loader, uint64_t seed)
{
    *loader = (struct mkv_tree_loader){.random = seed};
}

void mkv_tree_loader_deinit(struct mkv_tree_loader *loader)
{
    for (size_t i = 0; i < loader->n; i++) {
        mkv_mem_free(loader->items[i].node);
    }
    mkv_mem_free(loader->items);
    *loader = (struct mkv_tree_loader){0};
}

static uint64_t word_at(const struct mkv_tree_node *node, size_t depth)
{
    size_t left = node->key_len - depth;
    size_t n = left < WORD_BYTES ? left : WORD_BYTES;
    uint64_t word = 0;

    for (size_t i = 0; i < n; i++) {
        word |= (uint64_t)node->bytes[depth + i] << (56 - 8 * i);
    }
    return word | n;
}

static int reserve(struct mkv_tree_loader *loader)
{
    if (loader->n < loader->cap) {
        return 0;
    }
    if (loader->n >= UINT32_MAX / 2 || loader->cap > SIZE_MAX / 2 / sizeof(struct mkv_tree_item)) {
        return MKV_E_NO_MEMORY;
    }

    size_t cap = loader->cap > 0 ? 2 * loader->cap : FIRST_CAP;
    struct mkv_tree_item *items = mkv_mem_resize(loader->items, cap * sizeof(*items));

    if (items == NULL) {
        return MKV_E_NO_MEMORY;
    }
    loader->items = items;
    loader->cap = cap;
    return 0;
}

/* What is gone counts as no entry. */
static int add(struct mkv_tree_loader *loader,
               const struct mkv_tree *tree,
               struct mkv_bytes key,
               const struct mkv_head *head,
               uint64_t position)
{
    static const struct mkv_head none;
    int error = reserve(loader);

    if (error != 0) {
        return error;
    }

    struct mkv_tree_node *node =
        mkv_tree_node_new(tree->digest_key, key, head != NULL ? head : &none, position);

    if (node == NULL) {
        return MKV_E_NO_MEMORY;
    }
    node->n_entries = head != NULL;
    loader->items[loader->n++] = (struct mkv_tree_item){.word = word_at(node, 0), .node = node};
    return 0;
}

int mkv_tree_loader_add(struct mkv_tree_loader *loader,
                        const struct mkv_tree *tree,
                        struct mkv_bytes key,
                        const struct mkv_head *head,
                        uint64_t position)
{
    return add(loader, tree, key, head, position);
}

int mkv_tree_loader_add_gone(struct mkv_tree_loader *loader,
                             const struct mkv_tree *tree,
                             struct mkv_bytes key,
                             uint64_t position)
{
    return add(loader, tree, key, NULL, position);
}

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void swap(struct mkv_tree_item *a, struct mkv_tree_item *b)
{
    struct mkv_tree_item kept = *a;

    *a = *b;
    *b = kept;
}

static void sort_short(struct mkv_tree_item *items, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct mkv_tree_item item = items[i];
        size_t j = i;

        while (j > 0 && mkv_bytes_compare(mkv_tree_node_key(items[j - 1].node),
                                          mkv_tree_node_key(item.node)) > 0) {
            items[j] = items[j - 1];
            j--;
        }
        items[j] = item;
    }
}

/* Splits a range into those with less than, with, and with more than a word picked at random. */
static void split(struct mkv_tree_item *items,
                  struct range range,
                  uint64_t pivot,
                  struct range ret_parts[3])
{
    size_t low = range.from;
    size_t i = range.from;
    size_t high = range.from + range.n;

    while (i < high) {
        if (items[i].word < pivot) {
            swap(&items[i++], &items[low++]);
        } else if (items[i].word > pivot) {
            swap(&items[i], &items[--high]);
        } else {
            i++;
        }
    }
    ret_parts[0] = (struct range){range.from, low - range.from, range.depth};
    ret_parts[1] = (struct range){low, high - low, range.depth};
    ret_parts[2] = (struct range){high, range.from + range.n - high, range.depth};
}

/* Goes on to the next 7 bytes of keys that agree so far, unless all of them end here. */
static void go_deeper(struct mkv_tree_item *items, struct range *range, uint64_t word)
{
    if ((word & 0xff) < WORD_BYTES) {
        range->n = 0;
        return;
    }
    range->depth += WORD_BYTES;
    for (size_t i = range->from; i < range->from + range->n; i++) {
        items[i].word = word_at(items[i].node, range->depth);
    }
}

static void order_by_size(struct range parts[3])
{
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned j = 2; j > i; j--) {
            if (parts[j].n > parts[j - 1].n) {
                struct range kept = parts[j];

                parts[j] = parts[j - 1];
                parts[j - 1] = kept;
            }
        }
    }
}

/*
 * Of each split, the smallest part comes next and the largest last: while the smallest is worked
 * on two ranges are pending, but it has a third of the items; with the second largest, one.
 */
static void sort(struct mkv_tree_item *items, size_t n, uint64_t *random)
{
    struct range pending[RANGES_MAX] = {{.n = n}};
    unsigned n_pending = 1;

    while (n_pending > 0) {
        struct range range = pending[--n_pending];
        struct range parts[3];

        if (range.n <= SHORT_MAX) {
            sort_short(items + range.from, range.n);
            continue;
        }

        uint64_t pivot = items[range.from + next_random(random) % range.n].word;

        split(items, range, pivot, parts);
        go_deeper(items, &parts[1], pivot);
        order_by_size(parts);
        for (unsigned i = 0; i < 3 && parts[i].n > 1; i++) {
            MKV_ASSERT(n_pending < RANGES_MAX);
            pending[n_pending++] = parts[i];
        }
    }
}

/* Moves all but the last written of each key behind those; returns how many there are of these. */
static size_t set_apart(struct mkv_tree_item *items, size_t n)
{
    size_t n_kept = 0;

    for (size_t i = 0; i < n; i++) {
        struct mkv_tree_item *last = n_kept > 0 ? &items[n_kept - 1] : NULL;

        if (last == NULL ||
            !mkv_bytes_equal(mkv_tree_node_key(last->node), mkv_tree_node_key(items[i].node))) {
            swap(&items[i], &items[n_kept++]);
        } else if (last->node->position < items[i].node->position) {
            swap(&items[i], last);
        }
    }
    return n_kept;
}

/* Moves what is gone behind the entries, which stay in order; returns how many these are. */
static size_t set_gone_apart(struct mkv_tree_item *items, size_t n)
{
    size_t n_entries = 0;

    for (size_t i = 0; i < n; i++) {
        if (items[i].node->n_entries > 0) {
            swap(&items[i], &items[n_entries++]);
        }
    }
    return n_entries;
}

struct span {
    size_t from;
    size_t to;
    unsigned children_done;
};

static struct mkv_tree_node *root_of(const struct mkv_tree_item *items, size_t from, size_t to)
{
    return from < to ? items[from + (to - from) / 2].node : NULL;
}

/* Links the middle item of a span with those of its two halves, which have been linked before. */
static void link_node(const struct mkv_tree_item *items, struct span span)
{
    size_t middle = span.from + (span.to - span.from) / 2;
    struct mkv_tree_node *node = items[middle].node;

    node->child[0] = root_of(items, span.from, middle);
    node->child[1] = root_of(items, middle + 1, span.to);
    mkv_tree_node_set_sums(node,
                           mkv_summary_plus(mkv_tree_node_sums(node),
                                            mkv_summary_plus(mkv_tree_node_sums(node->child[0]),
                                                             mkv_tree_node_sums(node->child[1]))));
    mkv_tree_node_set_height(node);
}

static void link_all(const struct mkv_tree_item *items, size_t n)
{
    struct span spans[LEVELS_MAX] = {{.to = n}};
    unsigned depth = n > 0;

    while (depth > 0) {
        struct span *span = &spans[depth - 1];
        size_t middle = span->from + (span->to - span->from) / 2;
        struct span child = {.from = span->from, .to = middle};

        if (span->children_done == 2) {
            link_node(items, *span);
            depth--;
            continue;
        }
        if (span->children_done++ == 1) {
            child = (struct span){.from = middle + 1, .to = span->to};
        }
        if (child.from < child.to) {
            MKV_ASSERT(depth < LEVELS_MAX);
            spans[depth++] = child;
        }
    }
}

void mkv_tree_loader_finish(struct mkv_tree_loader *loader, struct mkv_tree *tree)
{
    MKV_ASSERT(tree->root == NULL);
    sort(loader->items, loader->n, &loader->random);

    size_t n_keys = set_apart(loader->items, loader->n);
    size_t n_entries = set_gone_apart(loader->items, n_keys);

    link_all(loader->items, n_entries);
    tree->root = root_of(loader->items, 0, n_entries);
    loader->n -= n_entries;
    loader->n_gone = n_keys - n_entries;
    if (loader->n > 0) {
        memmove(loader->items, loader->items + n_entries, loader->n * sizeof(loader->items[0]));
    }
}

bool mkv_tree_loader_take(struct mkv_tree_loader *loader,
                          uint64_t *ret_position,
                          bool *ret_gone_since)
{
    if (loader->n == 0) {
        return false;
    }

    struct mkv_tree_node *node = loader->items[--loader->n].node;

    *ret_position = node->position;
    *ret_gone_since = loader->n < loader->n_gone;
    mkv_mem_free(node);
    return true;
}
