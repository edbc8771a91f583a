/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks through one CBOR item, one step at a time, for those who write it in another notation.
 *
 *     82 01 a1 61 61 f5    =>    OPEN array, ITEM 1, OPEN map, ITEM key "a", ITEM true, CLOSE, CLOSE
 *
 * Of each step the walk knows what part it plays in what encloses it.  Strings of indefinite length
 * come as one.
 *
 * A *document* is an item of our own making in which maps and arrays are the inner nodes of a
 * tree: keys are path elements, and the key "undefined", which is no element, stands for the
 * node's own value.  That value, and what is tagged, are not part of the tree but values in it.
 */
#ifndef MKV_NOTATION_WALK_H
#define MKV_NOTATION_WALK_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "wire/cbor.h"

/* A path, the map with the node's own value, and the value. */
#define MKV_WALK_DEPTH_MAX (MKV_PATH_LEVELS_MAX + 1U + MKV_CBOR_DEPTH_MAX)

enum mkv_doc_walk_event {
    MKV_WALK_ITEM,
    MKV_WALK_OPEN, /* an array, a map, or a tag with its one item */
    MKV_WALK_CLOSE,
    MKV_WALK_END, /* or an error, see mkv_doc_walk_error() */
};

enum mkv_doc_walk_role {
    MKV_WALK_ROOT,
    MKV_WALK_ELEMENT, /* of an array */
    MKV_WALK_KEY,
    MKV_WALK_MEMBER, /* the value of the key before */
    MKV_WALK_TAGGED,
};

/* Which keys a map may have to be written as the notation's own map. */
enum mkv_doc_walk_keys {
    MKV_WALK_TEXT_KEYS,
    MKV_WALK_SCALAR_KEYS, /* no collections, tags and odd simple values */
};

struct mkv_doc_walk_frame {
    enum mkv_cbor_kind kind;
    enum mkv_doc_walk_role role;
    bool indefinite;
    bool document;
    bool plain; /* of a map: its keys are allowed, and none comes twice */
    bool own;   /* of a document's map: the last key was "undefined" */
    uint64_t left;
    uint64_t n; /* items that have begun */
};

struct mkv_doc_walk {
    struct mkv_cbor_reader reader;
    enum mkv_doc_walk_keys keys;
    bool document;       /* the item is one */
    bool begun;          /* the first step has been made */
    struct mkv_buf text; /* owned: a string of several chunks */
    struct mkv_buf spans;
    unsigned depth;
    struct mkv_doc_walk_frame frames[MKV_WALK_DEPTH_MAX];

    /* Of the last step; after a CLOSE, @frame is what was closed, and @role its role. */
    struct mkv_cbor_item item;       /* its text is borrowed until the next step */
    struct mkv_doc_walk_frame frame; /* of OPEN and CLOSE */
    enum mkv_doc_walk_role role;
    bool first; /* nothing stands before it in what encloses it */
};

void mkv_doc_walk_init(struct mkv_doc_walk *walk,
                       struct mkv_bytes item,
                       enum mkv_doc_walk_keys keys);
void mkv_doc_walk_deinit(struct mkv_doc_walk *walk);

enum mkv_doc_walk_event mkv_doc_walk_next(struct mkv_doc_walk *walk);

/* What encloses the last step's item: NULL for the root. */
const struct mkv_doc_walk_frame *mkv_doc_walk_parent(const struct mkv_doc_walk *walk,
                                                     enum mkv_doc_walk_event event);

/* After END: 0, or why there was no more: those of wire/cbor.h, NO_MEMORY. */
int mkv_doc_walk_error(const struct mkv_doc_walk *walk);

#endif
