/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server_state.h"

/*
 * Whether anything may be taken from the server that we read from (docs/protocol.md, 12.6).
 *
 * Whoever is no member is not counted when deletions are forgotten.  So it may hold what the others
 * have forgotten, and nothing must be taken from it.  The same holds of one that counts others than
 * we do, since it may have from those what we do not wait for; until both know the same, all that is
 * read is who they are.
 */

/*
 * Our entry may name it before we have anything of it: they have let us in, and by the broker that came
 * here first.  What we hold and promised is another cluster's until we have been ready in this one.
 */
bool mkv_pull_own_cluster(const struct mkv_server *server)
{
    const struct mkv_cluster *cluster = &server->cluster;
    const struct mkv_known *known = mkv_actor_find(cluster, cluster->pull.uuid);

    return known != NULL && mkv_sync_same_cluster(server, &known->ping) &&
           memcmp(known->ping.cluster, cluster->joined_in, MKV_UUID_LEN) == 0;
}

int mkv_pull_begin_anew(struct mkv_server *server)
{
    struct mkv_cluster *cluster = &server->cluster;

    cluster->pull.anew = true;
    cluster->pull.walks = true; /* all we hold is looked at */
    return mkv_cluster_joined_as(server, MKV_JOINED_NEVER,
                                 mkv_pull_own_cluster(server) ? cluster->n_joined : 0);
}

/*
 * Among the same servers a horizon is never below a floor: so the other one was put back to an earlier
 * state, and told to start with that.  What it has accepted up to our floor since would be skipped here,
 * and as we have the greater floor, it would then set that aside.
 */
static bool has_gone_back(const struct mkv_server *server)
{
    const struct mkv_pull *pull = &server->cluster.pull;

    return pull->anew && pull->horizon < server->cluster.floor.floor;
}

void mkv_pull_give_up_floor(struct mkv_server *server)
{
    if (!mkv_pull_own_cluster(server) || has_gone_back(server)) {
        mkv_floor_go_over(&server->cluster.floor, server->cluster.pull.floor);
    }
}

int mkv_pull_find_members(struct mkv_pull *pull, bool own_cluster)
{
    struct mkv_buf from;
    struct mkv_buf to;
    int error;

    mkv_buf_init(&from, MKV_PATH_KEY_MAX);
    mkv_buf_init(&to, MKV_PATH_KEY_MAX);
    error = mkv_members_range(&from, &to);
    if (error == 0) {
        struct mkv_range range = {mkv_buf_bytes(&from), mkv_buf_bytes(&to)};

        error = mkv_walk_start_fetch(&pull->walk, range);
    }
    mkv_buf_deinit(&from);
    mkv_buf_deinit(&to);
    pull->members_first = true;
    pull->members_replace = pull->joining && !own_cluster;
    return error;
}

static struct mkv_digest their_members(const struct mkv_server *server)
{
    const struct mkv_pull *pull = &server->cluster.pull;
    const struct mkv_known *known = mkv_actor_find(&server->cluster, pull->uuid);

    return known == NULL ? pull->members : mkv_sync_digest_of(known->ping.members);
}

int mkv_pull_take_members(struct mkv_server *server, struct mkv_now now, bool *ret_goes_on)
{
    struct mkv_cluster *cluster = &server->cluster;
    struct mkv_pull *pull = &cluster->pull;
    int error = mkv_cluster_check_membership(server, now);

    *ret_goes_on = false;
    if (error != 0 || pull->step == MKV_PULL_IDLE) { /* it joins anew */
        return error;
    }
    pull->members_first = false;
    if (!mkv_members_active(&cluster->members, pull->uuid) && MKV_RULE(MEMBERS_ONLY)) {
        mkv_pull_fail(server, now, "it is no active member of the cluster");
    } else if (!mkv_members_active(&cluster->members, mkv_store_id(server->store))) {
        mkv_pull_fail(server, now, "its list of servers does not name this one");
    } else if (!pull->joining && !mkv_sync_same_members(cluster, their_members(server)) &&
               MKV_RULE(MEMBERS_AGREE)) {
        mkv_pull_leave(server); /* its next ping tells whether it has learned of the others */
    } else {
        pull->agreed = cluster->members.digest;
        pull->agreed_tock = mkv_members_tock(&cluster->members, pull->uuid);
        *ret_goes_on = true;
    }
    return 0;
}

/* While joining, others may come and go, but not the one that vouches. */
int mkv_pull_check_members(struct mkv_server *server, struct mkv_now now, bool *ret_goes_on)
{
    struct mkv_cluster *cluster = &server->cluster;
    const struct mkv_pull *pull = &cluster->pull;
    int error = pull->members_first ? 0 : mkv_cluster_check_membership(server, now);

    *ret_goes_on = error == 0 && pull->step != MKV_PULL_IDLE;
    if (!*ret_goes_on || pull->members_first) {
        return error;
    }
    if (pull->joining && (!mkv_members_active(&cluster->members, pull->uuid) ||
                          mkv_members_tock(&cluster->members, pull->uuid) != pull->agreed_tock)) {
        mkv_pull_fail(server, now, "it is not the member any more that it was");
        *ret_goes_on = false;
    } else if (!pull->joining && !mkv_sync_same_members(cluster, pull->agreed) &&
               MKV_RULE(MEMBERS_AGREE)) {
        mkv_pull_leave(server);
        *ret_goes_on = false;
    }
    return 0;
}
