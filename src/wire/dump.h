/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records of a dump file (docs/formats.md, "Dump files"), and how they look in CBOR: each is one
 * item of a CBOR sequence.
 *
 *     header, row, row, ..., end
 */
#ifndef MKV_WIRE_DUMP_H
#define MKV_WIRE_DUMP_H

#include <sodium.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "wire/update.h"

#define MKV_DUMP_VERSION    1U
#define MKV_DUMP_DIGEST_LEN 32U

/* Of a dump in CBOR; one in lines has none. */
struct mkv_dump_header {
    struct mkv_bytes path;  /* ordered key of what was dumped */
    struct mkv_bytes store; /* id of the store it was dumped from; may be empty */
    uint64_t time_s;        /* seconds since 1970-01-01T00:00:00Z; 0: not said */
};

enum mkv_dump_kind {
    MKV_DUMP_IS_HEADER,
    MKV_DUMP_IS_ROW,
    MKV_DUMP_IS_END,
};

/* Everything is borrowed from what was decoded, and from the decoder's buffers. */
struct mkv_dump_record {
    enum mkv_dump_kind kind;
    struct mkv_dump_header header;
    struct mkv_bytes key;    /* of a row: its whole path, not only from the header's on */
    struct mkv_update entry; /* of a row; without a tock and ticks only if edited by hand */
    uint64_t n_rows;         /* of the end: how many rows came before it */
    struct mkv_bytes digest; /* of the end, in CBOR: BLAKE2b-256 of all bytes before it */
};

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

/*
 * The running digest of a file.  Its state must be aligned to 64 bytes, which not every frame of a
 * stack and no heap gives: so here is room to do that, and it must stay where it was initialised.
 */
#define MKV_DUMP_HASH_ALIGN 64U
struct mkv_dump_hash {
    uint8_t room[sizeof(crypto_generichash_blake2b_state) + MKV_DUMP_HASH_ALIGN];
};

void mkv_dump_hash_init(struct mkv_dump_hash *hash);
void mkv_dump_hash_add(struct mkv_dump_hash *hash, struct mkv_bytes bytes);

/* The digest of all that was added; nothing more may be. */
void mkv_dump_hash_finish(struct mkv_dump_hash *hash, uint8_t ret_digest[MKV_DUMP_DIGEST_LEN]);

#endif
