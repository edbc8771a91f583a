/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the server share: server.c (life, time, batches), server_rows.c (its rows in the
 * store), server_link.c (links), handshake.c (login), ingest.c (updates), serve.c (requests),
 * server_conflicts.c (what lost), server_users.c, server_clock.c, and what core/cluster.h lists.  Nobody else includes
 * this.
 */
#ifndef MKV_CORE_SERVER_STATE_H
#define MKV_CORE_SERVER_STATE_H

#include "base/map.h"
#include "base/rule.h"
#include "core/bucket.h"
#include "core/cluster.h"
#include "core/conflicts.h"
#include "core/grants.h"
#include "core/merge.h"
#include "core/request.h"
#include "core/retained.h"
#include "core/secrets.h"
#include "core/server.h"
#include "core/tock.h"

enum link_state {
    LINK_GREETING,  /* we said hello, and wait for theirs */
    LINK_LOGIN,     /* wait for auth */
    LINK_JUDGING,   /* by password: what it sent is being looked at */
    LINK_ANSWERING, /* by password: wait for its response */
    LINK_OPEN,
    LINK_CLOSING, /* told to close; what still arrives is ignored */
};

/* A server that wants to join, and which of its pings we have to hear first. */
struct mkv_vouch_wait {
    uint64_t id; /* of its request; 0: there is none */
    uint8_t uuid[MKV_UUID_LEN];
    uint64_t nonce;
    uint64_t number;
    bool restored;
    char name[MKV_NAME_MAX + 1];
};

/* What somebody who logs in by password wants to go on with. */
struct mkv_login {
    bool resume;
    uint64_t seq;
    size_t name_len;
    uint8_t name[MKV_NAME_MAX];
    size_t token_len;
    uint8_t token[MKV_TOKEN_MAX];
};

struct mkv_server_link {
    uint64_t number;
    enum mkv_peer_kind peer;
    enum link_state state;
    int64_t opened_ms;
    int64_t heard_ms;
    bool is_peer;                    /* a server that dialled us: it has no session */
    char user[MKV_ACL_NAME_MAX + 1]; /* who has logged in; empty: somebody who may do everything */
    bool by_password;
    bool has_uid; /* of a unix socket's other end, which is neither ours nor root ... */
    uint32_t uid; /* ... this one */
    char certified[MKV_ACL_NAME_MAX + 1]; /* whom its certificate names; empty: nobody */
    struct mkv_login login;
    struct mkv_vouch_wait vouch;
    struct mkv_session *session; /* from LINK_OPEN on; not owned */
    bool congested;              /* its output has piled up */
    struct mkv_bucket told_rows; /* used for `conflict` frames */
    struct mkv_bucket told_bytes;
    uint64_t n_untold; /* conflicts since the last one told */
    uint32_t n_requests;
    uint32_t turn; /* whose of them is next, modulo their number */
    struct mkv_request *requests[MKV_REQUESTS_MAX];
};

struct mkv_server_counts {
    uint64_t updates;           /* merged and stored */
    uint64_t duplicates;        /* seen before */
    uint64_t outdated;          /* lost against what was there */
    uint64_t conflicts;         /* found */
    uint64_t conflicts_counted; /* ... and not kept */
    uint64_t conflicts_untold;  /* ... of which the writer was here and was not told */
    uint64_t refused;           /* bad messages on d/ */
    uint64_t forged;            /* ... and those without a good MAC */
    uint64_t nacks;
    uint64_t stamped;  /* came without a tock */
    uint64_t adopted;  /* came without ticks, where the broker retains */
    uint64_t repeats;  /* asked for */
    uint64_t voids;    /* counters given up */
    uint64_t put_back; /* what was there, after an update that its writer had no right to */
    uint64_t dropped;  /* not taken, since the disk cannot be written */
};

