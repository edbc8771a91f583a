/* SPDX-License-Identifier: Apache-2.0 */
#include "net.h"

#include <string.h>

#include "lib/check.h"
#include "lib/mem_fault.h"
#include "mail.h"

#define RECONNECT_MS 300

/* Between these two, memory may run out: clients have to live with it, the test need not. */
void net_enter_client(struct net *net)
{
    if (net->no_memory > 0 && prng_below(&net->prng, 1000) < net->no_memory) {
        mem_fault_at(1 + (unsigned)prng_below(&net->prng, 8));
    }
}

void net_leave_client(struct net *net)
{
    net->n_struck += mem_fault_struck();
    mem_fault_at(0);
}

static int64_t now_of(const struct net *net)
{
    return net->world.now.ms;
}

static int64_t some_delay_ms(struct net *net)
{
    return (int64_t)prng_below(&net->prng, (uint64_t)net->delay_max_ms + 1);
}

static void post_link(struct net *net, enum mail_kind kind, unsigned i, struct mkv_bytes payload)
{
    struct net_client *client = &net->clients[i];
    bool to_server = kind == MAIL_FRAME_TO_SERVER || kind == MAIL_CLOSED_TO_SERVER;
    int64_t *last_ms = to_server ? &client->to_server_ms : &client->to_client_ms;
    int64_t at_ms = now_of(net) + some_delay_ms(net);
    struct mail *message;

    if (at_ms < *last_ms) {
        at_ms = *last_ms;
    }
    *last_ms = at_ms;
    message = mail_new(kind, at_ms, mkv_bytes(NULL, 0), payload);
    message->client = i;
    message->channel = client->link;
    mail_post(&net->messages, message);
}

static void post_mqtt(struct net *net, enum mail_kind kind, unsigned i, uint64_t cookie)
{
    struct mail *message =
        mail_new(kind, now_of(net) + some_delay_ms(net), mkv_bytes(NULL, 0), mkv_bytes(NULL, 0));

    message->client = i;
    message->channel = net->clients[i].mqtt;
    message->cookie = cookie;
    mail_post(&net->messages, message);
}

static void post_try(struct net *net, unsigned i)
{
    struct mail *message = mail_new(MAIL_MQTT_TRY, now_of(net) + RECONNECT_MS + some_delay_ms(net),
                                    mkv_bytes(NULL, 0), mkv_bytes(NULL, 0));

    message->client = i;
    message->channel = net->clients[i].mqtt;
    mail_post(&net->messages, message);
}

/* The broker. */

static bool matches(struct mkv_bytes filter, struct mkv_bytes topic)
{
    if (filter.len >= 2 && filter.at[filter.len - 1] == '#') {
        struct mkv_bytes path = mkv_bytes(filter.at, filter.len - 2);

        return mkv_bytes_equal(topic, path) ||
               (mkv_bytes_starts_with(topic, path) && topic.at[path.len] == '/');
    }
    return mkv_bytes_equal(filter, topic);
}

static bool is_subscribed(const struct net_client *client, struct mkv_bytes topic)
{
    for (unsigned i = 0; i < client->n_filters; i++) {
        if (matches(mkv_buf_bytes(&client->filters[i]), topic)) {
            return true;
        }
    }
    return false;
}

static void deliver_to(struct net *net,
                       enum mail_kind kind,
                       unsigned i,
                       struct mkv_bytes topic,
                       struct mkv_bytes payload)
{
    unsigned copies = prng_below(&net->prng, 1000) < net->loss ? 0 : 1;

    if (prng_below(&net->prng, 1000) < net->repeats) {
        copies++;
    }
    for (; copies > 0; copies--) {
        struct mail *message = mail_new(kind, now_of(net) + some_delay_ms(net), topic, payload);

        message->client = i;
        message->channel = net->clients[i].mqtt;
        mail_post(&net->messages, message);
    }
}

static void broadcast(struct net *net, struct mkv_bytes topic, struct mkv_bytes payload)
{
    if (!net->broker_up) {
        return;
    }
    for (unsigned i = 0; i < NET_CLIENTS_MAX; i++) {
        struct net_client *client = &net->clients[i];

        if (client->exists && client->mqtt_up && is_subscribed(client, topic)) {
            deliver_to(net, MAIL_MQTT_TO_CLIENT, i, topic, payload);
        }
    }
    deliver_to(net, MAIL_MQTT_TO_SERVER, 0, topic, payload);
}

