/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients, the server of harness.h, and a net between them that loses, repeats, delays and cuts;
 * in virtual time, from a seed.  What leaves one node arrives at another as bytes.
 *
 * Links are streams: they deliver in order or are cut.  The broker delivers at its whim.
 */
#ifndef MKV_TESTS_NODE_NET_H
#define MKV_TESTS_NODE_NET_H

#include "harness.h"
#include "lib/prng.h"
#include "node/client.h"

#define NET_CLIENTS_MAX 4U
#define NET_FILTERS_MAX 16U

struct mail;

struct net_client {
    struct mkv_client_node node;
    bool exists;
    uint32_t uid;         /* 0: our own user; else of another one; outlives net_client_start() */
    uint64_t link;        /* the present one; 0: none */
    int64_t to_server_ms; /* when the last frame on its way arrives */
    int64_t to_client_ms;
    uint64_t mqtt; /* the present connection, a number that never comes again; 0: none */
    bool mqtt_up;
    bool mqtt_finding; /* it was made with other credentials than a session's */
    unsigned n_filters;
    struct mkv_buf filters[NET_FILTERS_MAX];
    unsigned n_connects; /* how often the link was dialled */
    unsigned n_published;
};

/* What the application of client @i is told; the output is borrowed. */
typedef void net_told_fn(void *context, unsigned i, const struct mkv_client_output *output);

struct net {
    struct world world;
    struct prng prng;
    struct net_client clients[NET_CLIENTS_MAX];
    struct mail *messages; /* in the order of arrival */
    uint64_t last_number;
    uint64_t links; /* last number given */
    net_told_fn *told;
    void *context;

    bool server_up;
    bool broker_up;
    bool server_hears; /* the server's own connection to the broker */
    unsigned loss;     /* of 1000 deliveries by the broker */
    unsigned repeats;
    int64_t delay_max_ms;
    unsigned no_memory; /* of 1000 calls of a client, one allocation in which fails */
    unsigned n_struck;  /* that did */
};

void net_init(struct net *net, uint64_t seed, net_told_fn *told, void *context);
void net_deinit(struct net *net);

/* Adds client @i: addresses separated by commas, "" for none; a broker, or "". */
void net_client_start(struct net *net, unsigned i, const char *servers, const char *broker);
/* Ends it with a goodbye; the end of its operations is told. */
void net_client_stop(struct net *net, unsigned i);

/* To be called around what a test does with a client itself. */
void net_enter_client(struct net *net);
void net_leave_client(struct net *net);

/* Takes what the nodes have to say. */
void net_listen(struct net *net);
/* Moves the time on by @ms. */
void net_wait(struct net *net, int64_t ms);

void net_cut_link(struct net *net, unsigned i);
void net_cut_mqtt(struct net *net, unsigned i);
void net_server_crash(struct net *net);
void net_server_start(struct net *net);
void net_broker(struct net *net, bool up); /* for all */

#endif
