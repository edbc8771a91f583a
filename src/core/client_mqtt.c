/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "core/client_parts.h"

#define VERSION           1U
#define BIRTH_WAIT_MS     1000
#define BIRTH_WAIT_MAX    10000
#define BIRTHS_PER_TURN   4U /* unanswered ones, after which another broker is tried */
#define CONNECT_AGAIN_MS  1000
#define REDIRECT_WAIT_MS  500
#define REDIRECT_WAIT_MAX 30000
#define QUERY_WAIT_MS     1000
#define QUERY_WAIT_MAX    30000
#define REFUSED_WAIT_MS   5000
#define CREDENTIALS_WAIT  1000 /* between two times that others are asked for; doubled each time */
#define CREDENTIALS_MAX   60000
#define CLIENT_ID_PREFIX  "moat-kv-find-"
#define FINDING_QOS       0U /* what the cluster takes is not known yet; a Query is repeated */

static int64_t doubled(int64_t wait_ms, uint32_t times, int64_t max_ms)
{
    for (uint32_t i = 0; i < times && wait_ms < max_ms; i++) {
        wait_ms *= 2;
    }
    return wait_ms < max_ms ? wait_ms : max_ms;
}

/* A server is asked for over MQTT when all addresses have failed, as long as none is reached. */
static bool wants_finding(const struct mkv_client *client)
{
    return client->phase != MKV_CLIENT_UP && (client->dial.n == 0 || client->dial.n_rounds > 0);
}

static bool session_has_broker(const struct mkv_client *client)
{
    return client->session.about.brokers.n > 0 || client->config.broker.len > 0;
}

/* What the connection to a broker should be for, now. */
static enum mkv_client_mqtt_use wanted_use(const struct mkv_client *client)
{
    bool finding = wants_finding(client) && client->config.broker.len > 0;

    if (client->phase == MKV_CLIENT_UP) {
        return client->wants_broker && session_has_broker(client) ? MKV_CLIENT_MQTT_SESSION
                                                                  : MKV_CLIENT_MQTT_OFF;
    }
    if (client->use == MKV_CLIENT_MQTT_SESSION && (client->mqtt_up || !finding)) {
        return MKV_CLIENT_MQTT_SESSION; /* changes still come; it is asked over this one, too */
    }
    return finding ? MKV_CLIENT_MQTT_FINDING : MKV_CLIENT_MQTT_OFF;
}

static void forget_connection(struct mkv_client *client)
{
    client->mqtt_up = false;
    client->finding_granted = false;
    client->finding_asked = false;
    mkv_client_write_unsent(client);
    mkv_client_watch_mqtt_lost(client);
}

void mkv_client_mqtt_drop(struct mkv_client *client)
{
    if (client->use == MKV_CLIENT_MQTT_OFF) {
        return;
    }
    mkv_client_effect_mqtt_disconnect(client->out);
    client->use = MKV_CLIENT_MQTT_OFF;
    client->born = false;
    client->broker_index = 0;
    client->redirect_ms = 0;
    forget_connection(client);
}

static struct mkv_bytes broker_address(const struct mkv_client *client)
{
    const struct mkv_addresses *brokers = &client->session.about.brokers;

    return brokers->n > 0 ? brokers->at[client->broker_index % brokers->n] : client->config.broker;
}

static void connect_session(struct mkv_client *client)
{
    const struct mkv_frame_session *about = &client->session.about;
    struct mkv_client_broker broker = {
        .address = broker_address(client),
        .client_id = about->client_id,
        .has_user = about->has_user,
        .user = about->user,
        .has_password = about->has_password,
        .password = about->password,
    };

    mkv_client_effect_mqtt_connect(client->out, &broker);
}

static void connect_finding(struct mkv_client *client)
{
    char id[sizeof(CLIENT_ID_PREFIX) - 1 + 16];
    uint64_t random = mkv_client_random(client);
    struct mkv_client_broker broker = {.address = client->config.broker,
                                       .client_id = mkv_bytes(id, sizeof(id))};

    memcpy(id, CLIENT_ID_PREFIX, sizeof(CLIENT_ID_PREFIX) - 1);
    for (unsigned i = 0; i < 16; i++) {
        id[sizeof(CLIENT_ID_PREFIX) - 1 + i] = "0123456789abcdef"[(random >> (4 * i)) & 15];
    }
    mkv_client_effect_mqtt_connect(client->out, &broker);
}

