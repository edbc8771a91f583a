/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules of the algorithm (base/rule.h) whose absence something else makes up for most of the time:
 * what each of them decides, by hand.  tests/rules runs this with each of them switched off.
 */
#include <stdio.h>
#include <string.h>

#include "among.h"
#include "lib/check.h"
#include "wire/path.h"
#include "wire/row.h"

#define PUPPET 1

static void start_alone(void)
{
    cluster.at[0].alone = true;
    start(0);
    run(1);
    cluster.at[0].alone = false;
}

static void join(unsigned i)
{
    start(i);
    assert_heals(3000);
}

static const struct cluster_server *first(void)
{
    return &cluster.at[0];
}

/* --- The puppet --------------------------------------------------------------------------- */

/* Server 0 has started alone, and has vouched for the puppet. */
static void start_with_puppet(void)
{
    cluster_puppet(&cluster, PUPPET);
    cluster_start_with_member(&cluster);
    cluster.at[0].alone = false;
    write_at(0, "t", "x");
    write_at(0, "t", NULL); /* so that there is something to forget */
}

/* The puppet has all that server 0 has, but says nothing of what it is complete up to. */
static struct mkv_ping next_ping(void)
{
    struct mkv_ping ping;

    run(10000); /* so that the last ping of server 0 tells what it has */
    ping = cluster_ping_of(&cluster, PUPPET, 0);
    ping.complete = 0;
    return ping;
}

static void say_the_same(int64_t ms)
{
    for (; ms > 0; ms -= 10000) {
        struct mkv_ping ping = next_ping();

        cluster_send_ping(&cluster, &ping);
    }
}

/* Server 0 is to read what changed from the puppet, has asked for that, and waits. */
static void be_read(struct mkv_ping ping)
{
    struct mkv_frame end = {.kind = MKV_FRAME_END};

    memset(ping.digest, 0x5a, sizeof(ping.digest));
    cluster_send_ping(&cluster, &ping);
    run(600);
    cluster_greet(&cluster, PUPPET);
    assert_non_null(cluster_last(&cluster, PUPPET, MKV_FRAME_FETCH));
    end.id = cluster_last(&cluster, PUPPET, MKV_FRAME_FETCH)->id;
    cluster_say(&cluster, PUPPET, &end); /* of the members */
    assert_non_null(cluster_last(&cluster, PUPPET, MKV_FRAME_READ));
}

static void say_end(void)
{
    struct mkv_frame end = {.kind = MKV_FRAME_END,
                            .id = cluster_last(&cluster, PUPPET, MKV_FRAME_READ)->id};

    cluster_say(&cluster, PUPPET, &end);
    run(3);
}

static void say_row(const char *path, uint64_t tock)
{
    struct mkv_frame data = {.kind = MKV_FRAME_DATA,
                             .id = cluster_last(&cluster, PUPPET, MKV_FRAME_READ)->id};
    struct mkv_update entry = {.has_tock = true,
                               .tock = tock,
                               .present = true,
                               .value = mkv_bytes_of("\x61v"),
                               .ticks = {.n = 1, .at = {{mkv_bytes_of("w"), 1, tock}}}};
    struct mkv_row_writer w = {0};
    struct mkv_buf page;
    struct mkv_buf key;

    mkv_buf_init(&page, MKV_FRAME_MAX);
    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    assert_int_equal(mkv_path_from_dotted(mkv_bytes_of(path), &key), 0);
    assert_int_equal(mkv_row_writer_init(&w, mkv_bytes(NULL, 0)), 0);
    assert_int_equal(mkv_row_writer_add(&w, mkv_buf_bytes(&key), &entry, false), 0);
    assert_int_equal(mkv_row_writer_take(&w, &page), 0);
    data.data.rows = mkv_buf_bytes(&page);
    cluster_say(&cluster, PUPPET, &data);
    mkv_row_writer_deinit(&w);
    mkv_buf_deinit(&key);
    mkv_buf_deinit(&page);
}

/* --- Merging ------------------------------------------------------------------------------ */

