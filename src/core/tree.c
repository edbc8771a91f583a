/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An AVL tree.  It was preferred to a treap because its depth needs no secret and no luck: at most
 * 1.44 log2(n), whatever keys a peer chooses.
 *
 * There are no parent pointers; whoever changes the tree remembers the links it came by.  What can
 * be asked of a tree is in tree_find.c.
 */
#include "core/tree.h"

#include "base/assert.h"
#include "base/mem.h"
#include "core/tree_node.h"

/* Deeper than 1.44 log2(2^32) + 2, and no tree grows beyond 2^32 - 1 entries. */
#define DEPTH_MAX 48U

/* The links from the root down to, and without, the one that a search ended at. */
struct trail {
    struct mkv_tree_node **link[DEPTH_MAX];
    unsigned n;
};

/* The share of the node's own entry in its sums. */
static struct mkv_summary share_of(const struct mkv_tree_node *node)
{
    return mkv_summary_minus(
        mkv_summary_minus(mkv_tree_node_sums(node), mkv_tree_node_sums(node->child[0])),
        mkv_tree_node_sums(node->child[1]));
}

/*
 * Lifts the child opposite to @side; the node at *@link goes down to @side of it:
 *
 *         down                up
 *        /    \             /    \
 *      ..      up    ->   down    ..       (side 0)
 *             /  \        /  \
 *         moved   ..    ..   moved
 */
static void rotate(struct mkv_tree_node **link, unsigned side)
{
    struct mkv_tree_node *down = *link;
    struct mkv_tree_node *up = down->child[!side];
    struct mkv_tree_node *moved = up->child[side];
    struct mkv_summary all = mkv_tree_node_sums(down);

    mkv_tree_node_set_sums(down, mkv_summary_plus(mkv_summary_minus(all, mkv_tree_node_sums(up)),
                                                  mkv_tree_node_sums(moved)));
    mkv_tree_node_set_sums(up, all);
    down->child[!side] = moved;
    up->child[side] = down;
    mkv_tree_node_set_height(down);
    mkv_tree_node_set_height(up);
    *link = up;
}

/* Mends a node whose subtrees are balanced and differ in height by 2 at most. */
static void balance(struct mkv_tree_node **link)
{
    struct mkv_tree_node *node = *link;
    int lean = mkv_tree_node_height(node->child[1]) - mkv_tree_node_height(node->child[0]);

    if (-1 <= lean && lean <= 1) {
        mkv_tree_node_set_height(node);
        return;
    }

    unsigned heavy = lean > 0;
    struct mkv_tree_node *child = node->child[heavy];

    if (mkv_tree_node_height(child->child[!heavy]) > mkv_tree_node_height(child->child[heavy])) {
        rotate(&node->child[heavy], heavy);
    }
    rotate(link, !heavy);
}

/* The link to the node with this key, or the empty one where it would hang. */
static struct mkv_tree_node **descend(struct mkv_tree *tree,
                                      struct mkv_bytes key,
                                      struct trail *ret_trail)
{
    struct mkv_tree_node **link = &tree->root;

    ret_trail->n = 0;
    while (*link != NULL) {
        int order = mkv_bytes_compare(key, mkv_tree_node_key(*link));

        if (order == 0) {
            break;
        }
        MKV_ASSERT(ret_trail->n < DEPTH_MAX);
        ret_trail->link[ret_trail->n++] = link;
        link = &(*link)->child[order > 0];
    }
    return link;
}

static void add_along(const struct trail *trail, unsigned from, struct mkv_summary difference)
{
    for (unsigned i = from; i < trail->n; i++) {
        struct mkv_tree_node *node = *trail->link[i];

        mkv_tree_node_set_sums(node, mkv_summary_plus(mkv_tree_node_sums(node), difference));
    }
}

static void balance_along(const struct trail *trail)
{
    for (unsigned i = trail->n; i > 0; i--) {
        balance(trail->link[i - 1]);
    }
}

struct mkv_tree_node *mkv_tree_node_new(const uint8_t digest_key[MKV_DIGEST_KEY_LEN],
                                        struct mkv_bytes key,
                                        const struct mkv_head *head,
                                        uint64_t position)
{
    size_t size = offsetof(struct mkv_tree_node, bytes) + key.len + head->name.len;
    struct mkv_tree_node *node =
        mkv_mem_alloc(size > sizeof(struct mkv_tree_node) ? size : sizeof(struct mkv_tree_node));

    if (node == NULL) {
        return NULL;
    }
    node->tock = head->tock;
    node->seq = head->seq;
    node->counter = head->counter;
    node->vhash = head->vhash;
    node->position = position;
    node->key_len = (uint16_t)key.len;
    node->name_len = (uint8_t)head->name.len;
    node->height = 1;
    node->present = head->present;
    if (key.len > 0) {
        memcpy(node->bytes, key.at, key.len);
    }
    if (head->name.len > 0) {
        memcpy(node->bytes + key.len, head->name.at, head->name.len);
    }
    node->n_entries = 1;
    node->n_live = head->present;
    node->digest = mkv_entry_digest(digest_key, key, head);
    return node;
}

