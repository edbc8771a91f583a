/* SPDX-License-Identifier: Apache-2.0 */
#include "guard/clients.h"

#include "base/mem.h"

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
    struct mkv_guard_peer *peer;

    while ((peer = mkv_map_each(&clients->map, &cursor)) != NULL) {
        mkv_mem_free(peer);
    }
    mkv_map_deinit(&clients->map);
}

struct mkv_guard_peer *mkv_clients_get(const struct mkv_clients *clients, const void *connection)
{
    return mkv_map_get(&clients->map, number_of(connection));
}

int mkv_clients_put(struct mkv_clients *clients,
                    const void *connection,
                    const struct mkv_guard_peer *peer)
{
    struct mkv_guard_peer *present = mkv_clients_get(clients, connection);
    int error;

    if (present != NULL) {
        struct mkv_bucket used = present->messages;

        *present = *peer;
        present->messages = used;
        return 0;
    }
    present = mkv_mem_alloc(sizeof(*present));
    if (present == NULL) {
        return MKV_E_NO_MEMORY;
    }
    *present = *peer;
    error = mkv_map_add(&clients->map, number_of(connection), present);
    if (error != 0) {
        mkv_mem_free(present);
    }
    return error;
}

void mkv_clients_drop(struct mkv_clients *clients, const void *connection)
{
    mkv_mem_free(mkv_map_remove(&clients->map, number_of(connection)));
}
