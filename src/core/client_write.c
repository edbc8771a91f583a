/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "base/mem.h"
#include "core/client_parts.h"
#include "core/order.h"

#define REPEAT_WAIT_MS  2000
#define REPEAT_WAIT_MAX 30000
#define HEADS_AHEAD_MAX 8U /* writes for which is asked at once what is there */
#define TICKS_BYTES_MAX 512U

/*
 * A write waits in `writes` until it is known what it replaces and the broker can be reached; then
 * it gets its counter and is `pending`.  The order of the calls is kept, so that of two writes
 * of one path the later call wins.
 */

static size_t size_of(const struct mkv_client_write *write)
{
    return write->key.len + write->value.len;
}

static int remember(struct mkv_buf *known, const struct mkv_ticks *ticks)
{
    struct mkv_cbor_writer w;

    mkv_buf_clear(known);
    mkv_cbor_writer_init(&w, known);
    mkv_ticks_write(&w, ticks);
    return w.error;
}

static bool is_full(const struct mkv_client *client, size_t n_bytes)
{
    return !mkv_pending_fits(&client->pending, client->n_writes + 1,
                             client->writes_bytes + n_bytes);
}

static struct mkv_client_write *write_new(const struct mkv_client_order *order)
{
    struct mkv_client_write *write =
        mkv_mem_alloc(sizeof(*write) + order->key.len + order->value.len);

    if (write == NULL) {
        return NULL;
    }
    uint8_t *at = (uint8_t *)(write + 1);

    write->id = order->id;
    write->present = order->present;
    write->key = mkv_bytes(at, order->key.len);
    write->value = mkv_bytes(at + order->key.len, order->value.len);
    if (order->key.len > 0) {
        memcpy(at, order->key.at, order->key.len);
    }
    if (order->value.len > 0) {
        memcpy(at + order->key.len, order->value.at, order->value.len);
    }
    mkv_buf_init(&write->known, TICKS_BYTES_MAX);
    return write;
}

static void write_free(struct mkv_client_write *write)
{
    mkv_buf_deinit(&write->known);
    mkv_mem_free(write);
}

static int check_order(const struct mkv_client_order *order)
{
    if (!order->present) {
        return order->value.len == 0 ? 0 : MKV_E_BAD_ARGUMENT;
    }
    return order->value.len > MKV_VALUE_MAX ? MKV_E_TOO_LARGE : mkv_cbor_check(order->value);
}

int mkv_client_write_order(struct mkv_client *client, const struct mkv_client_order *order)
{
    int error = check_order(order);

    if (error != 0) {
        return error;
    }
    if (is_full(client, order->key.len + order->value.len)) {
        client->room_wanted = true;
        return MKV_E_QUEUE_FULL;
    }

    struct mkv_client_write *write = write_new(order);

    if (write == NULL) {
        return MKV_E_NO_MEMORY;
    }
    write->head = order->blind || order->known != NULL ? MKV_HEAD_KNOWN : MKV_HEAD_WANTED;
    if (order->known != NULL) {
        error = remember(&write->known, order->known);
        if (error != 0) {
            write_free(write);
            return error;
        }
    }
    if (client->writes_last == NULL) {
        client->writes = write;
    } else {
        client->writes_last->next = write;
    }
    client->writes_last = write;
    client->n_writes++;
    client->writes_bytes += size_of(write);
    client->wants_broker = true;
    return 0;
}

static void tell_room(struct mkv_client *client)
{
    /* Half of it: not each single place is worth a call. */
    if (client->room_wanted && client->n_writes + client->pending.n <= MKV_PENDING_COUNT_MAX / 2 &&
        client->writes_bytes + client->pending.n_bytes <= MKV_PENDING_BYTES_MAX / 2) {
        client->room_wanted = false;
        mkv_client_notice(client, MKV_CLIENT_ROOM, 0, mkv_bytes(NULL, 0));
    }
}

/* Takes out any of them. */
static void unlink_write(struct mkv_client *client, struct mkv_client_write *write)
{
    struct mkv_client_write **link = &client->writes;
    struct mkv_client_write *before = NULL;

    while (*link != write) {
        before = *link;
        link = &before->next;
    }
    *link = write->next;
    if (client->writes_last == write) {
        client->writes_last = before;
    }
    client->n_writes--;
    client->writes_bytes -= size_of(write);
}

int mkv_client_write_head(struct mkv_client_write *write, const struct mkv_ticks *ticks)
{
    return remember(&write->known, ticks);
}

void mkv_client_write_refused(struct mkv_client *client, struct mkv_client_write *write, int error)
{
    unlink_write(client, write);
    mkv_client_done(client, write->id, error);
    write_free(write);
    tell_room(client);
}

/* Publishing. */

