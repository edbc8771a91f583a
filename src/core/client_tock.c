/* SPDX-License-Identifier: Apache-2.0 */
#include "core/client_parts.h"

/*
 * The tock as a client estimates it (docs/protocol.md, 5).
 */
#define TOCK_AHEAD (1ULL << 32)
#define TOCK_SHIFT 12U

void mkv_client_note_tock(struct mkv_client *client, uint64_t tock)
{
    if (tock > client->tock_seen) {
        client->tock_seen = tock;
    }
}

void mkv_client_note_server_tock(struct mkv_client *client, uint64_t tock)
{
    mkv_client_note_tock(client, tock);
    client->tock_server = tock;
    client->tock_server_ms = client->now_ms;
}

static uint64_t estimate(const struct mkv_client *client)
{
    if (!client->clock) {
        return client->tock_server;
    }
    return client->tock_server +
           ((uint64_t)(client->now_ms - client->tock_server_ms) << TOCK_SHIFT);
}

uint64_t mkv_client_tock_max(const struct mkv_client *client)
{
    return estimate(client) + TOCK_AHEAD;
}

uint64_t mkv_client_next_tock(struct mkv_client *client)
{
    uint64_t least = client->tock_seen + 1;
    uint64_t guess = client->clock ? estimate(client) : 0;

    client->tock_seen = guess > least ? guess : least;
    return client->tock_seen;
}
