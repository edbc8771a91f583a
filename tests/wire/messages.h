/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random messages of every kind, and whether two are the same.
 *
 * All the bytes of a message come from one pool, which is emptied before the next is drawn.
 */
#ifndef MKV_TESTS_WIRE_MESSAGES_H
#define MKV_TESTS_WIRE_MESSAGES_H

#include "lib/prng.h"
#include "wire/act.h"
#include "wire/child.h"
#include "wire/conflict.h"
#include "wire/frame.h"
#include "wire/range.h"

#define MESSAGES_POOL_LEN 262144U

struct messages {
    struct prng prng;
    size_t used;
    uint8_t pool[MESSAGES_POOL_LEN];
};

extern const enum mkv_frame_kind messages_frame_kinds[];
extern const size_t messages_n_frame_kinds;

void messages_update(struct messages *m, struct mkv_update *ret_update);
void messages_query(struct messages *m, struct mkv_query *ret_query);
void messages_server_reply(struct messages *m, struct mkv_server_reply *ret_reply);
void messages_birth(struct messages *m, struct mkv_birth *ret_birth);
void messages_ping(struct messages *m, struct mkv_ping *ret_ping);
void messages_conflict_row(struct messages *m, struct mkv_conflict_row *ret_row);
/* The id is drawn for the kinds that need one. */
void messages_frame(struct messages *m, enum mkv_frame_kind kind, struct mkv_frame *ret_frame);

/* The body of those that log in; nothing for other kinds. */
void messages_login(struct messages *m, struct mkv_frame *frame);

bool messages_same_update(const struct mkv_update *a, const struct mkv_update *b);
bool messages_same_query(const struct mkv_query *a, const struct mkv_query *b);
bool messages_same_server_reply(const struct mkv_server_reply *a, const struct mkv_server_reply *b);
bool messages_same_birth(const struct mkv_birth *a, const struct mkv_birth *b);
bool messages_same_ping(const struct mkv_ping *a, const struct mkv_ping *b);
bool messages_same_conflict_row(const struct mkv_conflict_row *a, const struct mkv_conflict_row *b);
bool messages_same_frame(const struct mkv_frame *a, const struct mkv_frame *b);

#endif
