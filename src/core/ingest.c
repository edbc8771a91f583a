/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rule.h"
#include "core/server_state.h"
#include "wire/path.h"

/*
 * Updates from MQTT (docs/protocol.md, 5 and 6).
 */
#define COMPLAIN_MS    1000   /* at most one line per second about bad messages */
#define DOTTED_MAX     16384U /* longer than any path in dotted text */
#define PATH_SHOWN_MAX 200U

/* Whether a line about bad messages may be written now; else it is counted for the next one. */
static bool may_complain(struct mkv_server *server, struct mkv_now now)
{
    if (now.ms - server->complained_ms < COMPLAIN_MS) {
        server->n_unspoken++;
        return false;
    }
    server->complained_ms = now.ms;
    return true;
}

/* Takes the number of lines not written since the last one. */
static unsigned long long take_unspoken(struct mkv_server *server)
{
    unsigned long long n = server->n_unspoken;

    server->n_unspoken = 0;
    return n;
}

/* It counts as dealt with; the ACK goes out with the batch. */
static void note(struct mkv_server *server,
                 struct mkv_now now,
                 struct mkv_session *session,
                 uint64_t counter)
{
    struct mkv_run run = {counter, counter};

    if (session != NULL &&
        mkv_session_note(session, now, &server->config.session_limits, run) == MKV_SEEN_NEW) {
        mkv_server_mark_dirty(server, session);
        mkv_server_wake_at(server, session->ask_ms);
    }
}

static void refuse(struct mkv_server *server,
                   struct mkv_now now,
                   struct mkv_session *session,
                   uint64_t counter,
                   int error)
{
    struct mkv_frame frame = {
        .kind = MKV_FRAME_NACK,
        .nack = {.counter = counter, .code = error, .text = mkv_bytes_of(mkv_error_text(error))},
    };

    if (session != NULL && mkv_seen_has(&session->seen, counter)) { /* it was fine in its time */
        mkv_server_ack(server, now, session);
        return;
    }
    server->counts.nacks++;
    if (session != NULL) {
        session->refused = true;
    }
    note(server, now, session, counter);
    if (session != NULL && session->link != 0) {
        mkv_effect_send(server->effects, session->link, &frame);
    }
}

/* Into the store, if it wins; @update has a tock. */
static int merge(struct mkv_server *server,
                 struct mkv_now now,
                 struct mkv_bytes key,
                 const struct mkv_update *update)
{
    struct mkv_merge merged;
    struct mkv_update other;
    int error = mkv_merge_decide(server->store, key, update, &merged, &other);

    if (error != 0) {
        return error;
    }
    mkv_tock_see(&server->tock, update->tock);
    if (merged.conflict != MKV_CONFLICT_NONE && merged.verdict == MKV_MERGE_WON) {
        error = mkv_server_conflict(server, now, key, merged.conflict, &other, update);
    } else if (merged.conflict != MKV_CONFLICT_NONE) {
        error = mkv_server_conflict(server, now, key, merged.conflict, update, &other);
    }
    if (error != 0) {
        return error;
    }

    switch (merged.verdict) {
    case MKV_MERGE_SAME:
        server->counts.duplicates++;
        break;
    case MKV_MERGE_LOST:
        server->counts.outdated++;
        break;
    case MKV_MERGE_WON: {
        struct mkv_head head = mkv_head_of(update);

        server->counts.updates++;
        error = mkv_store_put(server->store, key, &head, &merged.update);
        if (error == 0) {
            error = mkv_past_add(&server->cluster.past, mkv_sync_digest(server));
        }
        if (mkv_members_are_at(key)) { /* perhaps we are no member any more */
            server->cluster.members_written = true;
            mkv_server_wake_at(server, now.ms);
        }
        break;
    }
    }
    return error;
}

