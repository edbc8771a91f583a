/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index: all entries in memory, ordered by path, each with its head and its place in the log.
 *
 * One balanced search tree over whole paths (as ordered keys).  A subtree of the *entry* tree is a
 * run of neighbours here, so the number of entries below any path and the sum of their digests
 * are range sums: every node carries the sums of its search subtree, kept up to date on the way
 * back to the root.  Two servers can thus compare any range of paths, and a node with a million
 * children is split like any other.
 *
 * The server's store uses one to find rows in its log; a client's watch uses one, without
 * positions, as its view.  Values and tick tails are not kept here.
 */
#ifndef MKV_CORE_TREE_H
#define MKV_CORE_TREE_H

#include "base/bytes.h"
#include "base/error.h"
#include "core/order.h"

struct mkv_tree_node; /* see tree.c */

struct mkv_tree {
    struct mkv_tree_node *root; /* owned */
    uint8_t digest_key[MKV_DIGEST_KEY_LEN];
};

/* What is known of an entry.  Bytes are borrowed from the tree, valid until it next changes. */
struct mkv_tree_entry {
    struct mkv_bytes key;
    struct mkv_head head;
    uint64_t position; /* of its row in the log; 0 in a view */
};

/* The sums over some entries. */
struct mkv_summary {
    uint64_t n_entries; /* tombstones included */
    uint64_t n_live;
    struct mkv_digest digest; /* tombstones included */
};

/* Allocates nothing. */
void mkv_tree_init(struct mkv_tree *tree, const uint8_t digest_key[MKV_DIGEST_KEY_LEN]);
void mkv_tree_deinit(struct mkv_tree *tree);

/* Whether @key has an entry (or a tombstone); if so, *ret_entry tells about it. */
bool mkv_tree_find(const struct mkv_tree *tree,
                   struct mkv_bytes key,
                   struct mkv_tree_entry *ret_entry);

/* Adds or replaces.  Copies what it needs, and may be given bytes borrowed from the tree itself.
 * NO_MEMORY: unchanged. */
int mkv_tree_put(struct mkv_tree *tree,
                 struct mkv_bytes key,
                 const struct mkv_head *head,
                 uint64_t position) MKV_MUST_CHECK;

/* Removes it, if it is there.  Cannot fail. */
void mkv_tree_remove(struct mkv_tree *tree, struct mkv_bytes key);

/*
 * A change that can be taken back, for whoever needs transactions: as mkv_tree_put(), but the node
 * that it replaces is kept.  Every change ends in exactly one of mkv_tree_undo(), which needs all later
 * changes to be undone before it, and mkv_tree_settle(), in any order.  Both cannot fail.
 */
struct mkv_tree_change {
    struct mkv_tree_node *placed;   /* in the tree; NULL: the key was removed */
    struct mkv_tree_node *replaced; /* owned; NULL: the key was new */
};

/* NO_MEMORY: the tree is unchanged and *ret_change not written. */
int mkv_tree_change(struct mkv_tree *tree,
                    struct mkv_bytes key,
                    const struct mkv_head *head,
                    uint64_t position,
                    struct mkv_tree_change *ret_change) MKV_MUST_CHECK;

/* The same for a removal; false: the key is not there, and there is nothing to undo or settle. */
bool mkv_tree_withdraw(struct mkv_tree *tree,
                       struct mkv_bytes key,
                       struct mkv_tree_change *ret_change);

void mkv_tree_undo(struct mkv_tree *tree, struct mkv_tree_change change);
void mkv_tree_settle(struct mkv_tree_change change);

/* The position of the entry that was replaced or removed; there must be one. */
uint64_t mkv_tree_replaced_position(struct mkv_tree_change change);

/* The first entry whose key is @key or greater; false if there is none. */
bool mkv_tree_at(const struct mkv_tree *tree,
                 struct mkv_bytes key,
                 struct mkv_tree_entry *ret_entry);

/* The first entry whose key is greater than @key. */
bool mkv_tree_next(const struct mkv_tree *tree,
                   struct mkv_bytes key,
                   struct mkv_tree_entry *ret_entry);

/* The first entry behind @key and everything below it. */
bool mkv_tree_behind(const struct mkv_tree *tree,
                     struct mkv_bytes key,
                     struct mkv_tree_entry *ret_entry);

/* The sums over @key and everything below it; the empty key gives the whole tree. */
struct mkv_summary mkv_tree_summary(const struct mkv_tree *tree, struct mkv_bytes key);

/*
 * The sums over all keys with @from <= key < @to; the empty @to stands for the end.  A range that
 * ends before it begins has nothing in it.
 */
struct mkv_summary mkv_tree_range(const struct mkv_tree *tree,
                                  struct mkv_bytes from,
                                  struct mkv_bytes to);

/* A part of a range: from the end of the part before it, or the start of the range, up to @upto. */
struct mkv_tree_piece {
    struct mkv_bytes
        upto; /* borrowed from the tree, until it changes; of the last: the range's end */
    struct mkv_summary sum;
};

#define MKV_TREE_PIECES_MAX 16U

/*
 * Cuts the range (as above) into pieces whose numbers of entries differ by 1 at most, and returns
 * how many: @n_max (1..16), or as many as there are entries if that is less, but one at least.  So
 * no piece is empty unless the range is.  @ret_pieces has room for @n_max.
 */
uint32_t mkv_tree_split(const struct mkv_tree *tree,
                        struct mkv_bytes from,
                        struct mkv_bytes to,
                        uint32_t n_max,
                        struct mkv_tree_piece *ret_pieces);

/* The first tombstone whose key is @key or greater, or greater; false if there is none. */
bool mkv_tree_at_tombstone(const struct mkv_tree *tree,
                           struct mkv_bytes key,
                           struct mkv_tree_entry *ret_entry);
bool mkv_tree_next_tombstone(const struct mkv_tree *tree,
                             struct mkv_bytes key,
                             struct mkv_tree_entry *ret_entry);

/* Checks every invariant (order, balance, sums) and aborts on a violation; for tests. */
void mkv_tree_check(const struct mkv_tree *tree);

#endif
