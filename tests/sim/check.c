/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "core/members.h"
#include "sim.h"
#include "wire/dump.h"

#define UPSETS_MIN 2U /* so many at least until servers may differ below the floor, for a while */

/* Sessions. */

void check_session(struct sim *sim,
                   const struct machine *machine,
                   const struct pipe *pipe,
                   const struct mkv_frame *frame)
{
    struct sessions *sessions = &sim->sessions;
    struct session_given given = {.machine = machine->index,
                                  .seq = frame->session.seq,
                                  .host = pipe->ends[0].host,
                                  .life = pipe->ends[0].number};

    for (size_t i = 0; i < sessions->n; i++) {
        const struct session_given *other = &sessions->at[i];

        if (other->machine != given.machine || other->seq != given.seq) {
            continue;
        }
        if ((other->host != given.host || other->life != given.life) &&
            !(machine->renewed && sim_clocks_fail(sim))) { /* a new store counts by the clock */
            sim_fail(sim, "I9", "%s gives session %llu to two clients", machine->name,
                     (unsigned long long)given.seq);
        }
        reach(&sim->reach, REACH_RESUMED);
        return;
    }
    if (sessions->n == sessions->cap) {
        sessions->cap = sessions->cap > 0 ? 2 * sessions->cap : 64;
        sessions->at = realloc(sessions->at, sessions->cap * sizeof(*sessions->at));
        MKV_ASSERT(sessions->at != NULL);
    }
    sessions->at[sessions->n++] = given;
}

void sessions_deinit(struct sessions *sessions)
{
    free(sessions->at);
    *sessions = (struct sessions){0};
}

/* Pings. */

static bool same_cluster(const struct mkv_ping *a, const struct mkv_ping *b)
{
    return memcmp(a->cluster, b->cluster, sizeof(a->cluster)) == 0;
}

bool check_may_differ(const struct sim *sim)
{
    return sim->n_upsets >= UPSETS_MIN;
}

static bool same_members(const struct mkv_ping *a, const struct mkv_ping *b)
{
    return memcmp(a->members, b->members, sizeof(a->members)) == 0;
}

/*
 * Below both floors, what one has live the other has, or something newer: if they count the same
 * members.  One that is evicted and unaware, say, is not waited for.  After several upsets they may
 * differ for a while; that they end equal is looked at in the end, as always.
 */
static void check_frozen(struct sim *sim, const struct machine *a, const struct machine *b)
{
    uint64_t floor = a->ping.floor < b->ping.floor ? a->ping.floor : b->ping.floor;
    char text[2][64];

    if (check_may_differ(sim) || !a->has_pinged || !b->has_pinged ||
        !same_cluster(&a->ping, &b->ping) || !same_members(&a->ping, &b->ping)) {
        return;
    }
    for (unsigned key = 0; key < sim->oracle.n_paths; key++) {
        const struct known *entry = &a->last.at[key];

        if (entry->has && entry->head.present && entry->head.tock <= floor &&
            known_less(&b->last.at[key], entry)) {
            sim_fail(sim, "I6", "floor %llu, path %u: %s has %s, %s has %s",
                     (unsigned long long)(floor >> 12), key, a->name, oracle_text(entry, text[0]),
                     b->name, oracle_text(&b->last.at[key], text[1]));
        }
    }
}

void check_heal(struct sim *sim, const struct machine *machine)
{
    reach(&sim->reach, REACH_HEALED);
    sim->healed = true;
    if (!check_may_differ(sim)) {
        sim_fail(sim, "NET", "%s lacked what lies below the floor, after %u upsets", machine->name,
                 sim->n_upsets);
    }
}

static void check_grows(
    struct sim *sim, const struct machine *machine, const char *what, uint64_t from, uint64_t to)
{
    if (to < from) {
        sim_fail(sim, "I7", "the %s of %s goes back from %llu to %llu", what, machine->name,
                 (unsigned long long)from, (unsigned long long)to);
    }
}

static bool counts(const struct machine *machine, const struct machine *other)
{
    struct mkv_members members = {0};
    bool active = mkv_members_refresh(&members, machine->store) == 0 &&
                  mkv_members_active(&members, other->uuid);

    mkv_members_deinit(&members);
    return active;
}

/*
 * One that is evicted and unaware is waited for no longer, and nobody inside has heard of whom it lets
 * in: what these accept may lie below the floor that the others have agreed upon, and is set aside then.
 */
static bool is_outside(const struct machine *machine)
{
    return machine->evicted || machine->stray;
}

