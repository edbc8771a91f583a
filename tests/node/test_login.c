/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logging in by password as the server takes it: what comes in the wrong order, asks for less, comes too late
 * or for somebody else is refused, and whoever is refused cannot tell why.  The proofs themselves are in
 * tests/io/test_sasl.c.
 */
#include <string.h>

#include "harness.h"
#include "lib/check.h"

#define LOGIN_MS 10000
#define PLUS     "SCRAM-SHA-256-PLUS"
#define ANN      "\xa1\x65roles\x80"
#define EVE_OFF  "\xa2\x65roles\x80\x63off\xf5"

static struct world world;
static uint64_t own; /* the session of our own user, over link 1 */

static int setup(void **state)
{
    (void)state;
    world.now = (struct mkv_now){.ms = 1000};
    world_start(&world);
    own = world_login(&world, 1, NULL);
    world_update(&world, ":n.users.ann", ANN, 2000, own, 1);
    world_update(&world, ":n.users.bob", ANN, 3000, own, 2);
    world_update(&world, ":n.users.eve", EVE_OFF, 4000, own, 3);
    world_wait(&world, 3);
    assert_int_equal(world_acked(&world, 1), 3);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_free(&world);
    return 0;
}

static void say_hello(uint64_t link, enum mkv_peer_kind peer, const char *server_name)
{
    struct mkv_frame hello = {.kind = MKV_FRAME_HELLO,
                              .hello = {.versions = {1, 1}, .software = mkv_bytes_of("test")}};

    hello.hello.name = mkv_bytes_of(server_name);
    mkv_server_node_link_opened(world.node, world.now, link, peer);
    world_send(&world, link, &hello);
}

static void ask(uint64_t link, const char *mechanism, const struct mkv_frame_session *resume)
{
    struct mkv_frame auth = {.kind = MKV_FRAME_AUTH,
                             .auth = {.mechanism = mkv_bytes_of(mechanism)}};

    if (resume != NULL) {
        auth.auth.resume = true;
        auth.auth.session.name = resume->name;
        auth.auth.session.seq = resume->seq;
        auth.auth.token = resume->token;
    }
    world_send(&world, link, &auth);
    world_wait(&world, 3);
}

static void respond(uint64_t link)
{
    const struct mkv_frame response = {.kind = MKV_FRAME_RESPONSE, .sasl = mkv_bytes_of("r")};

    world_send(&world, link, &response);
    world_wait(&world, 3);
}

static void judge(uint64_t link, const char *user, bool done, int error)
{
    const struct mkv_judgement judgement = {.done = done,
                                            .error = error,
                                            .answer = mkv_bytes_of(error == 0 ? "a" : ""),
                                            .user = mkv_bytes_of(user)};

    mkv_server_node_judged(world.node, world.now, link, &judgement);
    world_listen(&world);
    world_wait(&world, 3);
}

static void begin(uint64_t link)
{
    say_hello(link, MKV_PEER_SECURE, "");
    ask(link, PLUS, NULL);
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

static const struct mkv_frame *refused(uint64_t link, int code)
{
    const struct mkv_frame *error = world_last(&world, link, MKV_FRAME_ERROR);

    assert_non_null(error);
    assert_int_equal(error->error.code, code);
    assert_int_equal(error->id, 0);
    assert_true(is_closed(link));
    assert_null(world_last(&world, link, MKV_FRAME_SESSION));
    return error;
}

static void the_whole_exchange(void **state)
{
    (void)state;
    begin(2);
    assert_null(world_last(&world, 2, MKV_FRAME_CHALLENGE));
    judge(2, "ann", false, 0);
    assert_int_equal(world_count(&world, 2, MKV_FRAME_CHALLENGE), 1);
    assert_null(world_last(&world, 2, MKV_FRAME_SESSION));
    respond(2);
    assert_null(world_last(&world, 2, MKV_FRAME_SESSION));
    judge(2, "ann", true, 0);
    assert_int_equal(world_count(&world, 2, MKV_FRAME_CHALLENGE), 2);
    assert_int_equal(world_count(&world, 2, MKV_FRAME_SESSION), 1);
    assert_false(is_closed(2));
}

/* What is offered for each kind of link, and nothing else: not less, not more, not as another spells it. */
static void only_what_is_offered(void **state)
{
    static const struct {
        enum mkv_peer_kind peer;
        const char *offered; /* NULL: no password */
    } kinds[] = {{MKV_PEER_SECURE, PLUS},
                 {MKV_PEER_LOOPBACK, "SCRAM-SHA-256"},
                 {MKV_PEER_OTHER_USER, "SCRAM-SHA-256"},
                 {MKV_PEER_REMOTE, NULL}};
    static const char *const asked[] = {
        PLUS,    "SCRAM-SHA-256", "SCRAM-SHA-1", "scram-sha-256-plus",
        "PLAIN", "ANONYMOUS",     "EXTERNAL",    PLUS "x",
        ""};
    uint64_t link = 10;

    (void)state;
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        for (unsigned k = 0; k < sizeof(asked) / sizeof(asked[0]); k++, link++) {
            bool is_offered = kinds[i].offered != NULL && strcmp(asked[k], kinds[i].offered) == 0;

            world.n_closed = 0;
            say_hello(link, kinds[i].peer, "");
            ask(link, asked[k], NULL);
            if (is_offered) {
                assert_null(world_last(&world, link, MKV_FRAME_ERROR));
                world_close(&world, link);
            } else if (!is_closed(link) || world_last(&world, link, MKV_FRAME_SESSION) != NULL) {
                fail_msg("kind %u, '%s'", i, asked[k]);
            }
        }
    }
}

