/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/mem.h"
#include "core/tree_load.h"
#include "store/inner.h"
#include "store/log_lmdb.h"
#include "store/log_memory.h"
#include "store/meta.h"
#include "store/row.h"

#define PAIR_LEN ((size_t)2 * MKV_POSITION_LEN)

/* Far beyond what any log can reach, and far enough below 2^63 to go on from. */
#define POSITION_MAX (UINT64_C(1) << 62)

static int own_get(struct mkv_log *log, const char *name, struct mkv_bytes *ret_value)
{
    return mkv_meta_get(log, MKV_META_STORE, mkv_bytes_of(name), ret_value);
}

static int own_put(struct mkv_log *log, const char *name, const uint8_t *at, size_t len)
{
    return mkv_meta_put(log, MKV_META_STORE, mkv_bytes_of(name), mkv_bytes(at, len));
}

/* Two numbers; without a row NOT_FOUND. */
static int own_get_pair(struct mkv_log *log,
                        const char *name,
                        uint64_t *ret_first,
                        uint64_t *ret_second)
{
    struct mkv_bytes value;
    int error = own_get(log, name, &value);

    if (error == 0 && value.len != PAIR_LEN) {
        error = MKV_E_CORRUPT;
    }
    if (error == 0) {
        error = mkv_position_decode(mkv_bytes(value.at, MKV_POSITION_LEN), ret_first);
    }
    if (error == 0) {
        error = mkv_position_decode(mkv_bytes_after(value, MKV_POSITION_LEN), ret_second);
    }
    return error;
}

static int own_put_pair(struct mkv_log *log, const char *name, uint64_t first, uint64_t second)
{
    uint8_t pair[PAIR_LEN];

    mkv_position_encode(first, pair);
    mkv_position_encode(second, pair + MKV_POSITION_LEN);
    return own_put(log, name, pair, sizeof(pair));
}

int mkv_store_save_lineage(struct mkv_store *store)
{
    uint8_t boots[MKV_BOOTS_BYTES_MAX];
    size_t len = mkv_boots_encode(&store->boots, boots);
    int error = own_put(store->log, "boots", boots, len);

    if (error == 0) {
        error = own_put_pair(store->log, "corrupt", store->corrupt.n, store->corrupt.hash);
    }
    if (error == 0) {
        error = mkv_store_save_forgotten(store);
    }
    return error != 0 ? error : mkv_generation_save(&store->generation, store->log);
}

int mkv_store_save_forgotten(struct mkv_store *store)
{
    return own_put_pair(store->log, "forgotten", store->forgotten.until, store->forgotten.last);
}

/* Whether there is nothing in it at all. */
static int log_is_empty(struct mkv_log *log, bool *ret_empty)
{
    struct mkv_bytes key;
    struct mkv_bytes value;
    int error = log->methods->seek(log, MKV_LOG_ROWS, (struct mkv_bytes){0}, &key, &value);

    if (error == MKV_E_NOT_FOUND) {
        error = log->methods->seek(log, MKV_LOG_META, (struct mkv_bytes){0}, &key, &value);
    }
    if (error != 0 && error != MKV_E_NOT_FOUND) {
        return error;
    }
    *ret_empty = error != 0;
    return 0;
}

static int write_identity(struct mkv_log *log, const struct mkv_opening *opening)
{
    int error = log->methods->begin(log, MKV_LOG_WRITE);

    if (error != 0) {
        return error;
    }
    error = mkv_format_write(log, opening->format->version);
    if (error == 0) {
        error = own_put(log, "identity", opening->options->id, MKV_STORE_ID_LEN);
    }
    if (error != 0) {
        log->methods->abort(log);
        return error;
    }
    return log->methods->commit(log);
}

