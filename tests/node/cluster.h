/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several server nodes in virtual time: a disk in memory each, one broker that delivers everything
 * at once and in order, links that work.  Whatever goes wrong, a test makes go wrong by hand (all
 * else is for tests/sim).
 *
 * A server may be a puppet: then it has no node; the test speaks for it, and reads what is sent to it.
 */
#ifndef MKV_TESTS_NODE_CLUSTER_H
#define MKV_TESTS_NODE_CLUSTER_H

#include "node/server.h"
#include "store/log_memory.h"
#include "store/store.h"
#include "wire/act.h"
#include "wire/svc.h"

#define CLUSTER_MAX       6U
#define CLUSTER_LINKS_MAX 16U
#define CLUSTER_HEARD_MAX 512U
#define CLUSTER_TEXT_MAX  65536U

/* A frame that a puppet was sent. */
struct cluster_heard {
    uint64_t link;
    struct mkv_buf bytes; /* owned: the map */
    struct mkv_frame frame;
};

/* One end of a link; there is one like it at the other server. */
struct cluster_link {
    bool open;
    uint64_t number;
    unsigned to;
    uint64_t there; /* its number at the other end */
};

struct cluster_server {
    char name[8];
    char address[24];
    bool exists;
    bool puppet;
    bool cut;      /* neither hears the broker nor is heard */
    bool isolated; /* no links either */
    uint32_t lose; /* so many messages but pings do not reach it */
    bool no_pings; /* pings do not reach it */
    uint32_t
        break_in; /* so many frames from now, over links that it dialled, all its links break */

    /* for its next boot */
    bool alone;
    bool accept_restored;
    bool forget_restored; /* it is not told that its disk was put back */
    uint32_t qos;
    enum mkv_peer_kind
        kind;         /* how others reach it; our own Unix user's socket, if nothing is said */
    const char *key;  /* which it shows where that is not enough; NULL: "" */
    const char *also; /* an address that comes before its own; NULL: none */

    struct mkv_disk *disk;
    struct mkv_store *store;
    struct mkv_server_node *node; /* NULL: it is down */
    uint64_t boots;
    struct mkv_store_report report; /* of the last one */
    uint64_t n_links;
    struct cluster_link links[CLUSTER_LINKS_MAX];

    /* its client, which logs in as soon as something is to be written */
    uint64_t client; /* its link; 0: none */
    uint32_t uid;    /* 0: our own user; else of another one, whom the server may know */
    uint64_t seq;
    uint64_t counter;
    uint64_t acked; /* the last counter acknowledged */
    int refused;    /* the last error that the client was told, or NACK */
    bool done;      /* the last request was done */

    /* what it said */
    bool stopped;
    struct mkv_buf ping_text;
    struct mkv_ping ping; /* the last one */
    unsigned n_pings;
    unsigned n_messages; /* but pings */
    unsigned n_replies;
    unsigned n_dials;
    unsigned n_frames; /* over links that it dialled */
    char *log;         /* all lines, CLUSTER_TEXT_MAX bytes of them at most */
    char *set_aside;   /* "path=value;" of all that it gave to the quarantine */
    int keep_error;    /* what the quarantine answers */

    /* puppets */
    unsigned n_heard;
    struct cluster_heard heard[CLUSTER_HEARD_MAX];
    uint64_t n_said; /* pings */
};

struct cluster_letter;

struct cluster {
    struct mkv_now now;
    struct mkv_cluster_times times;
    struct cluster_server at[CLUSTER_MAX];
    struct cluster_letter *first; /* on their way */
    struct cluster_letter *last;
    void (*around)(unsigned i, bool enter); /* called around each call of a node; may be NULL */
};

/* Times are the real ones but for the horizon, which is 48 s, in steps of 2 s. */
void cluster_init(struct cluster *cluster);
void cluster_deinit(struct cluster *cluster);

/* Starts server @i on its disk, or a new one; the store may fail to open, the server to start. */
int cluster_boot(struct cluster *cluster, unsigned i);
void cluster_start(struct cluster *cluster, unsigned i);
/* Ends it as a crash does. */
void cluster_crash(struct cluster *cluster, unsigned i);
void cluster_leave(struct cluster *cluster, unsigned i);
void cluster_puppet(struct cluster *cluster, unsigned i);
/* @i neither hears the broker nor is heard, and knows it; or no more. */
void cluster_cut(struct cluster *cluster, unsigned i, bool cut);
/* All its links are cut, and none can be opened. */
void cluster_isolate(struct cluster *cluster, unsigned i, bool isolated);

