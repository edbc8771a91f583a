/* SPDX-License-Identifier: Apache-2.0 */
#include "base/assert.h"
#include "core/server_state.h"
#include "wire/path.h"

/*
 * What a client asks over an open link (docs/protocol.md, 7.2 and 7.3).
 */
#define REPORT_MAX 8192U

static struct mkv_request **find_request(struct mkv_server_link *link, uint64_t id)
{
    for (uint32_t i = 0; i < link->n_requests; i++) {
        if (link->requests[i]->id == id) {
            return &link->requests[i];
        }
    }
    return NULL;
}

static void end_request(struct mkv_server_link *link, struct mkv_request **at)
{
    mkv_request_free(*at);
    link->n_requests--;
    *at = link->requests[link->n_requests];
}

void mkv_serve_end_all(struct mkv_server *server, struct mkv_server_link *link)
{
    (void)server;
    while (link->n_requests > 0) {
        end_request(link, &link->requests[0]);
    }
}

/* Errors that are the asker's own, in contrast to those that break the batch. */
static bool is_askers_fault(int error)
{
    return error > MKV_E_NO_MEMORY;
}

/* A server has read our log beyond what we know of it: it is we who have been put back. */
static int check_place(struct mkv_server *server,
                       struct mkv_now now,
                       const struct mkv_server_link *link,
                       const struct mkv_frame *frame)
{
    int error;

    if (!link->is_peer || !server->cluster.ready || server->failure != 0 ||
        mkv_store_place_known(server->store, frame->read.since)) {
        return 0;
    }
    error = mkv_cluster_found_restored(server);
    mkv_join_again(server, now, "its store has been restored");
    return error;
}

/* Whether there is anything that the asker may see of it. */
static int may_open(struct mkv_server *server,
                    const struct mkv_server_link *link,
                    const struct mkv_request *request,
                    bool *ret_may)
{
    if (request->kind == MKV_REQUEST_SERVERS) {
        return mkv_grants_servers(server, link->session, ret_may);
    }
    return mkv_grants_read_path(
        server, link->session, mkv_buf_bytes(&request->path),
        request->kind == MKV_REQUEST_CHILDREN ? MKV_RIGHT_LIST : MKV_RIGHT_READ, ret_may);
}

/* One that may be answered; else the errors of mkv_request_open(), and NOT_AUTHORISED. */
static int make_request(struct mkv_server *server,
                        const struct mkv_server_link *link,
                        const struct mkv_frame *frame,
                        struct mkv_request **ret_request)
{
    bool may;
    int error = mkv_request_open(server->store, frame, ret_request);

    if (error != 0) {
        return error;
    }
    error = may_open(server, link, *ret_request, &may);
    if (error == 0 && !may) {
        error = MKV_E_NOT_AUTHORISED;
    }
    if (error != 0) {
        mkv_request_free(*ret_request);
    }
    return error;
}

/* The server's own user may have as many as there are links for. */
static bool has_room(const struct mkv_server *server, const struct mkv_server_link *link)
{
    size_t cursor = 0;
    const struct mkv_server_link *other;
    uint32_t n = 0;

    if (link->n_requests == MKV_REQUESTS_MAX) {
        return false;
    }
    while (link->user[0] != '\0' && (other = mkv_map_each(&server->links, &cursor)) != NULL) {
        n += strcmp(other->user, link->user) == 0 ? other->n_requests : 0;
    }
    return n < MKV_USER_REQUESTS_MAX;
}

static int open_request(struct mkv_server *server,
                        struct mkv_now now,
                        struct mkv_server_link *link,
                        const struct mkv_frame *frame)
{
    struct mkv_request *request;
    int error = 0;

    if (find_request(link, frame->id) != NULL) {
        error = MKV_E_UNEXPECTED;
    } else if (!has_room(server, link)) {
        error = MKV_E_BUSY;
    } else {
        error = make_request(server, link, frame, &request);
    }
    if (error == 0) {
        request->strict = link->is_peer;
        link->requests[link->n_requests++] = request;
        server->requests_pending = true;
        return 0;
    }
    if (is_askers_fault(error)) {
        mkv_server_send_error(server, link, frame->id, error, mkv_error_text(error));
        return error == MKV_E_STALE ? check_place(server, now, link, frame) : 0;
    }
    return error;
}

