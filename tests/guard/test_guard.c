/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decisions of the guard where a real broker is too slow or its clock too stubborn: times,
 * limits, failing allocations.  The rest is in tests/guard/guard.py.
 */
#include "guard/guard.h"
#include "guard/options.h"
#include "lib/check.h"
#include "lib/mem_fault.h"
#include "wire/act.h"
#include "wire/update.h"

#define NOW_S      INT64_C(1790000000)
#define TOCK(unix) ((uint64_t)((unix)-1577836800) * 1000U << 12)

static const uint8_t key[MKV_GUARD_KEY_LEN] = {9};
static const struct mkv_guard_limits limits = {.messages = {.burst = 5, .per_s = 1}};

static struct mkv_guard guard;
static struct mkv_buf file;

static struct mkv_bytes text(const char *words)
{
    return mkv_bytes_of(words);
}

static struct mkv_guard_now at(int64_t unix_s)
{
    return (struct mkv_guard_now){.ms = 1000, .unix_s = unix_s};
}

/* A file with one user, ann, who may do all that @allowed says, everywhere. */
static void write_rights(const char *root, uint8_t allowed)
{
    static const uint8_t everything[] = {0x60, '#', 0x00, 0x01};
    struct mkv_rights rights = {.root = text(root),
                                .n_keys = 1,
                                .keys = {mkv_bytes(key, sizeof(key))},
                                .n_users = 1,
                                .n_rules = 1};
    struct mkv_rights_user ann = {.name = text("ann"), .n_roles = 1, .roles = {text("r")}};
    struct mkv_rights_rule rule = {
        .role = text("r"), .filter = mkv_bytes(everything, sizeof(everything)), .allowed = allowed};
    struct mkv_rights_writer w;

    mkv_buf_clear(&file);
    mkv_rights_begin(&w, &rights, &file);
    mkv_rights_add_user(&w, &ann);
    mkv_rights_add_rule(&w, &rule);
    assert_int_equal(mkv_rights_end(&w), 0);
}

static int setup(void **state)
{
    (void)state;
    mkv_buf_init(&file, MKV_RIGHTS_MAX);
    mkv_guard_init(&guard, &limits);
    write_rights("m", MKV_RIGHTS_ALL);
    assert_int_equal(mkv_guard_take(&guard, mkv_buf_bytes(&file)), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mkv_guard_deinit(&guard);
    mkv_buf_deinit(&file);
    return 0;
}

static enum mkv_guard_answer login(const char *id,
                                   const char *user,
                                   int64_t unix_s,
                                   struct mkv_guard_peer *ret_peer)
{
    char password[MKV_PASSWORD_LEN];

    mkv_credential_password(key, text(id), text(user), password);
    return mkv_guard_login(&guard, at(unix_s), text(id), text(user),
                           mkv_bytes(password, sizeof(password)), ret_peer)
        .answer;
}

static enum mkv_guard_answer write_tock(struct mkv_guard_peer *peer, int64_t unix_s, uint64_t tock)
{
    struct mkv_update update = {
        .has_tock = true,
        .tock = tock,
        .ticks = {.n = 1, .at = {{mkv_bytes(peer->name, peer->name_len), peer->seq, 1}}}};
    struct mkv_guard_message message = {.topic = text("m/d/a")};
    struct mkv_buf out;

    mkv_buf_init(&out, 1000);
    assert_int_equal(mkv_update_encode(&update, &out), 0);
    message.payload = mkv_buf_bytes(&out);
    peer->messages = (struct mkv_bucket){0};

    enum mkv_guard_answer answer = mkv_guard_write(&guard, at(unix_s), peer, &message).answer;

    mkv_buf_deinit(&out);
    return answer;
}

static void credentials_expire_in_their_second(void **state)
{
    struct mkv_guard_peer peer;

    (void)state;
    assert_int_equal(login("s:1:1790000000", ":own", NOW_S - 1, &peer), MKV_GUARD_ALLOW);
    assert_int_equal(login("s:1:1790000000", ":own", NOW_S, &peer), MKV_GUARD_DENY);
    assert_int_equal(login("s:1:0", ":own", NOW_S, &peer), MKV_GUARD_ALLOW);
    assert_int_equal(login("s:0:1790000000:00000000", ":server", NOW_S, &peer), MKV_GUARD_DENY);
    assert_int_equal(login("s:1:9223372036854775807", ":own", NOW_S, &peer), MKV_GUARD_ALLOW);
}

/*
 * Whoever has no password gets the same answer, by the same work, whether there is such a user or not:
 * users are looked for only behind it.
 */
static void passwords_come_before_users(void **state)
{
    static const char *const users[] = {"ann", "eve", ":own"};
    struct mkv_guard_peer peer;

    (void)state;
    for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
        struct mkv_judgement judgement =
            mkv_guard_login(&guard, at(NOW_S), text("s:1:0"), text(users[i]),
                            text("00000000000000000000000000000000"), &peer);

        assert_int_equal(judgement.answer, MKV_GUARD_DENY);
        assert_string_equal(judgement.why, "has a wrong password");
    }
    assert_int_equal(login("s:1:0", "eve", NOW_S, &peer), MKV_GUARD_DENY);
    assert_int_equal(login("s:1:0", "ann", NOW_S, &peer), MKV_GUARD_ALLOW);
}

