/* SPDX-License-Identifier: Apache-2.0 */
#include "core/client_session.h"

#include "wire/topic.h"

#define STORE_MAX 65536U /* a frame's worth of addresses and credentials is far below */
#define QOS_MAX   1U

static int check(const struct mkv_frame_session *frame)
{
    bool has_key = frame->mac_key.len > 0;

    if (frame->mode > MKV_MODE_RAW || has_key != (frame->mode == MKV_MODE_MACS) ||
        frame->profile > MKV_PROFILE_PORTABLE || frame->qos > QOS_MAX ||
        frame->client_id.len == 0) {
        return MKV_E_MALFORMED;
    }
    return mkv_root_check(frame->root);
}

static size_t text_len(const struct mkv_frame_session *frame)
{
    size_t len = frame->name.len + frame->root.len + frame->client_id.len + frame->user.len +
                 frame->password.len + frame->token.len + frame->mac_key.len;

    for (uint32_t i = 0; i < frame->brokers.n; i++) {
        len += frame->brokers.at[i].len;
    }
    return len;
}

/* There is room for it: text_len() has been reserved. */
static int keep(struct mkv_buf *store, struct mkv_bytes *text)
{
    size_t at = store->len;
    int error = mkv_buf_append(store, *text);

    if (error == 0) {
        *text = mkv_bytes(store->at + at, text->len);
    }
    return error;
}

static int keep_all(struct mkv_client_session *session)
{
    struct mkv_frame_session *about = &session->about;
    struct mkv_bytes *const texts[] = {&about->name,   &about->root,     &about->client_id,
                                       &about->user,   &about->password, &about->token,
                                       &about->mac_key};
    int error = mkv_buf_reserve(&session->store, text_len(about));

    for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]) && error == 0; i++) {
        error = keep(&session->store, texts[i]);
    }
    for (uint32_t i = 0; i < about->brokers.n && error == 0; i++) {
        error = keep(&session->store, &about->brokers.at[i]);
    }
    return error;
}

int mkv_client_session_set(struct mkv_client_session *session,
                           const struct mkv_frame_session *frame)
{
    struct mkv_client_session new = {.about = *frame};
    int error = check(frame);

    if (error != 0) {
        return error;
    }
    mkv_buf_init(&new.store, STORE_MAX);
    error = keep_all(&new);
    if (error != 0) {
        mkv_buf_deinit(&new.store);
        return error;
    }
    mkv_client_session_deinit(session);
    *session = new;
    return 0;
}

void mkv_client_session_deinit(struct mkv_client_session *session)
{
    mkv_buf_deinit(&session->store);
    *session = (struct mkv_client_session){0};
}

bool mkv_client_session_continued(const struct mkv_client_session *session,
                                  const struct mkv_frame_session *frame)
{
    return session->about.seq == frame->seq && mkv_bytes_equal(session->about.name, frame->name);
}

bool mkv_client_session_same_broker(const struct mkv_client_session *session,
                                    const struct mkv_frame_session *frame)
{
    const struct mkv_frame_session *about = &session->about;

    if (!mkv_client_session_continued(session, frame) || about->brokers.n != frame->brokers.n ||
        about->has_user != frame->has_user || about->has_password != frame->has_password ||
        about->profile != frame->profile) {
        return false;
    }
    for (uint32_t i = 0; i < frame->brokers.n; i++) {
        if (!mkv_bytes_equal(about->brokers.at[i], frame->brokers.at[i])) {
            return false;
        }
    }
    return mkv_bytes_equal(about->root, frame->root) &&
           mkv_bytes_equal(about->client_id, frame->client_id) &&
           mkv_bytes_equal(about->user, frame->user) &&
           mkv_bytes_equal(about->password, frame->password);
}
