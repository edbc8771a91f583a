/* SPDX-License-Identifier: Apache-2.0 */
#include "base/assert.h"
#include "base/limits.h"
#include "fuzz.h"
#include "lib/path_check.h"
#include "wire/path.h"

/* Each start of a path is a path, sorts before it, and shares just its elements with it. */
static void check_heads(struct mkv_bytes key)
{
    unsigned depth = mkv_path_depth(key);

    MKV_ASSERT(depth <= MKV_PATH_LEVELS_MAX);
    for (unsigned n = 0; n <= depth; n++) {
        struct mkv_bytes head = mkv_path_head(key, n);

        MKV_ASSERT(mkv_path_check(head) == 0);
        MKV_ASSERT(mkv_path_depth(head) == n);
        MKV_ASSERT(mkv_path_shared(head, key) == n);
        MKV_ASSERT(mkv_path_shared(key, head) == n);
        MKV_ASSERT(mkv_bytes_starts_with(key, head));
        MKV_ASSERT((mkv_bytes_compare(head, key) < 0) == (n < depth));
    }
    MKV_ASSERT(mkv_path_head(key, depth).len == key.len);
}

/* As a key, from a damaged disk. */
static void check_key(struct mkv_bytes key)
{
    if (mkv_path_check(key) == 0) {
        check_all_forms(key);
        check_heads(key);
    }
}

/* As CBOR, from a link. */
static void check_cbor(struct mkv_bytes cbor)
{
    struct mkv_cbor_reader r;
    struct mkv_buf key;

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    mkv_cbor_reader_init(&r, cbor);

    int error = mkv_path_from_cbor(&r, &key);

    MKV_ASSERT(error == r.error);
    if (error == 0) {
        check_all_forms(mkv_buf_bytes(&key));
        check_heads(mkv_buf_bytes(&key));
    } else {
        MKV_ASSERT(key.len == 0);
    }
    mkv_buf_deinit(&key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_key(mkv_bytes(data, size));
    check_cbor(mkv_bytes(data, size));
    return 0;
}
