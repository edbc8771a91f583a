/* SPDX-License-Identifier: Apache-2.0 */
#include "guard/clients.h"

#include "base/mem.h"

struct client {
    const void *connection;
    struct mkv_guard_peer peer;
};

static uint64_t number_of(const void *connection)
{
    return (uint64_t)(uintptr_t)connection;
}

void mkv_clients_init(struct mkv_clients *clients)
{
    *clients = (struct mkv_clients){.map = {.n_max = MKV_CLIENTS_MAX}};
}

void mkv_clients_deinit(struct mkv_clients *clients)
{
    size_t cursor = 0;
    struct client *client;

    while ((client = mkv_map_each(&clients->map, &cursor)) != NULL) {
        mkv_mem_free(client);
    }
    mkv_map_deinit(&clients->map);
}

struct mkv_guard_peer *mkv_clients_get(const struct mkv_clients *clients, const void *connection)
{
    struct client *client = mkv_map_get(&clients->map, number_of(connection));

    return client == NULL ? NULL : &client->peer;
}

int mkv_clients_put(struct mkv_clients *clients,
                    const void *connection,
                    const struct mkv_guard_peer *peer)
{
    struct mkv_guard_peer *present = mkv_clients_get(clients, connection);
    struct client *client;
    int error;

    if (present != NULL) {
        struct mkv_bucket used = present->messages;

        *present = *peer;
        present->messages = used;
        return 0;
    }
    client = mkv_mem_alloc(sizeof(*client));
    if (client == NULL) {
        return MKV_E_NO_MEMORY;
    }
    *client = (struct client){connection, *peer};
    error = mkv_map_add(&clients->map, number_of(connection), client);
    if (error != 0) {
        mkv_mem_free(client);
    }
    return error;
}

size_t mkv_clients_stale(const struct mkv_clients *clients,
                         const struct mkv_guard *guard,
                         const void **ret_connections,
                         size_t n_max)
{
    const struct client *client;
    size_t cursor = 0;
    size_t n = 0;

    while (n < n_max && (client = mkv_map_each(&clients->map, &cursor)) != NULL) {
        if (!mkv_guard_counts(guard, &client->peer)) {
            ret_connections[n++] = client->connection;
        }
    }
    return n;
}

void mkv_clients_drop(struct mkv_clients *clients, const void *connection)
{
    mkv_mem_free(mkv_map_remove(&clients->map, number_of(connection)));
}
