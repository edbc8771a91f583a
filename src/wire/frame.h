/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Link frames (docs/protocol.md, sections 7 and 12).
 *
 * On a stream each is 4 bytes length, big-endian, and one CBOR map.  Decoding borrows from the
 * input.  The rows of `data`, the `children`, ranges, sums and what was `lost` are checked but not
 * unpacked: they stay one raw item, which wire/row.h, child.h, range.h and conflict.h walk and build.
 */
#ifndef MKV_WIRE_FRAME_H
#define MKV_WIRE_FRAME_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "wire/row.h"
#include "wire/svc.h"
#include "wire/update.h"

enum mkv_frame_kind {
    MKV_FRAME_HELLO = 1,
    MKV_FRAME_AUTH = 2,
    MKV_FRAME_SESSION = 3,
    MKV_FRAME_BIRTH = 4,
    MKV_FRAME_ERROR = 5,
    MKV_FRAME_BYE = 6,
    MKV_FRAME_PEER = 7,
    MKV_FRAME_CHALLENGE = 8,
    MKV_FRAME_RESPONSE = 9,
    MKV_FRAME_ACK = 10,
    MKV_FRAME_NACK = 11,
    MKV_FRAME_CONFLICT = 12,
    MKV_FRAME_REPEAT = 13,
    MKV_FRAME_VOID = 14,
    MKV_FRAME_STATE = 15,
    MKV_FRAME_RIGHTS = 16,
    MKV_FRAME_READ = 20,
    MKV_FRAME_LIST = 21,
    MKV_FRAME_CHECK = 22,
    MKV_FRAME_STATUS = 23,
    MKV_FRAME_PING = 24,
    MKV_FRAME_VOUCH = 25,
    MKV_FRAME_SPLIT = 26,
    MKV_FRAME_FETCH = 27,
    MKV_FRAME_CONFLICTS = 28,
    MKV_FRAME_SERVERS = 29,
    MKV_FRAME_CREDIT = 30,
    MKV_FRAME_CANCEL = 31,
    MKV_FRAME_EVICT = 32,
    MKV_FRAME_PASSWD = 33,
    MKV_FRAME_SECRETS = 34,
    MKV_FRAME_DATA = 40,
    MKV_FRAME_END = 41,
    MKV_FRAME_CHILDREN = 42,
    MKV_FRAME_DIGEST = 43,
    MKV_FRAME_REPORT = 44,
    MKV_FRAME_PONG = 45,
    MKV_FRAME_VOUCHED = 46,
    MKV_FRAME_SUMS = 47,
    MKV_FRAME_LOST = 48,
    MKV_FRAME_REPORTS = 49,
    MKV_FRAME_DONE = 50,
    MKV_FRAME_SECRET = 51,
};

#define MKV_FEATURES_MAX   16U
#define MKV_MECHANISMS_MAX 8U
#define MKV_TOKEN_MAX      64U
#define MKV_SASL_MAX       4096U /* bytes of one message of an authentication */
#define MKV_TEXT_MAX       1024U /* bytes of any text for people in a frame; longer: TOO_LARGE */

#define MKV_CREDIT_DEFAULT 4U /* pages that may be sent if the request does not say */

#define MKV_READ_TOMBSTONES 1U
#define MKV_READ_KEYS_ONLY  2U
#define MKV_READ_FLAGS      3U /* all of them; others: BAD_NUMBER */

#define MKV_CONFLICTS_FOLLOW 1U /* the flag of `conflicts`; others: BAD_NUMBER */

#define MKV_STORE_ID_LEN 16U
#define MKV_DIGEST_LEN   16U

struct mkv_texts {
    uint32_t n;
    struct mkv_bytes at[MKV_FEATURES_MAX];
};

/* A point in a server's log. */
struct mkv_place {
    uint64_t nonce;
    uint64_t position;
};

struct mkv_frame_hello {
    struct mkv_versions versions;
    struct mkv_texts features;
    struct mkv_bytes software;
    struct mkv_bytes name;       /* empty: the sender is a client */
    struct mkv_texts mechanisms; /* at most 8 */
};

struct mkv_frame_auth {
    struct mkv_bytes mechanism;
    bool resume;
    struct mkv_birth session; /* to be resumed; only with @resume, like the token */
    struct mkv_bytes token;
    struct mkv_bytes initial; /* the mechanism's first message; empty: none */
};

