/* SPDX-License-Identifier: Apache-2.0 */
#include "boss.h"

#include "base/assert.h"
#include "sim.h"

void boss_init(struct sim *sim)
{
    sim->boss = (struct boss){.host = sim->n_hosts++};
}

void boss_evict(struct sim *sim,
                unsigned asked,
                unsigned evicts,
                const uint8_t uuid[MKV_STORE_ID_LEN])
{
    struct boss *boss = &sim->boss;

    if (boss->link != NULL) {
        return;
    }
    memcpy(boss->uuid, uuid, MKV_STORE_ID_LEN);
    boss->evicts = evicts;
    boss->link = net_open(
        sim, (struct end){.kind = END_BOSS, .host = boss->host},
        (struct end){.kind = END_MACHINE_LINK, .host = sim->machines[asked].host, .index = asked},
        (struct letter){.kind = LETTER_OPEN});
}

static void send(struct sim *sim, const struct mkv_frame *frame)
{
    struct mkv_buf bytes;
    int error;

    mkv_buf_init(&bytes, MKV_FRAME_MAX);
    error = mkv_frame_encode(frame, &bytes);
    MKV_ASSERT(error == 0);
    net_send(sim, sim->boss.link, 0,
             (struct letter){.kind = LETTER_FRAMES,
                             .parcel = parcel_new(mkv_bytes(NULL, 0), mkv_buf_bytes(&bytes), 0)});
    mkv_buf_deinit(&bytes);
}

/* From now on what that server holds alone is not expected to survive. */
static void take_frames(struct sim *sim, struct mkv_bytes stream)
{
    while (stream.len > 0) {
        struct mkv_frame frame;
        struct mkv_bytes map;
        size_t used = 0;

        if (mkv_frame_cut(stream, &map, &used) != 0 || used == 0) {
            return;
        }
        if (mkv_frame_decode(map, &frame) == 0 && frame.kind == MKV_FRAME_DONE) {
            reach(&sim->reach, REACH_EVICTED);
            machine_eviction_done(&sim->machines[sim->boss.evicts], sim->boss.uuid);
        }
        stream = mkv_bytes_after(stream, used);
    }
}

void boss_arrive(struct sim *sim, const struct pipe *pipe, const struct letter *letter)
{
    struct boss *boss = &sim->boss;
    struct mkv_frame evict = {.kind = MKV_FRAME_EVICT, .id = 1};

    if (pipe != boss->link) {
        return;
    }
    switch (letter->kind) {
    case LETTER_OPENED:
        memcpy(evict.uuid, boss->uuid, MKV_STORE_ID_LEN);
        send(sim, &(struct mkv_frame){
                      .kind = MKV_FRAME_HELLO,
                      .hello = {.versions = {1, 1}, .software = mkv_bytes_of("boss")},
                  });
        send(sim, &(struct mkv_frame){.kind = MKV_FRAME_AUTH,
                                      .auth = {.mechanism = mkv_bytes_of("EXTERNAL")}});
        machine_evicted(&sim->machines[boss->evicts], boss->uuid);
        send(sim, &evict);
        break;
    case LETTER_FRAMES:
        take_frames(sim, letter->parcel->payload);
        break;
    case LETTER_REFUSED:
    case LETTER_CLOSED:
        boss->link = NULL;
        break;
    default:
        break;
    }
}
