/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/daemon.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/map.h"
#include "base/mem.h"
#include "io/broker.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "io/link.h"
#include "io/listener.h"
#include "io/loop.h"
#include "io/mqtt.h"
#include "io/signals.h"
#include "node/server.h"
#include "store/store.h"

#define GAP_GRACE_MS 200
#define GAP_VOID_MS  30000
#define CONGESTED_AT (1U << 20) /* bytes queued on a link: make no more pages for it ... */
#define DRAINED_AT   (1U << 18) /* ... until they are this few */
#define SUBSCRIBE_MS 10000      /* a refused subscription is tried again after this */
#define SAY_AGAIN_MS 60000
#define CLOCK_MS     1000
#define QOS          1
#define N_FILTERS    3U

struct connection {
    struct daemon *daemon;
    uint64_t number;
    struct mkv_link *link; /* owned */
};

struct daemon {
    const struct mkv_daemon_config *config;
    struct mkv_loop *loop;
    struct mkv_signals *signals;
    struct mkv_store *store;
    struct mkv_broker *broker; /* NULL: not embedded */
    struct mkv_mqtt *mqtt;
    struct mkv_listener *listeners[MKV_DAEMON_LISTEN_MAX];
    uint32_t n_listeners;
    struct mkv_map connections; /* by number; owned */
    uint64_t n_connections;     /* numbers given out */
    struct mkv_server_node *node;
    struct mkv_timer resubscribe;
    uint32_t n_granted;      /* of our subscriptions, on the present connection */
    struct mkv_why mqtt_why; /* what was said last about the broker ... */
    int64_t mqtt_say_ms;     /* ... and when it may be said again */
    int64_t ask_clock_ms;    /* when to ask again whether the clock is to be trusted */
    bool clock_trusted;
    bool ready_said;
    bool ending;
    bool broker_ready;
    bool broker_stopped;
    int error;
    struct mkv_why why;

    /* What the node's configuration borrows. */
    char address_texts[MKV_DAEMON_LISTEN_MAX + 2][MKV_ADDRESS_TEXT_MAX];
    uint32_t n_address_texts;
    char host[256];
};

/* --- Log ---------------------------------------------------------------------------------- */

static void write_log(const struct daemon *daemon, enum mkv_log_level level, struct mkv_bytes line)
{
    static const char *const words[] = {"error: ", "warning: ", "", "debug: "};

    if (level == MKV_LOG_DEBUG && !daemon->config->verbose) {
        return;
    }
    (void)fprintf(stderr, "moat-kvd: %s%.*s\n", words[level], (int)line.len, (const char *)line.at);
}

static void __attribute__((format(printf, 3, 4)))
say(const struct daemon *daemon, enum mkv_log_level level, const char *format, ...)
{
    char text[1024];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    write_log(daemon, level, mkv_bytes_of(text));
}

/* --- From the node to the world ----------------------------------------------------------- */

static struct mkv_now now_of(struct daemon *daemon)
{
    struct mkv_now now = {.ms = mkv_clock_monotonic_ms()};
    int64_t wall_ms = mkv_clock_wall_ms();

    if (wall_ms > 0) {
        now.calendar_ms = (uint64_t)wall_ms;
    }
    if (now.ms >= daemon->ask_clock_ms) { /* a system call: not for every message */
        daemon->clock_trusted = mkv_clock_trusted(daemon->config->clock);
        daemon->ask_clock_ms = now.ms + CLOCK_MS;
    }
    if (daemon->clock_trusted) {
        now.wall_ms = now.calendar_ms;
    }
    return now;
}

static void send_over_link(struct daemon *daemon, const struct mkv_output *output)
{
    struct connection *connection = mkv_map_get(&daemon->connections, output->link);

    if (connection == NULL) { /* closed meanwhile */
        return;
    }
    if (mkv_link_send(connection->link, output->payload) != 0) {
        return; /* `closed` follows, or has come */
    }
    if (mkv_link_queued(connection->link) > CONGESTED_AT) {
        mkv_server_node_link_congested(daemon->node, connection->number, true);
        mkv_link_want_drained(connection->link, DRAINED_AT);
    }
}

static void publish(struct daemon *daemon, const struct mkv_output *output)
{
    struct mkv_mqtt_message message = {
        .topic = output->topic, .payload = output->payload, .qos = QOS};
    int error = mkv_mqtt_publish(daemon->mqtt, &message, 0);

    if (error != 0) {
        say(daemon, MKV_LOG_WARNING, "a message could not be published: %s", mkv_error_text(error));
    }
}

