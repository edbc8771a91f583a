/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Servers that have keys of a cluster: whose pings count, what a server does that hears only such as
 * it cannot check, and what changes with other keys.  Two real servers; links cannot be dialled, so
 * that a server tries to is the sign that it believes the other one.
 */
#include <stdio.h>
#include <string.h>

#include "lib/check.h"
#include "node/server.h"
#include "store/log_memory.h"
#include "store/store.h"

#define ACT "moat/main/svc/act"

struct server {
    struct mkv_disk *disk;
    struct mkv_store *store;
    struct mkv_server_node *node;
    struct mkv_buf ping; /* the last */
    unsigned n_pings;
    unsigned n_dials;
    unsigned n_errors; /* in the log */
    char error[1100];
    char stop[1100]; /* why it stopped; empty: it did not */
};

static struct server joiner;
static struct server member;
static struct mkv_now now;

static struct mkv_ring ring_of(unsigned n, uint8_t first)
{
    struct mkv_ring ring = {.n = n};

    for (unsigned i = 0; i < n; i++) {
        memset(ring.keys[i], first + (int)i, MKV_RING_KEY_LEN);
    }
    return ring;
}

static void listen_to(struct server *server)
{
    struct mkv_output output;

    while (mkv_server_node_output(server->node, &output)) {
        int len = (int)output.payload.len;
        const char *text = (const char *)output.payload.at;

        if (output.kind == MKV_OUTPUT_PUBLISH) {
            assert_true(mkv_bytes_equal(output.topic, mkv_bytes_of(ACT)));
            mkv_buf_clear(&server->ping);
            assert_int_equal(mkv_buf_append(&server->ping, output.payload), 0);
            server->n_pings++;
        } else if (output.kind == MKV_OUTPUT_DIAL) {
            server->n_dials++;
            mkv_server_node_dialled(server->node, now, output.link, MKV_E_NO_CONNECTION,
                                    MKV_PEER_SAME_USER);
        } else if (output.kind == MKV_OUTPUT_STOP) {
            (void)snprintf(server->stop, sizeof(server->stop), "%.*s", len, text);
        } else if (output.kind == MKV_OUTPUT_LOG && output.level == MKV_LOG_ERROR) {
            server->n_errors++;
            (void)snprintf(server->error, sizeof(server->error), "%.*s", len, text);
        }
    }
}

static void start(struct server *server, bool is_member, const struct mkv_ring *ring)
{
    struct mkv_store_options options = {.boot_nonce = is_member ? 1000 : 2000};
    struct mkv_store_report report;
    struct mkv_server_node_config config = {
        .server = {.name = mkv_bytes_of(is_member ? "member" : "joiner"),
                   .root = mkv_bytes_of("moat/main"),
                   .host = mkv_bytes_of("here"),
                   .software = mkv_bytes_of("test"),
                   .qos = 1,
                   .session_limits = {.grace_ms = 200, .void_ms = 30000},
                   .times = MKV_CLUSTER_TIMES,
                   .alone = is_member},
        .window_ms = 0,
        .ring = *ring,
    };

    *server = (struct server){.disk = mkv_disk_new(0)};
    assert_non_null(server->disk);
    mkv_buf_init(&server->ping, MKV_UPDATE_MAX);
    memset(options.id, is_member ? 1 : 2, sizeof(options.id));
    config.server.links.n = 1;
    config.server.links.at[0] = mkv_bytes_of("unix:/run/x");
    assert_int_equal(mkv_store_open_disk(server->disk, &options, &server->store, &report), 0);
    assert_int_equal(mkv_server_node_new(&config, server->store, now, &server->node), 0);
    mkv_server_node_broker(server->node, now, true);
    listen_to(server);
}

static void start_both(struct mkv_ring joiners, struct mkv_ring members)
{
    now = (struct mkv_now){.ms = 1};
    start(&member, true, &members);
    assert_true(mkv_server_node_ready(member.node));
    start(&joiner, false, &joiners);
    assert_false(mkv_server_node_ready(joiner.node));
}

static void end(struct server *server)
{
    mkv_server_node_free(server->node);
    mkv_store_close(server->store);
    mkv_disk_free(server->disk);
    mkv_buf_deinit(&server->ping);
}

static int teardown(void **state)
{
    (void)state;
    end(&joiner);
    end(&member);
    return 0;
}

/* What @from pinged since it was last asked reaches @to. */
static void carry(struct server *from, struct server *to)
{
    if (from->n_pings > 0 && joiner.stop[0] == '\0') {
        from->n_pings = 0;
        mkv_server_node_message(to->node, now, mkv_bytes_of(ACT), mkv_buf_bytes(&from->ping),
                                false);
        listen_to(to);
    }
}

static void run(int64_t ms)
{
    for (int64_t until = now.ms + ms; now.ms < until && joiner.stop[0] == '\0'; now.ms += 50) {
        mkv_server_node_time(member.node, now);
        listen_to(&member);
        carry(&member, &joiner);
        mkv_server_node_time(joiner.node, now);
        listen_to(&joiner);
        carry(&joiner, &member);
    }
}

