/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server at a broker that retains, against a broker of a few lines: a table, and a queue of what
 * it is about to deliver.  Others write plainly; the broker goes, forgets, and comes back with what
 * it had once.
 */
#include <stdio.h>

#include "harness.h"
#include "lib/check.h"
#include "lib/prng.h"

#define N_PATHS    6U
#define QUEUE_MAX  4096U
#define N_SEEDS    400U
#define STEPS      120U
#define TOPIC      "moat/main/d/p"
#define SETTLED_MS 200000

/* What a broker has on a topic: a value of one byte, with its update if it has a tag. */
struct message {
    enum {
        NOTHING,
        PLAIN,
        TAGGED,
        ANSWER
    } kind; /* ANSWER: to a look */
    unsigned path;
    uint8_t value; /* 0: a deletion, of PLAIN */
    size_t len;
    uint8_t update[256];
};

static struct {
    struct message kept[N_PATHS];
    struct message saved[N_PATHS]; /* what a crash takes it back to */
    struct message queue[QUEUE_MAX];
    unsigned first;
    unsigned n;
    unsigned n_looks;
    bool deaf; /* looks are not answered */
} broker;

static void deliver_later(const struct message *message)
{
    assert_true(broker.n < QUEUE_MAX);
    broker.queue[(broker.first + broker.n++) % QUEUE_MAX] = *message;
}

static bool is_deletion(const struct message *message)
{
    struct mkv_update update;

    if (message->kind == PLAIN) {
        return message->value == 0;
    }
    assert_int_equal(mkv_update_decode(mkv_bytes(message->update, message->len), &update), 0);
    return !update.present;
}

static void publish(const struct message *message)
{
    broker.kept[message->path] = is_deletion(message) ? (struct message){0} : *message;
    deliver_later(message);
}

static void on_output(struct world *world, const struct mkv_output *output)
{
    struct message message = {.kind = TAGGED, .len = output->payload.len};
    size_t last = output->topic.len - 1;
    bool is_all = output->topic.at[last] == '#';

    (void)world;
    if (!is_all && !mkv_bytes_starts_with(output->topic, mkv_bytes_of(TOPIC))) {
        return; /* the cluster's own */
    }
    message.path = is_all ? 0 : (unsigned)(output->topic.at[last] - '0');
    if (output->kind == MKV_OUTPUT_PUBLISH) {
        assert_true(message.len <= sizeof(message.update));
        memcpy(message.update, output->payload.at, message.len);
        publish(&message);
        return;
    }
    broker.n_looks++;
    for (unsigned i = 0; i < N_PATHS && !broker.deaf; i++) {
        if ((is_all || i == message.path) && broker.kept[i].kind != NOTHING) {
            deliver_later(&broker.kept[i]);
        }
    }
    if (!broker.deaf) {
        deliver_later(&(struct message){.kind = ANSWER});
    }
}

static void hear(struct world *world, const struct message *message)
{
    char topic[] = TOPIC "0";

    topic[sizeof(topic) - 2] = (char)('0' + message->path);
    switch (message->kind) {
    case NOTHING:
        break;
    case ANSWER:
        mkv_server_node_looked(world->node, world->now);
        break;
    case PLAIN:
        mkv_server_node_plain(world->node, world->now, mkv_bytes_of(topic), message->value != 0,
                              mkv_bytes(&message->value, message->value != 0));
        break;
    case TAGGED:
        mkv_server_node_message(world->node, world->now, mkv_bytes_of(topic),
                                mkv_bytes(message->update, message->len), false);
        break;
    }
    world_listen(world);
}

static void deliver(struct world *world)
{
    if (broker.n > 0) {
        struct message message = broker.queue[broker.first];

        broker.first = (broker.first + 1) % QUEUE_MAX;
        broker.n--;
        hear(world, &message);
    }
}

static void connect(struct world *world, bool connected)
{
    broker.n = 0; /* of a connection that there is no more, or was not yet */
    mkv_server_node_broker(world->node, world->now, connected);
    world_listen(world);
}

static void restart(struct world *world, struct prng *prng)
{
    connect(world, false);
    switch (prng_below(prng, 3)) {
    case 0:
        memset(broker.kept, 0, sizeof(broker.kept));
        break;
    case 1:
        memcpy(broker.kept, broker.saved, sizeof(broker.kept));
        break;
    default:
        break;
    }
    world_wait(world, (int64_t)prng_below(prng, 1000));
    connect(world, true);
}

