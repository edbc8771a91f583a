/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two gates, a broker, one tree or two, and others who write and speak, all at any speed: in the end
 * they come to rest with topics and trees saying the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gate/gate.h"
#include "gate/message.h"
#include "lib/check.h"
#include "lib/prng.h"
#include "rig.h"

#define TEXT_MAX 64U

#define RULE(topic, path, dir, more)                                                               \
    "{\"topic\":\"" topic "\",\"path\":\"" path "\",\"dir\":\"" dir "\"," more "}"

#define N_GATES 2U
#define N_NAMES 3U
#define N_QUEUE 4096U

enum what {
    PUBLICATION, /* from a gate to the broker */
    DELIVERY,    /* from the broker to a gate */
    WRITE,       /* from a gate to a tree */
    STORED,      /* from a tree to a gate */
    ENTRY,
};

struct event {
    enum what what;
    unsigned name;
    uint32_t cell;
    uint64_t tock;
    bool absent;
    char text[TEXT_MAX];
};

struct queue {
    struct event at[N_QUEUE];
    unsigned begin;
    unsigned end;
};

struct side {
    struct world *world;
    struct mkv_gate *gate;
    unsigned tree;
    struct queue out; /* what it does */
    struct queue in;  /* messages to it */
    struct queue seen;
};

struct world {
    struct prng prng;
    int64_t now_ms;
    struct side sides[N_GATES];
    char retained[N_NAMES][TEXT_MAX];
    char trees[N_GATES][N_NAMES][TEXT_MAX]; /* JSON; "": nothing */
    uint64_t tock;
    unsigned n_events;
};

static void push(struct queue *queue, const struct event *event)
{
    assert_true(queue->end - queue->begin < N_QUEUE);
    queue->at[queue->end++ % N_QUEUE] = *event;
}

static bool pop(struct queue *queue, struct event *event)
{
    if (queue->begin == queue->end) {
        return false;
    }
    *event = queue->at[queue->begin++ % N_QUEUE];
    return true;
}

static int world_write(void *context,
                       uint32_t cell,
                       struct mkv_bytes key,
                       const struct mkv_bytes *value)
{
    struct side *side = context;
    struct event event = {.what = WRITE, .cell = cell, .absent = value == NULL};

    event.name = (unsigned)(dotted_of(key)[2] - 'a');
    (void)snprintf(event.text, sizeof(event.text), "%s", value != NULL ? json_of(*value) : "");
    push(&side->out, &event);
    return 0;
}

static int world_publish(void *context,
                         uint32_t cell,
                         struct mkv_bytes topic,
                         struct mkv_bytes payload,
                         int qos,
                         bool retain)
{
    struct side *side = context;
    struct event event = {.what = PUBLICATION, .cell = cell};

    (void)qos;
    assert_true(retain && payload.len < TEXT_MAX);
    event.name = (unsigned)(topic.at[2] - 'a');
    if (payload.len > 0) {
        memcpy(event.text, payload.at, payload.len);
    }
    push(&side->out, &event);
    return 0;
}

/* The broker takes a message and hands it to all. */
static void broke(struct world *world, unsigned name, const char *text)
{
    struct event event = {.what = DELIVERY, .name = name};

    (void)snprintf(event.text, sizeof(event.text), "%s", text);
    memcpy(world->retained[name], event.text, TEXT_MAX);
    for (unsigned i = 0; i < N_GATES; i++) {
        push(&world->sides[i].in, &event);
    }
}

/* A tree takes a write and tells all who watch it. */
static void plant(struct world *world, unsigned tree, unsigned name, const char *json)
{
    struct event event = {
        .what = ENTRY, .name = name, .tock = ++world->tock, .absent = json[0] == '\0'};

    (void)snprintf(event.text, sizeof(event.text), "%s", json);
    memcpy(world->trees[tree][name], event.text, TEXT_MAX);
    for (unsigned i = 0; i < N_GATES; i++) {
        if (world->sides[i].tree == tree) {
            push(&world->sides[i].seen, &event);
        }
    }
}

static bool serve_out(struct world *world, struct side *side)
{
    struct event event;

    if (!pop(&side->out, &event)) {
        return false;
    }
    if (event.what == PUBLICATION) {
        broke(world, event.name, event.text);
    } else {
        plant(world, side->tree, event.name, event.text);
        event.what = STORED;
        event.tock = world->tock;
        push(&side->seen, &event);
    }
    return true;
}

static bool serve_seen(struct world *world, struct side *side)
{
    static const char *const paths[] = {"p.a", "p.b", "p.c"};
    struct event event;
    struct mkv_bytes value;

    if (!pop(&side->seen, &event)) {
        return false;
    }
    if (event.what == STORED) {
        mkv_gate_written(side->gate, world->now_ms, event.cell, 0, event.tock);
        return true;
    }
    value = item_of(event.absent ? "null" : event.text);
    mkv_gate_entry(side->gate, world->now_ms, key_of(paths[event.name]),
                   event.absent ? NULL : &value, event.tock, false);
    return true;
}

static bool serve_in(struct world *world, struct side *side)
{
    static const char *const topics[] = {"t/a", "t/b", "t/c"};
    struct event event;

    if (!pop(&side->in, &event)) {
        return false;
    }
    mkv_gate_message(side->gate, world->now_ms, mkv_bytes_of(topics[event.name]),
                     mkv_bytes_of(event.text), false);
    return true;
}