struct mkv_server {
    struct mkv_server_config config;
    struct mkv_store *store;     /* not owned */
    struct mkv_effects *effects; /* not owned */
    struct mkv_map links;        /* by number; owned */
    struct mkv_map sessions;     /* by seq; owned */
    struct mkv_session *dirty;   /* list of sessions that changed in this batch */
    struct mkv_tock tock;
    struct mkv_cluster cluster;
    struct mkv_grants grants;
    struct mkv_secrets secrets;
    uint32_t users_version; /* of the grants that open links go by */
    bool rights_due;        /* users have to be told that there are others, but not ... */
    int64_t rights_ms;      /* ... before this */
    uint64_t seq_last;      /* given out last */
    uint64_t seq_reserved;  /* on disk: up to here */
    uint8_t secret[32];
    int64_t wake_ms;       /* when mkv_server_time() has something to do, at the latest */
    bool requests_pending; /* some request has credit */
    size_t turn_cursor;    /* of the link whose requests get the next turn */
    bool broker_connected;
    int failure;      /* the error that keeps the store from being written; 0: none */
    int64_t probe_ms; /* when to try it again */
    int64_t started_ms;
    int64_t complained_ms; /* last line about bad updates */
    uint64_t n_unspoken;   /* bad updates since then */
    struct mkv_server_counts counts;
    struct mkv_conflicts conflicts;
    struct mkv_retained retained;
    uint64_t conflicts_woken;      /* stamp up to which those who follow were woken */
    int64_t conflicts_say_ms;      /* when to store counts of theirs, if there are any */
    int64_t conflicts_complain_ms; /* no line about them before */
};

/* Makes sure that mkv_server_time() is called at @ms. */
static inline void mkv_server_wake_at(struct mkv_server *server, int64_t ms)
{
    if (ms < server->wake_ms) {
        server->wake_ms = ms;
    }
}

/* An update's own session, while this server knows it; NULL otherwise. */
static inline struct mkv_session *mkv_server_session_of(const struct mkv_server *server,
                                                        const struct mkv_tick *dot)
{
    return mkv_bytes_equal(dot->name, server->config.name)
               ? mkv_map_get(&server->sessions, dot->seq)
               : NULL;
}

/* The wall clock by which the tock goes.  Until the others were heard nobody knows whether it is right. */
static inline uint64_t mkv_server_wall(const struct mkv_server *server, struct mkv_now now)
{
    return server->cluster.ready ? now.wall_ms : 0;
}

/* server.c */
void mkv_server_mark_dirty(struct mkv_server *server, struct mkv_session *session);
void mkv_server_forget_session(struct mkv_server *server, struct mkv_session *session);
int mkv_server_drop_session(struct mkv_server *server, struct mkv_session *session) MKV_MUST_CHECK;
void mkv_server_ack(struct mkv_server *server, struct mkv_now now, struct mkv_session *session);
void mkv_server_tell_state(struct mkv_server *server, const struct mkv_server_link *link);
/* Sends an error frame; with @id 0 the link is closed. */
void mkv_server_send_error(struct mkv_server *server,
                           struct mkv_server_link *link,
                           uint64_t id,
                           int error,
                           const char *text);

/* server_rows.c: what the server keeps in the store beside the entries */
int mkv_rows_load(struct mkv_server *server, struct mkv_now now) MKV_MUST_CHECK;
int mkv_rows_reload(struct mkv_server *server, struct mkv_now now) MKV_MUST_CHECK;
int mkv_rows_store_session(struct mkv_server *server, struct mkv_session *session) MKV_MUST_CHECK;
int mkv_rows_reserve_seq(struct mkv_server *server, uint64_t mark) MKV_MUST_CHECK;
/* Takes up as much room as @size bytes need, 16 MiB at most; or gives it back. */
int mkv_rows_put_ballast(struct mkv_server *server, size_t size) MKV_MUST_CHECK;
int mkv_rows_drop_ballast(struct mkv_server *server) MKV_MUST_CHECK;
int mkv_rows_move_mark(struct mkv_server *server, uint64_t mark) MKV_MUST_CHECK;

