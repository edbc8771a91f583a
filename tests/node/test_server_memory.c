/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server that runs out of memory, or whose disk fails, at any point: a client that follows the
 * protocol (docs/protocol.md, 7) gets all of its updates acknowledged in the end, and what was
 * acknowledged is there after a crash.
 */
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "lib/check.h"
#include "lib/mem_fault.h"
#include "lost.h"

#define WRITES     9U
#define STAMPED    4U /* the write that leaves its tock to the server */
#define ROUNDS_MAX 60U

static struct world world;
static uint64_t disk_fails_at; /* from the next call of the node on */

static void around(bool enter)
{
    if (enter && disk_fails_at > 0) {
        mkv_disk_fail_at(world.disk, disk_fails_at, MKV_E_IO);
        disk_fails_at = 0;
    }
    mem_fault_pause(!enter);
}

/* A client that writes p:1 .. p:WRITES, and all anew in each session it is given. */
struct writer {
    uint64_t link; /* the last one used */
    bool open;
    uint64_t seq;
    uint8_t token[64];
    size_t token_len;
    unsigned n_heard;             /* frames dealt with */
    uint64_t counter[WRITES + 1]; /* of the present session; 0: not written in it */
    uint64_t last;
    bool acked[WRITES + 1];
};

static void path_of(unsigned write, char path[16])
{
    (void)snprintf(path, 16, "p:%u", write);
}

static void take_session(struct writer *writer, const struct mkv_frame_session *session)
{
    writer->open = true;
    if (session->seq == writer->seq) {
        for (unsigned i = 1; i <= WRITES; i++) {
            writer->acked[i] = writer->acked[i] ||
                               (writer->counter[i] > 0 && writer->counter[i] <= session->acked);
        }
        return;
    }
    assert_int_equal(session->acked, 0);
    writer->seq = session->seq;
    writer->token_len = session->token.len;
    memcpy(writer->token, session->token.at, session->token.len);
    memset(writer->counter, 0, sizeof(writer->counter));
    writer->last = 0;
    for (unsigned i = 1; i <= WRITES; i++) {
        writer->counter[i] = writer->acked[i] ? 0 : ++writer->last;
    }
}

static void take_ack(struct writer *writer, uint64_t counter)
{
    for (unsigned i = 1; i <= WRITES; i++) {
        writer->acked[i] =
            writer->acked[i] || (writer->counter[i] > 0 && writer->counter[i] <= counter);
    }
}

/* Deals with what came over the present link. */
static void hear_all(struct writer *writer)
{
    for (; writer->n_heard < world.n_heard; writer->n_heard++) {
        const struct heard *heard = &world.heard[writer->n_heard];

        if (heard->link != writer->link) {
            continue;
        }
        if (heard->frame.kind == MKV_FRAME_SESSION) {
            take_session(writer, &heard->frame.session);
        } else if (heard->frame.kind == MKV_FRAME_ACK) {
            take_ack(writer, heard->frame.ack.counter);
        }
        assert_int_not_equal(heard->frame.kind, MKV_FRAME_NACK);
    }
    for (unsigned i = 0; i < world.n_closed; i++) {
        if (world.closed[i] == writer->link) {
            writer->open = false;
        }
    }
}

static void log_in(struct writer *writer)
{
    struct mkv_frame hello = {.kind = MKV_FRAME_HELLO,
                              .hello = {.versions = {1, 1}, .software = mkv_bytes_of("test")}};
    struct mkv_frame auth = {.kind = MKV_FRAME_AUTH,
                             .auth = {.mechanism = mkv_bytes_of("EXTERNAL")}};

    if (writer->seq > 0) {
        auth.auth.resume = true;
        auth.auth.session = (struct mkv_birth){mkv_bytes_of("srv"), writer->seq};
        auth.auth.token = mkv_bytes(writer->token, writer->token_len);
    }
    if (writer->link > 0) {
        world_close(&world, writer->link);
    }
    writer->link++;
    world_open(&world, writer->link);
    world_send(&world, writer->link, &hello);
    world_send(&world, writer->link, &auth);
}

