/* SPDX-License-Identifier: Apache-2.0 */
#include "rude.h"

#include <stdio.h>

#include "base/assert.h"
#include "core/tock.h"
#include "sim.h"
#include "wire/topic.h"

struct mkv_bytes rude_value(struct prng *prng, uint8_t space[RUDE_VALUE_MAX])
{
    size_t len = prng_below(prng, 20) == 0 ? 24 + prng_below(prng, RUDE_VALUE_MAX - 30) : 0;
    size_t head = len < 256 ? 2 : 3;

    if (len == 0) {
        space[0] = (uint8_t)prng_below(prng, 24); /* a small number */
        return mkv_bytes(space, 1);
    }
    space[0] = len < 256 ? 0x58 : 0x59; /* a string of bytes */
    space[1] = (uint8_t)(len < 256 ? len : len >> 8);
    space[2] = (uint8_t)len;
    prng_fill(prng, space + head, len);
    return mkv_bytes(space, head + len);
}

static struct mkv_bytes name_of(const struct rude *rude)
{
    return mkv_bytes(rude->name, strnlen(rude->name, sizeof(rude->name)));
}

/* Publishes by one broker, sometimes by all at once. */
static void publish(struct sim *sim,
                    struct prng *prng,
                    unsigned key,
                    const struct mkv_update *update,
                    bool doubtful)
{
    struct mkv_buf topic;
    struct mkv_buf payload;
    struct parcel *parcel;
    int error;

    mkv_buf_init(&topic, MKV_TOPIC_MAX);
    mkv_buf_init(&payload, MKV_UPDATE_MAX);
    error = mkv_topic_of_path(sim_root, MKV_PROFILE_PLAIN, mkv_buf_bytes(&sim->oracle.keys[key]),
                              &topic);
    MKV_ASSERT(error == 0);
    error = mkv_update_encode(update, &payload);
    MKV_ASSERT(error == 0);
    oracle_published(sim, mkv_buf_bytes(&topic), mkv_buf_bytes(&payload), doubtful);
    parcel = parcel_new(mkv_buf_bytes(&topic), mkv_buf_bytes(&payload), 1);
    broker_publish(sim, (unsigned)prng_below(prng, sim->n_brokers),
                   &(struct letter){.parcel = parcel});
    if (prng_below(prng, 4) == 0) { /* a repeat, much later perhaps */
        sim_publish_later(sim, (unsigned)prng_below(prng, sim->n_brokers), parcel,
                          (int64_t)prng_below(prng, 1 + prng_below(prng, 200000)));
    }
    parcel_unref(parcel);
    mkv_buf_deinit(&topic);
    mkv_buf_deinit(&payload);
}

static uint64_t usual_tock(const struct sim *sim, struct prng *prng)
{
    uint64_t tock = ((uint64_t)sim_true_ms(sim) + prng_below(prng, 4000)) << MKV_TOCK_MS_SHIFT;

    return prng_below(prng, 3) == 0 ? tock & ~UINT64_C(0xffffff) : tock; /* often the same */
}

static uint64_t low_tock(const struct sim *sim, struct prng *prng)
{
    uint64_t horizon = (uint64_t)sim->times.horizon_ms;
    uint64_t ago = horizon / 2 + prng_below(prng, 3 * horizon);

    return prng_below(prng, 4) == 0 ? 1 + prng_below(prng, 10)
                                    : ((uint64_t)sim_true_ms(sim) - ago) << MKV_TOCK_MS_SHIFT;
}

static uint64_t huge_tock(const struct sim *sim, struct prng *prng)
{
    uint64_t now = (uint64_t)sim_true_ms(sim) << MKV_TOCK_MS_SHIFT;

    switch (prng_below(prng, 3)) {
    case 0:
        return MKV_TOCK_MAX + 1 + prng_below(prng, 1000);
    case 1:
        return MKV_TOCK_MAX - prng_below(prng, 1000);
    default:
        return now + MKV_TOCK_AHEAD_MAX * (1 + prng_below(prng, 10));
    }
}

/* It names what some server has there, mostly. */
static void add_known(const struct sim *sim,
                      struct prng *prng,
                      unsigned key,
                      struct mkv_ticks *ticks)
{
    const struct machine *machine = &sim->machines[prng_below(prng, sim->n_machines)];
    const struct known *known = &machine->last.at[key];

    if (!known->has || prng_below(prng, 3) == 0) {
        return;
    }
    ticks->at[1] = (struct mkv_tick){
        .name = mkv_bytes(known->name, known->name_len),
        .seq = known->head.seq,
        .counter = known->head.counter,
    };
    ticks->n = mkv_tick_same_stream(&ticks->at[0], &ticks->at[1]) ? 1 : 2;
}

