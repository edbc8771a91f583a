/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/frame.h"

#include "base/assert.h"
#include "base/limits.h"
#include "wire/field.h"
#include "wire/header.h"
#include "wire/range.h"

#define KEY_KIND   0U
#define LENGTH_LEN 4U /* of the length before each frame */

/* MQTT's own limit for these three. */
#define CREDENTIAL_MAX 65535U

/* The columns of the tables below. */
#define AT(member)       .at = offsetof(struct mkv_frame, member)
#define OPTIONAL         .optional = true
#define HAS(member)      .optional = true, .has = offsetof(struct mkv_frame, member)
#define ABSENT(number)   .optional = true, .absent = (number)
#define RANGE(low, high) .min = (low), .max = (high)

/* A request's id stands under the same key in all frames that have one. */
#define REQUEST_ID 1, MKV_FIELD_UINT, AT(id), RANGE(1, MKV_INTEGER_MAX)

/* So does the credit of those that open a stream. */
#define CREDIT(member)                                                                             \
    7, MKV_FIELD_U32, AT(member), ABSENT(MKV_CREDIT_DEFAULT), RANGE(1, UINT32_MAX)

static const struct mkv_field hello_fields[] = {
    {2, MKV_FIELD_VERSIONS, AT(hello.versions)},
    {3, MKV_FIELD_TEXTS, AT(hello.features), RANGE(0, MKV_FEATURES_MAX)},
    {4, MKV_FIELD_TEXT, AT(hello.software), RANGE(0, MKV_TEXT_MAX)},
    {5, MKV_FIELD_NAME, AT(hello.name), OPTIONAL},
    {6, MKV_FIELD_TEXTS, AT(hello.mechanisms), OPTIONAL, RANGE(0, MKV_MECHANISMS_MAX)},
};

static const struct mkv_field auth_fields[] = {
    {2, MKV_FIELD_TEXT, AT(auth.mechanism), RANGE(0, MKV_TEXT_MAX)},
    {3, MKV_FIELD_SESSION, AT(auth.session), HAS(auth.resume)},
    {4, MKV_FIELD_BYTES, AT(auth.token), HAS(auth.resume), RANGE(1, MKV_TOKEN_MAX)},
    {5, MKV_FIELD_BYTES, AT(auth.initial), OPTIONAL, RANGE(1, MKV_SASL_MAX)},
};

static const struct mkv_field session_fields[] = {
    {2, MKV_FIELD_NAME, AT(session.name)},
    {3, MKV_FIELD_UINT, AT(session.seq), RANGE(1, MKV_INTEGER_MAX)},
    {4, MKV_FIELD_TEXT, AT(session.root), RANGE(1, MKV_ROOT_MAX)},
    {5, MKV_FIELD_ADDRESSES, AT(session.brokers)},
    {6, MKV_FIELD_TEXT, AT(session.client_id), RANGE(0, CREDENTIAL_MAX)},
    {7, MKV_FIELD_TEXT, AT(session.user), HAS(session.has_user), RANGE(0, CREDENTIAL_MAX)},
    {8, MKV_FIELD_TEXT, AT(session.password), HAS(session.has_password), RANGE(0, CREDENTIAL_MAX)},
    {9, MKV_FIELD_U32, AT(session.mode), RANGE(0, MKV_MODE_RAW)},
    {10, MKV_FIELD_U32, AT(session.profile), RANGE(0, 1)},
    {11, MKV_FIELD_U32, AT(session.qos), RANGE(0, 1)},
    {12, MKV_FIELD_ID16, AT(session.store_id)},
    {13, MKV_FIELD_ID16, AT(session.digest_key)},
    {14, MKV_FIELD_UINT, AT(session.tock), RANGE(0, MKV_INTEGER_MAX)},
    {15, MKV_FIELD_BOOL, AT(session.clock)},
    {16, MKV_FIELD_BYTES, AT(session.token), RANGE(1, MKV_TOKEN_MAX)},
    {17, MKV_FIELD_UINT, AT(session.acked), RANGE(0, MKV_INTEGER_MAX)},
    {18, MKV_FIELD_BYTES, AT(session.mac_key), OPTIONAL,
     RANGE(MKV_SESSION_KEY_LEN, MKV_SESSION_KEY_LEN)},
};

