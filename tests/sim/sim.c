/* SPDX-License-Identifier: Apache-2.0 */
#include "sim.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"
#include "step.h"

#define START_MS     1000
#define EPOCH_MS     INT64_C(200000000000) /* a day in 2026 */
/*
 * Events at one time: who never rests is at fault.  A user that comes back publishes all that it wrote
 * at once, and its server stamps each.  A ring of bridges makes up to 18 copies of a message, and no
 * broker hears more than 7 of it, each for a dozen or less: not 125 in all, and more than half as many
 * again are left for what is said besides.
 */
#define STILL_MAX    (USER_WRITES_MAX * 2U * 200U)
#define EVENTS_MAX   3000000U
#define HEAL_MS      70000 /* within so long all must be equal: servers wait a minute to try again ... */
#define HEAL_PINGS   10 /* ... and so many pings more */
#define QUIET_PINGS  3
#define FORGET_PINGS 8
#define GIVE_UP_MS   180000 /* servers write down what they do not wait for any more */
#define LOOP_PERIODS 10     /* pings are so much rarer while brokers send in a circle */
#define HELP_S       60
#define USERS_MS     240000

const struct mkv_bytes sim_root = {(const uint8_t *)SIM_ROOT, sizeof(SIM_ROOT) - 1};

void sim_fail(struct sim *sim, const char *what, const char *format, ...)
{
    va_list arguments;

    if (sim->result.failed) {
        return;
    }
    sim->result.failed = true;
    (void)snprintf(sim->result.what, sizeof(sim->result.what), "%s", what);
    va_start(arguments, format);
    (void)vsnprintf(sim->result.text, sizeof(sim->result.text), format, arguments);
    va_end(arguments);
    sim_trace(sim, "FAILED %s: %s", what, sim->result.text);
}

void sim_trace(const struct sim *sim, const char *format, ...)
{
    va_list arguments;

    if (!sim->options.trace) {
        return;
    }
    printf("[%7lld.%03lld] ", (long long)(sim->now_ms / 1000), (long long)(sim->now_ms % 1000));
    va_start(arguments, format);
    (void)vprintf(format, arguments);
    va_end(arguments);
    (void)putchar('\n');
}

int64_t sim_true_ms(const struct sim *sim)
{
    return EPOCH_MS + sim->now_ms;
}

bool sim_clocks_fail(const struct sim *sim)
{
    for (unsigned i = FAULT_CLOCK_STEP; i <= FAULT_CLOCK_DOUBT; i++) {
        if (sim->rates.of[i] > 0) {
            return true;
        }
    }
    return false;
}

bool sim_disks_went_back(const struct sim *sim)
{
    for (unsigned i = 0; i < sim->n_machines; i++) {
        if (sim->machines[i].forgetful) {
            return true;
        }
    }
    return false;
}

/* Addresses. */

const struct machine *sim_machine_at(const struct sim *sim, struct mkv_bytes address)
{
    for (unsigned i = 0; i < sim->n_machines; i++) {
        if (mkv_bytes_equal(mkv_bytes_of(sim->machines[i].address), address)) {
            return &sim->machines[i];
        }
    }
    return NULL;
}

unsigned sim_broker_at(struct sim *sim, struct mkv_bytes address)
{
    char text[32];

    for (unsigned i = 0; i < sim->n_brokers; i++) {
        (void)snprintf(text, sizeof(text), "mqtt://b%u:1", i);
        if (mkv_bytes_equal(mkv_bytes_of(text), address)) {
            return i;
        }
    }
    sim_fail(sim, "DIAL", "a client connects to an unknown broker");
    return 0;
}

/* Events. */

