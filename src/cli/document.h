/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tree as one JSON or YAML document, and back (docs/formats.md, "Documents").
 *
 *     {"lamp": {"on": true, "rgb": [9, 8]}}   <=>   lamp.on true, lamp.rgb:0 9, lamp.rgb:1 8
 *
 * Objects and lists are inner nodes, everything else is a leaf; an empty object or list is a leaf,
 * too.  In between stands one CBOR item, the *document* of notation/walk.h, which cli/format.h writes.
 */
#ifndef MKV_CLI_DOCUMENT_H
#define MKV_CLI_DOCUMENT_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "cli/value.h"
#include "notation/builder.h"
#include "notation/problem.h"
#include "wire/cbor.h"

/* Appends the document that @text is, in JSON or YAML.  On an error @problem says what is wrong. */
int mkv_document_read(struct mkv_bytes text,
                      enum mkv_notation notation,
                      struct mkv_buf *document,
                      struct mkv_problem *problem) MKV_MUST_CHECK;

/* The inner nodes of a path, the root among them, and the map around a leaf's own value. */
#define MKV_LEAVES_DEPTH_MAX (MKV_PATH_LEVELS_MAX + 2U)

struct mkv_leaves_frame {
    bool map;
    uint64_t left;  /* members still to come */
    uint64_t n;     /* of an array: the next index */
    size_t key_len; /* of the node's own key */
};

/* Walks through the leaves of a document, in its order. */
struct mkv_leaves {
    struct mkv_cbor_reader reader;
    bool begun;
    unsigned depth;
    struct mkv_leaves_frame frames[MKV_LEAVES_DEPTH_MAX];
    struct mkv_problem *problem;
    struct mkv_buf key; /* owned: of the present leaf, relative to the document's place */
};

/* @document must live as long as the walk; so must what the leaves return of it. */
void mkv_leaves_init(struct mkv_leaves *leaves,
                     struct mkv_bytes document,
                     struct mkv_problem *problem);
void mkv_leaves_deinit(struct mkv_leaves *leaves);

/*
 * True: a leaf, its key in leaves->key, its value (borrowed from the document) well-formed and
 * within all limits.  False at the end, or on an error, which is then in leaves->reader.error and
 * described in the problem: a key that is no path element, a path or a value beyond the limits.
 */
bool mkv_leaves_next(struct mkv_leaves *leaves, struct mkv_bytes *ret_value);

/* Builds a document from rows that come in the order of their keys. */
struct mkv_document_writer {
    struct mkv_builder builder;
    bool begun;             /* a row waits */
    struct mkv_buf open;    /* key of the innermost node that is open */
    unsigned n_open;        /* nodes that are open, the root among them */
    struct mkv_buf key;     /* of the row that waits for the next one, to see what it is above of */
    struct mkv_buf value;   /* and its value */
    struct mkv_buf element; /* one element in CBOR */
};

/* Appends to @document. */
void mkv_document_writer_init(struct mkv_document_writer *w, struct mkv_buf *document);
void mkv_document_writer_deinit(struct mkv_document_writer *w);

/*
 * Adds the row @key, relative to the document's place, greater than all before it (else
 * BAD_ARGUMENT), with @value, one well-formed item.  Both are copied.  TOO_LARGE, NO_MEMORY: the
 * document is of no use then.
 */
int mkv_document_writer_add(struct mkv_document_writer *w,
                            struct mkv_bytes key,
                            struct mkv_bytes value) MKV_MUST_CHECK;

/* Completes the document.  NOT_FOUND if there was no row: no document says that. */
int mkv_document_writer_finish(struct mkv_document_writer *w) MKV_MUST_CHECK;

#endif
