/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server among servers that are not what they say: each step of each conversation goes wrong.
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

/* --- The puppet, server 1 ----------------------------------------------------------------- */

/* It is told of a difference, and dials. */
static void be_dialled(void)
{
    struct mkv_ping ping = cluster_other_ping(&cluster);

    cluster_send_ping(&cluster, &ping);
    run(600);
    assert_int_equal(cluster.at[0].n_dials, 1);
}

enum step {
    STEP_DIALLED,
    STEP_LOGIN,
    STEP_MEMBERS,
    STEP_SPLIT,
    STEP_FETCH,
    STEPS
};

static void go_to(enum step step)
{
    struct mkv_frame hello = {.kind = MKV_FRAME_HELLO,
                              .hello = {.versions = {1, 1},
                                        .software = mkv_bytes_of("test"),
                                        .mechanisms = {1, {mkv_bytes_of("EXTERNAL")}}}};

    be_dialled();
    if (step == STEP_LOGIN) {
        say(&hello);
        assert_non_null(heard(MKV_FRAME_AUTH));
    }
    if (step >= STEP_MEMBERS) {
        cluster_greet(&cluster, 1);
        assert_non_null(heard(MKV_FRAME_FETCH));
    }
    if (step >= STEP_SPLIT) {
        cluster_tell_members(&cluster);
        assert_non_null(heard(MKV_FRAME_SPLIT));
        cluster_forget(&cluster, 1); /* of the fetch before */
    }
}

static void write_sums(struct mkv_buf *out, const struct mkv_piece *pieces, uint32_t n)
{
    struct mkv_cbor_writer w;

    mkv_buf_init(out, MKV_FRAME_MAX);
    mkv_cbor_writer_init(&w, out);
    mkv_cbor_write_array(&w, 1);
    mkv_pieces_write(&w, pieces, n);
    assert_int_equal(w.error, 0);
}

/* It has one entry between "m" and "q", and is asked for that. */
static void offer_one(uint64_t id)
{
    struct mkv_piece pieces[3] = {
        {.upto = mkv_bytes_of("\x60m")}, {.upto = mkv_bytes_of("\x60q"), .count = 1}, {.count = 0}};
    struct mkv_frame sums = {.kind = MKV_FRAME_SUMS, .id = id};
    struct mkv_summary sum;
    struct mkv_buf text;

    sum = mkv_tree_range(mkv_store_tree(cluster.at[0].store), mkv_bytes(NULL, 0), pieces[0].upto);
    pieces[0].count = sum.n_entries; /* of the others they are equal */
    mkv_digest_bytes(sum.digest, pieces[0].digest);
    sum = mkv_tree_range(mkv_store_tree(cluster.at[0].store), pieces[1].upto, mkv_bytes(NULL, 0));
    pieces[2].count = sum.n_entries;
    mkv_digest_bytes(sum.digest, pieces[2].digest);
    write_sums(&text, pieces, 3);
    sums.sums = mkv_buf_bytes(&text);
    say(&sums);
    mkv_buf_deinit(&text);
    assert_non_null(heard(MKV_FRAME_FETCH));
}

/* A page of rows, each with its path, value ("-": deleted) and tock. */
struct row {
    const char *path;
    const char *value;
    uint64_t tock;
};

static void say_rows(uint64_t id, const struct row *rows, unsigned n)
{
    struct mkv_frame data = {.kind = MKV_FRAME_DATA, .id = id};
    struct mkv_row_writer w = {0};
    struct mkv_buf page;

    mkv_buf_init(&page, MKV_FRAME_MAX);
    assert_int_equal(mkv_row_writer_init(&w, mkv_bytes(NULL, 0)), 0);
    for (unsigned i = 0; i < n; i++) {
        uint8_t value[2] = {0x61, (uint8_t)rows[i].value[0]};
        struct mkv_update entry = {.has_tock = true,
                                   .tock = rows[i].tock,
                                   .present = rows[i].value[0] != '-',
                                   .value = mkv_bytes(value, 2),
                                   .ticks = {.n = 1, .at = {{mkv_bytes_of("w"), 1, i + 1}}}};
        struct mkv_buf key;

        mkv_buf_init(&key, MKV_PATH_KEY_MAX);
        assert_int_equal(mkv_path_from_dotted(mkv_bytes_of(rows[i].path), &key), 0);
        assert_int_equal(mkv_row_writer_add(&w, mkv_buf_bytes(&key), &entry, false), 0);
        mkv_buf_deinit(&key);
    }
    assert_int_equal(mkv_row_writer_take(&w, &page), 0);
    data.data.rows = mkv_buf_bytes(&page);
    say(&data);
    mkv_row_writer_deinit(&w);
    mkv_buf_deinit(&page);
}

