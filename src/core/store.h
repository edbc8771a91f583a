/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The port to the disk: what the core needs of a store.  Bodies: src/store.
 *
 * A log of rows by position (one live row per path) with the tree in memory as its index, and a
 * small table of meta rows (own counters, streams, checkpoints).  All of it changes in one
 * transaction: the first write opens it, mkv_store_commit() puts it on disk and returns only when
 * it is there, mkv_store_abort() undoes it, tree included.
 *
 * Reads see what has been written in the open transaction.  One thread.
 */
#ifndef MKV_CORE_STORE_H
#define MKV_CORE_STORE_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "core/tree.h"
#include "wire/frame.h"
#include "wire/update.h"

/* Older boots are forgotten: places in them cannot be honoured any more. */
#define MKV_BOOTS_MAX 64U

/* What one transaction may hold; the put that goes beyond is TOO_LARGE. */
#define MKV_STORE_BATCH_ROWS  16384U
#define MKV_STORE_BATCH_BYTES (32U << 20)

/* The longest value of a meta row: that of an entry, and what is to be known about it. */
#define MKV_STORE_META_MAX (MKV_VALUE_MAX + 65536U)

struct mkv_store;

/* The index; read it, never change it. */
const struct mkv_tree *mkv_store_tree(const struct mkv_store *store);

/* 16 bytes, made at random when the store was; they never change. */
const uint8_t *mkv_store_id(const struct mkv_store *store);

/* Of the index: 16 bytes, which are the same for all servers of a cluster. */
const uint8_t *mkv_store_digest_key(const struct mkv_store *store);

/*
 * Writes the row of an update that has a tock: it becomes the path's entry, whatever was there
 * (the core has decided).  @head is the update's.  All of it may be borrowed from this store.
 *
 * NO_MEMORY, TOO_LARGE, IO, DISK_FULL, MAP_FULL: the transaction is then broken.  All of it has
 * been undone, reads show the state before it, and until it is aborted every further write and
 * the commit return the same error.  The same holds for all else that writes.
 */
int mkv_store_put(struct mkv_store *store,
                  struct mkv_bytes key,
                  const struct mkv_head *head,
                  const struct mkv_update *update) MKV_MUST_CHECK;

/*
 * From now on the path has no entry, not even a tombstone; without one, nothing happens.  It takes
 * a row of its own, but no scan tells of it: so it ends the validity of all places whose owners may
 * hold a value there.  These are the places before a tombstone that is removed; and if the entry is
 * live, all there are.
 */
int mkv_store_remove(struct mkv_store *store, struct mkv_bytes key) MKV_MUST_CHECK;

/*
 * Reads the row at @position, as found in the tree or by mkv_store_scan().  Everything returned is
 * borrowed from the store and valid until its next write, commit, abort or read.  NOT_FOUND,
 * CORRUPT (the checksum is wrong), IO.
 */
int mkv_store_row(struct mkv_store *store,
                  uint64_t position,
                  struct mkv_bytes *ret_key,
                  struct mkv_update *ret_update) MKV_MUST_CHECK;

/* The position of the first *live* row behind @position; 0 if there is none. */
int mkv_store_scan(struct mkv_store *store,
                   uint64_t position,
                   uint64_t *ret_position) MKV_MUST_CHECK;

/* Where the log stands now: the nonce of this boot and the last position written. */
struct mkv_place mkv_store_place(const struct mkv_store *store);

/*
 * The place in this log that has a position not beyond the present one, for whoever has got all up
 * to there.  It is valid, unless it lies before all boots that are remembered, or a removal.
 */
struct mkv_place mkv_store_place_at(const struct mkv_store *store, uint64_t position);

/*
 * Whether everything that has changed since @place can still be told by a scan from its position:
 * if not, only reading everything helps.
 */
bool mkv_store_place_valid(const struct mkv_store *store, struct mkv_place place);

/*
 * Whether @place was ever one of this store, as far as it remembers; if not, the store is a copy of
 * an earlier state.
 */
