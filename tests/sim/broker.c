/* SPDX-License-Identifier: Apache-2.0 */
#include "broker.h"

#include "base/assert.h"
#include "sim.h"

#define BRIDGE_RETRY_MS 1000
#define HOPS_MAX        6U /* in a ring of bridges there is no end to it, but here */

static bool matches(struct mkv_bytes filter, struct mkv_bytes topic)
{
    if (filter.len >= 2 && filter.at[filter.len - 1] == '#') {
        struct mkv_bytes path = mkv_bytes(filter.at, filter.len - 2);

        return mkv_bytes_equal(topic, path) ||
               (mkv_bytes_starts_with(topic, path) && topic.at[path.len] == '/');
    }
    return mkv_bytes_equal(filter, topic);
}

static bool is_subscribed(const struct session *session, struct mkv_bytes topic)
{
    if (session->is_bridge) {
        return true;
    }
    for (unsigned i = 0; i < session->n_filters; i++) {
        if (matches(session->filters[i]->topic, topic)) {
            return true;
        }
    }
    return false;
}

/* The end of a session's stream that is the broker's own. */
static unsigned own_side(const struct broker *broker, const struct pipe *pipe)
{
    return pipe->ends[0].host == broker->host ? 0 : 1;
}

static void send_to(struct sim *sim,
                    const struct broker *broker,
                    struct session *session,
                    const struct letter *letter)
{
    net_send(sim, session->pipe, own_side(broker, session->pipe),
             (struct letter){.kind = LETTER_PUBLISH,
                             .hops = letter->hops,
                             .parcel = parcel_ref(letter->parcel)});
}

/* Sends as many of the queue as may be in flight. */
static void pump(struct sim *sim, const struct broker *broker, struct session *session)
{
    struct fifo *queue = &session->queue;

    while (session->pipe != NULL && session->n_in_flight < queue->n &&
           session->n_in_flight < sim->limits.in_flight_max) {
        size_t next = (queue->first + session->n_in_flight) % queue->cap;

        session->n_in_flight++;
        send_to(sim, broker, session, &queue->at[next]);
    }
}

static void enqueue(struct sim *sim,
                    const struct broker *broker,
                    struct session *session,
                    struct letter letter)
{
    if (letter.parcel->qos == 0) {
        if (session->pipe != NULL) {
            send_to(sim, broker, session, &letter);
        }
        return;
    }
    if (session->queue.n - session->n_in_flight >= sim->limits.queue_max) {
        reach(&sim->reach, REACH_BROKER_DROPS);
        return;
    }
    parcel_ref(letter.parcel);
    fifo_push(&session->queue, letter);
    pump(sim, broker, session);
}

/* A copy that went its own way: whoever has that end now gets it. */
static void arrive_astray(struct sim *sim, struct event *event)
{
    const struct pipe *pipe = event->subject;

    sim->n_astray--;
    sim_astray(sim, pipe, (unsigned)event->a, &event->letter);
}

static void stray(struct sim *sim,
                  const struct broker *broker,
                  const struct session *session,
                  struct letter letter,
                  int64_t ms)
{
    if (session->pipe != NULL) {
        sim->n_astray++;
        queue_push(&sim->queue, (struct event){.at_ms = sim->now_ms + ms,
                                               .run = arrive_astray,
                                               .subject = session->pipe,
                                               .a = 1 - own_side(broker, session->pipe),
                                               .letter = letter});
        parcel_ref(letter.parcel);
    }
}

static bool strikes(struct sim *sim, enum fault fault)
{
    unsigned rate = sim->raging ? sim->rates.of[fault] : 0;

    return rate > 0 && prng_below(&sim->prng, 1000) < rate;
}

static void deliver(struct sim *sim,
                    const struct broker *broker,
                    struct session *session,
                    struct parcel *parcel,
                    unsigned hops)
{
    if (sim->limits.payload_max > 0 && parcel->payload.len > sim->limits.payload_max) {
        reach(&sim->reach, REACH_OVERSIZE);
        return;
    }
    if (strikes(sim, FAULT_LOSS)) {
        return;
    }
    for (unsigned copies = strikes(sim, FAULT_DUPLICATE) ? 2 : 1; copies > 0; copies--) {
        struct letter letter = {.parcel = parcel, .hops = hops};
        uint64_t horizon_ms = (uint64_t)sim->times.horizon_ms;

        if (parcel->qos > 0 && strikes(sim, FAULT_LATE)) {
            stray(sim, broker, session, letter,
                  (int64_t)(horizon_ms + prng_below(&sim->prng, 4 * horizon_ms)));
        } else if (strikes(sim, FAULT_REORDER)) {
            stray(sim, broker, session, letter, (int64_t)prng_below(&sim->prng, 3000));
        } else {
            enqueue(sim, broker, session, letter);
        }
    }
}