/* Before, twice, while it is judged, and what is asked without having logged in. */
static void in_the_wrong_order(void **state)
{
    const struct mkv_frame read = {.kind = MKV_FRAME_STATUS, .id = 1};
    const struct mkv_frame hello = {.kind = MKV_FRAME_HELLO,
                                    .hello = {.versions = {1, 1}, .software = mkv_bytes_of("x")}};

    (void)state;
    mkv_server_node_link_opened(world.node, world.now, 2, MKV_PEER_SECURE);
    ask(2, PLUS, NULL); /* no hello */
    (void)refused(2, MKV_E_UNEXPECTED);
    say_hello(3, MKV_PEER_SECURE, "");
    respond(3); /* to nothing */
    (void)refused(3, MKV_E_UNEXPECTED);
    begin(4);
    respond(4); /* nothing was asked yet */
    (void)refused(4, MKV_E_UNEXPECTED);
    begin(5);
    ask(5, PLUS, NULL); /* twice at once */
    (void)refused(5, MKV_E_UNEXPECTED);
    begin(6);
    judge(6, "ann", false, 0);
    ask(6, PLUS, NULL); /* anew instead of an answer */
    (void)refused(6, MKV_E_UNEXPECTED);
    begin(7);
    judge(7, "ann", false, 0);
    world_send(&world, 7, &read);
    (void)refused(7, MKV_E_UNEXPECTED);
    begin(8);
    judge(8, "ann", false, 0);
    world_send(&world, 8, &hello);
    (void)refused(8, MKV_E_UNEXPECTED);
    begin(9);
    judge(9, "ann", false, 0);
    respond(9);
    respond(9); /* the same once more, while the first is judged */
    (void)refused(9, MKV_E_UNEXPECTED);
}

/* A verdict counts once, and for the link that it was asked for. */
static void late_verdicts(void **state)
{
    (void)state;
    begin(2);
    world_close(&world, 2);
    judge(2, "ann", true, 0);
    assert_null(world_last(&world, 2, MKV_FRAME_SESSION));
    judge(99, "ann", true, 0); /* nobody ever */
    say_hello(3, MKV_PEER_SECURE, "");
    judge(3, "ann", true, 0); /* did not ask */
    assert_null(world_last(&world, 3, MKV_FRAME_SESSION));
    begin(4);
    judge(4, "ann", false, 0);
    judge(4, "ann", true, 0); /* before the response */
    assert_null(world_last(&world, 4, MKV_FRAME_SESSION));
    respond(4);
    judge(4, "ann", true, 0);
    judge(4, "bob", true, 0);
    assert_int_equal(world_count(&world, 4, MKV_FRAME_SESSION), 1);
}

static struct mkv_bytes last_error_of(uint64_t link)
{
    for (unsigned i = world.n_heard; i > 0; i--) {
        const struct heard *heard = &world.heard[i - 1];

        if (heard->link == link && heard->frame.kind == MKV_FRAME_ERROR) {
            return mkv_buf_bytes(&heard->bytes);
        }
    }
    return mkv_bytes(NULL, 0);
}

