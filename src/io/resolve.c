/* SPDX-License-Identifier: Apache-2.0 */
#include "io/resolve.h"

#include <event2/dns.h>
#include <event2/util.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include "base/mem.h"

struct mkv_resolve {
    struct mkv_loop *loop;
    struct mkv_address address;
    mkv_resolve_fn *fn;
    void *context;
    struct evdns_base *dns;                    /* owned; NULL if none was needed */
    struct evdns_getaddrinfo_request *request; /* libevent's; NULL when it is answered */
    bool answered;
    bool freed;
    struct mkv_sockaddrs found;
    struct mkv_why why;
    struct mkv_task task; /* tells the owner, or frees */
};

static void add_found(struct mkv_resolve *resolve, const struct sockaddr *address, socklen_t len)
{
    struct mkv_sockaddrs *found = &resolve->found;

    if (found->n == MKV_RESOLVE_RESULTS_MAX || len > sizeof(found->at[0].storage)) {
        return;
    }
    memcpy(&found->at[found->n].storage, address, len);
    found->at[found->n].len = len;
    found->n++;
}

static void add_unix(struct mkv_resolve *resolve)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(resolve->address.path);

    _Static_assert(MKV_ADDRESS_PATH_MAX < sizeof(address.sun_path), "a path fits with its NUL");
    memcpy(address.sun_path, resolve->address.path, len + 1);
    add_found(resolve, (const struct sockaddr *)&address,
              (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1));
}

static void set_port(struct mkv_sockaddr *address, uint16_t port)
{
    if (address->storage.ss_family == AF_INET) {
        ((struct sockaddr_in *)&address->storage)->sin_port = htons(port);
    } else {
        ((struct sockaddr_in6 *)&address->storage)->sin6_port = htons(port);
    }
}

/* A literal address, or localhost, which must work without any name server. */
static bool add_literal(struct mkv_resolve *resolve)
{
    const char *host = resolve->address.host;
    struct sockaddr_storage storage = {0};
    int len = (int)sizeof(storage);

    if (strcmp(host, "localhost") == 0) {
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};

        add_found(resolve, (const struct sockaddr *)&v4, sizeof(v4));
        add_found(resolve, (const struct sockaddr *)&v6, sizeof(v6));
    } else if (evutil_parse_sockaddr_port(host, (struct sockaddr *)&storage, &len) == 0) {
        add_found(resolve, (const struct sockaddr *)&storage, (socklen_t)len);
    }
    return resolve->found.n > 0;
}

static void on_answer(int result, struct evutil_addrinfo *list, void *context)
{
    struct mkv_resolve *resolve = context;

    resolve->request = NULL;
    resolve->answered = true;
    for (const struct evutil_addrinfo *at = list; at != NULL; at = at->ai_next) {
        if (at->ai_family == AF_INET || at->ai_family == AF_INET6) {
            add_found(resolve, at->ai_addr, (socklen_t)at->ai_addrlen);
        }
    }
    if (list != NULL) {
        evutil_freeaddrinfo(list);
    }
    if (resolve->found.n == 0) {
        mkv_why_set(
            &resolve->why, "cannot find the host %s: %s; check the name, or use an IP address",
            resolve->address.host, result != 0 ? evutil_gai_strerror(result) : "it has no address");
    }
    mkv_task_defer(resolve->loop, &resolve->task);
}

static int look_up(struct mkv_resolve *resolve)
{
    struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};

    resolve->dns = evdns_base_new(mkv_loop_base(resolve->loop), EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    if (resolve->dns == NULL) {
        return MKV_E_NO_MEMORY;
    }
    /* Fails if the file is missing or names no server; the hosts file has been read even so. */
    (void)evdns_base_resolv_conf_parse(resolve->dns, DNS_OPTIONS_ALL, "/etc/resolv.conf");

    struct evdns_getaddrinfo_request *request =
        evdns_getaddrinfo(resolve->dns, resolve->address.host, NULL, &hints, on_answer, resolve);

    if (!resolve->answered) {
        resolve->request = request;
    }
    return 0;
}

static void release(struct mkv_resolve *resolve)
{
    if (resolve->dns != NULL) {
        evdns_base_free(resolve->dns, 0);
    }
    mkv_mem_free(resolve);
}

static void on_task(void *context)
{
    struct mkv_resolve *resolve = context;

    if (resolve->freed) {
        release(resolve);
        return;
    }
    for (uint32_t i = 0; i < resolve->found.n; i++) {
        if (resolve->address.scheme != MKV_ADDRESS_UNIX) {
            set_port(&resolve->found.at[i], resolve->address.port);
        }
    }
    resolve->fn(resolve->context, resolve->found.n > 0 ? &resolve->found : NULL, &resolve->why);
}

int mkv_resolve_new(struct mkv_loop *loop,
                    const struct mkv_address *address,
                    mkv_resolve_fn *fn,
                    void *context,
                    struct mkv_resolve **ret_resolve)
{
    struct mkv_resolve *resolve = mkv_mem_alloc(sizeof(*resolve));

    if (resolve == NULL) {
        return MKV_E_NO_MEMORY;
    }
    *resolve = (struct mkv_resolve){
        .loop = loop,
        .address = *address,
        .fn = fn,
        .context = context,
        .task = {.fn = on_task, .context = resolve},
    };
    if (address->scheme == MKV_ADDRESS_UNIX) {
        add_unix(resolve);
    }
    if (address->scheme == MKV_ADDRESS_UNIX || add_literal(resolve)) {
        resolve->answered = true;
        mkv_task_defer(loop, &resolve->task);
    } else if (look_up(resolve) != 0) {
        mkv_mem_free(resolve);
        return MKV_E_NO_MEMORY;
    }
    *ret_resolve = resolve;
    return 0;
}

void mkv_resolve_free(struct mkv_resolve *resolve)
{
    if (resolve == NULL || resolve->freed) {
        return;
    }
    resolve->freed = true;
    if (resolve->request != NULL) {
        evdns_getaddrinfo_cancel(
            resolve->request); /* answers from the loop, then we are released */
    } else {
        mkv_task_defer(resolve->loop, &resolve->task);
    }
}

void mkv_sockaddr_host(const struct mkv_sockaddr *address, char *out, size_t size)
{
    out[0] = '\0';
    if (address->storage.ss_family != AF_UNIX) {
        (void)getnameinfo((const struct sockaddr *)&address->storage, address->len, out,
                          (socklen_t)size, NULL, 0, NI_NUMERICHOST);
    }
}
