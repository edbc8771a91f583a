/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection to a broker by libmosquitto, from connect() to its end.
 *
 * The library is driven from our loop: it is told when its socket can be read or written, and once
 * a second for its keepalive.  Inside its callbacks nothing is done to it: requests only queue up,
 * and an end is only noted; both are dealt with when its function has returned.
 *
 * There is no second life: an instance that reconnects would send again what it still has, behind
 * the back of an owner who was told that it is lost.
 */
#ifndef MKV_IO_MOSQ_H
#define MKV_IO_MOSQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "io/loop.h"
#include "io/mqtt.h"
#include "io/outbox.h"
#include "io/resolve.h"

struct mkv_mosq;

/* How it ended; of the first three at most one is set. */
struct mkv_mosq_end {
    int connack;    /* the broker refused: the code of MQTT 5, also for 3.1.1 */
    int disconnect; /* it granted, and threw us out later: likewise */
    bool no_answer; /* it left a request unanswered for too long, or our keepalive */
    bool hung_up;   /* it closed the connection without a word */
    char text[96];  /* what system or library say about it otherwise */
};

/*
 * All are called from the loop.  mkv_mosq_close() may be called inside `ended` only, the rest
 * everywhere.
 */
struct mkv_mosq_events {
    void (*reached)(void *context); /* the broker, or what is there, has taken our CONNECT */
    void (*granted)(void *context);
    void (*message)(void *context, const struct mkv_mqtt_message *message);
    void (*answered)(void *context, uint64_t cookie, int error, int qos, const char *reason);
    void (*drained)(void *context);
    void (*ended)(void *context, const struct mkv_mosq_end *end);
};

/*
 * Begins to connect; @protocol is 5 or 4.  @options must live as long as this; so must @events.
 * NO_CONNECTION, with an errno in *ret_errno.
 */
struct mkv_mosq_target {
    const struct mkv_mqtt_options *options;
    const struct mkv_sockaddr *address;
    int protocol;
};
int mkv_mosq_open(struct mkv_loop *loop,
                  const struct mkv_mosq_target *target,
                  const struct mkv_mosq_events *events,
                  void *context,
                  int *ret_errno,
                  struct mkv_mosq **ret_mosq) MKV_MUST_CHECK;

/*
 * Answers what is not answered with NO_CONNECTION, disconnects in order if it was granted, and
 * frees.  NULL is fine.
 */
void mkv_mosq_close(struct mkv_mosq *mosq);

/* Nothing is called any more, and nothing read: it is about to be closed. */
void mkv_mosq_mute(struct mkv_mosq *mosq);

/* See mkv_mqtt_publish(): the errors are the same. */
int mkv_mosq_push(struct mkv_mosq *mosq,
                  const struct mkv_request *request,
                  const struct mkv_request_parts *parts) MKV_MUST_CHECK;

size_t mkv_mosq_queued(const struct mkv_mosq *mosq);
void mkv_mosq_pause(struct mkv_mosq *mosq, bool paused);

#endif
