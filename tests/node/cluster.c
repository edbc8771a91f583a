/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster_inner.h"
#include "lib/check.h"
#include "wire/dump.h"
#include "wire/path.h"
#include "wire/topic.h"

const struct mkv_bytes cluster_root = {(const uint8_t *)"moat/main", 9};

/* Something on its way. */
struct cluster_letter {
    struct cluster_letter *next;
    enum mkv_output_kind kind;
    unsigned from;
    unsigned to;   /* SEND, CLOSE, DIAL */
    uint64_t link; /* SEND, CLOSE: its number there; DIAL: its number here */
    struct mkv_buf topic;
    struct mkv_buf payload;
};

void cluster_enter(const struct cluster *cluster, unsigned i)
{
    if (cluster->around != NULL) {
        cluster->around(i, true);
    }
}

void cluster_exit(const struct cluster *cluster, unsigned i)
{
    if (cluster->around != NULL) {
        cluster->around(i, false);
    }
}

static void append(struct mkv_buf *buf, struct mkv_bytes bytes)
{
    assert_int_equal(mkv_buf_append(buf, bytes), 0);
}

static void copy(struct mkv_buf *buf, struct mkv_bytes bytes)
{
    mkv_buf_init(buf, SIZE_MAX / 2);
    append(buf, bytes);
}

void cluster_post(struct cluster *cluster,
                  enum mkv_output_kind kind,
                  unsigned from,
                  unsigned to,
                  uint64_t link,
                  struct mkv_bytes topic,
                  struct mkv_bytes payload)
{
    struct cluster_letter *letter = calloc(1, sizeof(*letter));

    assert_non_null(letter);
    letter->kind = kind;
    letter->from = from;
    letter->to = to;
    letter->link = link;
    copy(&letter->topic, topic);
    copy(&letter->payload, payload);
    if (cluster->last == NULL) {
        cluster->first = letter;
    } else {
        cluster->last->next = letter;
    }
    cluster->last = letter;
}

static void add_text(char **text, const char *more, size_t len)
{
    size_t old = *text == NULL ? 0 : strlen(*text);

    if (old + len + 2 > CLUSTER_TEXT_MAX) {
        return;
    }
    *text = realloc(*text, old + len + 1);
    assert_non_null(*text);
    memcpy(*text + old, more, len);
    (*text)[old + len] = '\0';
}

/* --- What is said ------------------------------------------------------------------------- */

static unsigned owner_of(const struct cluster *cluster, struct mkv_bytes address)
{
    for (unsigned i = 0; i < CLUSTER_MAX; i++) {
        if (mkv_bytes_equal(mkv_bytes_of(cluster->at[i].address), address)) {
            return i;
        }
    }
    return CLUSTER_MAX;
}

static void note_published(struct cluster_server *server, const struct mkv_output *output)
{
    if (!mkv_topic_is_svc(cluster_root, "act", output->topic)) {
        server->n_messages++;
        server->n_replies += mkv_topic_is_svc(cluster_root, "server", output->topic);
        assert_int_equal(output->qos, server->qos);
        return;
    }
    assert_int_equal(output->qos, 0);
    server->n_pings++;
    mkv_buf_clear(&server->ping_text);
    append(&server->ping_text, output->payload);
    assert_int_equal(mkv_ping_decode(mkv_buf_bytes(&server->ping_text), &server->ping), 0);
    assert_true(server->ping.floor <= server->ping.horizon);
    assert_true(server->ping.complete <= server->ping.horizon);
    assert_true(server->ping.horizon <= server->ping.tock);
}

/* What the client of the server is told. */
static void take_client_frame(struct cluster_server *server, struct mkv_bytes map)
{
    struct mkv_frame frame;

    assert_int_equal(mkv_frame_decode(map, &frame), 0);
    if (frame.kind == MKV_FRAME_SESSION) {
        server->seq = frame.session.seq;
        server->counter = 0;
        server->acked = 0;
    } else if (frame.kind == MKV_FRAME_ACK) {
        server->acked = frame.ack.counter;
    } else if (frame.kind == MKV_FRAME_NACK) {
        server->refused = frame.nack.code;
    } else if (frame.kind == MKV_FRAME_DONE) {
        server->done = true;
    } else if (frame.kind == MKV_FRAME_ERROR) {
        server->refused = frame.error.code;
    }
}

