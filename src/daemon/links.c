/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <unistd.h>

#include "base/mem.h"
#include "daemon/inner.h"
#include "wire/frame.h"

#define DIAL_MS 5000 /* after this a server that was dialled is not there */

static void on_frame(void *context, struct mkv_link *link, struct mkv_bytes map)
{
    struct connection *connection = context;
    struct daemon *daemon = connection->daemon;

    (void)link;
    mkv_server_node_frame(daemon->node, mkv_daemon_now(daemon), connection->number, map);
    mkv_daemon_pump(daemon);
}

/* The stream is out of step, and is so for good: says why, as its last word. */
static void on_unreadable(void *context, struct mkv_link *link, int error)
{
    const struct mkv_frame frame = {
        .kind = MKV_FRAME_ERROR,
        .error = {.code = error, .text = mkv_bytes_of(mkv_error_text(error))},
    };
    const struct connection *connection = context;
    struct mkv_buf bytes;

    mkv_buf_init(&bytes, MKV_FRAME_MAX);
    if (mkv_frame_encode(&frame, &bytes) != 0 || mkv_link_send(link, mkv_buf_bytes(&bytes)) != 0) {
        mkv_daemon_say(connection->daemon, MKV_LOG_DEBUG, "link %" PRIu64 " was not told: %s",
                       connection->number, mkv_error_text(error));
    }
    mkv_buf_deinit(&bytes);
    mkv_link_close(link);
}

static void on_drained(void *context, struct mkv_link *link)
{
    struct connection *connection = context;

    (void)link;
    mkv_server_node_link_congested(connection->daemon->node, connection->number, false);
    mkv_daemon_pump(connection->daemon);
}

static void on_link_closed(void *context,
                           struct mkv_link *link,
                           int error,
                           const struct mkv_why *why)
{
    struct connection *connection = context;
    struct daemon *daemon = connection->daemon;

    if (!connection->open) {
        mkv_daemon_say(daemon, MKV_LOG_WARNING, "another server: %s", why->text);
    } else if (error != 0 && error != MKV_E_CLOSED) {
        mkv_daemon_say(daemon, MKV_LOG_WARNING, "link %" PRIu64 ": %s", connection->number,
                       why->text);
    }
    (void)mkv_map_remove(&daemon->connections, connection->number);
    if (connection->open) {
        mkv_server_node_link_closed(daemon->node, mkv_daemon_now(daemon), connection->number);
    } else {
        mkv_server_node_dialled(daemon->node, mkv_daemon_now(daemon), connection->number,
                                error != 0 ? error : MKV_E_CLOSED, MKV_PEER_REMOTE);
    }
    mkv_link_free(link);
    mkv_sasl_free(connection->sasl);
    mkv_mem_free(connection);
    mkv_daemon_pump(daemon);
}

/* Whom we believe on a unix socket: ourselves alone.  To a server of root's we are another user. */
static enum mkv_peer_kind kind_of_dialled(const struct mkv_peer *peer)
{
    if (peer->is_unix) {
        return peer->uid == geteuid() ? MKV_PEER_SAME_USER : MKV_PEER_OTHER_USER;
    }
    if (peer->is_secure) {
        return MKV_PEER_SECURE;
    }
    return peer->is_local ? MKV_PEER_LOOPBACK : MKV_PEER_REMOTE;
}

static void on_dialled(void *context, struct mkv_link *link)
{
    struct connection *connection = context;
    struct daemon *daemon = connection->daemon;

    connection->open = true;
    mkv_server_node_dialled(daemon->node, mkv_daemon_now(daemon), connection->number, 0,
                            kind_of_dialled(mkv_link_peer(link)));
    mkv_daemon_pump(daemon);
}

static int connect_to(struct connection *connection, struct mkv_bytes text, struct mkv_why *why)
{
    const struct mkv_link_options options = {.connect_ms = DIAL_MS,
                                             .tls = connection->daemon->tls_out};
    static const struct mkv_link_events events = {.opened = on_dialled,
                                                  .frame = on_frame,
                                                  .unreadable = on_unreadable,
                                                  .drained = on_drained,
                                                  .closed = on_link_closed};
    struct mkv_address address;
    int error = mkv_address_parse(text, &address, why);

    if (error == 0 && address.scheme == MKV_ADDRESS_MQTT) {
        error = mkv_why_error(why, MKV_E_BAD_ARGUMENT, "that is the address of a broker");
    }
    if (error == 0) {
        error = mkv_link_connect(connection->daemon->loop, &address, &options, &events, connection,
                                 &connection->link);
    }
    return error;
}

