/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection to an MQTT broker, which it keeps up by itself.
 *
 *     mkv_mqtt_new() -> connecting -> connected(): subscribe, publish -> disconnected(why)
 *                           ^                                                  |
 *                           +------------- waits 0.1 s ... 30 s <--------------+
 *
 * Every connection starts clean: subscriptions are gone, and so is whatever was on its way.  The
 * owner subscribes anew in each `connected`.
 *
 * Requests (subscribe, unsubscribe, publish) go out in the order in which they were made.  Each
 * that was taken is answered exactly once by its cookie: when the broker has answered (a
 * publication at QoS 0: when it is with the kernel), or with NO_CONNECTION when the connection is
 * lost first.  Then nobody knows whether the broker has it.  After mkv_mqtt_free() nothing is
 * answered.
 *
 * MQTT 5 is tried first, 3.1.1 if the broker refuses that.
 */
#ifndef MKV_IO_MQTT_H
#define MKV_IO_MQTT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "io/address.h"
#include "io/loop.h"
#include "io/why.h"

#define MKV_MQTT_IN_FLIGHT_MAX 500U /* libmosquitto's window is O(n^2) */
#define MKV_MQTT_OTHERS_MAX    7U
#define MKV_MQTT_TAG           "moat-kv"
#define MKV_MQTT_TAG_MAX       65535U             /* bytes, without NUL; longer: TOO_LARGE */
#define MKV_MQTT_QUEUE_MAX     ((size_t)16 << 20) /* default of queue_max */
#define MKV_MQTT_CONNECT_MS    10000              /* default of connect_ms */
#define MKV_MQTT_GRANT_MS      30000 /* default of grant_ms: nats-server may take 11 s, see io/mqtt.c */
#define MKV_MQTT_ANSWER_MS     60000 /* a broker that answers a request no sooner is given up */

struct mkv_mqtt;

enum mkv_mqtt_version {
    MKV_MQTT_ANY, /* 5, else 3.1.1 */
    MKV_MQTT_V5,
    MKV_MQTT_V311,
};

struct mkv_mqtt_will {
    const char *topic; /* NULL: no will */
    struct mkv_bytes payload;
    int qos;
    bool retain;
};

struct mkv_mqtt_options {
    struct mkv_address address;       /* UNIX, MQTT or TCP */
    const struct mkv_address *others; /* of the same broker, tried in turn where that one fails */
    uint32_t n_others;                /* at most MKV_MQTT_OTHERS_MAX */
    const char *client_id;            /* 1 to 65535 bytes of UTF-8 */
    const char *user;                 /* or NULL */
    const char *password;             /* or NULL */
    struct mkv_mqtt_will will;
    enum mkv_mqtt_version version;
    int keepalive_s;  /* 5 to 65535; 0: 20 */
    size_t queue_max; /* bytes of topics and payloads not yet answered; 0: the default */
    int64_t
        connect_ms;    /* from the look-up of the name until it takes our CONNECT; 0: the default */
    int64_t grant_ms;  /* from then to CONNACK; 0: the default */
    int64_t answer_ms; /* 0: MKV_MQTT_ANSWER_MS */
};

struct mkv_mqtt_message {
    struct mkv_bytes topic;
    struct mkv_bytes payload;
    struct mkv_bytes
        tag; /* text of the user property MKV_MQTT_TAG, which MQTT 5 has; empty: none */
    int qos;
    bool retain;
};

/*
 * All may be NULL but `message`.  What they are given is valid during the call only.  They may use
 * all functions below.
 */
struct mkv_mqtt_events {
    void (*connected)(void *context);

    /*
     * All requests have been answered before it.  Called for every attempt that failed and every connection that was lost; the next attempt
     * follows by itself.  NO_CONNECTION: not there, or gone; TIMEOUT; NOT_AUTHORISED, REFUSED: the
     * broker said no, and is asked again at leisure.  @why names the broker and the mend.
     */
    void (*disconnected)(void *context, int error, const struct mkv_why *why);

    void (*message)(void *context, const struct mkv_mqtt_message *message);

    /*
     * The answer to a request.  0: granted, or taken by the broker.  NOT_AUTHORISED, REFUSED,
     * TOO_LARGE, BAD_TOPIC: @why has the broker's reason.  NO_CONNECTION: see above.  @qos: what
     * was granted to a subscription, else 0.
     */
    void (*answered)(void *context, uint64_t cookie, int error, int qos, const struct mkv_why *why);

    /* The queue, full before, is now at most half full. */
    void (*drained)(void *context);
};

/*
 * Begins to connect; @options (texts included) and @events are copied.  BAD_ARGUMENT, with @why
 * (may be NULL); NO_MEMORY.
 */
int mkv_mqtt_new(struct mkv_loop *loop,
                 const struct mkv_mqtt_options *options,
                 const struct mkv_mqtt_events *events,
                 void *context,
                 struct mkv_why *why,
                 struct mkv_mqtt **ret_mqtt) MKV_MUST_CHECK;

/*
 * Disconnects in order, as far as that needs no waiting (the will is not sent), and frees.  What
 * is still queued is dropped.  NULL is fine.
 */
void mkv_mqtt_free(struct mkv_mqtt *mqtt);

/*
 * The next four: NO_CONNECTION while not connected, QUEUE_FULL, NO_MEMORY, BAD_ARGUMENT; then the
 * request was not taken and its cookie is not answered.  Topics, tags and payloads are copied.  A tag
 * where 3.1.1 is spoken is BAD_STATE.
 */
int mkv_mqtt_subscribe(struct mkv_mqtt *mqtt, struct mkv_bytes filter, int qos, uint64_t cookie)
    MKV_MUST_CHECK;
/* The same, but what is retained is not wanted, which only MQTT 5 can say. */
int mkv_mqtt_subscribe_live(struct mkv_mqtt *mqtt,
                            struct mkv_bytes filter,
                            int qos,
                            uint64_t cookie) MKV_MUST_CHECK;
int mkv_mqtt_unsubscribe(struct mkv_mqtt *mqtt,
                         struct mkv_bytes filter,
                         uint64_t cookie) MKV_MUST_CHECK;
int mkv_mqtt_publish(struct mkv_mqtt *mqtt,
                     const struct mkv_mqtt_message *message,
                     uint64_t cookie) MKV_MUST_CHECK;

/* Where the present or last attempt went, or the connection goes. */
const struct mkv_address *mkv_mqtt_address(const struct mkv_mqtt *mqtt);

bool mkv_mqtt_is_connected(const struct mkv_mqtt *mqtt);

/* 5 or 4 (that is 3.1.1) while connected, else 0. */
int mkv_mqtt_protocol(const struct mkv_mqtt *mqtt);

/* Bytes that count against queue_max. */
size_t mkv_mqtt_queued(const struct mkv_mqtt *mqtt);

/*
 * Stops and restarts reading from the broker, which meanwhile queues for us.  Answers are held up,
 * too, so a pause must be shorter than the keepalive.
 */
void mkv_mqtt_pause(struct mkv_mqtt *mqtt);
void mkv_mqtt_resume(struct mkv_mqtt *mqtt);

/* Another password from the next connection on.  NO_MEMORY: it goes on with what it has. */
int mkv_mqtt_set_password(struct mkv_mqtt *mqtt, const char *password) MKV_MUST_CHECK;

/* Drops the present connection (told by `disconnected`) or wait, and connects to @address now, which
 * replaces all others. */
void mkv_mqtt_redirect(struct mkv_mqtt *mqtt, const struct mkv_address *address);

#endif
