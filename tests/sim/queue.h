/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What will happen, in the order of time; at the same time, in the order it was decided.
 */
#ifndef MKV_TESTS_SIM_QUEUE_H
#define MKV_TESTS_SIM_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "parcel.h"

struct sim;
struct event;

typedef void event_fn(struct sim *sim, struct event *event);

/* What @subject, @a and @b are is a matter of @run. */
struct event {
    int64_t at_ms;
    uint64_t number;
    event_fn *run;
    void *subject;
    uint64_t a;
    uint64_t b;
    struct letter letter; /* its parcel is unreferenced after @run */
};

struct queue {
    struct event *at; /* owned: a heap */
    size_t n;
    size_t cap;
    uint64_t last_number;
};

void queue_deinit(struct queue *queue);

/* Numbers it. */
void queue_push(struct queue *queue, struct event event);

/* When the next one is; INT64_MAX: there is none. */
int64_t queue_next_ms(const struct queue *queue);
struct event queue_pop(struct queue *queue); /* there must be one */

#endif