static void take_credit(struct mkv_server *server,
                        struct mkv_server_link *link,
                        const struct mkv_frame *frame)
{
    struct mkv_request **request = find_request(link, frame->id);

    if (request == NULL) { /* it has ended meanwhile */
        return;
    }
    if (frame->credit > UINT32_MAX - (*request)->credit) {
        (*request)->credit = UINT32_MAX;
    } else {
        (*request)->credit += frame->credit;
    }
    server->requests_pending = true;
}

static void cancel(struct mkv_server *server,
                   struct mkv_server_link *link,
                   const struct mkv_frame *frame)
{
    struct mkv_request **request = find_request(link, frame->id);

    if (request != NULL) {
        end_request(link, request);
        mkv_server_send_error(server, link, frame->id, MKV_E_CANCELLED,
                              mkv_error_text(MKV_E_CANCELLED));
    }
}

static void send_digest(struct mkv_server *server,
                        const struct mkv_server_link *link,
                        uint64_t id,
                        const struct mkv_summary *sum)
{
    struct mkv_frame answer = {
        .kind = MKV_FRAME_DIGEST,
        .id = id,
        .digest = {.count = sum->n_entries,
                   .place = mkv_store_place(server->store),
                   .floor = server->cluster.floor.floor},
    };

    mkv_digest_bytes(sum->digest, answer.digest.digest);
    mkv_effect_send(server->effects, link->number, &answer);
}

/* The sums over what may be read there: NOT_AUTHORISED if that is nothing, TOO_MANY if it is too scattered. */
static int sum_readable(struct mkv_server *server,
                        const struct mkv_server_link *link,
                        struct mkv_bytes key,
                        struct mkv_summary *ret_sum)
{
    struct mkv_asker asker;
    int error = mkv_grants_asker(server, link->session, &asker);

    if (error != 0) {
        return error;
    }
    if (mkv_asker_below(&asker, key, MKV_RIGHT_READ) == MKV_ACL_NONE) {
        return MKV_E_NOT_AUTHORISED;
    }
    return mkv_asker_summary(&asker, server->store, key, ret_sum);
}

static int check(struct mkv_server *server,
                 struct mkv_server_link *link,
                 const struct mkv_frame *frame)
{
    struct mkv_buf key;
    struct mkv_cbor_reader r;
    struct mkv_summary sum;

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    mkv_cbor_reader_init(&r, frame->path.path);

    int error = mkv_path_from_cbor(&r, &key);

    if (error == 0) {
        error = sum_readable(server, link, mkv_buf_bytes(&key), &sum);
    }
    if (error == 0) {
        send_digest(server, link, frame->id, &sum);
    } else if (error == MKV_E_TOO_MANY) {
        mkv_server_send_error(server, link, frame->id, MKV_E_NOT_AUTHORISED,
                              "what you may read is too scattered there: check a smaller subtree");
        error = 0;
    } else if (is_askers_fault(error)) {
        mkv_server_send_error(server, link, frame->id, error, mkv_error_text(error));
        error = 0;
    }
    mkv_buf_deinit(&key);
    return error;
}

struct fact {
    const char *name;
    uint64_t number;
};

static void write_words(struct mkv_cbor_writer *w, const char *name, struct mkv_bytes text)
{
    mkv_cbor_write_text(w, mkv_bytes_of(name));
    mkv_cbor_write_text(w, text);
}

static void write_facts(struct mkv_cbor_writer *w, const struct fact *facts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        mkv_cbor_write_text(w, mkv_bytes_of(facts[i].name));
        mkv_cbor_write_uint(w, facts[i].number);
    }
}

