/* SPDX-License-Identifier: Apache-2.0 */
#include "machine.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/limits.h"
#include "sim.h"
#include "wire/topic.h"

#define MQTT_RETRY_MS 1000
#define RESTART_MS    1000 /* after a failure */
#define STOPPED_MS    20000

static void after(struct sim *sim, struct machine *machine);

static const char *const services[] = {"query", "birth", "act", "server"};

/* Time. */

struct mkv_now machine_now(const struct sim *sim, const struct machine *machine)
{
    const struct clock *clock = &machine->clock;
    int64_t shown = clock->stuck ? clock->stuck_ms : sim_true_ms(sim) + clock->offset_ms;
    struct mkv_now now = {.ms = sim->now_ms, .calendar_ms = shown > 0 ? (uint64_t)shown : 0};

    now.wall_ms = clock->trusted ? now.calendar_ms : 0;
    return now;
}

bool machine_ready(const struct machine *machine)
{
    return machine->node != NULL && mkv_server_node_ready(machine->node);
}

/* Links. */

static struct machine_link *link_numbered(struct machine *machine, uint64_t number)
{
    for (unsigned i = 0; i < MACHINE_LINKS_MAX; i++) {
        if (machine->links[i].pipe != NULL && machine->links[i].number == number) {
            return &machine->links[i];
        }
    }
    return NULL;
}

static struct machine_link *link_of(struct machine *machine, const struct pipe *pipe)
{
    for (unsigned i = 0; i < MACHINE_LINKS_MAX; i++) {
        if (machine->links[i].pipe == pipe) {
            return &machine->links[i];
        }
    }
    return NULL;
}

static struct machine_link *add_link(struct machine *machine,
                                     struct pipe *pipe,
                                     unsigned side,
                                     uint64_t number)
{
    unsigned i = 0;

    while (i < MACHINE_LINKS_MAX && machine->links[i].pipe != NULL) {
        i++;
    }
    MKV_ASSERT(i < MACHINE_LINKS_MAX);
    machine->links[i] = (struct machine_link){.pipe = pipe, .side = side, .number = number};
    return &machine->links[i];
}

static void send_frames(struct sim *sim, struct machine_link *link, struct mkv_bytes frames)
{
    net_send(sim, link->pipe, link->side,
             (struct letter){.kind = LETTER_FRAMES,
                             .parcel = parcel_new(mkv_bytes(NULL, 0), frames, 0)});
}

static void acked(struct sim *sim,
                  struct machine *machine,
                  struct machine_link *link,
                  uint64_t counter)
{
    if (counter > link->acked) {
        oracle_acked(sim, machine, link->seq, link->acked + 1, counter);
        link->acked = counter;
    }
}

/* What the server says over a link, for the oracle. */
static void overhear_frame(struct sim *sim,
                           struct machine *machine,
                           struct machine_link *link,
                           const struct mkv_frame *frame)
{
    switch (frame->kind) {
    case MKV_FRAME_SESSION:
        link->seq = frame->session.seq;
        check_session(sim, machine, link->pipe, frame);
        acked(sim, machine, link, frame->session.acked);
        break;
    case MKV_FRAME_ACK:
        acked(sim, machine, link, frame->ack.counter);
        break;
    case MKV_FRAME_NACK:
        reach(&sim->reach, frame->nack.code == MKV_E_FUTURE ? REACH_NACK_FUTURE : REACH_NACK_VOID);
        oracle_excuse(sim, machine, link->seq, frame->nack.counter, frame->nack.counter);
        break;
    case MKV_FRAME_CONFLICT:
        reach(&sim->reach, frame->conflict.class_ == 0 ? REACH_CONFLICT : REACH_CONFLICT_POSSIBLE);
        oracle_conflict(sim, machine, frame);
        break;
    case MKV_FRAME_REPEAT:
        reach(&sim->reach, REACH_REPEAT_ASKED);
        break;
    default:
        break;
    }
}

static void overhear(struct sim *sim,
                     struct machine *machine,
                     struct machine_link *link,
                     struct mkv_bytes stream)
{
    while (stream.len > 0) {
        struct mkv_frame frame;
        struct mkv_bytes map;
        size_t used = 0;

        if (mkv_frame_cut(stream, &map, &used) != 0 || used == 0 ||
            mkv_frame_decode(map, &frame) != 0) {
            sim_fail(sim, "FRAME", "%s sends what is no frame", machine->name);
            return;
        }
        overhear_frame(sim, machine, link, &frame);
        stream = mkv_bytes_after(stream, used);
    }
}