static void publish(struct mkv_client *client, struct mkv_pending_update *update)
{
    struct mkv_client_publication publication = {
        .topic = update->topic,
        .payload = update->payload,
        .qos = client->session.about.qos,
        .cookie = MKV_COOKIE_UPDATE | update->counter,
    };
    int64_t wait_ms = update->wait_ms > 0 ? 2 * update->wait_ms : REPEAT_WAIT_MS;

    update->in_flight = mkv_client_effect_mqtt_publish(client->out, &publication) == 0;
    update->wait_ms = wait_ms < REPEAT_WAIT_MAX ? wait_ms : REPEAT_WAIT_MAX;
    update->repeat_ms = client->now_ms + update->wait_ms;
    if (update->repeat_ms < client->repeat_ms) {
        client->repeat_ms = update->repeat_ms;
    }
}

void mkv_client_write_again(struct mkv_client *client)
{
    if (!mkv_client_ready(client)) {
        return;
    }
    for (struct mkv_pending_update *update = client->pending.head; update != NULL;
         update = update->next) {
        if (!update->in_flight) {
            update->wait_ms = 0;
            publish(client, update);
        }
    }
}

void mkv_client_write_drained(struct mkv_client *client)
{
    mkv_client_write_again(client);
}

void mkv_client_write_unsent(struct mkv_client *client)
{
    for (struct mkv_pending_update *update = client->pending.head; update != NULL;
         update = update->next) {
        update->in_flight = false;
    }
}

static void repeat_pump(struct mkv_client *client)
{
    int64_t next_ms = MKV_CLIENT_NEVER;

    if (client->now_ms < client->repeat_ms || !mkv_client_ready(client)) {
        return;
    }
    for (struct mkv_pending_update *update = client->pending.head; update != NULL;
         update = update->next) {
        if (!update->in_flight && client->now_ms >= update->repeat_ms) {
            publish(client, update);
        }
        if (!update->in_flight && update->repeat_ms < next_ms) {
            next_ms = update->repeat_ms;
        }
    }
    client->repeat_ms = next_ms;
}

/* Makes an update of the first write.  On error nothing has changed. */
static int issue(struct mkv_client *client, const struct mkv_client_write *write)
{
    const struct mkv_pending_where where = mkv_client_where(client);
    struct mkv_tick dot = {.name = client->session.about.name,
                           .seq = client->session.about.seq,
                           .counter = client->counter + 1};
    struct mkv_ticks known = {0};
    struct mkv_update update = {.has_tock = true,
                                .present = write->present,
                                .value = write->value,
                                .tock = mkv_client_next_tock(client)};

    if (write->known.len > 0) {
        struct mkv_cbor_reader r;

        mkv_cbor_reader_init(&r, mkv_buf_bytes(&write->known));
        mkv_ticks_read(&r, &known);
    }
    mkv_ticks_follow(&dot, &known, &update.ticks);
    int error = mkv_pending_add(&client->pending, write->id, write->key, &where, &update);

    if (error == 0) {
        client->counter++;
        publish(client, client->pending.tail);
    }
    return error;
}

static void issue_pump(struct mkv_client *client)
{
    while (client->writes != NULL && client->writes->head == MKV_HEAD_KNOWN &&
           mkv_client_ready(client)) {
        struct mkv_client_write *write = client->writes;
        int error = issue(client, write);

        unlink_write(client, write);
        if (error != 0) {
            mkv_client_done(client, write->id, error);
        }
        write_free(write);
    }
}

/* Finds out what a write replaces, from a view if there is one, else from the server. */
static void want_head(struct mkv_client *client, struct mkv_client_write *write)
{
    struct mkv_ticks ticks;
    bool found;

    if (mkv_client_watch_ticks(client, write->key, &found, &ticks)) {
        if (!found || remember(&write->known, &ticks) == 0) {
            write->head = MKV_HEAD_KNOWN;
        }
        return;
    }
    if (client->phase == MKV_CLIENT_UP) {
        struct mkv_client_request *request =
            mkv_client_request_add(client, MKV_CLIENT_REQUEST_HEAD, write->key);

        if (request != NULL) {
            request->write = write;
            write->head = MKV_HEAD_ASKED;
        }
    }
}

static void head_pump(struct mkv_client *client)
{
    struct mkv_client_write *write = client->writes;

    for (unsigned i = 0; i < HEADS_AHEAD_MAX && write != NULL; i++, write = write->next) {
        if (write->head == MKV_HEAD_WANTED) {
            want_head(client, write);
        }
    }
}

void mkv_client_write_pump(struct mkv_client *client)
{
    head_pump(client);
    issue_pump(client);
    repeat_pump(client);
    tell_room(client);
}

int64_t mkv_client_write_deadline_ms(const struct mkv_client *client)
{
    return mkv_client_ready(client) ? client->repeat_ms : MKV_CLIENT_NEVER;
}

