/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/config.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

#include "base/assert.h"
#include "base/limits.h"
#include "daemon/cert.h"
#include "daemon/setting.h"
#include "io/home.h"
#include "wire/tick.h"

#define ACK_WINDOW_MS 2
#define PING_MS       10000

/* --- The file ----------------------------------------------------------------------------- */

static const char *scalar_text(const yaml_node_t *node)
{
    const char *text = (const char *)node->data.scalar.value;

    return strlen(text) == node->data.scalar.length ? text : NULL; /* NULs are for nobody */
}

static int take_value(struct mkv_daemon_config *config,
                      const struct mkv_setting *setting,
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
                     const struct mkv_setting *setting,
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
    const struct mkv_setting *setting = name == NULL ? NULL : mkv_setting_find(name);

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
    {"retained", required_argument, NULL, OPTION_SETTING},
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
            const struct mkv_setting *setting = mkv_setting_find(options[index].name);
            MKV_ASSERT(setting != NULL); /* each option is one */
            uint32_t bit = 1U << mkv_setting_number(setting);

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
    int error = 0;

    if (!mkv_root_suits(mkv_bytes_of(config->root), config->profile)) {
        return mkv_why_error(
            why, MKV_E_BAD_TOPIC,
            "the root '%s' does not suit the portable profile: it may hold no '.', "
            "'*' or space",
            config->root);
    }
    if (mkv_mode_retains(config->mode) && (config->guard || config->mac)) {
        return mkv_why_error(why, MKV_E_BAD_ARGUMENT,
                             "with --retained, values are written by programs that can prove "
                             "nothing: say --guard off, and --mac off, and let the broker decide "
                             "who may write (docs/retained.md)");
    }
    if (config->state[0] == '\0') {
        error = mkv_home_state(config->state, sizeof(config->state), why);
    }
    if (error == 0 && config->n_listen == 0) {
        error = mkv_setting_listen_default(config, why);
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
