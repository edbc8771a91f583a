/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/inner.h"
#include "io/clock.h"
#include "io/entropy.h"

#define SUBSCRIBE_MIN_MS 1000 /* a refused subscription is tried again after this, then twice ... */
#define SUBSCRIBE_MAX_MS 60000
#define SAY_AGAIN_MS     60000
#define DRAIN_MS         1000
#define REFUSALS_MAX     2U
#define LOCKED_WAITS     5U /* 0.1 + 0.2 + ... s: see io/broker.h */

/* Each is a bit of daemon->asked and ->granted, and a cookie: its place here plus 1. */
static const char *const filters[] = {"d/#", "svc/query", "svc/birth", "svc/act", "svc/server"};

#define N_FILTERS ((unsigned)(sizeof(filters) / sizeof(filters[0])))

static int64_t subscribe_again_ms(const struct daemon *daemon)
{
    int64_t wait_ms = SUBSCRIBE_MIN_MS;

    for (uint32_t i = 1; i < daemon->n_subscribed && wait_ms < SUBSCRIBE_MAX_MS; i++) {
        wait_ms *= 2;
    }
    return wait_ms < SUBSCRIBE_MAX_MS ? wait_ms : SUBSCRIBE_MAX_MS;
}

/* Asks for all that has neither been granted on this connection nor is about to be. */
void mkv_daemon_subscribe(void *context)
{
    struct daemon *daemon = context;
    char filter[MKV_DAEMON_TEXT_MAX + 16];
    int (*subscribe)(struct mkv_mqtt *, struct mkv_bytes, int, uint64_t) =
        mkv_mode_retains(daemon->config->mode) ? mkv_mqtt_subscribe_live : mkv_mqtt_subscribe;

    daemon->n_subscribed++;
    for (unsigned i = 0; i < N_FILTERS; i++) {
        if ((daemon->asked & (1U << i)) != 0) {
            continue;
        }
        (void)snprintf(filter, sizeof(filter), "%s/%s", daemon->config->root, filters[i]);

        /* What is retained is asked for when we are ready for it. */
        int error = subscribe(daemon->mqtt, mkv_bytes_of(filter), (int)daemon->config->qos, i + 1);

        if (error == 0) {
            daemon->asked |= 1U << i;
        } else if (error != MKV_E_NO_CONNECTION) { /* else `connected` comes again */
            mkv_timer_set(&daemon->resubscribe, subscribe_again_ms(daemon));
        }
    }
}

static void forget_subscriptions(struct daemon *daemon)
{
    daemon->asked = 0;
    daemon->granted = 0;
    daemon->n_subscribed = 0;
    mkv_timer_clear(&daemon->resubscribe);
}

static void on_mqtt_connected(void *context)
{
    struct daemon *daemon = context;

    forget_subscriptions(daemon);
    mkv_daemon_subscribe(daemon);
}

/*
 * A key that nobody else has yet opens no broker that other servers guard.  The first refusal may
 * only mean that a broker of our own has not read our rights yet.
 */
static void count_refusal(struct daemon *daemon, int error, const struct mkv_why *why)
{
    daemon->n_refusals = error == MKV_E_NOT_AUTHORISED ? daemon->n_refusals + 1 : 0;
    if (daemon->founds && daemon->n_refusals == REFUSALS_MAX && !daemon->ending) {
        daemon->error = error;
        daemon->ending = true;
        mkv_why_set(&daemon->why,
                    "%s; this server has no keys of a cluster yet: name by --join-file the token "
                    "that 'moat-kvd key' prints at a server that is there",
                    why->text);
    }
}

static void on_mqtt_disconnected(void *context, int error, const struct mkv_why *why)
{
    struct daemon *daemon = context;

    int64_t now_ms = mkv_clock_monotonic_ms();

    count_refusal(daemon, error, why);
    if (strcmp(why->text, daemon->mqtt_why.text) != 0 || now_ms >= daemon->mqtt_say_ms) {
        mkv_daemon_say(daemon, MKV_LOG_WARNING, "%s", why->text); /* not the same at each attempt */
        daemon->mqtt_why = *why;
        daemon->mqtt_say_ms = now_ms + SAY_AGAIN_MS;
    }
    forget_subscriptions(daemon);
    mkv_server_node_broker(daemon->node, mkv_daemon_now(daemon), false);
    mkv_daemon_pump(daemon);
}

