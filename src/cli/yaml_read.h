/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads YAML into one CBOR item.
 *
 * libyaml does the syntax; what plain scalars mean is in cli/yaml_scalar.h.  Anchors and aliases
 * are refused, so that no short text can stand for a gigabyte.  Of tags, !!str !!int !!float !!bool
 * !!null !!binary !!seq !!map are known and the local ones of docs/formats.md: !simple !tag !map.
 */
#ifndef MKV_CLI_YAML_READ_H
#define MKV_CLI_YAML_READ_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "notation/problem.h"

enum mkv_yaml_kind {
    /*
     * An argument of the command line: a scalar or a flow collection.  Whatever YAML would quietly
     * drop or change (a comment, line ends) is refused, as is "a: b" without braces.
     */
    MKV_YAML_ARGUMENT,
    MKV_YAML_VALUE,    /* a file with one value */
    MKV_YAML_DOCUMENT, /* a file with a tree, as in notation/walk.h */
};

/* Appends the item to @item; limits and errors as in notation/json_read.h. */
int mkv_yaml_read(struct mkv_bytes text,
                  enum mkv_yaml_kind kind,
                  struct mkv_buf *item,
                  struct mkv_problem *problem) MKV_MUST_CHECK;

#endif
