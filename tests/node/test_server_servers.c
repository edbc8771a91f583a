/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a server tells of the others, and evicts: servers, evict, and `converged` in status.  The
 * others are pings only, so nobody of them can be dialled.
 */
#include <stdio.h>
#include <string.h>

#include "core/members.h"
#include "harness.h"
#include "lib/check.h"
#include "wire/act.h"
#include "wire/path.h"

#define FIRST  1000U /* number of the first one that is made up */
#define PERIOD 10000

static struct world world;
static uint64_t
    link_last; /* links that are silent for 30 s are closed, so each thing has its own */
static uint64_t tock;

static int setup(void **state)
{
    (void)state;
    memset(&world, 0, sizeof(world));
    world.now = (struct mkv_now){.ms = 1};
    world.others = true;
    world_start(&world);
    link_last = 0;
    tock = 10;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_free(&world);
    return 0;
}

static void uuid_of(unsigned number, uint8_t uuid[MKV_UUID_LEN])
{
    memset(uuid, 1, MKV_UUID_LEN);
    uuid[0] = (uint8_t)number;
    uuid[1] = (uint8_t)(number >> 8U);
}

static const char *name_of(unsigned number)
{
    static char name[16];

    (void)snprintf(name, sizeof(name), "m%u", number);
    return name;
}

static void own_digest(uint8_t digest[MKV_DIGEST_LEN], uint64_t *ret_count)
{
    struct mkv_summary sum = mkv_tree_summary(mkv_store_tree(world.store), mkv_bytes(NULL, 0));

    mkv_digest_bytes(sum.digest, digest);
    *ret_count = sum.n_entries;
}

/* A ping of server @number; @digest NULL: it has what we have. */
static void ping(unsigned number, uint32_t state, const uint8_t *digest)
{
    static uint64_t n_pings;
    struct mkv_ping ping = {
        .name = mkv_bytes_of(name_of(number)),
        .nonce = number,
        .number = ++n_pings,
        .state = state,
        .addresses = {.n = 1, .at = {mkv_bytes_of("unix:/there")}},
        .host = mkv_bytes_of("there"),
        .versions = {1, 1},
        .qos = 1,
        .tock = 5,
        .horizon = 5,
    };
    struct mkv_buf payload;

    uuid_of(number, ping.uuid);
    memcpy(ping.cluster, mkv_store_id(world.store), MKV_UUID_LEN);
    own_digest(ping.digest, &ping.count);
    if (digest != NULL) {
        memcpy(ping.digest, digest, sizeof(ping.digest));
    }
    mkv_buf_init(&payload, 8192);
    assert_int_equal(mkv_ping_encode(&ping, &payload), 0);
    world_message(&world, "moat/main/svc/act", mkv_buf_bytes(&payload));
    mkv_buf_deinit(&payload);
}

static void write_value(const char *path, struct mkv_bytes value)
{
    uint64_t seq = world_login(&world, ++link_last, NULL);

    world_update_value(&world, path, value, ++tock, seq, 1);
    world_wait(&world, 10);
}

/* As servers do: their own stream is 0, counted by the tock. */
static void write_as_server(const char *path, struct mkv_bytes value)
{
    ++tock;
    world_update_value(&world, path, value, tock, 0, tock);
    world_wait(&world, 10);
}

static void write_something(void)
{
    write_value("x", mkv_bytes_of("\x07"));
}

/* Server @number becomes a member, or is evicted. */
static void write_member(unsigned number, bool active)
{
    struct mkv_member member = {.active = active};
    struct mkv_buf key;
    struct mkv_buf value;
    struct mkv_buf path;

    if (number == 0) {
        memcpy(member.uuid, mkv_store_id(world.store), MKV_UUID_LEN);
    } else {
        uuid_of(number, member.uuid);
    }
    memcpy(member.cluster, mkv_store_id(world.store), MKV_UUID_LEN);
    (void)snprintf(member.name, sizeof(member.name), "%s", number == 0 ? "srv" : name_of(number));
    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    mkv_buf_init(&value, 4096);
    mkv_buf_init(&path, 4096);
    assert_int_equal(mkv_member_key(member.uuid, &key), 0);
    assert_int_equal(mkv_member_value(&member, &value), 0);
    assert_int_equal(mkv_path_to_dotted(mkv_buf_bytes(&key), &path), 0);
    assert_int_equal(mkv_buf_append_u8(&path, '\0'), 0);
    write_as_server((const char *)path.at, mkv_buf_bytes(&value));
    mkv_buf_deinit(&path);
    mkv_buf_deinit(&value);
    mkv_buf_deinit(&key);
}

