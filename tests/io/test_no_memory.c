/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation of our own fails in turn: the caller hears of it, or what it concerns ends with
 * an error, and nothing leaks or waits for ever.
 */
#include "base/buf.h"
#include "io/broker.h"
#include "io/link.h"
#include "io/listener.h"
#include "io/mqtt.h"
#include "lib/mem_fault.h"
#include "rig.h"

struct scene {
    struct mkv_loop *loop;
    struct mkv_listener *listener;
    struct mkv_link *accepted;
    struct mkv_link *client;
    struct mkv_mqtt *mqtt;
    struct mkv_broker *broker;
    unsigned n_frames;
    unsigned n_ends; /* of links, connections and brokers */
};

static char state_dir[64];
static const uint8_t frame[] = {0, 0, 0, 6, 0xa2, 0x00, 0x18, 0x18, 0x01, 0x05};

static void on_opened(void *context, struct mkv_link *link)
{
    (void)context;
    (void)!mkv_link_send(link, mkv_bytes(frame, sizeof(frame))); /* if it fails, `closed` follows */
}

static void on_frame(void *context, struct mkv_link *link, struct mkv_bytes map)
{
    struct scene *scene = context;

    (void)map;
    scene->n_frames++;
    if (link == scene->accepted) {
        (void)!mkv_link_send(link, mkv_bytes(frame, sizeof(frame)));
    }
}

static void on_closed(void *context, struct mkv_link *link, int error, const struct mkv_why *why)
{
    struct scene *scene = context;

    (void)link;
    (void)why;
    assert_true(error != 0);
    scene->n_ends++;
}

static const struct mkv_link_events link_events = {
    .opened = on_opened, .frame = on_frame, .closed = on_closed};

static void on_accepted(void *context, struct mkv_link *link)
{
    struct scene *scene = context;

    scene->accepted = link;
    mkv_link_own(link, &link_events, scene);
}

static void on_message(void *context, const struct mkv_mqtt_message *message)
{
    (void)context;
    (void)message;
}

static void on_end(void *context, int error, const struct mkv_why *why)
{
    struct scene *scene = context;

    assert_true(error != 0);
    assert_true(why->text[0] != '\0');
    scene->n_ends++;
}

static void on_nothing(void *context)
{
    (void)context;
}

static void play_links(struct scene *scene)
{
    struct mkv_address address = rig_address("tcp://127.0.0.1:0");
    struct mkv_listener_options options = {
        .accepted = on_accepted,
        .context = scene,
        .refusal = mkv_bytes(frame, sizeof(frame)),
    };

    if (mkv_listener_new(scene->loop, &address, &options, NULL, &scene->listener) != 0) {
        return;
    }
    address = *mkv_listener_address(scene->listener);
    if (mkv_link_connect(scene->loop, &address, NULL, &link_events, scene, &scene->client) != 0) {
        return;
    }
    rig_until(scene->loop, scene->n_frames == 2 || scene->n_ends > 0);
}

static void play_mqtt(struct scene *scene)
{
    struct mkv_mqtt_options options = {
        .address = rig_address("unix:/nowhere/at/all"),
        .client_id = "client",
        .user = "user",
        .password = "password",
        .will = {.topic = "will", .payload = mkv_bytes_of("payload")},
    };
    struct mkv_mqtt_events events = {.disconnected = on_end, .message = on_message};
    struct mkv_why why = {0};
    unsigned n_ends = scene->n_ends;
    int error = mkv_mqtt_new(scene->loop, &options, &events, scene, &why, &scene->mqtt);

    if (error != 0) {
        assert_int_equal(error, MKV_E_NO_MEMORY);
        return;
    }
    rig_until(scene->loop, scene->n_ends > n_ends);
}

static void play_broker(struct scene *scene)
{
    struct mkv_broker_options options = {
        .state_dir = state_dir, .binary = "/bin/false", .tcp = true};
    struct mkv_broker_events events = {.ready = on_nothing, .down = on_end, .stopped = on_nothing};
    unsigned n_ends = scene->n_ends;
    int error = mkv_broker_new(scene->loop, &options, &events, scene, NULL, &scene->broker);

    if (error != 0) {
        assert_int_equal(error, MKV_E_NO_MEMORY);
        return;
    }
    rig_until(scene->loop, scene->n_ends > n_ends);
}

static void play(void (*act)(struct scene *scene))
{
    struct scene scene = {0};

    if (mkv_loop_new(&scene.loop) != 0) {
        return;
    }
    act(&scene);
    mkv_link_free(scene.client);
    mkv_link_free(scene.accepted);
    mkv_listener_free(scene.listener);
    mkv_mqtt_free(scene.mqtt);
    mkv_broker_free(scene.broker);
    mkv_loop_free(scene.loop);
}

static void play_with_faults(void (*act)(struct scene *scene), unsigned n_least)
{
    unsigned n = 0;

    do {
        n++;
        mem_fault_at(n);
        play(act);
    } while (mem_fault_struck());
    assert_true(n > n_least);
}

static void test_links(void **state)
{
    (void)state;
    play_with_faults(play_links, 6);
}

static void test_mqtt(void **state)
{
    (void)state;
    play_with_faults(play_mqtt, 7);
}

static void test_broker(void **state)
{
    (void)state;
    rig_make_directory(state_dir);
    play_with_faults(play_broker, 3);
    rig_remove_directory(state_dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_mqtt),
        cmocka_unit_test(test_broker),
    };

    return cmocka_run_group_tests_name("no_memory", tests, NULL, NULL);
}
