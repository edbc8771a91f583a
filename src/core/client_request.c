/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "base/mem.h"
#include "core/client_parts.h"

#define SENT_MAX      12U /* of the 16 that a server allows: cancelled ones may still be open there */
#define CREDIT        4U
#define BUSY_WAIT_MS  100
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

    struct mkv_client_request *request =
        mkv_client_request_add(client, kind_of(order->kind), order->key);

    if (request == NULL) {
        return MKV_E_NO_MEMORY;
    }
    request->id = order->id;
    request->depth_min = order->depth_min;
    request->depth_max = order->depth_max;
    request->flags = order->flags;
    return 0;
}

static bool is_sent(const struct mkv_client_request *request)
{
    return request->wire_id != 0 && !request->over;
}

static void unsend(struct mkv_client *client, struct mkv_client_request *request)
{
    if (request->wire_id != 0) {
        request->wire_id = 0;
        mkv_row_reader_deinit(&request->reader);
        request->reader = (struct mkv_row_reader){0};
        client->n_sent--;
    }
}

/* Marks it as over and cuts what ties it to others. */
static void finish(struct mkv_client *client, struct mkv_client_request *request)
{
    if (request->over) {
        return;
    }
    unsend(client, request);
    request->over = true;
    if (request->watch != NULL && request->watch->request == request) {
        request->watch->request = NULL;
    }
    request->watch = NULL;
    request->write = NULL;
}

static void complete(struct mkv_client *client, struct mkv_client_request *request, int status)
{
    uint64_t id = request->id;

    finish(client, request);
    if (id != 0) {
        mkv_client_done(client, id, status);
    }
}

/* An error that ends the request, from the server or from here. */
static void fail(struct mkv_client *client, struct mkv_client_request *request, int error)
{
    struct mkv_client_watch *watch = request->watch;
    struct mkv_client_write *write = request->write;

    complete(client, request, error);
    if (watch != NULL) {
        mkv_client_watch_refused(client, watch, error);
    }
    if (write != NULL) {
        mkv_client_write_refused(client, write, error);
    }
}

/* Sending. */

static void send_with_id(struct mkv_client *client, enum mkv_frame_kind kind, uint64_t wire_id)
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
    case MKV_CLIENT_REQUEST_WATCH_CHECK:
        read->depth_min = request->depth_min;
        read->depth_max = request->depth_max;
        read->flags = request->flags;
        break;
    }
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
                fail(client, request, error);
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

/* Answers. */

static struct mkv_client_request *find_sent(const struct mkv_client *client, uint64_t wire_id)
{
    for (struct mkv_client_request *request = client->requests; request != NULL;
         request = request->next) {
        if (is_sent(request) && request->wire_id == wire_id) {
            return request;
        }
    }
    return NULL;
}

static void take_row(struct mkv_client *client,
                     struct mkv_client_request *request,
                     const struct mkv_update *entry)
{
    struct mkv_bytes key = mkv_buf_bytes(&request->reader.key);
    int error = 0;

    if (!mkv_bytes_starts_with(key, request->key)) {
        return; /* not what we asked for */
    }
    mkv_client_note_tock(client, entry->tock);
    switch (request->kind) {
    case MKV_CLIENT_REQUEST_GET:
        if (key.len == request->key.len) {
            mkv_client_effect_done(client->out, request->id, entry->present ? 0 : MKV_E_NOT_FOUND,
                                   key, entry);
            finish(client, request);
        }
        break;
    case MKV_CLIENT_REQUEST_HEAD:
        if (key.len == request->key.len) {
            error = mkv_client_write_head(request->write, &entry->ticks);
        }
        break;
    case MKV_CLIENT_REQUEST_READ:
        error = mkv_client_effect_row(client->out, request->id, key, entry);
        break;
    case MKV_CLIENT_REQUEST_WATCH_READ:
        mkv_client_watch_row(client, request->watch, key, entry);
        break;
    case MKV_CLIENT_REQUEST_LIST:
    case MKV_CLIENT_REQUEST_STATUS:
    case MKV_CLIENT_REQUEST_PING:
    case MKV_CLIENT_REQUEST_WATCH_CHECK: /* sorted out by takes_rows() */
        break;
    }
    if (error != 0) {
        send_with_id(client, MKV_FRAME_CANCEL, request->wire_id);
        fail(client, request, error);
    }
}

