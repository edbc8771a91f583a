/* SPDX-License-Identifier: Apache-2.0 */
#include "core/client.h"

#include "base/assert.h"
#include "base/limits.h"
#include "core/client_parts.h"
#include "core/words.h"

#define VERSION         1U
#define HANDSHAKE_MS    12000 /* from the first attempt to connect to the session */
#define SETTLED_MS      5000  /* a link that lasted so long was a good one */
#define PING_MS         10000
#define SILENCE_MS      30000
#define CONFIG_TEXT_MAX 8192U

uint64_t mkv_client_random(struct mkv_client *client)
{
    uint64_t z = (client->random += 0x9e3779b97f4a7c15ULL); /* splitmix64 */

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

void mkv_client_notice(struct mkv_client *client,
                       enum mkv_client_notice_kind kind,
                       int code,
                       struct mkv_bytes text)
{
    struct mkv_client_notice notice = {.kind = kind, .code = code, .text = text};

    mkv_client_effect_notice(client->out, &notice);
}

void mkv_client_done(struct mkv_client *client, uint64_t id, int status)
{
    mkv_client_effect_done(client->out, id, status, mkv_bytes(NULL, 0), NULL);
}

/* The link. */

void mkv_client_send(struct mkv_client *client, const struct mkv_frame *frame)
{
    client->sent_ms = client->now_ms;
    mkv_client_effect_link_send(client->out, frame);
}

static void enter(struct mkv_client *client, enum mkv_client_phase phase)
{
    client->phase = phase;
    client->phase_ms = client->now_ms;
}

static void link_lost(struct mkv_client *client, int error, struct mkv_bytes why)
{
    bool was_up = client->phase == MKV_CLIENT_UP;
    struct mkv_fault fault;

    if (client->phase == MKV_CLIENT_OFF) {
        return;
    }
    if (why.len == 0) {
        why = mkv_bytes_of(mkv_error_text(error));
    }
    mkv_fault_set(&fault, error, why);
    if (was_up && client->now_ms - client->phase_ms >= SETTLED_MS) {
        mkv_dial_settled(&client->dial);
    } else {
        mkv_dial_failed(&client->dial, client->now_ms, &fault, mkv_client_random(client));
    }
    enter(client, MKV_CLIENT_OFF);
    client->storing = (struct mkv_fault){0};
    if (was_up) {
        mkv_client_request_link_lost(client);
        mkv_client_watch_link_lost(client);
    }
    mkv_client_notice(client, was_up ? MKV_CLIENT_DISCONNECTED : MKV_CLIENT_FAILED, error, why);
}

void mkv_client_link_fail(struct mkv_client *client, int error, const char *why)
{
    mkv_client_effect_link_close(client->out);
    link_lost(client, error, mkv_bytes_of(why));
}

void mkv_client_refuse(struct mkv_client *client, int error, const char *why)
{
    struct mkv_frame frame = {.kind = MKV_FRAME_ERROR,
                              .error = {.code = error, .text = mkv_bytes_of(why)}};

    mkv_client_send(client, &frame);
    mkv_client_link_fail(client, error, why);
}

static void connect_link(struct mkv_client *client)
{
    enter(client, MKV_CLIENT_CONNECTING);
    mkv_client_effect_link_connect(client->out, mkv_dial_next(&client->dial));
}

static void send_hello(struct mkv_client *client)
{
    struct mkv_frame frame = {
        .kind = MKV_FRAME_HELLO,
        .hello = {.versions = {.lowest = VERSION, .highest = VERSION},
                  .software = client->config.software},
    };

    mkv_client_send(client, &frame);
}

static void add_range(struct mkv_words *words, const struct mkv_versions *versions)
{
    mkv_words_add_number(words, versions->lowest);
    mkv_words_add(words, " to ");
    mkv_words_add_number(words, versions->highest);
}

static void refuse_version(struct mkv_client *client, const struct mkv_versions *theirs)
{
    const struct mkv_versions ours = {.lowest = VERSION, .highest = VERSION};
    struct mkv_buf text;
    struct mkv_words words = {.text = &text};

    mkv_buf_init(&text, MKV_TEXT_MAX);
    mkv_words_add(&words, "no protocol version in common: the server speaks ");
    add_range(&words, theirs);
    mkv_words_add(&words, ", this client ");
    add_range(&words, &ours);
    mkv_words_add_bytes(&words, mkv_bytes("", 1)); /* it is a C string */
    mkv_client_refuse(client, MKV_E_NO_VERSION,
                      words.error == 0 ? (const char *)text.at : mkv_error_text(MKV_E_NO_VERSION));
    mkv_buf_deinit(&text);
}

static void on_hello(struct mkv_client *client, const struct mkv_frame_hello *hello)
{
    if (hello->name.len == 0) {
        mkv_client_refuse(client, MKV_E_UNEXPECTED, "this is not a server");
        return;
    }
    send_hello(client);
    if (hello->versions.lowest > VERSION || hello->versions.highest < VERSION) {
        refuse_version(client, &hello->versions);
        return;
    }
    mkv_client_log_in(client, hello);
    enter(client, client->phase == MKV_CLIENT_OFF ? MKV_CLIENT_OFF : MKV_CLIENT_AUTH);
}

/* Takes the new session in place of the old one: wholly, or not at all. */
static int adopt(struct mkv_client *client, const struct mkv_frame_session *frame)
{
    struct mkv_client_session new = {0};
    const struct mkv_frame_session *old = &client->session.about;
    bool exists = mkv_client_session_exists(&client->session);
    bool continued = exists && mkv_client_session_continued(&client->session, frame);
    bool same_broker = exists && mkv_client_session_same_broker(&client->session, frame);
    bool same_store =
        exists && memcmp(old->store_id, frame->store_id, sizeof(frame->store_id)) == 0;
    const struct mkv_pending_where where = {
        .root = frame->root, .profile = frame->profile, .mac_key = frame->mac_key};
    bool same_key = exists && mkv_bytes_equal(old->mac_key, frame->mac_key);
    int error = mkv_client_session_set(&new, frame);

    if (error == 0) {
        error = mkv_client_watch_session(client, frame, same_store);
    }
    if (error == 0 && !continued) {
        error = mkv_pending_reissue(&client->pending, &where, frame->name, frame->seq);
    } else if (error == 0 && !same_key) {
        error = mkv_pending_renew(&client->pending, &where);
    }
    if (error != 0) {
        mkv_client_session_deinit(&new);
        return error;
    }
    if (!same_broker) {
        mkv_client_mqtt_drop(client);
    }
    if (!continued) {
        client->counter = client->pending.n; /* numbered from 1 */
    }
    if (!continued || !same_key) {
        mkv_client_write_unsent(client);
    }
    mkv_client_session_deinit(&client->session);
    client->session = new;
    return 0;
}

static void on_session(struct mkv_client *client, const struct mkv_frame_session *frame)
{
    bool continued = mkv_client_session_continued(&client->session, frame);
    int error = adopt(client, frame);

    if (error != 0) {
        mkv_client_refuse(client, error,
                          "this client does not understand the session it was given");
        return;
    }
    client->clock = frame->clock;
    mkv_client_note_server_tock(client, frame->tock);
    client->born = false;
    client->n_births = 0;
    client->birth_ms = client->now_ms;
    client->ping_ms = 0;
    enter(client, MKV_CLIENT_UP);
    mkv_client_notice(client, MKV_CLIENT_CONNECTED, 0, client->session.about.name);
    if (continued) {
        mkv_client_write_ack(client, frame->acked);
    }
}

static void on_birth(struct mkv_client *client)
{
    if (client->born || !client->mqtt_up || client->use != MKV_CLIENT_MQTT_SESSION) {
        return;
    }
    client->born = true;
    mkv_client_notice(client, MKV_CLIENT_READY, 0, mkv_bytes(NULL, 0));
    mkv_client_write_again(client);
}

static void on_state(struct mkv_client *client, const struct mkv_frame_error *state)
{
    if (state->code == 0) {
        client->storing = (struct mkv_fault){0};
        mkv_client_write_again(client);
    } else {
        mkv_fault_set(&client->storing, state->code, state->text);
    }
    mkv_client_notice(client, MKV_CLIENT_STORING, state->code, state->text);
}

static void on_error(struct mkv_client *client, const struct mkv_frame_error *error)
{
    mkv_client_effect_link_close(client->out);
    link_lost(client, error->code, error->text);
}

static void on_frame_up(struct mkv_client *client, const struct mkv_frame *frame)
{
    switch (frame->kind) {
    case MKV_FRAME_BIRTH:
        on_birth(client);
        break;
    case MKV_FRAME_ACK:
        mkv_client_note_server_tock(client, frame->ack.tock);
        mkv_client_write_ack(client, frame->ack.counter);
        break;
    case MKV_FRAME_NACK:
        mkv_client_write_nack(client, &frame->nack);
        break;
    case MKV_FRAME_CONFLICT:
        mkv_client_conflict(client, &frame->conflict);
        break;
    case MKV_FRAME_REPEAT:
        mkv_client_write_repeat(client, &frame->range);
        break;
    case MKV_FRAME_STATE:
        on_state(client, &frame->state);
        break;
    case MKV_FRAME_RIGHTS:
        mkv_client_watch_rights(client);
        break;
    case MKV_FRAME_BYE:
        mkv_client_link_fail(client, MKV_E_CLOSED, "the server said goodbye");
        break;
    case MKV_FRAME_ERROR:
    case MKV_FRAME_DATA:
    case MKV_FRAME_END:
    case MKV_FRAME_CHILDREN:
    case MKV_FRAME_DIGEST:
    case MKV_FRAME_REPORT:
    case MKV_FRAME_PONG:
    case MKV_FRAME_LOST:
    case MKV_FRAME_REPORTS:
    case MKV_FRAME_DONE:
        mkv_client_answer(client, frame);
        break;
    case MKV_FRAME_HELLO:
    case MKV_FRAME_AUTH:
    case MKV_FRAME_SESSION:
    case MKV_FRAME_VOID:
    case MKV_FRAME_READ:
    case MKV_FRAME_LIST:
    case MKV_FRAME_CHECK:
    case MKV_FRAME_STATUS:
    case MKV_FRAME_PING:
    case MKV_FRAME_CREDIT:
    case MKV_FRAME_CANCEL:
    case MKV_FRAME_PEER:
    case MKV_FRAME_VOUCH:
    case MKV_FRAME_SPLIT:
    case MKV_FRAME_FETCH:
    case MKV_FRAME_SERVERS:
    case MKV_FRAME_EVICT:
    case MKV_FRAME_PASSWD:
    case MKV_FRAME_SECRETS:
    case MKV_FRAME_SECRET:
    case MKV_FRAME_CHALLENGE:
    case MKV_FRAME_RESPONSE:
    case MKV_FRAME_VOUCHED:
    case MKV_FRAME_SUMS:
    case MKV_FRAME_CONFLICTS:
        mkv_client_refuse(client, MKV_E_UNEXPECTED,
                          "the server sent a message that is not for a client");
        break;
    }
}

static void on_frame(struct mkv_client *client, const struct mkv_frame *frame)
{
    client->heard_ms = client->now_ms;
    client->ping_ms = 0;
    if (frame->kind == MKV_FRAME_ERROR && frame->id == 0 && client->phase != MKV_CLIENT_OFF) {
        on_error(client, &frame->error);
        return;
    }
    switch (client->phase) {
    case MKV_CLIENT_OFF: /* what was on its way when we gave the link up */
        break;
    case MKV_CLIENT_UP:
        on_frame_up(client, frame);
        break;
    case MKV_CLIENT_AUTH:
        if (frame->kind == MKV_FRAME_CHALLENGE && client->login == MKV_LOGIN_ASKED) {
            mkv_client_challenge(client, frame->sasl);
            break;
        }
        if (frame->kind == MKV_FRAME_SESSION &&
            (client->login == MKV_LOGIN_NONE || client->login == MKV_LOGIN_PROVED)) {
            on_session(client, &frame->session);
            break;
        }
        mkv_client_refuse(client, MKV_E_UNEXPECTED, "the server did not open a session");
        break;
    case MKV_CLIENT_CONNECTING:
    case MKV_CLIENT_GREETING:
        if (frame->kind == MKV_FRAME_HELLO) {
            on_hello(client, &frame->hello);
            break;
        }
        mkv_client_refuse(client, MKV_E_UNEXPECTED, "the server did not begin with a hello");
        break;
    }
}

/* Keeping alive, and what else comes with time. */

static void ping(struct mkv_client *client)
{
    if (mkv_client_request_add(client, MKV_CLIENT_REQUEST_PING, mkv_bytes(NULL, 0)) != NULL) {
        client->sent_ms = client->now_ms;
        if (client->ping_ms == 0) {
            client->ping_ms = client->now_ms;
        }
    }
}

/*
 * Silence counts only after a ping was given the time for an answer: the application may not have
 * called us for a while.
 */
static int64_t silence_ends_ms(const struct mkv_client *client)
{
    int64_t heard = client->heard_ms + SILENCE_MS;
    int64_t pinged = client->ping_ms + PING_MS;

    return heard > pinged ? heard : pinged;
}

static void keep_alive(struct mkv_client *client)
{
    if (client->ping_ms != 0 && client->now_ms >= silence_ends_ms(client)) {
        mkv_client_link_fail(client, MKV_E_TIMEOUT, "the server has been silent for 30 s");
    } else if (client->now_ms >= client->sent_ms + PING_MS) {
        ping(client);
    }
}

static void link_pump(struct mkv_client *client)
{
    switch (client->phase) {
    case MKV_CLIENT_OFF:
        if (client->dial.n > 0 && client->now_ms >= client->dial.next_ms) {
            connect_link(client);
        }
        break;
    case MKV_CLIENT_CONNECTING:
    case MKV_CLIENT_GREETING:
    case MKV_CLIENT_AUTH:
        if (client->now_ms >= client->phase_ms + HANDSHAKE_MS) {
            mkv_client_link_fail(client, MKV_E_TIMEOUT, "the server does not answer");
        }
        break;
    case MKV_CLIENT_UP:
        keep_alive(client);
        break;
    }
}

static int64_t link_deadline_ms(const struct mkv_client *client)
{
    int64_t ping_at = client->sent_ms + PING_MS;

    switch (client->phase) {
    case MKV_CLIENT_OFF:
        return client->dial.n > 0 ? client->dial.next_ms : MKV_CLIENT_NEVER;
    case MKV_CLIENT_CONNECTING:
    case MKV_CLIENT_GREETING:
    case MKV_CLIENT_AUTH:
        return client->phase_ms + HANDSHAKE_MS;
    case MKV_CLIENT_UP:
        break;
    }
    if (client->ping_ms != 0 && silence_ends_ms(client) < ping_at) {
        return silence_ends_ms(client);
    }
    return ping_at;
}

static void pump(struct mkv_client *client)
{
    link_pump(client);
    mkv_client_mqtt_pump(client);
    mkv_client_watch_pump(client);
    mkv_client_write_pump(client);
    mkv_client_request_pump(client);
}

int64_t mkv_client_deadline_ms(const struct mkv_client *client)
{
    const int64_t deadlines[] = {
        link_deadline_ms(client),
        mkv_client_mqtt_deadline_ms(client),
        mkv_client_watch_deadline_ms(client),
        mkv_client_write_deadline_ms(client),
        mkv_client_request_deadline_ms(client),
    };
    int64_t first = MKV_CLIENT_NEVER;

    if (client->closed) {
        return MKV_CLIENT_NEVER;
    }
    for (unsigned i = 0; i < sizeof(deadlines) / sizeof(deadlines[0]); i++) {
        first = deadlines[i] < first ? deadlines[i] : first;
    }
    return first;
}

static int take_order(struct mkv_client *client, const struct mkv_client_order *order)
{
    switch (order->kind) {
    case MKV_CLIENT_GET:
    case MKV_CLIENT_READ:
    case MKV_CLIENT_LIST:
    case MKV_CLIENT_STATUS:
    case MKV_CLIENT_PING:
    case MKV_CLIENT_SERVERS:
    case MKV_CLIENT_EVICT:
    case MKV_CLIENT_PASSWD:
    case MKV_CLIENT_CONFLICTS:
        return mkv_client_request_order(client, order);
    case MKV_CLIENT_WATCH:
        return mkv_client_watch_order(client, order);
    case MKV_CLIENT_WRITE:
        return mkv_client_write_order(client, order);
    }
    return MKV_E_BAD_ARGUMENT;
}

static int cancel(struct mkv_client *client, uint64_t id)
{
    int error = mkv_client_request_cancel(client, id);

    return error == MKV_E_NOT_FOUND ? mkv_client_watch_cancel(client, id) : error;
}

static void say_goodbye(struct mkv_client *client)
{
    if (client->phase == MKV_CLIENT_UP) {
        struct mkv_frame frame = {.kind = MKV_FRAME_BYE, .bye_counter = client->counter};

        mkv_client_send(client, &frame);
    }
    mkv_client_effect_link_close(client->out);
    mkv_client_mqtt_drop(client);
    mkv_client_write_close(client);
    mkv_client_watch_close(client);
    mkv_client_request_close(client);
    enter(client, MKV_CLIENT_OFF);
    client->closed = true;
}

static int take(struct mkv_client *client, const struct mkv_client_event *event)
{
    switch (event->kind) {
    case MKV_CLIENT_ON_TICK:
        break;
    case MKV_CLIENT_ON_LINK_OPENED:
        if (client->phase == MKV_CLIENT_CONNECTING) {
            client->phase = MKV_CLIENT_GREETING; /* the time goes on */
        }
        break;
    case MKV_CLIENT_ON_LINK_FRAME:
        on_frame(client, event->frame);
        break;
    case MKV_CLIENT_ON_LINK_BROKEN:
        if (client->phase != MKV_CLIENT_OFF) {
            mkv_client_refuse(client, event->error, mkv_error_text(event->error));
        }
        break;
    case MKV_CLIENT_ON_LINK_CLOSED:
        link_lost(client, event->error, event->why);
        break;
    case MKV_CLIENT_ON_LINK_PROOF:
        mkv_client_proof(client, event);
        break;
    case MKV_CLIENT_ON_MQTT_CONNECTED:
        mkv_client_mqtt_connected(client);
        break;
    case MKV_CLIENT_ON_MQTT_DISCONNECTED:
        mkv_client_mqtt_disconnected(client, event->error, event->why);
        break;
    case MKV_CLIENT_ON_MQTT_GONE:
        mkv_client_mqtt_gone(client, event->error, event->why);
        break;
    case MKV_CLIENT_ON_MQTT_ANSWERED:
        mkv_client_mqtt_answered(client, event);
        break;
    case MKV_CLIENT_ON_MQTT_DRAINED:
        mkv_client_write_drained(client);
        break;
    case MKV_CLIENT_ON_MQTT_UPDATE:
        mkv_client_watch_update(client, event->update.key, event->update.content);
        break;
    case MKV_CLIENT_ON_MQTT_REPLY:
        mkv_client_mqtt_reply(client, event->reply);
        break;
    case MKV_CLIENT_ON_ORDER:
        return take_order(client, event->order);
    case MKV_CLIENT_ON_CANCEL:
        return cancel(client, event->id);
    case MKV_CLIENT_ON_CLOSE:
        say_goodbye(client);
        break;
    }
    return 0;
}

int mkv_client_step(struct mkv_client *client,
                    const struct mkv_client_event *event,
                    struct mkv_client_effects *out)
{
    MKV_ASSERT(event->now_ms >= client->now_ms);
    client->now_ms = event->now_ms;
    client->out = out;
    if (client->closed) {
        return MKV_E_BAD_STATE;
    }

    int error = take(client, event);

    if (!client->closed) {
        pump(client);
    }
    client->out = NULL;
    return error;
}

static int keep_text(struct mkv_client *client, struct mkv_bytes *text)
{
    size_t at = client->config_store.len;
    int error = mkv_buf_append(&client->config_store, *text);

    if (error == 0) {
        *text = mkv_bytes(client->config_store.at + at, text->len);
    }
    return error;
}

static int keep_config(struct mkv_client *client, const struct mkv_client_config *config)
{
    struct mkv_bytes *const texts[] = {&client->config.broker, &client->config.root,
                                       &client->config.software, &client->config.host,
                                       &client->config.login_server};
    int error = mkv_root_check(config->root);

    client->config = *config;
    client->config.servers.n = 0; /* they are in the dial */
    mkv_buf_init(&client->config_store, CONFIG_TEXT_MAX);
    if (error == 0) {
        error = mkv_buf_reserve(&client->config_store, config->broker.len + config->root.len +
                                                           config->software.len + config->host.len +
                                                           config->login_server.len);
    }
    for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]) && error == 0; i++) {
        error = keep_text(client, texts[i]);
    }
    for (uint32_t i = 0; i < config->servers.n && error == 0; i++) {
        error = mkv_dial_add(&client->dial, config->servers.at[i]);
    }
    return error;
}

