/* SPDX-License-Identifier: Apache-2.0 */
#include <sodium.h>

#include "base/mem.h"
#include "core/server_state.h"

/*
 * The Actor: servers tell each other who and where they are (docs/protocol.md, 12).
 */
#define PERIODS_SILENT 3 /* so many without a ping, and a server counts as gone */
#define SERVERS_A_PERIOD                                                                           \
    100 /* beyond so many, pings get rarer: their number grows with the square */
#define JOINING_PER_PING 10  /* a joining server is in a hurry */
#define LOOPING_PERIODS  10  /* so much rarer while brokers send in a circle */
#define ANSWER_MS        200 /* pings in answer to others are at least so far apart */
#define CLASH_MS         500 /* a ping of a process that has just died may still be on its way */
#define UPTIME_CLEAR_S   2   /* uptimes closer than this do not tell who came first */
#define STRANGE_SAY_MS   60000
#define ECHOES_MAX       2 /* copies of our own ping that can have a good reason */

uint64_t mkv_actor_key(const uint8_t uuid[MKV_UUID_LEN])
{
    uint64_t key = 0;

    for (unsigned i = 0; i < 8; i++) {
        key = key << 8 | uuid[i];
    }
    return key;
}

struct mkv_known *mkv_actor_find(const struct mkv_cluster *cluster,
                                 const uint8_t uuid[MKV_UUID_LEN])
{
    struct mkv_known *known = mkv_map_get(&cluster->known, mkv_actor_key(uuid));

    return known != NULL && memcmp(known->ping.uuid, uuid, MKV_UUID_LEN) == 0 ? known : NULL;
}

int64_t mkv_actor_period(const struct mkv_server *server, struct mkv_now now)
{
    const struct mkv_cluster *cluster = &server->cluster;
    int64_t n = (int64_t)cluster->known.n + 1;
    int64_t times = n <= SERVERS_A_PERIOD ? 1 : 1 + n / SERVERS_A_PERIOD;

    if (cluster->looping) { /* each one goes round for ever; all notice it, and do the same */
        times *= LOOPING_PERIODS;
    }
    (void)now;
    return server->config.times.ping_ms * times;
}

bool mkv_actor_live(const struct mkv_server *server,
                    struct mkv_now now,
                    const struct mkv_known *known)
{
    int64_t period = mkv_actor_period(server, now);

    if (known->ping.state == MKV_ACT_JOINING) {
        period /= JOINING_PER_PING;
    }
    return known->ping.state != MKV_ACT_LEAVING &&
           now.ms - known->heard_ms <= PERIODS_SILENT * period;
}

bool mkv_actor_serves(const struct mkv_server *server,
                      struct mkv_now now,
                      const struct mkv_known *known)
{
    return known->ping.state == MKV_ACT_READY && mkv_actor_live(server, now, known);
}

uint64_t mkv_actor_weight(struct mkv_bytes id, const uint8_t uuid[MKV_UUID_LEN])
{
    crypto_generichash_state state;
    uint8_t hash[crypto_generichash_BYTES_MIN];

    (void)crypto_generichash_init(&state, NULL, 0, sizeof(hash));
    (void)crypto_generichash_update(&state, id.at, id.len);
    (void)crypto_generichash_update(&state, uuid, MKV_UUID_LEN);
    (void)crypto_generichash_final(&state, hash, sizeof(hash));
    return mkv_actor_key(hash);
}

uint32_t mkv_actor_rank(const struct mkv_server *server, struct mkv_now now, struct mkv_bytes id)
{
    uint64_t own = mkv_actor_weight(id, mkv_store_id(server->store));
    uint32_t rank = 0;
    size_t cursor = 0;
    const struct mkv_known *known;

    while ((known = mkv_map_each(&server->cluster.known, &cursor)) != NULL) {
        if (mkv_actor_serves(server, now, known) && mkv_actor_weight(id, known->ping.uuid) < own &&
            MKV_RULE(ONE_ACTS)) {
            rank++;
        }
    }
    return rank;
}

/* The next address that can lead there: a unix socket does only on the same host. */
bool mkv_actor_next_address(const struct mkv_server *server,
                            const struct mkv_ping *ping,
                            uint32_t *address)
{
    bool same_host = mkv_bytes_equal(ping->host, server->config.host);

    for (; *address < ping->addresses.n; ++*address) {
        if (same_host ||
            !mkv_bytes_starts_with(ping->addresses.at[*address], mkv_bytes_of("unix:"))) {
            return true;
        }
    }
    return false;
}