static void write_all(const struct writer *writer)
{
    for (unsigned i = 1; i <= WRITES; i++) {
        const char value[2] = {(char)i, 0};
        char path[16];

        path_of(i, path);
        if (!writer->acked[i]) {
            world_update(&world, path, value, i == STAMPED ? 0 : i, writer->seq,
                         writer->counter[i]);
        }
    }
}

/* Everything else that a client may ask for, and what strangers send. */
static void ask_all(const struct writer *writer)
{
    static const uint8_t query[] = {0xa2, 0x00, 0x48, 1, 2, 3, 4, 5, 6, 7, 8, 0x01, 0x82, 1, 1};
    struct mkv_birth birth = {.name = mkv_bytes_of("srv"), .seq = writer->seq};
    struct mkv_buf payload;

    world_ask(
        &world, "p",
        (struct mkv_frame){.kind = MKV_FRAME_READ, .id = 1, .read = {.depth_max = 64, .credit = 4}},
        writer->link);
    world_ask(&world, "p",
              (struct mkv_frame){.kind = MKV_FRAME_LIST, .id = 2, .path = {.credit = 4}},
              writer->link);
    world_ask(&world, "p", (struct mkv_frame){.kind = MKV_FRAME_CHECK, .id = 3}, writer->link);
    lost_ask(&world, writer->link, 6, "p", MKV_CONFLICTS_FOLLOW, 4);
    lost_ask(&world, writer->link, 7, ":", 0, 4);
    world_send(&world, writer->link, &(struct mkv_frame){.kind = MKV_FRAME_STATUS, .id = 4});
    world_send(&world, writer->link,
               &(struct mkv_frame){.kind = MKV_FRAME_SERVERS, .id = 8, .credit = 4});
    world_send(&world, writer->link, &(struct mkv_frame){.kind = MKV_FRAME_EVICT, .id = 9});
    world_send(&world, writer->link, &(struct mkv_frame){.kind = MKV_FRAME_PING, .id = 5});
    world_message(&world, "moat/main/svc/query", mkv_bytes(query, sizeof(query)));
    world_message(&world, "moat/main/d/:.bad", mkv_bytes_of("\xa1\x01\x01"));
    mkv_buf_init(&payload, 100);
    assert_int_equal(mkv_birth_encode(&birth, &payload), 0);
    world_message(&world, "moat/main/svc/birth", mkv_buf_bytes(&payload));
    mkv_buf_deinit(&payload);

    /* Another client overwrites one of them, without having seen it. */
    world_update(&world, "p:9", "\x17", 99, 1, 1);
}

static bool all_acked(const struct writer *writer)
{
    for (unsigned i = 1; i <= WRITES; i++) {
        if (!writer->acked[i]) {
            return false;
        }
    }
    return true;
}

/* As a supervisor does with a server that has ended itself. */
static void restart(struct writer *writer)
{
    world_crash(&world);
    if (world_boot(&world) != 0) {
        mem_fault_at(0);
        world_crash(&world);
        world_start(&world);
    }
    writer->open = false;
}

static void round_trip(struct writer *writer)
{
    if (mkv_server_node_error(world.node) != 0) {
        restart(writer);
    }
    if (!writer->open) {
        log_in(writer);
    }
    world_wait(&world, 3);
    hear_all(writer);
    if (writer->open) {
        ask_all(writer);
        write_all(writer);
    }
    world_wait(&world, 500);
    hear_all(writer);
    world_forget(&world);
    writer->n_heard = 0;
}

static void assert_all_held(void)
{
    for (unsigned i = 1; i <= WRITES; i++) {
        const char value[2] = {(char)i, 0};
        char path[16];

        path_of(i, path);
        assert_non_null(world_held(&world, path));
        assert_string_equal(world_held(&world, path), i == 9 ? "\x17" : value);
    }
    assert_string_equal(lost_ask_all(&world, ":"), "p:9=9>99;"); /* once, and not less */
}

