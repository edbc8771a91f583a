/* SPDX-License-Identifier: Apache-2.0 */
#include "base/assert.h"
#include "base/mem.h"
#include "base/rule.h"
#include "store/inner.h"
#include "store/meta.h"
#include "store/row.h"

#define TIDY_ROWS         1000U /* in one batch; tidying starts with as many and ends with fewer */
#define TIDY_SHARE        3U    /* tidying starts when one of so many rows is dead */
#define CHANGES_CAP_FIRST 64U

const struct mkv_tree *mkv_store_tree(const struct mkv_store *store)
{
    return &store->tree;
}

const uint8_t *mkv_store_id(const struct mkv_store *store)
{
    return store->id;
}

const uint8_t *mkv_store_digest_key(const struct mkv_store *store)
{
    return store->tree.digest_key;
}

bool mkv_store_dirty(const struct mkv_store *store)
{
    return store->state != MKV_STORE_IDLE;
}

struct mkv_place mkv_store_place(const struct mkv_store *store)
{
    return (struct mkv_place){
        .nonce = store->boots.at[store->boots.n - 1].nonce,
        .position = store->position,
    };
}

bool mkv_store_place_known(const struct mkv_store *store, struct mkv_place place)
{
    return mkv_boots_may_know(&store->boots, store->position, place);
}

struct mkv_place mkv_store_place_at(const struct mkv_store *store, uint64_t position)
{
    return (struct mkv_place){
        .nonce = mkv_boots_nonce_at(&store->boots, position),
        .position = position,
    };
}

bool mkv_store_place_valid(const struct mkv_store *store, struct mkv_place place)
{
    return place.position >= store->forgotten.until &&
           mkv_boots_know(&store->boots, store->position, place);
}

int mkv_store_begin_log(struct mkv_store *store, enum mkv_log_purpose purpose)
{
    int error = store->log->methods->begin(store->log, purpose);

    if (error != 0) {
        return error;
    }
    store->log_open = true;
    return store->lineage_unsaved ? mkv_store_save_lineage(store) : 0;
}

/* Undoes all of the open transaction; cannot fail. */
static void roll_back(struct mkv_store *store)
{
    if (store->log_open) {
        store->log->methods->abort(store->log);
        store->log_open = false;
    }
    store->position -= store->n_changes;
    store->n_rows -= store->n_changes;
    while (store->n_changes > 0) {
        mkv_tree_undo(&store->tree, store->changes[--store->n_changes]);
    }
    store->forgotten = store->forgotten_saved;
    store->generation.verdict = store->generation.verdict_saved;
    store->n_bytes = 0;
}

/* Undone at once, so that reads go on; the owner of the transaction is told until it aborts. */
int mkv_store_break(struct mkv_store *store, int error)
{
    roll_back(store);
    store->state = MKV_STORE_BROKEN;
    store->broken_by = error;
    store->pressed = store->pressed || error == MKV_E_MAP_FULL || error == MKV_E_DISK_FULL;
    return error;
}

int mkv_store_open_transaction(struct mkv_store *store, size_t n_bytes)
{
    if (n_bytes > MKV_STORE_BATCH_BYTES - store->n_bytes) {
        return MKV_E_TOO_LARGE;
    }
    store->n_bytes += n_bytes;
    return store->log_open ? 0 : mkv_store_begin_log(store, MKV_LOG_WRITE);
}

/*
 * Makes room for all that must be remembered of one more row, so that nothing can fail later: of a
 * removal, two rows are dead.
 */
static int reserve_change(struct mkv_store *store)
{
    if (store->n_changes == MKV_STORE_BATCH_ROWS) {
        return MKV_E_TOO_LARGE;
    }
    if (store->n_changes == store->changes_cap) {
        size_t cap = store->changes_cap > 0 ? 2 * store->changes_cap : CHANGES_CAP_FIRST;
        struct mkv_tree_change *changes = mkv_mem_resize(store->changes, cap * sizeof(*changes));

        if (changes == NULL) {
            return MKV_E_NO_MEMORY;
        }
        store->changes = changes;
        store->changes_cap = cap;
    }
    return mkv_dead_reserve(&store->dead, 2 * (store->n_changes + 1));
}

