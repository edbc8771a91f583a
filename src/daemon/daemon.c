/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/daemon.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/advertise.h"
#include "daemon/inner.h"
#include "daemon/keyring.h"
#include "io/clock.h"
#include "io/entropy.h"

#define GAP_GRACE_MS 200
#define GAP_VOID_MS  30000
#define NEW_KEY_MS   1000 /* until a new key is used: by then the guard has read it */
#define FILES        4096 /* all links that there may be, and their clients in the embedded broker */

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

static void open_quarantine(struct daemon *daemon)
{
    uint32_t n = mkv_quarantine_count(daemon->config->state);

    mkv_quarantine_file_init(&daemon->quarantine, daemon->config->state,
                             mkv_store_id(daemon->store));
    if (n > 0) {
        mkv_daemon_say(daemon, MKV_LOG_WARNING,
                       "%" PRIu32 " files '%s/quarantine-*.mkv' hold what was set aside earlier: "
                       "restore what you want of them, and remove them",
                       n, daemon->config->state);
    }
}

static int open_store(struct daemon *daemon, struct mkv_why *why)
{
    struct mkv_store_options options = {
        .boot_nonce = mkv_entropy_u64() >> 1,
        .size_max = daemon->config->store_max,
    };
    const struct mkv_store_report *report = &daemon->report;
    char detail[1024] = "";
    int error = make_directory(daemon->config->state, why);

    if (error != 0) {
        return error;
    }
    mkv_entropy_fill(options.id, sizeof(options.id));
    mkv_digest_key_of(mkv_bytes_of(daemon->config->root), options.digest_key);
    error =
        mkv_store_open(daemon->config->state, &options, &daemon->store, &daemon->report, detail);
    if (error != 0) {
        mkv_why_set(why, "%.500s", detail);
        return error;
    }
    mkv_daemon_say(daemon, MKV_LOG_INFO, "%s store in %s: %" PRIu64 " rows",
                   report->created ? "new" : "opened the", daemon->config->state, report->n_rows);
    if (report->n_corrupt > 0) {
        mkv_daemon_say(daemon, MKV_LOG_ERROR,
                       "%" PRIu64
                       " rows of the store are damaged and have been left out; check the disk",
                       report->n_corrupt);
    }
    if (report->restored) {
        mkv_daemon_say(daemon, MKV_LOG_WARNING, "this store has been put back from a backup");
    }
    open_quarantine(daemon);
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

static void list_links(struct daemon *daemon, struct mkv_server_config *server)
{
    const struct mkv_daemon_config *config = daemon->config;
    struct mkv_address list[MKV_ADDRESSES_MAX];
    uint32_t n = config->n_advertise;

    memcpy(list, config->advertise, sizeof(list));
    for (uint32_t i = 0; i < daemon->n_listeners; i++) {
        mkv_advertise_listener(config, mkv_listener_address(daemon->listeners[i]), daemon->host,
                               list, &n);
    }
    for (uint32_t i = 0; i < n; i++) {
        add_address(daemon, &server->links, &list[i]);
    }
}

static void list_addresses(struct daemon *daemon, struct mkv_server_config *server)
{
    struct mkv_address address;

    list_links(daemon, server);
    if (daemon->broker == NULL) {
        for (uint32_t i = 0; i < daemon->config->n_brokers; i++) {
            add_address(daemon, &server->brokers, &daemon->config->brokers[i]);
        }
        return;
    }
    if (mkv_broker_unix_address(daemon->broker, &address)) {
        add_address(daemon, &server->brokers, &address);
    }
    if (mkv_broker_tcp_address(daemon->broker, &address)) {
        add_address(daemon, &server->brokers, &address);
    }
}

/* Tells of it when there is something, and then whenever it has doubled. */
static int keep_quarantine(void *context, struct mkv_bytes rows)
{
    struct daemon *daemon = context;
    struct mkv_quarantine_file *file = &daemon->quarantine;
    struct mkv_why why = {{0}};
    int error = mkv_quarantine_file_keep(file, rows, &why);

    if (error != 0) {
        mkv_daemon_say(daemon, MKV_LOG_ERROR, "%s", why.text);
    } else if (file->n_rows >= 2 * daemon->quarantine_said ||
               file->n_rows < daemon->quarantine_said) {
        daemon->quarantine_said = file->n_rows;
        mkv_daemon_say(daemon, MKV_LOG_WARNING,
                       "%" PRIu64
                       " entries that the other servers had forgotten were set aside in '%s'; "
                       "'moat-kv restore --missing %s' brings them back",
                       file->n_rows, file->name, file->name);
    }
    return error;
}

static int make_node(struct daemon *daemon, struct mkv_why *why)
{
    struct mkv_server_node_config config = {
        .server = {.name = mkv_bytes_of(daemon->config->name),
                   .root = mkv_bytes_of(daemon->config->root),
                   .software = mkv_bytes_of(MKV_DAEMON_SOFTWARE),
                   .profile = daemon->config->profile,
                   .qos = daemon->config->qos,
                   .mode = daemon->config->mode,
                   .times = MKV_CLUSTER_TIMES,
                   .alone = daemon->broker != NULL,
                   .restored = daemon->report.restored,
                   .accept_restored = daemon->config->accept_restored,
                   .session_limits = {.grace_ms = GAP_GRACE_MS, .void_ms = GAP_VOID_MS}},
        .window_ms = daemon->config->ack_window_ms,
        .quarantine = {.keep = keep_quarantine, .context = daemon},
    };

    if (daemon->config->guard) {
        config.server.guarded = true;
        memcpy(config.server.guard_key, daemon->access.keys.keys[0],
               sizeof(config.server.guard_key));
    }
    config.server.times.ping_ms = daemon->config->ping_ms;
    (void)gethostname(daemon->host, sizeof(daemon->host) - 1);
    config.server.host = mkv_bytes_of(daemon->host);
    (void)snprintf(daemon->quarantine_text, sizeof(daemon->quarantine_text), "%s/quarantine-*.mkv",
                   daemon->config->state);
    config.server.quarantine = mkv_bytes_of(daemon->quarantine_text);
    mkv_entropy_fill(config.server.secret, sizeof(config.server.secret));
    list_addresses(daemon, &config.server);
    mkv_ring_derive(&daemon->ring, MKV_RING_PING, &config.ring);
    if (daemon->config->mac) {
        mkv_ring_derive(&daemon->ring, MKV_RING_UPDATE, &config.server.updates);
    }

    int error = mkv_server_node_new(&config, daemon->store, mkv_daemon_now(daemon), &daemon->node);

    mkv_ring_forget(&config.ring);
    mkv_ring_forget(&config.server.updates);

    sodium_memzero(config.server.guard_key, sizeof(config.server.guard_key));
    if (error != 0) {
        mkv_why_set(why, "cannot start on the store in '%s': %s%s", daemon->config->state,
                    mkv_error_text(error),
                    error == MKV_E_CORRUPT
                        ? "; nothing in it was changed. Put a backup of it back, "
                          "or move it away and let this server join another one"
                        : "");
    }
    return error;
}

static void reload_update_keys(struct daemon *daemon)
{
    struct mkv_ring updates;

    if (daemon->config->mac) {
        mkv_ring_derive(&daemon->ring, MKV_RING_UPDATE, &updates);
        mkv_server_node_update_keys(daemon->node, mkv_daemon_now(daemon), &updates);
        mkv_ring_forget(&updates);
        mkv_daemon_pump(daemon);
    }
}

/* The guard takes both the old keys and the new, so whatever was given out stays good. */
static void reload_guard(struct daemon *daemon)
{
    if (daemon->config->guard) {
        if (daemon->new_key_ms != 0) {
            mkv_daemon_use_key(daemon); /* the one before this: it is known by now */
        }
        mkv_access_keys(&daemon->access, &daemon->ring);
        daemon->acl_again_ms = mkv_clock_monotonic_ms();
        daemon->new_key_ms = daemon->acl_again_ms + NEW_KEY_MS;
        mkv_daemon_pump(daemon);
    }
}

/* What `moat-kvd key` has written.  If that is no good, the keys stay as they are. */
static void reload_keys(struct daemon *daemon)
{
    struct mkv_why why = {{0}};
    struct mkv_ring ring = {0};
    struct mkv_ring pings;

    if (daemon->founds || daemon->node == NULL) { /* there is nothing to be read yet */
        return;
    }
    if (mkv_keyring_read(daemon->config->state, &ring, &why) != 0) {
        mkv_daemon_say(daemon, MKV_LOG_ERROR, "the keys stay as they were: %s", why.text);
        return;
    }
    daemon->ring = ring;
    if (mkv_daemon_prepare_kin(daemon) != 0) {
        mkv_daemon_say(daemon, MKV_LOG_ERROR,
                       "other servers cannot log in here: out of memory; send SIGHUP again");
    }
    mkv_ring_derive(&ring, MKV_RING_PING, &pings);
    mkv_server_node_keys(daemon->node, &pings);
    mkv_ring_forget(&pings);
    reload_update_keys(daemon);
    mkv_ring_forget(&ring);
    reload_guard(daemon);
    mkv_daemon_say(daemon, MKV_LOG_INFO,
                   "the cluster's keys have been read again; restart to change settings");
}

static void on_signal(void *context, int number)
{
    struct daemon *daemon = context;

    if (number == SIGHUP) {
        reload_keys(daemon);
        return;
    }
    mkv_daemon_say(daemon, MKV_LOG_INFO, "ending");
    daemon->ending = true;
}

/*
 * What is due is done by the main loop, after whatever woke it.  But the timer may be early by a
 * part of a millisecond: then it has to be set again.
 */
static void on_deadline(void *context)
{
    mkv_daemon_pump(context);
}

/* As many files as we may open; usual limits are too low for all links, and are there to be raised. */
static void raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < FILES) {
        limit.rlim_cur = limit.rlim_max < FILES ? limit.rlim_max : FILES;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* without: fewer links, and io/listener waits */
    }
}

