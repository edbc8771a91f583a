/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials for a guarded broker, as a server gives them and as a client asks for others
 * (docs/protocol.md, section 13.3).
 */
#include "harness.h"
#include "lib/check.h"
#include "peer.h"
#include "wire/credential.h"

#define UNIX_2020_S UINT64_C(1577836800)
#define HOUR_MS     3600000

static const uint8_t key[MKV_GUARD_KEY_LEN] = {1, 2, 3};
static struct world world;
static struct peer peer;

static const struct mkv_frame_session *login(uint64_t link, struct mkv_credential *ret_credential)
{
    const struct mkv_frame_session *session;

    (void)world_login(&world, link, NULL);
    session = &world_last(&world, link, MKV_FRAME_SESSION)->session;
    assert_true(session->has_user && session->has_password);
    assert_true(mkv_credential_read(session->client_id, session->user, ret_credential));
    assert_true(mkv_credential_proves(key, session->client_id, session->user, session->password));
    return session;
}

static void a_guarded_server_gives_credentials(void **state)
{
    struct mkv_credential credential;

    (void)state;
    world = (struct world){.guard_key = key};
    world_start(&world);

    const struct mkv_frame_session *session = login(1, &credential);

    assert_int_equal(credential.role, MKV_ROLE_OWN);
    assert_int_equal(credential.seq, session->seq);
    assert_true(mkv_bytes_equal(credential.name, session->name));
    world_free(&world);
}

/* For a day and up to an hour, the same for all that are given in one hour. */
static void credentials_expire_by_the_clock(void **state)
{
    (void)state;
    for (unsigned minute = 0; minute < 130; minute += 13) {
        struct mkv_credential credential;

        world = (struct world){.guard_key = key};
        world_start(&world);
        world.now.wall_ms = 200000 * (uint64_t)HOUR_MS + minute * 60000;
        (void)login(1, &credential);

        uint64_t now_s = UNIX_2020_S + world.now.wall_ms / 1000;

        assert_true(credential.expiry_s > now_s + 86400 && credential.expiry_s <= now_s + 90000);
        assert_int_equal(credential.expiry_s % 3600, 0);
        world.now.wall_ms = 0;
        (void)login(2, &credential);
        assert_int_equal(credential.expiry_s, 0);
        world_free(&world);
    }
}

static void others_give_none(void **state)
{
    (void)state;
    world = (struct world){0};
    world_start(&world);
    (void)world_login(&world, 1, NULL);
    assert_false(world_last(&world, 1, MKV_FRAME_SESSION)->session.has_user);
    assert_false(world_last(&world, 1, MKV_FRAME_SESSION)->session.has_password);
    world_free(&world);
}

static void start_peer(bool has_password)
{
    peer_init(&peer);
    peer.session.has_user = has_password;
    peer.session.has_password = has_password;
    peer.session.user = mkv_bytes_of(has_password ? "ann" : "");
    peer.session.password = mkv_bytes_of(has_password ? "old" : "");
    peer_open(&peer);
    (void)peer_write(&peer, "a", true);
    peer_born(&peer);
}

/* The server is alive; the broker is lost, and refuses the next connection after @ms. */
static void refuse_after(int64_t ms, int error)
{
    const struct mkv_frame birth = {.kind = MKV_FRAME_BIRTH};

    for (int64_t waited = 0; waited < ms; waited += 1000) {
        peer_wait(&peer, 1000);
        peer_send(&peer, &birth);
    }
    mkv_client_node_mqtt_disconnected(&peer.node, peer.now_ms, MKV_E_NO_CONNECTION,
                                      mkv_bytes_of("gone"), false);
    peer_listen(&peer);
    peer_forget(&peer);
    mkv_client_node_mqtt_disconnected(&peer.node, peer.now_ms, error, mkv_bytes_of("refused"),
                                      false);
    peer_listen(&peer);
}