static void one_key_is_one_cluster(void **state)
{
    (void)state;
    start_both(ring_of(1, 1), ring_of(1, 1));
    run(3000);
    assert_true(joiner.n_dials > 0);
    assert_string_equal(joiner.stop, "");
    assert_int_equal(member.n_errors, 0);
}

static void another_key_is_another_cluster(void **state)
{
    (void)state;
    start_both(ring_of(3, 10), ring_of(3, 1));
    run(3000);
    assert_non_null(strstr(joiner.stop, "have another key"));
    assert_int_equal(joiner.n_dials, 0);
    assert_false(mkv_server_node_ready(joiner.node));
    assert_non_null(strstr(member.error, "'joiner'"));
    assert_true(mkv_server_node_ready(member.node));
}

static void whoever_has_no_key_is_a_stranger(void **state)
{
    (void)state;
    start_both(ring_of(1, 1), ring_of(0, 0));
    run(3000);
    assert_non_null(strstr(joiner.stop, "have another key"));
    assert_int_equal(joiner.n_dials, 0);
}

/* So he starts before his first second is over, without waiting for a ping that is due in 10 s. */
static void strangers_are_answered_and_told_of_once_a_minute(void **state)
{
    unsigned n = 0;

    (void)state;
    start_both(ring_of(1, 2), ring_of(1, 1));
    for (int i = 0; i < 60; i++) { /* one every second, which stays a joiner */
        member.n_pings = 0;
        mkv_server_node_message(member.node, now, mkv_bytes_of(ACT), mkv_buf_bytes(&joiner.ping),
                                false);
        for (int k = 0; k < 4; k++, now.ms += 250) {
            mkv_server_node_time(member.node, now);
            listen_to(&member);
        }
        n += member.n_pings;
    }
    assert_true(n >= 60 && n <= 70);
    assert_int_equal(member.n_errors, 1);
    assert_int_equal(member.n_dials, 0);
}

static void any_key_of_the_ring_counts(void **state)
{
    (void)state;
    start_both(ring_of(3, 1), ring_of(1, 3)); /* the member has only the joiner's oldest one */
    run(3000);
    assert_true(joiner.n_dials > 0);
    assert_string_equal(joiner.stop, "");
}

static void a_changed_key_has_to_be_passed_on(void **state)
{
    struct mkv_ring later = ring_of(1, 1);

    mkv_ring_add(&later, (const uint8_t[MKV_RING_KEY_LEN]){9});
    start_both(ring_of(1, 1), later);
    run(3000);
    assert_int_equal(joiner.n_dials, 0);
    assert_non_null(strstr(joiner.stop, "have another key"));
    assert_int_equal(member.n_errors, 0); /* it has the joiner's key, too */
    (void)teardown(state);

    start_both(ring_of(1, 1), later);
    mkv_server_node_keys(joiner.node, &later);
    run(3000);
    assert_true(joiner.n_dials > 0);
    assert_string_equal(joiner.stop, "");
}

/* Not one bit of a ping can be changed on its way. */
static void a_changed_ping_does_not_count(void **state)
{
    uint8_t changed[1024];

    (void)state;
    start_both(ring_of(1, 1), ring_of(1, 1));
    mkv_server_node_time(member.node, now);
    listen_to(&member);
    if (member.ping.len == 0) {
        now.ms += 10000;
        mkv_server_node_time(member.node, now);
        listen_to(&member);
    }
    assert_true(member.ping.len > 16 && member.ping.len <= sizeof(changed));
    for (size_t bit = 0; bit < 8 * member.ping.len; bit++) {
        memcpy(changed, member.ping.at, member.ping.len);
        changed[bit / 8] ^= (uint8_t)(1U << bit % 8);
        mkv_server_node_message(joiner.node, now, mkv_bytes_of(ACT),
                                mkv_bytes(changed, member.ping.len), false);
        mkv_server_node_time(joiner.node, now);
        listen_to(&joiner);
    }
    assert_int_equal(joiner.n_dials, 0);
    mkv_server_node_message(joiner.node, now, mkv_bytes_of(ACT), mkv_buf_bytes(&member.ping),
                            false);
    mkv_server_node_time(joiner.node, now);
    listen_to(&joiner);
    assert_int_equal(joiner.n_dials, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(one_key_is_one_cluster, teardown),
        cmocka_unit_test_teardown(another_key_is_another_cluster, teardown),
        cmocka_unit_test_teardown(whoever_has_no_key_is_a_stranger, teardown),
        cmocka_unit_test_teardown(strangers_are_answered_and_told_of_once_a_minute, teardown),
        cmocka_unit_test_teardown(any_key_of_the_ring_counts, teardown),
        cmocka_unit_test_teardown(a_changed_key_has_to_be_passed_on, teardown),
        cmocka_unit_test_teardown(a_changed_ping_does_not_count, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
