/* SPDX-License-Identifier: Apache-2.0 */
#include "lost.h"

#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "lib/check.h"
#include "wire/path.h"
#include "wire/topic.h"

struct mkv_update lost_update(const char *name, const char *value, uint64_t tock)
{
    return (struct mkv_update){
        .has_tock = true,
        .tock = tock,
        .present = value != NULL,
        .value = value == NULL ? mkv_bytes(NULL, 0) : mkv_bytes_of(value),
        .ticks = {.n = 1, .at = {{mkv_bytes_of(name), tock, 1}}},
    };
}

struct mkv_update lost_large_update(const char *name, uint64_t tock)
{
    static uint8_t value[MKV_VALUE_MAX];
    struct mkv_update update = lost_update(name, NULL, tock);

    memcpy(value, "\x5a\x00\x0f\xff\xfb", 5);
    update.present = true;
    update.value = mkv_bytes(value, sizeof(value));
    return update;
}

void lost_publish(struct world *world, const char *path, const struct mkv_update *update)
{
    struct mkv_buf key;
    struct mkv_buf topic;
    struct mkv_buf payload;

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    mkv_buf_init(&topic, MKV_TOPIC_MAX);
    mkv_buf_init(&payload, MKV_UPDATE_MAX);
    assert_int_equal(mkv_path_from_dotted(mkv_bytes_of(path), &key), 0);
    assert_int_equal(mkv_topic_of_path(mkv_bytes_of("moat/main"), MKV_PROFILE_PLAIN,
                                       mkv_buf_bytes(&key), &topic),
                     0);
    assert_int_equal(mkv_buf_append_u8(&topic, 0), 0);
    assert_int_equal(mkv_update_encode(update, &payload), 0);
    world_message(world, (const char *)topic.at, mkv_buf_bytes(&payload));
    mkv_buf_deinit(&key);
    mkv_buf_deinit(&topic);
    mkv_buf_deinit(&payload);
}

void lost_put(
    struct world *world, const char *path, const char *name, const char *value, uint64_t tock)
{
    struct mkv_update update = lost_update(name, value, tock);

    lost_publish(world, path, &update);
}

void lost_ask(struct world *world,
              uint64_t link,
              uint64_t id,
              const char *path,
              uint32_t flags,
              uint32_t credit)
{
    struct mkv_frame frame = {
        .kind = MKV_FRAME_CONFLICTS, .id = id, .conflicts = {.flags = flags, .credit = credit}};

    world_ask(world, path, frame, link);
    world_wait(world, 1);
}

static void describe(const struct mkv_conflict_row *row, char *out, size_t size)
{
    struct mkv_cbor_reader path;
    struct mkv_buf key;
    struct mkv_buf text;
    size_t len = strlen(out);
    char more[32] = "";

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    mkv_buf_init(&text, 4096);
    mkv_cbor_reader_init(&path, row->path);
    assert_int_equal(mkv_path_from_cbor(&path, &key), 0);
    assert_int_equal(mkv_path_to_dotted(mkv_buf_bytes(&key), &text), 0);
    if (row->more > 0) {
        (void)snprintf(more, sizeof(more), "+%llu", (unsigned long long)row->more);
    }
    (void)snprintf(out + len, size - len, "%.*s=%llu>%llu%s%s;", (int)text.len,
                   (const char *)text.at, (unsigned long long)row->loser.tock,
                   (unsigned long long)row->winner.tock, row->class_ == 0 ? "" : "?", more);
    mkv_buf_deinit(&text);
    mkv_buf_deinit(&key);
}

unsigned lost_collect(const struct world *world, uint64_t link, uint64_t id, char *out, size_t size)
{
    unsigned n = 0;

    out[0] = '\0';
    for (unsigned i = 0; i < world->n_heard; i++) {
        const struct mkv_frame *frame = &world->heard[i].frame;
        struct mkv_cbor_reader r;

        if (world->heard[i].link != link || frame->kind != MKV_FRAME_LOST || frame->id != id) {
            continue;
        }
        mkv_cbor_reader_init(&r, frame->lost);
        for (uint64_t left = mkv_cbor_read_array(&r, MKV_PAGE_ROWS_MAX); left > 0; left--) {
            struct mkv_conflict_row row;

            mkv_conflict_row_read(&r, &row);
            assert_int_equal(r.error, 0);
            describe(&row, out, size);
            n++;
        }
    }
    return n;
}

const char *lost_ask_all(struct world *world, const char *path)
{
    static char asked[LOST_TEXT_MAX];
    static uint64_t link = 1000;

    (void)world_login(world, ++link, NULL);
    lost_ask(world, link, 1, path, 0, 1000);
    assert_non_null(world_last(world, link, MKV_FRAME_END));
    (void)lost_collect(world, link, 1, asked, sizeof(asked));
    world_close(world, link);
    return asked;
}
