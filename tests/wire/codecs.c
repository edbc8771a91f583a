/* SPDX-License-Identifier: Apache-2.0 */
#include "codecs.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/limits.h"
#include "lib/check.h"
#include "lib/mem_fault.h"

static void draw_update(struct messages *m, enum mkv_frame_kind kind, union message *ret_message)
{
    (void)kind;
    messages_update(m, &ret_message->update);
}

static int encode_update(const union message *message, struct mkv_buf *out)
{
    return mkv_update_encode(&message->update, out);
}

static int decode_update(struct mkv_bytes in, union message *ret_message)
{
    return mkv_update_decode(in, &ret_message->update);
}

static bool same_update(const union message *a, const union message *b)
{
    return messages_same_update(&a->update, &b->update);
}

static void draw_query(struct messages *m, enum mkv_frame_kind kind, union message *ret_message)
{
    (void)kind;
    messages_query(m, &ret_message->query);
}

static int encode_query(const union message *message, struct mkv_buf *out)
{
    return mkv_query_encode(&message->query, out);
}

static int decode_query(struct mkv_bytes in, union message *ret_message)
{
    return mkv_query_decode(in, &ret_message->query);
}

static bool same_query(const union message *a, const union message *b)
{
    return messages_same_query(&a->query, &b->query);
}

static void draw_server(struct messages *m, enum mkv_frame_kind kind, union message *ret_message)
{
    (void)kind;
    messages_server_reply(m, &ret_message->server_reply);
}

static int encode_server(const union message *message, struct mkv_buf *out)
{
    return mkv_server_reply_encode(&message->server_reply, out);
}

static int decode_server(struct mkv_bytes in, union message *ret_message)
{
    return mkv_server_reply_decode(in, &ret_message->server_reply);
}

static bool same_server(const union message *a, const union message *b)
{
    return messages_same_server_reply(&a->server_reply, &b->server_reply);
}

static void draw_birth(struct messages *m, enum mkv_frame_kind kind, union message *ret_message)
{
    (void)kind;
    messages_birth(m, &ret_message->birth);
}

static int encode_birth(const union message *message, struct mkv_buf *out)
{
    return mkv_birth_encode(&message->birth, out);
}

static int decode_birth(struct mkv_bytes in, union message *ret_message)
{
    return mkv_birth_decode(in, &ret_message->birth);
}

static bool same_birth(const union message *a, const union message *b)
{
    return messages_same_birth(&a->birth, &b->birth);
}

static void draw_ping(struct messages *m, enum mkv_frame_kind kind, union message *ret_message)
{
    (void)kind;
    messages_ping(m, &ret_message->ping);
}

static int encode_ping(const union message *message, struct mkv_buf *out)
{
    return mkv_ping_encode(&message->ping, out);
}

static int decode_ping(struct mkv_bytes in, union message *ret_message)
{
    return mkv_ping_decode(in, &ret_message->ping);
}

static bool same_ping(const union message *a, const union message *b)
{
    return messages_same_ping(&a->ping, &b->ping);
}

static void draw_frame(struct messages *m, enum mkv_frame_kind kind, union message *ret_message)
{
    messages_frame(m, kind, &ret_message->frame);
}

static int encode_frame(const union message *message, struct mkv_buf *out)
{
    struct mkv_buf frame;
    struct mkv_bytes map;
    size_t used;

    mkv_buf_init(&frame, MKV_FRAME_MAX + 4U);

    int error = mkv_frame_encode(&message->frame, &frame);

    if (error == 0) {
        error = mkv_frame_cut(mkv_buf_bytes(&frame), &map, &used);
    }
    if (error == 0) {
        assert_true(used == frame.len);
        error = mkv_buf_append(out, map);
    }
    mkv_buf_deinit(&frame);
    return error;
}

static int decode_frame(struct mkv_bytes in, union message *ret_message)
{
    return mkv_frame_decode(in, &ret_message->frame);
}

static bool same_frame(const union message *a, const union message *b)
{
    return messages_same_frame(&a->frame, &b->frame);
}

const struct codec codec_update = {"update",      0,          draw_update, encode_update,
                                   decode_update, same_update};
const struct codec codec_query = {"query", 0, draw_query, encode_query, decode_query, same_query};
const struct codec codec_server = {"server",      0,          draw_server, encode_server,
                                   decode_server, same_server};
const struct codec codec_birth = {"birth", 0, draw_birth, encode_birth, decode_birth, same_birth};
const struct codec codec_ping = {"ping", 0, draw_ping, encode_ping, decode_ping, same_ping};
const struct codec codec_frame = {"frame", 0, draw_frame, encode_frame, decode_frame, same_frame};

