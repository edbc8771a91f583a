/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster_inner.h"
#include "lib/check.h"
#include "wire/path.h"
#include "wire/secret.h"
#include "wire/topic.h"

static struct mkv_buf key_of(const char *path)
{
    struct mkv_buf key;

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    assert_int_equal(mkv_path_from_dotted(mkv_bytes_of(path), &key), 0);
    return key;
}

/* A short text in CBOR. */
static struct mkv_bytes value_of(const char *text, uint8_t space[32])
{
    size_t len;

    if (text == NULL) {
        return mkv_bytes(NULL, 0);
    }
    len = strlen(text);
    assert_true(len < 24);
    space[0] = (uint8_t)(0x60 + len);
    memcpy(space + 1, text, len);
    return mkv_bytes(space, len + 1);
}

static void encode(const char *path,
                   const struct mkv_update *update,
                   struct mkv_buf *topic,
                   struct mkv_buf *payload)
{
    struct mkv_buf key = key_of(path);

    mkv_buf_init(topic, MKV_TOPIC_MAX);
    mkv_buf_init(payload, MKV_UPDATE_MAX);
    assert_int_equal(mkv_topic_of_path(cluster_root, MKV_PROFILE_PLAIN, mkv_buf_bytes(&key), topic),
                     0);
    assert_int_equal(mkv_update_encode(update, payload), 0);
    mkv_buf_deinit(&key);
}

uint64_t cluster_tock(const struct cluster *cluster)
{
    return cluster->now.wall_ms << 12;
}

static void send_client_frame(struct cluster *cluster, unsigned i, const struct mkv_frame *frame)
{
    struct mkv_buf buf;
    struct mkv_bytes map;
    size_t used;

    mkv_buf_init(&buf, 2 * MKV_FRAME_MAX);
    assert_int_equal(mkv_frame_encode(frame, &buf), 0);
    assert_int_equal(mkv_frame_cut(mkv_buf_bytes(&buf), &map, &used), 0);
    cluster_send_to(cluster, i, cluster->at[i].client, map);
    mkv_buf_deinit(&buf);
}

static void log_in(struct cluster *cluster, unsigned i)
{
    struct cluster_server *server = &cluster->at[i];
    struct mkv_frame hello = {.kind = MKV_FRAME_HELLO,
                              .hello = {.versions = {1, 1}, .software = mkv_bytes_of("test")}};
    struct mkv_frame auth = {.kind = MKV_FRAME_AUTH,
                             .auth = {.mechanism = mkv_bytes_of("EXTERNAL")}};

    server->client = ++server->n_links;
    server->seq = 0;
    cluster_add_link(server, server->client, i, 0);
    cluster_enter(cluster, i);
    mkv_server_node_link_opened(server->node, cluster->now, server->client,
                                server->uid == 0 ? MKV_PEER_SAME_USER : MKV_PEER_OTHER_USER);
    if (server->uid != 0) {
        mkv_server_node_link_uid(server->node, server->client, server->uid);
    }
    cluster_exit(cluster, i);
    cluster_take_outputs(cluster, i);
    send_client_frame(cluster, i, &hello);
    send_client_frame(cluster, i, &auth);
    cluster_run(cluster, 3);
}

void cluster_write(struct cluster *cluster, unsigned i, const char *path, const char *value)
{
    struct cluster_server *server = &cluster->at[i];
    uint8_t space[32];
    struct mkv_update update = {
        .has_tock = true, .present = value != NULL, .value = value_of(value, space)};
    struct mkv_buf topic;
    struct mkv_buf payload;

    if (server->client == 0) {
        log_in(cluster, i);
    }
    update.tock = cluster_tock(cluster) + server->counter + 1;
    update.ticks.n = 1;
    update.ticks.at[0] =
        (struct mkv_tick){mkv_bytes_of(server->name), server->seq, ++server->counter};
    encode(path, &update, &topic, &payload);
    if (server->cut) { /* its client is cut off with it */
        cluster_enter(cluster, i);
        mkv_server_node_message(server->node, cluster->now, mkv_buf_bytes(&topic),
                                mkv_buf_bytes(&payload), false);
        cluster_exit(cluster, i);
        cluster_take_outputs(cluster, i);
    } else {
        cluster_post(cluster, MKV_OUTPUT_PUBLISH, i, 0, 0, mkv_buf_bytes(&topic),
                     mkv_buf_bytes(&payload));
    }
    mkv_buf_deinit(&topic);
    mkv_buf_deinit(&payload);
    cluster_run(cluster, 3);
}

void cluster_give(struct cluster *cluster,
                  unsigned i,
                  const char *path,
                  const char *value,
                  uint64_t tock,
                  const char *name,
                  uint64_t seq,
                  uint64_t counter)
{
    uint8_t space[32];
    struct mkv_update update = {.has_tock = tock > 0,
                                .tock = tock,
                                .present = value != NULL,
                                .value = value_of(value, space),
                                .ticks = {.n = 1, .at = {{mkv_bytes_of(name), seq, counter}}}};
    struct mkv_buf topic;
    struct mkv_buf payload;

    encode(path, &update, &topic, &payload);
    cluster_enter(cluster, i);
    mkv_server_node_message(cluster->at[i].node, cluster->now, mkv_buf_bytes(&topic),
                            mkv_buf_bytes(&payload), false);
    cluster_exit(cluster, i);
    cluster_take_outputs(cluster, i);
    mkv_buf_deinit(&topic);
    mkv_buf_deinit(&payload);
    cluster_run(cluster, 3);
}

