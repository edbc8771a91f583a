/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server: decoded messages and time go in, changes of the store and effects come out.
 *
 *     MQTT: update, query, birth  --\                      /-->  store (one open transaction)
 *     links: opened, frame, closed ---->  mkv_server_*  --<
 *     time                        --/                      \-->  effects (held back until commit)
 *
 * A batch is any number of inputs, then mkv_server_settle(), then the store's commit.  If the
 * commit fails, mkv_server_rollback() takes the server back to what the store holds.
 *
 * All functions that return an int return 0 or an error of the store or NO_MEMORY, after which the
 * batch must be rolled back.  Whatever a peer does wrong is dealt with inside.
 */
#ifndef MKV_CORE_SERVER_H
#define MKV_CORE_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "core/acl.h"
#include "core/effect.h"
#include "core/now.h"
#include "core/session.h"
#include "core/store.h"
#include "wire/act.h"
#include "wire/credential.h"
#include "wire/frame.h"
#include "wire/mac.h"
#include "wire/svc.h"
#include "wire/topic.h"
#include "wire/update.h"

#define MKV_PROTOCOL_LOWEST  1U
#define MKV_PROTOCOL_HIGHEST 1U

#define MKV_SERVER_LINKS_MAX  1024U    /* one more is refused with BUSY */
#define MKV_SESSIONS_MAX      4096U    /* one more: that of the client longest gone is forgotten */
#define MKV_REQUESTS_MAX      16U      /* open at once on a link; one more is refused with BUSY */
#define MKV_USER_REQUESTS_MAX 64U      /* open at once on all links of one user; one more: BUSY */
#define MKV_LINK_SILENCE_MS   30000    /* a link that said nothing for this long is closed */
#define MKV_LINK_LOGIN_MS     10000    /* ... or did not log in within this time */
#define MKV_RESUME_MS         86400000 /* a session can be resumed for this long */
#define MKV_PROBE_MS          1000     /* how often a full disk is tried again */

#define MKV_LINK_OUT (UINT64_C(1) << 62) /* links that we dial have this number, or a greater one */

/* How fast a cluster moves; constants of it, but for tests. */
struct mkv_cluster_times {
    int64_t ping_ms;      /* between two pings of a server */
    int64_t join_wait_ms; /* how long a server waits for others before it starts alone */
    int64_t horizon_ms;   /* how old an update may be, in time that this server was up */
    int64_t grace_ms;     /* how long a difference to another server may be mere delay */
    int64_t query_ms;     /* how long each rank waits for the one before it to answer a query */
};

#define MKV_CLUSTER_TIMES ((struct mkv_cluster_times){10000, 1000, 86400000, 500, 300})

/* All bytes are borrowed and must outlive the server. */
struct mkv_server_config {
    struct mkv_bytes name;
    struct mkv_bytes root;
    struct mkv_bytes host;
    struct mkv_bytes software;
    struct mkv_bytes quarantine;  /* where what is set aside lies, for people; may be empty */
    struct mkv_addresses brokers; /* told to clients */
    struct mkv_addresses links;   /* told to those who ask on svc/query */
    enum mkv_profile profile;
    uint32_t qos;
    enum mkv_mode mode; /* SERVERS, also where there are keys for updates, or one that retains */
    struct mkv_session_limits session_limits;
    uint8_t secret[32];                   /* random; used if the store has none yet */
    bool guarded;                         /* sessions get credentials for the broker ... */
    uint8_t guard_key[MKV_GUARD_KEY_LEN]; /* ... by this key */
    struct mkv_ring updates;              /* keys for updates (MKV_RING_UPDATE); none: no MACs */
    struct mkv_cluster_times times;
    bool alone;           /* nobody else can be on the broker yet: no waiting for others */
    bool restored;        /* the store is a copy of an earlier state: it may not start alone ... */
    bool accept_restored; /* ... unless somebody vouched for that */
};

