/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server_state.h"

/*
 * What other servers ask over the links that they dial (docs/protocol.md, 12).
 */

/* --- Vouching ----------------------------------------------------------------------------- */

/*
 * The first one that we vouch for founds the cluster with us.  A server that was restored gets its
 * entry written anew, so that all see that it is not the one whose promises they have.
 */
static int make_member(struct mkv_server *server,
                       struct mkv_now now,
                       const struct mkv_vouch_wait *wait)
{
    const struct mkv_members *members = &server->cluster.members;
    const uint8_t *own = mkv_store_id(server->store);
    struct mkv_bytes name = mkv_bytes_of(wait->name);
    int error = 0;

    if (!mkv_members_active_as(members, own, server->config.name)) {
        error = mkv_cluster_set_member(server, now, own, server->config.name, true);
        if (error == 0) {
            error = mkv_cluster_joined_as(server, members->own_tock, members->n);
        }
    }
    if (error == 0 && (wait->restored || !mkv_members_active_as(members, wait->uuid, name))) {
        error = mkv_cluster_set_member(server, now, wait->uuid, name, true);
    }
    return error;
}

/*
 * Its ping has come to us through the broker, so what was published before is here, and what is
 * published from now on comes to it.  That, and that we count it, is what it waits for.
 */
static int vouch(struct mkv_server *server, struct mkv_now now, struct mkv_server_link *link)
{
    struct mkv_cluster *cluster = &server->cluster;
    const struct mkv_known *known = mkv_actor_find(cluster, link->vouch.uuid);
    struct mkv_frame frame = {.kind = MKV_FRAME_VOUCHED, .id = link->vouch.id};
    int error = mkv_cluster_refresh(server);

    if (error != 0) {
        return error;
    }
    frame.vouched.known =
        !link->vouch.restored && mkv_members_active(&cluster->members, link->vouch.uuid);
    error = make_member(server, now, &link->vouch);
    if (error != 0) {
        return error;
    }

    struct mkv_summary sum = mkv_tree_summary(mkv_store_tree(server->store), mkv_bytes(NULL, 0));

    link->vouch.id = 0;
    frame.vouched.place = mkv_store_place(server->store);
    frame.vouched.horizon = cluster->floor.horizon;
    frame.vouched.floor = cluster->floor.floor;
    frame.vouched.tock = mkv_tock_tell(&server->tock, now.wall_ms);
    frame.vouched.count = sum.n_entries;
    mkv_digest_bytes(sum.digest, frame.vouched.digest);
    if (known != NULL && mkv_sync_may_resume(server, known)) {
        frame.vouched.has_seen = true;
        frame.vouched.seen = known->applied;
    }
    mkv_effect_send(server->effects, link->number, &frame);
    return 0;
}

static bool was_heard(const struct mkv_server *server, const struct mkv_vouch_wait *wait)
{
    const struct mkv_known *known = mkv_actor_find(&server->cluster, wait->uuid);

    return known != NULL && known->ping.nonce == wait->nonce && known->ping.number >= wait->number;
}

static int take_vouch(struct mkv_server *server,
                      struct mkv_now now,
                      struct mkv_server_link *link,
                      const struct mkv_frame *frame)
{
    struct mkv_vouch_wait *wait = &link->vouch;

    if (!server->cluster.ready || server->failure != 0 ||
        mkv_bytes_equal(frame->vouch.name, server->config.name)) {
        mkv_server_send_error(server, link, frame->id, MKV_E_BUSY,
                              "this server cannot vouch for anybody now");
        return 0;
    }
    *wait = (struct mkv_vouch_wait){.id = frame->id,
                                    .nonce = frame->vouch.nonce,
                                    .number = frame->vouch.number,
                                    .restored = frame->vouch.restored};
    memcpy(wait->uuid, frame->vouch.uuid, MKV_UUID_LEN);
    memcpy(wait->name, frame->vouch.name.at, frame->vouch.name.len);
    return was_heard(server, wait) || !MKV_RULE(JOIN_MARKER) ? vouch(server, now, link) : 0;
}

int mkv_peer_heard(struct mkv_server *server, struct mkv_now now)
{
    size_t cursor = 0;
    struct mkv_server_link *link;
    int error = 0;

    while (error == 0 && (link = mkv_map_each(&server->links, &cursor)) != NULL) {
        if (link->vouch.id != 0 && link->state == LINK_OPEN && server->cluster.ready &&
            server->failure == 0 && was_heard(server, &link->vouch)) {
            error = vouch(server, now, link);
        }
    }
    return error;
}

/* --- Comparing ---------------------------------------------------------------------------- */

static void write_pieces(struct mkv_cbor_writer *w,
                         const struct mkv_tree *tree,
                         const struct mkv_range *range)
{
    struct mkv_tree_piece found[MKV_PIECES_MAX];
    struct mkv_piece pieces[MKV_PIECES_MAX];
    uint32_t n = mkv_tree_split(tree, range->from, range->to, MKV_PIECES_MAX, found);

    for (uint32_t i = 0; i < n; i++) {
        pieces[i].upto = found[i].upto;
        pieces[i].count = found[i].sum.n_entries;
        mkv_digest_bytes(found[i].sum.digest, pieces[i].digest);
    }
    mkv_pieces_write(w, pieces, n);
}

static uint32_t count_ranges(struct mkv_bytes ranges)
{
    struct mkv_range_reader r;
    struct mkv_range range;
    uint32_t n = 0;

    if (mkv_range_reader_init(&r, ranges) == 0) {
        while (mkv_range_reader_next(&r, &range)) {
            n++;
        }
    }
    return n;
}

static int take_split(struct mkv_server *server,
                      struct mkv_server_link *link,
                      const struct mkv_frame *frame)
{
    struct mkv_range_reader r;
    struct mkv_range range;
    struct mkv_buf sums;
    struct mkv_cbor_writer w;
    int error = mkv_range_reader_init(&r, frame->ranges.ranges);

    mkv_buf_init(&sums, MKV_FRAME_MAX);
    mkv_cbor_writer_init(&w, &sums);
    mkv_cbor_write_array(&w, count_ranges(frame->ranges.ranges));
    while (error == 0 && w.error == 0 && mkv_range_reader_next(&r, &range)) {
        write_pieces(&w, mkv_store_tree(server->store), &range);
    }
    error = error != 0 ? error : w.error;
    if (error == 0) {
        struct mkv_frame answer = {
            .kind = MKV_FRAME_SUMS, .id = frame->id, .sums = mkv_buf_bytes(&sums)};

        mkv_effect_send(server->effects, link->number, &answer);
    }
    mkv_buf_deinit(&sums);
    return error;
}

int mkv_peer_frame(struct mkv_server *server,
                   struct mkv_now now,
                   struct mkv_server_link *link,
                   const struct mkv_frame *frame)
{
    if (frame->kind == MKV_FRAME_SECRETS) {
        return mkv_secrets_tell(server, link, frame);
    }
    return frame->kind == MKV_FRAME_VOUCH ? take_vouch(server, now, link, frame)
                                          : take_split(server, link, frame);
}
