/* SPDX-License-Identifier: Apache-2.0 */
/* What a server keeps of a password: what is read is written, and read again, as it was. */
#include "base/assert.h"
#include "fuzz.h"
#include "wire/secret.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mkv_secret secret;
    struct mkv_secret again;
    struct mkv_buf out;

    if (mkv_secret_decode(mkv_bytes(data, size), &secret) != 0) {
        return 0;
    }
    MKV_ASSERT(secret.iterations > 0);
    mkv_buf_init(&out, 1024);
    MKV_ASSERT(mkv_secret_encode(&secret, &out) == 0);
    MKV_ASSERT(mkv_secret_decode(mkv_buf_bytes(&out), &again) == 0);
    MKV_ASSERT(again.tock == secret.tock && again.iterations == secret.iterations);
    MKV_ASSERT(mkv_bytes_equal(again.salt, secret.salt));
    MKV_ASSERT(mkv_bytes_equal(again.stored_key, secret.stored_key));
    MKV_ASSERT(mkv_bytes_equal(again.server_key, secret.server_key));
    mkv_buf_deinit(&out);
    return 0;
}