static void take_frames(struct cluster *cluster, unsigned i, const struct mkv_output *output)
{
    struct cluster_server *server = &cluster->at[i];
    const struct cluster_link *link = cluster_find_link(server, output->link);
    struct mkv_bytes map;
    size_t used;

    if (link == NULL) {
        return;
    }
    if (output->link != server->client) {
        server->n_frames += output->link >= MKV_LINK_OUT;
        cluster_post(cluster, MKV_OUTPUT_SEND, i, link->to, link->there, mkv_bytes(NULL, 0),
                     output->payload);
        return;
    }
    for (struct mkv_bytes rest = output->payload; rest.len > 0;
         rest = mkv_bytes_after(rest, used)) {
        assert_int_equal(mkv_frame_cut(rest, &map, &used), 0);
        assert_true(used > 0);
        take_client_frame(server, map);
    }
}

static void take_close(struct cluster *cluster, unsigned i, uint64_t number)
{
    struct cluster_server *server = &cluster->at[i];
    struct cluster_link *link = cluster_find_link(server, number);

    if (link == NULL) {
        return;
    }
    if (server->client != number) {
        cluster_post(cluster, MKV_OUTPUT_CLOSE, i, link->to, link->there, mkv_bytes(NULL, 0),
                     mkv_bytes(NULL, 0));
    }
    cluster_post(cluster, MKV_OUTPUT_CLOSE, i, i, number, mkv_bytes(NULL, 0), mkv_bytes(NULL, 0));
}

static void take_output(struct cluster *cluster, unsigned i, const struct mkv_output *output)
{
    struct cluster_server *server = &cluster->at[i];

    switch (output->kind) {
    case MKV_OUTPUT_PUBLISH:
        note_published(server, output);
        if (!server->cut) {
            cluster_post(cluster, output->kind, i, 0, 0, output->topic, output->payload);
        }
        break;
    case MKV_OUTPUT_LOOK: /* only where the broker retains */
        break;
    case MKV_OUTPUT_DIAL:
        server->n_dials++;
        cluster_post(cluster, output->kind, i, owner_of(cluster, output->payload), output->link,
                     mkv_bytes(NULL, 0), mkv_bytes(NULL, 0));
        break;
    case MKV_OUTPUT_SEND:
        take_frames(cluster, i, output);
        break;
    case MKV_OUTPUT_CLOSE:
        take_close(cluster, i, output->link);
        break;
    case MKV_OUTPUT_SASL:
        cluster_post(cluster, output->kind, i, i, output->link, output->topic, output->payload);
        break;
    case MKV_OUTPUT_STOP:
        server->stopped = true;
        add_text(&server->log, (const char *)output->payload.at, output->payload.len);
        break;
    case MKV_OUTPUT_LOG:
        add_text(&server->log, (const char *)output->payload.at, output->payload.len);
        add_text(&server->log, "\n", 1);
        break;
    }
}

void cluster_take_outputs(struct cluster *cluster, unsigned i)
{
    struct mkv_output output;

    while (mkv_server_node_output(cluster->at[i].node, &output)) {
        take_output(cluster, i, &output);
    }
}

void cluster_send_to(struct cluster *cluster, unsigned i, uint64_t link, struct mkv_bytes map)
{
    cluster_enter(cluster, i);
    mkv_server_node_frame(cluster->at[i].node, cluster->now, link, map);
    cluster_exit(cluster, i);
    cluster_take_outputs(cluster, i);
}

/* --- Delivery ----------------------------------------------------------------------------- */

static bool is_lost(struct cluster_server *server, bool is_ping)
{
    if (is_ping) {
        return server->no_pings;
    }
    if (server->lose > 0) {
        server->lose--;
        return true;
    }
    return false;
}

static void deliver_message(struct cluster *cluster, const struct cluster_letter *letter)
{
    bool is_ping = mkv_topic_is_svc(cluster_root, "act", mkv_buf_bytes(&letter->topic));

    for (unsigned i = 0; i < CLUSTER_MAX; i++) {
        struct cluster_server *server = &cluster->at[i];

        if (server->node == NULL || server->cut || is_lost(server, is_ping)) {
            continue;
        }
        cluster_enter(cluster, i);
        mkv_server_node_message(server->node, cluster->now, mkv_buf_bytes(&letter->topic),
                                mkv_buf_bytes(&letter->payload), false);
        cluster_exit(cluster, i);
        cluster_take_outputs(cluster, i);
    }
}