static void change_use(struct mkv_client *client, enum mkv_client_mqtt_use use)
{
    mkv_client_mqtt_drop(client); /* does nothing after mkv_client_mqtt_gone() */
    client->use = use;
    switch (use) {
    case MKV_CLIENT_MQTT_OFF:
        break;
    case MKV_CLIENT_MQTT_FINDING:
        connect_finding(client);
        break;
    case MKV_CLIENT_MQTT_SESSION:
        connect_session(client);
        break;
    }
}

static void next_broker(struct mkv_client *client)
{
    client->redirect_ms = 0;
    if (client->use == MKV_CLIENT_MQTT_SESSION && client->session.about.brokers.n > 1) {
        client->broker_index++;
        mkv_client_effect_mqtt_redirect(client->out, broker_address(client));
    }
}

/*
 * The connection itself tries the same broker again and again.  Another one is tried at once, but
 * after each round of all of them there is a pause.
 */
static void on_miss(struct mkv_client *client)
{
    uint32_t n_brokers = client->session.about.brokers.n;

    if (client->use != MKV_CLIENT_MQTT_SESSION || n_brokers < 2 || client->redirect_ms != 0) {
        return;
    }
    client->n_misses++;
    client->redirect_ms = client->now_ms;
    if (client->n_misses % n_brokers == 0) {
        client->redirect_ms +=
            doubled(REDIRECT_WAIT_MS, client->n_misses / n_brokers - 1, REDIRECT_WAIT_MAX);
    }
}

static void redirect_pump(struct mkv_client *client)
{
    if (client->redirect_ms != 0 && client->now_ms >= client->redirect_ms) {
        next_broker(client);
    }
}

static int publish_svc(struct mkv_client *client,
                       const char *name,
                       uint32_t qos,
                       struct mkv_bytes payload)
{
    struct mkv_pending_where where = mkv_client_where(client);
    struct mkv_buf topic;

    mkv_buf_init(&topic, MKV_TOPIC_MAX);
    int error = mkv_topic_of_svc(where.root, name, &topic);

    if (error == 0) {
        struct mkv_client_publication publication = {.topic = mkv_buf_bytes(&topic),
                                                     .payload = payload,
                                                     .qos = qos,
                                                     .cookie = MKV_COOKIE_NOBODY};

        error = mkv_client_effect_mqtt_publish(client->out, &publication);
    }
    mkv_buf_deinit(&topic);
    return error;
}

static void publish_birth(struct mkv_client *client)
{
    struct mkv_birth birth = {.name = client->session.about.name, .seq = client->session.about.seq};
    struct mkv_buf payload;

    mkv_buf_init(&payload, MKV_UPDATE_MAX);
    if (mkv_birth_encode(&birth, &payload) == 0) {
        (void)publish_svc(client, "birth", client->session.about.qos,
                          mkv_buf_bytes(&payload)); /* it is repeated anyway */
    }
    mkv_buf_deinit(&payload);
    client->birth_ms =
        client->now_ms + doubled(BIRTH_WAIT_MS, client->n_births % BIRTHS_PER_TURN, BIRTH_WAIT_MAX);
    client->n_births++;
}

static bool wants_birth(const struct mkv_client *client)
{
    return client->phase == MKV_CLIENT_UP && client->use == MKV_CLIENT_MQTT_SESSION &&
           client->mqtt_up && !client->born;
}

static void birth_pump(struct mkv_client *client)
{
    if (!wants_birth(client) || client->now_ms < client->birth_ms) {
        return;
    }
    if (client->n_births > 0 && client->n_births % BIRTHS_PER_TURN == 0 &&
        client->session.about.brokers.n > 1) {
        client->n_births++; /* so that the next one is published there */
        next_broker(client);
        return;
    }
    publish_birth(client);
}

static void subscribe_finding(struct mkv_client *client)
{
    struct mkv_pending_where where = mkv_client_where(client);
    struct mkv_buf topic;

    mkv_buf_init(&topic, MKV_TOPIC_MAX);
    if (mkv_topic_of_svc(where.root, "server", &topic) == 0 &&
        mkv_client_effect_mqtt_subscribe(client->out, mkv_buf_bytes(&topic), FINDING_QOS,
                                         MKV_COOKIE_FIND) == 0) {
        client->finding_asked = true;
    }
    mkv_buf_deinit(&topic);
}

