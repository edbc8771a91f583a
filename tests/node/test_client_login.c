/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logging in by password as the client does it: it takes no less than what there is, shows its password to no
 * other server, and believes no session before the server has proven itself.
 */
#include <string.h>

#include "lib/check.h"
#include "peer.h"

#define TLS_AT  "tls://attic:27589"
#define UNIX_AT "unix:/s"
#define PLUS    "SCRAM-SHA-256-PLUS"

static struct peer peer;

static void start(const char *server, bool has_login, const char *login_server)
{
    const struct mkv_client_config config = {
        .servers = {.n = 1, .at = {mkv_bytes_of(server)}},
        .root = mkv_bytes_of("moat/main"),
        .software = mkv_bytes_of("test"),
        .seed = 4711,
        .has_login = has_login,
        .login_server = mkv_bytes_of(login_server),
    };

    peer_init_with(&peer, &config);
}

static void offer(const char *first, const char *second)
{
    struct mkv_frame hello = {.kind = MKV_FRAME_HELLO,
                              .hello = {.versions = {1, 1},
                                        .software = mkv_bytes_of("peer"),
                                        .name = mkv_bytes_of("srv")}};

    if (first != NULL) {
        hello.hello.mechanisms.at[hello.hello.mechanisms.n++] = mkv_bytes_of(first);
    }
    if (second != NULL) {
        hello.hello.mechanisms.at[hello.hello.mechanisms.n++] = mkv_bytes_of(second);
    }
    mkv_client_node_link_opened(&peer.node, peer.now_ms);
    peer_send(&peer, &hello);
}

static void challenge(const char *text)
{
    const struct mkv_frame frame = {.kind = MKV_FRAME_CHALLENGE, .sasl = mkv_bytes_of(text)};

    peer_send(&peer, &frame);
}

static void give_session(void)
{
    const struct mkv_frame frame = {.kind = MKV_FRAME_SESSION, .session = peer.session};

    peer_send(&peer, &frame);
}

static void prove(int error, bool done)
{
    mkv_client_node_link_proof(&peer.node, peer.now_ms, error, mkv_bytes_of("proof"), done);
    peer_listen(&peer);
}

static bool asked_for(const char *mechanism)
{
    const struct mkv_frame *auth = peer_last(&peer, MKV_FRAME_AUTH);

    return auth != NULL && mkv_bytes_equal(auth->auth.mechanism, mkv_bytes_of(mechanism));
}

static void expect_given_up(int code)
{
    assert_int_equal(peer.node.client.phase, MKV_CLIENT_OFF);
    assert_int_equal(peer_count(&peer, MKV_CLIENT_LINK_CLOSE), 1);
    assert_non_null(peer_last(&peer, MKV_FRAME_ERROR));
    assert_int_equal(peer_last(&peer, MKV_FRAME_ERROR)->error.code, code);
    assert_int_equal(peer_count(&peer, MKV_CLIENT_MQTT_CONNECT), 0);
    peer_deinit(&peer);
}

static void the_whole_exchange(void **state)
{
    (void)state;
    start(TLS_AT, true, TLS_AT);
    offer("EXTERNAL", PLUS); /* who has a password shows it, whatever else there is */
    assert_int_equal(peer_count(&peer, MKV_CLIENT_LINK_PROVE), 1);
    assert_null(peer_last(&peer, MKV_FRAME_AUTH));
    prove(0, false);
    assert_true(asked_for(PLUS));
    challenge("c1");
    prove(0, false);
    assert_int_equal(peer_count_frames(&peer, MKV_FRAME_RESPONSE), 1);
    challenge("c2");
    prove(0, true);
    assert_int_equal(peer_count_frames(&peer, MKV_FRAME_RESPONSE), 1);
    give_session();
    assert_int_equal(peer.node.client.phase, MKV_CLIENT_UP);
    peer_deinit(&peer);
}

/* Ways that are stripped from the list, or spelt otherwise: the link is given up, nothing is proven. */
static void less_is_not_accepted(void **state)
{
    static const struct {
        const char *server, *first, *second;
    } offers[] = {{TLS_AT, "SCRAM-SHA-256", "EXTERNAL"},
                  {TLS_AT, "EXTERNAL", NULL},
                  {TLS_AT, NULL, NULL},
                  {TLS_AT, "PLAIN", "ANONYMOUS"},
                  {TLS_AT, "SCRAM-SHA-256-PLUSS", NULL},
                  {UNIX_AT, "EXTERNAL", NULL},
                  {UNIX_AT, PLUS, "EXTERNAL"},
                  {UNIX_AT, NULL, NULL}};

    (void)state;
    for (unsigned i = 0; i < sizeof(offers) / sizeof(offers[0]); i++) {
        start(offers[i].server, true, "");
        offer(offers[i].first, offers[i].second);
        assert_int_equal(peer_count(&peer, MKV_CLIENT_LINK_PROVE), 0);
        assert_null(peer_last(&peer, MKV_FRAME_AUTH));
        expect_given_up(MKV_E_NOT_AUTHORISED);
    }
}