/* NOT_FOUND: there is no checkpoint. */
int mkv_rows_load_applied(struct mkv_server *server, struct mkv_known *known) MKV_MUST_CHECK;
int mkv_rows_store_applied(struct mkv_server *server, const struct mkv_known *known) MKV_MUST_CHECK;
/* The rows; sessions in memory are the caller's. */
int mkv_rows_drop_sessions(struct mkv_server *server) MKV_MUST_CHECK;
int mkv_rows_drop_applied(struct mkv_server *server) MKV_MUST_CHECK;
int mkv_rows_store_joined(struct mkv_server *server) MKV_MUST_CHECK;
int mkv_rows_store_floor(struct mkv_server *server, struct mkv_now now) MKV_MUST_CHECK;

/* ingest.c: merges an update that has been accepted, or that others have accepted. */
int mkv_ingest_merge(struct mkv_server *server,
                     struct mkv_now now,
                     struct mkv_bytes key,
                     const struct mkv_update *update) MKV_MUST_CHECK;

/* The same for what is put into the store without being merged. */
int mkv_ingest_note(struct mkv_server *server,
                    struct mkv_now now,
                    const struct mkv_tick *dot) MKV_MUST_CHECK;

/* server_clock.c */
/* @now without its wall clock, if that is not to be believed: for whatever comes in with @now. */
struct mkv_now mkv_server_clock(struct mkv_server *server, struct mkv_now now);
/* Others have been heard. */
void mkv_server_clock_compare(struct mkv_server *server, struct mkv_now now);

/* peer.c; @frame is a vouch, a split or a request for secrets, over the link of a peer. */
int mkv_peer_frame(struct mkv_server *server,
                   struct mkv_now now,
                   struct mkv_server_link *link,
                   const struct mkv_frame *frame) MKV_MUST_CHECK;
/* A joining server was heard: perhaps we are asked to vouch for it. */
int mkv_peer_heard(struct mkv_server *server, struct mkv_now now) MKV_MUST_CHECK;

/* handshake.c */
int mkv_handshake_frame(struct mkv_server *server,
                        struct mkv_now now,
                        struct mkv_server_link *link,
                        const struct mkv_frame *frame) MKV_MUST_CHECK;
int mkv_handshake_reserve(struct mkv_server *server, struct mkv_now now) MKV_MUST_CHECK;
void mkv_handshake_greet(struct mkv_server *server, const struct mkv_server_link *link);

/* Whoever is at the other end of a link that says so has been found to be another server. */
void mkv_handshake_peer(struct mkv_server *server, struct mkv_server_link *link);

/* Opens a session for whoever is at the other end: that has been found out. */
int mkv_handshake_enter(struct mkv_server *server,
                        struct mkv_now now,
                        struct mkv_server_link *link,
                        const struct mkv_frame_auth *auth) MKV_MUST_CHECK;

/* login.c */
void mkv_login_offer(const struct mkv_server_link *link, struct mkv_texts *mechanisms);
bool mkv_login_is_offered(const struct mkv_server_link *link, struct mkv_bytes mechanism);
void mkv_login_begin(struct mkv_server *server,
                     struct mkv_server_link *link,
                     const struct mkv_frame_auth *auth);
void mkv_login_go_on(struct mkv_server *server,
                     struct mkv_server_link *link,
                     struct mkv_bytes response);
/* The user that the certificate names; else it is refused. */
int mkv_login_certified(struct mkv_server *server,
                        struct mkv_server_link *link,
                        bool *ret_may) MKV_MUST_CHECK;
int mkv_login_passwd(struct mkv_server *server,
                     struct mkv_now now,
                     struct mkv_server_link *link,
                     const struct mkv_frame *frame) MKV_MUST_CHECK;

