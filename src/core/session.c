/* SPDX-License-Identifier: Apache-2.0 */
#include "core/session.h"

#include "base/limits.h"
#include "wire/cbor.h"

static int64_t repeat_wait(const struct mkv_session *session,
                           const struct mkv_session_limits *limits)
{
    int64_t wait_ms = limits->grace_ms << session->tries;

    return wait_ms < MKV_REPEAT_WAIT_MS ? wait_ms : MKV_REPEAT_WAIT_MS;
}

static void schedule(struct mkv_session *session,
                     struct mkv_now now,
                     const struct mkv_session_limits *limits)
{
    struct mkv_run hole;

    session->tries = 0;
    if (!mkv_seen_hole(&session->seen, 0, &hole)) {
        session->ask_ms = MKV_NEVER;
    } else if (session->link != 0) {
        session->ask_ms = now.ms + limits->grace_ms;
    } else {
        session->ask_ms = session->detached_ms + limits->void_ms;
    }
}

enum mkv_seen_verdict mkv_session_note(struct mkv_session *session,
                                       struct mkv_now now,
                                       const struct mkv_session_limits *limits,
                                       struct mkv_run run)
{
    uint64_t low = session->seen.low;
    enum mkv_seen_verdict verdict = mkv_seen_add(&session->seen, run.first, run.last);

    /* A hole that begins elsewhere than before, or the first one: a new wait. */
    if (verdict == MKV_SEEN_NEW && (session->seen.low != low || session->ask_ms == MKV_NEVER)) {
        schedule(session, now, limits);
    }
    return verdict;
}

enum mkv_session_action mkv_session_due(struct mkv_session *session,
                                        struct mkv_now now,
                                        const struct mkv_session_limits *limits,
                                        struct mkv_run *ret_run)
{
    struct mkv_run hole;

    if (now.ms < session->ask_ms || !mkv_seen_hole(&session->seen, 0, &hole)) {
        return MKV_SESSION_WAIT;
    }
    if (hole.last - hole.first >= MKV_REPEAT_WINDOW) {
        hole.last = hole.first + MKV_REPEAT_WINDOW - 1;
    }
    *ret_run = hole;
    if (session->link != 0 && session->tries < MKV_REPEAT_TRIES_MAX) {
        session->tries++;
        session->ask_ms = now.ms + repeat_wait(session, limits);
        return MKV_SESSION_ASK;
    }
    if (session->link == 0) { /* nobody is left who could fill it: all of it, at once */
        (void)mkv_seen_hole(&session->seen, 0, ret_run);
    }
    session->refused = true;
    (void)mkv_session_note(session, now, limits, *ret_run);
    return MKV_SESSION_VOID;
}

void mkv_session_attach(struct mkv_session *session,
                        struct mkv_now now,
                        const struct mkv_session_limits *limits,
                        uint64_t link)
{
    session->link = link;
    session->detached_ms = now.ms;
    session->acked = session->seen.low;
    schedule(session, now, limits);
}

int mkv_session_encode(const struct mkv_session *session, struct mkv_buf *out)
{
    const struct mkv_seen *seen = &session->seen;
    struct mkv_bytes user = mkv_bytes_of(session->user);
    struct mkv_cbor_writer w;

    mkv_cbor_writer_init(&w, out);
    mkv_cbor_write_array(&w, 1 + 2 * (uint64_t)seen->n_runs + (user.len > 0));
    if (user.len > 0) { /* so the list has an even number of items */
        mkv_cbor_write_text(&w, user);
    }
    mkv_cbor_write_uint(&w, seen->low);
    for (uint32_t i = 0; i < seen->n_runs; i++) {
        mkv_cbor_write_uint(&w, seen->runs[i].first);
        mkv_cbor_write_uint(&w, seen->runs[i].last);
    }
    return w.error;
}

int mkv_session_decode(struct mkv_bytes in, struct mkv_seen *ret_seen, struct mkv_bytes *ret_user)
{
    struct mkv_seen seen = {0};
    struct mkv_bytes user = {0};
    struct mkv_cbor_reader r;

    mkv_cbor_reader_init(&r, in);
    uint64_t n = mkv_cbor_read_array(&r, 2 + 2 * MKV_SEEN_RUNS_MAX);

    if (n % 2 == 0) {
        user = mkv_cbor_read_text(&r);
        if (!mkv_acl_name_valid(user)) {
            mkv_cbor_fail(&r, MKV_E_MALFORMED);
        }
        n--;
    }
    seen.low = mkv_cbor_read_uint_below(&r, MKV_INTEGER_MAX);
    for (uint64_t i = 1; i < n && r.error == 0; i += 2) {
        uint64_t first = mkv_cbor_read_uint_below(&r, MKV_INTEGER_MAX);
        uint64_t last = mkv_cbor_read_uint_below(&r, MKV_INTEGER_MAX);

        if (r.error != 0 || first <= seen.low || last < first) {
            mkv_cbor_fail(&r, MKV_E_MALFORMED);
            break;
        }
        (void)mkv_seen_add(&seen, first, last);
    }

    int error = mkv_cbor_finish(&r);

    if (error == 0) {
        *ret_seen = seen;
        *ret_user = user;
    }
    return error;
}