static uint32_t mode_of(const struct mkv_server_config *config)
{
    if (mkv_mode_retains(config->mode)) {
        return config->mode;
    }
    return config->updates.n > 0 ? MKV_MODE_MACS : MKV_MODE_SERVERS;
}

/* --- Ours --------------------------------------------------------------------------------- */

void mkv_actor_describe(const struct mkv_server *server,
                        struct mkv_now now,
                        uint32_t state,
                        struct mkv_ping *ret_ping)
{
    const struct mkv_cluster *cluster = &server->cluster;
    const struct mkv_tree *tree = mkv_store_tree(server->store);
    struct mkv_summary sum = mkv_tree_summary(tree, mkv_bytes(NULL, 0));
    struct mkv_place place = mkv_store_place(server->store);

    *ret_ping = (struct mkv_ping){
        .name = server->config.name,
        .nonce = place.nonce,
        .state = state,
        .addresses = server->config.links,
        .host = server->config.host,
        .versions = {MKV_PROTOCOL_LOWEST, MKV_PROTOCOL_HIGHEST},
        .mode = mode_of(&server->config),
        .profile = server->config.profile,
        .qos = server->config.qos,
        .position = place.position,
        .tock = mkv_tock_now(&server->tock, mkv_server_wall(server, now)),
        .horizon = cluster->floor.horizon,
        .complete = cluster->ready ? mkv_sync_complete(server) : 0,
        .floor = cluster->floor.floor,
        .count = sum.n_entries,
        .uptime_s = (uint64_t)(now.ms - server->started_ms) / 1000,
        .wall_ms = cluster->walls.own_ms, /* even if we are not sure: others compare */
    };
    memcpy(ret_ping->uuid, mkv_store_id(server->store), MKV_UUID_LEN);
    memcpy(ret_ping->secrets, server->secrets.digest, MKV_DIGEST_LEN);
    mkv_digest_bytes(sum.digest, ret_ping->digest);
    mkv_digest_bytes(cluster->members.digest, ret_ping->members);
    memcpy(ret_ping->cluster, mkv_members_cluster(&cluster->members), MKV_UUID_LEN);
}

void mkv_actor_ping(struct mkv_server *server, struct mkv_now now, uint32_t state)
{
    struct mkv_cluster *cluster = &server->cluster;
    struct mkv_ping ping;
    int64_t period;

    mkv_actor_describe(server, now, state, &ping);
    ping.number = ++cluster->n_pings;
    ping.tock = mkv_tock_tell(&server->tock, mkv_server_wall(server, now));
    mkv_effect_ping(server->effects, &ping);
    cluster->looping = cluster->n_echoes > ECHOES_MAX;
    cluster->n_echoes = 0;
    cluster->pinged_ms = now.ms;
    period = mkv_actor_period(server, now);
    if (state == MKV_ACT_JOINING) {
        period = period / JOINING_PER_PING;
    }
    cluster->ping_ms = now.ms + period;
    mkv_server_wake_at(server, cluster->ping_ms);
}

static void take_echo(struct mkv_server *server, const struct mkv_ping *ping)
{
    struct mkv_cluster *cluster = &server->cluster;

    if (ping->number != cluster->n_pings || ++cluster->n_echoes != ECHOES_MAX + 1) {
        return;
    }
    if (!cluster->looping) {
        mkv_effect_log(server->effects, MKV_LOG_ERROR,
                       "the brokers pass messages round in a circle: this server's own ping came "
                       "back %u times and more; see to it that bridges form a tree, with one "
                       "bridge between two brokers",
                       cluster->n_echoes);
    }
    cluster->looping = true;
}

/* --- Theirs ------------------------------------------------------------------------------- */

