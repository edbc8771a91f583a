/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rule.h"
#include "core/server_state.h"

/*
 * Staying the same (docs/protocol.md, 12): each ping says what its sender has; what we lack is read
 * from it, and what all have had for long enough is forgotten.
 */
#define DIFFERS_MAX  3   /* pings in a row after which reading what changed has not helped */
#define PURGE_STEP   256 /* tombstones looked at before something else gets its turn */
#define RETRY_MS     1000
#define RETRY_MAX_MS 60000

struct mkv_digest mkv_sync_digest(const struct mkv_server *server)
{
    return mkv_tree_summary(mkv_store_tree(server->store), mkv_bytes(NULL, 0)).digest;
}

struct mkv_digest mkv_sync_digest_of(const uint8_t bytes[16])
{
    struct mkv_digest digest = {0};

    for (unsigned i = 0; i < 8; i++) {
        digest.high = digest.high << 8 | bytes[i];
        digest.low = digest.low << 8 | bytes[8 + i];
    }
    return digest;
}

bool mkv_sync_had(const struct mkv_server *server, const uint8_t digest[16])
{
    uint8_t own[16];

    mkv_digest_bytes(mkv_sync_digest(server), own);
    return memcmp(own, digest, sizeof(own)) == 0 ||
           mkv_past_has(&server->cluster.past, mkv_sync_digest_of(digest));
}

bool mkv_sync_same_members(const struct mkv_cluster *cluster, struct mkv_digest digest)
{
    return cluster->members.digest.high == digest.high && cluster->members.digest.low == digest.low;
}

static bool is_self(const struct mkv_server *server, const struct mkv_member *member)
{
    return memcmp(member->uuid, mkv_store_id(server->store), MKV_UUID_LEN) == 0;
}

/* Whether it does if it has not been heard since this boot: yes, for it may have anything. */
static bool counts(const struct mkv_known *known)
{
    return known != NULL || MKV_RULE(FLOOR_HEARD);
}

/* Whoever was never with others is in no list, and is the only member. */
uint64_t mkv_sync_complete(const struct mkv_server *server)
{
    const struct mkv_cluster *cluster = &server->cluster;
    uint64_t complete =
        cluster->members.too_many || mkv_store_lost(server->store) ? 0 : cluster->floor.horizon;

    for (uint32_t i = 0; i < cluster->members.n; i++) {
        const struct mkv_member *member = &cluster->members.at[i];

        if (member->active && !is_self(server, member)) {
            const struct mkv_known *known = mkv_actor_find(cluster, member->uuid);
            uint64_t mark = known == NULL ? 0 : known->mark;

            complete = mark < complete && counts(known) ? mark : complete;
        }
    }
    return complete;
}

bool mkv_sync_may_resume(const struct mkv_server *server, const struct mkv_known *known)
{
    return known->has_applied &&
           known->applied_under == mkv_members_tock(&server->cluster.members, known->ping.uuid);
}

/* A server that was restored gets its entry written anew: it has no such place any more. */
void mkv_sync_has(const struct mkv_server *server,
                  struct mkv_known *known,
                  struct mkv_place place,
                  uint64_t horizon)
{
    uint64_t under = mkv_members_tock(&server->cluster.members, known->ping.uuid);

    if (!known->has_applied || known->applied_under != under ||
        known->applied.nonce != place.nonce || known->applied.position != place.position) {
        known->applied = place;
        known->applied_under = under;
        known->has_applied = true;
        known->applied_changed = true;
    }
    if (horizon > known->mark) {
        known->mark = horizon;
    }
}

/* --- What a ping says --------------------------------------------------------------------- */

/*
 * What it has forgotten must not come back from us: we have all that it had, or we learn what that
 * was by comparing all.  Having it counts only among the same members; what was said about others
 * may have been said by one that counts no more.
 */
static bool lags(const struct mkv_server *server, const struct mkv_known *known)
{
    const struct mkv_cluster *cluster = &server->cluster;
    uint64_t floor = known->ping.floor;

    return floor > cluster->floor.floor &&
           (mkv_sync_complete(server) < floor ||
            !mkv_sync_same_members(cluster, mkv_sync_digest_of(known->ping.members)));
}