/* An update may come by way of another server only: then it has arrived, too. */
int mkv_ingest_note(struct mkv_server *server, struct mkv_now now, const struct mkv_tick *dot)
{
    note(server, now, mkv_server_session_of(server, dot), dot->counter);
    mkv_gaps_read(server, now, dot);
    return mkv_stamp_seen(server, dot);
}

/*
 * Another server has taken it, not knowing whose session it is of.  It is taken here as well, since all are to have
 * the same; but if its writer had no right to it, it has lost before that.
 */
static int judge_read(struct mkv_server *server,
                      struct mkv_now now,
                      struct mkv_bytes key,
                      const struct mkv_update *update)
{
    const struct mkv_tick *dot = &update->ticks.at[0];
    struct mkv_session *session = mkv_server_session_of(server, dot);
    bool may;
    int error;

    if (session == NULL || session->user[0] == '\0' || mkv_seen_has(&session->seen, dot->counter)) {
        return 0;
    }
    error = mkv_grants_judge(server, session, key, update, &may);
    if (error == 0 && !may) {
        error = mkv_grants_put_back(server, now, key, update);
        refuse(server, now, session, dot->counter, MKV_E_NOT_AUTHORISED);
    }
    return error;
}

int mkv_ingest_merge(struct mkv_server *server,
                     struct mkv_now now,
                     struct mkv_bytes key,
                     const struct mkv_update *update)
{
    const struct mkv_tick *dot = &update->ticks.at[0];
    int error = judge_read(server, now, key, update);

    if (error == 0) {
        error = merge(server, now, key, update);
    }
    if (error == 0 && mkv_mode_retains(server->config.mode)) {
        error = mkv_retained_learnt(server, now, key);
    }
    return error != 0 ? error : mkv_ingest_note(server, now, dot);
}

/* Whether this very update is what the store holds at @key. */
static bool is_held(const struct mkv_server *server,
                    struct mkv_bytes key,
                    const struct mkv_update *update)
{
    struct mkv_tree_entry held;
    struct mkv_head head = mkv_head_of(update);

    return mkv_tree_find(mkv_store_tree(server->store), key, &held) &&
           mkv_head_compare(&head, &held.head) == 0;
}

/* Another server stamps it, or nobody: then its writer should learn why. */
static void ignore_unstamped(struct mkv_server *server,
                             struct mkv_now now,
                             const struct mkv_tick *dot)
{
    server->counts.refused++;
    if (may_complain(server, now)) {
        mkv_effect_log(server->effects, MKV_LOG_WARNING,
                       "an update without a tock is ignored: '%.*s' %llu is no session that is "
                       "known here (and %llu other messages)",
                       (int)dot->name.len, (const char *)dot->name.at, (unsigned long long)dot->seq,
                       take_unspoken(server));
    }
}

/*
 * An update without a tock: the server it names stamps it, once.  A repeat must never be stamped
 * anew, or an old value would overwrite newer ones: one that came before, also by way of another
 * server, or one that another update knew.
 */
static int stamp(struct mkv_server *server,
                 struct mkv_now now,
                 struct mkv_session *session,
                 struct mkv_bytes key,
                 const struct mkv_update *update)
{
    uint64_t counter = update->ticks.at[0].counter;
    struct mkv_update stamped = *update;
    bool covered;
    int error;

    if (mkv_seen_has(&session->seen, counter) && MKV_RULE(STAMP_ONCE)) {
        mkv_server_ack(server, now, session);
        return 0;
    }
    error = mkv_stamp_covered(server, key, &update->ticks.at[0], &covered);
    if (error != 0) {
        return error;
    }
    if (covered) {
        server->counts.outdated++;
        note(server, now, session, counter);
        return 0;
    }
    stamped.has_tock = true;
    stamped.tock = mkv_tock_next(&server->tock, now.wall_ms);
    server->counts.stamped++;

    note(server, now, session, counter);
    if (!mkv_seen_has(&session->seen, counter)) {
        return 0; /* too many holes to remember it: it will be repeated, and stamped then */
    }
    mkv_effect_publish(server->effects, key, &stamped);
    return merge(server, now, key, &stamped);
}

