/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "client/entry.h"
#include "client/handle.h"
#include "wire/path.h"

/* The ordered key of @path, in a scratch buffer of the handle that lives until the next call. */
static int key_of(moatkv *kv, moatkv_bytes path, struct mkv_bytes *ret_key)
{
    if (path.at == NULL) {
        return MKV_E_BAD_ARGUMENT;
    }
    mkv_buf_clear(&kv->key);
    int error = mkv_path_from_dotted(mkv_bytes(path.at, path.len), &kv->key);

    if (error == 0) {
        *ret_key = mkv_buf_bytes(&kv->key);
    }
    return error;
}

int moatkv_get(moatkv *kv, moatkv_bytes path, moatkv_on_entry done, void *user)
{
    struct mkv_client_order order = {.kind = MKV_CLIENT_GET};
    struct mkv_operation operation = {.on_entry = done, .user = user};
    int error = key_of(kv, path, &order.key);

    return error != 0 ? error : mkv_handle_order(kv, &order, &operation, NULL);
}

/* Later versions may append fields: what the caller does not know stays as it is. */
static int take_how(const moatkv_read_how *how, struct mkv_client_order *order)
{
    if (how == NULL) {
        return 0;
    }
    if (how->size < sizeof(*how) || (how->flags & ~(uint32_t)MKV_READ_FLAGS) != 0 ||
        how->depth_min > how->depth_max) {
        return MKV_E_BAD_ARGUMENT;
    }
    order->depth_min = how->depth_min;
    order->depth_max = how->depth_max < MKV_PATH_LEVELS_MAX ? how->depth_max : MKV_PATH_LEVELS_MAX;
    order->flags = how->flags;
    return order->depth_min > order->depth_max ? MKV_E_BAD_ARGUMENT : 0;
}

_Static_assert((unsigned)MOATKV_TOMBSTONES == MKV_READ_TOMBSTONES &&
                   (unsigned)MOATKV_KEYS_ONLY == MKV_READ_KEYS_ONLY,
               "the flags travel as they are");

int moatkv_read(moatkv *kv,
                moatkv_bytes path,
                const moatkv_read_how *how,
                moatkv_on_entry on_row,
                void *user,
                uint64_t *ret_id)
{
    struct mkv_client_order order = {.kind = MKV_CLIENT_READ, .depth_max = MKV_PATH_LEVELS_MAX};
    struct mkv_operation operation = {.on_entry = on_row, .user = user};
    int error = key_of(kv, path, &order.key);

    if (error == 0) {
        error = take_how(how, &order);
    }
    return error != 0 ? error : mkv_handle_order(kv, &order, &operation, ret_id);
}

int moatkv_list(
    moatkv *kv, moatkv_bytes path, moatkv_on_child on_child, void *user, uint64_t *ret_id)
{
    struct mkv_client_order order = {.kind = MKV_CLIENT_LIST};
    struct mkv_operation operation = {.on_child = on_child, .user = user};
    int error = key_of(kv, path, &order.key);

    return error != 0 ? error : mkv_handle_order(kv, &order, &operation, ret_id);
}

int moatkv_watch(
    moatkv *kv, moatkv_bytes path, moatkv_on_watch on_watch, void *user, uint64_t *ret_id)
{
    struct mkv_client_order order = {.kind = MKV_CLIENT_WATCH};
    struct mkv_operation operation = {.on_watch = on_watch, .user = user};
    int error = key_of(kv, path, &order.key);

    return error != 0 ? error : mkv_handle_order(kv, &order, &operation, ret_id);
}

_Static_assert((unsigned)MOATKV_FOLLOW == MKV_CONFLICTS_FOLLOW, "the flag travels as it is");

int moatkv_conflicts(moatkv *kv,
                     moatkv_bytes path,
                     uint32_t flags,
                     moatkv_on_conflict on_conflict,
                     void *user,
                     uint64_t *ret_id)
{
    struct mkv_client_order order = {.kind = MKV_CLIENT_CONFLICTS, .flags = flags};
    struct mkv_operation operation = {.on_conflict = on_conflict, .user = user};
    int error = key_of(kv, path, &order.key);

    if (error == 0 && (flags & ~(uint32_t)MOATKV_FOLLOW) != 0) {
        error = MKV_E_BAD_ARGUMENT;
    }
    return error != 0 ? error : mkv_handle_order(kv, &order, &operation, ret_id);
}

