/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/config.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

#include "base/assert.h"
#include "base/limits.h"
#include "daemon/advertise.h"
#include "daemon/cert.h"
#include "io/home.h"
#include "wire/tick.h"

#define ACK_WINDOW_MS     2
#define ACK_WINDOW_MS_MAX 1000
#define PING_MS           10000
#define PING_S_MAX        3600
#define COUNT_MAX         1024
#define STORE_MAX_MIB_MAX (1U << 24) /* 16 TiB */

/* --- One setting -------------------------------------------------------------------------- */

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

struct setting {
    const char *name;
    int (*set)(struct mkv_daemon_config *config, const char *text, struct mkv_why *why);
    void (*clear)(struct mkv_daemon_config *config); /* of a list: it may be given several times */
};

static const struct setting settings[] = {
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

static const struct setting *find_setting(const char *name)
{
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        if (strcmp(settings[i].name, name) == 0) {
            return &settings[i];
        }
    }
    return NULL;
}

/* --- The file ----------------------------------------------------------------------------- */

static const char *scalar_text(const yaml_node_t *node)
{
    const char *text = (const char *)node->data.scalar.value;

    return strlen(text) == node->data.scalar.length ? text : NULL; /* NULs are for nobody */
}

static int take_value(struct mkv_daemon_config *config,
                      const struct setting *setting,
                      const yaml_node_t *value,
                      struct mkv_why *why)
{
    const char *text = value->type == YAML_SCALAR_NODE ? scalar_text(value) : NULL;

    if (text == NULL) {
        return mkv_why_error(why, MKV_E_BAD_ARGUMENT, "line %zu: '%s' must be a plain value",
                             value->start_mark.line + 1, setting->name);
    }
    return setting->set(config, text, why);
}

static int take_list(struct mkv_daemon_config *config,
                     const struct setting *setting,
                     yaml_document_t *document,
                     const yaml_node_t *list,
                     struct mkv_why *why)
{
    int error = 0;

    for (const yaml_node_item_t *item = list->data.sequence.items.start;
         item < list->data.sequence.items.top && error == 0; item++) {
        error = take_value(config, setting, yaml_document_get_node(document, *item), why);
    }
    return error;
}

static int take_pair(struct mkv_daemon_config *config,
                     yaml_document_t *document,
                     const yaml_node_pair_t *pair,
                     struct mkv_why *why)
{
    const yaml_node_t *key = yaml_document_get_node(document, pair->key);
    const yaml_node_t *value = yaml_document_get_node(document, pair->value);
    const char *name = key->type == YAML_SCALAR_NODE ? scalar_text(key) : NULL;
    const struct setting *setting = name == NULL ? NULL : find_setting(name);

    if (setting == NULL) {
        return mkv_why_error(why, MKV_E_BAD_ARGUMENT,
                             "line %zu: there is no setting '%s' (moat-kvd --help lists them)",
                             key->start_mark.line + 1, name == NULL ? "" : name);
    }
    if (setting->clear != NULL && value->type == YAML_SEQUENCE_NODE) {
        return take_list(config, setting, document, value, why);
    }
    return take_value(config, setting, value, why);
}

static int take_document(struct mkv_daemon_config *config,
                         yaml_document_t *document,
                         struct mkv_why *why)
{
    const yaml_node_t *root = yaml_document_get_root_node(document);
    int error = 0;

    if (root == NULL) { /* an empty file */
        return 0;
    }
    if (root->type != YAML_MAPPING_NODE) {
        return mkv_why_error(why, MKV_E_BAD_ARGUMENT, "must consist of lines like 'name: attic'");
    }
    for (const yaml_node_pair_t *pair = root->data.mapping.pairs.start;
         pair < root->data.mapping.pairs.top && error == 0; pair++) {
        error = take_pair(config, document, pair, why);
    }
    return error;
}

static int parse_file(struct mkv_daemon_config *config, FILE *file, struct mkv_why *why)
{
    yaml_parser_t parser;
    yaml_document_t document;
    int error;

    if (yaml_parser_initialize(&parser) == 0) {
        return mkv_why_error(why, MKV_E_NO_MEMORY, "out of memory");
    }
    yaml_parser_set_input_file(&parser, file);
    if (yaml_parser_load(&parser, &document) == 0) {
        error = mkv_why_error(why, MKV_E_MALFORMED, "line %zu: %s", parser.problem_mark.line + 1,
                              parser.problem == NULL ? "no valid YAML" : parser.problem);
    } else {
        error = take_document(config, &document, why);
        yaml_document_delete(&document);
    }
    yaml_parser_delete(&parser);
    return error;
}

static int read_file(struct mkv_daemon_config *config,
                     const char *name,
                     bool required,
                     struct mkv_why *why)
{
    struct mkv_why reason = {{0}};
    FILE *file = fopen(name, "re");

    if (file == NULL) {
        if (!required && errno == ENOENT) {
            return 0;
        }
        return mkv_why_error(why, MKV_E_IO, "cannot read the configuration '%s': %s", name,
                             strerror(errno));
    }

    int error = parse_file(config, file, &reason);

    (void)fclose(file);
    if (error != 0) {
        mkv_why_set(why, "configuration '%s': %s", name, reason.text);
    }
    return error;
}

/* --- The command line --------------------------------------------------------------------- */

enum option_code {
    OPTION_SETTING = 1, /* the long option's name is the setting's */
    OPTION_CONFIG,
    OPTION_VERBOSE,
    OPTION_ACCEPT_RESTORED,
    OPTION_VERSION,
    OPTION_HELP,
};