static void forget_filters(struct net_client *client)
{
    for (unsigned i = 0; i < client->n_filters; i++) {
        mkv_buf_deinit(&client->filters[i]);
    }
    client->n_filters = 0;
}

static void subscribe(struct net_client *client, struct mkv_bytes filter)
{
    struct mkv_buf *new = &client->filters[client->n_filters++];

    assert_true(client->n_filters <= NET_FILTERS_MAX);
    mkv_buf_init(new, MKV_TOPIC_MAX);
    assert_int_equal(mkv_buf_append(new, filter), 0);
}

static void unsubscribe(struct net_client *client, struct mkv_bytes filter)
{
    for (unsigned i = 0; i < client->n_filters; i++) {
        if (mkv_bytes_equal(mkv_buf_bytes(&client->filters[i]), filter)) {
            mkv_buf_deinit(&client->filters[i]);
            client->filters[i] = client->filters[--client->n_filters];
            return;
        }
    }
}

/* What a client wants. */

static void drop_link(struct net *net, unsigned i)
{
    if (net->clients[i].link != 0) {
        post_link(net, MAIL_CLOSED_TO_SERVER, i, mkv_bytes(NULL, 0));
        net->clients[i].link = 0;
    }
}

static void dial(struct net *net, unsigned i, struct mkv_bytes address)
{
    struct net_client *client = &net->clients[i];
    bool exists = mkv_bytes_equal(address, mkv_bytes_of("unix:/run/x"));

    drop_link(net, i);
    client->link = ++net->links;
    client->n_connects++;
    client->to_client_ms = client->to_server_ms = now_of(net);
    post_link(net, exists && net->server_up ? MAIL_LINK_OPENED : MAIL_LINK_REFUSED, i,
              mkv_bytes(NULL, 0));
}

static void drop_mqtt(struct net *net, unsigned i)
{
    net->clients[i].mqtt = 0;
    net->clients[i].mqtt_up = false;
    forget_filters(&net->clients[i]);
}

static void carry_mqtt(struct net *net, unsigned i, const struct mkv_client_output *output)
{
    struct net_client *client = &net->clients[i];

    if (!client->mqtt_up) {
        net_enter_client(net);
        mkv_client_node_mqtt_answered(&client->node, now_of(net), output->cookie,
                                      MKV_E_NO_CONNECTION, mkv_bytes(NULL, 0));
        net_leave_client(net);
        return;
    }
    if (output->kind == MKV_CLIENT_MQTT_SUBSCRIBE) {
        subscribe(client, output->text);
    } else {
        client->n_published++;
        broadcast(net, output->text, output->payload);
    }
    post_mqtt(net, MAIL_MQTT_ANSWER, i, output->cookie);
}

static void carry(struct net *net, unsigned i, const struct mkv_client_output *output)
{
    struct net_client *client = &net->clients[i];

    switch (output->kind) {
    case MKV_CLIENT_LINK_CONNECT:
        dial(net, i, output->text);
        break;
    case MKV_CLIENT_LINK_PROVE: /* nobody logs in by password here */
        break;
    case MKV_CLIENT_LINK_SEND:
        if (client->link != 0) {
            post_link(net, MAIL_FRAME_TO_SERVER, i, output->payload);
        }
        break;
    case MKV_CLIENT_LINK_CLOSE:
        drop_link(net, i);
        break;
    case MKV_CLIENT_MQTT_CONNECT:
        drop_mqtt(net, i);
        client->mqtt = ++net->last_number;
        client->mqtt_finding =
            mkv_bytes_starts_with(output->broker.client_id, mkv_bytes_of("moat-kv-find-"));
        post_mqtt(net, MAIL_MQTT_TRY, i, 0);
        break;
    case MKV_CLIENT_MQTT_REDIRECT:
        break;
    case MKV_CLIENT_MQTT_DISCONNECT:
        drop_mqtt(net, i);
        break;
    case MKV_CLIENT_MQTT_UNSUBSCRIBE:
        unsubscribe(client, output->text);
        break;
    case MKV_CLIENT_MQTT_SUBSCRIBE:
    case MKV_CLIENT_MQTT_PUBLISH:
        carry_mqtt(net, i, output);
        break;
    case MKV_CLIENT_ROW:
    case MKV_CLIENT_CHILD:
    case MKV_CLIENT_FACT:
    case MKV_CLIENT_LOST:
    case MKV_CLIENT_TELL:
    case MKV_CLIENT_DONE:
    case MKV_CLIENT_NOTICE:
        net->told(net->context, i, output);
        break;
    }
}

