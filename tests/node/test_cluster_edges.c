/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Servers among servers: who goes first, who is the later one of two, and who is right about what
 * both have (docs/protocol.md, 12.2, 12.5, 12.6, 12.8).
 */
#include <stdio.h>
#include <string.h>

#include "among.h"
#include "core/members.h"
#include "lib/check.h"
#include "wire/row.h"

/* --- Who is right ------------------------------------------------------------------------- */

/* Two servers whose horizon is far above these; and a disk that has the same paths. */
static void prepare_disagreement(void)
{
    start_many(2);
    for (unsigned i = 0; i < 2; i++) {
        cluster_put(&cluster, i, "a", "theirs", 1000);
        cluster_put(&cluster, i, "b", "theirs", 1500);
        cluster_put(&cluster, i, "c", "theirs", 3000);
    }
    write_at(0, "t", NULL);
    run(PAST_HORIZON);
    assert_held(0, "t", NULL);
    cluster_open_disk(&cluster, 2);
    cluster_put(&cluster, 2, "a", "mine", 2000);
    cluster_put(&cluster, 2, "b", NULL, 2000);
    cluster_put(&cluster, 2, "c", "mine", 2000);
    cluster_put(&cluster, 2, "d", "mine", cluster_tock(&cluster));
    cluster_close_disk(&cluster, 2);
}

/* Up to the bound the others are right, though ours would win; what is lost is set aside. */
static void test_values_below_the_bound(void **state)
{
    (void)state;
    prepare_disagreement();
    start(2);
    assert_heals(10000);
    for (unsigned i = 0; i < 3; i++) {
        assert_held(i, "a", "theirs");
        assert_held(i, "b", "theirs");
        assert_held(i, "c", "theirs");
    }
    run(15000);
    assert_held(0, "d", "mine"); /* it is younger */
    assert_string_equal(cluster.at[2].set_aside, "a=mine;");
}

/* Of a damaged row nothing can be kept. */
static void test_a_damaged_value_below_the_bound(void **state)
{
    (void)state;
    prepare_disagreement();
    cluster.at[2].cut = true;
    start(2);
    mkv_disk_damage(cluster.at[2].disk, MKV_LOG_ROWS, 0);
    cluster_cut(&cluster, 2, false);
    assert_heals(10000);
    assert_held(2, "a", "theirs");
    assert_null(cluster.at[2].set_aside);
}

/* A cluster whose clock was years ahead gives way: its list of servers has the greater tocks. */
static void test_a_list_from_the_future(void **state)
{
    const uint64_t years = UINT64_C(400000000000);

    (void)state;
    start_many(2);
    for (unsigned i = 0; i < 10; i++) {
        char path[8];

        (void)snprintf(path, sizeof(path), "p:%u", i);
        write_at(0, path, "x");
    }
    cluster_cut(&cluster, 0, true);
    cluster_cut(&cluster, 1, true);
    cluster.now.wall_ms += years;
    cluster.at[2].alone = true;
    start(2);
    start(3);
    run(5000);
    assert_true(cluster_ready(&cluster, 2) && cluster_ready(&cluster, 3));
    write_at(3, "v", "future");
    cluster.now.wall_ms -= years;
    cluster_cut(&cluster, 0, false);
    cluster_cut(&cluster, 1, false);
    assert_heals(60000);
    for (unsigned i = 0; i < 4; i++) {
        assert_held(i, "p:9", "x");
        assert_held(i, "v", "future");
        assert_int_equal(cluster_said(&cluster, i, "meets another cluster"), i >= 2);
    }
    run(12000);
    for (unsigned i = 1; i < 4; i++) {
        assert_memory_equal(cluster.at[i].ping.cluster, cluster.at[0].ping.cluster, 16);
        assert_memory_equal(cluster.at[i].ping.members, cluster.at[0].ping.members, 16);
    }
}