static const struct mkv_field error_fields[] = {
    {REQUEST_ID, OPTIONAL},
    {2, MKV_FIELD_CODE, AT(error.code)},
    {3, MKV_FIELD_TEXT, AT(error.text), RANGE(0, MKV_TEXT_MAX)},
};

static const struct mkv_field bye_fields[] = {
    {2, MKV_FIELD_UINT, AT(bye_counter), OPTIONAL, RANGE(0, MKV_INTEGER_MAX)},
};

static const struct mkv_field ack_fields[] = {
    {2, MKV_FIELD_UINT, AT(ack.counter), RANGE(0, MKV_INTEGER_MAX)},
    {3, MKV_FIELD_U32, AT(ack.level), RANGE(1, UINT32_MAX)},
    {4, MKV_FIELD_UINT, AT(ack.tock), RANGE(0, MKV_INTEGER_MAX)},
};

static const struct mkv_field nack_fields[] = {
    {2, MKV_FIELD_UINT, AT(nack.counter), RANGE(1, MKV_INTEGER_MAX)},
    {3, MKV_FIELD_CODE, AT(nack.code)},
    {4, MKV_FIELD_TEXT, AT(nack.text), RANGE(0, MKV_TEXT_MAX)},
};

static const struct mkv_field conflict_fields[] = {
    {2, MKV_FIELD_PATH, AT(conflict.path)},
    {3, MKV_FIELD_U32, AT(conflict.class_), RANGE(0, 1)},
    {4, MKV_FIELD_ENTRY, AT(conflict.loser)},
    {5, MKV_FIELD_ENTRY, AT(conflict.winner)},
    {6, MKV_FIELD_UINT, AT(conflict.more), OPTIONAL, RANGE(0, UINT64_MAX)},
};

static const struct mkv_field range_fields[] = {
    {2, MKV_FIELD_UINT, AT(range.first), RANGE(1, MKV_INTEGER_MAX)},
    {3, MKV_FIELD_UINT, AT(range.last), RANGE(1, MKV_INTEGER_MAX)},
};

static const struct mkv_field state_fields[] = {
    {2, MKV_FIELD_STATE, AT(state.code)},
    {3, MKV_FIELD_TEXT, AT(state.text), RANGE(0, MKV_TEXT_MAX)},
};

static const struct mkv_field read_fields[] = {
    {REQUEST_ID},
    {2, MKV_FIELD_PATH, AT(read.path)},
    {3, MKV_FIELD_U32, AT(read.depth_min), OPTIONAL, RANGE(0, MKV_PATH_LEVELS_MAX)},
    {4, MKV_FIELD_U32, AT(read.depth_max), ABSENT(MKV_PATH_LEVELS_MAX),
     RANGE(0, MKV_PATH_LEVELS_MAX)},
    {5, MKV_FIELD_U32, AT(read.flags), OPTIONAL, RANGE(0, MKV_READ_FLAGS)},
    {6, MKV_FIELD_PLACE, AT(read.since), HAS(read.has_since)},
    {CREDIT(read.credit)},
};

static const struct mkv_field list_fields[] = {
    {REQUEST_ID},
    {2, MKV_FIELD_PATH, AT(path.path)},
    {CREDIT(path.credit)},
};

static const struct mkv_field check_fields[] = {
    {REQUEST_ID},
    {2, MKV_FIELD_PATH, AT(path.path)},
};

static const struct mkv_field conflicts_fields[] = {
    {REQUEST_ID},
    {2, MKV_FIELD_PATH, AT(conflicts.path)},
    {5, MKV_FIELD_U32, AT(conflicts.flags), OPTIONAL, RANGE(0, MKV_CONFLICTS_FOLLOW)},
    {7, MKV_FIELD_U32, AT(conflicts.credit), ABSENT(MKV_CREDIT_DEFAULT), RANGE(1, UINT32_MAX)},
};

static const struct mkv_field credit_fields[] = {
    {REQUEST_ID},
    {2, MKV_FIELD_U32, AT(credit), RANGE(1, UINT32_MAX)},
};

static const struct mkv_field data_fields[] = {
    {REQUEST_ID},
    {2, MKV_FIELD_ROWS, AT(data.rows)},
    {3, MKV_FIELD_PLACE, AT(data.place), HAS(data.has_place)},
};