/* A constant of the cluster. */
enum mkv_mode {
    MKV_MODE_SERVERS = 0, /* values live at the servers */
    MKV_MODE_MACS = 1,    /* ... and updates bear MACs (wire/mac.h) */
    MKV_MODE_CBOR = 2,    /* the broker retains values, in one codec (docs/retained.md) */
    MKV_MODE_JSON = 3,
    MKV_MODE_TEXT = 4,
    MKV_MODE_RAW = 5,
};

/* Whether the broker retains the values. */
static inline bool mkv_mode_retains(uint32_t mode)
{
    return mode >= MKV_MODE_CBOR && mode <= MKV_MODE_RAW;
}

#define MKV_SESSION_KEY_LEN 32U

struct mkv_frame_session {
    struct mkv_bytes name;
    uint64_t seq;
    struct mkv_bytes root;
    struct mkv_addresses brokers;
    struct mkv_bytes client_id;
    bool has_user;
    bool has_password;
    struct mkv_bytes user;
    struct mkv_bytes password;
    uint32_t mode;    /* enum mkv_mode */
    uint32_t profile; /* enum mkv_profile */
    uint32_t qos;     /* 0 or 1 */
    uint8_t store_id[MKV_STORE_ID_LEN];
    uint8_t digest_key[MKV_DIGEST_LEN];
    uint64_t tock;
    bool clock;
    struct mkv_bytes token;
    uint64_t acked;
    struct mkv_bytes mac_key; /* MKV_SESSION_KEY_LEN bytes, only if the mode wants MACs; or empty */
};

struct mkv_frame_error {
    int code; /* enum mkv_error, or a number of a later version: -1 .. -9999 */
    struct mkv_bytes text;
};

struct mkv_frame_range { /* repeat, void */
    uint64_t first;      /* 1 or more */
    uint64_t last;       /* first or more */
};

struct mkv_frame_ack {
    uint64_t counter;
    uint32_t level;
    uint64_t tock;
};

struct mkv_frame_nack {
    uint64_t counter;
    int code;
    struct mkv_bytes text;
};

struct mkv_frame_conflict {
    struct mkv_bytes path; /* the raw CBOR array; mkv_path_from_cbor() reads it */
    uint32_t class_;       /* 0 conflict, 1 possible */
    struct mkv_update loser;
    struct mkv_update winner;
    uint64_t more; /* conflicts of this session before this one that it was not told of */
};

struct mkv_frame_read {
    struct mkv_bytes path; /* raw CBOR array */
    uint32_t depth_min;
    uint32_t depth_max;
    uint32_t flags;
    bool has_since;
    struct mkv_place since;
    uint32_t credit; /* 0 is sent as the default */
};

struct mkv_frame_path {    /* list, check */
    struct mkv_bytes path; /* raw CBOR array */
    uint32_t credit;       /* list only */
};

/* fetch; and split, which has no credit. */
struct mkv_frame_ranges {
    struct mkv_bytes ranges; /* one raw list; those of fetch ascend and are disjoint */
    uint32_t credit;         /* fetch only; 0 is sent as the default */
};

struct mkv_frame_data {
    struct mkv_bytes rows;  /* one raw CBOR array */
    bool has_place;         /* only where rows come in the order of writing */
    struct mkv_place place; /* everything up to here has been sent */
};

struct mkv_frame_conflicts {
    struct mkv_bytes path; /* raw CBOR array */
    uint32_t flags;        /* MKV_CONFLICTS_FOLLOW or 0 */
    uint32_t credit;
};

struct mkv_frame_end {
    uint64_t n_rows;
    bool has_place;
    struct mkv_place place;
};

struct mkv_frame_digest {
    uint64_t count;
    uint8_t digest[MKV_DIGEST_LEN];
    struct mkv_place place;
    uint64_t floor; /* deletions up to this tock are forgotten and not counted; 0: none are */
};

struct mkv_frame_peer {
    struct mkv_bytes name;
    uint8_t uuid[MKV_STORE_ID_LEN];
    struct mkv_place place;
    uint32_t state; /* enum mkv_act_state, but for LEAVING */
};

/* Who asks, and which ping of this server the answer waits for. */
struct mkv_frame_vouch {
    uint8_t uuid[MKV_STORE_ID_LEN];
    uint64_t nonce;  /* 0 .. 2^63-1 */
    uint64_t number; /* 1 or more */
    struct mkv_bytes name;
    bool restored; /* its store is a copy of an earlier state */
};

