/* SPDX-License-Identifier: Apache-2.0 */
#include "node/server.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/rule.h"
#include "node/effects.h"
#include "wire/path.h"
#include "wire/topic.h"

struct mkv_server_node {
    struct mkv_server_node_config config;
    struct mkv_store *store; /* not owned */
    struct mkv_server *server;
    struct mkv_effects effects;
    struct mkv_buf key;     /* of the message being decoded */
    int64_t batch_until_ms; /* when the open batch must be committed; MKV_NEVER: none is open */
    uint32_t batch_inputs;
    size_t batch_bytes;
    size_t failed_bytes; /* what the last batch weighed that the disk did not take */
    int error;
};

static void close_batch(struct mkv_server_node *node)
{
    node->batch_until_ms = MKV_NEVER;
    node->batch_inputs = 0;
    node->batch_bytes = 0;
}

/* The batch cannot be kept: back to what the store holds, with nothing said. */
static void fail(struct mkv_server_node *node, struct mkv_now now, int failure)
{
    mkv_store_abort(node->store);
    mkv_effects_drop(&node->effects);
    node->failed_bytes = node->batch_bytes;
    close_batch(node);

    int error = mkv_server_rollback(node->server, now, failure);

    node->error = node->error != 0 ? node->error : error;
    mkv_effects_release(&node->effects);
}

/* One bounded batch.  If the disk does not take it, it is tried again after the next commit. */
static void tidy(struct mkv_server_node *node)
{
    bool more;

    int error = mkv_store_tidy(node->store, &more);

    if (error != 0) { /* the store is as it was */
        mkv_effect_log(&node->effects, MKV_LOG_WARNING,
                       "old rows of the log could not be deleted: %s", mkv_error_text(error));
        mkv_effects_release(&node->effects);
    }
}

static void commit(struct mkv_server_node *node, struct mkv_now now)
{
    int error = mkv_server_settle(node->server, now);

    if (error == 0) {
        error = node->effects.error;
    }
    if (error == 0) {
        error = mkv_effects_keep(&node->effects);
    }
    if (error == 0) {
        error = mkv_store_commit(node->store);
    }
    if (error != 0) {
        fail(node, now, error);
        return;
    }
    close_batch(node);
    mkv_effects_release(&node->effects);
    tidy(node);
}

/* A disk that is full already is no reason not to start: what is stored can be read. */
static void begin(struct mkv_server_node *node, struct mkv_now now)
{
    int error = mkv_server_begin(node->server, now);

    if (error == 0) {
        error = mkv_store_commit(node->store);
    }
    if (error != 0) {
        fail(node, now, error);
    }
}

void mkv_server_node_free(struct mkv_server_node *node)
{
    if (node == NULL) {
        return;
    }
    mkv_server_free(node->server);
    mkv_store_abort(node->store);
    mkv_effects_deinit(&node->effects);
    mkv_ring_forget(&node->effects.ring);
    mkv_ring_forget(&node->effects.updates);
    mkv_ring_forget(&node->config.server.updates);
    mkv_ring_forget(&node->config.ring);
    mkv_buf_deinit(&node->key);
    mkv_mem_free(node);
}

int mkv_server_node_new(const struct mkv_server_node_config *config,
                        struct mkv_store *store,
                        struct mkv_now now,
                        struct mkv_server_node **ret_node)
{
    struct mkv_server_node *node = mkv_mem_alloc(sizeof(*node));

    if (node == NULL) {
        return MKV_E_NO_MEMORY;
    }
    node->config = *config;
    node->store = store;
    node->batch_until_ms = MKV_NEVER;
    mkv_effects_init(&node->effects, config->server.root, config->server.profile,
                     config->server.qos);
    node->effects.keeper = config->quarantine;
    node->effects.ring = config->ring;
    node->effects.updates = config->server.updates;
    node->effects.retain = mkv_mode_retains(config->server.mode);
    mkv_buf_init(&node->key, MKV_PATH_KEY_MAX);

    int error = mkv_server_new(&config->server, store, &node->effects, now, &node->server);