/* Nothing is missing here.  Of its horizon the same holds as in pull.c. */
static void note_equal(struct mkv_server *server, struct mkv_known *known)
{
    struct mkv_place place = {known->ping.nonce, known->ping.position};
    bool counts =
        mkv_sync_same_members(&server->cluster, mkv_sync_digest_of(known->ping.members)) ||
        !MKV_RULE(MARK_MEMBERS);

    mkv_sync_has(server, known, place, counts ? known->ping.horizon : 0);
    known->differs_ms = MKV_NEVER;
    known->n_differs = 0;
    known->walked = false;
    known->wants_pull = lags(server, known);
}

static void compare(struct mkv_server *server, struct mkv_now now, struct mkv_known *known)
{
    if (mkv_sync_had(server, known->ping.digest)) {
        note_equal(server, known);
        return;
    }
    known->differs_ms = now.ms;
    known->looked = false;
    mkv_server_wake_at(server, now.ms + server->config.times.grace_ms);
}

static void take_complete(struct mkv_known *known)
{
    struct mkv_digest members = mkv_sync_digest_of(known->ping.members);

    if (members.high != known->of_whom.high || members.low != known->of_whom.low) {
        known->of_whom = members;
        known->complete = 0;
    }
    if (known->ping.complete > known->complete) {
        known->complete = known->ping.complete;
    }
}

static bool is_same(const struct mkv_server *server, const struct mkv_ping *ping)
{
    uint8_t own[16];

    mkv_digest_bytes(mkv_sync_digest(server), own);
    return memcmp(own, ping->digest, sizeof(own)) == 0;
}

/* What it has forgotten, we forget, if we may.  If both trees are equal now, comparing is done. */
static void take_floor(struct mkv_server *server, struct mkv_now now, struct mkv_known *known)
{
    if (!lags(server, known) || is_same(server, &known->ping) || !MKV_RULE(FLOOR_ADOPT)) {
        mkv_cluster_raise_floor(server, now, known->ping.floor);
    } else {
        known->wants_pull = true;
    }
}

static unsigned bits_of(uint64_t n)
{
    unsigned bits = 0;

    for (; n > 0; n >>= 1) {
        bits++;
    }
    return bits;
}

int mkv_sync_compare(const struct mkv_server *server, const struct mkv_ping *ping)
{
    uint64_t floor = server->cluster.floor.floor;
    uint64_t count = mkv_tree_summary(mkv_store_tree(server->store), mkv_bytes(NULL, 0)).n_entries;

    if (floor != ping->floor) {
        return floor < ping->floor ? -1 : 1;
    }
    return (int)bits_of(count) - (int)bits_of(ping->count);
}

/* Which of two clusters gives way when they meet: the one that has less. */
static bool gives_way(const struct mkv_server *server, const struct mkv_ping *ping)
{
    int order = mkv_sync_compare(server, ping);

    return order < 0 ||
           (order == 0 && memcmp(mkv_store_id(server->store), ping->uuid, MKV_UUID_LEN) < 0);
}

bool mkv_sync_same_cluster(const struct mkv_server *server, const struct mkv_ping *ping)
{
    const struct mkv_members *members = &server->cluster.members;

    return memcmp(ping->cluster, mkv_members_cluster(members), MKV_UUID_LEN) == 0;
}

int mkv_sync_ping(struct mkv_server *server, struct mkv_now now, struct mkv_known *known)
{
    int error = mkv_cluster_check_membership(server, now);

    if (error != 0 || server->failure != 0 || !server->cluster.ready) {
        return error;
    }
    if (!mkv_sync_same_cluster(server, &known->ping)) {
        if (gives_way(server, &known->ping)) {
            mkv_join_again(server, now, "it meets another cluster here, which has more");
        }
        return 0;
    }
    take_complete(known);
    compare(server, now, known);
    take_floor(server, now, known);
    if (known->wants_pull || mkv_secrets_wanted(server, known)) {
        mkv_server_wake_at(server, known->retry_ms > now.ms ? known->retry_ms : now.ms);
    }
    return known->differs_ms == MKV_NEVER ? mkv_cluster_look_for_lost(server) : 0;
}

/* --- Reading what we lack ----------------------------------------------------------------- */