void sim_arrive(struct sim *sim, struct pipe *pipe, unsigned side, const struct letter *letter)
{
    const struct end *end = &pipe->ends[side];
    uint64_t what = pipe->number << 8 | side << 7 | (uint64_t)letter->kind;

    sim->result.trace = hash_number(sim->result.trace, (uint64_t)sim->now_ms);
    sim->result.trace = hash_number(sim->result.trace, what);
    if (letter->parcel != NULL) {
        sim->result.trace = hash_number(sim->result.trace, letter->parcel->hash);
    }
    if (sim->options.trace) {
        trace_letter(sim, pipe, side, letter);
    }
    if (letter->kind == LETTER_PUBLISH && letter->parcel->qos > 0) {
        broker_delivered(sim, pipe, side);
    }
    switch (end->kind) {
    case END_MACHINE_LINK:
    case END_MACHINE_MQTT:
        machine_arrive(sim, pipe, side, letter);
        break;
    case END_USER_LINK:
    case END_USER_MQTT:
        user_arrive(sim, pipe, side, letter);
        break;
    case END_RUDE_LINK:
        rude_arrive(sim, pipe, side, letter);
        break;
    case END_BOSS:
        boss_arrive(sim, pipe, letter);
        break;
    case END_BROKER:
    case END_BRIDGE:
        broker_arrive(sim, pipe, side, letter);
        break;
    }
}

void sim_astray(struct sim *sim,
                const struct pipe *pipe,
                unsigned side,
                const struct letter *letter)
{
    struct parcel *parcel = letter->parcel;
    const struct end *end = &pipe->ends[side];

    sim->result.trace = hash_number(sim->result.trace, parcel->hash);
    sim_trace(sim, "astray: %.*s", (int)parcel->topic.len, (const char *)parcel->topic.at);
    switch (end->kind) {
    case END_MACHINE_MQTT:
        machine_message(sim, &sim->machines[end->index], parcel);
        break;
    case END_USER_MQTT:
        user_message(sim, &sim->users[end->index], parcel);
        break;
    case END_BROKER:
    case END_BRIDGE:
        broker_publish(sim, end->index, letter);
        break;
    default:
        break;
    }
}

static void publish_late(struct sim *sim, struct event *event)
{
    sim->n_astray--;
    broker_publish(sim, (unsigned)event->a, &event->letter);
}

void sim_publish_later(struct sim *sim, unsigned broker, struct parcel *parcel, int64_t ms)
{
    sim->n_astray++;
    queue_push(&sim->queue, (struct event){.at_ms = sim->now_ms + ms,
                                           .run = publish_late,
                                           .a = broker,
                                           .letter = {.parcel = parcel_ref(parcel)}});
}

/* Time. */

static int64_t machine_due_ms(const struct sim *sim, const struct machine *machine)
{
    if (machine->node == NULL) {
        return machine->down_until_ms != 0 ? machine->down_until_ms : INT64_MAX;
    }
    return net_paused(sim, machine->host) ? INT64_MAX : machine->deadline_ms;
}

static int64_t next_ms(const struct sim *sim)
{
    int64_t next = queue_next_ms(&sim->queue);

    for (unsigned i = 0; i < sim->n_machines; i++) {
        int64_t due_ms = machine_due_ms(sim, &sim->machines[i]);

        next = due_ms < next ? due_ms : next;
    }
    for (unsigned i = 0; i < sim->n_users; i++) {
        next = sim->users[i].deadline_ms < next ? sim->users[i].deadline_ms : next;
    }
    return next;
}

static void run_due(struct sim *sim)
{
    for (unsigned i = 0; i < sim->n_machines; i++) {
        struct machine *machine = &sim->machines[i];

        if (machine_due_ms(sim, machine) <= sim->now_ms) {
            if (machine->node == NULL) {
                machine_start(sim, machine);
            } else {
                machine_wake(sim, machine);
            }
        }
    }
    for (unsigned i = 0; i < sim->n_users; i++) {
        if (sim->users[i].deadline_ms <= sim->now_ms) {
            user_wake(sim, &sim->users[i]);
        }
    }
    if (queue_next_ms(&sim->queue) <= sim->now_ms) {
        struct event event = queue_pop(&sim->queue);

        event.run(sim, &event);
        parcel_unref(event.letter.parcel);
    }
}

void sim_run_until(struct sim *sim, int64_t end_ms)
{
    unsigned n_still = 0;

    for (int64_t next = next_ms(sim); next <= end_ms && !sim->result.failed; next = next_ms(sim)) {
        n_still = next > sim->now_ms ? 0 : n_still + 1;
        sim->now_ms = next > sim->now_ms ? next : sim->now_ms;
        run_due(sim);
        sim->result.n_events++;
        if (n_still > STILL_MAX || sim->result.n_events > EVENTS_MAX) {
            sim_fail(sim, "LIVE", "something never comes to rest");
        }
    }
    sim->now_ms = end_ms > sim->now_ms ? end_ms : sim->now_ms;
}

