/* SPDX-License-Identifier: Apache-2.0 */
#include "core/amends.h"

#include <string.h>

#include "base/mem.h"

static size_t size_of(const struct mkv_amend *amend)
{
    return sizeof(*amend) + amend->key.len + amend->value.len;
}

static void unlink_one(struct mkv_amends *amends, struct mkv_amend *amend)
{
    struct mkv_amend **before = amend->previous != NULL ? &amend->previous->next : &amends->first;
    struct mkv_amend **after = amend->next != NULL ? &amend->next->previous : &amends->last;

    *before = amend->next;
    *after = amend->previous;
    amends->n_bytes -= size_of(amend);
    (void)mkv_map_remove(&amends->by_id, amend->id);
}

void mkv_amends_deinit(struct mkv_amends *amends)
{
    while (amends->first != NULL) {
        struct mkv_amend *first = amends->first;

        unlink_one(amends, first);
        mkv_mem_free(first);
    }
    mkv_map_deinit(&amends->by_id);
}

/* As a rule it is the last one to be due. */
static void link_one(struct mkv_amends *amends, struct mkv_amend *amend)
{
    struct mkv_amend *previous = amends->last;

    while (previous != NULL && previous->due_ms > amend->due_ms) {
        previous = previous->previous;
    }
    amend->previous = previous;
    amend->next = previous != NULL ? previous->next : amends->first;
    *(amend->next != NULL ? &amend->next->previous : &amends->last) = amend;
    *(previous != NULL ? &previous->next : &amends->first) = amend;
    amends->n_bytes += size_of(amend);
}

static struct mkv_bytes place(uint8_t *at, struct mkv_bytes bytes)
{
    if (bytes.len > 0) {
        memcpy(at, bytes.at, bytes.len);
    }
    return mkv_bytes(at, bytes.len);
}

int mkv_amends_put(struct mkv_amends *amends, uint64_t id, const struct mkv_amend *amend)
{
    struct mkv_amend *copy = NULL;
    int error;

    mkv_amends_drop(amends, id);
    if (amends->by_id.n == MKV_AMENDS_MAX) {
        return MKV_E_TOO_MANY;
    }
    if (size_of(amend) > MKV_AMENDS_BYTES_MAX - amends->n_bytes) {
        return MKV_E_TOO_LARGE;
    }
    copy = mkv_mem_alloc(size_of(amend));
    if (copy == NULL) {
        return MKV_E_NO_MEMORY;
    }
    *copy = *amend;
    copy->id = id;
    copy->key = place(copy->bytes, amend->key);
    copy->value = place(copy->bytes + amend->key.len, amend->value);
    error = mkv_map_add(&amends->by_id, id, copy);
    if (error != 0) {
        mkv_mem_free(copy);
        return error;
    }
    link_one(amends, copy);
    return 0;
}

void mkv_amends_drop(struct mkv_amends *amends, uint64_t id)
{
    struct mkv_amend *amend = mkv_map_get(&amends->by_id, id);

    if (amend != NULL) {
        unlink_one(amends, amend);
        mkv_mem_free(amend);
    }
}

struct mkv_amend *mkv_amends_take(struct mkv_amends *amends, int64_t now_ms)
{
    struct mkv_amend *first = amends->first;

    if (first == NULL || first->due_ms > now_ms) {
        return NULL;
    }
    unlink_one(amends, first);
    return first;
}
