/* SPDX-License-Identifier: Apache-2.0 */
#include "messages.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

const enum mkv_frame_kind messages_frame_kinds[] = {
    MKV_FRAME_HELLO,    MKV_FRAME_AUTH,     MKV_FRAME_SESSION,   MKV_FRAME_BIRTH,
    MKV_FRAME_ERROR,    MKV_FRAME_BYE,      MKV_FRAME_ACK,       MKV_FRAME_NACK,
    MKV_FRAME_CONFLICT, MKV_FRAME_REPEAT,   MKV_FRAME_VOID,      MKV_FRAME_STATE,
    MKV_FRAME_READ,     MKV_FRAME_LIST,     MKV_FRAME_CHECK,     MKV_FRAME_STATUS,
    MKV_FRAME_PING,     MKV_FRAME_CREDIT,   MKV_FRAME_CANCEL,    MKV_FRAME_DATA,
    MKV_FRAME_END,      MKV_FRAME_CHILDREN, MKV_FRAME_DIGEST,    MKV_FRAME_REPORT,
    MKV_FRAME_PONG,     MKV_FRAME_PEER,     MKV_FRAME_VOUCH,     MKV_FRAME_SPLIT,
    MKV_FRAME_FETCH,    MKV_FRAME_SERVERS,  MKV_FRAME_EVICT,     MKV_FRAME_VOUCHED,
    MKV_FRAME_SUMS,     MKV_FRAME_REPORTS,  MKV_FRAME_DONE,      MKV_FRAME_CONFLICTS,
    MKV_FRAME_LOST,     MKV_FRAME_PASSWD,   MKV_FRAME_CHALLENGE, MKV_FRAME_RESPONSE,
    MKV_FRAME_RIGHTS,   MKV_FRAME_SECRETS,  MKV_FRAME_SECRET,
};
const size_t messages_n_frame_kinds = sizeof(messages_frame_kinds) / sizeof(*messages_frame_kinds);

static bool coin(struct messages *m)
{
    return prng_below(&m->prng, 2) == 1;
}

static uint64_t between(struct messages *m, uint64_t low, uint64_t high)
{
    uint64_t number = prng_any_width(&m->prng);

    return number >= low && number <= high ? number : low + number % (high - low + 1);
}

static uint64_t tock(struct messages *m)
{
    return between(m, 0, MKV_INTEGER_MAX);
}

static uint64_t positive(struct messages *m)
{
    return between(m, 1, MKV_INTEGER_MAX);
}

static uint8_t *take(struct messages *m, size_t n)
{
    if (n > MESSAGES_POOL_LEN - m->used) {
        abort(); /* a message that is larger than its generator means */
    }
    m->used += n;
    return m->pool + m->used - n;
}

static struct mkv_bytes keep(struct messages *m, const void *bytes, size_t n)
{
    uint8_t *at = take(m, n);

    if (n > 0) {
        memcpy(at, bytes, n);
    }
    return mkv_bytes(at, n);
}

static struct mkv_bytes random_bytes(struct messages *m, size_t low, size_t high)
{
    size_t n = low + (size_t)prng_below(&m->prng, high - low + 1);
    uint8_t *at = take(m, n);

    prng_fill(&m->prng, at, n);
    return mkv_bytes(at, n);
}

static void random_id16(struct messages *m, uint8_t *at)
{
    prng_fill(&m->prng, at, 16);
}

static struct mkv_bytes random_text(struct messages *m, size_t low, size_t high)
{
    static const char *const pieces[] = {"a", " ", "/", "\xc3\xa4", "\xe2\x82\xac", "Zz9"};
    size_t n = low + (size_t)prng_below(&m->prng, high - low + 1);
    uint8_t *at = take(m, n);
    size_t used = 0;

    while (used < n) {
        const char *piece = pieces[prng_below(&m->prng, 6)];
        size_t len = strlen(piece);

        if (len <= n - used) {
            memcpy(at + used, piece, len);
            used += len;
        }
    }
    return mkv_bytes(at, n);
}

static struct mkv_bytes random_name(struct messages *m)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t n = 1 + (size_t)prng_below(&m->prng, coin(m) ? 3 : MKV_NAME_MAX);
    uint8_t *at = take(m, n);

    for (size_t i = 0; i < n; i++) {
        at[i] = (uint8_t)letters[prng_below(&m->prng, sizeof(letters) - 1)];
    }
    return mkv_bytes(at, n);
}

