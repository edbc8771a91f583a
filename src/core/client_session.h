/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client keeps of the session frame (docs/protocol.md, section 7.1).
 *
 * It outlives the link: by its token the session is resumed, and under its name and number go on
 * the updates that were not acknowledged.
 */
#ifndef MKV_CORE_CLIENT_SESSION_H
#define MKV_CORE_CLIENT_SESSION_H

#include "base/buf.h"
#include "wire/frame.h"

/* `= {0}` is no session: then name is empty. */
struct mkv_client_session {
    struct mkv_buf store;           /* owned: the texts that the next field borrows */
    struct mkv_frame_session about; /* tock, clock and acked as they were at the start */
};

/*
 * Copies @frame, replacing what was there.  MALFORMED, BAD_TOPIC if it has a mode, profile, QoS or
 * root that we do not understand; NO_MEMORY.  Then @session is unchanged.
 */
int mkv_client_session_set(struct mkv_client_session *session,
                           const struct mkv_frame_session *frame) MKV_MUST_CHECK;

/* Back to no session. */
void mkv_client_session_deinit(struct mkv_client_session *session);

static inline bool mkv_client_session_exists(const struct mkv_client_session *session)
{
    return session->about.name.len > 0;
}

/* Whether @frame goes on with the stream of updates of @session: the same name and number. */
bool mkv_client_session_continued(const struct mkv_client_session *session,
                                  const struct mkv_frame_session *frame);

/* Whether a connection to the broker made for @session serves @frame as well. */
bool mkv_client_session_same_broker(const struct mkv_client_session *session,
                                    const struct mkv_frame_session *frame);

#endif