bool mkv_store_place_known(const struct mkv_store *store, struct mkv_place place);

/*
 * Meta rows: keys of 1..200 bytes, values of up to MKV_STORE_META_MAX bytes; an empty value is a
 * row like any other.  Get appends to @value: NOT_FOUND, TOO_LARGE, NO_MEMORY, CORRUPT, IO.  Put
 * adds or replaces.  To delete a row that is not there is no error.  Next finds the first key
 * greater than @key that begins with @prefix (borrowed, valid as for mkv_store_row()): NOT_FOUND at
 * the end, TOO_LARGE, IO.
 */
int mkv_store_meta_get(struct mkv_store *store,
                       struct mkv_bytes key,
                       struct mkv_buf *value) MKV_MUST_CHECK;
int mkv_store_meta_put(struct mkv_store *store,
                       struct mkv_bytes key,
                       struct mkv_bytes value) MKV_MUST_CHECK;
int mkv_store_meta_delete(struct mkv_store *store, struct mkv_bytes key) MKV_MUST_CHECK;
int mkv_store_meta_next(struct mkv_store *store,
                        struct mkv_bytes prefix,
                        struct mkv_bytes key,
                        struct mkv_bytes *ret_key) MKV_MUST_CHECK;

/*
 * Secrets: by a user's name, what the server knows of the password.  They are in the same
 * transactions as all else, but apart from it: in no scan, no digest, no meta row.  Names have 1..64
 * bytes, values up to MKV_STORE_SECRET_MAX; all else as for meta rows.
 */
#define MKV_STORE_SECRET_NAME_MAX 64U
#define MKV_STORE_SECRET_MAX      1024U

int mkv_store_secret_get(struct mkv_store *store,
                         struct mkv_bytes name,
                         struct mkv_buf *value) MKV_MUST_CHECK;
int mkv_store_secret_put(struct mkv_store *store,
                         struct mkv_bytes name,
                         struct mkv_bytes value) MKV_MUST_CHECK;
int mkv_store_secret_delete(struct mkv_store *store, struct mkv_bytes name) MKV_MUST_CHECK;
int mkv_store_secret_next(struct mkv_store *store,
                          struct mkv_bytes after,
                          struct mkv_bytes *ret_name) MKV_MUST_CHECK;

/*
 * Whether this store is an older state of itself, as opening it tells (store/store.h), or others
 * have found out: then each opening tells it again, until it is marked as not restored: when others
 * have given it what they hold, or somebody has said that it shall do without.  The same then goes
 * for rows that were lost: whether there are any, which nobody has made up for.
 */
bool mkv_store_lost(const struct mkv_store *store);
int mkv_store_mark_restored(struct mkv_store *store, bool restored) MKV_MUST_CHECK;

/* Whether a transaction is open. */
bool mkv_store_dirty(const struct mkv_store *store);

/*
 * Puts the open transaction on disk (fdatasync included).  On error it has been aborted, and
 * nothing of it is visible any more: IO, DISK_FULL, MAP_FULL, NO_MEMORY.  Nothing open: 0.
 */
int mkv_store_commit(struct mkv_store *store) MKV_MUST_CHECK;
void mkv_store_abort(struct mkv_store *store);

/*
 * Deletes a bounded batch of dead rows if there are enough of them (a third of all, 1,000 at least)
 * or if the last write failed for lack of space, in a transaction of its own; call it when there is
 * time.  *ret_more: call again.  BAD_STATE if a transaction is open, else errors as of the commit;
 * then nothing has changed.
 */
int mkv_store_tidy(struct mkv_store *store, bool *ret_more) MKV_MUST_CHECK;

/* Bytes in use in the file and on the disk, rows live and dead; for status. */
struct mkv_store_stats {
    uint64_t bytes_used;
    uint64_t bytes_max;
    uint64_t n_rows;
    uint64_t n_dead;
};
void mkv_store_stats(const struct mkv_store *store, struct mkv_store_stats *ret_stats);

#endif