static int create(struct mkv_log *log, const struct mkv_opening *opening)
{
    bool empty;
    int error = log_is_empty(log, &empty);

    if (error == 0 && !empty) {
        (void)snprintf(opening->detail, MKV_DETAIL_MAX,
                       "what is in %s has no format number: damaged, or not a store",
                       opening->where);
        return MKV_E_CORRUPT;
    }
    return error != 0 ? error : write_identity(log, opening);
}

/* Makes sure that the log holds a store of the present format. */
static int settle_format(struct mkv_log *log, const struct mkv_opening *opening, bool *ret_created)
{
    uint32_t version;
    int error = mkv_format_read(log, &version);

    *ret_created = error == MKV_E_NOT_FOUND;
    if (error == MKV_E_NOT_FOUND) {
        return create(log, opening);
    }
    if (error != 0) {
        return error;
    }
    return mkv_format_upgrade(log, opening->format, version, opening->where, opening->detail);
}

static int load_identity(struct mkv_store *store)
{
    struct mkv_bytes identity;
    int error = own_get(store->log, "identity", &identity);

    if (error == MKV_E_NOT_FOUND || (error == 0 && identity.len != MKV_STORE_ID_LEN)) {
        return MKV_E_CORRUPT;
    }
    if (error == 0) {
        memcpy(store->id, identity.at, MKV_STORE_ID_LEN);
    }
    return error;
}

/*
 * A list of boots that is missing or damaged is no boots: all places become invalid.  It is missing
 * if the store has never been opened to the end.
 */
static int load_boots(struct mkv_store *store, bool *ret_is_new)
{
    struct mkv_bytes value;
    int error = own_get(store->log, "boots", &value);

    if (error == 0) {
        error = mkv_boots_decode(value, &store->boots);
    }
    *ret_is_new = error == MKV_E_NOT_FOUND;
    return error == MKV_E_NOT_FOUND || error == MKV_E_CORRUPT ? 0 : error;
}

static int load_row(struct mkv_store *store, struct mkv_tree_loader *loader, struct mkv_bytes value)
{
    struct mkv_row row;
    int error = mkv_row_decode(value, store->position, &row);

    if (error == MKV_E_CORRUPT) {
        store->corrupt.n++;
        store->corrupt.hash = (store->corrupt.hash + store->position) * 0x9e3779b97f4a7c15;
        return 0;
    }

    if (row.gone) {
        return mkv_tree_loader_add_gone(loader, &store->tree, row.key, store->position);
    }

    struct mkv_head head = mkv_row_head(&row);

    return mkv_tree_loader_add(loader, &store->tree, row.key, &head, store->position);
}

static int next_row(struct mkv_store *store, struct mkv_bytes *ret_value)
{
    uint8_t from[MKV_POSITION_LEN];
    struct mkv_bytes key;
    uint64_t position;

    mkv_position_encode(store->position + 1, from);

    int error = store->log->methods->seek(store->log, MKV_LOG_ROWS, mkv_bytes(from, sizeof(from)),
                                          &key, ret_value);

    if (error == 0) {
        error = mkv_position_decode(key, &position);
    }
    if (error == 0 && (position <= store->position || position > POSITION_MAX)) {
        error = MKV_E_CORRUPT;
    }
    if (error == 0) {
        store->position = position;
    }
    return error;
}

/* Leaves corrupt rows out and counts them; what cannot be walked through at all is an error. */
static int read_rows(struct mkv_store *store, struct mkv_tree_loader *loader)
{
    for (;;) {
        struct mkv_bytes value;
        int error = next_row(store, &value);

        if (error != 0) {
            return error == MKV_E_NOT_FOUND ? 0 : error;
        }
        store->n_rows++;
        error = load_row(store, loader, value);
        if (error != 0) {
            return error;
        }
    }
}

static int build_tree(struct mkv_store *store, struct mkv_tree_loader *loader)
{
    uint64_t position;
    bool gone_since;

    mkv_tree_loader_finish(loader, &store->tree);

    int error = mkv_dead_reserve(&store->dead, loader->n);

    while (error == 0 && mkv_tree_loader_take(loader, &position, &gone_since)) {
        if (!gone_since || store->corrupt.n == 0) {
            mkv_dead_add(&store->dead, position);
        }
    }
    return error;
}

