/* SPDX-License-Identifier: Apache-2.0 */
#include "step.h"

#include "sim.h"

#define HOUR_MS     3600000
#define YEARS_12_MS (INT64_C(12) * 365 * 24 * HOUR_MS)

static struct machine *some_machine(struct sim *sim, struct prng *prng)
{
    return &sim->machines[prng_below(prng, sim->n_machines)];
}

static struct user *some_user(struct sim *sim, struct prng *prng)
{
    return &sim->users[prng_below(prng, sim->n_users)];
}

/* Mostly seconds, sometimes minutes, so that horizons pass meanwhile. */
static int64_t some_time_ms(const struct sim *sim, struct prng *prng)
{
    int64_t horizon_ms = sim->times.horizon_ms;

    switch (prng_below(prng, 8)) {
    case 0:
        return (int64_t)prng_below(prng, (uint64_t)(2 * horizon_ms));
    case 1:
    case 2:
        return (int64_t)prng_below(prng, 100);
    default:
        return (int64_t)prng_below(prng, 40000);
    }
}

/* Writers. */

static void write_one(struct sim *sim, struct prng *prng)
{
    struct user *user = some_user(sim, prng);
    unsigned key = (unsigned)prng_below(prng, sim->oracle.n_paths);
    bool blind = prng_below(prng, 3) == 0;
    unsigned n = prng_below(prng, 10) == 0 ? 1 + (unsigned)prng_below(prng, 20) : 1;

    for (unsigned i = 0; i < n; i++) {
        uint8_t space[RUDE_VALUE_MAX];
        struct mkv_bytes value = rude_value(prng, space);

        if (prng_below(prng, 3) == 0) {
            value = mkv_bytes(NULL, 0);
        }
        user_write(sim, user, key, value.at, value.len, blind);
    }
}

static void replace_user(struct sim *sim, struct prng *prng)
{
    struct user *user = some_user(sim, prng);
    const struct machine *machine = some_machine(sim, prng);
    bool asks = prng_below(prng, 3) == 0;

    user_die(sim, user);
    user_start(sim, user, asks ? NULL : machine, prng_below(prng, 2) == 0);
}

static void cut_stream(struct sim *sim, struct prng *prng, bool mqtt)
{
    struct pipe *open[64];
    unsigned n = 0;

    for (size_t i = 0; i < sim->net.n_pipes && n < 64; i++) {
        struct pipe *pipe = sim->net.pipes[i];
        bool is_mqtt = pipe->ends[1].kind == END_BROKER;

        if (pipe->established && !pipe->broken && !pipe->shut[0] && !pipe->shut[1] &&
            is_mqtt == mqtt) {
            open[n++] = pipe;
        }
    }
    if (n > 0) {
        net_break(sim, open[prng_below(prng, n)]);
    }
}

/* The net. */

static void block_both(struct sim *sim, unsigned a, unsigned b, int64_t ms)
{
    if (a != b) {
        net_block(sim, a, b, ms);
        net_block(sim, b, a, ms);
    }
}

static void isolate(struct sim *sim, struct prng *prng, int64_t ms)
{
    unsigned host = (unsigned)prng_below(prng, sim->n_hosts);
    unsigned how = (unsigned)prng_below(prng, 4); /* 1: it hears nothing, 2: is not heard */

    for (unsigned i = 0; i < sim->n_hosts; i++) {
        if (i != host && how != 1) {
            net_block(sim, host, i, ms);
        }
        if (i != host && how != 2) {
            net_block(sim, i, host, ms);
        }
    }
}

static void split(struct sim *sim, struct prng *prng, int64_t ms)
{
    uint64_t side = prng_next(prng);

    for (unsigned a = 0; a < sim->n_hosts; a++) {
        for (unsigned b = a + 1; b < sim->n_hosts; b++) {
            if ((side >> a & 1) != (side >> b & 1)) {
                block_both(sim, a, b, ms);
            }
        }
    }
}

static void cut_bridge(struct sim *sim, struct prng *prng, int64_t ms)
{
    if (sim->n_bridges > 0) {
        const struct bridge *bridge = &sim->bridges[prng_below(prng, sim->n_bridges)];

        block_both(sim, sim->brokers[bridge->from].host, sim->brokers[bridge->to].host, ms);
    }
}

static void cut(struct sim *sim, struct prng *prng, bool one_way, int64_t ms)
{
    unsigned a = (unsigned)prng_below(prng, sim->n_hosts);
    unsigned b = (unsigned)prng_below(prng, sim->n_hosts);

    if (one_way && a != b) {
        net_block(sim, a, b, ms);
    } else {
        block_both(sim, a, b, ms);
    }
}