static uint32_t random_texts(struct messages *m, struct mkv_bytes *at, uint32_t n_max, size_t high)
{
    uint32_t n = (uint32_t)prng_below(&m->prng, n_max + 1);

    for (uint32_t i = 0; i < n; i++) {
        at[i] = random_text(m, 0, coin(m) ? 8 : high);
    }
    return n;
}

static void random_versions(struct messages *m, struct mkv_versions *versions)
{
    versions->lowest = (uint32_t)between(m, 1, UINT32_MAX);
    versions->highest = (uint32_t)between(m, versions->lowest, UINT32_MAX);
}

/* Values that a careless reader would mend: they must come through byte for byte. */
static struct mkv_bytes random_value(struct messages *m)
{
    static const struct {
        const char *bytes;
        size_t len;
    } samples[] = {
        {"\xf6", 1},                                      /* null */
        {"\x18\x01", 2},                                  /* 1, not in its shortest form */
        {"\x9f\x01\xff", 3},                              /* a list of indefinite length */
        {"\x5f\x41\x00\x40\xff", 5},                      /* bytes in chunks */
        {"\xbf\x61\x61\x80\xff", 5},                      /* a map of indefinite length */
        {"\xa2\x01\x02\x01\x03", 5},                      /* a map with a key twice */
        {"\xc1\xfb\x41\xd4\x52\xd9\xe8\x2f\xa9\xfc", 10}, /* a tag */
        {"\xf9\x7e\x01", 3},                              /* a NaN with a payload */
        {"\xe0", 1},                                      /* an unassigned simple value */
        {"\xf8\xff", 2},                                  /* another */
        {"\x62\x6f\x6e", 3},                              /* "on" */
    };
    size_t i = (size_t)prng_below(&m->prng, 1 + sizeof(samples) / sizeof(*samples));

    if (i < sizeof(samples) / sizeof(*samples)) {
        return keep(m, samples[i].bytes, samples[i].len);
    }

    struct mkv_bytes body = random_bytes(m, 256, 2000);
    uint8_t *at = take(m, body.len + 3);

    at[0] = 0x59;
    at[1] = (uint8_t)(body.len >> 8);
    at[2] = (uint8_t)body.len;
    memcpy(at + 3, body.at, body.len);
    return mkv_bytes(at, body.len + 3);
}

static void random_ticks(struct messages *m, struct mkv_ticks *ticks)
{
    ticks->n = 1 + (uint32_t)prng_below(&m->prng, MKV_TICKS_MAX);
    for (uint32_t i = 0; i < ticks->n; i++) {
        struct mkv_tick *tick = &ticks->at[i];
        bool fresh;

        do { /* no stream twice */
            *tick =
                (struct mkv_tick){.name = random_name(m), .seq = tock(m), .counter = positive(m)};
            fresh = true;
            for (uint32_t k = 0; k < i; k++) {
                fresh = fresh && !mkv_tick_same_stream(tick, &ticks->at[k]);
            }
        } while (!fresh);
    }
}

void messages_update(struct messages *m, struct mkv_update *ret_update)
{
    struct mkv_update update = {.has_tock = coin(m), .present = coin(m)};

    update.tock = update.has_tock ? tock(m) : 0;
    if (update.present) {
        update.value = random_value(m);
    }
    random_ticks(m, &update.ticks);
    *ret_update = update;
}

static void random_entry(struct messages *m, struct mkv_update *entry)
{
    messages_update(m, entry);
    if (!entry->has_tock) {
        entry->has_tock = true;
        entry->tock = tock(m);
    }
}

void messages_query(struct messages *m, struct mkv_query *ret_query)
{
    ret_query->id = random_bytes(m, MKV_QUERY_ID_MIN, MKV_QUERY_ID_MAX);
    random_versions(m, &ret_query->versions);
}

static void random_addresses(struct messages *m, struct mkv_addresses *addresses)
{
    addresses->n = random_texts(m, addresses->at, MKV_ADDRESSES_MAX, MKV_ADDRESS_LEN_MAX);
}

void messages_server_reply(struct messages *m, struct mkv_server_reply *ret_reply)
{
    ret_reply->id = random_bytes(m, MKV_QUERY_ID_MIN, MKV_QUERY_ID_MAX);
    ret_reply->name = random_name(m);
    random_addresses(m, &ret_reply->addresses);
    random_versions(m, &ret_reply->versions);
    ret_reply->host = random_text(m, 0, MKV_HOST_LEN_MAX);
}

