/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "base/mem.h"
#include "core/client_parts.h"

#define SENT_MAX      12U /* of the 16 that a server allows: cancelled ones may still be open there */
#define CREDIT        4U
#define PATH_CBOR_MAX 4096U /* a path of 1,024 bytes takes less */

struct mkv_client_request *mkv_client_request_add(struct mkv_client *client,
                                                  enum mkv_client_request_kind kind,
                                                  struct mkv_bytes key)
{
    struct mkv_client_request *request = mkv_mem_alloc(sizeof(*request) + key.len);

    if (request == NULL) {
        return NULL;
    }
    request->kind = kind;
    request->key = mkv_bytes(request + 1, key.len);
    if (key.len > 0) {
        memcpy(request + 1, key.at, key.len);
    }
    if (client->requests_last == NULL) {
        client->requests = request;
    } else {
        client->requests_last->next = request;
    }
    client->requests_last = request;
    client->n_requests++;
    return request;
}

static enum mkv_client_request_kind kind_of(enum mkv_client_order_kind kind)
{
    switch (kind) {
    case MKV_CLIENT_GET:
        return MKV_CLIENT_REQUEST_GET;
    case MKV_CLIENT_LIST:
        return MKV_CLIENT_REQUEST_LIST;
    case MKV_CLIENT_STATUS:
        return MKV_CLIENT_REQUEST_STATUS;
    case MKV_CLIENT_PING:
        return MKV_CLIENT_REQUEST_PING;
    case MKV_CLIENT_SERVERS:
        return MKV_CLIENT_REQUEST_SERVERS;
    case MKV_CLIENT_EVICT:
        return MKV_CLIENT_REQUEST_EVICT;
    case MKV_CLIENT_PASSWD:
        return MKV_CLIENT_REQUEST_PASSWD;
    case MKV_CLIENT_CONFLICTS:
        return MKV_CLIENT_REQUEST_CONFLICTS;
    case MKV_CLIENT_READ:
    case MKV_CLIENT_WATCH:
    case MKV_CLIENT_WRITE:
        break;
    }
    return MKV_CLIENT_REQUEST_READ;
}

int mkv_client_request_order(struct mkv_client *client, const struct mkv_client_order *order)
{
    if (client->n_requests >= MKV_CLIENT_ORDERS_MAX) {
        return MKV_E_QUEUE_FULL;
    }
    if (order->kind == MKV_CLIENT_CONFLICTS) {
        int error = mkv_client_conflicts_order(client, order);

        if (error != 0) {
            return error;
        }
    }

    struct mkv_client_request *request =
        mkv_client_request_add(client, kind_of(order->kind), order->key);

    if (request == NULL) {
        return MKV_E_NO_MEMORY;
    }
    request->id = order->id;
    request->depth_min = order->depth_min;
    request->depth_max = order->depth_max;
    request->flags = order->flags;
    memcpy(request->uuid, order->uuid, sizeof(request->uuid));
    request->password = order->password;
    return 0;
}

static bool is_sent(const struct mkv_client_request *request)
{
    return request->wire_id != 0 && !request->over;
}

void mkv_client_request_unsend(struct mkv_client *client, struct mkv_client_request *request)
{
    if (request->wire_id != 0) {
        request->wire_id = 0;
        mkv_row_reader_deinit(&request->reader);
        request->reader = (struct mkv_row_reader){0};
        client->n_sent--;
    }
}

/* Marks it as over and cuts what ties it to others. */
void mkv_client_request_finish(struct mkv_client *client, struct mkv_client_request *request)
{
    if (request->over) {
        return;
    }
    mkv_client_request_unsend(client, request);
    request->over = true;
    if (request->watch != NULL && request->watch->request == request) {
        request->watch->request = NULL;
    }
    request->watch = NULL;
    request->write = NULL;
}

void mkv_client_request_complete(struct mkv_client *client,
                                 struct mkv_client_request *request,
                                 int status)
{
    uint64_t id = request->id;

    mkv_client_request_finish(client, request);
    if (id != 0) {
        mkv_client_done(client, id, status);
    }
}

/* An error that ends the request, from the server or from here. */
void mkv_client_request_fail(struct mkv_client *client,
                             struct mkv_client_request *request,
                             int error)
{
    struct mkv_client_watch *watch = request->watch;
    struct mkv_client_write *write = request->write;

    mkv_client_request_complete(client, request, error);
    if (watch != NULL) {
        mkv_client_watch_refused(client, watch, error);
    }
    if (write != NULL) {
        mkv_client_write_refused(client, write, error);
    }
}

/* Sending. */

void mkv_client_request_say(struct mkv_client *client, enum mkv_frame_kind kind, uint64_t wire_id)
{
    struct mkv_frame frame = {.kind = kind, .id = wire_id};

    if (kind == MKV_FRAME_CREDIT) {
        frame.credit = 1;
    }
    mkv_client_send(client, &frame);
}

