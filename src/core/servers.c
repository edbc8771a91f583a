/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "core/server_state.h"
#include "core/words.h"

/*
 * What a server tells people about the others (docs/protocol.md, 7.3): `servers`, `evict`, and
 * whether all have the same.
 */
#define DELAY_MS      2000 /* a ping may be so much older than what has come over other ways */
#define HEX_LEN       (2 * (size_t)MKV_UUID_LEN)
#define PAGE_REPORTS  256U
#define NAMES_OF_SOME 3U /* so many are named, the others counted */

/* One server: what is known of it, each NULL if nothing. */
struct view {
    uint8_t uuid[MKV_UUID_LEN];
    bool self;
    const struct mkv_member *member;
    const struct mkv_known *known;
};

static bool is_self(const struct mkv_server *server, const uint8_t uuid[MKV_UUID_LEN])
{
    return memcmp(uuid, mkv_store_id(server->store), MKV_UUID_LEN) == 0;
}

static void look_at(const struct mkv_server *server, const uint8_t *uuid, struct view *ret_view)
{
    const struct mkv_cluster *cluster = &server->cluster;

    memcpy(ret_view->uuid, uuid, MKV_UUID_LEN);
    ret_view->self = is_self(server, uuid);
    ret_view->member = mkv_members_find(&cluster->members, uuid);
    ret_view->known = ret_view->self ? NULL : mkv_actor_find(cluster, uuid);
}

/* --- Whether all have the same ------------------------------------------------------------ */

/*
 * Its last ping told of the tree that we have now; or of one that we had when it was sent, if ours
 * has changed since.  In the latter case nobody knows, but if it lacked anything of before, its
 * tree would not have been one of ours.
 */
static bool is_equal(const struct mkv_server *server, const struct mkv_known *known)
{
    uint8_t own[MKV_DIGEST_LEN];

    mkv_digest_bytes(mkv_sync_digest(server), own);
    return memcmp(own, known->ping.digest, sizeof(own)) == 0 ||
           (mkv_sync_had(server, known->ping.digest) &&
            server->cluster.changed_ms > known->heard_ms - DELAY_MS);
}

/* Names the first few of some servers. */
struct roll {
    struct mkv_words *words;
    const char *what;
    uint32_t n;
};

static void call(struct roll *roll, struct mkv_bytes name)
{
    if (roll->n < NAMES_OF_SOME) {
        mkv_words_add(roll->words, roll->n == 0 ? roll->what : ", ");
        mkv_words_add_bytes(roll->words, name);
    }
    roll->n++;
}

static void end_roll(const struct roll *roll)
{
    if (roll->n > NAMES_OF_SOME) {
        mkv_words_add(roll->words, " and ");
        mkv_words_add_number(roll->words, roll->n - NAMES_OF_SOME);
        mkv_words_add(roll->words, " more");
    }
}

static void add_absent(const struct mkv_server *server, struct mkv_now now, struct mkv_words *words)
{
    const struct mkv_members *members = &server->cluster.members;
    struct roll roll = {.words = words, .what = "not here: "};

    for (uint32_t i = 0; i < members->n; i++) {
        const struct mkv_member *member = &members->at[i];
        const struct mkv_known *known = mkv_actor_find(&server->cluster, member->uuid);

        if (member->active && !is_self(server, member->uuid) &&
            (known == NULL || !mkv_actor_serves(server, now, known))) {
            call(&roll, mkv_bytes_of(member->name));
        }
    }
    end_roll(&roll);
}

static void add_different(const struct mkv_server *server,
                          struct mkv_now now,
                          struct mkv_words *words)
{
    struct roll roll = {.words = words, .what = words->text->len > 0 ? "; differ: " : "differ: "};
    size_t cursor = 0;
    const struct mkv_known *known;

    while ((known = mkv_map_each(&server->cluster.known, &cursor)) != NULL) {
        if (mkv_actor_serves(server, now, known) && !is_equal(server, known)) {
            call(&roll, known->ping.name);
        }
    }
    end_roll(&roll);
}

