/* SPDX-License-Identifier: Apache-2.0 */
#include "audit.h"

#include "base/assert.h"
#include "sim.h"

/* Rows. */

/* Damaged rows are left out, and nothing can be said then. */
static bool count_rows(struct sim *sim, const struct machine *machine, uint64_t *ret_n)
{
    const struct mkv_tree *tree = mkv_store_tree(machine->store);
    uint64_t position = 0;

    *ret_n = 0;
    for (;;) {
        struct mkv_tree_entry entry;
        struct mkv_update update;
        struct mkv_bytes key;

        if (mkv_store_scan(machine->store, position, &position) != 0) {
            return false;
        }
        if (position == 0) {
            return true;
        }
        if (mkv_store_row(machine->store, position, &key, &update) != 0) {
            return false;
        }
        if (!mkv_tree_find(tree, key, &entry) || entry.position != position) {
            sim_fail(sim, "I8", "%s tells of row %llu, which is no entry", machine->name,
                     (unsigned long long)position);
        }
        ++*ret_n;
    }
}

static void check_rows(struct sim *sim, const struct machine *machine)
{
    const struct mkv_tree *tree = mkv_store_tree(machine->store);
    uint64_t n_entries = mkv_tree_summary(tree, mkv_bytes(NULL, 0)).n_entries;
    uint64_t n;

    mkv_tree_check(tree);
    if (count_rows(sim, machine, &n) && n != n_entries) {
        sim_fail(sim, "I8", "%s tells of %llu rows, but has %llu entries", machine->name,
                 (unsigned long long)n, (unsigned long long)n_entries);
    }
}

/* What has changed. */

static uint64_t position_of(const struct sim *sim, const struct machine *machine, unsigned key)
{
    struct mkv_tree_entry entry;
    struct mkv_bytes bytes = mkv_buf_bytes(&sim->oracle.keys[key]);

    return mkv_tree_find(mkv_store_tree(machine->store), bytes, &entry) ? entry.position : 0;
}

static bool is_other(const struct known *a, const struct known *b)
{
    return known_less(a, b) || known_less(b, a);
}

/* What is gone without a trace must not have been a value for whoever reads on from there. */
static void check_told(struct sim *sim, const struct machine *machine, unsigned key)
{
    const struct audit_mark *mark = &machine->audit.mark;
    const struct known *then = &mark->then.at[key];
    const struct known *now = &machine->last.at[key];
    char text[2][64];

    if (is_other(then, now) &&
        (now->has ? position_of(sim, machine, key) <= mark->place.position : then->head.present)) {
        sim_fail(sim, "I8", "behind place %llu %s does not tell that path %u was %s and is %s",
                 (unsigned long long)mark->place.position, machine->name, key,
                 oracle_text(then, text[0]), oracle_text(now, text[1]));
    }
}

void audit_feed(struct sim *sim, struct machine *machine)
{
    struct audit_mark *mark = &machine->audit.mark;

    check_rows(sim, machine);
    if (mark->has && mkv_store_place_valid(machine->store, mark->place)) {
        reach(&sim->reach, REACH_PLACE_HELD);
        for (unsigned key = 0; key < sim->oracle.n_keys; key++) {
            check_told(sim, machine, key);
        }
    } else if (mark->has) {
        reach(&sim->reach, REACH_PLACE_ENDED);
    }
    *mark = (struct audit_mark){
        .has = true, .place = mkv_store_place(machine->store), .then = machine->last};
}

/* From one process to the next. */

void audit_ends(struct machine *machine)
{
    machine->audit.is_whole =
        machine->disk != NULL && mkv_disk_commits(machine->disk) == machine->commits;
}

void audit_starts(struct sim *sim, const struct machine *machine)
{
    struct mkv_digest digest =
        mkv_tree_summary(mkv_store_tree(machine->store), mkv_bytes(NULL, 0)).digest;

    if (!machine->audit.is_whole) {
        return;
    }
    reach(&sim->reach, REACH_REOPENED);
    if (digest.high != machine->seen.high || digest.low != machine->seen.low) {
        sim_fail(sim, "I16", "%s starts with something else than it had committed", machine->name);
    }
}

void audit_plant_commit(struct machine *machine)
{
    struct audit *audit = &machine->audit;
    int error;

    if (audit->latest == NULL || mkv_disk_commits(machine->disk) != machine->commits) {
        mkv_disk_free(audit->before);
        audit->before = audit->latest;
        error = mkv_disk_snapshot(machine->disk, &audit->latest);
        MKV_ASSERT(error == 0);
    }
}

void audit_plant_end(struct machine *machine)
{
    if (machine->audit.before != NULL) {
        int error = mkv_disk_restore(machine->disk, machine->audit.before);

        MKV_ASSERT(error == 0);
    }
}

void audit_deinit(struct audit *audit)
{
    mkv_disk_free(audit->latest);
    mkv_disk_free(audit->before);
}