static void say_end(uint64_t id)
{
    struct mkv_frame end = {.kind = MKV_FRAME_END, .id = id};

    say(&end);
}

/* What was being read is given up, and the link with it; and it is tried again, but not at once. */
static void assert_failed(const char *why)
{
    unsigned n_dials = cluster.at[0].n_dials;

    if (!cluster_said(&cluster, 0, why)) {
        fail_msg("'%s' is not in: %s", why, cluster.at[0].log);
    }
    for (unsigned k = 0; k < CLUSTER_LINKS_MAX; k++) {
        assert_false(cluster.at[1].links[k].open);
    }
    assert_int_equal(mkv_server_node_error(cluster.at[0].node), 0);
    assert_true(cluster_ready(&cluster, 0));
    run(500);
    assert_int_equal(cluster.at[0].n_dials, n_dials);
}

/* --- Being read: every kind of frame in every step ---------------------------------------- */

static const uint8_t root_path[] = {0x80};

/* With the id of the request that is open, if one is. */
static unsigned all_frames(uint64_t id, struct mkv_frame frames[40])
{
    static const uint8_t rows[] = {0x80};
    static const uint8_t ranges[] = {0x81, 0x82, 0x40, 0x40};
    const struct mkv_bytes path = mkv_bytes(root_path, 1);
    struct mkv_update update = {.has_tock = true,
                                .tock = 1,
                                .present = true,
                                .value = mkv_bytes_of("\x01"),
                                .ticks = {.n = 1, .at = {{mkv_bytes_of("w"), 1, 1}}}};
    const struct mkv_frame all[] = {
        {.kind = MKV_FRAME_HELLO,
         .hello = {.versions = {1, 1}, .software = mkv_bytes_of("x"), .name = mkv_bytes_of("s1")}},
        {.kind = MKV_FRAME_AUTH, .auth = {.mechanism = mkv_bytes_of("EXTERNAL")}},
        {.kind = MKV_FRAME_BIRTH},
        {.kind = MKV_FRAME_ERROR, .error = {.code = MKV_E_BUSY, .text = mkv_bytes_of("no")}},
        {.kind = MKV_FRAME_ERROR,
         .id = id,
         .error = {.code = MKV_E_STALE, .text = mkv_bytes_of("old")}},
        {.kind = MKV_FRAME_BYE},
        {.kind = MKV_FRAME_PEER, .peer = {.name = mkv_bytes_of("s7"), .state = 1}},
        {.kind = MKV_FRAME_ACK, .ack = {.counter = 1, .level = 1, .tock = 1}},
        {.kind = MKV_FRAME_NACK,
         .nack = {.counter = 1, .code = MKV_E_STALE, .text = mkv_bytes_of("x")}},
        {.kind = MKV_FRAME_CONFLICT, .conflict = {.path = path, .loser = update, .winner = update}},
        {.kind = MKV_FRAME_REPEAT, .range = {1, 1}},
        {.kind = MKV_FRAME_VOID, .range = {1, 1}},
        {.kind = MKV_FRAME_STATE, .state = {.code = 0, .text = mkv_bytes_of("x")}},
        {.kind = MKV_FRAME_READ, .id = id, .read = {.path = path, .depth_max = 64}},
        {.kind = MKV_FRAME_LIST, .id = id, .path = {.path = path}},
        {.kind = MKV_FRAME_CHECK, .id = id, .path = {.path = path}},
        {.kind = MKV_FRAME_STATUS, .id = id},
        {.kind = MKV_FRAME_PING, .id = id},
        {.kind = MKV_FRAME_SPLIT, .id = id, .ranges = {.ranges = mkv_bytes(ranges, 4)}},
        {.kind = MKV_FRAME_FETCH, .id = id, .ranges = {.ranges = mkv_bytes(ranges, 4)}},
        {.kind = MKV_FRAME_EVICT, .id = id},
        {.kind = MKV_FRAME_CREDIT, .id = id, .credit = 1},
        {.kind = MKV_FRAME_CANCEL, .id = id},
        {.kind = MKV_FRAME_DATA, .id = id, .data = {.rows = mkv_bytes(rows, 1)}},
        {.kind = MKV_FRAME_DATA, .id = 9, .data = {.rows = mkv_bytes(rows, 1)}},
        {.kind = MKV_FRAME_END, .id = 9},
        {.kind = MKV_FRAME_CHILDREN, .id = id, .rows = mkv_bytes(rows, 1)},
        {.kind = MKV_FRAME_DIGEST, .id = id},
        {.kind = MKV_FRAME_REPORT, .id = id, .report = mkv_bytes_of("\xa0")},
        {.kind = MKV_FRAME_PONG, .id = id, .tock = 1},
        {.kind = MKV_FRAME_VOUCHED, .id = id},
        {.kind = MKV_FRAME_DONE, .id = id},
    };
    const unsigned n = sizeof(all) / sizeof(all[0]);

    memcpy(frames, all, sizeof(all));
    frames[n] = cluster_vouch_frame(1);
    frames[n].id = id;
    return n + 1;
}

