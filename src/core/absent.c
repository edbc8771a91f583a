/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server_state.h"

/*
 * Members that are not heard.  As long as one is away nothing is forgotten (docs/protocol.md, 12.6),
 * so somebody should either bring it back or evict it.
 */
#define PERIODS_SILENT 3
#define DAY_MS         86400000

/*
 * How much had been said of it at @ms: 0: nothing, 1: that it is absent, 2, 3 ...: after each day.
 * Before we have been at the broker for a while, we cannot know that it is.
 */
static int64_t stage(const struct mkv_server *server,
                     int64_t heard_ms,
                     int64_t ms,
                     int64_t silent_ms)
{
    int64_t since_ms = server->cluster.connected_ms;

    since_ms = heard_ms > since_ms ? heard_ms : since_ms;
    return ms - since_ms <= silent_ms ? 0 : 1 + (ms - heard_ms) / DAY_MS;
}

static void say(struct mkv_server *server, const struct mkv_member *member, int64_t silent_ms)
{
    if (silent_ms < DAY_MS) {
        mkv_effect_log(server->effects, MKV_LOG_INFO, "server '%s' has not been heard for %lld s",
                       member->name, (long long)(silent_ms / 1000));
    } else {
        mkv_effect_log(server->effects, MKV_LOG_WARNING,
                       "server '%s' has not been heard for %lld h: what is deleted is kept until "
                       "it returns, or, if it never will, `moat-kv evict %s`",
                       member->name, (long long)(silent_ms / 3600000), member->name);
    }
}

void mkv_absent_look(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_cluster *cluster = &server->cluster;
    int64_t silent_ms = PERIODS_SILENT * mkv_actor_period(server, now);

    for (uint32_t i = 0; i < cluster->members.n; i++) {
        const struct mkv_member *member = &cluster->members.at[i];
        const struct mkv_known *known = mkv_actor_find(cluster, member->uuid);
        int64_t heard_ms = known == NULL ? server->started_ms : known->heard_ms;

        if (member->active &&
            memcmp(member->uuid, mkv_store_id(server->store), MKV_UUID_LEN) != 0 &&
            stage(server, heard_ms, now.ms, silent_ms) >
                stage(server, heard_ms, cluster->looked_ms, silent_ms)) {
            say(server, member, now.ms - heard_ms);
        }
    }
    cluster->looked_ms = now.ms;
}
