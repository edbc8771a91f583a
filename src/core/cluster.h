/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a server knows of the other servers, and where it stands among them (docs/protocol.md, 12).
 * Shared by servers.c (what people are told of it), actor.c (pings), join.c (beginning), sync.c (what
 * to do about differences), pull.c (the link over which we read), pull_login.c (its beginning), peer.c (what we answer over
 * theirs), heal.c (differences that should not be), query.c, gaps.c (updates that are missing),
 * stamp.c (updates without a tock), absent.c (members that are not heard).
 */
#ifndef MKV_CORE_CLUSTER_H
#define MKV_CORE_CLUSTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/map.h"
#include "core/floor.h"
#include "core/members.h"
#include "core/now.h"
#include "core/orphans.h"
#include "core/past.h"
#include "core/server.h"
#include "core/streams.h"
#include "core/walk.h"
#include "core/walls.h"
#include "wire/act.h"
#include "wire/frame.h"
#include "wire/row.h"

#define MKV_KNOWN_MAX   1024U /* servers; one more takes the place of the one silent for longest */
#define MKV_QUERIES_MAX 64U   /* that wait for servers of better rank; more: left to those */

/* A server that was heard. */
struct mkv_known {
    struct mkv_ping ping; /* its last; borrows from @text */
    struct mkv_buf text;  /* owned */
    int64_t heard_ms;
    int64_t first_ms; /* when this boot of it was heard first */

    struct mkv_place applied;  /* up to where we have all that is in its log */
    bool has_applied;          /* ... if we know a place at all ... */
    uint64_t applied_under;    /* ... which counts as long as this is the tock of its entry */
    bool applied_changed;      /* not stored yet */
    uint64_t mark;             /* we have all that it accepted up to this tock */
    uint64_t complete;         /* what it says of itself ... */
    struct mkv_digest of_whom; /* ... when these were its members */
    int64_t differs_ms;        /* since when its tree is none that ours has been; or MKV_NEVER */
    uint32_t n_differs;        /* pings in a row after which it still was not */
    bool looked;               /* into that difference, since the last ping */
    bool walked;               /* all has been compared since it is there */
    bool wants_pull;           /* we have to read from it */
    uint32_t n_failures;       /* attempts in a row to do so that failed */
    int64_t retry_ms;          /* not before */
    uint32_t first_address;    /* of its addresses, the one to be tried first */
    uint8_t read_secrets[MKV_DIGEST_LEN]; /* those that it had when they were read last ... */
    bool has_read_secrets;                /* ... if they were */
    uint64_t nonce_before; /* of the boot before: whose pings may still be on their way */
    int64_t gaps_asked_ms; /* when it was last asked for what is missing in streams */
    int64_t gaps_ms;       /* not again before */
    uint32_t gap_tries;    /* how often in a row that brought nothing */
};

/* Another server of our name, or on our store. */
struct mkv_rival {
    uint8_t uuid[MKV_UUID_LEN];
    uint64_t nonce;
    uint64_t number; /* of its last ping that counted; 0: there is no rival */
    int64_t ms;      /* when that came */
};

enum mkv_pull_step {
    MKV_PULL_IDLE,
    MKV_PULL_DIALLING,
    MKV_PULL_GREETING, /* we wait for hello ... */
    MKV_PULL_PROVING,  /* ... for proof that it has the cluster's key, as we have */
    MKV_PULL_LOGIN,    /* ... for peer */
    MKV_PULL_SECRETS,  /* ... for users' secrets */
    MKV_PULL_VOUCHING, /* ... for vouched */
    MKV_PULL_CHANGES,  /* ... for data or end of a read since our checkpoint */
    MKV_PULL_CHECKING, /* ... for the digest of all */
    MKV_PULL_SPLITTING,
    MKV_PULL_FETCHING,
};

/* What is read. */
enum mkv_pull_kind {
    MKV_PULL_JOIN,    /* it is to vouch for us, and then what we lack */
    MKV_PULL_KNOWN,   /* nothing but what it knows of passwords, which comes first anyway */
    MKV_PULL_CHANGED, /* what changed since our place in its log, if we have one */
    MKV_PULL_WALK,    /* what differs */
    MKV_PULL_HEAL,    /* the same, entries up to the floor as well: see heal.c */
};

