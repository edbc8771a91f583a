/* SPDX-License-Identifier: Apache-2.0 */
#include "core/retained.h"

#include <sodium.h>

#include "base/mem.h"
#include "core/server_state.h"

#define QUIET_MS    300  /* the broker has said all: nothing came for so long ... */
#define SETTLE_MS   3000 /* ... or its answer, which comes behind it as a rule, is so old */
#define WAIT_MS     100  /* between two looks whether something has come to pass */
#define LEARNT_MS   2000 /* what we learn from another server is on its way to the broker as a rule */
#define RANK_MS     2000 /* each server waits so long for the one before it to tell the broker all */
#define STUCK_MS    30000  /* without an answer, all begins anew ... */
#define LOAD_MS     600000 /* ... but all that is retained may take so long to come */
#define REST_MIN_MS 1000
#define REST_MAX_MS 60000
#define TURN_MAX    1000U /* entries looked at before others have their turn */

void mkv_retained_init(struct mkv_retained *retained)
{
    *retained = (struct mkv_retained){
        .heard = {.n_max = MKV_RETAINED_HEARD_MAX},
        .amends = {.by_id = {.n_max = MKV_AMENDS_MAX}},
    };
    mkv_buf_init(&retained->place, MKV_PATH_KEY_MAX);
}

void mkv_retained_deinit(struct mkv_retained *retained)
{
    mkv_map_deinit(&retained->heard);
    mkv_amends_deinit(&retained->amends);
    mkv_buf_deinit(&retained->place);
}

/* What others have written, and was not taken yet, is kept: perhaps nobody retains it. */
void mkv_retained_reset(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_amends amends = server->retained.amends;

    server->retained.amends = (struct mkv_amends){0};
    mkv_retained_deinit(&server->retained);
    mkv_retained_init(&server->retained);
    server->retained.amends = amends;
    mkv_server_wake_at(server, now.ms);
}

/* --- What the broker has ------------------------------------------------------------------- */

/* Stands for the path; should two have the same, the broker is told of them once too often. */
static uint64_t id_of(const struct mkv_server *server, struct mkv_bytes key)
{
    uint8_t hash[crypto_generichash_BYTES_MIN];
    uint64_t id = 0;

    (void)crypto_generichash(hash, sizeof(hash), key.at, key.len,
                             mkv_store_digest_key(server->store), MKV_DIGEST_KEY_LEN);
    memcpy(&id, hash, sizeof(id));
    return id;
}

/* Stands for one entry of a path.  It is kept in place of a pointer, and is not NULL. */
static void *mark_of(const struct mkv_server *server,
                     struct mkv_bytes key,
                     const struct mkv_head *head)
{
    struct mkv_digest digest = mkv_entry_digest(mkv_store_digest_key(server->store), key, head);

    return (void *)(uintptr_t)(digest.low | 1); // NOLINT(performance-no-int-to-ptr)
}

static bool has_heard(const struct mkv_server *server, const struct mkv_tree_entry *held)
{
    return mkv_map_get(&server->retained.heard, id_of(server, held->key)) ==
           mark_of(server, held->key, &held->head);
}

/* What cannot be remembered is told to the broker once more, which does no harm. */
static void note_heard(struct mkv_server *server, struct mkv_now now, uint64_t id, void *mark)
{
    struct mkv_retained *retained = &server->retained;

    if (mkv_map_remove(&retained->heard, id) != mark && retained->n_said > 0) {
        retained->n_said--;
        retained->said_size = retained->n_said == 0 ? 0 : retained->said_size;
        retained->stuck_ms = now.ms + STUCK_MS;
    }
    (void)!mkv_map_add(&retained->heard, id, mark);
}

/* --- Amends -------------------------------------------------------------------------------- */

static bool find(const struct mkv_server *server, struct mkv_bytes key, struct mkv_tree_entry *held)
{
    return mkv_tree_find(mkv_store_tree(server->store), key, held);
}

/* What the tree has at @key, if it has anything; *ret_size: how much that is. */
static int say(struct mkv_server *server, struct mkv_bytes key, size_t *ret_size)
{
    struct mkv_tree_entry held;
    struct mkv_bytes row_key;
    struct mkv_update row;
    int error;

    *ret_size = 0;
    if (!find(server, key, &held)) {
        return 0;
    }
    error = mkv_store_row(server->store, held.position, &row_key, &row);
    if (error == 0) {
        *ret_size = row.value.len + row_key.len;
        mkv_effect_publish(server->effects, row_key, &row);
    }
    return error == MKV_E_CORRUPT ? 0 : error; /* others may have it */
}

static bool has_value(const struct mkv_tree_entry *held, const struct mkv_amend *amend)
{
    return held->head.present == amend->present &&
           (!amend->present || held->head.vhash == mkv_value_hash(amend->value));
}