    if (error == 0) {
        error = mkv_store_commit(store);
    }
    if (error != 0) {
        mkv_server_node_free(node);
        return error;
    }
    mkv_effects_release(&node->effects);
    begin(node, now);
    *ret_node = node;
    return 0;
}

/* What every input ends with: @error is that of its step, @size what it weighed. */
static void after_input(struct mkv_server_node *node, struct mkv_now now, int error, size_t size)
{
    node->batch_bytes += size;
    if (error == 0) {
        error = node->effects.error;
    }
    if (error != 0) {
        fail(node, now, error);
        return;
    }
    if (!mkv_server_dirty(node->server)) {
        node->batch_bytes = 0;
        mkv_effects_release(&node->effects);
        return;
    }
    if (!MKV_RULE(COMMIT_FIRST)) {
        mkv_effects_release(&node->effects);
    }
    node->batch_inputs++;
    if (node->batch_until_ms == MKV_NEVER) {
        node->batch_until_ms = now.ms + node->config.window_ms;
    }
    if (now.ms >= node->batch_until_ms || node->batch_inputs >= MKV_BATCH_UPDATES_MAX ||
        node->batch_bytes >= MKV_BATCH_BYTES_MAX ||
        mkv_effects_held(&node->effects) >= MKV_BATCH_BYTES_MAX) {
        commit(node, now);
    }
}

void mkv_server_node_link_opened(struct mkv_server_node *node,
                                 struct mkv_now now,
                                 uint64_t link,
                                 enum mkv_peer_kind peer)
{
    int error = mkv_server_link_opened(node->server, now, link, peer);

    after_input(node, now, error, 0);
    if (error != 0) { /* nobody knows it: it would stay open for ever */
        mkv_effect_close(&node->effects, link);
        mkv_effects_release(&node->effects);
    }
}

void mkv_server_node_link_uid(struct mkv_server_node *node, uint64_t link, uint32_t uid)
{
    mkv_server_link_uid(node->server, link, uid);
}

void mkv_server_node_link_user(struct mkv_server_node *node, uint64_t link, struct mkv_bytes name)
{
    mkv_server_link_user(node->server, link, name);
}

void mkv_server_node_judged(struct mkv_server_node *node,
                            struct mkv_now now,
                            uint64_t link,
                            const struct mkv_judgement *judgement)
{
    after_input(node, now, mkv_server_judged(node->server, now, link, judgement), 0);
}

void mkv_server_node_link_closed(struct mkv_server_node *node, struct mkv_now now, uint64_t link)
{
    after_input(node, now, mkv_server_link_closed(node->server, now, link), 0);
}

void mkv_server_node_dialled(struct mkv_server_node *node,
                             struct mkv_now now,
                             uint64_t link,
                             int error,
                             enum mkv_peer_kind peer)
{
    after_input(node, now, mkv_server_dialled(node->server, now, link, error, peer), 0);
}

void mkv_server_node_link_congested(struct mkv_server_node *node, uint64_t link, bool congested)
{
    mkv_server_congested(node->server, link, congested);
}

void mkv_server_node_frame(struct mkv_server_node *node,
                           struct mkv_now now,
                           uint64_t link,
                           struct mkv_bytes map)
{
    struct mkv_frame frame = {0};
    int error = mkv_frame_decode(map, &frame);

    if (error == 0) {
        error = mkv_server_frame(node->server, now, link, &frame);
    } else {
        error = mkv_server_bad_frame(node->server, now, link, error, frame.id);
    }
    after_input(node, now, error, map.len);
}

/* Where MACs are wanted, nothing is believed of a message before it has a good one: not even whose it is. */
static bool is_forged(struct mkv_server_node *node,
                      struct mkv_now now,
                      struct mkv_bytes topic,
                      struct mkv_bytes payload,
                      const struct mkv_tick *dot)
{
    const struct mkv_ring *keys = &node->effects.updates;

    if (keys->n == 0 || (dot != NULL && mkv_mac_check(keys, dot, topic, payload))) {
        return false;
    }
    mkv_server_forged(node->server, now, topic, dot);
    return true;
}

static int take_update(struct mkv_server_node *node,
                       struct mkv_now now,
                       struct mkv_bytes topic,
                       struct mkv_bytes payload)
{
    const struct mkv_server_config *config = &node->config.server;
    struct mkv_update update;
    struct mkv_tick dot;
    int error = mkv_update_decode(payload, &update);

