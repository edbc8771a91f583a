/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include <stdio.h>
#include <string.h>

#include "lib/check.h"
#include "wire/path.h"
#include "wire/row.h"
#include "wire/topic.h"

static const struct mkv_bytes root = {(const uint8_t *)"moat/main", 9};

static void enter(const struct world *world)
{
    if (world->around != NULL) {
        world->around(true);
    }
}

static void leave(const struct world *world)
{
    if (world->around != NULL) {
        world->around(false);
    }
}

int world_boot(struct world *world)
{
    struct mkv_store_options options = {.boot_nonce = 1000 + ++world->boots};
    struct mkv_server_node_config config = {
        .server = {.name = mkv_bytes_of("srv"),
                   .root = root,
                   .host = mkv_bytes_of("here"),
                   .software = mkv_bytes_of("test"),
                   .qos = 1,
                   .mode = world->mode,
                   .session_limits = {.grace_ms = 200, .void_ms = 30000},
                   .secret = {1, 2, 3},
                   .times = MKV_CLUSTER_TIMES,
                   .alone = true},
        .window_ms = 2,
    };

    memset(options.id, 7, sizeof(options.id));
    memset(options.digest_key, 9, sizeof(options.digest_key));
    if (world->guard_key != NULL) {
        config.server.guarded = true;
        memcpy(config.server.guard_key, world->guard_key, sizeof(config.server.guard_key));
    }
    if (world->updates != NULL) {
        config.server.updates = *world->updates;
    }
    config.server.links.n = 1;
    config.server.links.at[0] = mkv_bytes_of("unix:/run/x");
    config.server.brokers.n = 1;
    config.server.brokers.at[0] = mkv_bytes_of("mqtt://127.0.0.1:1883");
    if (world->disk == NULL) {
        world->disk = mkv_disk_new(0);
        assert_non_null(world->disk);
        mkv_buf_init(&world->topic, MKV_TOPIC_MAX);
        mkv_buf_init(&world->published, MKV_UPDATE_MAX);
    }

    int error = mkv_store_open_disk(world->disk, &options, &world->store, &world->report);

    if (error != 0) {
        return error;
    }
    config.server.restored = world->report.restored;
    config.server.accept_restored = world->accept_restored;
    enter(world);
    error = mkv_server_node_new(&config, world->store, world->now, &world->node);

    if (error == 0) {
        mkv_server_node_broker(world->node, world->now, true);
    }
    leave(world);
    if (error == 0) {
        world_listen(world);
    }
    if (error == 0 && config.server.alone && !mkv_server_node_ready(world->node)) {
        world_wait(world, 3); /* what it has to write first takes a batch */
    }
    return error;
}

void world_start(struct world *world)
{
    assert_int_equal(world_boot(world), 0);
}

void world_open(struct world *world, uint64_t link)
{
    enter(world);
    mkv_server_node_link_opened(world->node, world->now, link, MKV_PEER_SAME_USER);
    leave(world);
    world_listen(world);
}

void world_close(struct world *world, uint64_t link)
{
    enter(world);
    mkv_server_node_link_closed(world->node, world->now, link);
    leave(world);
    world_listen(world);
}

void world_crash(struct world *world)
{
    mkv_server_node_free(world->node);
    mkv_store_close(world->store);
    world->node = NULL;
    world->store = NULL;
}

void world_forget(struct world *world)
{
    for (unsigned i = 0; i < world->n_heard; i++) {
        mkv_buf_deinit(&world->heard[i].bytes);
    }
    world->n_heard = 0;
    world->n_closed = 0;
    world->n_published = 0;
}

void world_free(struct world *world)
{
    world_crash(world);
    world_forget(world);
    mkv_buf_deinit(&world->topic);
    mkv_buf_deinit(&world->published);
    mkv_disk_free(world->disk);
    *world = (struct world){0};
}

static void hear(struct world *world, const struct mkv_output *output)
{
    struct mkv_bytes map;
    size_t used;

    assert_true(world->n_heard < WORLD_FRAMES_MAX);
    assert_int_equal(mkv_frame_cut(output->payload, &map, &used), 0);
    assert_int_equal(used, output->payload.len);

    struct heard *heard = &world->heard[world->n_heard++];

    heard->link = output->link;
    mkv_buf_init(&heard->bytes, MKV_FRAME_MAX);
    assert_int_equal(mkv_buf_append(&heard->bytes, map), 0);
    assert_int_equal(mkv_frame_decode(mkv_buf_bytes(&heard->bytes), &heard->frame), 0);
}

