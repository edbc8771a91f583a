/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "messages.h"

#define SAME(member)       (a->member == b->member)
#define SAME_BYTES(member) mkv_bytes_equal(a->member, b->member)
#define SAME_ID16(member)  (memcmp(a->member, b->member, 16) == 0)

bool messages_same_update(const struct mkv_update *a, const struct mkv_update *b)
{
    if (!SAME(has_tock) || !SAME(tock) || !SAME(present) || !SAME_BYTES(value) || !SAME(ticks.n)) {
        return false;
    }
    for (uint32_t i = 0; i < a->ticks.n; i++) {
        if (!mkv_tick_equal(&a->ticks.at[i], &b->ticks.at[i])) {
            return false;
        }
    }
    return true;
}

static bool same_texts(const struct mkv_bytes *a, const struct mkv_bytes *b, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (!mkv_bytes_equal(a[i], b[i])) {
            return false;
        }
    }
    return true;
}

#define SAME_TEXTS(member) (SAME(member.n) && same_texts(a->member.at, b->member.at, a->member.n))
#define SAME_VERSIONS      (SAME(versions.lowest) && SAME(versions.highest))
#define SAME_PLACE(member) (SAME(member.nonce) && SAME(member.position))

bool messages_same_query(const struct mkv_query *a, const struct mkv_query *b)
{
    return SAME_BYTES(id) && SAME_VERSIONS;
}

bool messages_same_server_reply(const struct mkv_server_reply *a, const struct mkv_server_reply *b)
{
    return SAME_BYTES(id) && SAME_BYTES(name) && SAME_TEXTS(addresses) && SAME_VERSIONS &&
           SAME_BYTES(host);
}

bool messages_same_birth(const struct mkv_birth *a, const struct mkv_birth *b)
{
    return SAME_BYTES(name) && SAME(seq);
}

bool messages_same_ping(const struct mkv_ping *a, const struct mkv_ping *b)
{
    return SAME_BYTES(name) && SAME_ID16(uuid) && SAME(nonce) && SAME(number) && SAME(state) &&
           SAME_TEXTS(addresses) && SAME_BYTES(host) && SAME_VERSIONS && SAME(mode) &&
           SAME(profile) && SAME(qos) && SAME(position) && SAME(tock) && SAME(horizon) &&
           SAME(complete) && SAME(floor) && SAME_ID16(digest) && SAME(count) &&
           SAME_ID16(members) && SAME(uptime_s) && SAME(wall_ms) && SAME_ID16(cluster) &&
           SAME_ID16(secrets) && SAME(has_proof) && (!a->has_proof || SAME_ID16(proof));
}

static bool same_hello(const struct mkv_frame_hello *a, const struct mkv_frame_hello *b)
{
    return SAME_VERSIONS && SAME_TEXTS(features) && SAME_BYTES(software) && SAME_BYTES(name) &&
           SAME_TEXTS(mechanisms);
}

static bool same_auth(const struct mkv_frame_auth *a, const struct mkv_frame_auth *b)
{
    return SAME_BYTES(mechanism) && SAME(resume) && messages_same_birth(&a->session, &b->session) &&
           SAME_BYTES(token) && SAME_BYTES(initial);
}

static bool same_session(const struct mkv_frame_session *a, const struct mkv_frame_session *b)
{
    return SAME_BYTES(name) && SAME(seq) && SAME_BYTES(root) && SAME_TEXTS(brokers) &&
           SAME_BYTES(client_id) && SAME(has_user) && SAME(has_password) && SAME_BYTES(user) &&
           SAME_BYTES(password) && SAME(mode) && SAME(profile) && SAME(qos) &&
           SAME_ID16(store_id) && SAME_ID16(digest_key) && SAME(tock) && SAME(clock) &&
           SAME_BYTES(token) && SAME(acked) && SAME_BYTES(mac_key);
}

static bool same_read(const struct mkv_frame_read *a, const struct mkv_frame_read *b)
{
    return SAME_BYTES(path) && SAME(depth_min) && SAME(depth_max) && SAME(flags) &&
           SAME(has_since) && SAME_PLACE(since) && SAME(credit);
}

static bool same_conflict(const struct mkv_frame_conflict *a, const struct mkv_frame_conflict *b)
{
    return SAME_BYTES(path) && SAME(class_) && messages_same_update(&a->loser, &b->loser) &&
           messages_same_update(&a->winner, &b->winner) && SAME(more);
}

bool messages_same_conflict_row(const struct mkv_conflict_row *a, const struct mkv_conflict_row *b)
{
    return SAME(id) && SAME_BYTES(path) && SAME(class_) && SAME(when) && SAME(more) &&
           messages_same_update(&a->loser, &b->loser) &&
           messages_same_update(&a->winner, &b->winner);
}

static bool same_peer(const struct mkv_frame_peer *a, const struct mkv_frame_peer *b)
{
    return SAME_BYTES(name) && SAME_ID16(uuid) && SAME_PLACE(place) && SAME(state);
}

static bool same_vouch(const struct mkv_frame_vouch *a, const struct mkv_frame_vouch *b)
{
    return SAME_ID16(uuid) && SAME(nonce) && SAME(number) && SAME_BYTES(name);
}

