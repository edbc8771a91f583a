/* SPDX-License-Identifier: Apache-2.0 */
#include "io/mosq.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/clock.h"
#include "io/reason.h"

#define TICK_MS          1000
#define TURN_PACKETS_MAX 256 /* heard in one turn of the loop before others have theirs */
#define RECEIVE_MAXIMUM  65535
#define HOST_MAX         64U

struct mkv_mosq {
    struct mkv_loop *loop;
    const struct mkv_mqtt_options *options;
    const struct mkv_mosq_events *events;
    void *context;
    int protocol;
    struct mosquitto *client; /* owned, as are the next two */
    struct event *readable;
    struct event *writable;
    int event_fd; /* of the library's socket, but ours: for the two events; -1: none */
    bool writing; /* writable is active */
    bool paused;
    bool muted;
    bool reached;
    bool granted;
    bool ended;
    int failure;             /* errno after the last call of the library */
    int64_t answers_from_ms; /* requests older than that are taken for as old as that */
    uint32_t n_heard;        /* in this turn */
    struct mkv_timer tick;
    struct mkv_task task; /* pumps */
    struct mkv_mosq_end end;
    struct mkv_outbox outbox;
};

static void init_library(void)
{
    (void)mosquitto_lib_init();
}

/* The library counts its users without a lock: once for all threads, and never undone. */
static void need_library(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, init_library);
}

static void land(struct mkv_mosq *mosq, enum mkv_request_kind kind, int id, int code)
{
    struct mkv_flight *flight = mkv_outbox_find(&mosq->outbox, kind, id);
    int error = mkv_reason_error(code);

    mosq->n_heard++;
    if (flight == NULL) {
        return;
    }

    uint64_t cookie = flight->cookie;
    int qos = kind == MKV_REQUEST_SUBSCRIBE && error == 0 ? code : 0;

    mkv_outbox_land(&mosq->outbox, flight);
    if (!mosq->muted) {
        mosq->events->answered(mosq->context, cookie, error, qos,
                               kind == MKV_REQUEST_PUBLISH ? mkv_reason_text_of_message(code)
                                                           : mkv_reason_text(code));
    }
}

static void on_connack(
    struct mosquitto *client, void *context, int code, int flags, const mosquitto_property *props)
{
    struct mkv_mosq *mosq = context;

    (void)client;
    (void)flags;
    (void)props;
    mosq->n_heard++;
    if (code != 0) {
        mosq->end.connack = mosq->protocol == 5 ? code : mkv_reason_of_connack(code);
        return;
    }
    mosq->granted = true;
    mosq->answers_from_ms = mkv_clock_monotonic_ms();
    mkv_timer_set(&mosq->tick, TICK_MS);
    if (!mosq->muted) {
        mosq->events->granted(mosq->context);
    }
}

/* @code is the broker's reason, from 128 on, or else one of the library's own errors. */
static void on_disconnect(struct mosquitto *client,
                          void *context,
                          int code,
                          const mosquitto_property *props)
{
    struct mkv_mosq *mosq = context;

    (void)client;
    (void)props;
    mosq->ended = true;
    mosq->end.disconnect = mosq->granted && code >= 0x80 ? code : 0;
}

static void on_published(
    struct mosquitto *client, void *context, int id, int code, const mosquitto_property *props)
{
    (void)client;
    (void)props;
    land(context, MKV_REQUEST_PUBLISH, id, code);
}

static void on_subscribed(struct mosquitto *client,
                          void *context,
                          int id,
                          int n_codes,
                          const int *codes,
                          const mosquitto_property *props)
{
    (void)client;
    (void)props;
    land(context, MKV_REQUEST_SUBSCRIBE, id, n_codes > 0 ? codes[0] : 0x80);
}

static void on_unsubscribed(struct mosquitto *client,
                            void *context,
                            int id,
                            const mosquitto_property *props)
{
    (void)client;
    (void)props;
    land(context, MKV_REQUEST_UNSUBSCRIBE, id, 0);
}

