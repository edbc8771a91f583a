/* SPDX-License-Identifier: Apache-2.0 */
#include "io/outbox.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

void mkv_outbox_init(struct mkv_outbox *outbox, size_t size_max)
{
    *outbox = (struct mkv_outbox){.last = &outbox->first, .size_max = size_max};
}

static struct mkv_request *take_first(struct mkv_outbox *outbox)
{
    struct mkv_request *request = outbox->first;

    outbox->first = request->next;
    if (outbox->first == NULL) {
        outbox->last = &outbox->first;
    }
    return request;
}

void mkv_outbox_deinit(struct mkv_outbox *outbox)
{
    while (outbox->first != NULL) {
        mkv_mem_free(take_first(outbox));
    }
    outbox->n_flights = 0;
    outbox->size = 0;
}

/* Small requests must not be free, or there could be any number of them. */
static size_t size_of(size_t topic_len, size_t tag_len, size_t payload_len)
{
    return sizeof(struct mkv_request) + topic_len + 1 + tag_len + 1 + payload_len;
}

static size_t size_of_request(const struct mkv_request *request)
{
    return size_of(request->topic_len, request->tag_len, request->payload_len);
}

/* @part and a NUL; returns where the next one goes. */
static char *put(char *at, struct mkv_bytes part)
{
    if (part.len > 0) {
        memcpy(at, part.at, part.len);
    }
    at[part.len] = '\0';
    return at + part.len + 1;
}

int mkv_outbox_push(struct mkv_outbox *outbox,
                    const struct mkv_request *request,
                    const struct mkv_request_parts *parts)
{
    size_t room = outbox->size_max - outbox->size;
    struct mkv_bytes payload = parts->payload;
    size_t size = size_of(parts->topic.len, parts->tag.len, payload.len);

    if (parts->topic.len > room || parts->tag.len > room || payload.len > room || size > room) {
        outbox->was_full = true;
        return MKV_E_QUEUE_FULL;
    }

    struct mkv_request *copy = mkv_mem_alloc(size);

    if (copy == NULL) {
        return MKV_E_NO_MEMORY;
    }
    *copy = *request;
    copy->next = NULL;
    copy->topic_len = parts->topic.len;
    copy->tag_len = parts->tag.len;
    copy->payload_len = payload.len;

    char *at = put(put(copy->text, parts->topic), parts->tag);

    if (payload.len > 0) {
        memcpy(at, payload.at, payload.len);
    }
    *outbox->last = copy;
    outbox->last = &copy->next;
    outbox->size += size;
    return 0;
}

static struct mkv_flight *flight_at(struct mkv_outbox *outbox, uint32_t i)
{
    return &outbox->flights[(outbox->flights_start + i) % MKV_OUTBOX_FLIGHTS_MAX];
}

struct mkv_request *mkv_outbox_launch(struct mkv_outbox *outbox,
                                      int64_t now_ms,
                                      struct mkv_flight **ret_flight)
{
    if (outbox->first == NULL || outbox->n_flights == MKV_OUTBOX_FLIGHTS_MAX) {
        return NULL;
    }

    struct mkv_request *request = take_first(outbox);
    struct mkv_flight *flight = flight_at(outbox, outbox->n_flights++);

    *flight = (struct mkv_flight){
        .kind = request->kind,
        .cookie = request->cookie,
        .size = size_of_request(request),
        .since_ms = now_ms,
    };
    *ret_flight = flight;
    return request;
}

/* Answers come nearly in the order of the requests, so that this ends at once as a rule. */
struct mkv_flight *mkv_outbox_find(struct mkv_outbox *outbox, enum mkv_request_kind kind, int id)
{
    for (uint32_t i = 0; i < outbox->n_flights; i++) {
        struct mkv_flight *flight = flight_at(outbox, i);

        if (!flight->answered && flight->kind == kind && flight->id == id) {
            return flight;
        }
    }
    return NULL;
}

static void drop_answered(struct mkv_outbox *outbox)
{
    while (outbox->n_flights > 0 && flight_at(outbox, 0)->answered) {
        outbox->flights_start = (outbox->flights_start + 1) % MKV_OUTBOX_FLIGHTS_MAX;
        outbox->n_flights--;
    }
}

void mkv_outbox_land(struct mkv_outbox *outbox, struct mkv_flight *flight)
{
    MKV_ASSERT(!flight->answered);
    flight->answered = true;
    outbox->size -= flight->size;
    drop_answered(outbox);
}

bool mkv_outbox_abandon(struct mkv_outbox *outbox, uint64_t *ret_cookie)
{
    if (outbox->n_flights > 0) { /* the first is never answered: it would have been dropped */
        *ret_cookie = flight_at(outbox, 0)->cookie;
        mkv_outbox_land(outbox, flight_at(outbox, 0));
        return true;
    }
    if (outbox->first == NULL) {
        return false;
    }

    struct mkv_request *request = take_first(outbox);

    *ret_cookie = request->cookie;
    outbox->size -= size_of_request(request);
    mkv_mem_free(request);
    return true;
}

int64_t mkv_outbox_oldest_ms(const struct mkv_outbox *outbox)
{
    return outbox->n_flights > 0 ? outbox->flights[outbox->flights_start].since_ms : INT64_MAX;
}

bool mkv_outbox_has_drained(struct mkv_outbox *outbox)
{
    if (!outbox->was_full || outbox->size > outbox->size_max / 2) {
        return false;
    }
    outbox->was_full = false;
    return true;
}
