/* SPDX-License-Identifier: Apache-2.0 */
#include "guard/guard.h"

#include <sodium.h>

#include "guard/filter.h"
#include "wire/act.h"
#include "wire/path.h"
#include "wire/svc.h"
#include "wire/topic.h"
#include "wire/update.h"

#define UNIX_2020_S    INT64_C(1577836800) /* tocks count from here ... */
#define UNIX_2026_S    INT64_C(1767225600) /* ... and a clock before this one is not set */
#define TOCK_BITS      12
#define AHEAD_OF_CLOCK (UINT64_C(1) << 32) /* as servers have it, see docs/protocol.md, section 5 */
#define AHEAD_OF_TOCK  (UINT64_C(1) << 28)
#define FINDER_PREFIX  "moat-kv-find-"

static const struct mkv_bucket_limits finder_limits = {.burst = 20, .per_s = 2};

static const struct mkv_judgement allowed = {MKV_GUARD_ALLOW, NULL};
static const struct mkv_judgement not_ours = {MKV_GUARD_NOT_OURS, "is none of this cluster's"};
static const struct mkv_judgement ignorant = {MKV_GUARD_DENY, "no rights are known yet"};

static struct mkv_judgement denied(const char *why)
{
    return (struct mkv_judgement){MKV_GUARD_DENY, why};
}

void mkv_guard_init(struct mkv_guard *guard, const struct mkv_guard_limits *limits)
{
    *guard = (struct mkv_guard){.limits = *limits, .topic_error = MKV_E_BAD_TOPIC};
    mkv_buf_init(&guard->root, MKV_ROOT_MAX);
    mkv_buf_init(&guard->topic, MKV_TOPIC_MAX);
    mkv_buf_init(&guard->key, MKV_PATH_KEY_MAX);
}

void mkv_guard_deinit(struct mkv_guard *guard)
{
    mkv_buf_deinit(&guard->root);
    mkv_buf_deinit(&guard->topic);
    mkv_buf_deinit(&guard->key);
    mkv_acl_free(guard->acl);
    mkv_memo_free(guard->memo);
    *guard = (struct mkv_guard){0};
}

static int fill_acl(const struct mkv_rights *rights, struct mkv_acl *acl)
{
    struct mkv_bytes users = rights->users;
    struct mkv_bytes rules = rights->rules;
    struct mkv_rights_user user;
    struct mkv_rights_rule rule;
    int error = 0;

    while (error == 0 && mkv_rights_next_user(&users, &user)) {
        struct mkv_acl_user row = {.name = user.name, .n_roles = user.n_roles, .off = user.off};

        memcpy(row.roles, user.roles, user.n_roles * sizeof(*row.roles));
        error = mkv_acl_add_user(acl, &row);
    }
    while (error == 0 && mkv_rights_next_rule(&rules, &rule)) {
        struct mkv_acl_rule row = {rule.role, rule.filter, rule.allowed, rule.denied};

        error = mkv_acl_add_rule(acl, &row);
    }
    return error != 0 ? error : mkv_acl_finish(acl);
}

static int make_acl(const struct mkv_rights *rights, struct mkv_acl **ret_acl)
{
    struct mkv_acl *acl = NULL;
    int error = mkv_acl_new(&acl);

    if (error == 0) {
        error = fill_acl(rights, acl);
    }
    if (error != 0) {
        mkv_acl_free(acl);
        return error;
    }
    *ret_acl = acl;
    return 0;
}

int mkv_guard_take(struct mkv_guard *guard, struct mkv_bytes file)
{
    struct mkv_rights rights;
    struct mkv_acl *acl;
    struct mkv_buf root;
    int error = mkv_rights_decode(file, &rights);

    if (error != 0) {
        return error;
    }
    mkv_buf_init(&root, MKV_ROOT_MAX);
    error = mkv_buf_append(&root, rights.root);
    if (error == 0 && guard->memo == NULL) {
        error = mkv_memo_new(&guard->memo);
    }
    if (error == 0) {
        error = make_acl(&rights, &acl);
    }
    if (error != 0) {
        mkv_buf_deinit(&root);
        return error;
    }
    mkv_buf_deinit(&guard->root);
    guard->root = root;
    guard->profile = rights.profile;
    guard->n_keys = rights.n_keys;
    for (uint32_t i = 0; i < rights.n_keys; i++) {
        memcpy(guard->keys[i], rights.keys[i].at, MKV_GUARD_KEY_LEN);
    }
    mkv_acl_free(guard->acl);
    guard->acl = acl;
    guard->n_taken++;
    mkv_memo_clear(guard->memo);
    guard->topic_error = MKV_E_BAD_TOPIC; /* of another root, or under another profile */
    mkv_buf_clear(&guard->topic);
    guard->knows = true;
    return 0;
}

