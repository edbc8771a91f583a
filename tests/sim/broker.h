/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model of mosquitto, with the habits that were measured:
 *
 *   - it answers a publisher before it delivers anything;
 *   - of QoS 1, so many are in flight to a subscriber, so many queue, and the rest is dropped without a word;
 *   - QoS 0 goes past that queue;
 *   - what is too large for a subscriber vanishes;
 *   - what one connection publishes arrives in that order, as far as it arrives;
 *   - a subscriber that loses its connection, or a broker that is killed, loses all that was queued;
 *   - a bridge keeps its queue over a lost connection, but not over a killed broker.
 */
#ifndef MKV_TESTS_SIM_BROKER_H
#define MKV_TESTS_SIM_BROKER_H

#include "net.h"

#define BROKER_SESSIONS_MAX 48U
#define BROKER_FILTERS_MAX  16U

struct session {
    struct pipe *pipe; /* NULL: the place is free; of a bridge: it is not connected */
    bool is_bridge;
    unsigned bridge;
    unsigned n_filters;
    struct parcel *filters[BROKER_FILTERS_MAX]; /* owned */
    struct fifo queue;                          /* the first @n_in_flight of them have been sent */
    size_t n_in_flight;
};

struct broker {
    unsigned index;
    unsigned host;
    bool up;
    struct session sessions[BROKER_SESSIONS_MAX];
};

/* One connection: both brokers send everything to each other but what came from there. */
struct bridge {
    unsigned from; /* who connects */
    unsigned to;
    bool again; /* another attempt is planned */
};

struct broker_limits {
    size_t in_flight_max;
    size_t queue_max;
    size_t payload_max; /* 0: none */
};

void broker_init(struct sim *sim, unsigned index);
void broker_deinit(struct broker *broker);

void broker_start(struct sim *sim, unsigned index);
/* @keep: what is queued for bridges survives. */
void broker_kill(struct sim *sim, unsigned index, bool keep);

/* Publishes as somebody would whose connection never fails. */
void broker_publish(struct sim *sim, unsigned index, const struct letter *letter);

/* A letter arrives at end @side of @pipe, which is the broker's, or the connecting bridge's. */
void broker_arrive(struct sim *sim, struct pipe *pipe, unsigned side, const struct letter *letter);

/* A letter of QoS 1 has arrived at end @side, and its receiver has said so. */
void broker_delivered(struct sim *sim, const struct pipe *pipe, unsigned side);

/* All bridges are there. */
void broker_bridges_start(struct sim *sim);

#endif
