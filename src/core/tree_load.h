/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes a whole index at once, of entries that come in any order: sorting them first is several
 * times faster than putting each into a tree that does not fit into the processor's cache.
 */
#ifndef MKV_CORE_TREE_LOAD_H
#define MKV_CORE_TREE_LOAD_H

#include "core/tree.h"

struct mkv_tree_item {
    uint64_t word; /* some bytes of the key, to sort by */
    struct mkv_tree_node *node;
};

struct mkv_tree_loader {
    struct mkv_tree_item *items; /* owned, as are the nodes */
    size_t n;
    size_t n_gone; /* after finishing: of the first so many, each is the last of its key */
    size_t cap;
    uint64_t random; /* state; picks what to split by, so that no order of keys is a bad one */
};

/* @seed should be hard to guess.  Allocates nothing. */
void mkv_tree_loader_init(struct mkv_tree_loader *loader, uint64_t seed);
void mkv_tree_loader_deinit(struct mkv_tree_loader *loader);

/* Copies what it needs; the digest key is that of @tree.  NO_MEMORY: nothing is added. */
int mkv_tree_loader_add(struct mkv_tree_loader *loader,
                        const struct mkv_tree *tree,
                        struct mkv_bytes key,
                        const struct mkv_head *head,
                        uint64_t position) MKV_MUST_CHECK;

/* The same for what says that the key has had no entry since @position. */
int mkv_tree_loader_add_gone(struct mkv_tree_loader *loader,
                             const struct mkv_tree *tree,
                             struct mkv_bytes key,
                             uint64_t position) MKV_MUST_CHECK;

/*
 * Puts into @tree, which is empty, of each key the entry with the greatest position, unless it is
 * gone.  The others stay behind, for mkv_tree_loader_take().  Cannot fail.
 */
void mkv_tree_loader_finish(struct mkv_tree_loader *loader, struct mkv_tree *tree);

/*
 * After finishing: removes one of those left behind and tells its position, and whether the key is
 * gone since then; false at the end.
 */
bool mkv_tree_loader_take(struct mkv_tree_loader *loader,
                          uint64_t *ret_position,
                          bool *ret_gone_since);

#endif