static bool is_finder(struct mkv_bytes id, struct mkv_bytes user)
{
    return user.len == 0 && mkv_bytes_starts_with(id, mkv_bytes_of(FINDER_PREFIX));
}

/* The key by which it is proven, or NULL; takes as long whichever it is. */
static const uint8_t *proving_key(const struct mkv_guard *guard,
                                  struct mkv_bytes id,
                                  struct mkv_bytes user,
                                  struct mkv_bytes password)
{
    const uint8_t *key = NULL;

    for (uint32_t i = 0; i < guard->n_keys; i++) {
        if (mkv_credential_proves(guard->keys[i], id, user, password)) {
            key = guard->keys[i];
        }
    }
    return key;
}

static bool is_user(const struct mkv_guard *guard, struct mkv_bytes name)
{
    const struct mkv_acl_user *user = mkv_acl_user(guard->acl, name);

    return user != NULL && !user->off;
}

static void set_peer(struct mkv_guard_peer *peer, const struct mkv_credential *credential)
{
    *peer = (struct mkv_guard_peer){.role = credential->role,
                                    .seq = credential->seq,
                                    .expiry_s = (int64_t)credential->expiry_s,
                                    .name_len = (uint8_t)credential->name.len,
                                    .user_len = (uint8_t)credential->user.len};
    memcpy(peer->name, credential->name.at, credential->name.len);
    if (credential->user.len > 0) {
        memcpy(peer->user, credential->user.at, credential->user.len);
    }
}

struct mkv_judgement mkv_guard_login(const struct mkv_guard *guard,
                                     struct mkv_guard_now now,
                                     struct mkv_bytes id,
                                     struct mkv_bytes user,
                                     struct mkv_bytes password,
                                     struct mkv_guard_peer *ret_peer)
{
    struct mkv_credential credential;
    const uint8_t *key;

    if (!guard->knows) {
        return ignorant;
    }
    if (is_finder(id, user)) {
        *ret_peer = (struct mkv_guard_peer){.finder = true};
        return guard->limits.finders ? allowed : denied("is not connected with credentials");
    }
    if (!mkv_credential_read(id, user, &credential)) {
        return mkv_credential_is_id(id) ? denied("has a user name that does not fit its client id")
                                        : not_ours;
    }
    key = proving_key(guard, id, user, password);
    if (key == NULL) {
        return denied("has a wrong password");
    }
    if (credential.expiry_s != 0 && (int64_t)credential.expiry_s <= now.unix_s) {
        return denied("has credentials that have expired");
    }
    if (credential.role == MKV_ROLE_USER && !is_user(guard, credential.user)) {
        return denied("is no user, or one that is switched off");
    }
    set_peer(ret_peer, &credential);
    memcpy(ret_peer->key, key, sizeof(ret_peer->key));
    return allowed;
}

bool mkv_guard_counts(const struct mkv_guard *guard, const struct mkv_guard_peer *peer)
{
    bool counts = peer->finder;

    for (uint32_t i = 0; i < guard->n_keys; i++) {
        counts |= sodium_memcmp(guard->keys[i], peer->key, sizeof(peer->key)) == 0;
    }
    return counts;
}

static struct mkv_bytes name_of(const struct mkv_guard_peer *peer)
{
    return mkv_bytes(peer->name, peer->name_len);
}

static struct mkv_bytes user_of(const struct mkv_guard_peer *peer)
{
    return mkv_bytes(peer->user, peer->user_len);
}

static bool is_server(const struct mkv_guard_peer *peer)
{
    return peer != NULL && !peer->finder && peer->role == MKV_ROLE_SERVER;
}

static bool is_at_or_below(struct mkv_bytes topic, struct mkv_bytes above)
{
    return mkv_bytes_starts_with(topic, above) &&
           (topic.len == above.len || topic.at[above.len] == '/');
}

