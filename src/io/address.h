/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where something listens:
 *
 *     unix:/run/moat-kv/link     unix socket
 *     tls://host[:27589]         a server's link
 *     tcp://host[:27589]         the same, without TLS
 *     mqtt://host[:1883]         a broker
 *
 * A host is a name, an IPv4 address, or an IPv6 address in brackets: tcp://[::1]:27589.
 * Looking names up is not done here: see io/resolve.h.
 */
#ifndef MKV_IO_ADDRESS_H
#define MKV_IO_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "io/why.h"

#define MKV_ADDRESS_PORT_LINK   27589U
#define MKV_ADDRESS_PORT_BROKER 1883U
#define MKV_ADDRESS_PATH_MAX    107U /* bytes of a unix socket's path: the kernel's limit */
#define MKV_ADDRESS_HOST_MAX    255U
#define MKV_ADDRESS_TEXT_MAX    288U /* bytes that mkv_address_format() needs, with the NUL */

enum mkv_address_scheme {
    MKV_ADDRESS_UNIX,
    MKV_ADDRESS_TCP,
    MKV_ADDRESS_TLS,
    MKV_ADDRESS_MQTT,
};

struct mkv_address {
    enum mkv_address_scheme scheme;
    char host[MKV_ADDRESS_HOST_MAX + 1]; /* all but UNIX; without brackets */
    char path[MKV_ADDRESS_PATH_MAX + 1]; /* UNIX; absolute */
    uint16_t port;                       /* all but UNIX; 0 stands for any free port (listening) */
};

/* BAD_ARGUMENT, with what is wrong and how it should look in @why (may be NULL). */
int mkv_address_parse(struct mkv_bytes text,
                      struct mkv_address *ret_address,
                      struct mkv_why *why) MKV_MUST_CHECK;

/* Writes the text that parses to @address, port included; cut off beyond @size bytes. */
void mkv_address_format(const struct mkv_address *address, char *out, size_t size);

/* True if only this machine can be meant: a unix socket, localhost, 127.0.0.0/8, ::1. */
bool mkv_address_is_local(const struct mkv_address *address);

#endif
