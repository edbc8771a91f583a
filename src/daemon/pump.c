/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>

#include "daemon/inner.h"
#include "daemon/keyring.h"
#include "io/clock.h"

#define CONGESTED_AT (1U << 20) /* bytes queued on a link: make no more pages for it ... */
#define DRAINED_AT   (1U << 18) /* ... until they are this few */
#define CLOCK_MS     1000

static void write_log(const struct daemon *daemon, enum mkv_log_level level, struct mkv_bytes line)
{
    static const char *const words[] = {"error: ", "warning: ", "", "debug: "};

    if (level == MKV_LOG_DEBUG && !daemon->config->verbose) {
        return;
    }
    (void)fprintf(stderr, "moat-kvd: %s%.*s\n", words[level], (int)line.len, (const char *)line.at);
}

void mkv_daemon_say(const struct daemon *daemon, enum mkv_log_level level, const char *format, ...)
{
    char text[1024];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    write_log(daemon, level, mkv_bytes_of(text));
}

struct mkv_now mkv_daemon_now(struct daemon *daemon)
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

static void close_link(struct daemon *daemon, uint64_t number)
{
    struct connection *connection = mkv_map_get(&daemon->connections, number);

    if (connection != NULL) {
        mkv_link_close(connection->link);
    }
}

/* The server cannot go on; what it said first counts. */
static void stop(struct daemon *daemon, struct mkv_bytes reason)
{
    if (daemon->error == 0) {
        daemon->error = MKV_E_REFUSED;
        daemon->ending = true;
        mkv_why_set(&daemon->why, "%.*s", (int)reason.len, (const char *)reason.at);
    }
}

/* What is due already is for the main loop: as a timer of now it would keep all else waiting. */
static void set_deadline(struct daemon *daemon)
{
    int64_t deadline = mkv_server_node_deadline(daemon->node);
    bool later = deadline != MKV_NEVER && deadline > mkv_clock_monotonic_ms();

    mkv_loop_set_deadline(daemon->loop, later ? deadline : MKV_LOOP_NEVER);
}

/*
 * The guard must know of a change before anybody hears that it is made.  What cannot be written is
 * tried again: until then the guard goes by what it has.
 */
static void tell_guard(struct daemon *daemon)
{
    struct mkv_why why = {{0}};
    uint32_t version;
    const struct mkv_acl *acl = mkv_server_node_acl(daemon->node, &version);
    int64_t now_ms = mkv_clock_monotonic_ms();
    bool is_late = daemon->acl_again_ms != 0 && now_ms >= daemon->acl_again_ms;

    if (!daemon->config->guard || (version == daemon->acl_version && !is_late)) {
        return;
    }
    daemon->acl_version = version;
    daemon->acl_again_ms = 0;
    if (mkv_access_write(&daemon->access, daemon->config, acl, &why) != 0) {
        daemon->acl_again_ms = now_ms + MKV_DAEMON_GUARD_AGAIN_MS;
        mkv_daemon_say(daemon, MKV_LOG_ERROR, "%s", why.text);
    }
}

/* Before anybody is told that it serves: what it then says is of a cluster that lasts. */
static void keep_new_key(struct daemon *daemon)
{
    int error = mkv_keyring_save(daemon->config->state, &daemon->ring, &daemon->why);

    daemon->founds = false;
    if (error != 0) {
        daemon->error = error;
        daemon->ending = true;
    }
}

/* After every input: lets out what the node has to say, and asks when it wants to be woken. */
void mkv_daemon_pump(struct daemon *daemon)
{
    struct mkv_output output;

    tell_guard(daemon);
    if (daemon->new_key_ms != 0 && mkv_clock_monotonic_ms() >= daemon->new_key_ms) {
        mkv_daemon_use_key(daemon);
    }
    if (daemon->founds && mkv_server_node_ready(daemon->node)) {
        keep_new_key(daemon);
    }
    while (mkv_server_node_output(daemon->node, &output)) {
        switch (output.kind) {
        case MKV_OUTPUT_SEND:
            send_over_link(daemon, &output);
            break;
        case MKV_OUTPUT_CLOSE:
            close_link(daemon, output.link);
            break;
        case MKV_OUTPUT_LOOK:
            mkv_daemon_look(daemon, &output);
            break;
        case MKV_OUTPUT_PUBLISH:
            mkv_daemon_publish(daemon, &output);
            break;
        case MKV_OUTPUT_DIAL:
            mkv_daemon_dial(daemon, output.link, output.payload);
            break;
        case MKV_OUTPUT_SASL:
            mkv_daemon_login(daemon, &output);
            break;
        case MKV_OUTPUT_STOP:
            stop(daemon, output.payload);
            break;
        case MKV_OUTPUT_LOG:
            write_log(daemon, output.level, output.payload);
            break;
        }
    }
    if (!daemon->ready_said && !daemon->ending && mkv_server_node_ready(daemon->node)) {
        mkv_daemon_say_ready(daemon);
    }
    if (mkv_server_node_error(daemon->node) != 0 && !daemon->ending) {
        daemon->error = mkv_server_node_error(daemon->node);
        daemon->ending = true;
        mkv_why_set(&daemon->why, "the store in '%s' can no longer be read: %s",
                    daemon->config->state, mkv_error_text(daemon->error));
    }
    set_deadline(daemon);
}