struct mkv_frame_vouched {
    bool known; /* was an active member before */
    struct mkv_place place;
    uint64_t horizon;
    uint64_t floor;
    uint64_t tock;
    uint64_t count;
    uint8_t digest[MKV_DIGEST_LEN];
    bool has_seen;
    struct mkv_place seen; /* of the asker's log: up to where it was read */
};

/* A user's new password, as SCRAM-SHA-256 keeps it (RFC 5802, RFC 7677). */
#define MKV_SCRAM_USER_MAX       64U
#define MKV_SCRAM_ITERATIONS_MIN 4096U
#define MKV_SCRAM_ITERATIONS_MAX 10000000U
#define MKV_SCRAM_SALT_MIN       8U
#define MKV_SCRAM_SALT_MAX       64U
#define MKV_SCRAM_KEY_LEN        32U

struct mkv_frame_passwd {
    struct mkv_bytes user;
    uint32_t iterations;
    struct mkv_bytes salt;
    struct mkv_bytes stored_key;
    struct mkv_bytes server_key;
    uint64_t tock; /* secret: of when it was set */
};

struct mkv_frame {
    enum mkv_frame_kind kind;
    uint64_t id; /* 0: none.  Required by 20..59; optional for error. */
    union {
        struct mkv_frame_hello hello;
        struct mkv_frame_auth auth;
        struct mkv_frame_session session;
        struct mkv_frame_error error;
        struct mkv_frame_error state; /* code 0: the server writes again */
        uint64_t bye_counter;         /* bye; 0 if absent */
        struct mkv_frame_ack ack;
        struct mkv_frame_nack nack;
        struct mkv_frame_conflict conflict;
        struct mkv_frame_range range; /* repeat, void */
        struct mkv_frame_read read;
        struct mkv_frame_path path; /* list, check */
        struct mkv_frame_conflicts conflicts;
        uint32_t credit; /* credit: 1 or more; servers: 0 is sent as the default */
        struct mkv_frame_data data;
        struct mkv_bytes rows; /* children: one raw CBOR array */
        struct mkv_bytes lost; /* lost: one raw CBOR array */
        struct mkv_frame_end end;
        struct mkv_frame_digest digest;
        struct mkv_bytes report; /* report: one raw CBOR map */
        uint64_t tock;           /* pong */
        struct mkv_frame_peer peer;
        struct mkv_frame_vouch vouch;
        struct mkv_frame_vouched vouched;
        struct mkv_frame_ranges ranges; /* split, fetch */
        struct mkv_bytes sums;          /* sums: one raw list */
        struct mkv_bytes reports;       /* reports: one raw list of maps as in `report` */
        uint8_t uuid[MKV_STORE_ID_LEN]; /* evict */
        struct mkv_bytes sasl;          /* challenge, response */
        struct mkv_frame_passwd passwd; /* passwd, secret; secrets: its user, or none */
    };
};

/*
 * Decodes the map of one frame (without its length).  Every key that the kind requires must be
 * there, else MALFORMED.  An unknown kind is UNKNOWN_REQUEST; *ret_frame then holds its id and
 * nothing else, so that it can be answered.  Otherwise errors as in wire/update.h.
 */
int mkv_frame_decode(struct mkv_bytes in, struct mkv_frame *ret_frame) MKV_MUST_CHECK;

/*
 * Appends length and map.  TOO_LARGE (the frame, or a text or list in it), NO_MEMORY.  A frame
 * that mkv_frame_decode() would refuse is not written: BAD_NUMBER, BAD_NAME, BAD_UTF8, MALFORMED.
 * After an error @out is unchanged.
 */
int mkv_frame_encode(const struct mkv_frame *frame, struct mkv_buf *out) MKV_MUST_CHECK;

/*
 * Takes one whole frame off the front of a received stream.  Returns 0 and the map's bytes
 * (borrowed from @stream), and in *ret_used how many bytes of @stream it took; *ret_used is 0 if
 * more must be received first.  TOO_LARGE if the length announced is beyond MKV_FRAME_MAX,
 * MALFORMED if it is 0: the link cannot be read on.
 */
int mkv_frame_cut(struct mkv_bytes stream,
                  struct mkv_bytes *ret_map,
                  size_t *ret_used) MKV_MUST_CHECK;

#endif
