/* SPDX-License-Identifier: Apache-2.0 */
#include "oracle.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "conflict.h"
#include "core/members.h"
#include "core/tock.h"
#include "sim.h"
#include "wire/dump.h"
#include "wire/path.h"
#include "wire/topic.h"

static const char *const paths[ORACLE_PATHS_MAX] = {
    "a", "a.b", "a.b.c", "a.b:1", "a:2", "b", "b.a", "c:t", "c.dd", "c", ":", "d.e.f.g"};

/* Heads. */

void known_set(struct known *known, const struct mkv_head *head)
{
    MKV_ASSERT(head->name.len <= ORACLE_NAME_MAX);
    known->has = true;
    known->head = *head;
    known->head.name = (struct mkv_bytes){0};
    known->name_len = (uint8_t)head->name.len;
    memcpy(known->name, head->name.at, head->name.len);
}

struct mkv_head known_head(const struct known *known)
{
    struct mkv_head head = known->head;

    head.name = mkv_bytes(known->name, known->name_len);
    return head;
}

/* As protocol.md has it, and not as the server's code has it: that may be switched off. */
static int compare(const struct known *a, const struct known *b)
{
    const uint64_t numbers[2][5] = {
        {a->head.tock, a->head.seq, a->head.counter, a->head.present, a->head.vhash},
        {b->head.tock, b->head.seq, b->head.counter, b->head.present, b->head.vhash},
    };

    for (unsigned i = 0; i < 5; i++) {
        if (i == 1) {
            int order =
                mkv_bytes_compare(mkv_bytes(a->name, a->name_len), mkv_bytes(b->name, b->name_len));

            if (order != 0) {
                return order;
            }
        }
        if (numbers[0][i] != numbers[1][i]) {
            return numbers[0][i] < numbers[1][i] ? -1 : 1;
        }
    }
    return 0;
}

bool known_less(const struct known *a, const struct known *b)
{
    return b->has && (!a->has || compare(a, b) < 0);
}

static bool known_equal(const struct known *a, const struct known *b)
{
    return a->has == b->has && (!a->has || compare(a, b) == 0);
}

const char *oracle_text(const struct known *known, char text[64])
{
    if (!known->has) {
        return "nothing";
    }
    (void)snprintf(text, 64, "%s %.*s/%llu/%llu at %llu ms + %u",
                   known->head.present ? "value" : "tombstone", (int)known->name_len, known->name,
                   (unsigned long long)known->head.seq, (unsigned long long)known->head.counter,
                   (unsigned long long)(known->head.tock >> 12),
                   (unsigned)(known->head.tock & 0xfff));
    return text;
}

/* Keys and writes. */

unsigned oracle_key(struct oracle *oracle, struct mkv_bytes key)
{
    unsigned i = 0;
    int error;

    while (i < oracle->n_keys && !mkv_bytes_equal(mkv_buf_bytes(&oracle->keys[i]), key)) {
        i++;
    }
    if (i == oracle->n_keys && i < ORACLE_KEYS_MAX) {
        mkv_buf_init(&oracle->keys[i], MKV_PATH_KEY_MAX);
        error = mkv_buf_append(&oracle->keys[i], key);
        MKV_ASSERT(error == 0);
        oracle->newest[i] = SIZE_MAX;
        oracle->n_keys++;
    }
    return i;
}

static unsigned member_key(struct oracle *oracle, const uint8_t uuid[MKV_STORE_ID_LEN])
{
    int error;

    mkv_buf_clear(&oracle->scratch);
    error = mkv_member_key(uuid, &oracle->scratch);
    MKV_ASSERT(error == 0);
    return oracle_key(oracle, mkv_buf_bytes(&oracle->scratch));
}

struct dot oracle_dot(const struct mkv_tick *tick)
{
    return (struct dot){hash_bytes(tick->seq, tick->name), tick->counter};
}

size_t *oracle_slot(struct oracle *oracle, struct dot dot)
{
    return &oracle->by_dot[hash_number(dot.stream, dot.counter) % ORACLE_DOTS];
}