static void close_link(struct daemon *daemon, uint64_t number)
{
    struct connection *connection = mkv_map_get(&daemon->connections, number);

    if (connection != NULL) {
        mkv_link_close(connection->link);
    }
}

static void set_deadline(struct daemon *daemon)
{
    int64_t deadline = mkv_server_node_deadline(daemon->node);

    mkv_loop_set_deadline(daemon->loop, deadline == MKV_NEVER ? MKV_LOOP_NEVER : deadline);
}

/* After every input: lets out what the node has to say, and asks when it wants to be woken. */
static void pump(struct daemon *daemon)
{
    struct mkv_output output;

    while (mkv_server_node_output(daemon->node, &output)) {
        switch (output.kind) {
        case MKV_OUTPUT_SEND:
            send_over_link(daemon, &output);
            break;
        case MKV_OUTPUT_CLOSE:
            close_link(daemon, output.link);
            break;
        case MKV_OUTPUT_PUBLISH:
            publish(daemon, &output);
            break;
        case MKV_OUTPUT_LOG:
            write_log(daemon, output.level, output.payload);
            break;
        }
    }
    if (mkv_server_node_error(daemon->node) != 0 && !daemon->ending) {
        daemon->error = mkv_server_node_error(daemon->node);
        daemon->ending = true;
        mkv_why_set(&daemon->why, "the store in '%s' can no longer be read: %s",
                    daemon->config->state, mkv_error_text(daemon->error));
    }
    set_deadline(daemon);
}

static void on_deadline(void *context)
{
    struct daemon *daemon = context;

    mkv_server_node_time(daemon->node, now_of(daemon));
    pump(daemon);
}

/* --- Links -------------------------------------------------------------------------------- */

static void on_frame(void *context, struct mkv_link *link, struct mkv_bytes map)
{
    struct connection *connection = context;
    struct daemon *daemon = connection->daemon;

    (void)link;
    mkv_server_node_frame(daemon->node, now_of(daemon), connection->number, map);
    pump(daemon);
}

static void on_drained(void *context, struct mkv_link *link)
{
    struct connection *connection = context;

    (void)link;
    mkv_server_node_link_congested(connection->daemon->node, connection->number, false);
    pump(connection->daemon);
}

static void on_link_closed(void *context,
                           struct mkv_link *link,
                           int error,
                           const struct mkv_why *why)
{
    struct connection *connection = context;
    struct daemon *daemon = connection->daemon;

    if (error != 0 && error != MKV_E_CLOSED) {
        say(daemon, MKV_LOG_WARNING, "link %" PRIu64 ": %s", connection->number, why->text);
    }
    (void)mkv_map_remove(&daemon->connections, connection->number);
    mkv_server_node_link_closed(daemon->node, now_of(daemon), connection->number);
    mkv_link_free(link);
    mkv_mem_free(connection);
    pump(daemon);
}

static enum mkv_peer_kind kind_of(const struct mkv_peer *peer)
{
    if (peer->is_unix) {
        return peer->uid == geteuid() || peer->uid == 0 ? MKV_PEER_SAME_USER : MKV_PEER_OTHER_USER;
    }
    return peer->is_local ? MKV_PEER_LOOPBACK : MKV_PEER_REMOTE;
}

static void on_accepted(void *context, struct mkv_link *link)
{
    static const struct mkv_link_events events = {
        .frame = on_frame, .drained = on_drained, .closed = on_link_closed};
    struct daemon *daemon = context;
    struct connection *connection = mkv_mem_alloc(sizeof(*connection));

    if (connection == NULL) {
        mkv_link_free(link);
        return;
    }
    *connection = (struct connection){daemon, ++daemon->n_connections, link};
    if (mkv_map_add(&daemon->connections, connection->number, connection) != 0) {
        mkv_link_free(link);
        mkv_mem_free(connection);
        return;
    }
    mkv_link_own(link, &events, connection);
    say(daemon, MKV_LOG_DEBUG, "link %" PRIu64 " from %s", connection->number,
        mkv_link_peer(link)->text);
    mkv_server_node_link_opened(daemon->node, now_of(daemon), connection->number,
                                kind_of(mkv_link_peer(link)));
    pump(daemon);
}