static void tocks_are_bound_by_the_clock(void **state)
{
    const uint64_t bound = TOCK(NOW_S) + (UINT64_C(1) << 32);
    struct mkv_guard_peer peer;

    (void)state;
    assert_int_equal(login("s:1:0", "ann", NOW_S, &peer), MKV_GUARD_ALLOW);
    assert_int_equal(write_tock(&peer, NOW_S, bound), MKV_GUARD_ALLOW);
    assert_int_equal(write_tock(&peer, NOW_S, bound + 1), MKV_GUARD_DENY);
    /* A machine that does not know what day it is. */
    assert_int_equal(write_tock(&peer, 1000, bound + 1), MKV_GUARD_ALLOW);
    assert_int_equal(write_tock(&peer, 1767225599, bound + 1), MKV_GUARD_ALLOW);
    assert_int_equal(write_tock(&peer, 1767225600, bound + 1), MKV_GUARD_DENY);
}

/* A clock that was set back does not shut out those who follow what servers tell. */
static void tocks_follow_the_servers(void **state)
{
    struct mkv_guard_peer server;
    struct mkv_guard_peer peer;
    struct mkv_ping ping = {.name = text("s"),
                            .number = 1,
                            .versions = {1, 1},
                            .tock = TOCK(NOW_S) + (UINT64_C(1) << 40)};
    const uint64_t bound = ping.tock + (UINT64_C(1) << 28);
    struct mkv_guard_message message = {.topic = text("m/svc/act")};
    struct mkv_buf out;

    (void)state;
    assert_int_equal(login("s:0:0:00000000", ":server", NOW_S, &server), MKV_GUARD_ALLOW);
    assert_int_equal(login("s:1:0", "ann", NOW_S, &peer), MKV_GUARD_ALLOW);
    mkv_buf_init(&out, 1000);
    assert_int_equal(mkv_ping_encode(&ping, &out), 0);
    message.payload = mkv_buf_bytes(&out);
    assert_int_equal(mkv_guard_write(&guard, at(NOW_S), &peer, &message).answer, MKV_GUARD_DENY);
    assert_int_equal(write_tock(&peer, NOW_S, bound), MKV_GUARD_DENY); /* who is no server, ... */
    assert_int_equal(mkv_guard_write(&guard, at(NOW_S), &server, &message).answer, MKV_GUARD_ALLOW);
    assert_int_equal(write_tock(&peer, NOW_S, bound), MKV_GUARD_ALLOW);
    assert_int_equal(write_tock(&peer, NOW_S, bound + 1), MKV_GUARD_DENY);
    assert_int_equal(write_tock(&server, NOW_S, bound + 1), MKV_GUARD_ALLOW);
    mkv_buf_deinit(&out);
}