/* Adds the entry of a member, as puppet 2 has it. */
static void add_member(struct mkv_row_writer *w, unsigned i, bool active)
{
    struct mkv_member member = {.active = active};
    struct mkv_update entry = {.has_tock = true,
                               .tock = 10 + i,
                               .present = true,
                               .ticks = {.n = 1, .at = {{mkv_bytes_of("s2"), 0, 10 + i}}}};
    struct mkv_buf key;
    struct mkv_buf value;

    cluster_uuid(i, member.uuid);
    cluster_uuid(2, member.cluster);
    memcpy(member.name, cluster.at[i].name, strlen(cluster.at[i].name) + 1);
    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    mkv_buf_init(&value, 1000);
    assert_int_equal(mkv_member_key(member.uuid, &key), 0);
    assert_int_equal(mkv_member_value(&member, &value), 0);
    entry.value = mkv_buf_bytes(&value);
    assert_int_equal(mkv_row_writer_add(w, mkv_buf_bytes(&key), &entry, false), 0);
    mkv_buf_deinit(&key);
    mkv_buf_deinit(&value);
}

static void say_members(bool names_us, bool active)
{
    uint64_t id = cluster_last(&cluster, 2, MKV_FRAME_FETCH)->id;
    struct mkv_frame data = {.kind = MKV_FRAME_DATA, .id = id};
    struct mkv_frame end = {.kind = MKV_FRAME_END, .id = id};
    struct mkv_row_writer w = {0};
    struct mkv_buf page;

    mkv_buf_init(&page, MKV_FRAME_MAX);
    assert_int_equal(mkv_row_writer_init(&w, mkv_bytes(NULL, 0)), 0);
    if (names_us) {
        add_member(&w, 0, active);
    }
    add_member(&w, 2, true);
    assert_int_equal(mkv_row_writer_take(&w, &page), 0);
    data.data.rows = mkv_buf_bytes(&page);
    cluster_say(&cluster, 2, &data);
    cluster_say(&cluster, 2, &end);
    mkv_row_writer_deinit(&w);
    mkv_buf_deinit(&page);
}

/* Server 0, a member of a cluster, goes over to that of puppet 2, and asks for its members. */
static void go_over(void)
{
    struct mkv_frame vouched = {.kind = MKV_FRAME_VOUCHED,
                                .vouched = {.place = {3001, 5}, .tock = 9000, .horizon = 8000}};
    struct mkv_ping ping;

    cluster_puppet(&cluster, 1);
    cluster_start_with_member(&cluster);
    cluster_puppet(&cluster, 2);
    run(10000);
    ping = cluster_ping_of(&cluster, 2, 0);
    ping.floor = ping.horizon;
    ping.count = 1000;
    cluster_uuid(2, ping.cluster);
    cluster_send_ping(&cluster, &ping);
    run(10);
    assert_true(cluster_said(&cluster, 0, "meets another cluster"));
    ping.number++;
    cluster_send_ping(&cluster, &ping);
    run(100);
    cluster_greet(&cluster, 2);
    assert_non_null(cluster_last(&cluster, 2, MKV_FRAME_VOUCH));
    vouched.id = cluster_last(&cluster, 2, MKV_FRAME_VOUCH)->id;
    cluster_say(&cluster, 2, &vouched);
    run(3);
    assert_non_null(cluster_last(&cluster, 2, MKV_FRAME_FETCH));
}

/* What it is there is for them to say, though its own entry has the greater tock. */
static void test_their_list_of_members(void **state)
{
    (void)state;
    go_over();
    say_members(true, true);
    run(10);
    assert_non_null(cluster_last(&cluster, 2, MKV_FRAME_SPLIT));
    assert_false(cluster_said(&cluster, 0, "failed"));
}

static void check_list_without_us(bool names_us, const char *why)
{
    go_over();
    say_members(names_us, false);
    run(10);
    assert_null(cluster_last(&cluster, 2, MKV_FRAME_SPLIT));
    if (!cluster_said(&cluster, 0, why)) {
        fail_msg("'%s' is not in: %s", why, cluster.at[0].log);
    }
    assert_false(cluster_ready(&cluster, 0));
}

