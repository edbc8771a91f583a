/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is on its way in a simulated net, in the order of arrival.
 */
#ifndef MKV_TESTS_NODE_MAIL_H
#define MKV_TESTS_NODE_MAIL_H

#include "base/buf.h"

enum mail_kind {
    MAIL_LINK_OPENED,
    MAIL_LINK_REFUSED,
    MAIL_FRAME_TO_CLIENT,
    MAIL_CLOSED_TO_CLIENT,
    MAIL_FRAME_TO_SERVER,
    MAIL_CLOSED_TO_SERVER,
    MAIL_MQTT_TRY,
    MAIL_MQTT_ANSWER,
    MAIL_MQTT_TO_CLIENT,
    MAIL_MQTT_TO_SERVER,
};

struct mail {
    struct mail *next;
    int64_t at_ms;
    enum mail_kind kind;
    unsigned client;
    uint64_t channel; /* link, or connection to the broker */
    uint64_t cookie;
    struct mkv_buf topic;
    struct mkv_buf payload;
};

/* Copies @topic and @payload. */
struct mail *mail_new(enum mail_kind kind,
                      int64_t at_ms,
                      struct mkv_bytes topic,
                      struct mkv_bytes payload);
void mail_free(struct mail *mail);

/* Puts @mail behind all that arrive at the same time. */
void mail_post(struct mail **first, struct mail *mail);

#endif