static const struct mkv_field end_fields[] = {
    {REQUEST_ID},
    {2, MKV_FIELD_UINT, AT(end.n_rows), RANGE(0, UINT64_MAX)},
    {3, MKV_FIELD_PLACE, AT(end.place), HAS(end.has_place)},
};

static const struct mkv_field children_fields[] = {
    {REQUEST_ID},
    {2, MKV_FIELD_CHILDREN, AT(rows)},
};

static const struct mkv_field lost_fields[] = {
    {REQUEST_ID},
    {2, MKV_FIELD_CONFLICTS, AT(lost)},
};

static const struct mkv_field digest_fields[] = {
    {REQUEST_ID},
    {2, MKV_FIELD_UINT, AT(digest.count), RANGE(0, UINT64_MAX)},
    {3, MKV_FIELD_ID16, AT(digest.digest)},
    {4, MKV_FIELD_PLACE, AT(digest.place)},
    {5, MKV_FIELD_UINT, AT(digest.floor), OPTIONAL, RANGE(1, MKV_INTEGER_MAX)},
};

static const struct mkv_field report_fields[] = {
    {REQUEST_ID},
    {2, MKV_FIELD_REPORT, AT(report)},
};

static const struct mkv_field pong_fields[] = {
    {REQUEST_ID},
    {2, MKV_FIELD_UINT, AT(tock), RANGE(0, MKV_INTEGER_MAX)},
};

static const struct mkv_field peer_fields[] = {
    {2, MKV_FIELD_NAME, AT(peer.name)},
    {3, MKV_FIELD_ID16, AT(peer.uuid)},
    {4, MKV_FIELD_PLACE, AT(peer.place)},
    {5, MKV_FIELD_U32, AT(peer.state), RANGE(0, 1)},
};

static const struct mkv_field vouch_fields[] = {
    {REQUEST_ID},
    {2, MKV_FIELD_ID16, AT(vouch.uuid)},
    {3, MKV_FIELD_UINT, AT(vouch.nonce), RANGE(0, MKV_INTEGER_MAX)},
    {4, MKV_FIELD_UINT, AT(vouch.number), RANGE(1, MKV_INTEGER_MAX)},
    {5, MKV_FIELD_NAME, AT(vouch.name)},
    {6, MKV_FIELD_BOOL, AT(vouch.restored)},
};

static const struct mkv_field vouched_fields[] = {
    {REQUEST_ID},
    {2, MKV_FIELD_BOOL, AT(vouched.known)},
    {3, MKV_FIELD_PLACE, AT(vouched.place)},
    {4, MKV_FIELD_UINT, AT(vouched.horizon), RANGE(0, MKV_INTEGER_MAX)},
    {5, MKV_FIELD_UINT, AT(vouched.floor), RANGE(0, MKV_INTEGER_MAX)},
    {6, MKV_FIELD_UINT, AT(vouched.tock), RANGE(0, MKV_INTEGER_MAX)},
    {7, MKV_FIELD_UINT, AT(vouched.count), RANGE(0, UINT64_MAX)},
    {8, MKV_FIELD_ID16, AT(vouched.digest)},
    {9, MKV_FIELD_PLACE, AT(vouched.seen), HAS(vouched.has_seen)},
};

static const struct mkv_field split_fields[] = {
    {REQUEST_ID},
    {2, MKV_FIELD_RANGES, AT(ranges.ranges)},
};

static const struct mkv_field fetch_fields[] = {
    {REQUEST_ID},
    {2, MKV_FIELD_RANGES, AT(ranges.ranges)},
    {CREDIT(ranges.credit)},
};

static const struct mkv_field sums_fields[] = {
    {REQUEST_ID},
    {2, MKV_FIELD_SUMS, AT(sums)},
};

static const struct mkv_field servers_fields[] = {
    {REQUEST_ID},
    {CREDIT(credit)},
};

static const struct mkv_field reports_fields[] = {
    {REQUEST_ID},
    {2, MKV_FIELD_REPORTS, AT(reports)},
};

static const struct mkv_field evict_fields[] = {
    {REQUEST_ID},
    {2, MKV_FIELD_ID16, AT(uuid)},
};