/* Keys and values are nothing for a core dump, nor for other processes of the same user. */
static void keep_memory_private(void)
{
    const struct rlimit none = {0, 0};

    (void)setrlimit(RLIMIT_CORE, &none); /* for the broker, too; what is refused here ... */
    (void)prctl(PR_SET_DUMPABLE, 0);     /* ... is still done here */
}

/*
 * Until the node tells who else there is, the guard knows the servers and their owner.  A server on
 * a full disk serves: it goes by the rights of its last run, as it would without a restart.
 */
static int prepare_guard(struct daemon *daemon, struct mkv_why *why)
{
    int error = mkv_access_init(&daemon->access, daemon->config, &daemon->ring, why);

    if (error == 0 && mkv_access_write(&daemon->access, daemon->config, NULL, why) != 0) {
        mkv_daemon_say(daemon, MKV_LOG_ERROR, "%s", why->text);
        daemon->acl_again_ms = mkv_clock_monotonic_ms() + MKV_DAEMON_GUARD_AGAIN_MS;
    }
    return error;
}

static int prepare_kin(struct daemon *daemon, struct mkv_why *why)
{
    int error = mkv_daemon_prepare_kin(daemon);

    return error == 0 ? 0
                      : mkv_why_error(why, error, "cannot prepare for links to other servers: %s",
                                      mkv_error_text(error));
}