/* Our own clients' we stamp ourselves; those of servers that are not here, somebody does. */
static int take_unstamped(struct mkv_server *server,
                          struct mkv_now now,
                          struct mkv_session *session,
                          struct mkv_bytes key,
                          const struct mkv_update *update)
{
    bool taken;
    int error;

    if (session != NULL) {
        return stamp(server, now, session, key, update);
    }
    error = mkv_stamp_take(server, now, key, update, &taken);
    if (error == 0 && !taken) {
        ignore_unstamped(server, now, &update->ticks.at[0]);
    }
    return error;
}

/* Up to the horizon all that is accepted is known to be accepted; up to the floor, known to all. */
static bool is_stale(const struct mkv_server *server, uint64_t tock)
{
    return tock <= mkv_floor_bound(&server->cluster.floor) && MKV_RULE(HORIZON_REFUSES);
}

/*
 * A client of ours that is here and does not know the time has it told: its update is stamped like
 * one without a tock.  Anybody else's comes too late.
 */
static int take_stale(struct mkv_server *server,
                      struct mkv_now now,
                      struct mkv_session *session,
                      struct mkv_bytes key,
                      const struct mkv_update *update)
{
    uint64_t counter = update->ticks.at[0].counter;

    if (session != NULL && session->link != 0 && !mkv_seen_has(&session->seen, counter)) {
        return stamp(server, now, session, key, update);
    }
    refuse(server, now, session, counter, MKV_E_STALE);
    return 0;
}

static int complain_forbidden(struct mkv_server *server,
                              struct mkv_now now,
                              const struct mkv_session *session,
                              struct mkv_bytes key)
{
    struct mkv_buf path;
    int error;

    if (!may_complain(server, now)) {
        return 0;
    }
    mkv_buf_init(&path, DOTTED_MAX);
    error = mkv_path_to_dotted(key, &path);
    if (error == 0) {
        mkv_effect_log(server->effects, MKV_LOG_WARNING,
                       "user '%s' has no right to write '%.*s': refused (and %llu other messages)",
                       session->user, (int)(path.len > PATH_SHOWN_MAX ? PATH_SHOWN_MAX : path.len),
                       (const char *)path.at, take_unspoken(server));
    }
    mkv_buf_deinit(&path);
    return error;
}

/*
 * Its writer has no right to it, but others do not know that; unless they ignore it for another reason:
 * it has no tock, or comes too late.
 */
static int take_forbidden(struct mkv_server *server,
                          struct mkv_now now,
                          struct mkv_session *session,
                          struct mkv_bytes key,
                          const struct mkv_update *update)
{
    int error = 0;

    if (update->has_tock && !is_stale(server, update->tock)) {
        error = mkv_grants_put_back(server, now, key, update);
    }
    if (error == 0) {
        error = complain_forbidden(server, now, session, key);
    }
    if (error == 0) {
        refuse(server, now, session, update->ticks.at[0].counter, MKV_E_NOT_AUTHORISED);
    }
    return error;
}

/* Another one than is held, by a tock if it has one; @may: its writer has the right. */
static int take_new(struct mkv_server *server,
                    struct mkv_now now,
                    struct mkv_session *session,
                    struct mkv_bytes key,
                    const struct mkv_update *update,
                    bool may)
{
    const struct mkv_tick *dot = &update->ticks.at[0];
    int error;

    if (update->has_tock && mkv_tock_judge(&server->tock, now, update->tock) == MKV_TOCK_FUTURE) {
        refuse(server, now, session, dot->counter, MKV_E_FUTURE);
        return 0;
    }
    if (!may) {
        return take_forbidden(server, now, session, key, update);
    }
    if (!update->has_tock) {
        return take_unstamped(server, now, session, key, update);
    }
    if (is_stale(server, update->tock)) {
        return take_stale(server, now, session, key, update);
    }
    error = merge(server, now, key, update);
    if (error == 0 && session != NULL && mkv_seen_has(&session->seen, dot->counter)) {
        mkv_server_ack(server, now, session);
    } else if (error == 0) {
        note(server, now, session, dot->counter);
    }
    return error;
}

