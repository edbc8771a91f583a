/* SPDX-License-Identifier: Apache-2.0 */
#include "core/client.h"
#include "core/words.h"

static void begin_clause(struct mkv_words *words)
{
    if (words->text->len > 0) {
        mkv_words_add(words, "; ");
    }
}

static void say_fault(struct mkv_words *words, const struct mkv_fault *fault)
{
    mkv_words_add(words, ": ");
    mkv_words_add_bytes(words, mkv_bytes(fault->why, fault->len));
}

/* What failed usually says where. */
static bool names(const struct mkv_fault *fault, struct mkv_bytes address)
{
    for (size_t at = 0; at + address.len <= fault->len; at++) {
        if (memcmp(fault->why + at, address.at, address.len) == 0) {
            return true;
        }
    }
    return false;
}

static void say_servers(struct mkv_words *words, const struct mkv_dial *dial)
{
    for (uint32_t i = 0; i < dial->n; i++) {
        const struct mkv_fault *fault = &dial->at[i].fault;
        struct mkv_bytes address = mkv_bytes(dial->at[i].text, dial->at[i].len);

        if (fault->error == 0) {
            continue;
        }
        begin_clause(words);
        if (!names(fault, address)) {
            mkv_words_add(words, "no server at ");
            mkv_words_add_bytes(words, address);
            mkv_words_add(words, ": ");
        }
        mkv_words_add_bytes(words, mkv_bytes(fault->why, fault->len));
    }
    if (words->text->len == 0 && dial->n > 0) {
        mkv_words_add(words, "not connected to a server yet");
    }
}

static void say_finding(struct mkv_words *words, const struct mkv_client *client)
{
    begin_clause(words);
    if (client->config.broker.len == 0 && client->use == MKV_CLIENT_MQTT_OFF) {
        mkv_words_add(words, "no broker configured: start moat-kvd or set MOAT_KV_SERVER");
    } else if (client->mqtt_fault.error != 0) {
        mkv_words_add(words, "no server found by MQTT");
        say_fault(words, &client->mqtt_fault);
    } else if (client->n_queries > 0) {
        mkv_words_add(
            words, "asked for a server by MQTT, and none has answered: start moat-kvd, or check ");
        mkv_words_add(words, "that it uses the same broker and root (MOAT_KV_ROOT)");
    } else {
        mkv_words_add(words, "the broker will be asked for a server");
    }
}

static void say_connected(struct mkv_words *words, const struct mkv_client *client)
{
    if (client->storing.error != 0) {
        mkv_words_add(words, "the server cannot store");
        say_fault(words, &client->storing);
    }
    if (client->wants_broker && !client->mqtt_up && client->mqtt_fault.error != 0) {
        begin_clause(words);
        mkv_words_add(words, "no connection to the broker");
        say_fault(words, &client->mqtt_fault);
    } else if (client->wants_broker && client->mqtt_up && !client->born && client->n_births > 1) {
        begin_clause(words);
        mkv_words_add(words,
                      "the server does not hear us by MQTT: is its connection to the broker up?");
    }
    if (words->text->len == 0 && client->refusal.error != 0) {
        mkv_words_add(words, "refused");
        say_fault(words, &client->refusal);
    }
}

int mkv_client_detail(const struct mkv_client *client, struct mkv_buf *text)
{
    struct mkv_words words = {.text = text};

    if (client->phase == MKV_CLIENT_UP) {
        say_connected(&words, client);
    } else {
        say_servers(&words, &client->dial);
        say_finding(&words, client);
    }
    return words.error;
}