    if (error != 0) {
        bool found = mkv_update_find_dot(payload, &dot);

        if (!is_forged(node, now, topic, payload, found ? &dot : NULL)) {
            mkv_server_bad_update(node->server, now, topic, found ? &dot : NULL, error);
        }
        return 0;
    }
    if (is_forged(node, now, topic, payload, &update.ticks.at[0])) {
        return 0;
    }
    mkv_buf_clear(&node->key);
    error = mkv_topic_to_path(config->root, config->profile, topic, &node->key);
    if (error == MKV_E_NO_MEMORY) {
        return error;
    }
    if (error != 0) {
        mkv_server_bad_update(node->server, now, topic, &update.ticks.at[0], error);
        return 0;
    }
    return mkv_server_update(node->server, now, mkv_buf_bytes(&node->key), &update);
}

/* Who has none of our keys is no server of ours, whatever it says. */
static int take_ping(struct mkv_server_node *node,
                     struct mkv_now now,
                     struct mkv_bytes topic,
                     struct mkv_bytes payload,
                     const struct mkv_ping *ping)
{
    const struct mkv_ring *ring = &node->effects.ring;

    if (ring->n > 0 && !(ping->has_proof && mkv_ring_proves(ring, topic, payload))) {
        mkv_server_stranger(node->server, now, ping);
        return 0;
    }
    return mkv_server_ping(node->server, now, ping);
}

static int take_svc(struct mkv_server_node *node,
                    struct mkv_now now,
                    struct mkv_bytes topic,
                    struct mkv_bytes payload)
{
    struct mkv_query query;
    struct mkv_birth birth;
    struct mkv_server_reply reply;
    struct mkv_ping ping;
    struct mkv_bytes root = node->config.server.root;
    int error = 0;

    if (mkv_topic_is_svc(root, "query", topic)) {
        error = mkv_query_decode(payload, &query);
        if (error == 0) {
            mkv_server_query(node->server, now, &query);
        }
    } else if (mkv_topic_is_svc(root, "birth", topic)) {
        error = mkv_birth_decode(payload, &birth);
        if (error == 0) {
            mkv_server_birth(node->server, &birth);
        }
    } else if (mkv_topic_is_svc(root, "server", topic)) {
        error = mkv_server_reply_decode(payload, &reply);
        if (error == 0) {
            mkv_server_answered(node->server, &reply);
        }
    } else if (mkv_topic_is_svc(root, "act", topic)) {
        error = mkv_ping_decode(payload, &ping);
        if (error == 0) {
            return take_ping(node, now, topic, payload, &ping);
        }
    }
    if (error != 0) {
        mkv_server_bad_update(node->server, now, topic, NULL, error);
    }
    return 0;
}

void mkv_server_node_message(struct mkv_server_node *node,
                             struct mkv_now now,
                             struct mkv_bytes topic,
                             struct mkv_bytes payload,
                             bool retained)
{
    int error = 0;

    if (retained || payload.len == 0) { /* never ours: protocol.md, section 4 */
        mkv_server_bad_update(node->server, now, topic, NULL, MKV_E_UNEXPECTED);
    } else if (mkv_topic_is_data(node->config.server.root, topic)) {
        error = take_update(node, now, topic, payload);
    } else {
        error = take_svc(node, now, topic, payload);
    }
    after_input(node, now, error, payload.len);
}

/* The path of @topic; 0 with *ret_is_one false: it is none, which has been dealt with. */
static int find_path(struct mkv_server_node *node,
                     struct mkv_now now,
                     struct mkv_bytes topic,
                     bool *ret_is_one)
{
    const struct mkv_server_config *config = &node->config.server;
    int error;

    mkv_buf_clear(&node->key);
    error = mkv_topic_to_path(config->root, config->profile, topic, &node->key);
    *ret_is_one = error == 0;
    if (error != 0 && error != MKV_E_NO_MEMORY) {
        mkv_server_bad_update(node->server, now, topic, NULL, error);
        return 0;
    }
    return error;
}

