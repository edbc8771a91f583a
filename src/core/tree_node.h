/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The nodes of the index, for core/tree.c, tree_find.c and tree_load.c alone.
 *
 * A node holds the sums over its search subtree but not its own share of them, which is what
 * remains after subtracting its children's: that saves 24 bytes a node.
 */
#ifndef MKV_CORE_TREE_NODE_H
#define MKV_CORE_TREE_NODE_H

#include "core/tree.h"

_Static_assert(MKV_PATH_KEY_MAX <= UINT16_MAX, "key_len must hold any key's length");
_Static_assert(MKV_NAME_MAX <= UINT8_MAX, "name_len must hold any name's length");

/* What a search touches stands last, next to the key: fewer cache lines a step. */
struct mkv_tree_node {
    struct mkv_digest digest; /* sums over this search subtree */
    uint32_t n_entries;
    uint32_t n_live;
    uint64_t tock;
    uint64_t seq;
    uint64_t counter;
    uint64_t vhash;
    uint64_t position;
    struct mkv_tree_node *child[2]; /* owned; the lesser keys in child[0] */
    uint16_t key_len;
    uint8_t name_len;
    uint8_t height; /* 1 for a leaf */
    bool present;
    uint8_t bytes[]; /* the key, then the name */
};

static inline struct mkv_bytes mkv_tree_node_key(const struct mkv_tree_node *node)
{
    return mkv_bytes(node->bytes, node->key_len);
}

static inline struct mkv_head mkv_tree_node_head(const struct mkv_tree_node *node)
{
    return (struct mkv_head){
        .tock = node->tock,
        .seq = node->seq,
        .counter = node->counter,
        .vhash = node->vhash,
        .name = mkv_bytes(node->bytes + node->key_len, node->name_len),
        .present = node->present,
    };
}

static inline struct mkv_tree_entry mkv_tree_node_entry(const struct mkv_tree_node *node)
{
    return (struct mkv_tree_entry){
        .key = mkv_tree_node_key(node),
        .head = mkv_tree_node_head(node),
        .position = node->position,
    };
}

static inline struct mkv_summary mkv_summary_plus(struct mkv_summary a, struct mkv_summary b)
{
    a.n_entries += b.n_entries;
    a.n_live += b.n_live;
    mkv_digest_add(&a.digest, b.digest);
    return a;
}

/* Wraps around where @b is the greater, as a difference that is to be added may. */
static inline struct mkv_summary mkv_summary_minus(struct mkv_summary a, struct mkv_summary b)
{
    a.n_entries -= b.n_entries;
    a.n_live -= b.n_live;
    mkv_digest_subtract(&a.digest, b.digest);
    return a;
}

static inline struct mkv_summary mkv_tree_node_sums(const struct mkv_tree_node *node)
{
    if (node == NULL) {
        return (struct mkv_summary){0};
    }
    return (struct mkv_summary){
        .n_entries = node->n_entries,
        .n_live = node->n_live,
        .digest = node->digest,
    };
}

static inline void mkv_tree_node_set_sums(struct mkv_tree_node *node, struct mkv_summary sums)
{
    node->n_entries = (uint32_t)sums.n_entries;
    node->n_live = (uint32_t)sums.n_live;
    node->digest = sums.digest;
}

static inline int mkv_tree_node_height(const struct mkv_tree_node *node)
{
    return node == NULL ? 0 : node->height;
}

static inline void mkv_tree_node_set_height(struct mkv_tree_node *node)
{
    int left = mkv_tree_node_height(node->child[0]);
    int right = mkv_tree_node_height(node->child[1]);

    node->height = (uint8_t)(1 + (left > right ? left : right));
}

/* A leaf whose sums are its own share; NULL if out of memory.  Freed by mkv_mem_free(). */
struct mkv_tree_node *mkv_tree_node_new(const uint8_t digest_key[MKV_DIGEST_KEY_LEN],
                                        struct mkv_bytes key,
                                        const struct mkv_head *head,
                                        uint64_t position);

#endif