static const struct mkv_field sasl_fields[] = {
    {2, MKV_FIELD_BYTES, AT(sasl), RANGE(0, MKV_SASL_MAX)},
};

static const struct mkv_field passwd_fields[] = {
    {REQUEST_ID},
    {2, MKV_FIELD_TEXT, AT(passwd.user), RANGE(1, MKV_SCRAM_USER_MAX)},
    {3, MKV_FIELD_U32, AT(passwd.iterations),
     RANGE(MKV_SCRAM_ITERATIONS_MIN, MKV_SCRAM_ITERATIONS_MAX)},
    {4, MKV_FIELD_BYTES, AT(passwd.salt), RANGE(MKV_SCRAM_SALT_MIN, MKV_SCRAM_SALT_MAX)},
    {5, MKV_FIELD_BYTES, AT(passwd.stored_key), RANGE(MKV_SCRAM_KEY_LEN, MKV_SCRAM_KEY_LEN)},
    {6, MKV_FIELD_BYTES, AT(passwd.server_key), RANGE(MKV_SCRAM_KEY_LEN, MKV_SCRAM_KEY_LEN)},
};

static const struct mkv_field secrets_fields[] = {
    {REQUEST_ID},
    {2, MKV_FIELD_TEXT, AT(passwd.user), OPTIONAL, RANGE(1, MKV_SCRAM_USER_MAX)},
};

static const struct mkv_field secret_fields[] = {
    {REQUEST_ID},
    {2, MKV_FIELD_TEXT, AT(passwd.user), RANGE(1, MKV_SCRAM_USER_MAX)},
    {3, MKV_FIELD_U32, AT(passwd.iterations),
     RANGE(MKV_SCRAM_ITERATIONS_MIN, MKV_SCRAM_ITERATIONS_MAX)},
    {4, MKV_FIELD_BYTES, AT(passwd.salt), RANGE(MKV_SCRAM_SALT_MIN, MKV_SCRAM_SALT_MAX)},
    {5, MKV_FIELD_BYTES, AT(passwd.stored_key), RANGE(MKV_SCRAM_KEY_LEN, MKV_SCRAM_KEY_LEN)},
    {6, MKV_FIELD_BYTES, AT(passwd.server_key), RANGE(MKV_SCRAM_KEY_LEN, MKV_SCRAM_KEY_LEN)},
    {7, MKV_FIELD_UINT, AT(passwd.tock), RANGE(0, MKV_INTEGER_MAX)},
};

/* Requests without a parameter. */
static const struct mkv_field id_fields[] = {{REQUEST_ID}};

/* What is needed of a frame of unknown kind, to answer it. */
static const struct mkv_field unknown_fields[] = {
    {REQUEST_ID, OPTIONAL},
};

#define FIELDS(table)                                                                              \
    {                                                                                              \
        (table), sizeof(table) / sizeof(*(table))                                                  \
    }

