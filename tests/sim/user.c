/* SPDX-License-Identifier: Apache-2.0 */
#include "user.h"

#include <stdio.h>

#include "base/assert.h"
#include "sim.h"

#define MQTT_RETRY_MS 1000

static void after(struct sim *sim, struct user *user);

/* The link. */

static void drop_link(struct sim *sim, struct user *user)
{
    if (user->link != NULL) {
        net_close(sim, user->link, 0);
        user->link = NULL;
    }
}

static void dial(struct sim *sim, struct user *user, struct mkv_bytes address)
{
    const struct machine *machine = sim_machine_at(sim, address);

    drop_link(sim, user);
    if (machine == NULL) {
        sim_fail(sim, "DIAL", "user %u dials an unknown address", user->index);
        return;
    }
    user->link = net_open(
        sim,
        (struct end){
            .kind = END_USER_LINK, .host = user->host, .index = user->index, .number = user->life},
        (struct end){.kind = END_MACHINE_LINK, .host = machine->host, .index = machine->index},
        (struct letter){.kind = LETTER_OPEN});
}

/* The broker. */

static void drop_mqtt(struct sim *sim, struct user *user)
{
    if (user->mqtt != NULL) {
        net_close(sim, user->mqtt, 0);
        user->mqtt = NULL;
    }
    user->mqtt_up = false;
}

static void connect_mqtt(struct sim *sim, struct user *user)
{
    drop_mqtt(sim, user);
    user->mqtt =
        net_open(sim, (struct end){.kind = END_USER_MQTT, .host = user->host, .index = user->index},
                 (struct end){.kind = END_BROKER,
                              .host = sim->brokers[user->mqtt_target].host,
                              .index = user->mqtt_target},
                 (struct letter){.kind = LETTER_CONNECT});
}

static void try_mqtt(struct sim *sim, struct event *event)
{
    struct user *user = event->subject;

    if (user->alive && user->life == event->a && user->mqtt_wanted && user->mqtt == NULL) {
        connect_mqtt(sim, user);
    }
}

static void plan_mqtt(struct sim *sim, struct user *user)
{
    queue_push(&sim->queue, (struct event){.at_ms = sim->now_ms + MQTT_RETRY_MS,
                                           .run = try_mqtt,
                                           .subject = user,
                                           .a = user->life});
}

static void carry_mqtt(struct sim *sim, struct user *user, const struct mkv_client_output *output)
{
    bool publishes = output->kind == MKV_CLIENT_MQTT_PUBLISH;

    if (publishes) {
        oracle_published(sim, output->text, output->payload, false);
    }
    if (!user->mqtt_up) {
        mkv_client_node_mqtt_answered(&user->node, sim->now_ms, output->cookie, MKV_E_NO_CONNECTION,
                                      mkv_bytes(NULL, 0));
        return;
    }
    net_send(sim, user->mqtt, 0,
             (struct letter){
                 .kind = publishes                                   ? LETTER_PUBLISH
                         : output->kind == MKV_CLIENT_MQTT_SUBSCRIBE ? LETTER_SUBSCRIBE
                                                                     : LETTER_UNSUBSCRIBE,
                 .cookie = output->cookie,
                 .parcel = parcel_new(output->text, output->payload, publishes ? output->qos : 0),
             });
}

/* What the application is told. */

/*
 * An entry never goes back but by being withdrawn (I15).  A deletion that all have forgotten is one that
 * nobody can tell from nothing, when an older state comes back with a disk.
 */
static void told(struct sim *sim, struct user *user, const struct mkv_client_output *output)
{
    struct known now = {0};
    unsigned key;

    if (output->watch == MKV_CLIENT_WATCH_SYNCED) {
        user->synced = true;
        return;
    }
    key = oracle_key(&sim->oracle, output->key);
    if (output->watch == MKV_CLIENT_WATCH_WITHDRAWN) {
        reach(&sim->reach, REACH_WATCH_WITHDRAWN);
        user->told[key].has = false;
        return;
    }
    struct mkv_head head = mkv_head_of(output->entry);

    known_set(&now, &head);
    if (!known_less(&user->told[key], &now) &&
        !(sim_disks_went_back(sim) && !user->told[key].head.present)) {
        sim_fail(sim, "I15", "user %u is told of path %u what is not newer", user->index, key);
    }
    known_set(&user->told[key], &head);
}

static void done(struct sim *sim, struct user *user, const struct mkv_client_output *output)
{
    if (output->id < USER_WRITES_MAX && user->status[output->id] == 1) {
        user->status[output->id] = output->status;
        user->n_open--;
    }
    (void)sim;
}