static void start_broker(struct sim *sim, struct event *event)
{
    broker_start(sim, (unsigned)event->a);
}

static void kill_broker(struct sim *sim, struct prng *prng)
{
    unsigned index = (unsigned)prng_below(prng, sim->n_brokers);

    broker_kill(sim, index, prng_below(prng, 2) == 0);
    queue_push(&sim->queue, (struct event){.at_ms = sim->now_ms + some_time_ms(sim, prng) / 2,
                                           .run = start_broker,
                                           .a = index});
}

/* Servers. */

static void kill_machine(struct sim *sim, struct prng *prng)
{
    struct machine *machine = some_machine(sim, prng);

    if (machine->node != NULL) {
        machine->down_until_ms = sim->now_ms + 1 + some_time_ms(sim, prng);
        machine_kill(sim, machine, prng_below(prng, 3) == 0);
    }
}

static void leave_machine(struct sim *sim, struct prng *prng)
{
    struct machine *machine = some_machine(sim, prng);
    int64_t until_ms = sim->now_ms + 1 + some_time_ms(sim, prng);

    if (machine->node != NULL) {
        machine_leave(sim, machine);
        machine->down_until_ms = until_ms;
    }
}

static void fix_disk(struct sim *sim, struct event *event)
{
    if (sim->machines[event->a].disk != NULL) {
        mkv_disk_resize(sim->machines[event->a].disk, 0);
    }
}

static void fill_disk(struct sim *sim, struct prng *prng)
{
    const struct machine *machine = some_machine(sim, prng);

    if (machine->disk != NULL) {
        mkv_disk_resize(machine->disk, 1 + prng_below(prng, 20000));
        queue_push(&sim->queue, (struct event){.at_ms = sim->now_ms + some_time_ms(sim, prng),
                                               .run = fix_disk,
                                               .a = machine->index});
    }
}

static void fail_disk(struct sim *sim, struct prng *prng)
{
    const struct machine *machine = some_machine(sim, prng);

    if (machine->disk != NULL) {
        mkv_disk_fail_at(machine->disk, 1 + prng_below(prng, 30), MKV_E_IO);
    }
}

/* It is down when it happens, and finds out when it starts. */
static void flip_bit(struct sim *sim, struct prng *prng)
{
    struct machine *machine = some_machine(sim, prng);

    if (machine->disk != NULL) {
        machine_kill(sim, machine, false);
        mkv_disk_damage(machine->disk, MKV_LOG_ROWS, prng_below(prng, 40));
        machine->damaged = true;
    }
}

static void lose_disk(struct sim *sim, struct prng *prng)
{
    struct machine *machine = some_machine(sim, prng);

    if (machine->disk != NULL) {
        machine_kill(sim, machine, false);
        machine_lose_disk(machine);
    }
}

static void restore(struct sim *sim, struct prng *prng)
{
    unsigned which = (unsigned)prng_below(prng, sim->n_machines);

    for (unsigned i = 0; i < sim->n_machines; i++) {
        struct machine *machine = &sim->machines[(which + i) % sim->n_machines];

        if (machine->backup.disk != NULL) {
            machine_restore(sim, machine);
            return;
        }
    }
    machine_back_up(sim, &sim->machines[which]);
}

static void join(struct sim *sim)
{
    for (unsigned i = 0; i < sim->n_machines; i++) {
        if (!sim->machines[i].exists) {
            machine_start(sim, &sim->machines[i]);
            return;
        }
    }
}

/* Clocks. */

static void step_clock(struct sim *sim, struct prng *prng)
{
    struct clock *clock = &some_machine(sim, prng)->clock;
    int64_t by_ms = prng_below(prng, 2) == 0 ? HOUR_MS : 1000;
    int64_t step_ms = (int64_t)prng_below(prng, 2 * (uint64_t)by_ms) - by_ms;

    reach(&sim->reach, step_ms < 0 ? REACH_CLOCK_BACK : REACH_CLOCK_AHEAD);
    clock->offset_ms += step_ms;
}

static void change_clock(struct sim *sim, enum fault what, struct prng *prng)
{
    struct clock *clock = &some_machine(sim, prng)->clock;

    switch (what) {
    case FAULT_CLOCK_STUCK:
        clock->stuck = true;
        clock->stuck_ms = sim_true_ms(sim) + clock->offset_ms;
        break;
    case FAULT_CLOCK_1970:
        clock->offset_ms = -sim_true_ms(sim);
        clock->trusted = false;
        break;
    case FAULT_CLOCK_2038:
        reach(&sim->reach, REACH_CLOCK_AHEAD);
        clock->offset_ms = YEARS_12_MS;
        break;
    default:
        clock->trusted = !clock->trusted;
        break;
    }
}

