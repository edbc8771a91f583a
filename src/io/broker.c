/* SPDX-License-Identifier: Apache-2.0 */
#include "io/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "io/child.h"
#include "io/clock.h"
#include "io/socket.h"

#define BACK_OFF_MIN_MS 100
#define BACK_OFF_MAX_MS 10000
#define STOP_AGAIN_MS   100
#define STABLE_MS       60000 /* what ran longer is not held against it */
#define CONFIG_NAME     "broker.conf"
#define CONNECTIONS_MAX 4608U /* on each listener: a session each (MKV_SESSIONS_MAX), and others */
#define WORDS_MAX       3U    /* last lines that are kept as its last words */
#define WORD_LEN        120U
#define PACKET_MAX      (MKV_UPDATE_MAX + MKV_TOPIC_MAX + 1024U) /* an update with its topic */
#define PLUGIN_MAX      512U
#define ACCESS_MAX      (2U * PLUGIN_MAX + 256U)
#define CONFIG_MAX      (ACCESS_MAX + 2048U)
#define RATE            20000U   /* messages a second of one client, and ... */
#define BURST           1000000U /* ... at once */

enum state {
    WAITING, /* for the next start */
    STARTING,
    RUNNING,
    STOPPING,
    STOPPED,
};

struct mkv_broker {
    struct mkv_loop *loop;
    struct mkv_broker_events events;
    void *context;
    struct mkv_broker_options options; /* its texts are the two below */
    char directory[MKV_ADDRESS_PATH_MAX + 1];
    char binary[256];
    char config[MKV_ADDRESS_PATH_MAX + 32];
    char guard[PLUGIN_MAX]; /* if options.guard; so is the next */
    char rights[PLUGIN_MAX];
    struct mkv_address socket; /* if options.unix_socket */
    uint16_t port;             /* the present one, if options.tcp */
    enum state state;
    struct mkv_child *child; /* owned; while STARTING, RUNNING and STOPPING */
    struct mkv_timer timer;  /* the wait, or a limit to starting or stopping */
    bool timed_out;
    int64_t stop_by_ms; /* monotonic; then it is killed */
    uint32_t n_failures;
    int64_t running_ms; /* since when */
    uint32_t n_words;
    char words[WORDS_MAX][WORD_LEN]; /* a ring */
    bool freed;
    struct mkv_task task;
};

static const char *const usual_places[] = {
    "/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/opt/homebrew/sbin/mosquitto",
    "/usr/bin/mosquitto",  "/usr/local/bin/mosquitto",
};