void messages_birth(struct messages *m, struct mkv_birth *ret_birth)
{
    ret_birth->name = random_name(m);
    ret_birth->seq = positive(m);
}

static void random_numbers_of_ping(struct messages *m, struct mkv_ping *ping)
{
    ping->nonce = tock(m);
    ping->number = positive(m);
    ping->state = (uint32_t)prng_below(&m->prng, MKV_ACT_LEAVING + 1);
    ping->mode = (uint32_t)between(m, 0, UINT32_MAX);
    ping->profile = (uint32_t)between(m, 0, UINT32_MAX);
    ping->qos = (uint32_t)between(m, 0, UINT32_MAX);
    ping->position = prng_any_width(&m->prng);
    ping->tock = tock(m);
    ping->horizon = tock(m);
    ping->complete = tock(m);
    ping->floor = tock(m);
    ping->count = prng_any_width(&m->prng);
    ping->uptime_s = tock(m);
    ping->wall_ms = tock(m);
}

void messages_ping(struct messages *m, struct mkv_ping *ret_ping)
{
    ret_ping->name = random_name(m);
    random_id16(m, ret_ping->uuid);
    random_addresses(m, &ret_ping->addresses);
    ret_ping->host = random_text(m, 0, MKV_HOST_LEN_MAX);
    random_versions(m, &ret_ping->versions);
    random_numbers_of_ping(m, ret_ping);
    random_id16(m, ret_ping->digest);
    random_id16(m, ret_ping->members);
    random_id16(m, ret_ping->cluster);
    ret_ping->has_proof = prng_below(&m->prng, 2) == 0;
    random_id16(m, ret_ping->proof);
    random_id16(m, ret_ping->secrets);
}

static void random_hello(struct messages *m, struct mkv_frame_hello *hello)
{
    random_versions(m, &hello->versions);
    hello->features.n = random_texts(m, hello->features.at, MKV_FEATURES_MAX, 40);
    hello->software = random_text(m, 0, 40);
    if (coin(m)) {
        hello->name = random_name(m);
        hello->mechanisms.n = random_texts(m, hello->mechanisms.at, MKV_MECHANISMS_MAX, 40);
    }
}

static void random_auth(struct messages *m, struct mkv_frame_auth *auth)
{
    auth->mechanism = random_text(m, 0, 20);
    auth->resume = coin(m);
    if (auth->resume) {
        messages_birth(m, &auth->session);
        auth->token = random_bytes(m, 1, MKV_TOKEN_MAX);
    }
}

static void random_session(struct messages *m, struct mkv_frame_session *session)
{
    session->name = random_name(m);
    session->seq = positive(m);
    session->root = random_text(m, 1, MKV_ROOT_MAX);
    random_addresses(m, &session->brokers);
    session->client_id = random_text(m, 0, 2000);
    session->has_user = coin(m);
    session->has_password = coin(m);
    session->user = session->has_user ? random_text(m, 0, 100) : session->user;
    session->password = session->has_password ? random_text(m, 0, 2000) : session->password;
    session->profile = coin(m);
    session->qos = coin(m);
    random_id16(m, session->store_id);
    random_id16(m, session->digest_key);
    session->tock = tock(m);
    session->clock = coin(m);
    session->token = random_bytes(m, 1, MKV_TOKEN_MAX);
    session->acked = tock(m);
    session->mode = coin(m);
    if (coin(m)) { /* whether that fits the mode is not looked at here */
        session->mac_key = random_bytes(m, MKV_SESSION_KEY_LEN, MKV_SESSION_KEY_LEN);
    }
}

static struct mkv_bytes random_path(struct messages *m)
{
    static const char *const paths[] = {"\x80", "\x81\x61\x61", "\x83\x61\x61\x02\xf5"};
    const char *path = paths[prng_below(&m->prng, 3)];

    return keep(m, path, strlen(path));
}

static void random_place(struct messages *m, struct mkv_place *place)
{
    place->nonce = prng_any_width(&m->prng);
    place->position = prng_any_width(&m->prng);
}

static int random_code(struct messages *m)
{
    return -(int)between(m, 1, 9999);
}

static uint32_t random_credit(struct messages *m)
{
    return coin(m) ? MKV_CREDIT_DEFAULT : (uint32_t)between(m, 1, UINT32_MAX);
}

