/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done to a value on its way between a message and the tree: words for values, and scales.
 *
 *     in:   what the codec read  ->  enum  ->  scale  ->  the tree
 *     out:  the tree             ->  scale ->  enum   ->  what the codec writes
 */
#ifndef MKV_GATE_FORM_H
#define MKV_GATE_FORM_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "gate/decimal.h"
#include "notation/problem.h"

#define MKV_GATE_ENUM_MAX 256U /* members of an enum; more: refused */

/* Zero-initialised changes nothing. */
struct mkv_gate_form {
    struct mkv_bytes
        pairs; /* CBOR: items of messages, each followed by that of the tree; borrowed */
    bool scaled;
    struct mkv_gate_scale scale;
};

/* Reads the values of "enum", a map, and of "scale", [factor, offset].  BAD_ARGUMENT, with @problem. */
int mkv_gate_form_enum(struct mkv_gate_form *form,
                       struct mkv_bytes item,
                       struct mkv_problem *problem) MKV_MUST_CHECK;
int mkv_gate_form_scale(struct mkv_gate_form *form,
                        struct mkv_bytes item,
                        struct mkv_problem *problem) MKV_MUST_CHECK;

/*
 * Appends the item that @item becomes.  BAD_ARGUMENT, with @problem: it is not in the enum, or no
 * number.  TOO_LARGE, NO_MEMORY.
 */
int mkv_gate_form_in(const struct mkv_gate_form *form,
                     struct mkv_bytes item,
                     struct mkv_buf *out,
                     struct mkv_problem *problem) MKV_MUST_CHECK;
int mkv_gate_form_out(const struct mkv_gate_form *form,
                      struct mkv_bytes item,
                      struct mkv_buf *out,
                      struct mkv_problem *problem) MKV_MUST_CHECK;

#endif
