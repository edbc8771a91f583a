/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Children: the content of `children` frames (docs/protocol.md, section 7.3), a list of
 *
 *     [element, entries, own]
 *
 * of which each is one immediate child of the path that was asked for.
 */
#ifndef MKV_WIRE_CHILD_H
#define MKV_WIRE_CHILD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "wire/cbor.h"
#include "wire/path.h"

struct mkv_child {
    struct mkv_element element; /* its text is borrowed */
    uint64_t entries;           /* live ones at and below it */
    bool own;                   /* it has a value itself */
};

/* Reads one element of the list.  MALFORMED and errors of mkv_element_from_cbor(). */
void mkv_child_read(struct mkv_cbor_reader *r, struct mkv_child *ret_child);
void mkv_child_write(struct mkv_cbor_writer *w, const struct mkv_child *child);

/* Checks a whole list, which may be of MKV_PAGE_ROWS_MAX children, and returns its bytes. */
struct mkv_bytes mkv_children_read_raw(struct mkv_cbor_reader *r);

#endif
