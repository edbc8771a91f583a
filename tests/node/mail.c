/* SPDX-License-Identifier: Apache-2.0 */
#include "mail.h"

#include <stdlib.h>

#include "base/limits.h"
#include "lib/check.h"

struct mail *mail_new(enum mail_kind kind,
                      int64_t at_ms,
                      struct mkv_bytes topic,
                      struct mkv_bytes payload)
{
    struct mail *mail = calloc(1, sizeof(*mail));

    assert_non_null(mail);
    mail->kind = kind;
    mail->at_ms = at_ms;
    mkv_buf_init(&mail->topic, MKV_TOPIC_MAX);
    mkv_buf_init(&mail->payload, MKV_FRAME_MAX + 4);
    assert_int_equal(mkv_buf_append(&mail->topic, topic), 0);
    assert_int_equal(mkv_buf_append(&mail->payload, payload), 0);
    return mail;
}

void mail_free(struct mail *mail)
{
    mkv_buf_deinit(&mail->topic);
    mkv_buf_deinit(&mail->payload);
    free(mail);
}

void mail_post(struct mail **first, struct mail *mail)
{
    struct mail **link = first;

    while (*link != NULL && (*link)->at_ms <= mail->at_ms) {
        link = &(*link)->next;
    }
    mail->next = *link;
    *link = mail;
}
