/* SPDX-License-Identifier: Apache-2.0 */
#include "core/view.h"

#include "base/assert.h"
#include "base/mem.h"

#define TICKS_BYTES_MAX 512U /* five ticks with names of 64 bytes stay below */
#define FIRST_CAP       16U

void mkv_view_init(struct mkv_view *view, const uint8_t digest_key[MKV_DIGEST_KEY_LEN])
{
    *view = (struct mkv_view){0};
    mkv_tree_init(&view->tree, digest_key);
}

void mkv_view_deinit(struct mkv_view *view)
{
    for (size_t i = 1; i < view->n_ticks; i++) {
        if (view->ticks[i].at != NULL) {
            mkv_buf_deinit(&view->ticks[i]);
        }
    }
    mkv_mem_free(view->ticks);
    mkv_tree_deinit(&view->tree);
    *view = (struct mkv_view){0};
}

/* A free number, chained by the field len of an empty buffer. */
static int claim(struct mkv_view *view, size_t *ret_slot)
{
    if (view->ticks_free != 0) {
        *ret_slot = view->ticks_free;
        view->ticks_free = view->ticks[*ret_slot].len;
        return 0;
    }
    if (view->n_ticks == view->ticks_cap) {
        size_t cap = view->ticks_cap > 0 ? 2 * view->ticks_cap : FIRST_CAP;
        struct mkv_buf *ticks = mkv_mem_resize(view->ticks, cap * sizeof(*ticks));

        if (ticks == NULL) {
            return MKV_E_NO_MEMORY;
        }
        view->ticks = ticks;
        view->ticks_cap = cap;
    }
    if (view->n_ticks == 0) {
        view->n_ticks = 1;
    }
    *ret_slot = view->n_ticks++;
    return 0;
}

static void release(struct mkv_view *view, uint64_t slot)
{
    if (slot == 0) {
        return;
    }
    mkv_buf_deinit(&view->ticks[slot]);
    view->ticks[slot].len = view->ticks_free;
    view->ticks_free = (size_t)slot;
}

static int keep_ticks(struct mkv_view *view, const struct mkv_ticks *ticks, size_t *ret_slot)
{
    struct mkv_cbor_writer w;
    struct mkv_buf encoded;
    size_t slot = 0;

    if (ticks->n == 1) { /* nothing that the head does not say */
        *ret_slot = 0;
        return 0;
    }
    mkv_buf_init(&encoded, TICKS_BYTES_MAX);
    mkv_cbor_writer_init(&w, &encoded);
    mkv_ticks_write(&w, ticks);
    int error = w.error != 0 ? w.error : claim(view, &slot);

    if (error != 0) {
        mkv_buf_deinit(&encoded);
        return error;
    }
    view->ticks[slot] = encoded;
    *ret_slot = slot;
    return 0;
}

static int put(struct mkv_view *view,
               struct mkv_bytes key,
               const struct mkv_head *head,
               const struct mkv_ticks *ticks,
               uint64_t old_slot)
{
    size_t slot;
    int error = keep_ticks(view, ticks, &slot);

    if (error != 0) {
        return error;
    }
    error = mkv_tree_put(&view->tree, key, head, slot);
    if (error != 0) {
        release(view, slot);
        return error;
    }
    release(view, old_slot);
    view->n_changes++;
    return 0;
}

int mkv_view_merge(struct mkv_view *view,
                   struct mkv_bytes key,
                   const struct mkv_update *update,
                   enum mkv_view_verdict *ret_verdict)
{
    struct mkv_head head = mkv_head_of(update);
    struct mkv_tree_entry held = {0};
    bool found = mkv_tree_find(&view->tree, key, &held);
    bool was_there = found && held.head.present;

    if ((found && mkv_head_compare(&head, &held.head) <= 0) ||
        (!found && !update->present && update->tock <= view->floor)) {
        *ret_verdict = MKV_VIEW_OLD;
        return 0;
    }
    int error = put(view, key, &head, &update->ticks, found ? held.position : 0);

    if (error == 0) {
        *ret_verdict = update->present || was_there ? MKV_VIEW_NEW : MKV_VIEW_NOTHING;
    }
    return error;
}

