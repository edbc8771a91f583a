/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conflicts.h"

#include "base/assert.h"
#include "base/limits.h"
#include "base/mem.h"
#include "core/order.h"
#include "wire/path.h"

#define KEY_LEN  9U
#define ROW_TAG  'x'
#define MORE_TAG 'y'
#define MORE_MAX 9U   /* a number in CBOR */
#define OVERHEAD 128U /* what a row takes in memory and on disk beside its bytes */
#define PATH_MS  1000 /* of one path one is kept in this time */

_Static_assert(MKV_STORE_META_MAX >= MKV_VALUE_MAX + 32768U, "a path, ticks and a value must fit");

/* All that may come at once fits into one transaction, beside what it comes with. */
const struct mkv_conflict_limits mkv_conflict_limits_default[MKV_CONFLICT_CLASSES] = {
    {.n_max = 8000, .bytes_max = 12U << 20, .rows = {8000, 100}, .bytes = {12U << 20, 256U << 10}},
    {.n_max = 2000, .bytes_max = 4U << 20, .rows = {2000, 10}, .bytes = {4U << 20, 32U << 10}},
};

static struct mkv_bytes row_key(uint8_t tag, uint64_t number, uint8_t space[KEY_LEN])
{
    space[0] = tag;
    for (unsigned i = 0; i < 8; i++) {
        space[1 + i] = (uint8_t)(number >> (56 - 8 * i));
    }
    return mkv_bytes(space, KEY_LEN);
}

static uint64_t number_of(struct mkv_bytes key)
{
    uint64_t number = 0;

    for (unsigned i = 0; i < 8; i++) {
        number = number << 8 | key.at[1 + i];
    }
    return number;
}

/* --- Lists and maps -------------------------------------------------------------------------- */

static void append(struct mkv_conflicts *conflicts, struct mkv_conflict_kept *kept)
{
    struct mkv_conflict_shelf *shelf = &conflicts->shelves[kept->class_];

    kept->stamp = ++conflicts->stamp;
    kept->before = shelf->last;
    kept->behind = NULL;
    if (shelf->last == NULL) {
        shelf->first = kept;
    } else {
        shelf->last->behind = kept;
    }
    shelf->last = kept;
    shelf->n++;
    shelf->bytes += kept->size;
}

static void take_out(struct mkv_conflicts *conflicts, struct mkv_conflict_kept *kept)
{
    struct mkv_conflict_shelf *shelf = &conflicts->shelves[kept->class_];

    if (kept->before == NULL) {
        shelf->first = kept->behind;
    } else {
        kept->before->behind = kept->behind;
    }
    if (kept->behind == NULL) {
        shelf->last = kept->before;
    } else {
        kept->behind->before = kept->before;
    }
    shelf->n--;
    shelf->bytes -= kept->size;
}

/* The path's record; NULL if nothing of it is kept. */
static struct mkv_conflict_path *find_path(const struct mkv_conflicts *conflicts, uint64_t hash)
{
    return mkv_map_get(&conflicts->by_path, hash);
}

static int add_path(struct mkv_conflicts *conflicts,
                    struct mkv_bytes key,
                    uint64_t hash,
                    struct mkv_conflict_path **ret_path)
{
    struct mkv_conflict_path *path = mkv_mem_alloc(sizeof(*path) + key.len);

    if (path == NULL) {
        return MKV_E_NO_MEMORY;
    }
    path->hash = hash;
    path->key = mkv_bytes(path + 1, key.len);
    if (key.len > 0) {
        memcpy(path + 1, key.at, key.len);
    }

    int error = mkv_map_add(&conflicts->by_path, hash, path);

    if (error != 0) {
        mkv_mem_free(path);
        return error;
    }
    *ret_path = path;
    return 0;
}

static void leave_path(struct mkv_conflicts *conflicts, struct mkv_conflict_kept *kept)
{
    struct mkv_conflict_path *path = kept->path;
    uint32_t at = 0;

    while (path->kept[at] != kept) {
        at++;
    }
    path->n--;
    for (uint32_t i = at; i < path->n; i++) {
        path->kept[i] = path->kept[i + 1];
    }
    if (path->n == 0) {
        (void)mkv_map_remove(&conflicts->by_path, path->hash);
        mkv_mem_free(path);
    }
}