static void on_mqtt_message(void *context, const struct mkv_mqtt_message *message)
{
    struct daemon *daemon = context;

    mkv_daemon_hear(daemon, message);
    mkv_daemon_pump(daemon);
}

/* The one line that others wait for. */
void mkv_daemon_say_ready(struct daemon *daemon)
{
    char broker[MKV_ADDRESS_TEXT_MAX];
    struct mkv_address address = *mkv_mqtt_address(daemon->mqtt);

    if (daemon->broker != NULL && !mkv_broker_tcp_address(daemon->broker, &address)) {
        (void)mkv_broker_unix_address(daemon->broker, &address);
    }
    mkv_address_format(&address, broker, sizeof(broker));
    (void)printf("ready name=%s root=%s broker=%s", daemon->config->name, daemon->config->root,
                 broker);
    for (uint32_t i = 0; i < daemon->n_listeners; i++) {
        char text[MKV_ADDRESS_TEXT_MAX];

        mkv_address_format(mkv_listener_address(daemon->listeners[i]), text, sizeof(text));
        (void)printf(" listen=%s", text);
    }
    (void)printf("\n");
    (void)fflush(stdout);
    daemon->ready_said = true;
}

/* For want of a right, or because a broker of several machines lacks one of them for a while. */
static void on_refused(struct daemon *daemon, unsigned i, const struct mkv_why *why)
{
    int64_t wait_ms = subscribe_again_ms(daemon);

    daemon->asked &= ~(1U << i);
    mkv_daemon_say(daemon, MKV_LOG_ERROR,
                   "the broker refuses the subscription to '%s/%s' (%s); if it is in order itself, "
                   "give this server the right to read '%s/#'; trying again in %" PRId64 " s",
                   daemon->config->root, filters[i], why->text, daemon->config->root,
                   wait_ms / 1000);
    mkv_timer_set(&daemon->resubscribe, wait_ms);
}

static void on_mqtt_answered(
    void *context, uint64_t cookie, int error, int qos, const struct mkv_why *why)
{
    struct daemon *daemon = context;

    (void)qos;
    if (cookie == MKV_DAEMON_LOOKED) {
        mkv_daemon_looked(daemon, error, why);
        return;
    }
    if (cookie == 0) {
        if (error != 0 && error != MKV_E_NO_CONNECTION) {
            mkv_daemon_say(daemon, MKV_LOG_WARNING, "the broker refused a message: %s", why->text);
        }
        return;
    }
    if (error == MKV_E_NO_CONNECTION) {
        return;
    }
    if (error != 0) {
        on_refused(daemon, (unsigned)cookie - 1, why);
        return;
    }
    daemon->granted |= 1U << (cookie - 1);
    if (daemon->granted == (1U << N_FILTERS) - 1) {
        mkv_server_node_broker(daemon->node, mkv_daemon_now(daemon), true);
        mkv_daemon_pump(daemon);
    }
}

int mkv_daemon_open_mqtt(struct daemon *daemon, struct mkv_why *why)
{
    static const struct mkv_mqtt_events events = {
        .connected = on_mqtt_connected,
        .disconnected = on_mqtt_disconnected,
        .message = on_mqtt_message,
        .answered = on_mqtt_answered,
    };
    struct mkv_access_login login;
    const struct mkv_daemon_config *config = daemon->config;
    struct mkv_mqtt_options options = {.address = config->brokers[0], .client_id = login.client_id};

    /* The random part keeps two servers of one name from throwing each other out for ever. */
    daemon->mark = (uint32_t)mkv_entropy_u64();
    mkv_access_login(&daemon->access, config->name, daemon->mark, &login);
    if (mkv_mode_retains(config->mode)) {
        options.version = MKV_MQTT_V5;
    }
    if (config->guard) {
        options.user = MKV_USER_SERVER;
        options.password = login.password;
    }
    if (daemon->broker != NULL) {
        (void)mkv_broker_unix_address(daemon->broker, &options.address);
    } else {
        options.others = config->brokers + 1;
        options.n_others = config->n_brokers - 1;
    }
    return mkv_mqtt_new(daemon->loop, &options, &events, daemon, why, &daemon->mqtt);
}