static int open_listeners(struct daemon *daemon, struct mkv_why *why)
{
    const struct mkv_listener_options options = {.accepted = on_accepted, .context = daemon};

    for (uint32_t i = 0; i < daemon->config->n_listen; i++) {
        int error = mkv_listener_new(daemon->loop, &daemon->config->listen[i], &options, why,
                                     &daemon->listeners[i]);

        if (error != 0) {
            return error;
        }
        daemon->n_listeners++;
    }
    return 0;
}

static void close_listeners(struct daemon *daemon)
{
    for (uint32_t i = 0; i < daemon->n_listeners; i++) {
        mkv_listener_free(daemon->listeners[i]);
    }
    daemon->n_listeners = 0;
}

static void free_connections(struct daemon *daemon)
{
    size_t cursor = 0;
    struct connection *connection;

    while ((connection = mkv_map_each(&daemon->connections, &cursor)) != NULL) {
        mkv_link_free(connection->link);
        mkv_mem_free(connection);
    }
    mkv_map_deinit(&daemon->connections);
}

/* --- MQTT --------------------------------------------------------------------------------- */

static void subscribe_all(void *context)
{
    static const char *const filters[N_FILTERS] = {"d/#", "svc/query", "svc/birth"};
    struct daemon *daemon = context;
    char filter[MKV_DAEMON_TEXT_MAX + 16];

    daemon->n_granted = 0;
    for (unsigned i = 0; i < N_FILTERS; i++) {
        (void)snprintf(filter, sizeof(filter), "%s/%s", daemon->config->root, filters[i]);

        int error = mkv_mqtt_subscribe(daemon->mqtt, mkv_bytes_of(filter), QOS, i + 1);

        if (error != 0 && error != MKV_E_NO_CONNECTION) { /* else `connected` comes again */
            mkv_timer_set(&daemon->resubscribe, SUBSCRIBE_MS);
        }
    }
}

static void on_mqtt_connected(void *context)
{
    subscribe_all(context);
}

static void on_mqtt_disconnected(void *context, int error, const struct mkv_why *why)
{
    struct daemon *daemon = context;

    int64_t now_ms = mkv_clock_monotonic_ms();

    (void)error;
    if (strcmp(why->text, daemon->mqtt_why.text) != 0 || now_ms >= daemon->mqtt_say_ms) {
        say(daemon, MKV_LOG_WARNING, "%s", why->text); /* not the same at each attempt */
        daemon->mqtt_why = *why;
        daemon->mqtt_say_ms = now_ms + SAY_AGAIN_MS;
    }
    daemon->n_granted = 0;
    mkv_timer_clear(&daemon->resubscribe);
    mkv_server_node_broker(daemon->node, now_of(daemon), false);
    pump(daemon);
}

static void on_mqtt_message(void *context, const struct mkv_mqtt_message *message)
{
    struct daemon *daemon = context;

    mkv_server_node_message(daemon->node, now_of(daemon), message->topic, message->payload,
                            message->retain);
    pump(daemon);
}