/* How a peer got here decides how it may log in. */
enum mkv_peer_kind {
    MKV_PEER_SAME_USER,  /* unix socket, and the kernel says it is our user or root */
    MKV_PEER_OTHER_USER, /* ... another one, who may be one of our users */
    MKV_PEER_LOOPBACK,   /* TCP from this machine */
    MKV_PEER_REMOTE,
    MKV_PEER_SECURE,    /* TLS */
    MKV_PEER_CERTIFIED, /* TLS, with a certificate: mkv_server_link_user() says whose */
};

/* How far somebody got who logs in by password, or by the cluster's key: see mkv_effect_sasl(). */
struct mkv_judgement {
    int error; /* refused */
    bool done; /* the other side has proven to be @user, or, of a link that we dialled, a server */
    struct mkv_bytes user;   /* of links that others opened ... */
    bool is_server;          /* ... @user stands for a key of the cluster, and is no user */
    struct mkv_bytes answer; /* to be sent */
};

struct mkv_server;

/* Reads what the store has of earlier runs.  NO_MEMORY, errors of the store. */
int mkv_server_new(const struct mkv_server_config *config,
                   struct mkv_store *store,
                   struct mkv_effects *effects,
                   struct mkv_now now,
                   struct mkv_server **ret_server) MKV_MUST_CHECK;
void mkv_server_free(struct mkv_server *server);

/*
 * To be committed right at the start: takes session numbers into reserve, which finds out whether
 * the disk can be written before anybody waits for it.  If not: mkv_server_rollback().
 */
int mkv_server_begin(struct mkv_server *server, struct mkv_now now) MKV_MUST_CHECK;

/* Links are numbered by the caller: 1, 2, 3 ..., never reused. */
int mkv_server_link_opened(struct mkv_server *server,
                           struct mkv_now now,
                           uint64_t number,
                           enum mkv_peer_kind peer) MKV_MUST_CHECK;
/* Who is at the other end of such a link, of MKV_PEER_OTHER_USER; right after it was opened. */
void mkv_server_link_uid(struct mkv_server *server, uint64_t number, uint32_t uid);
/* The common name in the certificate of one of MKV_PEER_CERTIFIED; right after it was opened. */
void mkv_server_link_user(struct mkv_server *server, uint64_t number, struct mkv_bytes name);
/* What came of mkv_effect_sasl(). */
int mkv_server_judged(struct mkv_server *server,
                      struct mkv_now now,
                      uint64_t number,
                      const struct mkv_judgement *judgement) MKV_MUST_CHECK;
int mkv_server_link_closed(struct mkv_server *server,
                           struct mkv_now now,
                           uint64_t number) MKV_MUST_CHECK;
int mkv_server_frame(struct mkv_server *server,
                     struct mkv_now now,
                     uint64_t number,
                     const struct mkv_frame *frame) MKV_MUST_CHECK;
/*
 * How mkv_effect_dial() went: 0, frames follow, and @peer is how whoever answers is reached; or an
 * error, and nothing will.
 */
int mkv_server_dialled(struct mkv_server *server,
                       struct mkv_now now,
                       uint64_t number,
                       int error,
                       enum mkv_peer_kind peer) MKV_MUST_CHECK;
/* A frame could not be decoded. */
int mkv_server_bad_frame(struct mkv_server *server,
                         struct mkv_now now,
                         uint64_t number,
                         int error,
                         uint64_t id) MKV_MUST_CHECK;

int mkv_server_update(struct mkv_server *server,
                      struct mkv_now now,
                      struct mkv_bytes key,
                      const struct mkv_update *update) MKV_MUST_CHECK;
/*
 * Something on d/ that is no update, where the broker retains: somebody who knows nothing of us has
 * written @value at @key, or, unless @present, deleted what is there.
 */
int mkv_server_plain(struct mkv_server *server,
                     struct mkv_now now,
                     struct mkv_bytes key,
                     bool present,
                     struct mkv_bytes value) MKV_MUST_CHECK;
/* The broker has been asked, see mkv_effect_look(). */
void mkv_server_looked(struct mkv_server *server, struct mkv_now now);
/* What it has at @key can be no value: it is told what is there. */
int mkv_server_unreadable(struct mkv_server *server,
                          struct mkv_now now,
                          struct mkv_bytes key) MKV_MUST_CHECK;
/*
 * A message on d/ is refused: counted, logged now and then, and, if @dot (NULL: unknown) is of a
 * client of ours, told to it.
 */
