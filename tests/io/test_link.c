/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/prng.h"
#include "link_rig.h"

static void echo_many(const char *address)
{
    struct rig *rig = rig_pair(address);
    struct mkv_buf sent;

    rig->ends[0].echo = true;
    mkv_buf_init(&sent, SIZE_MAX / 2);
    for (uint32_t i = 0; i < 10000; i++) {
        struct mkv_buf out;

        mkv_buf_init(&out, 100);
        rig_add_frame(&out, &i, sizeof(i));
        assert_int_equal(mkv_buf_append(&sent, mkv_bytes(&i, sizeof(i))), 0);
        assert_int_equal(mkv_link_send(rig->client.link, mkv_buf_bytes(&out)), 0);
        mkv_buf_deinit(&out);
    }
    rig_until(rig->loop, rig->client.n_frames == 10000);
    assert_int_equal(rig->client.heard.len, sent.len);
    assert_memory_equal(rig->client.heard.at, sent.at, sent.len);
    mkv_buf_deinit(&sent);
    rig_free(rig);
}

static void test_many_unix(void **state)
{
    (void)state;
    echo_many(NULL);
}

static void test_many_tcp(void **state)
{
    (void)state;
    echo_many("tcp://127.0.0.1:0");
    echo_many("tcp://localhost:0");
    echo_many("tcp://[::1]:0");
}

/* Frames of all sizes, up to the largest there may be, in pieces of all sizes. */
static void test_pieces(void **state)
{
    struct prng prng = {.state = 4711};
    int fd = -1;
    struct rig *rig = rig_raw(&fd);
    struct mkv_buf stream;
    struct mkv_buf maps;

    (void)state;
    mkv_buf_init(&stream, SIZE_MAX / 2);
    mkv_buf_init(&maps, SIZE_MAX / 2);
    for (unsigned i = 0; i < 60; i++) {
        size_t len = i == 30 ? MKV_FRAME_MAX : 1 + prng_below(&prng, i % 7 == 0 ? 200000 : 40);
        size_t start = maps.len;

        for (size_t k = 0; k < len; k++) {
            assert_int_equal(mkv_buf_append_u8(&maps, (uint8_t)prng_next(&prng)), 0);
        }
        rig_add_frame(&stream, maps.at + start, len);
    }
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    for (size_t done = 0; done < stream.len;) {
        size_t piece = 1 + prng_below(&prng, done < 3000 ? 5 : 30000);
        size_t rest = stream.len - done;
        ssize_t n = write(fd, stream.at + done, piece < rest ? piece : rest);

        assert_true(n > 0 || errno == EAGAIN);
        done += n > 0 ? (size_t)n : 0;
        assert_int_equal(mkv_loop_run_once(rig->loop, 0), 0);
    }
    rig_until(rig->loop, rig->ends[0].n_frames == 60);
    assert_int_equal(rig->ends[0].heard.len, maps.len);
    assert_memory_equal(rig->ends[0].heard.at, maps.at, maps.len);
    mkv_buf_deinit(&stream);
    mkv_buf_deinit(&maps);
    (void)close(fd);
    rig_until(rig->loop, rig->ends[0].n_closed == 1);
    assert_int_equal(rig->ends[0].error, MKV_E_CLOSED);
    rig_free(rig);
}

static void announce(uint32_t length, int expected)
{
    int fd = -1;
    struct rig *rig = rig_raw(&fd);
    struct mkv_buf out;
    uint8_t answer[64];

    mkv_buf_init(&out, 1000);
    rig_add_frame(&out, rig_map, sizeof(rig_map));
    assert_int_equal(mkv_buf_append_be32(&out, length), 0);
    assert_int_equal(mkv_buf_append(&out, mkv_bytes_of("never read, and still no reset")), 0);
    assert_int_equal(write(fd, out.at, out.len), out.len);
    rig_until(rig->loop, rig->ends[0].n_unreadable == 1);
    assert_int_equal(rig->ends[0].n_frames, 1);
    assert_int_equal(rig->ends[0].error, expected);
    rig_idle(rig->loop, 20);
    assert_int_equal(read(fd, answer, sizeof(answer)), 4 + sizeof(rig_map));
    assert_int_equal(read(fd, answer, sizeof(answer)), 0);
    assert_int_equal(rig->ends[0].n_closed, 0);
    (void)close(fd);
    rig_until(rig->loop, rig->ends[0].n_closed == 1);
    assert_int_equal(rig->ends[0].error, 0);
    mkv_buf_deinit(&out);
    rig_free(rig);
}

