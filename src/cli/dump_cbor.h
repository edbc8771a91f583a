/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records of a dump in CBOR: each is one item of a CBOR sequence.
 */
#ifndef MKV_CLI_DUMP_CBOR_H
#define MKV_CLI_DUMP_CBOR_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "cli/dump_record.h"

/* Append one record.  A row's entry has a tock and ticks.  TOO_LARGE, NO_MEMORY. */
int mkv_dump_cbor_header(const struct mkv_dump_header *header, struct mkv_buf *out) MKV_MUST_CHECK;
int mkv_dump_cbor_row(struct mkv_bytes key,
                      const struct mkv_update *entry,
                      struct mkv_buf *out) MKV_MUST_CHECK;
int mkv_dump_cbor_end(uint64_t n_rows, struct mkv_bytes digest, struct mkv_buf *out) MKV_MUST_CHECK;

/*
 * Decodes the record that @in begins with, and says how long it is.  The first record of a file is
 * its header.  Keys of paths go into @key.  TRUNCATED if there must be more of it, FORMAT for the
 * header of another version or of something else, and the errors of wire/cbor.h, path.h, update.h.
 */
int mkv_dump_cbor_decode(struct mkv_bytes in,
                         bool first,
                         struct mkv_buf *key,
                         struct mkv_dump_record *ret_record,
                         size_t *ret_len) MKV_MUST_CHECK;

#endif