static bool same_vouched(const struct mkv_frame_vouched *a, const struct mkv_frame_vouched *b)
{
    return SAME(known) && SAME_PLACE(place) && SAME(horizon) && SAME(floor) && SAME(tock) &&
           SAME(count) && SAME_ID16(digest);
}

/* Those frames that carry one raw item and nothing else. */
static struct mkv_bytes raw_of(const struct mkv_frame *frame)
{
    switch ((int)frame->kind) {
    case MKV_FRAME_CHILDREN:
        return frame->rows;
    case MKV_FRAME_SUMS:
        return frame->sums;
    case MKV_FRAME_LOST:
        return frame->lost;
    case MKV_FRAME_REPORTS:
        return frame->reports;
    case MKV_FRAME_CHALLENGE:
    case MKV_FRAME_RESPONSE:
        return frame->sasl;
    default:
        return frame->report;
    }
}

static bool same_passwd(const struct mkv_frame_passwd *a, const struct mkv_frame_passwd *b)
{
    return SAME_BYTES(user) && SAME(iterations) && SAME_BYTES(salt) && SAME_BYTES(stored_key) &&
           SAME_BYTES(server_key) && SAME(tock);
}

static bool same_opening(const struct mkv_frame *a, const struct mkv_frame *b)
{
    if (a->kind == MKV_FRAME_HELLO) {
        return same_hello(&a->hello, &b->hello);
    }
    return a->kind == MKV_FRAME_AUTH ? same_auth(&a->auth, &b->auth)
                                     : same_session(&a->session, &b->session);
}

static bool same_body(const struct mkv_frame *a, const struct mkv_frame *b)
{
    switch (a->kind) {
    case MKV_FRAME_HELLO:
    case MKV_FRAME_AUTH:
    case MKV_FRAME_SESSION:
        return same_opening(a, b);
    case MKV_FRAME_ERROR:
        return SAME(error.code) && SAME_BYTES(error.text);
    case MKV_FRAME_STATE:
        return SAME(state.code) && SAME_BYTES(state.text);
    case MKV_FRAME_BYE:
        return SAME(bye_counter);
    case MKV_FRAME_ACK:
        return SAME(ack.counter) && SAME(ack.level) && SAME(ack.tock);
    case MKV_FRAME_NACK:
        return SAME(nack.counter) && SAME(nack.code) && SAME_BYTES(nack.text);
    case MKV_FRAME_CONFLICT:
        return same_conflict(&a->conflict, &b->conflict);
    case MKV_FRAME_REPEAT:
    case MKV_FRAME_VOID:
        return SAME(range.first) && SAME(range.last);
    case MKV_FRAME_BIRTH:
    case MKV_FRAME_RIGHTS:
    case MKV_FRAME_STATUS:
    case MKV_FRAME_PING:
    case MKV_FRAME_CANCEL:
    case MKV_FRAME_DONE:
        return true;
    case MKV_FRAME_READ:
        return same_read(&a->read, &b->read);
    case MKV_FRAME_LIST:
    case MKV_FRAME_CHECK:
        return SAME_BYTES(path.path) && SAME(path.credit);
    case MKV_FRAME_CONFLICTS:
        return SAME_BYTES(conflicts.path) && SAME(conflicts.flags) && SAME(conflicts.credit);
    case MKV_FRAME_CREDIT:
    case MKV_FRAME_SERVERS:
        return SAME(credit);
    case MKV_FRAME_DATA:
        return SAME_BYTES(data.rows) && SAME(data.has_place) && SAME_PLACE(data.place);
    case MKV_FRAME_END:
        return SAME(end.n_rows) && SAME(end.has_place) && SAME_PLACE(end.place);
    case MKV_FRAME_DIGEST:
        return SAME(digest.count) && SAME_ID16(digest.digest) && SAME_PLACE(digest.place);
    case MKV_FRAME_PONG:
        return SAME(tock);
    case MKV_FRAME_PEER:
        return same_peer(&a->peer, &b->peer);
    case MKV_FRAME_VOUCH:
        return same_vouch(&a->vouch, &b->vouch);
    case MKV_FRAME_VOUCHED:
        return same_vouched(&a->vouched, &b->vouched);
    case MKV_FRAME_SPLIT:
    case MKV_FRAME_FETCH:
        return SAME_BYTES(ranges.ranges) && SAME(ranges.credit);
    case MKV_FRAME_CHILDREN:
    case MKV_FRAME_SUMS:
    case MKV_FRAME_LOST:
    case MKV_FRAME_REPORT:
    case MKV_FRAME_REPORTS:
    case MKV_FRAME_CHALLENGE:
    case MKV_FRAME_RESPONSE:
        return mkv_bytes_equal(raw_of(a), raw_of(b));
    case MKV_FRAME_EVICT:
        return SAME_ID16(uuid);
    case MKV_FRAME_PASSWD:
    case MKV_FRAME_SECRET:
    case MKV_FRAME_SECRETS:
        return same_passwd(&a->passwd, &b->passwd);
    }
    return false;
}

bool messages_same_frame(const struct mkv_frame *a, const struct mkv_frame *b)
{
    return SAME(kind) && SAME(id) && same_body(a, b);
}
