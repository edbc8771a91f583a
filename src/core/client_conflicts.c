/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "core/client_parts.h"
#include "core/order.h"
#include "wire/conflict.h"

/*
 * What lost in conflicts: asked for, followed, or lost by this client itself.  The same may come
 * twice, over a new link or from another server; the application is told once.
 */

static int tell(struct mkv_client *client,
                struct mkv_client_request *request,
                const struct mkv_conflict_row *row)
{
    struct mkv_cbor_reader r;
    struct mkv_buf key;
    bool news = true;

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    mkv_cbor_reader_init(&r, row->path);

    int error = mkv_path_from_cbor(&r, &key);

    if (error == 0 && mkv_bytes_starts_with(mkv_buf_bytes(&key), request->key)) {
        error = mkv_told_note(&request->told, row->id, row->more, &news);
        if (error == 0 && news) {
            error = mkv_client_effect_lost(client->out, request->id, mkv_buf_bytes(&key), row);
        }
    }
    mkv_buf_deinit(&key);
    return error;
}

/* Returns false if it cannot be read; *ret_error is our own trouble. */
static bool tell_all(struct mkv_client *client,
                     struct mkv_client_request *request,
                     struct mkv_bytes lost,
                     int *ret_error)
{
    struct mkv_cbor_reader r;

    mkv_cbor_reader_init(&r, lost);
    for (uint64_t left = mkv_cbor_read_array(&r, MKV_PAGE_ROWS_MAX); left > 0; left--) {
        struct mkv_conflict_row row;

        mkv_conflict_row_read(&r, &row);
        if (r.error != 0) {
            return false;
        }
        *ret_error = tell(client, request, &row);
        if (*ret_error != 0) {
            return *ret_error == MKV_E_NO_MEMORY; /* else the path is none */
        }
        request->n_rows++;
    }
    return true;
}

bool mkv_client_conflicts_answer(struct mkv_client *client,
                                 struct mkv_client_request *request,
                                 struct mkv_bytes lost)
{
    static const struct mkv_bytes nothing = {(const uint8_t *)"\x80", 1};
    int error = 0;

    if (request->kind != MKV_CLIENT_REQUEST_CONFLICTS || !tell_all(client, request, lost, &error)) {
        return false;
    }
    if (error == 0 && mkv_bytes_equal(lost, nothing) &&
        (request->flags & MKV_CONFLICTS_FOLLOW) != 0) {
        error = mkv_client_effect_lost(client->out, request->id, request->key, NULL);
    }
    if (error != 0) {
        mkv_client_request_say(client, MKV_FRAME_CANCEL, request->wire_id);
        mkv_client_request_fail(client, request, error);
        return true;
    }
    mkv_client_request_say(client, MKV_FRAME_CREDIT, request->wire_id);
    return true;
}

int mkv_client_conflicts_order(const struct mkv_client *client,
                               const struct mkv_client_order *order)
{
    uint32_t n = 0;

    if ((order->flags & MKV_CONFLICTS_FOLLOW) == 0) {
        return 0;
    }
    for (const struct mkv_client_request *request = client->requests; request != NULL;
         request = request->next) {
        n += request->kind == MKV_CLIENT_REQUEST_CONFLICTS && !request->over &&
             (request->flags & MKV_CONFLICTS_FOLLOW) != 0;
    }
    return n < MKV_CLIENT_FOLLOWS_MAX ? 0 : MKV_E_TOO_MANY;
}

/* Without memory to know it by, it is told rather twice than not. */
static bool is_news(struct mkv_client *client, struct mkv_bytes key, const struct mkv_update *loser)
{
    struct mkv_head head = mkv_head_of(loser);
    struct mkv_digest digest = mkv_entry_digest(client->session.about.digest_key, key, &head);
    bool news = true;

    return mkv_told_note(&client->told, digest.high, 0, &news) != 0 || news;
}

void mkv_client_conflict(struct mkv_client *client, const struct mkv_frame_conflict *conflict)
{
    struct mkv_head winner = mkv_head_of(&conflict->winner);
    struct mkv_client_notice notice = {.kind = MKV_CLIENT_CONFLICT,
                                       .code = (int)(conflict->class_ & 1U),
                                       .n = conflict->more,
                                       .loser = &conflict->loser,
                                       .winner = &conflict->winner};
    struct mkv_cbor_reader r;
    struct mkv_buf key;

    if (mkv_ticks_cover(&conflict->loser.ticks, &winner)) {
        return; /* an update that was issued twice, under two sessions */
    }
    mkv_client_note_tock(client, conflict->winner.tock);
    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    mkv_cbor_reader_init(&r, conflict->path);
    if (mkv_path_from_cbor(&r, &key) == 0 &&
        is_news(client, mkv_buf_bytes(&key), &conflict->loser)) {
        notice.key = mkv_buf_bytes(&key);
        mkv_client_effect_notice(client->out, &notice);
    }
    mkv_buf_deinit(&key);
}
