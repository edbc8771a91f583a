/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The requests of one MQTT connection, from the moment they are made until they are answered.
 *
 *     push -> queue (any number, bounded in bytes) -> flight (at most 500) -> answered
 *
 * libmosquitto has a queue of its own, but one that grows without bound and is searched from the
 * front for each answer: so no more than a window's worth is handed to it.
 */
#ifndef MKV_IO_OUTBOX_H
#define MKV_IO_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

#define MKV_OUTBOX_FLIGHTS_MAX 500U

enum mkv_request_kind {
    MKV_REQUEST_PUBLISH,
    MKV_REQUEST_SUBSCRIBE,
    MKV_REQUEST_UNSUBSCRIBE,
};

struct mkv_request {
    struct mkv_request *next;
    enum mkv_request_kind kind;
    int qos;
    bool retain;
    uint64_t cookie;
    bool live; /* of a subscription: what is retained is not wanted */
    size_t topic_len;
    size_t tag_len; /* 0: there is none */
    size_t payload_len;
    char text[]; /* topic, NUL, tag, NUL, payload */
};

/* A request that the library has: of the request itself only this is kept. */
struct mkv_flight {
    enum mkv_request_kind kind;
    bool answered; /* only waits for those before it */
    int id;        /* MQTT's packet identifier, written by the library */
    uint64_t cookie;
    size_t size;
    int64_t since_ms;
};

struct mkv_outbox {
    struct mkv_request *first; /* owned, with all that follow */
    struct mkv_request **last; /* where the next one is hung */
    size_t size;               /* bytes of all that is not answered */
    size_t size_max;
    bool was_full; /* since mkv_outbox_has_drained() last said yes */
    uint32_t flights_start;
    uint32_t n_flights; /* oldest first, from flights_start on, around the end */
    struct mkv_flight flights[MKV_OUTBOX_FLIGHTS_MAX];
};

/* @outbox must not move afterwards. */
void mkv_outbox_init(struct mkv_outbox *outbox, size_t size_max);
void mkv_outbox_deinit(struct mkv_outbox *outbox);

/* The texts of a request; what it has not is empty. */
struct mkv_request_parts {
    struct mkv_bytes topic;
    struct mkv_bytes tag;
    struct mkv_bytes payload;
};

/*
 * Queues a copy of @request with these parts; its text, lengths and next are not looked at.
 * QUEUE_FULL, NO_MEMORY; nothing is queued then.
 */
int mkv_outbox_push(struct mkv_outbox *outbox,
                    const struct mkv_request *request,
                    const struct mkv_request_parts *parts) MKV_MUST_CHECK;

/* The parts of a request that was taken out; a tag ends in a NUL, as a topic does. */
static inline const char *mkv_request_tag(const struct mkv_request *request)
{
    return request->text + request->topic_len + 1;
}

static inline const char *mkv_request_payload(const struct mkv_request *request)
{
    return mkv_request_tag(request) + request->tag_len + 1;
}

/*
 * Takes the oldest queued request out, to be freed by mkv_mem_free(), and opens a flight for it.
 * NULL if none is queued or the window is full.
 */
struct mkv_request *mkv_outbox_launch(struct mkv_outbox *outbox,
                                      int64_t now_ms,
                                      struct mkv_flight **ret_flight);

/* The flight that this answers, or NULL: the broker answers what it was not asked. */
struct mkv_flight *mkv_outbox_find(struct mkv_outbox *outbox, enum mkv_request_kind kind, int id);

/* Marks a flight as answered; it is gone then. */
void mkv_outbox_land(struct mkv_outbox *outbox, struct mkv_flight *flight);

/* Takes out whatever is oldest, in flight or queued.  False if nothing is left. */
bool mkv_outbox_abandon(struct mkv_outbox *outbox, uint64_t *ret_cookie);

/* When the oldest request in flight was launched; INT64_MAX if none is. */
int64_t mkv_outbox_oldest_ms(const struct mkv_outbox *outbox);

/* True once after a push was refused and the outbox has become half empty since. */
bool mkv_outbox_has_drained(struct mkv_outbox *outbox);

#endif