static bool takes_rows(const struct mkv_client_request *request)
{
    switch (request->kind) {
    case MKV_CLIENT_REQUEST_GET:
    case MKV_CLIENT_REQUEST_HEAD:
    case MKV_CLIENT_REQUEST_READ:
    case MKV_CLIENT_REQUEST_WATCH_READ:
        return true;
    case MKV_CLIENT_REQUEST_LIST:
    case MKV_CLIENT_REQUEST_STATUS:
    case MKV_CLIENT_REQUEST_PING:
    case MKV_CLIENT_REQUEST_WATCH_CHECK:
        break;
    }
    return false;
}

/* Returns false if the page cannot be read, or was not asked for. */
static bool on_data(struct mkv_client *client,
                    struct mkv_client_request *request,
                    struct mkv_bytes rows)
{
    struct mkv_update entry;

    if (!takes_rows(request) || mkv_row_reader_page(&request->reader, rows) != 0) {
        return false;
    }
    while (!request->over && mkv_row_reader_next(&request->reader, &entry)) {
        request->n_rows++;
        take_row(client, request, &entry);
    }
    if (request->over) {
        return true;
    }
    if (request->reader.cbor.error != 0) {
        return false;
    }
    send_with_id(client, MKV_FRAME_CREDIT, request->wire_id);
    return true;
}

/* The child's path is the requested one and its element. */
static int tell_child(struct mkv_client *client,
                      struct mkv_client_request *request,
                      const struct mkv_child *child)
{
    struct mkv_buf key;

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    int error = mkv_buf_append(&key, request->key);

    if (error == 0) {
        error = mkv_path_append(&key, &child->element);
    }
    if (error == 0) {
        error = mkv_client_effect_child(client->out, request->id, mkv_buf_bytes(&key), child);
    }
    mkv_buf_deinit(&key);
    return error;
}

static bool on_children(struct mkv_client *client,
                        struct mkv_client_request *request,
                        struct mkv_bytes rows)
{
    struct mkv_cbor_reader r;

    if (request->kind != MKV_CLIENT_REQUEST_LIST) {
        return false;
    }
    mkv_cbor_reader_init(&r, rows);
    uint64_t n = mkv_cbor_read_array(&r, MKV_PAGE_ROWS_MAX);

    for (uint64_t i = 0; i < n; i++) {
        struct mkv_child child;

        mkv_child_read(&r, &child);
        if (r.error != 0) {
            return false;
        }
        int error = tell_child(client, request, &child);

        if (error != 0) {
            send_with_id(client, MKV_FRAME_CANCEL, request->wire_id);
            fail(client, request, error);
            return true;
        }
        request->n_rows++;
    }
    send_with_id(client, MKV_FRAME_CREDIT, request->wire_id);
    return true;
}

static bool on_end(struct mkv_client *client,
                   struct mkv_client_request *request,
                   const struct mkv_frame_end *end)
{
    struct mkv_client_watch *watch = request->watch;
    struct mkv_client_write *write = request->write;

    switch (request->kind) {
    case MKV_CLIENT_REQUEST_GET:
        complete(client, request, MKV_E_NOT_FOUND);
        return true;
    case MKV_CLIENT_REQUEST_READ:
    case MKV_CLIENT_REQUEST_LIST:
        complete(client, request, 0);
        return true;
    case MKV_CLIENT_REQUEST_HEAD:
        finish(client, request);
        write->head = MKV_HEAD_KNOWN;
        return true;
    case MKV_CLIENT_REQUEST_WATCH_READ:
        finish(client, request);
        mkv_client_watch_read_end(client, watch, end);
        return true;
    case MKV_CLIENT_REQUEST_STATUS:
    case MKV_CLIENT_REQUEST_PING:
    case MKV_CLIENT_REQUEST_WATCH_CHECK:
        break;
    }
    return false;
}