/* The first user property of that name, to be freed by free(); NULL: there is none. */
static char *find_tag(const mosquitto_property *props)
{
    bool again = false;
    char *name = NULL;
    char *value = NULL;

    for (;;) {
        props = mosquitto_property_read_string_pair(props, MQTT_PROP_USER_PROPERTY, &name, &value,
                                                    again);
        if (props == NULL) {
            return NULL;
        }
        if (strcmp(name, MKV_MQTT_TAG) == 0) {
            free(name);
            return value;
        }
        free(name);
        free(value);
        again = true;
    }
}

static void on_message(struct mosquitto *client,
                       void *context,
                       const struct mosquitto_message *heard,
                       const mosquitto_property *props)
{
    struct mkv_mosq *mosq = context;
    struct mkv_mqtt_message message = {
        .topic = mkv_bytes_of(heard->topic),
        .payload = mkv_bytes(heard->payload, (size_t)heard->payloadlen),
        .qos = heard->qos,
        .retain = heard->retain,
    };

    (void)client;
    mosq->n_heard++;
    if (!mosq->muted) {
        char *tag = find_tag(props);

        message.tag = tag != NULL ? mkv_bytes_of(tag) : (struct mkv_bytes){0};
        mosq->events->message(mosq->context, &message);
        free(tag);
    }
}

static int set_up_client(struct mkv_mosq *mosq)
{
    const struct mkv_mqtt_options *options = mosq->options;
    int version = mosq->protocol == 5 ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311;
    struct mosquitto *client = mosq->client;
    int code = mosquitto_int_option(client, MOSQ_OPT_PROTOCOL_VERSION, version);

    /* Without it a broker keeps back, and then drops, what we do not acknowledge at once. */
    code =
        code != 0 ? code : mosquitto_int_option(client, MOSQ_OPT_RECEIVE_MAXIMUM, RECEIVE_MAXIMUM);
    code = code != 0
               ? code
               : mosquitto_int_option(client, MOSQ_OPT_SEND_MAXIMUM, (int)MKV_OUTBOX_FLIGHTS_MAX);
    code = code != 0 ? code : mosquitto_int_option(client, MOSQ_OPT_TCP_NODELAY, 1);
    if (code == 0 && options->user != NULL) {
        code = mosquitto_username_pw_set(client, options->user, options->password);
    }
    if (code == 0 && options->will.topic != NULL) {
        code =
            mosquitto_will_set(client, options->will.topic, (int)options->will.payload.len,
                               options->will.payload.at, options->will.qos, options->will.retain);
    }
    mosquitto_connect_v5_callback_set(client, on_connack);
    mosquitto_disconnect_v5_callback_set(client, on_disconnect);
    mosquitto_publish_v5_callback_set(client, on_published);
    mosquitto_subscribe_v5_callback_set(client, on_subscribed);
    mosquitto_unsubscribe_v5_callback_set(client, on_unsubscribed);
    mosquitto_message_v5_callback_set(client, on_message);
    return code;
}

/* The library wants to be called when its socket is writable only while it has something left. */
static void update_writing(struct mkv_mosq *mosq)
{
    bool wanted = mosquitto_want_write(mosq->client);

    if (wanted != mosq->writing) {
        mosq->writing = wanted;
        (void)(wanted ? event_add(mosq->writable, NULL) : event_del(mosq->writable));
    }
}

static int publish(struct mkv_mosq *mosq, const struct mkv_request *request, int *ret_id)
{
    mosquitto_property *props = NULL;
    int code = 0;

    if (request->tag_len > 0) {
        code = mosquitto_property_add_string_pair(&props, MQTT_PROP_USER_PROPERTY, MKV_MQTT_TAG,
                                                  mkv_request_tag(request));
    }
    if (code == 0) {
        code = mosquitto_publish_v5(mosq->client, ret_id, request->text, (int)request->payload_len,
                                    mkv_request_payload(request), request->qos, request->retain,
                                    props);
    }
    mosquitto_property_free_all(&props);
    return code;
}