static int start(struct daemon *daemon, struct mkv_why *why)
{
    raise_file_limit();
    keep_memory_private();

    int error = mkv_loop_new(&daemon->loop);

    if (error == 0) {
        error = mkv_signals_new(daemon->loop, on_signal, daemon, &daemon->signals);
    }
    if (error == 0) {
        error = mkv_timer_init(&daemon->resubscribe, daemon->loop, mkv_daemon_subscribe, daemon);
    }
    if (error != 0) {
        return mkv_why_error(why, error, "cannot start: %s", mkv_error_text(error));
    }
    mkv_loop_on_deadline(daemon->loop, on_deadline, daemon);
    error = open_store(daemon, why);
    if (error == 0) {
        error = mkv_daemon_check_fit(daemon, why);
    }
    if (error == 0) {
        error = mkv_keyring_open(daemon->config, &daemon->ring, &daemon->founds, why);
    }
    if (error == 0) {
        error = prepare_kin(daemon, why);
    }
    if (error == 0 && daemon->config->guard) {
        error = prepare_guard(daemon, why);
    }
    if (error == 0 && daemon->config->embedded) {
        error = mkv_daemon_start_broker(daemon, why);
    }
    if (error == 0 && !daemon->ending) {
        error = mkv_daemon_open_listeners(daemon, why);
    }
    if (error == 0 && !daemon->ending) {
        mkv_daemon_prepare_logins(daemon);
        error = make_node(daemon, why);
    }
    if (error == 0 && !daemon->ending) {
        error = mkv_daemon_open_mqtt(daemon, why);
    }
    return error;
}