static int load_rows(struct mkv_store *store, uint64_t seed)
{
    struct mkv_tree_loader loader;

    mkv_tree_loader_init(&loader, seed);

    int error = read_rows(store, &loader);

    if (error == 0) {
        error = build_tree(store, &loader);
    }
    mkv_tree_loader_deinit(&loader);
    return error;
}

static int load_generation(struct mkv_store *store, bool is_new)
{
    const struct mkv_boots *boots = &store->boots;
    const uint64_t *last_boot = boots->n > 0 ? &boots->at[boots->n - 1].nonce : NULL;
    int error = mkv_generation_load(&store->generation, store->log, store->id, last_boot, is_new);

    store->generation.verdict_saved = store->generation.verdict;
    return error;
}

/*
 * If rows are lost that were not known to be, what we can tell since an earlier place is not
 * complete any more: no earlier place is valid.  Rows known to be lost have had that effect.
 */
static int judge_corrupt(struct mkv_store *store)
{
    struct mkv_corrupt known = {0};
    int error = own_get_pair(store->log, "corrupt", &known.n, &known.hash);

    if (error != 0 && error != MKV_E_NOT_FOUND && error != MKV_E_CORRUPT) {
        return error;
    }
    if (store->corrupt.n > 0 &&
        (known.n != store->corrupt.n || known.hash != store->corrupt.hash)) {
        store->boots.n = 0;
        store->generation.verdict.lost = true;
    }
    return 0;
}

static void raise_position(struct mkv_store *store, uint64_t position)
{
    if (store->position < position) {
        store->position = position;
    }
}

/*
 * The last rows may have said "gone" and have been deleted: positions go on behind them all the
 * same.  If it is not known what has been forgotten, no place up to now is valid.
 */
static int load_forgotten(struct mkv_store *store)
{
    struct mkv_forgotten forgotten = {0};
    int error = own_get_pair(store->log, "forgotten", &forgotten.until, &forgotten.last);

    if (error == 0 && (forgotten.until > forgotten.last || forgotten.last > POSITION_MAX)) {
        error = MKV_E_CORRUPT;
    }
    if (error == MKV_E_CORRUPT) {
        uint64_t next = store->position + 1;

        forgotten = (struct mkv_forgotten){.until = next, .last = next};
    } else if (error != 0) {
        return error == MKV_E_NOT_FOUND ? 0 : error;
    }
    store->forgotten = forgotten;
    store->forgotten_saved = forgotten;
    raise_position(store, forgotten.last);
    return 0;
}

static int save_boot(struct mkv_store *store)
{
    store->lineage_unsaved = true;

    int error = mkv_store_begin_log(store, MKV_LOG_TIDY); /* which saves it */

    if (error == 0) {
        return mkv_store_commit_log(store);
    }
    if (store->log_open) {
        store->log->methods->abort(store->log);
        store->log_open = false;
    }
    return error;
}

/*
 * A full disk is no reason not to serve reads: then the boot is saved with the first write.
 *
 * The first note of all makes a second transaction: as long as the log remembers that there was
 * none, a copy of it that lies elsewhere without one cannot be told from it.
 */
static int enter_boot(struct mkv_store *store, uint64_t nonce)
{
    bool has_note = store->generation.note.len > 0;

    mkv_boots_add(&store->boots, (struct mkv_place){.nonce = nonce, .position = store->position});

    int error = save_boot(store);

    mkv_store_note(store, false);
    if (error == 0 && !has_note && store->generation.noted) {
        error = save_boot(store);
    }
    return error == MKV_E_DISK_FULL || error == MKV_E_MAP_FULL ? 0 : error;
}

