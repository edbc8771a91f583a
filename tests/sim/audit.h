/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a machine's store must keep to, looked at from outside:
 *
 *     I8   there is one row of each path, and it is the one in the index; whoever has read up to a
 *          place that is still valid finds all that has changed since behind it
 *     I16  a store that is opened again holds what was committed last, no less and no more
 */
#ifndef MKV_TESTS_SIM_AUDIT_H
#define MKV_TESTS_SIM_AUDIT_H

#include "oracle.h"
#include "store/log_memory.h"
#include "store/store.h"

/* Somebody has read all up to here. */
struct audit_mark {
    bool has;
    struct mkv_place place;
    struct record then;
};

struct audit {
    struct audit_mark mark;
    bool is_whole;           /* when it ended, all that was committed had been looked at */
    struct mkv_disk *latest; /* owned; of a plant: see below */
    struct mkv_disk *before; /* owned */
};

/* I8, with the last mark; and then another one is set.  To be called when nothing is uncommitted. */
void audit_feed(struct sim *sim, struct machine *machine);

/* Its process ends, or its disk is another one. */
void audit_ends(struct machine *machine);

/* I16; its store has been opened on the disk on which it ended. */
void audit_starts(struct sim *sim, const struct machine *machine);

/*
 * A plant, to prove that I16 would be noticed: the last commit does not survive the end of a
 * process.  To be called when something may have been committed, and when it ends.
 */
void audit_plant_commit(struct machine *machine);
void audit_plant_end(struct machine *machine);

void audit_deinit(struct audit *audit);

#endif
