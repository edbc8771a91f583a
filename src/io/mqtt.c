/* SPDX-License-Identifier: Apache-2.0 */
#include "io/mqtt.h"

#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "io/mosq.h"
#include "io/reason.h"
#include "io/resolve.h"

#define BACK_OFF_MIN_MS   100
#define BACK_OFF_MAX_MS   30000
#define BACK_OFF_REFUSED  5000 /* at least, where only a person can mend it */
#define STABLE_MS         5000 /* a connection that lasted longer is not held against the broker */
#define HUNG_UP_MAX       2U   /* MQTT 5 connections closed unanswered before 3.1.1 is tried */
#define KEEPALIVE_DEFAULT 20
#define KEEPALIVE_MIN     5
#define CLIENT_ID_MAX     65535U

enum state {
    RESOLVING,  /* looking the broker's name up */
    TRYING,     /* about to try the next address, or the other version */
    CONNECTING, /* from connect() to CONNACK */
    CONNECTED,
    WAITING, /* for the next attempt */
};

struct mkv_mqtt {
    struct mkv_loop *loop;
    struct mkv_mqtt_events events;
    void *context;
    struct mkv_mqtt_options options; /* its texts are the copies below */
    char *client_id;                 /* owned, as the next four */
    char *user;
    char *password;
    char *will_topic;
    uint8_t *will_payload;
    char target[MKV_ADDRESS_TEXT_MAX]; /* of the present or last attempt */

    enum state state;
    struct mkv_resolve *resolve; /* owned; while RESOLVING */
    struct mkv_sockaddrs addresses;
    uint32_t n_tried;
    struct mkv_why failure; /* of the last try */
    bool timed_out;
    int64_t connect_by_ms;
    int64_t reached_ms;  /* when the present attempt got so far; 0: not yet */
    int protocol;        /* of the present attempt: 5 or 4 */
    uint32_t n_hung_up;  /* in a row */
    uint32_t n_failures; /* in a row */
    struct mkv_address choices[1 + MKV_MQTT_OTHERS_MAX];
    uint32_t n_choices;
    uint32_t choice;        /* that of options.address */
    int64_t connected_ms;   /* when */
    struct mkv_timer timer; /* limit to connecting, or the wait */
    struct mkv_mosq *mosq;  /* owned; while CONNECTING and CONNECTED */
    bool paused;
    bool freed;
    struct mkv_task task; /* goes to another address, or frees */
};

/* Lets go of whatever the present state holds; requests are answered in here. */
static void drop(struct mkv_mqtt *mqtt)
{
    struct mkv_mosq *mosq = mqtt->mosq;

    mkv_timer_clear(&mqtt->timer);
    mkv_resolve_free(mqtt->resolve);
    mqtt->resolve = NULL;
    mqtt->mosq = NULL;
    mqtt->state = WAITING;
    mkv_mosq_close(mosq);
}

/* Half of the wait is left to chance, lest all clients of a broker come back at once. */
static int64_t back_off_ms(struct mkv_mqtt *mqtt, int error)
{
    uint32_t n_rounds = mqtt->n_failures / mqtt->n_choices;
    bool round_is_over = (mqtt->n_failures + 1) % mqtt->n_choices == 0;
    int64_t wait_ms = BACK_OFF_MIN_MS;

    if (!round_is_over) { /* the next address has done nothing wrong yet */
        return 0;
    }
    for (uint32_t i = 0; i < n_rounds && wait_ms < BACK_OFF_MAX_MS; i++) {
        wait_ms *= 2;
    }
    if ((error == MKV_E_REFUSED || error == MKV_E_NOT_AUTHORISED) && wait_ms < BACK_OFF_REFUSED) {
        wait_ms = BACK_OFF_REFUSED;
    }
    wait_ms = wait_ms < BACK_OFF_MAX_MS ? wait_ms : BACK_OFF_MAX_MS;
    return wait_ms / 2 + mkv_entropy_below((uint32_t)wait_ms / 2 + 1);
}