void mkv_server_bad_update(struct mkv_server *server,
                           struct mkv_now now,
                           struct mkv_bytes topic,
                           const struct mkv_tick *dot,
                           int error);
/*
 * A message on d/ does not show that it is of the session that @dot names, or (NULL) of any: counted, and logged now
 * and then.  Its session is not told, since it may have nothing to do with it.
 */
void mkv_server_forged(struct mkv_server *server,
                       struct mkv_now now,
                       struct mkv_bytes topic,
                       const struct mkv_tick *dot);
/*
 * Other keys for updates, from now on, in place of some there were; clients' links are closed, so that they open
 * them anew and are given those.
 */
void mkv_server_update_keys(struct mkv_server *server, const struct mkv_ring *updates);
void mkv_server_query(struct mkv_server *server, struct mkv_now now, const struct mkv_query *query);
/* Another server's answer to a query, or our own. */
void mkv_server_answered(struct mkv_server *server, const struct mkv_server_reply *reply);
/* What a server says of itself: another one, or this one. */
int mkv_server_ping(struct mkv_server *server,
                    struct mkv_now now,
                    const struct mkv_ping *ping) MKV_MUST_CHECK;
/* The same of one that does not show one of our keys.  Nothing it says counts, but that it is there. */
void mkv_server_stranger(struct mkv_server *server,
                         struct mkv_now now,
                         const struct mkv_ping *ping);
void mkv_server_birth(struct mkv_server *server, const struct mkv_birth *birth);

/* The link's output has piled up, or drained again: meanwhile no more pages are made for it. */
void mkv_server_congested(struct mkv_server *server, uint64_t number, bool congested);

/* The connection to the broker came or went. */
int mkv_server_broker(struct mkv_server *server, struct mkv_now now, bool connected) MKV_MUST_CHECK;

/*
 * Who may do what, as of the last change; valid until the next input.  The version grows by each; NULL
 * and 0 before the first.
 */
const struct mkv_acl *mkv_server_acl(const struct mkv_server *server, uint32_t *ret_version);

/* Another key for credentials (docs/protocol.md, 13.3): those given before are not called back. */
void mkv_server_guard_key(struct mkv_server *server, const uint8_t key[MKV_GUARD_KEY_LEN]);

/* Whether it has joined the cluster and serves clients. */
bool mkv_server_ready(const struct mkv_server *server);

/* Tells the others that this server goes. */
void mkv_server_leave(struct mkv_server *server, struct mkv_now now);

/* Does what is due; call it at mkv_server_deadline() or later. */
int mkv_server_time(struct mkv_server *server, struct mkv_now now) MKV_MUST_CHECK;
int64_t mkv_server_deadline(const struct mkv_server *server); /* MKV_NEVER: nothing is due */

/* Whether something has changed that must be committed before anything is said. */
bool mkv_server_dirty(const struct mkv_server *server);

/* Ends a batch: writes the sessions that changed, and the ACKs that a commit will make true. */
int mkv_server_settle(struct mkv_server *server, struct mkv_now now) MKV_MUST_CHECK;

/*
 * The commit failed with @failure, the store has been rolled back and the batch's effects have
 * been dropped.  The server goes back to what the store holds and closes all links (with new
 * effects, to be let out without a commit).  From now on it writes nothing and acknowledges
 * nothing, but answers; a probe now and then finds out when the disk takes writes again.  An error means that not even reading is possible.
 */
int mkv_server_rollback(struct mkv_server *server, struct mkv_now now, int failure) MKV_MUST_CHECK;

/*
 * Whether it is time to try: then mkv_server_probe(), commit, and if both worked, _recovered(),
 * which leaves something to commit.  @size: the room that the batch needed that failed.  A disk
 * with less is no better than a full one: the clients would repeat that batch, for ever in vain.
 */
bool mkv_server_probe_due(const struct mkv_server *server, struct mkv_now now);
int mkv_server_probe(struct mkv_server *server, struct mkv_now now, size_t size) MKV_MUST_CHECK;
int mkv_server_recovered(struct mkv_server *server) MKV_MUST_CHECK;

#endif