/* Two updates of one path reach two servers, each in its own order, and nothing else does. */
static void give_crosswise(const char *name, uint64_t tock)
{
    start_alone();
    join(2);
    run(12000); /* no ping comes soon */
    cluster_give(&cluster, 0, "p", "one", tock, "a", 7, 1);
    cluster_give(&cluster, 0, "p", "two", tock, name, 7, 1);
    cluster_give(&cluster, 2, "p", "two", tock, name, 7, 1);
    cluster_give(&cluster, 2, "p", "one", tock, "a", 7, 1);
    run(10);
}

static void test_order_total(void **state)
{
    (void)state;
    give_crosswise("b", cluster_tock(&cluster));
    assert_string_equal(cluster_held(&cluster, 0, "p"), "two");
    assert_string_equal(cluster_held(&cluster, 2, "p"), "two");
}

/* One dot, two values: somebody breaks the rules, and still all have the same. */
static void test_order_value(void **state)
{
    char held[16];

    (void)state;
    give_crosswise("a", cluster_tock(&cluster));
    (void)snprintf(held, sizeof(held), "%s", cluster_held(&cluster, 0, "p"));
    assert_string_equal(cluster_held(&cluster, 2, "p"), held);
}

/* A server's own tock, which it gives to updates without one, goes on behind what it has seen. */
static void test_tock_follows(void **state)
{
    (void)state;
    start_alone();
    write_at(0, "p", "one");
    cluster_give(&cluster, 0, "p", "far", cluster_tock(&cluster) + 4096000, "a", 7, 1);
    assert_string_equal(cluster_held(&cluster, 0, "p"), "far");
    cluster_give(&cluster, 0, "p", "two", 0, "s0", first()->seq, 2);
    assert_string_equal(cluster_held(&cluster, 0, "p"), "two");
}

/* ... and behind what it gave before a crash, even without a clock. */
static void test_tock_kept(void **state)
{
    (void)state;
    start_alone();
    write_at(0, "p", "one");
    cluster_give(&cluster, 0, "p", "two", 0, "s0", first()->seq, 2);
    cluster_crash(&cluster, 0);
    cluster.now.wall_ms = 0;
    start(0);
    run(2000);
    assert_true(cluster_ready(&cluster, 0));
    write_at(0, "q", "x"); /* it has a session again */
    cluster_give(&cluster, 0, "p", "three", 0, "s0", first()->seq, 2);
    assert_string_equal(cluster_held(&cluster, 0, "p"), "three");
}

static unsigned n_open; /* calls of a server that had something on its way to the disk */

/* What it said up to now has been heard. */
static void look_between_calls(unsigned i, bool enter)
{
    if (enter && i == 0 && mkv_store_dirty(first()->store)) {
        n_open++;
        assert_int_equal(first()->n_messages, 0);
        assert_int_equal(first()->acked, 1);
    }
}

/* What is published with a tock of ours, or acknowledged, is on disk. */
static void test_commit_first(void **state)
{
    (void)state;
    start_alone();
    write_at(0, "p", "one");
    assert_int_equal(first()->acked, 1);
    assert_int_equal(first()->n_messages, 0);
    n_open = 0;
    cluster.around = look_between_calls;
    cluster_give(&cluster, 0, "p", "two", 0, "s0", first()->seq, 2);
    cluster.around = NULL;
    assert_true(n_open > 0);
    assert_int_equal(first()->n_messages, 1);
    assert_int_equal(first()->acked, 2);
}

/* --- Joining ------------------------------------------------------------------------------ */

/*
 * Whatever the broker delivers to the other one before that ping may not reach the joiner: so it
 * must be there before the joiner reads.
 */