static void expired_ones_are_replaced(void **state)
{
    const struct mkv_client_output *connect;

    (void)state;
    start_peer(true);
    refuse_after(0, MKV_E_NOT_AUTHORISED); /* however young they are: the key may have gone */
    assert_int_equal(peer_count(&peer, MKV_CLIENT_LINK_CLOSE), 1);
    peer.session.password = mkv_bytes_of("new");
    peer_wait(&peer, 5000);
    peer_forget(&peer);
    peer_open(&peer);
    assert_true(peer_last(&peer, MKV_FRAME_AUTH)->auth.resume);
    peer_wait(&peer, 5000);
    connect = peer_nth(&peer, MKV_CLIENT_MQTT_CONNECT, 0);
    assert_non_null(connect);
    assert_true(mkv_bytes_equal(connect->broker.password, mkv_bytes_of("new")));
    peer_deinit(&peer);
}

/* As io/mqtt does it, which tries again and again. */
static bool renews_when_refused(void)
{
    bool renews;

    peer_forget(&peer);
    mkv_client_node_mqtt_disconnected(&peer.node, peer.now_ms, MKV_E_NOT_AUTHORISED,
                                      mkv_bytes_of("refused"), false);
    peer_listen(&peer);
    renews = peer_count(&peer, MKV_CLIENT_LINK_CLOSE) > 0;
    while (renews && peer_count(&peer, MKV_CLIENT_LINK_CONNECT) == 0) {
        peer_wait(&peer, 100);
    }
    if (renews) {
        peer_open(&peer);
    }
    return renews;
}

/* A broker that refuses whatever it is given is not asked for ever, and one that comes to itself is believed. */
static void refused_ones_are_replaced_ever_less_often(void **state)
{
    int64_t last_ms;
    unsigned n = 0;

    (void)state;
    start_peer(true);
    refuse_after(0, MKV_E_NOT_AUTHORISED);
    last_ms = peer.now_ms;
    peer_wait(&peer, 600);
    peer_open(&peer);
    for (int64_t wait_ms = 1000; wait_ms <= 64000; wait_ms *= 2) {
        int64_t least_ms = wait_ms < 60000 ? wait_ms : 60000;
        int64_t began_ms = last_ms;

        while (!renews_when_refused()) {
            const struct mkv_frame birth = {.kind = MKV_FRAME_BIRTH};

            assert_true(peer.now_ms - began_ms < least_ms);
            peer_wait(&peer, 100);
            last_ms = peer.now_ms;
            peer_send(&peer, &birth); /* it is alive */
        }
        assert_true(last_ms - began_ms >= least_ms);
        n++;
    }
    assert_int_equal(n, 7);
    assert_false(renews_when_refused());
    peer_born(&peer);
    refuse_after(0, MKV_E_NOT_AUTHORISED);
    assert_int_equal(peer_count(&peer, MKV_CLIENT_LINK_CLOSE), 1);
    peer_deinit(&peer);
}

static void other_refusals_are_not(void **state)
{
    (void)state;
    start_peer(true);
    refuse_after(61000, MKV_E_NO_CONNECTION);
    assert_int_equal(peer_count(&peer, MKV_CLIENT_LINK_CLOSE), 0);
    peer_deinit(&peer);
    start_peer(false);
    refuse_after(61000, MKV_E_NOT_AUTHORISED);
    assert_int_equal(peer_count(&peer, MKV_CLIENT_LINK_CLOSE), 0);
    peer_deinit(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guarded_server_gives_credentials),
        cmocka_unit_test(credentials_expire_by_the_clock),
        cmocka_unit_test(others_give_none),
        cmocka_unit_test(expired_ones_are_replaced),
        cmocka_unit_test(refused_ones_are_replaced_ever_less_often),
        cmocka_unit_test(other_refusals_are_not),
    };

    return cmocka_run_group_tests_name("credentials", tests, NULL, NULL);
}