/* The phases. */

static void do_step(struct sim *sim, struct event *event)
{
    step_do(sim, &sim->plan.at[event->a]);
}

static void storm(struct sim *sim)
{
    sim->raging = true;
    for (unsigned i = 0; i < sim->plan.n; i++) {
        if (sim->options.allowed[sim->plan.at[i].what] &&
            (sim->options.skipped == NULL || !sim->options.skipped[i])) {
            queue_push(&sim->queue, (struct event){.at_ms = sim->now_ms + sim->plan.at[i].at_ms,
                                                   .run = do_step,
                                                   .a = i});
        }
    }
    sim_run_until(sim, sim->now_ms + sim->plan.storm_ms);
}

/* Between two pings of a server. */
static int64_t period_ms(const struct sim *sim)
{
    return (sim->rates.of[FAULT_LOOP] > 0 ? LOOP_PERIODS : 1) * sim->times.ping_ms;
}

/*
 * Waits until all are equal.  What lies below the floor is mended when the floors have stopped to
 * move: when all that was deleted is forgotten.
 */
static void converge(struct sim *sim)
{
    int64_t ping_ms = period_ms(sim);
    int64_t begin_ms = sim->now_ms;
    int64_t frozen_ms = check_may_differ(sim) ? 2 * sim->times.horizon_ms : 0;
    char text[300];

    while (!check_equal(sim) && !sim->result.failed) {
        if (sim->now_ms - begin_ms > HEAL_MS + frozen_ms + HEAL_PINGS * ping_ms) {
            check_explain(sim, text, sizeof(text));
            sim_fail(sim, "I1", "not equal after %lld ms: %s", (long long)(sim->now_ms - begin_ms),
                     text);
            return;
        }
        sim_run_until(sim, sim->now_ms + 500);
    }
    if (sim->now_ms - begin_ms > sim->result.equal_ms) {
        sim->result.equal_ms = sim->now_ms - begin_ms;
    }
}

static unsigned count_open(const struct sim *sim)
{
    unsigned n = 0;

    for (unsigned i = 0; i < sim->n_users; i++) {
        n += sim->users[i].n_open;
    }
    return n;
}

/*
 * Clients repeat rarely by now, and are slow to take back what they have told.  A broker that queues
 * little lets few of many writes through each time: nobody waits in vain as long as they get fewer.
 */
static void satisfy_users(struct sim *sim)
{
    int64_t end_ms = sim->now_ms + USERS_MS;
    unsigned least = count_open(sim);

    while (!check_users(sim, sim->now_ms >= end_ms) && !sim->result.failed) {
        sim_run_until(sim, sim->now_ms + 5000);
        if (count_open(sim) < least) {
            least = count_open(sim);
            end_ms = sim->now_ms + USERS_MS;
        }
    }
}

/* Nothing is said but pings. */
static void check_quiet(struct sim *sim)
{
    uint64_t n_published;

    sim_run_until(sim, sim->now_ms + QUIET_PINGS * sim->times.ping_ms);
    n_published = sim->n_published;
    sim_run_until(sim, sim->now_ms + QUIET_PINGS * sim->times.ping_ms);
    if (sim->n_published != n_published) {
        sim_fail(sim, "I13", "%llu messages while there was nothing to tell",
                 (unsigned long long)(sim->n_published - n_published));
    }
}

/*
 * When all members are there, what is deleted is forgotten everywhere after a horizon, and then
 * nobody writes to his disk any more.
 */
static void check_rest(struct sim *sim)
{
    int64_t ping_ms = period_ms(sim);
    uint64_t n_commits = 0;

    if (sim->result.failed || !check_members(sim)) {
        return;
    }
    sim_run_until(sim, sim->now_ms + GIVE_UP_MS + sim->times.horizon_ms + FORGET_PINGS * ping_ms);
    check_forgotten(sim);
    for (unsigned i = 0; i < 2; i++) {
        uint64_t n = check_commits(sim);

        if (i == 1 && n != n_commits) {
            sim_fail(sim, "I13", "%llu commits while there was nothing to store",
                     (unsigned long long)(n - n_commits));
        }
        n_commits = n;
        sim_run_until(sim, sim->now_ms + QUIET_PINGS * ping_ms);
    }
    reach(&sim->reach, REACH_REST);
}

