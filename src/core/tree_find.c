/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can be asked of an index; how it is changed is in tree.c.
 */
#include "base/assert.h"
#include "core/tree.h"
#include "core/tree_node.h"

bool mkv_tree_find(const struct mkv_tree *tree,
                   struct mkv_bytes key,
                   struct mkv_tree_entry *ret_entry)
{
    const struct mkv_tree_node *node = tree->root;

    while (node != NULL) {
        int order = mkv_bytes_compare(key, mkv_tree_node_key(node));

        if (order == 0) {
            *ret_entry = mkv_tree_node_entry(node);
            return true;
        }
        node = node->child[order > 0];
    }
    return false;
}

/* Where a range of keys starts. */
enum bound {
    BOUND_AT,     /* at the key */
    BOUND_NEXT,   /* right behind it */
    BOUND_BEHIND, /* behind everything that begins with it */
};

static bool precedes(const struct mkv_tree_node *node, struct mkv_bytes key, enum bound bound)
{
    struct mkv_bytes own = mkv_tree_node_key(node);

    switch (bound) {
    case BOUND_AT:
        return mkv_bytes_compare(own, key) < 0;
    case BOUND_NEXT:
        return mkv_bytes_compare(own, key) <= 0;
    case BOUND_BEHIND:
        break;
    }
    if (own.len > key.len) {
        own.len = key.len;
    }
    return mkv_bytes_compare(own, key) <= 0;
}

static bool first_from(const struct mkv_tree *tree,
                       struct mkv_bytes key,
                       enum bound bound,
                       struct mkv_tree_entry *ret_entry)
{
    const struct mkv_tree_node *node = tree->root;
    const struct mkv_tree_node *first = NULL;

    while (node != NULL) {
        bool before = precedes(node, key, bound);

        if (!before) {
            first = node;
        }
        node = node->child[before];
    }
    if (first == NULL) {
        return false;
    }
    *ret_entry = mkv_tree_node_entry(first);
    return true;
}

bool mkv_tree_at(const struct mkv_tree *tree,
                 struct mkv_bytes key,
                 struct mkv_tree_entry *ret_entry)
{
    return first_from(tree, key, BOUND_AT, ret_entry);
}

bool mkv_tree_next(const struct mkv_tree *tree,
                   struct mkv_bytes key,
                   struct mkv_tree_entry *ret_entry)
{
    return first_from(tree, key, BOUND_NEXT, ret_entry);
}

bool mkv_tree_behind(const struct mkv_tree *tree,
                     struct mkv_bytes key,
                     struct mkv_tree_entry *ret_entry)
{
    return first_from(tree, key, BOUND_BEHIND, ret_entry);
}

/* The sums over all that precedes the bound. */
static struct mkv_summary sums_before(const struct mkv_tree *tree,
                                      struct mkv_bytes key,
                                      enum bound bound)
{
    const struct mkv_tree_node *node = tree->root;
    struct mkv_summary sums = {0};

    while (node != NULL) {
        bool before = precedes(node, key, bound);

        if (before) {
            sums = mkv_summary_plus(sums, mkv_summary_minus(mkv_tree_node_sums(node),
                                                            mkv_tree_node_sums(node->child[1])));
        }
        node = node->child[before];
    }
    return sums;
}

struct mkv_summary mkv_tree_summary(const struct mkv_tree *tree, struct mkv_bytes key)
{
    if (key.len == 0) {
        return mkv_tree_node_sums(tree->root);
    }
    return mkv_summary_minus(sums_before(tree, key, BOUND_BEHIND),
                             sums_before(tree, key, BOUND_AT));
}

/* Of what precedes @key; of everything if it is the empty key, which as an end means none. */
static struct mkv_summary sums_before_end(const struct mkv_tree *tree, struct mkv_bytes to)
{
    return to.len == 0 ? mkv_tree_node_sums(tree->root) : sums_before(tree, to, BOUND_AT);
}

/* Whether no key can be in it; the sums before its ends are then not in order. */
static bool is_void(struct mkv_bytes from, struct mkv_bytes to)
{
    return to.len > 0 && mkv_bytes_compare(from, to) >= 0;
}