/* It names none of us, or names us as one who is out. */
static void test_a_list_without_us(void **state)
{
    check_list_without_us(false, "it is no active member of the cluster");
    again(state);
    check_list_without_us(true, "its list of servers does not name this one");
}

/* What was given out after the backup was made is not given out again. */
static void test_numbers_of_a_restored_server(void **state)
{
    const uint64_t far = 1000000000;
    struct mkv_disk *copy;

    (void)state;
    start_many(2);
    assert_int_equal(mkv_disk_snapshot(cluster.at[1].disk, &copy), 0);
    cluster_give(&cluster, 0, "a", "x", cluster_tock(&cluster), "s1", far, 1);
    for (unsigned i = 0; i < 1100; i++) { /* so much that it cannot but be noticed */
        cluster_give(&cluster, 1, "b", "x", cluster_tock(&cluster) + i, "w", 1, i + 1);
    }
    cluster_crash(&cluster, 1);
    assert_int_equal(mkv_disk_restore(cluster.at[1].disk, copy), 0);
    mkv_disk_free(copy);
    start(1);
    assert_true(cluster.at[1].report.restored);
    assert_heals(10000);
    write_at(1, "c", "y");
    assert_true(cluster.at[1].seq > far);
}

/* --- More of them than there may be ------------------------------------------------------- */

/* Entries of @n servers that have been taken out of the cluster of server 0. */
static void put_evicted(unsigned n)
{
    struct mkv_store *store = cluster.at[0].store;
    struct mkv_buf key;
    struct mkv_buf value;

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    mkv_buf_init(&value, 1000);
    for (unsigned k = 1; k <= n; k++) {
        struct mkv_member member = {.uuid = {0xf0 | (uint8_t)(k >> 8), (uint8_t)k}};
        struct mkv_update entry = {.has_tock = true,
                                   .tock = k,
                                   .present = true,
                                   .ticks = {.n = 1, .at = {{mkv_bytes_of("s9"), 0, k}}}};
        struct mkv_head head;

        cluster_uuid(0, member.cluster);
        (void)snprintf(member.name, sizeof(member.name), "m%u", k);
        mkv_buf_clear(&key);
        mkv_buf_clear(&value);
        assert_int_equal(mkv_member_key(member.uuid, &key), 0);
        assert_int_equal(mkv_member_value(&member, &value), 0);
        entry.value = mkv_buf_bytes(&value);
        head = mkv_head_of(&entry);
        assert_int_equal(mkv_store_put(store, mkv_buf_bytes(&key), &head, &entry), 0);
    }
    assert_int_equal(mkv_store_commit(store), 0);
    mkv_buf_deinit(&key);
    mkv_buf_deinit(&value);
}

/* Of whom is not in the table it is not known what they have: so nothing is forgotten. */
static void test_too_many_members(void **state)
{
    for (unsigned more = 0; more < 2; more++) {
        cluster_puppet(&cluster, 1);
        cluster_start_with_member(&cluster);
        put_evicted(MKV_MEMBERS_MAX - 2 + more);
        assert_int_equal(cluster_evict(&cluster, 0, 1), 0);
        write_at(0, "t", "x");
        write_at(0, "t", NULL);
        run(2 * PAST_HORIZON);
        assert_held(0, "t", more > 0 ? "" : NULL);
        assert_int_equal(cluster.at[0].ping.complete > 0, more == 0);
        assert_int_equal(cluster_said(&cluster, 0, "more than 1024 servers"), more);
        again(state);
    }
}

/* --- Who is the later one of two ----------------------------------------------------------- */

/* A ping that has the name of server 0. */
static struct mkv_ping rival_ping(uint32_t state, uint64_t uptime_s, uint64_t nonce)
{
    struct mkv_ping ping = cluster_ping_of(&cluster, 1, 0);