void mkv_server_node_plain(struct mkv_server_node *node,
                           struct mkv_now now,
                           struct mkv_bytes topic,
                           bool present,
                           struct mkv_bytes value)
{
    bool is_path;
    int error = find_path(node, now, topic, &is_path);

    if (error == 0 && is_path) {
        error = mkv_server_plain(node->server, now, mkv_buf_bytes(&node->key), present, value);
    }
    after_input(node, now, error, value.len);
}

void mkv_server_node_unreadable(struct mkv_server_node *node,
                                struct mkv_now now,
                                struct mkv_bytes topic,
                                int failure)
{
    bool is_path;
    int error = find_path(node, now, topic, &is_path);

    if (error == 0 && is_path) {
        mkv_server_bad_update(node->server, now, topic, NULL, failure);
        error = mkv_server_unreadable(node->server, now, mkv_buf_bytes(&node->key));
    }
    after_input(node, now, error, 0);
}

void mkv_server_node_looked(struct mkv_server_node *node, struct mkv_now now)
{
    mkv_server_looked(node->server, now);
    after_input(node, now, 0, 0);
}

void mkv_server_node_broker(struct mkv_server_node *node, struct mkv_now now, bool connected)
{
    after_input(node, now, mkv_server_broker(node->server, now, connected), 0);
}

/*
 * In a batch of its own: if it fails, nothing else is dropped with it.  Before it room is made, if
 * there is some to be made: a full store becomes writable by nothing else.
 */
static void probe(struct mkv_server_node *node, struct mkv_now now)
{
    bool more;
    int error = mkv_store_tidy(node->store, &more);

    if (error == 0) {
        error =
            mkv_server_probe(node->server, now, 2 * node->failed_bytes); /* with keys, in pages */
    }
    if (error == 0) {
        error = mkv_store_commit(node->store);
    }
    if (error != 0) {
        mkv_store_abort(node->store);
        return;
    }
    error = mkv_server_recovered(node->server);
    mkv_effects_release(&node->effects);
    if (error != 0) {
        fail(node, now, error);
    }
}

void mkv_server_node_time(struct mkv_server_node *node, struct mkv_now now)
{
    if (now.ms >= node->batch_until_ms) {
        commit(node, now);
    }
    if (node->error == 0 && mkv_server_probe_due(node->server, now)) {
        mkv_server_node_flush(node, now);
        probe(node, now);
    }
    after_input(node, now, mkv_server_time(node->server, now), 0);
}

int64_t mkv_server_node_deadline(const struct mkv_server_node *node)
{
    int64_t deadline = mkv_server_deadline(node->server);

    return deadline < node->batch_until_ms ? deadline : node->batch_until_ms;
}

bool mkv_server_node_output(struct mkv_server_node *node, struct mkv_output *ret_output)
{
    return mkv_effects_take(&node->effects, ret_output);
}

const struct mkv_acl *mkv_server_node_acl(const struct mkv_server_node *node, uint32_t *ret_version)
{
    return mkv_server_acl(node->server, ret_version);
}

bool mkv_server_node_ready(const struct mkv_server_node *node)
{
    return mkv_server_ready(node->server);
}

void mkv_server_node_leave(struct mkv_server_node *node, struct mkv_now now)
{
    mkv_server_leave(node->server, now);
    after_input(node, now, 0, 0);
}

void mkv_server_node_keys(struct mkv_server_node *node, const struct mkv_ring *ring)
{
    node->effects.ring = *ring;
}

void mkv_server_node_update_keys(struct mkv_server_node *node,
                                 struct mkv_now now,
                                 const struct mkv_ring *updates)
{
    node->effects.updates = *updates;
    mkv_server_update_keys(node->server, updates);
    after_input(node, now, 0, 0);
}

void mkv_server_node_guard_key(struct mkv_server_node *node, const uint8_t key[MKV_GUARD_KEY_LEN])
{
    mkv_server_guard_key(node->server, key);
}

void mkv_server_node_flush(struct mkv_server_node *node, struct mkv_now now)
{
    if (node->batch_until_ms != MKV_NEVER) {
        commit(node, now);
    }
}

int mkv_server_node_error(const struct mkv_server_node *node)
{
    return node->error;
}
