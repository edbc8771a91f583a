/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages on <root>/svc/...: Query, Server and Birth (docs/protocol.md, sections 7.1 and 9).
 */
#ifndef MKV_WIRE_SVC_H
#define MKV_WIRE_SVC_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"

#define MKV_QUERY_ID_MIN    8U
#define MKV_QUERY_ID_MAX    32U
#define MKV_ADDRESSES_MAX   8U   /* more: TOO_MANY */
#define MKV_ADDRESS_LEN_MAX 512U /* bytes; longer: TOO_LARGE */
#define MKV_HOST_LEN_MAX    255U

struct mkv_versions {
    uint32_t lowest; /* 1 or more */
    uint32_t highest;
};

struct mkv_addresses {
    uint32_t n;
    struct mkv_bytes at[MKV_ADDRESSES_MAX]; /* borrowed text */
};

struct mkv_query {
    struct mkv_bytes id; /* 8..32 bytes */
    struct mkv_versions versions;
};

struct mkv_server_reply {
    struct mkv_bytes id;
    struct mkv_bytes name;
    struct mkv_addresses addresses;
    struct mkv_versions versions;
    struct mkv_bytes host; /* text */
};

struct mkv_birth {
    struct mkv_bytes name;
    uint64_t seq; /* 1 .. 2^63-1 */
};

/* Decoders borrow from @in; errors as in wire/update.h.  Encoders append: TOO_LARGE, NO_MEMORY. */
int mkv_query_decode(struct mkv_bytes in, struct mkv_query *ret_query) MKV_MUST_CHECK;
int mkv_query_encode(const struct mkv_query *query, struct mkv_buf *out) MKV_MUST_CHECK;
int mkv_server_reply_decode(struct mkv_bytes in, struct mkv_server_reply *ret_reply) MKV_MUST_CHECK;
int mkv_server_reply_encode(const struct mkv_server_reply *reply,
                            struct mkv_buf *out) MKV_MUST_CHECK;
int mkv_birth_decode(struct mkv_bytes in, struct mkv_birth *ret_birth) MKV_MUST_CHECK;
int mkv_birth_encode(const struct mkv_birth *birth, struct mkv_buf *out) MKV_MUST_CHECK;

#endif
