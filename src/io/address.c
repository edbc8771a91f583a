/* SPDX-License-Identifier: Apache-2.0 */
#include "io/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#define FORMS "unix:/path, tls://host:port, tcp://host:port or mqtt://host:port"

static void copy_text(char *out, struct mkv_bytes text)
{
    memcpy(out, text.at, text.len);
    out[text.len] = '\0';
}

static bool skip_start(struct mkv_bytes *text, const char *start)
{
    struct mkv_bytes wanted = mkv_bytes_of(start);

    if (!mkv_bytes_starts_with(*text, wanted)) {
        return false;
    }
    *text = mkv_bytes_after(*text, wanted.len);
    return true;
}

static int parse_unix(struct mkv_bytes path, struct mkv_address *address, struct mkv_why *why)
{
    if (path.len == 0 || path.at[0] != '/') {
        return mkv_why_error(why, MKV_E_BAD_ARGUMENT,
                             "a unix socket's path must be absolute: unix:/run/moat-kv/link");
    }
    if (path.len > MKV_ADDRESS_PATH_MAX) {
        return mkv_why_error(why, MKV_E_BAD_ARGUMENT,
                             "the path of a unix socket has at most %u bytes, this one has %zu",
                             MKV_ADDRESS_PATH_MAX, path.len);
    }
    address->scheme = MKV_ADDRESS_UNIX;
    copy_text(address->path, path);
    return 0;
}

static int parse_port(struct mkv_bytes digits, uint16_t *ret_port, struct mkv_why *why)
{
    uint32_t port = 0;

    for (size_t i = 0; i < digits.len && port <= UINT16_MAX; i++) {
        if (digits.at[i] < '0' || digits.at[i] > '9') {
            port = UINT32_MAX;
            break;
        }
        port = port * 10 + (uint32_t)(digits.at[i] - '0');
    }
    if (digits.len == 0 || port > UINT16_MAX) {
        return mkv_why_error(why, MKV_E_BAD_ARGUMENT, "a port is a number from 0 to 65535");
    }
    *ret_port = (uint16_t)port;
    return 0;
}

/* Cuts "[host]rest" or "host:rest" in two; the brackets are dropped. */
static int split_host(struct mkv_bytes text, struct mkv_bytes *ret_host, struct mkv_bytes *ret_rest)
{
    bool bracketed = text.len > 0 && text.at[0] == '[';
    const uint8_t *end = text.len > 0 ? memchr(text.at, bracketed ? ']' : ':', text.len) : NULL;

    if (!bracketed) {
        size_t len = end != NULL ? (size_t)(end - text.at) : text.len;

        *ret_host = mkv_bytes(text.at, len);
        *ret_rest = mkv_bytes_after(text, len);
        return 0;
    }
    if (end == NULL) {
        return MKV_E_BAD_ARGUMENT;
    }
    *ret_host = mkv_bytes(text.at + 1, (size_t)(end - text.at) - 1);
    *ret_rest = mkv_bytes_after(text, (size_t)(end - text.at) + 1);
    return 0;
}

/* Rough on purpose: the resolver is the judge of names, this only keeps typing errors away. */
static bool is_host(struct mkv_bytes host, bool bracketed)
{
    if (host.len == 0 || host.len > MKV_ADDRESS_HOST_MAX) {
        return false;
    }
    for (size_t i = 0; i < host.len; i++) {
        uint8_t c = host.at[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool in_name = c == '.' || c == '-' || c == '_';

        if (!alnum && !in_name && !(bracketed && (c == ':' || c == '%'))) {
            return false;
        }
    }
    return true;
}

static int parse_host_port(struct mkv_bytes text, struct mkv_address *address, struct mkv_why *why)
{
    struct mkv_bytes host;
    struct mkv_bytes rest;
    bool bracketed = text.len > 0 && text.at[0] == '[';

    if (text.len > 0 && text.at[text.len - 1] == '/') { /* as people copy it from a browser */
        text.len--;
    }
    if (split_host(text, &host, &rest) != 0 || !is_host(host, bracketed)) {
        return mkv_why_error(why, MKV_E_BAD_ARGUMENT,
                             "not a host: write a name, an IPv4 address, or an IPv6 address in "
                             "brackets, as in tcp://[::1]:27589");
    }
    copy_text(address->host, host);
    if (rest.len == 0) {
        return 0;
    }
    if (rest.at[0] != ':') {
        return mkv_why_error(why, MKV_E_BAD_ARGUMENT, "after the host there may only be :port");
    }
    return parse_port(mkv_bytes_after(rest, 1), &address->port, why);
}

static int refuse_scheme(struct mkv_bytes text, struct mkv_why *why)
{
    struct mkv_bytes rest = text;

    if (skip_start(&rest, "mqtts://")) {
        return mkv_why_error(
            why, MKV_E_BAD_ARGUMENT,
            "TLS to a broker (mqtts://) is not supported yet: use a unix socket, a "
            "loopback address, or a tunnel");
    }
    return mkv_why_error(why, MKV_E_BAD_ARGUMENT, "an address looks like " FORMS);
}

int mkv_address_parse(struct mkv_bytes text, struct mkv_address *ret_address, struct mkv_why *why)
{
    struct mkv_address address = {0};
    struct mkv_bytes rest = text;
    int error;

    if (text.len > 0 && memchr(text.at, 0, text.len) != NULL) {
        return mkv_why_error(why, MKV_E_BAD_ARGUMENT, "an address has no NUL byte in it");
    }
    if (skip_start(&rest, "unix:")) {
        if (mkv_bytes_starts_with(rest, mkv_bytes_of("//"))) { /* unix:///path is common, too */
            rest = mkv_bytes_after(rest, 2);
        }
        error = parse_unix(rest, &address, why);
    } else if (skip_start(&rest, "tcp://")) {
        address.scheme = MKV_ADDRESS_TCP;
        address.port = MKV_ADDRESS_PORT_LINK;
        error = parse_host_port(rest, &address, why);
    } else if (skip_start(&rest, "tls://")) {
        address.scheme = MKV_ADDRESS_TLS;
        address.port = MKV_ADDRESS_PORT_LINK;
        error = parse_host_port(rest, &address, why);
    } else if (skip_start(&rest, "mqtt://")) {
        address.scheme = MKV_ADDRESS_MQTT;
        address.port = MKV_ADDRESS_PORT_BROKER;
        error = parse_host_port(rest, &address, why);
    } else {
        error = refuse_scheme(text, why);
    }
    if (error == 0) {
        *ret_address = address;
    }
    return error;
}

void mkv_address_format(const struct mkv_address *address, char *out, size_t size)
{
    static const char *const schemes[] = {
        [MKV_ADDRESS_TCP] = "tcp", [MKV_ADDRESS_TLS] = "tls", [MKV_ADDRESS_MQTT] = "mqtt"};

    if (address->scheme == MKV_ADDRESS_UNIX) {
        (void)snprintf(out, size, "unix:%s", address->path);
        return;
    }

    bool v6 = strchr(address->host, ':') != NULL;

    (void)snprintf(out, size, "%s://%s%s%s:%u", schemes[address->scheme], v6 ? "[" : "",
                   address->host, v6 ? "]" : "", (unsigned)address->port);
}

bool mkv_address_is_local(const struct mkv_address *address)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (address->scheme == MKV_ADDRESS_UNIX || strcmp(address->host, "localhost") == 0) {
        return true;
    }
    if (inet_pton(AF_INET, address->host, &v4) == 1) {
        return (ntohl(v4.s_addr) >> 24) == 127;
    }
    return inet_pton(AF_INET6, address->host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}