/* Ends the present attempt or connection, tells the owner, and waits for the next. */
__attribute__((format(printf, 3, 4))) static void end(struct mkv_mqtt *mqtt,
                                                      int error,
                                                      const char *format,
                                                      ...)
{
    bool stable =
        mqtt->state == CONNECTED && mkv_clock_monotonic_ms() - mqtt->connected_ms >= STABLE_MS;
    struct mkv_why why;
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(why.text, sizeof(why.text), format, arguments);
    va_end(arguments);
    drop(mqtt);
    if (mqtt->freed) {
        return;
    }
    mqtt->n_failures = stable ? 0 : mqtt->n_failures;
    mkv_timer_set(&mqtt->timer, back_off_ms(mqtt, error));
    mqtt->n_failures++;
    mqtt->choice = (mqtt->choice + 1) % mqtt->n_choices;
    mqtt->options.address = mqtt->choices[mqtt->choice];
    if (mqtt->events.disconnected != NULL) {
        mqtt->events.disconnected(mqtt->context, error, &why);
    }
}

static void end_connected(struct mkv_mqtt *mqtt, const struct mkv_mosq_end *how)
{
    if (how->disconnect != 0) {
        end(mqtt, mkv_reason_error(how->disconnect), "the broker at %s has disconnected us: %s",
            mqtt->target, mkv_reason_text(how->disconnect));
    } else if (how->no_answer) {
        end(mqtt, MKV_E_TIMEOUT, "the broker at %s does not answer any more", mqtt->target);
    } else {
        end(mqtt, MKV_E_NO_CONNECTION, "the connection to the broker at %s was lost: %s",
            mqtt->target, how->text);
    }
}

/*
 * It has our CONNECT, and may think about it: a cluster of nats-server that just lost a machine or
 * was started needs up to 11 s, and forgets what it has done if it is not waited for.
 */
static void on_reached(void *context)
{
    struct mkv_mqtt *mqtt = context;

    mqtt->reached_ms = mkv_clock_monotonic_ms();
    mkv_timer_set(&mqtt->timer, mqtt->options.grant_ms);
}

static void on_granted(void *context)
{
    struct mkv_mqtt *mqtt = context;

    mqtt->state = CONNECTED;
    mqtt->connected_ms = mkv_clock_monotonic_ms();
    mqtt->n_hung_up = 0;
    mkv_timer_clear(&mqtt->timer);
    mkv_mosq_pause(mqtt->mosq, mqtt->paused); /* not before: the grant has to be read */
    if (mqtt->events.connected != NULL) {
        mqtt->events.connected(mqtt->context);
    }
}

static void on_message(void *context, const struct mkv_mqtt_message *message)
{
    struct mkv_mqtt *mqtt = context;

    mqtt->events.message(mqtt->context, message);
}

static void on_answered(void *context, uint64_t cookie, int error, int qos, const char *reason)
{
    struct mkv_mqtt *mqtt = context;
    struct mkv_why why = {0};

    if (mqtt->freed || mqtt->events.answered == NULL) {
        return;
    }
    if (error != 0) {
        mkv_why_set(&why, "the broker at %s: %s", mqtt->target, reason);
    }
    mqtt->events.answered(mqtt->context, cookie, error, qos, &why);
}

static void on_drained(void *context)
{
    struct mkv_mqtt *mqtt = context;

    if (mqtt->events.drained != NULL) {
        mqtt->events.drained(mqtt->context);
    }
}

/* From the timer: what has just failed must be out of the way first. */
static void try_soon(struct mkv_mqtt *mqtt)
{
    drop(mqtt);
    if (mqtt->reached_ms != 0) { /* what this one took to think is not taken from the next */
        mqtt->connect_by_ms += mkv_clock_monotonic_ms() - mqtt->reached_ms;
        mqtt->reached_ms = 0;
    }
    mqtt->state = TRYING;
    mkv_timer_set(&mqtt->timer, 0);
}

