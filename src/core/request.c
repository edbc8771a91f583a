/* SPDX-License-Identifier: Apache-2.0 */
#include "core/request.h"

#include "base/limits.h"
#include "base/mem.h"
#include "wire/child.h"
#include "wire/path.h"
#include "wire/range.h"
#include "wire/row.h"

static int read_path(struct mkv_bytes raw, struct mkv_buf *key)
{
    struct mkv_cbor_reader r;

    mkv_cbor_reader_init(&r, raw);
    return mkv_path_from_cbor(&r, key);
}

static int fill_ranges(struct mkv_request *request, const struct mkv_frame *frame)
{
    request->id = frame->id;
    request->kind = MKV_REQUEST_RANGES;
    request->credit = frame->ranges.credit;
    request->flags = MKV_READ_TOMBSTONES;
    request->depth_max = MKV_PATH_LEVELS_MAX;

    int error = mkv_buf_append(&request->ranges, frame->ranges.ranges);

    return error != 0 ? error : mkv_row_writer_init(&request->rows, mkv_bytes(NULL, 0));
}

static int fill_conflicts(struct mkv_request *request, const struct mkv_frame *frame)
{
    request->id = frame->id;
    request->kind = MKV_REQUEST_CONFLICTS;
    request->credit = frame->conflicts.credit;
    request->follow = (frame->conflicts.flags & MKV_CONFLICTS_FOLLOW) != 0;
    return read_path(frame->conflicts.path, &request->path);
}

static int fill(struct mkv_request *request, struct mkv_store *store, const struct mkv_frame *frame)
{
    bool list = frame->kind == MKV_FRAME_LIST;
    int error = read_path(list ? frame->path.path : frame->read.path, &request->path);

    if (error != 0) {
        return error;
    }

    uint32_t depth = mkv_path_depth(mkv_buf_bytes(&request->path));

    request->id = frame->id;
    request->place = mkv_store_place(store);
    if (list) {
        request->kind = MKV_REQUEST_CHILDREN;
        request->credit = frame->path.credit;
        request->depth_max = depth + 1;
    } else {
        request->kind = frame->read.has_since ? MKV_REQUEST_CHANGES : MKV_REQUEST_TREE;
        request->credit = frame->read.credit;
        request->flags = frame->read.flags;
        request->depth_min = depth + frame->read.depth_min;
        request->depth_max = depth + frame->read.depth_max;
        request->position = frame->read.since.position;
        if (frame->read.has_since && !mkv_store_place_valid(store, frame->read.since)) {
            return MKV_E_STALE;
        }
    }
    return mkv_row_writer_init(&request->rows, mkv_buf_bytes(&request->path));
}

static int fill_by_kind(struct mkv_request *request,
                        struct mkv_store *store,
                        const struct mkv_frame *frame)
{
    if (frame->kind == MKV_FRAME_FETCH) {
        return fill_ranges(request, frame);
    }
    if (frame->kind == MKV_FRAME_CONFLICTS) {
        return fill_conflicts(request, frame);
    }
    if (frame->kind == MKV_FRAME_SERVERS) {
        request->id = frame->id;
        request->kind = MKV_REQUEST_SERVERS;
        request->credit = frame->credit;
        return 0;
    }
    return fill(request, store, frame);
}

int mkv_request_open(struct mkv_store *store,
                     const struct mkv_frame *frame,
                     struct mkv_request **ret_request)
{
    struct mkv_request *request = mkv_mem_alloc(sizeof(*request));

    if (request == NULL) {
        return MKV_E_NO_MEMORY;
    }
    mkv_buf_init(&request->path, MKV_PATH_KEY_MAX);
    mkv_buf_init(&request->cursor, MKV_PATH_KEY_MAX);
    mkv_buf_init(&request->ranges, MKV_FRAME_MAX);

    int error = fill_by_kind(request, store, frame);

    if (error != 0) {
        mkv_request_free(request);
        return error;
    }
    *ret_request = request;
    return 0;
}

void mkv_request_free(struct mkv_request *request)
{
    if (request == NULL) {
        return;
    }
    mkv_row_writer_deinit(&request->rows);
    mkv_buf_deinit(&request->cursor);
    mkv_buf_deinit(&request->ranges);
    mkv_buf_deinit(&request->path);
    mkv_mem_free(request);
}

static int remember(struct mkv_request *request, struct mkv_bytes key)
{
    request->started = true;
    mkv_buf_clear(&request->cursor);
    return mkv_buf_append(&request->cursor, key);
}

static bool below(const struct mkv_request *request, struct mkv_bytes key)
{
    return mkv_bytes_starts_with(key, mkv_buf_bytes(&request->path));
}