/* Two servers of one name, or on copies of one store: their dots would clash. */
static void take_rival(struct mkv_server *server, struct mkv_now now, const struct mkv_ping *ping)
{
    struct mkv_cluster *cluster = &server->cluster;
    struct mkv_rival *rival = &cluster->rival;
    int64_t own_s = (now.ms - server->started_ms) / 1000;
    int64_t difference_s = own_s - (int64_t)(ping->uptime_s & INT64_MAX);
    bool ours_is_later = difference_s < 0;

    if (rival->nonce != ping->nonce || memcmp(rival->uuid, ping->uuid, MKV_UUID_LEN) != 0) {
        *rival = (struct mkv_rival){.nonce = ping->nonce, .number = ping->number, .ms = now.ms};
        memcpy(rival->uuid, ping->uuid, MKV_UUID_LEN);
        return;
    }
    if (ping->number <= rival->number || now.ms - rival->ms < CLASH_MS) {
        return;
    }
    if (cluster->ready != (ping->state == MKV_ACT_READY)) { /* clients have the other one already */
        ours_is_later = !cluster->ready;
    } else if (difference_s >= -UPTIME_CLEAR_S && difference_s <= UPTIME_CLEAR_S) {
        ours_is_later = mkv_store_place(server->store).nonce > ping->nonce;
    }
    if (ours_is_later) {
        cluster->stopped = true;
        mkv_effect_stop(server->effects,
                        "another server named '%.*s' runs on host '%.*s'%s: give each server a "
                        "--name and a --state directory of its own",
                        (int)ping->name.len, (const char *)ping->name.at, (int)ping->host.len,
                        (const char *)ping->host.at,
                        memcmp(ping->uuid, mkv_store_id(server->store), MKV_UUID_LEN) == 0
                            ? ", on a copy of the same store"
                            : "");
    } else {
        mkv_effect_log(server->effects, MKV_LOG_ERROR,
                       "another server named '%.*s' has been started on host '%.*s'; it should "
                       "stop, as the later one",
                       (int)ping->name.len, (const char *)ping->name.at, (int)ping->host.len,
                       (const char *)ping->host.at);
    }
    rival->ms = now.ms;
    rival->number = ping->number;
}

bool mkv_actor_rivalled(const struct mkv_server *server, struct mkv_now now)
{
    const struct mkv_rival *rival = &server->cluster.rival;

    return rival->number > 0 && now.ms - rival->ms < 2 * server->config.times.ping_ms;
}

/* Whether it speaks as we do.  A newcomer that does not must not join: clients would be split. */
static bool is_compatible(struct mkv_server *server, const struct mkv_ping *ping)
{
    struct mkv_cluster *cluster = &server->cluster;
    const struct mkv_server_config *config = &server->config;
    uint32_t mode = mode_of(config);
    bool same = ping->mode == mode && ping->profile == (uint32_t)config->profile &&
                ping->qos == config->qos && ping->versions.lowest <= MKV_PROTOCOL_HIGHEST &&
                ping->versions.highest >= MKV_PROTOCOL_LOWEST;

    if (!same && !cluster->ready && ping->state == MKV_ACT_READY) {
        cluster->stopped = true;
        mkv_effect_stop(server->effects,
                        "server '%.*s' on host '%.*s' uses mode %u, topic profile %u, QoS %u and "
                        "protocol %u to %u; this one mode %u, profile %u, QoS %u and protocol %u "
                        "to %u: all servers of a cluster must use the same (mode 1 is --mac on, 2 "
                        "to 5 --retained "
                        "cbor, json, text and raw)",
                        (int)ping->name.len, (const char *)ping->name.at, (int)ping->host.len,
                        (const char *)ping->host.at, ping->mode, ping->profile, ping->qos,
                        ping->versions.lowest, ping->versions.highest, mode,
                        (unsigned)config->profile, config->qos, MKV_PROTOCOL_LOWEST,
                        MKV_PROTOCOL_HIGHEST);
    }
    return same;
}

static void free_known(struct mkv_known *known)
{
    mkv_buf_deinit(&known->text);
    mkv_mem_free(known);
}

void mkv_actor_deinit(struct mkv_cluster *cluster)
{
    size_t cursor = 0;
    struct mkv_known *known;

    while ((known = mkv_map_each(&cluster->known, &cursor)) != NULL) {
        free_known(known);
    }
    mkv_map_deinit(&cluster->known);
}

/* Room for one more: the one that has been silent for longest goes, but no member. */
static void make_room(struct mkv_cluster *cluster)
{
    size_t cursor = 0;
    struct mkv_known *known;
    struct mkv_known *oldest = NULL;

    if (cluster->known.n < MKV_KNOWN_MAX) {
        return;
    }
    while ((known = mkv_map_each(&cluster->known, &cursor)) != NULL) {
        if (!mkv_members_active(&cluster->members, known->ping.uuid) &&
            (oldest == NULL || known->heard_ms < oldest->heard_ms)) {
            oldest = known;
        }
    }
    if (oldest != NULL) {
        (void)mkv_map_remove(&cluster->known, mkv_actor_key(oldest->ping.uuid));
        free_known(oldest);
    }
}

