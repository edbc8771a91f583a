/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/svc.h"

#include "base/limits.h"
#include "wire/field.h"

/* The columns of the tables below. */
#define AT(record, member) .at = offsetof(struct record, member)
#define RANGE(low, high)   .min = (low), .max = (high)

#define FIELDS(table) ((struct mkv_fields){(table), sizeof(table) / sizeof(*(table))})

static const struct mkv_field query_fields[] = {
    {0, MKV_FIELD_BYTES, AT(mkv_query, id), RANGE(MKV_QUERY_ID_MIN, MKV_QUERY_ID_MAX)},
    {1, MKV_FIELD_VERSIONS, AT(mkv_query, versions)},
};

static const struct mkv_field server_reply_fields[] = {
    {0, MKV_FIELD_BYTES, AT(mkv_server_reply, id), RANGE(MKV_QUERY_ID_MIN, MKV_QUERY_ID_MAX)},
    {1, MKV_FIELD_NAME, AT(mkv_server_reply, name)},
    {2, MKV_FIELD_ADDRESSES, AT(mkv_server_reply, addresses)},
    {3, MKV_FIELD_VERSIONS, AT(mkv_server_reply, versions)},
    {4, MKV_FIELD_TEXT, AT(mkv_server_reply, host), RANGE(0, MKV_HOST_LEN_MAX)},
};

static const struct mkv_field birth_fields[] = {
    {0, MKV_FIELD_NAME, AT(mkv_birth, name)},
    {1, MKV_FIELD_UINT, AT(mkv_birth, seq), RANGE(1, MKV_INTEGER_MAX)},
};

int mkv_query_decode(struct mkv_bytes in, struct mkv_query *ret_query)
{
    struct mkv_query query = {0};
    int error = mkv_message_decode(in, FIELDS(query_fields), &query);

    if (error == 0) {
        *ret_query = query;
    }
    return error;
}

int mkv_query_encode(const struct mkv_query *query, struct mkv_buf *out)
{
    return mkv_message_encode(FIELDS(query_fields), query, out);
}

int mkv_server_reply_decode(struct mkv_bytes in, struct mkv_server_reply *ret_reply)
{
    struct mkv_server_reply reply = {0};
    int error = mkv_message_decode(in, FIELDS(server_reply_fields), &reply);

    if (error == 0) {
        *ret_reply = reply;
    }
    return error;
}

int mkv_server_reply_encode(const struct mkv_server_reply *reply, struct mkv_buf *out)
{
    return mkv_message_encode(FIELDS(server_reply_fields), reply, out);
}

int mkv_birth_decode(struct mkv_bytes in, struct mkv_birth *ret_birth)
{
    struct mkv_birth birth = {0};
    int error = mkv_message_decode(in, FIELDS(birth_fields), &birth);

    if (error == 0) {
        *ret_birth = birth;
    }
    return error;
}

int mkv_birth_encode(const struct mkv_birth *birth, struct mkv_buf *out)
{
    return mkv_message_encode(FIELDS(birth_fields), birth, out);
}