/*
 * Version 5 is not understood: said so by a code, or, as some do, by closing without a word.  Since
 * a broker that just went down does that too, it has to happen twice in a row.
 */
static bool must_fall_back(struct mkv_mqtt *mqtt, const struct mkv_mosq_end *how)
{
    bool silent = how->hung_up && how->connack == 0;

    mqtt->n_hung_up = silent ? mqtt->n_hung_up + 1 : 0;
    if (mqtt->options.version != MKV_MQTT_ANY || mqtt->protocol != 5) {
        return false;
    }
    return how->connack == MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION || mqtt->n_hung_up >= HUNG_UP_MAX;
}

static void end_connecting(struct mkv_mqtt *mqtt, const struct mkv_mosq_end *how)
{
    if (must_fall_back(mqtt, how)) { /* the same address once more */
        mqtt->protocol = 4;
        mqtt->n_hung_up = 0;
        mqtt->n_tried--;
        try_soon(mqtt);
    } else if (how->connack != 0) {
        end(mqtt, mkv_reason_error(how->connack), "the broker at %s refuses the connection: %s",
            mqtt->target, mkv_reason_text(how->connack));
    } else if (how->hung_up) {
        end(mqtt, MKV_E_NO_CONNECTION,
            "the broker at %s closed the connection without an answer: is it an MQTT broker?",
            mqtt->target);
    } else {
        mkv_why_set(&mqtt->failure, "%s", how->text);
        try_soon(mqtt);
    }
}

static void on_ended(void *context, const struct mkv_mosq_end *how)
{
    struct mkv_mqtt *mqtt = context;
    struct mkv_mosq_end copy = *how; /* it goes with the connection */

    if (mqtt->state == CONNECTED) {
        end_connected(mqtt, &copy);
    } else {
        end_connecting(mqtt, &copy);
    }
}

static const struct mkv_mosq_events mosq_events = {
    .reached = on_reached,
    .granted = on_granted,
    .message = on_message,
    .answered = on_answered,
    .drained = on_drained,
    .ended = on_ended,
};

/* Begins with the next address that does not fail at once. */
static bool connect_next(struct mkv_mqtt *mqtt)
{
    while (mqtt->n_tried < mqtt->addresses.n) {
        struct mkv_mosq_target target = {
            .options = &mqtt->options,
            .address = &mqtt->addresses.at[mqtt->n_tried++],
            .protocol = mqtt->protocol,
        };
        int failure = 0;

        if (mkv_mosq_open(mqtt->loop, &target, &mosq_events, mqtt, &failure, &mqtt->mosq) == 0) {
            return true;
        }
        mkv_why_set(&mqtt->failure, "%s", strerror(failure));
    }
    return false;
}

static void try_next(struct mkv_mqtt *mqtt)
{
    uint32_t n_left = mqtt->addresses.n - mqtt->n_tried;
    int64_t left_ms = mqtt->connect_by_ms - mkv_clock_monotonic_ms();

    if (connect_next(mqtt)) {
        mqtt->state = CONNECTING;
        /* One address that swallows packets must not use up the time of those behind it. */
        mkv_timer_set(&mqtt->timer, left_ms > 0 ? left_ms / n_left : 0);
        return;
    }
    end(mqtt, mqtt->timed_out ? MKV_E_TIMEOUT : MKV_E_NO_CONNECTION,
        "cannot reach the broker at %s: %s; is it running there?", mqtt->target,
        mqtt->failure.text);
}

static void on_resolved(void *context, const struct mkv_sockaddrs *found, const struct mkv_why *why)
{
    struct mkv_mqtt *mqtt = context;

    if (found == NULL) {
        end(mqtt, MKV_E_NO_CONNECTION, "the broker at %s: %s", mqtt->target, why->text);
        return;
    }
    mqtt->addresses = *found;
    mqtt->n_tried = 0;
    mkv_resolve_free(mqtt->resolve);
    mqtt->resolve = NULL;
    try_next(mqtt);
}

