/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/act.h"

#include "base/limits.h"
#include "wire/field.h"

/* The columns of the table below. */
#define AT(member)       .at = offsetof(struct mkv_ping, member)
#define RANGE(low, high) .min = (low), .max = (high)

static const struct mkv_field ping_fields[] = {
    {0, MKV_FIELD_NAME, AT(name)},
    {1, MKV_FIELD_ID16, AT(uuid)},
    {2, MKV_FIELD_UINT, AT(nonce), RANGE(0, MKV_INTEGER_MAX)},
    {3, MKV_FIELD_UINT, AT(number), RANGE(1, MKV_INTEGER_MAX)},
    {4, MKV_FIELD_U32, AT(state), RANGE(MKV_ACT_JOINING, MKV_ACT_LEAVING)},
    {5, MKV_FIELD_ADDRESSES, AT(addresses)},
    {6, MKV_FIELD_TEXT, AT(host), RANGE(0, MKV_HOST_LEN_MAX)},
    {7, MKV_FIELD_VERSIONS, AT(versions)},
    {8, MKV_FIELD_U32, AT(mode), RANGE(0, UINT32_MAX)},
    {9, MKV_FIELD_U32, AT(profile), RANGE(0, UINT32_MAX)},
    {10, MKV_FIELD_U32, AT(qos), RANGE(0, UINT32_MAX)},
    {11, MKV_FIELD_UINT, AT(position), RANGE(0, UINT64_MAX)},
    {12, MKV_FIELD_UINT, AT(tock), RANGE(0, MKV_INTEGER_MAX)},
    {13, MKV_FIELD_UINT, AT(horizon), RANGE(0, MKV_INTEGER_MAX)},
    {14, MKV_FIELD_UINT, AT(complete), RANGE(0, MKV_INTEGER_MAX)},
    {15, MKV_FIELD_UINT, AT(floor), RANGE(0, MKV_INTEGER_MAX)},
    {16, MKV_FIELD_ID16, AT(digest)},
    {17, MKV_FIELD_UINT, AT(count), RANGE(0, UINT64_MAX)},
    {18, MKV_FIELD_ID16, AT(members)},
    {19, MKV_FIELD_UINT, AT(uptime_s), RANGE(0, MKV_INTEGER_MAX)},
    {20, MKV_FIELD_UINT, AT(wall_ms), RANGE(0, MKV_INTEGER_MAX)},
    {21, MKV_FIELD_ID16, AT(cluster)},
    {22, MKV_FIELD_ID16, AT(secrets)},
    {23, MKV_FIELD_ID16, AT(proof), .optional = true, .has = offsetof(struct mkv_ping, has_proof)},
};

static const struct mkv_fields fields = {ping_fields, sizeof(ping_fields) / sizeof(*ping_fields)};

int mkv_ping_decode(struct mkv_bytes in, struct mkv_ping *ret_ping)
{
    struct mkv_ping ping = {0};
    int error = mkv_message_decode(in, fields, &ping);

    if (error == 0) {
        *ret_ping = ping;
    }
    return error;
}

int mkv_ping_encode(const struct mkv_ping *ping, struct mkv_buf *out)
{
    return mkv_message_encode(fields, ping, out);
}
