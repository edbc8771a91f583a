/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole client, still without I/O: bytes and time in, encoded outputs out.
 *
 *     frames, messages -> decode -> core/client.h -> client_effects.h -> outputs, in order
 *
 * Whoever drives it carries out all outputs after each call, in their order, and tells of what
 * happens then.  Times are monotonic milliseconds, 1 or more, and never go back.
 */
#ifndef MKV_NODE_CLIENT_H
#define MKV_NODE_CLIENT_H

#include "core/client.h"
#include "node/client_effects.h"

struct mkv_client_node {
    struct mkv_client client;
    struct mkv_client_effects effects;
    struct mkv_buf key; /* owned: scratch for the path of a message */
};

/* Errors as mkv_client_init(). */
int mkv_client_node_init(struct mkv_client_node *node,
                         const struct mkv_client_config *config) MKV_MUST_CHECK;
void mkv_client_node_deinit(struct mkv_client_node *node);

/* Starts an operation; errors as mkv_client_step(). */
int mkv_client_node_order(struct mkv_client_node *node,
                          int64_t now_ms,
                          const struct mkv_client_order *order) MKV_MUST_CHECK;

/* Ends one: NOT_FOUND if it has completed, or is a write. */
int mkv_client_node_cancel(struct mkv_client_node *node,
                           int64_t now_ms,
                           uint64_t id) MKV_MUST_CHECK;

/* Says goodbye and completes all operations; then only outputs may be taken. */
void mkv_client_node_close(struct mkv_client_node *node, int64_t now_ms);

/* To be called when mkv_client_deadline_ms() is over. */
void mkv_client_node_tick(struct mkv_client_node *node, int64_t now_ms);

void mkv_client_node_link_opened(struct mkv_client_node *node, int64_t now_ms);
void mkv_client_node_link_frame(struct mkv_client_node *node, int64_t now_ms, struct mkv_bytes map);
/* What came of LINK_PROVE: an error, or the answer to be sent; @done as in io/sasl.h. */
void mkv_client_node_link_proof(
    struct mkv_client_node *node, int64_t now_ms, int error, struct mkv_bytes answer, bool done);
/* The stream cannot be cut into frames. */
void mkv_client_node_link_broken(struct mkv_client_node *node, int64_t now_ms, int error);
void mkv_client_node_link_closed(struct mkv_client_node *node,
                                 int64_t now_ms,
                                 int error,
                                 struct mkv_bytes why);

void mkv_client_node_mqtt_connected(struct mkv_client_node *node, int64_t now_ms);
/* Another attempt follows by itself; with @gone, none does. */
void mkv_client_node_mqtt_disconnected(
    struct mkv_client_node *node, int64_t now_ms, int error, struct mkv_bytes why, bool gone);
void mkv_client_node_mqtt_answered(
    struct mkv_client_node *node, int64_t now_ms, uint64_t cookie, int error, struct mkv_bytes why);
void mkv_client_node_mqtt_drained(struct mkv_client_node *node, int64_t now_ms);

/* What is not a message of ours is ignored. */
void mkv_client_node_mqtt_message(struct mkv_client_node *node,
                                  int64_t now_ms,
                                  struct mkv_bytes topic,
                                  struct mkv_bytes payload,
                                  bool retain);

#endif
