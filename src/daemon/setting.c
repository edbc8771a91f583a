/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/setting.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/advertise.h"
#include "wire/tick.h"

#define ACK_WINDOW_MS_MAX 1000
#define PING_S_MAX        3600
#define COUNT_MAX         1024
#define STORE_MAX_MIB_MAX (1U << 24) /* 16 TiB */

static int copy_text(
    char *out, size_t size, const char *text, const char *what, struct mkv_why *why)
{
    if (strlen(text) >= size) {
        return mkv_why_error(why, MKV_E_BAD_ARGUMENT, "%s is too long: '%s'", what, text);
    }
    memcpy(out, text, strlen(text) + 1);
    return 0;
}

static int set_name(struct mkv_daemon_config *config, const char *text, struct mkv_why *why)
{
    if (!mkv_name_valid(mkv_bytes_of(text))) {
        return mkv_why_error(why, MKV_E_BAD_NAME, "'%s': %s", text, mkv_error_text(MKV_E_BAD_NAME));
    }
    return copy_text(config->name, sizeof(config->name), text, "the name", why);
}

static int set_state(struct mkv_daemon_config *config, const char *text, struct mkv_why *why)
{
    char directory[4096];
    char whole[8192];

    if (text[0] == '/') {
        return copy_text(config->state, sizeof(config->state), text, "the state directory", why);
    }
    if (getcwd(directory, sizeof(directory)) == NULL) {
        return mkv_why_error(why, MKV_E_IO, "cannot tell the working directory: %s",
                             strerror(errno));
    }
    (void)snprintf(whole, sizeof(whole), "%s/%s", directory, text);
    return copy_text(config->state, sizeof(config->state), whole, "the state directory", why);
}

static int read_number(const char *text, uint64_t max, uint64_t *ret_number)
{
    char *end;
    unsigned long long number;

    errno = 0;
    number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number > max) {
        return MKV_E_BAD_NUMBER;
    }
    *ret_number = number;
    return 0;
}

/* @text is what follows "embedded": nothing, or a colon and a port. */
static int set_embedded_port(struct mkv_daemon_config *config,
                             const char *text,
                             struct mkv_why *why)
{
    uint64_t port = 0;

    if (text[0] != '\0' && read_number(text + 1, UINT16_MAX, &port) != 0) {
        return mkv_why_error(why, MKV_E_BAD_NUMBER, "'%s' is no port number", text + 1);
    }
    config->embedded_port = (uint16_t)port;
    return 0;
}

static int add_broker(struct mkv_daemon_config *config, const char *text, struct mkv_why *why)
{
    struct mkv_address *address = &config->brokers[config->n_brokers];
    bool is_embedded = strcmp(text, "embedded") == 0 || strncmp(text, "embedded:", 9) == 0;

    if (config->n_brokers == MKV_DAEMON_BROKERS_MAX) {
        return mkv_why_error(why, MKV_E_TOO_MANY, "a broker may have %u addresses at most",
                             MKV_DAEMON_BROKERS_MAX);
    }
    if ((is_embedded && config->n_brokers > 0) || (config->embedded && !config->broker_default)) {
        return mkv_why_error(why, MKV_E_BAD_ARGUMENT,
                             "a server has one broker, its own or another: take out 'embedded' or "
                             "the others");
    }
    config->embedded = is_embedded;
    config->broker_default = false;
    if (is_embedded) {
        return set_embedded_port(config, text + strlen("embedded"), why);
    }

    int error = mkv_address_parse(mkv_bytes_of(text), address, why);

    if (error == 0 && (address->scheme == MKV_ADDRESS_TCP || address->scheme == MKV_ADDRESS_TLS)) {
        error = mkv_why_error(why, MKV_E_BAD_ARGUMENT,
                              "a broker's address looks like mqtt://HOST[:PORT], not '%s'", text);
    }
    config->n_brokers += error == 0;
    return error;
}

/* Those on the command line replace those of the file. */
static void clear_brokers(struct mkv_daemon_config *config)
{
    config->n_brokers = 0;
    config->embedded = true;
    config->embedded_port = 0;
    config->broker_default = true;
}

static int add_listen(struct mkv_daemon_config *config, const char *text, struct mkv_why *why)
{
    struct mkv_address *address = &config->listen[config->n_listen];

    if (config->n_listen == MKV_DAEMON_LISTEN_MAX) {
        return mkv_why_error(why, MKV_E_TOO_MANY, "at most %u addresses can be listened on",
                             MKV_DAEMON_LISTEN_MAX);
    }

    int error = mkv_address_parse(mkv_bytes_of(text), address, why);

    if (error == 0 && address->scheme == MKV_ADDRESS_MQTT) {
        error = mkv_why_error(why, MKV_E_BAD_ARGUMENT,
                              "a link is listened on as unix:PATH, tls://IP[:PORT] or "
                              "tcp://127.0.0.1[:PORT], not '%s'",
                              text);
    }
    if (error == 0 && address->scheme == MKV_ADDRESS_TCP && !mkv_address_is_local(address)) {
        error = mkv_why_error(why, MKV_E_BAD_ARGUMENT,
                              "'%s' can be reached from other machines and has no TLS: "
                              "'moat-kvd cert --host NAME' makes a certificate; then listen on "
                              "tls://%s:%u",
                              text, address->host, (unsigned)address->port);
    }
    if (error == 0) {
        config->n_listen++;
    }
    return error;
}