/* What we are reading from another server; one at a time. */
struct mkv_pull {
    enum mkv_pull_step step;
    uint8_t uuid[MKV_UUID_LEN];
    uint64_t link;  /* 0: there is none */
    uint64_t ended; /* the link of one that has come to its end, which is not committed; 0: none */
    uint32_t address;        /* the one being tried ... */
    enum mkv_peer_kind peer; /* ... and how it is reached */
    bool asked;              /* proving: our first message is out */
    bool has_answer;         /* proving: it has said who it is, and we are not through yet */
    struct mkv_frame_peer answer;
    uint32_t n_tried;                /* so many have been */
    uint64_t id;                     /* of the open request */
    uint8_t secrets[MKV_DIGEST_LEN]; /* of those that it had when we began to read them ... */
    char user[MKV_ACL_NAME_MAX + 1]; /* ... whose was the last one */
    uint32_t n_secrets;              /* of this page */
    int64_t began_ms;
    int64_t heard_ms;
    bool joining;           /* it is to vouch for us */
    bool secrets_only;      /* the trees are equal */
    bool walks;             /* it compares */
    bool members_first;     /* now it reads who the members are, before all else ... */
    bool members_replace;   /* ... which is another cluster's list, in place of ours */
    bool anew;              /* joining: it did not know us, and what we knew may be wrong */
    bool heals;             /* entries up to the floor are taken, too */
    uint64_t bound;         /* walking: up to here they are right, whatever we hold; 0: nowhere */
    struct mkv_place place; /* where they stood before: ours when all is read */
    uint64_t horizon;       /* theirs of then */
    uint64_t floor;         /* likewise */
    struct mkv_digest members; /* likewise: of the table of members */
    struct mkv_digest agreed;  /* that one, when we began to read anything else ... */
    uint64_t agreed_tock;      /* ... and their entry in it */
    struct mkv_walk walk;
    struct mkv_row_reader rows;     /* of the open request */
    bool reading;                   /* it has been initialised */
    struct mkv_range_reader ranges; /* fetching: those asked for ... */
    struct mkv_range range;         /* ... and the one that rows are expected in */
    bool in_range;
    struct mkv_buf cursor; /* owned: fetching: what we hold has been compared up to here */
    uint64_t n_rows;
    uint64_t n_filled; /* of them were missing in a stream */
    uint64_t n_quarantined;
    uint64_t n_healed;
    struct mkv_buf healed; /* owned: the key of the first of them */
};

struct mkv_waiting_query {
    uint8_t id[MKV_QUERY_ID_MAX];
    uint32_t id_len;
    int64_t due_ms;
};

struct mkv_cluster {
    bool restored; /* the store is a copy of an earlier state, as far as we know ... */
    bool skipped;  /* ... and the numbers that may have been given out since are not given again */
    uint64_t joined;   /* the tock of our own entry when we last became ready; 0: we had none */
    uint32_t n_joined; /* how many members there were then, evicted ones included */
    uint8_t joined_in[MKV_UUID_LEN]; /* in which cluster: whose the floor is */
    bool ready;                      /* joined: numbers sessions, acknowledges, answers queries */
    const char *joined_how;          /* it has joined, once that is committed; NULL: not so */
    bool stopped;                    /* mkv_effect_stop() has been said */
    int64_t joining_ms;              /* since when we look for others; MKV_NEVER: not yet */
    int64_t lonely_ms;               /* when it may be said again why we do not start */
    struct mkv_map known;            /* by the first 8 bytes of the uuid; owned */
    struct mkv_members members;
    bool members_written; /* since it was last looked whether we are one of them */
    struct mkv_floor floor;
    struct mkv_past past;
    struct mkv_digest settled; /* what all was at the last commit ... */
    int64_t changed_ms;        /* ... and since when */
    struct mkv_pull pull;
    struct mkv_waiting_query queries[MKV_QUERIES_MAX];
    uint32_t n_queries;
    struct mkv_waiting_query answered[MKV_QUERIES_MAX]; /* a ring of those we answered last */
    uint32_t next_answered;
    struct mkv_rival rival;
    struct mkv_streams streams; /* of other servers' clients */
    int64_t gaps_ms;            /* when to look at the holes in them; MKV_NEVER: there are none */
    struct mkv_orphans orphans;
    struct mkv_walls walls;
    int64_t connected_ms; /* since when we hear others, if we do */
    int64_t looked_ms;    /* for members that are absent */
    uint64_t n_pings;     /* sent in this boot */
    int64_t ping_ms;      /* when the next one is due */
    int64_t pinged_ms;
    int64_t sample_ms; /* when the floor wants the next sample */
    uint64_t n_dialled;
    uint64_t n_strangers;     /* pings of servers without one of our keys */
    int64_t strange_until_ms; /* while such a server counts as there */
    int64_t strange_say_ms;   /* when it may be said again */
    uint32_t n_echoes;        /* how often our last ping came back to us */
    bool looping;             /* more than once: brokers send in a circle */
    bool purging;             /* tombstones are being deleted ... */
    bool purge_began;         /* ... some of them have been looked at already ... */
    struct mkv_buf purged;    /* owned: ... up to this key, which may be the empty one */
    uint64_t n_quarantined;
    uint64_t n_purged;
    uint64_t n_pulls;
    uint64_t n_walks;
    uint64_t n_healed;
};