static bool is_program(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

static bool find_in_path(char *out, size_t size)
{
    const char *at = getenv("PATH");

    while (at != NULL && *at != '\0') {
        size_t len = strcspn(at, ":");
        int n = snprintf(out, size, "%.*s/mosquitto", (int)len, at);

        if (n > 0 && (size_t)n < size && out[0] == '/' && is_program(out)) {
            return true;
        }
        at += len + (at[len] == ':');
    }
    return false;
}

static bool find_binary(const char *wanted, char *out, size_t size)
{
    if (wanted != NULL) {
        return snprintf(out, size, "%s", wanted) < (int)size && is_program(out);
    }
    for (size_t i = 0; i < sizeof(usual_places) / sizeof(usual_places[0]); i++) {
        if (is_program(usual_places[i])) {
            return snprintf(out, size, "%s", usual_places[i]) < (int)size;
        }
    }
    return find_in_path(out, size);
}

static void format_listeners(const struct mkv_broker *broker, char *out, size_t size)
{
    size_t len = 0;

    out[0] = '\0';
    if (broker->options.unix_socket) {
        len = (size_t)snprintf(out, size, "listener 0 " MKV_BROKER_SOCKET "\nmax_connections %u\n",
                               CONNECTIONS_MAX);
    }
    if (broker->options.tcp) {
        (void)snprintf(out + len, size - len, "listener %u 127.0.0.1\nmax_connections %u\n",
                       (unsigned)broker->port, CONNECTIONS_MAX);
    }
}

/*
 * Who may do what.  Finding a server needs no credentials: those come from it.  Only who is on this
 * machine gets here, and what a single one may send is a limit to mishaps rather than to malice.
 */
static void format_access(const struct mkv_broker *broker, char *out, size_t size)
{
    if (broker->options.guard == NULL) {
        (void)snprintf(out, size, "allow_anonymous true\n");
        return;
    }
    (void)snprintf(out, size,
                   "plugin %s\n"
                   "plugin_opt_rights %s\n"
                   "plugin_opt_finders allow\n"
                   "plugin_opt_rate %u\n"
                   "plugin_opt_burst %u\n",
                   broker->guard, broker->rights, RATE, BURST);
}

/*
 * The limits by count are set out of reach and those by bytes are the ones that hold.  Not 0,
 * which stands for "no limit" too: then mosquitto disconnects whoever publishes what it may not.
 * Nor more than 60000 in flight: from 65535 on, a version 5 bridge to this broker cannot connect.
 */
static int format_config(const struct mkv_broker *broker, char *out)
{
    char listeners[128];
    char access[ACCESS_MAX];
    unsigned long bytes = broker->options.client_bytes_max;

    format_listeners(broker, listeners, sizeof(listeners));
    format_access(broker, access, sizeof(access));
    return snprintf(out, CONFIG_MAX,
                    "# Written anew at each start: changes made here are lost.\n"
                    "%s%s%s"
                    "persistence false\n"
                    "set_tcp_nodelay true\n"
                    "max_packet_size %u\n"
                    "max_inflight_messages 60000\n"
                    "max_inflight_bytes %lu\n"
                    "max_queued_messages 2000000000\n"
                    "max_queued_bytes %lu\n"
                    "connection_messages false\n"
                    "log_dest stderr\n"
                    "log_timestamp false\n",
                    geteuid() == 0 ? "user root\n" : "", listeners, access, PACKET_MAX, bytes,
                    bytes);
}

static int write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, text, len);

        if (n < 0 && errno != EINTR) {
            return errno;
        }
        text += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static int write_config(const struct mkv_broker *broker, struct mkv_why *why)
{
    char text[CONFIG_MAX];
    int len = format_config(broker, text);
    int fd = open(broker->config, O_CREAT | O_TRUNC | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600);
    int failure = fd < 0 ? errno : 0;

    if (fd >= 0) {
        failure = fchmod(fd, 0600) != 0 ? errno : write_all(fd, text, (size_t)len);
        failure = close(fd) != 0 && failure == 0 ? errno : failure;
    }
    if (failure == 0) {
        return 0;
    }
    return mkv_why_error(why, MKV_E_IO, "cannot write %s: %s", broker->config, strerror(failure));
}

/* Keeps the present port if it is free, or looks for another if none was asked for. */
static int find_port(struct mkv_broker *broker, struct mkv_why *why)
{
    struct mkv_address address = {.scheme = MKV_ADDRESS_TCP, .host = "127.0.0.1"};
    int fd = -1;
    int error;

    address.port = broker->port;
    error = mkv_socket_listen_tcp(&address, &fd, why);
    if (error == MKV_E_LOCKED && broker->options.port == 0) {
        address.port = 0;
        error = mkv_socket_listen_tcp(&address, &fd, why);
    }
    if (error == MKV_E_LOCKED) {
        return mkv_why_error(why, error,
                             "port %u of 127.0.0.1, meant for the embedded broker, is in use by "
                             "another program: stop that, or choose another port",
                             (unsigned)broker->port);
    }
    if (error == 0) {
        (void)close(fd);
        broker->port = address.port;
    }
    return error;
}

/* Mosquitto would take the place of any socket there is, of a live one, too. */
static int check_socket(const struct mkv_broker *broker, struct mkv_why *why)
{
    switch (mkv_socket_probe(broker->socket.path)) {
    case MKV_SOCKET_NONE:
    case MKV_SOCKET_STALE:
        return 0;
    case MKV_SOCKET_LIVE:
        return mkv_why_error(why, MKV_E_LOCKED,
                             "another broker listens on %s: is a server running in this state "
                             "directory?",
                             broker->socket.path);
    case MKV_SOCKET_OTHER:
        break;
    }
    return mkv_why_error(why, MKV_E_LOCKED, "%s is in the way of the broker's socket",
                         broker->socket.path);
}

