/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "core/client_parts.h"

/*
 * What the server answers to the requests of client_request.c.
 */
#define BUSY_WAIT_MS 100

static struct mkv_client_request *find_sent(const struct mkv_client *client, uint64_t wire_id)
{
    for (struct mkv_client_request *request = client->requests; request != NULL;
         request = request->next) {
        if (wire_id != 0 && !request->over && request->wire_id == wire_id) {
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
            mkv_client_request_finish(client, request);
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
    case MKV_CLIENT_REQUEST_SERVERS:
    case MKV_CLIENT_REQUEST_EVICT:
    case MKV_CLIENT_REQUEST_PASSWD:
    case MKV_CLIENT_REQUEST_CONFLICTS:
    case MKV_CLIENT_REQUEST_WATCH_CHECK: /* sorted out by takes_rows() */
        break;
    }
    if (error != 0) {
        mkv_client_request_say(client, MKV_FRAME_CANCEL, request->wire_id);
        mkv_client_request_fail(client, request, error);
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
    case MKV_CLIENT_REQUEST_SERVERS:
    case MKV_CLIENT_REQUEST_EVICT:
    case MKV_CLIENT_REQUEST_PASSWD:
    case MKV_CLIENT_REQUEST_CONFLICTS:
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
    mkv_client_request_say(client, MKV_FRAME_CREDIT, request->wire_id);
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
            mkv_client_request_say(client, MKV_FRAME_CANCEL, request->wire_id);
            mkv_client_request_fail(client, request, error);
            return true;
        }
        request->n_rows++;
    }
    mkv_client_request_say(client, MKV_FRAME_CREDIT, request->wire_id);
    return true;
}

static bool on_reports(struct mkv_client *client,
                       struct mkv_client_request *request,
                       struct mkv_bytes reports)
{
    struct mkv_cbor_reader r;

    if (request->kind != MKV_CLIENT_REQUEST_SERVERS) {
        return false;
    }
    mkv_cbor_reader_init(&r, reports);
    for (uint64_t left = mkv_cbor_read_array(&r, MKV_PAGE_ROWS_MAX); left > 0; left--) {
        struct mkv_bytes report = mkv_cbor_read_raw(&r);
        int error = r.error != 0 ? 0 : mkv_client_effect_fact(client->out, request->id, report);

        if (r.error != 0) {
            return false;
        }
        if (error != 0) {
            mkv_client_request_say(client, MKV_FRAME_CANCEL, request->wire_id);
            mkv_client_request_fail(client, request, error);
            return true;
        }
        request->n_rows++;
    }
    mkv_client_request_say(client, MKV_FRAME_CREDIT, request->wire_id);
    return true;
}

static bool on_done(struct mkv_client *client, struct mkv_client_request *request)
{
    if (request->kind != MKV_CLIENT_REQUEST_EVICT && request->kind != MKV_CLIENT_REQUEST_PASSWD) {
        return false;
    }
    mkv_client_request_complete(client, request, 0);
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
        mkv_client_request_complete(client, request, MKV_E_NOT_FOUND);
        return true;
    case MKV_CLIENT_REQUEST_READ:
    case MKV_CLIENT_REQUEST_LIST:
    case MKV_CLIENT_REQUEST_SERVERS:
        mkv_client_request_complete(client, request, 0);
        return true;
    case MKV_CLIENT_REQUEST_CONFLICTS:
        if ((request->flags & MKV_CONFLICTS_FOLLOW) != 0) {
            break;
        }
        mkv_client_request_complete(client, request, 0);
        return true;
    case MKV_CLIENT_REQUEST_HEAD:
        mkv_client_request_finish(client, request);
        write->head = MKV_HEAD_KNOWN;
        return true;
    case MKV_CLIENT_REQUEST_WATCH_READ:
        mkv_client_request_finish(client, request);
        mkv_client_watch_read_end(client, watch, end);
        return true;
    case MKV_CLIENT_REQUEST_STATUS:
    case MKV_CLIENT_REQUEST_PING:
    case MKV_CLIENT_REQUEST_EVICT:
    case MKV_CLIENT_REQUEST_PASSWD:
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
    mkv_client_request_finish(client, request);
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
    mkv_client_request_finish(client, request);
    return true;
}

static bool on_pong(struct mkv_client *client, struct mkv_client_request *request, uint64_t tock)
{
    mkv_client_note_server_tock(client, tock);
    if (request->kind != MKV_CLIENT_REQUEST_PING) {
        return false;
    }
    mkv_client_request_complete(client, request, 0);
    return true;
}

static bool on_error(struct mkv_client *client, struct mkv_client_request *request, int code)
{
    if (code == MKV_E_BUSY && request->n_rows == 0) {
        mkv_client_request_unsend(client, request);
        request->not_before_ms = client->now_ms + BUSY_WAIT_MS;
    } else {
        mkv_client_request_fail(client, request, code);
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
    if (frame->kind == MKV_FRAME_LOST) {
        return mkv_client_conflicts_answer(client, request, frame->lost);
    }
    if (frame->kind == MKV_FRAME_REPORTS) {
        return on_reports(client, request, frame->reports);
    }
    if (frame->kind == MKV_FRAME_DONE) {
        return on_done(client, request);
    }
    return on_error(client, request, frame->error.code);
}

void mkv_client_answer(struct mkv_client *client, const struct mkv_frame *frame)
{
    struct mkv_client_request *request = find_sent(client, frame->id);

    if (request != NULL && !dispatch(client, request, frame)) {
        mkv_client_link_fail(client, MKV_E_MALFORMED,
                             "the server's answer does not fit the request");
    }
}
