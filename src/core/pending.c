/* SPDX-License-Identifier: Apache-2.0 */
#include "core/pending.h"

#include "base/assert.h"
#include "base/limits.h"
#include "base/mem.h"
#include "wire/mac.h"

void mkv_pending_update_free(struct mkv_pending_update *update)
{
    mkv_mem_free(update);
}

void mkv_pending_deinit(struct mkv_pending *pending)
{
    struct mkv_pending_update *update = pending->head;

    while (update != NULL) {
        struct mkv_pending_update *next = update->next;

        mkv_pending_update_free(update);
        update = next;
    }
    *pending = (struct mkv_pending){0};
}

static size_t size_of(const struct mkv_pending_update *update)
{
    return update->key.len + update->topic.len + update->payload.len;
}

bool mkv_pending_fits(const struct mkv_pending *pending, size_t n, size_t n_bytes)
{
    return pending->n + n <= MKV_PENDING_COUNT_MAX &&
           pending->n_bytes + n_bytes <= MKV_PENDING_BYTES_MAX;
}

static struct mkv_bytes place(uint8_t **at, struct mkv_bytes bytes)
{
    struct mkv_bytes placed = mkv_bytes(*at, bytes.len);

    if (bytes.len > 0) {
        memcpy(*at, bytes.at, bytes.len);
    }
    *at += bytes.len;
    return placed;
}

/* One piece of memory for the update and its bytes. */
static struct mkv_pending_update *update_new(struct mkv_bytes key,
                                             struct mkv_bytes topic,
                                             struct mkv_bytes payload)
{
    struct mkv_pending_update *update =
        mkv_mem_alloc(sizeof(*update) + key.len + topic.len + payload.len);

    if (update != NULL) {
        uint8_t *at = (uint8_t *)(update + 1);

        update->key = place(&at, key);
        update->topic = place(&at, topic);
        update->payload = place(&at, payload);
    }
    return update;
}

static int encode(struct mkv_bytes key,
                  const struct mkv_pending_where *where,
                  const struct mkv_update *update,
                  struct mkv_pending_update **ret_update)
{
    struct mkv_buf topic;
    struct mkv_buf payload;

    mkv_buf_init(&topic, MKV_TOPIC_MAX);
    mkv_buf_init(&payload, MKV_UPDATE_MAX);
    int error = mkv_topic_of_path(where->root, where->profile, key, &topic);

    if (error == 0 && where->mac_key.len == MKV_MAC_KEY_LEN) {
        error = mkv_mac_encode(update, mkv_buf_bytes(&topic), where->mac_key.at, &payload);
    } else if (error == 0) {
        error = mkv_update_encode(update, &payload);
    }
    if (error == 0) {
        *ret_update = update_new(key, mkv_buf_bytes(&topic), mkv_buf_bytes(&payload));
        error = *ret_update == NULL ? MKV_E_NO_MEMORY : 0;
    }
    mkv_buf_deinit(&payload);
    mkv_buf_deinit(&topic);
    return error;
}

static void append(struct mkv_pending *pending, struct mkv_pending_update *update)
{
    if (pending->tail == NULL) {
        pending->head = update;
    } else {
        pending->tail->next = update;
    }
    pending->tail = update;
    pending->n++;
    pending->n_bytes += size_of(update);
}

int mkv_pending_add(struct mkv_pending *pending,
                    uint64_t id,
                    struct mkv_bytes key,
                    const struct mkv_pending_where *where,
                    const struct mkv_update *update)
{
    struct mkv_pending_update *new = NULL;
    int error = encode(key, where, update, &new);

    if (error != 0) {
        return error;
    }
    new->id = id;
    new->counter = update->ticks.at[0].counter;
    MKV_ASSERT(pending->tail == NULL || pending->tail->counter < new->counter);
    append(pending, new);
    return 0;
}

