/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the core keeps by name: meta rows and secrets.
 */
#include "store/inner.h"
#include "store/meta.h"

_Static_assert(MKV_STORE_SECRET_NAME_MAX <= MKV_META_NAME_MAX, "secrets are meta rows in the log");

struct kind {
    enum mkv_meta_owner owner;
    size_t name_max;
    size_t value_max;
};

static const struct kind meta = {MKV_META_CORE, MKV_META_NAME_MAX, MKV_STORE_META_MAX};
static const struct kind secret = {MKV_META_SECRET, MKV_STORE_SECRET_NAME_MAX,
                                   MKV_STORE_SECRET_MAX};

static bool is_name(const struct kind *kind, struct mkv_bytes name)
{
    return name.len > 0 && name.len <= kind->name_max;
}

static int get(struct mkv_store *store,
               const struct kind *kind,
               struct mkv_bytes name,
               struct mkv_buf *value)
{
    struct mkv_bytes found;

    if (!is_name(kind, name)) {
        return MKV_E_NOT_FOUND;
    }

    int error = mkv_meta_get(store->log, kind->owner, name, &found);

    return error != 0 ? error : mkv_buf_append(value, found);
}

static int put(struct mkv_store *store,
               const struct kind *kind,
               struct mkv_bytes name,
               struct mkv_bytes value)
{
    if (store->state == MKV_STORE_BROKEN) {
        return store->broken_by;
    }
    store->state = MKV_STORE_OPEN;
    if (!is_name(kind, name) || value.len > kind->value_max) {
        return mkv_store_break(store, MKV_E_TOO_LARGE);
    }

    int error = mkv_store_open_transaction(store, name.len + value.len);

    if (error == 0) {
        error = mkv_meta_put(store->log, kind->owner, name, value);
    }
    return error == 0 ? 0 : mkv_store_break(store, error);
}

static int remove_row(struct mkv_store *store, const struct kind *kind, struct mkv_bytes name)
{
    if (store->state == MKV_STORE_BROKEN) {
        return store->broken_by;
    }
    if (!is_name(kind, name)) {
        return 0; /* no such row can be there */
    }
    store->state = MKV_STORE_OPEN;

    int error = mkv_store_open_transaction(store, name.len);

    if (error == 0) {
        error = mkv_meta_remove(store->log, kind->owner, name);
    }
    return error == 0 || error == MKV_E_NOT_FOUND ? 0 : mkv_store_break(store, error);
}

static int next(struct mkv_store *store,
                const struct kind *kind,
                struct mkv_bytes prefix,
                struct mkv_bytes after,
                struct mkv_bytes *ret_name)
{
    if (prefix.len > kind->name_max || after.len > kind->name_max) {
        return MKV_E_TOO_LARGE;
    }
    return mkv_meta_next(store->log, kind->owner, prefix, after, ret_name);
}

int mkv_store_meta_get(struct mkv_store *store, struct mkv_bytes key, struct mkv_buf *value)
{
    return get(store, &meta, key, value);
}

int mkv_store_meta_put(struct mkv_store *store, struct mkv_bytes key, struct mkv_bytes value)
{
    return put(store, &meta, key, value);
}

int mkv_store_meta_delete(struct mkv_store *store, struct mkv_bytes key)
{
    return remove_row(store, &meta, key);
}

int mkv_store_meta_next(struct mkv_store *store,
                        struct mkv_bytes prefix,
                        struct mkv_bytes key,
                        struct mkv_bytes *ret_key)
{
    return next(store, &meta, prefix, key, ret_key);
}

int mkv_store_secret_get(struct mkv_store *store, struct mkv_bytes name, struct mkv_buf *value)
{
    return get(store, &secret, name, value);
}

int mkv_store_secret_put(struct mkv_store *store, struct mkv_bytes name, struct mkv_bytes value)
{
    return put(store, &secret, name, value);
}

int mkv_store_secret_delete(struct mkv_store *store, struct mkv_bytes name)
{
    return remove_row(store, &secret, name);
}

int mkv_store_secret_next(struct mkv_store *store,
                          struct mkv_bytes after,
                          struct mkv_bytes *ret_name)
{
    return next(store, &secret, mkv_bytes(NULL, 0), after, ret_name);
}