struct mkv_server;

/* cluster.c */
void mkv_cluster_init(struct mkv_cluster *cluster);
void mkv_cluster_deinit(struct mkv_cluster *cluster);
/* Does what is due. */
int mkv_cluster_time(struct mkv_server *server, struct mkv_now now) MKV_MUST_CHECK;
/* Writes the checkpoints and the floor that changed, if anything is written at all. */
int mkv_cluster_settle(struct mkv_server *server, struct mkv_now now) MKV_MUST_CHECK;
/* The batch has failed. */
void mkv_cluster_rollback(struct mkv_server *server, struct mkv_now now);
/* Writes an entry of the server's own. */
int mkv_cluster_write(struct mkv_server *server,
                      struct mkv_now now,
                      struct mkv_bytes key,
                      struct mkv_bytes value) MKV_MUST_CHECK;
void mkv_cluster_raise_floor(struct mkv_server *server, struct mkv_now now, uint64_t floor);
/* Looks for deletions up to the floor. */
void mkv_cluster_purge(struct mkv_server *server, struct mkv_now now);
/* Looks whether the members have changed; to be called before they are asked for. */
int mkv_cluster_refresh(struct mkv_server *server) MKV_MUST_CHECK;
/* The same; and if we are none of them any more, we join anew. */
int mkv_cluster_check_membership(struct mkv_server *server, struct mkv_now now) MKV_MUST_CHECK;
int mkv_cluster_set_member(struct mkv_server *server,
                           struct mkv_now now,
                           const uint8_t uuid[MKV_UUID_LEN],
                           struct mkv_bytes name,
                           bool active) MKV_MUST_CHECK;

/* The store turns out to be a copy of an earlier state. */
int mkv_cluster_found_restored(struct mkv_server *server) MKV_MUST_CHECK;

/*
 * If rows had been lost, another one has now given what it has; that is all, unless some are missing
 * that were members before.
 */
int mkv_cluster_look_for_lost(struct mkv_server *server) MKV_MUST_CHECK;

/* From now on it is our entry of this tock under which we are one of them, who are @n.  In which cluster is left as it is. */
int mkv_cluster_joined_as(struct mkv_server *server, uint64_t tock, uint32_t n) MKV_MUST_CHECK;
#define MKV_JOINED_NEVER UINT64_MAX /* we are about to be let in, but are not yet */

/* actor.c */
void mkv_actor_deinit(struct mkv_cluster *cluster);
struct mkv_known *mkv_actor_find(const struct mkv_cluster *cluster,
                                 const uint8_t uuid[MKV_UUID_LEN]);
/* What names it in maps: the first 8 bytes of its uuid. */
uint64_t mkv_actor_key(const uint8_t uuid[MKV_UUID_LEN]);
/* Whether it has been heard lately. */
bool mkv_actor_live(const struct mkv_server *server,
                    struct mkv_now now,
                    const struct mkv_known *known);
/* ... and is ready. */
bool mkv_actor_serves(const struct mkv_server *server,
                      struct mkv_now now,
                      const struct mkv_known *known);
/* How many servers that serve come before us for @id; for all others we come before them. */
uint32_t mkv_actor_rank(const struct mkv_server *server, struct mkv_now now, struct mkv_bytes id);
/* Where @uuid stands in the order for @id: the least is first. */
uint64_t mkv_actor_weight(struct mkv_bytes id, const uint8_t uuid[MKV_UUID_LEN]);
/* Whether another server of our name was heard lately: one of us has to stop. */
/* Whether servers without one of our keys are at our broker. */
bool mkv_actor_strangers(const struct mkv_server *server, struct mkv_now now);
bool mkv_actor_rivalled(const struct mkv_server *server, struct mkv_now now);
/* Moves on to the next address from *address on that can lead there; false: there is none. */
bool mkv_actor_next_address(const struct mkv_server *server,
                            const struct mkv_ping *ping,
                            uint32_t *address);
/* Sends one, and sets the time for the next. */
void mkv_actor_ping(struct mkv_server *server, struct mkv_now now, uint32_t state);
/* What it says, but for its number. */
void mkv_actor_describe(const struct mkv_server *server,
                        struct mkv_now now,
                        uint32_t state,
                        struct mkv_ping *ret_ping);
