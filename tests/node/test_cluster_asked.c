/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server among others that ask what they should not, ping nonsense, or vouch for it wrongly.
 */
#include <stdio.h>
#include <string.h>

#include "among.h"
#include "core/tock.h"
#include "lib/check.h"
#include "lib/prng.h"
#include "wire/path.h"
#include "wire/range.h"
#include "wire/row.h"

static const uint8_t root_path[] = {0x80};

/* --- Pings -------------------------------------------------------------------------------- */

static void check_ignored(void **state, struct mkv_ping ping)
{
    cluster_send_ping(&cluster, &ping);
    run(20000);
    assert_int_equal(cluster.at[0].n_dials, 0);
    assert_false(cluster.at[0].stopped);
    again_with_puppet(state);
    cluster_start_with_member(&cluster);
}

static void test_pings_that_cannot_be(void **state)
{
    struct mkv_ping ping;

    cluster_start_with_member(&cluster);
    ping = cluster_other_ping(&cluster);
    ping.floor = ping.horizon + 1;
    check_ignored(state, ping);
    ping = cluster_other_ping(&cluster);
    ping.complete = ping.horizon + 1;
    check_ignored(state, ping);
    ping = cluster_other_ping(&cluster);
    ping.horizon = ping.tock + 1;
    check_ignored(state, ping);
    ping = cluster_other_ping(&cluster);
    ping.tock = MKV_TOCK_HELD_MAX + 1;
    check_ignored(state, ping);

    /* Of another protocol. */
    ping = cluster_other_ping(&cluster);
    ping.versions = (struct mkv_versions){2, 2};
    check_ignored(state, ping);
    ping = cluster_other_ping(&cluster);
    ping.mode = 1;
    check_ignored(state, ping);
    ping = cluster_other_ping(&cluster);
    ping.profile = 1;
    check_ignored(state, ping);

    /* Not news. */
    ping = cluster_other_ping(&cluster);
    ping.number = 1;
    check_ignored(state, ping);

    /* Whose uuid begins as that of a member does. */
    ping = cluster_other_ping(&cluster);
    ping.uuid[15] ^= 1;
    check_ignored(state, ping);

    /* It serves nobody. */
    ping = cluster_other_ping(&cluster);
    ping.state = MKV_ACT_LEAVING;
    check_ignored(state, ping);
}

/* No address; one that leads nowhere from here. */
static void test_no_address(void **state)
{
    struct mkv_ping ping;

    (void)state;
    cluster_start_with_member(&cluster);
    ping = cluster_other_ping(&cluster);
    ping.addresses.n = 0;
    cluster_send_ping(&cluster, &ping);
    run(600);
    assert_true(cluster_said(&cluster, 0, "no address that can be reached from this host"));
    cluster_hush(&cluster, 0);
    ping = cluster_other_ping(&cluster);
    ping.addresses.at[0] = mkv_bytes_of("unix:/run/s1");
    cluster_send_ping(&cluster, &ping);
    run(600);
    assert_true(cluster_said(&cluster, 0, "no address that can be reached from this host"));
    assert_int_equal(cluster.at[0].n_dials, 0);

    /* On the same host a socket is as good as any. */
    ping = cluster_other_ping(&cluster);
    ping.addresses.at[0] = mkv_bytes_of("unix:/run/s1");
    ping.host = mkv_bytes_of("s0");
    cluster_send_ping(&cluster, &ping);
    run(20000);
    assert_true(cluster.at[0].n_dials > 0);
}

/* A flood of servers that there are not: the table stays bounded, members stay in it. */
static void test_many_servers(void **state)
{
    struct mkv_ping ping;

    (void)state;
    cluster_start_with_member(&cluster);
    ping = cluster_ping_of(&cluster, 1, 0);
    cluster_send_ping(&cluster, &ping);
    for (unsigned i = 0; i < 1500; i++) {
        struct mkv_ping other = cluster_ping_of(&cluster, 1, 0);
        char name[16];

        (void)snprintf(name, sizeof(name), "x%u", i);
        other.name = mkv_bytes_of(name);
        memset(other.uuid, 0xee, sizeof(other.uuid));
        other.uuid[1] = (uint8_t)(i >> 8);
        other.uuid[2] = (uint8_t)i;
        other.addresses.n = 0;
        cluster_send_ping(&cluster, &other);
    }
    run(100);
    cluster.at[0].n_dials = 0;
    ping.number += 5000;
    memset(ping.digest, 0x5a, sizeof(ping.digest));
    cluster_send_ping(&cluster, &ping);
    run(600);
    assert_int_equal(cluster.at[0].n_dials, 1);
}

