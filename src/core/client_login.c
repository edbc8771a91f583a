/* SPDX-License-Identifier: Apache-2.0 */
#include "core/client_parts.h"

/*
 * Who this client is: docs/protocol.md, 7.1.  With a password it is that user and nobody else, by the
 * strongest way that there is; a server that offers only less is given up.
 */
static bool offers(const struct mkv_frame_hello *hello, const char *mechanism)
{
    for (uint32_t i = 0; i < hello->mechanisms.n; i++) {
        if (mkv_bytes_equal(hello->mechanisms.at[i], mkv_bytes_of(mechanism))) {
            return true;
        }
    }
    return false;
}

static bool is_at(const struct mkv_client *client, const char *start)
{
    return mkv_bytes_starts_with(mkv_dial_next(&client->dial), mkv_bytes_of(start));
}

static bool has_login_here(const struct mkv_client *client)
{
    struct mkv_bytes server = client->config.login_server;

    return client->config.has_login &&
           (server.len == 0 || mkv_bytes_equal(server, mkv_dial_next(&client->dial)));
}

static const char *scram(const struct mkv_client *client)
{
    return is_at(client, "tls:") ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256";
}

static const char *choose_mechanism(const struct mkv_client *client,
                                    const struct mkv_frame_hello *hello)
{
    return !is_at(client, "tls:") && offers(hello, "EXTERNAL") ? "EXTERNAL" : NULL;
}

static void send_auth(struct mkv_client *client, const char *mechanism, struct mkv_bytes initial)
{
    struct mkv_frame frame = {.kind = MKV_FRAME_AUTH,
                              .auth = {.mechanism = mkv_bytes_of(mechanism), .initial = initial}};

    if (mkv_client_session_exists(&client->session)) {
        frame.auth.resume = true;
        frame.auth.session.name = client->session.about.name;
        frame.auth.session.seq = client->session.about.seq;
        frame.auth.token = client->session.about.token;
    }
    mkv_client_send(client, &frame);
}

void mkv_client_log_in(struct mkv_client *client, const struct mkv_frame_hello *hello)
{
    const char *mechanism = choose_mechanism(client, hello);

    client->login = MKV_LOGIN_NONE;
    if (has_login_here(client)) {
        if (!offers(hello, scram(client))) {
            mkv_client_refuse(
                client, MKV_E_NOT_AUTHORISED,
                "the server does not let anybody log in by password here, or somebody "
                "between here and there has made it look so");
            return;
        }
        client->login = MKV_LOGIN_BEGUN;
        mkv_client_effect_link_prove(client->out, mkv_bytes_of(scram(client)), mkv_bytes(NULL, 0));
    } else if (mechanism == NULL) {
        mkv_client_refuse(client, MKV_E_NOT_AUTHORISED,
                          offers(hello, scram(client))
                              ? "this server wants to know who you are: 'moat-kv login --server "
                                "ADDRESS USER' logs you in"
                              : "the server offers no way to log in that this client has");
    } else {
        send_auth(client, mechanism, mkv_bytes(NULL, 0));
    }
}

void mkv_client_challenge(struct mkv_client *client, struct mkv_bytes message)
{
    mkv_client_effect_link_prove(client->out, mkv_bytes(NULL, 0), message);
}

void mkv_client_proof(struct mkv_client *client, const struct mkv_client_event *event)
{
    const struct mkv_frame response = {.kind = MKV_FRAME_RESPONSE, .sasl = event->answer};

    if (client->phase != MKV_CLIENT_AUTH ||
        (client->login != MKV_LOGIN_BEGUN && client->login != MKV_LOGIN_ASKED)) {
        return; /* that link has gone */
    }
    if (event->error != 0) {
        mkv_client_refuse(
            client, MKV_E_NOT_AUTHORISED,
            "the login failed: the password was changed, or this is not the server that "
            "knows it; 'moat-kv login' logs you in anew");
    } else if (client->login == MKV_LOGIN_BEGUN) {
        client->login = MKV_LOGIN_ASKED;
        send_auth(client, scram(client), event->answer);
    } else if (event->done) {
        client->login = MKV_LOGIN_PROVED;
    } else {
        mkv_client_send(client, &response);
    }
}