void world_listen(struct world *world)
{
    struct mkv_output output;

    while (mkv_server_node_output(world->node, &output)) {
        switch (output.kind) {
        case MKV_OUTPUT_SEND:
            hear(world, &output);
            break;
        case MKV_OUTPUT_CLOSE:
            assert_true(world->n_closed < 64);
            world->closed[world->n_closed++] = output.link;
            break;
        case MKV_OUTPUT_LOOK:
            world->retained(world, &output);
            break;
        case MKV_OUTPUT_DIAL:
            assert_true(world->others);
            mkv_server_node_dialled(world->node, world->now, output.link, MKV_E_NO_CONNECTION,
                                    MKV_PEER_SAME_USER);
            break;
        case MKV_OUTPUT_SASL:
            break; /* whoever lets somebody log in by password judges by mkv_server_node_judged() */
        case MKV_OUTPUT_STOP:
            fail_msg("a server alone has no reason to stop");
            break;
        case MKV_OUTPUT_PUBLISH:
            if (mkv_topic_is_svc(root, "act", output.topic)) {
                break; /* pings, which go on for ever */
            }
            if (output.retain) {
                world->retained(world, &output);
            }
            world->n_published++;
            mkv_buf_clear(&world->topic);
            mkv_buf_clear(&world->published);
            assert_int_equal(mkv_buf_append(&world->topic, output.topic), 0);
            assert_int_equal(mkv_buf_append(&world->published, output.payload), 0);
            break;
        case MKV_OUTPUT_LOG:
            world->n_logged++;
            (void)snprintf(world->logged, sizeof(world->logged), "%.*s", (int)output.payload.len,
                           (const char *)output.payload.at);
            break;
        }
    }
}

void world_wait(struct world *world, int64_t ms)
{
    int64_t until = world->now.ms + ms;

    for (;;) {
        int64_t deadline = mkv_server_node_deadline(world->node);

        if (deadline > until) {
            break;
        }
        if (deadline > world->now.ms) {
            world->now.wall_ms += world->now.wall_ms > 0 ? (uint64_t)(deadline - world->now.ms) : 0;
            world->now.ms = deadline;
        }
        enter(world);
        mkv_server_node_time(world->node, world->now);
        leave(world);
        world_listen(world);
    }
    world->now.wall_ms += world->now.wall_ms > 0 ? (uint64_t)(until - world->now.ms) : 0;
    world->now.ms = until;
}

void world_send(struct world *world, uint64_t link, const struct mkv_frame *frame)
{
    struct mkv_buf buf;
    struct mkv_bytes map;
    size_t used;

    mkv_buf_init(&buf, 2 * MKV_FRAME_MAX);
    assert_int_equal(mkv_frame_encode(frame, &buf), 0);
    assert_int_equal(mkv_frame_cut(mkv_buf_bytes(&buf), &map, &used), 0);
    enter(world);
    mkv_server_node_frame(world->node, world->now, link, map);
    leave(world);
    mkv_buf_deinit(&buf);
    world_listen(world);
}

uint64_t world_login(struct world *world, uint64_t link, const struct mkv_frame *resume)
{
    struct mkv_frame hello = {
        .kind = MKV_FRAME_HELLO,
        .hello = {.versions = {1, 1}, .software = mkv_bytes_of("test")},
    };
    struct mkv_frame auth = {
        .kind = MKV_FRAME_AUTH,
        .auth = {.mechanism = mkv_bytes_of("EXTERNAL")},
    };

    if (resume != NULL) {
        auth.auth.resume = true;
        auth.auth.session = (struct mkv_birth){resume->session.name, resume->session.seq};
        auth.auth.token = resume->session.token;
    }
    mkv_server_node_link_opened(world->node, world->now, link, MKV_PEER_SAME_USER);
    world_send(world, link, &hello);
    world_send(world, link, &auth);
    world_wait(world, 3);

    const struct mkv_frame *session = world_last(world, link, MKV_FRAME_SESSION);

    assert_non_null(session);
    return session->session.seq;
}

void world_message(struct world *world, const char *topic, struct mkv_bytes payload)
{
    enter(world);
    mkv_server_node_message(world->node, world->now, mkv_bytes_of(topic), payload, false);
    leave(world);
    world_listen(world);
}

void world_update(struct world *world,
                  const char *path,
                  const char *value,
                  uint64_t tock,
                  uint64_t seq,
                  uint64_t counter)
{
    world_update_value(world, path, value == NULL ? mkv_bytes(NULL, 0) : mkv_bytes_of(value), tock,
                       seq, counter);
}

void world_update_value(struct world *world,
                        const char *path,
                        struct mkv_bytes value,
                        uint64_t tock,
                        uint64_t seq,
                        uint64_t counter)
{
    struct mkv_buf key;
    struct mkv_buf topic;
    struct mkv_buf payload;
    struct mkv_update update = {
        .has_tock = tock > 0,
        .tock = tock,
        .present = value.at != NULL,
        .value = value,
        .ticks = {.n = 1, .at = {{mkv_bytes_of("srv"), seq, counter}}},
    };

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    mkv_buf_init(&topic, MKV_TOPIC_MAX);
    mkv_buf_init(&payload, MKV_UPDATE_MAX);
    assert_int_equal(mkv_path_from_dotted(mkv_bytes_of(path), &key), 0);
    assert_int_equal(mkv_topic_of_path(root, MKV_PROFILE_PLAIN, mkv_buf_bytes(&key), &topic), 0);
    assert_int_equal(mkv_update_encode(&update, &payload), 0);
    enter(world);
    mkv_server_node_message(world->node, world->now, mkv_buf_bytes(&topic), mkv_buf_bytes(&payload),
                            false);
    leave(world);
    world_listen(world);
    mkv_buf_deinit(&key);
    mkv_buf_deinit(&topic);
    mkv_buf_deinit(&payload);
}

