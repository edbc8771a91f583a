/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VALUE that a user writes, as the one CBOR item that is stored.
 */
#ifndef MKV_CLI_VALUE_H
#define MKV_CLI_VALUE_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "notation/problem.h"

enum mkv_notation {
    MKV_NOTATION_ARGUMENT, /* YAML scalar or flow collection: `set PATH VALUE` */
    MKV_NOTATION_YAML,     /* any YAML: `set -f FILE` */
    MKV_NOTATION_JSON,     /* -j */
    MKV_NOTATION_TEXT,     /* -s: the text itself, line ends and all */
    MKV_NOTATION_HEX,      /* -x: CBOR in hexadecimal; white space between bytes does not count */
    MKV_NOTATION_CBOR,     /* CBOR as it is */
};

/*
 * Appends the item to @item.  It is one that every server takes: well-formed and within all limits.
 * Integers and floats are in their shortest exact form; HEX and CBOR are kept byte for byte.  On an
 * error @problem says what is wrong, where, and how to mend it; @item is then as long as before.
 */
int mkv_value_read(struct mkv_bytes text,
                   enum mkv_notation notation,
                   struct mkv_buf *item,
                   struct mkv_problem *problem) MKV_MUST_CHECK;

#endif