static void test_join_marker(void **state)
{
    struct mkv_ping ping;
    struct mkv_frame vouch;

    (void)state;
    start_alone();
    cluster_puppet(&cluster, PUPPET);
    ping = cluster_ping_of(&cluster, PUPPET, 0);
    ping.state = MKV_ACT_JOINING;
    cluster_send_ping(&cluster, &ping);
    cluster_dial(&cluster, PUPPET, 0);
    vouch = cluster_vouch_frame(ping.number + 1);
    cluster_say(&cluster, PUPPET, &vouch);
    run(500);
    assert_null(cluster_last(&cluster, PUPPET, MKV_FRAME_VOUCHED));
    ping.number++;
    cluster_send_ping(&cluster, &ping);
    run(3);
    assert_non_null(cluster_last(&cluster, PUPPET, MKV_FRAME_VOUCHED));
}

/* Server 2 has written something alone, and is down.  Server 3 is away, so that no floor rises. */
static void write_alone(void)
{
    start_alone();
    join(2);
    join(3);
    write_at(0, "t", "x");
    write_at(0, "t", NULL);
    run(12000);
    cluster_crash(&cluster, 3);
    cluster_cut(&cluster, 2, true);
    write_at(2, "v", "alone");
    cluster_crash(&cluster, 2);
}

/* The others have told meanwhile that up to there they have everything: it must not come back. */
static void assert_set_aside(void)
{
    run(PAST_HORIZON);
    assert_int_equal(first()->ping.floor, 0);
    cluster_cut(&cluster, 2, false);
    start(2);
    assert_heals(5000);
    assert_null(cluster_held(&cluster, 2, "v"));
    assert_non_null(strstr(cluster.at[2].set_aside, "v=alone;"));
}

static void test_join_known(void **state)
{
    (void)state;
    write_alone();
    assert_int_equal(cluster_evict(&cluster, 0, 2), 0);
    assert_set_aside();
}

/* The same for one whose store is a copy: it cannot tell what it has promised since. */
static void test_join_unsure(void **state)
{
    struct mkv_disk *copy;

    (void)state;
    write_alone();
    assert_int_equal(mkv_disk_snapshot(cluster.at[2].disk, &copy), 0);
    start(2);
    cluster_crash(&cluster, 2);
    assert_int_equal(mkv_disk_restore(cluster.at[2].disk, copy), 0);
    mkv_disk_free(copy);
    assert_set_aside();
    assert_true(cluster.at[2].report.restored);
}

/* --- Reading ------------------------------------------------------------------------------ */

/* A reading that is cut off goes on where it was, and nothing has to be compared. */
static void test_pull_atomic(void **state)
{
    char path[16];

    (void)state;
    start_alone();
    join(2);
    run(25000); /* both know the other's place */
    cluster_cut(&cluster, 2, true);
    for (unsigned i = 0; i < 1500; i++) {
        (void)snprintf(path, sizeof(path), "p:%u", i);
        write_at(0, path, "x");
    }
    run(12000);
    cluster_hush(&cluster, 2);
    cluster.at[2].break_in = 7; /* hello, auth, fetch, credit, read, and two pages */
    cluster_cut(&cluster, 2, false);
    for (unsigned i = 0; i < 12000 && cluster.at[2].break_in > 0; i += 100) {
        run(100);
    }
    assert_int_equal(cluster.at[2].break_in, 0);
    assert_false(cluster_equal(&cluster, 0, 2));
    assert_non_null(cluster_held(&cluster, 2, "p:200"));
    assert_heals(3000);
    assert_true(cluster_said(&cluster, 2, "(what changed)"));
    assert_false(cluster_said(&cluster, 2, "(by comparing)"));
}

/* What they accept while we read may lie below what their horizon is then. */
static void test_mark_before(void **state)
{
    struct mkv_ping ping;
    uint64_t horizon;

    (void)state;
    start_with_puppet();
    say_the_same(PAST_HORIZON);
    ping = next_ping();
    horizon = ping.horizon;
    ping.horizon += 2;
    be_read(ping);
    ping.number++;
    ping.horizon++;
    memset(ping.digest, 0x5b, sizeof(ping.digest));
    cluster_send_ping(&cluster, &ping);
    say_end();
    run(12000);
    assert_true(first()->ping.horizon > horizon + 3);
    assert_int_equal(first()->ping.complete, horizon + 2);
}