static void random_read(struct messages *m, struct mkv_frame_read *read)
{
    read->path = random_path(m);
    read->depth_min = coin(m) ? 0 : (uint32_t)between(m, 0, MKV_PATH_LEVELS_MAX);
    read->depth_max = coin(m) ? MKV_PATH_LEVELS_MAX : (uint32_t)between(m, 0, MKV_PATH_LEVELS_MAX);
    read->flags = (uint32_t)prng_below(&m->prng, MKV_READ_FLAGS + 1);
    read->credit = random_credit(m);
    read->has_since = coin(m);
    if (read->has_since) {
        random_place(m, &read->since);
    }
}

/* Copies what @out holds into the pool, and frees it. */
static struct mkv_bytes keep_buf(struct messages *m, struct mkv_buf *out, int error)
{
    if (error != 0) {
        abort();
    }

    struct mkv_bytes kept = keep(m, out->at, out->len);

    mkv_buf_deinit(out);
    return kept;
}

/* Rows as a foreign writer may write them, who does not shorten paths. */
static struct mkv_bytes random_rows(struct messages *m)
{
    struct mkv_cbor_writer w;
    struct mkv_buf out;
    uint64_t n = prng_below(&m->prng, 6);

    mkv_buf_init(&out, MESSAGES_POOL_LEN);
    mkv_cbor_writer_init(&w, &out);
    mkv_cbor_write_array(&w, n);
    for (uint64_t i = 0; i < n; i++) {
        struct mkv_update entry;

        random_entry(m, &entry);
        mkv_cbor_write_array(&w, entry.present ? 5 : 4);
        mkv_cbor_write_uint(&w, 0);
        mkv_cbor_write_raw(&w, random_path(m));
        mkv_entry_write_parts(&w, &entry);
    }
    return keep_buf(m, &out, w.error);
}

static struct mkv_bytes random_children(struct messages *m)
{
    struct mkv_cbor_writer w;
    struct mkv_buf out;
    uint64_t n = prng_below(&m->prng, 10);

    mkv_buf_init(&out, MESSAGES_POOL_LEN);
    mkv_cbor_writer_init(&w, &out);
    mkv_cbor_write_array(&w, n);
    for (uint64_t i = 0; i < n; i++) {
        struct mkv_child child = {
            .element = {.kind = MKV_ELEMENT_TEXT, .text = random_text(m, 0, 20)},
            .entries = prng_any_width(&m->prng),
            .own = coin(m),
        };

        mkv_child_write(&w, &child);
    }
    return keep_buf(m, &out, w.error);
}

static void random_range(struct messages *m, struct mkv_frame_range *range)
{
    range->first = positive(m);
    range->last = between(m, range->first, MKV_INTEGER_MAX);
}

static void random_conflict(struct messages *m, struct mkv_frame_conflict *conflict)
{
    conflict->path = random_path(m);
    conflict->class_ = coin(m);
    random_entry(m, &conflict->loser);
    random_entry(m, &conflict->winner);
    conflict->more = coin(m) ? 0 : prng_any_width(&m->prng);
}

void messages_conflict_row(struct messages *m, struct mkv_conflict_row *ret_row)
{
    *ret_row = (struct mkv_conflict_row){
        .id = prng_any_width(&m->prng),
        .path = random_path(m),
        .class_ = coin(m),
        .when = tock(m),
        .more = prng_any_width(&m->prng),
    };
    random_entry(m, &ret_row->loser);
    random_entry(m, &ret_row->winner);
    if (ret_row->winner.present) {
        ret_row->winner.value = keep(m, "\xf6", 1);
    }
}

static struct mkv_bytes random_lost(struct messages *m)
{
    struct mkv_cbor_writer w;
    struct mkv_buf out;
    uint64_t n = prng_below(&m->prng, 6);

    mkv_buf_init(&out, MESSAGES_POOL_LEN);
    mkv_cbor_writer_init(&w, &out);
    mkv_cbor_write_array(&w, n);
    for (uint64_t i = 0; i < n; i++) {
        struct mkv_conflict_row row;

        messages_conflict_row(m, &row);
        mkv_conflict_row_write(&w, &row);
    }
    return keep_buf(m, &out, w.error);
}

static void random_digest(struct messages *m, struct mkv_frame_digest *digest)
{
    digest->count = prng_any_width(&m->prng);
    random_id16(m, digest->digest);
    random_place(m, &digest->place);
    digest->floor = coin(m) ? positive(m) : 0;
}