/* Copied first of all, since any of it may be borrowed from the log. */
static int write_scratch(struct mkv_store *store, const struct mkv_row *row)
{
    int error = mkv_row_check(row);

    if (error != 0) {
        return error;
    }
    mkv_buf_clear(&store->scratch);
    error = mkv_buf_reserve(&store->scratch, mkv_row_len(row));
    if (error == 0) {
        store->scratch.len = mkv_row_len(row);
        mkv_row_encode(row, store->position + 1, store->scratch.at);
    }
    return error;
}

/* Writes the scratch as the next row, whose change of the tree has been made. */
static int append_scratch(struct mkv_store *store)
{
    uint8_t key[MKV_POSITION_LEN];
    uint8_t *at;

    store->n_changes++;
    store->position++;
    store->n_rows++;

    int error = mkv_store_open_transaction(store, store->scratch.len);

    if (error != 0) {
        return error;
    }
    mkv_position_encode(store->position, key);
    error = store->log->methods->put(store->log, MKV_LOG_ROWS, mkv_bytes(key, sizeof(key)),
                                     store->scratch.len, &at);
    if (error == 0) {
        memcpy(at, store->scratch.at, store->scratch.len);
    }
    return error;
}

static int put_row(struct mkv_store *store, const struct mkv_row *row, const struct mkv_head *head)
{
    int error = reserve_change(store);

    if (error == 0) {
        error = write_scratch(store, row);
    }
    if (error == 0) {
        error = mkv_tree_change(&store->tree, row->key, head, store->position + 1,
                                &store->changes[store->n_changes]);
    }
    return error != 0 ? error : append_scratch(store);
}

int mkv_store_put(struct mkv_store *store,
                  struct mkv_bytes key,
                  const struct mkv_head *head,
                  const struct mkv_update *update)
{
    struct mkv_row row = {.key = key, .vhash = head->vhash, .update = *update};

    if (store->state == MKV_STORE_BROKEN) {
        return store->broken_by;
    }
    store->state = MKV_STORE_OPEN;

    int error = put_row(store, &row, head);

    return error == 0 ? 0 : mkv_store_break(store, error);
}

/*
 * Whoever has got the tombstone that goes has heard that there is no value; nobody has heard that a
 * live entry is gone.
 */
static uint64_t heard_since(const struct mkv_store *store, const struct mkv_tree_entry *entry)
{
    return entry->head.present ? store->position + 1 : entry->position;
}

static int remove_entry(struct mkv_store *store, const struct mkv_tree_entry *entry)
{
    struct mkv_row row = {.gone = true, .key = entry->key};
    uint64_t until = heard_since(store, entry);
    int error = reserve_change(store);

    if (error == 0) {
        error = write_scratch(store, &row);
    }
    if (error != 0) {
        return error;
    }
    (void)mkv_tree_withdraw(&store->tree, entry->key, &store->changes[store->n_changes]);
    error = append_scratch(store);
    store->forgotten.last = store->position;
    if (store->forgotten.until < until && MKV_RULE(PLACE_ENDS)) {
        store->forgotten.until = until;
    }
    return error;
}

int mkv_store_remove(struct mkv_store *store, struct mkv_bytes key)
{
    struct mkv_tree_entry entry;

    if (store->state == MKV_STORE_BROKEN) {
        return store->broken_by;
    }
    if (!mkv_tree_find(&store->tree, key, &entry)) {
        return 0;
    }
    store->state = MKV_STORE_OPEN;

    int error = remove_entry(store, &entry);

    return error == 0 ? 0 : mkv_store_break(store, error);
}

int mkv_store_row(struct mkv_store *store,
                  uint64_t position,
                  struct mkv_bytes *ret_key,
                  struct mkv_update *ret_update)
{
    uint8_t key[MKV_POSITION_LEN];
    struct mkv_bytes value;
    struct mkv_row row;

    mkv_position_encode(position, key);

