/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links that are open while users and passwords change: who may not be here any more has to leave at once.
 */
#include <string.h>

#include "harness.h"
#include "lib/check.h"

static struct world world;
static uint64_t own; /* the session of our own user, over link 1 */
static uint64_t counter;

#define ANN_UID 1001U
#define ANN     "\xa2\x65roles\x80\x63uid\x19\x03\xe9"
#define ANN_OFF "\xa3\x65roles\x80\x63uid\x19\x03\xe9\x63off\xf5"
#define BOB     "\xa1\x65roles\x80"

static void put(const char *path, const char *value)
{
    counter++;
    world_update(&world, path, value, 1000 + 1000 * counter, own, counter);
    world_wait(&world, 3);
    assert_int_equal(world_acked(&world, 1), counter);
}

static int setup(void **state)
{
    (void)state;
    world.now = (struct mkv_now){.ms = 1000};
    world_start(&world);
    own = world_login(&world, 1, NULL);
    counter = 0;
    put(":n.users.ann", ANN);
    put(":n.users.bob", BOB);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_free(&world);
    return 0;
}

static void say(uint64_t link, const char *mechanism)
{
    struct mkv_frame hello = {.kind = MKV_FRAME_HELLO,
                              .hello = {.versions = {1, 1}, .software = mkv_bytes_of("test")}};
    struct mkv_frame auth = {.kind = MKV_FRAME_AUTH,
                             .auth = {.mechanism = mkv_bytes_of(mechanism)}};

    world_send(&world, link, &hello);
    world_send(&world, link, &auth);
}

static void log_in_by_uid(uint64_t link)
{
    mkv_server_node_link_opened(world.node, world.now, link, MKV_PEER_OTHER_USER);
    mkv_server_node_link_uid(world.node, link, ANN_UID);
    say(link, "EXTERNAL");
    world_wait(&world, 3);
    assert_non_null(world_last(&world, link, MKV_FRAME_SESSION));
}

static void begin_by_password(uint64_t link)
{
    mkv_server_node_link_opened(world.node, world.now, link, MKV_PEER_SECURE);
    say(link, "SCRAM-SHA-256-PLUS");
}

static void judge(uint64_t link, const char *user)
{
    const struct mkv_judgement judgement = {.done = true, .user = mkv_bytes_of(user)};

    mkv_server_node_judged(world.node, world.now, link, &judgement);
    world_listen(&world);
    world_wait(&world, 3);
}

static void log_in_by_password(uint64_t link, const char *user)
{
    begin_by_password(link);
    judge(link, user);
    assert_non_null(world_last(&world, link, MKV_FRAME_SESSION));
}

static void set_password(uint64_t link, const char *user)
{
    static const uint8_t bytes[32];
    struct mkv_frame passwd = {.kind = MKV_FRAME_PASSWD,
                               .id = 7,
                               .passwd = {.user = mkv_bytes_of(user),
                                          .iterations = 4096,
                                          .salt = mkv_bytes(bytes, 16),
                                          .stored_key = mkv_bytes(bytes, 32),
                                          .server_key = mkv_bytes(bytes, 32)}};

    world_send(&world, link, &passwd);
    world_wait(&world, 3);
    assert_non_null(world_last(&world, link, MKV_FRAME_DONE));
}

static bool is_closed(uint64_t link)
{
    for (unsigned i = 0; i < world.n_closed; i++) {
        if (world.closed[i] == link) {
            return true;
        }
    }
    return false;
}

static void expect_sent_away(uint64_t link)
{
    const struct mkv_frame *error = world_last(&world, link, MKV_FRAME_ERROR);

    assert_non_null(error);
    assert_int_equal(error->error.code, MKV_E_NOT_AUTHORISED);
    assert_int_equal(error->id, 0);
    assert_true(is_closed(link));
}

static void expect_here(uint64_t link)
{
    assert_null(world_last(&world, link, MKV_FRAME_ERROR));
    assert_false(is_closed(link));
}

static void test_off(void **state)
{
    (void)state;
    log_in_by_uid(2);
    log_in_by_password(3, "ann");
    log_in_by_password(4, "bob");
    put(":n.users.ann", ANN_OFF);
    expect_sent_away(2);
    expect_sent_away(3);
    expect_here(4);
    expect_here(1);
    begin_by_password(5);
    judge(5, "ann");
    expect_sent_away(5);
}

static void test_deleted(void **state)
{
    (void)state;
    log_in_by_uid(2);
    log_in_by_password(3, "bob");
    put(":n.users.bob", NULL);
    expect_sent_away(3);
    expect_here(2);
    put(":n.users.ann", "\x01"); /* what nobody can read is no user */
    expect_sent_away(2);
}

/* Who came in by a Unix user id that is another one's now, or nobody's; a password is not touched by that. */
static void test_other_uid(void **state)
{
    (void)state;
    log_in_by_uid(2);
    log_in_by_password(3, "ann");
    put(":n.users.carl", ANN);
    expect_sent_away(2);
    expect_here(3);
    put(":n.users.carl", NULL);
    log_in_by_uid(4);
    put(":n.users.ann", BOB);
    expect_sent_away(4);
    expect_here(3);
}

