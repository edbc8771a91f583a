/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <sys/resource.h>

#include "base/buf.h"
#include "io/mqtt.h"
#include "mosquitto_rig.h"

/* One client, and what it has lived through. */
struct ear {
    struct mkv_loop *loop;
    struct mkv_mqtt *mqtt;
    unsigned n_connected;
    unsigned n_disconnected;
    unsigned n_messages;
    unsigned n_answered;
    unsigned n_failed;
    unsigned n_drained;
    int error; /* of disconnected */
    struct mkv_why why;
    int answer; /* the last */
    int qos;
    uint64_t cookie;
    struct mkv_why answer_why;
    bool in_order; /* messages are numbers that grow by one */
    uint32_t next;
    struct mkv_mqtt_message last;
    char last_topic[64];
    char last_payload[64];
    const char *subscribe_to; /* on each connect */
    unsigned pause_every;     /* messages */
    bool free_on_message;
    bool echo; /* publishes "echo" for each message */
};

static void on_connected(void *context)
{
    struct ear *ear = context;

    ear->n_connected++;
    if (ear->subscribe_to != NULL) {
        assert_int_equal(mkv_mqtt_subscribe(ear->mqtt, mkv_bytes_of(ear->subscribe_to), 1, 1000000),
                         0);
    }
}

static void on_disconnected(void *context, int error, const struct mkv_why *why)
{
    struct ear *ear = context;

    ear->n_disconnected++;
    ear->error = error;
    ear->why = *why;
    assert_int_equal(mkv_mqtt_queued(ear->mqtt), 0);
    assert_false(mkv_mqtt_is_connected(ear->mqtt));
}

static void publish(struct ear *ear, const char *topic, struct mkv_bytes payload, uint64_t cookie)
{
    struct mkv_mqtt_message message = {.topic = mkv_bytes_of(topic), .payload = payload, .qos = 1};

    assert_int_equal(mkv_mqtt_publish(ear->mqtt, &message, cookie), 0);
}

static void on_message(void *context, const struct mkv_mqtt_message *message)
{
    struct ear *ear = context;

    ear->n_messages++;
    ear->last = *message;
    (void)snprintf(ear->last_topic, sizeof(ear->last_topic), "%.*s", (int)message->topic.len,
                   (const char *)message->topic.at);
    (void)snprintf(ear->last_payload, sizeof(ear->last_payload), "%.*s", (int)message->payload.len,
                   (const char *)message->payload.at);
    if (ear->in_order) {
        uint32_t number;

        memcpy(&number, message->payload.at, sizeof(number));
        assert_int_equal(number, ear->next);
        ear->next++;
    }
    if (ear->pause_every > 0 && ear->n_messages % ear->pause_every == 0) {
        mkv_mqtt_pause(ear->mqtt);
    }
    if (ear->echo) {
        publish(ear, "t/echo", mkv_bytes_of("echo"), ear->n_messages);
    }
    if (ear->free_on_message) {
        mkv_mqtt_free(ear->mqtt);
        ear->mqtt = NULL;
    }
}

static void on_answered(
    void *context, uint64_t cookie, int error, int qos, const struct mkv_why *why)
{
    struct ear *ear = context;

    ear->n_answered++;
    ear->n_failed += error != 0;
    ear->answer = error;
    ear->cookie = cookie;
    ear->qos = qos;
    ear->answer_why = *why;
}

static void on_drained(void *context)
{
    struct ear *ear = context;

    ear->n_drained++;
}

static const struct mkv_mqtt_events events = {
    .connected = on_connected,
    .disconnected = on_disconnected,
    .message = on_message,
    .answered = on_answered,
    .drained = on_drained,
};

static void open_ear(struct ear *ear, struct mkv_mqtt_options options, const char *address)
{
    struct mkv_why why = {0};

    options.address = rig_address(address);
    options.client_id = options.client_id != NULL ? options.client_id : "ear";
    if (ear->loop == NULL) {
        ear->loop = rig_loop();
    }
    if (mkv_mqtt_new(ear->loop, &options, &events, ear, &why, &ear->mqtt) != 0) {
        fail_msg("%s", why.text);
    }
}