void check_vouched(struct sim *sim,
                   const struct machine *machine,
                   struct machine *joiner,
                   const struct mkv_frame_vouched *vouched)
{
    bool known = false;

    for (unsigned i = 0; i < sim->n_machines && !known; i++) {
        const struct machine *other = &sim->machines[i];

        known =
            other != joiner && other->node != NULL && !is_outside(other) && counts(other, joiner);
    }
    joiner->stray = is_outside(machine) && !known;
    if (!vouched->known && vouched->horizon < joiner->served.floor) {
        joiner->served.floor = 0; /* nothing is left of what was agreed up to there */
    }
}

/* Since all inside count it, their floor waits for it; and up to there it has what they have. */
static bool has_come_in(const struct sim *sim, const struct machine *machine)
{
    bool any = false;

    for (unsigned i = 0; i < sim->n_machines; i++) {
        const struct machine *other = &sim->machines[i];

        if (other == machine || is_outside(other) || !other->has_pinged ||
            !same_cluster(&machine->ping, &other->ping)) {
            continue;
        }
        if (!same_members(&machine->ping, &other->ping) ||
            machine->ping.floor < other->ping.floor) {
            return false;
        }
        any = true;
    }
    return any;
}

/*
 * It is one of them.  Of what it held in another cluster, it may have set values aside, and nobody
 * here has to know of the deletions.  The same holds of what it accepted alone with rows missing:
 * it comes as one who is not known.
 */
static void arrive(struct machine *machine)
{
    bool excused = machine->moves || machine->lacks;

    for (unsigned key = 0; excused && key < ORACLE_KEYS_MAX; key++) {
        struct known *held = &machine->held.at[key];

        if (machine->parted[key] || !held->has || !held->head.present) {
            *held = is_outside(machine) ? (struct known){0} : machine->last.at[key];
        }
    }
    machine->moves = false;
    machine->lacks = mkv_store_lost(machine->store);
    memset(machine->parted, 0, sizeof(machine->parted));
}

void check_ping(struct sim *sim, struct machine *machine, const struct mkv_ping *ping)
{
    const struct mkv_ping *last = &machine->ping;

    if (ping->floor > ping->horizon || ping->horizon > ping->tock) {
        sim_fail(sim, "I7", "%s: floor %llu, horizon %llu, tock %llu", machine->name,
                 (unsigned long long)ping->floor, (unsigned long long)ping->horizon,
                 (unsigned long long)ping->tock);
    }
    if (machine->lacks ||
        mkv_store_lost(machine->store)) { /* it has none, until it takes over another's */
        machine->served = (struct mkv_ping){0};
    } else if (ping->state == MKV_ACT_READY) { /* on the way to another cluster it gives it up */
        if (same_cluster(&machine->served, ping)) {
            check_grows(sim, machine, "floor", machine->served.floor, ping->floor);
        }
        machine->served = *ping;
    }
    check_grows(sim, machine, "horizon", last->horizon, ping->horizon);
    if (ping->nonce == last->nonce) { /* while nothing is written, a mark for it is not, either */
        check_grows(sim, machine, "tock", last->tock, ping->tock);
    }
    if (!machine->moves && last->number > 0 && !same_cluster(last, ping)) {
        machine->moves = true;
        sim->n_upsets++;
    }
    if (ping->state == MKV_ACT_READY) {
        arrive(machine);
    }
    machine->ping = *ping;
    machine->has_pinged = ping->state == MKV_ACT_READY && machine_ready(machine);
    machine->stray = machine->stray && !(machine->has_pinged && has_come_in(sim, machine));
    if (ping->floor > 0) {
        reach(&sim->reach, REACH_FLOOR);
    }
    for (unsigned i = 0; i < sim->n_machines; i++) {
        if (sim->machines[i].node != NULL && i != machine->index) {
            check_frozen(sim, machine, &sim->machines[i]);
            check_frozen(sim, &sim->machines[i], machine);
        }
    }
}

/* Equality. */

static bool is_wanted(const struct machine *machine)
{
    return machine->exists && !machine->gone;
}

static struct mkv_summary sums_of(const struct machine *machine)
{
    return mkv_tree_summary(mkv_store_tree(machine->store), mkv_bytes(NULL, 0));
}

static bool same_sums(struct mkv_summary a, struct mkv_summary b)
{
    return a.n_entries == b.n_entries && a.digest.high == b.digest.high &&
           a.digest.low == b.digest.low;
}

/* Two that have not met yet may have equal trees: they have members to write when they do. */
static bool are_together(const struct machine *one, const struct machine *other)
{
    return counts(one, other) && counts(other, one);
}

bool check_equal(struct sim *sim)
{
    const struct machine *first = NULL;

    for (unsigned i = 0; i < sim->n_machines; i++) {
        const struct machine *machine = &sim->machines[i];

        if (!is_wanted(machine)) {
            continue;
        }
        if (!machine_ready(machine)) {
            return false;
        }
        if (first != NULL &&
            (!same_sums(sums_of(first), sums_of(machine)) || !are_together(first, machine))) {
            return false;
        }
        first = machine;
    }
    return true;
}