static int submit(struct mkv_mosq *mosq, const struct mkv_request *request, int *ret_id)
{
    int options = request->live ? MQTT_SUB_OPT_SEND_RETAIN_NEVER : MQTT_SUB_OPT_SEND_RETAIN_ALWAYS;

    switch (request->kind) {
    case MKV_REQUEST_SUBSCRIBE:
        return mosquitto_subscribe_v5(mosq->client, ret_id, request->text, request->qos,
                                      mosq->protocol == 5 ? options : 0, NULL);
    case MKV_REQUEST_UNSUBSCRIBE:
        return mosquitto_unsubscribe(mosq->client, ret_id, request->text);
    case MKV_REQUEST_PUBLISH:
        break;
    }
    return publish(mosq, request, ret_id);
}

/* The error of a request that the library does not even send; 0 if the connection is to blame. */
static int error_of_request(int code)
{
    switch (code) {
    case MOSQ_ERR_INVAL:
    case MOSQ_ERR_MALFORMED_UTF8:
        return MKV_E_BAD_TOPIC;
    case MOSQ_ERR_PAYLOAD_SIZE:
    case MOSQ_ERR_OVERSIZE_PACKET:
        return MKV_E_TOO_LARGE;
    case MOSQ_ERR_QOS_NOT_SUPPORTED:
    case MOSQ_ERR_RETAIN_NOT_SUPPORTED:
        return MKV_E_REFUSED;
    default:
        return 0;
    }
}

/*
 * Hands requests to the library as long as its window has room.  Returns the library's error if
 * the connection broke on it.  At QoS 0 a flight may land before submit() returns.
 */
static int pump(struct mkv_mosq *mosq)
{
    while (mosq->granted && !mosq->ended && !mosq->muted) {
        struct mkv_flight *flight = NULL;
        struct mkv_request *request =
            mkv_outbox_launch(&mosq->outbox, mkv_clock_monotonic_ms(), &flight);

        if (request == NULL) {
            break;
        }
        errno = 0;

        int code = submit(mosq, request, &flight->id);
        uint64_t cookie = request->cookie;
        int error = error_of_request(code);

        mosq->failure = errno;
        mkv_mem_free(request);
        if (code != 0 && error == 0) {
            return code;
        }
        if (code != 0) {
            mkv_outbox_land(&mosq->outbox, flight);
            mosq->events->answered(mosq->context, cookie, error, 0, mosquitto_strerror(code));
        }
    }
    return 0;
}

static void tell_end(struct mkv_mosq *mosq, int code)
{
    struct mkv_mosq_end *end = &mosq->end;
    const char *text = code == MOSQ_ERR_ERRNO && mosq->failure != 0 ? strerror(mosq->failure)
                                                                    : mosquitto_strerror(code);

    mosq->ended = true;
    end->hung_up = code == MOSQ_ERR_CONN_LOST || (code == 0 && end->disconnect == 0);
    end->no_answer = code == MOSQ_ERR_KEEPALIVE || code == MOSQ_ERR_TIMEOUT;
    (void)snprintf(end->text, sizeof(end->text), "%s", end->hung_up ? "it was closed" : text);
    mosq->events->ended(mosq->context, end);
}

/* After each call of the library: what did it come to?  The owner may close @mosq in here. */
static void follow_up(struct mkv_mosq *mosq, int code)
{
    if (code == 0 && !mosq->ended) {
        code = pump(mosq);
    }
    if (mosq->muted) {
        return;
    }
    if (code != 0 || mosq->ended) {
        tell_end(mosq, code);
        return;
    }
    update_writing(mosq);
    if (!mosq->reached && !mosq->granted && !mosq->writing) { /* the CONNECT is out */
        mosq->reached = true;
        mosq->events->reached(mosq->context);
    }
    if (mkv_outbox_has_drained(&mosq->outbox)) {
        mosq->events->drained(mosq->context);
    }
}