/* The password of one server is for that one; others are told at most who asks for EXTERNAL. */
static void not_at_other_servers(void **state)
{
    (void)state;
    start(TLS_AT, true, "tls://attic:27590");
    offer(PLUS, "EXTERNAL");
    assert_int_equal(peer_count(&peer, MKV_CLIENT_LINK_PROVE), 0);
    assert_null(peer_last(&peer, MKV_FRAME_AUTH));
    expect_given_up(MKV_E_NOT_AUTHORISED);
    start(UNIX_AT, true, TLS_AT);
    offer("SCRAM-SHA-256", "EXTERNAL");
    assert_int_equal(peer_count(&peer, MKV_CLIENT_LINK_PROVE), 0);
    assert_true(asked_for("EXTERNAL"));
    peer_deinit(&peer);
}

/* @n_steps of the exchange have been done when the server says what is not due. */
static void go_as_far_as(unsigned n_steps)
{
    start(TLS_AT, true, "");
    offer(PLUS, NULL);
    if (n_steps > 0) {
        prove(0, false);
    }
    if (n_steps > 1) {
        challenge("c1");
        prove(0, false);
    }
    if (n_steps > 2) {
        challenge("c2");
    }
}

/* Only the server's own proof, once it was checked, opens a session. */
static void no_session_before_the_proof(void **state)
{
    (void)state;
    for (unsigned n_steps = 0; n_steps < 4; n_steps++) {
        go_as_far_as(n_steps);
        give_session();
        expect_given_up(MKV_E_UNEXPECTED);
    }
}

static void challenges_out_of_turn(void **state)
{
    (void)state;
    go_as_far_as(0);
    challenge("before it was asked");
    expect_given_up(MKV_E_UNEXPECTED);
    go_as_far_as(3);
    prove(0, true);
    challenge("after the last word");
    expect_given_up(MKV_E_UNEXPECTED);
    start(UNIX_AT, false, "");
    offer("EXTERNAL", NULL);
    challenge("to whom has no password");
    expect_given_up(MKV_E_UNEXPECTED);
}

static void a_proof_that_fails(void **state)
{
    (void)state;
    for (unsigned n_steps = 0; n_steps < 4; n_steps++) {
        go_as_far_as(n_steps);
        if (n_steps != 1 && n_steps != 2) { /* else none is awaited */
            prove(MKV_E_NOT_AUTHORISED, false);
            expect_given_up(MKV_E_NOT_AUTHORISED);
        } else {
            peer_deinit(&peer);
        }
    }
}

/* What was computed for a link that has gone does not go over the next one. */
static void late_proofs(void **state)
{
    (void)state;
    go_as_far_as(0);
    peer_lose_link(&peer);
    peer_forget(&peer);
    prove(0, false);
    assert_int_equal(peer_count(&peer, MKV_CLIENT_LINK_SEND), 0);
    peer_wait(&peer, 2000);
    mkv_client_node_link_opened(&peer.node, peer.now_ms);
    prove(0, false);
    prove(MKV_E_NOT_AUTHORISED, false);
    assert_int_equal(peer_count(&peer, MKV_CLIENT_LINK_SEND), 0);
    peer_deinit(&peer);
}

/* Whoever is told to come later does, with growing pauses, and gets in. */
static void later_is_not_never(void **state)
{
    const struct mkv_frame later = {.kind = MKV_FRAME_ERROR,
                                    .error = {.code = MKV_E_LATER, .text = mkv_bytes_of("later")}};
    unsigned n_connects = 0;

    (void)state;
    start(TLS_AT, true, "");
    for (unsigned n = 0; n < 8; n++) {
        offer(PLUS, NULL);
        prove(0, false);
        peer_send(&peer, &later);
        assert_int_equal(peer.node.client.phase, MKV_CLIENT_OFF);
        peer_forget(&peer);
        peer_wait(&peer, 100); /* not at once */
        assert_int_equal(peer_count(&peer, MKV_CLIENT_LINK_CONNECT), 0);
        while (peer_count(&peer, MKV_CLIENT_LINK_CONNECT) == 0) {
            peer_wait(&peer, 100);
        }
        n_connects++;
    }
    assert_int_equal(n_connects, 8);
    assert_true(peer.now_ms >= 30000 && peer.now_ms < 120000);
    offer(PLUS, NULL);
    prove(0, false);
    challenge("c1");
    prove(0, false);
    challenge("c2");
    prove(0, true);
    give_session();
    assert_int_equal(peer.node.client.phase, MKV_CLIENT_UP);
    peer_deinit(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_exchange),
        cmocka_unit_test(less_is_not_accepted),
        cmocka_unit_test(not_at_other_servers),
        cmocka_unit_test(no_session_before_the_proof),
        cmocka_unit_test(challenges_out_of_turn),
        cmocka_unit_test(a_proof_that_fails),
        cmocka_unit_test(late_proofs),
        cmocka_unit_test(later_is_not_never),
    };

    return cmocka_run_group_tests_name("client_login", tests, NULL, NULL);
}