static void dial(struct sim *sim, struct machine *machine, const struct mkv_output *output)
{
    const struct machine *other = sim_machine_at(sim, output->payload);
    struct pipe *pipe;

    if (other == NULL) {
        sim_fail(sim, "DIAL", "%s dials an unknown address", machine->name);
        return;
    }
    pipe = net_open(
        sim, (struct end){.kind = END_MACHINE_LINK, .host = machine->host, .index = machine->index},
        (struct end){.kind = END_MACHINE_LINK, .host = other->host, .index = other->index},
        (struct letter){.kind = LETTER_OPEN});
    add_link(machine, pipe, 0, output->link);
}

/* The broker. */

static void try_mqtt(struct sim *sim, struct event *event)
{
    struct machine *machine = event->subject;

    if (machine->node == NULL || event->a != machine->boots || machine->mqtt != NULL) {
        return;
    }
    machine->mqtt_again = false;
    machine->mqtt = net_open(
        sim, (struct end){.kind = END_MACHINE_MQTT, .host = machine->host, .index = machine->index},
        (struct end){.kind = END_BROKER,
                     .host = sim->brokers[machine->broker].host,
                     .index = machine->broker},
        (struct letter){.kind = LETTER_CONNECT});
}

static void plan_mqtt(struct sim *sim, struct machine *machine, int64_t ms)
{
    if (!machine->mqtt_again) {
        machine->mqtt_again = true;
        queue_push(&sim->queue, (struct event){.at_ms = sim->now_ms + ms,
                                               .run = try_mqtt,
                                               .subject = machine,
                                               .a = machine->boots});
    }
}

static void subscribe(struct sim *sim, struct machine *machine)
{
    struct mkv_buf topic;
    unsigned n = sizeof(services) / sizeof(services[0]);

    mkv_buf_init(&topic, MKV_TOPIC_MAX);
    for (unsigned i = 0; i <= n; i++) {
        int error;

        mkv_buf_clear(&topic);
        error = i < n ? mkv_topic_of_svc(sim_root, services[i], &topic)
                      : mkv_topic_filter(sim_root, MKV_PROFILE_PLAIN, mkv_bytes(NULL, 0), &topic);
        MKV_ASSERT(error == 0);
        net_send(
            sim, machine->mqtt, 0,
            (struct letter){.kind = LETTER_SUBSCRIBE,
                            .cookie = i,
                            .parcel = parcel_new(mkv_buf_bytes(&topic), mkv_bytes(NULL, 0), 0)});
    }
    mkv_buf_deinit(&topic);
}

static void publish(struct sim *sim, struct machine *machine, const struct mkv_output *output)
{
    struct mkv_ping ping;

    if (mkv_topic_is_svc(sim_root, "act", output->topic)) {
        if (mkv_ping_decode(output->payload, &ping) != 0) {
            sim_fail(sim, "PING", "%s sends a malformed ping", machine->name);
            return;
        }
        machine->pings++;
        check_ping(sim, machine, &ping);
    } else if (mkv_topic_is_svc(sim_root, "server", output->topic)) {
        reach(&sim->reach, REACH_QUERIED);
    } else {
        oracle_stamped(sim, machine, output->topic, output->payload);
    }
    if (machine->hears) {
        net_send(
            sim, machine->mqtt, 0,
            (struct letter){.kind = LETTER_PUBLISH,
                            .parcel = parcel_new(output->topic, output->payload, output->qos)});
    }
}

/* What it says. */

static void log_line(struct sim *sim, struct machine *machine, const struct mkv_output *output)
{
    sim_trace(sim, "%s log %d: %.*s", machine->name, (int)output->level, (int)output->payload.len,
              (const char *)output->payload.at);
}

static void stop(struct sim *sim, struct machine *machine, const struct mkv_output *output)
{
    sim_trace(sim, "%s stops: %.*s", machine->name, (int)output->payload.len,
              (const char *)output->payload.at);
    machine->down_until_ms = sim->now_ms + STOPPED_MS;
}

static void closed_link(struct sim *sim, struct event *event)
{
    struct machine *machine = event->subject;

    if (machine->node != NULL && machine->boots == event->b) {
        mkv_server_node_link_closed(machine->node, machine_now(sim, machine), event->a);
        after(sim, machine);
    }
}

/* The server learns of it like of any other end. */
static void close_link(struct sim *sim, struct machine *machine, struct machine_link *link)
{
    net_close(sim, link->pipe, link->side);
    link->pipe = NULL;
    queue_push(&sim->queue, (struct event){.at_ms = sim->now_ms,
                                           .run = closed_link,
                                           .subject = machine,
                                           .a = link->number,
                                           .b = machine->boots});
}