static void forget(struct mkv_conflicts *conflicts, struct mkv_conflict_kept *kept)
{
    take_out(conflicts, kept);
    if (kept->path != NULL) {
        (void)mkv_map_remove(&conflicts->by_id, kept->id);
        leave_path(conflicts, kept);
    }
    mkv_mem_free(kept);
}

static void forget_all(struct mkv_conflicts *conflicts)
{
    size_t cursor = 0;
    struct mkv_conflict_path *path;

    for (unsigned i = 0; i < MKV_CONFLICT_CLASSES; i++) {
        while (conflicts->shelves[i].first != NULL) {
            forget(conflicts, conflicts->shelves[i].first);
        }
    }
    /* Left is what was being added when something failed. */
    while ((path = mkv_map_each(&conflicts->by_path, &cursor)) != NULL) {
        mkv_mem_free(path);
    }
    mkv_map_deinit(&conflicts->by_id);
    mkv_map_deinit(&conflicts->by_path);
}

void mkv_conflicts_deinit(struct mkv_conflicts *conflicts)
{
    forget_all(conflicts);
    mkv_buf_deinit(&conflicts->scratch);
}

/*
 * Puts it where it belongs.  On an error it is not there, but a path that was made for it may be
 * left without any: only to be cleared away.
 */
static int place(struct mkv_conflicts *conflicts,
                 struct mkv_conflict_kept *kept,
                 struct mkv_conflict_path *path)
{
    int error = mkv_map_add(&conflicts->by_id, kept->id, kept);

    if (error == 0) {
        kept->path = path;
        path->kept[path->n++] = kept;
        append(conflicts, kept);
    }
    return error;
}

bool mkv_conflicts_know(const struct mkv_conflicts *conflicts, uint64_t id)
{
    return mkv_map_get(&conflicts->by_id, id) != NULL;
}

uint64_t mkv_conflicts_n(const struct mkv_conflicts *conflicts)
{
    return conflicts->by_id.n;
}

/* --- Loading --------------------------------------------------------------------------------- */

static int decode(struct mkv_bytes bytes, struct mkv_conflict_row *ret_row)
{
    struct mkv_cbor_reader r;
    struct mkv_conflict_row row = {0};

    mkv_cbor_reader_init(&r, bytes);
    mkv_conflict_row_read(&r, &row);

    int error = mkv_cbor_finish(&r);

    if (error == 0) {
        *ret_row = row;
    }
    return error;
}

static int read_stored(struct mkv_store *store,
                       uint64_t number,
                       struct mkv_buf *space,
                       struct mkv_conflict_row *ret_row)
{
    uint8_t key[KEY_LEN];

    mkv_buf_clear(space);

    int error = mkv_store_meta_get(store, row_key(ROW_TAG, number, key), space);

    return error != 0 ? error : decode(mkv_buf_bytes(space), ret_row);
}

/* The number of those that were only counted; 0 if none is stored or it cannot be read. */
static int read_more(struct mkv_store *store, uint64_t number, uint64_t *ret_more)
{
    uint8_t key[KEY_LEN];
    struct mkv_buf value;
    struct mkv_cbor_reader r;
    uint64_t more = 0;

    mkv_buf_init(&value, MORE_MAX);

    int error = mkv_store_meta_get(store, row_key(MORE_TAG, number, key), &value);

    if (error == 0) {
        mkv_cbor_reader_init(&r, mkv_buf_bytes(&value));
        more = mkv_cbor_read_uint(&r);
        error = mkv_cbor_finish(&r);
    }
    mkv_buf_deinit(&value);
    if (error == MKV_E_NO_MEMORY || error == MKV_E_IO) {
        return error;
    }
    *ret_more = error == 0 ? more : 0;
    return 0;
}

/* Finds or makes the path of a row that was read; NULL if it cannot belong to any. */
static int path_of(struct mkv_conflicts *conflicts,
                   const struct mkv_conflict_row *row,
                   struct mkv_conflict_path **ret_path)
{
    struct mkv_cbor_reader r;
    struct mkv_buf key;

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    mkv_cbor_reader_init(&r, row->path);

    int error = mkv_path_from_cbor(&r, &key);