/* All fields of each kind except the kind itself; NULL where there is no such kind. */
static const struct mkv_fields fields_of_kind[] = {
    [MKV_FRAME_HELLO] = FIELDS(hello_fields),
    [MKV_FRAME_AUTH] = FIELDS(auth_fields),
    [MKV_FRAME_SESSION] = FIELDS(session_fields),
    [MKV_FRAME_BIRTH] = {id_fields, 0},
    [MKV_FRAME_ERROR] = FIELDS(error_fields),
    [MKV_FRAME_BYE] = FIELDS(bye_fields),
    [MKV_FRAME_ACK] = FIELDS(ack_fields),
    [MKV_FRAME_NACK] = FIELDS(nack_fields),
    [MKV_FRAME_CONFLICT] = FIELDS(conflict_fields),
    [MKV_FRAME_REPEAT] = FIELDS(range_fields),
    [MKV_FRAME_VOID] = FIELDS(range_fields),
    [MKV_FRAME_STATE] = FIELDS(state_fields),
    [MKV_FRAME_RIGHTS] = {id_fields, 0},
    [MKV_FRAME_READ] = FIELDS(read_fields),
    [MKV_FRAME_LIST] = FIELDS(list_fields),
    [MKV_FRAME_CHECK] = FIELDS(check_fields),
    [MKV_FRAME_STATUS] = FIELDS(id_fields),
    [MKV_FRAME_PING] = FIELDS(id_fields),
    [MKV_FRAME_CREDIT] = FIELDS(credit_fields),
    [MKV_FRAME_CANCEL] = FIELDS(id_fields),
    [MKV_FRAME_DATA] = FIELDS(data_fields),
    [MKV_FRAME_END] = FIELDS(end_fields),
    [MKV_FRAME_CHILDREN] = FIELDS(children_fields),
    [MKV_FRAME_DIGEST] = FIELDS(digest_fields),
    [MKV_FRAME_REPORT] = FIELDS(report_fields),
    [MKV_FRAME_PONG] = FIELDS(pong_fields),
    [MKV_FRAME_PEER] = FIELDS(peer_fields),
    [MKV_FRAME_VOUCH] = FIELDS(vouch_fields),
    [MKV_FRAME_SPLIT] = FIELDS(split_fields),
    [MKV_FRAME_FETCH] = FIELDS(fetch_fields),
    [MKV_FRAME_SERVERS] = FIELDS(servers_fields),
    [MKV_FRAME_EVICT] = FIELDS(evict_fields),
    [MKV_FRAME_PASSWD] = FIELDS(passwd_fields),
    [MKV_FRAME_SECRETS] = FIELDS(secrets_fields),
    [MKV_FRAME_SECRET] = FIELDS(secret_fields),
    [MKV_FRAME_CHALLENGE] = FIELDS(sasl_fields),
    [MKV_FRAME_RESPONSE] = FIELDS(sasl_fields),
    [MKV_FRAME_VOUCHED] = FIELDS(vouched_fields),
    [MKV_FRAME_SUMS] = FIELDS(sums_fields),
    [MKV_FRAME_REPORTS] = FIELDS(reports_fields),
    [MKV_FRAME_DONE] = FIELDS(id_fields),
    [MKV_FRAME_CONFLICTS] = FIELDS(conflicts_fields),
    [MKV_FRAME_LOST] = FIELDS(lost_fields),
};

#define KINDS_END (sizeof(fields_of_kind) / sizeof(*fields_of_kind))

static bool kind_known(uint64_t kind)
{
    return kind < KINDS_END && fields_of_kind[kind].at != NULL;
}

/* Reads the head of a list of definite length in any form; false and nothing else at other items. */
static bool enter_list(struct mkv_cbor_reader *r, uint64_t *ret_n)
{
    struct mkv_cbor_reader ahead = *r;
    struct mkv_cbor_item item;

    if (mkv_cbor_peek(r) != MKV_CBOR_ARRAY) {
        return false;
    }
    mkv_cbor_next(&ahead, &item);
    if (ahead.error != 0 || item.indefinite) {
        return false;
    }
    *r = ahead;
    *ret_n = item.number;
    return true;
}

/*
 * Skips an item of which nothing is known yet.  If it holds rows, then each of their values has
 * limits of its own: so lists are entered two deep before limits count.
 */
static void skip_unjudged(struct mkv_cbor_reader *r)
{
    uint64_t left[3] = {1, 0, 0}; /* items not yet skipped, by depth */
    unsigned depth = 0;

    while (r->error == 0) {
        if (left[depth] == 0) {
            if (depth == 0) {
                return;
            }
            depth--;
            continue;
        }
        left[depth]--;
        if (depth < 2 && enter_list(r, &left[depth + 1])) {
            depth++;
        } else {
            mkv_cbor_skip(r);
        }
    }
}

/*
 * Keys come in any order, but what the others mean depends on the kind.  Nearly always it comes
 * first, and nothing else is read here.
 */
static int find_kind(struct mkv_bytes in, uint64_t *ret_kind)
{
    struct mkv_header h;
    uint64_t key;
    uint64_t kind;

    mkv_header_init(&h, in);
    while (mkv_header_next(&h, &key)) {
        if (key == KEY_KIND) {
            kind = mkv_cbor_read_uint(&h.cbor);
            if (h.cbor.error == 0) {
                *ret_kind = kind;
            }
            return h.cbor.error;
        }
        skip_unjudged(&h.cbor);
    }
    return h.cbor.error != 0 ? h.cbor.error : MKV_E_MALFORMED;
}

