/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The library as an application uses it, against a real server.
 */
#include <moatkv/client.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "daemon.h"
#include "lib/check.h"

#define PATIENCE_MS 10000

static struct daemon server;
static moatkv *kv;

static const moatkv_bytes seven = {"\x07", 1};
static const moatkv_bytes eight = {"\x08", 1};

static moatkv *open_kv(const char *servers, const char *broker)
{
    moatkv_options *options = moatkv_options_new();
    moatkv *handle = NULL;

    assert_non_null(options);
    assert_int_equal(moatkv_options_set_servers(options, servers), 0);
    assert_int_equal(moatkv_options_set_broker(options, broker), 0);
    assert_int_equal(moatkv_options_set_software(options, "test"), 0);
    assert_int_equal(moatkv_open(options, &handle), 0);
    moatkv_options_free(options);
    return handle;
}

static int start(void **state)
{
    (void)state;
    daemon_init(&server);
    daemon_start(&server, NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    daemon_deinit(&server);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    kv = open_kv(server.server, "");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    moatkv_close(kv);
    kv = NULL;
    return 0;
}

static bool bytes_are(moatkv_bytes bytes, const char *text)
{
    return bytes.len == strlen(text) && memcmp(bytes.at, text, bytes.len) == 0;
}

/* Waits for *flag, with a limit. */
static void await(const int *flag)
{
    for (int n = 0; n < 1000 && *flag == 0; n++) {
        assert_int_equal(moatkv_wait(kv, PATIENCE_MS / 100), 0);
    }
    assert_int_not_equal(*flag, 0);
}

/* What a callback saw. */
struct seen {
    int n;
    int done;
    int status;
    bool deleted;
    uint64_t tock;
    char path[64];
    uint8_t value;
};

static void note(struct seen *seen, const moatkv_entry *entry)
{
    moatkv_bytes path = moatkv_entry_path(entry);
    moatkv_bytes value = moatkv_entry_value(entry);

    assert_true(path.len < sizeof(seen->path));
    assert_int_equal(((const char *)path.at)[path.len], 0);
    memcpy(seen->path, path.at, path.len + 1);
    seen->deleted = moatkv_entry_deleted(entry) != 0;
    seen->tock = moatkv_entry_tock(entry);
    seen->value = value.len > 0 ? *(const uint8_t *)value.at : 0xff;
}

static void on_entry(void *user, int status, const moatkv_entry *entry)
{
    struct seen *seen = user;

    if (entry != NULL) {
        note(seen, entry);
    }
    if (status == MOATKV_ROW) {
        seen->n++;
        return;
    }
    seen->status = status;
    seen->done++;
}

static void test_connects(void **state)
{
    (void)state;
    assert_int_equal(moatkv_connect(kv, PATIENCE_MS), 0);
    assert_string_equal(moatkv_server_name(kv), "srv");
    assert_string_equal(moatkv_detail(kv), "");
}

static void test_set_get_delete(void **state)
{
    moatkv_bytes path = moatkv_text("t.one:2");
    moatkv_entry *entry = NULL;
    moatkv_bytes name;
    uint64_t seq;
    uint64_t counter;

    (void)state;
    assert_int_equal(moatkv_get_sync(kv, path, PATIENCE_MS, &entry), MOATKV_E_NOT_FOUND);
    assert_null(entry);
    assert_int_equal(moatkv_set_sync(kv, path, seven, 0, PATIENCE_MS), 0);
    assert_int_equal(moatkv_set_sync(kv, path, eight, 0, PATIENCE_MS), 0);
    assert_int_equal(moatkv_get_sync(kv, path, PATIENCE_MS, &entry), 0);
    assert_true(bytes_are(moatkv_entry_path(entry), "t.one:2"));
    assert_true(bytes_are(moatkv_entry_value(entry), "\x08"));
    assert_false(moatkv_entry_deleted(entry));
    assert_int_equal(moatkv_entry_tick(entry, 0, &name, &seq, &counter), 0);
    assert_true(bytes_are(name, "srv"));
    assert_true(seq > 0 && counter == 2);
    assert_int_equal(moatkv_entry_tick(entry, moatkv_entry_n_ticks(entry), &name, &seq, &counter),
                     MOATKV_E_BAD_ARGUMENT);
    moatkv_entry_free(entry);
    assert_int_equal(moatkv_delete_sync(kv, path, 0, PATIENCE_MS), 0);
    assert_int_equal(moatkv_get_sync(kv, path, PATIENCE_MS, &entry), MOATKV_E_NOT_FOUND);
    assert_non_null(entry); /* the tombstone */
    assert_true(moatkv_entry_deleted(entry));
    moatkv_entry_free(entry);
}

static void test_bad_arguments(void **state)
{
    moatkv_read_how how = {.size = sizeof(how), .depth_min = 2, .depth_max = 1};
    moatkv_bytes nothing = {NULL, 0};

    (void)state;
    assert_int_equal(moatkv_get(kv, moatkv_text(""), on_entry, NULL), MOATKV_E_BAD_PATH);
    assert_int_equal(moatkv_get(kv, moatkv_text("a..b"), on_entry, NULL), MOATKV_E_BAD_PATH);
    assert_int_equal(moatkv_get(kv, nothing, on_entry, NULL), MOATKV_E_BAD_ARGUMENT);
    assert_int_equal(moatkv_set(kv, moatkv_text("t"), nothing, 0, NULL, NULL),
                     MOATKV_E_BAD_ARGUMENT);
    assert_int_equal(moatkv_set(kv, moatkv_text("t"), moatkv_text("\x61"), 0, NULL, NULL),
                     MOATKV_E_TRUNCATED);
    assert_int_equal(moatkv_set(kv, moatkv_text("t"), seven, 2, NULL, NULL), MOATKV_E_BAD_ARGUMENT);
    assert_int_equal(moatkv_read(kv, moatkv_text("t"), &how, on_entry, NULL, NULL),
                     MOATKV_E_BAD_ARGUMENT);
    how = (moatkv_read_how){.size = 1, .depth_max = 64};
    assert_int_equal(moatkv_read(kv, moatkv_text("t"), &how, on_entry, NULL, NULL),
                     MOATKV_E_BAD_ARGUMENT);
    assert_int_equal(moatkv_cancel(kv, 4711), MOATKV_E_NOT_FOUND);
}

struct children {
    int n;
    int done;
    uint64_t n_entries;
};

static void on_child(void *user, int status, const moatkv_child *child)
{
    struct children *children = user;

    if (status != MOATKV_ROW) {
        assert_int_equal(status, 0);
        children->done = 1;
        return;
    }
    assert_true(bytes_are(moatkv_child_path(child), children->n == 0 ? "r:1" : "r.b"));
    assert_int_equal(moatkv_child_has_value(child), 1);
    children->n++;
    children->n_entries += moatkv_child_n_entries(child);
}

static void test_read_and_list(void **state)
{
    struct seen all = {0};
    struct seen some = {0};
    struct children children = {0};
    moatkv_read_how how = {
        .size = sizeof(how), .depth_min = 1, .depth_max = 1, .flags = MOATKV_KEYS_ONLY};

    (void)state;
    assert_int_equal(moatkv_set_sync(kv, moatkv_text("r.b"), seven, 0, PATIENCE_MS), 0);
    assert_int_equal(moatkv_set_sync(kv, moatkv_text("r.b.c"), seven, 0, PATIENCE_MS), 0);
    assert_int_equal(moatkv_set_sync(kv, moatkv_text("r:1"), seven, 0, PATIENCE_MS), 0);
    assert_int_equal(moatkv_read(kv, moatkv_text("r"), NULL, on_entry, &all, NULL), 0);
    assert_int_equal(moatkv_read(kv, moatkv_text("r"), &how, on_entry, &some, NULL), 0);
    assert_int_equal(moatkv_list(kv, moatkv_text("r"), on_child, &children, NULL), 0);
    await(&all.done);
    await(&some.done);
    await(&children.done);
    assert_int_equal(all.n, 3);
    assert_string_equal(all.path, "r.b.c");
    assert_int_equal(all.value, 7);
    assert_int_equal(some.n, 2);
    assert_int_equal(some.value, 0xf6); /* null instead of the value */
    assert_int_equal(children.n, 2);
    assert_int_equal(children.n_entries, 3);
}

static void on_report(void *user, int status, moatkv_bytes report)
{
    assert_int_equal(status, 0);
    assert_true(report.len > 0);
    *(int *)user = 1;
}

static void on_done(void *user, int status)
{
    assert_int_equal(status, 0);
    *(int *)user = 1;
}

static void test_status_and_ping(void **state)
{
    int reported = 0;
    int ponged = 0;

    (void)state;
    assert_int_equal(moatkv_status(kv, on_report, &reported), 0);
    assert_int_equal(moatkv_ping(kv, on_done, &ponged), 0);
    await(&reported);
    await(&ponged);
}

struct watcher {
    int n_state;
    int n_change;
    int n_synced;
    int ended;
    struct seen last;
};

static void on_watch(void *user, int kind, int status, const moatkv_entry *entry)
{
    struct watcher *watcher = user;

    if (kind == MOATKV_WATCH_SYNCED) {
        watcher->n_synced++;
    } else if (kind == MOATKV_WATCH_END) {
        watcher->ended = status;
    } else {
        watcher->n_state += kind == MOATKV_WATCH_STATE;
        watcher->n_change += kind == MOATKV_WATCH_CHANGE;
        note(&watcher->last, entry);
    }
}

static void await_changes(const struct watcher *watcher, int n)
{
    for (int i = 0; i < 1000 && watcher->n_change < n; i++) {
        assert_int_equal(moatkv_wait(kv, PATIENCE_MS / 100), 0);
    }
    assert_int_equal(watcher->n_change, n);
}

static void test_watch(void **state)
{
    static struct watcher watcher; /* outlives the test: the watch ends in teardown() */
    uint64_t id = 0;

    (void)state;
    watcher = (struct watcher){0};
    assert_int_equal(moatkv_set_sync(kv, moatkv_text("w.a"), seven, 0, PATIENCE_MS), 0);
    assert_int_equal(moatkv_watch(kv, moatkv_text("w"), on_watch, &watcher, &id), 0);
    await(&watcher.n_synced);
    assert_int_equal(watcher.n_state, 1);
    assert_string_equal(watcher.last.path, "w.a");
    assert_int_equal(moatkv_set_sync(kv, moatkv_text("w.a"), eight, 0, PATIENCE_MS), 0);
    await_changes(&watcher, 1);
    assert_int_equal(watcher.last.value, 8);
    assert_int_equal(moatkv_delete_sync(kv, moatkv_text("w.a"), 0, PATIENCE_MS), 0);
    await_changes(&watcher, 2);
    assert_true(watcher.last.deleted);
    assert_int_equal(moatkv_cancel(kv, id), 0);
    await(&watcher.ended);
    assert_int_equal(watcher.ended, MOATKV_E_CANCELLED);
    assert_int_equal(moatkv_cancel(kv, id), MOATKV_E_NOT_FOUND);
}

static int n_room;

static void on_event(void *user, const moatkv_event *event)
{
    (void)user;
    n_room += moatkv_event_kind(event) == MOATKV_EVENT_ROOM;
}

/* The reports of servers, of which there is one here. */
struct roster {
    int n;
    int done;
    int status;
    char id[33];
};

static void on_server(void *user, int status, moatkv_bytes report)
{
    static const char key[] = "\x62id\x78\x20"; /* "id", and a text of 32 bytes */
    struct roster *roster = user;

    if (status != MOATKV_ROW) {
        assert_int_equal(report.len, 0);
        roster->status = status;
        roster->done++;
        return;
    }

    const char *found = memmem(report.at, report.len, key, sizeof(key) - 1);

    assert_non_null(found);
    memcpy(roster->id, found + sizeof(key) - 1, 32);
    roster->n++;
}

static void on_evicted(void *user, int status)
{
    *(int *)user = status != 0 ? status : 1;
}

static void evict(const char *id, int error, int status)
{
    int ended = 0;

    assert_int_equal(moatkv_evict(kv, moatkv_text(id), on_evicted, &ended), error);
    if (error == 0) {
        await(&ended);
        assert_int_equal(ended, status);
    }
}

static void test_servers_and_evict(void **state)
{
    struct roster roster = {0};

    (void)state;
    assert_int_equal(moatkv_servers(kv, on_server, &roster, NULL), 0);
    await(&roster.done);
    assert_int_equal(roster.status, 0);
    assert_int_equal(roster.n, 1);
    assert_int_equal(strlen(roster.id), 32);
    evict(roster.id, 0, MOATKV_E_UNEXPECTED); /* itself */
    evict("00112233445566778899AABBCCDDEEFF", 0, MOATKV_E_NOT_FOUND);
    evict("00112233445566778899AABBCCDDEEF", MOATKV_E_BAD_ARGUMENT, 0);
    evict("00112233445566778899AABBCCDDEEFG", MOATKV_E_BAD_ARGUMENT, 0);
    evict("", MOATKV_E_BAD_ARGUMENT, 0);
    assert_int_equal(moatkv_evict(kv, (moatkv_bytes){NULL, 32}, on_done, NULL),
                     MOATKV_E_BAD_ARGUMENT);
}

static void test_full_queue_has_room_again(void **state)
{
    struct seen seen = {0};
    int taken = 0;
    int error = 0;

    (void)state;
    n_room = 0;
    moatkv_set_event_callback(kv, on_event, NULL);
    while (error == 0) {
        error = moatkv_set(kv, moatkv_text("q"), seven, MOATKV_BLIND, on_entry, &seen);
        taken += error == 0;
    }
    assert_int_equal(error, MOATKV_E_QUEUE_FULL);
    assert_int_equal(taken, 1000);
    assert_int_equal(seen.done, 0); /* nothing is called back from within a call */
    await(&n_room);
    assert_int_equal(moatkv_flush(kv, PATIENCE_MS), 0);
    assert_int_equal(seen.done, 1000);
    assert_int_equal(seen.status, 0);
    moatkv_set_event_callback(kv, NULL, NULL);
}

static void on_busy_entry(void *user, int status, const moatkv_entry *entry)
{
    (void)entry;
    assert_int_equal(status, 0);
    assert_int_equal(moatkv_dispatch(kv), MOATKV_E_BAD_STATE);
    assert_int_equal(moatkv_wait(kv, 0), MOATKV_E_BAD_STATE);
    assert_int_equal(moatkv_flush(kv, 0), MOATKV_E_BAD_STATE);
    assert_int_equal(moatkv_set_sync(kv, moatkv_text("x"), seven, 0, 0), MOATKV_E_BAD_STATE);
    assert_int_equal(moatkv_set(kv, moatkv_text("cb.2"), seven, 0, on_entry, user), 0);
}

static void test_callbacks_may_call(void **state)
{
    struct seen seen = {0};

    (void)state;
    assert_int_equal(moatkv_set(kv, moatkv_text("cb.1"), seven, 0, on_busy_entry, &seen), 0);
    await(&seen.done);
    assert_int_equal(seen.status, 0);
    assert_string_equal(seen.path, "cb.2");
}

static void on_closing_entry(void *user, int status, const moatkv_entry *entry)
{
    (void)status;
    (void)entry;
    *(int *)user += 1;
    moatkv_close(kv);
}

static void test_close_in_a_callback(void **state)
{
    int called = 0;
    struct seen seen = {0};
    int error = 0;

    (void)state;
    assert_int_equal(moatkv_get(kv, moatkv_text("x"), on_closing_entry, &called), 0);
    assert_int_equal(moatkv_watch(kv, moatkv_text("x"), NULL, NULL, NULL), 0);
    while (called == 0) {
        error = moatkv_wait(kv, PATIENCE_MS);
    }
    assert_int_equal(error, MOATKV_E_CLOSED);
    assert_int_equal(called, 1);
    kv = open_kv(server.server, "");
    assert_int_equal(moatkv_get(kv, moatkv_text("x"), on_entry, &seen), 0);
    moatkv_close(kv); /* completes it */
    assert_int_equal(seen.done, 1);
    assert_int_equal(seen.status, MOATKV_E_CANCELLED);
    kv = NULL;
}

static void test_own_loop(void **state)
{
    struct seen seen = {0};
    struct pollfd pollfd = {.fd = moatkv_fd(kv), .events = POLLIN};

    (void)state;
    assert_int_equal(moatkv_set(kv, moatkv_text("loop"), seven, 0, on_entry, &seen), 0);
    for (int n = 0; n < 1000 && seen.done == 0; n++) {
        assert_true(poll(&pollfd, 1, PATIENCE_MS) > 0); /* the descriptor alone tells */
        assert_int_equal(moatkv_dispatch(kv), 0);
    }
    assert_int_equal(seen.status, 0);
}

static void test_two_handles(void **state)
{
    moatkv *other = open_kv(server.server, "");
    static struct watcher watcher; /* outlives the test: the watch ends in teardown() */

    (void)state;
    watcher = (struct watcher){0};
    assert_int_equal(moatkv_watch(kv, moatkv_text("two"), on_watch, &watcher, NULL), 0);
    await(&watcher.n_synced);
    assert_int_equal(moatkv_set_sync(other, moatkv_text("two.x"), seven, 0, PATIENCE_MS), 0);
    await_changes(&watcher, 1);
    moatkv_close(other);
}

static void test_found_by_broker(void **state)
{
    moatkv *found = open_kv("unix:/nobody/here", server.broker);
    moatkv *asked = open_kv("", server.broker);

    (void)state;
    assert_int_equal(moatkv_set_sync(found, moatkv_text("b"), seven, 0, PATIENCE_MS), 0);
    assert_int_equal(moatkv_set_sync(asked, moatkv_text("b"), eight, 0, PATIENCE_MS), 0);
    moatkv_close(found);
    moatkv_close(asked);
}

static void test_nobody_there(void **state)
{
    moatkv *lost = open_kv("unix:/nobody/here", "");

    (void)state;
    assert_int_equal(moatkv_connect(lost, -1), MOATKV_E_NO_CONNECTION);
    assert_non_null(strstr(moatkv_detail(lost), "unix:/nobody/here"));
    assert_non_null(strstr(moatkv_detail(lost), "MOAT_KV_SERVER"));
    assert_int_equal(moatkv_connect(lost, 50), MOATKV_E_TIMEOUT);
    assert_int_equal(moatkv_get_sync(lost, moatkv_text("x"), 50, NULL), MOATKV_E_TIMEOUT);
    assert_int_equal(moatkv_set_sync(lost, moatkv_text("x"), seven, 0, 50), MOATKV_E_TIMEOUT);
    moatkv_close(lost);
}

/* The server and, with it, its broker are killed while writes are under way. */
static void test_server_killed(void **state)
{
    struct seen seen = {0};
    static struct watcher watcher; /* outlives the test: the watch ends in teardown() */
    char path[32];
    moatkv_entry *entry = NULL;

    (void)state;
    watcher = (struct watcher){0};
    assert_int_equal(moatkv_watch(kv, moatkv_text("k"), on_watch, &watcher, NULL), 0);
    await(&watcher.n_synced);
    for (int i = 0; i < 500; i++) {
        (void)snprintf(path, sizeof(path), "k:%d", i);
        assert_int_equal(moatkv_set(kv, moatkv_text(path), seven, 0, on_entry, &seen), 0);
        if (i == 250) {
            assert_int_equal(moatkv_wait(kv, 5), 0);
            daemon_stop(&server, SIGKILL);
        }
    }
    assert_int_equal(moatkv_flush(kv, 300), MOATKV_E_TIMEOUT);
    daemon_start(&server, NULL);
    assert_int_equal(moatkv_flush(kv, 60000), 0);
    assert_int_equal(seen.done, 500);
    assert_int_equal(seen.status, 0);
    assert_int_equal(moatkv_get_sync(kv, moatkv_text("k:499"), PATIENCE_MS, &entry), 0);
    moatkv_entry_free(entry);
    for (int i = 0; i < 1000 && (watcher.n_synced < 2 || watcher.n_change < 500); i++) {
        assert_int_equal(moatkv_wait(kv, PATIENCE_MS / 100), 0);
    }
    assert_true(watcher.n_synced >= 2);
    assert_true(watcher.n_change >= 500); /* more if they had to be issued anew */
}

static void test_versions_and_errors(void **state)
{
    (void)state;
    assert_int_equal(moatkv_version_number(), MOATKV_VERSION_NUMBER);
    assert_string_equal(moatkv_version(), "3.0.0");
    assert_string_equal(moatkv_error_name(MOATKV_E_QUEUE_FULL), "QUEUE_FULL");
    assert_string_equal(moatkv_strerror(1), "unknown error");
}

#define WITH_HANDLE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_HANDLE(test_connects),
        WITH_HANDLE(test_set_get_delete),
        WITH_HANDLE(test_bad_arguments),
        WITH_HANDLE(test_read_and_list),
        WITH_HANDLE(test_status_and_ping),
        WITH_HANDLE(test_servers_and_evict),
        WITH_HANDLE(test_watch),
        WITH_HANDLE(test_full_queue_has_room_again),
        WITH_HANDLE(test_callbacks_may_call),
        WITH_HANDLE(test_close_in_a_callback),
        WITH_HANDLE(test_own_loop),
        WITH_HANDLE(test_two_handles),
        cmocka_unit_test(test_found_by_broker),
        cmocka_unit_test(test_nobody_there),
        WITH_HANDLE(test_server_killed),
        cmocka_unit_test(test_versions_and_errors),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