/*
 * An update of our own, behind whatever the tree has, and knowing it: who writes plainly cannot say
 * what it has seen.
 */
static int adopt(struct mkv_server *server, struct mkv_now now, const struct mkv_amend *amend)
{
    struct mkv_update update = {.has_tock = true,
                                .present = amend->present,
                                .tock = mkv_tock_next(&server->tock, now.wall_ms),
                                .value = amend->value,
                                .ticks = {.n = 1}};
    struct mkv_tree_entry held;
    bool found = find(server, amend->key, &held);
    size_t size;

    if (found && has_value(&held, amend)) {
        return say(server, amend->key, &size);
    }
    if (!found && !amend->present) {
        return 0;
    }
    update.ticks.at[0] = (struct mkv_tick){server->config.name, 0, update.tock};
    if (found) {
        struct mkv_tick known = {held.head.name, held.head.seq, held.head.counter};

        if (!mkv_tick_same_stream(&update.ticks.at[0], &known)) {
            update.ticks.at[update.ticks.n++] = known;
        }
    }
    server->counts.adopted++;
    mkv_effect_publish(server->effects, amend->key, &update);
    return mkv_ingest_merge(server, now, amend->key, &update);
}

static int make_good(struct mkv_server *server, struct mkv_now now, const struct mkv_amend *amend)
{
    size_t size;

    return amend->plain ? adopt(server, now, amend) : say(server, amend->key, &size);
}

/* By the first in rank at once; with no room to wait, by whoever finds it. */
static int put(struct mkv_server *server, struct mkv_now now, struct mkv_amend *amend)
{
    int error;

    amend->due_ms =
        now.ms + mkv_actor_rank(server, now, amend->key) * server->config.times.query_ms;
    error = mkv_amends_put(&server->retained.amends, id_of(server, amend->key), amend);
    mkv_server_wake_at(server, amend->due_ms);
    return error == MKV_E_TOO_MANY || error == MKV_E_TOO_LARGE ? make_good(server, now, amend)
                                                               : error;
}

/* Before we are ready, all of it is heard again. */
static bool listens(struct mkv_server *server, struct mkv_now now)
{
    server->retained.heard_ms = now.ms;
    return server->retained.phase != MKV_RETAINED_AWAY;
}

/* Whether somebody else has written there meanwhile, and that is still to be taken. */
static const struct mkv_amend *find_plain(const struct mkv_server *server, uint64_t id)
{
    const struct mkv_amend *amend = mkv_map_get(&server->retained.amends.by_id, id);

    return amend != NULL && amend->plain ? amend : NULL;
}

/*
 * The broker has what the tree has.  If something else was heard there before, it has been overwritten:
 * by somebody who wrote later, and then it is over; or by a server that took what was there still
 * earlier, or said what was known, and then it must not be lost.
 */
static void settle(struct mkv_server *server,
                   struct mkv_now now,
                   uint64_t id,
                   const struct mkv_tree_entry *held,
                   const struct mkv_update *update,
                   bool was_held)
{
    const struct mkv_amend *plain = find_plain(server, id);
    bool is_later = !was_held && update->ticks.at[0].seq != 0;

    note_heard(server, now, id, mark_of(server, held->key, &held->head));
    if (plain == NULL || is_later || has_value(held, plain)) {
        mkv_amends_drop(&server->retained.amends, id);
    }
}

int mkv_retained_heard(struct mkv_server *server,
                       struct mkv_now now,
                       struct mkv_bytes key,
                       const struct mkv_update *update,
                       bool was_held)
{
    struct mkv_amend amend = {.key = key};
    struct mkv_tree_entry held;
    struct mkv_head head = {0};
    bool found = find(server, key, &held);
    uint64_t id = id_of(server, key);

    if (!listens(server, now) || (update != NULL && !update->has_tock)) {
        return 0;
    }
    if (update != NULL) {
        head = mkv_head_of(update);
    }
    if (found && update != NULL && mkv_head_compare(&head, &held.head) == 0) {
        settle(server, now, id, &held, update, was_held);
        return 0;
    }
    (void)mkv_map_remove(&server->retained.heard, id);
    if (find_plain(server, id) != NULL) {
        return 0; /* when it is taken, the broker is told */
    }
    if (!found && update != NULL && update->present &&
        update->tock <= mkv_floor_bound(&server->cluster.floor)) {
        amend.plain = true; /* too old to be merged, but nobody else has it any more */
        amend.present = true;
        amend.value = update->value;
    }
    return found || amend.plain ? put(server, now, &amend) : 0;
}

int mkv_server_plain(struct mkv_server *server,
                     struct mkv_now now,
                     struct mkv_bytes key,
                     bool present,
                     struct mkv_bytes value)
{
    struct mkv_amend amend = {.plain = true, .present = present, .key = key, .value = value};
    struct mkv_tree_entry held;
    bool found = find(server, key, &held);