/* The raw item called @name in a report; empty: there is none. */
static struct mkv_bytes fact(struct mkv_bytes report, const char *name)
{
    struct mkv_cbor_reader r;

    mkv_cbor_reader_init(&r, report);
    for (uint64_t left = mkv_cbor_read_map(&r, 1000); left > 0; left--) {
        struct mkv_bytes key = mkv_cbor_read_text(&r);
        struct mkv_bytes value = mkv_cbor_read_raw(&r);

        assert_int_equal(r.error, 0);
        if (mkv_bytes_equal(key, mkv_bytes_of(name))) {
            return value;
        }
    }
    return mkv_bytes(NULL, 0);
}

static bool is_text(struct mkv_bytes item, const char *text)
{
    struct mkv_cbor_reader r;

    mkv_cbor_reader_init(&r, item);
    return mkv_bytes_equal(mkv_cbor_read_text(&r), mkv_bytes_of(text)) && r.error == 0;
}

/* All pages' reports one behind the other; returns how many there are. */
static unsigned collect(uint64_t id, struct mkv_buf *reports)
{
    unsigned n = 0;

    for (unsigned i = 0; i < world.n_heard; i++) {
        const struct mkv_frame *frame = &world.heard[i].frame;
        struct mkv_cbor_reader r;

        if (frame->kind != MKV_FRAME_REPORTS || frame->id != id) {
            continue;
        }
        mkv_cbor_reader_init(&r, frame->reports);
        for (uint64_t left = mkv_cbor_read_array(&r, 256); left > 0; left--) {
            assert_int_equal(mkv_buf_append(reports, mkv_cbor_read_raw(&r)), 0);
            n++;
        }
        assert_int_equal(mkv_cbor_finish(&r), 0);
    }
    return n;
}

static unsigned ask(struct mkv_buf *reports)
{
    static uint64_t id;
    struct mkv_frame servers = {.kind = MKV_FRAME_SERVERS, .id = ++id, .credit = 100};

    (void)world_login(&world, ++link_last, NULL);
    world_forget(&world);
    mkv_buf_clear(reports);
    world_send(&world, link_last, &servers);
    world_wait(&world, 1);
    assert_int_equal(world_count(&world, link_last, MKV_FRAME_END), 1);
    return collect(id, reports);
}

/* The report of server @number; empty: there is none. */
static struct mkv_bytes report_of(unsigned number)
{
    static uint8_t room[65536];
    struct mkv_bytes found = {0};
    struct mkv_buf reports;
    struct mkv_cbor_reader r;

    mkv_buf_init(&reports, 1U << 20);
    (void)ask(&reports);
    mkv_cbor_reader_init(&r, mkv_buf_bytes(&reports));
    while (r.rest.len > 0 && r.error == 0) {
        struct mkv_bytes report = mkv_cbor_read_raw(&r);

        if (is_text(fact(report, "name"), number == 0 ? "srv" : name_of(number))) {
            assert_true(report.len <= sizeof(room));
            memcpy(room, report.at, report.len);
            found = mkv_bytes(room, report.len);
        }
    }
    mkv_buf_deinit(&reports);
    return found;
}

static void check_state(unsigned number, const char *state)
{
    struct mkv_bytes report = report_of(number);

    if (state == NULL) {
        assert_int_equal(report.len, 0);
    } else {
        assert_true(is_text(fact(report, "state"), state));
    }
}

static void check_equal(unsigned number, const char *raw)
{
    assert_true(mkv_bytes_equal(fact(report_of(number), "equal"), mkv_bytes_of(raw)));
}

/* What status says of @why it is not converged; NULL: it is. */
static void check_converged(const char *why)
{
    struct mkv_frame status = {.kind = MKV_FRAME_STATUS, .id = 1};
    struct mkv_bytes report;

    (void)world_login(&world, ++link_last, NULL);
    world_forget(&world);
    world_send(&world, link_last, &status);
    report = world_last(&world, link_last, MKV_FRAME_REPORT)->report;
    assert_true(
        mkv_bytes_equal(fact(report, "converged"), mkv_bytes_of(why == NULL ? "\xf5" : "\xf4")));
    if (why == NULL) {
        assert_int_equal(fact(report, "not_converged").len, 0);
    } else if (!is_text(fact(report, "not_converged"), why)) {
        struct mkv_bytes text = fact(report, "not_converged");

        fail_msg("'%.*s' is not '%s'", (int)text.len, (const char *)text.at, why);
    }
}

