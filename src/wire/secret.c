/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/secret.h"

#include <stddef.h>

#include "wire/field.h"

#define AT(member)       .at = offsetof(struct mkv_secret, member)
#define RANGE(low, high) .min = (low), .max = (high)

static const struct mkv_field at[] = {
    {1, MKV_FIELD_U32, AT(iterations), RANGE(MKV_SCRAM_ITERATIONS_MIN, MKV_SCRAM_ITERATIONS_MAX)},
    {2, MKV_FIELD_BYTES, AT(salt), RANGE(MKV_SCRAM_SALT_MIN, MKV_SCRAM_SALT_MAX)},
    {3, MKV_FIELD_BYTES, AT(stored_key), RANGE(MKV_SCRAM_KEY_LEN, MKV_SCRAM_KEY_LEN)},
    {4, MKV_FIELD_BYTES, AT(server_key), RANGE(MKV_SCRAM_KEY_LEN, MKV_SCRAM_KEY_LEN)},
    {5, MKV_FIELD_UINT, AT(tock), RANGE(0, MKV_INTEGER_MAX)},
};

static const struct mkv_fields fields = {at, sizeof(at) / sizeof(*at)};

int mkv_secret_decode(struct mkv_bytes in, struct mkv_secret *ret_secret)
{
    struct mkv_secret secret = {0};
    int error = mkv_message_decode(in, fields, &secret);

    if (error == 0) {
        *ret_secret = secret;
    }
    return error;
}

int mkv_secret_encode(const struct mkv_secret *secret, struct mkv_buf *out)
{
    return mkv_message_encode(fields, secret, out);
}