/* server_users.c */
/* After the grants were refreshed: whoever may not be here any more has to leave, all others are told. */
void mkv_users_settle(struct mkv_server *server, struct mkv_now now);
void mkv_users_time(struct mkv_server *server, struct mkv_now now);
/* The password of @name was set over the link @by (NULL: at another server), which stays: who came by the one before has to leave. */
void mkv_users_password(struct mkv_server *server,
                        const struct mkv_server_link *by,
                        struct mkv_bytes name);

/* serve.c */
int mkv_serve_frame(struct mkv_server *server,
                    struct mkv_now now,
                    struct mkv_server_link *link,
                    const struct mkv_frame *frame) MKV_MUST_CHECK;
int mkv_serve_turn(struct mkv_server *server, struct mkv_now now) MKV_MUST_CHECK;

/* servers.c */
int mkv_servers_turn(struct mkv_server *server,
                     struct mkv_now now,
                     uint64_t link,
                     struct mkv_request *request,
                     enum mkv_request_state *ret_state) MKV_MUST_CHECK;
int mkv_servers_evict(struct mkv_server *server,
                      struct mkv_now now,
                      struct mkv_server_link *link,
                      const struct mkv_frame *frame) MKV_MUST_CHECK;
/* Appends why not all servers are known to be here and to have the same; nothing if they are. */
int mkv_servers_differ(struct mkv_server *server,
                       struct mkv_now now,
                       struct mkv_buf *text) MKV_MUST_CHECK;

/* server_grants.c */
/* Who asks over a link with that session (NULL: another server); as long as the tree stays as it is. */
int mkv_grants_asker(struct mkv_server *server,
                     const struct mkv_session *session,
                     struct mkv_asker *ret_asker) MKV_MUST_CHECK;
/* Whether anything at or below @key may be read; or, of another right, whether @key has it. */
int mkv_grants_read_path(struct mkv_server *server,
                         const struct mkv_session *session,
                         struct mkv_bytes key,
                         enum mkv_right right,
                         bool *ret_may) MKV_MUST_CHECK;
/* Whether what concerns the servers may be asked. */
int mkv_grants_servers(struct mkv_server *server,
                       const struct mkv_session *session,
                       bool *ret_may) MKV_MUST_CHECK;
/* Whether the session's user may write that, as things are now. */
int mkv_grants_judge(struct mkv_server *server,
                     const struct mkv_session *session,
                     struct mkv_bytes key,
                     const struct mkv_update *update,
                     bool *ret_may) MKV_MUST_CHECK;
/*
 * Others have merged @update, which is refused, and has a tock: what is there now is written again, behind
 * it, and wins over it everywhere.
 */
int mkv_grants_put_back(struct mkv_server *server,
                        struct mkv_now now,
                        struct mkv_bytes key,
                        const struct mkv_update *update) MKV_MUST_CHECK;

/* server_conflicts.c */
int mkv_server_conflicts_load(struct mkv_server *server) MKV_MUST_CHECK;
/* @winner has overwritten @loser, or holds out against it, and did not know it; not stored yet. */
int mkv_server_conflict(struct mkv_server *server,
                        struct mkv_now now,
                        struct mkv_bytes key,
                        enum mkv_conflict class_,
                        const struct mkv_update *loser,
                        const struct mkv_update *winner) MKV_MUST_CHECK;
/* A session was resumed over @link: what it lost is told, since it may not have heard of it. */
int mkv_server_conflicts_resume(struct mkv_server *server,
                                struct mkv_now now,
                                struct mkv_server_link *link) MKV_MUST_CHECK;
int mkv_server_conflicts_time(struct mkv_server *server, struct mkv_now now) MKV_MUST_CHECK;
/* The batch is complete: those who follow may be told of it. */
void mkv_server_conflicts_wake(struct mkv_server *server);
/* As mkv_request_turn(). */
int mkv_server_conflicts_turn(struct mkv_server *server,
                              const struct mkv_asker *asker,
                              uint64_t link,
                              struct mkv_request *request,
                              enum mkv_request_state *ret_state) MKV_MUST_CHECK;

void mkv_serve_end_all(struct mkv_server *server, struct mkv_server_link *link);

#endif