static void start(struct mkv_mqtt *mqtt)
{
    const struct mkv_mqtt_options *options = &mqtt->options;

    mqtt->state = RESOLVING;
    mqtt->timed_out = false;
    mqtt->reached_ms = 0;
    mqtt->protocol = options->version == MKV_MQTT_V311 ? 4 : 5;
    mqtt->connect_by_ms = mkv_clock_monotonic_ms() + options->connect_ms;
    mkv_timer_set(&mqtt->timer, options->connect_ms);
    mkv_address_format(&options->address, mqtt->target, sizeof(mqtt->target));
    if (mkv_resolve_new(mqtt->loop, &options->address, on_resolved, mqtt, &mqtt->resolve) != 0) {
        end(mqtt, MKV_E_NO_MEMORY, "%s", mkv_error_text(MKV_E_NO_MEMORY));
    }
}

static void on_timer(void *context)
{
    struct mkv_mqtt *mqtt = context;

    switch (mqtt->state) {
    case WAITING:
        start(mqtt);
        break;
    case RESOLVING:
        end(mqtt, MKV_E_TIMEOUT,
            "the broker at %s: no name server answers; check the name, or use an IP address",
            mqtt->target);
        break;
    case TRYING:
        try_next(mqtt);
        break;
    case CONNECTING:
        mqtt->timed_out = true;
        mkv_why_set(&mqtt->failure, "it does not answer");
        try_soon(mqtt);
        break;
    case CONNECTED:
        break;
    }
}

static void release(struct mkv_mqtt *mqtt)
{
    drop(mqtt);
    mkv_timer_deinit(&mqtt->timer);
    mkv_mem_free(mqtt->client_id);
    mkv_mem_free(mqtt->user);
    mkv_mem_free(mqtt->password);
    mkv_mem_free(mqtt->will_topic);
    mkv_mem_free(mqtt->will_payload);
    mkv_mem_free(mqtt);
}

static void on_task(void *context)
{
    struct mkv_mqtt *mqtt = context;

    if (mqtt->freed) {
        release(mqtt);
        return;
    }
    if (mqtt->state == CONNECTED) {
        end(mqtt, MKV_E_NO_CONNECTION, "left the broker at %s for another", mqtt->target);
    }
    if (!mqtt->freed) {
        drop(mqtt);
        mqtt->n_failures = 0;
        start(mqtt);
    }
}

static bool copy_text(const char *text, char **ret_copy)
{
    size_t size = text != NULL ? strlen(text) + 1 : 0;

    if (text == NULL) {
        return true;
    }
    *ret_copy = mkv_mem_alloc(size);
    if (*ret_copy != NULL) {
        memcpy(*ret_copy, text, size);
    }
    return *ret_copy != NULL;
}

static bool copy_options(struct mkv_mqtt *mqtt, const struct mkv_mqtt_options *options)
{
    struct mkv_bytes payload = options->will.payload;

    if (payload.len > 0) {
        mqtt->will_payload = mkv_mem_alloc(payload.len);
        if (mqtt->will_payload == NULL) {
            return false;
        }
        memcpy(mqtt->will_payload, payload.at, payload.len);
    }
    if (!copy_text(options->client_id, &mqtt->client_id) ||
        !copy_text(options->user, &mqtt->user) || !copy_text(options->password, &mqtt->password) ||
        !copy_text(options->will.topic, &mqtt->will_topic)) {
        return false;
    }
    mqtt->options = *options;
    mqtt->options.client_id = mqtt->client_id;
    mqtt->options.user = mqtt->user;
    mqtt->options.password = mqtt->password;
    mqtt->options.will.topic = mqtt->will_topic;
    mqtt->options.will.payload = mkv_bytes(mqtt->will_payload, payload.len);
    return true;
}

