/* SPDX-License-Identifier: Apache-2.0 */
#include "store/log_lmdb.h"

#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"
#include "core/store.h"
#include "store/log_directory.h"

#define N_TABLES  2U
#define MAP_STEP  ((size_t)64 << 20) /* the map grows by as much, or by a quarter of itself */
#define ASIDE_MAX ((size_t)8 << 20) /* what only tidying may use: an eighth of the limit, or this */
#define SIZE_MIN  ((size_t)1 << 20) /* a smaller limit is raised to it */

#if SIZE_MAX > UINT32_MAX
#    define SIZE_DEFAULT ((size_t)64 << 30)
#else
#    define SIZE_DEFAULT ((size_t)1 << 30)
#endif

/*
 * What a transaction may add to the file: in the worst case, rows of little more than half a page
 * take a page each, and so do long ones for their last bytes; the rest is for inner pages.
 */
#define BATCH_RESERVE                                                                              \
    (2 * (size_t)MKV_STORE_BATCH_BYTES + (size_t)MKV_STORE_BATCH_ROWS * 4096 + ((size_t)8 << 20))

static const char *const table_names[N_TABLES] = {[MKV_LOG_ROWS] = "rows", [MKV_LOG_META] = "meta"};

struct lmdb_log {
    struct mkv_log log; /* first, so that one pointer is the other */
    char *directory;    /* owned, NUL-terminated */
    int lock_fd;
    MDB_env *env;
    MDB_dbi dbi[N_TABLES];
    MDB_txn *reader;    /* NULL until first used */
    MDB_cursor *cursor; /* of the reader, in the table of rows; NULL until first used */
    bool reading;       /* the reader has a snapshot */
    bool cursor_placed; /* the cursor stands at a row of that snapshot */
    MDB_txn *writer;    /* NULL: no transaction is open */
    size_t map_size;
    size_t size_max;
    size_t n_written;        /* bytes put by the open transaction */
    size_t last_transaction; /* LMDB's number of the last one committed */
};

static int translate(int rc)
{
    switch (rc) {
    case 0:
        return 0;
    case MDB_NOTFOUND:
        return MKV_E_NOT_FOUND;
    case MDB_MAP_FULL:
        return MKV_E_MAP_FULL;
    case MDB_TXN_FULL:
        return MKV_E_TOO_LARGE;
    case MDB_VERSION_MISMATCH:
        return MKV_E_FORMAT;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
        return MKV_E_CORRUPT;
    default:
        return mkv_log_directory_error(rc);
    }
}

static struct lmdb_log *lmdb_of(struct mkv_log *log)
{
    return (struct lmdb_log *)(void *)log;
}

static MDB_val val_of(struct mkv_bytes bytes)
{
    MDB_val val = {.mv_size = bytes.len};

    memcpy(&val.mv_data, &bytes.at, sizeof(val.mv_data)); /* LMDB only reads what it points to */
    return val;
}

static struct mkv_bytes bytes_of(MDB_val val)
{
    return mkv_bytes(val.mv_data, val.mv_size);
}

/*
 * Lets go of the reader's snapshot: while a transaction is open, LMDB could not use any page again
 * that is in it.  The bytes it handed out stay where they are until then.
 */
static void rest(struct lmdb_log *log)
{
    if (log->reading) {
        mdb_txn_reset(log->reader);
        log->reading = false;
        log->cursor_placed = false;
    }
}

static void close_env(struct lmdb_log *log)
{
    if (log->cursor != NULL) {
        mdb_cursor_close(log->cursor);
    }
    if (log->reader != NULL) {
        mdb_txn_abort(log->reader);
    }
    if (log->env != NULL) {
        mdb_env_close(log->env);
    }
    log->cursor = NULL;
    log->reader = NULL;
    log->env = NULL;
    log->reading = false;
    log->cursor_placed = false;
}

static int open_tables(MDB_env *env, unsigned txn_flags, unsigned dbi_flags, MDB_dbi *ret_dbi)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(env, NULL, txn_flags, &txn);

    for (unsigned i = 0; i < N_TABLES && rc == 0; i++) {
        rc = mdb_dbi_open(txn, table_names[i], dbi_flags, &ret_dbi[i]);
        if (rc != 0) {
            mdb_txn_abort(txn);
        }
    }
    return rc == 0 ? mdb_txn_commit(txn) : rc;
}

static size_t last_transaction(MDB_env *env)
{
    MDB_envinfo info;

    (void)mdb_env_info(env, &info); /* fails for a NULL only */
    return info.me_last_txnid;
}

