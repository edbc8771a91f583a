/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of core/client.h share among themselves.
 *
 * Requests and watches are never removed where something is told to them: they are marked as over
 * and taken away by the next pump, so that no loop over them loses its ground.
 */
#ifndef MKV_CORE_CLIENT_PARTS_H
#define MKV_CORE_CLIENT_PARTS_H

#include "core/client.h"
#include "core/view.h"

/* Cookies of requests to the broker: two bits say whose it is. */
#define MKV_COOKIE_UPDATE 0ULL         /* plus the counter */
#define MKV_COOKIE_WATCH  (1ULL << 62) /* plus the watch's id */
#define MKV_COOKIE_FIND   (2ULL << 62) /* the subscription to where servers answer */
#define MKV_COOKIE_NOBODY (3ULL << 62)
#define MKV_COOKIE_KIND   (3ULL << 62)

enum mkv_client_request_kind {
    MKV_CLIENT_REQUEST_GET,
    MKV_CLIENT_REQUEST_HEAD, /* for a write: what is there now */
    MKV_CLIENT_REQUEST_READ,
    MKV_CLIENT_REQUEST_LIST,
    MKV_CLIENT_REQUEST_STATUS,
    MKV_CLIENT_REQUEST_PING,
    MKV_CLIENT_REQUEST_SERVERS,
    MKV_CLIENT_REQUEST_EVICT,
    MKV_CLIENT_REQUEST_PASSWD,
    MKV_CLIENT_REQUEST_CONFLICTS,
    MKV_CLIENT_REQUEST_WATCH_READ,
    MKV_CLIENT_REQUEST_WATCH_CHECK,
};

struct mkv_client_request {
    struct mkv_client_request *next;
    enum mkv_client_request_kind kind;
    uint64_t id;      /* of the application's operation; 0: our own */
    uint64_t wire_id; /* 0: not sent */
    int64_t not_before_ms;
    struct mkv_bytes key; /* lies behind this struct */
    uint32_t depth_min;
    uint32_t depth_max;
    uint32_t flags;
    uint8_t uuid[MKV_STORE_ID_LEN];      /* EVICT */
    struct mkv_client_password password; /* PASSWD */
    bool has_since;
    bool over; /* completed: waits to be taken away */
    struct mkv_place since;
    uint64_t n_rows;
    struct mkv_row_reader reader;
    struct mkv_told told;           /* of CONFLICTS: over all links */
    struct mkv_client_watch *watch; /* of WATCH_READ, WATCH_CHECK */
    struct mkv_client_write *write; /* of HEAD */
};

enum mkv_client_head {
    MKV_HEAD_WANTED, /* not known yet what the write replaces */
    MKV_HEAD_ASKED,
    MKV_HEAD_KNOWN,
};

struct mkv_client_write {
    struct mkv_client_write *next;
    uint64_t id;
    bool present;
    enum mkv_client_head head;
    struct mkv_buf known; /* owned: encoded tick list; empty: nothing is replaced */
    struct mkv_bytes key; /* these two lie behind this struct */
    struct mkv_bytes value;
};

enum mkv_client_subscription {
    MKV_SUBSCRIPTION_NONE,
    MKV_SUBSCRIPTION_ASKED,
    MKV_SUBSCRIPTION_GRANTED,
};

struct mkv_client_watch {
    struct mkv_client_watch *next;
    uint64_t id;
    struct mkv_bytes key; /* lies behind this struct */
    enum mkv_client_subscription subscription;
    int64_t subscribe_ms; /* not before */
    bool granted_ever;
    uint32_t n_refusals; /* in a row */
    int ending;          /* the error it is to end with; 0: none */
    struct mkv_view view;
    uint64_t floor;   /* deletions up to this tock the server has forgotten */
    bool synced_ever; /* STATE has ended */
    bool synced;
    bool has_place;
    struct mkv_place place;
    struct mkv_client_request *request; /* a read or a check that is running, or NULL */
    bool compare;                       /* that read is compared with the view */
    struct mkv_tree seen;               /* what has come since it began */
    uint64_t n_news;                    /* entries it told us */