static void listen_to_client(struct net *net, unsigned i)
{
    struct mkv_client_output *output;

    while ((output = mkv_client_effects_take(&net->clients[i].node.effects)) != NULL) {
        carry(net, i, output);
        mkv_client_output_free(output);
    }
}

/* What the server wants. */

static unsigned client_of(const struct net *net, uint64_t link)
{
    unsigned i = 0;

    while (i < NET_CLIENTS_MAX && (!net->clients[i].exists || net->clients[i].link != link)) {
        i++;
    }
    return i;
}

static void listen_to_server(struct net *net)
{
    struct mkv_output output;

    while (net->server_up && mkv_server_node_output(net->world.node, &output)) {
        unsigned i = client_of(net, output.link);

        switch (output.kind) {
        case MKV_OUTPUT_SEND:
            if (i < NET_CLIENTS_MAX) {
                post_link(net, MAIL_FRAME_TO_CLIENT, i, output.payload);
            }
            break;
        case MKV_OUTPUT_CLOSE:
            if (i < NET_CLIENTS_MAX) {
                post_link(net, MAIL_CLOSED_TO_CLIENT, i, mkv_bytes(NULL, 0));
            }
            break;
        case MKV_OUTPUT_PUBLISH:
            if (net->server_hears) {
                broadcast(net, output.topic, output.payload);
            }
            break;
        case MKV_OUTPUT_LOOK: /* only where the broker retains */
            break;
        case MKV_OUTPUT_DIAL:
        case MKV_OUTPUT_SASL: /* nobody logs in by password here */
        case MKV_OUTPUT_STOP:
            fail_msg("a server alone has nobody to dial and no reason to stop");
            break;
        case MKV_OUTPUT_LOG:
            break;
        }
    }
}

void net_listen(struct net *net)
{
    for (unsigned i = 0; i < NET_CLIENTS_MAX; i++) {
        if (net->clients[i].exists) {
            listen_to_client(net, i);
        }
    }
    listen_to_server(net);
}

/* What arrives. */

static void arrive_frames(struct net *net, const struct mail *message)
{
    struct net_client *client = &net->clients[message->client];
    struct mkv_bytes rest = mkv_buf_bytes(&message->payload);

    while (rest.len > 0) {
        struct mkv_bytes map;
        size_t used;

        assert_int_equal(mkv_frame_cut(rest, &map, &used), 0);
        assert_true(used > 0);
        if (message->kind == MAIL_FRAME_TO_SERVER) {
            mkv_server_node_frame(net->world.node, net->world.now, message->channel, map);
        } else {
            net_enter_client(net);
            mkv_client_node_link_frame(&client->node, now_of(net), map);
            net_leave_client(net);
        }
        rest = mkv_bytes_after(rest, used);
    }
}

static void arrive_at_server(struct net *net, const struct mail *message)
{
    if (!net->server_up) {
        return;
    }
    switch (message->kind) {
    case MAIL_FRAME_TO_SERVER:
        arrive_frames(net, message);
        break;
    case MAIL_CLOSED_TO_SERVER:
        mkv_server_node_link_closed(net->world.node, net->world.now, message->channel);
        break;
    case MAIL_MQTT_TO_SERVER:
        if (net->server_hears) {
            mkv_server_node_message(net->world.node, net->world.now, mkv_buf_bytes(&message->topic),
                                    mkv_buf_bytes(&message->payload), false);
        }
        break;
    default:
        break;
    }
}

static void arrive_by_link(struct net *net, const struct mail *message)
{
    struct net_client *client = &net->clients[message->client];

    if (client->link != message->channel) {
        return;
    }
    if (message->kind == MAIL_LINK_OPENED) {
        mkv_server_node_link_opened(net->world.node, net->world.now, message->channel,
                                    client->uid == 0 ? MKV_PEER_SAME_USER : MKV_PEER_OTHER_USER);
        mkv_server_node_link_uid(net->world.node, message->channel, client->uid);
        net_enter_client(net);
        mkv_client_node_link_opened(&client->node, now_of(net));
        net_leave_client(net);
    } else if (message->kind == MAIL_FRAME_TO_CLIENT) {
        arrive_frames(net, message);
    } else {
        int error = message->kind == MAIL_LINK_REFUSED ? MKV_E_NO_CONNECTION : MKV_E_CLOSED;

        client->link = 0;
        net_enter_client(net);
        mkv_client_node_link_closed(&client->node, now_of(net), error, mkv_bytes(NULL, 0));
        net_leave_client(net);
    }
}

