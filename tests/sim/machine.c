/* SPDX-License-Identifier: Apache-2.0 */
#include "machine.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/limits.h"
#include "conflict.h"
#include "sim.h"
#include "wire/topic.h"

#define MQTT_RETRY_MS 1000
#define RESTART_MS    1000 /* after a failure */
#define STOPPED_MS    20000
#define PINGS_AUDITED 3 /* at each so many, its store is looked into */

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
    case MKV_FRAME_VOUCHED:
        check_vouched(sim, machine, &sim->machines[link->pipe->ends[1 - link->side].index],
                      &frame->vouched);
        break;
    case MKV_FRAME_CONFLICT:
        reach(&sim->reach, frame->conflict.class_ == 0 ? REACH_CONFLICT : REACH_CONFLICT_POSSIBLE);
        conflict_told(sim, machine, frame);
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

void machine_connect(struct sim *sim, struct machine *machine, int64_t ms)
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
        check_ping(sim, machine, &ping);
        if (ping.number % PINGS_AUDITED == 0 && !mkv_store_dirty(machine->store)) {
            audit_feed(sim, machine);
        }
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

static bool contains(struct mkv_bytes text, struct mkv_bytes part)
{
    while (text.len >= part.len && !mkv_bytes_starts_with(text, part)) {
        text = mkv_bytes_after(text, 1);
    }
    return text.len >= part.len;
}

static void log_line(struct sim *sim, struct machine *machine, const struct mkv_output *output)
{
    sim_trace(sim, "%s log %d: %.*s", machine->name, (int)output->level, (int)output->payload.len,
              (const char *)output->payload.at);
    if (contains(output->payload, mkv_bytes_of("all servers should have had for long"))) {
        check_heal(sim, machine);
    }
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
        machine_after(sim, machine);
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
    case MKV_OUTPUT_LOOK: /* only where the broker retains */
        break;
    case MKV_OUTPUT_DIAL:
        dial(sim, machine, output);
        break;
    case MKV_OUTPUT_SASL: /* nobody logs in by password here */
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
void machine_after(struct sim *sim, struct machine *machine)
{
    struct mkv_output output;

    if (sim->options.plants && !mkv_store_dirty(machine->store)) {
        audit_plant_commit(machine);
    }
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
        machine_after(sim, machine);
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
        mkv_server_node_link_opened(machine->node, now, link->number, MKV_PEER_SAME_USER);
        machine_after(sim, machine);
        return;
    }
    if (link == NULL) {
        return;
    }

    uint64_t number = link->number;

    switch (letter->kind) {
    case LETTER_OPENED:
        mkv_server_node_dialled(machine->node, now, number, 0, MKV_PEER_SAME_USER);
        break;
    case LETTER_REFUSED:
        link->pipe = NULL;
        mkv_server_node_dialled(machine->node, now, number, MKV_E_NO_CONNECTION,
                                MKV_PEER_SAME_USER);
        break;
    case LETTER_CLOSED:
        link->pipe = NULL;
        if (side == 0 && !pipe->established) {
            mkv_server_node_dialled(machine->node, now, number, MKV_E_TIMEOUT, MKV_PEER_SAME_USER);
        } else {
            mkv_server_node_link_closed(machine->node, now, number);
        }
        break;
    default:
        take_frames(sim, machine, link, letter);
        return;
    }
    machine_after(sim, machine);
}

void machine_message(struct sim *sim, struct machine *machine, struct parcel *parcel)
{
    if (machine->node != NULL && machine->hears) {
        mkv_server_node_message(machine->node, machine_now(sim, machine), parcel->topic,
                                parcel->payload, false);
        machine_after(sim, machine);
    }
}

static void broker_is(struct sim *sim, struct machine *machine, bool there)
{
    if (machine->hears != there) {
        machine->hears = there;
        mkv_server_node_broker(machine->node, machine_now(sim, machine), there);
        machine_after(sim, machine);
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
        machine_connect(sim, machine, MQTT_RETRY_MS);
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
    machine_after(sim, machine);
}