static int take(struct mkv_server *server,
                struct mkv_now now,
                struct mkv_bytes key,
                const struct mkv_update *update)
{
    const struct mkv_tick *dot = &update->ticks.at[0];
    struct mkv_session *session = mkv_server_session_of(server, dot);
    bool may;
    int error;

    if (dot->seq != 0 && mkv_members_are_at(key)) { /* who counts is not for clients to say */
        refuse(server, now, session, dot->counter, MKV_E_NOT_AUTHORISED);
        return 0;
    }
    error = mkv_grants_judge(server, session, key, update, &may);
    if (error == 0 && update->has_tock) {
        mkv_gaps_heard(server, now, dot);
        error = mkv_stamp_seen(server, dot);
    }
    if (error != 0) {
        return error;
    }
    if (update->has_tock && session != NULL && mkv_seen_has(&session->seen, dot->counter) &&
        is_held(server, key, update)) {
        server->counts.duplicates++;
        mkv_server_ack(server, now, session);
        return 0;
    }
    return take_new(server, now, session, key, update, may);
}

int mkv_server_update(struct mkv_server *server,
                      struct mkv_now now,
                      struct mkv_bytes key,
                      const struct mkv_update *update)
{
    bool was_held;
    int error;

    now = mkv_server_clock(server, now);
    if (server->failure != 0) {
        server->counts.dropped++;
        return 0;
    }
    was_held =
        mkv_mode_retains(server->config.mode) && update->has_tock && is_held(server, key, update);
    error = take(server, now, key, update);
    if (error == 0 && mkv_mode_retains(server->config.mode)) {
        error = mkv_retained_heard(server, now, key, update, was_held);
    }
    return error;
}

void mkv_server_bad_update(struct mkv_server *server,
                           struct mkv_now now,
                           struct mkv_bytes topic,
                           const struct mkv_tick *dot,
                           int error)
{
    int shown = topic.len > 200 ? 200 : (int)topic.len;
    struct mkv_session *session = dot == NULL ? NULL : mkv_server_session_of(server, dot);

    now = mkv_server_clock(server, now);
    server->counts.refused++;
    if (dot != NULL && server->failure == 0) {
        mkv_gaps_heard(server, now, dot);
    }
    if (session != NULL && server->failure == 0) {
        refuse(server, now, session, dot->counter, error);
    }
    if (may_complain(server, now)) {
        mkv_effect_log(server->effects, MKV_LOG_WARNING,
                       "a message on '%.*s' is ignored: %s (and %llu others)", shown,
                       (const char *)topic.at, mkv_error_text(error), take_unspoken(server));
    }
}

void mkv_server_forged(struct mkv_server *server,
                       struct mkv_now now,
                       struct mkv_bytes topic,
                       const struct mkv_tick *dot)
{
    int shown = topic.len > PATH_SHOWN_MAX ? (int)PATH_SHOWN_MAX : (int)topic.len;

    now = mkv_server_clock(server, now);
    server->counts.forged++;
    if (may_complain(server, now)) {
        mkv_effect_log(server->effects, MKV_LOG_WARNING,
                       "a message on '%.*s' is ignored: it does not prove that session '%.*s' %llu "
                       "has written it (and %llu others)",
                       shown, (const char *)topic.at, dot == NULL ? 0 : (int)dot->name.len,
                       dot == NULL ? "" : (const char *)dot->name.at,
                       dot == NULL ? 0ULL : (unsigned long long)dot->seq, take_unspoken(server));
    }
}
