/* SPDX-License-Identifier: Apache-2.0 */
#include "trace.h"

#include <stdio.h>

#include "sim.h"
#include "wire/topic.h"

static const char *const letters[] = {"open",        "opened",  "refused",   "frames",
                                      "closed",      "connect", "connected", "subscribe",
                                      "unsubscribe", "publish", "answer"};

static void name_end(const struct end *end, char text[16])
{
    static const char *const kinds[] = {"s", "s", "user", "user", "rude", "boss", "b", "b"};

    (void)snprintf(text, 16, "%s%u", kinds[end->kind], end->index % 100);
}

static void tell_frames(struct mkv_bytes stream, char *text, size_t size)
{
    size_t at = 0;

    while (stream.len > 0 && at < size) {
        struct mkv_frame frame;
        struct mkv_bytes map;
        size_t used = 0;

        if (mkv_frame_cut(stream, &map, &used) != 0 || used == 0) {
            return;
        }
        if (mkv_frame_decode(map, &frame) == 0) {
            at += (size_t)snprintf(text + at, size - at, " kind %d id %llu", (int)frame.kind,
                                   (unsigned long long)frame.id);
            if (frame.kind == MKV_FRAME_READ && frame.read.has_since && at < size) {
                at += (size_t)snprintf(text + at, size - at, " since %llu of boot %llx",
                                       (unsigned long long)frame.read.since.position,
                                       (unsigned long long)frame.read.since.nonce);
            }
            if (frame.kind == MKV_FRAME_ERROR && at < size) {
                at +=
                    (size_t)snprintf(text + at, size - at, " error %d '%.*s'", frame.error.code,
                                     (int)frame.error.text.len, (const char *)frame.error.text.at);
            }
        }
        stream = mkv_bytes_after(stream, used);
    }
}

static void tell_ping(struct mkv_bytes payload, char *text, size_t size)
{
    struct mkv_ping ping;

    if (mkv_ping_decode(payload, &ping) == 0) {
        (void)snprintf(
            text, size,
            " %.*s boot %llx no %llu state %u at %llu count %llu digest %02x%02x tock %llu "
            "horizon %llu complete %llu floor %llu",
            (int)ping.name.len, (const char *)ping.name.at, (unsigned long long)ping.nonce,
            (unsigned long long)ping.number, ping.state, (unsigned long long)ping.position,
            (unsigned long long)ping.count, ping.digest[0], ping.digest[1],
            (unsigned long long)(ping.tock >> 12), (unsigned long long)(ping.horizon >> 12),
            (unsigned long long)(ping.complete >> 12), (unsigned long long)(ping.floor >> 12));
    }
}

static void tell_update(struct mkv_bytes payload, char *text, size_t size)
{
    struct mkv_update update;
    const struct mkv_tick *dot = &update.ticks.at[0];

    if (mkv_update_decode(payload, &update) == 0) {
        (void)snprintf(text, size, " %.*s/%llu/%llu (%u ticks) tock %lld + %u %s",
                       (int)dot->name.len, (const char *)dot->name.at, (unsigned long long)dot->seq,
                       (unsigned long long)dot->counter, update.ticks.n,
                       update.has_tock ? (long long)(update.tock >> 12) : -1,
                       (unsigned)(update.tock & 0xfff), update.present ? "value" : "tombstone");
    }
}

void trace_letter(const struct sim *sim,
                  const struct pipe *pipe,
                  unsigned side,
                  const struct letter *letter)
{
    char from[16];
    char to[16];
    char more[400] = "";
    struct mkv_bytes topic = letter->parcel != NULL ? letter->parcel->topic : mkv_bytes(NULL, 0);

    name_end(&pipe->ends[1 - side], from);
    name_end(&pipe->ends[side], to);
    if (letter->kind == LETTER_FRAMES) {
        tell_frames(letter->parcel->payload, more, sizeof(more));
    } else if (letter->kind == LETTER_PUBLISH && mkv_topic_is_svc(sim_root, "act", topic)) {
        tell_ping(letter->parcel->payload, more, sizeof(more));
    } else if (letter->kind == LETTER_PUBLISH) {
        tell_update(letter->parcel->payload, more, sizeof(more));
    }
    sim_trace(sim, "%s -> %s %s %.*s%s", from, to, letters[letter->kind], (int)topic.len,
              (const char *)topic.at, more);
}
