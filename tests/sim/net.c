/* SPDX-License-Identifier: Apache-2.0 */
#include "net.h"

#include <stdlib.h>

#include "base/assert.h"
#include "sim.h"

#define OPENING_MS   5000  /* a stream that is not there by then is given up */
#define HALF_OPEN_MS 30000 /* until the other end learns of it, at most */
#define SOON_MS      50

static bool is_free(const struct sim *sim, unsigned from, unsigned to)
{
    return sim->net.blocked[from][to] == 0 && sim->net.paused_ms[to] == 0;
}

int64_t net_delay_ms(struct sim *sim)
{
    return (int64_t)prng_below(&sim->prng, (uint64_t)sim->net.delay_max_ms + 1);
}

static void tell_closed(struct sim *sim, struct event *event)
{
    struct pipe *pipe = event->subject;
    unsigned side = (unsigned)event->a;

    if (!pipe->shut[side]) {
        pipe->shut[side] = true;
        fifo_clear(&pipe->held[side]);
        sim_arrive(sim, pipe, side, &(struct letter){.kind = LETTER_CLOSED});
    }
}

static void plan_closed(struct sim *sim, struct pipe *pipe, unsigned side, int64_t within_ms)
{
    queue_push(&sim->queue,
               (struct event){.at_ms = sim->now_ms +
                                       (int64_t)prng_below(&sim->prng, (uint64_t)within_ms + 1),
                              .run = tell_closed,
                              .subject = pipe,
                              .a = side});
}

void net_break(struct sim *sim, struct pipe *pipe)
{
    unsigned first = (unsigned)prng_below(&sim->prng, 2);
    bool half_open = prng_below(&sim->prng, 3) == 0;

    if (pipe->broken) {
        return;
    }
    pipe->broken = true;
    plan_closed(sim, pipe, first, SOON_MS);
    plan_closed(sim, pipe, 1 - first, half_open ? HALF_OPEN_MS : SOON_MS);
}

static void lose_patience(struct sim *sim, struct event *event)
{
    struct pipe *pipe = event->subject;

    if (pipe->stalled_ms != 0 && (uint64_t)pipe->stalled_ms == event->a) {
        net_break(sim, pipe);
    }
}

static void hold(struct sim *sim, struct pipe *pipe, unsigned side, struct letter letter)
{
    fifo_push(&pipe->held[side], letter);
    if (pipe->stalled_ms == 0) {
        int64_t patience_ms = pipe->established ? sim->net.patience_ms : OPENING_MS;

        pipe->stalled_ms = sim->now_ms;
        queue_push(&sim->queue, (struct event){.at_ms = sim->now_ms + patience_ms,
                                               .run = lose_patience,
                                               .subject = pipe,
                                               .a = (uint64_t)sim->now_ms});
    }
}

/* Letter @letter has come to end @side. */
static void take(struct sim *sim, struct pipe *pipe, unsigned side, const struct letter *letter)
{
    if (letter->kind == LETTER_CLOSED || letter->kind == LETTER_REFUSED) {
        pipe->shut[side] = true;
    } else if (letter->kind == LETTER_OPENED || letter->kind == LETTER_CONNACK) {
        pipe->established = true;
    }
    sim_arrive(sim, pipe, side, letter);
}

static void arrive(struct sim *sim, struct event *event)
{
    struct pipe *pipe = event->subject;
    unsigned side = (unsigned)event->a;

    if (pipe->shut[side]) {
        return;
    }
    if (!is_free(sim, pipe->ends[1 - side].host, pipe->ends[side].host) || pipe->held[side].n > 0) {
        hold(sim, pipe, side, event->letter);
        event->letter.parcel = NULL;
        return;
    }
    take(sim, pipe, side, &event->letter);
}

static void post(struct sim *sim, struct pipe *pipe, unsigned side, struct letter letter)
{
    int64_t at_ms = sim->now_ms + net_delay_ms(sim);

    if (at_ms < pipe->last_ms[side]) {
        at_ms = pipe->last_ms[side];
    }
    pipe->last_ms[side] = at_ms;
    queue_push(&sim->queue,
               (struct event){
                   .at_ms = at_ms, .run = arrive, .subject = pipe, .a = side, .letter = letter});
}

void net_send(struct sim *sim, struct pipe *pipe, unsigned side, struct letter letter)
{
    if (pipe->shut[side] || pipe->broken) {
        parcel_unref(letter.parcel);
        return;
    }
    post(sim, pipe, 1 - side, letter);
}