static int prepare(struct mkv_broker *broker, struct mkv_why *why)
{
    int error = broker->options.unix_socket ? check_socket(broker, why) : 0;

    if (error == 0 && broker->options.tcp) {
        error = find_port(broker, why);
    }
    return error != 0 ? error : write_config(broker, why);
}

/* Waits for the next start and tells the owner why. */
static void go_down(struct mkv_broker *broker, int error, const struct mkv_why *why)
{
    int64_t wait_ms = BACK_OFF_MIN_MS;

    for (uint32_t i = 0; i < broker->n_failures && wait_ms < BACK_OFF_MAX_MS; i++) {
        wait_ms *= 2;
    }
    broker->n_failures++;
    broker->state = WAITING;
    mkv_timer_set(&broker->timer, wait_ms < BACK_OFF_MAX_MS ? wait_ms : BACK_OFF_MAX_MS);
    broker->events.down(broker->context, error, why);
}

static void note_word(struct mkv_broker *broker, const char *text)
{
    (void)snprintf(broker->words[broker->n_words % WORDS_MAX], WORD_LEN, "%.*s", (int)WORD_LEN - 1,
                   text);
    broker->n_words++;
}

/* Mosquitto says so when all its listeners are open. */
static bool says_running(const char *text)
{
    static const char running[] = " running";
    size_t len = strlen(text);
    size_t tail = sizeof(running) - 1;

    return strncmp(text, "mosquitto version ", 18) == 0 && len > tail &&
           strcmp(text + len - tail, running) == 0;
}

static void on_line(void *context, const char *text)
{
    struct mkv_broker *broker = context;

    note_word(broker, text);
    if (broker->events.line != NULL) {
        broker->events.line(broker->context, text);
    }
    if (broker->state == STARTING && !broker->freed && says_running(text)) {
        broker->state = RUNNING;
        broker->running_ms = mkv_clock_monotonic_ms();
        mkv_timer_clear(&broker->timer);
        broker->events.ready(broker->context);
    }
}

static void describe_end(const struct mkv_broker *broker, int status, struct mkv_why *why)
{
    char words[WORDS_MAX * WORD_LEN] = "";
    size_t len = 0;
    uint32_t first = broker->n_words > WORDS_MAX ? broker->n_words - WORDS_MAX : 0;

    for (uint32_t i = first; i < broker->n_words; i++) {
        len += (size_t)snprintf(words + len, sizeof(words) - len, "%s%s", i > first ? " | " : "",
                                broker->words[i % WORDS_MAX]);
        len = len < sizeof(words) ? len : sizeof(words) - 1;
    }
    mkv_why_set(why, "the embedded broker (%s) %s, %s %d: %s", broker->binary,
                broker->timed_out          ? "did not start in time"
                : broker->state == RUNNING ? "ended unasked"
                                           : "did not start",
                WIFSIGNALED(status) ? "signal" : "exit code",
                WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), words);
}

static int error_of_end(const struct mkv_broker *broker)
{
    if (broker->timed_out) {
        return MKV_E_TIMEOUT;
    }
    for (uint32_t i = 0; i < WORDS_MAX; i++) {
        if (broker->state == STARTING && strstr(broker->words[i], "Address already in use")) {
            return MKV_E_LOCKED;
        }
    }
    return MKV_E_IO;
}

/* Killed, it could not tidy up. */
static void remove_socket(const struct mkv_broker *broker)
{
    if (broker->options.unix_socket && mkv_socket_probe(broker->socket.path) == MKV_SOCKET_STALE) {
        (void)unlink(broker->socket.path);
    }
}

