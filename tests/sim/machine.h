/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine with a server on it: the real node, on a disk in memory that outlives it, with a clock
 * that may be wrong.
 */
#ifndef MKV_TESTS_SIM_MACHINE_H
#define MKV_TESTS_SIM_MACHINE_H

#include "audit.h"
#include "net.h"
#include "node/server.h"
#include "oracle.h"
#include "store/log_memory.h"
#include "store/store.h"
#include "wire/act.h"

#define MACHINE_LINKS_MAX 64U
#define MACHINE_NAME_MAX  8U
#define MACHINE_ACKS_MAX  16U

struct clock {
    bool trusted;
    bool stuck;
    int64_t stuck_ms;  /* at what it shows */
    int64_t offset_ms; /* from the true time */
};

struct machine_link {
    struct pipe *pipe; /* NULL: the place is free */
    unsigned side;
    uint64_t number;
    uint64_t seq;   /* of the session there; 0: none */
    uint64_t acked; /* last counter acknowledged over it */
};

/* What it acknowledged while something else was not committed yet. */
struct machine_ack {
    uint64_t seq;
    uint64_t first;
    uint64_t last;
};

enum {
    MACHINE_EVICTIONS_MAX = 16 /* of what comes behind, nothing is excused */
};

/* Of a store that it lost. */
struct machine_eviction {
    unsigned key;          /* of the store's entry ... */
    struct known as;       /* ... which was this at least when somebody said that it is done */
    unsigned n_disks_back; /* of the simulation, then */
};

struct machine_backup {
    struct mkv_disk *disk;
    struct record top;
    uint8_t uuid[MKV_STORE_ID_LEN];
    unsigned n_restored;
};

struct machine {
    struct sim *sim;
    unsigned index;
    unsigned host;
    unsigned broker;
    char name[MACHINE_NAME_MAX];
    char address[32];
    char broker_address[32];

    bool exists;  /* it has been started at least once */
    bool gone;    /* it will not come back: evicted, or ended for good */
    bool evicted; /* what it holds alone does not count, until it has heard of that and come back */
    bool stray;   /* let in by such a one, unknown to the others: likewise, until it is inside */
    bool moves;   /* it joins another cluster */
    bool lacks;   /* rows of its disk are lost, and it has not got them from others yet */
    bool damaged; /* rows of its disk were, since it last started */
    bool replaced;  /* what is on its disk was, likewise */
    bool forgetful; /* its disk went back, or its clock: it may stamp twice */
    bool renewed;   /* it lost its disk: what numbers sessions was given is not known there */
    bool accept_restored;
    uint8_t uuid[MKV_STORE_ID_LEN]; /* of the store on its disk */
    unsigned n_lost;                /* stores, of disks that it lost, that are still members */
    uint8_t lost_uuid[MKV_STORE_ID_LEN];
    struct machine_eviction evictions[MACHINE_EVICTIONS_MAX]; /* of all stores that it lost */
    unsigned n_evictions;
    int64_t down_until_ms; /* when it is started again */
    unsigned mute_in;      /* it dies after so many inputs, before it speaks; 0: it does not */
    struct clock clock;

    struct mkv_disk *disk; /* owned */
    struct mkv_store *store;
    struct mkv_server_node *node; /* NULL: it is down */
    uint64_t boots;
    int64_t deadline_ms;
    uint64_t last_link;
    struct machine_link links[MACHINE_LINKS_MAX];
    struct pipe *mqtt;
    bool hears;      /* subscribed */
    bool mqtt_again; /* another attempt is planned */
    bool was_ready;
    bool stayed;     /* that it was then, too */
    bool has_pinged; /* since it has been ready: what it said then holds still */
    struct machine_backup backup;

    /* for the oracle */
    struct machine_ack acks[MACHINE_ACKS_MAX]; /* to be looked into when all is committed */
    unsigned n_acks;
    struct audit audit;
    struct mkv_digest seen;          /* of its whole tree, when last looked at */
    uint64_t commits;                /* of its disk, then */
    struct record last;              /* what it has */
    struct record top;               /* the greatest it ever had on this disk */
    struct record held;              /* ... while it was ready */
    struct record open;              /* the deletions that were seen in the open batch */
    bool set_aside[ORACLE_KEYS_MAX]; /* quarantined in the open batch ... */
    bool parted[ORACLE_KEYS_MAX];    /* ... or deleted, since it began to join */
    struct mkv_ping ping;            /* the last it sent; pointers are not valid ... */
    struct mkv_ping served;          /* ... while it served */
};

void machine_init(struct sim *sim, unsigned index, unsigned broker);
void machine_deinit(struct machine *machine);

/* Nothing if it runs, or is gone.  The disk may not let it start: it is tried again. */
void machine_start(struct sim *sim, struct machine *machine);
/* Ends the process as it stands. */
void machine_kill(struct sim *sim, struct machine *machine, bool silently);
/* Ends it as its operator does. */
void machine_leave(struct sim *sim, struct machine *machine);

/* A new, empty disk, and all that was on the old one is lost; it must be down. */
void machine_lose_disk(struct machine *machine);

/* A backup of the disk as it is, in place of an earlier one; and back to it, if there is one. */
void machine_back_up(struct sim *sim, struct machine *machine);
void machine_restore(struct sim *sim, struct machine *machine);

/* Its store @uuid, or the one it lost, is taken out of the cluster. */
void machine_evicted(struct machine *machine, const uint8_t uuid[MKV_STORE_ID_LEN]);

/* ... and somebody has said that this is done. */
void machine_eviction_done(struct machine *machine, const uint8_t uuid[MKV_STORE_ID_LEN]);

/* To be called at its deadline. */
void machine_wake(struct sim *sim, struct machine *machine);
void machine_arrive(struct sim *sim, struct pipe *pipe, unsigned side, const struct letter *letter);
/* A message from the broker. */
void machine_message(struct sim *sim, struct machine *machine, struct parcel *parcel);

/* To be called after each call of its node. */
void machine_after(struct sim *sim, struct machine *machine);
/* It tries to reach its broker in @ms. */
void machine_connect(struct sim *sim, struct machine *machine, int64_t ms);

bool machine_ready(const struct machine *machine);
struct mkv_now machine_now(const struct sim *sim, const struct machine *machine);

#endif
