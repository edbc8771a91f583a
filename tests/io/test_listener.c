/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/resource.h>
#include <sys/stat.h>

#include "link_rig.h"

static void test_socket_file(void **state)
{
    struct rig *rig = rig_new();
    struct mkv_address address = rig_unix_address(rig->directory, "link");
    struct mkv_listener_options options = {.accepted = rig_on_accepted, .context = rig};
    struct mkv_listener *second = NULL;
    struct mkv_why why = {0};
    struct stat status;
    mode_t mask = umask(022);

    (void)state;
    rig_listen(rig, options, NULL);
    assert_int_equal(stat(address.path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);

    /* One that is in use stays. */
    assert_int_equal(mkv_listener_new(rig->loop, &address, &options, &why, &second), MKV_E_LOCKED);
    assert_non_null(strstr(why.text, address.path));
    rig_connect(rig, NULL);
    rig_until(rig->loop, rig->client.n_opened == 1);
    mkv_listener_free(rig->listener);
    assert_int_equal(stat(address.path, &status), -1);

    /* One that is stale goes; wider modes are as asked, whatever the umask. */
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un raw = {.sun_family = AF_UNIX};

    memcpy(raw.sun_path, address.path, strlen(address.path) + 1);
    assert_int_equal(bind(fd, (struct sockaddr *)&raw, sizeof(raw)), 0);
    (void)close(fd);
    options.mode = 0666;
    rig_listen(rig, options, NULL);
    assert_int_equal(stat(address.path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0666);

    /* Somebody else's socket under our name is not ours to remove. */
    assert_int_equal(unlink(address.path), 0);
    rig->n_ends = 0;
    assert_int_equal(mkv_listener_new(rig->loop, &address, &options, &why, &second), 0);
    mkv_listener_free(rig->listener);
    rig->listener = second;
    assert_int_equal(stat(address.path, &status), 0);
    mkv_listener_free(rig->listener);
    rig->listener = NULL;

    /* A file is no socket. */
    fd = open(address.path, O_CREAT | O_WRONLY, 0600);
    (void)close(fd);
    assert_int_equal(mkv_listener_new(rig->loop, &address, &options, &why, &second), MKV_E_LOCKED);
    assert_non_null(strstr(why.text, "not a socket"));
    (void)umask(mask);
    rig_free(rig);
}

static void test_bad_listeners(void **state)
{
    struct rig *rig = rig_new();
    uint16_t port;
    int fd = rig_bind_tcp(1, &port);
    char text[64];
    struct mkv_address address;
    struct mkv_listener_options options = {.accepted = rig_on_accepted, .context = rig};
    struct mkv_why why = {0};

    (void)state;
    (void)snprintf(text, sizeof(text), "tcp://127.0.0.1:%u", port);
    address = rig_address(text);
    assert_int_equal(mkv_listener_new(rig->loop, &address, &options, &why, &rig->listener),
                     MKV_E_LOCKED);
    assert_non_null(strstr(why.text, text));
    address = rig_address("tcp://some.host:5");
    assert_int_equal(mkv_listener_new(rig->loop, &address, &options, &why, &rig->listener),
                     MKV_E_BAD_ARGUMENT);
    address = rig_address("tcp://192.0.2.1:5");
    assert_int_equal(mkv_listener_new(rig->loop, &address, &options, &why, &rig->listener),
                     MKV_E_IO);
    address = rig_address("unix:/no/such/directory/link");
    assert_int_equal(mkv_listener_new(rig->loop, &address, &options, &why, &rig->listener),
                     MKV_E_IO);
    (void)close(fd);
    rig_free(rig);
}

static void test_too_many_links(void **state)
{
    struct rig *rig = rig_new();
    struct mkv_buf refusal;
    struct end more[40];

    (void)state;
    memset(more, 0, sizeof(more));
    mkv_buf_init(&refusal, 100);
    rig_add_frame(&refusal, rig_map, sizeof(rig_map));
    rig_listen(rig,
               (struct mkv_listener_options){.links_max = 2, .refusal = mkv_buf_bytes(&refusal)},
               "tcp://127.0.0.1:0");
    mkv_buf_deinit(&refusal);
    for (unsigned i = 0; i < 40; i++) {
        mkv_buf_init(&more[i].heard, 100);
        assert_int_equal(mkv_link_connect(rig->loop, mkv_listener_address(rig->listener), NULL,
                                          &rig_events, &more[i], &more[i].link),
                         0);
        rig_until(rig->loop, more[i].n_opened == 1);
        rig_send(more[i].link, 3); /* as a client that begins with its hello */
    }
    for (unsigned i = 0; i < 40; i++) {
        rig_until(rig->loop, i < 2 || more[i].n_closed == 1);
        assert_int_equal(more[i].n_frames, i < 2 ? 0 : 1);
    }
    assert_int_equal(mkv_listener_n_links(rig->listener), 2);
    assert_int_equal(more[0].n_closed, 0);
    mkv_link_free(more[0].link);
    more[0].link = NULL;
    rig_until(rig->loop, rig->ends[0].n_closed == 1);
    mkv_link_free(rig->ends[0].link);
    rig->ends[0].link = NULL;
    rig_until(rig->loop, mkv_listener_n_links(rig->listener) == 1);
    rig_connect(rig, NULL);
    rig_until(rig->loop, rig->n_ends == 3);
    for (unsigned i = 0; i < 40; i++) {
        mkv_link_free(more[i].link);
        mkv_buf_deinit(&more[i].heard);
    }
    rig_free(rig);
}

static void test_no_descriptors(void **state)
{
    struct rig *rig = rig_new();
    struct rlimit before;
    struct rlimit few;
    int fds[12];
    unsigned n_turns = 0;

    (void)state;
    rig_listen(rig, (struct mkv_listener_options){0}, NULL);
    for (unsigned i = 0; i < 12; i++) {
        fds[i] = rig_connect_unix(mkv_listener_address(rig->listener)->path);
    }
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = (rlim_t)fds[11] + 1 + 4;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    rig_until(rig->loop, rig->n_ends == 4);
    for (int64_t end_ms = mkv_clock_monotonic_ms() + 500; mkv_clock_monotonic_ms() < end_ms;) {
        assert_int_equal(mkv_loop_run_once(rig->loop, 500), 0);
        n_turns++;
    }
    assert_true(n_turns < 30);
    assert_int_equal(rig->n_ends, 4);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    rig_until(rig->loop, rig->n_ends == 12);
    for (unsigned i = 0; i < 12; i++) {
        (void)close(fds[i]);
    }
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_socket_file),
        cmocka_unit_test(test_bad_listeners),
        cmocka_unit_test(test_too_many_links),
        cmocka_unit_test(test_no_descriptors),
    };

    return cmocka_run_group_tests_name("listener", tests, NULL, NULL);
}
