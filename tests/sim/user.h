/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that uses the real client node: it writes, watches, reads, dies and comes back.
 */
#ifndef MKV_TESTS_SIM_USER_H
#define MKV_TESTS_SIM_USER_H

#include "net.h"
#include "node/client.h"
#include "oracle.h"

#define USER_WRITES_MAX 512U

struct user {
    unsigned index;
    unsigned host;
    unsigned broker; /* the one it may ask for servers */
    struct mkv_client_node node;
    bool alive;
    unsigned life; /* which program this is on the host */
    int64_t deadline_ms;
    struct pipe *link;
    struct pipe *mqtt;
    bool mqtt_up;
    bool mqtt_wanted;
    unsigned mqtt_target; /* a broker */

    uint64_t last_id;
    uint64_t watch_id; /* of everything; 0: none */
    bool synced;
    struct known told[ORACLE_KEYS_MAX];
    int status[USER_WRITES_MAX]; /* of the writes, by id; 1: open */
    unsigned n_open;
};

void user_init(struct sim *sim, unsigned index, unsigned broker);
void user_deinit(struct user *user);

/* A program begins, knowing machine @machine, or, if that is NULL, its broker only. */
void user_start(struct sim *sim, struct user *user, const struct machine *machine, bool watches);
/* It is gone, without a goodbye. */
void user_die(struct sim *sim, struct user *user);

/* @value is NULL to delete. */
void user_write(
    struct sim *sim, struct user *user, unsigned key, const uint8_t *value, size_t len, bool blind);

bool user_connected(const struct user *user);

void user_wake(struct sim *sim, struct user *user);
void user_arrive(struct sim *sim, struct pipe *pipe, unsigned side, const struct letter *letter);
void user_message(struct sim *sim, struct user *user, struct parcel *parcel);

#endif