static void test_unreadable(void **state)
{
    (void)state;
    announce(UINT32_MAX, MKV_E_TOO_LARGE);
    announce(MKV_FRAME_MAX + 1, MKV_E_TOO_LARGE);
    announce(0, MKV_E_MALFORMED);
}

static void test_never_reads(void **state)
{
    int fd = -1;
    struct rig *rig = rig_raw(&fd);
    static uint8_t map[100000];
    struct mkv_buf out;
    size_t queued_max = 0;
    int error = 0;

    (void)state;
    mkv_buf_init(&out, 200000);
    rig_add_frame(&out, map, sizeof(map));
    for (unsigned i = 0; i < 1000 && error == 0; i++) {
        size_t queued = mkv_link_queued(rig->ends[0].link);

        queued_max = queued > queued_max ? queued : queued_max;
        error = mkv_link_send(rig->ends[0].link, mkv_buf_bytes(&out));
        assert_int_equal(mkv_loop_run_once(rig->loop, 0), 0);
    }
    assert_int_equal(error, MKV_E_QUEUE_FULL);
    assert_true(queued_max <= MKV_LINK_QUEUE_MAX);
    assert_true(queued_max > MKV_LINK_QUEUE_MAX - 200000);
    rig_until(rig->loop, rig->ends[0].n_closed == 1);
    assert_int_equal(rig->ends[0].error, MKV_E_QUEUE_FULL);
    assert_int_equal(mkv_link_send(rig->ends[0].link, mkv_buf_bytes(&out)), MKV_E_NO_CONNECTION);
    assert_int_equal(mkv_link_queued(rig->ends[0].link), 0);
    rig_idle(rig->loop, 20);
    assert_int_equal(rig->ends[0].n_closed, 1);
    mkv_buf_deinit(&out);
    (void)close(fd);
    rig_free(rig);
}

/* A peer that reads nothing cannot hold up a close, either. */
static void test_close_is_bounded(void **state)
{
    int fd = -1;
    struct rig *rig = rig_raw(&fd);
    int64_t start_ms = mkv_clock_monotonic_ms();

    (void)state;
    rig_send(rig->ends[0].link, 300000);
    mkv_link_close(rig->ends[0].link);
    rig_until(rig->loop, rig->ends[0].n_closed == 1);
    assert_int_equal(rig->ends[0].error, MKV_E_TIMEOUT);
    assert_true(mkv_clock_monotonic_ms() - start_ms < MKV_LINK_CLOSE_MS + 1000);
    (void)close(fd);
    rig_free(rig);
}

static void test_close_sends_all(void **state)
{
    struct rig *rig = rig_pair(NULL);

    (void)state;
    rig_send(rig->client.link, 300000);
    mkv_link_close(rig->client.link);
    rig_until(rig->loop, rig->client.n_closed == 1 && rig->ends[0].n_closed == 1);
    assert_int_equal(rig->client.error, 0);
    assert_int_equal(rig->ends[0].n_frames, 300000);
    assert_int_equal(rig->ends[0].error, MKV_E_CLOSED);
    rig_free(rig);
}

