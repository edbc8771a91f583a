/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server_state.h"

/*
 * The beginning of a link that we dial: each side has to find out that the other is a server of its
 * cluster (docs/protocol.md, 12.3).
 *
 *     unix socket of our own user, or root's:   hello, auth EXTERNAL             -> peer
 *     everywhere else:                          hello, auth SCRAM, response ...  -> peer
 *
 * What is said in SCRAM is made and judged outside; here it only passes through.
 */

/* NULL: what is said there, others could read and change. */
static const char *mechanism_for(enum mkv_peer_kind peer)
{
    switch (peer) {
    case MKV_PEER_SAME_USER:
        return "EXTERNAL";
    case MKV_PEER_OTHER_USER:
    case MKV_PEER_LOOPBACK:
        return "SCRAM-SHA-256";
    case MKV_PEER_SECURE:
    case MKV_PEER_CERTIFIED:
        return "SCRAM-SHA-256-PLUS";
    case MKV_PEER_REMOTE:
        break;
    }
    return NULL;
}

static bool offers(const struct mkv_frame_hello *hello, const char *mechanism)
{
    for (uint32_t i = 0; i < hello->mechanisms.n; i++) {
        if (mkv_bytes_equal(hello->mechanisms.at[i], mkv_bytes_of(mechanism))) {
            return true;
        }
    }
    return false;
}

static void send_hello(struct mkv_server *server)
{
    const struct mkv_frame greeting = {
        .kind = MKV_FRAME_HELLO,
        .hello = {.versions = {MKV_PROTOCOL_LOWEST, MKV_PROTOCOL_HIGHEST},
                  .software = server->config.software,
                  .name = server->config.name},
    };

    mkv_effect_send(server->effects, server->cluster.pull.link, &greeting);
}

static void send_auth(struct mkv_server *server, struct mkv_bytes initial)
{
    const struct mkv_pull *pull = &server->cluster.pull;
    const struct mkv_frame auth = {
        .kind = MKV_FRAME_AUTH,
        .auth = {.mechanism = mkv_bytes_of(mechanism_for(pull->peer)), .initial = initial},
    };

    mkv_effect_send(server->effects, pull->link, &auth);
}

static void take_hello(struct mkv_server *server,
                       struct mkv_now now,
                       const struct mkv_frame_hello *hello)
{
    struct mkv_pull *pull = &server->cluster.pull;
    const char *mechanism = mechanism_for(pull->peer);

    if (hello->versions.lowest > MKV_PROTOCOL_HIGHEST ||
        hello->versions.highest < MKV_PROTOCOL_LOWEST) {
        mkv_pull_fail(server, now, mkv_error_text(MKV_E_NO_VERSION));
        return;
    }
    if (mechanism == NULL) {
        mkv_pull_elsewhere(server, now, "that is another machine, and the link is not encrypted");
        return;
    }
    if (!offers(hello, mechanism)) {
        mkv_pull_elsewhere(server, now, "whoever answers there lets no server log in");
        return;
    }
    send_hello(server);
    if (pull->peer == MKV_PEER_SAME_USER) {
        send_auth(server, mkv_bytes(NULL, 0));
        pull->step = MKV_PULL_LOGIN;
        return;
    }
    pull->step = MKV_PULL_PROVING;
    pull->asked = false;
    pull->has_answer = false;
    mkv_effect_sasl(server->effects, pull->link, mkv_bytes_of(mechanism), mkv_bytes(NULL, 0));
}

static int take_peer(struct mkv_server *server,
                     struct mkv_now now,
                     const struct mkv_frame_peer *peer)
{
    struct mkv_pull *pull = &server->cluster.pull;

    if (memcmp(peer->uuid, pull->uuid, MKV_UUID_LEN) != 0) {
        struct mkv_known *known = mkv_actor_find(&server->cluster, pull->uuid);

        if (known != NULL) { /* until it is heard again */
            known->ping.state = MKV_ACT_LEAVING;
        }
        mkv_pull_fail(server, now, "another server answers at its address");
        return 0;
    }
    if (peer->state != MKV_ACT_READY) {
        mkv_pull_fail(server, now, "it is joining itself");
        return 0;
    }
    return mkv_pull_logged_in(server, now);
}

int mkv_pull_judged(struct mkv_server *server,
                    struct mkv_now now,
                    const struct mkv_judgement *judgement)
{
    struct mkv_pull *pull = &server->cluster.pull;
    const struct mkv_frame response = {.kind = MKV_FRAME_RESPONSE, .sasl = judgement->answer};

    if (pull->step != MKV_PULL_PROVING) {
        return 0;
    }
    if (judgement->error != 0) {
        mkv_pull_elsewhere(server, now, "whoever answers there does not have the cluster's key");
    } else if (!pull->asked) {
        pull->asked = true;
        send_auth(server, judgement->answer);
    } else if (!judgement->done) {
        mkv_effect_send(server->effects, pull->link, &response);
    } else {
        pull->step = MKV_PULL_LOGIN;
        return pull->has_answer ? take_peer(server, now, &pull->answer) : 0;
    }
    return 0;
}

/* It says at once what it is, and perhaps before its last proof has been looked at. */
static int keep_answer(struct mkv_pull *pull, const struct mkv_frame_peer *peer)
{
    if (!pull->asked || pull->has_answer) {
        return MKV_E_UNEXPECTED;
    }
    pull->has_answer = true;
    pull->answer = *peer;
    pull->answer.name = mkv_bytes(NULL, 0); /* borrowed, and not looked at */
    return 0;
}

int mkv_pull_login(struct mkv_server *server, struct mkv_now now, const struct mkv_frame *frame)
{
    struct mkv_pull *pull = &server->cluster.pull;

    if (pull->step == MKV_PULL_GREETING && frame->kind == MKV_FRAME_HELLO) {
        take_hello(server, now, &frame->hello);
        return 0;
    }
    if (pull->step == MKV_PULL_PROVING && frame->kind == MKV_FRAME_CHALLENGE && pull->asked &&
        !pull->has_answer) {
        mkv_effect_sasl(server->effects, pull->link, mkv_bytes(NULL, 0), frame->sasl);
        return 0;
    }
    if (frame->kind == MKV_FRAME_PEER && pull->step == MKV_PULL_PROVING) {
        return keep_answer(pull, &frame->peer);
    }
    if (frame->kind == MKV_FRAME_PEER && pull->step == MKV_PULL_LOGIN) {
        return take_peer(server, now, &frame->peer);
    }
    return MKV_E_UNEXPECTED;
}