static void on_ended(void *context, int status)
{
    struct mkv_broker *broker = context;
    struct mkv_why why;

    mkv_child_free(broker->child);
    broker->child = NULL;
    mkv_timer_clear(&broker->timer);
    if (broker->state == STOPPING) {
        remove_socket(broker);
        broker->state = STOPPED;
        broker->events.stopped(broker->context);
        return;
    }
    if (broker->state == RUNNING && mkv_clock_monotonic_ms() - broker->running_ms >= STABLE_MS) {
        broker->n_failures = 0;
    }
    describe_end(broker, status, &why);
    go_down(broker, error_of_end(broker), &why);
}

static void start(struct mkv_broker *broker)
{
    static const struct mkv_child_events events = {.line = on_line, .ended = on_ended};
    char name[] = CONFIG_NAME;
    char option[] = "-c";
    char *arguments[] = {broker->binary, option, name, NULL};
    struct mkv_child_program program = {.directory = broker->directory, .arguments = arguments};
    struct mkv_why why;
    int error = prepare(broker, &why);

    if (error != 0) {
        go_down(broker, error, &why);
        return;
    }
    broker->n_words = 0;
    memset(broker->words, 0, sizeof(broker->words));
    broker->timed_out = false;
    error = mkv_child_new(broker->loop, &program, &events, broker, &broker->child);
    if (error != 0) {
        mkv_why_set(&why, "cannot start the embedded broker: %s", mkv_error_text(error));
        go_down(broker, error, &why);
        return;
    }
    broker->state = STARTING;
    mkv_timer_set(&broker->timer, MKV_BROKER_START_MS);
}

/*
 * Asks again and again: mosquitto forgets a SIGTERM that comes just before it enters its loop,
 * which is after it has said that it runs.
 */
static void ask_to_end(struct mkv_broker *broker)
{
    bool overdue = mkv_clock_monotonic_ms() >= broker->stop_by_ms;

    mkv_child_kill(broker->child, overdue ? SIGKILL : SIGTERM);
    mkv_timer_set(&broker->timer, STOP_AGAIN_MS);
}

static void on_timer(void *context)
{
    struct mkv_broker *broker = context;

    switch (broker->state) {
    case WAITING:
        start(broker);
        break;
    case STARTING:
        broker->timed_out = true;
        mkv_child_kill(broker->child, SIGKILL);
        break;
    case STOPPING:
        ask_to_end(broker);
        break;
    case RUNNING:
    case STOPPED:
        break;
    }
}

/* Tells a stop that had nothing to wait for, or frees; being freed in here queues it once more. */
static void on_task(void *context)
{
    struct mkv_broker *broker = context;

    if (!broker->freed) {
        broker->events.stopped(broker->context);
        return;
    }
    mkv_timer_deinit(&broker->timer);
    mkv_mem_free(broker);
}

static int set_up(struct mkv_broker *broker,
                  const struct mkv_broker_options *options,
                  struct mkv_why *why)
{
    int n = snprintf(broker->socket.path, sizeof(broker->socket.path), "%s/" MKV_BROKER_SOCKET,
                     options->state_dir);

    if (options->state_dir[0] != '/' || n < 0 || (size_t)n >= sizeof(broker->socket.path)) {
        return mkv_why_error(
            why, MKV_E_BAD_ARGUMENT,
            "the state directory must be an absolute path of at most %zu bytes: %s",
            MKV_ADDRESS_PATH_MAX - strlen("/" MKV_BROKER_SOCKET), options->state_dir);
    }
    if (options->guard != NULL &&
        (strlen(options->guard) >= PLUGIN_MAX || strlen(options->rights) >= PLUGIN_MAX)) {
        return mkv_why_error(why, MKV_E_BAD_ARGUMENT, "the name of the guard is too long: %s",
                             options->guard);
    }
    if (!options->unix_socket && !options->tcp) {
        return mkv_why_error(why, MKV_E_BAD_ARGUMENT, "the broker must listen somewhere");
    }
    if (!find_binary(options->binary, broker->binary, sizeof(broker->binary))) {
        return mkv_why_error(why, MKV_E_NOT_FOUND,
                             "there is no mosquitto%s%s: install it (Debian: apt install "
                             "mosquitto), or name a broker that runs already",
                             options->binary != NULL ? " at " : "",
                             options->binary != NULL ? options->binary : "");
    }
    (void)snprintf(broker->directory, sizeof(broker->directory), "%s", options->state_dir);
    (void)snprintf(broker->config, sizeof(broker->config), "%s/" CONFIG_NAME, broker->directory);
    broker->options = *options;
    broker->options.state_dir = broker->directory;
    broker->options.binary = broker->binary;
    if (options->guard != NULL) {
        (void)snprintf(broker->guard, sizeof(broker->guard), "%s", options->guard);
        (void)snprintf(broker->rights, sizeof(broker->rights), "%s", options->rights);
    }
    if (options->client_bytes_max == 0) {
        broker->options.client_bytes_max = MKV_BROKER_CLIENT_BYTES;
    }
    if (broker->options.client_bytes_max > INT32_MAX) { /* mosquitto reads it as an int */
        broker->options.client_bytes_max = INT32_MAX;
    }
    broker->port = options->port;
    return 0;
}

