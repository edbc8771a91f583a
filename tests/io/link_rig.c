/* SPDX-License-Identifier: Apache-2.0 */
#include "link_rig.h"

const uint8_t rig_map[6] = {0xa2, 0x00, 0x18, 0x18, 0x01, 0x05};

void rig_add_frame(struct mkv_buf *out, const void *map, size_t len)
{
    assert_int_equal(mkv_buf_append_be32(out, (uint32_t)len), 0);
    assert_int_equal(mkv_buf_append(out, mkv_bytes(map, len)), 0);
}

static void on_opened(void *context, struct mkv_link *link)
{
    struct end *end = context;

    end->n_opened++;
    if (end->free_in_opened) {
        end->link = NULL;
        mkv_link_free(link);
    }
}

static void on_frame(void *context, struct mkv_link *link, struct mkv_bytes map)
{
    struct end *end = context;

    assert_int_equal(end->n_closed, 0);
    end->n_frames++;
    assert_int_equal(mkv_buf_append(&end->heard, map), 0);
    if (end->echo) {
        struct mkv_buf out;

        mkv_buf_init(&out, MKV_FRAME_MAX + 4);
        rig_add_frame(&out, map.at, map.len);
        assert_int_equal(mkv_link_send(link, mkv_buf_bytes(&out)), 0);
        mkv_buf_deinit(&out);
    }
    if (end->n_frames == end->pause_at) {
        mkv_link_pause(link);
    }
    if (end->free_in_frame) {
        end->link = NULL;
        mkv_link_free(link);
    }
}

static void on_unreadable(void *context, struct mkv_link *link, int error)
{
    struct end *end = context;
    struct mkv_buf out;

    end->n_unreadable++;
    end->error = error;
    mkv_buf_init(&out, 100);
    rig_add_frame(&out, rig_map, sizeof(rig_map));
    assert_int_equal(mkv_link_send(link, mkv_buf_bytes(&out)), 0);
    mkv_buf_deinit(&out);
    mkv_link_close(link);
}

static void on_drained(void *context, struct mkv_link *link)
{
    struct end *end = context;

    (void)link;
    end->n_drained++;
}

static void on_closed(void *context, struct mkv_link *link, int error, const struct mkv_why *why)
{
    struct end *end = context;

    end->n_closed++;
    end->error = error;
    end->why = *why;
    if (end->free_in_closed) {
        end->link = NULL;
        mkv_link_free(link);
    }
}

const struct mkv_link_events rig_events = {
    .opened = on_opened,
    .frame = on_frame,
    .unreadable = on_unreadable,
    .drained = on_drained,
    .closed = on_closed,
};

void rig_on_accepted(void *context, struct mkv_link *link)
{
    struct rig *rig = context;
    struct end *end = &rig->ends[rig->n_ends++];

    assert_true(rig->n_ends <= N_ENDS);
    end->link = link;
    mkv_link_own(link, &rig_events, end);
}

struct rig *rig_new(void)
{
    struct rig *rig = calloc(1, sizeof(*rig));

    assert_non_null(rig);
    rig->loop = rig_loop();
    rig_make_directory(rig->directory);
    for (unsigned i = 0; i < N_ENDS; i++) {
        mkv_buf_init(&rig->ends[i].heard, SIZE_MAX / 2);
    }
    mkv_buf_init(&rig->client.heard, SIZE_MAX / 2);
    return rig;
}

void rig_listen(struct rig *rig, struct mkv_listener_options options, const char *text)
{
    struct mkv_address address =
        text != NULL ? rig_address(text) : rig_unix_address(rig->directory, "link");
    struct mkv_why why = {0};

    options.accepted = rig_on_accepted;
    options.context = rig;
    if (mkv_listener_new(rig->loop, &address, &options, &why, &rig->listener) != 0) {
        fail_msg("%s", why.text);
    }
}

void rig_connect(struct rig *rig, const struct mkv_link_options *options)
{
    assert_int_equal(mkv_link_connect(rig->loop, mkv_listener_address(rig->listener), options,
                                      &rig_events, &rig->client, &rig->client.link),
                     0);
}

struct rig *rig_pair(const char *address)
{
    struct rig *rig = rig_new();

    rig_listen(rig, (struct mkv_listener_options){0}, address);
    rig_connect(rig, NULL);
    rig_until(rig->loop, rig->client.n_opened == 1 && rig->n_ends == 1);
    return rig;
}

struct rig *rig_raw(int *ret_fd)
{
    struct rig *rig = rig_new();

    rig_listen(rig, (struct mkv_listener_options){0}, NULL);
    *ret_fd = rig_connect_unix(mkv_listener_address(rig->listener)->path);
    rig_until(rig->loop, rig->n_ends == 1);
    return rig;
}

void rig_free(struct rig *rig)
{
    for (unsigned i = 0; i < N_ENDS; i++) {
        mkv_link_free(rig->ends[i].link);
        mkv_buf_deinit(&rig->ends[i].heard);
    }
    mkv_link_free(rig->client.link);
    mkv_buf_deinit(&rig->client.heard);
    mkv_listener_free(rig->listener);
    mkv_loop_free(rig->loop);
    rig_remove_directory(rig->directory);
    free(rig);
}

void rig_send(struct mkv_link *link, unsigned n)
{
    struct mkv_buf out;

    mkv_buf_init(&out, SIZE_MAX / 2);
    for (unsigned i = 0; i < n; i++) {
        rig_add_frame(&out, rig_map, sizeof(rig_map));
    }
    assert_int_equal(mkv_link_send(link, mkv_buf_bytes(&out)), 0);
    mkv_buf_deinit(&out);
}