static void test_password(void **state)
{
    (void)state;
    log_in_by_uid(2);
    log_in_by_password(3, "ann");
    log_in_by_password(4, "ann");
    log_in_by_password(5, "bob");
    set_password(3, "ann"); /* her own: she knows the new one */
    expect_here(2);
    expect_here(3);
    expect_sent_away(4);
    expect_here(5);
    set_password(1, "ann"); /* set by the owner */
    expect_sent_away(3);
    expect_here(5);
    expect_here(1);
}

/* Nobody slips in by a password that is changed while it is looked at. */
static void test_password_meanwhile(void **state)
{
    (void)state;
    begin_by_password(2);
    set_password(1, "ann");
    assert_int_equal(world_last(&world, 2, MKV_FRAME_ERROR)->error.code, MKV_E_BUSY);
    assert_true(is_closed(2));
    judge(2, "ann");
    assert_null(world_last(&world, 2, MKV_FRAME_SESSION));
}

/* A change that the disk does not take sends nobody away for that; all links start over then. */
static void test_rollback(void **state)
{
    (void)state;
    log_in_by_password(2, "bob");
    mkv_disk_fail_at(world.disk, 1, MKV_E_DISK_FULL);
    world_update(&world, ":n.users.bob", NULL, 900000, own, ++counter);
    world_wait(&world, 3);
    assert_true(mkv_disk_failed(world.disk));
    assert_int_equal(world_last(&world, 2, MKV_FRAME_ERROR)->error.code, MKV_E_DISK_FULL);
    world_wait(&world, 2000);
    log_in_by_password(3, "bob");
    world_wait(&world, 2000);
    expect_here(3);
}

/* Users are told that rights have changed: at once, then once a second at most. */
static void test_told(void **state)
{
    (void)state;
    world_wait(&world, 2000);
    log_in_by_password(2, "bob");
    for (unsigned i = 0; i < 10; i++) {
        put(":n.acl.x.#", i % 2 == 0 ? "\x61r" : "\x61w");
        assert_int_equal(world_count(&world, 2, MKV_FRAME_RIGHTS), 1);
    }
    world_wait(&world, 1000);
    assert_int_equal(world_count(&world, 2, MKV_FRAME_RIGHTS), 2);
    world_wait(&world, 5000);
    assert_int_equal(world_count(&world, 2, MKV_FRAME_RIGHTS), 2);
    assert_int_equal(world_count(&world, 1, MKV_FRAME_RIGHTS), 0);
    put("a", "\x01"); /* no change of rights */
    assert_int_equal(world_count(&world, 2, MKV_FRAME_RIGHTS), 2);
}

/* At the limit, one beyond, others, and once there is room again. */
static void test_requests_of_a_user(void **state)
{
    static const uint8_t root_path[] = {0x80};
    struct mkv_frame follow = {
        .kind = MKV_FRAME_CONFLICTS,
        .conflicts = {.path = mkv_bytes(root_path, 1), .flags = MKV_CONFLICTS_FOLLOW, .credit = 1}};
    struct mkv_frame cancel = {.kind = MKV_FRAME_CANCEL, .id = 1};
    uint32_t each = MKV_USER_REQUESTS_MAX / 5 + 1;

    (void)state;
    put(":n.users.bob", "\xa1\x65roles\x81\x65guest");
    put(":n.acl.guest.#", "\x61r");
    assert_true(each < MKV_REQUESTS_MAX);
    for (uint64_t link = 2; link <= 7; link++) {
        log_in_by_password(link, link < 7 ? "bob" : "ann");
    }
    for (uint32_t i = 0; i < MKV_USER_REQUESTS_MAX; i++) {
        follow.id = i + 1;
        world_send(&world, 2 + i / each, &follow);
    }
    for (uint64_t link = 2; link <= 6; link++) {
        assert_null(world_last(&world, link, MKV_FRAME_ERROR));
    }
    follow.id = 1000;
    world_send(&world, 6, &follow);
    assert_int_equal(world_last(&world, 6, MKV_FRAME_ERROR)->error.code, MKV_E_BUSY);
    assert_int_equal(world_last(&world, 6, MKV_FRAME_ERROR)->id, 1000);
    world_send(&world, 7, &follow); /* she may not read, but it is not too much */
    assert_int_equal(world_last(&world, 7, MKV_FRAME_ERROR)->error.code, MKV_E_NOT_AUTHORISED);
    world_send(&world, 1, &follow);
    assert_null(world_last(&world, 1, MKV_FRAME_ERROR));
    world_send(&world, 2, &cancel);
    world_forget(&world);
    follow.id = 1001;
    world_send(&world, 6, &follow);
    assert_null(world_last(&world, 6, MKV_FRAME_ERROR));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_off),
        CASE(test_deleted),
        CASE(test_other_uid),
        CASE(test_password),
        CASE(test_password_meanwhile),
        CASE(test_rollback),
        CASE(test_told),
        CASE(test_requests_of_a_user),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
