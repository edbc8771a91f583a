/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record of conflicts: what was lost to updates that did not know of it.
 *
 *     store:  "x" number -> a conflict with the losing value       "y" number -> its `more`
 *     memory: of each the id, path, order and size; never a value
 *
 * It changes in the transaction of the data, so that what was lost is lost nowhere.  A conflict is
 * named by its loser: an update loses once, whoever is found to have overwritten it, in whatever
 * order and by whichever server.
 *
 * Nothing that writers or peers do makes it grow without end: there are limits for the number and
 * size of what is kept, for each path, and for how fast it changes.  What is beyond them is
 * counted.  Both classes have limits of their own, so that the merely possible conflicts, of which
 * a server that was away finds many, do not drive out the certain ones.
 */
#ifndef MKV_CORE_CONFLICTS_H
#define MKV_CORE_CONFLICTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/map.h"
#include "core/bucket.h"
#include "core/store.h"
#include "wire/conflict.h"

#define MKV_CONFLICTS_OF_PATH 8U /* kept of one path; one more: the oldest of them goes */

/* Of one class. */
struct mkv_conflict_limits {
    uint32_t n_max;                 /* kept; one more: the oldest goes */
    size_t bytes_max;               /* the same, 1.2 MB or more */
    struct mkv_bucket_limits rows;  /* how many may be added ... */
    struct mkv_bucket_limits bytes; /* ... and how large */
};

/* One conflict that is kept. */
struct mkv_conflict_kept {
    struct mkv_conflict_kept *before; /* of its class, by stamp */
    struct mkv_conflict_kept *behind;
    struct mkv_conflict_path *path; /* NULL: the row cannot be read; it only waits to go */
    uint64_t id;
    uint64_t seq;    /* of the loser's session, at whichever server */
    uint64_t number; /* its key in the store */
    uint64_t stamp;  /* grows when there is news of it */
    uint64_t more;   /* conflicts of its path since then that were only counted */
    uint64_t more_stored;
    size_t size;
    uint32_t class_;
};

struct mkv_conflict_path {
    struct mkv_bytes key; /* lies behind this struct */
    uint64_t hash;
    int64_t kept_ms;                                       /* when one was last kept */
    uint32_t n;                                            /* 1 or more, but while one is added */
    struct mkv_conflict_kept *kept[MKV_CONFLICTS_OF_PATH]; /* oldest first */
};

struct mkv_conflict_shelf {
    const struct mkv_conflict_limits *limits;
    struct mkv_conflict_kept *first;
    struct mkv_conflict_kept *last;
    uint32_t n;
    size_t bytes;
    struct mkv_bucket rows_used;
    struct mkv_bucket bytes_used;
};

/* `= {0}` may be loaded and deinitialised. */
struct mkv_conflicts {
    struct mkv_conflict_shelf shelves[MKV_CONFLICT_CLASSES];
    struct mkv_map by_id;   /* the readable ones; owned */
    struct mkv_map by_path; /* hash -> path; owned */
    struct mkv_buf scratch;
    uint64_t number;    /* the last one given */
    uint64_t stamp;     /* likewise */
    uint64_t n_damaged; /* rows that could not be read when it was loaded */
    bool unsaid;        /* some `more` is greater than the one stored */
};

/* What a server allows, by class. */
extern const struct mkv_conflict_limits mkv_conflict_limits_default[MKV_CONFLICT_CLASSES];

/*
 * Takes it to what the store holds, at the start and when a transaction was undone.  @limits
 * outlives it.  Rows that cannot be read are counted, and go when room is needed.  Errors of the
 * store; then, too, it may only be loaded again or deinitialised.
 */
int mkv_conflicts_load(struct mkv_conflicts *conflicts,
                       const struct mkv_conflict_limits limits[MKV_CONFLICT_CLASSES],
                       struct mkv_store *store) MKV_MUST_CHECK;
void mkv_conflicts_deinit(struct mkv_conflicts *conflicts);

bool mkv_conflicts_know(const struct mkv_conflicts *conflicts, uint64_t id);
uint64_t mkv_conflicts_n(const struct mkv_conflicts *conflicts);

/* Where a conflict ended up. */
enum mkv_conflict_verdict {
    MKV_CONFLICT_KEPT,
    MKV_CONFLICT_COUNTED, /* with another of its path */
    MKV_CONFLICT_BEYOND,  /* nowhere */
};

/*
 * Adds one that is not known; @key is the key of its path, its `more` is not looked at.  Of one
 * path one a second is kept.  Errors of the store: the transaction is to be undone.
 */
int mkv_conflicts_add(struct mkv_conflicts *conflicts,
                      struct mkv_store *store,
                      int64_t now_ms,
                      struct mkv_bytes key,
                      const struct mkv_conflict_row *row,
                      enum mkv_conflict_verdict *ret_verdict) MKV_MUST_CHECK;

/* Stores what was counted since, of so many of them at most; `unsaid` then says whether there are more. */
int mkv_conflicts_say(struct mkv_conflicts *conflicts,
                      struct mkv_store *store,
                      uint32_t n_max) MKV_MUST_CHECK;

/* Goes through those with a greater stamp, in its order.  The record must not change meanwhile. */
struct mkv_conflicts_walk {
    const struct mkv_conflict_kept *next[MKV_CONFLICT_CLASSES];
};
void mkv_conflicts_walk_init(struct mkv_conflicts_walk *walk,
                             const struct mkv_conflicts *conflicts,
                             uint64_t stamp);
const struct mkv_conflict_kept *mkv_conflicts_walk_next(struct mkv_conflicts_walk *walk);

/*
 * Reads one of them; it borrows from @space, which is cleared first.  CORRUPT and the like if the
 * row is damaged, errors of the store.
 */
int mkv_conflicts_read(const struct mkv_conflict_kept *kept,
                       struct mkv_store *store,
                       struct mkv_buf *space,
                       struct mkv_conflict_row *ret_row) MKV_MUST_CHECK;

#endif