static void hear(struct cluster_server *server, uint64_t link, struct mkv_bytes map)
{
    struct cluster_heard *heard = &server->heard[server->n_heard];

    assert_true(server->n_heard < CLUSTER_HEARD_MAX);
    server->n_heard++;
    heard->link = link;
    copy(&heard->bytes, map);
    assert_int_equal(mkv_frame_decode(mkv_buf_bytes(&heard->bytes), &heard->frame), 0);
}

static void deliver_frames(struct cluster *cluster, const struct cluster_letter *letter)
{
    struct cluster_server *server = &cluster->at[letter->to];
    struct mkv_bytes rest = mkv_buf_bytes(&letter->payload);

    if (letter->link >= MKV_LINK_OUT && server->break_in > 0 && --server->break_in == 0) {
        cluster_cut_links(cluster, letter->to);
    }
    while (rest.len > 0 && cluster_find_link(server, letter->link) != NULL) {
        struct mkv_bytes map;
        size_t used;

        assert_int_equal(mkv_frame_cut(rest, &map, &used), 0);
        assert_true(used > 0);
        if (server->puppet) {
            hear(server, letter->link, map);
        } else {
            cluster_enter(cluster, letter->to);
            mkv_server_node_frame(server->node, cluster->now, letter->link, map);
            cluster_exit(cluster, letter->to);
            cluster_take_outputs(cluster, letter->to);
        }
        rest = mkv_bytes_after(rest, used);
    }
}

static void deliver(struct cluster *cluster, const struct cluster_letter *letter)
{
    switch (letter->kind) {
    case MKV_OUTPUT_PUBLISH:
        deliver_message(cluster, letter);
        break;
    case MKV_OUTPUT_LOOK: /* only where the broker retains */
        break;
    case MKV_OUTPUT_DIAL:
        cluster_open_link(cluster, letter->from, letter->to, letter->link);
        break;
    case MKV_OUTPUT_SEND:
        deliver_frames(cluster, letter);
        break;
    case MKV_OUTPUT_CLOSE:
        cluster_drop_link(cluster, letter->to, letter->link);
        break;
    case MKV_OUTPUT_SASL:
        if (cluster->at[letter->to].node != NULL) {
            cluster_prove(cluster, letter->to, letter->link, mkv_buf_bytes(&letter->payload));
        }
        break;
    case MKV_OUTPUT_STOP:
    case MKV_OUTPUT_LOG:
        break;
    }
}

void cluster_settle(struct cluster *cluster)
{
    while (cluster->first != NULL) {
        struct cluster_letter *letter = cluster->first;

        cluster->first = letter->next;
        cluster->last = cluster->first == NULL ? NULL : cluster->last;
        deliver(cluster, letter);
        mkv_buf_deinit(&letter->topic);
        mkv_buf_deinit(&letter->payload);
        free(letter);
    }
}

static void advance_to(struct cluster *cluster, int64_t ms)
{
    if (ms > cluster->now.ms) {
        uint64_t passed = (uint64_t)(ms - cluster->now.ms);

        cluster->now.wall_ms += cluster->now.wall_ms > 0 ? passed : 0;
        cluster->now.calendar_ms += passed;
        cluster->now.ms = ms;
    }
}

static int64_t next_deadline(const struct cluster *cluster)
{
    int64_t next = MKV_NEVER;

    for (unsigned i = 0; i < CLUSTER_MAX; i++) {
        const struct mkv_server_node *node = cluster->at[i].node;
        int64_t deadline = node == NULL ? MKV_NEVER : mkv_server_node_deadline(node);

        next = deadline < next ? deadline : next;
    }
    return next;
}

static void wake_all(struct cluster *cluster)
{
    for (unsigned i = 0; i < CLUSTER_MAX; i++) {
        struct mkv_server_node *node = cluster->at[i].node;

        if (node != NULL && mkv_server_node_deadline(node) <= cluster->now.ms) {
            cluster_enter(cluster, i);
            mkv_server_node_time(node, cluster->now);
            cluster_exit(cluster, i);
            cluster_take_outputs(cluster, i);
        }
    }
}