    int error =
        store->log->methods->get(store->log, MKV_LOG_ROWS, mkv_bytes(key, sizeof(key)), &value);

    if (error == 0) {
        error = mkv_row_decode(value, position, &row);
    }
    if (error == 0 && row.gone) {
        error = MKV_E_NOT_FOUND;
    }
    if (error == 0) {
        *ret_key = row.key;
        *ret_update = row.update;
    }
    return error;
}

/* No checksum is needed: a damaged key is not in the tree, or not at this position. */
static bool is_live(const struct mkv_store *store, uint64_t position, struct mkv_bytes value)
{
    struct mkv_tree_entry entry;
    struct mkv_bytes key;

    return mkv_row_key(value, &key) == 0 && mkv_tree_find(&store->tree, key, &entry) &&
           entry.position == position;
}

int mkv_store_scan(struct mkv_store *store, uint64_t position, uint64_t *ret_position)
{
    while (position < store->position) {
        uint8_t from[MKV_POSITION_LEN];
        struct mkv_bytes key;
        struct mkv_bytes value;
        uint64_t found = 0;

        mkv_position_encode(position + 1, from);

        int error = store->log->methods->seek(store->log, MKV_LOG_ROWS,
                                              mkv_bytes(from, sizeof(from)), &key, &value);

        if (error == MKV_E_NOT_FOUND) {
            break;
        }
        if (error == 0) {
            error = mkv_position_decode(key, &found);
        }
        if (error == 0 && found <= position) { /* of a damaged file; else this might never end */
            error = MKV_E_CORRUPT;
        }
        if (error != 0) {
            return error;
        }
        if (is_live(store, found, value)) {
            *ret_position = found;
            return 0;
        }
        position = found;
    }
    *ret_position = 0;
    return 0;
}

/* After a commit: what was replaced or removed is dead for good, and so are rows that say "gone". */
static void settle_changes(struct mkv_store *store)
{
    uint64_t position = store->position - store->n_changes;

    for (size_t i = 0; i < store->n_changes; i++) {
        struct mkv_tree_change change = store->changes[i];

        position++;
        if (change.placed == NULL && store->corrupt.n == 0) {
            mkv_dead_add(&store->dead, position);
        }
        if (change.replaced != NULL) {
            mkv_dead_add(&store->dead, mkv_tree_replaced_position(change));
        }
        mkv_tree_settle(change);
    }
    store->n_changes = 0;
    store->n_bytes = 0;
    store->forgotten_saved = store->forgotten;
    store->generation.verdict_saved = store->generation.verdict;
}

int mkv_store_commit_log(struct mkv_store *store)
{
    store->log_open = false; /* either way */

    int error = store->log->methods->commit(store->log);

    if (error == 0) {
        store->lineage_unsaved = false;
        store->generation.boot_saved = true;
    }
    return error;
}

void mkv_store_note(struct mkv_store *store, bool end)
{
    mkv_generation_note(&store->generation, store->log, store->id, mkv_store_place(store).nonce,
                        end);
}

bool mkv_store_lost(const struct mkv_store *store)
{
    return store->generation.verdict.lost;
}

int mkv_store_mark_restored(struct mkv_store *store, bool restored)
{
    struct mkv_verdict *verdict = &store->generation.verdict;

    if (store->state == MKV_STORE_BROKEN) {
        return store->broken_by;
    }
    if (verdict->restored == restored && (restored || !verdict->lost)) {
        return 0;
    }
    store->state = MKV_STORE_OPEN;
    *verdict = (struct mkv_verdict){.restored = restored, .lost = restored && verdict->lost};

    int error = mkv_store_open_transaction(store, 0);

    if (error == 0) {
        error = mkv_generation_save(&store->generation, store->log);
    }
    return error == 0 ? 0 : mkv_store_break(store, error);
}

int mkv_store_commit(struct mkv_store *store)
{
    if (store->state == MKV_STORE_OPEN) {
        bool forgets = store->forgotten.last != store->forgotten_saved.last;
        int error = forgets ? mkv_store_save_forgotten(store) : 0;

        if (error == 0 && store->log_open) {
            error = mkv_store_commit_log(store);
        }
        if (error == 0) {
            settle_changes(store);
        } else {
            (void)mkv_store_break(store, error); /* the error is returned below */
        }
    }

    int error = store->state == MKV_STORE_BROKEN ? store->broken_by : 0;

    store->state = MKV_STORE_IDLE;
    return error;
}