static void close_ear(struct ear *ear)
{
    mkv_mqtt_free(ear->mqtt);
    mkv_loop_free(ear->loop);
}

static char *tcp_text(const struct mosquitto_rig *rig)
{
    static char text[64];

    (void)snprintf(text, sizeof(text), "mqtt://127.0.0.1:%u", rig->port);
    return text;
}

static char *unix_text(const struct mosquitto_rig *rig)
{
    static char text[128];

    (void)snprintf(text, sizeof(text), "unix:%s", rig->socket);
    return text;
}

static void hear_oneself(struct mkv_mqtt_options options, const char *address, int protocol)
{
    struct ear ear = {.subscribe_to = "t/#"};
    struct mkv_mqtt_message message = {
        .topic = mkv_bytes_of("t/x"), .payload = mkv_bytes_of("value"), .qos = 1, .retain = true};

    open_ear(&ear, options, address);
    assert_int_equal(mkv_mqtt_publish(ear.mqtt, &message, 1), MKV_E_NO_CONNECTION);
    assert_int_equal(mkv_mqtt_protocol(ear.mqtt), 0);
    rig_until(ear.loop, ear.n_answered == 1);
    assert_int_equal(mkv_mqtt_protocol(ear.mqtt), protocol);
    assert_int_equal(ear.answer, 0);
    assert_int_equal(ear.cookie, 1000000);
    assert_int_equal(ear.qos, 1);
    ear.n_messages = 0;
    assert_int_equal(mkv_mqtt_publish(ear.mqtt, &message, UINT64_MAX), 0);
    rig_until(ear.loop, ear.n_answered == 2 && ear.n_messages == 1);
    assert_int_equal(ear.answer, 0);
    assert_true(ear.cookie == UINT64_MAX);
    assert_string_equal(ear.last_topic, "t/x");
    assert_string_equal(ear.last_payload, "value");
    assert_int_equal(ear.last.qos, 1);
    assert_false(ear.last.retain);

    /* Empty payload, QoS 0, and no more subscription. */
    message.payload = mkv_bytes(NULL, 0);
    message.qos = 0;
    assert_int_equal(mkv_mqtt_publish(ear.mqtt, &message, 3), 0);
    rig_until(ear.loop, ear.n_messages == 2);
    assert_int_equal(ear.n_answered, 3);
    assert_int_equal(ear.last.payload.len, 0);
    assert_int_equal(mkv_mqtt_unsubscribe(ear.mqtt, mkv_bytes_of("t/#"), 4), 0);
    message.qos = 1;
    assert_int_equal(mkv_mqtt_publish(ear.mqtt, &message, 5), 0);
    rig_until(ear.loop, ear.n_answered == 5);
    assert_int_equal(ear.answer, 0);
    assert_int_equal(ear.n_messages, 2);
    assert_int_equal(mkv_mqtt_queued(ear.mqtt), 0);
    close_ear(&ear);
}

static void test_versions(void **state)
{
    struct mosquitto_rig rig;

    (void)state;
    mosquitto_rig_init(&rig, "allow_anonymous true");
    mosquitto_rig_start(&rig);
    hear_oneself((struct mkv_mqtt_options){0}, tcp_text(&rig), 5);
    hear_oneself((struct mkv_mqtt_options){0}, unix_text(&rig), 5);
    hear_oneself((struct mkv_mqtt_options){.version = MKV_MQTT_V5}, unix_text(&rig), 5);
    hear_oneself((struct mkv_mqtt_options){.version = MKV_MQTT_V311}, unix_text(&rig), 4);
    hear_oneself((struct mkv_mqtt_options){.user = "u", .password = "p"}, tcp_text(&rig), 5);
    mosquitto_rig_deinit(&rig);
}

