/* SPDX-License-Identifier: Apache-2.0 */
#include "client/handle.h"

#include <limits.h>
#include <unistd.h>

#include "base/mem.h"
#include "client/options.h"
#include "client/pipe.h"
#include "io/clock.h"
#include "io/entropy.h"

#define OPERATIONS_MAX 4096U /* the node allows fewer, see core/client.h */
#define TEXT_MAX       8192U
#define GOODBYE_MS     250 /* to send the last frames at the end */

int64_t mkv_handle_now_ms(void)
{
    int64_t now_ms = mkv_clock_monotonic_ms();

    return now_ms > 0 ? now_ms : 1;
}

static void on_deadline(void *context)
{
    moatkv *kv = context;

    mkv_client_node_tick(&kv->node, mkv_handle_now_ms());
    mkv_handle_carry_out(kv);
}

/* To be called after whatever was done outside of the loop. */
static void settle(moatkv *kv)
{
    mkv_handle_carry_out(kv);
    mkv_loop_settle(kv->loop);
}

static void fill_config(const struct moatkv_options *options,
                        char *host,
                        size_t host_size,
                        struct mkv_client_config *config)
{
    *config = (struct mkv_client_config){
        .broker = mkv_bytes_of(options->broker),
        .root = mkv_bytes_of(options->root),
        .software = mkv_bytes_of(options->software),
        .seed = mkv_entropy_u64(),
    };
    config->has_login = options->login.user[0] != '\0';
    config->login_server = mkv_bytes_of(options->login.server);
    for (uint32_t i = 0; i < options->n_servers; i++) {
        config->servers.at[config->servers.n++] = mkv_bytes_of(options->servers[i]);
    }
    if (gethostname(host, host_size) == 0) {
        host[host_size - 1] = '\0'; /* a name cut off is not ended */
        config->host = mkv_bytes_of(host);
    }
}

static int init(moatkv *kv, const struct moatkv_options *options)
{
    struct mkv_client_config config;
    char host[MKV_HOST_LEN_MAX + 1];

    fill_config(options, host, sizeof(host), &config);
    mkv_buf_init(&kv->key, MKV_PATH_KEY_MAX);
    mkv_buf_init(&kv->path, TEXT_MAX);
    mkv_buf_init(&kv->detail, TEXT_MAX);
    kv->operations.n_max = OPERATIONS_MAX;
    int error = mkv_identity_init(&kv->identity, &options->login);

    if (error == 0) {
        error = mkv_client_node_init(&kv->node, &config);
    }

    if (error == 0) {
        error = mkv_loop_new(&kv->loop);
    }
    if (error == 0 && mkv_loop_fd(kv->loop) < 0) {
        error = MKV_E_IO;
    }
    return error;
}

static void free_handle(moatkv *kv)
{
    size_t cursor = 0;
    struct mkv_operation *operation = mkv_map_each(&kv->operations, &cursor);

    while (operation != NULL) {
        mkv_mem_free(operation);
        operation = mkv_map_each(&kv->operations, &cursor);
    }
    mkv_map_deinit(&kv->operations);
    while (kv->told != NULL) {
        struct mkv_client_output *output = kv->told;

        kv->told = output->next;
        mkv_client_output_free(output);
    }
    mkv_mqtt_free(kv->mqtt);
    if (kv->link != NULL) {
        mkv_link_free(kv->link);
    }
    if (kv->closing != NULL) {
        mkv_link_free(kv->closing);
    }
    mkv_client_node_deinit(&kv->node);
    mkv_loop_free(kv->loop);
    mkv_identity_deinit(&kv->identity);
    mkv_buf_deinit(&kv->key);
    mkv_buf_deinit(&kv->path);
    mkv_buf_deinit(&kv->detail);
    mkv_mem_free(kv);
}

static int open_with(const struct moatkv_options *options, moatkv **ret_kv)
{
    struct mkv_pipe_guard guard;

    if (mkv_options_bad(options) || (options->n_servers == 0 && options->broker[0] == '\0')) {
        return MKV_E_BAD_ARGUMENT;
    }
    moatkv *kv = mkv_mem_alloc(sizeof(*kv));

    if (kv == NULL) {
        return MKV_E_NO_MEMORY;
    }
    int error = init(kv, options);

    if (error != 0) {
        free_handle(kv);
        return error;
    }
    mkv_loop_on_deadline(kv->loop, on_deadline, kv);
    mkv_pipe_guard(&guard);
    mkv_client_node_tick(&kv->node, mkv_handle_now_ms());
    settle(kv);
    mkv_pipe_unguard(&guard);
    *ret_kv = kv;
    return 0;
}

int moatkv_open(const moatkv_options *options, moatkv **ret_kv)
{
    mkv_entropy_init();

    if (ret_kv == NULL) {
        return MKV_E_BAD_ARGUMENT;
    }
    if (options != NULL) {
        return open_with(options, ret_kv);
    }
    moatkv_options *defaults = moatkv_options_new();

    if (defaults == NULL) {
        return MKV_E_NO_MEMORY;
    }
    int error = open_with(defaults, ret_kv);

    moatkv_options_free(defaults);
    return error;
}