/* After a while the difference is none any more, or is worth a look. */
static void look(struct mkv_server *server, struct mkv_now now, struct mkv_known *known)
{
    int64_t due_ms = known->differs_ms + server->config.times.grace_ms;

    if (known->differs_ms == MKV_NEVER || known->looked) {
        return;
    }
    if (now.ms < due_ms) {
        mkv_server_wake_at(server, due_ms);
        return;
    }
    known->looked = true;
    if (mkv_sync_had(server, known->ping.digest)) {
        note_equal(server, known);
        return;
    }
    known->n_differs++;
    known->wants_pull = true;
}

/* What was missing may have come from another one meanwhile. */
static bool may_pull(struct mkv_server *server, struct mkv_now now, struct mkv_known *known)
{
    if (!(known->wants_pull || mkv_secrets_wanted(server, known)) ||
        !mkv_actor_serves(server, now, known) || !mkv_sync_same_cluster(server, &known->ping)) {
        return false;
    }
    if (known->differs_ms != MKV_NEVER && mkv_sync_had(server, known->ping.digest)) {
        note_equal(server, known);
    }
    return known->wants_pull || mkv_secrets_wanted(server, known);
}

/* The one that failed least, and then the one that has waited longest. */
static struct mkv_known *choose(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_known *best = NULL;
    struct mkv_known *known;
    size_t cursor = 0;

    while ((known = mkv_map_each(&server->cluster.known, &cursor)) != NULL) {
        if (!may_pull(server, now, known)) {
            continue;
        }
        if (now.ms < known->retry_ms) {
            mkv_server_wake_at(server, known->retry_ms);
        } else if (best == NULL || known->n_failures < best->n_failures ||
                   (known->n_failures == best->n_failures &&
                    (known->differs_ms < best->differs_ms ||
                     (known->differs_ms == best->differs_ms &&
                      memcmp(known->ping.uuid, best->ping.uuid, MKV_UUID_LEN) < 0)))) {
            best = known;
        }
    }
    return best;
}

/*
 * Reading what changed is cheap, but tells only what they have; when the difference stays, what we
 * know of their log may be wrong, and comparing finds it.  If it stays even so, it lies where
 * nothing is read any more.
 */
static enum mkv_pull_kind kind_for(const struct mkv_server *server, const struct mkv_known *known)
{
    if (!known->wants_pull) {
        return MKV_PULL_KNOWN;
    }
    if (lags(server, known)) {
        return MKV_PULL_WALK;
    }
    if (mkv_heal_due(server, known)) {
        return MKV_PULL_HEAL;
    }
    return known->n_differs >= DIFFERS_MAX ? MKV_PULL_WALK : MKV_PULL_CHANGED;
}

static int pull_next(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_known *known = choose(server, now);
    enum mkv_pull_kind kind;

    if (known == NULL) {
        return 0;
    }
    kind = kind_for(server, known);
    known->wants_pull = false;
    return mkv_pull_start(server, now, known, kind, lags(server, known) ? known->ping.floor : 0);
}

void mkv_sync_failed(struct mkv_server *server, struct mkv_now now, struct mkv_known *known)
{
    int64_t wait_ms = RETRY_MS << (known->n_failures < 6 ? known->n_failures : 6);

    known->n_failures++;
    known->retry_ms = now.ms + (wait_ms < RETRY_MAX_MS ? wait_ms : RETRY_MAX_MS);
    mkv_server_wake_at(server, known->retry_ms);
}

/* --- Forgetting --------------------------------------------------------------------------- */

static bool has_tombstones(const struct mkv_server *server)
{
    struct mkv_summary sum = mkv_tree_summary(mkv_store_tree(server->store), mkv_bytes(NULL, 0));

    return sum.n_entries > sum.n_live;
}