static void fill_read(const struct mkv_client_request *request, struct mkv_frame_read *read)
{
    read->credit = CREDIT;
    read->depth_max = MKV_PATH_LEVELS_MAX;
    switch (request->kind) {
    case MKV_CLIENT_REQUEST_GET:
        read->depth_max = 0;
        read->flags = MKV_READ_TOMBSTONES;
        break;
    case MKV_CLIENT_REQUEST_HEAD:
        read->depth_max = 0;
        read->flags = MKV_READ_TOMBSTONES | MKV_READ_KEYS_ONLY;
        break;
    case MKV_CLIENT_REQUEST_WATCH_READ:
        read->flags = MKV_READ_TOMBSTONES;
        read->has_since = request->has_since;
        read->since = request->since;
        break;
    case MKV_CLIENT_REQUEST_READ:
    case MKV_CLIENT_REQUEST_LIST:
    case MKV_CLIENT_REQUEST_STATUS:
    case MKV_CLIENT_REQUEST_PING:
    case MKV_CLIENT_REQUEST_SERVERS:
    case MKV_CLIENT_REQUEST_EVICT:
    case MKV_CLIENT_REQUEST_PASSWD:
    case MKV_CLIENT_REQUEST_CONFLICTS:
    case MKV_CLIENT_REQUEST_WATCH_CHECK:
        read->depth_min = request->depth_min;
        read->depth_max = request->depth_max;
        read->flags = request->flags;
        break;
    }
}

static void fill_passwd(const struct mkv_client_password *password, struct mkv_frame_passwd *passwd)
{
    passwd->user = mkv_bytes(password->user, password->user_len);
    passwd->iterations = password->iterations;
    passwd->salt = mkv_bytes(password->salt, password->salt_len);
    passwd->stored_key = mkv_bytes(password->stored_key, MKV_SCRAM_KEY_LEN);
    passwd->server_key = mkv_bytes(password->server_key, MKV_SCRAM_KEY_LEN);
}

static void fill_frame(const struct mkv_client_request *request,
                       struct mkv_bytes path,
                       struct mkv_frame *frame)
{
    switch (request->kind) {
    case MKV_CLIENT_REQUEST_GET:
    case MKV_CLIENT_REQUEST_HEAD:
    case MKV_CLIENT_REQUEST_READ:
    case MKV_CLIENT_REQUEST_WATCH_READ:
        frame->kind = MKV_FRAME_READ;
        frame->read.path = path;
        fill_read(request, &frame->read);
        break;
    case MKV_CLIENT_REQUEST_LIST:
        frame->kind = MKV_FRAME_LIST;
        frame->path = (struct mkv_frame_path){.path = path, .credit = CREDIT};
        break;
    case MKV_CLIENT_REQUEST_WATCH_CHECK:
        frame->kind = MKV_FRAME_CHECK;
        frame->path = (struct mkv_frame_path){.path = path};
        break;
    case MKV_CLIENT_REQUEST_STATUS:
        frame->kind = MKV_FRAME_STATUS;
        break;
    case MKV_CLIENT_REQUEST_PING:
        frame->kind = MKV_FRAME_PING;
        break;
    case MKV_CLIENT_REQUEST_SERVERS:
        frame->kind = MKV_FRAME_SERVERS;
        frame->credit = CREDIT;
        break;
    case MKV_CLIENT_REQUEST_EVICT:
        frame->kind = MKV_FRAME_EVICT;
        memcpy(frame->uuid, request->uuid, sizeof(frame->uuid));
        break;
    case MKV_CLIENT_REQUEST_PASSWD:
        frame->kind = MKV_FRAME_PASSWD;
        fill_passwd(&request->password, &frame->passwd);
        break;
    case MKV_CLIENT_REQUEST_CONFLICTS:
        frame->kind = MKV_FRAME_CONFLICTS;
        frame->conflicts = (struct mkv_frame_conflicts){path, request->flags, CREDIT};
        break;
    }
}

static int send(struct mkv_client *client, struct mkv_client_request *request)
{
    struct mkv_frame frame = {.id = client->wire_id + 1};
    struct mkv_cbor_writer w;
    struct mkv_buf path;

    mkv_buf_init(&path, PATH_CBOR_MAX);
    mkv_cbor_writer_init(&w, &path);
    mkv_path_to_cbor(request->key, &w);
    int error = w.error != 0 ? w.error : mkv_row_reader_init(&request->reader, request->key);

    if (error == 0) {
        fill_frame(request, mkv_buf_bytes(&path), &frame);
        request->wire_id = ++client->wire_id;
        request->n_rows = 0;
        client->n_sent++;
        mkv_client_send(client, &frame);
    }
    mkv_buf_deinit(&path);
    return error;
}