static void carry(struct sim *sim, struct machine *machine, const struct mkv_output *output)
{
    struct machine_link *link = NULL;

    if (output->kind == MKV_OUTPUT_SEND || output->kind == MKV_OUTPUT_CLOSE) {
        link = link_numbered(machine, output->link);
    }
    switch (output->kind) {
    case MKV_OUTPUT_SEND:
        if (link != NULL) {
            overhear(sim, machine, link, output->payload);
            send_frames(sim, link, output->payload);
        }
        break;
    case MKV_OUTPUT_CLOSE:
        if (link != NULL) {
            close_link(sim, machine, link);
        }
        break;
    case MKV_OUTPUT_PUBLISH:
        publish(sim, machine, output);
        break;
    case MKV_OUTPUT_DIAL:
        dial(sim, machine, output);
        break;
    case MKV_OUTPUT_STOP:
        stop(sim, machine, output);
        break;
    case MKV_OUTPUT_LOG:
        log_line(sim, machine, output);
        break;
    }
}

/* To be called after each call of the node. */
static void after(struct sim *sim, struct machine *machine)
{
    struct mkv_output output;

    oracle_look(sim, machine);
    if (machine->mute_in > 0 && --machine->mute_in == 0) {
        reach(&sim->reach, REACH_KILLED_MUTE);
        machine_kill(sim, machine, false);
        return;
    }
    while (mkv_server_node_output(machine->node, &output)) {
        carry(sim, machine, &output);
    }
    machine->deadline_ms = mkv_server_node_deadline(machine->node);
    if (mkv_server_node_error(machine->node) != 0) {
        machine->down_until_ms = sim->now_ms + RESTART_MS;
    }
    if (machine->down_until_ms > sim->now_ms) {
        machine_kill(sim, machine, false);
    }
}

/* What it hears. */

static void overhear_client(struct sim *sim,
                            struct machine *machine,
                            uint64_t number,
                            struct mkv_bytes map)
{
    const struct machine_link *link = link_numbered(machine, number);
    struct mkv_frame frame;

    if (link != NULL && link->seq != 0 && mkv_frame_decode(map, &frame) == 0 &&
        frame.kind == MKV_FRAME_VOID) {
        reach(&sim->reach, REACH_VOIDED);
        oracle_excuse(sim, machine, link->seq, frame.range.first, frame.range.last);
    }
}

static void take_frames(struct sim *sim,
                        struct machine *machine,
                        struct machine_link *link,
                        const struct letter *letter)
{
    struct mkv_bytes rest = letter->parcel->payload;
    uint64_t number = link->number;

    while (rest.len > 0 && machine->node != NULL) {
        struct mkv_bytes map;
        size_t used = 0;

        if (mkv_frame_cut(rest, &map, &used) != 0 || used == 0) {
            return;
        }
        overhear_client(sim, machine, number, map);
        mkv_server_node_frame(machine->node, machine_now(sim, machine), number, map);
        after(sim, machine);
        rest = mkv_bytes_after(rest, used);
    }
}

static void arrive_link(struct sim *sim,
                        struct machine *machine,
                        struct pipe *pipe,
                        unsigned side,
                        const struct letter *letter)
{
    struct machine_link *link = link_of(machine, pipe);
    struct mkv_now now = machine_now(sim, machine);

    if (letter->kind == LETTER_OPEN) {
        link = add_link(machine, pipe, side, ++machine->last_link);
        net_send(sim, pipe, side, (struct letter){.kind = LETTER_OPENED});
        mkv_server_node_link_opened(machine->node, now, link->number, MKV_PEER_LOOPBACK);
        after(sim, machine);
        return;
    }
    if (link == NULL) {
        return;
    }

    uint64_t number = link->number;

    switch (letter->kind) {
    case LETTER_OPENED:
        mkv_server_node_dialled(machine->node, now, number, 0);
        break;
    case LETTER_REFUSED:
        link->pipe = NULL;
        mkv_server_node_dialled(machine->node, now, number, MKV_E_NO_CONNECTION);
        break;
    case LETTER_CLOSED:
        link->pipe = NULL;
        if (side == 0 && !pipe->established) {
            mkv_server_node_dialled(machine->node, now, number, MKV_E_TIMEOUT);
        } else {
            mkv_server_node_link_closed(machine->node, now, number);
        }
        break;
    default:
        take_frames(sim, machine, link, letter);
        return;
    }
    after(sim, machine);
}