static void test_drained(void **state)
{
    struct rig *rig = rig_pair("tcp://127.0.0.1:0");

    (void)state;
    mkv_link_want_drained(rig->client.link, 0);
    assert_int_equal(rig->client.n_drained, 0);
    rig_until(rig->loop, rig->client.n_drained == 1);
    mkv_link_pause(rig->ends[0].link);
    rig_send(rig->client.link, 700000);
    mkv_link_want_drained(rig->client.link, 100000);
    rig_idle(rig->loop, 30);
    assert_int_equal(rig->client.n_drained, 1);
    assert_true(mkv_link_queued(rig->client.link) > 100000);
    mkv_link_resume(rig->ends[0].link);
    rig_until(rig->loop, rig->client.n_drained == 2);
    assert_true(mkv_link_queued(rig->client.link) <= 100000);
    rig_until(rig->loop, rig->ends[0].n_frames == 700000);
    assert_int_equal(rig->client.n_drained, 2);
    rig_free(rig);
}

static void test_pause(void **state)
{
    struct rig *rig = rig_pair(NULL);

    (void)state;
    rig->ends[0].pause_at = 3;
    rig_send(rig->client.link, 1000);
    rig_until(rig->loop, rig->ends[0].n_frames == 3);
    rig_idle(rig->loop, 20);
    assert_int_equal(rig->ends[0].n_frames, 3);
    mkv_link_close(rig->client.link);
    rig_idle(rig->loop, 20);
    assert_int_equal(rig->ends[0].n_frames, 3);
    assert_int_equal(rig->ends[0].n_closed, 0);
    mkv_link_resume(rig->ends[0].link);
    assert_int_equal(rig->ends[0].n_frames, 3);
    rig_until(rig->loop, rig->ends[0].n_closed == 1);
    assert_int_equal(rig->ends[0].n_frames, 1000);
    rig_free(rig);
}

/* The frames before the end are heard, half a frame is not, and the end is told once. */
static void test_peer_closes(void **state)
{
    int fd = -1;
    struct rig *rig = rig_raw(&fd);
    struct mkv_buf out;

    (void)state;
    mkv_buf_init(&out, 1000);
    for (unsigned i = 0; i < 5; i++) {
        rig_add_frame(&out, rig_map, sizeof(rig_map));
    }
    assert_int_equal(write(fd, out.at, out.len - 1), out.len - 1);
    (void)close(fd);
    rig_send(rig->ends[0].link, 1); /* cannot arrive any more; default SIGPIPE must not end us */
    rig_until(rig->loop, rig->ends[0].n_closed == 1);
    assert_int_equal(rig->ends[0].n_frames, 4);
    assert_int_equal(rig->ends[0].error, MKV_E_CLOSED);
    rig_idle(rig->loop, 20);
    assert_int_equal(rig->ends[0].n_closed, 1);
    mkv_buf_deinit(&out);
    rig_free(rig);
}

static void test_free_inside(void **state)
{
    (void)state;
    for (unsigned which = 0; which < 3; which++) {
        struct rig *rig = rig_new();

        rig_listen(rig, (struct mkv_listener_options){0}, NULL);
        rig->client.free_in_opened = which == 0;
        rig->ends[0].free_in_frame = which == 1;
        rig->ends[0].free_in_closed = which == 2;
        rig_connect(rig, NULL);
        rig_until(rig->loop, rig->client.n_opened == 1 && rig->n_ends == 1);
        if (which == 0) {
            rig_until(rig->loop, rig->ends[0].n_closed == 1);
            assert_int_equal(rig->client.n_closed, 0);
        } else {
            rig_send(rig->client.link, 10);
            mkv_link_close(rig->client.link);
            rig_until(rig->loop, rig->client.n_closed == 1 && rig->ends[0].link == NULL);
            assert_int_equal(rig->ends[0].n_frames, which == 1 ? 1 : 10);
            assert_int_equal(rig->ends[0].n_closed, which == 1 ? 0 : 1);
        }
        rig_until(rig->loop, mkv_listener_n_links(rig->listener) == (which == 0 ? 1 : 0));
        rig_free(rig);
    }
}

static void test_peer_is_known(void **state)
{
    struct rig *rig = rig_pair(NULL);
    const struct mkv_peer *peer = mkv_link_peer(rig->ends[0].link);

    (void)state;
    assert_true(peer->is_unix);
    assert_true(peer->is_local);
    assert_int_equal(peer->uid, getuid());
    assert_int_equal(peer->pid, getpid());
    rig_free(rig);

    rig = rig_pair("tcp://127.0.0.1:0");
    peer = mkv_link_peer(rig->ends[0].link);
    assert_false(peer->is_unix);
    assert_true(peer->is_local);
    assert_int_equal(strncmp(peer->text, "127.0.0.1:", 10), 0);
    rig_free(rig);
}