/* Until nothing is under way any more. */
static void settle(struct world *world)
{
    int64_t until_ms = world->now.ms + SETTLED_MS;

    while (broker.n > 0 || world->now.ms < until_ms) {
        if (broker.n > 0) {
            deliver(world);
        } else {
            world_wait(world, 1000);
        }
        world_wait(world, 1);
    }
}

static void path_of(unsigned i, char out[8])
{
    (void)snprintf(out, 8, "p%u", i);
}

/* The broker has what the tree has, with a tag. */
static void assert_agrees(const struct world *world)
{
    for (unsigned i = 0; i < N_PATHS; i++) {
        const struct message *kept = &broker.kept[i];
        char path[8];
        const char *held;

        path_of(i, path);
        held = world_held(world, path);
        if (held == NULL || held[0] == '\0') {
            assert_int_equal(kept->kind, NOTHING);
        } else {
            struct mkv_update update;

            assert_int_equal(kept->kind, TAGGED);
            assert_int_equal(mkv_update_decode(mkv_bytes(kept->update, kept->len), &update), 0);
            assert_int_equal(update.value.len, 1);
            assert_int_equal(update.value.at[0], (uint8_t)held[0]);
        }
    }
}

static void begin(struct world *world)
{
    *world = (struct world){.mode = MKV_MODE_CBOR, .retained = on_output, .now = {.ms = 1000}};
    memset(&broker, 0, sizeof(broker));
    world_start(world);
}

static void write_plainly(struct prng *prng, uint8_t *last)
{
    struct message message = {.kind = PLAIN,
                              .path = (unsigned)prng_below(prng, N_PATHS),
                              .value = (uint8_t)prng_below(prng, 20)};

    publish(&message);
    last[message.path] = message.value;
}

/* With no broker that forgets, what was written last is what stays, everywhere. */
static void the_last_one_stays(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < N_SEEDS; seed++) {
        struct prng prng = {seed};
        uint8_t last[N_PATHS] = {0};
        struct world world;

        begin(&world);
        for (unsigned step = 0; step < STEPS; step++) {
            switch (prng_below(&prng, 4)) {
            case 0:
                write_plainly(&prng, last);
                break;
            case 1:
                world_wait(&world, (int64_t)prng_below(&prng, 20));
                break;
            default:
                deliver(&world);
            }
        }
        settle(&world);
        assert_agrees(&world);
        for (unsigned i = 0; i < N_PATHS; i++) {
            char path[8];
            const char *held;

            path_of(i, path);
            held = world_held(&world, path);
            assert_int_equal(held == NULL ? 0 : (uint8_t)held[0], last[i]);
        }
        world_free(&world);
    }
}

/* Whatever the broker forgets: in the end both have the same. */
static void both_have_the_same(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < N_SEEDS; seed++) {
        struct prng prng = {seed};
        uint8_t last[N_PATHS] = {0};
        struct world world;

        begin(&world);
        for (unsigned step = 0; step < STEPS; step++) {
            switch (prng_below(&prng, 16)) {
            case 0:
                restart(&world, &prng);
                break;
            case 1:
                memcpy(broker.saved, broker.kept, sizeof(broker.saved));
                break;
            case 2:
                world_crash(&world);
                broker.n = 0;
                world_start(&world);
                break;
            case 3:
            case 4:
            case 5:
                write_plainly(&prng, last);
                break;
            case 6:
                world_wait(&world, (int64_t)prng_below(&prng, 3000));
                break;
            default:
                deliver(&world);
            }
        }
        settle(&world);
        assert_agrees(&world);
        world_free(&world);
    }
}

/* A look that is never answered is not waited for for ever, however much else comes. */
static void a_lost_answer_is_asked_for_again(void **state)
{
    uint8_t last[N_PATHS] = {0};
    struct prng prng = {1};
    struct world world;
    unsigned n_looks;

    (void)state;
    begin(&world);
    settle(&world);
    connect(&world, false);
    broker.deaf = true;
    connect(&world, true);
    world_wait(&world, 1000);
    n_looks = broker.n_looks;
    for (unsigned i = 0; i < 700; i++) { /* messages all the time */
        write_plainly(&prng, last);
        deliver(&world);
        deliver(&world);
        world_wait(&world, 1000);
    }
    assert_true(broker.n_looks > n_looks);
    broker.deaf = false;
    settle(&world);
    assert_agrees(&world);
    world_free(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_one_stays),
        cmocka_unit_test(both_have_the_same),
        cmocka_unit_test(a_lost_answer_is_asked_for_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
