/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a dump file is made of (docs/formats.md, "Dump files"), whichever notation it is in.
 */
#ifndef MKV_CLI_DUMP_RECORD_H
#define MKV_CLI_DUMP_RECORD_H

#include "base/bytes.h"
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

#endif