static void publish(struct sim *sim,
                    struct broker *broker,
                    const struct session *origin,
                    const struct letter *letter)
{
    for (unsigned i = 0; i < BROKER_SESSIONS_MAX; i++) {
        struct session *session = &broker->sessions[i];

        if ((session->pipe == NULL && !session->is_bridge) ||
            (session->is_bridge && (session == origin || letter->hops == HOPS_MAX)) ||
            !is_subscribed(session, letter->parcel->topic)) {
            continue;
        }
        deliver(sim, broker, session, letter->parcel, letter->hops + session->is_bridge);
    }
}

void broker_publish(struct sim *sim, unsigned index, const struct letter *letter)
{
    if (sim->brokers[index].up) {
        publish(sim, &sim->brokers[index], NULL, letter);
    }
}

static void forget(struct session *session)
{
    for (unsigned i = 0; i < session->n_filters; i++) {
        parcel_unref(session->filters[i]);
    }
    session->n_filters = 0;
    session->n_in_flight = 0;
    session->pipe = NULL;
    fifo_clear(&session->queue);
}

/* The stream is gone.  A bridge will send again what was in flight. */
static void disconnected(struct session *session)
{
    if (session->is_bridge) {
        session->pipe = NULL;
        session->n_in_flight = 0;
    } else {
        forget(session);
    }
}

/* Bridge @number has its place @number at the end in both brokers. */
static struct session *bridge_session(struct broker *broker, uint64_t number)
{
    return &broker->sessions[BROKER_SESSIONS_MAX - 1 - number];
}

static struct session *session_of(struct broker *broker, const struct pipe *pipe)
{
    for (unsigned i = 0; i < BROKER_SESSIONS_MAX; i++) {
        if (broker->sessions[i].pipe == pipe) {
            return &broker->sessions[i];
        }
    }
    return NULL;
}

static struct session *free_session(struct broker *broker)
{
    unsigned i = 0;

    while (i < BROKER_SESSIONS_MAX &&
           (broker->sessions[i].pipe != NULL || broker->sessions[i].is_bridge)) {
        i++;
    }
    MKV_ASSERT(i < BROKER_SESSIONS_MAX);
    return &broker->sessions[i];
}

/* Bridges. */

static void try_bridge(struct sim *sim, struct event *event)
{
    struct bridge *bridge = &sim->bridges[event->a];
    struct broker *from = &sim->brokers[bridge->from];

    bridge->again = false;
    if (from->up && bridge_session(from, event->a)->pipe == NULL) {
        net_open(
            sim,
            (struct end){
                .kind = END_BRIDGE, .host = from->host, .index = bridge->from, .number = event->a},
            (struct end){
                .kind = END_BROKER, .host = sim->brokers[bridge->to].host, .index = bridge->to},
            (struct letter){.kind = LETTER_CONNECT, .cookie = event->a + 1});
    }
}

static void plan_bridge(struct sim *sim, uint64_t number)
{
    if (!sim->bridges[number].again) {
        sim->bridges[number].again = true;
        queue_push(
            &sim->queue,
            (struct event){.at_ms = sim->now_ms + BRIDGE_RETRY_MS, .run = try_bridge, .a = number});
    }
}

static void bridge_connected(struct sim *sim,
                             struct broker *broker,
                             struct pipe *pipe,
                             uint64_t number)
{
    struct session *session = bridge_session(broker, number);

    session->pipe = pipe;
    session->n_in_flight = 0;
    pump(sim, broker, session);
}

void broker_bridges_start(struct sim *sim)
{
    for (unsigned i = 0; i < sim->n_bridges; i++) {
        bridge_session(&sim->brokers[sim->bridges[i].from], i)->is_bridge = true;
        bridge_session(&sim->brokers[sim->bridges[i].to], i)->is_bridge = true;
        try_bridge(sim, &(struct event){.a = i});
    }
}

/* What arrives. */

static void connect(struct sim *sim, struct broker *broker, struct pipe *pipe, uint64_t bridge)
{
    if (bridge > 0) {
        bridge_connected(sim, broker, pipe, bridge - 1);
    } else {
        free_session(broker)->pipe = pipe;
    }
    net_send(sim, pipe, 1, (struct letter){.kind = LETTER_CONNACK});
}