static bool next_in_tree(const struct mkv_request *request,
                         const struct mkv_tree *tree,
                         struct mkv_tree_entry *ret_entry)
{
    struct mkv_bytes cursor = mkv_buf_bytes(&request->cursor);
    bool found;

    if (!request->started) {
        found = mkv_tree_at(tree, mkv_buf_bytes(&request->path), ret_entry);
    } else if (request->behind) {
        found = mkv_tree_behind(tree, cursor, ret_entry);
    } else {
        found = mkv_tree_next(tree, cursor, ret_entry);
    }
    return found && below(request, ret_entry->key);
}

static bool wanted(const struct mkv_request *request, struct mkv_bytes key, bool present)
{
    uint32_t depth = mkv_path_depth(key);

    if (!below(request, key) || depth < request->depth_min || depth > request->depth_max) {
        return false;
    }
    return present || request->kind == MKV_REQUEST_CHANGES ||
           (request->flags & MKV_READ_TOMBSTONES) != 0;
}

/* How many elements of @key make the shortest path at and below which nothing may be read; 0: there is none. */
static uint32_t closed_depth(const struct mkv_request *request,
                             const struct mkv_asker *asker,
                             struct mkv_bytes key)
{
    uint32_t n = mkv_path_depth(key);

    for (uint32_t depth = mkv_path_depth(mkv_buf_bytes(&request->path)) + 1; depth <= n; depth++) {
        if (mkv_asker_below(asker, mkv_path_head(key, depth), MKV_RIGHT_READ) == MKV_ACL_NONE) {
            return depth;
        }
    }
    return 0;
}

/* What is too deep, or may not be read, is jumped over as a whole. */
static int step_in_tree(struct mkv_request *request,
                        const struct mkv_asker *asker,
                        const struct mkv_tree *tree,
                        uint64_t *ret_position,
                        bool *ret_end)
{
    struct mkv_tree_entry entry;

    if (!next_in_tree(request, tree, &entry)) {
        *ret_end = true;
        return 0;
    }
    *ret_position = wanted(request, entry.key, entry.head.present) ? entry.position : 0;

    uint32_t depth = request->depth_max;

    request->behind = mkv_path_depth(entry.key) > depth;
    if (*ret_position > 0 && !mkv_asker_may(asker, entry.key, MKV_RIGHT_READ)) {
        *ret_position = 0;
        depth = closed_depth(request, asker, entry.key);
        request->behind = depth > 0;
    }
    return remember(request, request->behind ? mkv_path_head(entry.key, depth) : entry.key);
}

/* The range that comes next; false: all have been dealt with. */
static bool range_at(const struct mkv_request *request, struct mkv_range *ret_range)
{
    struct mkv_range_reader r;
    bool found = mkv_range_reader_init(&r, mkv_buf_bytes(&request->ranges)) == 0;

    for (uint64_t i = 0; found && i <= request->n_ranges; i++) {
        found = mkv_range_reader_next(&r, ret_range);
    }
    return found;
}

static int step_in_ranges(struct mkv_request *request,
                          const struct mkv_tree *tree,
                          uint64_t *ret_position,
                          bool *ret_end)
{
    struct mkv_tree_entry entry;
    struct mkv_range range;

    *ret_position = 0;
    if (!range_at(request, &range)) {
        *ret_end = true;
        return 0;
    }

    bool found = request->started ? mkv_tree_next(tree, mkv_buf_bytes(&request->cursor), &entry)
                                  : mkv_tree_at(tree, range.from, &entry);

    if (!found || (range.to.len > 0 && mkv_bytes_compare(entry.key, range.to) >= 0)) {
        request->n_ranges++;
        request->started = false;
        return 0;
    }
    *ret_position = entry.position;
    return remember(request, entry.key);
}

/* One step: *ret_position is that of a row that may be wanted, 0 if there is none here. */
static int step(struct mkv_request *request,
                const struct mkv_asker *asker,
                struct mkv_store *store,
                uint64_t *ret_position,
                bool *ret_end)
{
    if (request->kind == MKV_REQUEST_TREE) {
        return step_in_tree(request, asker, mkv_store_tree(store), ret_position, ret_end);
    }
    if (request->kind == MKV_REQUEST_RANGES) {
        return step_in_ranges(request, mkv_store_tree(store), ret_position, ret_end);
    }

    int error = mkv_store_scan(store, request->position, ret_position);

    if (error == 0 && *ret_position > request->place.position) {
        *ret_position = 0; /* written since it began: the next read brings it, or this never ends */
    }
    if (error == 0) {
        request->position = *ret_position;
        *ret_end = *ret_position == 0;
    }
    return error;
}

static void send_page(struct mkv_request *request,
                      struct mkv_effects *effects,
                      uint64_t link,
                      struct mkv_bytes rows)
{
    struct mkv_frame frame = {.kind = MKV_FRAME_DATA, .id = request->id};