    int64_t check_ms;    /* next check, if synced */
    bool rights;         /* others than before: a check is due, and ... */
    bool rights_checked; /* ... runs; if it does not match, all has to be read */
    uint32_t n_mismatches;
    uint32_t n_repairs;         /* in a row, without a match */
    uint64_t n_changes_checked; /* of the view when the check was sent */
    bool moved;                 /* the view changed during a check that did not match */
    int64_t ahead_ms;      /* since when the view is known to be ahead of the server; 0: is not */
    struct mkv_tree ahead; /* in what */
};

/* client.c */
uint64_t mkv_client_random(struct mkv_client *client);
void mkv_client_send(struct mkv_client *client, const struct mkv_frame *frame);
/* Gives the link up because of what the server does, or does not do. */
void mkv_client_link_fail(struct mkv_client *client, int error, const char *why);
void mkv_client_notice(struct mkv_client *client,
                       enum mkv_client_notice_kind kind,
                       int code,
                       struct mkv_bytes text);
void mkv_client_done(struct mkv_client *client, uint64_t id, int status);

/* Tells the server why before the link is given up. */
void mkv_client_refuse(struct mkv_client *client, int error, const char *why);

/* client_login.c */
/* Answers the server's hello: logs in, or gives the link up. */
void mkv_client_log_in(struct mkv_client *client, const struct mkv_frame_hello *hello);
void mkv_client_challenge(struct mkv_client *client, struct mkv_bytes message);
void mkv_client_proof(struct mkv_client *client, const struct mkv_client_event *event);

/* client_tock.c */
void mkv_client_note_tock(struct mkv_client *client, uint64_t tock);
void mkv_client_note_server_tock(struct mkv_client *client, uint64_t tock);
/* The greatest tock that a server would take now. */
uint64_t mkv_client_tock_max(const struct mkv_client *client);
uint64_t mkv_client_next_tock(struct mkv_client *client);

/* client_mqtt.c */
void mkv_client_mqtt_pump(struct mkv_client *client);
void mkv_client_mqtt_connected(struct mkv_client *client);
void mkv_client_mqtt_disconnected(struct mkv_client *client, int error, struct mkv_bytes why);
void mkv_client_mqtt_gone(struct mkv_client *client, int error, struct mkv_bytes why);
void mkv_client_mqtt_answered(struct mkv_client *client, const struct mkv_client_event *event);
void mkv_client_mqtt_reply(struct mkv_client *client, const struct mkv_server_reply *reply);
void mkv_client_mqtt_drop(struct mkv_client *client); /* the connection */
int64_t mkv_client_mqtt_deadline_ms(const struct mkv_client *client);

/* client_request.c */
int mkv_client_request_order(struct mkv_client *client,
                             const struct mkv_client_order *order) MKV_MUST_CHECK;
/* Appends a request of our own; NULL: out of memory. */
struct mkv_client_request *mkv_client_request_add(struct mkv_client *client,
                                                  enum mkv_client_request_kind kind,
                                                  struct mkv_bytes key);
/* Sends a frame of @kind with no more than an id, or a credit of one page. */
void mkv_client_request_say(struct mkv_client *client, enum mkv_frame_kind kind, uint64_t wire_id);
/* As if it had not been sent; and the ways to its end, of which only the first tells nobody. */
void mkv_client_request_unsend(struct mkv_client *client, struct mkv_client_request *request);
void mkv_client_request_finish(struct mkv_client *client, struct mkv_client_request *request);
void mkv_client_request_complete(struct mkv_client *client,
                                 struct mkv_client_request *request,
                                 int status);
void mkv_client_request_fail(struct mkv_client *client,
                             struct mkv_client_request *request,
                             int error);
/* Marks it as over, and tells the server if it is still working on it. */
void mkv_client_request_abandon(struct mkv_client *client, struct mkv_client_request *request);
void mkv_client_request_link_lost(struct mkv_client *client);
int mkv_client_request_cancel(struct mkv_client *client, uint64_t id) MKV_MUST_CHECK;
void mkv_client_request_pump(struct mkv_client *client);
void mkv_client_request_close(struct mkv_client *client); /* completes all */
void mkv_client_request_deinit(struct mkv_client *client);
int64_t mkv_client_request_deadline_ms(const struct mkv_client *client);