static void budgets_fill_up_again(void **state)
{
    struct mkv_guard_message message = {.topic = text("m/svc/query"), .payload = text("x")};
    struct mkv_guard_now now = at(NOW_S);
    struct mkv_guard_peer peer;

    (void)state;
    assert_int_equal(login("s:1:0", "ann", NOW_S, &peer), MKV_GUARD_ALLOW);
    for (unsigned i = 0; i < 10; i++) { /* what is refused counts, too */
        struct mkv_judgement judgement = mkv_guard_write(&guard, now, &peer, &message);

        assert_int_equal(judgement.answer, MKV_GUARD_DENY);
        assert_int_equal(strcmp(judgement.why, "sends more messages than it may") == 0, i >= 5);
    }
    now.ms += 1000;
    assert_string_not_equal(mkv_guard_write(&guard, now, &peer, &message).why,
                            "sends more messages than it may");
    assert_string_equal(mkv_guard_write(&guard, now, &peer, &message).why,
                        "sends more messages than it may");
}

/* Nobody but servers can subscribe to these; who could would still get nothing. */
static void services_are_for_servers(void **state)
{
    static const char *const topics[] = {"m/svc/birth", "m/svc/query", "m/svc/act", "m/svc", "m/e"};
    struct mkv_guard_peer own;
    struct mkv_guard_peer server;

    (void)state;
    assert_int_equal(login("s:1:0", ":own", NOW_S, &own), MKV_GUARD_ALLOW);
    assert_int_equal(login("s:0:0:00000000", ":server", NOW_S, &server), MKV_GUARD_ALLOW);
    for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++) {
        assert_int_equal(mkv_guard_read(&guard, &own, text(topics[i])).answer, MKV_GUARD_DENY);
        assert_int_equal(mkv_guard_read(&guard, &server, text(topics[i])).answer, MKV_GUARD_ALLOW);
        assert_int_equal(mkv_guard_read(&guard, NULL, text(topics[i])).answer, MKV_GUARD_DENY);
    }
}

/* What was decoded under one root is not remembered under another. */
static void another_root_is_another_tree(void **state)
{
    struct mkv_guard_peer peer;

    (void)state;
    assert_int_equal(login("s:1:0", "ann", NOW_S, &peer), MKV_GUARD_ALLOW);
    assert_int_equal(mkv_guard_read(&guard, &peer, text("m/d/a")).answer, MKV_GUARD_ALLOW);
    assert_int_equal(mkv_guard_read(&guard, &peer, text("m/d/a/")).answer, MKV_GUARD_DENY);
    assert_int_equal(mkv_guard_read(&guard, &peer, text("m/d/a/")).answer, MKV_GUARD_DENY);
    write_rights("m/d", MKV_RIGHT_READ);
    assert_int_equal(mkv_guard_take(&guard, mkv_buf_bytes(&file)), 0);
    assert_int_equal(mkv_guard_read(&guard, &peer, text("m/d/a")).answer, MKV_GUARD_DENY);
    assert_int_equal(mkv_guard_read(&guard, &peer, text("m/d/d/a")).answer, MKV_GUARD_ALLOW);
    assert_int_equal(write_tock(&peer, NOW_S, 1), MKV_GUARD_DENY);
    assert_int_equal(mkv_guard_read(&guard, &peer, text("m")).answer, MKV_GUARD_NOT_OURS);
    assert_int_equal(mkv_guard_subscribe(&guard, &peer, text("m")).answer, MKV_GUARD_NOT_OURS);
}

/* Whatever fails on the way, the guard goes by the old rights as a whole. */
static void out_of_memory_changes_nothing(void **state)
{
    struct mkv_guard_peer peer;
    unsigned n = 1;

    (void)state;
    assert_int_equal(login("s:1:0", "ann", NOW_S, &peer), MKV_GUARD_ALLOW);
    write_rights("other", 0);
    for (;; n++) {
        mem_fault_at(n);

        int error = mkv_guard_take(&guard, mkv_buf_bytes(&file));

        if (!mem_fault_struck()) {
            assert_int_equal(error, 0);
            break;
        }
        mem_fault_at(0);
        assert_int_equal(error, MKV_E_NO_MEMORY);
        assert_int_equal(write_tock(&peer, NOW_S, 1), MKV_GUARD_ALLOW);
    }
    mem_fault_at(0);
    assert_true(n > 2);
    assert_int_equal(write_tock(&peer, NOW_S, 1), MKV_GUARD_NOT_OURS);
}