void check_explain(struct sim *sim, char *text, size_t size)
{
    size_t at = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < sim->n_machines && at < size; i++) {
        const struct machine *machine = &sim->machines[i];

        if (is_wanted(machine)) {
            at +=
                (size_t)snprintf(text + at, size - at, "%s%s %s", i > 0 ? ", " : "", machine->name,
                                 machine->node == NULL     ? "down"
                                 : !machine_ready(machine) ? "joining"
                                                           : "ready");
        }
    }
    for (unsigned key = 0; key < sim->oracle.n_keys && at < size; key++) {
        const struct machine *first = NULL;

        for (unsigned i = 0; i < sim->n_machines && at < size; i++) {
            const struct machine *machine = &sim->machines[i];
            char texts[2][64];

            if (machine->node == NULL) {
                continue;
            }
            if (first != NULL && (known_less(&first->last.at[key], &machine->last.at[key]) ||
                                  known_less(&machine->last.at[key], &first->last.at[key]))) {
                at +=
                    (size_t)snprintf(text + at, size - at, "; path %u: %s %s, %s %s", key,
                                     first->name, oracle_text(&first->last.at[key], texts[0]),
                                     machine->name, oracle_text(&machine->last.at[key], texts[1]));
                break;
            }
            first = machine;
        }
    }
}

/* In the end. */

/*
 * It came back with a disk, to a server that found nobody who knew that it had been deleted and
 * forgotten; and went when somebody who did came back, too.
 */
static bool is_revenant(const struct sim *sim, unsigned key, const struct known *truth)
{
    return truth->head.present && sim->n_disks_back > 0 &&
           known_less(truth, &sim->oracle.deleted.at[key]);
}

static const char *name_of_holder(const struct sim *sim, unsigned key, const struct known *truth)
{
    unsigned i = 0;

    while (i + 1 < sim->n_machines && known_less(&sim->machines[i].held.at[key], truth)) {
        i++;
    }
    return sim->machines[i].name;
}

static void check_truth(struct sim *sim, const struct machine *machine)
{
    char text[2][64];

    for (unsigned key = 0; key < sim->oracle.n_paths; key++) {
        struct known truth = oracle_truth(sim, key);
        const struct known *now = &machine->last.at[key];

        if (!truth.has || (!truth.head.present && (!now->has || sim->healed))) {
            continue;
        }
        if (known_less(now, &truth) && (now->has || !is_revenant(sim, key, &truth))) {
            sim_fail(sim, truth.head.present ? "I5" : "I4", "path %u: %s has %s, but %s had %s",
                     key, machine->name, oracle_text(now, text[0]),
                     name_of_holder(sim, key, &truth), oracle_text(&truth, text[1]));
        }
    }
}

/* As in a dump: of the ticks, what follows the first is not the same everywhere. */
static bool dump_row(const struct machine *machine, uint64_t position, struct mkv_buf *ret_row)
{
    struct mkv_bytes key;
    struct mkv_update update;

    mkv_buf_clear(ret_row);
    if (mkv_store_row(machine->store, position, &key, &update) != 0) {
        return false;
    }
    update.ticks.n = 1;
    return mkv_dump_cbor_row(key, &update, ret_row) == 0;
}

/* Digests could lie: compares the bytes. */
static void check_bytes(struct sim *sim, const struct machine *a, const struct machine *b)
{
    struct mkv_buf rows[2];
    struct mkv_tree_entry entry;
    bool more = mkv_tree_at(mkv_store_tree(a->store), mkv_bytes(NULL, 0), &entry);

    mkv_buf_init(&rows[0], MKV_VALUE_MAX + 16384);
    mkv_buf_init(&rows[1], MKV_VALUE_MAX + 16384);
    while (more && !sim->result.failed) {
        struct mkv_tree_entry other;

        if (!mkv_tree_find(mkv_store_tree(b->store), entry.key, &other) ||
            !dump_row(a, entry.position, &rows[0]) || !dump_row(b, other.position, &rows[1]) ||
            !mkv_bytes_equal(mkv_buf_bytes(&rows[0]), mkv_buf_bytes(&rows[1]))) {
            sim_fail(sim, "I1", "%s and %s have different rows", a->name, b->name);
        }
        more = mkv_tree_next(mkv_store_tree(a->store), entry.key, &entry);
    }
    mkv_buf_deinit(&rows[0]);
    mkv_buf_deinit(&rows[1]);
}