void cluster_run(struct cluster *cluster, int64_t ms)
{
    int64_t until = cluster->now.ms + ms;
    unsigned n_idle = 0;

    for (;;) {
        int64_t next;

        cluster_settle(cluster);
        next = next_deadline(cluster);
        if (next > until) {
            break;
        }
        n_idle = next > cluster->now.ms ? 0 : n_idle + 1;
        assert_true(n_idle < 100000); /* somebody spins */
        advance_to(cluster, next);
        wake_all(cluster);
    }
    advance_to(cluster, until);
}

/* --- Servers ------------------------------------------------------------------------------ */

void cluster_init(struct cluster *cluster)
{
    memset(cluster, 0, sizeof(*cluster));
    cluster->now = (struct mkv_now){
        .ms = 1000, .wall_ms = UINT64_C(200000000000), .calendar_ms = UINT64_C(200000000000)};
    cluster->times = MKV_CLUSTER_TIMES;
    cluster->times.horizon_ms = 48000;
    for (unsigned i = 0; i < CLUSTER_MAX; i++) {
        struct cluster_server *server = &cluster->at[i];

        (void)snprintf(server->name, sizeof(server->name), "s%u", i);
        (void)snprintf(server->address, sizeof(server->address), "tcp://s%u:1", i);
        mkv_buf_init(&server->ping_text, SIZE_MAX / 2);
        server->qos = 1;
    }
}

static int keep_row(struct cluster_server *server,
                    struct mkv_bytes rows,
                    struct mkv_buf *key,
                    struct mkv_buf *path,
                    size_t *ret_used)
{
    struct mkv_dump_record record;
    int error = mkv_dump_cbor_decode(rows, false, key, &record, ret_used);

    mkv_buf_clear(path);
    if (error == 0) {
        assert_true(record.entry.present);
        error = mkv_path_to_dotted(record.key, path);
    }
    if (error == 0) {
        add_text(&server->set_aside, (const char *)path->at, path->len);
        add_text(&server->set_aside, "=", 1);
        add_text(&server->set_aside, (const char *)record.entry.value.at + 1,
                 record.entry.value.len - 1);
        add_text(&server->set_aside, ";", 1);
    }
    return error;
}

/* What its servers set aside, as text.  It may run out of memory as they may. */
static int keep(void *context, struct mkv_bytes rows)
{
    struct cluster_server *server = context;
    struct mkv_buf key;
    struct mkv_buf path;
    int error = server->keep_error;

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    mkv_buf_init(&path, 8192);
    while (rows.len > 0 && error == 0) {
        size_t used = 0;

        error = keep_row(server, rows, &key, &path, &used);
        assert_true(error == 0 || error == MKV_E_NO_MEMORY);
        rows = mkv_bytes_after(rows, used);
    }
    mkv_buf_deinit(&key);
    mkv_buf_deinit(&path);
    return error;
}

static int start_node(struct cluster *cluster, unsigned i)
{
    struct cluster_server *server = &cluster->at[i];
    struct mkv_server_node_config config = {
        .server = {.name = mkv_bytes_of(server->name),
                   .root = cluster_root,
                   .host = mkv_bytes_of(server->name),
                   .software = mkv_bytes_of("test"),
                   .qos = server->qos,
                   .session_limits = {.grace_ms = 200, .void_ms = 30000},
                   .secret = {1, 2, (uint8_t)i},
                   .times = cluster->times,
                   .alone = server->alone,
                   .restored = server->report.restored && !server->forget_restored,
                   .accept_restored = server->accept_restored},
        .window_ms = 2,
        .quarantine = {.keep = keep, .context = server},
    };
    struct mkv_addresses *links = &config.server.links;

    links->at[links->n++] = mkv_bytes_of(server->address);
    if (server->also != NULL) {
        links->at[links->n++] = links->at[0];
        links->at[0] = mkv_bytes_of(server->also);
    }
    return mkv_server_node_new(&config, server->store, cluster->now, &server->node);
}

void cluster_uuid(unsigned i, uint8_t ret_uuid[16])
{
    memset(ret_uuid, (int)(0x11 * (i + 1)), 16);
}

int cluster_open_store(struct cluster_server *server, unsigned i)
{
    struct mkv_store_options options = {.boot_nonce = 1000 * (i + 1) + ++server->boots};

    cluster_uuid(i, options.id);
    memset(options.digest_key, 9, sizeof(options.digest_key));
    if (server->disk == NULL) {
        server->disk = mkv_disk_new(0);
        assert_non_null(server->disk);
    }
    return mkv_store_open_disk(server->disk, &options, &server->store, &server->report);
}