struct mkv_summary mkv_tree_range(const struct mkv_tree *tree,
                                  struct mkv_bytes from,
                                  struct mkv_bytes to)
{
    if (is_void(from, to)) {
        return (struct mkv_summary){0};
    }
    return mkv_summary_minus(sums_before_end(tree, to), sums_before(tree, from, BOUND_AT));
}

/* The key that has @rank keys before it, and their sums; @rank is below the number of entries. */
static struct mkv_bytes select_rank(const struct mkv_tree *tree,
                                    uint64_t rank,
                                    struct mkv_summary *ret_before)
{
    const struct mkv_tree_node *node = tree->root;
    struct mkv_summary before = {0};

    for (;;) {
        struct mkv_summary left = mkv_tree_node_sums(node->child[0]);
        uint64_t n_before = before.n_entries + left.n_entries;

        if (rank == n_before) {
            *ret_before = mkv_summary_plus(before, left);
            return mkv_tree_node_key(node);
        }
        if (rank > n_before) {
            before =
                mkv_summary_plus(before, mkv_summary_minus(mkv_tree_node_sums(node),
                                                           mkv_tree_node_sums(node->child[1])));
        }
        node = node->child[rank > n_before];
    }
}

uint32_t mkv_tree_split(const struct mkv_tree *tree,
                        struct mkv_bytes from,
                        struct mkv_bytes to,
                        uint32_t n_max,
                        struct mkv_tree_piece *ret_pieces)
{
    struct mkv_summary all = mkv_tree_range(tree, from, to);
    struct mkv_summary start = sums_before(tree, from, BOUND_AT);
    struct mkv_summary before = start;
    uint32_t n = all.n_entries < n_max ? (uint32_t)all.n_entries : n_max;

    MKV_ASSERT(n_max > 0);
    MKV_ASSERT(n_max <= MKV_TREE_PIECES_MAX);
    if (n == 0) {
        n = 1;
    }
    for (uint32_t i = 0; i + 1 < n; i++) {
        uint64_t rank = start.n_entries + all.n_entries * (i + 1) / n;
        struct mkv_summary next;

        ret_pieces[i].upto = select_rank(tree, rank, &next);
        ret_pieces[i].sum = mkv_summary_minus(next, before);
        before = next;
    }
    ret_pieces[n - 1] = (struct mkv_tree_piece){
        .upto = to,
        .sum = mkv_summary_minus(mkv_summary_plus(start, all), before),
    };
    return n;
}

static bool has_tombstone(const struct mkv_tree_node *node)
{
    return node != NULL && node->n_entries > node->n_live;
}

/* The leftmost of a search subtree that has one. */
static const struct mkv_tree_node *first_tombstone(const struct mkv_tree_node *node)
{
    for (;;) {
        if (has_tombstone(node->child[0])) {
            node = node->child[0];
        } else if (!node->present) {
            return node;
        } else {
            node = node->child[1];
        }
    }
}

/*
 * Of the nodes at which the search turns left, the last one comes first in order; each stands for
 * itself and what is right of it.
 */
static bool first_tombstone_from(const struct mkv_tree *tree,
                                 struct mkv_bytes key,
                                 enum bound bound,
                                 struct mkv_tree_entry *ret_entry)
{
    const struct mkv_tree_node *node = tree->root;
    const struct mkv_tree_node *found = NULL;

    while (has_tombstone(node)) {
        bool before = precedes(node, key, bound);

        if (!before && (!node->present || has_tombstone(node->child[1]))) {
            found = node;
        }
        node = node->child[before];
    }
    if (found == NULL) {
        return false;
    }
    *ret_entry = mkv_tree_node_entry(found->present ? first_tombstone(found->child[1]) : found);
    return true;
}

bool mkv_tree_at_tombstone(const struct mkv_tree *tree,
                           struct mkv_bytes key,
                           struct mkv_tree_entry *ret_entry)
{
    return first_tombstone_from(tree, key, BOUND_AT, ret_entry);
}

bool mkv_tree_next_tombstone(const struct mkv_tree *tree,
                             struct mkv_bytes key,
                             struct mkv_tree_entry *ret_entry)
{
    return first_tombstone_from(tree, key, BOUND_NEXT, ret_entry);
}