int mkv_servers_differ(struct mkv_server *server, struct mkv_now now, struct mkv_buf *text)
{
    struct mkv_words words = {.text = text, .error = mkv_cluster_refresh(server)};

    if (!server->broker_connected) {
        mkv_words_add(&words, "the broker is away");
    } else if (server->failure != 0) {
        mkv_words_add(&words, "the disk cannot be written");
    } else if (!server->cluster.ready) {
        mkv_words_add(&words, "this server has not joined yet");
    } else {
        add_absent(server, now, &words);
        add_different(server, now, &words);
    }
    return words.error;
}

/* --- Reports ------------------------------------------------------------------------------ */

static void write_name(struct mkv_cbor_writer *w, const char *name)
{
    mkv_cbor_write_text(w, mkv_bytes_of(name));
}

static void write_fact(struct mkv_cbor_writer *w, const char *name, uint64_t number)
{
    write_name(w, name);
    mkv_cbor_write_uint(w, number);
}

static void write_id(struct mkv_cbor_writer *w, const uint8_t uuid[MKV_UUID_LEN])
{
    static const char digits[] = "0123456789abcdef";
    char text[HEX_LEN];

    for (size_t i = 0; i < MKV_UUID_LEN; i++) {
        text[2 * i] = digits[uuid[i] >> 4U];
        text[2 * i + 1] = digits[uuid[i] & 15U];
    }
    write_name(w, "id");
    mkv_cbor_write_text(w, mkv_bytes(text, sizeof(text)));
}

static const char *state_of(const struct mkv_server *server,
                            struct mkv_now now,
                            const struct view *view)
{
    if (view->self) {
        return server->cluster.ready ? "ready" : "joining";
    }
    if (view->known != NULL && mkv_actor_live(server, now, view->known)) {
        return view->known->ping.state == MKV_ACT_READY ? "ready" : "joining";
    }
    if (view->member != NULL && !view->member->active) {
        return "evicted";
    }
    return view->known != NULL && view->known->ping.state == MKV_ACT_LEAVING ? "left" : "absent";
}

static void write_equal(const struct mkv_server *server,
                        struct mkv_now now,
                        const struct view *view,
                        struct mkv_cbor_writer *w)
{
    write_name(w, "equal");
    if (view->self) {
        mkv_cbor_write_bool(w, true);
    } else if (view->known != NULL && mkv_actor_live(server, now, view->known)) {
        mkv_cbor_write_bool(w, is_equal(server, view->known));
    } else {
        mkv_cbor_write_null(w);
    }
}

static void write_addresses(struct mkv_cbor_writer *w, const struct mkv_addresses *addresses)
{
    write_name(w, "addresses");
    mkv_cbor_write_array(w, addresses->n);
    for (uint32_t i = 0; i < addresses->n; i++) {
        mkv_cbor_write_text(w, addresses->at[i]);
    }
}

/* What its last ping said, or what ours would say. */
static void write_ping(struct mkv_cbor_writer *w, const struct mkv_ping *ping)
{
    write_name(w, "host");
    mkv_cbor_write_text(w, ping->host);
    write_addresses(w, &ping->addresses);
    write_name(w, "versions");
    mkv_cbor_write_array(w, 2);
    mkv_cbor_write_uint(w, ping->versions.lowest);
    mkv_cbor_write_uint(w, ping->versions.highest);
    write_fact(w, "entries", ping->count);
    write_fact(w, "position", ping->position);
    write_fact(w, "tock", ping->tock);
    write_fact(w, "horizon", ping->horizon);
    write_fact(w, "complete", ping->complete);
    write_fact(w, "floor", ping->floor);
    write_fact(w, "uptime_s", ping->uptime_s);
}

#define N_FACTS      7U
#define N_PING_FACTS 10U

