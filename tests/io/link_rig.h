/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links and their ends, for the tests of links and of listeners.
 */
#ifndef MKV_TESTS_IO_LINK_RIG_H
#define MKV_TESTS_IO_LINK_RIG_H

#include "base/buf.h"
#include "base/limits.h"
#include "io/link.h"
#include "io/listener.h"
#include "rig.h"

#define N_ENDS 64U

/* One end of a link, and what it has lived through. */
struct end {
    struct mkv_link *link;
    unsigned n_opened;
    unsigned n_frames;
    unsigned n_drained;
    unsigned n_closed;
    unsigned n_unreadable;
    int error; /* of closed or unreadable */
    struct mkv_why why;
    struct mkv_buf heard; /* all maps, one after the other */
    bool echo;
    unsigned pause_at; /* pauses itself after that many frames; 0: never */
    bool free_in_opened;
    bool free_in_frame;
    bool free_in_closed;
};

struct rig {
    struct mkv_loop *loop;
    char directory[64];
    struct mkv_listener *listener;
    struct end ends[N_ENDS]; /* of accepted links, in their order */
    unsigned n_ends;
    struct end client;
};

extern const uint8_t rig_map[6];
extern const struct mkv_link_events rig_events;

/* Appends one frame with @len bytes in its map. */
void rig_add_frame(struct mkv_buf *out, const void *map, size_t len);

/* Queues @n frames with rig_map in them. */
void rig_send(struct mkv_link *link, unsigned n);

struct rig *rig_new(void);

/* Ends what is left of it. */
void rig_free(struct rig *rig);

/* The listener's callback. */
void rig_on_accepted(void *context, struct mkv_link *link);

/* Listens on @text, or if that is NULL on a unix socket in the directory. */
void rig_listen(struct rig *rig, struct mkv_listener_options options, const char *text);

/* Begins to connect the client to the listener. */
void rig_connect(struct rig *rig, const struct mkv_link_options *options);

/* A listener, a client and the accepted end. */
struct rig *rig_pair(const char *address);

/* A listener, and a plain socket that is connected to it. */
struct rig *rig_raw(int *ret_fd);

#endif