static void write_as(struct sim *sim, struct rude *rude, enum fault what, struct prng *prng)
{
    uint8_t space[RUDE_VALUE_MAX];
    bool forges = what == FAULT_FORGED_NAME;
    bool again = (what == FAULT_CHANGED_REPEAT || what == FAULT_REUSED_COUNTER) && rude->has_last;
    char forged[] = {'s', (char)('0' + prng_below(prng, 6)), '\0'};
    unsigned key = again && prng_below(prng, 4) != 0
                       ? rude->key
                       : (unsigned)prng_below(prng, sim->oracle.n_paths);
    struct mkv_update update = {
        .has_tock = what != FAULT_NO_TOCK, .present = prng_below(prng, 3) != 0, .ticks = {.n = 1}};

    rude->counter += what == FAULT_COUNTER_JUMP ? 1000000 : again ? 0 : 1;
    update.ticks.at[0] = (struct mkv_tick){
        .name = forges ? mkv_bytes_of(forged) : name_of(rude),
        .seq = forges ? prng_below(prng, 1000) : rude->seq,
        .counter = rude->counter,
    };
    add_known(sim, prng, key, &update.ticks);
    if (update.present) {
        update.value = rude_value(prng, space);
    }
    if (update.has_tock) {
        update.tock = what == FAULT_LOW_TOCK                  ? low_tock(sim, prng)
                      : what == FAULT_HUGE_TOCK               ? huge_tock(sim, prng)
                      : what == FAULT_CHANGED_REPEAT && again ? rude->tock
                                                              : usual_tock(sim, prng);
    }
    rude->key = key;
    rude->tock = update.has_tock ? update.tock : usual_tock(sim, prng);
    rude->has_last = true;
    publish(sim, prng, key, &update, forges || again || update.ticks.n > 1);
}

static void publish_garbage(struct sim *sim, struct prng *prng)
{
    uint8_t bytes[40];
    size_t len = 1 + prng_below(prng, sizeof(bytes));
    struct parcel *parcel;

    prng_fill(prng, bytes, len);
    parcel =
        parcel_new(mkv_bytes_of(prng_below(prng, 2) == 0 ? SIM_ROOT "/d/a" : SIM_ROOT "/svc/act"),
                   mkv_bytes(bytes, len), 1);
    broker_publish(sim, (unsigned)prng_below(prng, sim->n_brokers),
                   &(struct letter){.parcel = parcel});
    parcel_unref(parcel);
}

static void take_session(struct sim *sim, struct rude *rude, struct prng *prng)
{
    const struct machine *machine = &sim->machines[prng_below(prng, sim->n_machines)];

    rude->seq = 0;
    rude->counter = 0;
    rude->has_last = false;
    rude->link = net_open(
        sim, (struct end){.kind = END_RUDE_LINK, .host = rude->host, .index = rude->index},
        (struct end){.kind = END_MACHINE_LINK, .host = machine->host, .index = machine->index},
        (struct letter){.kind = LETTER_OPEN});
}

void rude_act(struct sim *sim, struct rude *rude, enum fault what, struct prng *prng)
{
    if (what == FAULT_MALFORMED) {
        publish_garbage(sim, prng);
    } else if (rude->seq == 0 && rude->link == NULL && what != FAULT_FORGED_NAME) {
        take_session(sim, rude, prng);
    } else if (rude->seq != 0 || what == FAULT_FORGED_NAME) {
        write_as(sim, rude, what, prng);
    }
}

static void send(struct sim *sim, const struct rude *rude, const struct mkv_frame *frame)
{
    struct mkv_buf bytes;
    int error;

    mkv_buf_init(&bytes, MKV_FRAME_MAX);
    error = mkv_frame_encode(frame, &bytes);
    MKV_ASSERT(error == 0);
    net_send(sim, rude->link, 0,
             (struct letter){.kind = LETTER_FRAMES,
                             .parcel = parcel_new(mkv_bytes(NULL, 0), mkv_buf_bytes(&bytes), 0)});
    mkv_buf_deinit(&bytes);
}

static void take_frames(struct rude *rude, struct mkv_bytes stream)
{
    while (stream.len > 0) {
        struct mkv_frame frame;
        struct mkv_bytes map;
        size_t used = 0;

        if (mkv_frame_cut(stream, &map, &used) != 0 || used == 0) {
            return;
        }
        if (mkv_frame_decode(map, &frame) == 0 && frame.kind == MKV_FRAME_SESSION &&
            frame.session.name.len < sizeof(rude->name)) {
            memset(rude->name, 0, sizeof(rude->name));
            memcpy(rude->name, frame.session.name.at, frame.session.name.len);
            rude->seq = frame.session.seq;
        }
        stream = mkv_bytes_after(stream, used);
    }
}

void rude_arrive(struct sim *sim, struct pipe *pipe, unsigned side, const struct letter *letter)
{
    struct rude *rude = &sim->rudes[pipe->ends[side].index];

    if (rude->link != pipe) {
        return;
    }
    switch (letter->kind) {
    case LETTER_OPENED:
        send(sim, rude,
             &(struct mkv_frame){
                 .kind = MKV_FRAME_HELLO,
                 .hello = {.versions = {1, 1}, .software = mkv_bytes_of("rude")},
             });
        send(sim, rude,
             &(struct mkv_frame){.kind = MKV_FRAME_AUTH,
                                 .auth = {.mechanism = mkv_bytes_of("EXTERNAL")}});
        break;
    case LETTER_FRAMES:
        take_frames(rude, letter->parcel->payload);
        break;
    case LETTER_REFUSED:
    case LETTER_CLOSED: /* it goes on with the dead session for a while */
        rude->link = NULL;
        if (prng_below(&sim->prng, 2) == 0) {
            rude->seq = 0;
        }
        break;
    default:
        break;
    }
}

void rude_init(struct sim *sim, unsigned index)
{
    sim->rudes[index] = (struct rude){.index = index, .host = sim->n_hosts++};
}