    if (request->kind == MKV_REQUEST_CHILDREN) {
        frame.kind = MKV_FRAME_CHILDREN;
        frame.rows = rows;
    } else {
        frame.data.rows = rows;
        frame.data.has_place = request->kind == MKV_REQUEST_CHANGES;
        frame.data.place = request->sent;
    }
    request->credit--;
    mkv_effect_send(effects, link, &frame);
}

static int flush_rows(struct mkv_request *request, struct mkv_effects *effects, uint64_t link)
{
    struct mkv_buf page;

    if (request->rows.n == 0) {
        return 0;
    }
    mkv_buf_init(&page, MKV_FRAME_MAX);
    request->n_rows += request->rows.n;

    int error = mkv_row_writer_take(&request->rows, &page);

    if (error == 0) {
        send_page(request, effects, link, mkv_buf_bytes(&page));
    }
    mkv_buf_deinit(&page);
    return error;
}

static void send_end(struct mkv_request *request, struct mkv_effects *effects, uint64_t link)
{
    struct mkv_frame frame = {
        .kind = MKV_FRAME_END,
        .id = request->id,
        .end = {.n_rows = request->n_rows,
                .has_place =
                    request->kind == MKV_REQUEST_TREE || request->kind == MKV_REQUEST_CHANGES,
                .place = request->place},
    };

    mkv_effect_send(effects, link, &frame);
}

/* Adds the row at @position to the page, if it is wanted; sends the page first if it is full. */
static int add_row(struct mkv_request *request,
                   const struct mkv_asker *asker,
                   struct mkv_store *store,
                   struct mkv_effects *effects,
                   uint64_t link,
                   uint64_t position)
{
    bool keys_only = (request->flags & MKV_READ_KEYS_ONLY) != 0;
    struct mkv_bytes key;
    struct mkv_update entry;
    int error = mkv_store_row(store, position, &key, &entry);

    if (error == MKV_E_CORRUPT && !request->strict) { /* `check` will tell of it */
        mkv_effect_log(effects, MKV_LOG_ERROR,
                       "the row at position %llu of the log is damaged; left out of an answer",
                       (unsigned long long)position);
        return 0;
    }
    if (error != 0) {
        return error;
    }
    request->looked_at += entry.value.len;
    if (!wanted(request, key, entry.present) || !mkv_asker_may(asker, key, MKV_RIGHT_READ)) {
        return 0;
    }
    error = mkv_row_writer_add(&request->rows, key, &entry, keys_only);
    if (error == MKV_E_TOO_LARGE) { /* the page is full */
        error = flush_rows(request, effects, link);
        if (error == 0) {
            error = mkv_row_writer_add(&request->rows, key, &entry, keys_only);
        }
    }
    if (error == 0 && request->kind == MKV_REQUEST_CHANGES) {
        request->sent = mkv_store_place_at(store, position);
    }
    return error;
}