static void notice(struct sim *sim, const struct mkv_client_output *output)
{
    if (output->notice == MKV_CLIENT_REPAIRED) {
        reach(&sim->reach, REACH_WATCH_REPAIRED);
    } else if (output->notice == MKV_CLIENT_STORING && output->status != 0) {
        reach(&sim->reach, REACH_READ_ONLY);
    }
}

static void carry(struct sim *sim, struct user *user, const struct mkv_client_output *output)
{
    switch (output->kind) {
    case MKV_CLIENT_LINK_CONNECT:
        dial(sim, user, output->text);
        break;
    case MKV_CLIENT_LINK_PROVE: /* nobody logs in by password here */
        break;
    case MKV_CLIENT_LINK_SEND:
        if (user->link != NULL) {
            net_send(sim, user->link, 0,
                     (struct letter){.kind = LETTER_FRAMES,
                                     .parcel = parcel_new(mkv_bytes(NULL, 0), output->payload, 0)});
        }
        break;
    case MKV_CLIENT_LINK_CLOSE:
        drop_link(sim, user);
        break;
    case MKV_CLIENT_MQTT_CONNECT:
    case MKV_CLIENT_MQTT_REDIRECT:
        user->mqtt_target = sim_broker_at(
            sim, output->kind == MKV_CLIENT_MQTT_CONNECT ? output->broker.address : output->text);
        if (output->kind == MKV_CLIENT_MQTT_CONNECT) {
            user->mqtt_wanted = true;
            connect_mqtt(sim, user);
        }
        break;
    case MKV_CLIENT_MQTT_DISCONNECT:
        user->mqtt_wanted = false;
        drop_mqtt(sim, user);
        break;
    case MKV_CLIENT_MQTT_SUBSCRIBE:
    case MKV_CLIENT_MQTT_UNSUBSCRIBE:
    case MKV_CLIENT_MQTT_PUBLISH:
        carry_mqtt(sim, user, output);
        break;
    case MKV_CLIENT_TELL:
        told(sim, user, output);
        break;
    case MKV_CLIENT_DONE:
        done(sim, user, output);
        break;
    case MKV_CLIENT_NOTICE:
        notice(sim, output);
        break;
    case MKV_CLIENT_LOST:
    case MKV_CLIENT_ROW:
    case MKV_CLIENT_CHILD:
    case MKV_CLIENT_FACT:
        break;
    }
}

/* To be called after each call of the node. */
static void after(struct sim *sim, struct user *user)
{
    struct mkv_client_output *output;

    while ((output = mkv_client_effects_take(&user->node.effects)) != NULL) {
        carry(sim, user, output);
        mkv_client_output_free(output);
    }
    user->deadline_ms = mkv_client_deadline_ms(&user->node.client);
}

/* What arrives. */

static void take_frames(struct sim *sim, struct user *user, const struct letter *letter)
{
    struct mkv_bytes rest = letter->parcel->payload;
    const struct pipe *pipe = user->link;

    while (rest.len > 0 && user->link == pipe) {
        struct mkv_bytes map;
        size_t used = 0;

        if (mkv_frame_cut(rest, &map, &used) != 0 || used == 0) {
            return;
        }
        mkv_client_node_link_frame(&user->node, sim->now_ms, map);
        after(sim, user);
        rest = mkv_bytes_after(rest, used);
    }
}

static void arrive_link(struct sim *sim, struct user *user, const struct letter *letter)
{
    switch (letter->kind) {
    case LETTER_OPENED:
        mkv_client_node_link_opened(&user->node, sim->now_ms);
        break;
    case LETTER_REFUSED:
    case LETTER_CLOSED:
        user->link = NULL;
        mkv_client_node_link_closed(&user->node, sim->now_ms, MKV_E_NO_CONNECTION,
                                    mkv_bytes_of("gone"));
        break;
    default:
        take_frames(sim, user, letter);
        return;
    }
    after(sim, user);
}