/*
 * The write that this entry comes from, or SIZE_MAX.  Servers give a tock to what has none, or one
 * that is too low.
 */
size_t oracle_find(const struct oracle *oracle, unsigned key, const struct known *known)
{
    for (size_t i = oracle->newest[key]; i != SIZE_MAX; i = oracle->writes[i].next) {
        struct known same = *known;

        same.head.tock = oracle->writes[i].known.head.tock;
        if (known_equal(&oracle->writes[i].known, &same)) {
            return i;
        }
    }
    return SIZE_MAX;
}

static bool has_ticks(const struct write *write, const struct mkv_ticks *ticks)
{
    for (unsigned i = 0; i < write->n_dots && i < ticks->n; i++) {
        struct dot dot = oracle_dot(&ticks->at[i]);

        if (write->dots[i].stream != dot.stream || write->dots[i].counter != dot.counter) {
            return false;
        }
    }
    return write->n_dots == ticks->n;
}

/* Another one with the same dot makes both doubtful. */
static void link_dot(struct sim *sim, size_t number)
{
    struct oracle *oracle = &sim->oracle;
    struct write *write = &oracle->writes[number];
    size_t *slot = oracle_slot(oracle, write->dots[0]);

    for (size_t i = *slot; i != SIZE_MAX; i = oracle->writes[i].next_dot) {
        struct write *other = &oracle->writes[i];
        bool stamped = other->has_tock != write->has_tock && other->key == write->key &&
                       other->known.head.vhash == write->known.head.vhash;

        if (other->dots[0].stream != write->dots[0].stream ||
            other->dots[0].counter != write->dots[0].counter) {
            continue;
        }
        if (stamped) {
            write->doubtful |= other->doubtful;
        } else {
            other->doubtful = true;
            write->doubtful = true;
            reach(&sim->reach, REACH_EQUIVOCATION);
        }
    }
    write->next_dot = *slot;
    *slot = number;
}

static void add_write(struct sim *sim,
                      unsigned key,
                      const struct mkv_update *update,
                      const struct known *known,
                      bool doubtful)
{
    struct oracle *oracle = &sim->oracle;
    struct write write = {.known = *known,
                          .has_tock = update->has_tock,
                          .doubtful = doubtful,
                          .key = key,
                          .next = oracle->newest[key],
                          .n_dots = update->ticks.n};

    for (unsigned i = 0; i < update->ticks.n; i++) {
        write.dots[i] = oracle_dot(&update->ticks.at[i]);
    }
    if (oracle->n_writes == oracle->writes_cap) {
        oracle->writes_cap = oracle->writes_cap > 0 ? 2 * oracle->writes_cap : 256;
        oracle->writes = realloc(oracle->writes, oracle->writes_cap * sizeof(*oracle->writes));
        MKV_ASSERT(oracle->writes != NULL);
    }
    oracle->newest[key] = oracle->n_writes;
    oracle->writes[oracle->n_writes] = write;
    link_dot(sim, oracle->n_writes++);
}

void oracle_published(struct sim *sim,
                      struct mkv_bytes topic,
                      struct mkv_bytes payload,
                      bool doubtful)
{
    struct oracle *oracle = &sim->oracle;
    struct mkv_update update;
    struct known known = {0};
    struct mkv_head head;
    unsigned key;

    mkv_buf_clear(&oracle->scratch);
    if (mkv_update_decode(payload, &update) != 0 ||
        mkv_topic_to_path(sim_root, MKV_PROFILE_PLAIN, topic, &oracle->scratch) != 0) {
        return;
    }
    sim->n_published++;
    key = oracle_key(oracle, mkv_buf_bytes(&oracle->scratch));
    if (key == ORACLE_KEYS_MAX) {
        return;
    }

    bool has_tock = update.has_tock;

    update.has_tock = true; /* one of tock 0 is told from one without by the write */
    head = mkv_head_of(&update);
    update.has_tock = has_tock;
    known_set(&known, &head);

    size_t same = oracle_find(oracle, key, &known);

    /* One that only knows of others is another one, too, though the order does not tell them apart. */
    if (same == SIZE_MAX || oracle->writes[same].has_tock != has_tock ||
        oracle->writes[same].known.head.tock != known.head.tock ||
        !has_ticks(&oracle->writes[same], &update.ticks)) {
        add_write(sim, key, &update, &known, doubtful);
    }
}

