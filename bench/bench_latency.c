/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From one program to another: how long an update takes from the writer's call to the watcher's
 * callback, one at a time, and how many go through with a window of them under way; beside raw
 * MQTT with libmosquitto through the same broker, in the same run, in turns.
 *
 *     bench/latency [ROUNDS [UPDATES]]      starts a server of its own and runs this program
 *
 *     bench_latency LINK BROKER-SOCKET ROUNDS UPDATES
 */
#include <moatkv/client.h>
#include <mosquitto.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define VALUE_LEN 34 /* a CBOR byte string of 32 bytes, which begin with number and time */
#define WINDOW    500
#define TOPIC     "bench/raw"

/* What the watcher tells the writer of each update. */
struct arrival {
    uint64_t number;
    int64_t took_ns;
};

struct tools {
    const char *link;
    const char *broker;
    int arrivals[2]; /* watcher -> writer */
    uint64_t n_acked;
};

static int64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static _Noreturn void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "bench_latency: %s: %s\n", what, why);
    exit(1);
}

static void make_value(uint8_t value[VALUE_LEN], uint64_t number)
{
    int64_t now = now_ns();

    memset(value, 0, VALUE_LEN);
    value[0] = 0x58;
    value[1] = VALUE_LEN - 2;
    memcpy(value + 2, &number, sizeof(number));
    memcpy(value + 10, &now, sizeof(now));
}

static void tell(const struct tools *tools, const uint8_t *value)
{
    struct arrival arrival;
    int64_t sent;

    memcpy(&arrival.number, value + 2, sizeof(arrival.number));
    memcpy(&sent, value + 10, sizeof(sent));
    arrival.took_ns = now_ns() - sent;
    if (write(tools->arrivals[1], &arrival, sizeof(arrival)) != sizeof(arrival)) {
        exit(0); /* the writer is gone */
    }
}

static void tell_synced(const struct tools *tools)
{
    struct arrival none = {0};

    if (write(tools->arrivals[1], &none, sizeof(none)) != sizeof(none)) {
        exit(0);
    }
}

static void hear(const struct tools *tools, struct arrival *arrival)
{
    size_t got = 0;

    while (got < sizeof(*arrival)) {
        ssize_t n = read(tools->arrivals[0], (char *)arrival + got, sizeof(*arrival) - got);

        if (n <= 0) {
            die("the watcher", "has died");
        }
        got += (size_t)n;
    }
}

/* --- MoaT-KV ------------------------------------------------------------------------------ */

static moatkv *open_kv(const struct tools *tools)
{
    moatkv_options *options = moatkv_options_new();
    moatkv *kv = NULL;

    if (options == NULL || moatkv_options_set_servers(options, tools->link) != 0 ||
        moatkv_open(options, &kv) != 0 || moatkv_connect(kv, 10000) != 0) {
        die("no connection", tools->link);
    }
    moatkv_options_free(options);
    return kv;
}

static void on_watch(void *user, int kind, int status, const moatkv_entry *entry)
{
    (void)status;
    if (kind == MOATKV_WATCH_CHANGE && moatkv_entry_value(entry).len == VALUE_LEN) {
        tell(user, moatkv_entry_value(entry).at);
    } else if (kind == MOATKV_WATCH_SYNCED) {
        tell_synced(user);
    }
}

static void watch_kv(struct tools *tools)
{
    moatkv *kv = open_kv(tools);

    if (moatkv_watch(kv, moatkv_text("bench"), on_watch, tools, NULL) != 0) {
        die("cannot watch", moatkv_detail(kv));
    }
    for (;;) {
        (void)moatkv_wait(kv, -1);
    }
}

static void on_acked(void *user, int status, const moatkv_entry *entry)
{
    struct tools *tools = user;

    (void)entry;
    if (status != 0) {
        die("a write", moatkv_strerror(status));
    }
    tools->n_acked++;
}

static void write_kv(struct tools *tools, moatkv *kv, uint64_t number)
{
    uint8_t value[VALUE_LEN];
    moatkv_bytes bytes = {value, VALUE_LEN};

    make_value(value, number);

    int error = moatkv_set(kv, moatkv_text("bench.value"), bytes, MOATKV_BLIND, on_acked, tools);

    if (error != 0) {
        die("cannot write", moatkv_strerror(error));
    }
    (void)moatkv_dispatch(kv);
}

static void wait_kv(moatkv *kv, const struct tools *tools)
{
    struct pollfd fds[2] = {{.fd = moatkv_fd(kv), .events = POLLIN},
                            {.fd = tools->arrivals[0], .events = POLLIN}};

    (void)poll(fds, 2, moatkv_timeout_ms(kv));
    (void)moatkv_dispatch(kv);
}

static bool arrived(const struct tools *tools)
{
    struct pollfd fd = {.fd = tools->arrivals[0], .events = POLLIN};

    return poll(&fd, 1, 0) == 1;
}

/* --- Raw MQTT ----------------------------------------------------------------------------- */

static void on_message(struct mosquitto *m, void *user, const struct mosquitto_message *message)
{
    (void)m;
    if (message->payloadlen == VALUE_LEN) {
        tell(user, message->payload);
    }
}

static void on_subscribed(struct mosquitto *m, void *user, int mid, int n, const int *qos)
{
    (void)m;
    (void)mid;
    (void)n;
    (void)qos;
    tell_synced(user);
}

static void on_published(struct mosquitto *m, void *user, int mid)
{
    struct tools *tools = user;

    (void)m;
    (void)mid;
    tools->n_acked++;
}

static struct mosquitto *open_raw(struct tools *tools)
{
    struct mosquitto *m = mosquitto_new(NULL, true, tools);