static int turn_rows(struct mkv_request *request,
                     const struct mkv_asker *asker,
                     struct mkv_store *store,
                     struct mkv_effects *effects,
                     uint64_t link,
                     bool *ret_end)
{
    uint32_t credit = request->credit;

    request->looked_at = 0;
    for (uint32_t i = 0;
         i < MKV_REQUEST_ROWS_LOOKED_AT && request->looked_at < MKV_REQUEST_BYTES_LOOKED_AT &&
         request->credit == credit;
         i++) {
        uint64_t position;
        int error = step(request, asker, store, &position, ret_end);

        if (error == 0 && *ret_end) {
            return flush_rows(request, effects, link);
        }
        if (error == 0 && position > 0) {
            error = add_row(request, asker, store, effects, link, position);
        }
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

static void write_child(struct mkv_cbor_writer *w,
                        const struct mkv_tree *tree,
                        struct mkv_bytes key,
                        uint64_t n_live,
                        struct mkv_buf *scratch)
{
    size_t parent_len = mkv_path_head(key, mkv_path_depth(key) - 1).len;
    struct mkv_tree_entry own;
    struct mkv_child child = {.entries = n_live};
    int error = mkv_element_decode(mkv_bytes_after(key, parent_len), scratch, &child.element);

    if (error != 0) {
        w->error = error;
        return;
    }
    child.own = mkv_tree_find(tree, key, &own) && own.head.present;
    mkv_child_write(w, &child);
}

/* The first key below the path that lies behind the child dealt with last. */
static bool next_child(const struct mkv_request *request,
                       const struct mkv_tree *tree,
                       struct mkv_tree_entry *ret_entry)
{
    bool found = request->started
                     ? mkv_tree_behind(tree, mkv_buf_bytes(&request->cursor), ret_entry)
                     : mkv_tree_next(tree, mkv_buf_bytes(&request->path), ret_entry);

    return found && below(request, ret_entry->key);
}

/* Writes up to a page of children into @rows; *ret_n of them, *ret_end if there are no more. */
static int write_children(struct mkv_request *request,
                          const struct mkv_asker *asker,
                          const struct mkv_tree *tree,
                          struct mkv_buf *rows,
                          uint32_t *ret_n,
                          bool *ret_end)
{
    struct mkv_cbor_writer w;
    struct mkv_tree_entry entry;
    struct mkv_buf scratch;
    uint32_t n = 0;

    mkv_cbor_writer_init(&w, rows);
    mkv_buf_init(&scratch, MKV_PATH_KEY_MAX);
    for (uint32_t i = 0; i < MKV_REQUEST_ROWS_LOOKED_AT && n < MKV_PAGE_ROWS_MAX &&
                         rows->len < MKV_PAGE_BYTES && w.error == 0;
         i++) {
        if (!next_child(request, tree, &entry)) {
            *ret_end = true;
            break;
        }

        struct mkv_bytes child = mkv_path_head(entry.key, request->depth_max);
        uint64_t n_live = mkv_tree_summary(tree, child).n_live;

        if (n_live > 0 && (mkv_asker_may(asker, child, MKV_RIGHT_LIST) ||
                           mkv_asker_may(asker, child, MKV_RIGHT_READ))) {
            write_child(&w, tree, child, n_live, &scratch);
            n++;
        }
        w.error = w.error != 0 ? w.error : remember(request, child);
    }
    mkv_buf_deinit(&scratch);
    *ret_n = n;
    return w.error;
}

static int send_children(struct mkv_request *request,
                         struct mkv_effects *effects,
                         uint64_t link,
                         struct mkv_bytes rows,
                         uint32_t n)
{
    struct mkv_buf page;
    struct mkv_cbor_writer w;

    mkv_buf_init(&page, MKV_FRAME_MAX);
    mkv_cbor_writer_init(&w, &page);
    mkv_cbor_write_array(&w, n);
    mkv_cbor_write_raw(&w, rows);
    if (w.error == 0) {
        request->n_rows += n;
        send_page(request, effects, link, mkv_buf_bytes(&page));
    }
    mkv_buf_deinit(&page);
    return w.error;
}

static int turn_children(struct mkv_request *request,
                         const struct mkv_asker *asker,
                         struct mkv_store *store,
                         struct mkv_effects *effects,
                         uint64_t link,
                         bool *ret_end)
{
    struct mkv_buf rows;
    uint32_t n;

    mkv_buf_init(&rows, MKV_FRAME_MAX);

    int error = write_children(request, asker, mkv_store_tree(store), &rows, &n, ret_end);

    if (error == 0 && n > 0) {
        error = send_children(request, effects, link, mkv_buf_bytes(&rows), n);
    }
    mkv_buf_deinit(&rows);
    return error;
}

/* A deletion that was still to be told has been forgotten meanwhile: the reader must start over. */
static bool is_overtaken(const struct mkv_request *request, const struct mkv_store *store)
{
    return request->kind == MKV_REQUEST_CHANGES &&
           !mkv_store_place_valid(store, mkv_store_place_at(store, request->position));
}

static void send_stale(const struct mkv_request *request,
                       struct mkv_effects *effects,
                       uint64_t link)
{
    struct mkv_frame frame = {
        .kind = MKV_FRAME_ERROR,
        .id = request->id,
        .error = {.code = MKV_E_STALE, .text = mkv_bytes_of(mkv_error_text(MKV_E_STALE))},
    };

    mkv_effect_send(effects, link, &frame);
}

int mkv_request_turn(struct mkv_request *request,
                     const struct mkv_asker *asker,
                     struct mkv_store *store,
                     struct mkv_effects *effects,
                     uint64_t link,
                     enum mkv_request_state *ret_state)
{
    bool end = false;
    int error;

    if (request->credit == 0) {
        *ret_state = MKV_REQUEST_WAITING;
        return 0;
    }
    if (is_overtaken(request, store)) {
        send_stale(request, effects, link);
        *ret_state = MKV_REQUEST_DONE;
        return 0;
    }
    if (request->kind == MKV_REQUEST_CHILDREN) {
        error = turn_children(request, asker, store, effects, link, &end);
    } else {
        error = turn_rows(request, asker, store, effects, link, &end);
    }
    if (error != 0) {
        return error;
    }
    if (end) {
        send_end(request, effects, link);
        *ret_state = MKV_REQUEST_DONE;
    } else {
        *ret_state = request->credit > 0 ? MKV_REQUEST_MORE : MKV_REQUEST_WAITING;
    }
    return 0;
}