static void try_mqtt(struct net *net, unsigned i)
{
    struct net_client *client = &net->clients[i];

    if (net->broker_up) {
        client->mqtt_up = true;
        net_enter_client(net);
        mkv_client_node_mqtt_connected(&client->node, now_of(net));
        net_leave_client(net);
        return;
    }
    net_enter_client(net);
    mkv_client_node_mqtt_disconnected(&client->node, now_of(net), MKV_E_NO_CONNECTION,
                                      mkv_bytes(NULL, 0), false);
    net_leave_client(net);
    if (client->mqtt != 0) {
        post_try(net, i);
    }
}

static void arrive_by_mqtt(struct net *net, const struct mail *message)
{
    struct net_client *client = &net->clients[message->client];

    if (client->mqtt != message->channel) {
        return;
    }
    if (message->kind == MAIL_MQTT_TRY) {
        try_mqtt(net, message->client);
    } else if (message->kind == MAIL_MQTT_ANSWER) {
        net_enter_client(net);
        mkv_client_node_mqtt_answered(&client->node, now_of(net), message->cookie, 0,
                                      mkv_bytes(NULL, 0));
        net_leave_client(net);
    } else {
        net_enter_client(net);
        mkv_client_node_mqtt_message(&client->node, now_of(net), mkv_buf_bytes(&message->topic),
                                     mkv_buf_bytes(&message->payload), false);
        net_leave_client(net);
    }
}

static void arrive(struct net *net, const struct mail *message)
{
    bool exists = net->clients[message->client].exists;

    switch (message->kind) {
    case MAIL_FRAME_TO_SERVER:
    case MAIL_CLOSED_TO_SERVER:
    case MAIL_MQTT_TO_SERVER:
        arrive_at_server(net, message);
        break;
    case MAIL_LINK_OPENED:
        if (exists && net->server_up) {
            arrive_by_link(net, message);
        }
        break;
    case MAIL_LINK_REFUSED:
    case MAIL_FRAME_TO_CLIENT:
    case MAIL_CLOSED_TO_CLIENT:
        if (exists) {
            arrive_by_link(net, message);
        }
        break;
    case MAIL_MQTT_TRY:
    case MAIL_MQTT_ANSWER:
    case MAIL_MQTT_TO_CLIENT:
        if (exists) {
            arrive_by_mqtt(net, message);
        }
        break;
    }
}

/* Time. */

static int64_t next_event_ms(const struct net *net)
{
    int64_t next = net->messages != NULL ? net->messages->at_ms : INT64_MAX;

    for (unsigned i = 0; i < NET_CLIENTS_MAX; i++) {
        if (net->clients[i].exists) {
            int64_t at = mkv_client_deadline_ms(&net->clients[i].node.client);

            next = at < next ? at : next;
        }
    }
    if (net->server_up) {
        int64_t at = mkv_server_node_deadline(net->world.node);

        next = at < next ? at : next;
    }
    return next;
}

static void wake(struct net *net)
{
    struct mail *message = net->messages;

    for (unsigned i = 0; i < NET_CLIENTS_MAX; i++) {
        if (net->clients[i].exists &&
            mkv_client_deadline_ms(&net->clients[i].node.client) <= now_of(net)) {
            net_enter_client(net);
            mkv_client_node_tick(&net->clients[i].node, now_of(net));
            net_leave_client(net);
        }
    }
    if (net->server_up && mkv_server_node_deadline(net->world.node) <= now_of(net)) {
        mkv_server_node_time(net->world.node, net->world.now);
    }
    if (message != NULL && message->at_ms <= now_of(net)) {
        net->messages = message->next;
        arrive(net, message);
        mail_free(message);
    }
    net_listen(net);
}

static void set_time(struct net *net, int64_t ms)
{
    uint64_t passed = (uint64_t)(ms - net->world.now.ms);

    net->world.now.ms = ms;
    net->world.now.calendar_ms += passed;
    if (net->world.now.wall_ms != 0) {
        net->world.now.wall_ms += passed;
    }
}

void net_wait(struct net *net, int64_t ms)
{
    int64_t end = now_of(net) + ms;
    unsigned n_still = 0; /* events at the same time: who never comes to rest is at fault */

    net_listen(net);
    for (int64_t next = next_event_ms(net); next <= end; next = next_event_ms(net)) {
        n_still = next > now_of(net) ? 0 : n_still + 1;
        assert_true(n_still < 100000);
        set_time(net, next > now_of(net) ? next : now_of(net));
        wake(net);
    }
    set_time(net, end);
}