    now = mkv_server_clock(server, now);
    if (server->failure != 0) {
        server->counts.dropped++;
        return 0;
    }
    if (!listens(server, now)) {
        return 0;
    }
    (void)mkv_map_remove(&server->retained.heard, id_of(server, key));
    if (!present && (!found || !held.head.present)) {
        mkv_amends_drop(&server->retained.amends, id_of(server, key));
        return 0;
    }
    return put(server, now, &amend);
}

int mkv_server_unreadable(struct mkv_server *server, struct mkv_now now, struct mkv_bytes key)
{
    now = mkv_server_clock(server, now);
    return server->failure != 0 ? 0 : mkv_retained_heard(server, now, key, NULL, false);
}

static int amend_all(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_amends *amends = &server->retained.amends;
    int error = 0;

    while (error == 0 && mkv_effect_room(server->effects)) {
        struct mkv_amend *amend = mkv_amends_take(amends, now.ms);

        if (amend == NULL) {
            break;
        }
        error = make_good(server, now, amend);
        mkv_mem_free(amend);
    }
    if (amends->first != NULL) {
        mkv_server_wake_at(server, amends->first->due_ms);
    }
    return error;
}

/* --- Everything ---------------------------------------------------------------------------- */

static void begin_phase(struct mkv_server *server,
                        struct mkv_now now,
                        enum mkv_retained_phase phase,
                        int64_t wait_ms)
{
    struct mkv_retained *retained = &server->retained;

    retained->phase = phase;
    retained->n_missing = 0;
    retained->turn_ms = now.ms + wait_ms;
    retained->stuck_ms = retained->turn_ms + STUCK_MS;
    mkv_buf_clear(&retained->place);
    mkv_server_wake_at(server, retained->turn_ms);
}

static void look(struct mkv_server *server, struct mkv_now now, struct mkv_bytes key)
{
    server->retained.n_looks++;
    server->retained.stuck_ms = now.ms + STUCK_MS;
    mkv_effect_look(server->effects, key);
}

void mkv_server_looked(struct mkv_server *server, struct mkv_now now)
{
    if (server->retained.n_looks > 0) {
        server->retained.n_looks--;
    }
    server->retained.looked_ms = now.ms;
    server->retained.stuck_ms = now.ms + STUCK_MS;
    mkv_server_wake_at(server, now.ms);
}

int mkv_retained_learnt(struct mkv_server *server, struct mkv_now now, struct mkv_bytes key)
{
    struct mkv_retained *retained = &server->retained;
    struct mkv_amend amend = {.key = key, .due_ms = now.ms + LEARNT_MS};
    uint64_t id = id_of(server, key);
    int error;

    if (retained->phase == MKV_RETAINED_AWAY || mkv_map_get(&retained->amends.by_id, id) != NULL) {
        return 0;
    }
    amend.due_ms += mkv_actor_rank(server, now, key) * server->config.times.query_ms;
    error = mkv_amends_put(&retained->amends, id, &amend);
    mkv_server_wake_at(server, amend.due_ms);
    if (error == MKV_E_NO_MEMORY) {
        return error;
    }
    if (error != 0 && retained->phase == MKV_RETAINED_KEPT) { /* all at once, then */
        retained->rest_ms = REST_MIN_MS;
        begin_phase(server, now, MKV_RETAINED_SAYING, LEARNT_MS);
    }
    return 0;
}

/* The next entry with a value of which the broker was not heard; false: there is none, or not in this turn. */
static bool next_missing(struct mkv_server *server,
                         uint32_t *n_seen,
                         bool *ret_end,
                         struct mkv_tree_entry *ret_entry)
{
    const struct mkv_tree *tree = mkv_store_tree(server->store);
    struct mkv_buf *place = &server->retained.place;

    *ret_end = false;
    while (*n_seen < TURN_MAX) {
        bool found = place->len == 0 && *n_seen == 0
                         ? mkv_tree_at(tree, mkv_bytes(NULL, 0), ret_entry)
                         : mkv_tree_next(tree, mkv_buf_bytes(place), ret_entry);

        if (!found) {
            *ret_end = true;
            return false;
        }
        ++*n_seen;
        mkv_buf_clear(place);
        if (mkv_buf_append(place, ret_entry->key) != 0) {
            return false; /* tried again */
        }
        if (ret_entry->head.present && !has_heard(server, ret_entry)) {
            return true;
        }
    }
    return false;
}