static int open_env(struct lmdb_log *log)
{
    int n_stale;
    int rc = mdb_env_create(&log->env);

    if (rc != 0) {
        log->env = NULL;
        return rc;
    }
    rc = mdb_env_set_maxdbs(log->env, N_TABLES);
    if (rc == 0) {
        rc = mdb_env_set_mapsize(log->env, log->map_size);
    }
    if (rc == 0) { /* no MDB_WRITEMAP: it turns a full disk into a SIGBUS */
        rc = mdb_env_open(log->env, log->directory, MDB_NOTLS, 0600);
    }
    if (rc == 0) {
        rc = mdb_reader_check(log->env, &n_stale);
    }
    if (rc == 0) { /* a store that is there must open on a full disk, too: first without writing */
        rc = open_tables(log->env, MDB_RDONLY, 0, log->dbi);
    }
    if (rc == MDB_NOTFOUND) {
        rc = open_tables(log->env, 0, MDB_CREATE, log->dbi);
    }
    if (rc != 0) {
        close_env(log);
        return rc;
    }

    MDB_envinfo info;

    (void)mdb_env_info(log->env, &info);
    log->map_size = info.me_mapsize; /* more than was asked for if the file is larger */
    return 0;
}

/*
 * After a failure to write its meta page LMDB refuses everything until it is opened again.  The
 * transaction that failed must not be there then; if it is, our index does not match the file, and
 * only opening the store anew can help.
 */
static int reopen_env(struct lmdb_log *log)
{
    close_env(log);

    int rc = open_env(log);

    if (rc == 0 && last_transaction(log->env) != log->last_transaction) {
        close_env(log);
        rc = MDB_PANIC;
    }
    return rc;
}

static int renew_reader(struct lmdb_log *log)
{
    if (log->env == NULL) {
        return MDB_PANIC;
    }
    if (log->reader == NULL) {
        return mdb_txn_begin(log->env, NULL, MDB_RDONLY, &log->reader);
    }
    return mdb_txn_renew(log->reader);
}

/* The open transaction, or else a snapshot of what has been committed. */
static int view(struct lmdb_log *log, MDB_txn **ret_txn)
{
    if (log->writer != NULL) {
        *ret_txn = log->writer;
        return 0;
    }
    if (!log->reading) {
        int rc = renew_reader(log);

        if (rc == MDB_PANIC) {
            rc = reopen_env(log);
            rc = rc == 0 ? renew_reader(log) : rc;
        }
        if (rc != 0) {
            return rc;
        }
        log->reading = true;
    }
    *ret_txn = log->reader;
    return 0;
}

static int lmdb_get(struct mkv_log *base,
                    enum mkv_log_table table,
                    struct mkv_bytes key,
                    struct mkv_bytes *ret_value)
{
    struct lmdb_log *log = lmdb_of(base);
    MDB_val key_val = val_of(key);
    MDB_val value;
    MDB_txn *txn;
    int rc = view(log, &txn);

    if (rc == 0) {
        rc = mdb_get(txn, log->dbi[table], &key_val, &value);
    }
    if (rc == 0) {
        *ret_value = bytes_of(value);
    }
    return translate(rc);
}

static int seek_with(MDB_cursor *cursor, struct mkv_bytes wanted, MDB_val *key, MDB_val *value)
{
    *key = val_of(wanted);
    return mdb_cursor_get(cursor, key, value, wanted.len == 0 ? MDB_FIRST : MDB_SET_RANGE);
}

static int seek_once(
    MDB_txn *txn, MDB_dbi dbi, struct mkv_bytes wanted, MDB_val *key, MDB_val *value)
{
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(txn, dbi, &cursor);

    if (rc == 0) {
        rc = seek_with(cursor, wanted, key, value);
        mdb_cursor_close(cursor);
    }
    return rc;
}

static int place_cursor(struct lmdb_log *log)
{
    if (log->cursor == NULL) {
        return mdb_cursor_open(log->reader, log->dbi[MKV_LOG_ROWS], &log->cursor);
    }
    return log->cursor_placed ? 0 : mdb_cursor_renew(log->reader, log->cursor);
}

/* Walking on from row to row is many times faster than searching for each. */
static int seek_on(struct lmdb_log *log, struct mkv_bytes wanted, MDB_val *key, MDB_val *value)
{
    int rc = place_cursor(log);

    if (rc == 0 && log->cursor_placed) {
        bool behind = mdb_cursor_get(log->cursor, key, value, MDB_GET_CURRENT) == 0 &&
                      mkv_bytes_compare(bytes_of(*key), wanted) < 0;

        if (behind && mdb_cursor_get(log->cursor, key, value, MDB_NEXT) == 0 &&
            mkv_bytes_compare(bytes_of(*key), wanted) >= 0) {
            return 0;
        }
    }
    if (rc == 0) {
        rc = seek_with(log->cursor, wanted, key, value);
        log->cursor_placed = rc == 0;
    }
    return rc;
}