static bool is_under_root(const struct mkv_guard *guard, struct mkv_bytes topic)
{
    return is_at_or_below(topic, mkv_buf_bytes(&guard->root));
}

/* What comes behind "<root>/", of a topic under the root. */
static struct mkv_bytes below_root(const struct mkv_guard *guard, struct mkv_bytes topic)
{
    return mkv_bytes_after(topic, guard->root.len + (topic.len > guard->root.len));
}

/* At or below "<root>/d", of a topic under the root. */
static bool is_of_data(const struct mkv_guard *guard, struct mkv_bytes topic)
{
    return is_at_or_below(below_root(guard, topic), mkv_bytes_of("d"));
}

/* The path of a topic, and the topic as it is remembered, if it is. */
struct place {
    struct mkv_bytes key;
    const struct mkv_memo_topic *topic;
};

/*
 * Goes by what has been found out only to be faster.  @known is what mkv_memo_find() says.  Borrowed
 * until the next is asked for.
 */
static int find_place(struct mkv_guard *guard,
                      struct mkv_bytes topic,
                      const struct mkv_memo_topic *known,
                      struct place *ret_place)
{
    if (known != NULL) {
        *ret_place = (struct place){mkv_memo_key(known), known};
        return 0;
    }
    if (guard->topic.len == 0 || !mkv_bytes_equal(mkv_buf_bytes(&guard->topic), topic)) {
        mkv_buf_clear(&guard->key);
        mkv_buf_clear(&guard->topic);
        guard->topic_error =
            mkv_topic_to_path(mkv_buf_bytes(&guard->root), guard->profile, topic, &guard->key);
        if (mkv_buf_append(&guard->topic, topic) != 0) {
            mkv_buf_clear(&guard->topic); /* decoded again the next time */
        }
    }
    ret_place->key = mkv_buf_bytes(&guard->key);
    ret_place->topic = NULL;
    if (guard->topic_error == 0) {
        ret_place->topic = mkv_memo_keep(guard->memo, topic, ret_place->key);
    }
    return guard->topic_error;
}

/* At or below [null, "servers"], where nobody but servers writes. */
static bool is_of_servers(struct mkv_bytes key)
{
    static const uint8_t servers[] = {0x10, 0x60, 's', 'e', 'r', 'v', 'e', 'r', 's', 0x00, 0x01};

    return mkv_bytes_starts_with(key, mkv_bytes(servers, sizeof(servers)));
}

/* By the machine's clock, if it can be right, or by what servers tell, whichever is greater. */
static uint64_t tock_bound(const struct mkv_guard *guard, struct mkv_guard_now now)
{
    uint64_t told = guard->server_tock + AHEAD_OF_TOCK;

    if (now.unix_s < UNIX_2026_S) {
        return MKV_INTEGER_MAX;
    }

    uint64_t clock = ((uint64_t)(now.unix_s - UNIX_2020_S) * 1000U << TOCK_BITS) + AHEAD_OF_CLOCK;

    return clock > told ? clock : told;
}

/* What begins with null is for those who administer it. */
static bool is_meta(struct mkv_bytes key)
{
    return key.len > 0 && key.at[0] == 0x10;
}

/* The peer's user in the table as it is now, looked up once; NULL: nobody. */
static const struct mkv_acl_user *row_of(const struct mkv_guard *guard, struct mkv_guard_peer *peer)
{
    if (peer->looked_up != guard->n_taken) {
        peer->row = mkv_acl_user(guard->acl, user_of(peer));
        peer->looked_up = guard->n_taken;
    }
    return peer->row;
}

static bool may(struct mkv_guard *guard,
                struct mkv_guard_peer *peer,
                const struct place *place,
                enum mkv_right right)
{
    const struct mkv_acl_user *user = row_of(guard, peer);
    bool yes;

    if (user == NULL) {
        return false;
    }
    if (place->topic != NULL && mkv_memo_decided(guard->memo, place->topic, user, right, &yes)) {
        return yes;
    }
    yes = mkv_acl_decide(guard->acl, user->name, place->key, right, NULL);
    if (place->topic != NULL) {
        mkv_memo_decide(guard->memo, place->topic, user, right, yes);
    }
    return yes;
}