/* Like on_accepted(), but the other side is told by `opened` or `closed` how it went. */
void mkv_daemon_dial(struct daemon *daemon, uint64_t number, struct mkv_bytes text)
{
    struct connection *connection = mkv_mem_alloc(sizeof(*connection));
    struct mkv_why why = {{0}};
    int error = MKV_E_NO_MEMORY;

    mkv_daemon_say(daemon, MKV_LOG_DEBUG, "link %" PRIu64 " to %.*s", number, (int)text.len,
                   (const char *)text.at);
    if (connection != NULL) {
        *connection = (struct connection){.daemon = daemon, .number = number};
        error = mkv_map_add(&daemon->connections, number, connection);
    }
    if (error == 0) {
        error = connect_to(connection, text, &why);
        if (error != 0) {
            (void)mkv_map_remove(&daemon->connections, number);
        }
    }
    if (error != 0) {
        mkv_daemon_say(daemon, MKV_LOG_WARNING, "another server at '%.*s': %s", (int)text.len,
                       (const char *)text.at,
                       why.text[0] != '\0' ? why.text : mkv_error_text(error));
        mkv_mem_free(connection);
        mkv_server_node_dialled(daemon->node, mkv_daemon_now(daemon), number, error,
                                MKV_PEER_REMOTE);
    }
}

static enum mkv_peer_kind kind_of(const struct mkv_peer *peer)
{
    if (peer->is_unix) {
        return peer->uid == geteuid() || peer->uid == 0 ? MKV_PEER_SAME_USER : MKV_PEER_OTHER_USER;
    }
    if (peer->is_secure) {
        return peer->user[0] != '\0' ? MKV_PEER_CERTIFIED : MKV_PEER_SECURE;
    }
    return peer->is_local ? MKV_PEER_LOOPBACK : MKV_PEER_REMOTE;
}

static void tell_opened(struct daemon *daemon, const struct connection *connection)
{
    const struct mkv_peer *peer = mkv_link_peer(connection->link);
    enum mkv_peer_kind kind = kind_of(peer);

    mkv_server_node_link_opened(daemon->node, mkv_daemon_now(daemon), connection->number, kind);
    if (kind == MKV_PEER_OTHER_USER) {
        mkv_server_node_link_uid(daemon->node, connection->number, (uint32_t)peer->uid);
    } else if (kind == MKV_PEER_CERTIFIED) {
        mkv_server_node_link_user(daemon->node, connection->number, mkv_bytes_of(peer->user));
    }
}

static void on_accepted(void *context, struct mkv_link *link)
{
    static const struct mkv_link_events events = {.frame = on_frame,
                                                  .unreadable = on_unreadable,
                                                  .drained = on_drained,
                                                  .closed = on_link_closed};
    struct daemon *daemon = context;
    struct connection *connection = mkv_mem_alloc(sizeof(*connection));

    if (connection == NULL) {
        mkv_link_free(link);
        return;
    }
    *connection = (struct connection){
        .daemon = daemon, .number = ++daemon->n_connections, .link = link, .open = true};
    if (mkv_map_add(&daemon->connections, connection->number, connection) != 0) {
        mkv_link_free(link);
        mkv_mem_free(connection);
        return;
    }
    mkv_link_own(link, &events, connection);
    mkv_daemon_say(daemon, MKV_LOG_DEBUG, "link %" PRIu64 " from %s", connection->number,
                   mkv_link_peer(link)->text);
    tell_opened(daemon, connection);
    mkv_daemon_pump(daemon);
}

static int open_tls(struct daemon *daemon, struct mkv_why *why)
{
    const struct mkv_daemon_config *config = daemon->config;
    const struct mkv_tls_server_options options = {
        .certificate = config->tls_certificate,
        .key = config->tls_key,
        .client_ca = config->tls_ca[0] != '\0' ? config->tls_ca : NULL,
    };

    return config->tls_certificate[0] == '\0' ? 0 : mkv_tls_server_new(&options, why, &daemon->tls);
}

int mkv_daemon_open_listeners(struct daemon *daemon, struct mkv_why *why)
{
    struct mkv_listener_options options = {
        .accepted = on_accepted, .context = daemon, .links_max = MKV_DAEMON_LINKS_MAX};
    int error = open_tls(daemon, why);

    options.link.tls = daemon->tls;
    options.mode = daemon->config->socket_mode;
    options.door = &daemon->door;
    daemon->door.each = daemon->config->links_per_address;
    daemon->door.per_s = daemon->config->handshakes_per_second;
    for (uint32_t i = 0; i < daemon->config->n_listen && error == 0; i++) {
        error = mkv_listener_new(daemon->loop, &daemon->config->listen[i], &options, why,
                                 &daemon->listeners[i]);
        daemon->n_listeners += error == 0;
    }
    return error;
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
        mkv_sasl_free(connection->sasl);
        mkv_mem_free(connection);
    }
    mkv_map_deinit(&daemon->connections);
}

void mkv_daemon_close_links(struct daemon *daemon)
{
    close_listeners(daemon);
    free_connections(daemon);
}