void mkv_view_remove(struct mkv_view *view, struct mkv_bytes key)
{
    struct mkv_tree_entry held;

    if (mkv_tree_find(&view->tree, key, &held)) {
        uint64_t slot = held.position;

        mkv_tree_remove(&view->tree, key);
        release(view, slot);
        view->n_changes++;
    }
}

int mkv_view_forget(struct mkv_view *view, uint64_t floor)
{
    struct mkv_tree_entry entry;
    struct mkv_buf key;
    int error = 0;

    if (floor <= view->floor) {
        return 0;
    }
    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    bool more = mkv_tree_at_tombstone(&view->tree, mkv_bytes(NULL, 0), &entry);

    while (more && error == 0) {
        bool below = entry.head.tock <= floor;

        mkv_buf_clear(&key);
        error = mkv_buf_append(&key, entry.key);
        if (error == 0 && below) {
            release(view, entry.position);
            mkv_tree_remove(&view->tree, mkv_buf_bytes(&key));
        }
        more = mkv_tree_next_tombstone(&view->tree, mkv_buf_bytes(&key), &entry);
    }
    mkv_buf_deinit(&key);
    view->floor = error == 0 ? floor : view->floor;
    return error;
}

bool mkv_view_ticks(const struct mkv_view *view, struct mkv_bytes key, struct mkv_ticks *ret_ticks)
{
    struct mkv_tree_entry held;
    struct mkv_cbor_reader r;

    if (!mkv_tree_find(&view->tree, key, &held)) {
        return false;
    }
    if (held.position == 0) {
        ret_ticks->n = 1;
        ret_ticks->at[0] = (struct mkv_tick){
            .name = held.head.name, .seq = held.head.seq, .counter = held.head.counter};
        return true;
    }
    mkv_cbor_reader_init(&r, mkv_buf_bytes(&view->ticks[held.position]));
    mkv_ticks_read(&r, ret_ticks);
    MKV_ASSERT(r.error == 0); /* we wrote it */
    return true;
}

int mkv_view_rekey(struct mkv_view *view, const uint8_t digest_key[MKV_DIGEST_KEY_LEN])
{
    struct mkv_tree fresh;
    struct mkv_tree_entry entry;

    if (memcmp(view->tree.digest_key, digest_key, MKV_DIGEST_KEY_LEN) == 0) {
        return 0;
    }
    mkv_tree_init(&fresh, digest_key);
    bool more = mkv_tree_at(&view->tree, mkv_bytes(NULL, 0), &entry);

    while (more) {
        int error = mkv_tree_put(&fresh, entry.key, &entry.head, entry.position);

        if (error != 0) {
            mkv_tree_deinit(&fresh);
            return error;
        }
        more = mkv_tree_next(&view->tree, entry.key, &entry);
    }
    mkv_tree_deinit(&view->tree);
    view->tree = fresh;
    return 0;
}

/* Takes the deletions up to @floor out of the sums. */
static void leave_out(const struct mkv_view *view, uint64_t floor, struct mkv_summary *sum)
{
    struct mkv_tree_entry entry;
    bool more = mkv_tree_at_tombstone(&view->tree, mkv_bytes(NULL, 0), &entry);

    while (more) {
        if (entry.head.tock <= floor) {
            sum->n_entries--;
            mkv_digest_subtract(&sum->digest,
                                mkv_entry_digest(view->tree.digest_key, entry.key, &entry.head));
        }
        more = mkv_tree_next_tombstone(&view->tree, entry.key, &entry);
    }
}

bool mkv_view_equals(const struct mkv_view *view,
                     uint64_t floor,
                     uint64_t count,
                     const uint8_t digest[16])
{
    struct mkv_summary own = mkv_tree_summary(&view->tree, mkv_bytes(NULL, 0));
    uint8_t bytes[16];

    if (floor > 0) {
        leave_out(view, floor, &own);
    }
    mkv_digest_bytes(own.digest, bytes);
    return own.n_entries == count && memcmp(bytes, digest, sizeof(bytes)) == 0;
}