/*
 * Credentials are by the newest key from now on.  Connections that there are stay; our own next one
 * counts for longer.
 */
void mkv_daemon_use_key(struct daemon *daemon)
{
    struct mkv_access_login login;

    daemon->new_key_ms = 0;
    mkv_server_node_guard_key(daemon->node, daemon->access.keys.keys[0]);
    mkv_access_login(&daemon->access, daemon->config->name, daemon->mark, &login);
    if (mkv_mqtt_set_password(daemon->mqtt, login.password) != 0) {
        mkv_daemon_say(daemon, MKV_LOG_WARNING,
                       "out of memory: the broker is told of the old key until the next restart");
    }
}

/* What was published last still gets out, if the broker takes it in time. */
void mkv_daemon_drain(struct daemon *daemon)
{
    int64_t until_ms = mkv_clock_monotonic_ms() + DRAIN_MS;

    while (mkv_mqtt_is_connected(daemon->mqtt) && mkv_mqtt_queued(daemon->mqtt) > 0) {
        int64_t left_ms = until_ms - mkv_clock_monotonic_ms();

        if (left_ms <= 0 || mkv_loop_run_once(daemon->loop, (int)left_ms) != 0) {
            return;
        }
    }
}

static void on_broker_ready(void *context)
{
    struct daemon *daemon = context;

    daemon->broker_ready = true;
}

static void on_broker_down(void *context, int error, const struct mkv_why *why)
{
    struct daemon *daemon = context;

    /* The broker of a server that was just killed takes a moment to die. */
    if (!daemon->broker_ready && error == MKV_E_LOCKED && daemon->n_broker_waits < LOCKED_WAITS) {
        daemon->n_broker_waits++;
        return;
    }
    if (!daemon->broker_ready) { /* else there is no use in waiting at the very start */
        daemon->error = error;
        daemon->why = *why;
        daemon->ending = true;
        return;
    }
    mkv_daemon_say(daemon, MKV_LOG_ERROR, "%s", why->text);
}

static void on_broker_stopped(void *context)
{
    struct daemon *daemon = context;

    daemon->broker_stopped = true;
}

static void on_broker_line(void *context, const char *text)
{
    static const char guard[] = "moat-kv-guard: "; /* whom it refuses is worth knowing */
    bool is_guard = strncmp(text, guard, sizeof(guard) - 1) == 0;

    mkv_daemon_say(context, is_guard ? MKV_LOG_WARNING : MKV_LOG_DEBUG, "broker: %s", text);
}

int mkv_daemon_start_broker(struct daemon *daemon, struct mkv_why *why)
{
    static const struct mkv_broker_events events = {
        .ready = on_broker_ready,
        .down = on_broker_down,
        .stopped = on_broker_stopped,
        .line = on_broker_line,
    };
    const struct mkv_broker_options options = {
        .state_dir = daemon->config->state,
        .unix_socket = true,
        .tcp = true,
        .port = daemon->config->embedded_port,
        .guard = daemon->config->guard ? daemon->access.plugin : NULL,
        .rights = MKV_ACCESS_RIGHTS,
    };
    int error = mkv_broker_new(daemon->loop, &options, &events, daemon, why, &daemon->broker);

    while (error == 0 && !daemon->broker_ready && !daemon->ending) {
        error = mkv_loop_run_once(daemon->loop, -1);
    }
    if (error == 0 && daemon->error != 0) {
        error = daemon->error;
        *why = daemon->why;
    }
    return error;
}

void mkv_daemon_stop_broker(struct daemon *daemon)
{
    if (daemon->broker == NULL || !mkv_broker_is_running(daemon->broker)) {
        return;
    }
    mkv_broker_stop(daemon->broker);
    while (!daemon->broker_stopped && mkv_loop_run_once(daemon->loop, -1) == 0) {
    }
}