/* Lets one thing happen that can; false: nothing can. */
static bool happen(struct world *world)
{
    unsigned first = (unsigned)prng_below(&world->prng, 3 * N_GATES);

    for (unsigned i = 0; i < 3 * N_GATES; i++) {
        unsigned n = (first + i) % (3 * N_GATES);
        struct side *side = &world->sides[n / 3];
        bool done = n % 3 == 0   ? serve_out(world, side)
                    : n % 3 == 1 ? serve_seen(world, side)
                                 : serve_in(world, side);

        if (done) {
            world->n_events++;
            return true;
        }
    }
    return false;
}

static void disturb(struct world *world, bool deletes)
{
    unsigned name = (unsigned)prng_below(&world->prng, N_NAMES);
    char text[TEXT_MAX];

    (void)snprintf(text, sizeof(text), "%u", (unsigned)prng_below(&world->prng, 5));
    if (deletes && prng_below(&world->prng, 4) == 0) {
        text[0] = '\0';
    }
    if (prng_below(&world->prng, 2) == 0) {
        broke(world, name, text);
    } else {
        plant(world, world->sides[prng_below(&world->prng, N_GATES)].tree, name, text);
    }
}

static bool tick(struct world *world)
{
    bool busy = false;

    for (unsigned i = 0; i < N_GATES; i++) {
        busy = mkv_gate_tick(world->sides[i].gate, world->now_ms) || busy;
    }
    return busy;
}

static void make_world(struct world *world, uint64_t seed, const char *rule, bool one_tree)
{
    world->prng.state = seed;
    world->now_ms = 1000000;
    for (unsigned i = 0; i < N_GATES; i++) {
        struct side *side = &world->sides[i];
        const struct mkv_gate_port port = {
            .context = side, .write = world_write, .publish = world_publish};
        struct mkv_gate_rule parsed;

        side->world = world;
        side->tree = one_tree ? 0 : i;
        assert_int_equal(mkv_gate_new(&port, (struct mkv_bytes){0}, &side->gate), 0);
        make_rule(&parsed, rule);
        assert_int_equal(mkv_gate_add(side->gate, &parsed), 0);
        mkv_gate_connected(side->gate, world->now_ms - 2000);
    }
}

/* Until nothing happens and nobody waits; it has to come to that. */
static void rest(struct world *world)
{
    unsigned n_quiet = 0;
    unsigned n_before = world->n_events;

    while (n_quiet < 2) {
        bool any = false;

        while (happen(world)) {
            any = true;
            assert_true(world->n_events - n_before < 20000);
        }
        world->now_ms += 100;
        n_quiet = tick(world) || any ? 0 : n_quiet + 1;
        assert_true(world->now_ms < 1000000 + 3600 * 1000);
    }
}

/* Each topic has what each tree would say there. */
static void check_world(struct world *world, const char *rule)
{
    struct mkv_gate_rule parsed;
    struct mkv_buf topic;
    struct mkv_buf payload;

    make_rule(&parsed, rule);
    mkv_buf_init(&topic, 4096);
    mkv_buf_init(&payload, 4096);
    for (unsigned i = 0; i < N_GATES; i++) {
        for (unsigned name = 0; name < N_NAMES; name++) {
            const char *json = world->trees[world->sides[i].tree][name];
            char path[] = "p.?";
            struct mkv_problem trouble;
            struct mkv_bytes value = item_of(json[0] != '\0' ? json : "null");

            path[2] = (char)('a' + name);
            assert_int_equal(mkv_gate_write(&parsed, key_of(path), json[0] != '\0' ? &value : NULL,
                                            &topic, &payload, &trouble),
                             0);
            assert_int_equal(mkv_buf_append_u8(&payload, 0), 0);
            assert_string_equal((const char *)payload.at, world->retained[name]);
        }
    }
    mkv_buf_deinit(&payload);
    mkv_buf_deinit(&topic);
    mkv_gate_rule_deinit(&parsed);
}

static void live(uint64_t seed, const char *rule, bool one_tree, bool deletes)
{
    struct world *world = calloc(1, sizeof(*world));

    assert_non_null(world);
    make_world(world, seed, rule, one_tree);
    for (unsigned i = 0; i < 60; i++) {
        if (prng_below(&world->prng, 4) == 0) {
            disturb(world, deletes);
        }
        for (uint64_t n = prng_below(&world->prng, 4); n > 0 && happen(world); n--) {
        }
        world->now_ms += (int64_t)prng_below(&world->prng, 50);
        (void)tick(world);
    }
    rest(world);
    check_world(world, rule);
    for (unsigned i = 0; i < N_GATES; i++) {
        mkv_gate_free(world->sides[i].gate);
    }
    free(world);
}

#define WORLDS 60U

static void two_gates_come_to_rest(void **state)
{
    static const char *const rules[] = {
        RULE("t/+", "p.+", "both", "\"codec\":\"json\",\"retain\":true"),
        RULE("t/+", "p.+", "both", "\"codec\":\"text\",\"retain\":true"),
        RULE("t/+", "p.+", "both", "\"codec\":\"number\",\"retain\":true,\"scale\":[0.1,0]"),
    };

    (void)state;
    for (unsigned i = 0; i < 3 * WORLDS; i++) {
        live(i, rules[i % 3], (i / 3) % 2 == 0, (i / 6) % 2 == 0);
    }
    rig_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_gates_come_to_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