static void step_net(struct sim *sim, enum fault what, struct prng *prng)
{
    int64_t ms = 1 + some_time_ms(sim, prng);

    switch (what) {
    case FAULT_CUT:
    case FAULT_ONE_WAY:
        cut(sim, prng, what == FAULT_ONE_WAY, ms);
        break;
    case FAULT_ISOLATE:
        isolate(sim, prng, ms);
        break;
    case FAULT_SPLIT:
        split(sim, prng, ms);
        break;
    case FAULT_BRIDGE_CUT:
        cut_bridge(sim, prng, ms);
        break;
    case FAULT_PAUSE:
        net_pause(sim, some_machine(sim, prng)->host, ms);
        break;
    case FAULT_LINK_CUT:
    case FAULT_MQTT_CUT:
        cut_stream(sim, prng, what == FAULT_MQTT_CUT);
        break;
    default:
        kill_broker(sim, prng);
        break;
    }
}

/* Mostly one that is down, or whose disk is lost. */
static void evict(struct sim *sim, struct prng *prng)
{
    unsigned asked = (unsigned)prng_below(prng, sim->n_machines);
    unsigned which = (unsigned)prng_below(prng, sim->n_machines);
    bool any = prng_below(prng, 4) == 0;

    for (unsigned i = 0; i < sim->n_machines; i++) {
        const struct machine *machine = &sim->machines[(which + i) % sim->n_machines];

        if (machine->index == asked || !machine->exists) {
            continue;
        }
        if (machine->n_lost > 0) {
            boss_evict(sim, asked, machine->index, machine->lost_uuid);
            return;
        }
        if (machine->node == NULL || any) {
            boss_evict(sim, asked, machine->index, machine->uuid);
            return;
        }
    }
}

static void step_machine(struct sim *sim, enum fault what, struct prng *prng)
{
    switch (what) {
    case FAULT_SERVER_KILL:
        kill_machine(sim, prng);
        break;
    case FAULT_SERVER_MUTE:
        some_machine(sim, prng)->mute_in = 1 + (unsigned)prng_below(prng, 30);
        break;
    case FAULT_SERVER_LEAVE:
        leave_machine(sim, prng);
        break;
    case FAULT_DISK_FULL:
        fill_disk(sim, prng);
        break;
    case FAULT_DISK_FAIL:
        fail_disk(sim, prng);
        break;
    case FAULT_DISK_FLIP:
        flip_bit(sim, prng);
        break;
    case FAULT_DISK_LOST:
        lose_disk(sim, prng);
        break;
    case FAULT_BACKUP:
        machine_back_up(sim, some_machine(sim, prng));
        break;
    case FAULT_RESTORE:
        restore(sim, prng);
        break;
    case FAULT_EVICT:
        evict(sim, prng);
        break;
    default:
        join(sim);
        break;
    }
}

void step_do(struct sim *sim, const struct step *step)
{
    struct prng prng = {step->random};
    enum fault what = step->what;

    sim_trace(sim, "step: %s", fault_name(what));
    sim->reach.faults[what]++;
    if (what == FAULT_WRITE) {
        write_one(sim, &prng);
    } else if (what >= FAULT_RUDE && what <= FAULT_MALFORMED) {
        rude_act(sim, &sim->rudes[prng_below(&prng, sim->n_rudes)], what, &prng);
    } else if (what == FAULT_USER_DIES) {
        replace_user(sim, &prng);
    } else if ((what >= FAULT_LINK_CUT && what <= FAULT_BROKER_KILL) || what == FAULT_PAUSE) {
        step_net(sim, what, &prng);
    } else if (what == FAULT_CLOCK_STEP) {
        step_clock(sim, &prng);
    } else if (what > FAULT_CLOCK_STEP) {
        change_clock(sim, what, &prng);
    } else {
        step_machine(sim, what, &prng);
    }
}

void step_heal(struct sim *sim)
{
    sim->raging = false;
    sim->limits.payload_max = 0;
    net_heal(sim);
    for (unsigned i = 0; i < sim->n_brokers; i++) {
        broker_start(sim, i);
    }
    for (unsigned i = 0; i < sim->n_machines; i++) {
        struct machine *machine = &sim->machines[i];

        machine->clock = (struct clock){.trusted = true};
        machine->mute_in = 0;
        if (machine->disk != NULL) {
            mkv_disk_resize(machine->disk, 0);
            mkv_disk_fail_at(machine->disk, 0, 0);
        }
        if (machine->exists) {
            machine_start(sim, machine);
        }
    }
    for (unsigned i = 0; i < sim->n_users; i++) {
        if (!sim->users[i].alive) {
            user_start(sim, &sim->users[i], &sim->machines[i % sim->n_machines], true);
        }
    }
}