/* For people and monitoring: text keys, in a fixed order.  @why servers differ; empty: they do not. */
static void write_report(const struct mkv_server *server,
                         struct mkv_now now,
                         struct mkv_bytes why,
                         struct mkv_cbor_writer *w)
{
    struct mkv_summary sum = mkv_tree_summary(mkv_store_tree(server->store), mkv_bytes(NULL, 0));
    const struct mkv_server_counts *c = &server->counts;
    struct mkv_store_stats stats;

    mkv_store_stats(server->store, &stats);
    const struct fact facts[] = {
        {"entries", sum.n_live},
        {"tombstones", sum.n_entries - sum.n_live},
        {"position", mkv_store_place(server->store).position},
        {"tock", mkv_tock_now(&server->tock, now.wall_ms)},
        {"uptime_s", (uint64_t)(now.ms - server->started_ms) / 1000},
        {"links", server->links.n},
        {"sessions", server->sessions.n},
        {"log_rows", stats.n_rows},
        {"log_dead", stats.n_dead},
        {"disk_used", stats.bytes_used},
        {"disk_max", stats.bytes_max},
        {"updates", c->updates},
        {"duplicates", c->duplicates},
        {"outdated", c->outdated},
        {"conflicts", c->conflicts},
        {"conflicts_kept", mkv_conflicts_n(&server->conflicts)},
        {"conflicts_counted", c->conflicts_counted},
        {"conflicts_untold", c->conflicts_untold},
        {"refused", c->refused},
        {"forged", c->forged},
        {"nacks", c->nacks},
        {"stamped", c->stamped},
        {"repeats", c->repeats},
        {"voids", c->voids},
        {"put_back", c->put_back},
        {"dropped", c->dropped},
        {"horizon", server->cluster.floor.horizon},
        {"complete", mkv_sync_complete(server)},
        {"floor", server->cluster.floor.floor},
        {"pulls", server->cluster.n_pulls},
        {"walks", server->cluster.n_walks},
        {"forgotten", server->cluster.n_purged},
        {"quarantined", server->cluster.n_quarantined},
        {"healed", server->cluster.n_healed},
        {"strangers", server->cluster.n_strangers},
    };
    const size_t n_facts = sizeof(facts) / sizeof(facts[0]);
    uint8_t digest[MKV_DIGEST_LEN];
    mkv_digest_bytes(sum.digest, digest);
    mkv_cbor_write_map(w, n_facts + 10 + (why.len > 0) + (server->config.quarantine.len > 0));
    write_words(w, "name", server->config.name);
    write_words(w, "software", server->config.software);
    write_words(w, "root", server->config.root);
    mkv_cbor_write_text(w, mkv_bytes_of("store"));
    mkv_cbor_write_bytes(w, mkv_bytes(mkv_store_id(server->store), MKV_STORE_ID_LEN));
    mkv_cbor_write_text(w, mkv_bytes_of("digest"));
    mkv_cbor_write_bytes(w, mkv_bytes(digest, sizeof(digest)));
    write_words(w, "broker",
                mkv_bytes_of(server->broker_connected
                                 ? (server->cluster.looping ? "in a circle" : "connected")
                                 : "away"));
    write_words(w, "clock", mkv_bytes_of(now.wall_ms > 0 ? "trusted" : "not trusted"));
    write_words(w, "state",
                mkv_bytes_of(server->failure == 0 ? "writing" : mkv_error_text(server->failure)));
    if (server->config.quarantine.len > 0) {
        write_words(w, "quarantine", server->config.quarantine);
    }
    write_words(w, "joined", mkv_bytes_of(server->cluster.ready ? "yes" : "not yet"));
    mkv_cbor_write_text(w, mkv_bytes_of("converged"));
    mkv_cbor_write_bool(w, why.len == 0);
    if (why.len > 0) {
        write_words(w, "not_converged", why);
    }
    write_facts(w, facts, n_facts);
}