static void test_alone(void **state)
{
    struct mkv_bytes report;

    (void)state;
    report = report_of(0);
    assert_true(is_text(fact(report, "state"), "ready"));
    assert_true(is_text(fact(report, "id"), "07070707070707070707070707070707"));
    assert_true(mkv_bytes_equal(fact(report, "self"), mkv_bytes_of("\xf5")));
    assert_true(mkv_bytes_equal(fact(report, "heard_ms"), mkv_bytes_of("\xf6")));
    check_equal(0, "\xf5");
    check_converged(NULL);
}

/* More than fit in a page: each once, in the order of their ids, and no page without credit. */
static void test_pages(void **state)
{
    struct mkv_frame servers = {.kind = MKV_FRAME_SERVERS, .id = 5, .credit = 1};
    struct mkv_frame credit = {.kind = MKV_FRAME_CREDIT, .id = 5, .credit = 1};
    struct mkv_buf reports;
    struct mkv_cbor_reader r;
    struct mkv_bytes last = {0};

    (void)state;
    for (unsigned i = 0; i < 600; i++) {
        ping(FIRST + i, MKV_ACT_READY, NULL);
    }
    mkv_buf_init(&reports, 8U << 20);
    (void)world_login(&world, ++link_last, NULL);
    world_send(&world, link_last, &servers);
    world_wait(&world, 1);
    assert_int_equal(world_count(&world, link_last, MKV_FRAME_REPORTS), 1);
    assert_int_equal(world_count(&world, link_last, MKV_FRAME_END), 0);
    for (unsigned page = 2; page <= 3; page++) {
        world_send(&world, link_last, &credit);
        world_wait(&world, 1);
        assert_int_equal(world_count(&world, link_last, MKV_FRAME_REPORTS), page);
        assert_int_equal(world_count(&world, link_last, MKV_FRAME_END), page == 3);
    }
    assert_int_equal(collect(5, &reports), 601);
    assert_int_equal(world_last(&world, link_last, MKV_FRAME_END)->end.n_rows, 601);
    mkv_cbor_reader_init(&r, mkv_buf_bytes(&reports));
    while (r.rest.len > 0) {
        struct mkv_bytes id = fact(mkv_cbor_read_raw(&r), "id");

        assert_int_equal(r.error, 0);
        assert_int_equal(id.len, 34);
        assert_true(mkv_bytes_compare(id, last) > 0);
        last = id;
    }
    mkv_buf_deinit(&reports);
}

static void test_exactly_one_page(void **state)
{
    struct mkv_buf reports;

    (void)state;
    mkv_buf_init(&reports, 8U << 20);
    for (unsigned i = 0; i < 255; i++) {
        ping(FIRST + i, MKV_ACT_READY, NULL);
    }
    assert_int_equal(ask(&reports), 256);
    mkv_buf_deinit(&reports);
}

static void test_states(void **state)
{
    (void)state;
    write_member(0, true);
    write_member(1, true);
    check_state(1, "absent");
    assert_true(mkv_bytes_equal(fact(report_of(1), "heard_ms"), mkv_bytes_of("\xf6")));
    assert_true(mkv_bytes_equal(fact(report_of(1), "member"), mkv_bytes_of("\xf5")));
    ping(1, MKV_ACT_JOINING, NULL);
    ping(2, MKV_ACT_READY, NULL);
    check_state(1, "joining");
    check_state(2, "ready");
    assert_true(mkv_bytes_equal(fact(report_of(2), "member"), mkv_bytes_of("\xf4")));
    ping(1, MKV_ACT_READY, NULL);
    check_state(1, "ready");
    world_wait(&world, 4 * PERIOD);
    check_state(1, "absent");
    check_state(2, NULL); /* was no member: nobody waits for it */
    ping(1, MKV_ACT_LEAVING, NULL);
    check_state(1, "left");
    write_member(1, false);
    check_state(1, "evicted");
    check_equal(1, "\xf6");
}