/* Puts @node, whose own share is @share, into the place of the node of the same key at *@link. */
static void exchange(struct mkv_tree_node **link,
                     const struct trail *trail,
                     struct mkv_tree_node *node,
                     struct mkv_summary share)
{
    struct mkv_tree_node *old = *link;
    struct mkv_summary difference = mkv_summary_minus(share, share_of(old));

    mkv_tree_node_set_sums(node, mkv_summary_plus(mkv_tree_node_sums(old), difference));
    node->child[0] = old->child[0];
    node->child[1] = old->child[1];
    node->height = old->height;
    *link = node;
    add_along(trail, 0, difference);
}

/* Cuts a node loose, so that its sums are its own share again. */
static void isolate(struct mkv_tree_node *node, struct mkv_summary share)
{
    mkv_tree_node_set_sums(node, share);
    node->child[0] = NULL;
    node->child[1] = NULL;
    node->height = 1;
}

void mkv_tree_init(struct mkv_tree *tree, const uint8_t digest_key[MKV_DIGEST_KEY_LEN])
{
    *tree = (struct mkv_tree){0};
    memcpy(tree->digest_key, digest_key, MKV_DIGEST_KEY_LEN);
}

void mkv_tree_deinit(struct mkv_tree *tree)
{
    struct mkv_tree_node *node = tree->root;

    while (node != NULL) {
        struct mkv_tree_node *left = node->child[0];

        if (left != NULL) { /* hang the node under its left child: no stack is needed */
            node->child[0] = left->child[1];
            left->child[1] = node;
            node = left;
        } else {
            struct mkv_tree_node *right = node->child[1];

            mkv_mem_free(node);
            node = right;
        }
    }
    tree->root = NULL;
}

/* Hangs a node, which stands alone, in the empty place that a search for its key ended at. */
static void hang(struct mkv_tree_node **link, const struct trail *trail, struct mkv_tree_node *node)
{
    *link = node;
    add_along(trail, 0, mkv_tree_node_sums(node));
    balance_along(trail);
}

int mkv_tree_change(struct mkv_tree *tree,
                    struct mkv_bytes key,
                    const struct mkv_head *head,
                    uint64_t position,
                    struct mkv_tree_change *ret_change)
{
    struct mkv_tree_node *node = mkv_tree_node_new(tree->digest_key, key, head, position);

    if (node == NULL) {
        return MKV_E_NO_MEMORY;
    }

    struct trail trail;
    struct mkv_tree_node **link = descend(tree, key, &trail);
    struct mkv_tree_node *old = *link;

    if (old != NULL) {
        struct mkv_summary old_share = share_of(old);

        exchange(link, &trail, node, mkv_tree_node_sums(node));
        isolate(old, old_share);
    } else if (tree->root != NULL && tree->root->n_entries == UINT32_MAX) {
        mkv_mem_free(node);
        return MKV_E_NO_MEMORY;
    } else {
        hang(link, &trail, node);
    }
    *ret_change = (struct mkv_tree_change){.placed = node, .replaced = old};
    return 0;
}

void mkv_tree_settle(struct mkv_tree_change change)
{
    mkv_mem_free(change.replaced);
}

uint64_t mkv_tree_replaced_position(struct mkv_tree_change change)
{
    return change.replaced->position;
}

int mkv_tree_put(struct mkv_tree *tree,
                 struct mkv_bytes key,
                 const struct mkv_head *head,
                 uint64_t position)
{
    struct mkv_tree_change change;
    int error = mkv_tree_change(tree, key, head, position, &change);

    if (error == 0) {
        mkv_tree_settle(change);
    }
    return error;
}

/* Puts the least node right of @node, which has both children, into its place. */
static void replace_by_successor(struct mkv_tree_node **link, struct trail *trail)
{
    struct mkv_tree_node *node = *link;
    unsigned at = trail->n;

    trail->link[trail->n++] = link;
    struct mkv_tree_node **next_link = &node->child[1];

    while ((*next_link)->child[0] != NULL) {
        trail->link[trail->n++] = next_link;
        next_link = &(*next_link)->child[0];
    }

    struct mkv_tree_node *next = *next_link;
    struct mkv_summary rest = mkv_summary_minus(mkv_tree_node_sums(node), share_of(node));

    add_along(trail, at + 1, mkv_summary_minus((struct mkv_summary){0}, share_of(next)));
    *next_link = next->child[1];
    next->child[0] = node->child[0];
    next->child[1] = node->child[1];
    mkv_tree_node_set_sums(next, rest);
    *link = next;
    if (trail->n > at + 1) { /* this link was a part of the node that goes */
        trail->link[at + 1] = &next->child[1];
    }
}