/* client_answer.c */
/* Answers to requests, errors included; others are ignored. */
void mkv_client_answer(struct mkv_client *client, const struct mkv_frame *frame);

/* client_write.c */
int mkv_client_write_order(struct mkv_client *client,
                           const struct mkv_client_order *order) MKV_MUST_CHECK;
/* What a write replaces, as the server says: @ticks, or NULL for nothing. */
int mkv_client_write_head(struct mkv_client_write *write,
                          const struct mkv_ticks *ticks) MKV_MUST_CHECK;
void mkv_client_write_refused(struct mkv_client *client, struct mkv_client_write *write, int error);
void mkv_client_write_ack(struct mkv_client *client, uint64_t counter);
void mkv_client_write_nack(struct mkv_client *client, const struct mkv_frame_nack *nack);
void mkv_client_write_repeat(struct mkv_client *client, const struct mkv_frame_range *range);
void mkv_client_write_answered(struct mkv_client *client, const struct mkv_client_event *event);
/* The connection to the broker is gone: whatever was on its way is in doubt. */
void mkv_client_write_unsent(struct mkv_client *client);
/* Publishes all that is not acknowledged. */
void mkv_client_write_again(struct mkv_client *client);
/* Publishes what the broker connection had no room for. */
void mkv_client_write_drained(struct mkv_client *client);
void mkv_client_write_pump(struct mkv_client *client);
void mkv_client_write_close(struct mkv_client *client);
void mkv_client_write_deinit(struct mkv_client *client);
int64_t mkv_client_write_deadline_ms(const struct mkv_client *client);

/* client_conflicts.c */
/* Whether one more may be followed: TOO_MANY. */
int mkv_client_conflicts_order(const struct mkv_client *client,
                               const struct mkv_client_order *order) MKV_MUST_CHECK;
/* A `lost` frame; false if it cannot be read, or was not asked for. */
bool mkv_client_conflicts_answer(struct mkv_client *client,
                                 struct mkv_client_request *request,
                                 struct mkv_bytes lost);
/* A `conflict` frame: an update of this client has lost. */
void mkv_client_conflict(struct mkv_client *client, const struct mkv_frame_conflict *conflict);

/* client_watch.c */
int mkv_client_watch_order(struct mkv_client *client,
                           const struct mkv_client_order *order) MKV_MUST_CHECK;
int mkv_client_watch_cancel(struct mkv_client *client, uint64_t id) MKV_MUST_CHECK;
void mkv_client_watch_answered(struct mkv_client *client, const struct mkv_client_event *event);
void mkv_client_watch_update(struct mkv_client *client,
                             struct mkv_bytes key,
                             const struct mkv_update *update);
/* Rows and ends of its read, answers to its check, and their failure. */
void mkv_client_watch_row(struct mkv_client *client,
                          struct mkv_client_watch *watch,
                          struct mkv_bytes key,
                          const struct mkv_update *update);
void mkv_client_watch_read_end(struct mkv_client *client,
                               struct mkv_client_watch *watch,
                               const struct mkv_frame_end *end);
/* The user's rights may be others from now on. */
void mkv_client_watch_rights(struct mkv_client *client);
void mkv_client_watch_checked(struct mkv_client *client,
                              struct mkv_client_watch *watch,
                              const struct mkv_frame_digest *digest);
void mkv_client_watch_refused(struct mkv_client *client, struct mkv_client_watch *watch, int error);
/* A new session: @same_store says whether places are still good.  NO_MEMORY. */
int mkv_client_watch_session(struct mkv_client *client,
                             const struct mkv_frame_session *session,
                             bool same_store) MKV_MUST_CHECK;
void mkv_client_watch_link_lost(struct mkv_client *client);
void mkv_client_watch_mqtt_lost(struct mkv_client *client);
/* The ticks of the entry at @key as a synced watch has it; false if none covers the path. */
bool mkv_client_watch_ticks(const struct mkv_client *client,
                            struct mkv_bytes key,
                            bool *ret_found,
                            struct mkv_ticks *ret_ticks);
void mkv_client_watch_pump(struct mkv_client *client);
void mkv_client_watch_close(struct mkv_client *client);
void mkv_client_watch_deinit(struct mkv_client *client);
int64_t mkv_client_watch_deadline_ms(const struct mkv_client *client);

#endif