/* Whether a value is new there, which needs another right than to change one, a server knows. */
static bool may_change(struct mkv_guard *guard,
                       struct mkv_guard_peer *peer,
                       const struct place *place,
                       bool present)
{
    if (is_meta(place->key)) {
        return may(guard, peer, place, MKV_RIGHT_ADMIN);
    }
    if (!present) {
        return may(guard, peer, place, MKV_RIGHT_DELETE);
    }
    return may(guard, peer, place, MKV_RIGHT_WRITE) || may(guard, peer, place, MKV_RIGHT_CREATE);
}

static struct mkv_judgement judge_user(struct mkv_guard *guard,
                                       struct mkv_guard_peer *peer,
                                       const struct place *place,
                                       bool present)
{
    if (is_of_servers(place->key)) {
        return denied("writes what only servers may");
    }
    if (peer->role == MKV_ROLE_OWN || may_change(guard, peer, place, present)) {
        return allowed;
    }
    return denied("has no right to write there");
}

static struct mkv_judgement judge_update(struct mkv_guard *guard,
                                         struct mkv_guard_now now,
                                         struct mkv_guard_peer *peer,
                                         const struct mkv_guard_message *message,
                                         const struct mkv_memo_topic *known)
{
    struct mkv_update update;
    struct place place;

    if (find_place(guard, message->topic, known, &place) != 0) {
        return denied("uses a topic that is not in canonical form");
    }
    if (message->payload.len > MKV_UPDATE_MAX) {
        return denied("sends a message that is too large");
    }
    if (mkv_update_decode(message->payload, &update) != 0) {
        return denied("sends what is no update");
    }
    if (is_server(peer)) {
        return allowed; /* its own, another server's, or a client's that it has given a tock */
    }

    const struct mkv_tick *dot = &update.ticks.at[0];

    if (dot->seq != peer->seq || !mkv_bytes_equal(dot->name, name_of(peer))) {
        return denied("writes under another one's tick");
    }
    if (update.has_tock && update.tock > tock_bound(guard, now)) {
        return denied("writes with a tock that lies too far in the future");
    }
    return judge_user(guard, peer, &place, update.present);
}

static struct mkv_judgement judge_birth(const struct mkv_guard_peer *peer, struct mkv_bytes payload)
{
    struct mkv_birth birth;

    if (peer->finder || mkv_birth_decode(payload, &birth) != 0 || birth.seq != peer->seq ||
        !mkv_bytes_equal(birth.name, name_of(peer))) {
        return denied("tells of a birth that is not its own");
    }
    return allowed;
}

static struct mkv_judgement judge_ping(struct mkv_guard *guard,
                                       const struct mkv_guard_peer *peer,
                                       struct mkv_bytes payload)
{
    struct mkv_ping ping;

    if (!is_server(peer)) {
        return denied("speaks as a server");
    }
    if (mkv_ping_decode(payload, &ping) != 0) {
        return denied("sends what is no ping");
    }
    if (ping.tock > guard->server_tock && ping.tock <= MKV_INTEGER_MAX / 2) {
        guard->server_tock = ping.tock;
    }
    return allowed;
}

static struct mkv_judgement judge_service(struct mkv_guard *guard,
                                          const struct mkv_guard_peer *peer,
                                          struct mkv_bytes topic,
                                          struct mkv_bytes payload)
{
    struct mkv_bytes root = mkv_buf_bytes(&guard->root);
    struct mkv_query query;

    if (payload.len > MKV_GUARD_SVC_MAX) {
        return denied("sends a message that is too large");
    }
    if (mkv_topic_is_svc(root, "birth", topic)) {
        return judge_birth(peer, payload);
    }
    if (mkv_topic_is_svc(root, "query", topic)) {
        return mkv_query_decode(payload, &query) == 0 ? allowed : denied("sends what is no query");
    }
    if (mkv_topic_is_svc(root, "act", topic)) {
        return judge_ping(guard, peer, payload);
    }
    if (mkv_topic_is_svc(root, "server", topic) && is_server(peer)) {
        return allowed;
    }
    return denied("speaks as a server");
}

