/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/child.h"

#include "base/limits.h"

#define CHILD_PARTS 3U

void mkv_child_read(struct mkv_cbor_reader *r, struct mkv_child *ret_child)
{
    struct mkv_child child = {0};

    if (mkv_cbor_read_array(r, UINT64_MAX) != CHILD_PARTS) {
        mkv_cbor_fail(r, MKV_E_MALFORMED);
    }
    mkv_element_from_cbor(r, &child.element);
    child.entries = mkv_cbor_read_uint(r);
    child.own = mkv_cbor_read_bool(r);
    if (r->error == 0) {
        *ret_child = child;
    }
}

void mkv_child_write(struct mkv_cbor_writer *w, const struct mkv_child *child)
{
    mkv_cbor_write_array(w, CHILD_PARTS);
    mkv_element_to_cbor(&child->element, w);
    mkv_cbor_write_uint(w, child->entries);
    mkv_cbor_write_bool(w, child->own);
}

struct mkv_bytes mkv_children_read_raw(struct mkv_cbor_reader *r)
{
    struct mkv_bytes start = r->rest;
    uint64_t n = mkv_cbor_read_array(r, MKV_PAGE_ROWS_MAX);

    for (uint64_t i = 0; i < n && r->error == 0; i++) {
        struct mkv_child child;

        mkv_child_read(r, &child);
    }
    return r->error == 0 ? mkv_bytes(start.at, start.len - r->rest.len) : mkv_bytes(NULL, 0);
}
