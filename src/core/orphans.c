/* SPDX-License-Identifier: Apache-2.0 */
#include "core/orphans.h"

#include "base/assert.h"
#include "base/limits.h"
#include "base/mem.h"

void mkv_orphan_free(struct mkv_orphan *orphan)
{
    mkv_mem_free(orphan->bytes);
    *orphan = (struct mkv_orphan){0};
}

struct mkv_orphan mkv_orphans_take(struct mkv_orphans *orphans, struct mkv_orphan *orphan)
{
    struct mkv_orphan taken = *orphan;

    orphans->n_bytes -= taken.len;
    *orphan = orphans->at[--orphans->n];
    return taken;
}

void mkv_orphans_deinit(struct mkv_orphans *orphans)
{
    while (orphans->n > 0) {
        struct mkv_orphan orphan = mkv_orphans_take(orphans, &orphans->at[orphans->n - 1]);

        mkv_orphan_free(&orphan);
    }
}

/* Where it is; n: nowhere. */
static uint32_t find(const struct mkv_orphans *orphans, const struct mkv_tick *dot)
{
    uint32_t i = 0;

    while (i < orphans->n && !mkv_tick_equal(&orphans->at[i].dot, dot)) {
        i++;
    }
    return i;
}

bool mkv_orphans_have(const struct mkv_orphans *orphans, const struct mkv_tick *dot)
{
    return find(orphans, dot) < orphans->n;
}

bool mkv_orphans_drop(struct mkv_orphans *orphans, const struct mkv_tick *dot)
{
    uint32_t i = find(orphans, dot);
    struct mkv_orphan orphan;

    if (i == orphans->n) {
        return false;
    }
    orphan = mkv_orphans_take(orphans, &orphans->at[i]);
    mkv_orphan_free(&orphan);
    return true;
}

static bool is_before(const struct mkv_orphan *a, const struct mkv_orphan *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->dot.counter < b->dot.counter;
}

struct mkv_orphan *mkv_orphans_next(struct mkv_orphans *orphans)
{
    struct mkv_orphan *first = NULL;

    for (uint32_t i = 0; i < orphans->n; i++) {
        if (first == NULL || is_before(&orphans->at[i], first)) {
            first = &orphans->at[i];
        }
    }
    return first;
}

/* The message, the path's key: all in one piece. */
static int copy(struct mkv_bytes key,
                const struct mkv_update *update,
                struct mkv_orphan *ret_orphan)
{
    struct mkv_buf buf;

    mkv_buf_init(&buf, MKV_UPDATE_MAX + MKV_PATH_KEY_MAX);

    int error = mkv_update_encode(update, &buf);
    size_t len = buf.len;

    if (error == 0) {
        error = mkv_buf_append(&buf, key);
    }
    if (error != 0) {
        mkv_buf_deinit(&buf);
        return error;
    }
    ret_orphan->bytes = buf.at;
    ret_orphan->len = buf.len;
    ret_orphan->key = mkv_bytes(buf.at + len, key.len);
    ret_orphan->dot = mkv_orphan_update(ret_orphan).ticks.at[0];
    return 0;
}

int mkv_orphans_add(struct mkv_orphans *orphans,
                    struct mkv_now now,
                    int64_t due_ms,
                    struct mkv_bytes key,
                    const struct mkv_update *update)
{
    struct mkv_orphan orphan = {.came_ms = now.ms, .due_ms = due_ms};

    if (orphans->n == MKV_ORPHANS_MAX) {
        return MKV_E_TOO_MANY;
    }

    int error = copy(key, update, &orphan);

    if (error == 0 && orphan.len > MKV_ORPHANS_BYTES_MAX - orphans->n_bytes) {
        mkv_orphan_free(&orphan);
        error = MKV_E_TOO_LARGE;
    }
    if (error == 0) {
        orphans->n_bytes += orphan.len;
        orphans->at[orphans->n++] = orphan;
    }
    return error;
}

struct mkv_update mkv_orphan_update(const struct mkv_orphan *orphan)
{
    struct mkv_update update = {0};
    int error = mkv_update_decode(mkv_bytes(orphan->bytes, orphan->len - orphan->key.len), &update);

    MKV_ASSERT(error == 0); /* it is what we encoded ourselves */
    return update;
}