static int report(struct mkv_server *server,
                  struct mkv_now now,
                  struct mkv_server_link *link,
                  const struct mkv_frame *frame)
{
    struct mkv_buf buf;
    struct mkv_buf why;
    struct mkv_cbor_writer w;

    mkv_buf_init(&buf, REPORT_MAX);
    mkv_buf_init(&why, REPORT_MAX);
    mkv_cbor_writer_init(&w, &buf);
    w.error = mkv_servers_differ(server, now, &why);
    write_report(server, now, mkv_buf_bytes(&why), &w);
    if (w.error == 0) {
        struct mkv_frame answer = {
            .kind = MKV_FRAME_REPORT, .id = frame->id, .report = mkv_buf_bytes(&buf)};

        mkv_effect_send(server->effects, link->number, &answer);
    }
    mkv_buf_deinit(&buf);
    mkv_buf_deinit(&why);
    return w.error;
}

static void pong(struct mkv_server *server,
                 struct mkv_now now,
                 struct mkv_server_link *link,
                 uint64_t id)
{
    struct mkv_frame answer = {
        .kind = MKV_FRAME_PONG, .id = id, .tock = mkv_tock_tell(&server->tock, now.wall_ms)};

    mkv_effect_send(server->effects, link->number, &answer);
}

/* The client does not have these: no use in asking again. */
static void take_void(struct mkv_server *server,
                      struct mkv_now now,
                      struct mkv_session *session,
                      const struct mkv_frame_range *range)
{
    struct mkv_run run = {range->first, range->last};

    if (server->failure == 0 &&
        mkv_session_note(session, now, &server->config.session_limits, run) == MKV_SEEN_NEW) {
        server->counts.voids += run.last - run.first + 1;
        mkv_server_mark_dirty(server, session);
        mkv_server_wake_at(server, session->ask_ms);
    }
}

int mkv_serve_frame(struct mkv_server *server,
                    struct mkv_now now,
                    struct mkv_server_link *link,
                    const struct mkv_frame *frame)
{
    switch (frame->kind) {
    case MKV_FRAME_READ:
    case MKV_FRAME_LIST:
    case MKV_FRAME_CONFLICTS:
    case MKV_FRAME_SERVERS:
        return open_request(server, now, link, frame);
    case MKV_FRAME_CHECK:
        return check(server, link, frame);
    case MKV_FRAME_STATUS:
        return report(server, now, link, frame);
    case MKV_FRAME_PASSWD:
        return mkv_login_passwd(server, now, link, frame);
    case MKV_FRAME_EVICT:
        return mkv_servers_evict(server, now, link, frame);
    case MKV_FRAME_PING:
        pong(server, now, link, frame->id);
        return 0;
    case MKV_FRAME_CREDIT:
        take_credit(server, link, frame);
        return 0;
    case MKV_FRAME_CANCEL:
        cancel(server, link, frame);
        return 0;
    case MKV_FRAME_VOID:
        if (link->session != NULL) {
            take_void(server, now, link->session, &frame->range);
        }
        return 0;
    case MKV_FRAME_FETCH:
    case MKV_FRAME_VOUCH:
    case MKV_FRAME_SPLIT:
    case MKV_FRAME_SECRETS:
        if (link->is_peer) {
            return frame->kind == MKV_FRAME_FETCH ? open_request(server, now, link, frame)
                                                  : mkv_peer_frame(server, now, link, frame);
        }
        break;
    case MKV_FRAME_HELLO:
    case MKV_FRAME_AUTH:
    case MKV_FRAME_SESSION:
    case MKV_FRAME_BIRTH:
    case MKV_FRAME_ERROR:
    case MKV_FRAME_BYE:
    case MKV_FRAME_ACK:
    case MKV_FRAME_NACK:
    case MKV_FRAME_CONFLICT:
    case MKV_FRAME_REPEAT:
    case MKV_FRAME_STATE:
    case MKV_FRAME_RIGHTS:
    case MKV_FRAME_DATA:
    case MKV_FRAME_END:
    case MKV_FRAME_CHILDREN:
    case MKV_FRAME_DIGEST:
    case MKV_FRAME_REPORT:
    case MKV_FRAME_PONG:
    case MKV_FRAME_PEER:
    case MKV_FRAME_CHALLENGE:
    case MKV_FRAME_RESPONSE:
    case MKV_FRAME_VOUCHED:
    case MKV_FRAME_SUMS:
    case MKV_FRAME_REPORTS:
    case MKV_FRAME_DONE:
    case MKV_FRAME_SECRET:
    case MKV_FRAME_LOST:
        break;
    }
    mkv_server_send_error(server, link, 0, MKV_E_UNEXPECTED, mkv_error_text(MKV_E_UNEXPECTED));
    return 0;
}