static bool is_any_ready(const struct sim *sim)
{
    for (unsigned i = 0; i < sim->n_machines; i++) {
        if (machine_ready(&sim->machines[i])) {
            return true;
        }
    }
    return false;
}

/* If all that is left has been restored, somebody has to say that this is all there is. */
static void help_restored(struct sim *sim)
{
    for (unsigned i = 0; i < HELP_S; i++) {
        if (is_any_ready(sim) || sim->result.failed) {
            return;
        }
        sim_run_until(sim, sim->now_ms + 1000);
    }
    for (unsigned i = 0, n = 0; i < sim->n_machines; i++) {
        struct machine *machine = &sim->machines[i];

        if (machine->exists && !machine->gone && n++ == 0) {
            reach(&sim->reach, REACH_ACCEPTED);
            machine->accept_restored = true;
            machine_kill(sim, machine, false);
        } else {
            machine->held = (struct record){0}; /* given up by him who accepts the first one */
        }
    }
}

static void heal(struct sim *sim)
{
    step_heal(sim);
    sim_run_until(sim, sim->now_ms + sim->times.ping_ms);
    help_restored(sim);
    converge(sim);
    while (sim->n_astray > 0 && !sim->result.failed) {
        sim_run_until(sim, sim->now_ms + sim->times.ping_ms);
    }
    satisfy_users(sim);
    converge(sim);
    check_quiet(sim);
    check_rest(sim);
    converge(sim);
    if (!sim->result.failed) {
        check_end(sim);
    }
}

/* How it begins. */

static void draw_net(struct sim *sim)
{
    bool slow = sim->rates.of[FAULT_SLOW] > 0;
    bool narrow = sim->rates.of[FAULT_NARROW] > 0;
    int64_t ping_ms = 1000 * (2 + (int64_t)prng_below(&sim->prng, 9));
    int64_t n_pings = 3 + (int64_t)prng_below(&sim->prng, 12); /* in a horizon */

    sim->net.delay_max_ms =
        slow ? 2000 : (int64_t)prng_below(&sim->prng, 1 + prng_below(&sim->prng, 30));
    sim->net.patience_ms = 3000 + (int64_t)prng_below(&sim->prng, 60000);
    sim->limits = (struct broker_limits){
        .in_flight_max = narrow ? 20 : 65535,
        .queue_max = narrow ? 5 : 1000,
        .payload_max = sim->rates.of[FAULT_OVERSIZE] > 0 ? 200 : 0,
    };
    sim->times = (struct mkv_cluster_times){.ping_ms = ping_ms,
                                            .join_wait_ms = 1000,
                                            .horizon_ms = ping_ms * n_pings,
                                            .grace_ms = 500,
                                            .query_ms = 300};
}

static void draw_brokers(struct sim *sim)
{
    unsigned draw = (unsigned)prng_below(&sim->prng, 10);

    sim->n_brokers = draw < 5 ? 1 : draw < 8 ? 2 : 3;
    for (unsigned i = 0; i < sim->n_brokers; i++) {
        broker_init(sim, i);
        sim->n_hosts++;
        if (i > 0) {
            sim->bridges[sim->n_bridges++] =
                (struct bridge){.from = i, .to = (unsigned)prng_below(&sim->prng, i)};
        }
    }
    if (sim->rates.of[FAULT_LOOP] > 0 && sim->n_brokers > 1) {
        sim->bridges[sim->n_bridges++] = (struct bridge){.from = 0, .to = sim->n_brokers - 1};
    }
    broker_bridges_start(sim);
}