static void set_defaults(struct mkv_mqtt_options *options)
{
    options->keepalive_s = options->keepalive_s != 0 ? options->keepalive_s : KEEPALIVE_DEFAULT;
    options->queue_max = options->queue_max != 0 ? options->queue_max : MKV_MQTT_QUEUE_MAX;
    options->connect_ms = options->connect_ms != 0 ? options->connect_ms : MKV_MQTT_CONNECT_MS;
    options->grant_ms = options->grant_ms != 0 ? options->grant_ms : MKV_MQTT_GRANT_MS;
    options->answer_ms = options->answer_ms != 0 ? options->answer_ms : MKV_MQTT_ANSWER_MS;
}

static void set_choices(struct mkv_mqtt *mqtt, const struct mkv_mqtt_options *options)
{
    mqtt->choices[0] = options->address;
    for (uint32_t i = 0; i < options->n_others; i++) {
        mqtt->choices[1 + i] = options->others[i];
    }
    mqtt->n_choices = 1 + options->n_others;
    mqtt->options.others = NULL; /* they are not ours */
}

static int check_options(const struct mkv_mqtt_options *options, struct mkv_why *why)
{
    size_t len = options->client_id != NULL ? strlen(options->client_id) : 0;
    int keepalive_s = options->keepalive_s;

    if (len == 0 || len > CLIENT_ID_MAX || mosquitto_validate_utf8(options->client_id, (int)len)) {
        return mkv_why_error(why, MKV_E_BAD_ARGUMENT,
                             "an MQTT client id has 1 to %u bytes of UTF-8", CLIENT_ID_MAX);
    }
    if (options->n_others > MKV_MQTT_OTHERS_MAX) {
        return mkv_why_error(why, MKV_E_BAD_ARGUMENT, "a broker may have %u addresses at most",
                             1 + MKV_MQTT_OTHERS_MAX);
    }
    if (keepalive_s != 0 && (keepalive_s < KEEPALIVE_MIN || keepalive_s > UINT16_MAX)) {
        return mkv_why_error(why, MKV_E_BAD_ARGUMENT, "the keepalive time is %d to %u seconds",
                             KEEPALIVE_MIN, UINT16_MAX);
    }
    return 0;
}

int mkv_mqtt_new(struct mkv_loop *loop,
                 const struct mkv_mqtt_options *options,
                 const struct mkv_mqtt_events *events,
                 void *context,
                 struct mkv_why *why,
                 struct mkv_mqtt **ret_mqtt)
{
    int error = check_options(options, why);

    if (error != 0) {
        return error;
    }

    struct mkv_mqtt *mqtt = mkv_mem_alloc(sizeof(*mqtt));

    if (mqtt == NULL) {
        return mkv_why_error(why, MKV_E_NO_MEMORY, "%s", mkv_error_text(MKV_E_NO_MEMORY));
    }
    mqtt->loop = loop;
    mqtt->events = *events;
    mqtt->context = context;
    mqtt->state = WAITING;
    mqtt->task = (struct mkv_task){.fn = on_task, .context = mqtt};
    if (!copy_options(mqtt, options) || mkv_timer_init(&mqtt->timer, loop, on_timer, mqtt) != 0) {
        release(mqtt);
        return mkv_why_error(why, MKV_E_NO_MEMORY, "%s", mkv_error_text(MKV_E_NO_MEMORY));
    }
    set_defaults(&mqtt->options);
    set_choices(mqtt, options);
    mkv_timer_set(&mqtt->timer, 0);
    *ret_mqtt = mqtt;
    return 0;
}

void mkv_mqtt_free(struct mkv_mqtt *mqtt)
{
    if (mqtt == NULL || mqtt->freed) {
        return;
    }
    mqtt->freed = true;
    mkv_timer_clear(&mqtt->timer);
    mkv_resolve_free(mqtt->resolve);
    mqtt->resolve = NULL;
    if (mqtt->mosq != NULL) {
        mkv_mosq_mute(mqtt->mosq);
    }
    mkv_task_defer(mqtt->loop, &mqtt->task);
}