static void unsubscribe_finding(struct mkv_client *client)
{
    struct mkv_pending_where where = mkv_client_where(client);
    struct mkv_buf topic;

    mkv_buf_init(&topic, MKV_TOPIC_MAX);
    if (mkv_topic_of_svc(where.root, "server", &topic) == 0) {
        mkv_client_effect_mqtt_unsubscribe(client->out, mkv_buf_bytes(&topic));
    }
    mkv_buf_deinit(&topic);
    client->finding_asked = false;
    client->finding_granted = false;
}

static void new_query_id(struct mkv_client *client)
{
    for (unsigned i = 0; i < MKV_QUERY_ID_LEN; i += 8) {
        uint64_t random = mkv_client_random(client);

        memcpy(client->query_id + i, &random, 8);
    }
}

static void publish_query(struct mkv_client *client)
{
    struct mkv_query query = {.id = mkv_bytes(client->query_id, MKV_QUERY_ID_LEN),
                              .versions = {.lowest = VERSION, .highest = VERSION}};
    struct mkv_buf payload;

    if (client->n_queries == 0) {
        new_query_id(client);
    }
    mkv_buf_init(&payload, MKV_UPDATE_MAX);
    if (mkv_query_encode(&query, &payload) == 0) {
        (void)publish_svc(client, "query", FINDING_QOS,
                          mkv_buf_bytes(&payload)); /* it is repeated anyway */
    }
    mkv_buf_deinit(&payload);
    client->query_ms = client->now_ms + doubled(QUERY_WAIT_MS, client->n_queries, QUERY_WAIT_MAX);
    client->n_queries++;
}

static void finding_pump(struct mkv_client *client)
{
    bool wanted = wants_finding(client);

    if (!client->mqtt_up) {
        return;
    }
    if (!wanted) {
        if (client->finding_asked) {
            unsubscribe_finding(client);
        }
        client->n_queries = 0;
        return;
    }
    if (client->now_ms < client->query_ms) {
        return;
    }
    if (!client->finding_asked) {
        subscribe_finding(client);
    } else if (client->finding_granted) {
        publish_query(client);
    }
}

static bool may_connect(const struct mkv_client *client, enum mkv_client_mqtt_use use)
{
    return use == MKV_CLIENT_MQTT_OFF || client->now_ms >= client->connect_ms;
}

void mkv_client_mqtt_pump(struct mkv_client *client)
{
    enum mkv_client_mqtt_use use = wanted_use(client);

    if (use != client->use && may_connect(client, use)) {
        change_use(client, use);
    }
    redirect_pump(client);
    birth_pump(client);
    finding_pump(client);
}

int64_t mkv_client_mqtt_deadline_ms(const struct mkv_client *client)
{
    if (wanted_use(client) != client->use) {
        return client->connect_ms;
    }
    if (client->redirect_ms != 0) {
        return client->redirect_ms;
    }
    if (wants_birth(client)) {
        return client->birth_ms;
    }
    if (client->mqtt_up && wants_finding(client) &&
        client->finding_asked == client->finding_granted) {
        return client->query_ms;
    }
    return MKV_CLIENT_NEVER;
}

void mkv_client_mqtt_connected(struct mkv_client *client)
{
    if (client->use == MKV_CLIENT_MQTT_OFF) {
        return;
    }
    forget_connection(client); /* every connection starts clean */
    client->mqtt_up = true;
    client->mqtt_fault = (struct mkv_fault){0};
    client->n_misses = 0;
    client->n_renewals = 0;
    client->redirect_ms = 0;
    client->query_ms = client->now_ms;
    if (client->phase == MKV_CLIENT_UP) {
        client->born = false; /* that was another connection; does the server hear this one? */
        client->birth_ms = client->now_ms;
    } else if (client->born) {
        mkv_client_write_again(client); /* other servers do, even if ours is gone */
    }
}

/*
 * Credentials expire, and their key may go at any time: the server gives new ones to a session that is
 * resumed.  Should those be refused as well, that is for another reason, or the broker knows the new key a
 * little later: they are asked for ever less often.
 */