static struct mkv_bytes name_of(const struct mkv_server *server, const struct view *view)
{
    if (view->self) {
        return server->config.name;
    }
    return view->known != NULL ? view->known->ping.name : mkv_bytes_of(view->member->name);
}

static void write_report(const struct mkv_server *server,
                         struct mkv_now now,
                         const struct view *view,
                         struct mkv_cbor_writer *w)
{
    struct mkv_ping own;
    const struct mkv_ping *ping = view->known != NULL ? &view->known->ping : NULL;

    if (view->self) {
        mkv_actor_describe(server, now, MKV_ACT_READY, &own);
        ping = &own;
    }
    mkv_cbor_write_map(w, N_FACTS + (ping != NULL ? N_PING_FACTS : 0));
    write_name(w, "name");
    mkv_cbor_write_text(w, name_of(server, view));
    write_id(w, view->uuid);
    write_name(w, "state");
    mkv_cbor_write_text(w, mkv_bytes_of(state_of(server, now, view)));
    write_name(w, "self");
    mkv_cbor_write_bool(w, view->self);
    write_name(w, "member");
    mkv_cbor_write_bool(w, view->member != NULL && view->member->active);
    write_equal(server, now, view, w);
    write_name(w, "heard_ms");
    if (view->known != NULL) {
        mkv_cbor_write_uint(w, (uint64_t)(now.ms - view->known->heard_ms));
    } else {
        mkv_cbor_write_null(w);
    }
    if (ping != NULL) {
        write_ping(w, ping);
    }
}

/* --- Pages -------------------------------------------------------------------------------- */

/* Takes @uuid if it comes after the cursor and before what was found until now. */
static void offer(struct mkv_bytes cursor, const uint8_t *uuid, const uint8_t **best)
{
    if (mkv_bytes_compare(mkv_bytes(uuid, MKV_UUID_LEN), cursor) > 0 &&
        (*best == NULL || memcmp(uuid, *best, MKV_UUID_LEN) < 0)) {
        *best = uuid;
    }
}

/* The next server in the order of their uuids; false: there is none. */
static bool next_view(const struct mkv_server *server,
                      struct mkv_now now,
                      struct mkv_bytes after,
                      struct view *ret_view)
{
    const struct mkv_cluster *cluster = &server->cluster;
    const uint8_t *best = NULL;
    const struct mkv_known *known;
    size_t cursor = 0;

    offer(after, mkv_store_id(server->store), &best);
    for (uint32_t i = 0; i < cluster->members.n; i++) {
        offer(after, cluster->members.at[i].uuid, &best);
    }
    while ((known = mkv_map_each(&cluster->known, &cursor)) != NULL) {
        if (mkv_actor_live(server, now, known)) { /* others count only as members */
            offer(after, known->ping.uuid, &best);
        }
    }
    if (best == NULL) {
        return false;
    }
    look_at(server, best, ret_view);
    return true;
}

static int fill_page(const struct mkv_server *server,
                     struct mkv_now now,
                     struct mkv_request *request,
                     struct mkv_buf *page,
                     uint32_t *ret_n)
{
    struct mkv_cbor_writer w;
    struct view view;

    mkv_cbor_writer_init(&w, page);
    *ret_n = 0;
    while (*ret_n < PAGE_REPORTS && w.error == 0 &&
           next_view(server, now, mkv_buf_bytes(&request->cursor), &view)) {
        mkv_buf_clear(&request->cursor);
        w.error = mkv_buf_append(&request->cursor, mkv_bytes(view.uuid, MKV_UUID_LEN));
        write_report(server, now, &view, &w);
        (*ret_n)++;
    }
    return w.error;
}

