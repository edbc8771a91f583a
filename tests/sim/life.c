/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/assert.h"
#include "machine.h"
#include "sim.h"

/* Machines come and go, and their disks do. */
#define RESTART_MS 1000 /* after a failure */

static int keep_quarantine(void *context, struct mkv_bytes rows)
{
    struct machine *machine = context;

    oracle_set_aside(machine->sim, machine, rows);
    return 0;
}

static struct mkv_server_node_config config_of(struct sim *sim, struct machine *machine)
{
    struct mkv_server_node_config config = {
        .server = {.name = mkv_bytes_of(machine->name),
                   .root = sim_root,
                   .host = mkv_bytes_of(machine->name),
                   .software = mkv_bytes_of("sim"),
                   .qos = 1,
                   .session_limits = {.grace_ms = 200, .void_ms = 30000},
                   .times = sim->times,
                   .accept_restored = machine->accept_restored},
        .window_ms = 2,
        .quarantine = {.keep = keep_quarantine, .context = machine},
    };

    prng_fill(&sim->prng, config.server.secret, sizeof(config.server.secret));
    config.server.links.n = 1;
    config.server.links.at[0] = mkv_bytes_of(machine->address);
    config.server.brokers.n = 1;
    config.server.brokers.at[0] = mkv_bytes_of(machine->broker_address);
    return config;
}

static int open_store(struct sim *sim, struct machine *machine, struct mkv_store_report *ret_report)
{
    struct mkv_store_options options = {.boot_nonce = prng_next(&sim->prng) >> 1};
    int error;

    prng_fill(&sim->prng, options.id, sizeof(options.id));
    memset(options.digest_key, 9, sizeof(options.digest_key));
    error = mkv_store_open_disk(machine->disk, &options, &machine->store, ret_report);
    if (error == 0 && !machine->damaged && !machine->replaced) {
        audit_starts(sim, machine);
    }
    if (error == 0 && (machine->damaged || machine->replaced)) {
        oracle_look_anew(sim, machine, machine->damaged && ret_report->n_corrupt > 0);
        machine->audit.mark.has = machine->audit.mark.has && !machine->damaged; /* nobody is told */
        machine->damaged = false;
        machine->replaced = false;
    }
    if (error == 0 && ret_report->n_corrupt > 0) {
        oracle_excuse_all(sim, machine);
        machine->ping.floor = 0;
        reach(&sim->reach, REACH_ROW_LOST);
        sim->n_upsets++;
        sim->n_disks_back++;
    }
    if (error == 0 && ret_report->lost) {
        machine->ping.floor = 0; /* below which it has everything: not so any more */
    }
    machine->lacks = error == 0 ? ret_report->lost : machine->lacks;
    return error;
}

void machine_start(struct sim *sim, struct machine *machine)
{
    struct mkv_server_node_config config;
    struct mkv_store_report report = {0};
    int error;

    if (machine->node != NULL || machine->gone) {
        return;
    }
    if (machine->disk == NULL) {
        machine->disk = mkv_disk_new(0);
        MKV_ASSERT(machine->disk != NULL);
    }
    machine->exists = true;
    machine->boots++;
    error = open_store(sim, machine, &report);
    if (error == 0) {
        config = config_of(sim, machine);
        memcpy(machine->uuid, mkv_store_id(machine->store), sizeof(machine->uuid));
        config.server.restored = report.restored;
        error =
            mkv_server_node_new(&config, machine->store, machine_now(sim, machine), &machine->node);
        if (error != 0) {
            mkv_store_close(machine->store);
            machine->store = NULL;
        }
    }
    if (error != 0) {
        machine->down_until_ms = sim->now_ms + RESTART_MS;
        return;
    }
    sim_trace(sim, "%s starts", machine->name);
    machine->down_until_ms = 0;
    machine->mqtt_again = false;
    machine->was_ready = false;
    machine_after(sim, machine);
    if (machine->node != NULL) {
        machine_connect(sim, machine, 1);
    }
}

void machine_kill(struct sim *sim, struct machine *machine, bool silently)
{
    if (machine->node == NULL) {
        return;
    }
    sim_trace(sim, "%s is killed", machine->name);
    if (mkv_store_dirty(machine->store)) {
        reach(&sim->reach, REACH_KILLED_OPEN);
    }
    mkv_server_node_free(machine->node);
    mkv_store_close(machine->store);
    audit_ends(machine);
    if (sim->options.plants) {
        audit_plant_end(machine);
    }
    machine->node = NULL;
    machine->store = NULL;
    machine->mqtt = NULL;
    machine->hears = false;
    machine->has_pinged = false;
    machine->mute_in = 0;
    machine->deadline_ms = INT64_MAX;
    memset(machine->links, 0, sizeof(machine->links));
    machine->open = (struct record){0};
    memset(machine->set_aside, 0, sizeof(machine->set_aside));
    net_host_dies(sim, machine->host, silently);
    if (machine->down_until_ms <= sim->now_ms) {
        machine->down_until_ms = sim->now_ms + RESTART_MS;
    }
}