static void subscribe(struct sim *sim,
                      struct session *session,
                      struct pipe *pipe,
                      const struct letter *letter)
{
    MKV_ASSERT(session->n_filters < BROKER_FILTERS_MAX);
    session->filters[session->n_filters++] = parcel_ref(letter->parcel);
    net_send(sim, pipe, 1, (struct letter){.kind = LETTER_ANSWER, .cookie = letter->cookie});
}

static void unsubscribe(struct session *session, struct mkv_bytes filter)
{
    for (unsigned i = 0; i < session->n_filters; i++) {
        if (mkv_bytes_equal(session->filters[i]->topic, filter)) {
            parcel_unref(session->filters[i]);
            session->filters[i] = session->filters[--session->n_filters];
            return;
        }
    }
}

static void take(struct sim *sim,
                 struct broker *broker,
                 struct pipe *pipe,
                 const struct letter *letter)
{
    struct session *session = session_of(broker, pipe);

    if (session == NULL) {
        return;
    }
    switch (letter->kind) {
    case LETTER_SUBSCRIBE:
        subscribe(sim, session, pipe, letter);
        break;
    case LETTER_UNSUBSCRIBE:
        unsubscribe(session, letter->parcel->topic);
        break;
    case LETTER_PUBLISH:
        if (letter->cookie != 0) {
            net_send(sim, pipe, 1,
                     (struct letter){.kind = LETTER_ANSWER, .cookie = letter->cookie});
        }
        publish(sim, broker, session, letter);
        break;
    case LETTER_CLOSED:
        disconnected(session);
        break;
    default:
        break;
    }
}

/* At the connecting end of a bridge. */
static void arrive_at_bridge(struct sim *sim, struct pipe *pipe, const struct letter *letter)
{
    struct broker *broker = &sim->brokers[pipe->ends[0].index];
    uint64_t number = pipe->ends[0].number;

    if (letter->kind == LETTER_CONNACK) {
        bridge_connected(sim, broker, pipe, number);
    } else if (letter->kind == LETTER_CLOSED || letter->kind == LETTER_REFUSED) {
        struct session *session = session_of(broker, pipe);

        if (session != NULL) {
            disconnected(session);
        }
        plan_bridge(sim, number);
    } else {
        take(sim, broker, pipe, letter);
    }
}

void broker_arrive(struct sim *sim, struct pipe *pipe, unsigned side, const struct letter *letter)
{
    struct broker *broker = &sim->brokers[pipe->ends[side].index];

    if (!broker->up) {
        if (letter->kind == LETTER_CONNECT) {
            net_send(sim, pipe, side, (struct letter){.kind = LETTER_REFUSED});
        }
        return;
    }
    if (pipe->ends[side].kind == END_BRIDGE) {
        arrive_at_bridge(sim, pipe, letter);
    } else if (letter->kind == LETTER_CONNECT) {
        connect(sim, broker, pipe, letter->cookie);
    } else {
        take(sim, broker, pipe, letter);
    }
}

void broker_delivered(struct sim *sim, const struct pipe *pipe, unsigned side)
{
    const struct end *end = &pipe->ends[1 - side];
    struct broker *broker;
    struct session *session;

    if (end->kind != END_BROKER && end->kind != END_BRIDGE) {
        return;
    }
    broker = &sim->brokers[end->index];
    session = session_of(broker, pipe);
    if (session != NULL && session->n_in_flight > 0) {
        struct letter letter = fifo_pop(&session->queue);

        parcel_unref(letter.parcel);
        session->n_in_flight--;
        pump(sim, broker, session);
    }
}

/* Coming and going. */

void broker_start(struct sim *sim, unsigned index)
{
    struct broker *broker = &sim->brokers[index];

    if (broker->up) {
        return;
    }
    broker->up = true;
    for (unsigned i = 0; i < sim->n_bridges; i++) {
        if (sim->bridges[i].from == index) {
            plan_bridge(sim, i);
        }
    }
}

void broker_kill(struct sim *sim, unsigned index, bool keep)
{
    struct broker *broker = &sim->brokers[index];

    broker->up = false;
    net_host_dies(sim, broker->host, false);
    for (unsigned i = 0; i < BROKER_SESSIONS_MAX; i++) {
        struct session *session = &broker->sessions[i];

        if (session->is_bridge && keep) {
            disconnected(session);
        } else {
            forget(session);
        }
    }
}

void broker_init(struct sim *sim, unsigned index)
{
    sim->brokers[index] = (struct broker){.index = index, .host = index, .up = true};
}

void broker_deinit(struct broker *broker)
{
    for (unsigned i = 0; i < BROKER_SESSIONS_MAX; i++) {
        forget(&broker->sessions[i]);
        fifo_deinit(&broker->sessions[i].queue);
    }
}