static int write_order(
    moatkv *kv, moatkv_bytes path, struct mkv_client_order *order, moatkv_on_entry done, void *user)
{
    struct mkv_operation operation = {.on_entry = done, .user = user};
    int error = key_of(kv, path, &order->key);

    order->kind = MKV_CLIENT_WRITE;
    return error != 0 ? error : mkv_handle_order(kv, order, &operation, NULL);
}

int moatkv_set(moatkv *kv,
               moatkv_bytes path,
               moatkv_bytes value,
               uint32_t flags,
               moatkv_on_entry done,
               void *user)
{
    struct mkv_client_order order = {.present = true,
                                     .value = mkv_bytes(value.at, value.len),
                                     .blind = (flags & MOATKV_BLIND) != 0};

    if (value.at == NULL || (flags & ~(uint32_t)MOATKV_BLIND) != 0) {
        return MKV_E_BAD_ARGUMENT;
    }
    return write_order(kv, path, &order, done, user);
}

int moatkv_delete(moatkv *kv, moatkv_bytes path, uint32_t flags, moatkv_on_entry done, void *user)
{
    struct mkv_client_order order = {.blind = (flags & MOATKV_BLIND) != 0};

    if ((flags & ~(uint32_t)MOATKV_BLIND) != 0) {
        return MKV_E_BAD_ARGUMENT;
    }
    return write_order(kv, path, &order, done, user);
}

int moatkv_set_over(moatkv *kv,
                    moatkv_bytes path,
                    moatkv_bytes value,
                    const moatkv_entry *known,
                    moatkv_on_entry done,
                    void *user)
{
    if (value.at == NULL || known == NULL) {
        return MKV_E_BAD_ARGUMENT;
    }
    struct mkv_client_order order = {
        .present = true, .value = mkv_bytes(value.at, value.len), .known = &known->update.ticks};

    return write_order(kv, path, &order, done, user);
}

int moatkv_delete_over(
    moatkv *kv, moatkv_bytes path, const moatkv_entry *known, moatkv_on_entry done, void *user)
{
    if (known == NULL) {
        return MKV_E_BAD_ARGUMENT;
    }
    struct mkv_client_order order = {.known = &known->update.ticks};

    return write_order(kv, path, &order, done, user);
}

int moatkv_status(moatkv *kv, moatkv_on_report done, void *user)
{
    struct mkv_client_order order = {.kind = MKV_CLIENT_STATUS};
    struct mkv_operation operation = {.on_report = done, .user = user};

    return mkv_handle_order(kv, &order, &operation, NULL);
}

int moatkv_ping(moatkv *kv, moatkv_on_done done, void *user)
{
    struct mkv_client_order order = {.kind = MKV_CLIENT_PING};
    struct mkv_operation operation = {.on_done = done, .user = user};

    return mkv_handle_order(kv, &order, &operation, NULL);
}

int moatkv_servers(moatkv *kv, moatkv_on_report on_row, void *user, uint64_t *ret_id)
{
    struct mkv_client_order order = {.kind = MKV_CLIENT_SERVERS};
    struct mkv_operation operation = {.on_report = on_row, .user = user};

    return mkv_handle_order(kv, &order, &operation, ret_id);
}

static int hex_digit(uint8_t c)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = c != 0 ? strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c) : NULL;

    return found != NULL ? (int)(found - digits) : -1;
}

/* Two digits for each of the @n bytes. */
static bool read_hex(struct mkv_bytes text, uint8_t *out, size_t n)
{
    if (text.len != 2 * n) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        int high = hex_digit(text.at[2 * i]);
        int low = hex_digit(text.at[2 * i + 1]);

        if (high < 0 || low < 0) {
            return false;
        }
        out[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}

int moatkv_evict(moatkv *kv, moatkv_bytes id, moatkv_on_done done, void *user)
{
    struct mkv_client_order order = {.kind = MKV_CLIENT_EVICT};
    struct mkv_operation operation = {.on_done = done, .user = user};

    if (id.at == NULL || !read_hex(mkv_bytes(id.at, id.len), order.uuid, sizeof(order.uuid))) {
        return MKV_E_BAD_ARGUMENT;
    }
    return mkv_handle_order(kv, &order, &operation, NULL);
}