static bool wants_credentials(const struct mkv_client *client, int error)
{
    uint32_t n = client->n_renewals;
    int64_t wait_ms = n == 0 ? 0 : doubled(CREDENTIALS_WAIT, n - 1, CREDENTIALS_MAX);

    return error == MKV_E_NOT_AUTHORISED && client->use == MKV_CLIENT_MQTT_SESSION &&
           client->phase == MKV_CLIENT_UP && client->session.about.has_password &&
           client->now_ms - client->renewal_ms >= wait_ms;
}

void mkv_client_mqtt_disconnected(struct mkv_client *client, int error, struct mkv_bytes why)
{
    bool was_up = client->mqtt_up;

    if (client->use == MKV_CLIENT_MQTT_OFF) {
        return;
    }
    mkv_fault_set(&client->mqtt_fault, error,
                  why.len > 0 ? why : mkv_bytes_of(mkv_error_text(error)));
    forget_connection(client);
    if (!was_up) {
        on_miss(client);
    }
    if (!was_up && wants_credentials(client, error)) {
        client->n_renewals++;
        client->renewal_ms = client->now_ms;
        mkv_client_link_fail(client, error, "the broker accepts these credentials no longer");
    }
}

void mkv_client_mqtt_gone(struct mkv_client *client, int error, struct mkv_bytes why)
{
    uint32_t next = client->broker_index + 1;

    mkv_client_mqtt_drop(client);
    mkv_fault_set(&client->mqtt_fault, error,
                  why.len > 0 ? why : mkv_bytes_of(mkv_error_text(error)));
    client->broker_index = next;
    client->connect_ms = client->now_ms + CONNECT_AGAIN_MS;
}

static void finding_answered(struct mkv_client *client, const struct mkv_client_event *event)
{
    client->finding_granted = client->finding_asked && event->error == 0;
    if (event->error != 0) {
        mkv_fault_set(&client->mqtt_fault, event->error, event->why);
        client->finding_asked = false;
        client->query_ms = client->now_ms + REFUSED_WAIT_MS;
    }
}

void mkv_client_mqtt_answered(struct mkv_client *client, const struct mkv_client_event *event)
{
    switch (event->cookie & MKV_COOKIE_KIND) {
    case MKV_COOKIE_UPDATE:
        mkv_client_write_answered(client, event);
        break;
    case MKV_COOKIE_WATCH:
        mkv_client_watch_answered(client, event);
        break;
    case MKV_COOKIE_FIND:
        finding_answered(client, event);
        break;
    default: /* nobody waits for it */
        break;
    }
}

/* Leaves out unix sockets of other machines. */
static struct mkv_addresses usable(const struct mkv_client *client,
                                   const struct mkv_server_reply *reply)
{
    bool is_here = client->config.host.len > 0 && mkv_bytes_equal(reply->host, client->config.host);
    struct mkv_addresses addresses = {0};

    for (uint32_t i = 0; i < reply->addresses.n; i++) {
        struct mkv_bytes address = reply->addresses.at[i];

        if (is_here || !mkv_bytes_starts_with(address, mkv_bytes_of("unix:"))) {
            addresses.at[addresses.n++] = address;
        }
    }
    return addresses;
}

void mkv_client_mqtt_reply(struct mkv_client *client, const struct mkv_server_reply *reply)
{
    struct mkv_bytes asked = mkv_bytes(client->query_id, MKV_QUERY_ID_LEN);

    if (!wants_finding(client) || client->n_queries == 0 || !mkv_bytes_equal(reply->id, asked)) {
        return;
    }
    if (reply->versions.lowest > VERSION || reply->versions.highest < VERSION) {
        return;
    }
    if (client->phase != MKV_CLIENT_OFF &&
        (client->phase != MKV_CLIENT_CONNECTING || mkv_dial_is_learned(&client->dial))) {
        return; /* we are about to get somewhere */
    }
    struct mkv_addresses addresses = usable(client, reply);

    if (client->phase != MKV_CLIENT_OFF) { /* a configured address that does not answer can wait */
        mkv_client_link_fail(client, MKV_E_TIMEOUT, "the server does not answer");
    }
    mkv_dial_learn(&client->dial, &addresses, client->now_ms);
    new_query_id(client); /* should these fail, another server is to answer */
}