/* Lets the goodbye go out; nothing else is waited for. */
static void drain_link(moatkv *kv)
{
    int64_t until_ms = mkv_handle_now_ms() + GOODBYE_MS;
    int64_t left_ms = GOODBYE_MS;

    while (kv->closing != NULL && left_ms > 0) {
        if (mkv_loop_run_once(kv->loop, (int)left_ms) != 0) {
            return;
        }
        left_ms = until_ms - mkv_handle_now_ms();
    }
}

static void close_now(moatkv *kv)
{
    struct mkv_pipe_guard guard;

    mkv_pipe_guard(&guard);
    mkv_client_node_close(&kv->node, mkv_handle_now_ms());
    mkv_handle_carry_out(kv);
    mkv_loop_set_deadline(kv->loop, MKV_LOOP_NEVER);
    drain_link(kv);
    mkv_pipe_unguard(&guard);

    kv->dispatching = true; /* callbacks may not dispatch */
    kv->close_wanted = true;
    mkv_handle_deliver(kv);
    mkv_pipe_guard(&guard);
    free_handle(kv);
    mkv_pipe_unguard(&guard);
}

void moatkv_close(moatkv *kv)
{
    if (kv == NULL || kv->close_wanted) {
        return;
    }
    if (kv->dispatching) {
        kv->close_wanted = true;
        return;
    }
    close_now(kv);
}

int moatkv_fd(const moatkv *kv)
{
    return mkv_loop_fd(kv->loop);
}

int moatkv_timeout_ms(const moatkv *kv)
{
    return kv->told != NULL ? 0 : mkv_loop_timeout_ms(kv->loop);
}

int moatkv_dispatch(moatkv *kv)
{
    struct mkv_pipe_guard guard;

    if (kv->dispatching) {
        return MKV_E_BAD_STATE;
    }
    kv->dispatching = true;
    int error = mkv_loop_run_once(kv->loop, 0); /* guards itself against SIGPIPE */

    mkv_handle_deliver(kv);
    kv->dispatching = false;
    mkv_pipe_guard(&guard);
    settle(kv);
    mkv_pipe_unguard(&guard);
    if (kv->close_wanted) {
        kv->close_wanted = false;
        close_now(kv);
        return MKV_E_CLOSED;
    }
    return error;
}

/* Starts an operation and carries out at once what it needs. */
int mkv_handle_order(moatkv *kv,
                     struct mkv_client_order *order,
                     const struct mkv_operation *operation,
                     uint64_t *ret_id)
{
    struct mkv_pipe_guard guard;
    struct mkv_operation *copy = mkv_mem_alloc(sizeof(*copy));

    if (copy == NULL) {
        return MKV_E_NO_MEMORY;
    }
    *copy = *operation;
    copy->id = kv->last_id + 1;
    copy->kind = order->kind;
    order->id = copy->id;
    int error = mkv_map_add(&kv->operations, copy->id, copy);

    if (error != 0) {
        mkv_mem_free(copy);
        return error == MKV_E_TOO_MANY ? MKV_E_QUEUE_FULL : error;
    }
    mkv_pipe_guard(&guard);
    error = mkv_client_node_order(&kv->node, mkv_handle_now_ms(), order);
    settle(kv);
    mkv_pipe_unguard(&guard);
    if (error != 0) {
        mkv_mem_free(mkv_map_remove(&kv->operations, copy->id));
        return error;
    }
    kv->last_id++;
    if (ret_id != NULL) {
        *ret_id = kv->last_id;
    }
    return 0;
}

int moatkv_cancel(moatkv *kv, uint64_t id)
{
    struct mkv_pipe_guard guard;

    mkv_pipe_guard(&guard);
    int error = mkv_client_node_cancel(&kv->node, mkv_handle_now_ms(), id);

    settle(kv);
    mkv_pipe_unguard(&guard);
    return error;
}

size_t moatkv_unacknowledged(const moatkv *kv)
{
    return mkv_client_unacknowledged(&kv->node.client);
}

const char *moatkv_server_name(moatkv *kv)
{
    const struct mkv_client *client = &kv->node.client;

    mkv_buf_clear(&kv->detail);
    if (client->phase != MKV_CLIENT_UP ||
        mkv_buf_append(&kv->detail, client->session.about.name) != 0 ||
        mkv_buf_append_u8(&kv->detail, 0) != 0) {
        return "";
    }
    return (const char *)kv->detail.at;
}

const char *moatkv_detail(moatkv *kv)
{
    mkv_buf_clear(&kv->detail);
    if (mkv_client_detail(&kv->node.client, &kv->detail) != 0 ||
        mkv_buf_append_u8(&kv->detail, 0) != 0) {
        return "too much is wrong to be told";
    }
    return (const char *)kv->detail.at;
}

void moatkv_set_event_callback(moatkv *kv, moatkv_on_event on_event, void *user)
{
    kv->on_event = on_event;
    kv->event_user = user;
}
