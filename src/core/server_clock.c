/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server_state.h"

/*
 * Whether the server's clock is believed (core/walls.h): each input's time goes through here.
 */
void mkv_server_clock_compare(struct mkv_server *server, struct mkv_now now)
{
    int64_t others[MKV_KNOWN_MAX];
    uint32_t n = 0;
    const struct mkv_known *known;
    size_t cursor = 0;

    while ((known = mkv_map_each(&server->cluster.known, &cursor)) != NULL) {
        if (mkv_actor_live(server, now, known) && known->ping.wall_ms > 0 &&
            known->ping.wall_ms <= MKV_WALL_MAX) {
            others[n++] = (int64_t)known->ping.wall_ms - known->heard_ms;
        }
    }
    mkv_walls_set(&server->cluster.walls, others, n);
}

static void say(struct mkv_server *server, enum mkv_walls_news news)
{
    const struct mkv_walls *walls = &server->cluster.walls;
    const char *where = walls->by_ms > 0 ? "ahead of" : "behind";
    long long s = (walls->by_ms > 0 ? walls->by_ms : -walls->by_ms) / 1000;

    switch (news) {
    case MKV_WALLS_NONE:
        break;
    case MKV_WALLS_DOUBT:
        mkv_effect_log(server->effects, MKV_LOG_WARNING,
                       "this server's clock is %lld s %s that of the only other server: what "
                       "is written at the one that is behind loses in conflicts; see to it that "
                       "both are synchronised (NTP)",
                       s, where);
        break;
    case MKV_WALLS_ASTRAY:
        mkv_effect_log(
            server->effects, MKV_LOG_WARNING,
            "this server's clock is %lld s %s those of %u other servers (their median); "
            "it is not believed until it agrees: see to it that it is synchronised (NTP)",
            s, where, walls->n);
        break;
    case MKV_WALLS_AGREE:
        mkv_effect_log(server->effects, MKV_LOG_INFO,
                       "this server's clock agrees with those of other servers again");
        break;
    }
}

struct mkv_now mkv_server_clock(struct mkv_server *server, struct mkv_now now)
{
    say(server, mkv_walls_judge(&server->cluster.walls, &now));
    return now;
}