/* Whether @machine has given that update a tock before, and another one. */
static bool has_stamped(const struct sim *sim,
                        const struct machine *machine,
                        const struct known *known)
{
    for (size_t i = 0; i < sim->oracle.n_writes; i++) {
        const struct write *write = &sim->oracle.writes[i];
        struct known same = *known;

        same.head.tock = write->known.head.tock;
        if (write->stamped_by == machine->index + 1 && write->known.head.tock != known->head.tock &&
            known_equal(&same, &write->known)) {
            return true;
        }
    }
    return false;
}

/* It must not do so twice, or an old value comes back as a new one; unless it lost its memory. */
void oracle_stamped(struct sim *sim,
                    const struct machine *machine,
                    struct mkv_bytes topic,
                    struct mkv_bytes payload)
{
    struct write *write;
    size_t n = sim->oracle.n_writes;

    oracle_published(sim, topic, payload, false);
    if (sim->oracle.n_writes == n) {
        return;
    }
    write = &sim->oracle.writes[n];
    reach(&sim->reach, REACH_STAMPED);
    if (!machine->forgetful && has_stamped(sim, machine, &write->known)) {
        sim_fail(sim, "STAMP", "%s stamps counter %llu of session %llu again", machine->name,
                 (unsigned long long)write->known.head.counter,
                 (unsigned long long)write->known.head.seq);
    }
    write->stamped_by = machine->index + 1;
}

/* What is acknowledged must be on that disk. */

static bool is_stored(struct sim *sim, const struct machine *machine, struct dot dot)
{
    struct oracle *oracle = &sim->oracle;
    bool any = false;

    for (size_t i = *oracle_slot(oracle, dot); i != SIZE_MAX; i = oracle->writes[i].next_dot) {
        const struct write *write = &oracle->writes[i];

        if (write->dots[0].stream != dot.stream || write->dots[0].counter != dot.counter) {
            continue;
        }
        any = true;
        if (write->refused || !known_less(&machine->top.at[write->key], &write->known)) {
            return true;
        }
    }
    return !any;
}

static struct dot session_dot(const struct machine *machine, uint64_t seq, uint64_t counter)
{
    struct mkv_tick tick = {.name = mkv_bytes_of(machine->name), .seq = seq, .counter = counter};

    return oracle_dot(&tick);
}

/* Counters may have leapt, but what was written has been published. */
#define COUNTERS_MAX 2048U

static void check_ack(struct sim *sim, const struct machine *machine, const struct machine_ack *ack)
{
    for (uint64_t i = ack->first; i <= ack->last && i - ack->first < COUNTERS_MAX; i++) {
        if (!is_stored(sim, machine, session_dot(machine, ack->seq, i))) {
            sim_fail(sim, "I5", "%s acknowledges %llu of session %llu without having it",
                     machine->name, (unsigned long long)i, (unsigned long long)ack->seq);
        }
    }
}

void oracle_acked(
    struct sim *sim, struct machine *machine, uint64_t seq, uint64_t first, uint64_t last)
{
    struct machine_ack ack = {seq, first, last};

    if (!mkv_store_dirty(machine->store)) {
        check_ack(sim, machine, &ack);
    } else if (machine->n_acks < MACHINE_ACKS_MAX) {
        machine->acks[machine->n_acks++] = ack;
    }
}