/* Returns whether the allocation or the access that was to fail was needed at all. */
static bool run_once(unsigned nth_allocation, uint64_t nth_access)
{
    struct writer writer = {0};
    unsigned n_rounds = 0;

    world = (struct world){.now = {.ms = 1000, .calendar_ms = 5000}, .around = around};
    mem_fault_at(0);
    world_start(&world);
    mem_fault_at(nth_allocation);
    disk_fails_at = nth_access;
    do {
        round_trip(&writer);
        assert_true(++n_rounds < ROUNDS_MAX);
    } while (!all_acked(&writer) || n_rounds < 3);

    bool struck = mem_fault_struck() || mkv_disk_failed(world.disk);

    mem_fault_at(0);
    mkv_disk_fail_at(world.disk, 0, 0);
    world_crash(&world);
    world_start(&world);
    assert_all_held();
    world_free(&world);
    assert_int_equal(mem_fault_live(), 0);
    return struck;
}

static void test_every_allocation_fails_in_turn(void **state)
{
    (void)state;
    unsigned n = 1;

    while (run_once(n, 0)) {
        assert_true(++n < 10000);
    }
    print_message("# %u allocations\n", n);
}

static void test_every_access_of_the_disk_fails_in_turn(void **state)
{
    (void)state;
    uint64_t n = 1;

    while (run_once(0, n)) {
        assert_true(++n < 10000);
    }
    print_message("# %llu accesses\n", (unsigned long long)n);
}

/* Memory goes just when a failed batch is rolled back. */
static void test_both_fail(void **state)
{
    (void)state;
    for (uint64_t access = 1; access <= 40; access++) {
        for (unsigned n = 1; n <= 60; n += 1 + n / 20) {
            (void)run_once(n, access);
        }
    }
}

/* A disk with sessions on it: one open hole, one refused, one whole. */
static void leave_sessions(void)
{
    mem_fault_at(0);
    world = (struct world){.now = {.ms = 1000, .calendar_ms = 5000}, .around = around};
    world_start(&world);

    uint64_t first = world_login(&world, 1, NULL);
    uint64_t second = world_login(&world, 2, NULL);

    world_update(&world, "a", "\x01", 1, first, 1);
    world_update(&world, "a", "\x02", 2, first, 3);
    world_update(&world, "b", "\x03", 3, second, 1);
    world_wait(&world, 3);
    world_crash(&world);
}

static void assert_starts(void)
{
    world_start(&world);
    assert_string_equal(world_held(&world, "a"), "\x02");
    assert_string_equal(world_held(&world, "b"), "\x03");
    (void)world_login(&world, 3, NULL);
    world_free(&world);
    assert_int_equal(mem_fault_live(), 0);
}

static void assert_boots_or(int error)
{
    int result = world_boot(&world);

    assert_true(result == 0 || result == error);
}

static void test_a_start_that_fails_harms_nothing(void **state)
{
    bool struck = true;

    (void)state;
    for (unsigned n = 1; struck; n++) {
        leave_sessions();
        mem_fault_at(n);
        assert_boots_or(MKV_E_NO_MEMORY);
        struck = mem_fault_struck();
        mem_fault_at(0);
        world_crash(&world);
        assert_starts();
    }
    struck = true;
    for (uint64_t n = 1; struck; n++) {
        leave_sessions();
        disk_fails_at = n;
        assert_boots_or(MKV_E_IO);
        struck = mkv_disk_failed(world.disk);
        mkv_disk_fail_at(world.disk, 0, 0);
        world_crash(&world);
        assert_starts();
    }
}

/* It costs its client the session, and nobody else anything. */
static void test_a_damaged_session_is_not_resumed(void **state)
{
    struct writer writer = {0};

    (void)state;
    leave_sessions();
    for (size_t row = 0; row < 8; row++) { /* whichever of them are sessions */
        mkv_disk_damage(world.disk, MKV_LOG_META, row);
        if (world_boot(&world) == 0) {
            assert_string_equal(world_held(&world, "a"), "\x02");
            assert_string_equal(world_held(&world, "b"), "\x03");
            (void)world_login(&world, 10 + row, NULL);
        }
        world_crash(&world);
        world_forget(&world);
        mkv_disk_damage(world.disk, MKV_LOG_META, row);
    }
    world_start(&world);
    while (!all_acked(&writer)) {
        round_trip(&writer);
    }
    world_free(&world);
}

#define CASE(f) cmocka_unit_test(f)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_every_allocation_fails_in_turn),
        CASE(test_every_access_of_the_disk_fails_in_turn),
        CASE(test_both_fail),
        CASE(test_a_start_that_fails_harms_nothing),
        CASE(test_a_damaged_session_is_not_resumed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
