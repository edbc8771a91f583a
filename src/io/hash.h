/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash for tables of what others name: keyed anew by each process, so that nobody can choose names that
 * fall on another's.
 */
#ifndef MKV_IO_HASH_H
#define MKV_IO_HASH_H

#include <stdint.h>

#include "base/bytes.h"

uint64_t mkv_hash_of(struct mkv_bytes name);

#endif
