/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many writes in flight: to bring a subtree to what a file says, or to delete one.
 *
 *     init -> begin (reads what is there) -> put, put ... -> drop_rest? -> finish (waits for all)
 *
 * What is equal already is not written, so a run that was interrupted can simply be repeated.  Each
 * write names what it replaces, so nothing of this is a conflict unless somebody else writes
 * meanwhile.
 */
#ifndef MKV_CLI_WRITES_H
#define MKV_CLI_WRITES_H

#include "base/bytes.h"
#include "base/error.h"
#include "cli/cli.h"
#include "cli/known.h"
#include "cli/place.h"

struct mkv_writes {
    struct mkv_cli *cli; /* borrowed */
    bool dry_run;        /* only counts */
    bool only_missing;   /* what is there stays as it is */
    uint64_t n_planned;  /* for the progress that is shown; 0: not known */
    uint64_t n_written;  /* acknowledged; in a dry run: would be written */
    uint64_t n_deleted;  /* as above */
    uint64_t n_unchanged;
    uint64_t n_refused;
    uint64_t n_started;
    uint64_t n_flying; /* neither acknowledged nor refused */
    bool one_ended;    /* one of these has since one was waited for */
    int refusal;       /* the first one */
    int64_t shown_ms;  /* when progress was last shown */
    struct mkv_known known;
};

void mkv_writes_init(struct mkv_writes *writes, struct mkv_cli *cli);
/* No write is in flight, or the session is closed. */
void mkv_writes_deinit(struct mkv_writes *writes);

/* Reads what is at and below @place. */
enum mkv_exit mkv_writes_begin(struct mkv_writes *writes,
                               const struct mkv_place *place) MKV_MUST_CHECK;

/*
 * Writes the entry unless it is there, and waits if too many are in flight.  After a failure the
 * session is closed.
 */
enum mkv_exit mkv_writes_put(struct mkv_writes *writes,
                             const struct mkv_place *place,
                             struct mkv_bytes value) MKV_MUST_CHECK;

/* Deletes what was there and was not put. */
enum mkv_exit mkv_writes_drop_rest(struct mkv_writes *writes) MKV_MUST_CHECK;

/* Waits until all are acknowledged; tells of refusals and conflicts. */
enum mkv_exit mkv_writes_finish(struct mkv_writes *writes) MKV_MUST_CHECK;

/*
 * What has been done, on standard output: also after @status says that the work was cut short, then
 * with a word about what to do.
 */
void mkv_writes_report(const struct mkv_writes *writes, enum mkv_exit status);

#endif
