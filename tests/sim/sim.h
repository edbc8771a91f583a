/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cluster in one process and in virtual time: real servers and real clients, with models of the
 * brokers, of the net, of disks and of clocks between them.  One seed is one run, always.
 *
 *     storm: the steps of the plan, and messages go astray
 *     heal:  all faults end; within so many pings all servers must be equal
 *     check: what must hold then, and that it stays so
 */
#ifndef MKV_TESTS_SIM_SIM_H
#define MKV_TESTS_SIM_SIM_H

#include "boss.h"
#include "broker.h"
#include "check.h"
#include "machine.h"
#include "net.h"
#include "oracle.h"
#include "plan.h"
#include "queue.h"
#include "reach.h"
#include "rude.h"
#include "trace.h"
#include "user.h"

#define SIM_BROKERS_MAX  3U
#define SIM_MACHINES_MAX 5U
#define SIM_USERS_MAX    5U
#define SIM_RUDES_MAX    2U
#define SIM_BRIDGES_MAX  4U
#define SIM_ROOT         "moat/main"

extern const struct mkv_bytes sim_root;

struct sim_options {
    uint64_t seed;
    bool trace;
    bool allowed[FAULTS_N];
    enum mkv_rule rule_off; /* MKV_RULES_N: all are on */
    bool plants;            /* commits are lost, which must be noticed */
    unsigned n_machines;    /* at most; 0: as drawn */
    const bool *skipped;    /* NULL, or one for each step: leave it out */
};

struct sim_result {
    bool failed;
    char what[16]; /* which invariant */
    char text[400];
    uint64_t trace;
    uint64_t n_events;
    int64_t virtual_ms;
    int64_t equal_ms; /* how long after the storm all were equal */
    struct reached reached;
    struct fault_rates rates;
    struct plan plan;
};

struct sim {
    struct sim_options options;
    struct sim_result result;
    struct prng prng;
    struct fault_rates rates;
    struct plan plan;
    struct mkv_cluster_times times;
    struct broker_limits limits;

    int64_t now_ms;
    struct queue queue;
    struct net net;
    struct oracle oracle;
    struct reached reach;
    struct sessions sessions;
    bool raging; /* the storm is on */
    unsigned
        n_upsets; /* evictions, disks lost, put back or damaged, servers that change their cluster */
    bool healed;  /* a difference below the floor was mended, maybe by what had been deleted */
    unsigned n_disks_back; /* disks lost, put back or damaged */
    unsigned n_astray;
    uint64_t n_published; /* updates */

    unsigned n_hosts;
    unsigned n_brokers;
    unsigned n_machines;
    unsigned n_users;
    unsigned n_rudes;
    unsigned n_bridges;
    struct broker brokers[SIM_BROKERS_MAX];
    struct bridge bridges[SIM_BRIDGES_MAX];
    struct machine machines[SIM_MACHINES_MAX];
    struct user users[SIM_USERS_MAX];
    struct rude rudes[SIM_RUDES_MAX];
    struct boss boss;
};

/* Runs one seed from beginning to end. */
void sim_run(const struct sim_options *options, struct sim_result *ret_result);

/* The first failure counts; @what is the name of the invariant. */
void sim_fail(struct sim *sim, const char *what, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A line of the story, if it is told. */
void sim_trace(const struct sim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Milliseconds since 2020. */
int64_t sim_true_ms(const struct sim *sim);

/* Whether clocks do, in this run. */
bool sim_clocks_fail(const struct sim *sim);

/* Whether a disk has been lost or restored so far. */
bool sim_disks_went_back(const struct sim *sim);

/* Runs until @end_ms, or until something failed. */
void sim_run_until(struct sim *sim, int64_t end_ms);

/* A letter arrives at end @side; or a copy that went astray at whoever has that end now. */
void sim_arrive(struct sim *sim, struct pipe *pipe, unsigned side, const struct letter *letter);
void sim_astray(struct sim *sim,
                const struct pipe *pipe,
                unsigned side,
                const struct letter *letter);

/* @parcel is published at broker @broker in @ms. */
void sim_publish_later(struct sim *sim, unsigned broker, struct parcel *parcel, int64_t ms);

/* Who has this address; NULL: nobody. */
const struct machine *sim_machine_at(const struct sim *sim, struct mkv_bytes address);
unsigned sim_broker_at(struct sim *sim, struct mkv_bytes address);

#endif