static int push(struct mkv_mqtt *mqtt,
                const struct mkv_request *request,
                const struct mkv_request_parts *parts)
{
    return mqtt->mosq != NULL ? mkv_mosq_push(mqtt->mosq, request, parts) : MKV_E_NO_CONNECTION;
}

int mkv_mqtt_subscribe(struct mkv_mqtt *mqtt, struct mkv_bytes filter, int qos, uint64_t cookie)
{
    struct mkv_request request = {.kind = MKV_REQUEST_SUBSCRIBE, .qos = qos, .cookie = cookie};

    return push(mqtt, &request, &(struct mkv_request_parts){.topic = filter});
}

int mkv_mqtt_subscribe_live(struct mkv_mqtt *mqtt,
                            struct mkv_bytes filter,
                            int qos,
                            uint64_t cookie)
{
    struct mkv_request request = {
        .kind = MKV_REQUEST_SUBSCRIBE, .qos = qos, .live = true, .cookie = cookie};

    return push(mqtt, &request, &(struct mkv_request_parts){.topic = filter});
}

int mkv_mqtt_unsubscribe(struct mkv_mqtt *mqtt, struct mkv_bytes filter, uint64_t cookie)
{
    struct mkv_request request = {.kind = MKV_REQUEST_UNSUBSCRIBE, .cookie = cookie};

    return push(mqtt, &request, &(struct mkv_request_parts){.topic = filter});
}

int mkv_mqtt_publish(struct mkv_mqtt *mqtt, const struct mkv_mqtt_message *message, uint64_t cookie)
{
    struct mkv_request request = {
        .kind = MKV_REQUEST_PUBLISH,
        .qos = message->qos,
        .retain = message->retain,
        .cookie = cookie,
    };
    struct mkv_request_parts parts = {message->topic, message->tag, message->payload};

    if (message->tag.len > MKV_MQTT_TAG_MAX) {
        return MKV_E_TOO_LARGE;
    }
    if (message->tag.len > 0 && mqtt->mosq != NULL && mqtt->protocol != 5) {
        return MKV_E_BAD_STATE;
    }
    return push(mqtt, &request, &parts);
}

const struct mkv_address *mkv_mqtt_address(const struct mkv_mqtt *mqtt)
{
    return &mqtt->options.address;
}

bool mkv_mqtt_is_connected(const struct mkv_mqtt *mqtt)
{
    return mqtt->state == CONNECTED;
}

int mkv_mqtt_protocol(const struct mkv_mqtt *mqtt)
{
    return mqtt->state == CONNECTED ? mqtt->protocol : 0;
}

size_t mkv_mqtt_queued(const struct mkv_mqtt *mqtt)
{
    return mqtt->mosq != NULL ? mkv_mosq_queued(mqtt->mosq) : 0;
}

static void set_paused(struct mkv_mqtt *mqtt, bool paused)
{
    mqtt->paused = paused;
    if (mqtt->state == CONNECTED) {
        mkv_mosq_pause(mqtt->mosq, paused);
    }
}

void mkv_mqtt_pause(struct mkv_mqtt *mqtt)
{
    set_paused(mqtt, true);
}

void mkv_mqtt_resume(struct mkv_mqtt *mqtt)
{
    set_paused(mqtt, false);
}

int mkv_mqtt_set_password(struct mkv_mqtt *mqtt, const char *password)
{
    char *copy = NULL;

    if (!copy_text(password, &copy)) {
        return MKV_E_NO_MEMORY;
    }
    mkv_mem_free(mqtt->password);
    mqtt->password = copy;
    mqtt->options.password = copy;
    return 0;
}

void mkv_mqtt_redirect(struct mkv_mqtt *mqtt, const struct mkv_address *address)
{
    mqtt->options.address = *address;
    mqtt->choices[0] = *address;
    mqtt->n_choices = 1;
    mqtt->choice = 0;
    mkv_task_defer(mqtt->loop, &mqtt->task);
}
