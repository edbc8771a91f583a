/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosts, and streams between processes on them.
 *
 * A stream delivers in order or ends.  Where the way is blocked, what was sent waits, until the way
 * is free again or the stream is given up.  Then, as with TCP, its ends may learn of it at quite
 * different times.
 */
#ifndef MKV_TESTS_SIM_NET_H
#define MKV_TESTS_SIM_NET_H

#include "parcel.h"
#include "queue.h"

#define NET_HOSTS_MAX 24U

enum end_kind {
    END_MACHINE_LINK, /* index: of the machine; number: of the link there */
    END_MACHINE_MQTT,
    END_USER_LINK, /* index: of the user */
    END_USER_MQTT,
    END_RUDE_LINK,
    END_BOSS,
    END_BROKER, /* index: of the broker */
    END_BRIDGE, /* index: of the broker, number: of the bridge */
};

struct end {
    enum end_kind kind;
    unsigned host;
    unsigned index;
    uint64_t number;
};

struct pipe {
    uint64_t number;
    struct end ends[2];   /* [0] opened it */
    bool shut[2];         /* this end has closed it, or been told */
    bool broken;          /* both ends will learn of it */
    bool established;     /* LETTER_OPENED or CONNACK has arrived */
    int64_t last_ms[2];   /* when the last letter towards this end arrives */
    struct fifo held[2];  /* waits for the way to this end */
    int64_t stalled_ms;   /* since when something waits; 0: nothing does */
    unsigned mqtt_number; /* of the broker's session */
};

struct net {
    struct pipe **pipes; /* owned */
    size_t n_pipes;
    size_t pipes_cap;
    unsigned blocked[NET_HOSTS_MAX][NET_HOSTS_MAX]; /* how many reasons there are; [from][to] */
    int64_t paused_ms[NET_HOSTS_MAX];               /* until when; 0: it is not */
    int64_t delay_max_ms;
    int64_t patience_ms; /* how long a stream waits */
};

void net_deinit(struct net *net);

/* Opens a stream and sends @first over it. */
struct pipe *net_open(struct sim *sim, struct end from, struct end to, struct letter first);

/* Sends from end @side; nothing if it is shut there.  Takes the letter's parcel. */
void net_send(struct sim *sim, struct pipe *pipe, unsigned side, struct letter letter);

/* End @side closes: what it sent before still arrives. */
void net_close(struct sim *sim, struct pipe *pipe, unsigned side);

/* Both ends lose it, one of them perhaps much later. */
void net_break(struct sim *sim, struct pipe *pipe);

/* The processes on @host are gone; @silently: the others learn of it late. */
void net_host_dies(struct sim *sim, unsigned host, bool silently);

/* Blocks one direction for @ms. */
void net_block(struct sim *sim, unsigned from, unsigned to, int64_t ms);

/* Whoever is on @host does nothing for @ms. */
void net_pause(struct sim *sim, unsigned host, int64_t ms);
bool net_paused(const struct sim *sim, unsigned host);

/* All ways are free from now on. */
void net_heal(struct sim *sim);

/* A random delay as messages have it here. */
int64_t net_delay_ms(struct sim *sim);

#endif