/* Trouble. */

void net_cut_link(struct net *net, unsigned i)
{
    struct net_client *client = &net->clients[i];

    if (client->exists && client->link != 0) {
        uint64_t link = client->link;

        client->link = 0;
        if (net->server_up) {
            mkv_server_node_link_closed(net->world.node, net->world.now, link);
        }
        net_enter_client(net);
        mkv_client_node_link_closed(&client->node, now_of(net), MKV_E_CLOSED, mkv_bytes_of("cut"));
        net_leave_client(net);
        net_listen(net);
    }
}

/* The connection makes itself anew, under another number. */
void net_cut_mqtt(struct net *net, unsigned i)
{
    struct net_client *client = &net->clients[i];

    if (client->exists && client->mqtt != 0) {
        forget_filters(client);
        client->mqtt_up = false;
        client->mqtt = ++net->last_number;
        net_enter_client(net);
        mkv_client_node_mqtt_disconnected(&client->node, now_of(net), MKV_E_NO_CONNECTION,
                                          mkv_bytes_of("cut"), false);
        net_leave_client(net);
        net_listen(net);
        if (client->mqtt != 0) {
            post_try(net, i);
        }
    }
}

void net_broker(struct net *net, bool up)
{
    net->broker_up = up;
    net->server_hears = up;
    if (net->server_up) {
        mkv_server_node_broker(net->world.node, net->world.now, up);
    }
    for (unsigned i = 0; i < NET_CLIENTS_MAX && !up; i++) {
        net_cut_mqtt(net, i);
    }
    net_listen(net);
}

void net_server_crash(struct net *net)
{
    if (!net->server_up) {
        return;
    }
    net->server_up = false;
    world_crash(&net->world);
    for (unsigned i = 0; i < NET_CLIENTS_MAX; i++) {
        net_cut_link(net, i);
    }
}

void net_server_start(struct net *net)
{
    if (!net->server_up) {
        world_start(&net->world);
        mkv_server_node_broker(net->world.node, net->world.now, net->server_hears);
        net->server_up = true;
        net_listen(net);
    }
}

void net_init(struct net *net, uint64_t seed, net_told_fn *told, void *context)
{
    *net = (struct net){.prng = {seed},
                        .told = told,
                        .context = context,
                        .server_up = true,
                        .broker_up = true,
                        .server_hears = true,
                        .delay_max_ms = 5};
    net->world.now = (struct mkv_now){.ms = 1000, .calendar_ms = 200000000000ULL};
    if (prng_below(&net->prng, 2) == 0) {
        net->world.now.wall_ms = net->world.now.calendar_ms;
    }
    world_start(&net->world);
}

void net_client_start(struct net *net, unsigned i, const char *servers, const char *broker)
{
    struct net_client *client = &net->clients[i];
    struct mkv_client_config config = {
        .broker = mkv_bytes_of(broker),
        .root = mkv_bytes_of("moat/main"),
        .software = mkv_bytes_of("test"),
        .host = mkv_bytes_of("here"),
        .seed = prng_next(&net->prng),
    };
    struct mkv_bytes rest = mkv_bytes_of(servers);

    while (rest.len > 0) {
        const uint8_t *comma = memchr(rest.at, ',', rest.len);
        size_t len = comma != NULL ? (size_t)(comma - rest.at) : rest.len;

        config.servers.at[config.servers.n++] = mkv_bytes(rest.at, len);
        rest = mkv_bytes_after(rest, comma != NULL ? len + 1 : len);
    }
    assert_int_equal(mkv_client_node_init(&client->node, &config), 0);
    client->exists = true;
    net_enter_client(net);
    mkv_client_node_tick(&client->node, now_of(net));
    net_leave_client(net);
    net_listen(net);
}

void net_client_stop(struct net *net, unsigned i)
{
    mkv_client_node_close(&net->clients[i].node, now_of(net));
    net_listen(net);
    drop_mqtt(net, i);
    mkv_client_node_deinit(&net->clients[i].node);
    net->clients[i] = (struct net_client){0};
}

void net_deinit(struct net *net)
{
    for (unsigned i = 0; i < NET_CLIENTS_MAX; i++) {
        if (net->clients[i].exists) {
            net_client_stop(net, i);
        }
    }
    while (net->messages != NULL) {
        struct mail *next = net->messages->next;

        mail_free(net->messages);
        net->messages = next;
    }
    if (!net->server_up) {
        net_server_start(net);
    }
    world_free(&net->world);
}