static int load(struct mkv_store *store,
                const struct mkv_opening *opening,
                struct mkv_store_report *report)
{
    bool is_new = false;
    int error = settle_format(store->log, opening, &report->created);

    if (error == 0) {
        error = load_identity(store);
    }
    if (error == 0) {
        error = load_boots(store, &is_new);
    }
    if (error == 0) {
        error = load_rows(store, opening->options->boot_nonce);
    }
    if (error == 0 && store->boots.n > 0) {
        raise_position(store, store->boots.at[store->boots.n - 1].position);
    }
    if (error == 0) {
        error = load_forgotten(store);
    }
    if (error == 0) {
        error = load_generation(store, is_new);
    }
    if (error == 0) {
        error = judge_corrupt(store);
    }
    if (error == 0) {
        error = enter_boot(store, opening->options->boot_nonce);
    }
    report->n_rows = store->n_rows;
    report->n_corrupt = store->corrupt.n;
    report->restored = store->generation.verdict.restored;
    report->lost = store->generation.verdict.lost;
    return error;
}

int mkv_store_open_log(struct mkv_log *log,
                       const struct mkv_opening *opening,
                       struct mkv_store **ret_store,
                       struct mkv_store_report *ret_report)
{
    struct mkv_store *store = mkv_mem_alloc(sizeof(*store));
    struct mkv_store_report report = {0};

    opening->detail[0] = '\0';
    if (store == NULL) {
        log->methods->free(log);
        (void)snprintf(opening->detail, MKV_DETAIL_MAX, "out of memory");
        return MKV_E_NO_MEMORY;
    }
    store->log = log;
    mkv_tree_init(&store->tree, opening->options->digest_key);
    mkv_buf_init(&store->scratch, MKV_ROW_LEN_MAX);

    int error = load(store, opening, &report);

    if (error != 0) {
        if (opening->detail[0] == '\0') {
            (void)snprintf(opening->detail, MKV_DETAIL_MAX, "cannot read the store in %s: %s",
                           opening->where, mkv_error_text(error));
        }
        mkv_store_close(store);
        return error;
    }
    *ret_store = store;
    *ret_report = report;
    return 0;
}

int mkv_store_open(const char *directory,
                   const struct mkv_store_options *options,
                   struct mkv_store **ret_store,
                   struct mkv_store_report *ret_report,
                   char detail[MKV_DETAIL_MAX])
{
    const struct mkv_opening opening = {
        .where = directory, .format = &mkv_format_now, .options = options, .detail = detail};
    struct mkv_log *log;
    int error = mkv_log_lmdb_open(directory, options->size_max, &log, detail);

    return error != 0 ? error : mkv_store_open_log(log, &opening, ret_store, ret_report);
}

int mkv_store_open_disk(struct mkv_disk *disk,
                        const struct mkv_store_options *options,
                        struct mkv_store **ret_store,
                        struct mkv_store_report *ret_report)
{
    char detail[MKV_DETAIL_MAX];
    const struct mkv_opening opening = {
        .where = "memory", .format = &mkv_format_now, .options = options, .detail = detail};
    struct mkv_log *log;
    int error = mkv_log_memory_open(disk, false, &log);

    return error != 0 ? error : mkv_store_open_log(log, &opening, ret_store, ret_report);
}

int mkv_store_open_memory(const struct mkv_store_options *options, struct mkv_store **ret_store)
{
    char detail[MKV_DETAIL_MAX];
    const struct mkv_opening opening = {
        .where = "memory", .format = &mkv_format_now, .options = options, .detail = detail};
    struct mkv_store_report report;
    struct mkv_disk *disk = mkv_disk_new(options->size_max);
    struct mkv_log *log;

    if (disk == NULL) {
        return MKV_E_NO_MEMORY;
    }
    if (mkv_log_memory_open(disk, true, &log) != 0) {
        mkv_disk_free(disk);
        return MKV_E_NO_MEMORY;
    }
    return mkv_store_open_log(log, &opening, ret_store, &report);
}
