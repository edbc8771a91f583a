/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client node whose server and broker are played by the test, frame by frame.
 */
#ifndef MKV_TESTS_NODE_PEER_H
#define MKV_TESTS_NODE_PEER_H

#include "node/client.h"

#define PEER_HEARD_MAX 2048U

/* An output that the node gave; owned by the peer. */
struct peer_heard {
    struct mkv_client_output *output;
    struct mkv_frame frame; /* of LINK_SEND */
};

struct peer {
    struct mkv_client_node node;
    int64_t now_ms;
    uint64_t last_id;
    unsigned n;
    struct peer_heard heard[PEER_HEARD_MAX];
    struct mkv_frame_session session; /* what peer_open() gives; may be changed before */
};

/* A client with one server, "unix:/s", that has just been told to connect; no broker. */
void peer_init(struct peer *peer);
/* The same with other servers, or a password. */
void peer_init_with(struct peer *peer, const struct mkv_client_config *config);
void peer_deinit(struct peer *peer);

/* Takes what the node says. */
void peer_listen(struct peer *peer);
void peer_forget(struct peer *peer);

/* Moves the time on by @ms, waking the node as it asks for. */
void peer_wait(struct peer *peer, int64_t ms);

void peer_send(struct peer *peer, const struct mkv_frame *frame);
/* The link opens, the server says hello, and gives the session. */
void peer_open(struct peer *peer);
/* The broker accepts the connection, and the server sees the birth. */
void peer_born(struct peer *peer);
void peer_lose_link(struct peer *peer);
/* The broker answers a publication or subscription. */
void peer_answer(struct peer *peer, uint64_t cookie, int error);
/* A message comes from the broker. */
void peer_message(struct peer *peer, struct mkv_bytes topic, const struct mkv_update *update);

/* Starts an operation on the path whose key is one text element, @path.  Returns its id. */
uint64_t peer_write(struct peer *peer, const char *path, bool blind);
uint64_t peer_watch(struct peer *peer, const char *path);

/* The @i-th (0: the first) output of @kind since peer_forget(); NULL if there are fewer. */
const struct mkv_client_output *peer_nth(const struct peer *peer,
                                         enum mkv_client_output_kind kind,
                                         unsigned i);
unsigned peer_count(const struct peer *peer, enum mkv_client_output_kind kind);
/* The last frame of @kind sent since then, or NULL; and their number. */
const struct mkv_frame *peer_last(const struct peer *peer, enum mkv_frame_kind kind);
unsigned peer_count_frames(const struct peer *peer, enum mkv_frame_kind kind);
/* The status that the operation completed with; 1: it has not. */
int peer_status(const struct peer *peer, uint64_t id);

#endif