/* Nothing that can be said out of turn harms; whatever it is, the conversation is over. */
static void test_every_frame_in_every_step(void **state)
{
    static const uint64_t ids[STEPS] = {1, 1, 1, 2, 3};
    struct mkv_frame frames[40];

    for (unsigned step = STEP_DIALLED; step < STEPS; step++) {
        unsigned n = all_frames(ids[step], frames);

        for (unsigned i = 0; i < n; i++) {
            struct mkv_digest digest;

            cluster_start_with_member(&cluster);
            go_to(step == STEP_FETCH ? STEP_SPLIT : (enum step)step);
            if (step == STEP_FETCH) {
                offer_one(2);
            }
            digest = cluster_sum(&cluster, 0).digest;
            say(&frames[i]);
            run(3);
            if (step == STEP_DIALLED && frames[i].kind == MKV_FRAME_HELLO) {
                assert_failed("lets no server log in");
            } else {
                assert_failed("reading from server 's1' failed");
            }
            assert_true(digest.high == cluster_sum(&cluster, 0).digest.high);
            again_with_puppet(state);
        }
    }
}

static void test_garbage_in_every_step(void **state)
{
    struct prng prng = {7};

    for (unsigned step = STEP_DIALLED; step < STEP_FETCH; step++) {
        for (unsigned i = 0; i < 20; i++) {
            uint8_t bytes[40];
            size_t len = 1 + prng_below(&prng, sizeof(bytes));

            prng_fill(&prng, bytes, len);
            if (i % 2 == 0) {
                bytes[0] = 0xa2; /* a map, at least */
            }
            cluster_start_with_member(&cluster);
            go_to((enum step)step);
            cluster_say_raw(&cluster, 1, mkv_bytes(bytes, len));
            run(3);
            assert_failed("reading from server 's1' failed");
            again_with_puppet(state);
        }
    }
}

/* The link goes, or nothing comes. */
static void test_the_end_in_every_step(void **state)
{
    for (unsigned step = STEP_DIALLED; step < STEP_FETCH; step++) {
        cluster_start_with_member(&cluster);
        go_to((enum step)step);
        cluster_hang_up(&cluster, 1);
        assert_failed("the link broke");
        again_with_puppet(state);

        cluster_start_with_member(&cluster);
        go_to((enum step)step);
        run(14000);
        assert_false(cluster_said(&cluster, 0, "failed"));
        run(1001);
        assert_failed("it does not answer");
        again_with_puppet(state);
    }
}

/* Longer and longer, and with fewer words. */
static void test_attempts_get_rarer(void **state)
{
    unsigned n_loud = 0;
    int64_t waits[9] = {0};

    (void)state;
    cluster_start_with_member(&cluster);
    cluster_isolate(&cluster, 1, true);
    for (unsigned k = 0; k < 9; k++) {
        unsigned n_dials = cluster.at[0].n_dials;
        int64_t begin = cluster.now.ms;

        while (cluster.at[0].n_dials == n_dials) {
            struct mkv_ping ping = cluster_ping_of(&cluster, 1, 0);

            memset(ping.digest, 0x5a, sizeof(ping.digest));
            cluster_send_ping(&cluster, &ping);
            run(500);
            assert_true(cluster.now.ms < begin + 100000);
        }
        waits[k] = cluster.now.ms - begin;
        n_loud += cluster_said(&cluster, 0, "could be reached at none of its addresses");
        cluster_hush(&cluster, 0);
    }
    assert_true(waits[2] > waits[1] && waits[4] > waits[3] && waits[8] <= 61000);
    assert_true(waits[8] >= 59000);
    assert_true(n_loud >= 3);
}

/* --- Who answers -------------------------------------------------------------------------- */

static void test_another_server_answers(void **state)
{
    struct mkv_frame hello = {.kind = MKV_FRAME_HELLO,
                              .hello = {.versions = {1, 1},
                                        .software = mkv_bytes_of("test"),
                                        .mechanisms = {1, {mkv_bytes_of("EXTERNAL")}}}};
    struct mkv_frame peer = {.kind = MKV_FRAME_PEER,
                             .peer = {.name = mkv_bytes_of("s1"), .state = MKV_ACT_READY}};

    cluster_start_with_member(&cluster);
    be_dialled();
    say(&hello);
    say(&peer);
    assert_failed("another server answers at its address");
    again_with_puppet(state);

    cluster_start_with_member(&cluster);
    be_dialled();
    say(&hello);
    cluster_uuid(1, peer.peer.uuid);
    peer.peer.state = MKV_ACT_JOINING;
    say(&peer);
    assert_failed("it is joining itself");
    again_with_puppet(state);

    cluster_start_with_member(&cluster);
    be_dialled();
    hello.hello.versions = (struct mkv_versions){2, 3};
    say(&hello);
    assert_failed("no protocol version in common");
}