int cluster_boot(struct cluster *cluster, unsigned i)
{
    struct cluster_server *server = &cluster->at[i];
    int error = cluster_open_store(server, i);

    server->exists = true;
    if (error != 0) {
        server->store = NULL;
        return error;
    }
    cluster_enter(cluster, i);
    error = start_node(cluster, i);
    if (error == 0) {
        mkv_server_node_broker(server->node, cluster->now, !server->cut);
    }
    cluster_exit(cluster, i);
    if (error == 0) {
        cluster_take_outputs(cluster, i);
    }
    return error;
}

void cluster_start(struct cluster *cluster, unsigned i)
{
    assert_int_equal(cluster_boot(cluster, i), 0);
}

void cluster_crash(struct cluster *cluster, unsigned i)
{
    struct cluster_server *server = &cluster->at[i];

    mkv_server_node_free(server->node);
    server->node = NULL;
    mkv_store_close(server->store);
    server->store = NULL;
    server->client = 0;
    cluster_cut_links(cluster, i);
}

void cluster_leave(struct cluster *cluster, unsigned i)
{
    mkv_server_node_leave(cluster->at[i].node, cluster->now);
    mkv_server_node_flush(cluster->at[i].node, cluster->now);
    cluster_take_outputs(cluster, i);
    cluster_crash(cluster, i);
}

void cluster_puppet(struct cluster *cluster, unsigned i)
{
    cluster->at[i].puppet = true;
    cluster->at[i].exists = true;
}

static void free_server(struct cluster *cluster, unsigned i)
{
    struct cluster_server *server = &cluster->at[i];

    mkv_server_node_free(server->node);
    mkv_store_close(server->store);
    mkv_disk_free(server->disk);
    cluster_forget(cluster, i);
    mkv_buf_deinit(&server->ping_text);
    free(server->log);
    free(server->set_aside);
}

void cluster_deinit(struct cluster *cluster)
{
    for (unsigned i = 0; i < CLUSTER_MAX; i++) {
        free_server(cluster, i);
    }
    while (cluster->first != NULL) {
        struct cluster_letter *letter = cluster->first;

        cluster->first = letter->next;
        mkv_buf_deinit(&letter->topic);
        mkv_buf_deinit(&letter->payload);
        free(letter);
    }
}

void cluster_cut(struct cluster *cluster, unsigned i, bool cut)
{
    struct cluster_server *server = &cluster->at[i];

    server->cut = cut;
    if (server->node != NULL) {
        cluster_enter(cluster, i);
        mkv_server_node_broker(server->node, cluster->now, !cut);
        cluster_exit(cluster, i);
        cluster_take_outputs(cluster, i);
    }
}

void cluster_isolate(struct cluster *cluster, unsigned i, bool isolated)
{
    cluster->at[i].isolated = isolated;
    if (isolated) {
        cluster_cut_links(cluster, i);
    }
}

bool cluster_ready(const struct cluster *cluster, unsigned i)
{
    return cluster->at[i].node != NULL && mkv_server_node_ready(cluster->at[i].node);
}

struct mkv_summary cluster_sum(const struct cluster *cluster, unsigned i)
{
    return mkv_tree_summary(mkv_store_tree(cluster->at[i].store), mkv_bytes(NULL, 0));
}

bool cluster_equal(const struct cluster *cluster, unsigned i, unsigned j)
{
    struct mkv_summary a = cluster_sum(cluster, i);
    struct mkv_summary b = cluster_sum(cluster, j);

    return a.digest.high == b.digest.high && a.digest.low == b.digest.low &&
           a.n_entries == b.n_entries;
}

static bool all_equal(const struct cluster *cluster)
{
    unsigned first = CLUSTER_MAX;

    for (unsigned i = 0; i < CLUSTER_MAX; i++) {
        if (cluster->at[i].node == NULL) {
            continue;
        }
        first = first == CLUSTER_MAX ? i : first;
        if (!cluster_ready(cluster, i) || !cluster_equal(cluster, first, i)) {
            return false;
        }
    }
    return true;
}

bool cluster_heal(struct cluster *cluster, int64_t ms)
{
    int64_t until = cluster->now.ms + ms;

    cluster_run(cluster, 10);
    while (!all_equal(cluster) && cluster->now.ms < until) {
        cluster_run(cluster, 100);
    }
    return all_equal(cluster);
}