/* One call reads one packet as a rule: goes on while there are more, lest each costs a turn. */
static int read_packets(struct mkv_mosq *mosq)
{
    uint32_t n_before;
    int code = 0;

    mosq->n_heard = 0;
    do {
        n_before = mosq->n_heard;
        errno = 0;
        code = mosquitto_loop_read(mosq->client, 1);
        mosq->failure = errno;
    } while (code == 0 && !mosq->ended && !mosq->muted && !mosq->paused &&
             mosq->n_heard > n_before && mosq->n_heard < TURN_PACKETS_MAX);
    return code;
}

static void on_socket(evutil_socket_t fd, short what, void *context)
{
    struct mkv_mosq *mosq = context;
    int code;

    (void)fd;
    if ((what & EV_READ) != 0) {
        code = read_packets(mosq);
    } else {
        errno = 0;
        code = mosquitto_loop_write(mosq->client, 1);
        mosq->failure = errno;
    }
    follow_up(mosq, code);
}

static bool answers_are_overdue(const struct mkv_mosq *mosq)
{
    int64_t since_ms = mkv_outbox_oldest_ms(&mosq->outbox);

    if (since_ms == INT64_MAX || mosq->paused) {
        return false;
    }
    since_ms = since_ms > mosq->answers_from_ms ? since_ms : mosq->answers_from_ms;
    return mkv_clock_monotonic_ms() - since_ms > mosq->options->answer_ms;
}

static void on_tick(void *context)
{
    struct mkv_mosq *mosq = context;

    mkv_timer_set(&mosq->tick, TICK_MS);
    follow_up(mosq,
              answers_are_overdue(mosq) ? MOSQ_ERR_TIMEOUT : mosquitto_loop_misc(mosq->client));
}

static void on_task(void *context)
{
    struct mkv_mosq *mosq = context;

    if (!mosq->ended && !mosq->muted) {
        follow_up(mosq, 0);
    }
}

static int watch_socket(struct mkv_mosq *mosq)
{
    struct event_base *base = mkv_loop_base(mosq->loop);
    int fd = mosquitto_socket(mosq->client);

    (void)fcntl(fd, F_SETFD, FD_CLOEXEC); /* the library forgets it */

    /* The library closes its socket when it likes, and libevent must not find it closed. */
    mosq->event_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (mosq->event_fd < 0) {
        return errno;
    }
    mosq->readable = event_new(base, mosq->event_fd, EV_READ | EV_PERSIST, on_socket, mosq);
    mosq->writable = event_new(base, mosq->event_fd, EV_WRITE | EV_PERSIST, on_socket, mosq);
    if (mosq->readable == NULL || mosq->writable == NULL || event_add(mosq->readable, NULL) != 0) {
        return ENOMEM;
    }
    update_writing(mosq);
    return 0;
}

/* Returns an errno, or 0. */
static int connect_client(struct mkv_mosq *mosq, const struct mkv_sockaddr *address)
{
    const struct mkv_address *name = &mosq->options->address;
    bool is_unix = name->scheme == MKV_ADDRESS_UNIX;
    char host[HOST_MAX];

    mosq->client = mosquitto_new(mosq->options->client_id, true, mosq);
    if (mosq->client == NULL || set_up_client(mosq) != 0) {
        return ENOMEM;
    }
    mkv_sockaddr_host(address, host, sizeof(host));
    errno = 0;

    int code = mosquitto_connect_async(mosq->client, is_unix ? name->path : host,
                                       is_unix ? 0 : name->port, mosq->options->keepalive_s);

    if (code != 0) {
        return errno != 0 ? errno : EIO;
    }
    return watch_socket(mosq);
}

