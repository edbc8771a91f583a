/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has arrived of the updates of other servers' clients: their streams, and the holes in them.
 *
 *     (name, seq)  ->  heard 40..57, 59      a hole: 58
 *
 * A stream begins where it is first heard: what came before may be long done with.  It is kept in
 * memory only and bounded, since nothing depends on it but how soon a loss is noticed: pings tell
 * the rest (docs/protocol.md, 12).  What to do about a hole is decided in core/gaps.c.
 */
#ifndef MKV_CORE_STREAMS_H
#define MKV_CORE_STREAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/map.h"
#include "core/now.h"
#include "core/seen.h"
#include "wire/tick.h"

#define MKV_STREAMS_MAX      4096U /* one more: the one unheard for longest is forgotten */
#define MKV_STREAMS_HASH_LEN 16U

struct mkv_stream {
    struct mkv_stream *newer; /* in the order they were heard last */
    struct mkv_stream *older;
    uint64_t hash;
    uint64_t seq;
    uint64_t top;     /* the highest counter heard, even if there was no room to record it */
    int64_t since_ms; /* since when the first hole is there; MKV_NEVER: there is none */
    uint64_t asked;   /* a server is to tell what it has up to this counter; 0: none is */
    uint64_t source;  /* ... that server, by the key of core/actor.c */
    int64_t asked_ms; /* ... since then */
    struct mkv_seen seen;
    uint32_t name_len;
    uint8_t name[MKV_NAME_MAX];
};

/* Zeroed, it is empty and valid, but for its hash key. */
struct mkv_streams {
    struct mkv_map map; /* by hash; owned */
    struct mkv_stream *newest;
    struct mkv_stream *oldest;
    uint32_t n_holes; /* streams that have any */
    uint8_t hash_key[MKV_STREAMS_HASH_LEN];
};

/* @hash_key is secret: nobody can choose streams that collide. */
void mkv_streams_init(struct mkv_streams *streams, const uint8_t hash_key[MKV_STREAMS_HASH_LEN]);

/* Forgets all of them. */
void mkv_streams_clear(struct mkv_streams *streams);

/*
 * The update with this dot came from the broker.  Returns its stream; or NULL if there is no
 * memory to keep track of it.
 */
struct mkv_stream *mkv_streams_hear(struct mkv_streams *streams,
                                    struct mkv_now now,
                                    const struct mkv_tick *dot);

/*
 * The update with this dot came by another way, where what has been overwritten does not come:
 * so it begins no stream, and no hole.  Whether it was missing.
 */
bool mkv_streams_fill(struct mkv_streams *streams, struct mkv_now now, const struct mkv_tick *dot);

/* The stream of this dot, or NULL. */
struct mkv_stream *mkv_streams_find(const struct mkv_streams *streams, const struct mkv_tick *dot);

/* What is missing up to @counter does not come any more. */
void mkv_streams_close(struct mkv_streams *streams,
                       struct mkv_now now,
                       struct mkv_stream *stream,
                       uint64_t counter);

/* How many counters are missing; INT64_MAX at most. */
uint64_t mkv_stream_missing(const struct mkv_stream *stream);

#endif
