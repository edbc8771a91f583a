/* SPDX-License-Identifier: Apache-2.0 */
#include "messages.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

const enum mkv_frame_kind messages_frame_kinds[] = {
    MKV_FRAME_HELLO,  MKV_FRAME_AUTH,     MKV_FRAME_SESSION, MKV_FRAME_BIRTH,    MKV_FRAME_ERROR,
    MKV_FRAME_BYE,    MKV_FRAME_ACK,      MKV_FRAME_NACK,    MKV_FRAME_CONFLICT, MKV_FRAME_REPEAT,
    MKV_FRAME_VOID,   MKV_FRAME_STATE,    MKV_FRAME_READ,    MKV_FRAME_LIST,     MKV_FRAME_CHECK,
    MKV_FRAME_STATUS, MKV_FRAME_PING,     MKV_FRAME_CREDIT,  MKV_FRAME_CANCEL,   MKV_FRAME_DATA,
    MKV_FRAME_END,    MKV_FRAME_CHILDREN, MKV_FRAME_DIGEST,  MKV_FRAME_REPORT,   MKV_FRAME_PONG,
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
    if (session->has_user) {
        session->user = random_text(m, 0, 100);
    }
    if (session->has_password) {
        session->password = random_text(m, 0, 2000);
    }
    session->profile = coin(m);
    session->qos = coin(m);
    random_id16(m, session->store_id);
    random_id16(m, session->digest_key);
    session->tock = tock(m);
    session->clock = coin(m);
    session->token = random_bytes(m, 1, MKV_TOKEN_MAX);
    session->acked = tock(m);
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

static void random_read(struct messages *m, struct mkv_frame_read *read)
{
    read->path = random_path(m);
    read->depth_min = coin(m) ? 0 : (uint32_t)between(m, 0, MKV_PATH_LEVELS_MAX);
    read->depth_max = coin(m) ? MKV_PATH_LEVELS_MAX : (uint32_t)between(m, 0, MKV_PATH_LEVELS_MAX);
    read->flags = (uint32_t)prng_below(&m->prng, MKV_READ_FLAGS + 1);
    read->credit = coin(m) ? MKV_CREDIT_DEFAULT : (uint32_t)between(m, 1, UINT32_MAX);
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
}

static void random_digest(struct messages *m, struct mkv_frame_digest *digest)
{
    digest->count = prng_any_width(&m->prng);
    random_id16(m, digest->digest);
    random_place(m, &digest->place);
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

/* Requests and answers. */
static void random_body(struct messages *m, struct mkv_frame *frame)
{
    switch ((int)frame->kind) {
    case MKV_FRAME_READ:
        random_read(m, &frame->read);
        break;
    case MKV_FRAME_LIST:
        frame->path.path = random_path(m);
        frame->path.credit = coin(m) ? MKV_CREDIT_DEFAULT : (uint32_t)between(m, 1, UINT32_MAX);
        break;
    case MKV_FRAME_CHECK:
        frame->path.path = random_path(m);
        break;
    case MKV_FRAME_CREDIT:
        frame->credit = (uint32_t)between(m, 1, UINT32_MAX);
        break;
    case MKV_FRAME_DATA:
        frame->rows = random_rows(m);
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
        random_link_body(m, frame);
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
    *ret_frame = frame;
}

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

static bool same_hello(const struct mkv_frame_hello *a, const struct mkv_frame_hello *b)
{
    return SAME_VERSIONS && SAME_TEXTS(features) && SAME_BYTES(software) && SAME_BYTES(name) &&
           SAME_TEXTS(mechanisms);
}

static bool same_auth(const struct mkv_frame_auth *a, const struct mkv_frame_auth *b)
{
    return SAME_BYTES(mechanism) && SAME(resume) && messages_same_birth(&a->session, &b->session) &&
           SAME_BYTES(token);
}

static bool same_session(const struct mkv_frame_session *a, const struct mkv_frame_session *b)
{
    return SAME_BYTES(name) && SAME(seq) && SAME_BYTES(root) && SAME_TEXTS(brokers) &&
           SAME_BYTES(client_id) && SAME(has_user) && SAME(has_password) && SAME_BYTES(user) &&
           SAME_BYTES(password) && SAME(mode) && SAME(profile) && SAME(qos) &&
           SAME_ID16(store_id) && SAME_ID16(digest_key) && SAME(tock) && SAME(clock) &&
           SAME_BYTES(token) && SAME(acked);
}

static bool same_read(const struct mkv_frame_read *a, const struct mkv_frame_read *b)
{
    return SAME_BYTES(path) && SAME(depth_min) && SAME(depth_max) && SAME(flags) &&
           SAME(has_since) && SAME_PLACE(since) && SAME(credit);
}

static bool same_conflict(const struct mkv_frame_conflict *a, const struct mkv_frame_conflict *b)
{
    return SAME_BYTES(path) && SAME(class_) && messages_same_update(&a->loser, &b->loser) &&
           messages_same_update(&a->winner, &b->winner);
}

static bool same_body(const struct mkv_frame *a, const struct mkv_frame *b)
{
    switch (a->kind) {
    case MKV_FRAME_HELLO:
        return same_hello(&a->hello, &b->hello);
    case MKV_FRAME_AUTH:
        return same_auth(&a->auth, &b->auth);
    case MKV_FRAME_SESSION:
        return same_session(&a->session, &b->session);
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
    case MKV_FRAME_STATUS:
    case MKV_FRAME_PING:
    case MKV_FRAME_CANCEL:
        return true;
    case MKV_FRAME_READ:
        return same_read(&a->read, &b->read);
    case MKV_FRAME_LIST:
    case MKV_FRAME_CHECK:
        return SAME_BYTES(path.path) && SAME(path.credit);
    case MKV_FRAME_CREDIT:
        return SAME(credit);
    case MKV_FRAME_DATA:
    case MKV_FRAME_CHILDREN:
        return SAME_BYTES(rows);
    case MKV_FRAME_END:
        return SAME(end.n_rows) && SAME(end.has_place) && SAME_PLACE(end.place);
    case MKV_FRAME_DIGEST:
        return SAME(digest.count) && SAME_ID16(digest.digest) && SAME_PLACE(digest.place);
    case MKV_FRAME_REPORT:
        return SAME_BYTES(report);
    case MKV_FRAME_PONG:
        return SAME(tock);
    }
    return false;
}

bool messages_same_frame(const struct mkv_frame *a, const struct mkv_frame *b)
{
    return SAME(kind) && SAME(id) && same_body(a, b);
}