static void arrive_mqtt(struct sim *sim, struct user *user, const struct letter *letter)
{
    switch (letter->kind) {
    case LETTER_CONNACK:
        user->mqtt_up = true;
        mkv_client_node_mqtt_connected(&user->node, sim->now_ms);
        break;
    case LETTER_ANSWER:
        mkv_client_node_mqtt_answered(&user->node, sim->now_ms, letter->cookie, 0,
                                      mkv_bytes(NULL, 0));
        break;
    case LETTER_PUBLISH:
        mkv_client_node_mqtt_message(&user->node, sim->now_ms, letter->parcel->topic,
                                     letter->parcel->payload, false);
        break;
    case LETTER_REFUSED:
    case LETTER_CLOSED:
        user->mqtt = NULL;
        user->mqtt_up = false;
        mkv_client_node_mqtt_disconnected(&user->node, sim->now_ms, MKV_E_NO_CONNECTION,
                                          mkv_bytes_of("gone"), false);
        plan_mqtt(sim, user);
        break;
    default:
        return;
    }
    after(sim, user);
}

void user_arrive(struct sim *sim, struct pipe *pipe, unsigned side, const struct letter *letter)
{
    struct user *user = &sim->users[pipe->ends[side].index];

    if (!user->alive) {
        return;
    }
    if (pipe == user->link) {
        arrive_link(sim, user, letter);
    } else if (pipe == user->mqtt) {
        arrive_mqtt(sim, user, letter);
    }
}

void user_message(struct sim *sim, struct user *user, struct parcel *parcel)
{
    if (user->alive && user->mqtt_up) {
        arrive_mqtt(sim, user, &(struct letter){.kind = LETTER_PUBLISH, .parcel = parcel});
    }
}

bool user_connected(const struct user *user)
{
    return user->alive && user->node.client.phase == MKV_CLIENT_UP;
}

void user_wake(struct sim *sim, struct user *user)
{
    mkv_client_node_tick(&user->node, sim->now_ms);
    after(sim, user);
}

/* What it does. */

static bool order(struct sim *sim, struct user *user, struct mkv_client_order *order)
{
    int error;

    order->id = user->last_id + 1;
    error = mkv_client_node_order(&user->node, sim->now_ms, order);
    if (error == 0) {
        user->last_id++;
        after(sim, user);
    }
    return error == 0;
}

void user_write(
    struct sim *sim, struct user *user, unsigned key, const uint8_t *value, size_t len, bool blind)
{
    struct mkv_client_order write = {.kind = MKV_CLIENT_WRITE,
                                     .key = mkv_buf_bytes(&sim->oracle.keys[key]),
                                     .present = value != NULL,
                                     .blind = blind,
                                     .value = mkv_bytes(value, len)};
    uint64_t id = user->last_id + 1;

    if (!user->alive || id >= USER_WRITES_MAX) {
        return;
    }
    user->status[id] = 1;
    user->n_open++;
    if (!order(sim, user, &write)) {
        user->status[id] = 0;
        user->n_open--;
    }
}

void user_start(struct sim *sim, struct user *user, const struct machine *machine, bool watches)
{
    char broker[16];
    struct mkv_client_config config = {
        .root = sim_root,
        .software = mkv_bytes_of("sim"),
        .host = mkv_bytes_of("user"),
        .seed = prng_next(&sim->prng),
    };
    int error;

    (void)snprintf(broker, sizeof(broker), "mqtt://b%u:1", user->broker % 10);
    config.broker = mkv_bytes_of(broker);
    if (machine != NULL) {
        config.servers.n = 1;
        config.servers.at[0] = mkv_bytes_of(machine->address);
    }
    error = mkv_client_node_init(&user->node, &config);
    MKV_ASSERT(error == 0);
    user->alive = true;
    user->life++;
    user->last_id = 0;
    user->watch_id = 0;
    user->synced = false;
    user->n_open = 0;
    memset(user->told, 0, sizeof(user->told));
    memset(user->status, 0, sizeof(user->status));
    user_wake(sim, user);
    if (watches) {
        struct mkv_client_order watch = {.kind = MKV_CLIENT_WATCH};

        user->watch_id = 1;
        (void)order(sim, user, &watch);
    }
}

void user_die(struct sim *sim, struct user *user)
{
    if (user->alive) {
        mkv_client_node_deinit(&user->node);
        user->alive = false;
        user->link = NULL;
        user->mqtt = NULL;
        user->mqtt_up = false;
        user->mqtt_wanted = false;
        user->deadline_ms = INT64_MAX;
        net_host_dies(sim, user->host, false);
    }
}

void user_init(struct sim *sim, unsigned index, unsigned broker)
{
    sim->users[index] = (struct user){
        .index = index, .host = sim->n_hosts++, .broker = broker, .deadline_ms = INT64_MAX};
}

void user_deinit(struct user *user)
{
    if (user->alive) {
        mkv_client_node_deinit(&user->node);
    }
}
