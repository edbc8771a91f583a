/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All messages behind one face, so that what must hold for each of them is written once.
 */
#ifndef MKV_TESTS_WIRE_CODECS_H
#define MKV_TESTS_WIRE_CODECS_H

#include "messages.h"

union message {
    struct mkv_update update;
    struct mkv_query query;
    struct mkv_server_reply server_reply;
    struct mkv_birth birth;
    struct mkv_ping ping;
    struct mkv_frame frame;
};

struct codec {
    const char *name;               /* as in tests/vectors/messages.json */
    enum mkv_frame_kind frame_kind; /* which frames draw() makes */
    void (*draw)(struct messages *m, enum mkv_frame_kind kind, union message *ret_message);
    int (*encode)(const union message *message, struct mkv_buf *out);
    int (*decode)(struct mkv_bytes in, union message *ret_message);
    bool (*same)(const union message *a, const union message *b);
};

extern const struct codec codec_update;
extern const struct codec codec_query;
extern const struct codec codec_server;
extern const struct codec codec_birth;
extern const struct codec codec_ping;
/* Encodes without the length before the map; draw() needs a kind. */
extern const struct codec codec_frame;

/* The one of that name, or NULL. */
const struct codec *codec_named(const char *name);

/*
 * Properties, as assertions of cmocka.  Each says seed and kind when it fails.
 */
/* What is decoded after encoding is the same, and encodes to the same bytes. */
void codec_check_round_trip(const struct codec *codec, uint64_t seed);
/* No true prefix of a message is one. */
void codec_check_prefixes(const struct codec *codec, uint64_t seed);
/* Whatever one flipped bit makes of it is refused, or is a message that passes the round trip. */
void codec_check_flips(const struct codec *codec, uint64_t seed);
/* Failing allocations are reported, and leave the output as it was. */
void codec_check_faults(const struct codec *codec, uint64_t seed);

#endif