int mkv_broker_new(struct mkv_loop *loop,
                   const struct mkv_broker_options *options,
                   const struct mkv_broker_events *events,
                   void *context,
                   struct mkv_why *why,
                   struct mkv_broker **ret_broker)
{
    struct mkv_broker *broker = mkv_mem_alloc(sizeof(*broker));

    if (broker == NULL) {
        return mkv_why_error(why, MKV_E_NO_MEMORY, "%s", mkv_error_text(MKV_E_NO_MEMORY));
    }
    broker->loop = loop;
    broker->events = *events;
    broker->context = context;
    broker->task = (struct mkv_task){.fn = on_task, .context = broker};

    int error = set_up(broker, options, why);

    if (error == 0 && mkv_timer_init(&broker->timer, loop, on_timer, broker) != 0) {
        error = mkv_why_error(why, MKV_E_NO_MEMORY, "%s", mkv_error_text(MKV_E_NO_MEMORY));
    }
    if (error != 0) {
        mkv_mem_free(broker);
        return error;
    }
    broker->state = WAITING;
    mkv_timer_set(&broker->timer, 0);
    *ret_broker = broker;
    return 0;
}

void mkv_broker_stop(struct mkv_broker *broker)
{
    if (broker->state == STOPPING || broker->state == STOPPED || broker->freed) {
        return;
    }
    if (broker->child == NULL) {
        broker->state = STOPPED;
        mkv_timer_clear(&broker->timer);
        mkv_task_defer(broker->loop, &broker->task);
        return;
    }
    broker->state = STOPPING;
    broker->stop_by_ms = mkv_clock_monotonic_ms() + MKV_BROKER_STOP_MS;
    ask_to_end(broker);
}

void mkv_broker_free(struct mkv_broker *broker)
{
    if (broker == NULL || broker->freed) {
        return;
    }
    broker->freed = true;
    mkv_timer_clear(&broker->timer);
    if (broker->child != NULL) {
        mkv_child_free(broker->child);
        broker->child = NULL;
        remove_socket(broker);
    }
    mkv_task_defer(broker->loop, &broker->task);
}

bool mkv_broker_is_running(const struct mkv_broker *broker)
{
    return broker->state == RUNNING;
}

pid_t mkv_broker_pid(const struct mkv_broker *broker)
{
    return broker->child != NULL ? mkv_child_pid(broker->child) : 0;
}

bool mkv_broker_unix_address(const struct mkv_broker *broker, struct mkv_address *ret_address)
{
    if (!broker->options.unix_socket) {
        return false;
    }
    *ret_address = broker->socket; /* MKV_ADDRESS_UNIX is the scheme of the zero value */
    return true;
}

bool mkv_broker_tcp_address(const struct mkv_broker *broker, struct mkv_address *ret_address)
{
    if (!broker->options.tcp || broker->port == 0) {
        return false;
    }
    *ret_address =
        (struct mkv_address){.scheme = MKV_ADDRESS_MQTT, .host = "127.0.0.1", .port = broker->port};
    return true;
}