/* Accepts a connection, and returns the protocol level its CONNECT asks for. */
static int accept_connect(struct ear *ear, int listening, int *ret_fd)
{
    uint8_t packet[256];
    ssize_t n = -1;
    int fd = -1;

    assert_int_equal(fcntl(listening, F_SETFL, O_NONBLOCK), 0);
    rig_until(ear->loop, (fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0);
    rig_until(ear->loop, (n = read(fd, packet, sizeof(packet))) > 0);
    assert_true(n > 9 && packet[0] == 0x10);
    *ret_fd = fd;
    return packet[8];
}

/* Opens an ear towards a broker that the test plays itself, and returns where that listens. */
static int play_broker(struct ear *ear, struct mkv_mqtt_options options, char ret_text[64])
{
    uint16_t port;
    int listening = rig_bind_tcp(5, &port);

    (void)snprintf(ret_text, 64, "mqtt://127.0.0.1:%u", port);
    open_ear(ear, options, ret_text);
    return listening;
}

/* Refuses version 5 in one of the three ways there are, and grants 3.1.1. */
static void fall_back(const char *refusal, size_t len)
{
    struct ear ear = {0};
    char text[64];
    int listening = play_broker(&ear, (struct mkv_mqtt_options){0}, text);
    int fd = -1;

    for (unsigned i = 0; i < (len > 0 ? 1 : 2); i++) {
        assert_int_equal(accept_connect(&ear, listening, &fd), 5);
        assert_int_equal(write(fd, refusal, len), len);
        (void)close(fd);
    }
    assert_int_equal(accept_connect(&ear, listening, &fd), 4);
    assert_int_equal(write(fd, "\x20\x02\x00\x00", 4), 4);
    rig_until(ear.loop, ear.n_connected == 1);
    assert_int_equal(mkv_mqtt_protocol(ear.mqtt), 4);
    assert_int_equal(ear.n_disconnected, len > 0 ? 0 : 1);

    /* The next time, version 5 has its chance again. */
    (void)close(fd);
    rig_until(ear.loop, ear.n_disconnected == (len > 0 ? 1 : 2));
    assert_int_equal(ear.error, MKV_E_NO_CONNECTION);
    assert_int_equal(accept_connect(&ear, listening, &fd), 5);
    (void)close(fd);
    close_ear(&ear);
    (void)close(listening);
}

static void test_fall_back(void **state)
{
    (void)state;
    fall_back("\x20\x02\x00\x01", 4);
    fall_back("\x20\x03\x00\x84\x00", 5);
    fall_back("", 0);
}

static void refuse_connect(const char *answer, size_t len, int expected, const char *expected_why)
{
    struct ear ear = {0};
    char text[64];
    int listening = play_broker(&ear, (struct mkv_mqtt_options){.grant_ms = 500}, text);
    int fd = -1;

    (void)accept_connect(&ear, listening, &fd);
    assert_int_equal(write(fd, answer, len), len);
    rig_until(ear.loop, ear.n_disconnected == 1);
    if (ear.error != expected || strstr(ear.why.text, expected_why) == NULL ||
        strstr(ear.why.text, text) == NULL) {
        fail_msg("%d, %s", ear.error, ear.why.text);
    }
    assert_int_equal(ear.n_connected, 0);
    (void)close(fd);
    close_ear(&ear);
    (void)close(listening);
}

static void test_refused(void **state)
{
    (void)state;
    refuse_connect("\x20\x03\x00\x87\x00", 5, MKV_E_NOT_AUTHORISED, "not authorised");
    refuse_connect("\x20\x03\x00\x85\x00", 5, MKV_E_REFUSED, "client id");
    refuse_connect("", 0, MKV_E_TIMEOUT, "does not answer");
    refuse_connect("\xf0\x00", 2, MKV_E_NO_CONNECTION, "");
}

/* Whoever has our CONNECT may take longer to grant it than it may take to get there. */
static void test_slow_grant(void **state)
{
    struct ear ear = {0};
    char text[64];
    int listening = play_broker(&ear, (struct mkv_mqtt_options){.connect_ms = 1000}, text);
    int fd = -1;

    (void)state;
    (void)accept_connect(&ear, listening, &fd);
    rig_idle(ear.loop, 1100);
    assert_int_equal(write(fd, "\x20\x03\x00\x00\x00", 5), 5);
    rig_until(ear.loop, ear.n_connected == 1);
    assert_int_equal(ear.n_disconnected, 0);
    (void)close(fd);
    close_ear(&ear);
    (void)close(listening);
}

static void test_not_there(void **state)
{
    uint16_t port;
    int fd = rig_bind_tcp(-1, &port);
    struct ear ear = {0};
    char text[64];

    (void)state;
    (void)snprintf(text, sizeof(text), "mqtt://localhost:%u", port);
    open_ear(&ear, (struct mkv_mqtt_options){0}, text);
    rig_until(ear.loop, ear.n_disconnected == 3);
    assert_int_equal(ear.error, MKV_E_NO_CONNECTION);
    assert_non_null(strstr(ear.why.text, "Connection refused"));
    assert_non_null(strstr(ear.why.text, text));
    close_ear(&ear);
    (void)close(fd);
    ear = (struct ear){0};
    open_ear(&ear, (struct mkv_mqtt_options){0}, "unix:/nowhere/at/all");
    rig_until(ear.loop, ear.n_disconnected == 1);
    assert_non_null(strstr(ear.why.text, "No such file"));
    close_ear(&ear);
}

static void test_broker_comes_back(void **state)
{
    struct mosquitto_rig rig;
    struct ear ear = {.subscribe_to = "t/#"};

    (void)state;
    mosquitto_rig_init(&rig, "allow_anonymous true");
    open_ear(&ear, (struct mkv_mqtt_options){0}, unix_text(&rig));
    rig_until(ear.loop, ear.n_disconnected == 2);
    for (unsigned i = 1; i <= 3; i++) {
        unsigned n_before = ear.n_disconnected;
        unsigned n_failed = ear.n_failed;

        mosquitto_rig_start(&rig);
        rig_until(ear.loop, ear.n_connected == i);
        ear.n_answered = 0;
        rig_until(ear.loop, ear.n_answered == 1 && ear.answer == 0);
        publish(&ear, "t/x", mkv_bytes_of("1"), i);
        rig_until(ear.loop, ear.n_messages == i && ear.n_answered == 2);
        mosquitto_rig_end(&rig, i == 2 ? SIGTERM : SIGKILL);
        publish(&ear, "t/x", mkv_bytes_of("2"), 77);
        publish(&ear, "t/x", mkv_bytes_of("3"), 78);
        rig_until(ear.loop, ear.n_disconnected > n_before);
        assert_int_equal(ear.n_failed, n_failed + 2);
        assert_int_equal(ear.n_answered, 4);
        assert_int_equal(ear.cookie, 78);
        assert_int_equal(ear.answer, MKV_E_NO_CONNECTION);
    }
    assert_int_equal(ear.n_messages, 3);
    close_ear(&ear);
    mosquitto_rig_deinit(&rig);
}

/* Nothing is lost and nothing overtakes when the reader is slow; the writer is held back. */
static void test_slow_reader(void **state)
{
    struct mosquitto_rig rig;
    struct ear reader = {.subscribe_to = "t/#", .in_order = true, .pause_every = 700};
    struct ear writer = {0};
    const uint32_t n = 20000;

    (void)state;
    mosquitto_rig_init(&rig, "allow_anonymous true");
    mosquitto_rig_start(&rig);
    open_ear(&reader, (struct mkv_mqtt_options){0}, unix_text(&rig));
    rig_until(reader.loop, reader.n_answered == 1);
    writer.loop = reader.loop;
    open_ear(&writer, (struct mkv_mqtt_options){.client_id = "writer", .queue_max = 200000},
             tcp_text(&rig));
    rig_until(reader.loop, writer.n_connected == 1);

    uint32_t n_sent = 0;
    unsigned n_full = 0;
    int64_t end_ms = mkv_clock_monotonic_ms() + RIG_LIMIT_MS;

    while ((n_sent < n || reader.n_messages < n) && mkv_clock_monotonic_ms() < end_ms) {
        uint8_t payload[60] = {0};
        struct mkv_mqtt_message message = {.topic = mkv_bytes_of("t/number"),
                                           .payload = mkv_bytes(payload, sizeof(payload)),
                                           .qos = 1};
        int error = 0;

        while (n_sent < n && error == 0) {
            memcpy(payload, &n_sent, sizeof(n_sent));
            error = mkv_mqtt_publish(writer.mqtt, &message, n_sent);
            n_sent += error == 0;
        }
        assert_true(error == 0 || error == MKV_E_QUEUE_FULL);
        n_full += error != 0;
        assert_true(mkv_mqtt_queued(writer.mqtt) <= 200000);
        assert_int_equal(mkv_loop_run_once(reader.loop, 0), 0);
        mkv_mqtt_resume(reader.mqtt);
    }
    assert_true(n_full > 0);
    assert_true(writer.n_drained > 0);
    assert_int_equal(reader.n_messages, n);
    rig_until(reader.loop, writer.n_answered == n);
    assert_int_equal(writer.n_failed, 0);
    assert_int_equal(reader.n_disconnected + writer.n_disconnected, 0);
    mkv_mqtt_free(writer.mqtt);
    close_ear(&reader);
    mosquitto_rig_deinit(&rig);
}

/* What is denied is told by cookie, with the broker's reason; the connection stays. */
static void test_denied(void **state)
{
    struct mosquitto_rig rig;
    struct ear ear = {0};
    char acl[96];
    char extra[256];
    FILE *file;

    (void)state;
    mosquitto_rig_init(&rig, "");
    (void)snprintf(acl, sizeof(acl), "%s/acl", rig.directory);
    file = fopen(acl, "w");
    assert_non_null(file);
    (void)fprintf(file, "topic readwrite good/#\n");
    (void)fclose(file);
    (void)snprintf(extra, sizeof(extra), "allow_anonymous true\nacl_file %s\n", acl);
    file = fopen(rig.config, "a");
    (void)fputs(extra, file);
    (void)fclose(file);
    mosquitto_rig_start(&rig);
    open_ear(&ear, (struct mkv_mqtt_options){0}, unix_text(&rig));
    rig_until(ear.loop, ear.n_connected == 1);
    publish(&ear, "good/x", mkv_bytes_of("1"), 1);
    rig_until(ear.loop, ear.n_answered == 1);
    assert_int_equal(ear.answer, 0);
    publish(&ear, "bad/x", mkv_bytes_of("1"), 2);
    rig_until(ear.loop, ear.n_answered == 2);
    assert_int_equal(ear.cookie, 2);
    assert_int_equal(ear.answer, MKV_E_NOT_AUTHORISED);
    assert_non_null(strstr(ear.answer_why.text, "no right to write there"));
    assert_non_null(strstr(ear.answer_why.text, "its log says which"));

    /* What the library itself will not send does not cost the connection, either. */
    publish(&ear, "bad/+", mkv_bytes_of("1"), 3);
    rig_until(ear.loop, ear.n_answered == 3);
    assert_int_equal(ear.answer, MKV_E_BAD_TOPIC);
    publish(&ear, "bad/\xff", mkv_bytes_of("1"), 4);
    assert_int_equal(mkv_mqtt_subscribe(ear.mqtt, mkv_bytes_of("a/#/b"), 1, 5), 0);
    rig_until(ear.loop, ear.n_answered == 5);
    assert_int_equal(ear.answer, MKV_E_BAD_TOPIC);
    assert_int_equal(ear.n_failed, 4);
    assert_int_equal(mkv_mqtt_subscribe(ear.mqtt, mkv_bytes_of(""), 1, 5), MKV_E_BAD_ARGUMENT);
    assert_int_equal(mkv_mqtt_subscribe(ear.mqtt, mkv_bytes("a\0b", 3), 1, 5), MKV_E_BAD_ARGUMENT);
    assert_int_equal(ear.n_disconnected, 0);
    close_ear(&ear);
    mosquitto_rig_deinit(&rig);
}

/* A broker that refuses subscriptions, as NATS does while it lacks a quorum. */
static void test_subscription_refused(void **state)
{
    for (unsigned i = 0; i < 2; i++) {
        uint16_t port;
        int listening = rig_bind_tcp(5, &port);
        int fd = -1;
        struct ear ear = {.subscribe_to = "t/#"};
        char text[64];
        uint8_t packet[64];
        ssize_t n = -1;
        bool v5 = i == 0;
        uint8_t suback[] = {0x90, v5 ? 4 : 3, 0, 0, v5 ? 0 : 0x80, 0x87};

        (void)state;
        (void)snprintf(text, sizeof(text), "mqtt://127.0.0.1:%u", port);
        open_ear(&ear, (struct mkv_mqtt_options){.version = v5 ? MKV_MQTT_V5 : MKV_MQTT_V311},
                 text);
        (void)accept_connect(&ear, listening, &fd);
        assert_int_equal(write(fd, "\x20\x03\x00\x00\x00", 5) + 0, 5);
        if (!v5) {
            (void)close(fd);
            (void)accept_connect(&ear, listening, &fd);
            assert_int_equal(write(fd, "\x20\x02\x00\x00", 4), 4);
        }
        rig_until(ear.loop, (n = read(fd, packet, sizeof(packet))) > 4);
        assert_int_equal(packet[0], 0x82);
        suback[2] = packet[2];
        suback[3] = packet[3];
        assert_int_equal(write(fd, suback, v5 ? 6 : 5), v5 ? 6 : 5);
        rig_until(ear.loop, ear.n_answered > 0 && ear.answer != MKV_E_NO_CONNECTION);
        assert_int_equal(ear.answer, v5 ? MKV_E_NOT_AUTHORISED : MKV_E_REFUSED);
        assert_int_equal(ear.qos, 0);
        (void)close(fd);
        close_ear(&ear);
        (void)close(listening);
    }
}

/* A broker that takes messages and never answers them is given up. */
static void test_no_answer(void **state)
{
    struct ear ear = {0};
    char text[64];
    int listening = play_broker(&ear, (struct mkv_mqtt_options){.answer_ms = 300}, text);
    int fd = -1;

    (void)state;
    (void)accept_connect(&ear, listening, &fd);
    assert_int_equal(write(fd, "\x20\x03\x00\x00\x00", 5), 5);
    rig_until(ear.loop, ear.n_connected == 1);
    for (uint64_t i = 0; i < 2000; i++) {
        publish(&ear, "t/x", mkv_bytes_of("1"), i);
    }
    rig_until(ear.loop, ear.n_disconnected == 1);
    assert_int_equal(ear.error, MKV_E_TIMEOUT);
    assert_int_equal(ear.n_answered, 2000);
    assert_int_equal(ear.n_failed, 2000);
    (void)close(fd);
    close_ear(&ear);
    (void)close(listening);
}

/* A broker that throws us out says why, in version 5. */
static void test_thrown_out(void **state)
{
    struct ear ear = {0};
    char text[64];
    int listening = play_broker(&ear, (struct mkv_mqtt_options){0}, text);
    int fd = -1;

    (void)state;
    (void)accept_connect(&ear, listening, &fd);
    assert_int_equal(write(fd, "\x20\x03\x00\x00\x00\xe0\x01\x8e", 8), 8);
    rig_until(ear.loop, ear.n_disconnected == 1);
    assert_int_equal(ear.n_connected, 1);
    assert_int_equal(ear.error, MKV_E_REFUSED);
    assert_non_null(strstr(ear.why.text, "another client has connected under our client id"));
    (void)close(fd);
    close_ear(&ear);
    (void)close(listening);
}

static void test_callbacks_may_do_all(void **state)
{
    struct mosquitto_rig rig;
    struct ear ear = {.subscribe_to = "t/#", .echo = true};

    (void)state;
    mosquitto_rig_init(&rig, "allow_anonymous true");
    mosquitto_rig_start(&rig);
    open_ear(&ear, (struct mkv_mqtt_options){0}, unix_text(&rig));
    rig_until(ear.loop, ear.n_answered == 1);
    publish(&ear, "t/x", mkv_bytes_of("1"), 1);
    rig_until(ear.loop, ear.n_messages > 1000);
    ear.free_on_message = true;
    ear.echo = false;
    rig_until(ear.loop, ear.mqtt == NULL);
    unsigned n = ear.n_messages;

    rig_idle(ear.loop, 20);
    assert_int_equal(ear.n_messages, n);
    mkv_loop_free(ear.loop);

    /* Freed while it connects, and before it has begun to. */
    ear = (struct ear){0};
    open_ear(&ear, (struct mkv_mqtt_options){0}, tcp_text(&rig));
    assert_int_equal(mkv_loop_run_once(ear.loop, 0), 0);
    close_ear(&ear);
    ear = (struct ear){0};
    open_ear(&ear, (struct mkv_mqtt_options){0}, tcp_text(&rig));
    close_ear(&ear);
    mosquitto_rig_deinit(&rig);
}

/* The will is sent when the process dies, not when it leaves. */
static void test_will(void **state)
{
    struct mosquitto_rig rig;
    struct ear watcher = {.subscribe_to = "t/#"};
    struct ear mortal = {0};
    struct mkv_mqtt_options options = {
        .client_id = "mortal",
        .will = {.topic = "t/will", .payload = mkv_bytes_of("gone"), .qos = 1},
    };

    (void)state;
    mosquitto_rig_init(&rig, "allow_anonymous true");
    mosquitto_rig_start(&rig);
    open_ear(&watcher, (struct mkv_mqtt_options){0}, unix_text(&rig));
    rig_until(watcher.loop, watcher.n_answered == 1);
    for (unsigned i = 0; i < 2; i++) {
        mortal = (struct ear){.loop = watcher.loop};
        open_ear(&mortal, options, unix_text(&rig));
        rig_until(watcher.loop, mortal.n_connected == 1);
        if (i == 0) {
            mkv_mqtt_free(mortal.mqtt);
            rig_idle(watcher.loop, 50);
            assert_int_equal(watcher.n_messages, 0);
        }
    }

    /* A second client under its name makes the broker drop the first as if it had died. */
    struct ear usurper = {.loop = watcher.loop};

    open_ear(&usurper, (struct mkv_mqtt_options){.client_id = "mortal"}, unix_text(&rig));
    rig_until(watcher.loop, watcher.n_messages == 1);
    assert_string_equal(watcher.last_payload, "gone");
    mkv_mqtt_free(usurper.mqtt);
    mkv_mqtt_free(mortal.mqtt);
    close_ear(&watcher);
    mosquitto_rig_deinit(&rig);
}

static void test_redirect(void **state)
{
    struct mosquitto_rig rig;
    struct ear ear = {0};

    (void)state;
    mosquitto_rig_init(&rig, "allow_anonymous true");
    mosquitto_rig_start(&rig);
    open_ear(&ear, (struct mkv_mqtt_options){0}, "unix:/nowhere/at/all");
    rig_until(ear.loop, ear.n_disconnected == 4);

    struct mkv_address address = rig_address(unix_text(&rig));

    mkv_mqtt_redirect(ear.mqtt, &address);
    rig_until(ear.loop, ear.n_connected == 1);
    address = rig_address(tcp_text(&rig));
    publish(&ear, "t/x", mkv_bytes_of("1"), 1);
    mkv_mqtt_redirect(ear.mqtt, &address);
    rig_until(ear.loop, ear.n_connected == 2);
    assert_int_equal(ear.n_answered, 1);
    assert_int_equal(ear.n_disconnected, 5);
    close_ear(&ear);
    mosquitto_rig_deinit(&rig);
}

static void test_bad_options(void **state)
{
    struct mkv_loop *loop = rig_loop();
    struct mkv_mqtt_options options = {.address = rig_address("mqtt://localhost")};
    struct mkv_mqtt *mqtt = NULL;
    struct mkv_why why = {0};

    (void)state;
    assert_int_equal(mkv_mqtt_new(loop, &options, &events, NULL, &why, &mqtt), MKV_E_BAD_ARGUMENT);
    assert_non_null(strstr(why.text, "client id"));
    options.client_id = "\xff";
    assert_int_equal(mkv_mqtt_new(loop, &options, &events, NULL, NULL, &mqtt), MKV_E_BAD_ARGUMENT);
    options.client_id = "x";
    options.keepalive_s = 1;
    assert_int_equal(mkv_mqtt_new(loop, &options, &events, NULL, &why, &mqtt), MKV_E_BAD_ARGUMENT);
    mkv_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_fall_back),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_slow_grant),
        cmocka_unit_test(test_not_there),
        cmocka_unit_test(test_broker_comes_back),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_denied),
        cmocka_unit_test(test_subscription_refused),
        cmocka_unit_test(test_no_answer),
        cmocka_unit_test(test_thrown_out),
        cmocka_unit_test(test_callbacks_may_do_all),
        cmocka_unit_test(test_will),
        cmocka_unit_test(test_redirect),
        cmocka_unit_test(test_bad_options),
    };

    return cmocka_run_group_tests_name("mqtt", tests, NULL, NULL);
}
