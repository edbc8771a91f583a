/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a plain (unquoted) scalar of YAML means: the core schema of YAML 1.2, section 10.3.2, and
 * nothing else.  So "yes", "on", "1_000" and dates are text, "0o17" and "0x1f" are integers.
 */
#ifndef MKV_CLI_YAML_SCALAR_H
#define MKV_CLI_YAML_SCALAR_H

#include "base/bytes.h"
#include "base/error.h"
#include "notation/number.h"

/* libyaml has names for all tags of the core schema; this one is from the type repository. */
#define MKV_YAML_BINARY_TAG "tag:yaml.org,2002:binary"

enum mkv_scalar_kind {
    MKV_SCALAR_TEXT,
    MKV_SCALAR_NULL,
    MKV_SCALAR_FALSE,
    MKV_SCALAR_TRUE,
    MKV_SCALAR_INTEGER,
    MKV_SCALAR_REAL,
};

struct mkv_scalar {
    enum mkv_scalar_kind kind;
    struct mkv_integer integer;
    double real; /* NaN and infinities too */
};

/* BAD_NUMBER if @text is a number, but none that we could keep exactly or as a finite float. */
int mkv_scalar_resolve(struct mkv_bytes text, struct mkv_scalar *ret_scalar) MKV_MUST_CHECK;

/*
 * Whether @text, unquoted, would be taken for something else by this reader, or by one of the many
 * that still follow YAML 1.1.
 */
bool mkv_scalar_ambiguous(struct mkv_bytes text);

#endif
