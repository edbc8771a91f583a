/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server node on a disk in memory, with virtual time, and what it says: what tests of the server
 * stand on.
 */
#ifndef MKV_TESTS_NODE_HARNESS_H
#define MKV_TESTS_NODE_HARNESS_H

#include "node/server.h"
#include "store/log_memory.h"
#include "store/store.h"

#define WORLD_FRAMES_MAX 4096U

/* One frame that the server sent; its bytes are owned by the world. */
struct heard {
    uint64_t link;
    struct mkv_buf bytes; /* the map */
    struct mkv_frame frame;
};

struct world {
    struct mkv_disk *disk;
    struct mkv_store *store;
    struct mkv_server_node *node;
    struct mkv_now now;
    struct mkv_store_report report; /* of the last opening of the store */
    bool accept_restored;
    uint64_t boots;
    const uint8_t *guard_key;       /* NULL: the broker is not guarded */
    const struct mkv_ring *updates; /* keys by which updates must be proven; NULL: they need not */
    bool others;                    /* there are other servers, but none of them can be dialled */
    enum mkv_mode mode;             /* SERVERS, or one in which the broker retains */
    /* Told of updates and looks, if the broker retains. */
    void (*retained)(struct world *world, const struct mkv_output *output);
    void (*around)(bool enter); /* called before and after each call of the node; may be NULL */
    unsigned n_heard;
    struct heard heard[WORLD_FRAMES_MAX];
    unsigned n_closed;
    uint64_t closed[64];
    unsigned n_published;
    struct mkv_buf topic;     /* of the last message published */
    struct mkv_buf published; /* its payload */
    unsigned n_logged;
    char logged[1100]; /* the last line for the log */
};

/* Starts a server on a new disk, or again on the one that is there. */
void world_start(struct world *world);
/* The same, but the store may fail to open, or the server to start; end what did with world_crash(). */
int world_boot(struct world *world);
/* Ends it without a last commit, as a crash does. */
void world_crash(struct world *world);
void world_free(struct world *world);

/* Takes all outputs; fails the test on a line of level error if @quiet. */
void world_listen(struct world *world);
void world_forget(struct world *world); /* what was heard */
/* Moves time on by @ms, waking the node whenever it asks for it. */
void world_wait(struct world *world, int64_t ms);

/* Opens link @link and logs in; returns the session's seq.  @resume: that session's frame or NULL. */
uint64_t world_login(struct world *world, uint64_t link, const struct mkv_frame *resume);
void world_send(struct world *world, uint64_t link, const struct mkv_frame *frame);
/* The update @counter of session @seq arrives by MQTT: dotted path, raw value (NULL: deleted). */
void world_update(struct world *world,
                  const char *path,
                  const char *value,
                  uint64_t tock,
                  uint64_t seq,
                  uint64_t counter);
/* The same with any value; that of an update that deletes has its @at NULL. */
void world_update_value(struct world *world,
                        const char *path,
                        struct mkv_bytes value,
                        uint64_t tock,
                        uint64_t seq,
                        uint64_t counter);
/* Link @link is opened, by our own user, or is gone. */
void world_open(struct world *world, uint64_t link);
void world_close(struct world *world, uint64_t link);
void world_message(struct world *world, const char *topic, struct mkv_bytes payload);

/* The last frame of @kind heard over @link, or NULL; and how many there were. */
const struct mkv_frame *world_last(const struct world *world,
                                   uint64_t link,
                                   enum mkv_frame_kind kind);
unsigned world_count(const struct world *world, uint64_t link, enum mkv_frame_kind kind);

/* The last counter acknowledged over @link; 0: none. */
uint64_t world_acked(const struct world *world, uint64_t link);

/* The value stored at @path as text, "" for a tombstone, NULL if there is nothing; until the next call. */
const char *world_held(const struct world *world, const char *path);

/* Sends a read, list or check of @path. */
void world_ask(struct world *world, const char *path, struct mkv_frame frame, uint64_t link);

/* All rows of request @id as "path=xx;", xx the value's first byte in hex, "-00" for a tombstone. */
void world_collect(const struct world *world,
                   uint64_t link,
                   uint64_t id,
                   const char *start,
                   char *out,
                   size_t size);

/* Writes seven updates: a, a.b, a.b.c, a:2, ab, and a.gone, which is deleted again. */
void world_fill(struct world *world, uint64_t seq);

#endif