static const struct option options[] = {
    {"name", required_argument, NULL, OPTION_SETTING},
    {"state", required_argument, NULL, OPTION_SETTING},
    {"broker", required_argument, NULL, OPTION_SETTING},
    {"listen", required_argument, NULL, OPTION_SETTING},
    {"advertise", required_argument, NULL, OPTION_SETTING},
    {"socket", required_argument, NULL, OPTION_SETTING},
    {"tls-cert", required_argument, NULL, OPTION_SETTING},
    {"tls-key", required_argument, NULL, OPTION_SETTING},
    {"tls-ca", required_argument, NULL, OPTION_SETTING},
    {"root", required_argument, NULL, OPTION_SETTING},
    {"profile", required_argument, NULL, OPTION_SETTING},
    {"qos", required_argument, NULL, OPTION_SETTING},
    {"ping", required_argument, NULL, OPTION_SETTING},
    {"join-file", required_argument, NULL, OPTION_SETTING},
    {"guard", required_argument, NULL, OPTION_SETTING},
    {"mac", required_argument, NULL, OPTION_SETTING},
    {"accept-restored", no_argument, NULL, OPTION_ACCEPT_RESTORED},
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"verbose", no_argument, NULL, OPTION_VERBOSE},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

/* The file is read first, wherever --config stands, so that the command line wins. */
static const char *config_file(int argc, char **argv)
{
    const char *name = NULL;
    int code;

    optind = 0;
    opterr = 0;
    while ((code = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (code == OPTION_CONFIG) {
            name = optarg;
        }
    }
    return name;
}

static enum mkv_config_verdict read_options(int argc,
                                            char **argv,
                                            struct mkv_daemon_config *config,
                                            struct mkv_why *why)
{
    uint32_t given = 0; /* bits: settings */
    int index = 0;
    int code;

    optind = 0;
    opterr = 0;
    while ((code = getopt_long(argc, argv, "", options, &index)) != -1) {
        if (code == OPTION_HELP) {
            return MKV_CONFIG_HELP;
        }
        if (code == OPTION_VERSION) {
            return MKV_CONFIG_VERSION;
        }
        if (code == OPTION_VERBOSE) {
            config->verbose = true;
        } else if (code == OPTION_ACCEPT_RESTORED) {
            config->accept_restored = true;
        } else if (code == OPTION_SETTING) {
            const struct setting *setting = find_setting(options[index].name);
            MKV_ASSERT(setting != NULL); /* each option is one */
            uint32_t bit = 1U << (setting - settings);

            if (setting->clear != NULL && (given & bit) == 0) { /* replaces the file's */
                setting->clear(config);
            }
            given |= bit;
            if (setting->set(config, optarg, why) != 0) {
                return MKV_CONFIG_WRONG;
            }
        } else if (code != OPTION_CONFIG) {
            mkv_why_set(why, "unknown option, or one without its value: '%s' (see moat-kvd --help)",
                        argv[optind - 1]);
            return MKV_CONFIG_WRONG;
        }
    }
    if (optind < argc) {
        mkv_why_set(why, "'%s' is not expected here (see moat-kvd --help)", argv[optind]);
        return MKV_CONFIG_WRONG;
    }
    return MKV_CONFIG_RUN;
}

/* --- Defaults ----------------------------------------------------------------------------- */

/* The host's name up to the first dot, with all that a server name cannot hold replaced. */
static void default_name(char name[MKV_NAME_MAX + 1])
{
    char host[256] = {0};

    (void)gethostname(host, sizeof(host) - 1);
    host[strcspn(host, ".")] = '\0';
    host[MKV_NAME_MAX] = '\0';
    for (char *at = host; *at != '\0'; at++) {
        if (!mkv_name_valid(mkv_bytes(at, 1))) {
            *at = '-';
        }
    }
    (void)snprintf(name, MKV_NAME_MAX + 1, "%s", host[0] == '\0' ? "server" : host);
}

static int fill_gaps(struct mkv_daemon_config *config, struct mkv_why *why)
{
    char text[MKV_DAEMON_TEXT_MAX + 16];
    int error = 0;

    if (!mkv_root_suits(mkv_bytes_of(config->root), config->profile)) {
        return mkv_why_error(
            why, MKV_E_BAD_TOPIC,
            "the root '%s' does not suit the portable profile: it may hold no '.', "
            "'*' or space",
            config->root);
    }
    if (config->state[0] == '\0') {
        error = mkv_home_state(config->state, sizeof(config->state), why);
    }
    if (error == 0 && config->n_listen == 0) {
        (void)snprintf(text, sizeof(text), "unix:%s/link.sock", config->state);
        error = add_listen(config, text, why);
    }
    return error != 0 ? error : mkv_cert_find(config, why);
}

enum mkv_config_verdict mkv_config_read(int argc,
                                        char **argv,
                                        struct mkv_daemon_config *ret_config,
                                        struct mkv_why *why)
{
    struct mkv_daemon_config config = {.embedded = true,
                                       .broker_default = true,
                                       .guard = true,
                                       .qos = 1,
                                       .ack_window_ms = ACK_WINDOW_MS,
                                       .ping_ms = PING_MS,
                                       .root = "moat/main"};
    const char *file = config_file(argc, argv);

    default_name(config.name);

    int error = read_file(&config, file == NULL ? MKV_DAEMON_CONFIG_FILE : file, file != NULL, why);

    if (error != 0) {
        return MKV_CONFIG_WRONG;
    }

    enum mkv_config_verdict verdict = read_options(argc, argv, &config, why);

    if (verdict == MKV_CONFIG_RUN && fill_gaps(&config, why) != 0) {
        return MKV_CONFIG_WRONG;
    }
    *ret_config = config;
    return verdict;
}