/* Whether the password is wrong, there is no such user, or it is off: byte for byte the same. */
static void refusals_are_alike(void **state)
{
    struct mkv_bytes wrong;

    (void)state;
    for (uint64_t link = 2; link < 6; link++) {
        begin(link);
        judge(link, "", false, 0);
        respond(link);
    }
    judge(2, "ann", true, MKV_E_NOT_AUTHORISED);
    judge(3, "zoe", true, 0);
    judge(4, "eve", true, 0);
    judge(5, "ann", true, MKV_E_TOO_LARGE);
    wrong = last_error_of(2);
    for (uint64_t link = 2; link < 6; link++) {
        (void)refused(link, MKV_E_NOT_AUTHORISED);
        assert_true(mkv_bytes_equal(last_error_of(link), wrong));
        assert_int_equal(world_count(&world, link, MKV_FRAME_CHALLENGE), 1);
    }
}

/* Who failed too often is told so, at the first message or the last, whoever it is. */
static void later_is_told(void **state)
{
    (void)state;
    for (uint64_t link = 2; link < 6; link++) {
        bool is_last = link % 2 == 1;

        begin(link);
        if (is_last) {
            judge(link, "ann", false, 0);
            respond(link);
        }
        judge(link, link < 4 ? "ann" : "zoe", is_last, MKV_E_LATER);
        (void)refused(link, MKV_E_LATER);
        assert_true(mkv_bytes_equal(last_error_of(link), last_error_of(2)));
    }
    begin(6);
    judge(6, "ann", true, 0);
    assert_non_null(world_last(&world, 6, MKV_FRAME_SESSION));
}

static void whoever_dawdles(void **state)
{
    (void)state;
    begin(2);
    world_wait(&world, LOGIN_MS - 100);
    judge(2, "ann", false, 0);
    assert_false(is_closed(2));
    world_wait(&world, 200); /* what has come since does not give more time */
    (void)refused(2, MKV_E_TIMEOUT);
}

/* A password goes for its user's sessions only, and the token alone is worth nothing. */
static void anothers_session(void **state)
{
    struct mkv_frame_session session;

    (void)state;
    begin(2);
    judge(2, "ann", true, 0);
    session = world_last(&world, 2, MKV_FRAME_SESSION)->session;
    say_hello(3, MKV_PEER_SECURE, "");
    ask(3, PLUS, &session);
    judge(3, "bob", true, 0);
    assert_true(world_last(&world, 3, MKV_FRAME_SESSION)->session.seq != session.seq);
    say_hello(4, MKV_PEER_SECURE, "");
    ask(4, PLUS, &session);
    judge(4, "bob", true, MKV_E_NOT_AUTHORISED);
    (void)refused(4, MKV_E_NOT_AUTHORISED);
    say_hello(5, MKV_PEER_SECURE, "");
    ask(5, PLUS, &session);
    judge(5, "ann", true, 0);
    assert_int_equal(world_last(&world, 5, MKV_FRAME_SESSION)->session.seq, session.seq);
}

/* With a user's password nobody becomes a server, and with the servers' key nobody a user. */
static void users_are_no_servers(void **state)
{
    struct mkv_judgement server = {
        .done = true, .is_server = true, .user = mkv_bytes_of(":server/1")};

    (void)state;
    say_hello(2, MKV_PEER_SECURE, "other");
    ask(2, PLUS, NULL);
    judge(2, "ann", true, 0);
    (void)refused(2, MKV_E_NOT_AUTHORISED);
    assert_null(world_last(&world, 2, MKV_FRAME_PEER));
    begin(3);
    mkv_server_node_judged(world.node, world.now, 3, &server);
    world_listen(&world);
    (void)refused(3, MKV_E_NOT_AUTHORISED);
    say_hello(4, MKV_PEER_SECURE, "other");
    ask(4, PLUS, NULL);
    mkv_server_node_judged(world.node, world.now, 4, &server);
    world_listen(&world);
    assert_non_null(world_last(&world, 4, MKV_FRAME_PEER));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_whole_exchange, setup, teardown),
        cmocka_unit_test_setup_teardown(only_what_is_offered, setup, teardown),
        cmocka_unit_test_setup_teardown(in_the_wrong_order, setup, teardown),
        cmocka_unit_test_setup_teardown(late_verdicts, setup, teardown),
        cmocka_unit_test_setup_teardown(refusals_are_alike, setup, teardown),
        cmocka_unit_test_setup_teardown(later_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(whoever_dawdles, setup, teardown),
        cmocka_unit_test_setup_teardown(anothers_session, setup, teardown),
        cmocka_unit_test_setup_teardown(users_are_no_servers, setup, teardown),
    };

    return cmocka_run_group_tests_name("login", tests, NULL, NULL);
}