/* The one line that others wait for. */
static void say_ready(struct daemon *daemon)
{
    char broker[MKV_ADDRESS_TEXT_MAX];
    struct mkv_address address = daemon->config->broker;

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

static void on_mqtt_answered(
    void *context, uint64_t cookie, int error, int qos, const struct mkv_why *why)
{
    struct daemon *daemon = context;

    (void)qos;
    if (cookie == 0) {
        if (error != 0 && error != MKV_E_NO_CONNECTION) {
            say(daemon, MKV_LOG_WARNING, "the broker refused a message: %s", why->text);
        }
        return;
    }
    if (error == MKV_E_NO_CONNECTION) {
        return;
    }
    if (error != 0) {
        say(daemon, MKV_LOG_ERROR,
            "the broker refuses a subscription below '%s' (%s): give this server the right to "
            "read %s/#",
            daemon->config->root, why->text, daemon->config->root);
        mkv_timer_set(&daemon->resubscribe, SUBSCRIBE_MS);
        return;
    }
    if (++daemon->n_granted == N_FILTERS) {
        mkv_server_node_broker(daemon->node, now_of(daemon), true);
        if (!daemon->ready_said) {
            say_ready(daemon);
        }
        pump(daemon);
    }
}

static int open_mqtt(struct daemon *daemon, struct mkv_why *why)
{
    static const struct mkv_mqtt_events events = {
        .connected = on_mqtt_connected,
        .disconnected = on_mqtt_disconnected,
        .message = on_mqtt_message,
        .answered = on_mqtt_answered,
    };
    char client_id[MKV_NAME_MAX + 32];
    struct mkv_mqtt_options options = {.address = daemon->config->broker, .client_id = client_id};

    /* The random part keeps two servers of one name from throwing each other out for ever. */
    (void)snprintf(client_id, sizeof(client_id), "%s:0:%08" PRIx32, daemon->config->name,
                   (uint32_t)mkv_entropy_u64());
    if (daemon->broker != NULL) {
        (void)mkv_broker_unix_address(daemon->broker, &options.address);
    }
    return mkv_mqtt_new(daemon->loop, &options, &events, daemon, why, &daemon->mqtt);
}

/* --- The embedded broker ------------------------------------------------------------------ */

static void on_broker_ready(void *context)
{
    struct daemon *daemon = context;

    daemon->broker_ready = true;
}

static void on_broker_down(void *context, int error, const struct mkv_why *why)
{
    struct daemon *daemon = context;

    if (!daemon->broker_ready) { /* at the very start there is no use in waiting */
        daemon->error = error;
        daemon->why = *why;
        daemon->ending = true;
        return;
    }
    say(daemon, MKV_LOG_ERROR, "%s", why->text);
}

static void on_broker_stopped(void *context)
{
    struct daemon *daemon = context;

    daemon->broker_stopped = true;
}

static void on_broker_line(void *context, const char *text)
{
    say(context, MKV_LOG_DEBUG, "broker: %s", text);
}

static int start_broker(struct daemon *daemon, struct mkv_why *why)
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

static void stop_broker(struct daemon *daemon)
{
    if (daemon->broker == NULL || !mkv_broker_is_running(daemon->broker)) {
        return;
    }
    mkv_broker_stop(daemon->broker);
    while (!daemon->broker_stopped && mkv_loop_run_once(daemon->loop, -1) == 0) {
    }
}

/* --- Beginning and end -------------------------------------------------------------------- */

/* Makes the directory and those above it, with rights for its owner only. */
static int make_directory(const char *name, struct mkv_why *why)
{
    char path[MKV_DAEMON_TEXT_MAX];

    (void)snprintf(path, sizeof(path), "%s", name);
    for (char *at = path + 1;; at++) {
        if (*at != '/' && *at != '\0') {
            continue;
        }

        char kept = *at;

        *at = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST) {
            return mkv_why_error(
                why, MKV_E_IO,
                "cannot make the state directory '%s': %s; name another one with --state", path,
                strerror(errno));
        }
        *at = kept;
        if (kept == '\0') {
            return 0;
        }
    }
}

static int open_store(struct daemon *daemon, struct mkv_why *why)
{
    struct mkv_store_options options = {
        .boot_nonce = mkv_entropy_u64() >> 1,
        .size_max = daemon->config->store_max,
    };
    struct mkv_store_report report;
    char detail[1024] = "";
    int error = make_directory(daemon->config->state, why);

    if (error != 0) {
        return error;
    }
    mkv_entropy_fill(options.id, sizeof(options.id));
    mkv_entropy_fill(options.digest_key, sizeof(options.digest_key));
    error = mkv_store_open(daemon->config->state, &options, &daemon->store, &report, detail);
    if (error != 0) {
        mkv_why_set(why, "%.500s", detail);
        return error;
    }
    say(daemon, MKV_LOG_INFO, "%s store in %s: %" PRIu64 " rows",
        report.created ? "new" : "opened the", daemon->config->state, report.n_rows);
    if (report.n_corrupt > 0) {
        say(daemon, MKV_LOG_ERROR,
            "%" PRIu64 " rows of the store are damaged and have been left out; check the disk",
            report.n_corrupt);
    }
    return 0;
}

static void add_address(struct daemon *daemon,
                        struct mkv_addresses *list,
                        const struct mkv_address *address)
{
    char *text = daemon->address_texts[daemon->n_address_texts++];

    mkv_address_format(address, text, MKV_ADDRESS_TEXT_MAX);
    list->at[list->n++] = mkv_bytes_of(text);
}

