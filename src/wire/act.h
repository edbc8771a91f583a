/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ping: what a server says of itself on <root>/svc/act (docs/protocol.md, section 12.2).
 */
#ifndef MKV_WIRE_ACT_H
#define MKV_WIRE_ACT_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "wire/frame.h"
#include "wire/svc.h"

#define MKV_PROOF_LEN 16U

enum mkv_act_state {
    MKV_ACT_JOINING = 0,
    MKV_ACT_READY = 1,
    MKV_ACT_LEAVING = 2,
};

/* All numbers that are not said to be otherwise are 0 .. 2^63-1. */
struct mkv_ping {
    struct mkv_bytes name;          /* of the server */
    uint8_t uuid[MKV_STORE_ID_LEN]; /* of its store */
    uint64_t nonce;                 /* of this boot */
    uint64_t number;                /* counts the pings of this boot, from 1 */
    uint32_t state;                 /* enum mkv_act_state */
    struct mkv_addresses addresses;
    struct mkv_bytes host; /* text, at most MKV_HOST_LEN_MAX bytes */
    struct mkv_versions versions;
    /*
     * Constants of the cluster.  A ping tells them as they are, 0 .. 2^32-1, even where this
     * version knows none of that number: they are to be compared.
     */
    uint32_t mode;
    uint32_t profile;
    uint32_t qos;
    uint64_t position; /* of its log, 0 .. 2^64-1 */
    uint64_t tock;
    uint64_t horizon;
    uint64_t complete;
    uint64_t floor;
    uint8_t digest[MKV_DIGEST_LEN];    /* of its whole tree */
    uint64_t count;                    /* of its entries, tombstones included, 0 .. 2^64-1 */
    uint8_t members[MKV_DIGEST_LEN];   /* digest of the table of members */
    uint64_t uptime_s;                 /* since this boot */
    uint64_t wall_ms;                  /* since 2020 by its clock; 0: not trusted */
    uint8_t cluster[MKV_STORE_ID_LEN]; /* uuid of the server that founded its cluster */
    uint8_t secrets[MKV_DIGEST_LEN];   /* digest of what it knows of users' passwords */
    bool has_proof;
    uint8_t proof[MKV_PROOF_LEN]; /* the end of the message: see wire/ring.h */
};

/*
 * All keys but the proof are required; whether it is there, and good, is for others to look at.  The decoder borrows from @in; errors as in wire/update.h.  The encoder
 * appends: TOO_LARGE, NO_MEMORY, and what the decoder would refuse: BAD_NUMBER, BAD_NAME, BAD_UTF8;
 * after an error @out is unchanged.
 */
int mkv_ping_decode(struct mkv_bytes in, struct mkv_ping *ret_ping) MKV_MUST_CHECK;
int mkv_ping_encode(const struct mkv_ping *ping, struct mkv_buf *out) MKV_MUST_CHECK;

#endif
