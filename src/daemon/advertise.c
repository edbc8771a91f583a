/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/advertise.h"

#include <stdio.h>
#include <string.h>

int mkv_advertise_add(struct mkv_daemon_config *config, const char *text, struct mkv_why *why)
{
    struct mkv_address *address = &config->advertise[config->n_advertise];

    if (config->n_advertise == MKV_ADDRESSES_MAX) {
        return mkv_why_error(why, MKV_E_TOO_MANY, "at most %u addresses can be advertised",
                             MKV_ADDRESSES_MAX);
    }

    int error = mkv_address_parse(mkv_bytes_of(text), address, why);

    if (error != 0) {
        return error;
    }
    if (address->scheme == MKV_ADDRESS_MQTT ||
        (address->scheme == MKV_ADDRESS_TCP && !mkv_address_is_local(address))) {
        return mkv_why_error(why, MKV_E_BAD_ARGUMENT,
                             "others reach this server at tls://HOST[:PORT], or on this machine at "
                             "unix:PATH or tcp://127.0.0.1:PORT, not at '%s'",
                             text);
    }
    if (address->scheme != MKV_ADDRESS_UNIX && address->port == 0) {
        return mkv_why_error(why, MKV_E_BAD_ARGUMENT, "'%s': others have to know the port", text);
    }
    config->n_advertise++;
    return 0;
}

static bool is_any(const struct mkv_address *address)
{
    return address->scheme != MKV_ADDRESS_UNIX &&
           (strcmp(address->host, "0.0.0.0") == 0 || strcmp(address->host, "::") == 0);
}

static bool has(const struct mkv_address *list, uint32_t n, const struct mkv_address *address)
{
    char text[MKV_ADDRESS_TEXT_MAX];
    char other[MKV_ADDRESS_TEXT_MAX];

    mkv_address_format(address, text, sizeof(text));
    for (uint32_t i = 0; i < n; i++) {
        mkv_address_format(&list[i], other, sizeof(other));
        if (strcmp(text, other) == 0) {
            return true;
        }
    }
    return false;
}

void mkv_advertise_listener(const struct mkv_daemon_config *config,
                            const struct mkv_address *address,
                            const char *host,
                            struct mkv_address *list,
                            uint32_t *n)
{
    struct mkv_address told = *address;

    if (is_any(address)) {
        if (config->n_advertise > 0) {
            return;
        }
        (void)snprintf(told.host, sizeof(told.host), "%.*s", (int)sizeof(told.host) - 1, host);
    }
    if (*n < MKV_ADDRESSES_MAX && !has(list, *n, &told)) {
        list[(*n)++] = told;
    }
}