/* Whoever read up to a place behind which something is forgotten must not read on from there. */
static void test_place_ends(void **state)
{
    struct mkv_place before;
    struct mkv_place behind;

    (void)state;
    start_alone();
    write_at(0, "t", "x");
    before = mkv_store_place(first()->store);
    write_at(0, "t", NULL);
    behind = mkv_store_place(first()->store);
    assert_true(mkv_store_place_valid(first()->store, before));
    run(PAST_HORIZON);
    assert_null(cluster_held(&cluster, 0, "t"));
    assert_false(mkv_store_place_valid(first()->store, before));
    assert_true(mkv_store_place_valid(first()->store, behind));
}

/* They may have counted one less than we do, when they said what they have. */
static void test_mark_members(void **state)
{
    struct mkv_ping ping;
    uint8_t members[16];

    (void)state;
    start_with_puppet();
    for (unsigned i = 0; i < 8; i++) {
        ping = next_ping();
        memcpy(members, ping.members, sizeof(members));
        memset(ping.members, 0x77, sizeof(ping.members));
        cluster_send_ping(&cluster, &ping);
    }
    run(12000);
    assert_int_equal(first()->ping.complete, 0);
    ping = next_ping();
    memcpy(ping.members, members, sizeof(members));
    cluster_send_ping(&cluster, &ping);
    run(12000);
    assert_true(first()->ping.complete > 0);
}

/* Whoever is no member is not waited for, and may have what has been forgotten. */
static void test_members_only(void **state)
{
    const unsigned stranger = 2;
    struct mkv_frame end = {.kind = MKV_FRAME_END};
    struct mkv_ping ping;

    (void)state;
    start_with_puppet();
    run(10000);
    cluster_puppet(&cluster, stranger);
    ping = cluster_ping_of(&cluster, stranger, 0);
    memset(ping.digest, 0x5a, sizeof(ping.digest));
    cluster_send_ping(&cluster, &ping);
    run(600);
    cluster_greet(&cluster, stranger);
    assert_non_null(cluster_last(&cluster, stranger, MKV_FRAME_FETCH));
    end.id = cluster_last(&cluster, stranger, MKV_FRAME_FETCH)->id;
    cluster_say(&cluster, stranger, &end);
    run(3);
    assert_null(cluster_last(&cluster, stranger, MKV_FRAME_SPLIT));
    assert_null(cluster_last(&cluster, stranger, MKV_FRAME_READ));
    assert_true(cluster_said(&cluster, 0, "no active member"));
}

/* What they have is read when both know the same members, and not before. */
static void test_members_agree(void **state)
{
    struct mkv_frame end = {.kind = MKV_FRAME_END};
    struct mkv_ping ping;

    (void)state;
    start_with_puppet();
    say_the_same(10000);
    ping = next_ping();
    memset(ping.digest, 0x5a, sizeof(ping.digest));
    memset(ping.members, 0x77, sizeof(ping.members));
    cluster_send_ping(&cluster, &ping);
    run(600);
    cluster_greet(&cluster, PUPPET);
    assert_non_null(cluster_last(&cluster, PUPPET, MKV_FRAME_FETCH));
    end.id = cluster_last(&cluster, PUPPET, MKV_FRAME_FETCH)->id;
    cluster_say(&cluster, PUPPET, &end);
    run(3);
    assert_null(cluster_last(&cluster, PUPPET, MKV_FRAME_SPLIT));
    assert_null(cluster_last(&cluster, PUPPET, MKV_FRAME_READ));
    assert_non_null(cluster_last(&cluster, PUPPET, MKV_FRAME_BYE));
    cluster_forget(&cluster, PUPPET);
    run(10000);
    be_read(next_ping());
}

