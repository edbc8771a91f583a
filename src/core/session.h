/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session: one client's stream of updates, as the server that gave it the session sees it.
 *
 * It outlives its link: a client that comes back resumes it, and a row in the store carries it
 * over a restart of the server.  Holes in the stream are asked for a few times; when the client
 * is gone, or does not have them, they become void.  Convergence does not depend on any of this.
 */
#ifndef MKV_CORE_SESSION_H
#define MKV_CORE_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "core/acl.h"
#include "core/now.h"
#include "core/seen.h"

#define MKV_REPEAT_TRIES_MAX 10U   /* asked this often in vain (over 2 minutes), a hole is void */
#define MKV_REPEAT_WAIT_MS   30000 /* the longest wait between two of them */
#define MKV_REPEAT_WINDOW    1000U /* counters asked for at once */

struct mkv_session {
    uint64_t seq;
    uint64_t link;                   /* 0: the client is not here now */
    char user[MKV_ACL_NAME_MAX + 1]; /* whose it is; empty: somebody's who may do everything */
    struct mkv_seen seen;
    uint64_t acked;      /* the last counter acknowledged over the present link */
    int64_t detached_ms; /* since when link is 0 */
    int64_t ask_ms;      /* when to deal with the first hole; MKV_NEVER: there is none */
    uint32_t tries;      /* how often it has been asked for */
    bool refused;        /* an update was nacked or given up: it cannot be resumed, since only the
                            present link was told, and the counter would pass for stored */
    bool stored;         /* the store has a row of it */
    bool dirty;          /* changed since the last commit; in the list of such */
    struct mkv_session *next_dirty;
};

struct mkv_session_limits {
    int64_t grace_ms; /* a hole may be mere reordering: wait this long before asking */
    int64_t void_ms;  /* how long to wait for a client that is gone */
};

/* Records the arrival of @first..@last and sees to the timer. */
enum mkv_seen_verdict mkv_session_note(struct mkv_session *session,
                                       struct mkv_now now,
                                       const struct mkv_session_limits *limits,
                                       struct mkv_run run);

enum mkv_session_action {
    MKV_SESSION_WAIT,
    MKV_SESSION_ASK,  /* the client, for *ret_run, and for later holes while at it */
    MKV_SESSION_VOID, /* *ret_run has been given up and is recorded as void */
};

/* What is to be done about the first hole at time @now; moves the timer. */
enum mkv_session_action mkv_session_due(struct mkv_session *session,
                                        struct mkv_now now,
                                        const struct mkv_session_limits *limits,
                                        struct mkv_run *ret_run);

/* The client came (@link) or went (0). */
void mkv_session_attach(struct mkv_session *session,
                        struct mkv_now now,
                        const struct mkv_session_limits *limits,
                        uint64_t link);

/* The content of its row in the store. */
int mkv_session_encode(const struct mkv_session *session, struct mkv_buf *out) MKV_MUST_CHECK;
/* *ret_user is borrowed, and a name or empty. */
int mkv_session_decode(struct mkv_bytes in,
                       struct mkv_seen *ret_seen,
                       struct mkv_bytes *ret_user) MKV_MUST_CHECK;

#endif