/* All is committed, or what was not is lost. */
static void check_acks(struct sim *sim, struct machine *machine)
{
    for (unsigned i = 0; i < machine->n_acks; i++) {
        check_ack(sim, machine, &machine->acks[i]);
    }
    machine->n_acks = 0;
}

/* What machines have. */

static void raise(struct known *known, const struct known *to)
{
    if (known_less(known, to)) {
        *known = *to;
    }
}

/* Of the servers' own entries, joiners let others say what is right. */
static bool may_go_back(const struct sim *sim, const struct machine *machine, unsigned key)
{
    return machine->set_aside[key] || (key >= sim->oracle.n_paths && !machine->stayed);
}

static void check_new(struct sim *sim,
                      const struct machine *machine,
                      unsigned key,
                      const struct known *now)
{
    const struct known *last = &machine->last.at[key];
    char text[2][64];

    if (key < sim->oracle.n_paths && oracle_find(&sim->oracle, key, now) == SIZE_MAX) {
        sim_fail(sim, "I14", "%s has at path %u what nobody wrote: %s", machine->name, key,
                 oracle_text(now, text[0]));
    }
    if (known_less(now, last) && last->head.present && !may_go_back(sim, machine, key)) {
        sim_fail(sim, "I2", "%s goes back at path %u from %s to %s", machine->name, key,
                 oracle_text(last, text[0]), oracle_text(now, text[1]));
    }
    if (now->head.tock > MKV_TOCK_MAX) {
        sim_fail(sim, "I10", "%s accepts a tock beyond all bounds at path %u", machine->name, key);
    }
    if (!now->head.present) {
        reach(&sim->reach, REACH_TOMBSTONE);
    } else if (last->has && !last->head.present) {
        reach(&sim->reach, REACH_RECREATED);
    }
}

static void check_lost(struct sim *sim, const struct machine *machine, unsigned key)
{
    const struct known *last = &machine->last.at[key];

    if (last->head.present && !may_go_back(sim, machine, key) &&
        !known_less(last, &machine->open.at[key])) {
        sim_fail(sim, "I2", "%s has lost path %u", machine->name, key);
    }
}

/*
 * What was accepted outside only, up to a floor that those inside have agreed upon without it, counts
 * for none of them: one with a lesser floor may take it, but gives it up again for that floor.
 */
static bool came_too_late(const struct sim *sim, unsigned key, const struct known *known)
{
    uint64_t floor = 0;

    for (unsigned i = 0; i < sim->n_machines; i++) {
        const struct machine *machine = &sim->machines[i];

        if (machine->has_pinged && !machine->evicted && !machine->stray &&
            machine->ping.floor > floor) {
            floor = machine->ping.floor;
        }
    }
    return known->has && known_equal(known, &sim->oracle.outside.at[key]) &&
           known->head.tock <= floor;
}

/* What it held before it went out is overtaken there by what counts for nobody. */
static void note_held(struct sim *sim,
                      struct machine *machine,
                      unsigned key,
                      const struct known *known)
{
    if (machine->evicted || machine->stray) {
        raise(&sim->oracle.outside.at[key], known);
        if (known_less(&machine->held.at[key], known)) {
            machine->held.at[key] = (struct known){0};
        }
    } else if (!came_too_late(sim, key, known)) {
        raise(&machine->held.at[key], known);
    }
}

static void compare_record(struct sim *sim, struct machine *machine, const struct record *now)
{
    bool ready = machine_ready(machine);

    for (unsigned key = 0; key < sim->oracle.n_keys; key++) {
        const struct known *entry = &now->at[key];
        const struct known *last = &machine->last.at[key];
        const struct known *gone = &machine->open.at[key];

        if (!known_equal(entry, last)) {
            if (entry->has) {
                check_new(sim, machine, key, entry);
                conflict_check(sim, machine, key, last, entry);
            } else {
                check_lost(sim, machine, key);
            }
        }
        machine->parted[key] |=
            machine->set_aside[key] || gone->has || (entry->has && !entry->head.present);
        raise(&machine->top.at[key], entry);
        raise(&machine->top.at[key], gone);
        if (ready) {
            raise(&sim->oracle.deleted.at[key], gone);
            raise(&sim->oracle.deleted.at[key], entry->head.present ? gone : entry);
        }
        if (ready) { /* a deletion that is forgotten held until then */
            note_held(sim, machine, key, entry->has || last->head.present ? entry : last);
            note_held(sim, machine, key, gone);
        }
    }
}