int mkv_mosq_open(struct mkv_loop *loop,
                  const struct mkv_mosq_target *target,
                  const struct mkv_mosq_events *events,
                  void *context,
                  int *ret_errno,
                  struct mkv_mosq **ret_mosq)
{
    struct mkv_mosq *mosq = mkv_mem_alloc(sizeof(*mosq));

    need_library();
    if (mosq == NULL) {
        *ret_errno = ENOMEM;
        return MKV_E_NO_CONNECTION;
    }
    mosq->event_fd = -1;
    mosq->loop = loop;
    mosq->options = target->options;
    mosq->events = events;
    mosq->context = context;
    mosq->protocol = target->protocol;
    mosq->task = (struct mkv_task){.fn = on_task, .context = mosq};
    mkv_outbox_init(&mosq->outbox, target->options->queue_max);

    int failure = mkv_timer_init(&mosq->tick, loop, on_tick, mosq) != 0 ? ENOMEM : 0;

    if (failure == 0) {
        failure = connect_client(mosq, target->address);
    }
    if (failure != 0) {
        mkv_mosq_close(mosq);
        *ret_errno = failure;
        return MKV_E_NO_CONNECTION;
    }
    mkv_task_defer(mosq->loop, &mosq->task); /* a unix socket may have it all already */
    *ret_mosq = mosq;
    return 0;
}

static void abandon_requests(struct mkv_mosq *mosq)
{
    uint64_t cookie;

    while (!mosq->muted && mkv_outbox_abandon(&mosq->outbox, &cookie)) {
        mosq->events->answered(mosq->context, cookie, MKV_E_NO_CONNECTION, 0,
                               "the connection was lost before it answered");
    }
    mkv_outbox_deinit(&mosq->outbox);
}

void mkv_mosq_close(struct mkv_mosq *mosq)
{
    if (mosq == NULL) {
        return;
    }
    if (mosq->readable != NULL) {
        event_free(mosq->readable);
    }
    if (mosq->writable != NULL) {
        event_free(mosq->writable);
    }
    mkv_timer_deinit(&mosq->tick);
    mkv_task_cancel(mosq->loop, &mosq->task);
    if (mosq->granted && !mosq->ended) {
        (void)mosquitto_disconnect(mosq->client); /* as far as the socket takes it at once */
    }
    mosquitto_destroy(mosq->client);
    if (mosq->event_fd >= 0) {
        (void)close(mosq->event_fd);
    }
    mosq->ended = true;
    abandon_requests(mosq);
    mkv_mem_free(mosq);
}

void mkv_mosq_mute(struct mkv_mosq *mosq)
{
    mosq->muted = true;
    mkv_timer_clear(&mosq->tick);
    (void)event_del(mosq->readable);
    (void)event_del(mosq->writable);
}

int mkv_mosq_push(struct mkv_mosq *mosq,
                  const struct mkv_request *request,
                  const struct mkv_request_parts *parts)
{
    if (!mosq->granted || mosq->ended || mosq->muted) {
        return MKV_E_NO_CONNECTION;
    }
    if (request->qos < 0 || request->qos > 2 || parts->topic.len == 0 ||
        memchr(parts->topic.at, 0, parts->topic.len) != NULL) {
        return MKV_E_BAD_ARGUMENT;
    }

    int error = mkv_outbox_push(&mosq->outbox, request, parts);

    if (error == 0) {
        mkv_task_defer(mosq->loop, &mosq->task);
    }
    return error;
}

size_t mkv_mosq_queued(const struct mkv_mosq *mosq)
{
    return mosq->outbox.size;
}

void mkv_mosq_pause(struct mkv_mosq *mosq, bool paused)
{
    if (mosq->paused == paused || mosq->muted) {
        return;
    }
    mosq->paused = paused;
    mosq->answers_from_ms = mkv_clock_monotonic_ms();
    (void)(paused ? event_del(mosq->readable) : event_add(mosq->readable, NULL));
}
