/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One open read or list request: where it stands, and the next page of it.
 *
 * A request holds no transaction and no pointer into the store between pages, only the key or the
 * position it has come to; so it may stay open for days, while the tree changes under it.
 */
#ifndef MKV_CORE_REQUEST_H
#define MKV_CORE_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "core/effect.h"
#include "core/grants.h"
#include "core/store.h"
#include "wire/frame.h"
#include "wire/row.h"

/* Per turn, so that nobody waits long for anybody. */
#define MKV_REQUEST_ROWS_LOOKED_AT  4096U
#define MKV_REQUEST_BYTES_LOOKED_AT (4U << 20) /* of values, sent or not: each is checked */

enum mkv_request_kind {
    MKV_REQUEST_TREE,      /* read: in the order of keys */
    MKV_REQUEST_CHANGES,   /* read with a place: in the order of writing */
    MKV_REQUEST_RANGES,    /* fetch: in the order of keys, those that lie in some ranges */
    MKV_REQUEST_CHILDREN,  /* list */
    MKV_REQUEST_CONFLICTS, /* conflicts: its turns are in core/server_conflicts.c */
    MKV_REQUEST_SERVERS,   /* servers: in core/servers.c */
};

struct mkv_request {
    uint64_t id;
    enum mkv_request_kind kind;
    struct mkv_buf path;   /* owned: the key asked for */
    struct mkv_buf cursor; /* owned: TREE, CHILDREN: the last key dealt with; SERVERS: uuid */
    struct mkv_buf ranges; /* owned: RANGES: those asked for, as they came */
    uint64_t n_ranges;     /* RANGES: how many of them have been dealt with */
    bool strict;           /* a row that is damaged is not left out, but ends it */
    bool started;          /* the cursor holds something */
    bool behind;           /* TREE: what lies below the cursor has been dealt with, too */
    uint64_t position;     /* CHANGES: the last position dealt with */
    uint64_t stamp;        /* CONFLICTS: of the last one dealt with */
    bool follow;           /* CONFLICTS: goes on with those that come */
    bool caught_up;        /* ... and has told that it has come to the present */
    bool idle;             /* ... and waits for news */
    uint32_t depth_min;    /* elements of a key, counted from the root */
    uint32_t depth_max;
    uint32_t flags;         /* MKV_READ_... */
    uint32_t credit;        /* pages that may still be sent */
    uint64_t n_rows;        /* sent */
    size_t looked_at;       /* bytes of values, in this turn */
    struct mkv_place place; /* where the log stood when it began */
    struct mkv_place sent;  /* CHANGES: up to where rows have been written to pages */
    struct mkv_row_writer rows;
};

/*
 * From a read, list, fetch, conflicts or servers frame.  STALE if its place cannot be honoured,
 * BAD_PATH and the like, NO_MEMORY.
 */
int mkv_request_open(struct mkv_store *store,
                     const struct mkv_frame *frame,
                     struct mkv_request **ret_request) MKV_MUST_CHECK;
void mkv_request_free(struct mkv_request *request);

enum mkv_request_state {
    MKV_REQUEST_MORE,    /* has credit and more to do: call again soon */
    MKV_REQUEST_WAITING, /* for credit */
    MKV_REQUEST_DONE,    /* the end has been sent */
};

/*
 * Sends at most one page over @link, of what @asker may see.  CORRUPT: there is a damaged row, and it cannot be left out,
 * see @strict.  Errors of the store, NO_MEMORY.
 */
int mkv_request_turn(struct mkv_request *request,
                     const struct mkv_asker *asker,
                     struct mkv_store *store,
                     struct mkv_effects *effects,
                     uint64_t link,
                     enum mkv_request_state *ret_state) MKV_MUST_CHECK;

#endif
