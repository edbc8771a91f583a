/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cluster_inner.h"
#include "lib/check.h"

struct mkv_ping cluster_ping_of(struct cluster *cluster, unsigned i, unsigned like)
{
    struct cluster_server *server = &cluster->at[i];
    struct mkv_ping ping = cluster->at[like].ping;

    ping.name = mkv_bytes_of(server->name);
    cluster_uuid(i, ping.uuid);
    ping.nonce = 1000 * (i + 1) + 1;
    ping.number = ++server->n_said;
    ping.state = MKV_ACT_READY;
    ping.addresses.n = 1;
    ping.addresses.at[0] = mkv_bytes_of(server->address);
    ping.host = mkv_bytes_of(server->name);
    return ping;
}

void cluster_send_ping(struct cluster *cluster, const struct mkv_ping *ping)
{
    struct mkv_buf payload;

    mkv_buf_init(&payload, 16384);
    assert_int_equal(mkv_ping_encode(ping, &payload), 0);
    cluster_publish(cluster, "moat/main/svc/act", mkv_buf_bytes(&payload));
    mkv_buf_deinit(&payload);
}

static const struct cluster_link *last_link(const struct cluster_server *server)
{
    const struct cluster_link *last = NULL;

    for (unsigned k = 0; k < CLUSTER_LINKS_MAX; k++) {
        const struct cluster_link *link = &server->links[k];

        if (link->open && (last == NULL || link->number > last->number)) {
            last = link;
        }
    }
    return last;
}

void cluster_say_raw(struct cluster *cluster, unsigned i, struct mkv_bytes map)
{
    const struct cluster_link *link = last_link(&cluster->at[i]);

    if (link != NULL) {
        cluster_send_to(cluster, link->to, link->there, map);
        cluster_settle(cluster);
    }
}

void cluster_say(struct cluster *cluster, unsigned i, const struct mkv_frame *frame)
{
    struct mkv_buf buf;
    struct mkv_bytes map;
    size_t used;

    mkv_buf_init(&buf, 2 * MKV_FRAME_MAX);
    assert_int_equal(mkv_frame_encode(frame, &buf), 0);
    assert_int_equal(mkv_frame_cut(mkv_buf_bytes(&buf), &map, &used), 0);
    cluster_say_raw(cluster, i, map);
    mkv_buf_deinit(&buf);
}

void cluster_greet(struct cluster *cluster, unsigned i)
{
    struct mkv_frame hello = {.kind = MKV_FRAME_HELLO,
                              .hello = {.versions = {1, 1},
                                        .software = mkv_bytes_of("test"),
                                        .name = mkv_bytes_of(cluster->at[i].name),
                                        .mechanisms = {1, {mkv_bytes_of("EXTERNAL")}}}};
    struct mkv_frame peer = {
        .kind = MKV_FRAME_PEER,
        .peer = {.name = mkv_bytes_of(cluster->at[i].name), .state = MKV_ACT_READY}};

    cluster_uuid(i, peer.peer.uuid);
    cluster_say(cluster, i, &hello);
    cluster_say(cluster, i, &peer);
}

void cluster_call(struct cluster *cluster, unsigned i, unsigned j)
{
    cluster_open_link(cluster, i, j, MKV_LINK_OUT + ++cluster->at[i].n_links);
    cluster_settle(cluster);
}

void cluster_dial(struct cluster *cluster, unsigned i, unsigned j)
{
    struct mkv_frame hello = {.kind = MKV_FRAME_HELLO,
                              .hello = {.versions = {1, 1},
                                        .software = mkv_bytes_of("test"),
                                        .name = mkv_bytes_of(cluster->at[i].name)}};
    struct mkv_frame auth = {.kind = MKV_FRAME_AUTH,
                             .auth = {.mechanism = mkv_bytes_of("EXTERNAL")}};

    cluster_call(cluster, i, j);
    cluster_say(cluster, i, &hello);
    cluster_say(cluster, i, &auth);
}

void cluster_hang_up(struct cluster *cluster, unsigned i)
{
    const struct cluster_link *link = last_link(&cluster->at[i]);

    assert_non_null(link);

    struct cluster_link copied = *link;

    cluster_drop_link(cluster, i, copied.number);
    cluster_drop_link(cluster, copied.to, copied.there);
    cluster_settle(cluster);
}

const struct mkv_frame *cluster_last(const struct cluster *cluster,
                                     unsigned i,
                                     enum mkv_frame_kind kind)
{
    const struct cluster_server *server = &cluster->at[i];

    for (unsigned k = server->n_heard; k > 0; k--) {
        if (server->heard[k - 1].frame.kind == kind) {
            return &server->heard[k - 1].frame;
        }
    }
    return NULL;
}

unsigned cluster_count(const struct cluster *cluster, unsigned i, enum mkv_frame_kind kind)
{
    unsigned n = 0;

    for (unsigned k = 0; k < cluster->at[i].n_heard; k++) {
        n += cluster->at[i].heard[k].frame.kind == kind;
    }
    return n;
}

void cluster_forget(struct cluster *cluster, unsigned i)
{
    struct cluster_server *server = &cluster->at[i];

    for (unsigned k = 0; k < server->n_heard; k++) {
        mkv_buf_deinit(&server->heard[k].bytes);
    }
    server->n_heard = 0;
}

/* --- Server 1, a puppet that is a member beside server 0 ---------------------------------- */

struct mkv_frame cluster_vouch_frame(uint64_t number)
{
    struct mkv_frame frame = {
        .kind = MKV_FRAME_VOUCH,
        .id = 1,
        .vouch = {.nonce = 2001, .number = number, .name = mkv_bytes_of("s1")},
    };

    cluster_uuid(1, frame.vouch.uuid);
    return frame;
}

void cluster_start_with_member(struct cluster *cluster)
{
    struct mkv_frame vouch;
    struct mkv_ping ping;

    cluster->at[0].alone = true;
    cluster_start(cluster, 0);
    cluster_run(cluster, 1);
    ping = cluster_ping_of(cluster, 1, 0);
    ping.state = MKV_ACT_JOINING;
    vouch = cluster_vouch_frame(ping.number);
    cluster_send_ping(cluster, &ping);
    cluster_dial(cluster, 1, 0);
    cluster_say(cluster, 1, &vouch);
    cluster_run(cluster, 3);
    assert_non_null(cluster_last(cluster, 1, MKV_FRAME_VOUCHED));
    cluster_hang_up(cluster, 1);
    cluster_run(cluster, 1);
    cluster_forget(cluster, 1);
}

struct mkv_ping cluster_other_ping(struct cluster *cluster)
{
    struct mkv_ping ping;

    cluster_run(cluster, 10000); /* so that the last ping of server 0 tells of its members */
    ping = cluster_ping_of(cluster, 1, 0);
    memset(ping.digest, 0x5a, sizeof(ping.digest));
    return ping;
}

void cluster_tell_members(struct cluster *cluster)
{
    struct mkv_frame end = {.kind = MKV_FRAME_END};

    assert_non_null(cluster_last(cluster, 1, MKV_FRAME_FETCH));
    end.id = cluster_last(cluster, 1, MKV_FRAME_FETCH)->id;
    cluster_say(cluster, 1, &end);
}