    if (error == 0) {
        uint64_t hash = mkv_value_hash(mkv_buf_bytes(&key));
        struct mkv_conflict_path *path = find_path(conflicts, hash);

        if (path == NULL) {
            error = add_path(conflicts, mkv_buf_bytes(&key), hash, &path);
        } else if (path->n == MKV_CONFLICTS_OF_PATH ||
                   !mkv_bytes_equal(path->key, mkv_buf_bytes(&key))) {
            error = MKV_E_CORRUPT;
        }
        *ret_path = path;
    }
    mkv_buf_deinit(&key);
    return error;
}

static size_t size_of(size_t row_len, size_t key_len)
{
    return row_len + key_len + OVERHEAD;
}

/* Fills @kept, whose number is set, with what the store has of it, and puts it in its place. */
static int load_readable(struct mkv_conflicts *conflicts,
                         struct mkv_store *store,
                         struct mkv_conflict_kept *kept)
{
    struct mkv_conflict_row row;
    struct mkv_conflict_path *path = NULL;
    int error = read_stored(store, kept->number, &conflicts->scratch, &row);

    if (error == 0 && mkv_conflicts_know(conflicts, row.id)) {
        error = MKV_E_CORRUPT;
    }
    if (error == 0) {
        error = path_of(conflicts, &row, &path);
    }
    if (error == 0) {
        error = read_more(store, kept->number, &kept->more);
    }
    if (error != 0) {
        return error;
    }
    kept->id = row.id;
    kept->seq = row.loser.ticks.at[0].seq;
    kept->class_ = row.class_;
    kept->more_stored = kept->more;
    kept->size = size_of(conflicts->scratch.len, path->key.len);
    path->kept_ms = -PATH_MS; /* before any time there is */
    return place(conflicts, kept, path);
}

static int load_row(struct mkv_conflicts *conflicts, struct mkv_store *store, uint64_t number)
{
    struct mkv_conflict_kept *kept = mkv_mem_alloc(sizeof(*kept));

    if (kept == NULL) {
        return MKV_E_NO_MEMORY;
    }
    kept->number = number;
    conflicts->number = number; /* they come in this order */

    int error = load_readable(conflicts, store, kept);

    if (error == MKV_E_NO_MEMORY || error == MKV_E_IO) {
        mkv_mem_free(kept);
        return error;
    }
    if (error != 0) {
        kept->class_ = MKV_CONFLICT_CLASSES - 1;
        kept->size = OVERHEAD;
        conflicts->n_damaged++;
        append(conflicts, kept);
    }
    return 0;
}

static int load_rows(struct mkv_conflicts *conflicts, struct mkv_store *store)
{
    static const uint8_t tag = ROW_TAG;
    struct mkv_buf key;
    int error;

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    error = mkv_buf_append_u8(&key, tag);
    while (error == 0) {
        struct mkv_bytes next;

        error = mkv_store_meta_next(store, mkv_bytes(&tag, 1), mkv_buf_bytes(&key), &next);
        if (error == 0) {
            mkv_buf_clear(&key);
            error = mkv_buf_append(&key, next);
        }
        if (error == 0 && key.len == KEY_LEN) { /* another is none of ours */
            error = load_row(conflicts, store, number_of(mkv_buf_bytes(&key)));
        }
    }
    mkv_buf_deinit(&key);
    return error;
}

int mkv_conflicts_load(struct mkv_conflicts *conflicts,
                       const struct mkv_conflict_limits limits[MKV_CONFLICT_CLASSES],
                       struct mkv_store *store)
{
    forget_all(conflicts);
    for (unsigned i = 0; i < MKV_CONFLICT_CLASSES; i++) {
        conflicts->shelves[i].limits = &limits[i];
    }
    conflicts->by_id.n_max = UINT32_MAX;
    conflicts->by_path.n_max = UINT32_MAX;
    conflicts->number = 0;
    conflicts->n_damaged = 0;
    conflicts->unsaid = false;
    mkv_buf_deinit(&conflicts->scratch);
    mkv_buf_init(&conflicts->scratch, MKV_STORE_META_MAX);

    int error = load_rows(conflicts, store);

    return error == MKV_E_NOT_FOUND ? 0 : error;
}

/* --- Adding ---------------------------------------------------------------------------------- */