/* What all members are complete up to: each has said so since this boot, and of the same members. */
static uint64_t complete_of_all(const struct mkv_server *server)
{
    const struct mkv_cluster *cluster = &server->cluster;
    uint64_t least = mkv_sync_complete(server);

    if (cluster->members.too_many) {
        return 0;
    }
    if (!MKV_RULE(FLOOR_OF_ALL)) {
        return cluster->floor.horizon;
    }
    for (uint32_t i = 0; i < cluster->members.n; i++) {
        const struct mkv_member *member = &cluster->members.at[i];
        const struct mkv_known *known;

        if (!member->active || is_self(server, member)) {
            continue;
        }
        known = mkv_actor_find(cluster, member->uuid);
        if (known == NULL) { /* if it counts, the least is 0 already */
            continue;
        }
        if (!mkv_sync_same_members(cluster, known->of_whom) && MKV_RULE(FLOOR_MEMBERS)) {
            return 0;
        }
        least = known->complete < least ? known->complete : least;
    }
    return least;
}

void mkv_cluster_purge(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_cluster *cluster = &server->cluster;

    cluster->purging = true;
    cluster->purge_began = false;
    mkv_buf_clear(&cluster->purged);
    mkv_server_wake_at(server, now.ms);
}

void mkv_cluster_raise_floor(struct mkv_server *server, struct mkv_now now, uint64_t floor)
{
    struct mkv_cluster *cluster = &server->cluster;

    if (floor > cluster->floor.floor) {
        mkv_tock_see(&server->tock, floor); /* whatever we think of their clocks */
        mkv_floor_raise_horizon(&cluster->floor, floor);
        mkv_floor_raise(&cluster->floor, floor);
        mkv_cluster_purge(server, now);
    }
}

void mkv_sync_forget(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_cluster *cluster = &server->cluster;

    if (cluster->ready && server->failure == 0 && has_tombstones(server)) {
        mkv_cluster_raise_floor(server, now, complete_of_all(server));
    }
}

static bool next_tombstone(const struct mkv_server *server, struct mkv_tree_entry *ret_entry)
{
    const struct mkv_tree *tree = mkv_store_tree(server->store);
    struct mkv_bytes cursor = mkv_buf_bytes(&server->cluster.purged);

    return server->cluster.purge_began ? mkv_tree_next_tombstone(tree, cursor, ret_entry)
                                       : mkv_tree_at_tombstone(tree, cursor, ret_entry);
}

/* The key is kept before the entry goes, since it is the entry's own. */
static int purge_one(struct mkv_server *server, const struct mkv_tree_entry *entry)
{
    struct mkv_cluster *cluster = &server->cluster;
    bool below = entry->head.tock <= cluster->floor.floor;
    int error;

    cluster->purge_began = true;
    mkv_buf_clear(&cluster->purged);
    error = mkv_buf_append(&cluster->purged, entry->key);
    if (error != 0 || !below) {
        return error;
    }
    cluster->n_purged++;
    error = mkv_store_remove(server->store, mkv_buf_bytes(&cluster->purged));
    return error != 0 ? error : mkv_past_add(&cluster->past, mkv_sync_digest(server));
}

static int purge(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_cluster *cluster = &server->cluster;
    struct mkv_tree_entry entry;
    int error = 0;

    if (!cluster->purging || server->failure != 0) {
        return 0;
    }
    for (int i = 0; i < PURGE_STEP && error == 0; i++) {
        if (!next_tombstone(server, &entry)) {
            cluster->purging = false;
            return 0;
        }
        error = purge_one(server, &entry);
    }
    mkv_server_wake_at(server, now.ms);
    return error;
}

static void sample(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_cluster *cluster = &server->cluster;

    if (now.ms >= cluster->sample_ms) {
        uint64_t tock = mkv_tock_tell(&server->tock, mkv_server_wall(server, now));

        cluster->sample_ms = mkv_floor_sample(
            &cluster->floor, now, tock, server->config.times.horizon_ms, has_tombstones(server));
    }
    mkv_server_wake_at(server, cluster->sample_ms);
}

int mkv_sync_time(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_cluster *cluster = &server->cluster;
    struct mkv_known *known;
    size_t cursor = 0;
    int error = purge(server, now);

    if (server->failure != 0) {
        return error;
    }
    sample(server, now);
    if (error != 0 || !cluster->ready || !server->broker_connected) {
        return error;
    }
    while ((known = mkv_map_each(&cluster->known, &cursor)) != NULL) {
        look(server, now, known);
    }
    return cluster->pull.step == MKV_PULL_IDLE ? pull_next(server, now) : 0;
}