void cluster_open_disk(struct cluster *cluster, unsigned i)
{
    assert_null(cluster->at[i].store);
    assert_int_equal(cluster_open_store(&cluster->at[i], i), 0);
}

void cluster_close_disk(struct cluster *cluster, unsigned i)
{
    mkv_store_close(cluster->at[i].store);
    cluster->at[i].store = NULL;
}

void cluster_put(
    struct cluster *cluster, unsigned i, const char *path, const char *value, uint64_t tock)
{
    struct cluster_server *server = &cluster->at[i];
    uint8_t space[32];
    struct mkv_update update = {.has_tock = true,
                                .tock = tock,
                                .present = value != NULL,
                                .value = value_of(value, space),
                                .ticks = {.n = 1, .at = {{mkv_bytes_of("put"), 1, tock}}}};
    struct mkv_head head = mkv_head_of(&update);
    struct mkv_buf key = key_of(path);

    assert_int_equal(mkv_store_put(server->store, mkv_buf_bytes(&key), &head, &update), 0);
    assert_int_equal(mkv_store_commit(server->store), 0);
    mkv_buf_deinit(&key);
}

const char *cluster_held(const struct cluster *cluster, unsigned i, const char *path)
{
    static char text[64];
    struct mkv_store *store = cluster->at[i].store;
    struct mkv_buf key = key_of(path);
    struct mkv_tree_entry entry;
    struct mkv_bytes row_key;
    struct mkv_update update;
    bool found = mkv_tree_find(mkv_store_tree(store), mkv_buf_bytes(&key), &entry);

    mkv_buf_deinit(&key);
    if (!found) {
        return NULL;
    }
    assert_int_equal(mkv_store_row(store, entry.position, &row_key, &update), 0);
    (void)snprintf(text, sizeof(text), "%.*s", update.present ? (int)update.value.len - 1 : 0,
                   update.present ? (const char *)update.value.at + 1 : "");
    return text;
}

int cluster_evict(struct cluster *cluster, unsigned i, unsigned j)
{
    struct cluster_server *server = &cluster->at[i];
    struct mkv_frame frame = {.kind = MKV_FRAME_EVICT, .id = 77};

    if (server->client == 0) {
        log_in(cluster, i);
    }
    cluster_uuid(j, frame.uuid);
    server->done = false;
    server->refused = 0;
    send_client_frame(cluster, i, &frame);
    cluster_run(cluster, 3);
    if (server->done) { /* what comes behind that is of something else */
        return 0;
    }
    return server->refused != 0 ? server->refused : MKV_E_CLOSED;
}

int cluster_passwd(struct cluster *cluster, unsigned i, const char *user, uint8_t number)
{
    struct cluster_server *server = &cluster->at[i];
    uint8_t bytes[32];
    const struct mkv_frame frame = {.kind = MKV_FRAME_PASSWD,
                                    .id = 78,
                                    .passwd = {.user = mkv_bytes_of(user),
                                               .iterations = 4096,
                                               .salt = mkv_bytes(bytes, 16),
                                               .stored_key = mkv_bytes(bytes, 32),
                                               .server_key = mkv_bytes(bytes, 32)}};

    memset(bytes, number, sizeof(bytes));
    if (server->client == 0) {
        log_in(cluster, i);
    }
    server->done = false;
    server->refused = 0;
    send_client_frame(cluster, i, &frame);
    cluster_run(cluster, 3);
    if (server->done) {
        return 0;
    }
    return server->refused != 0 ? server->refused : MKV_E_CLOSED;
}

int cluster_password(const struct cluster *cluster, unsigned i, const char *user)
{
    struct mkv_buf bytes;
    struct mkv_secret secret;
    int number = -1;

    mkv_buf_init(&bytes, MKV_STORE_SECRET_MAX);
    if (mkv_store_secret_get(cluster->at[i].store, mkv_bytes_of(user), &bytes) == 0) {
        assert_int_equal(mkv_secret_decode(mkv_buf_bytes(&bytes), &secret), 0);
        number = secret.stored_key.at[0];
    }
    mkv_buf_deinit(&bytes);
    return number;
}

void cluster_publish(struct cluster *cluster, const char *topic, struct mkv_bytes payload)
{
    cluster_post(cluster, MKV_OUTPUT_PUBLISH, CLUSTER_MAX, 0, 0, mkv_bytes_of(topic), payload);
    cluster_settle(cluster);
}

void cluster_query(struct cluster *cluster, const char id[8])
{
    struct mkv_query query = {.id = mkv_bytes(id, 8), .versions = {1, 1}};
    struct mkv_buf payload;

    mkv_buf_init(&payload, 1000);
    assert_int_equal(mkv_query_encode(&query, &payload), 0);
    cluster_publish(cluster, "moat/main/svc/query", mkv_buf_bytes(&payload));
    mkv_buf_deinit(&payload);
}

bool cluster_said(const struct cluster *cluster, unsigned i, const char *text)
{
    return cluster->at[i].log != NULL && strstr(cluster->at[i].log, text) != NULL;
}

void cluster_hush(struct cluster *cluster, unsigned i)
{
    free(cluster->at[i].log);
    cluster->at[i].log = NULL;
}
