/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mosquitto's side of the guard: its events become questions to guard/guard, and the answers its
 * return codes.
 *
 * Of these only 0, ACL_DENIED and DEFER leave the connection alone, so every failure of ours is a
 * denial.  The broker is one thread, and so is all of this.
 */
#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "guard/clients.h"
#include "guard/guard.h"
#include "guard/options.h"
#include "guard/report.h"
#include "guard/source.h"

#define EXPORT  __attribute__((visibility("default"))) /* mosquitto finds these by their names */
#define LOOK_MS 100 /* how often the file of rights is looked at; TICK comes far more often */
#define SAY     "moat-kv-guard: "
#define SWEEP   64U /* connections that are ended in one go */

struct plugin {
    mosquitto_plugin_id_t *id;
    struct mkv_guard_options options;
    char rights[4096]; /* the file's path */
    struct mkv_guard guard;
    struct mkv_clients clients;
    struct mkv_source source;
    struct mkv_report report;
    int64_t look_ms; /* when the file is looked at next */
    bool sweeping;   /* there may be connections whose key has gone */
};

static int64_t now_ms(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct mkv_guard_now read_clocks(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return (struct mkv_guard_now){.ms = now_ms(), .unix_s = now.tv_sec};
}

static struct mkv_bytes bytes_of(const char *text)
{
    return text == NULL ? mkv_bytes(NULL, 0) : mkv_bytes_of(text);
}

/* A refusal in the log: who, why, and what it was about. */
static void report(struct plugin *plugin,
                   const struct mosquitto *client,
                   const char *why,
                   const char *about)
{
    uint64_t n_left_out;
    char id[MKV_REPORT_QUOTE_MAX];
    char user[MKV_REPORT_QUOTE_MAX];
    char topic[MKV_REPORT_QUOTE_MAX];
    char left_out[64] = "";

    if (!mkv_report_may(&plugin->report, now_ms(), &n_left_out)) {
        return;
    }
    mkv_report_quote(bytes_of(mosquitto_client_id(client)), id);
    mkv_report_quote(bytes_of(mosquitto_client_username(client)), user);
    mkv_report_quote(bytes_of(about), topic);
    if (n_left_out > 0) {
        (void)snprintf(left_out, sizeof(left_out), " (%llu more were not told)",
                       (unsigned long long)n_left_out);
    }
    mosquitto_log_printf(MOSQ_LOG_WARNING, SAY "refused: '%s' (user '%s') %s%s%s%s%s", id, user,
                         why, about != NULL ? ": '" : "", topic, about != NULL ? "'" : "",
                         left_out);
}

/* Looks at the file of rights, and takes it over if it is a good one. */
static void look(struct plugin *plugin)
{
    struct mkv_buf file;
    int error;

    if (!mkv_source_has_changed(&plugin->source)) {
        return;
    }
    mkv_buf_init(&file, MKV_RIGHTS_MAX);
    error = mkv_source_read(&plugin->source, &file);
    if (error == 0) {
        error = mkv_guard_take(&plugin->guard, mkv_buf_bytes(&file));
    }
    mkv_buf_deinit(&file);
    plugin->sweeping |= error == 0;
    if (error != 0) {
        mosquitto_log_printf(MOSQ_LOG_ERR, SAY "cannot use the rights in '%s': %s; %s",
                             plugin->rights, mkv_error_text(error),
                             plugin->guard.knows ? "those it had stay in force"
                                                 : "nothing is allowed until there are some");
    }
}

/* Whoever comes may know of what has been written since the file was last looked at. */
static int on_login(int event, void *data, void *context)
{
    struct plugin *plugin = context;
    const struct mosquitto_evt_basic_auth *login = data;
    struct mkv_guard_peer peer;
    struct mkv_judgement judgement;

    look(plugin);
    judgement =
        mkv_guard_login(&plugin->guard, read_clocks(), bytes_of(mosquitto_client_id(login->client)),
                        bytes_of(login->username), bytes_of(login->password), &peer);

    (void)event;
    if (judgement.answer == MKV_GUARD_ALLOW) {
        if (mkv_clients_put(&plugin->clients, login->client, &peer) == 0) {
            return MOSQ_ERR_SUCCESS;
        }
        judgement = (struct mkv_judgement){MKV_GUARD_DENY, "is one connection too many"};
    }
    mkv_clients_drop(&plugin->clients, login->client);
    if (judgement.answer == MKV_GUARD_NOT_OURS && plugin->options.others != MKV_GUARD_OTHERS_DENY) {
        return MOSQ_ERR_PLUGIN_DEFER;
    }
    report(plugin, login->client, judgement.why, NULL);
    return MOSQ_ERR_AUTH;
}

static struct mkv_judgement judge(struct plugin *plugin,
                                  const struct mosquitto_evt_acl_check *check)
{
    struct mkv_guard_peer *peer = mkv_clients_get(&plugin->clients, check->client);
    struct mkv_guard_message message = {
        .topic = bytes_of(check->topic),
        .payload = mkv_bytes(check->payload, check->payloadlen),
        .retain = check->retain,
    };

    switch (check->access) {
    case MOSQ_ACL_READ:
        return mkv_guard_read(&plugin->guard, peer, message.topic);
    case MOSQ_ACL_WRITE:
        return mkv_guard_write(&plugin->guard, read_clocks(), peer, &message);
    case MOSQ_ACL_SUBSCRIBE:
        return mkv_guard_subscribe(&plugin->guard, peer, message.topic);
    case MOSQ_ACL_UNSUBSCRIBE:
        return (struct mkv_judgement){MKV_GUARD_ALLOW, NULL};
    default:
        return (struct mkv_judgement){MKV_GUARD_DENY, "asks for what is not known here"};
    }
}

static int answer_of_others(const struct plugin *plugin)
{
    switch (plugin->options.others) {
    case MKV_GUARD_OTHERS_DEFER:
        return MOSQ_ERR_PLUGIN_DEFER;
    case MKV_GUARD_OTHERS_ALLOW:
        return MOSQ_ERR_SUCCESS;
    case MKV_GUARD_OTHERS_DENY:
        break;
    }
    return MOSQ_ERR_ACL_DENIED;
}

static int on_access(int event, void *data, void *context)
{
    struct plugin *plugin = context;
    const struct mosquitto_evt_acl_check *check = data;
    struct mkv_judgement judgement = judge(plugin, check);
    int answer = MOSQ_ERR_ACL_DENIED;

    (void)event;
    if (judgement.answer == MKV_GUARD_ALLOW) {
        return MOSQ_ERR_SUCCESS;
    }
    if (judgement.answer == MKV_GUARD_NOT_OURS) {
        answer = answer_of_others(plugin);
    }
    /* Not to get a message is no offence: one may subscribe to more than one may read. */
    if (answer == MOSQ_ERR_ACL_DENIED && check->access != MOSQ_ACL_READ) {
        report(plugin, check->client, judgement.why, check->topic);
    }
    return answer;
}

static int on_gone(int event, void *data, void *context)
{
    struct plugin *plugin = context;
    const struct mosquitto_evt_disconnect *gone = data;

    (void)event;
    mkv_clients_drop(&plugin->clients, gone->client);
    return MOSQ_ERR_SUCCESS;
}

/* Outside of all other events: what a broker does next with a connection that is gone is its affair. */
static void sweep(struct plugin *plugin)
{
    const void *stale[SWEEP];
    size_t n = mkv_clients_stale(&plugin->clients, &plugin->guard, stale, SWEEP);

    for (size_t i = 0; i < n; i++) {
        const char *id = mosquitto_client_id(stale[i]);

        report(plugin, stale[i], "has credentials by a key that has gone", NULL);
        mkv_clients_drop(&plugin->clients, stale[i]);
        if (id != NULL) {
            (void)mosquitto_kick_client_by_clientid(id,
                                                    false); /* else it may do nothing any more */
        }
    }
    plugin->sweeping = n == SWEEP;
}

static int on_tick(int event, void *data, void *context)
{
    struct plugin *plugin = context;
    int64_t now = now_ms();

    (void)event;
    (void)data;
    if (now >= plugin->look_ms) {
        plugin->look_ms = now + LOOK_MS;
        look(plugin);
    }
    if (plugin->sweeping) {
        sweep(plugin);
    }
    return MOSQ_ERR_SUCCESS;
}

static const struct {
    int event;
    MOSQ_FUNC_generic_callback call;
} events[] = {
    {MOSQ_EVT_BASIC_AUTH, on_login},
    {MOSQ_EVT_ACL_CHECK, on_access},
    {MOSQ_EVT_DISCONNECT, on_gone},
    {MOSQ_EVT_TICK, on_tick},
};

#define N_EVENTS (sizeof(events) / sizeof(events[0]))

static int read_options(struct plugin *plugin, const struct mosquitto_opt *options, int n_options)
{
    mkv_guard_options_init(&plugin->options);
    for (int i = 0; i < n_options; i++) {
        int error = mkv_guard_options_set(&plugin->options, options[i].key, options[i].value);

        if (error != 0) {
            mosquitto_log_printf(MOSQ_LOG_ERR, SAY "plugin_opt_%s: %s", options[i].key,
                                 error == MKV_E_NOT_FOUND ? "there is no such option"
                                                          : "not with this value");
            return error;
        }
    }
    if (plugin->options.rights == NULL ||
        strlen(plugin->options.rights) >= sizeof(plugin->rights)) {
        mosquitto_log_printf(MOSQ_LOG_ERR, SAY "plugin_opt_rights must name the file of rights");
        return MKV_E_BAD_ARGUMENT;
    }
    memcpy(plugin->rights, plugin->options.rights, strlen(plugin->options.rights));
    plugin->options.rights = plugin->rights;
    return 0;
}

EXPORT int mosquitto_plugin_version(int supported_version_count, const int *supported_versions)
{
    for (int i = 0; i < supported_version_count; i++) {
        if (supported_versions[i] == MOSQ_PLUGIN_VERSION) {
            return MOSQ_PLUGIN_VERSION;
        }
    }
    return -1;
}

/* The callbacks of events[] before the @n-th. */
static void unregister(struct plugin *plugin, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        (void)mosquitto_callback_unregister(plugin->id, events[i].event, events[i].call, NULL);
    }
}