/* What is said about updates, and to open and close the link. */
static void random_link_body(struct messages *m, struct mkv_frame *frame)
{
    switch ((int)frame->kind) {
    case MKV_FRAME_HELLO:
        random_hello(m, &frame->hello);
        break;
    case MKV_FRAME_AUTH:
        random_auth(m, &frame->auth);
        break;
    case MKV_FRAME_SESSION:
        random_session(m, &frame->session);
        break;
    case MKV_FRAME_ERROR:
        frame->error.code = random_code(m);
        frame->error.text = random_text(m, 0, MKV_TEXT_MAX);
        break;
    case MKV_FRAME_BYE:
        frame->bye_counter = coin(m) ? 0 : positive(m);
        break;
    case MKV_FRAME_ACK:
        frame->ack.counter = tock(m);
        frame->ack.level = (uint32_t)between(m, 1, UINT32_MAX);
        frame->ack.tock = tock(m);
        break;
    case MKV_FRAME_NACK:
        frame->nack.counter = positive(m);
        frame->nack.code = random_code(m);
        frame->nack.text = random_text(m, 0, MKV_TEXT_MAX);
        break;
    case MKV_FRAME_CONFLICT:
        random_conflict(m, &frame->conflict);
        break;
    case MKV_FRAME_REPEAT:
    case MKV_FRAME_VOID:
        random_range(m, &frame->range);
        break;
    case MKV_FRAME_STATE:
        frame->state.code = coin(m) ? 0 : random_code(m);
        frame->state.text = random_text(m, 0, MKV_TEXT_MAX);
        break;
    default:
        break;
    }
}

/*
 * @n bounds that ascend: each a random string behind its place in the list, so that all lengths
 * are met.
 */
static void random_bounds(struct messages *m, struct mkv_bytes *at, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct mkv_bytes bound = random_bytes(m, 1, coin(m) ? 12 : 200);

        m->pool[bound.at - m->pool] = (uint8_t)(i + 1);
        at[i] = bound;
    }
}

/* Ascending and disjoint, as both split and fetch may have them. */
static struct mkv_bytes random_ranges(struct messages *m)
{
    struct mkv_bytes bounds[2 * MKV_RANGES_MAX];
    struct mkv_range ranges[MKV_RANGES_MAX];
    uint32_t n = 1 + (uint32_t)prng_below(&m->prng, coin(m) ? 3 : MKV_RANGES_MAX);
    struct mkv_cbor_writer w;
    struct mkv_buf out;

    random_bounds(m, bounds, 2 * n);
    for (uint32_t i = 0; i < n; i++) {
        ranges[i].from = i > 0 && coin(m) ? ranges[i - 1].to : bounds[2 * i];
        ranges[i].to = bounds[2 * i + 1];
    }
    if (coin(m)) {
        ranges[0].from.len = 0;
    }
    if (coin(m)) {
        ranges[n - 1].to.len = 0;
    }
    mkv_buf_init(&out, MESSAGES_POOL_LEN);
    mkv_cbor_writer_init(&w, &out);
    mkv_ranges_write(&w, ranges, n);
    return keep_buf(m, &out, w.error);
}

static void write_random_pieces(struct messages *m, struct mkv_cbor_writer *w)
{
    struct mkv_bytes bounds[MKV_PIECES_MAX];
    struct mkv_piece pieces[MKV_PIECES_MAX];
    uint32_t n = 1 + (uint32_t)prng_below(&m->prng, MKV_PIECES_MAX);

    random_bounds(m, bounds, n);
    if (coin(m)) {
        bounds[n - 1].len = 0;
    }
    for (uint32_t i = 0; i < n; i++) {
        pieces[i] = (struct mkv_piece){.upto = bounds[i], .count = prng_any_width(&m->prng)};
        random_id16(m, pieces[i].digest);
    }
    mkv_pieces_write(w, pieces, n);
}

static struct mkv_bytes random_sums(struct messages *m)
{
    uint32_t n = 1 + (uint32_t)prng_below(&m->prng, coin(m) ? 3 : 10);
    struct mkv_cbor_writer w;
    struct mkv_buf out;

    mkv_buf_init(&out, MESSAGES_POOL_LEN);
    mkv_cbor_writer_init(&w, &out);
    mkv_cbor_write_array(&w, n);
    for (uint32_t i = 0; i < n; i++) {
        write_random_pieces(m, &w);
    }
    return keep_buf(m, &out, w.error);
}