static int add_known(struct mkv_server *server,
                     const struct mkv_ping *ping,
                     struct mkv_known **ret_known)
{
    struct mkv_cluster *cluster = &server->cluster;
    struct mkv_known *known = mkv_mem_alloc(sizeof(*known));

    if (known == NULL) {
        return MKV_E_NO_MEMORY;
    }
    make_room(cluster);
    memcpy(known->ping.uuid, ping->uuid, MKV_UUID_LEN);
    mkv_buf_init(&known->text, MKV_UPDATE_MAX);
    known->differs_ms = MKV_NEVER;

    int error = mkv_rows_load_applied(server, known);

    known->has_applied = error == 0 && !mkv_store_lost(server->store);
    if (error == 0 || error == MKV_E_NOT_FOUND || error == MKV_E_CORRUPT) {
        error = mkv_map_add(&cluster->known, mkv_actor_key(ping->uuid), known);
    }
    if (error != 0) {
        free_known(known);
        return error;
    }
    *ret_known = known;
    return 0;
}

/* Keeps a copy of it.  What we knew of an earlier boot counts no more: it may have been restored. */
static int keep_ping(struct mkv_known *known, struct mkv_now now, const struct mkv_ping *ping)
{
    struct mkv_ping kept;
    struct mkv_buf text;

    mkv_buf_init(&text, MKV_UPDATE_MAX);

    int error = mkv_ping_encode(ping, &text);

    if (error == 0) {
        error = mkv_ping_decode(mkv_buf_bytes(&text), &kept);
    }
    if (error != 0) {
        mkv_buf_deinit(&text);
        return error;
    }
    if (known->text.len == 0 || known->ping.nonce != ping->nonce) {
        known->nonce_before = known->ping.nonce;
        known->first_ms = now.ms;
        known->mark = 0;
        known->complete = 0;
        known->walked = false;
        known->n_failures = 0;
        known->retry_ms = now.ms;
    }
    mkv_buf_deinit(&known->text);
    known->text = text;
    known->ping = kept;
    known->heard_ms = now.ms;
    return 0;
}

/*
 * One of the boot before, which comes after the first of this boot.  But it may be the other way
 * round, and that which came last was the late one: then nothing more of it comes.
 */
static bool is_late(const struct mkv_server *server,
                    struct mkv_now now,
                    const struct mkv_known *known,
                    const struct mkv_ping *ping)
{
    return known->nonce_before == ping->nonce && known->ping.nonce != ping->nonce &&
           now.ms - known->heard_ms < server->config.times.ping_ms;
}

/* *ret_known is NULL if it is not to be looked at: an old one, a copy, or two uuids that begin alike. */
static int note_ping(struct mkv_server *server,
                     struct mkv_now now,
                     const struct mkv_ping *ping,
                     struct mkv_known **ret_known)
{
    struct mkv_known *known = mkv_map_get(&server->cluster.known, mkv_actor_key(ping->uuid));
    int error = 0;

    *ret_known = NULL;
    if (known == NULL) {
        error = add_known(server, ping, &known);
    } else if (memcmp(known->ping.uuid, ping->uuid, MKV_UUID_LEN) != 0 ||
               (known->ping.nonce == ping->nonce && ping->number <= known->ping.number) ||
               is_late(server, now, known, ping)) {
        return 0;
    }
    if (error == 0) {
        error = keep_ping(known, now, ping);
    }
    if (error == MKV_E_TOO_MANY) { /* all of them are members: there is nothing to be done for it */
        return 0;
    }
    if (error == 0) {
        *ret_known = known;
    }
    return error;
}

/* It looks for somebody to join: the first in rank tells it at once, or soon. */
static void answer_joiner(struct mkv_server *server,
                          struct mkv_now now,
                          const struct mkv_ping *ping)
{
    struct mkv_cluster *cluster = &server->cluster;
    int64_t at_ms =
        cluster->pinged_ms + ANSWER_MS > now.ms ? cluster->pinged_ms + ANSWER_MS : now.ms;

    if (cluster->ready && at_ms < cluster->ping_ms &&
        mkv_actor_rank(server, now, mkv_bytes(ping->uuid, MKV_UUID_LEN)) == 0) {
        cluster->ping_ms = at_ms;
        mkv_server_wake_at(server, at_ms);
    }
}

/*
 * Whoever has no clock follows those who have one, however far they have gone: else what it writes
 * lies below their horizon.
 */
