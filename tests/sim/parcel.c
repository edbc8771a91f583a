/* SPDX-License-Identifier: Apache-2.0 */
#include "parcel.h"

#include <stdlib.h>

#include "base/assert.h"

uint64_t hash_number(uint64_t seed, uint64_t number)
{
    uint64_t z = (seed ^ number) * UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 32)) * UINT64_C(0xd6e8feb86659fd93);
    return z ^ (z >> 29);
}

uint64_t hash_bytes(uint64_t seed, struct mkv_bytes bytes)
{
    uint64_t hash = hash_number(seed, bytes.len);
    size_t i = 0;

    for (; i + 8 <= bytes.len; i += 8) {
        uint64_t word;

        memcpy(&word, bytes.at + i, 8);
        hash = hash_number(hash, word);
    }
    if (i < bytes.len) {
        uint64_t word = 0;

        memcpy(&word, bytes.at + i, bytes.len - i);
        hash = hash_number(hash, word);
    }
    return hash;
}

struct parcel *parcel_new(struct mkv_bytes topic, struct mkv_bytes payload, uint32_t qos)
{
    struct parcel *parcel = malloc(sizeof(*parcel) + topic.len + payload.len + 1);

    MKV_ASSERT(parcel != NULL);
    *parcel = (struct parcel){
        .n_refs = 1,
        .qos = qos,
        .hash = hash_bytes(hash_bytes(qos, topic), payload),
        .topic = mkv_bytes(parcel->bytes, topic.len),
        .payload = mkv_bytes(parcel->bytes + topic.len, payload.len),
    };
    if (topic.len > 0) {
        memcpy(parcel->bytes, topic.at, topic.len);
    }
    if (payload.len > 0) {
        memcpy(parcel->bytes + topic.len, payload.at, payload.len);
    }
    return parcel;
}

struct parcel *parcel_ref(struct parcel *parcel)
{
    if (parcel != NULL) {
        parcel->n_refs++;
    }
    return parcel;
}

void parcel_unref(struct parcel *parcel)
{
    if (parcel != NULL && --parcel->n_refs == 0) {
        free(parcel);
    }
}

void fifo_push(struct fifo *fifo, struct letter letter)
{
    if (fifo->n == fifo->cap) {
        size_t cap = fifo->cap > 0 ? 2 * fifo->cap : 8;
        struct letter *at = malloc(cap * sizeof(*at));

        MKV_ASSERT(at != NULL);
        for (size_t i = 0; i < fifo->n; i++) {
            at[i] = fifo->at[(fifo->first + i) % fifo->cap];
        }
        free(fifo->at);
        fifo->at = at;
        fifo->cap = cap;
        fifo->first = 0;
    }
    fifo->at[(fifo->first + fifo->n++) % fifo->cap] = letter;
}

struct letter fifo_pop(struct fifo *fifo)
{
    struct letter letter;

    MKV_ASSERT(fifo->n > 0);
    letter = fifo->at[fifo->first];
    fifo->first = (fifo->first + 1) % fifo->cap;
    fifo->n--;
    return letter;
}

void fifo_clear(struct fifo *fifo)
{
    while (fifo->n > 0) {
        struct letter letter = fifo_pop(fifo);

        parcel_unref(letter.parcel);
    }
}

void fifo_deinit(struct fifo *fifo)
{
    fifo_clear(fifo);
    free(fifo->at);
    *fifo = (struct fifo){0};
}