/* What is merged and forgotten in one batch is not there any more when that is committed. */
static void look_into_batch(struct sim *sim, struct machine *machine)
{
    const struct mkv_tree *tree = mkv_store_tree(machine->store);
    struct mkv_tree_entry entry;
    bool more = mkv_tree_at_tombstone(tree, mkv_bytes(NULL, 0), &entry);

    while (more) {
        unsigned key = oracle_key(&sim->oracle, entry.key);
        struct known known = {0};

        if (key < ORACLE_KEYS_MAX) {
            known_set(&known, &entry.head);
            raise(&machine->open.at[key], &known);
        }
        more = mkv_tree_next_tombstone(tree, entry.key, &entry);
    }
}

/* The open batch has ended; without a commit, it has been undone. */
static void close_batch(struct machine *machine)
{
    uint64_t commits = mkv_disk_commits(machine->disk);

    if (commits == machine->commits) {
        machine->open = (struct record){0};
    }
    machine->commits = commits;
}

static void read_record(struct sim *sim, const struct machine *machine, struct record *ret_record)
{
    const struct mkv_tree *tree = mkv_store_tree(machine->store);
    struct mkv_tree_entry entry;
    bool more = mkv_tree_at(tree, mkv_bytes(NULL, 0), &entry);

    *ret_record = (struct record){0};
    while (more) {
        unsigned key = oracle_key(&sim->oracle, entry.key);

        if (key < ORACLE_KEYS_MAX) {
            known_set(&ret_record->at[key], &entry.head);
        }
        more = mkv_tree_next(tree, entry.key, &entry);
    }
}

/* Whether it has all that was ever said of it as a member, which it had not while it was evicted unaware. */
static bool knows_of_itself(struct sim *sim,
                            const struct machine *machine,
                            const struct record *now)
{
    struct oracle *oracle = &sim->oracle;
    unsigned key = member_key(oracle, machine->uuid);
    const struct known *own = &now->at[key % ORACLE_KEYS_MAX];

    if (key == ORACLE_KEYS_MAX) {
        return true;
    }
    for (size_t i = oracle->newest[key]; i != SIZE_MAX; i = oracle->writes[i].next) {
        if (known_less(own, &oracle->writes[i].known)) {
            return false;
        }
    }
    for (unsigned i = 0; i < sim->n_machines; i++) {
        if (known_less(own, &sim->machines[i].last.at[key])) {
            return false;
        }
    }
    return true;
}

void oracle_look(struct sim *sim, struct machine *machine)
{
    struct mkv_summary sum;
    struct record now;

    if (mkv_store_dirty(machine->store)) {
        look_into_batch(sim, machine);
        return;
    }
    close_batch(machine);
    sum = mkv_tree_summary(mkv_store_tree(machine->store), mkv_bytes(NULL, 0));
    if (sum.digest.high != machine->seen.high || sum.digest.low != machine->seen.low ||
        machine_ready(machine) != machine->was_ready) {
        bool joins = machine_ready(machine) && !machine->was_ready;

        machine->seen = sum.digest;
        machine->has_pinged = machine->has_pinged && machine_ready(machine) && !joins;
        machine->was_ready = machine_ready(machine);
        machine->stayed = machine->was_ready && !joins;
        read_record(sim, machine, &now);
        machine->evicted = machine->evicted && !(joins && knows_of_itself(sim, machine, &now));
        compare_record(sim, machine, &now);
        machine->last = now;
        memset(machine->set_aside, 0, sizeof(machine->set_aside));
    }
    machine->open = (struct record){0};
    check_acks(sim, machine);
}

