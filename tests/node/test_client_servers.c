/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "lib/check.h"
#include "peer.h"

/*
 * What a client asks about the cluster: which servers there are, and that one of them be taken out.
 */
#define ID 77U

static struct peer peer;

static int setup(void **state)
{
    (void)state;
    peer_init(&peer);
    peer_open(&peer);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    peer_deinit(&peer);
    return 0;
}

static void order(uint64_t id, enum mkv_client_order_kind kind, int error)
{
    struct mkv_client_order order = {.kind = kind, .id = id};

    memcpy(order.uuid, "0123456789abcdef", sizeof(order.uuid));
    assert_int_equal(mkv_client_node_order(&peer.node, peer.now_ms, &order), error);
    peer_listen(&peer);
}

static void answer(uint64_t id, enum mkv_frame_kind kind, const char *reports)
{
    struct mkv_frame frame = {.kind = kind, .id = id};

    if (kind == MKV_FRAME_REPORTS) {
        frame.reports = mkv_bytes_of(reports);
    } else if (kind == MKV_FRAME_ERROR) {
        frame.error = (struct mkv_frame_error){.code = MKV_E_NOT_FOUND};
    } else if (kind == MKV_FRAME_END) {
        frame.end.n_rows = 3;
    }
    peer_send(&peer, &frame);
}

static void test_each_server_is_told(void **state)
{
    uint64_t id;

    (void)state;
    order(ID, MKV_CLIENT_SERVERS, 0);
    id = peer_last(&peer, MKV_FRAME_SERVERS)->id;
    assert_true(peer_last(&peer, MKV_FRAME_SERVERS)->credit > 0);
    answer(id, MKV_FRAME_REPORTS, "\x82\xa1\x61x\x01\xa1\x61x\x02");
    answer(id, MKV_FRAME_REPORTS, "\x81\xa1\x61x\x03");
    assert_int_equal(peer_count_frames(&peer, MKV_FRAME_CREDIT), 2);
    assert_int_equal(peer_count(&peer, MKV_CLIENT_FACT), 3);
    for (unsigned i = 0; i < 3; i++) {
        const struct mkv_client_output *fact = peer_nth(&peer, MKV_CLIENT_FACT, i);

        assert_int_equal(fact->id, ID);
        assert_int_equal(fact->payload.len, 4);
        assert_int_equal(fact->payload.at[3], i + 1);
    }
    assert_int_equal(peer_status(&peer, ID), 1);
    answer(id, MKV_FRAME_END, NULL);
    assert_int_equal(peer_status(&peer, ID), 0);
}

/* Asked again elsewhere if nothing was told yet; else the application has to begin anew. */
static void test_servers_when_the_link_is_lost(void **state)
{
    (void)state;
    order(ID, MKV_CLIENT_SERVERS, 0);
    peer_lose_link(&peer);
    peer_wait(&peer, 1000);
    peer_open(&peer);
    peer_wait(&peer, 0);
    assert_int_equal(peer_count_frames(&peer, MKV_FRAME_SERVERS), 2);
    assert_int_equal(peer_status(&peer, ID), 1);
    answer(peer_last(&peer, MKV_FRAME_SERVERS)->id, MKV_FRAME_REPORTS, "\x81\xa0");
    peer_lose_link(&peer);
    assert_int_equal(peer_status(&peer, ID), MKV_E_CLOSED);
}

static void test_evict(void **state)
{
    (void)state;
    order(ID, MKV_CLIENT_EVICT, 0);
    assert_memory_equal(peer_last(&peer, MKV_FRAME_EVICT)->uuid, "0123456789abcdef", 16);
    peer_lose_link(&peer); /* it may have been done or not: doing it again is no harm */
    peer_wait(&peer, 1000);
    peer_open(&peer);
    peer_wait(&peer, 0);
    assert_int_equal(peer_count_frames(&peer, MKV_FRAME_EVICT), 2);
    answer(peer_last(&peer, MKV_FRAME_EVICT)->id, MKV_FRAME_DONE, NULL);
    assert_int_equal(peer_status(&peer, ID), 0);
}

static void test_evict_of_nobody(void **state)
{
    (void)state;
    order(ID, MKV_CLIENT_EVICT, 0);
    answer(peer_last(&peer, MKV_FRAME_EVICT)->id, MKV_FRAME_ERROR, NULL);
    assert_int_equal(peer_status(&peer, ID), MKV_E_NOT_FOUND);
}

/* An answer of another kind than was asked for: the server is not one of ours. */
static void test_answers_that_do_not_fit(void **state)
{
    static const struct {
        enum mkv_client_order_kind order;
        enum mkv_frame_kind answer;
    } cases[] = {
        {MKV_CLIENT_SERVERS, MKV_FRAME_DONE}, {MKV_CLIENT_EVICT, MKV_FRAME_REPORTS},
        {MKV_CLIENT_EVICT, MKV_FRAME_END},    {MKV_CLIENT_PING, MKV_FRAME_REPORTS},
        {MKV_CLIENT_STATUS, MKV_FRAME_DONE},  {MKV_CLIENT_SERVERS, MKV_FRAME_PONG},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t id;

        order(ID + i, cases[i].order, 0);
        id = peer.node.client.wire_id;
        peer_forget(&peer);
        answer(id, cases[i].answer, "\x81\xa0");
        assert_int_equal(peer_count(&peer, MKV_CLIENT_LINK_CLOSE), 1);
        assert_int_equal(peer_count(&peer, MKV_CLIENT_FACT), 0);
        assert_int_equal(peer_status(&peer, ID + i), 1); /* it is asked elsewhere */
        peer_deinit(&peer);
        peer_init(&peer);
        peer_open(&peer);
    }
}

static void test_cancelled_and_closed(void **state)
{
    (void)state;
    order(ID, MKV_CLIENT_SERVERS, 0);
    assert_int_equal(mkv_client_node_cancel(&peer.node, peer.now_ms, ID), 0);
    peer_listen(&peer);
    assert_int_equal(peer_status(&peer, ID), MKV_E_CANCELLED);
    assert_int_equal(peer_count_frames(&peer, MKV_FRAME_CANCEL), 1);
    order(ID + 1, MKV_CLIENT_EVICT, 0);
    order(ID + 2, MKV_CLIENT_SERVERS, 0);
    mkv_client_node_close(&peer.node, peer.now_ms);
    peer_listen(&peer);
    assert_int_equal(peer_status(&peer, ID + 1), MKV_E_CANCELLED);
    assert_int_equal(peer_status(&peer, ID + 2), MKV_E_CANCELLED);
}

#define WITH_PEER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PEER(test_each_server_is_told),
        WITH_PEER(test_servers_when_the_link_is_lost),
        WITH_PEER(test_evict),
        WITH_PEER(test_evict_of_nobody),
        WITH_PEER(test_answers_that_do_not_fit),
        WITH_PEER(test_cancelled_and_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