/* Takes the node of this key out of the tree, and gives it to the caller; NULL: there is none. */
static struct mkv_tree_node *take_out(struct mkv_tree *tree, struct mkv_bytes key)
{
    struct trail trail;
    struct mkv_tree_node **link = descend(tree, key, &trail);
    struct mkv_tree_node *node = *link;

    if (node == NULL) {
        return NULL;
    }

    struct mkv_summary share = share_of(node);

    add_along(&trail, 0, mkv_summary_minus((struct mkv_summary){0}, share));
    if (node->child[0] != NULL && node->child[1] != NULL) {
        replace_by_successor(link, &trail);
    } else {
        *link = node->child[node->child[0] == NULL];
    }
    balance_along(&trail);
    isolate(node, share);
    return node;
}

void mkv_tree_remove(struct mkv_tree *tree, struct mkv_bytes key)
{
    mkv_mem_free(take_out(tree, key));
}

bool mkv_tree_withdraw(struct mkv_tree *tree,
                       struct mkv_bytes key,
                       struct mkv_tree_change *ret_change)
{
    struct mkv_tree_node *node = take_out(tree, key);

    if (node == NULL) {
        return false;
    }
    *ret_change = (struct mkv_tree_change){.replaced = node};
    return true;
}

void mkv_tree_undo(struct mkv_tree *tree, struct mkv_tree_change change)
{
    struct trail trail;

    if (change.replaced == NULL) {
        mkv_tree_remove(tree, mkv_tree_node_key(change.placed));
        return;
    }

    struct mkv_tree_node **link = descend(tree, mkv_tree_node_key(change.replaced), &trail);

    MKV_ASSERT(*link == change.placed);
    if (change.placed == NULL) {
        hang(link, &trail, change.replaced);
    } else {
        exchange(link, &trail, change.replaced, mkv_tree_node_sums(change.replaced));
        mkv_mem_free(change.placed);
    }
}

static void check_node(const struct mkv_tree *tree, const struct mkv_tree_node *node)
{
    const struct mkv_tree_node *left = node->child[0];
    const struct mkv_tree_node *right = node->child[1];
    int lean = mkv_tree_node_height(right) - mkv_tree_node_height(left);
    struct mkv_head head = mkv_tree_node_head(node);
    struct mkv_digest digest = mkv_entry_digest(tree->digest_key, mkv_tree_node_key(node), &head);
    struct mkv_summary share = share_of(node);

    MKV_ASSERT(-1 <= lean);
    MKV_ASSERT(lean <= 1);
    MKV_ASSERT(node->height ==
               1 + (lean > 0 ? mkv_tree_node_height(right) : mkv_tree_node_height(left)));
    MKV_ASSERT(share.n_entries == 1);
    MKV_ASSERT(share.n_live == (node->present ? 1 : 0));
    MKV_ASSERT(share.digest.high == digest.high);
    MKV_ASSERT(share.digest.low == digest.low);
    if (left != NULL) {
        MKV_ASSERT(mkv_bytes_compare(mkv_tree_node_key(left), mkv_tree_node_key(node)) < 0);
    }
    if (right != NULL) {
        MKV_ASSERT(mkv_bytes_compare(mkv_tree_node_key(right), mkv_tree_node_key(node)) > 0);
    }
}

void mkv_tree_check(const struct mkv_tree *tree)
{
    const struct mkv_tree_node *above[DEPTH_MAX];
    const struct mkv_tree_node *node = tree->root;
    const struct mkv_tree_node *previous = NULL;
    uint64_t n = 0;
    unsigned depth = 0;

    while (node != NULL || depth > 0) {
        while (node != NULL) {
            MKV_ASSERT(depth < DEPTH_MAX);
            above[depth++] = node;
            node = node->child[0];
        }
        node = above[--depth];
        check_node(tree, node);
        if (previous != NULL) {
            MKV_ASSERT(mkv_bytes_compare(mkv_tree_node_key(previous), mkv_tree_node_key(node)) < 0);
        }
        previous = node;
        n++;
        node = node->child[1];
    }
    MKV_ASSERT(n == mkv_tree_node_sums(tree->root).n_entries);
}