static int set_socket(struct mkv_daemon_config *config, const char *text, struct mkv_why *why)
{
    if (strcmp(text, "owner") == 0) {
        config->socket_mode = 0600;
    } else if (strcmp(text, "group") == 0) {
        config->socket_mode = 0660;
    } else if (strcmp(text, "all") == 0) {
        config->socket_mode = 0666;
    } else {
        return mkv_why_error(why, MKV_E_BAD_ARGUMENT,
                             "socket is 'owner', 'group' or 'all', not '%s'", text);
    }
    return 0;
}

static void clear_listen(struct mkv_daemon_config *config)
{
    config->n_listen = 0;
}

static void clear_advertise(struct mkv_daemon_config *config)
{
    config->n_advertise = 0;
}

/* Relative to where the server was started, as a shell completes it. */
static int set_tls_cert(struct mkv_daemon_config *config, const char *text, struct mkv_why *why)
{
    return copy_text(config->tls_certificate, sizeof(config->tls_certificate), text,
                     "the certificate's name", why);
}

static int set_tls_key(struct mkv_daemon_config *config, const char *text, struct mkv_why *why)
{
    return copy_text(config->tls_key, sizeof(config->tls_key), text, "the key's name", why);
}

static int set_tls_ca(struct mkv_daemon_config *config, const char *text, struct mkv_why *why)
{
    return copy_text(config->tls_ca, sizeof(config->tls_ca), text, "the CA's name", why);
}

static int set_root(struct mkv_daemon_config *config, const char *text, struct mkv_why *why)
{
    if (mkv_root_check(mkv_bytes_of(text)) != 0) {
        return mkv_why_error(
            why, MKV_E_BAD_TOPIC,
            "'%s' cannot be a topic root: it may not start with '/' or '$', end in "
            "'/', or hold '+', '#' or control characters",
            text);
    }
    return copy_text(config->root, sizeof(config->root), text, "the root", why);
}

static int set_profile(struct mkv_daemon_config *config, const char *text, struct mkv_why *why)
{
    if (strcmp(text, "plain") == 0) {
        config->profile = MKV_PROFILE_PLAIN;
    } else if (strcmp(text, "portable") == 0) {
        config->profile = MKV_PROFILE_PORTABLE;
    } else {
        return mkv_why_error(why, MKV_E_BAD_ARGUMENT,
                             "the profile is 'plain' or 'portable', not '%s'", text);
    }
    return 0;
}

static int set_qos(struct mkv_daemon_config *config, const char *text, struct mkv_why *why)
{
    uint64_t qos = 0;

    if (read_number(text, 1, &qos) != 0) {
        return mkv_why_error(why, MKV_E_BAD_NUMBER, "the QoS is 0 or 1, not '%s'", text);
    }
    config->qos = (uint32_t)qos;
    return 0;
}

static int set_retained(struct mkv_daemon_config *config, const char *text, struct mkv_why *why)
{
    static const char *const codecs[] = {"cbor", "json", "text", "raw"};

    config->mode = MKV_MODE_SERVERS;
    for (unsigned i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++) {
        if (strcmp(text, codecs[i]) == 0) {
            config->mode = (enum mkv_mode)(MKV_MODE_CBOR + i);
        }
    }
    if (config->mode == MKV_MODE_SERVERS && strcmp(text, "off") != 0) {
        return mkv_why_error(why, MKV_E_BAD_ARGUMENT,
                             "retained is 'off', 'cbor', 'json', 'text' or 'raw', not '%s'", text);
    }
    return 0;
}

static int set_clock(struct mkv_daemon_config *config, const char *text, struct mkv_why *why)
{
    if (strcmp(text, "auto") == 0) {
        config->clock = MKV_CLOCK_AUTO;
    } else if (strcmp(text, "always") == 0) {
        config->clock = MKV_CLOCK_ALWAYS;
    } else if (strcmp(text, "never") == 0) {
        config->clock = MKV_CLOCK_NEVER;
    } else {
        return mkv_why_error(why, MKV_E_BAD_ARGUMENT,
                             "clock is 'auto', 'always' or 'never', not '%s'", text);
    }
    return 0;
}