int mkv_client_init(struct mkv_client *client, const struct mkv_client_config *config)
{
    *client = (struct mkv_client){.random = config->seed};
    client->repeat_ms = MKV_CLIENT_NEVER;
    int error = keep_config(client, config);

    if (error != 0) {
        mkv_buf_deinit(&client->config_store);
    }
    return error;
}

void mkv_client_deinit(struct mkv_client *client)
{
    mkv_client_write_deinit(client);
    mkv_client_watch_deinit(client);
    mkv_client_request_deinit(client);
    mkv_told_deinit(&client->told);
    mkv_client_session_deinit(&client->session);
    mkv_buf_deinit(&client->config_store);
    *client = (struct mkv_client){0};
}

struct mkv_pending_where mkv_client_where(const struct mkv_client *client)
{
    if (client->use == MKV_CLIENT_MQTT_SESSION) {
        return (struct mkv_pending_where){.root = client->session.about.root,
                                          .profile = client->session.about.profile,
                                          .mac_key = client->session.about.mac_key};
    }
    return (struct mkv_pending_where){.root = client->config.root, .profile = MKV_PROFILE_PLAIN};
}

bool mkv_client_ready(const struct mkv_client *client)
{
    return client->use == MKV_CLIENT_MQTT_SESSION && client->mqtt_up && client->born;
}

size_t mkv_client_unacknowledged(const struct mkv_client *client)
{
    return client->n_writes + client->pending.n;
}