void net_close(struct sim *sim, struct pipe *pipe, unsigned side)
{
    if (!pipe->shut[side]) {
        net_send(sim, pipe, side, (struct letter){.kind = LETTER_CLOSED});
        pipe->shut[side] = true;
        fifo_clear(&pipe->held[side]);
    }
}

struct pipe *net_open(struct sim *sim, struct end from, struct end to, struct letter first)
{
    struct net *net = &sim->net;
    struct pipe *pipe = calloc(1, sizeof(*pipe));

    MKV_ASSERT(pipe != NULL);
    if (net->n_pipes == net->pipes_cap) {
        net->pipes_cap = net->pipes_cap > 0 ? 2 * net->pipes_cap : 64;
        net->pipes = realloc(net->pipes, net->pipes_cap * sizeof(struct pipe *));
        MKV_ASSERT(net->pipes != NULL);
    }
    net->pipes[net->n_pipes++] = pipe;
    pipe->number = net->n_pipes;
    pipe->ends[0] = from;
    pipe->ends[1] = to;
    post(sim, pipe, 1, first);
    return pipe;
}

void net_host_dies(struct sim *sim, unsigned host, bool silently)
{
    struct net *net = &sim->net;

    for (size_t i = 0; i < net->n_pipes; i++) {
        struct pipe *pipe = net->pipes[i];

        for (unsigned side = 0; side < 2; side++) {
            if (pipe->ends[side].host == host && !pipe->shut[side]) {
                pipe->shut[side] = true;
                pipe->broken = true;
                fifo_clear(&pipe->held[side]);
                plan_closed(sim, pipe, 1 - side, silently ? HALF_OPEN_MS : SOON_MS);
            }
        }
    }
}

/* What waits for end @side goes on, if the way is free now. */
static void let_go(struct sim *sim, struct pipe *pipe, unsigned side)
{
    while (pipe->held[side].n > 0 &&
           is_free(sim, pipe->ends[1 - side].host, pipe->ends[side].host)) {
        struct letter letter = fifo_pop(&pipe->held[side]);

        if (!pipe->shut[side]) {
            take(sim, pipe, side, &letter);
        }
        parcel_unref(letter.parcel);
    }
    if (pipe->held[0].n + pipe->held[1].n == 0) {
        pipe->stalled_ms = 0;
    }
}

static void let_all_go(struct sim *sim)
{
    for (size_t i = 0; i < sim->net.n_pipes; i++) {
        let_go(sim, sim->net.pipes[i], 0);
        let_go(sim, sim->net.pipes[i], 1);
    }
}

static void unblock(struct sim *sim, struct event *event)
{
    unsigned *blocked = &sim->net.blocked[event->a][event->b];

    if (*blocked > 0 && --*blocked == 0) {
        let_all_go(sim);
    }
}

void net_block(struct sim *sim, unsigned from, unsigned to, int64_t ms)
{
    sim->net.blocked[from][to]++;
    queue_push(&sim->queue,
               (struct event){.at_ms = sim->now_ms + ms, .run = unblock, .a = from, .b = to});
}

static void wake(struct sim *sim, struct event *event)
{
    int64_t *paused_ms = &sim->net.paused_ms[event->a];

    if (*paused_ms != 0 && *paused_ms <= sim->now_ms) {
        *paused_ms = 0;
        let_all_go(sim);
    }
}

void net_pause(struct sim *sim, unsigned host, int64_t ms)
{
    sim->net.paused_ms[host] = sim->now_ms + ms;
    queue_push(&sim->queue, (struct event){.at_ms = sim->now_ms + ms, .run = wake, .a = host});
}

bool net_paused(const struct sim *sim, unsigned host)
{
    return sim->net.paused_ms[host] != 0;
}

void net_heal(struct sim *sim)
{
    memset(sim->net.blocked, 0, sizeof(sim->net.blocked));
    memset(sim->net.paused_ms, 0, sizeof(sim->net.paused_ms));
    let_all_go(sim);
}

void net_deinit(struct net *net)
{
    for (size_t i = 0; i < net->n_pipes; i++) {
        fifo_deinit(&net->pipes[i]->held[0]);
        fifo_deinit(&net->pipes[i]->held[1]);
        free(net->pipes[i]);
    }
    free(net->pipes);
    *net = (struct net){0};
}