/* @link is what points to the update: the head or the next of the one before it. */
static struct mkv_pending_update *unlink_at(struct mkv_pending *pending,
                                            struct mkv_pending_update **link,
                                            struct mkv_pending_update *before)
{
    struct mkv_pending_update *update = *link;

    *link = update->next;
    if (pending->tail == update) {
        pending->tail = before;
    }
    update->next = NULL;
    pending->n--;
    pending->n_bytes -= size_of(update);
    return update;
}

struct mkv_pending_update *mkv_pending_take_until(struct mkv_pending *pending, uint64_t counter)
{
    if (pending->head == NULL || pending->head->counter > counter) {
        return NULL;
    }
    return unlink_at(pending, &pending->head, NULL);
}

struct mkv_pending_update *mkv_pending_take(struct mkv_pending *pending, uint64_t counter)
{
    struct mkv_pending_update **link = &pending->head;
    struct mkv_pending_update *before = NULL;

    while (*link != NULL && (*link)->counter < counter) {
        before = *link;
        link = &before->next;
    }
    if (*link == NULL || (*link)->counter != counter) {
        return NULL;
    }
    return unlink_at(pending, link, before);
}

struct mkv_pending_update *mkv_pending_from(const struct mkv_pending *pending, uint64_t counter)
{
    struct mkv_pending_update *update = pending->head;

    while (update != NULL && update->counter < counter) {
        update = update->next;
    }
    return update;
}

static bool lists_stream(const struct mkv_ticks *ticks, const struct mkv_tick *tick)
{
    for (uint32_t i = 0; i < ticks->n; i++) {
        if (mkv_tick_same_stream(&ticks->at[i], tick)) {
            return true;
        }
    }
    return false;
}

void mkv_ticks_follow(const struct mkv_tick *dot,
                      const struct mkv_ticks *known,
                      struct mkv_ticks *ret_ticks)
{
    struct mkv_ticks ticks = {.n = 1, .at = {*dot}};

    for (uint32_t i = 0; i < known->n && ticks.n < MKV_TICKS_MAX; i++) {
        if (!lists_stream(&ticks, &known->at[i])) {
            ticks.at[ticks.n++] = known->at[i];
        }
    }
    *ret_ticks = ticks;
}

static int add_reissued(struct mkv_pending *pending,
                        const struct mkv_pending_update *old,
                        const struct mkv_pending_where *where,
                        const struct mkv_tick *dot)
{
    struct mkv_update update;
    int error = mkv_update_decode(old->payload, &update);

    if (error != 0) {
        return error;
    }
    if (dot != NULL) {
        mkv_ticks_follow(dot, &update.ticks, &update.ticks);
    }
    return mkv_pending_add(pending, old->id, old->key, where, &update);
}

/* Under the stream of @stream, counters from 1; without a name the dots stay. */
static int encode_anew(struct mkv_pending *pending,
                       const struct mkv_pending_where *where,
                       const struct mkv_tick *stream)
{
    struct mkv_pending renewed = {0};
    uint64_t counter = 0;

    for (const struct mkv_pending_update *old = pending->head; old != NULL; old = old->next) {
        struct mkv_tick dot = *stream;

        dot.counter = ++counter;
        int error = add_reissued(&renewed, old, where, stream->name.len == 0 ? NULL : &dot);

        if (error != 0) {
            mkv_pending_deinit(&renewed);
            return error;
        }
    }
    mkv_pending_deinit(pending);
    *pending = renewed;
    return 0;
}

int mkv_pending_reissue(struct mkv_pending *pending,
                        const struct mkv_pending_where *where,
                        struct mkv_bytes name,
                        uint64_t seq)
{
    const struct mkv_tick stream = {.name = name, .seq = seq};

    return encode_anew(pending, where, &stream);
}

int mkv_pending_renew(struct mkv_pending *pending, const struct mkv_pending_where *where)
{
    const struct mkv_tick none = {.seq = 0};

    return encode_anew(pending, where, &none);
}