/* Takes away what is over. */
static void reap(struct mkv_client *client)
{
    struct mkv_client_request **link = &client->requests;
    struct mkv_client_request *before = NULL;

    while (*link != NULL) {
        struct mkv_client_request *request = *link;

        if (!request->over) {
            before = request;
            link = &request->next;
            continue;
        }
        *link = request->next;
        client->n_requests--;
        mkv_told_deinit(&request->told);
        mkv_mem_free(request);
    }
    client->requests_last = before;
}

void mkv_client_request_pump(struct mkv_client *client)
{
    reap(client);
    if (client->phase != MKV_CLIENT_UP) {
        return;
    }
    for (struct mkv_client_request *request = client->requests;
         request != NULL && client->n_sent < SENT_MAX && client->phase == MKV_CLIENT_UP;
         request = request->next) {
        if (request->wire_id == 0 && !request->over && client->now_ms >= request->not_before_ms) {
            int error = send(client, request);

            if (error != 0) {
                mkv_client_request_fail(client, request, error);
            }
        }
    }
}

int64_t mkv_client_request_deadline_ms(const struct mkv_client *client)
{
    int64_t first = MKV_CLIENT_NEVER;

    if (client->phase != MKV_CLIENT_UP || client->n_sent >= SENT_MAX) {
        return first;
    }
    for (const struct mkv_client_request *request = client->requests; request != NULL;
         request = request->next) {
        if (request->over) {
            return client->now_ms;
        }
        if (request->wire_id == 0 && request->not_before_ms < first) {
            first = request->not_before_ms;
        }
    }
    return first;
}

/* Ending from this side. */

void mkv_client_request_abandon(struct mkv_client *client, struct mkv_client_request *request)
{
    if (is_sent(request) && client->phase == MKV_CLIENT_UP) {
        mkv_client_request_say(client, MKV_FRAME_CANCEL, request->wire_id);
    }
    mkv_client_request_finish(client, request);
}

int mkv_client_request_cancel(struct mkv_client *client, uint64_t id)
{
    for (struct mkv_client_request *request = client->requests; request != NULL;
         request = request->next) {
        if (request->id == id && !request->over) {
            mkv_client_request_abandon(client, request);
            mkv_client_done(client, id, MKV_E_CANCELLED);
            return 0;
        }
    }
    return MKV_E_NOT_FOUND;
}

/* What can be asked again elsewhere stays; half-told lists end, and our own are made anew. */
static void on_lost(struct mkv_client *client, struct mkv_client_request *request)
{
    uint64_t n_rows = request->n_rows;

    switch (request->kind) {
    case MKV_CLIENT_REQUEST_GET:
    case MKV_CLIENT_REQUEST_STATUS:
    case MKV_CLIENT_REQUEST_EVICT:
    case MKV_CLIENT_REQUEST_PASSWD:
    case MKV_CLIENT_REQUEST_CONFLICTS: /* it knows what it has told */
        mkv_client_request_unsend(client, request);
        break;
    case MKV_CLIENT_REQUEST_READ:
    case MKV_CLIENT_REQUEST_LIST:
    case MKV_CLIENT_REQUEST_SERVERS:
        mkv_client_request_unsend(client, request);
        if (n_rows > 0) {
            mkv_client_request_complete(client, request, MKV_E_CLOSED);
        }
        break;
    case MKV_CLIENT_REQUEST_PING:
        mkv_client_request_unsend(client, request);
        if (request->id == 0) {
            mkv_client_request_finish(client, request);
        }
        break;
    case MKV_CLIENT_REQUEST_HEAD:
        request->write->head = MKV_HEAD_WANTED;
        mkv_client_request_finish(client, request);
        break;
    case MKV_CLIENT_REQUEST_WATCH_READ:
    case MKV_CLIENT_REQUEST_WATCH_CHECK:
        mkv_client_request_finish(client, request);
        break;
    }
}

void mkv_client_request_link_lost(struct mkv_client *client)
{
    for (struct mkv_client_request *request = client->requests; request != NULL;
         request = request->next) {
        if (!request->over) {
            on_lost(client, request);
        }
    }
}

void mkv_client_request_close(struct mkv_client *client)
{
    for (struct mkv_client_request *request = client->requests; request != NULL;
         request = request->next) {
        if (!request->over) {
            mkv_client_request_complete(client, request, MKV_E_CANCELLED);
        }
    }
}

void mkv_client_request_deinit(struct mkv_client *client)
{
    struct mkv_client_request *request = client->requests;

    while (request != NULL) {
        struct mkv_client_request *next = request->next;

        mkv_row_reader_deinit(&request->reader);
        mkv_told_deinit(&request->told);
        mkv_mem_free(request);
        request = next;
    }
}
