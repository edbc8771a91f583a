/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a store, shared by what opens one (open.c) and what works in it (store.c,
 * named.c).
 */
#ifndef MKV_STORE_INNER_H
#define MKV_STORE_INNER_H

#include "core/store.h"
#include "store/boots.h"
#include "store/dead.h"
#include "store/format.h"
#include "store/generation.h"
#include "store/log.h"
#include "store/store.h"

enum mkv_store_state {
    MKV_STORE_IDLE,
    MKV_STORE_OPEN,   /* something has been written and not yet committed */
    MKV_STORE_BROKEN, /* a write failed; all of the transaction has been undone already */
};

/* The corrupt rows that opening found: how many, and a hash of their positions. */
struct mkv_corrupt {
    uint64_t n;
    uint64_t hash;
};

/* What removals have left: places before @until are not valid; the last one was written at @last. */
struct mkv_forgotten {
    uint64_t until;
    uint64_t last;
};

/*
 * Invariants: the tree holds, of each path, the readable row with the highest position, open
 * transaction included, unless that says that the path is gone; @dead holds the positions of all
 * others that were committed.  Without an open transaction there are no changes.
 *
 * Dead rows are deleted lowest first, so that a row that says "gone" never goes before an older one
 * of its path.  But a row that cannot be read now is not deleted, and might be readable again some
 * day: while there are such rows, those that say "gone" stay, too.
 */
struct mkv_store {
    struct mkv_log *log; /* owned */
    struct mkv_tree tree;
    struct mkv_dead dead;
    struct mkv_boots boots;
    struct mkv_corrupt corrupt;
    struct mkv_generation generation;
    bool lineage_unsaved; /* boots, corrupt and generation: they go with the next transaction */
    struct mkv_forgotten forgotten;
    struct mkv_forgotten forgotten_saved; /* as of the last commit */
    uint8_t id[MKV_STORE_ID_LEN];
    uint64_t position; /* of the last row written; 0: none was, ever */
    uint64_t n_rows;   /* in the log: live, dead and corrupt */

    enum mkv_store_state state;
    int broken_by;                   /* of a broken transaction: the error */
    bool log_open;                   /* the log's transaction has begun */
    size_t n_bytes;                  /* written by the open transaction */
    struct mkv_tree_change *changes; /* owned; of the open transaction, in order: one a row */
    size_t n_changes;
    size_t changes_cap;
    struct mkv_buf scratch; /* the row that is being written */

    bool pressed; /* a write failed for lack of space: next time tidy whatever there is */
    bool tidying; /* enough rows were dead: go on until few are */
};

/* Begins the log's transaction and saves the lineage in it if need be.  Errors of the log. */
int mkv_store_begin_log(struct mkv_store *store, enum mkv_log_purpose purpose) MKV_MUST_CHECK;

/* Writes boots, corrupt, forgotten and generation in the log's open transaction.  Errors of the log. */
int mkv_store_save_lineage(struct mkv_store *store) MKV_MUST_CHECK;

/* The same for what has been forgotten alone. */
int mkv_store_save_forgotten(struct mkv_store *store) MKV_MUST_CHECK;

/* Commits the log's open transaction; either way none is open then.  Errors of the log. */
int mkv_store_commit_log(struct mkv_store *store) MKV_MUST_CHECK;

/* Undoes the open transaction after @error, which it returns; nothing more is written until it is aborted. */
int mkv_store_break(struct mkv_store *store, int error);

/* Counts @n_bytes towards the open transaction, and opens the log's on the first of them. */
int mkv_store_open_transaction(struct mkv_store *store, size_t n_bytes) MKV_MUST_CHECK;

/* Writes the note beside the log if it is due; it never matters for long whether that went well. */
void mkv_store_note(struct mkv_store *store, bool end);

/* What opening needs to know, beside the log. */
struct mkv_opening {
    const char *where; /* in words for people: the directory */
    const struct mkv_format *format;
    const struct mkv_store_options *options;
    char *detail; /* of MKV_DETAIL_MAX bytes */
};

/* As mkv_store_open(), on a log that is open.  The log is taken over, also on an error. */
int mkv_store_open_log(struct mkv_log *log,
                       const struct mkv_opening *opening,
                       struct mkv_store **ret_store,
                       struct mkv_store_report *ret_report) MKV_MUST_CHECK;

#endif