void machine_message(struct sim *sim, struct machine *machine, struct parcel *parcel)
{
    if (machine->node != NULL && machine->hears) {
        mkv_server_node_message(machine->node, machine_now(sim, machine), parcel->topic,
                                parcel->payload, false);
        after(sim, machine);
    }
}

static void broker_is(struct sim *sim, struct machine *machine, bool there)
{
    if (machine->hears != there) {
        machine->hears = there;
        mkv_server_node_broker(machine->node, machine_now(sim, machine), there);
        after(sim, machine);
    }
}

static void arrive_mqtt(struct sim *sim, struct machine *machine, const struct letter *letter)
{
    switch (letter->kind) {
    case LETTER_CONNACK:
        subscribe(sim, machine);
        break;
    case LETTER_ANSWER: /* the last subscription */
        if (letter->cookie == sizeof(services) / sizeof(services[0])) {
            broker_is(sim, machine, true);
        }
        break;
    case LETTER_PUBLISH:
        machine_message(sim, machine, letter->parcel);
        break;
    case LETTER_CLOSED:
    case LETTER_REFUSED:
        machine->mqtt = NULL;
        plan_mqtt(sim, machine, MQTT_RETRY_MS);
        broker_is(sim, machine, false);
        break;
    default:
        break;
    }
}

void machine_arrive(struct sim *sim, struct pipe *pipe, unsigned side, const struct letter *letter)
{
    struct machine *machine = &sim->machines[pipe->ends[side].index];

    if (machine->node == NULL) {
        if (letter->kind == LETTER_OPEN) {
            net_send(sim, pipe, side, (struct letter){.kind = LETTER_REFUSED});
        }
        return;
    }
    if (pipe->ends[side].kind == END_MACHINE_LINK) {
        arrive_link(sim, machine, pipe, side, letter);
    } else if (machine->mqtt == pipe) {
        arrive_mqtt(sim, machine, letter);
    }
}

void machine_wake(struct sim *sim, struct machine *machine)
{
    mkv_server_node_time(machine->node, machine_now(sim, machine));
    after(sim, machine);
}

/* Coming and going. */

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
    if (error == 0 && (machine->damaged || machine->replaced)) {
        oracle_look_anew(sim, machine, machine->damaged);
        machine->damaged = false;
        machine->replaced = false;
    }
    if (error == 0 && ret_report->lost) {
        machine->ping.floor = 0; /* it reads all again */
    }
    if (error == 0 && ret_report->n_corrupt > 0) {
        oracle_excuse_all(sim, machine);
        reach(&sim->reach, REACH_ROW_LOST);
    }
    if (error == 0 && ret_report->lost) {
        machine->ping.floor = 0; /* below which it has everything: not so any more */
    }
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
    after(sim, machine);
    if (machine->node != NULL) {
        plan_mqtt(sim, machine, 1);
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
    machine->node = NULL;
    machine->store = NULL;
    machine->mqtt = NULL;
    machine->hears = false;
    machine->mute_in = 0;
    machine->deadline_ms = INT64_MAX;
    memset(machine->links, 0, sizeof(machine->links));
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
    after(sim, machine);
    if (machine->node != NULL) {
        mkv_server_node_flush(machine->node, machine_now(sim, machine));
        after(sim, machine);
    }
    machine_kill(sim, machine, false);
}

void machine_lose_disk(struct machine *machine)
{
    mkv_disk_free(machine->disk);
    machine->disk = NULL;
    memcpy(machine->lost_uuid, machine->uuid, sizeof(machine->lost_uuid));
    machine->has_lost = true;
    machine->evicted = false;
    machine->forgetful = true;
    machine->last = (struct record){0};
    machine->top = (struct record){0};
    machine->held = (struct record){0};
    machine->seen = (struct mkv_digest){0};
    machine->ping = (struct mkv_ping){0};
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
        machine->held = (struct record){0};
    }
}

void machine_eviction_done(struct machine *machine, const uint8_t uuid[MKV_STORE_ID_LEN])
{
    if (memcmp(uuid, machine->lost_uuid, MKV_STORE_ID_LEN) == 0) {
        machine->has_lost = false;
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
    machine->replaced = true;
    machine->forgetful = true;
    machine->n_acks = 0;
    machine->top = backup->top;
    machine->held = (struct record){0};
    if (memcmp(machine->uuid, backup->uuid, MKV_STORE_ID_LEN) != 0) {
        memcpy(machine->lost_uuid, machine->uuid, sizeof(machine->lost_uuid));
        machine->has_lost = true;
    }
    machine->ping = (struct mkv_ping){0};
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
}
