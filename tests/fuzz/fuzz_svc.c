/* SPDX-License-Identifier: Apache-2.0 */
/* Messages below svc/: the first byte says which (modulo 4), the rest is the message. */
#include "base/assert.h"
#include "base/limits.h"
#include "fuzz.h"
#include "wire/messages.h"

static void check_query(struct mkv_bytes in, struct mkv_buf *out)
{
    struct mkv_query query;
    struct mkv_query again;

    if (mkv_query_decode(in, &query) == 0) {
        MKV_ASSERT(mkv_query_encode(&query, out) == 0);
        MKV_ASSERT(mkv_query_decode(mkv_buf_bytes(out), &again) == 0);
        MKV_ASSERT(messages_same_query(&query, &again));
    }
}

static void check_server_reply(struct mkv_bytes in, struct mkv_buf *out)
{
    struct mkv_server_reply reply;
    struct mkv_server_reply again;

    if (mkv_server_reply_decode(in, &reply) == 0) {
        MKV_ASSERT(mkv_server_reply_encode(&reply, out) == 0);
        MKV_ASSERT(mkv_server_reply_decode(mkv_buf_bytes(out), &again) == 0);
        MKV_ASSERT(messages_same_server_reply(&reply, &again));
    }
}

static void check_birth(struct mkv_bytes in, struct mkv_buf *out)
{
    struct mkv_birth birth;
    struct mkv_birth again;

    if (mkv_birth_decode(in, &birth) == 0) {
        MKV_ASSERT(mkv_birth_encode(&birth, out) == 0);
        MKV_ASSERT(mkv_birth_decode(mkv_buf_bytes(out), &again) == 0);
        MKV_ASSERT(messages_same_birth(&birth, &again));
    }
}

static void check_ping(struct mkv_bytes in, struct mkv_buf *out)
{
    struct mkv_ping ping;
    struct mkv_ping again;

    if (mkv_ping_decode(in, &ping) == 0) {
        MKV_ASSERT(mkv_ping_encode(&ping, out) == 0);
        MKV_ASSERT(mkv_ping_decode(mkv_buf_bytes(out), &again) == 0);
        MKV_ASSERT(messages_same_ping(&ping, &again));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const checks[])(struct mkv_bytes in, struct mkv_buf * out) = {
        check_query, check_server_reply, check_birth, check_ping};
    struct mkv_buf out;

    if (size > 0) {
        mkv_buf_init(&out, MKV_UPDATE_MAX);
        checks[data[0] % 4](mkv_bytes(data + 1, size - 1), &out);
        mkv_buf_deinit(&out);
    }
    return 0;
}