void mkv_store_abort(struct mkv_store *store)
{
    roll_back(store);
    store->state = MKV_STORE_IDLE;
}

/* Ends a transaction of our own, begun by mkv_store_begin_log(), that went well or not. */
static int end_log(struct mkv_store *store, int error)
{
    if (error == 0) {
        return mkv_store_commit_log(store);
    }
    roll_back(store);
    return error;
}

static int remove_rows(struct mkv_store *store, const uint64_t *positions, size_t n)
{
    int error = mkv_store_begin_log(store, MKV_LOG_TIDY);

    for (size_t i = 0; i < n && error == 0; i++) {
        uint8_t key[MKV_POSITION_LEN];

        mkv_position_encode(positions[i], key);
        error = store->log->methods->remove(store->log, MKV_LOG_ROWS, mkv_bytes(key, sizeof(key)));
        if (error == MKV_E_NOT_FOUND) {
            error = 0; /* as good */
        }
    }
    return end_log(store, error);
}

static int tidy_batch(struct mkv_store *store, size_t n_max)
{
    uint64_t positions[TIDY_ROWS];
    size_t n = mkv_dead_take(&store->dead, n_max, positions);
    int error = remove_rows(store, positions, n);

    if (error == 0) {
        store->n_rows -= n;
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        mkv_dead_add(&store->dead, positions[i]); /* into the room they came from */
    }
    return error;
}

/*
 * A log uses the space that a transaction set free in the second transaction after it.  If all
 * those between fail for lack of space, it never comes: so here is one that does not.
 */
static int turn_over(struct mkv_store *store)
{
    int error = mkv_store_begin_log(store, MKV_LOG_TIDY);

    if (error == 0) {
        error = mkv_store_save_lineage(store);
    }
    error = end_log(store, error);
    if (error == 0) {
        store->pressed = false;
    }
    return error;
}

static bool needs_tidying(const struct mkv_store *store)
{
    return store->pressed || store->tidying ||
           (store->dead.n >= TIDY_ROWS && store->dead.n >= store->n_rows / TIDY_SHARE);
}

int mkv_store_tidy(struct mkv_store *store, bool *ret_more)
{
    size_t n_max = TIDY_ROWS;

    if (store->state != MKV_STORE_IDLE) {
        return MKV_E_BAD_STATE;
    }
    mkv_store_note(store, false);
    if (!needs_tidying(store)) {
        *ret_more = false;
        return 0;
    }

    int error = tidy_batch(store, n_max);

    while (error == MKV_E_MAP_FULL && n_max > 1) { /* fewer rows lie on fewer pages */
        n_max /= 10;
        error = tidy_batch(store, n_max);
    }
    store->tidying = error == 0 && store->dead.n >= (store->pressed ? 1 : TIDY_ROWS);
    if (error == 0 && store->pressed && !store->tidying) {
        error = turn_over(store);
    }
    if (error == 0) {
        *ret_more = store->tidying;
    }
    return error;
}

void mkv_store_stats(const struct mkv_store *store, struct mkv_store_stats *ret_stats)
{
    store->log->methods->sizes(store->log, &ret_stats->bytes_used, &ret_stats->bytes_max);
    ret_stats->n_rows = store->n_rows;
    ret_stats->n_dead = store->dead.n;
}

void mkv_store_close(struct mkv_store *store)
{
    if (store == NULL) {
        return;
    }
    mkv_store_abort(store);
    if (store->boots.n > 0) { /* it has been opened */
        mkv_store_note(store, true);
    }
    mkv_tree_deinit(&store->tree);
    mkv_dead_deinit(&store->dead);
    mkv_buf_deinit(&store->scratch);
    mkv_mem_free(store->changes);
    store->log->methods->free(store->log);
    mkv_mem_free(store);
}