static void list_addresses(struct daemon *daemon, struct mkv_server_config *server)
{
    struct mkv_address address;

    for (uint32_t i = 0; i < daemon->n_listeners; i++) {
        add_address(daemon, &server->links, mkv_listener_address(daemon->listeners[i]));
    }
    if (daemon->broker == NULL) {
        add_address(daemon, &server->brokers, &daemon->config->broker);
        return;
    }
    if (mkv_broker_unix_address(daemon->broker, &address)) {
        add_address(daemon, &server->brokers, &address);
    }
    if (mkv_broker_tcp_address(daemon->broker, &address)) {
        add_address(daemon, &server->brokers, &address);
    }
}

static int make_node(struct daemon *daemon, struct mkv_why *why)
{
    struct mkv_server_node_config config = {
        .server = {.name = mkv_bytes_of(daemon->config->name),
                   .root = mkv_bytes_of(daemon->config->root),
                   .software = mkv_bytes_of(MKV_DAEMON_SOFTWARE),
                   .profile = daemon->config->profile,
                   .qos = QOS,
                   .session_limits = {.grace_ms = GAP_GRACE_MS, .void_ms = GAP_VOID_MS}},
        .window_ms = daemon->config->ack_window_ms,
    };

    (void)gethostname(daemon->host, sizeof(daemon->host) - 1);
    config.server.host = mkv_bytes_of(daemon->host);
    mkv_entropy_fill(config.server.secret, sizeof(config.server.secret));
    list_addresses(daemon, &config.server);

    int error = mkv_server_node_new(&config, daemon->store, now_of(daemon), &daemon->node);

    if (error != 0) {
        mkv_why_set(why, "cannot start on the store in '%s': %s", daemon->config->state,
                    mkv_error_text(error));
    }
    return error;
}

static void on_signal(void *context, int number)
{
    struct daemon *daemon = context;

    if (number == SIGHUP) {
        say(daemon, MKV_LOG_INFO, "nothing is reloaded at SIGHUP; restart to change settings");
        return;
    }
    say(daemon, MKV_LOG_INFO, "ending");
    daemon->ending = true;
}

static int start(struct daemon *daemon, struct mkv_why *why)
{
    int error = mkv_loop_new(&daemon->loop);

    if (error == 0) {
        error = mkv_signals_new(daemon->loop, on_signal, daemon, &daemon->signals);
    }
    if (error == 0) {
        error = mkv_timer_init(&daemon->resubscribe, daemon->loop, subscribe_all, daemon);
    }
    if (error != 0) {
        return mkv_why_error(why, error, "cannot start: %s", mkv_error_text(error));
    }
    mkv_loop_on_deadline(daemon->loop, on_deadline, daemon);
    error = open_store(daemon, why);
    if (error == 0 && daemon->config->embedded) {
        error = start_broker(daemon, why);
    }
    if (error == 0 && !daemon->ending) {
        error = open_listeners(daemon, why);
    }
    if (error == 0 && !daemon->ending) {
        error = make_node(daemon, why);
    }
    if (error == 0 && !daemon->ending) {
        error = open_mqtt(daemon, why);
    }
    return error;
}

static int serve(struct daemon *daemon)
{
    pump(daemon);
    while (!daemon->ending) {
        int error = mkv_loop_run_once(daemon->loop, -1);

        if (error != 0) {
            return mkv_why_error(&daemon->why, error, "the event loop failed: %s", strerror(errno));
        }
    }
    mkv_server_node_flush(daemon->node, now_of(daemon));
    pump(daemon);
    return daemon->error;
}

static void end(struct daemon *daemon)
{
    if (daemon->loop != NULL) {
        mkv_loop_on_deadline(daemon->loop, NULL, NULL);
        mkv_loop_set_deadline(daemon->loop, MKV_LOOP_NEVER);
    }
    close_listeners(daemon);
    free_connections(daemon);
    mkv_mqtt_free(daemon->mqtt);
    mkv_server_node_free(daemon->node);
    stop_broker(daemon);
    mkv_broker_free(daemon->broker);
    mkv_timer_deinit(&daemon->resubscribe);
    mkv_signals_free(daemon->signals);
    mkv_loop_free(daemon->loop);
    mkv_store_close(daemon->store);
}

int mkv_daemon_run(const struct mkv_daemon_config *config, struct mkv_why *why)
{
    struct daemon daemon = {.config = config, .connections = {.n_max = MKV_SERVER_LINKS_MAX}};
    int error = start(&daemon, why);

    if (error == 0 && !daemon.ending) {
        error = serve(&daemon);
        *why = daemon.why;
    }
    end(&daemon);
    return error;
}
