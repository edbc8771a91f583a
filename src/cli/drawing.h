/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tree drawn with lines:
 *
 *     kitchen
 *     ├── lamp = {"on":true}
 *     └── sensors
 *         └── :2 (3 below)
 *
 * Whether a node is the last of its kind shows only when its sisters have come, so the whole tree
 * is gathered first; of values only as much as the terminal is wide.
 */
#ifndef MKV_CLI_DRAWING_H
#define MKV_CLI_DRAWING_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "cli/out.h"

struct mkv_drawing_node {
    unsigned depth;
    bool has_value;
    bool last;        /* of its mother's children */
    uint64_t n_below; /* entries that are too deep to be drawn */
    size_t label;     /* where it begins among the texts */
    size_t value;     /* its label ends here, its value ... */
    size_t end;       /* ... here */
};

struct mkv_drawing {
    unsigned depth_max; /* of a node that is drawn */
    unsigned width;     /* columns; 0: no limit */
    bool utf8;
    struct mkv_buf nodes; /* owned */
    struct mkv_buf texts; /* owned */
    struct mkv_buf last;  /* owned: the key of the last row */
};

/* @title stands for the root. */
int mkv_drawing_init(struct mkv_drawing *drawing, struct mkv_bytes title) MKV_MUST_CHECK;
void mkv_drawing_deinit(struct mkv_drawing *drawing);

/* Rows come in the order of their keys, which are relative to the root.  NO_MEMORY. */
int mkv_drawing_add(struct mkv_drawing *drawing,
                    struct mkv_bytes key,
                    struct mkv_bytes value) MKV_MUST_CHECK;

void mkv_drawing_put(struct mkv_drawing *drawing, struct mkv_out *out);

#endif