static void see_tock(struct mkv_server *server, struct mkv_now now, const struct mkv_ping *ping)
{
    struct mkv_now theirs = {.ms = now.ms, .wall_ms = ping->wall_ms};
    bool by_their_clock = now.wall_ms == 0 && ping->wall_ms > 0 && ping->state == MKV_ACT_READY;

    if (mkv_tock_judge(&server->tock, by_their_clock ? theirs : now, ping->tock) == MKV_TOCK_FINE) {
        mkv_tock_see(&server->tock, ping->tock);
    }
}

static int take_ping(struct mkv_server *server, struct mkv_now now, const struct mkv_ping *ping)
{
    struct mkv_known *known;
    int error = note_ping(server, now, ping, &known);

    if (error != 0 || known == NULL) {
        return error;
    }
    mkv_server_clock_compare(server, now);
    see_tock(server, now, ping);
    if (ping->state == MKV_ACT_JOINING) {
        answer_joiner(server, now, ping);
        return mkv_peer_heard(server, now);
    }
    if (server->cluster.ready && ping->state == MKV_ACT_READY) {
        return mkv_sync_ping(server, now, known);
    }
    mkv_server_wake_at(server, now.ms); /* perhaps somebody to join */
    return 0;
}

/* No server says this of itself. */
static bool is_nonsense(const struct mkv_ping *ping)
{
    return ping->floor > ping->horizon || ping->complete > ping->horizon ||
           ping->horizon > ping->tock || ping->tock > MKV_TOCK_HELD_MAX;
}

/* One of our own, from before we were started the last time, may have been on its way for long. */
static bool is_from_before(const struct mkv_server *server, const struct mkv_ping *ping)
{
    return mkv_store_place_valid(server->store, (struct mkv_place){ping->nonce, ping->position});
}

int mkv_server_ping(struct mkv_server *server, struct mkv_now now, const struct mkv_ping *ping)
{
    bool same_store = memcmp(ping->uuid, mkv_store_id(server->store), MKV_UUID_LEN) == 0;

    now = mkv_server_clock(server, now);
    if (server->cluster.stopped) {
        return 0;
    }
    if (is_nonsense(ping)) {
        server->counts.refused++;
        return 0;
    }
    if (same_store && ping->nonce == mkv_store_place(server->store).nonce) {
        take_echo(server, ping);
        return 0;
    }
    if (same_store || mkv_bytes_equal(ping->name, server->config.name)) {
        if (ping->state != MKV_ACT_LEAVING && !(same_store && is_from_before(server, ping))) {
            take_rival(server, now, ping);
        }
        return 0;
    }
    if (!is_compatible(server, ping)) { /* if it is joining, let it hear why it must not */
        if (ping->state == MKV_ACT_JOINING) {
            answer_joiner(server, now, ping);
        }
        return 0;
    }
    return take_ping(server, now, ping);
}

bool mkv_actor_strangers(const struct mkv_server *server, struct mkv_now now)
{
    return server->cluster.n_strangers > 0 && now.ms < server->cluster.strange_until_ms;
}

/* Another cluster with this root, or a server of this one that lacks the key, or we do. */
void mkv_server_stranger(struct mkv_server *server, struct mkv_now now, const struct mkv_ping *ping)
{
    struct mkv_cluster *cluster = &server->cluster;
    bool own = memcmp(ping->uuid, mkv_store_id(server->store), MKV_UUID_LEN) == 0;

    now = mkv_server_clock(server, now);
    if (cluster->stopped || own || ping->state == MKV_ACT_LEAVING) {
        return; /* one that we sent before the key was changed, or one that ends */
    }
    cluster->n_strangers++;
    cluster->strange_until_ms = now.ms + PERIODS_SILENT * server->config.times.ping_ms;
    if (ping->state == MKV_ACT_JOINING) { /* let it hear that somebody is here */
        answer_joiner(server, now, ping);
    }
    if (now.ms >= cluster->strange_say_ms) {
        cluster->strange_say_ms = now.ms + STRANGE_SAY_MS;
        mkv_effect_log(server->effects, MKV_LOG_ERROR,
                       "server '%.*s' on host '%.*s' uses this root at this broker, but its key is "
                       "none of this server's: if it is of another cluster, give one of them "
                       "another --root; if not, 'moat-kvd key' prints a token where the right key "
                       "is, and --join-file takes it",
                       (int)ping->name.len, (const char *)ping->name.at, (int)ping->host.len,
                       (const char *)ping->host.at);
    }
}