static void free_plugin(struct plugin *plugin)
{
    mkv_guard_deinit(&plugin->guard);
    mkv_clients_deinit(&plugin->clients);
    mkv_mem_free(plugin);
}

EXPORT int mosquitto_plugin_init(mosquitto_plugin_id_t *identifier,
                                 void **userdata,
                                 struct mosquitto_opt *options,
                                 int option_count)
{
    struct plugin *plugin = mkv_mem_alloc(sizeof(*plugin));

    if (plugin == NULL) {
        return MOSQ_ERR_NOMEM;
    }
    if (read_options(plugin, options, option_count) != 0) {
        mkv_mem_free(plugin);
        return MOSQ_ERR_INVAL;
    }
    plugin->id = identifier;
    mkv_guard_init(&plugin->guard, &plugin->options.limits);
    mkv_clients_init(&plugin->clients);
    mkv_source_init(&plugin->source, plugin->rights);
    look(plugin);
    for (size_t i = 0; i < N_EVENTS; i++) {
        int failure =
            mosquitto_callback_register(identifier, events[i].event, events[i].call, NULL, plugin);

        if (failure != MOSQ_ERR_SUCCESS) {
            unregister(plugin, i);
            free_plugin(plugin);
            return failure;
        }
    }
    *userdata = plugin;
    return MOSQ_ERR_SUCCESS;
}

EXPORT int mosquitto_plugin_cleanup(void *userdata, struct mosquitto_opt *options, int option_count)
{
    struct plugin *plugin = userdata;

    (void)options;
    (void)option_count;
    if (plugin != NULL) {
        unregister(plugin, N_EVENTS);
        free_plugin(plugin);
    }
    return MOSQ_ERR_SUCCESS;
}