int64_t mkv_actor_period(const struct mkv_server *server, struct mkv_now now);

/* join.c */
/* Goes back to the beginning, if it was further. */
void mkv_join_again(struct mkv_server *server, struct mkv_now now, const char *why);
int mkv_join_time(struct mkv_server *server, struct mkv_now now) MKV_MUST_CHECK;
/* All that the server had that vouched for us is here; @known: that one, NULL if it is forgotten. */
int mkv_join_done(struct mkv_server *server,
                  struct mkv_now now,
                  struct mkv_known *known) MKV_MUST_CHECK;
/* Whether what this server ever promised may be worth nothing now, or it never did. */
bool mkv_join_unsure(const struct mkv_server *server);

/* sync.c */
/* What a ping of a server that serves tells us who serve, too. */
int mkv_sync_ping(struct mkv_server *server,
                  struct mkv_now now,
                  struct mkv_known *known) MKV_MUST_CHECK;
int mkv_sync_time(struct mkv_server *server, struct mkv_now now) MKV_MUST_CHECK;
uint64_t mkv_sync_complete(const struct mkv_server *server);
bool mkv_sync_same_cluster(const struct mkv_server *server, const struct mkv_ping *ping);
/* By how much we have less than the other one, in orders of magnitude: < 0 if it has less. */
int mkv_sync_compare(const struct mkv_server *server, const struct mkv_ping *ping);
/* We have all that it had when it was at @place, and all that it accepted up to @horizon. */
void mkv_sync_has(const struct mkv_server *server,
                  struct mkv_known *known,
                  struct mkv_place place,
                  uint64_t horizon);
/* Whether known->applied is up to where all in its log has been read. */
bool mkv_sync_may_resume(const struct mkv_server *server, const struct mkv_known *known);
/* Reading from it did not work: again after a while. */
void mkv_sync_failed(struct mkv_server *server, struct mkv_now now, struct mkv_known *known);
/* Raises the floor as far as all members are complete. */
void mkv_sync_forget(struct mkv_server *server, struct mkv_now now);
/* Whether our tree is, or lately was, what this is the digest of. */
bool mkv_sync_had(const struct mkv_server *server, const uint8_t digest[16]);
struct mkv_digest mkv_sync_digest(const struct mkv_server *server);
struct mkv_digest mkv_sync_digest_of(const uint8_t bytes[16]);
/* Whether this is the digest of the members as we know them. */
bool mkv_sync_same_members(const struct mkv_cluster *cluster, struct mkv_digest digest);

/* pull.c */
void mkv_pull_deinit(struct mkv_pull *pull);
/* @bound: see struct mkv_pull. */
int mkv_pull_start(struct mkv_server *server,
                   struct mkv_now now,
                   struct mkv_known *known,
                   enum mkv_pull_kind kind,
                   uint64_t bound) MKV_MUST_CHECK;
int mkv_pull_frame(struct mkv_server *server,
                   struct mkv_now now,
                   const struct mkv_frame *frame) MKV_MUST_CHECK;
int mkv_pull_dialled(struct mkv_server *server,
                     struct mkv_now now,
                     int error,
                     enum mkv_peer_kind peer) MKV_MUST_CHECK;
/* Who answers there is none of the cluster's, or we are not to it: the next address. */
void mkv_pull_elsewhere(struct mkv_server *server, struct mkv_now now, const char *why);
/* It is the one we look for: asks it for what we want. */
int mkv_pull_logged_in(struct mkv_server *server, struct mkv_now now) MKV_MUST_CHECK;

/* The same, once the secrets have been read. */
int mkv_pull_begin(struct mkv_server *server, struct mkv_now now) MKV_MUST_CHECK;

/* pull_secrets.c */
/* Asks for them; false: they are known. */
bool mkv_pull_begin_secrets(struct mkv_server *server);
/* The answer. */
int mkv_pull_secret(struct mkv_server *server,
                    struct mkv_now now,
                    const struct mkv_frame *frame) MKV_MUST_CHECK;

/* pull_login.c */
/* A frame before the other side has said who it is. */
int mkv_pull_login(struct mkv_server *server,
                   struct mkv_now now,
                   const struct mkv_frame *frame) MKV_MUST_CHECK;
int mkv_pull_judged(struct mkv_server *server,
                    struct mkv_now now,
                    const struct mkv_judgement *judgement) MKV_MUST_CHECK;