void oracle_look_anew(struct sim *sim, struct machine *machine, bool damaged)
{
    struct record now;

    read_record(sim, machine, &now);
    machine->last = now;
    machine->seen = mkv_tree_summary(mkv_store_tree(machine->store), mkv_bytes(NULL, 0)).digest;
    if (!damaged) {
        return;
    }
    machine->top = now; /* and until it is one of them again, not even that counts */
    machine->held = (struct record){0};
    machine->n_acks = 0;
}

void oracle_set_aside(struct sim *sim, struct machine *machine, struct mkv_bytes rows)
{
    struct mkv_cbor_reader r;
    struct mkv_buf *key = &sim->oracle.scratch;

    mkv_cbor_reader_init(&r, rows);
    while (r.error == 0 && r.rest.len > 0) {
        uint64_t n = mkv_cbor_read_array(&r, 4);
        struct mkv_update entry;
        unsigned index;

        mkv_buf_clear(key);
        if (mkv_path_from_cbor(&r, key) != 0) {
            break;
        }
        mkv_entry_read_parts(&r, n == 4, &entry);
        index = oracle_key(&sim->oracle, mkv_buf_bytes(key));
        if (index < ORACLE_KEYS_MAX) {
            machine->set_aside[index] = true;
        }
        reach(&sim->reach, REACH_QUARANTINED);
    }
    if (r.error != 0) {
        sim_fail(sim, "QUARANTINE", "%s sets aside what cannot be read", machine->name);
    }
}

struct known oracle_truth(const struct sim *sim, unsigned key)
{
    struct known truth = {0};

    for (unsigned i = 0; i < sim->n_machines; i++) {
        raise(&truth, &sim->machines[i].held.at[key]);
    }
    return truth;
}

void oracle_excuse(
    struct sim *sim, const struct machine *machine, uint64_t seq, uint64_t first, uint64_t last)
{
    struct oracle *oracle = &sim->oracle;

    for (uint64_t c = first; c <= last && c - first < COUNTERS_MAX; c++) {
        struct dot dot = session_dot(machine, seq, c);

        for (size_t i = *oracle_slot(oracle, dot); i != SIZE_MAX; i = oracle->writes[i].next_dot) {
            if (oracle->writes[i].dots[0].stream == dot.stream &&
                oracle->writes[i].dots[0].counter == c) {
                oracle->writes[i].refused = true;
            }
        }
    }
}

void oracle_excuse_all(struct sim *sim, const struct machine *machine)
{
    struct mkv_bytes name = mkv_bytes_of(machine->name);

    for (size_t i = 0; i < sim->oracle.n_writes; i++) {
        struct write *write = &sim->oracle.writes[i];

        if (mkv_bytes_equal(mkv_bytes(write->known.name, write->known.name_len), name) &&
            known_less(&machine->top.at[write->key], &write->known)) {
            write->refused = true;
        }
    }
}

void oracle_init(struct oracle *oracle, unsigned n_paths)
{
    *oracle = (struct oracle){0};
    mkv_buf_init(&oracle->scratch, MKV_PATH_KEY_MAX);
    for (unsigned i = 0; i < n_paths; i++) {
        int error;

        mkv_buf_clear(&oracle->scratch);
        error = mkv_path_from_dotted(mkv_bytes_of(paths[i]), &oracle->scratch);
        MKV_ASSERT(error == 0);
        (void)oracle_key(oracle, mkv_buf_bytes(&oracle->scratch));
    }
    oracle->n_paths = n_paths;
    for (unsigned i = 0; i < ORACLE_DOTS; i++) {
        oracle->by_dot[i] = SIZE_MAX;
    }
}

void oracle_deinit(struct oracle *oracle)
{
    for (unsigned i = 0; i < oracle->n_keys; i++) {
        mkv_buf_deinit(&oracle->keys[i]);
    }
    mkv_buf_deinit(&oracle->scratch);
    free(oracle->writes);
}