static void draw_machines(struct sim *sim)
{
    unsigned n_first = 1 + (unsigned)prng_below(&sim->prng, 3);

    sim->n_machines = n_first + (unsigned)prng_below(&sim->prng, SIM_MACHINES_MAX - n_first + 1);
    if (sim->options.n_machines > 0 && sim->n_machines > sim->options.n_machines) {
        sim->n_machines = sim->options.n_machines;
    }
    for (unsigned i = 0; i < sim->n_machines; i++) {
        struct machine *machine = &sim->machines[i];
        unsigned broker = (unsigned)prng_below(&sim->prng, sim->n_brokers);

        machine_init(sim, i, broker);
        if (sim->rates.of[FAULT_SKEW] > 0) {
            machine->clock.offset_ms = (int64_t)prng_below(&sim->prng, 20000) - 10000;
        }
        if (sim->rates.of[FAULT_UNTRUSTED] > 0) {
            machine->clock.trusted = prng_below(&sim->prng, 2) == 0;
        }
        if (i < n_first) {
            machine->exists = true;
            machine->down_until_ms =
                sim->now_ms + 1 +
                (int64_t)prng_below(&sim->prng, 1 + prng_below(&sim->prng, 30000));
        }
    }
}

static void draw_users(struct sim *sim)
{
    sim->n_users = 1 + (unsigned)prng_below(&sim->prng, SIM_USERS_MAX);
    for (unsigned i = 0; i < sim->n_users; i++) {
        unsigned broker = (unsigned)prng_below(&sim->prng, sim->n_brokers);
        unsigned machine = (unsigned)prng_below(&sim->prng, sim->n_machines);
        bool asks = prng_below(&sim->prng, 4) == 0;

        user_init(sim, i, broker);
        user_start(sim, &sim->users[i], asks ? NULL : &sim->machines[machine],
                   prng_below(&sim->prng, 2) == 0);
    }
    sim->n_rudes = SIM_RUDES_MAX;
    for (unsigned i = 0; i < sim->n_rudes; i++) {
        rude_init(sim, i);
    }
    boss_init(sim);
}

static void begin(struct sim *sim)
{
    struct prng prng = {sim->options.seed};

    sim->prng.state = prng_next(&prng);
    sim->rates = fault_draw(&prng);
    plan_draw(&sim->plan, &prng, &sim->rates);
    for (unsigned i = 0; i < FAULTS_N; i++) { /* after the drawing: the rest is as it was */
        sim->rates.of[i] = sim->options.allowed[i] ? sim->rates.of[i] : 0;
    }
    sim->now_ms = START_MS;
    draw_net(sim);
    oracle_init(&sim->oracle,
                1 + (unsigned)prng_below(&sim->prng, 1 + prng_below(&sim->prng, ORACLE_PATHS_MAX)));
    draw_brokers(sim);
    draw_machines(sim);
    draw_users(sim);
    for (unsigned i = 0; i < FAULTS_N; i++) {
        sim->reach.faults[i] += fault_kind((enum fault)i) != FAULT_STEP && sim->rates.of[i] > 0;
    }
}

static void end(struct sim *sim)
{
    for (unsigned i = 0; i < sim->n_users; i++) {
        user_deinit(&sim->users[i]);
    }
    for (unsigned i = 0; i < sim->n_machines; i++) {
        machine_deinit(&sim->machines[i]);
    }
    for (unsigned i = 0; i < sim->n_brokers; i++) {
        broker_deinit(&sim->brokers[i]);
    }
    queue_deinit(&sim->queue);
    net_deinit(&sim->net);
    oracle_deinit(&sim->oracle);
    sessions_deinit(&sim->sessions);
}

void sim_run(const struct sim_options *options, struct sim_result *ret_result)
{
    static struct sim sim;

    memset(&sim, 0, sizeof(sim));
    sim.options = *options;
    rules_reset(options->rule_off);
    begin(&sim);
    sim_run_until(&sim, sim.now_ms + 1 + (int64_t)prng_below(&sim.prng, 30000));
    storm(&sim);
    if (!sim.result.failed) {
        heal(&sim);
    }
    sim.result.virtual_ms = sim.now_ms;
    memcpy(sim.reach.rules, rules_counts(), sizeof(sim.reach.rules));
    sim.result.reached = sim.reach;
    sim.result.rates = sim.rates;
    sim.result.plan = sim.plan;
    end(&sim);
    *ret_result = sim.result;
}
