/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole server, still without I/O: bytes and time go in, bytes come out.
 *
 *     bytes -> decode -> core/server: step -> commit -> encoded outputs
 *
 * Commit, then speak: outputs are held back until the store has put on disk what they tell of.
 * Inputs are gathered into one transaction for a short window (group commit); an input that
 * changes nothing is answered at once, unless a window is open.
 *
 * After each input, and at mkv_server_node_deadline(), take all outputs.
 */
#ifndef MKV_NODE_SERVER_H
#define MKV_NODE_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "core/server.h"
#include "wire/ring.h"

#define MKV_BATCH_UPDATES_MAX 1000U /* a batch of this many messages is committed at once */
#define MKV_BATCH_BYTES_MAX                                                                        \
    (8U << 20) /* ... or of this many bytes, or when it has so many to say */

/*
 * Where entries go that a stale server held and nobody else knows (docs/protocol.md, 12): rows of a
 * dump file in CBOR (docs/formats.md, 3.1), one after the other.  keep() returns 0 when they are
 * safe on disk; the batch that removes them is committed only then.
 */
struct mkv_quarantine {
    int (*keep)(void *context, struct mkv_bytes rows);
    void *context;
};

struct mkv_server_node_config {
    struct mkv_server_config server;
    int64_t window_ms; /* how long the first change of a batch may wait for others; 0: not at all */
    struct mkv_quarantine quarantine;
    /*
     * The cluster's keys for pings (MKV_RING_PING).  None: pings are neither proven nor checked,
     * which is for tests and simulations alone.
     */
    struct mkv_ring ring;
};

enum mkv_output_kind {
    MKV_OUTPUT_SEND,  /* @payload, one or more whole frames, over @link */
    MKV_OUTPUT_CLOSE, /* @link, once everything sent is out */
    MKV_OUTPUT_PUBLISH, /* @payload on @topic with @qos; @retain: an update for a broker that retains */
    MKV_OUTPUT_LOOK, /* ask it for what it retains on @topic, a filter; then _looked() */
    MKV_OUTPUT_DIAL, /* open @link to the address @payload, then mkv_server_node_dialled() */
    MKV_OUTPUT_SASL, /* judge the message @payload of @link, @topic: mechanism; then _judged() */
    MKV_OUTPUT_STOP, /* end: the server cannot go on; @payload says why */
    MKV_OUTPUT_LOG,  /* @payload: one line of printable text; @level */
};

struct mkv_output {
    enum mkv_output_kind kind;
    enum mkv_log_level level;
    uint32_t qos;
    bool retain;
    uint64_t link;
    struct mkv_bytes topic;
    struct mkv_bytes payload;
};

struct mkv_server_node;

/* @store is borrowed.  Errors of mkv_server_new(). */
int mkv_server_node_new(const struct mkv_server_node_config *config,
                        struct mkv_store *store,
                        struct mkv_now now,
                        struct mkv_server_node **ret_node) MKV_MUST_CHECK;

/* Drops what is not committed: the store is left as after the last commit. */
void mkv_server_node_free(struct mkv_server_node *node);

/* Inputs.  What a peer does wrong is answered; what the disk does wrong, see _error(). */
void mkv_server_node_link_opened(struct mkv_server_node *node,
                                 struct mkv_now now,
                                 uint64_t link,
                                 enum mkv_peer_kind peer);
/* Right behind that, of a link of MKV_PEER_OTHER_USER. */
void mkv_server_node_link_uid(struct mkv_server_node *node, uint64_t link, uint32_t uid);
/* As mkv_server_link_user(). */
void mkv_server_node_link_user(struct mkv_server_node *node, uint64_t link, struct mkv_bytes name);
/* What came of MKV_OUTPUT_SASL. */
void mkv_server_node_judged(struct mkv_server_node *node,
                            struct mkv_now now,
                            uint64_t link,
                            const struct mkv_judgement *judgement);
/* How MKV_OUTPUT_DIAL went: 0, and frames may follow; or the link will not be.  @peer: see mkv_server_dialled(). */
void mkv_server_node_dialled(struct mkv_server_node *node,
                             struct mkv_now now,
                             uint64_t link,
                             int error,
                             enum mkv_peer_kind peer);
/* For links of both directions. */
void mkv_server_node_link_closed(struct mkv_server_node *node, struct mkv_now now, uint64_t link);
void mkv_server_node_link_congested(struct mkv_server_node *node, uint64_t link, bool congested);
/* @map: the frame without its length. */
void mkv_server_node_frame(struct mkv_server_node *node,
                           struct mkv_now now,
                           uint64_t link,
                           struct mkv_bytes map);
void mkv_server_node_message(struct mkv_server_node *node,
                             struct mkv_now now,
                             struct mkv_bytes topic,
                             struct mkv_bytes payload,
                             bool retained);
/*
 * The next three: of a broker that retains.  What has no tag on d/: @value, or a deletion; what
 * cannot be read, for the reason @failure; MKV_OUTPUT_LOOK has been answered.
 */
void mkv_server_node_plain(struct mkv_server_node *node,
                           struct mkv_now now,
                           struct mkv_bytes topic,
                           bool present,
                           struct mkv_bytes value);
void mkv_server_node_unreadable(struct mkv_server_node *node,
                                struct mkv_now now,
                                struct mkv_bytes topic,
                                int failure);
void mkv_server_node_looked(struct mkv_server_node *node, struct mkv_now now);
void mkv_server_node_broker(struct mkv_server_node *node, struct mkv_now now, bool connected);
void mkv_server_node_time(struct mkv_server_node *node, struct mkv_now now);

/* When mkv_server_node_time() has something to do, in mkv_now.ms; 0: at once; or MKV_NEVER. */
int64_t mkv_server_node_deadline(const struct mkv_server_node *node);

/* The next output that may leave; its bytes are valid until the next call of anything here. */
bool mkv_server_node_output(struct mkv_server_node *node, struct mkv_output *ret_output);

/* As mkv_server_acl(): to be told to whoever must know before the outputs are taken. */
const struct mkv_acl *mkv_server_node_acl(const struct mkv_server_node *node,
                                          uint32_t *ret_version);
/* See mkv_server_update_keys(). */
void mkv_server_node_update_keys(struct mkv_server_node *node,
                                 struct mkv_now now,
                                 const struct mkv_ring *updates);
/* Other keys for pings, from now on. */
void mkv_server_node_keys(struct mkv_server_node *node, const struct mkv_ring *ring);

/* Another key for the credentials of sessions (docs/protocol.md, 13.3), from now on. */
void mkv_server_node_guard_key(struct mkv_server_node *node, const uint8_t key[MKV_GUARD_KEY_LEN]);

/* Whether it has joined the cluster and serves clients. */
bool mkv_server_node_ready(const struct mkv_server_node *node);

/* The others are told that this server goes; call it before the connection to the broker ends. */
void mkv_server_node_leave(struct mkv_server_node *node, struct mkv_now now);

/* Commits what is open now, without waiting for the window; for an orderly end. */
void mkv_server_node_flush(struct mkv_server_node *node, struct mkv_now now);

/* Not 0: the store cannot even be read, or memory is out; the server has stopped for good. */
int mkv_server_node_error(const struct mkv_server_node *node);

#endif