/* --- Rows --------------------------------------------------------------------------------- */

static void go_to_rows(void)
{
    cluster_start_with_member(&cluster);
    go_to(STEP_SPLIT);
    offer_one(heard(MKV_FRAME_SPLIT) == NULL ? 2 : heard(MKV_FRAME_SPLIT)->id);
}

static void check_rows(void **state, const struct row *rows, unsigned n, const char *why)
{
    go_to_rows();
    say_rows(heard(MKV_FRAME_FETCH)->id, rows, n);
    run(3);
    assert_failed(why);
    again_with_puppet(state);
}

static void test_rows(void **state)
{
    const struct row good[] = {{"mm", "x", 5000}, {"n", "y", 5001}};
    const struct row twice[] = {{"mm", "x", 5000}, {"mm", "y", 5001}};
    const struct row back[] = {{"n", "x", 5000}, {"mm", "y", 5001}};
    const struct row before[] = {{"a", "x", 5000}};
    const struct row behind[] = {{"z", "x", 5000}};
    const struct row beyond[] = {{"n", "x", MKV_TOCK_HELD_MAX + 1}};

    go_to_rows();
    say_rows(heard(MKV_FRAME_FETCH)->id, good, 2);
    run(3);
    assert_non_null(heard(MKV_FRAME_CREDIT));
    say_end(heard(MKV_FRAME_FETCH)->id);
    run(3);
    assert_string_equal(cluster_held(&cluster, 0, "mm"), "x");
    assert_string_equal(cluster_held(&cluster, 0, "n"), "y");
    assert_non_null(heard(MKV_FRAME_BYE));
    assert_false(cluster_said(&cluster, 0, "failed"));
    again_with_puppet(state);

    check_rows(state, twice, 2, "malformed");
    check_rows(state, back, 2, "malformed");
    check_rows(state, before, 1, "malformed");
    check_rows(state, behind, 1, "malformed");
    check_rows(state, beyond, 1, "out of its range");
    check_rows(state, NULL, 0, "malformed");
}

/* Tombstones for what is not here are taken, for what is here they win by their tocks. */
static void test_tombstones(void **state)
{
    const struct row rows[] = {{"mm", "-", 5000}, {"n", "-", 4000}};

    (void)state;
    cluster_start_with_member(&cluster);
    cluster_put(&cluster, 0, "mm", "old", 4500);
    cluster_put(&cluster, 0, "n", "new", 4500);
    go_to(STEP_SPLIT);
    offer_one(2);
    say_rows(heard(MKV_FRAME_FETCH)->id, rows, 2);
    say_end(heard(MKV_FRAME_FETCH)->id);
    run(3);
    assert_string_equal(cluster_held(&cluster, 0, "mm"), "");
    assert_string_equal(cluster_held(&cluster, 0, "n"), "new");
}

/* --- Sums --------------------------------------------------------------------------------- */

static void test_sums(void **state)
{
    struct mkv_piece same = {.count = 1000};
    struct mkv_frame sums = {.kind = MKV_FRAME_SUMS};
    struct mkv_buf text;

    /* Not those that were asked for. */
    cluster_start_with_member(&cluster);
    go_to(STEP_SPLIT);
    write_sums(&text, &same, 1);
    sums.sums = mkv_buf_bytes(&text);
    sums.id = 77;
    say(&sums);
    mkv_buf_deinit(&text);
    assert_failed("not expected");
    again_with_puppet(state);

    /* More lists than ranges. */
    cluster_start_with_member(&cluster);
    go_to(STEP_SPLIT);
    sums.id = 2;
    {
        struct mkv_cbor_writer w;

        mkv_buf_init(&text, MKV_FRAME_MAX);
        mkv_cbor_writer_init(&w, &text);
        mkv_cbor_write_array(&w, 2);
        mkv_pieces_write(&w, &same, 1);
        mkv_pieces_write(&w, &same, 1);
        sums.sums = mkv_buf_bytes(&text);
        say(&sums);
        mkv_buf_deinit(&text);
    }
    assert_failed("malformed");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup_with_puppet, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_every_frame_in_every_step),
        CASE(test_garbage_in_every_step),
        CASE(test_the_end_in_every_step),
        CASE(test_attempts_get_rarer),
        CASE(test_another_server_answers),
        CASE(test_rows),
        CASE(test_tombstones),
        CASE(test_sums),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