/* --- Asking, as a peer -------------------------------------------------------------------- */

static void test_vouching(void **state)
{
    struct mkv_frame vouch;
    struct mkv_ping ping;

    (void)state;
    cluster_start_with_member(&cluster);
    cluster_dial(&cluster, 1, 0);

    /* It waits for that very ping, and then tells that it knows the asker. */
    ping = cluster_ping_of(&cluster, 1, 0);
    ping.state = MKV_ACT_JOINING;
    vouch = cluster_vouch_frame(ping.number + 1);
    say(&vouch);
    cluster_send_ping(&cluster, &ping);
    run(3);
    assert_null(heard(MKV_FRAME_VOUCHED));
    ping.number++;
    cluster_send_ping(&cluster, &ping);
    run(3);
    assert_non_null(heard(MKV_FRAME_VOUCHED));
    assert_true(heard(MKV_FRAME_VOUCHED)->vouched.known);
    cluster_forget(&cluster, 1);

    /* Of another boot it would be another ping. */
    vouch.vouch.nonce++;
    say(&vouch);
    run(3);
    assert_null(heard(MKV_FRAME_VOUCHED));

    /* Somebody who does not count on what it had. */
    vouch.vouch.nonce--;
    vouch.vouch.restored = true;
    say(&vouch);
    run(3);
    assert_false(heard(MKV_FRAME_VOUCHED)->vouched.known);
    cluster_forget(&cluster, 1);

    /* The name that the server has itself. */
    vouch.vouch.name = mkv_bytes_of("s0");
    say(&vouch);
    assert_int_equal(heard(MKV_FRAME_ERROR)->error.code, MKV_E_BUSY);
}

/* By whoever is joining itself, or cannot write. */
static void test_vouching_is_refused(void **state)
{
    struct mkv_frame vouch = cluster_vouch_frame(1);

    (void)state;
    cluster_start(&cluster, 0);
    cluster_dial(&cluster, 1, 0);
    assert_int_equal(heard(MKV_FRAME_PEER)->peer.state, MKV_ACT_JOINING);
    say(&vouch);
    assert_int_equal(heard(MKV_FRAME_ERROR)->error.code, MKV_E_BUSY);
    cluster_forget(&cluster, 1);
    run(1200);
    assert_true(cluster_ready(&cluster, 0));
    mkv_disk_resize(cluster.at[0].disk, 1);
    cluster_write(&cluster, 0, "a", "x");
    cluster_dial(&cluster, 1, 0);
    say(&vouch);
    assert_int_equal(heard(MKV_FRAME_ERROR)->error.code, MKV_E_BUSY);
}

/* Entries in some ranges, by a peer that takes its time. */
static void test_fetching_from_us(void **state)
{
    struct mkv_range ranges[2] = {{mkv_bytes_of("\x60m"), mkv_bytes_of("\x60n")},
                                  {mkv_bytes_of("\x60q"), mkv_bytes(NULL, 0)}};
    struct mkv_frame fetch = {.kind = MKV_FRAME_FETCH, .id = 5};
    struct mkv_frame credit = {.kind = MKV_FRAME_CREDIT, .id = 5, .credit = 10};
    struct mkv_cbor_writer w;
    struct mkv_buf text;
    char path[16];

    (void)state;
    cluster_start_with_member(&cluster);
    for (unsigned i = 0; i < 300; i++) {
        (void)snprintf(path, sizeof(path), "m%u", i);
        cluster_put(&cluster, 0, path, i % 2 == 0 ? "x" : NULL, 1000 + i);
        (void)snprintf(path, sizeof(path), "n%u", i);
        cluster_put(&cluster, 0, path, "y", 1000 + i);
    }
    cluster_put(&cluster, 0, "z", "y", 1000);
    mkv_buf_init(&text, 1000);
    mkv_cbor_writer_init(&w, &text);
    mkv_ranges_write(&w, ranges, 2);
    fetch.ranges.ranges = mkv_buf_bytes(&text);
    fetch.ranges.credit = 1;
    cluster_dial(&cluster, 1, 0);
    say(&fetch);
    run(1);
    assert_int_equal(cluster_count(&cluster, 1, MKV_FRAME_DATA), 1);
    assert_null(heard(MKV_FRAME_END));
    say(&credit);
    run(1);
    assert_int_equal(heard(MKV_FRAME_END)->end.n_rows, 301);
    assert_false(heard(MKV_FRAME_END)->end.has_place);
    mkv_buf_deinit(&text);
}

