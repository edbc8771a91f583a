/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What travels: a parcel is shared by all who get it, a letter is one copy on its way.
 */
#ifndef MKV_TESTS_SIM_PARCEL_H
#define MKV_TESTS_SIM_PARCEL_H

#include "base/bytes.h"

struct parcel {
    unsigned n_refs;
    uint32_t qos;
    uint64_t hash; /* of topic and payload */
    struct mkv_bytes topic;
    struct mkv_bytes payload;
    uint8_t bytes[];
};

/* Copies both; the caller holds the one reference. */
struct parcel *parcel_new(struct mkv_bytes topic, struct mkv_bytes payload, uint32_t qos);
struct parcel *parcel_ref(struct parcel *parcel);
void parcel_unref(struct parcel *parcel); /* NULL is fine */

enum letter_kind {
    LETTER_OPEN,   /* link: the other side is asked for */
    LETTER_OPENED, /* ... and is there */
    LETTER_REFUSED,
    LETTER_FRAMES, /* one or more */
    LETTER_CLOSED, /* either kind: the other side has closed */
    LETTER_CONNECT,
    LETTER_CONNACK,
    LETTER_SUBSCRIBE, /* topic: the filter; cookie */
    LETTER_UNSUBSCRIBE,
    LETTER_PUBLISH, /* towards the broker or from it; cookie */
    LETTER_ANSWER,  /* to SUBSCRIBE or PUBLISH; cookie */
};

struct letter {
    enum letter_kind kind;
    uint64_t cookie;
    unsigned hops;         /* PUBLISH: how many bridges it has crossed */
    struct parcel *parcel; /* owned; may be NULL */
};

/* Letters in order. */
struct fifo {
    struct letter *at; /* owned */
    size_t first;
    size_t n;
    size_t cap;
};

void fifo_push(struct fifo *fifo, struct letter letter);
struct letter fifo_pop(struct fifo *fifo); /* there must be one */
void fifo_clear(struct fifo *fifo);
void fifo_deinit(struct fifo *fifo);

/* A fast hash, for traces and tables; not for what is hostile. */
uint64_t hash_bytes(uint64_t seed, struct mkv_bytes bytes);
uint64_t hash_number(uint64_t seed, uint64_t number);

#endif