static int send_page(const struct mkv_server *server,
                     uint64_t link,
                     const struct mkv_request *request,
                     struct mkv_bytes page,
                     uint32_t n)
{
    struct mkv_frame frame = {.kind = MKV_FRAME_REPORTS, .id = request->id};
    struct mkv_cbor_writer w;
    struct mkv_buf list;

    mkv_buf_init(&list, MKV_FRAME_MAX);
    mkv_cbor_writer_init(&w, &list);
    mkv_cbor_write_array(&w, n);
    mkv_cbor_write_raw(&w, page);
    if (w.error == 0) {
        frame.reports = mkv_buf_bytes(&list);
        mkv_effect_send(server->effects, link, &frame);
    }
    mkv_buf_deinit(&list);
    return w.error;
}

int mkv_servers_turn(struct mkv_server *server,
                     struct mkv_now now,
                     uint64_t link,
                     struct mkv_request *request,
                     enum mkv_request_state *ret_state)
{
    struct mkv_frame end = {.kind = MKV_FRAME_END, .id = request->id};
    struct mkv_buf page;
    uint32_t n = 0;
    int error;

    mkv_buf_init(&page, MKV_FRAME_MAX);
    error = mkv_cluster_refresh(server);
    if (error == 0) {
        error = fill_page(server, now, request, &page, &n);
    }
    if (error == 0 && n > 0) {
        error = send_page(server, link, request, mkv_buf_bytes(&page), n);
        request->n_rows += n;
        request->credit--;
    }
    mkv_buf_deinit(&page);
    if (error == 0 && n < PAGE_REPORTS) {
        end.end.n_rows = request->n_rows;
        mkv_effect_send(server->effects, link, &end);
        *ret_state = MKV_REQUEST_DONE;
    } else {
        *ret_state = request->credit > 0 ? MKV_REQUEST_MORE : MKV_REQUEST_WAITING;
    }
    return error;
}

/* --- Evict -------------------------------------------------------------------------------- */

/* 0, or why it cannot be done; *ret_why says more about it. */
static int judge_evict(const struct mkv_server *server,
                       const uint8_t uuid[MKV_UUID_LEN],
                       const char **ret_why)
{
    int error = 0;

    if (is_self(server, uuid)) {
        *ret_why = "a server cannot take itself out: ask another one";
        return MKV_E_UNEXPECTED;
    }
    if (!mkv_members_active(&server->cluster.members, uuid)) {
        error = MKV_E_NOT_FOUND;
        *ret_why = "no such member";
        return error;
    }
    if (server->failure != 0) {
        error = MKV_E_READ_ONLY;
    } else if (!server->cluster.ready) {
        error = MKV_E_BUSY;
    }
    *ret_why = mkv_error_text(error);
    return error;
}

int mkv_servers_evict(struct mkv_server *server,
                      struct mkv_now now,
                      struct mkv_server_link *link,
                      const struct mkv_frame *frame)
{
    struct mkv_frame done = {.kind = MKV_FRAME_DONE, .id = frame->id};
    const struct mkv_member *member;
    const char *why;
    char name[MKV_NAME_MAX + 1];
    bool may = false;
    int error = mkv_cluster_refresh(server);

    if (error == 0) {
        error = mkv_grants_servers(server, link->session, &may);
    }
    if (error != 0) {
        return error;
    }
    if (!may) {
        mkv_server_send_error(server, link, frame->id, MKV_E_NOT_AUTHORISED,
                              mkv_error_text(MKV_E_NOT_AUTHORISED));
        return 0;
    }
    error = judge_evict(server, frame->uuid, &why);
    if (error != 0) {
        mkv_server_send_error(server, link, frame->id, error, why);
        return 0;
    }
    member = mkv_members_find(&server->cluster.members, frame->uuid);
    memcpy(name, member->name, sizeof(name)); /* writing changes the table */
    mkv_effect_log(server->effects, MKV_LOG_WARNING,
                   "server '%s' is taken out of the cluster, as link %llu asks", name,
                   (unsigned long long)link->number);
    error = mkv_cluster_set_member(server, now, frame->uuid, mkv_bytes_of(name), false);
    if (error == 0) {
        mkv_effect_send(server->effects, link->number, &done);
    }
    return error;
}
