/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports of the server: CBOR maps with text keys, whose facts are found by name.  New servers tell
 * more, old ones less, so that a fact may be missing, or be something else than was expected.
 */
#ifndef MKV_CLI_FACT_H
#define MKV_CLI_FACT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/* The raw item; empty if there is none of that name. */
struct mkv_bytes mkv_fact(struct mkv_bytes report, const char *name);

/* As what is wanted; empty, false, or @otherwise if it is not there or of another kind. */
struct mkv_bytes mkv_fact_text(struct mkv_bytes report, const char *name);
bool mkv_fact_bool(struct mkv_bytes report, const char *name);
uint64_t mkv_fact_uint(struct mkv_bytes report, const char *name, uint64_t otherwise);

#endif