static bool is_due(const struct daemon *daemon)
{
    return mkv_server_node_deadline(daemon->node) <= mkv_clock_monotonic_ms();
}

static int serve(struct daemon *daemon)
{
    mkv_daemon_pump(daemon);
    while (!daemon->ending) {
        int error = mkv_loop_run_once(daemon->loop, is_due(daemon) ? 0 : -1);

        if (error != 0) {
            return mkv_why_error(&daemon->why, error, "the event loop failed: %s", strerror(errno));
        }
        if (is_due(daemon)) {
            mkv_server_node_time(daemon->node, mkv_daemon_now(daemon));
            mkv_daemon_pump(daemon);
        }
    }
    mkv_server_node_flush(daemon->node, mkv_daemon_now(daemon));
    mkv_server_node_leave(daemon->node, mkv_daemon_now(daemon));
    mkv_daemon_pump(daemon);
    mkv_daemon_drain(daemon);
    return daemon->error;
}

static void end(struct daemon *daemon)
{
    if (daemon->loop != NULL) {
        mkv_loop_on_deadline(daemon->loop, NULL, NULL);
        mkv_loop_set_deadline(daemon->loop, MKV_LOOP_NEVER);
    }
    mkv_daemon_close_links(daemon);
    mkv_mqtt_free(daemon->mqtt);
    mkv_server_node_free(daemon->node);
    mkv_quarantine_file_deinit(&daemon->quarantine);
    mkv_daemon_stop_broker(daemon);
    mkv_broker_free(daemon->broker);
    mkv_timer_deinit(&daemon->resubscribe);
    mkv_signals_free(daemon->signals);
    mkv_loop_free(daemon->loop);
    mkv_tls_free(daemon->tls);
    mkv_tls_free(daemon->tls_out);
    sodium_memzero(daemon->kin, sizeof(daemon->kin));
    sodium_memzero(daemon->fake_key, sizeof(daemon->fake_key));
    mkv_store_close(daemon->store);
    mkv_access_deinit(&daemon->access);
    mkv_ring_forget(&daemon->ring);
}

int mkv_daemon_run(const struct mkv_daemon_config *config, struct mkv_why *why)
{
    struct daemon daemon = {.config = config,
                            .connections = {.n_max = MKV_DAEMON_LINKS_MAX + MKV_DAEMON_DIALS_MAX},
                            .quarantine = {.fd = -1}};

    mkv_entropy_init();

    int error = start(&daemon, why);

    if (error == 0 && !daemon.ending) {
        error = serve(&daemon);
        *why = daemon.why;
    }
    end(&daemon);
    return error;
}