static void test_converged_names_who_is_not_here(void **state)
{
    (void)state;
    write_member(0, true);
    for (unsigned i = 1; i <= 5; i++) {
        write_member(i, true);
    }
    check_converged("not here: m1, m2, m3 and 2 more");
    ping(1, MKV_ACT_READY, NULL);
    ping(2, MKV_ACT_READY, NULL);
    ping(3, MKV_ACT_JOINING, NULL);
    check_converged("not here: m3, m4, m5");
    for (unsigned i = 3; i <= 5; i++) {
        ping(i, MKV_ACT_READY, NULL);
    }
    check_converged(NULL);
    write_member(5, false);
    world_wait(&world, 4 * PERIOD);
    check_converged("not here: m1, m2, m3 and 1 more");
    mkv_server_node_broker(world.node, world.now, false);
    world_listen(&world);
    check_converged("the broker is away");
}

/* What a ping says is of when it was sent: what has changed since may have changed there, too. */
static void test_equal(void **state)
{
    uint8_t before[MKV_DIGEST_LEN];
    uint64_t count;

    (void)state;
    write_something();
    own_digest(before, &count);
    world_wait(&world, PERIOD);
    ping(1, MKV_ACT_READY, before);
    check_equal(1, "\xf5");
    check_converged(NULL);
    write_something(); /* after it was sent */
    check_equal(1, "\xf5");
    ping(1, MKV_ACT_READY, before); /* a moment after, and may have been under way */
    check_equal(1, "\xf5");
    world_wait(&world, PERIOD);
    ping(1, MKV_ACT_READY, before); /* long after: it does not have it */
    check_equal(1, "\xf4");
    check_converged("differ: m1");
    ping(1, MKV_ACT_READY, NULL);
    check_equal(1, "\xf5");
    check_converged(NULL);
    ping(1, MKV_ACT_READY, (const uint8_t *)"something unseen");
    write_something(); /* what changes here does not excuse it */
    check_equal(1, "\xf4");
    check_converged("differ: m1");
    world_wait(&world, 4 * PERIOD);
    check_converged(NULL); /* it is gone, and was no member */
}

static int evict(const uint8_t uuid[MKV_UUID_LEN])
{
    struct mkv_frame frame = {.kind = MKV_FRAME_EVICT, .id = 9};

    memcpy(frame.uuid, uuid, MKV_UUID_LEN);
    (void)world_login(&world, ++link_last, NULL);
    world_forget(&world);
    world_send(&world, link_last, &frame);
    if (world_count(&world, link_last, MKV_FRAME_ERROR) > 0) {
        assert_int_equal(world_last(&world, link_last, MKV_FRAME_ERROR)->id, 9);
        return world_last(&world, link_last, MKV_FRAME_ERROR)->error.code;
    }
    assert_int_equal(world_count(&world, link_last, MKV_FRAME_DONE),
                     0); /* nothing before the commit */
    world_wait(&world, 10);
    assert_int_equal(world_count(&world, link_last, MKV_FRAME_DONE), 1);
    return 0;
}

static void test_evict(void **state)
{
    uint8_t uuid[MKV_UUID_LEN];

    (void)state;
    uuid_of(1, uuid);
    assert_int_equal(evict(uuid), MKV_E_NOT_FOUND);
    assert_int_equal(evict(mkv_store_id(world.store)), MKV_E_UNEXPECTED);
    write_member(0, true);
    write_member(1, true);
    world_wait(&world, 4 * PERIOD);
    assert_int_equal(evict(uuid), 0);
    assert_int_equal(world.n_published, 1); /* the others hear it, too */
    check_state(1, "evicted");
    assert_int_equal(evict(uuid), MKV_E_NOT_FOUND);
    assert_int_equal(evict(mkv_store_id(world.store)), MKV_E_UNEXPECTED);
    assert_int_equal(world.n_closed, 0);
    world_crash(&world);
    world_start(&world);
    world_wait(&world, 4 * PERIOD);
    check_state(1, "evicted");
}

#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(test_alone),  WITH_WORLD(test_pages),
        WITH_WORLD(test_states), WITH_WORLD(test_exactly_one_page),
        WITH_WORLD(test_equal),  WITH_WORLD(test_converged_names_who_is_not_here),
        WITH_WORLD(test_evict),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
