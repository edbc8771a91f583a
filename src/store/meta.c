/* SPDX-License-Identifier: Apache-2.0 */
#include "store/meta.h"

#include "base/assert.h"
#include "store/row.h"

/* The owner's byte before a name, and in a search one more behind it. */
_Static_assert(MKV_META_NAME_MAX + 2 <= MKV_LOG_KEY_MAX, "names must fit into the log's keys");

struct meta_key {
    uint8_t at[MKV_META_NAME_MAX + 2];
    size_t len;
};

static struct meta_key key_of(enum mkv_meta_owner owner, struct mkv_bytes name)
{
    struct meta_key key = {.len = 1 + name.len};

    MKV_ASSERT(name.len <= MKV_META_NAME_MAX);
    key.at[0] = (uint8_t)owner;
    if (name.len > 0) {
        memcpy(key.at + 1, name.at, name.len);
    }
    return key;
}

int mkv_meta_get(struct mkv_log *log,
                 enum mkv_meta_owner owner,
                 struct mkv_bytes name,
                 struct mkv_bytes *ret_value)
{
    struct meta_key key = key_of(owner, name);
    struct mkv_bytes key_bytes = mkv_bytes(key.at, key.len);
    struct mkv_bytes sealed;
    int error = log->methods->get(log, MKV_LOG_META, key_bytes, &sealed);

    return error != 0 ? error : mkv_unseal(key_bytes, sealed, ret_value);
}

int mkv_meta_put(struct mkv_log *log,
                 enum mkv_meta_owner owner,
                 struct mkv_bytes name,
                 struct mkv_bytes value)
{
    struct meta_key key = key_of(owner, name);
    struct mkv_bytes key_bytes = mkv_bytes(key.at, key.len);
    uint8_t *at;
    int error = log->methods->put(log, MKV_LOG_META, key_bytes, MKV_SEAL_LEN + value.len, &at);

    if (error != 0) {
        return error;
    }
    if (value.len > 0) {
        memcpy(at + MKV_SEAL_LEN, value.at, value.len);
    }
    mkv_seal(key_bytes, at, value.len);
    return 0;
}

int mkv_meta_remove(struct mkv_log *log, enum mkv_meta_owner owner, struct mkv_bytes name)
{
    struct meta_key key = key_of(owner, name);

    return log->methods->remove(log, MKV_LOG_META, mkv_bytes(key.at, key.len));
}

int mkv_meta_next(struct mkv_log *log,
                  enum mkv_meta_owner owner,
                  struct mkv_bytes prefix,
                  struct mkv_bytes after,
                  struct mkv_bytes *ret_name)
{
    bool from_prefix = mkv_bytes_compare(after, prefix) < 0;
    struct meta_key from = key_of(owner, from_prefix ? prefix : after);
    struct meta_key start = key_of(owner, prefix);
    struct mkv_bytes found;
    struct mkv_bytes value;

    if (!from_prefix) {
        from.at[from.len++] = 0; /* the least name that is greater */
    }

    int error = log->methods->seek(log, MKV_LOG_META, mkv_bytes(from.at, from.len), &found, &value);

    if (error != 0) {
        return error;
    }
    if (!mkv_bytes_starts_with(found, mkv_bytes(start.at, start.len))) {
        return MKV_E_NOT_FOUND;
    }
    *ret_name = mkv_bytes_after(found, 1);
    return 0;
}