static int lmdb_seek(struct mkv_log *base,
                     enum mkv_log_table table,
                     struct mkv_bytes wanted,
                     struct mkv_bytes *ret_key,
                     struct mkv_bytes *ret_value)
{
    struct lmdb_log *log = lmdb_of(base);
    MDB_val key;
    MDB_val value;
    MDB_txn *txn;
    int rc = view(log, &txn);

    if (rc == 0 && (txn == log->writer || table != MKV_LOG_ROWS)) {
        rc = seek_once(txn, log->dbi[table], wanted, &key, &value);
    } else if (rc == 0) {
        rc = seek_on(log, wanted, &key, &value);
    }
    if (rc == 0) {
        *ret_key = bytes_of(key);
        *ret_value = bytes_of(value);
    }
    return translate(rc);
}

/* How much of the file has ever been used; free pages inside are not taken off. */
static size_t extent(MDB_env *env)
{
    MDB_envinfo info;
    MDB_stat stat;

    (void)mdb_env_info(env, &info); /* both fail for a NULL only */
    (void)mdb_env_stat(env, &stat);
    return (info.me_last_pgno + 1) * stat.ms_psize;
}

/* Maps are a whole number of pages, whatever the machine's pages are. */
static size_t round_down(size_t size)
{
    return size & ~(size_t)0xffff;
}

static size_t map_limit(const struct lmdb_log *log, enum mkv_log_purpose purpose)
{
    size_t aside = log->size_max / 8 < ASIDE_MAX ? log->size_max / 8 : ASIDE_MAX;

    return purpose == MKV_LOG_TIDY ? log->size_max : round_down(log->size_max - aside);
}

/*
 * LMDB removes the old map before it makes the new one, and is lost if that fails.  So see first
 * whether there are addresses enough.
 */
static int resize_map(struct lmdb_log *log, size_t size)
{
    void *probe = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (probe == MAP_FAILED) {
        return ENOMEM;
    }
    (void)munmap(probe, size);

    int rc = mdb_env_set_mapsize(log->env, size);

    if (rc == 0) {
        log->map_size = size;
    }
    return rc;
}

/* Called while no transaction is open and no snapshot held. */
static int make_room(struct lmdb_log *log, enum mkv_log_purpose purpose)
{
    size_t limit = map_limit(log, purpose);
    size_t used = extent(log->env);
    size_t most = used > limit ? used : limit; /* after tidying, more may be in use */
    size_t size = log->map_size;

    if (BATCH_RESERVE > size - used) {
        size_t step = size / 4 > MAP_STEP ? size / 4 : MAP_STEP;

        size = round_down(used + BATCH_RESERVE + step);
    }
    if (size > most) {
        size = most;
    }
    return size == log->map_size ? 0 : resize_map(log, size);
}

static int begin_writer(struct lmdb_log *log, enum mkv_log_purpose purpose)
{
    int rc = log->env == NULL ? MDB_PANIC : make_room(log, purpose);

    if (rc == 0) {
        rc = mdb_txn_begin(log->env, NULL, 0, &log->writer);
    }
    if (rc != 0) {
        log->writer = NULL;
    }
    return rc;
}

static int lmdb_begin(struct mkv_log *base, enum mkv_log_purpose purpose)
{
    struct lmdb_log *log = lmdb_of(base);

    MKV_ASSERT(log->writer == NULL);
    rest(log);
    log->n_written = 0;

    int rc = begin_writer(log, purpose);

    if (rc == MDB_PANIC) {
        rc = reopen_env(log);
        rc = rc == 0 ? begin_writer(log, purpose) : rc;
    }
    return translate(rc);
}

static int lmdb_put(struct mkv_log *base,
                    enum mkv_log_table table,
                    struct mkv_bytes key,
                    size_t len,
                    uint8_t **ret_at)
{
    struct lmdb_log *log = lmdb_of(base);
    MDB_val key_val = val_of(key);
    MDB_val value = {.mv_size = len};
    unsigned append = table == MKV_LOG_ROWS ? MDB_APPEND : 0;
    int rc = mdb_put(log->writer, log->dbi[table], &key_val, &value, MDB_RESERVE | append);

    if (rc == 0) {
        log->n_written += len;
        *ret_at = value.mv_data;
    }
    return translate(rc);
}

static int lmdb_remove(struct mkv_log *base, enum mkv_log_table table, struct mkv_bytes key)
{
    struct lmdb_log *log = lmdb_of(base);
    MDB_val key_val = val_of(key);

    return translate(mdb_del(log->writer, log->dbi[table], &key_val, NULL));
}

/* LMDB takes the short write that a full disk gives for an I/O error. */
static bool is_disk_full(const struct lmdb_log *log)
{
    int fd;

    return mdb_env_get_fd(log->env, &fd) == 0 &&
           mkv_log_directory_full(fd, 2 * log->n_written + 65536);
}