const struct codec *codec_named(const char *name)
{
    static const struct codec *const codecs[] = {&codec_update, &codec_query, &codec_server,
                                                 &codec_birth,  &codec_ping,  &codec_frame};

    for (size_t i = 0; i < sizeof(codecs) / sizeof(*codecs); i++) {
        if (strcmp(codecs[i]->name, name) == 0) {
            return codecs[i];
        }
    }
    return NULL;
}

#define CHECK(codec, seed, condition)                                                              \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fail_msg("%s %d, seed %" PRIu64 ": %s", (codec)->name, (int)(codec)->frame_kind,       \
                     (seed), #condition);                                                          \
        }                                                                                          \
    } while (0)

/* Bytes in a block of their own size, so that a sanitizer sees a read beyond them. */
static uint8_t *tight(struct mkv_bytes bytes)
{
    uint8_t *at = malloc(bytes.len > 0 ? bytes.len : 1);

    assert_non_null(at);
    if (bytes.len > 0) {
        memcpy(at, bytes.at, bytes.len);
    }
    return at;
}

/* Draws a message and encodes it; @m owns its bytes. */
static struct messages *draw(const struct codec *codec,
                             uint64_t seed,
                             union message *ret_message,
                             struct mkv_buf *out)
{
    struct messages *m = calloc(1, sizeof(*m));

    assert_non_null(m);
    m->prng.state = seed;
    codec->draw(m, codec->frame_kind, ret_message);
    mkv_buf_init(out, MKV_FRAME_MAX);
    CHECK(codec, seed, codec->encode(ret_message, out) == 0);
    return m;
}

static void check_reencodes(const struct codec *codec, uint64_t seed, struct mkv_bytes in)
{
    union message first;
    union message second;
    struct mkv_buf out;

    if (codec->decode(in, &first) != 0) {
        return;
    }
    mkv_buf_init(&out, MKV_FRAME_MAX);
    CHECK(codec, seed, codec->encode(&first, &out) == 0);
    CHECK(codec, seed, codec->decode(mkv_buf_bytes(&out), &second) == 0);
    CHECK(codec, seed, codec->same(&first, &second));
    mkv_buf_deinit(&out);
}

void codec_check_round_trip(const struct codec *codec, uint64_t seed)
{
    union message message;
    union message decoded;
    struct mkv_buf bytes;
    struct mkv_buf again;
    struct messages *m = draw(codec, seed, &message, &bytes);

    CHECK(codec, seed, codec->decode(mkv_buf_bytes(&bytes), &decoded) == 0);
    CHECK(codec, seed, codec->same(&message, &decoded));

    mkv_buf_init(&again, MKV_FRAME_MAX);
    CHECK(codec, seed, codec->encode(&decoded, &again) == 0);
    CHECK(codec, seed, mkv_bytes_equal(mkv_buf_bytes(&bytes), mkv_buf_bytes(&again)));
    mkv_buf_deinit(&again);
    mkv_buf_deinit(&bytes);
    free(m);
}

void codec_check_prefixes(const struct codec *codec, uint64_t seed)
{
    union message message;
    struct mkv_buf bytes;
    struct messages *m = draw(codec, seed, &message, &bytes);

    for (size_t len = 0; len < bytes.len; len++) {
        uint8_t *copy = tight(mkv_bytes(bytes.at, len));

        CHECK(codec, seed, codec->decode(mkv_bytes(copy, len), &message) < 0);
        free(copy);
    }
    mkv_buf_deinit(&bytes);
    free(m);
}

void codec_check_flips(const struct codec *codec, uint64_t seed)
{
    union message message;
    struct mkv_buf bytes;
    struct messages *m = draw(codec, seed, &message, &bytes);
    uint8_t *copy = tight(mkv_buf_bytes(&bytes));

    for (size_t bit = 0; bit < 8 * bytes.len; bit++) {
        copy[bit / 8] ^= (uint8_t)(1U << bit % 8);
        check_reencodes(codec, seed, mkv_bytes(copy, bytes.len));
        copy[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    free(copy);
    mkv_buf_deinit(&bytes);
    free(m);
}

void codec_check_faults(const struct codec *codec, uint64_t seed)
{
    union message message;
    struct mkv_buf bytes;
    struct messages *m = draw(codec, seed, &message, &bytes);
    size_t live = mem_fault_live();

    for (unsigned n = 1;; n++) {
        struct mkv_buf out;

        mkv_buf_init(&out, MKV_FRAME_MAX);
        mem_fault_at(n);

        int error = codec->encode(&message, &out);
        bool hit = mem_fault_struck();

        mem_fault_at(0);
        CHECK(codec, seed, error == (hit ? MKV_E_NO_MEMORY : 0));
        CHECK(codec, seed, out.len == (hit ? 0 : bytes.len));
        mkv_buf_deinit(&out);
        CHECK(codec, seed, mem_fault_live() == live);
        if (!hit) {
            break;
        }
    }
    mkv_buf_deinit(&bytes);
    free(m);
}
