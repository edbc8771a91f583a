/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server_state.h"

/*
 * Who answers a Query (docs/protocol.md, 9 and 12): the servers are ordered by a hash of the
 * query's id and their uuid, the first answers at once, each other one if those before it have not
 * (rendezvous hashing: Thaler and Ravishankar 1998).  Two answers do no harm.
 */
#define ANSWERED_MS 5000 /* copies of a query that come within this time are not answered again */

/* Where brokers send in a circle, each copy would be answered, and each answer copied. */
static bool was_answered(const struct mkv_cluster *cluster, struct mkv_now now, struct mkv_bytes id)
{
    for (uint32_t i = 0; i < MKV_QUERIES_MAX; i++) {
        const struct mkv_waiting_query *answered = &cluster->answered[i];

        if (mkv_bytes_equal(mkv_bytes(answered->id, answered->id_len), id) &&
            now.ms < answered->due_ms) {
            return true;
        }
    }
    return false;
}

static void note_answered(struct mkv_cluster *cluster, struct mkv_now now, struct mkv_bytes id)
{
    struct mkv_waiting_query *answered = &cluster->answered[cluster->next_answered];

    cluster->next_answered = (cluster->next_answered + 1) % MKV_QUERIES_MAX;
    memcpy(answered->id, id.at, id.len);
    answered->id_len = (uint32_t)id.len;
    answered->due_ms = now.ms + ANSWERED_MS;
}

static void answer(struct mkv_server *server, struct mkv_now now, struct mkv_bytes id)
{
    struct mkv_server_reply reply = {
        .id = id,
        .name = server->config.name,
        .addresses = server->config.links,
        .versions = {MKV_PROTOCOL_LOWEST, MKV_PROTOCOL_HIGHEST},
        .host = server->config.host,
    };

    mkv_effect_reply(server->effects, &reply);
    note_answered(&server->cluster, now, id);
}

void mkv_query_take(struct mkv_server *server, struct mkv_now now, const struct mkv_query *query)
{
    struct mkv_cluster *cluster = &server->cluster;

    if (!cluster->ready || was_answered(cluster, now, query->id)) {
        return;
    }

    uint32_t rank = mkv_actor_rank(server, now, query->id);

    if (rank == 0) {
        answer(server, now, query->id);
    } else if (cluster->n_queries < MKV_QUERIES_MAX) {
        struct mkv_waiting_query *waiting = &cluster->queries[cluster->n_queries++];

        memcpy(waiting->id, query->id.at, query->id.len);
        waiting->id_len = (uint32_t)query->id.len;
        waiting->due_ms = now.ms + (int64_t)rank * server->config.times.query_ms;
        mkv_server_wake_at(server, waiting->due_ms);
    }
}

static void forget(struct mkv_cluster *cluster, uint32_t i)
{
    cluster->queries[i] = cluster->queries[--cluster->n_queries];
}

void mkv_query_answered(struct mkv_server *server, struct mkv_bytes id)
{
    struct mkv_cluster *cluster = &server->cluster;

    for (uint32_t i = cluster->n_queries; i-- > 0;) {
        if (mkv_bytes_equal(mkv_bytes(cluster->queries[i].id, cluster->queries[i].id_len), id)) {
            forget(cluster, i);
        }
    }
}

void mkv_query_time(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_cluster *cluster = &server->cluster;

    for (uint32_t i = cluster->n_queries; i-- > 0;) {
        struct mkv_waiting_query *waiting = &cluster->queries[i];

        if (now.ms < waiting->due_ms) {
            mkv_server_wake_at(server, waiting->due_ms);
            continue;
        }
        answer(server, now, mkv_bytes(waiting->id, waiting->id_len));
        forget(cluster, i);
    }
}