/* Whether what was asked for has come, with what the broker may have behind it. */
static bool has_settled(struct mkv_server *server, struct mkv_now now)
{
    const struct mkv_retained *retained = &server->retained;

    if (retained->n_looks == 0 &&
        (now.ms - retained->heard_ms >= QUIET_MS || now.ms - retained->looked_ms >= SETTLE_MS)) {
        return true;
    }
    mkv_server_wake_at(server, now.ms + WAIT_MS);
    return false;
}

static void begin_saying(struct mkv_server *server, struct mkv_now now)
{
    int64_t rank = mkv_actor_rank(server, now, server->config.root);

    server->retained.rest_ms = REST_MIN_MS;
    begin_phase(server, now, MKV_RETAINED_SAYING, rank * RANK_MS);
}

static void look_on(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_retained *retained = &server->retained;
    struct mkv_tree_entry entry;
    uint32_t n_seen = 0;
    bool end = false;

    while (retained->n_looks < MKV_RETAINED_LOOKS && mkv_effect_room(server->effects) &&
           next_missing(server, &n_seen, &end, &entry)) {
        retained->n_missing++;
        look(server, now, entry.key);
    }
    if (end && (retained->n_missing == 0 || has_settled(server, now))) {
        begin_saying(server, now);
    } else if (!end) {
        bool may = retained->n_looks < MKV_RETAINED_LOOKS && mkv_effect_room(server->effects);

        mkv_server_wake_at(server, now.ms + (may ? 0 : WAIT_MS));
    }
}

static void end_turn(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_retained *retained = &server->retained;

    if (retained->n_missing > 0) { /* heard of them next time, or they are said again */
        begin_phase(server, now, MKV_RETAINED_SAYING, retained->rest_ms);
        retained->rest_ms =
            retained->rest_ms * 2 < REST_MAX_MS ? retained->rest_ms * 2 : REST_MAX_MS;
        return;
    }
    retained->phase = MKV_RETAINED_KEPT;
    if (retained->n_told > 0) {
        mkv_effect_log(server->effects, MKV_LOG_INFO,
                       "the broker had lost, or never had, %llu values: it has them now",
                       (unsigned long long)retained->n_told);
        retained->n_told = 0;
    }
}

static int say_on(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_retained *retained = &server->retained;
    struct mkv_tree_entry entry;
    uint32_t n_seen = 0;
    size_t size;
    bool end = false;
    int error = 0;

    while (error == 0 && retained->n_said < MKV_RETAINED_SAID &&
           retained->said_size < MKV_RETAINED_SAID_SIZE && mkv_effect_room(server->effects) &&
           next_missing(server, &n_seen, &end, &entry)) {
        retained->n_missing++;
        retained->n_told++;
        retained->n_said++;
        retained->stuck_ms = now.ms + STUCK_MS;
        error = say(server, mkv_buf_bytes(&retained->place), &size);
        retained->said_size += size;
    }
    if (end) {
        retained->n_said = 0;
        retained->said_size = 0;
        end_turn(server, now);
    } else {
        bool may = retained->n_said < MKV_RETAINED_SAID && mkv_effect_room(server->effects) &&
                   retained->said_size < MKV_RETAINED_SAID_SIZE;

        mkv_server_wake_at(server, now.ms + (may ? 0 : WAIT_MS));
    }
    return error;
}

static int go_on(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_retained *retained = &server->retained;

    switch (retained->phase) {
    case MKV_RETAINED_AWAY:
        begin_phase(server, now, MKV_RETAINED_LOADING, QUIET_MS);
        retained->heard_ms = now.ms;
        look(server, now, mkv_bytes(NULL, 0));
        retained->stuck_ms = now.ms + LOAD_MS;
        return 0;
    case MKV_RETAINED_LOADING:
        if (has_settled(server, now)) {
            begin_phase(server, now, MKV_RETAINED_LOOKING, 0);
        }
        return 0;
    case MKV_RETAINED_LOOKING:
        look_on(server, now);
        return 0;
    case MKV_RETAINED_SAYING:
        return say_on(server, now);
    case MKV_RETAINED_KEPT:
        break;
    }
    return 0;
}

int mkv_retained_time(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_retained *retained = &server->retained;
    int error;

    if (!mkv_mode_retains(server->config.mode) || server->failure != 0 ||
        !server->broker_connected) {
        return 0;
    }
    if (!server->cluster.ready) {
        mkv_server_wake_at(server, now.ms + WAIT_MS);
        return 0;
    }
    error = amend_all(server, now);
    if (error != 0 || retained->phase == MKV_RETAINED_KEPT) {
        return error;
    }
    if (retained->phase != MKV_RETAINED_AWAY && now.ms >= retained->stuck_ms) {
        mkv_retained_reset(server, now);
    }
    if (retained->phase != MKV_RETAINED_AWAY && now.ms < retained->turn_ms) {
        mkv_server_wake_at(server, retained->turn_ms);
        return 0;
    }
    return go_on(server, now);
}
