/* SPDX-License-Identifier: Apache-2.0 */
#include "queue.h"

#include <stdlib.h>

#include "base/assert.h"

static bool is_before(const struct event *a, const struct event *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->number < b->number;
}

void queue_deinit(struct queue *queue)
{
    for (size_t i = 0; i < queue->n; i++) {
        parcel_unref(queue->at[i].letter.parcel);
    }
    free(queue->at);
    *queue = (struct queue){0};
}

void queue_push(struct queue *queue, struct event event)
{
    size_t i = queue->n++;

    if (queue->n > queue->cap) {
        queue->cap = queue->cap > 0 ? 2 * queue->cap : 64;
        queue->at = realloc(queue->at, queue->cap * sizeof(*queue->at));
        MKV_ASSERT(queue->at != NULL);
    }
    event.number = ++queue->last_number;
    for (; i > 0 && is_before(&event, &queue->at[(i - 1) / 2]); i = (i - 1) / 2) {
        queue->at[i] = queue->at[(i - 1) / 2];
    }
    queue->at[i] = event;
}

int64_t queue_next_ms(const struct queue *queue)
{
    return queue->n > 0 ? queue->at[0].at_ms : INT64_MAX;
}

struct event queue_pop(struct queue *queue)
{
    struct event first;
    struct event last;
    size_t i = 0;

    MKV_ASSERT(queue->n > 0);
    first = queue->at[0];
    last = queue->at[--queue->n];
    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= queue->n) {
            break;
        }
        if (child + 1 < queue->n && is_before(&queue->at[child + 1], &queue->at[child])) {
            child++;
        }
        if (!is_before(&queue->at[child], &last)) {
            break;
        }
        queue->at[i] = queue->at[child];
        i = child;
    }
    queue->at[i] = last;
    return first;
}