static void fail_to_connect(const char *text, int expected, const char *expected_why)
{
    struct rig *rig = rig_new();
    struct mkv_address address = rig_address(text);
    struct mkv_link_options options = {.connect_ms = 400};

    assert_int_equal(mkv_link_connect(rig->loop, &address, &options, &rig_events, &rig->client,
                                      &rig->client.link),
                     0);
    assert_int_equal(rig->client.n_closed, 0);
    rig_until(rig->loop, rig->client.n_closed == 1);
    if (rig->client.error != expected || strstr(rig->client.why.text, expected_why) == NULL) {
        fail_msg("%s: %d, %s", text, rig->client.error, rig->client.why.text);
    }
    assert_int_equal(rig->client.n_opened, 0);
    rig_free(rig);
}

static void test_refused(void **state)
{
    uint16_t port;
    int fd = rig_bind_tcp(-1, &port);
    char text[64];

    (void)state;
    (void)snprintf(text, sizeof(text), "tcp://127.0.0.1:%u", port);
    fail_to_connect(text, MKV_E_NO_CONNECTION, "is the server running there?");
    (void)snprintf(text, sizeof(text), "tcp://localhost:%u", port);
    fail_to_connect(text, MKV_E_NO_CONNECTION, "is the server running there?");
    fail_to_connect("unix:/nowhere/at/all", MKV_E_NO_CONNECTION, "is the server running there?");
    (void)close(fd);
}

/* A listener whose backlog is full swallows what else comes. */
static void test_connect_timeout(void **state)
{
    uint16_t port;
    int listening = rig_bind_tcp(0, &port);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int waiting[4];
    char text[64];

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(waiting[i], (struct sockaddr *)&address, sizeof(address));
    }
    (void)snprintf(text, sizeof(text), "tcp://127.0.0.1:%u", port);
    fail_to_connect(text, MKV_E_TIMEOUT, "timed out");
    for (unsigned i = 0; i < 4; i++) {
        (void)close(waiting[i]);
    }
    (void)close(listening);
}

/* With or without a name server in reach: it fails in time, and does not block. */
static void test_unknown_host(void **state)
{
    struct rig *rig = rig_new();
    struct mkv_address address = rig_address("tcp://no-such-host.invalid:1");
    struct mkv_link_options options = {.connect_ms = 500};
    int64_t start_ms = mkv_clock_monotonic_ms();

    (void)state;
    assert_int_equal(mkv_link_connect(rig->loop, &address, &options, &rig_events, &rig->client,
                                      &rig->client.link),
                     0);
    assert_true(mkv_clock_monotonic_ms() - start_ms < 200);
    rig_until(rig->loop, rig->client.n_closed == 1);
    assert_true(rig->client.error == MKV_E_NO_CONNECTION || rig->client.error == MKV_E_TIMEOUT);
    assert_true(mkv_clock_monotonic_ms() - start_ms < 1500);
    rig_free(rig);

    /* Ended while it is looked up. */
    rig = rig_new();
    assert_int_equal(
        mkv_link_connect(rig->loop, &address, NULL, &rig_events, &rig->client, &rig->client.link),
        0);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_unix),       cmocka_unit_test(test_many_tcp),
        cmocka_unit_test(test_pieces),          cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_never_reads),     cmocka_unit_test(test_close_is_bounded),
        cmocka_unit_test(test_close_sends_all), cmocka_unit_test(test_drained),
        cmocka_unit_test(test_pause),           cmocka_unit_test(test_peer_closes),
        cmocka_unit_test(test_free_inside),     cmocka_unit_test(test_peer_is_known),
        cmocka_unit_test(test_refused),         cmocka_unit_test(test_connect_timeout),
        cmocka_unit_test(test_unknown_host),
    };

    return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}
