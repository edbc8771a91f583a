/* SPDX-License-Identifier: Apache-2.0 */
/* Files and tokens of a cluster's keys: what is read is written as it was. */
#include "base/assert.h"
#include "fuzz.h"
#include "wire/ring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mkv_bytes in = mkv_bytes(data, size);
    struct mkv_ring_token token = {0};
    struct mkv_ring ring;
    struct mkv_buf out;

    mkv_buf_init(&out, MKV_RING_TOKEN_MAX);
    if (mkv_ring_read(in, &ring) == 0) {
        MKV_ASSERT(mkv_ring_write(&ring, &out) == 0);
        MKV_ASSERT(mkv_bytes_equal(mkv_buf_bytes(&out), in));
    }
    mkv_buf_clear(&out);
    if (mkv_ring_token_read(in, &token) == 0) {
        MKV_ASSERT(mkv_ring_token_write(&token, &out) == 0);
        MKV_ASSERT(out.len <= in.len);
    }
    mkv_buf_deinit(&out);
    return 0;
}