/* What they have up to our floor is what has been forgotten here. */
static void test_frozen_skips(void **state)
{
    struct mkv_ping ping;
    uint64_t floor;

    (void)state;
    start_with_puppet();
    say_the_same(PAST_HORIZON);
    ping = next_ping();
    ping.complete = ping.horizon;
    cluster_send_ping(&cluster, &ping);
    run(12000);
    floor = first()->ping.floor;
    assert_true(floor > 0);
    assert_null(cluster_held(&cluster, 0, "t"));
    say_the_same(10000);
    ping = next_ping();
    be_read(ping);
    say_row("t", floor);
    say_row("u", floor + 1);
    say_end();
    assert_null(cluster_held(&cluster, 0, "t"));
    assert_non_null(cluster_held(&cluster, 0, "u"));
}

/* --- The floor ---------------------------------------------------------------------------- */

/* They may be complete up to there because they count one less than we do. */
static void test_floor_members(void **state)
{
    struct mkv_ping ping;
    uint8_t members[16];

    (void)state;
    start_with_puppet();
    say_the_same(PAST_HORIZON);
    assert_true(first()->ping.complete > 0);
    ping = next_ping();
    memcpy(members, ping.members, sizeof(members));
    memset(ping.members, 0x77, sizeof(ping.members));
    ping.complete = ping.horizon;
    cluster_send_ping(&cluster, &ping);
    run(12000);
    assert_int_equal(first()->ping.floor, 0);
    ping.number++;
    memcpy(ping.members, members, sizeof(members));
    cluster_send_ping(&cluster, &ping);
    run(12000);
    assert_int_equal(first()->ping.floor, ping.complete);
}

/* Who has not been heard since the start may have anything. */
static void test_floor_heard(void **state)
{
    (void)state;
    start_with_puppet();
    cluster_crash(&cluster, 0);
    start(0);
    run(PAST_HORIZON + 10000);
    assert_true(cluster_ready(&cluster, 0));
    assert_true(first()->ping.horizon > 0);
    assert_int_equal(first()->ping.complete, 0);
    assert_int_equal(first()->ping.floor, 0);
    assert_string_equal(cluster_held(&cluster, 0, "t"), "");
}

/* They may have forgotten what we have not even heard of: that takes a comparison. */
static void test_floor_adopt(void **state)
{
    struct mkv_ping ping;

    (void)state;
    start_with_puppet();
    say_the_same(PAST_HORIZON);
    ping = next_ping();
    ping.tock += 1000;
    ping.horizon = ping.tock;
    ping.floor = ping.tock;
    memset(ping.digest, 0x5a, sizeof(ping.digest));
    cluster_send_ping(&cluster, &ping);
    run(12000);
    assert_int_equal(first()->n_dials, 1);
    assert_int_equal(first()->ping.floor, 0);
    ping = next_ping(); /* but not if we have the same */
    ping.horizon = ping.tock;
    ping.floor = ping.tock;
    cluster_send_ping(&cluster, &ping);
    run(12000);
    assert_int_equal(first()->ping.floor, ping.floor);
}

/* The floor of one that has the same, beyond what is believed of tocks: ours goes on behind it. */
static void test_floor_far_ahead(void **state)
{
    struct mkv_ping ping;

    (void)state;
    start_with_puppet();
    ping = next_ping();
    ping.tock = UINT64_C(1) << 60;
    ping.horizon = ping.tock - 1;
    ping.floor = ping.tock - 2;
    cluster_send_ping(&cluster, &ping);
    run(12000);
    assert_int_equal(first()->ping.floor, ping.floor);
    assert_true(first()->ping.tock >= ping.floor);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_order_total),     CASE(test_order_value),   CASE(test_tock_follows),
        CASE(test_tock_kept),       CASE(test_commit_first),  CASE(test_join_marker),
        CASE(test_join_known),      CASE(test_join_unsure),   CASE(test_mark_members),
        CASE(test_members_only),    CASE(test_members_agree), CASE(test_place_ends),
        CASE(test_pull_atomic),     CASE(test_mark_before),   CASE(test_frozen_skips),
        CASE(test_floor_members),   CASE(test_floor_heard),   CASE(test_floor_adopt),
        CASE(test_floor_far_ahead),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