/* What a table cannot say. */
static int check_frame(const struct mkv_frame *frame)
{
    if (frame->kind == MKV_FRAME_REPEAT || frame->kind == MKV_FRAME_VOID) {
        return frame->range.first <= frame->range.last ? 0 : MKV_E_BAD_NUMBER;
    }
    if (frame->kind == MKV_FRAME_AUTH && frame->auth.resume) {
        bool both = frame->auth.session.name.len > 0 && frame->auth.token.len > 0;

        return both ? 0 : MKV_E_MALFORMED;
    }
    if (frame->kind == MKV_FRAME_FETCH) {
        return mkv_ranges_ascend(frame->ranges.ranges) ? 0 : MKV_E_MALFORMED;
    }
    return 0;
}

static int decode_unknown(struct mkv_bytes in, struct mkv_frame *ret_frame)
{
    struct mkv_frame frame = {0};
    int error = mkv_fields_decode(in, (struct mkv_fields)FIELDS(unknown_fields), &frame);

    if (error != 0) {
        return error;
    }
    *ret_frame = frame;
    return MKV_E_UNKNOWN_REQUEST;
}

int mkv_frame_decode(struct mkv_bytes in, struct mkv_frame *ret_frame)
{
    uint64_t kind;

    if (in.len > MKV_FRAME_MAX) {
        return MKV_E_TOO_LARGE;
    }

    int error = find_kind(in, &kind);

    if (error != 0) {
        return error;
    }
    if (!kind_known(kind)) {
        return decode_unknown(in, ret_frame);
    }

    struct mkv_frame frame = {.kind = (enum mkv_frame_kind)kind};

    error = mkv_fields_decode(in, fields_of_kind[kind], &frame);
    if (error == 0) {
        error = check_frame(&frame);
    }
    if (error == 0) {
        *ret_frame = frame;
    }
    return error;
}

static void write_frame(struct mkv_cbor_writer *w, const struct mkv_frame *frame)
{
    struct mkv_fields fields = fields_of_kind[frame->kind];

    mkv_cbor_write_map(w, 1 + mkv_fields_count(fields, frame));
    mkv_cbor_write_uint(w, KEY_KIND);
    mkv_cbor_write_uint(w, frame->kind);
    mkv_fields_write(w, fields, frame);
}

static void put_length(uint8_t at[LENGTH_LEN], size_t length)
{
    for (unsigned i = 0; i < LENGTH_LEN; i++) {
        at[i] = (uint8_t)(length >> (24 - 8 * i));
    }
}

int mkv_frame_encode(const struct mkv_frame *frame, struct mkv_buf *out)
{
    struct mkv_cbor_writer w;
    size_t start = out->len;

    MKV_ASSERT(kind_known(frame->kind));

    mkv_cbor_writer_init(&w, out);
    w.error = mkv_buf_append_be32(out, 0); /* the length, not yet known */
    if (w.error == 0) {
        write_frame(&w, frame);
    }
    if (w.error == 0) {
        w.error = check_frame(frame);
    }
    if (w.error == 0 && out->len - start - LENGTH_LEN > MKV_FRAME_MAX) {
        w.error = MKV_E_TOO_LARGE;
    }
    if (w.error != 0) {
        mkv_buf_truncate(out, start);
        return w.error;
    }
    put_length(out->at + start, out->len - start - LENGTH_LEN);
    return 0;
}

static uint32_t get_length(const uint8_t at[LENGTH_LEN])
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

int mkv_frame_cut(struct mkv_bytes stream, struct mkv_bytes *ret_map, size_t *ret_used)
{
    if (stream.len < LENGTH_LEN) {
        *ret_used = 0;
        return 0;
    }

    uint32_t length = get_length(stream.at);

    if (length > MKV_FRAME_MAX) {
        return MKV_E_TOO_LARGE;
    }
    if (length == 0) {
        return MKV_E_MALFORMED;
    }
    if (stream.len - LENGTH_LEN < length) {
        *ret_used = 0;
        return 0;
    }
    *ret_map = mkv_bytes(stream.at + LENGTH_LEN, length);
    *ret_used = LENGTH_LEN + length;
    return 0;
}