/* A damaged row ends what a server reads: it would take it for one that is not there. */
static void test_damage_is_told_to_servers(void **state)
{
    static const uint8_t ranges[] = {0x81, 0x82, 0x40, 0x40};
    struct mkv_frame fetch = {
        .kind = MKV_FRAME_FETCH, .id = 5, .ranges = {.ranges = mkv_bytes(ranges, 4)}};
    struct mkv_frame read = {.kind = MKV_FRAME_READ,
                             .id = 6,
                             .read = {.path = mkv_bytes(root_path, 1), .depth_max = 64}};

    (void)state;
    cluster_start_with_member(&cluster);
    cluster_put(&cluster, 0, "a", "x", 1000);
    cluster_put(&cluster, 0, "b", "x", 1001);
    mkv_disk_damage(cluster.at[0].disk, MKV_LOG_ROWS, 2);
    cluster_dial(&cluster, 1, 0);
    say(&fetch);
    say(&read);
    run(1);
    assert_null(heard(MKV_FRAME_END));
    assert_int_equal(cluster_count(&cluster, 1, MKV_FRAME_ERROR), 2);
    assert_int_equal(heard(MKV_FRAME_ERROR)->error.code, MKV_E_CORRUPT);
    assert_true(cluster_ready(&cluster, 0));
}

/* A place beyond all that there was: it is we who have been put back; unless the disk fails. */
static void test_a_place_that_we_never_had(void **state)
{
    struct mkv_frame read = {.kind = MKV_FRAME_READ,
                             .id = 6,
                             .read = {.path = mkv_bytes(root_path, 1),
                                      .depth_max = 64,
                                      .has_since = true,
                                      .since = {.nonce = 1001, .position = 100000}}};

    (void)state;
    cluster_start_with_member(&cluster);
    cluster_write(&cluster, 0, "a", "x");
    mkv_disk_resize(cluster.at[0].disk, 1);
    cluster_write(&cluster, 0, "b", "x");
    cluster_dial(&cluster, 1, 0);
    say(&read);
    assert_int_equal(heard(MKV_FRAME_ERROR)->error.code, MKV_E_STALE);
    assert_true(cluster_ready(&cluster, 0));
    mkv_disk_resize(cluster.at[0].disk, 0);
    run(2000);
    cluster_dial(&cluster, 1, 0);
    say(&read);
    assert_false(cluster_ready(&cluster, 0));
    run(3);
    assert_true(cluster_said(&cluster, 0, "others have seen more of it"));
    run(20000);
    assert_false(cluster_ready(&cluster, 0)); /* nobody is here who could help */
}

/* --- Joining, with the puppet to vouch ---------------------------------------------------- */

/* Server 0 asks the puppet to vouch for it. */
static void go_to_vouch(void)
{
    struct mkv_ping ping;

    cluster_start(&cluster, 0);
    run(1);
    ping = cluster_ping_of(&cluster, 1, 0);
    ping.count = 1000;
    cluster_uuid(1, ping.cluster);
    cluster_send_ping(&cluster, &ping);
    run(1);
    cluster_greet(&cluster, 1);
    assert_non_null(heard(MKV_FRAME_VOUCH));
}