/* Delivers what is on its way; with time standing still, or moving on by @ms. */
void cluster_settle(struct cluster *cluster);
void cluster_run(struct cluster *cluster, int64_t ms);
/* Runs until all that are up are ready and equal, @ms at most; returns whether they are. */
bool cluster_heal(struct cluster *cluster, int64_t ms);

bool cluster_ready(const struct cluster *cluster, unsigned i);
bool cluster_equal(const struct cluster *cluster, unsigned i, unsigned j);
struct mkv_summary cluster_sum(const struct cluster *cluster, unsigned i);

/* The client of @i writes (NULL: deletes) over the broker.  Short texts of printable characters. */
void cluster_write(struct cluster *cluster, unsigned i, const char *path, const char *value);
/* The update of a stranger reaches server @i alone. */
void cluster_give(struct cluster *cluster,
                  unsigned i,
                  const char *path,
                  const char *value,
                  uint64_t tock,
                  const char *name,
                  uint64_t seq,
                  uint64_t counter);
/* The store of a server that is down is opened, or closed again. */
void cluster_open_disk(struct cluster *cluster, unsigned i);
void cluster_close_disk(struct cluster *cluster, unsigned i);
/* The same goes into its store as it is; there must be no open transaction. */
void cluster_put(
    struct cluster *cluster, unsigned i, const char *path, const char *value, uint64_t tock);
/* The value held at @path, "" for a tombstone, NULL for nothing; until the next call. */
const char *cluster_held(const struct cluster *cluster, unsigned i, const char *path);
/*
 * The client of @i has server @j taken out of the cluster; returns what it is told, CLOSED if that
 * is nothing.
 */
int cluster_evict(struct cluster *cluster, unsigned i, unsigned j);
/* The client of @i sets the password number @number of @user; returns as the one above. */
int cluster_passwd(struct cluster *cluster, unsigned i, const char *user, uint8_t number);
/* Which of them server @i has; -1: none. */
int cluster_password(const struct cluster *cluster, unsigned i, const char *user);
/* The uuid of server @i. */
void cluster_uuid(unsigned i, uint8_t ret_uuid[16]);
/* The tock of now, from the wall clock. */
uint64_t cluster_tock(const struct cluster *cluster);

/* Everybody hears it. */
void cluster_publish(struct cluster *cluster, const char *topic, struct mkv_bytes payload);
void cluster_query(struct cluster *cluster, const char id[8]);

/* Whether a line of the log of @i contains @text; and forgets all lines. */
bool cluster_said(const struct cluster *cluster, unsigned i, const char *text);
void cluster_hush(struct cluster *cluster, unsigned i);

/* --- Puppets ------------------------------------------------------------------------------ */

/* A ping that says what server @like says, but of puppet @i, ready; change it and send it. */
struct mkv_ping cluster_ping_of(struct cluster *cluster, unsigned i, unsigned like);
void cluster_send_ping(struct cluster *cluster, const struct mkv_ping *ping);
/* Over the last link that was opened to or by the puppet. */
void cluster_say(struct cluster *cluster, unsigned i, const struct mkv_frame *frame);
void cluster_say_raw(struct cluster *cluster, unsigned i, struct mkv_bytes map);
/* hello, peer: up to where the first request of the other comes. */
void cluster_greet(struct cluster *cluster, unsigned i);
/* The puppet dials server @j; or, the second, logs in there as a peer as well. */
void cluster_call(struct cluster *cluster, unsigned i, unsigned j);
void cluster_dial(struct cluster *cluster, unsigned i, unsigned j);
void cluster_hang_up(struct cluster *cluster, unsigned i);
/* The last frame of @kind that the puppet was sent, or NULL. */
const struct mkv_frame *cluster_last(const struct cluster *cluster,
                                     unsigned i,
                                     enum mkv_frame_kind kind);
unsigned cluster_count(const struct cluster *cluster, unsigned i, enum mkv_frame_kind kind);
void cluster_forget(struct cluster *cluster, unsigned i);

/* Server 0 starts alone, and vouches for the puppet, server 1. */
void cluster_start_with_member(struct cluster *cluster);
/* What the puppet asks then. */
struct mkv_frame cluster_vouch_frame(uint64_t number);
/* A ping of server 1 that says what server 0 says, but with another digest. */
struct mkv_ping cluster_other_ping(struct cluster *cluster);
/* Server 0 asks the puppet for the members first; there is nothing new about them. */
void cluster_tell_members(struct cluster *cluster);

#endif