static void a_topic_that_finds_no_memory_is_denied(void **state)
{
    struct mkv_guard_peer peer;
    unsigned n = 1;

    (void)state;
    for (;; n++) {
        mkv_guard_deinit(&guard); /* its buffers have grown */
        mkv_guard_init(&guard, &limits);
        write_rights("m", MKV_RIGHTS_ALL);
        assert_int_equal(mkv_guard_take(&guard, mkv_buf_bytes(&file)), 0);
        assert_int_equal(login("s:1:0", "ann", NOW_S, &peer), MKV_GUARD_ALLOW);
        mem_fault_at(n);

        enum mkv_guard_answer answer = mkv_guard_read(&guard, &peer, text("m/d/a/b/c")).answer;
        bool struck = mem_fault_struck();

        mem_fault_at(0);
        assert_true(answer == MKV_GUARD_ALLOW || (struck && answer == MKV_GUARD_DENY));
        if (!struck) {
            break;
        }
    }
    assert_true(n > 1);
}

static void without_rights_everything_is_denied(void **state)
{
    struct mkv_guard blank;
    struct mkv_guard_peer peer = {.role = MKV_ROLE_SERVER};
    struct mkv_guard_message message = {.topic = text("a")};

    (void)state;
    mkv_guard_init(&blank, &limits);
    assert_int_equal(
        mkv_guard_login(&blank, at(NOW_S), text("s:1:0"), text(":own"), text(""), &peer).answer,
        MKV_GUARD_DENY);
    assert_int_equal(mkv_guard_write(&blank, at(NOW_S), &peer, &message).answer, MKV_GUARD_DENY);
    assert_int_equal(mkv_guard_read(&blank, &peer, text("a")).answer, MKV_GUARD_DENY);
    assert_int_equal(mkv_guard_subscribe(&blank, NULL, text("a")).answer, MKV_GUARD_DENY);
    mkv_guard_deinit(&blank);
}

static void options_are_checked(void **state)
{
    struct mkv_guard_options options;

    (void)state;
    mkv_guard_options_init(&options);
    assert_true(options.rights == NULL && options.others == MKV_GUARD_OTHERS_DENY);
    assert_true(!options.limits.finders && options.limits.messages.per_s == 5000);
    assert_int_equal(mkv_guard_options_set(&options, "burst", "1000000000"), 0);
    assert_int_equal(options.limits.messages.burst, 1000000000);
    assert_int_equal(mkv_guard_options_set(&options, "burst", "1000000001"), MKV_E_BAD_ARGUMENT);
    assert_int_equal(mkv_guard_options_set(&options, "burst", "99999999999999999999999"),
                     MKV_E_BAD_ARGUMENT);
    assert_int_equal(mkv_guard_options_set(&options, "rate", "0"), MKV_E_BAD_ARGUMENT);
    assert_int_equal(mkv_guard_options_set(&options, "rate", "-1"), MKV_E_BAD_ARGUMENT);
    assert_int_equal(mkv_guard_options_set(&options, "rate", NULL), MKV_E_BAD_ARGUMENT);
    assert_int_equal(mkv_guard_options_set(&options, "finders", "defer"), MKV_E_BAD_ARGUMENT);
    assert_int_equal(mkv_guard_options_set(&options, "finders", "allow"), 0);
    assert_true(options.limits.finders);
    assert_int_equal(mkv_guard_options_set(&options, "others", "defer"), 0);
    assert_int_equal(options.others, MKV_GUARD_OTHERS_DEFER);
    assert_int_equal(mkv_guard_options_set(&options, "right", "/x"), MKV_E_NOT_FOUND);
}

#define WITH_GUARD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_GUARD(credentials_expire_in_their_second),
        WITH_GUARD(passwords_come_before_users),
        WITH_GUARD(tocks_are_bound_by_the_clock),
        WITH_GUARD(tocks_follow_the_servers),
        WITH_GUARD(budgets_fill_up_again),
        WITH_GUARD(services_are_for_servers),
        WITH_GUARD(another_root_is_another_tree),
        WITH_GUARD(out_of_memory_changes_nothing),
        WITH_GUARD(a_topic_that_finds_no_memory_is_denied),
        cmocka_unit_test(without_rights_everything_is_denied),
        cmocka_unit_test(options_are_checked),
    };

    return cmocka_run_group_tests_name("guard", tests, NULL, NULL);
}