void machine_leave(struct sim *sim, struct machine *machine)
{
    if (machine->node == NULL) {
        return;
    }
    mkv_server_node_leave(machine->node, machine_now(sim, machine));
    machine_after(sim, machine);
    if (machine->node != NULL) {
        mkv_server_node_flush(machine->node, machine_now(sim, machine));
        machine_after(sim, machine);
    }
    machine_kill(sim, machine, false);
}

void machine_lose_disk(struct machine *machine)
{
    mkv_disk_free(machine->disk);
    machine->disk = NULL;
    audit_ends(machine);
    memcpy(machine->lost_uuid, machine->uuid, sizeof(machine->lost_uuid));
    machine->n_lost++;
    machine->sim->n_upsets++;
    machine->sim->n_disks_back++;
    machine->evicted = false;
    machine->stray = false;
    machine->forgetful = true;
    machine->renewed = true;
    machine->last = (struct record){0};
    machine->top = (struct record){0};
    machine->held = (struct record){0};
    machine->seen = (struct mkv_digest){0};
    machine->ping = (struct mkv_ping){0};
    machine->served = (struct mkv_ping){0};
}

void machine_back_up(struct sim *sim, struct machine *machine)
{
    struct machine_backup *backup = &machine->backup;
    int error;

    if (machine->disk == NULL || (machine->node != NULL && mkv_store_dirty(machine->store))) {
        return;
    }
    mkv_disk_free(backup->disk);
    *backup = (struct machine_backup){.top = machine->top};
    memcpy(backup->uuid, machine->uuid, sizeof(backup->uuid));
    error = mkv_disk_snapshot(machine->disk, &backup->disk);
    MKV_ASSERT(error == 0);
    sim_trace(sim, "%s is backed up", machine->name);
}

/* What it accepts until it hears of it, or merges without having heard of it, does not count either. */
void machine_evicted(struct machine *machine, const uint8_t uuid[MKV_STORE_ID_LEN])
{
    if (memcmp(uuid, machine->uuid, MKV_STORE_ID_LEN) == 0) {
        machine->evicted = true;
        machine->sim->n_upsets++;
        machine->held = (struct record){0};
    }
}

void machine_eviction_done(struct machine *machine, const uint8_t uuid[MKV_STORE_ID_LEN])
{
    if (memcmp(uuid, machine->lost_uuid, MKV_STORE_ID_LEN) == 0) {
        check_evicted(machine->sim, machine, uuid);
        memset(machine->lost_uuid, 0, sizeof(machine->lost_uuid));
        machine->n_lost--;
    }
}

/*
 * What it had since is gone, and what it said of itself, too.  Until it is one of them again, what it
 * has does not count: the others know better what has become of it.
 */
void machine_restore(struct sim *sim, struct machine *machine)
{
    struct machine_backup *backup = &machine->backup;
    int error;

    if (machine->disk == NULL || backup->disk == NULL) {
        return;
    }
    machine_kill(sim, machine, false);
    error = mkv_disk_restore(machine->disk, backup->disk);
    MKV_ASSERT(error == 0);
    sim->n_upsets++;
    sim->n_disks_back++;
    machine->replaced = true;
    machine->forgetful = true;
    machine->n_acks = 0;
    machine->top = backup->top;
    machine->held = (struct record){0};
    if (memcmp(machine->uuid, backup->uuid, MKV_STORE_ID_LEN) != 0) {
        memcpy(machine->lost_uuid, machine->uuid, sizeof(machine->lost_uuid));
        machine->n_lost++;
    }
    machine->ping = (struct mkv_ping){0};
    machine->served = (struct mkv_ping){0};
    reach(&sim->reach, ++backup->n_restored > 1 ? REACH_RESTORED_TWICE : REACH_RESTORED);
    sim_trace(sim, "%s is restored", machine->name);
}

void machine_init(struct sim *sim, unsigned index, unsigned broker)
{
    struct machine *machine = &sim->machines[index];

    *machine = (struct machine){
        .sim = sim,
        .index = index,
        .host = sim->n_hosts++,
        .broker = broker,
        .clock = {.trusted = true},
        .deadline_ms = INT64_MAX,
    };
    (void)snprintf(machine->name, sizeof(machine->name), "s%u", index % 100);
    (void)snprintf(machine->address, sizeof(machine->address), "tcp://s%u:1", index);
    (void)snprintf(machine->broker_address, sizeof(machine->broker_address), "mqtt://b%u:1",
                   broker);
}

void machine_deinit(struct machine *machine)
{
    if (machine->node != NULL) {
        mkv_server_node_free(machine->node);
        mkv_store_close(machine->store);
    }
    mkv_disk_free(machine->disk);
    mkv_disk_free(machine->backup.disk);
    audit_deinit(&machine->audit);
}
