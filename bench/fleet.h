/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fleet in virtual time: whole server nodes on disks in memory, whole client nodes, a broker that
 * delivers everything at once and in order, and links.  What passes is counted; so the figures
 * depend on nothing but the programs.
 *
 * A bench has one fleet; whatever goes wrong ends it with a message.
 */
#ifndef FLEET_H
#define FLEET_H

#include <stdbool.h>
#include <stdint.h>

#include "node/client.h"
#include "node/server.h"
#include "store/store.h"

#define FLEET_SERVERS_MAX 1024U
#define FLEET_USERS_MAX   65536U

struct fleet_machine {
    char name[16];
    char address[24];
    struct mkv_store *store;      /* owned */
    struct mkv_server_node *node; /* owned; NULL: not started */
    struct fleet_end *ends;       /* owned: who is at the other end of each accepted link, from 1 */
    uint64_t n_accepted;
    uint64_t out_link;  /* the link that it has dialled, 0: none ... */
    unsigned out_to;    /* ... to this machine ... */
    uint64_t out_there; /* ... which knows it under this number */
};

/* What has passed since fleet_reset_counts(). */
struct fleet_counts {
    uint64_t published; /* messages to the broker */
    uint64_t published_bytes;
    uint64_t delivered; /* messages from the broker */
    uint64_t delivered_bytes;
    uint64_t frames; /* on links */
    uint64_t link_bytes;
    uint64_t written; /* by users: done with status 0 */
    uint64_t failed;  /* likewise, with another one */
    uint64_t told;    /* changes and state that watchers were told */
};

extern struct fleet_machine fleet_machines[FLEET_SERVERS_MAX];
extern unsigned fleet_n_machines;
extern unsigned fleet_n_users;
extern struct fleet_counts fleet_counts;
extern struct mkv_now fleet_now;

/* Ends the program with @what and the error's text, unless it is 0. */
void fleet_check(int error, const char *what);

/* A machine with an empty store, not started; returns its index. */
unsigned fleet_add_machine(void);
void fleet_start(unsigned machine);
bool fleet_all_ready(void);
bool fleet_equal(unsigned a, unsigned b);

/* A client of @machine, which watches everything if @watches; returns its index. */
unsigned fleet_add_user(unsigned machine, bool watches);
/* Begins to set the entry at @key to @value. */
void fleet_write(unsigned user, struct mkv_bytes key, struct mkv_bytes value);

/* Lets this much time pass. */
void fleet_run(int64_t ms);

void fleet_reset_counts(void);
/* CPU time of this process, in seconds. */
double fleet_cpu_s(void);

#endif