/* Nothing more is to be read for now, and nobody is to blame. */
void mkv_pull_leave(struct mkv_server *server);
/* It cannot go on, or what came over its link cannot be read. */
void mkv_pull_fail(struct mkv_server *server, struct mkv_now now, const char *why);
/* The end of one has been committed; or it has not, and all that was said then is dropped. */
void mkv_pull_settled(struct mkv_server *server);
void mkv_pull_rollback(struct mkv_server *server, struct mkv_now now);
/* Its link is gone. */
void mkv_pull_closed(struct mkv_server *server, struct mkv_now now);
void mkv_pull_time(struct mkv_server *server, struct mkv_now now);

/* pull_members.c */
/* Whether we read from one of our own cluster, in which we have been ready. */
bool mkv_pull_own_cluster(const struct mkv_server *server);
/* From now on this server is new to them: whoever crashes before it has joined must not pass for one who had. */
int mkv_pull_begin_anew(struct mkv_server *server) MKV_MUST_CHECK;
/* They have vouched: our own floor says nothing any more if theirs is another's, or they went back. */
void mkv_pull_give_up_floor(struct mkv_server *server);
/* Turns to their list of members; @own_cluster: it is that of our own. */
int mkv_pull_find_members(struct mkv_pull *pull, bool own_cluster) MKV_MUST_CHECK;
/* Their list of members is here; *ret_goes_on: all else may be taken from them as well. */
int mkv_pull_take_members(struct mkv_server *server,
                          struct mkv_now now,
                          bool *ret_goes_on) MKV_MUST_CHECK;
/* Whether that is still so; if not, the pull has ended. */
int mkv_pull_check_members(struct mkv_server *server,
                           struct mkv_now now,
                           bool *ret_goes_on) MKV_MUST_CHECK;

/* heal.c */
/* Whether a difference has stayed that there cannot be, as far as the rules carry. */
bool mkv_heal_due(const struct mkv_server *server, const struct mkv_known *known);
/* An entry up to the floor, in a pull that heals. */
int mkv_heal_row(struct mkv_server *server,
                 struct mkv_now now,
                 struct mkv_bytes key,
                 const struct mkv_update *update) MKV_MUST_CHECK;
/* Such a pull has come to its end. */
void mkv_heal_done(struct mkv_server *server, struct mkv_now now, const struct mkv_known *known);

/* pull_rows.c */
int mkv_pull_rows(struct mkv_server *server,
                  struct mkv_now now,
                  struct mkv_bytes rows) MKV_MUST_CHECK;
/* Turns to the next of the ranges being fetched, if there is one. */
int mkv_pull_next_range(struct mkv_pull *pull) MKV_MUST_CHECK;
/* All rows of these ranges are here. */
int mkv_pull_end_ranges(struct mkv_server *server) MKV_MUST_CHECK;

/* query.c */
void mkv_query_take(struct mkv_server *server, struct mkv_now now, const struct mkv_query *query);
void mkv_query_answered(struct mkv_server *server, struct mkv_bytes id);
void mkv_query_time(struct mkv_server *server, struct mkv_now now);

/* gaps.c */
/* The update with this dot came from the broker with a tock, or cannot come at all ... */
void mkv_gaps_heard(struct mkv_server *server, struct mkv_now now, const struct mkv_tick *dot);
/* ... or by reading from another server. */
void mkv_gaps_read(struct mkv_server *server, struct mkv_now now, const struct mkv_tick *dot);
/* All has been read that @known had when the pull began. */
void mkv_gaps_closed(struct mkv_server *server, struct mkv_now now, struct mkv_known *known);
void mkv_gaps_time(struct mkv_server *server, struct mkv_now now);
void mkv_gaps_forget(struct mkv_server *server);

/* stamp.c */
/*
 * An update without a tock that belongs to no session here.  *ret_taken: we, or another server, will
 * do what is to be done about it; else nobody will.
 */
int mkv_stamp_take(struct mkv_server *server,
                   struct mkv_now now,
                   struct mkv_bytes key,
                   const struct mkv_update *update,
                   bool *ret_taken) MKV_MUST_CHECK;
/* The update with this dot came with a tock. */
int mkv_stamp_seen(struct mkv_server *server, const struct mkv_tick *dot) MKV_MUST_CHECK;
/* Whether the entry at @key, or what it has replaced, is that update or a later one of its stream. */
int mkv_stamp_covered(struct mkv_server *server,
                      struct mkv_bytes key,
                      const struct mkv_tick *dot,
                      bool *ret_covered) MKV_MUST_CHECK;
int mkv_stamp_time(struct mkv_server *server, struct mkv_now now) MKV_MUST_CHECK;

/* absent.c: tells of members that are not heard. */
void mkv_absent_look(struct mkv_server *server, struct mkv_now now);

#endif