static int set_ack_window(struct mkv_daemon_config *config, const char *text, struct mkv_why *why)
{
    uint64_t ms = 0;

    if (read_number(text, ACK_WINDOW_MS_MAX, &ms) != 0) {
        return mkv_why_error(why, MKV_E_BAD_NUMBER, "ack-window is 0 to %d milliseconds, not '%s'",
                             ACK_WINDOW_MS_MAX, text);
    }
    config->ack_window_ms = (int64_t)ms;
    return 0;
}

/* 1 to @max. */
static int set_count(
    uint32_t *out, const char *text, uint32_t max, const char *what, struct mkv_why *why)
{
    uint64_t count = 0;

    if (read_number(text, max, &count) != 0 || count == 0) {
        return mkv_why_error(why, MKV_E_BAD_NUMBER, "%s is 1 to %u, not '%s'", what, max, text);
    }
    *out = (uint32_t)count;
    return 0;
}

static int set_store_max(struct mkv_daemon_config *config, const char *text, struct mkv_why *why)
{
    uint32_t mib = 0;
    int error = set_count(&mib, text, STORE_MAX_MIB_MAX, "store-max, in MiB,", why);

    config->store_max = (uint64_t)mib << 20;
    return error;
}

static int set_each(struct mkv_daemon_config *config, const char *text, struct mkv_why *why)
{
    return set_count(&config->links_per_address, text, COUNT_MAX, "links-per-address", why);
}

static int set_per_second(struct mkv_daemon_config *config, const char *text, struct mkv_why *why)
{
    return set_count(&config->handshakes_per_second, text, COUNT_MAX, "handshakes-per-second", why);
}

static int set_ping(struct mkv_daemon_config *config, const char *text, struct mkv_why *why)
{
    uint32_t seconds = 0;
    int error = set_count(&seconds, text, PING_S_MAX, "ping, in seconds,", why);

    config->ping_ms = (int64_t)seconds * 1000;
    return error;
}

static int set_verbose(struct mkv_daemon_config *config, const char *text, struct mkv_why *why)
{
    if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) {
        return mkv_why_error(why, MKV_E_BAD_ARGUMENT, "verbose is 'true' or 'false', not '%s'",
                             text);
    }
    config->verbose = strcmp(text, "true") == 0;
    return 0;
}

static int set_switch(bool *is_on, const char *text, const char *what, struct mkv_why *why)
{
    if (strcmp(text, "on") != 0 && strcmp(text, "off") != 0) {
        return mkv_why_error(why, MKV_E_BAD_ARGUMENT, "%s is 'on' or 'off', not '%s'", what, text);
    }
    *is_on = strcmp(text, "on") == 0;
    return 0;
}

static int set_guard(struct mkv_daemon_config *config, const char *text, struct mkv_why *why)
{
    return set_switch(&config->guard, text, "guard", why);
}

static int set_mac(struct mkv_daemon_config *config, const char *text, struct mkv_why *why)
{
    return set_switch(&config->mac, text, "mac", why);
}

static int set_join_file(struct mkv_daemon_config *config, const char *text, struct mkv_why *why)
{
    return copy_text(config->join_file, sizeof(config->join_file), text, "the token's file", why);
}

static const struct mkv_setting settings[] = {
    {"name", set_name, NULL},
    {"state", set_state, NULL},
    {"broker", add_broker, clear_brokers},
    {"listen", add_listen, clear_listen},
    {"advertise", mkv_advertise_add, clear_advertise},
    {"socket", set_socket, NULL},
    {"tls-cert", set_tls_cert, NULL},
    {"tls-key", set_tls_key, NULL},
    {"tls-ca", set_tls_ca, NULL},
    {"root", set_root, NULL},
    {"profile", set_profile, NULL},
    {"qos", set_qos, NULL},
    {"retained", set_retained, NULL},
    {"clock", set_clock, NULL},
    {"ack-window", set_ack_window, NULL},
    {"store-max", set_store_max, NULL},
    {"links-per-address", set_each, NULL},
    {"handshakes-per-second", set_per_second, NULL},
    {"verbose", set_verbose, NULL},
    {"ping", set_ping, NULL},
    {"join-file", set_join_file, NULL},
    {"guard", set_guard, NULL},
    {"mac", set_mac, NULL},
};

#define N_SETTINGS (sizeof(settings) / sizeof(settings[0]))

_Static_assert(N_SETTINGS <= 32, "which of them were given is told by bits");

const struct mkv_setting *mkv_setting_find(const char *name)
{
    for (size_t i = 0; i < N_SETTINGS; i++) {
        if (strcmp(settings[i].name, name) == 0) {
            return &settings[i];
        }
    }
    return NULL;
}

uint32_t mkv_setting_number(const struct mkv_setting *setting)
{
    return (uint32_t)(setting - settings);
}

int mkv_setting_listen_default(struct mkv_daemon_config *config, struct mkv_why *why)
{
    char text[MKV_DAEMON_TEXT_MAX + 16];

    (void)snprintf(text, sizeof(text), "unix:%s/link.sock", config->state);
    return add_listen(config, text, why);
}
