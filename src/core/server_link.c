/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "core/server_state.h"

void mkv_server_send_error(struct mkv_server *server,
                           struct mkv_server_link *link,
                           uint64_t id,
                           int error,
                           const char *text)
{
    struct mkv_frame frame = {
        .kind = MKV_FRAME_ERROR,
        .id = id,
        .error = {.code = error, .text = mkv_bytes_of(text)},
    };

    mkv_effect_send(server->effects, link->number, &frame);
    if (id == 0) {
        mkv_effect_close(server->effects, link->number);
        link->state = LINK_CLOSING;
    }
}

void mkv_server_tell_state(struct mkv_server *server, const struct mkv_server_link *link)
{
    const char *text = server->failure == 0 ? "writing again" : mkv_error_text(server->failure);
    struct mkv_frame frame = {
        .kind = MKV_FRAME_STATE,
        .state = {.code = server->failure, .text = mkv_bytes_of(text)},
    };

    mkv_effect_send(server->effects, link->number, &frame);
}

int mkv_server_link_opened(struct mkv_server *server,
                           struct mkv_now now,
                           uint64_t number,
                           enum mkv_peer_kind peer)
{
    struct mkv_server_link *link = mkv_mem_alloc(sizeof(*link));

    if (link == NULL) {
        return MKV_E_NO_MEMORY;
    }
    link->number = number;
    link->peer = peer;
    link->opened_ms = now.ms;
    link->heard_ms = now.ms;

    int error = mkv_map_add(&server->links, number, link);

    if (error == MKV_E_TOO_MANY) {
        mkv_server_send_error(server, link, 0, MKV_E_BUSY, "too many links to this server");
        mkv_effect_log(server->effects, MKV_LOG_WARNING, "too many links: one refused");
        error = 0;
        mkv_mem_free(link);
    } else if (error != 0) {
        mkv_mem_free(link);
    } else {
        mkv_handshake_greet(server, link);
        mkv_server_wake_at(server, now.ms + MKV_LINK_LOGIN_MS);
    }
    return error;
}

void mkv_server_link_uid(struct mkv_server *server, uint64_t number, uint32_t uid)
{
    struct mkv_server_link *link = mkv_map_get(&server->links, number);

    if (link != NULL) { /* else it was refused */
        link->has_uid = true;
        link->uid = uid;
    }
}

/* A session without any update is not worth remembering. */
static int detach(struct mkv_server *server, struct mkv_now now, struct mkv_session *session)
{
    mkv_session_attach(session, now, &server->config.session_limits, 0);
    if (mkv_seen_top(&session->seen) == 0) {
        return mkv_server_drop_session(server, session);
    }
    mkv_server_wake_at(server, session->ask_ms);
    return 0;
}

int mkv_server_link_closed(struct mkv_server *server, struct mkv_now now, uint64_t number)
{
    struct mkv_server_link *link = mkv_map_remove(&server->links, number);
    int error = 0;

    if (number >= MKV_LINK_OUT) {
        if (number == server->cluster.pull.link) {
            mkv_pull_closed(server, now);
        }
        return 0;
    }

    if (link == NULL) {
        return 0; /* one that was refused */
    }
    mkv_serve_end_all(server, link);
    if (link->session != NULL) {
        error = detach(server, now, link->session);
    }
    mkv_mem_free(link);
    return error;
}

/*
 * If all it wrote is here, nothing will follow, and the session is over.  If not, it lives on after
 * the link like that of a client that has died: perhaps the rest is on its way.
 */
static int take_bye(struct mkv_server *server, struct mkv_server_link *link, uint64_t counter)
{
    struct mkv_session *session = link->session;
    int error = 0;

    if (session != NULL && session->seen.low >= counter) {
        link->session = NULL;
        error = mkv_server_drop_session(server, session);
    }
    mkv_effect_close(server->effects, link->number);
    link->state = LINK_CLOSING;
    return error;
}

int mkv_server_frame(struct mkv_server *server,
                     struct mkv_now now,
                     uint64_t number,
                     const struct mkv_frame *frame)
{
    struct mkv_server_link *link = mkv_map_get(&server->links, number);

    now = mkv_server_clock(server, now);
    if (number >= MKV_LINK_OUT) {
        return number == server->cluster.pull.link ? mkv_pull_frame(server, now, frame) : 0;
    }
    if (link == NULL || link->state == LINK_CLOSING) {
        return 0;
    }
    link->heard_ms = now.ms;
    if (frame->kind == MKV_FRAME_BYE) {
        return take_bye(server, link, frame->bye_counter);
    }
    if (frame->kind == MKV_FRAME_ERROR) {
        mkv_effect_log(server->effects, MKV_LOG_WARNING, "link %llu: the client reports: %.*s",
                       (unsigned long long)number, (int)frame->error.text.len,
                       (const char *)frame->error.text.at);
        if (frame->id == 0 || link->state != LINK_OPEN) {
            mkv_effect_close(server->effects, number);
            link->state = LINK_CLOSING;
        }
        return 0;
    }
    if (link->state != LINK_OPEN) {
        return mkv_handshake_frame(server, now, link, frame);
    }
    return mkv_serve_frame(server, now, link, frame);
}

int mkv_server_bad_frame(
    struct mkv_server *server, struct mkv_now now, uint64_t number, int error, uint64_t id)
{
    struct mkv_server_link *link = mkv_map_get(&server->links, number);

    if (number >= MKV_LINK_OUT && number == server->cluster.pull.link) {
        mkv_pull_fail(server, now, mkv_error_text(error));
        return 0;
    }
    if (link == NULL || link->state == LINK_CLOSING) {
        return 0;
    }
    link->heard_ms = now.ms;
    if (error != MKV_E_UNKNOWN_REQUEST) {
        mkv_effect_log(server->effects, MKV_LOG_WARNING, "link %llu: bad frame: %s",
                       (unsigned long long)number, mkv_error_text(error));
        mkv_server_send_error(server, link, 0, error, mkv_error_text(error));
    } else if (id != 0) {
        mkv_server_send_error(server, link, id, error, mkv_error_text(error));
    }
    return 0;
}