static void random_vouched(struct messages *m, struct mkv_frame_vouched *vouched)
{
    vouched->known = coin(m);
    random_place(m, &vouched->place);
    vouched->horizon = tock(m);
    vouched->floor = tock(m);
    vouched->tock = tock(m);
    vouched->count = prng_any_width(&m->prng);
    random_id16(m, vouched->digest);
    vouched->has_seen = coin(m);
    if (vouched->has_seen) {
        random_place(m, &vouched->seen);
    }
}

/* What servers say to each other, and about each other. */
static void random_peer_body(struct messages *m, struct mkv_frame *frame)
{
    switch ((int)frame->kind) {
    case MKV_FRAME_PEER:
        frame->peer = (struct mkv_frame_peer){.name = random_name(m), .state = coin(m)};
        random_id16(m, frame->peer.uuid);
        random_place(m, &frame->peer.place);
        break;
    case MKV_FRAME_VOUCH:
        frame->vouch = (struct mkv_frame_vouch){
            .nonce = tock(m), .number = positive(m), .name = random_name(m)};
        random_id16(m, frame->vouch.uuid);
        frame->vouch.restored = coin(m);
        break;
    case MKV_FRAME_VOUCHED:
        random_vouched(m, &frame->vouched);
        break;
    case MKV_FRAME_SPLIT:
        frame->ranges.ranges = random_ranges(m);
        break;
    case MKV_FRAME_FETCH:
        frame->ranges.ranges = random_ranges(m);
        frame->ranges.credit = random_credit(m);
        break;
    case MKV_FRAME_SUMS:
        frame->sums = random_sums(m);
        break;
    case MKV_FRAME_SERVERS:
        frame->credit = random_credit(m);
        break;
    case MKV_FRAME_REPORTS:
        frame->reports = keep(m, "\x82\xa1\x61\x61\x01\xbf\x61\x62\x9f\xff\xff", 11);
        break;
    case MKV_FRAME_EVICT:
        random_id16(m, frame->uuid);
        break;
    default:
        random_link_body(m, frame);
        break;
    }
}

/* Requests and answers. */
static void random_body(struct messages *m, struct mkv_frame *frame)
{
    switch ((int)frame->kind) {
    case MKV_FRAME_READ:
        random_read(m, &frame->read);
        break;
    case MKV_FRAME_LIST:
        frame->path.path = random_path(m);
        frame->path.credit = random_credit(m);
        break;
    case MKV_FRAME_CHECK:
        frame->path.path = random_path(m);
        break;
    case MKV_FRAME_CONFLICTS:
        frame->conflicts.path = random_path(m);
        frame->conflicts.flags = coin(m) ? MKV_CONFLICTS_FOLLOW : 0;
        frame->conflicts.credit = random_credit(m);
        break;
    case MKV_FRAME_LOST:
        frame->lost = random_lost(m);
        break;
    case MKV_FRAME_CREDIT:
        frame->credit = (uint32_t)between(m, 1, UINT32_MAX);
        break;
    case MKV_FRAME_DATA:
        frame->data.rows = random_rows(m);
        frame->data.has_place = coin(m);
        if (frame->data.has_place) {
            random_place(m, &frame->data.place);
        }
        break;
    case MKV_FRAME_END:
        frame->end.n_rows = prng_any_width(&m->prng);
        frame->end.has_place = coin(m);
        if (frame->end.has_place) {
            random_place(m, &frame->end.place);
        }
        break;
    case MKV_FRAME_CHILDREN:
        frame->rows = random_children(m);
        break;
    case MKV_FRAME_DIGEST:
        random_digest(m, &frame->digest);
        break;
    case MKV_FRAME_REPORT:
        frame->report = keep(m, "\xa2\x61\x61\x01\x61\x62\x9f\xff", 8);
        break;
    case MKV_FRAME_PONG:
        frame->tock = tock(m);
        break;
    default:
        random_peer_body(m, frame);
        break;
    }
}

void messages_frame(struct messages *m, enum mkv_frame_kind kind, struct mkv_frame *ret_frame)
{
    struct mkv_frame frame = {.kind = kind};

    if (kind >= MKV_FRAME_READ || (kind == MKV_FRAME_ERROR && coin(m))) {
        frame.id = positive(m);
    }
    random_body(m, &frame);
    messages_login(m, &frame);
    *ret_frame = frame;
}