    ping.name = mkv_bytes_of("s0");
    ping.state = state;
    ping.uptime_s = uptime_s;
    ping.nonce = nonce;
    return ping;
}

static void hear_rival(struct mkv_ping ping, unsigned n)
{
    for (unsigned k = 0; k < n; k++) {
        ping.number++;
        cluster_send_ping(&cluster, &ping);
        run(600);
    }
}

static void test_ready_comes_before_joining(void **state)
{
    (void)state;
    cluster_puppet(&cluster, 1);
    start_many(1);
    hear_rival(rival_ping(MKV_ACT_JOINING, 100000, 5), 4);
    assert_false(cluster.at[0].stopped);
    assert_true(cluster_said(&cluster, 0, "it should stop, as the later one"));
    again(state);

    cluster_puppet(&cluster, 1);
    start(0);
    run(500);
    hear_rival(rival_ping(MKV_ACT_READY, 0, 5), 4);
    assert_true(cluster.at[0].stopped);
    assert_false(cluster_ready(&cluster, 0));
}

/* Neither by state nor by the time that it runs: the greater nonce. */
static void test_started_together(void **state)
{
    for (unsigned i = 0; i < 2; i++) {
        cluster_puppet(&cluster, 1);
        start_many(1);
        hear_rival(
            rival_ping(MKV_ACT_READY, cluster.at[0].ping.uptime_s, i == 0 ? 5 : UINT64_C(1) << 40),
            4);
        assert_int_equal(cluster.at[0].stopped, i == 0);
        again(state);
    }
}

/* One ping may be an old one, or a copy of it; two in a moment, too. */
static void test_a_rival_is_not_believed_at_once(void **state)
{
    struct mkv_ping ping;

    (void)state;
    cluster_puppet(&cluster, 1);
    start_many(1);
    ping = rival_ping(MKV_ACT_READY, 100000, 5);
    for (unsigned k = 0; k < 4; k++) {
        cluster_send_ping(&cluster, &ping);
        run(600);
    }
    assert_false(cluster.at[0].stopped);
    ping.nonce++;
    for (unsigned k = 0; k < 4; k++) {
        ping.number++;
        cluster_send_ping(&cluster, &ping);
        run(10);
    }
    assert_false(cluster.at[0].stopped);
    hear_rival(ping, 2);
    assert_true(cluster.at[0].stopped);
}

/* A newcomer does not join those who speak otherwise. */
static void test_another_protocol(void **state)
{
    struct mkv_ping ping;

    (void)state;
    cluster_puppet(&cluster, 1);
    start(0);
    run(1);
    ping = cluster_ping_of(&cluster, 1, 0);
    ping.versions = (struct mkv_versions){2, 3};
    ping.state = MKV_ACT_JOINING; /* who comes first says what is spoken */
    cluster_send_ping(&cluster, &ping);
    run(100);
    assert_false(cluster.at[0].stopped);
    ping.number++;
    ping.state = MKV_ACT_READY;
    cluster_send_ping(&cluster, &ping);
    run(100);
    assert_true(cluster.at[0].stopped);
    assert_true(cluster_said(&cluster, 0, "protocol 2 to 3; this one"));
}

/* A ping of the boot before that comes late says nothing, unless it goes on coming. */
static void test_late_pings(void **state)
{
    struct mkv_ping before;
    struct mkv_ping ping;

    (void)state;
    cluster_puppet(&cluster, 1);
    cluster_start_with_member(&cluster);
    before = cluster_other_ping(&cluster);
    ping = before;
    memcpy(ping.digest, cluster.at[0].ping.digest, sizeof(ping.digest));
    cluster_send_ping(&cluster, &ping); /* that boot is heard */
    ping.nonce++;
    ping.number = 1;
    cluster_send_ping(&cluster, &ping); /* and the next one */
    before.number++;
    cluster_send_ping(&cluster, &before);
    run(5000);
    assert_int_equal(cluster.at[0].n_dials, 0);
    run(6000);
    before.number++;
    cluster_send_ping(&cluster, &before);
    run(1000);
    assert_true(cluster.at[0].n_dials > 0);
}