static struct mkv_frame vouched_frame(void)
{
    return (struct mkv_frame){
        .kind = MKV_FRAME_VOUCHED,
        .id = heard(MKV_FRAME_VOUCH)->id,
        .vouched = {.place = {2001, 5}, .tock = 9000, .horizon = 8000, .floor = 7000}};
}

static void check_vouched(void **state, const struct mkv_frame_vouched *vouched)
{
    struct mkv_frame frame;

    go_to_vouch();
    frame = vouched_frame();
    frame.vouched = *vouched;
    say(&frame);
    assert_true(cluster_said(&cluster, 0, "a number is out of its range"));
    assert_int_equal(cluster.at[0].ping.horizon, 0);
    again_with_puppet(state);
}

static void test_vouched_nonsense(void **state)
{
    const struct mkv_frame_vouched bad[] = {
        {.tock = MKV_TOCK_MAX + 1, .horizon = 5, .floor = 1},
        {.tock = 10, .horizon = 11, .floor = 1},
        {.tock = 10, .horizon = 10, .floor = 11},
    };

    for (unsigned i = 0; i < 3; i++) {
        check_vouched(state, &bad[i]);
    }
}

/* Something else in place of an answer. */
static void test_no_answer_to_vouch(void **state)
{
    struct mkv_frame frame = {.kind = MKV_FRAME_DONE};

    (void)state;
    go_to_vouch();
    frame.id = heard(MKV_FRAME_VOUCH)->id;
    say(&frame);
    assert_true(cluster_said(&cluster, 0, "this message is not expected now"));
    assert_false(cluster_ready(&cluster, 0));
}

/* It reads on, and refuses from now on what they refuse. */
static void test_vouched_as_known(void **state)
{
    struct mkv_frame frame;

    (void)state;
    go_to_vouch();
    frame = vouched_frame();
    frame.vouched.known = true;
    say(&frame);
    run(3);
    assert_non_null(heard(MKV_FRAME_FETCH));
    run(1000);
    assert_int_equal(cluster.at[0].ping.horizon, frame.vouched.horizon);
}

/* A server that vouches, but whose list names neither itself nor us. */
static void test_vouched_by_nobody(void **state)
{
    struct mkv_frame frame;

    (void)state;
    go_to_vouch();
    frame = vouched_frame();
    say(&frame);
    run(3);
    cluster_tell_members(&cluster);
    assert_true(cluster_said(&cluster, 0, "it is no active member of the cluster"));
    run(10000);
    assert_false(cluster_ready(&cluster, 0));
    assert_true(cluster.at[0].n_dials <= 5);
}

/* A place of ours that we do not know: told once, then we are taken for what we are. */
static void test_vouched_for_a_copy(void **state)
{
    struct mkv_frame frame;

    (void)state;
    go_to_vouch();
    assert_true(heard(MKV_FRAME_VOUCH)->vouch.restored); /* it is another cluster */
    frame = vouched_frame();
    frame.vouched.has_seen = true;
    frame.vouched.seen = (struct mkv_place){4711, 100};
    say(&frame);
    run(3);
    assert_int_equal(cluster_count(&cluster, 1, MKV_FRAME_VOUCH), 2);
    assert_true(heard(MKV_FRAME_VOUCH)->vouch.restored);
    assert_true(cluster_said(&cluster, 0, "others have seen more of it"));
    frame.id = heard(MKV_FRAME_VOUCH)->id;
    say(&frame);
    run(3);
    assert_int_equal(cluster_count(&cluster, 1, MKV_FRAME_VOUCH), 2);
    assert_non_null(heard(MKV_FRAME_FETCH));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup_with_puppet, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_pings_that_cannot_be),
        CASE(test_no_address),
        CASE(test_many_servers),
        CASE(test_vouching),
        CASE(test_vouching_is_refused),
        CASE(test_fetching_from_us),
        CASE(test_damage_is_told_to_servers),
        CASE(test_a_place_that_we_never_had),
        CASE(test_vouched_nonsense),
        CASE(test_no_answer_to_vouch),
        CASE(test_vouched_as_known),
        CASE(test_vouched_by_nobody),
        CASE(test_vouched_for_a_copy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
