/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold (the invariants I1 to I18), as far as oracle.h does not see it already.
 *
 * What is excused, and why:
 *
 *     I2   values that are set aside: they are in the quarantine file.  Servers' own entries at one that
 *          joins: it lets those say who the members are whom it joins.
 *     I4,  what a server held: on a disk that is lost, restored or damaged since (the others still have
 *     I5   to have what they held); since it is evicted, until it has heard of that and come back; if it
 *          joins another cluster, or has lost rows, what it sets aside meanwhile, and deletions; all, if
 *          another restored one is told to start instead.  What a disk that went back brought, if it had
 *          been deleted before.  Of one that nobody knows but who let it in, evicted and unaware: until
 *          the others count it, and it has their floor; and what such servers alone accepted, up to the
 *          floor of those inside: one with a lesser floor takes it, and gives it up for that floor.
 *     ACK  of counters that were refused or void; after rows were lost, of what it then lacked.
 *     I6   among servers that do not count the same members: a floor waits for those it counts.  After
 *          several upsets for a while, until servers mend it; what that brings back had been deleted (I4).
 *     I7   the floor of a store that has lost rows starts again, and of one that is let in anew by one
 *          that was put back to below it; of a lost or restored disk, all does.
 *     I9   a server on a new disk, if clocks fail: only the clock tells it what numbers were given.
 *     I11  dots that several have written under, be it with other ticks alone: nobody can tell who knew of
 *          which.
 *     I15  deletions that all have forgotten, when an older state comes back with a disk.
 *     I35  while a store is a member that nobody will ever start again; also if all that knew of its
 *          eviction was on a disk that went back or was damaged: of any store that a machine has lost.
 *     STAMP  a server whose disk went back.
 */
#ifndef MKV_TESTS_SIM_CHECK_H
#define MKV_TESTS_SIM_CHECK_H

#include "machine.h"

/* To whom each session was given. */
struct session_given {
    unsigned machine;
    uint64_t seq;
    unsigned host;
    uint64_t life;
};

struct sessions {
    struct session_given *at; /* owned */
    size_t n;
    size_t cap;
};

/* A session number is never given to two clients (I9). */
void check_session(struct sim *sim,
                   const struct machine *machine,
                   const struct pipe *pipe,
                   const struct mkv_frame *frame);

/* What a server says of itself only grows, and floor <= horizon <= tock (I7); and the frozen prefix
 * is the same everywhere (I6). */
void check_ping(struct sim *sim, struct machine *machine, const struct mkv_ping *ping);

/* @machine lets @joiner in. */
void check_vouched(struct sim *sim,
                   const struct machine *machine,
                   struct machine *joiner,
                   const struct mkv_frame_vouched *vouched);

/* Whether several upsets have struck the list of members: then they may differ below the floor for a while. */
bool check_may_differ(const struct sim *sim);

/* A server finds that it lacks what lies below the floor of all: one fault alone never brings that. */
void check_heal(struct sim *sim, const struct machine *machine);

/* Whether all that should be there are, equal, and members to each other. */
bool check_equal(struct sim *sim);

/* Whether all users have what they waited for, and their watches show what there is. */
bool check_users(struct sim *sim, bool complain);

/* The store @uuid, which the machine lost, has been taken out of the cluster. */
void check_evicted(struct sim *sim, struct machine *machine, const uint8_t uuid[MKV_STORE_ID_LEN]);

/* Whether all who are members are there, so that no deletion must be remembered. */
bool check_members(const struct sim *sim);
void check_forgotten(struct sim *sim);
uint64_t check_commits(const struct sim *sim); /* on all disks */

/* In the end: equal to the byte, nothing lost, nothing come back. */
void check_end(struct sim *sim);

/* Says who differs from whom, for the failure. */
void check_explain(struct sim *sim, char *text, size_t size);

void sessions_deinit(struct sessions *sessions);

#endif