/* --- Who goes first ------------------------------------------------------------------------ */

/* Whether server 0 starts alone although a puppet is joining, which says this. */
static bool starts_beside(unsigned puppet, const struct mkv_ping *like)
{
    struct mkv_ping ping = *like;

    cluster_uuid(puppet, ping.uuid);
    memcpy(ping.cluster, ping.uuid, sizeof(ping.cluster));
    for (unsigned k = 0; k < 8; k++) {
        ping.number++;
        cluster_send_ping(&cluster, &ping);
        run(500);
    }
    return cluster_ready(&cluster, 0);
}

static struct mkv_ping joining_ping(unsigned puppet)
{
    struct mkv_ping ping;

    cluster_puppet(&cluster, puppet);
    start(0);
    run(1);
    ping = cluster_ping_of(&cluster, puppet, 0);
    ping.state = MKV_ACT_JOINING;
    assert_int_equal(cluster.at[0].ping.count, 0);
    return ping;
}

static void test_an_empty_server_waits_for_others(void **state)
{
    struct mkv_ping ping;

    ping = joining_ping(1); /* whose uuid is greater */
    assert_false(starts_beside(1, &ping));
    run(40000); /* but not for ever */
    assert_true(cluster_ready(&cluster, 0));
    again(state);

    ping = joining_ping(1);
    ping.floor = 10;
    ping.horizon = 10;
    ping.tock = 10;
    assert_false(starts_beside(1, &ping));
    again(state);

    ping = joining_ping(1);
    ping.count = 1;
    assert_false(starts_beside(1, &ping));
    again(state);

    ping = joining_ping(1);
    ping.members[0] = 1;
    assert_false(starts_beside(1, &ping));
}

/* Whoever has something goes before whoever has nothing, whatever their uuids. */
static void test_a_server_with_entries_goes_first(void **state)
{
    struct mkv_ping ping;

    (void)state;
    cluster_open_disk(&cluster, 0);
    cluster_put(&cluster, 0, "a", "x", 1000);
    cluster_close_disk(&cluster, 0);
    cluster_puppet(&cluster, 1);
    start(0);
    run(1);
    ping = cluster_ping_of(&cluster, 1, 0);
    ping.state = MKV_ACT_JOINING;
    ping.count = 0;
    assert_true(starts_beside(1, &ping));
}

/* Of a cluster; its other member is not here, nor is whoever has something without a cluster. */
static void test_a_member_goes_first(void **state)
{
    struct mkv_ping ping;

    (void)state;
    cluster_puppet(&cluster, 1);
    cluster_start_with_member(&cluster);
    cluster_crash(&cluster, 0);
    run(60000);
    cluster.at[0].alone = false;
    cluster_puppet(&cluster, 2);
    start(0);
    run(1);
    ping = cluster_ping_of(&cluster, 2, 0);
    ping.state = MKV_ACT_JOINING;
    ping.count = 1000;
    memset(ping.members, 0, sizeof(ping.members));
    assert_true(starts_beside(2, &ping));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_values_below_the_bound),
        CASE(test_a_damaged_value_below_the_bound),
        CASE(test_a_list_from_the_future),
        CASE(test_their_list_of_members),
        CASE(test_a_list_without_us),
        CASE(test_numbers_of_a_restored_server),
        CASE(test_too_many_members),
        CASE(test_ready_comes_before_joining),
        CASE(test_started_together),
        CASE(test_a_rival_is_not_believed_at_once),
        CASE(test_another_protocol),
        CASE(test_late_pings),
        CASE(test_an_empty_server_waits_for_others),
        CASE(test_a_server_with_entries_goes_first),
        CASE(test_a_member_goes_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