/* Removes it from the store, too. */
static int drop(struct mkv_conflicts *conflicts,
                struct mkv_store *store,
                struct mkv_conflict_kept *kept)
{
    uint8_t key[KEY_LEN];
    int error = mkv_store_meta_delete(store, row_key(ROW_TAG, kept->number, key));

    if (error == 0) {
        error = mkv_store_meta_delete(store, row_key(MORE_TAG, kept->number, key));
    }
    forget(conflicts, kept);
    return error;
}

static int make_room(struct mkv_conflicts *conflicts,
                     struct mkv_store *store,
                     const struct mkv_conflict_kept *added)
{
    struct mkv_conflict_shelf *shelf = &conflicts->shelves[added->class_];
    int error = 0;

    while (error == 0 && shelf->first != added &&
           (shelf->n > shelf->limits->n_max || shelf->bytes > shelf->limits->bytes_max)) {
        error = drop(conflicts, store, shelf->first);
    }
    return error;
}

/* Stores what is in the scratch buffer. */
static int keep(struct mkv_conflicts *conflicts,
                struct mkv_store *store,
                struct mkv_conflict_kept *kept,
                struct mkv_conflict_path *path)
{
    uint8_t key[KEY_LEN];
    int error = 0;

    if (path->n == MKV_CONFLICTS_OF_PATH) {
        error = drop(conflicts, store, path->kept[0]);
    }
    if (error == 0) {
        error = place(conflicts, kept, path);
    }
    if (error != 0) {
        mkv_mem_free(kept);
        return error;
    }
    error = make_room(conflicts, store, kept);
    if (error == 0) {
        error = mkv_store_meta_put(store, row_key(ROW_TAG, kept->number, key),
                                   mkv_buf_bytes(&conflicts->scratch));
    }
    return error;
}

static int encode(struct mkv_conflicts *conflicts, const struct mkv_conflict_row *row)
{
    struct mkv_conflict_row plain = *row;
    struct mkv_cbor_writer w;

    plain.more = 0;
    mkv_buf_clear(&conflicts->scratch);
    mkv_cbor_writer_init(&w, &conflicts->scratch);
    mkv_conflict_row_write(&w, &plain);
    return w.error;
}

static bool has_room(struct mkv_conflict_shelf *shelf, int64_t now_ms, size_t size)
{
    return mkv_bucket_room(&shelf->rows_used, &shelf->limits->rows, now_ms) >= 1 &&
           mkv_bucket_room(&shelf->bytes_used, &shelf->limits->bytes, now_ms) >= size;
}

static enum mkv_conflict_verdict count(struct mkv_conflicts *conflicts,
                                       struct mkv_conflict_path *path)
{
    if (path == NULL) {
        return MKV_CONFLICT_BEYOND;
    }
    path->kept[path->n - 1]->more++;
    conflicts->unsaid = true;
    return MKV_CONFLICT_COUNTED;
}

static int add_encoded(struct mkv_conflicts *conflicts,
                       struct mkv_store *store,
                       struct mkv_bytes key,
                       const struct mkv_conflict_row *row,
                       struct mkv_conflict_path *path)
{
    struct mkv_conflict_kept *kept = mkv_mem_alloc(sizeof(*kept));
    int error = kept == NULL ? MKV_E_NO_MEMORY : 0;

    if (error == 0 && path == NULL) {
        error = add_path(conflicts, key, mkv_value_hash(key), &path);
    }
    if (error != 0) {
        mkv_mem_free(kept);
        return error;
    }
    kept->id = row->id;
    kept->seq = row->loser.ticks.at[0].seq;
    kept->class_ = row->class_;
    kept->number = ++conflicts->number;
    kept->size = size_of(conflicts->scratch.len, key.len);
    return keep(conflicts, store, kept, path);
}

int mkv_conflicts_add(struct mkv_conflicts *conflicts,
                      struct mkv_store *store,
                      int64_t now_ms,
                      struct mkv_bytes key,
                      const struct mkv_conflict_row *row,
                      enum mkv_conflict_verdict *ret_verdict)
{
    struct mkv_conflict_shelf *shelf = &conflicts->shelves[row->class_];
    struct mkv_conflict_path *path = find_path(conflicts, mkv_value_hash(key));