    if (m == NULL || mosquitto_int_option(m, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5) != 0 ||
        mosquitto_int_option(m, MOSQ_OPT_RECEIVE_MAXIMUM, 65535) != 0 ||
        mosquitto_max_inflight_messages_set(m, WINDOW) != 0 ||
        mosquitto_connect(m, tools->broker, 0, 60) != 0) {
        die("no connection", tools->broker);
    }
    mosquitto_message_callback_set(m, on_message);
    mosquitto_subscribe_callback_set(m, on_subscribed);
    mosquitto_publish_callback_set(m, on_published);
    return m;
}

static void watch_raw(struct tools *tools)
{
    struct mosquitto *m = open_raw(tools);

    if (mosquitto_subscribe(m, NULL, TOPIC, 1) != 0) {
        die("cannot subscribe", TOPIC);
    }
    while (mosquitto_loop(m, -1, 100) == 0) {
    }
}

static void write_raw(struct mosquitto *m, uint64_t number)
{
    uint8_t value[VALUE_LEN];

    make_value(value, number);
    if (mosquitto_publish(m, NULL, TOPIC, VALUE_LEN, value, 1, false) != 0) {
        die("cannot publish", TOPIC);
    }
    (void)mosquitto_loop(m, 0, 100);
}

static void wait_raw(struct mosquitto *m, const struct tools *tools)
{
    struct pollfd fds[2] = {{.fd = mosquitto_socket(m),
                             .events = (short)(POLLIN | (mosquitto_want_write(m) ? POLLOUT : 0))},
                            {.fd = tools->arrivals[0], .events = POLLIN}};

    (void)poll(fds, 2, 1000);
    (void)mosquitto_loop(m, 0, 100);
}

/* --- Measuring ---------------------------------------------------------------------------- */

/* Either of the two ways, so that both are measured by the same code. */
struct way {
    const char *name;
    moatkv *kv;
    struct mosquitto *raw;
};

static void write_one(struct tools *tools, const struct way *way, uint64_t number)
{
    if (way->kv != NULL) {
        write_kv(tools, way->kv, number);
    } else {
        write_raw(way->raw, number);
    }
}

static void wait_some(const struct tools *tools, const struct way *way)
{
    if (way->kv != NULL) {
        wait_kv(way->kv, tools);
    } else {
        wait_raw(way->raw, tools);
    }
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static void measure_latency(struct tools *tools, const struct way *way, uint64_t n)
{
    int64_t *took = calloc(n, sizeof(*took));
    uint64_t skip = n / 10; /* warming up */

    if (took == NULL) {
        die("out of memory", "too many updates");
    }
    for (uint64_t i = 0; i < n; i++) {
        struct arrival arrival;

        write_one(tools, way, i + 1);
        while (!arrived(tools)) {
            wait_some(tools, way);
        }
        hear(tools, &arrival);
        took[i] = arrival.took_ns;
    }
    while (tools->n_acked < n) {
        wait_some(tools, way);
    }
    qsort(took + skip, n - skip, sizeof(*took), compare);
    (void)printf("%-8s latency  p50 %7.1f us  p99 %7.1f us\n", way->name,
                 (double)took[skip + (n - skip) / 2] / 1e3,
                 (double)took[skip + (n - skip) * 99 / 100] / 1e3);
    free(took);
}

static void measure_rate(struct tools *tools, const struct way *way, uint64_t n)
{
    uint64_t sent = 0;
    uint64_t seen = 0;
    int64_t begun = now_ns();

    tools->n_acked = 0;
    while (seen < n || tools->n_acked < n) {
        while (sent < n && sent - seen < WINDOW && sent - tools->n_acked < WINDOW) {
            write_one(tools, way, ++sent);
        }
        while (arrived(tools)) {
            struct arrival arrival;

            hear(tools, &arrival);
            seen++;
        }
        wait_some(tools, way);
    }
    (void)printf("%-8s rate     %7.0f updates/s (seen by the watcher and acknowledged)\n",
                 way->name, (double)n * 1e9 / (double)(now_ns() - begun));
}

static void run(struct tools *tools, bool kv, uint64_t n)
{
    struct way way = {.name = kv ? "moat-kv" : "raw MQTT"};
    struct arrival synced;

    if (pipe(tools->arrivals) != 0) {
        die("no pipe", "out of descriptors");
    }

    pid_t child = fork();

    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (kv ? watch_kv : watch_raw)(tools);
        exit(0);
    }
    hear(tools, &synced);
    tools->n_acked = 0;
    if (kv) {
        way.kv = open_kv(tools);
    } else {
        way.raw = open_raw(tools);
    }
    measure_latency(tools, &way, n);
    measure_rate(tools, &way, 10 * n);
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    moatkv_close(way.kv);
    if (way.raw != NULL) {
        mosquitto_destroy(way.raw);
    }
    (void)close(tools->arrivals[0]);
    (void)close(tools->arrivals[1]);
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        die("usage", "bench_latency LINK BROKER-SOCKET ROUNDS UPDATES");
    }

    struct tools tools = {.link = argv[1], .broker = argv[2]};
    unsigned long rounds = strtoul(argv[3], NULL, 10);
    uint64_t n = strtoull(argv[4], NULL, 10);

    if (rounds == 0 || n < 10) {
        die("usage", "at least one round of ten updates");
    }
    (void)mosquitto_lib_init();
    for (unsigned long i = 0; i < rounds; i++) {
        run(&tools, false, n);
        run(&tools, true, n);
        (void)fflush(stdout);
    }
    (void)mosquitto_lib_cleanup();
    return 0;
}