/* NULL: its watch shows all there is. */
static const char *watch_fault(const struct sim *sim,
                               const struct user *user,
                               const struct machine *machine)
{
    static char text[200];
    char texts[2][64];

    if (!user->synced) {
        return "it is not complete";
    }
    for (unsigned key = 0; key < sim->oracle.n_keys; key++) {
        const struct known *told = &user->told[key];
        const struct known *now = &machine->last.at[key];
        bool lives = now->has && now->head.present;

        if (lives != (told->has && told->head.present) ||
            (lives && (known_less(told, now) || known_less(now, told)))) {
            (void)snprintf(text, sizeof(text), "path %u: it was told %s, but there is %s", key,
                           oracle_text(told, texts[0]), oracle_text(now, texts[1]));
            return text;
        }
    }
    return NULL;
}

bool check_users(struct sim *sim, bool complain)
{
    const struct machine *machine = sim->machines;

    while (!is_wanted(machine)) {
        machine++;
    }
    for (unsigned i = 0; i < sim->n_users; i++) {
        const struct user *user = &sim->users[i];
        const char *fault = user->watch_id != 0 ? watch_fault(sim, user, machine) : NULL;

        if (user->n_open == 0 && fault == NULL && user_connected(user)) {
            continue;
        }
        if (complain && user->n_open > 0) {
            sim_fail(sim, "I5", "user %u waits in vain for %u writes", i, user->n_open);
        } else if (complain && fault == NULL) {
            sim_fail(sim, "LINK", "user %u finds no server", i);
        } else if (complain) {
            sim_fail(sim, "I15", "the watch of user %u: %s", i, fault);
        }
        return false;
    }
    return true;
}

void check_evicted(struct sim *sim, struct machine *machine, const uint8_t uuid[MKV_STORE_ID_LEN])
{
    struct oracle *oracle = &sim->oracle;
    struct machine_eviction eviction = {.n_disks_back = sim->n_disks_back};
    int error;

    mkv_buf_clear(&oracle->scratch);
    error = mkv_member_key(uuid, &oracle->scratch);
    MKV_ASSERT(error == 0);
    eviction.key = oracle_key(oracle, mkv_buf_bytes(&oracle->scratch));
    if (eviction.key == ORACLE_KEYS_MAX || machine->n_evictions == MACHINE_EVICTIONS_MAX) {
        return;
    }
    for (size_t i = oracle->newest[eviction.key]; i != SIZE_MAX; i = oracle->writes[i].next) {
        if (known_less(&eviction.as, &oracle->writes[i].known)) {
            eviction.as = oracle->writes[i].known;
        }
    }
    machine->evictions[machine->n_evictions++] = eviction;
}

/* A disk went back, and with it all that anybody knew of that eviction. */
static bool is_forgotten(const struct sim *sim, const struct machine_eviction *eviction)
{
    if (!eviction->as.has || sim->n_disks_back == eviction->n_disks_back) {
        return false;
    }
    for (unsigned i = 0; i < sim->n_machines; i++) {
        if (is_wanted(&sim->machines[i]) &&
            !known_less(&sim->machines[i].last.at[eviction->key], &eviction->as)) {
            return false;
        }
    }
    return true;
}

/* Any of the stores that it lost: each was a member of its own. */
static bool is_any_forgotten(const struct sim *sim, const struct machine *machine)
{
    for (unsigned i = 0; i < machine->n_evictions; i++) {
        if (is_forgotten(sim, &machine->evictions[i])) {
            return true;
        }
    }
    return false;
}

bool check_members(const struct sim *sim)
{
    for (unsigned i = 0; i < sim->n_machines; i++) {
        const struct machine *machine = &sim->machines[i];

        if (machine->gone || machine->n_lost > 0 || is_any_forgotten(sim, machine)) {
            return false;
        }
    }
    return true;
}

void check_forgotten(struct sim *sim)
{
    for (unsigned i = 0; i < sim->n_machines; i++) {
        const struct machine *machine = &sim->machines[i];

        if (machine->node != NULL && sums_of(machine).n_entries != sums_of(machine).n_live) {
            sim_fail(sim, "I35", "%s remembers %llu deletions, with floor %llu, horizon %llu",
                     machine->name,
                     (unsigned long long)(sums_of(machine).n_entries - sums_of(machine).n_live),
                     (unsigned long long)machine->ping.floor >> 12,
                     (unsigned long long)machine->ping.horizon >> 12);
        }
    }
}

uint64_t check_commits(const struct sim *sim)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < sim->n_machines; i++) {
        n += sim->machines[i].disk != NULL ? mkv_disk_commits(sim->machines[i].disk) : 0;
    }
    return n;
}

void check_end(struct sim *sim)
{
    const struct machine *first = NULL;

    for (unsigned i = 0; i < sim->n_machines && !sim->result.failed; i++) {
        struct machine *machine = &sim->machines[i];

        if (!is_wanted(machine)) {
            continue;
        }
        audit_feed(sim, machine);
        check_truth(sim, machine);
        if (first != NULL) {
            check_bytes(sim, first, machine);
        }
        first = machine;
    }
}