const struct mkv_frame *world_last(const struct world *world,
                                   uint64_t link,
                                   enum mkv_frame_kind kind)
{
    for (unsigned i = world->n_heard; i > 0; i--) {
        const struct heard *heard = &world->heard[i - 1];

        if (heard->link == link && heard->frame.kind == kind) {
            return &heard->frame;
        }
    }
    return NULL;
}

unsigned world_count(const struct world *world, uint64_t link, enum mkv_frame_kind kind)
{
    unsigned n = 0;

    for (unsigned i = 0; i < world->n_heard; i++) {
        n += world->heard[i].link == link && world->heard[i].frame.kind == kind;
    }
    return n;
}

uint64_t world_acked(const struct world *world, uint64_t link)
{
    const struct mkv_frame *ack = world_last(world, link, MKV_FRAME_ACK);

    return ack == NULL ? 0 : ack->ack.counter;
}

static struct mkv_buf key_of(const char *path)
{
    struct mkv_buf key;

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    assert_int_equal(mkv_path_from_dotted(mkv_bytes_of(path), &key), 0);
    return key;
}

const char *world_held(const struct world *world, const char *path)
{
    static char text[256];
    struct mkv_buf key = key_of(path);
    struct mkv_tree_entry entry;
    struct mkv_bytes row_key;
    struct mkv_update update;
    bool found = mkv_tree_find(mkv_store_tree(world->store), mkv_buf_bytes(&key), &entry);

    mkv_buf_deinit(&key);
    if (!found) {
        return NULL;
    }
    assert_int_equal(mkv_store_row(world->store, entry.position, &row_key, &update), 0);
    assert_true(update.value.len < sizeof(text));
    memcpy(text, update.value.at == NULL ? (const uint8_t *)"" : update.value.at, update.value.len);
    text[update.value.len] = '\0';
    return text;
}

void world_ask(struct world *world, const char *path, struct mkv_frame frame, uint64_t link)
{
    struct mkv_buf key = key_of(path);
    struct mkv_buf raw;
    struct mkv_cbor_writer w;

    mkv_buf_init(&raw, 8192);
    mkv_cbor_writer_init(&w, &raw);
    mkv_path_to_cbor(mkv_buf_bytes(&key), &w);
    assert_int_equal(w.error, 0);
    if (frame.kind == MKV_FRAME_READ) {
        frame.read.path = mkv_buf_bytes(&raw);
    } else {
        frame.path.path = mkv_buf_bytes(&raw);
    }
    world_send(world, link, &frame);
    mkv_buf_deinit(&raw);
    mkv_buf_deinit(&key);
}

void world_collect(const struct world *world,
                   uint64_t link,
                   uint64_t id,
                   const char *start,
                   char *out,
                   size_t size)
{
    struct mkv_buf key = key_of(start);
    struct mkv_row_reader reader;
    struct mkv_update entry;
    struct mkv_buf text;

    out[0] = '\0';
    mkv_buf_init(&text, 4096);
    assert_int_equal(mkv_row_reader_init(&reader, mkv_buf_bytes(&key)), 0);
    for (unsigned i = 0; i < world->n_heard; i++) {
        const struct mkv_frame *frame = &world->heard[i].frame;

        if (world->heard[i].link != link || frame->kind != MKV_FRAME_DATA || frame->id != id) {
            continue;
        }
        assert_int_equal(mkv_row_reader_page(&reader, frame->data.rows), 0);
        while (mkv_row_reader_next(&reader, &entry)) {
            size_t len = strlen(out);

            mkv_buf_clear(&text);
            assert_int_equal(mkv_path_to_dotted(mkv_buf_bytes(&reader.key), &text), 0);
            (void)snprintf(out + len, size - len, "%.*s=%s%02x;", (int)text.len,
                           (const char *)text.at, entry.present ? "" : "-",
                           entry.present ? entry.value.at[0] : 0U);
        }
        assert_int_equal(reader.cbor.error, 0);
    }
    mkv_row_reader_deinit(&reader);
    mkv_buf_deinit(&text);
    mkv_buf_deinit(&key);
}

void world_fill(struct world *world, uint64_t seq)
{
    world_update(world, "a", "\x01", 1, seq, 1);
    world_update(world, "a.b", "\x02", 2, seq, 2);
    world_update(world, "a.b.c", "\x03", 3, seq, 3);
    world_update(world, "a:2", "\x04", 4, seq, 4);
    world_update(world, "ab", "\x05", 5, seq, 5);
    world_update(world, "a.gone", "\x06", 6, seq, 6);
    world_update(world, "a.gone", NULL, 7, seq, 7);
    world_wait(world, 2);
}