/* Servers are not held back: what they have to say is what makes others whole. */
static bool has_budget(const struct mkv_guard *guard,
                       struct mkv_guard_now now,
                       struct mkv_guard_peer *peer)
{
    const struct mkv_bucket_limits *limits =
        peer->finder ? &finder_limits : &guard->limits.messages;

    if (is_server(peer)) {
        return true;
    }
    if (mkv_bucket_room(&peer->messages, limits, now.ms) == 0) {
        return false;
    }
    mkv_bucket_use(&peer->messages, 1);
    return true;
}

struct mkv_judgement mkv_guard_write(struct mkv_guard *guard,
                                     struct mkv_guard_now now,
                                     struct mkv_guard_peer *peer,
                                     const struct mkv_guard_message *message)
{
    if (!guard->knows) {
        return ignorant;
    }

    /* One that is remembered lies at or below "<root>/d". */
    const struct mkv_memo_topic *known = mkv_memo_find(guard->memo, message->topic);

    if (known == NULL && !is_under_root(guard, message->topic)) {
        return not_ours;
    }
    if (peer == NULL) {
        return denied("is not connected with credentials");
    }
    if (!has_budget(guard, now, peer)) {
        return denied("sends more messages than it may");
    }
    if (message->retain) {
        return denied("sends a retained message");
    }
    if (known == NULL && is_at_or_below(below_root(guard, message->topic), mkv_bytes_of("svc"))) {
        return judge_service(guard, peer, message->topic, message->payload);
    }
    if (peer->finder || (known == NULL && !is_of_data(guard, message->topic))) {
        return denied("uses a topic that is not for it");
    }
    return judge_update(guard, now, peer, message, known);
}

struct mkv_judgement mkv_guard_read(struct mkv_guard *guard,
                                    struct mkv_guard_peer *peer,
                                    struct mkv_bytes topic)
{
    struct place place;

    if (!guard->knows) {
        return ignorant;
    }

    const struct mkv_memo_topic *known = mkv_memo_find(guard->memo, topic);

    if (known == NULL && !is_under_root(guard, topic)) {
        return not_ours;
    }
    if (peer == NULL) {
        return denied("is not connected with credentials");
    }
    if (is_server(peer) ||
        (known == NULL && mkv_topic_is_svc(mkv_buf_bytes(&guard->root), "server", topic))) {
        return allowed;
    }
    if (peer->finder || (known == NULL && !is_of_data(guard, topic))) {
        return denied("reads what is not for it");
    }
    if (peer->role == MKV_ROLE_OWN) {
        return allowed;
    }
    if (find_place(guard, topic, known, &place) != 0 || !may(guard, peer, &place, MKV_RIGHT_READ)) {
        return denied("has no right to read there");
    }
    return allowed;
}

/* What those may subscribe to that were let in as ours, of all that lies under the root. */
static bool may_subscribe(const struct mkv_guard_peer *peer, struct mkv_bytes rest)
{
    if (mkv_bytes_equal(rest, mkv_bytes_of("svc/server"))) {
        return true;
    }
    if (peer->finder) {
        return false;
    }
    if (mkv_bytes_equal(rest, mkv_bytes_of("svc/query")) ||
        mkv_bytes_equal(rest, mkv_bytes_of("svc/birth")) ||
        mkv_bytes_equal(rest, mkv_bytes_of("svc/act"))) {
        return is_server(peer);
    }
    return is_at_or_below(rest, mkv_bytes_of("d")); /* each message is judged when it is read */
}

struct mkv_judgement mkv_guard_subscribe(const struct mkv_guard *guard,
                                         const struct mkv_guard_peer *peer,
                                         struct mkv_bytes filter)
{
    struct mkv_bytes inner = filter;

    if (!guard->knows) {
        return ignorant;
    }

    bool shared = mkv_filter_unshare(&inner);

    if (!mkv_filter_reaches(inner, mkv_buf_bytes(&guard->root))) {
        return not_ours;
    }
    if (shared) {
        return denied("shares a subscription, which would lose messages");
    }
    if (!is_under_root(guard, filter)) { /* as "#" */
        return peer == NULL ? not_ours : denied("subscribes to more than it may");
    }
    if (peer == NULL) {
        return denied("is not connected with credentials");
    }
    return may_subscribe(peer, below_root(guard, filter))
               ? allowed
               : denied("subscribes to what is not for it");
}