static bool on_digest(struct mkv_client *client,
                      struct mkv_client_request *request,
                      const struct mkv_frame_digest *digest)
{
    struct mkv_client_watch *watch = request->watch;

    if (request->kind != MKV_CLIENT_REQUEST_WATCH_CHECK) {
        return false;
    }
    finish(client, request);
    mkv_client_watch_checked(client, watch, digest);
    return true;
}

static bool on_report(struct mkv_client *client,
                      struct mkv_client_request *request,
                      struct mkv_bytes report)
{
    if (request->kind != MKV_CLIENT_REQUEST_STATUS) {
        return false;
    }
    mkv_client_effect_report(client->out, request->id, report);
    finish(client, request);
    return true;
}

static bool on_pong(struct mkv_client *client, struct mkv_client_request *request, uint64_t tock)
{
    mkv_client_note_server_tock(client, tock);
    if (request->kind != MKV_CLIENT_REQUEST_PING) {
        return false;
    }
    complete(client, request, 0);
    return true;
}

static bool on_error(struct mkv_client *client, struct mkv_client_request *request, int code)
{
    if (code == MKV_E_BUSY && request->n_rows == 0) {
        unsend(client, request);
        request->not_before_ms = client->now_ms + BUSY_WAIT_MS;
    } else {
        fail(client, request, code);
    }
    return true;
}

static bool dispatch(struct mkv_client *client,
                     struct mkv_client_request *request,
                     const struct mkv_frame *frame)
{
    if (frame->kind == MKV_FRAME_DATA) {
        return on_data(client, request, frame->data.rows);
    }
    if (frame->kind == MKV_FRAME_CHILDREN) {
        return on_children(client, request, frame->rows);
    }
    if (frame->kind == MKV_FRAME_END) {
        return on_end(client, request, &frame->end);
    }
    if (frame->kind == MKV_FRAME_DIGEST) {
        return on_digest(client, request, &frame->digest);
    }
    if (frame->kind == MKV_FRAME_REPORT) {
        return on_report(client, request, frame->report);
    }
    if (frame->kind == MKV_FRAME_PONG) {
        return on_pong(client, request, frame->tock);
    }
    return on_error(client, request, frame->error.code);
}

void mkv_client_request_frame(struct mkv_client *client, const struct mkv_frame *frame)
{
    struct mkv_client_request *request = find_sent(client, frame->id);

    if (request != NULL && !dispatch(client, request, frame)) {
        mkv_client_link_fail(client, MKV_E_MALFORMED,
                             "the server's answer does not fit the request");
    }
}

/* Ending from this side. */

void mkv_client_request_abandon(struct mkv_client *client, struct mkv_client_request *request)
{
    if (is_sent(request) && client->phase == MKV_CLIENT_UP) {
        send_with_id(client, MKV_FRAME_CANCEL, request->wire_id);
    }
    finish(client, request);
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
        unsend(client, request);
        break;
    case MKV_CLIENT_REQUEST_READ:
    case MKV_CLIENT_REQUEST_LIST:
        unsend(client, request);
        if (n_rows > 0) {
            complete(client, request, MKV_E_CLOSED);
        }
        break;
    case MKV_CLIENT_REQUEST_PING:
        unsend(client, request);
        if (request->id == 0) {
            finish(client, request);
        }
        break;
    case MKV_CLIENT_REQUEST_HEAD:
        request->write->head = MKV_HEAD_WANTED;
        finish(client, request);
        break;
    case MKV_CLIENT_REQUEST_WATCH_READ:
    case MKV_CLIENT_REQUEST_WATCH_CHECK:
        finish(client, request);
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
            complete(client, request, MKV_E_CANCELLED);
        }
    }
}

void mkv_client_request_deinit(struct mkv_client *client)
{
    struct mkv_client_request *request = client->requests;

    while (request != NULL) {
        struct mkv_client_request *next = request->next;

        mkv_row_reader_deinit(&request->reader);
        mkv_mem_free(request);
        request = next;
    }
}
