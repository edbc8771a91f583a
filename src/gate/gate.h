/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps plain MQTT topics and the tree in step, by rules (docs/gateway.md).
 *
 *     message, entry, written, answered, tick   ->   gate   ->   port: write, publish
 *
 * For each rule and each entry that it is about there is a *cell*: what the tree has, what the topic
 * was last heard to have, and what is on its way to either.  A cell speaks only when the two differ:
 *
 *   - a message whose value the tree has already changes nothing;
 *   - what came from the topic is not sent back to it, whatever spelling it had there;
 *   - a message of our own that comes back is known by the value that it reads as, also where that
 *     is not the value it was made of (a scale that rounds); what the broker took before it has
 *     been replaced by it and is passed over;
 *   - one write and one message of a cell are on their way at a time.  What comes meanwhile replaces
 *     what waits, and each cell may do 10 things a second in either direction, so a flood arrives
 *     thinned out, with the last value right.
 *
 * That leaves loops through others that change what they pass on.  A cell that goes to and fro between
 * the two, or back to the value before within a second, more than 8 times without 10 s of rest is held back for 1 s, then 2 s ... 64 s, and counted.
 *
 * Pure: time comes in, in milliseconds of any clock that does not go back.
 */
#ifndef MKV_GATE_GATE_H
#define MKV_GATE_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "gate/rule.h"

#define MKV_GATE_RULES_MAX 64U     /* in force at once; more: TOO_MANY */
#define MKV_GATE_CELLS_MAX 100000U /* more: told at the rule, and passed over */

struct mkv_gate;

/* What the gate does; both are called from within its functions, and must not call any of them. */
struct mkv_gate_port {
    void *context;
    /*
     * Writes, or deletes with @value NULL.  0: mkv_gate_written() follows with this cell.  QUEUE_FULL:
     * asked again at a later tick.  Anything else is the rule's trouble.
     */
    int (*write)(void *context, uint32_t cell, struct mkv_bytes key, const struct mkv_bytes *value);
    /*
     * 0: mkv_gate_answered() follows.  QUEUE_FULL, NO_CONNECTION: asked again if it is to be
     * retained, or the queue was full; else it is given up, since an old command is no good one.
     */
    int (*publish)(void *context,
                   uint32_t cell,
                   struct mkv_bytes topic,
                   struct mkv_bytes payload,
                   int qos,
                   bool retain);
};

/* What has happened by a rule. */
struct mkv_gate_counts {
    uint64_t received;  /* messages */
    uint64_t same;      /* values that the tree had already; echoes among them */
    uint64_t written;   /* writes and deletions that were stored */
    uint64_t published; /* messages that were sent */
    uint64_t replaced;  /* values that a later one replaced before they were on their way */
    uint64_t births;    /* birth messages that were heeded */
    uint64_t errors;    /* messages and entries that were passed over, see the problem */
    uint64_t damped;    /* how often a cell was held back since it went to and fro */
};

struct mkv_gate_report {
    const struct mkv_gate_rule *rule;
    struct mkv_gate_counts counts;
    const char *problem; /* the last one; "" for none */
    const char *where;   /* its topic, or path */
    int64_t problem_ms;
};

/* @root, borrowed: topics at and below it are the cluster's own, and none of ours. */
int mkv_gate_new(const struct mkv_gate_port *port,
                 struct mkv_bytes root,
                 struct mkv_gate **ret_gate) MKV_MUST_CHECK;
void mkv_gate_free(struct mkv_gate *gate);

/*
 * Takes over @rule, which is moved and may be forgotten, on success.  Rules are asked in the order
 * in which they were added.  Before the first event.  TOO_MANY, NO_MEMORY.
 */
int mkv_gate_add(struct mkv_gate *gate, struct mkv_gate_rule *rule) MKV_MUST_CHECK;
unsigned mkv_gate_count(const struct mkv_gate *gate);
void mkv_gate_report(const struct mkv_gate *gate, unsigned i, struct mkv_gate_report *ret_report);

/* Notes a trouble that others met with this rule. */
void mkv_gate_blame(
    struct mkv_gate *gate, unsigned i, int64_t now_ms, struct mkv_bytes where, const char *problem);

/* The broker is there and has been asked for all topics; or it is not. */
void mkv_gate_connected(struct mkv_gate *gate, int64_t now_ms);
void mkv_gate_disconnected(struct mkv_gate *gate);

/* A message came; @retained: it was kept by the broker from before. */
void mkv_gate_message(struct mkv_gate *gate,
                      int64_t now_ms,
                      struct mkv_bytes topic,
                      struct mkv_bytes payload,
                      bool retained);

/*
 * What the tree has; @value NULL: nothing, it was deleted.  @is_state: it was so when the watch began.
 * Several watches may tell the same.
 */
void mkv_gate_entry(struct mkv_gate *gate,
                    int64_t now_ms,
                    struct mkv_bytes key,
                    const struct mkv_bytes *value,
                    uint64_t tock,
                    bool is_state);

/* A write was stored, with this @tock, or has failed. */
void mkv_gate_written(
    struct mkv_gate *gate, int64_t now_ms, uint32_t cell, int error, uint64_t tock);
/* The broker took a message, or not: NO_CONNECTION, NOT_AUTHORISED ... */
void mkv_gate_answered(
    struct mkv_gate *gate, int64_t now_ms, uint32_t cell, int error, const char *why);

/* Goes on with what waits; to be called every 100 ms or so as long as it says true. */
bool mkv_gate_tick(struct mkv_gate *gate, int64_t now_ms);

#endif
