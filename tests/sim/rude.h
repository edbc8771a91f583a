/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that knows the protocol and does not keep to it: it takes a session, publishes what it
 * likes, repeats nothing when asked, and forges.
 */
#ifndef MKV_TESTS_SIM_RUDE_H
#define MKV_TESTS_SIM_RUDE_H

#include "fault.h"
#include "net.h"
#include "oracle.h"

struct rude {
    unsigned index;
    unsigned host;
    struct pipe *link; /* NULL: none */
    char name[ORACLE_NAME_MAX];
    uint64_t seq; /* 0: no session */
    uint64_t counter;
    unsigned key; /* of the last update it published */
    uint64_t tock;
    bool has_last;
};

void rude_init(struct sim *sim, unsigned index);

/* Does what @what says; the first time it only takes a session. */
void rude_act(struct sim *sim, struct rude *rude, enum fault what, struct prng *prng);

void rude_arrive(struct sim *sim, struct pipe *pipe, unsigned side, const struct letter *letter);

/* A value like others: small mostly.  @space has RUDE_VALUE_MAX bytes; the result lies in it. */
#define RUDE_VALUE_MAX 512U
struct mkv_bytes rude_value(struct prng *prng, uint8_t space[RUDE_VALUE_MAX]);

#endif
