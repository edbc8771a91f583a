/* SPDX-License-Identifier: Apache-2.0 */
#include "core/streams.h"

#include <sodium.h>

#include "base/mem.h"

_Static_assert(MKV_STREAMS_HASH_LEN == crypto_shorthash_KEYBYTES, "SipHash");

void mkv_streams_init(struct mkv_streams *streams, const uint8_t hash_key[MKV_STREAMS_HASH_LEN])
{
    *streams = (struct mkv_streams){.map = {.n_max = MKV_STREAMS_MAX}};
    memcpy(streams->hash_key, hash_key, MKV_STREAMS_HASH_LEN);
}

static uint64_t hash_of(const struct mkv_streams *streams, const struct mkv_tick *dot)
{
    uint8_t text[sizeof(dot->seq) + MKV_NAME_MAX];
    uint64_t hash;
    uint8_t bytes[sizeof(hash)];

    memcpy(text, &dot->seq, sizeof(dot->seq));
    memcpy(text + sizeof(dot->seq), dot->name.at, dot->name.len);
    (void)crypto_shorthash(bytes, text, sizeof(dot->seq) + dot->name.len, streams->hash_key);
    memcpy(&hash, bytes, sizeof(hash));
    return hash;
}

static bool is_of(const struct mkv_stream *stream, const struct mkv_tick *dot)
{
    return stream->seq == dot->seq &&
           mkv_bytes_equal(mkv_bytes(stream->name, stream->name_len), dot->name);
}

struct mkv_stream *mkv_streams_find(const struct mkv_streams *streams, const struct mkv_tick *dot)
{
    struct mkv_stream *stream = mkv_map_get(&streams->map, hash_of(streams, dot));

    return stream != NULL && is_of(stream, dot) ? stream : NULL;
}

/* --- In the order heard ------------------------------------------------------------------- */

static void unlink_stream(struct mkv_streams *streams, struct mkv_stream *stream)
{
    *(stream->newer == NULL ? &streams->newest : &stream->newer->older) = stream->older;
    *(stream->older == NULL ? &streams->oldest : &stream->older->newer) = stream->newer;
}

static void link_newest(struct mkv_streams *streams, struct mkv_stream *stream)
{
    stream->newer = NULL;
    stream->older = streams->newest;
    *(stream->older == NULL ? &streams->oldest : &stream->older->newer) = stream;
    streams->newest = stream;
}

static void forget(struct mkv_streams *streams, struct mkv_stream *stream)
{
    streams->n_holes -= stream->since_ms != MKV_NEVER;
    unlink_stream(streams, stream);
    (void)mkv_map_remove(&streams->map, stream->hash);
    mkv_mem_free(stream);
}

void mkv_streams_clear(struct mkv_streams *streams)
{
    while (streams->oldest != NULL) {
        forget(streams, streams->oldest);
    }
    mkv_map_deinit(&streams->map);
}

static struct mkv_stream *add(struct mkv_streams *streams,
                              uint64_t hash,
                              const struct mkv_tick *dot)
{
    struct mkv_stream *stream = mkv_mem_alloc(sizeof(*stream));

    if (stream == NULL) {
        return NULL;
    }
    if (streams->map.n == streams->map.n_max) {
        forget(streams, streams->oldest);
    }
    if (mkv_map_add(&streams->map, hash, stream) != 0) {
        mkv_mem_free(stream);
        return NULL;
    }
    stream->hash = hash;
    stream->seq = dot->seq;
    stream->since_ms = MKV_NEVER;
    stream->name_len = (uint32_t)dot->name.len;
    memcpy(stream->name, dot->name.at, dot->name.len);
    (void)mkv_seen_add(&stream->seen, 1, dot->counter);
    stream->top = dot->counter;
    link_newest(streams, stream);
    return stream;
}

/* --- Holes -------------------------------------------------------------------------------- */

/* Counters above the recorded ones, of which it is not known which have been heard. */
static bool overflows(const struct mkv_stream *stream)
{
    return stream->top > mkv_seen_top(&stream->seen);
}

/* What was recorded has changed: a hole that begins elsewhere than before is a new one. */
static void look_for_hole(struct mkv_streams *streams,
                          struct mkv_now now,
                          struct mkv_stream *stream,
                          uint64_t low_before)
{
    bool had = stream->since_ms != MKV_NEVER;
    bool has = stream->seen.n_runs > 0 || overflows(stream);

    if (!has) {
        stream->since_ms = MKV_NEVER;
        stream->asked = 0;
        streams->n_holes -= had;
    } else if (!had || stream->seen.low != low_before) {
        stream->since_ms = now.ms;
        streams->n_holes += !had;
    }
}

struct mkv_stream *mkv_streams_hear(struct mkv_streams *streams,
                                    struct mkv_now now,
                                    const struct mkv_tick *dot)
{
    uint64_t hash = hash_of(streams, dot);
    struct mkv_stream *stream = mkv_map_get(&streams->map, hash);

    if (stream == NULL) {
        return add(streams, hash, dot);
    }
    if (!is_of(stream, dot)) {
        return NULL;
    }

    uint64_t low = stream->seen.low;

    (void)mkv_seen_add(&stream->seen, dot->counter, dot->counter);
    if (dot->counter > stream->top) {
        stream->top = dot->counter;
    }
    look_for_hole(streams, now, stream, low);
    unlink_stream(streams, stream);
    link_newest(streams, stream);
    return stream;
}

bool mkv_streams_fill(struct mkv_streams *streams, struct mkv_now now, const struct mkv_tick *dot)
{
    struct mkv_stream *stream = streams->n_holes == 0 ? NULL : mkv_streams_find(streams, dot);

    if (stream == NULL || dot->counter >= stream->top) {
        return false;
    }

    uint64_t low = stream->seen.low;
    bool news = mkv_seen_add(&stream->seen, dot->counter, dot->counter) == MKV_SEEN_NEW;

    look_for_hole(streams, now, stream, low);
    return news;
}

void mkv_streams_close(struct mkv_streams *streams,
                       struct mkv_now now,
                       struct mkv_stream *stream,
                       uint64_t counter)
{
    uint64_t low = stream->seen.low;

    (void)mkv_seen_add(&stream->seen, 1, counter);
    stream->asked = 0;
    look_for_hole(streams, now, stream, low);
}

uint64_t mkv_stream_missing(const struct mkv_stream *stream)
{
    struct mkv_run hole;
    uint64_t n = 0;

    for (uint32_t i = 0; mkv_seen_hole(&stream->seen, i, &hole); i++) {
        n += hole.last - hole.first + 1;
    }
    return overflows(stream) ? n + (stream->top - mkv_seen_top(&stream->seen)) : n;
}