/* The next request of a link that has credit, in a circle; NULL: none has. */
static struct mkv_request **next_request(struct mkv_server_link *link)
{
    for (uint32_t left = link->n_requests; left > 0; left--) {
        uint32_t at = link->turn++ % link->n_requests;

        if (link->requests[at]->credit > 0 && !link->requests[at]->idle) {
            return &link->requests[at];
        }
    }
    return NULL;
}

static int turn_request(struct mkv_server *server,
                        struct mkv_now now,
                        const struct mkv_server_link *link,
                        struct mkv_request *request,
                        enum mkv_request_state *ret_state)
{
    struct mkv_asker asker;
    int error = mkv_grants_asker(server, link->session, &asker);

    if (error != 0) {
        return error;
    }
    if (request->kind == MKV_REQUEST_CONFLICTS) {
        return mkv_server_conflicts_turn(server, &asker, link->number, request, ret_state);
    }
    if (request->kind == MKV_REQUEST_SERVERS) {
        return mkv_servers_turn(server, now, link->number, request, ret_state);
    }
    return mkv_request_turn(request, &asker, server->store, server->effects, link->number,
                            ret_state);
}

/*
 * One page for one request of a link, so that it can be seen after each page whether the client
 * keeps up: 16 pages of 1 MiB at once would be more than a link may have waiting.
 */
static int turn_link(struct mkv_server *server,
                     struct mkv_now now,
                     struct mkv_server_link *link,
                     bool *more)
{
    enum mkv_request_state state;
    struct mkv_request **request = next_request(link);

    if (request == NULL) {
        return 0;
    }

    int error = turn_request(server, now, link, *request, &state);

    if (error == MKV_E_CORRUPT) { /* it cannot be answered to its end; nothing else is wrong */
        mkv_server_send_error(server, link, (*request)->id, error, mkv_error_text(error));
        state = MKV_REQUEST_DONE;
    } else if (error != 0) {
        return error;
    }
    if (state == MKV_REQUEST_DONE) {
        end_request(link, request);
    }
    *more = true; /* the next turn sees whether there is */
    return 0;
}

void mkv_server_congested(struct mkv_server *server, uint64_t number, bool congested)
{
    struct mkv_server_link *link = mkv_map_get(&server->links, number);

    if (link != NULL) {
        link->congested = congested;
        server->requests_pending = server->requests_pending || !congested;
    }
}

/* The next link whose turn it is, in a circle; there is one. */
static struct mkv_server_link *next_link(struct mkv_server *server)
{
    struct mkv_server_link *link = mkv_map_each(&server->links, &server->turn_cursor);

    if (link == NULL) {
        server->turn_cursor = 0;
        link = mkv_map_each(&server->links, &server->turn_cursor);
    }
    return link;
}

int mkv_serve_turn(struct mkv_server *server, struct mkv_now now)
{
    bool more = false;

    for (size_t i = 0; i < server->links.n; i++) {
        if (!mkv_effect_room(server->effects)) { /* goes on here next time: all get their turn */
            more = true;
            break;
        }

        struct mkv_server_link *link = next_link(server);
        int error = link->congested ? 0 : turn_link(server, now, link, &more);

        if (error != 0) {
            return error;
        }
    }
    server->requests_pending = more;
    return 0;
}