/* What becomes of them. */

/* Completes with the entry as written. */
static void settle(struct mkv_client *client, struct mkv_pending_update *update, int status)
{
    struct mkv_update written;

    if (mkv_update_decode(update->payload, &written) == 0) {
        mkv_client_effect_done(client->out, update->id, status, update->key, &written);
    } else {
        mkv_client_done(client, update->id, status);
    }
    mkv_pending_update_free(update);
}

void mkv_client_write_ack(struct mkv_client *client, uint64_t counter)
{
    struct mkv_pending_update *update = mkv_pending_take_until(&client->pending, counter);

    while (update != NULL) {
        settle(client, update, 0);
        update = mkv_pending_take_until(&client->pending, counter);
    }
}

/* Writes under a new counter what the server has given up waiting for: it is no less wanted. */
static int write_anew(struct mkv_client *client, const struct mkv_pending_update *lost)
{
    const struct mkv_pending_where where = mkv_client_where(client);
    struct mkv_tick dot = {.name = client->session.about.name,
                           .seq = client->session.about.seq,
                           .counter = client->counter + 1};
    struct mkv_update update;
    int error = mkv_update_decode(lost->payload, &update);

    if (error == 0) {
        mkv_ticks_follow(&dot, &update.ticks, &update.ticks);
        error = mkv_pending_add(&client->pending, lost->id, lost->key, &where, &update);
    }
    if (error == 0) {
        client->counter++;
        publish(client, client->pending.tail);
    }
    return error;
}

void mkv_client_write_nack(struct mkv_client *client, const struct mkv_frame_nack *nack)
{
    struct mkv_pending_update *update = mkv_pending_take(&client->pending, nack->counter);

    if (update == NULL) {
        return;
    }
    if (nack->code == MKV_E_VOID && client->use == MKV_CLIENT_MQTT_SESSION &&
        write_anew(client, update) == 0) {
        mkv_pending_update_free(update);
        return;
    }
    mkv_fault_set(&client->refusal, nack->code, nack->text);
    settle(client, update, nack->code);
}

static void send_void(struct mkv_client *client, uint64_t first, uint64_t last)
{
    struct mkv_frame frame = {.kind = MKV_FRAME_VOID, .range = {.first = first, .last = last}};

    if (client->phase == MKV_CLIENT_UP) {
        mkv_client_send(client, &frame);
    }
}

void mkv_client_write_repeat(struct mkv_client *client, const struct mkv_frame_range *range)
{
    uint64_t last = range->last < client->counter ? range->last : client->counter;
    uint64_t next = range->first;
    struct mkv_pending_update *update = mkv_pending_from(&client->pending, next);

    while (next <= last) { /* @next: the first counter not dealt with */
        uint64_t held = update != NULL && update->counter <= last ? update->counter : last + 1;

        if (held > next) {
            send_void(client, next, held - 1);
        }
        if (update != NULL && held <= last) {
            if (!update->in_flight && mkv_client_ready(client)) {
                publish(client, update);
            }
            update = update->next;
        }
        next = held + 1;
    }
}

static bool is_final(int error)
{
    return error == MKV_E_NOT_AUTHORISED || error == MKV_E_TOO_LARGE || error == MKV_E_BAD_TOPIC ||
           error == MKV_E_UNFIT;
}

void mkv_client_write_answered(struct mkv_client *client, const struct mkv_client_event *event)
{
    uint64_t counter = event->cookie & ~MKV_COOKIE_KIND;
    struct mkv_pending_update *update = mkv_pending_from(&client->pending, counter);

    if (update == NULL || update->counter != counter || !update->in_flight) {
        return; /* acknowledged before the broker said so */
    }
    update->in_flight = false;
    if (!is_final(event->error)) {
        update->repeat_ms = client->now_ms + update->wait_ms;
        if (update->repeat_ms < client->repeat_ms) {
            client->repeat_ms = update->repeat_ms;
        }
        return;
    }
    update = mkv_pending_take(&client->pending, counter);
    mkv_fault_set(&client->refusal, event->error, event->why);
    send_void(client, counter, counter);
    settle(client, update, event->error);
}

void mkv_client_write_close(struct mkv_client *client)
{
    for (struct mkv_client_write *write = client->writes; write != NULL; write = write->next) {
        mkv_client_done(client, write->id, MKV_E_CANCELLED);
    }
    for (struct mkv_pending_update *update = client->pending.head; update != NULL;
         update = update->next) {
        mkv_client_done(client, update->id, MKV_E_CANCELLED);
    }
}

void mkv_client_write_deinit(struct mkv_client *client)
{
    struct mkv_client_write *write = client->writes;

    while (write != NULL) {
        struct mkv_client_write *next = write->next;

        write_free(write);
        write = next;
    }
    mkv_pending_deinit(&client->pending);
}