static int lmdb_commit(struct mkv_log *base)
{
    struct lmdb_log *log = lmdb_of(base);
    int rc = mdb_txn_commit(log->writer);

    log->writer = NULL;
    if (rc == 0) {
        log->last_transaction = last_transaction(log->env);
        return 0;
    }
    if (rc == EIO && is_disk_full(log)) {
        return MKV_E_DISK_FULL;
    }
    return translate(rc);
}

static void lmdb_abort(struct mkv_log *base)
{
    struct lmdb_log *log = lmdb_of(base);

    mdb_txn_abort(log->writer);
    log->writer = NULL;
}

static uint64_t lmdb_number(struct mkv_log *base)
{
    return lmdb_of(base)->last_transaction;
}

static int lmdb_note_read(struct mkv_log *base, uint8_t ret_note[MKV_LOG_NOTE_MAX], size_t *ret_len)
{
    return mkv_log_directory_note(lmdb_of(base)->directory, ret_note, ret_len);
}

static int lmdb_note_write(struct mkv_log *base, struct mkv_bytes note)
{
    return mkv_log_directory_set_note(lmdb_of(base)->directory, note);
}

static void lmdb_sizes(struct mkv_log *base, uint64_t *ret_bytes_used, uint64_t *ret_bytes_max)
{
    struct lmdb_log *log = lmdb_of(base);
    uint64_t n_pages = 2; /* the meta pages */
    uint64_t page_size = 0;
    MDB_txn *txn;

    if (view(log, &txn) == 0) {
        for (MDB_dbi dbi = 0; dbi < 2 + N_TABLES; dbi++) { /* 0 and 1 are LMDB's own */
            MDB_stat stat = {0};

            if (mdb_stat(txn, dbi < 2 ? dbi : log->dbi[dbi - 2], &stat) == 0) {
                n_pages += stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
                page_size = stat.ms_psize;
            }
        }
    }
    *ret_bytes_used = n_pages * page_size;
    *ret_bytes_max = log->size_max;
}

static void lmdb_free(struct mkv_log *base)
{
    struct lmdb_log *log = lmdb_of(base);

    if (log->writer != NULL) {
        mdb_txn_abort(log->writer);
    }
    close_env(log);
    if (log->lock_fd >= 0) {
        (void)close(log->lock_fd); /* which releases the lock; nothing was written to it */
    }
    mkv_mem_free(log->directory);
    mkv_mem_free(log);
}

static const struct mkv_log_methods lmdb_methods = {
    .get = lmdb_get,
    .seek = lmdb_seek,
    .begin = lmdb_begin,
    .put = lmdb_put,
    .remove = lmdb_remove,
    .commit = lmdb_commit,
    .abort = lmdb_abort,
    .number = lmdb_number,
    .note_read = lmdb_note_read,
    .note_write = lmdb_note_write,
    .sizes = lmdb_sizes,
    .free = lmdb_free,
};

/*
 * flock() rather than the locks of fcntl(), which a process loses when it closes any descriptor of
 * the file, and which would let one process open a store twice.
 */
static int open_log(struct lmdb_log *log, char detail[MKV_DETAIL_MAX])
{
    int error = mkv_log_directory_claim(log->directory, &log->lock_fd, detail);

    if (error != 0) {
        return error;
    }

    int rc = open_env(log);

    if (rc != 0) {
        (void)snprintf(detail, MKV_DETAIL_MAX, "cannot open the store in %s: %s", log->directory,
                       mdb_strerror(rc));
        return translate(rc);
    }
    log->last_transaction = last_transaction(log->env);
    return 0;
}

static size_t size_within_limits(uint64_t size)
{
    if (size == 0) {
        return SIZE_DEFAULT;
    }
    if (size < SIZE_MIN) {
        return SIZE_MIN;
    }
    return size > SIZE_MAX / 2 ? round_down(SIZE_MAX / 2) : round_down((size_t)size);
}

int mkv_log_lmdb_open(const char *directory,
                      uint64_t size_max,
                      struct mkv_log **ret_log,
                      char detail[MKV_DETAIL_MAX])
{
    struct lmdb_log *log = mkv_mem_alloc(sizeof(*log));
    size_t name_size = strlen(directory) + 1;
    char *name = mkv_mem_alloc(name_size);

    if (log == NULL || name == NULL) {
        mkv_mem_free(log);
        mkv_mem_free(name);
        (void)snprintf(detail, MKV_DETAIL_MAX, "out of memory");
        return MKV_E_NO_MEMORY;
    }
    memcpy(name, directory, name_size);
    log->log.methods = &lmdb_methods;
    log->directory = name;
    log->lock_fd = -1;
    log->size_max = size_within_limits(size_max);
    log->map_size = SIZE_MIN;

    int error = open_log(log, detail);

    if (error != 0) {
        lmdb_free(&log->log);
        return error;
    }
    *ret_log = &log->log;
    return 0;
}