    MKV_ASSERT(!mkv_conflicts_know(conflicts, row->id));
    if (path != NULL && !mkv_bytes_equal(path->key, key)) { /* another with the same hash */
        *ret_verdict = MKV_CONFLICT_BEYOND;
        return 0;
    }
    if (path != NULL && now_ms - path->kept_ms < PATH_MS) {
        *ret_verdict = count(conflicts, path);
        return 0;
    }

    int error = encode(conflicts, row);
    size_t size = size_of(conflicts->scratch.len, key.len);

    if (error != 0) {
        return error;
    }
    if (!has_room(shelf, now_ms, size)) {
        *ret_verdict = count(conflicts, path);
        return 0;
    }
    mkv_bucket_use(&shelf->rows_used, 1);
    mkv_bucket_use(&shelf->bytes_used, size);
    error = add_encoded(conflicts, store, key, row, path);
    if (error == 0) {
        shelf->last->path->kept_ms = now_ms;
        *ret_verdict = MKV_CONFLICT_KEPT;
    }
    return error;
}

/* --- Telling --------------------------------------------------------------------------------- */

static int say(struct mkv_conflicts *conflicts,
               struct mkv_store *store,
               struct mkv_conflict_kept *kept)
{
    uint8_t key[KEY_LEN];
    struct mkv_buf value;
    struct mkv_cbor_writer w;

    mkv_buf_init(&value, MORE_MAX);
    mkv_cbor_writer_init(&w, &value);
    mkv_cbor_write_uint(&w, kept->more);

    int error = w.error;

    if (error == 0) {
        error =
            mkv_store_meta_put(store, row_key(MORE_TAG, kept->number, key), mkv_buf_bytes(&value));
    }
    mkv_buf_deinit(&value);
    kept->more_stored = kept->more;
    take_out(conflicts, kept);
    append(conflicts, kept);
    return error;
}

int mkv_conflicts_say(struct mkv_conflicts *conflicts, struct mkv_store *store, uint32_t n_max)
{
    uint32_t n = 0;
    int error = 0;

    conflicts->unsaid = false;
    for (unsigned i = 0; i < MKV_CONFLICT_CLASSES && error == 0; i++) {
        struct mkv_conflict_kept *kept = conflicts->shelves[i].first;

        while (kept != NULL && error == 0) {
            struct mkv_conflict_kept *next = kept->behind;

            if (kept->more != kept->more_stored && n == n_max) {
                conflicts->unsaid = true;
                return 0;
            }
            if (kept->more != kept->more_stored) {
                error = say(conflicts, store, kept);
                n++;
            }
            kept = next;
        }
    }
    return error;
}

void mkv_conflicts_walk_init(struct mkv_conflicts_walk *walk,
                             const struct mkv_conflicts *conflicts,
                             uint64_t stamp)
{
    for (unsigned i = 0; i < MKV_CONFLICT_CLASSES; i++) {
        const struct mkv_conflict_kept *kept = conflicts->shelves[i].last;

        walk->next[i] = NULL;
        while (kept != NULL && kept->stamp > stamp) { /* mostly it is only the last ones */
            walk->next[i] = kept;
            kept = kept->before;
        }
    }
}

const struct mkv_conflict_kept *mkv_conflicts_walk_next(struct mkv_conflicts_walk *walk)
{
    for (;;) {
        const struct mkv_conflict_kept **least = NULL;

        for (unsigned i = 0; i < MKV_CONFLICT_CLASSES; i++) {
            if (walk->next[i] != NULL &&
                (least == NULL || walk->next[i]->stamp < (*least)->stamp)) {
                least = &walk->next[i];
            }
        }

        const struct mkv_conflict_kept *kept = least == NULL ? NULL : *least;

        if (kept != NULL) {
            *least = kept->behind;
        }
        if (kept == NULL || kept->path != NULL) {
            return kept;
        }
    }
}

int mkv_conflicts_read(const struct mkv_conflict_kept *kept,
                       struct mkv_store *store,
                       struct mkv_buf *space,
                       struct mkv_conflict_row *ret_row)
{
    int error = read_stored(store, kept->number, space, ret_row);

    if (error == 0) {
        ret_row->more = kept->more;
    }
    return error;
}
