/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "client/conflict.h"
#include "client/entry.h"
#include "client/event.h"
#include "client/handle.h"

struct moatkv_child {
    struct mkv_bytes path;
    uint64_t n_entries;
    bool own;
};

moatkv_bytes moatkv_child_path(const moatkv_child *child)
{
    return (moatkv_bytes){.at = child->path.at, .len = child->path.len};
}

uint64_t moatkv_child_n_entries(const moatkv_child *child)
{
    return child->n_entries;
}

int moatkv_child_has_value(const moatkv_child *child)
{
    return child->own;
}

/* Fills @entry if there is one to show. */
static const moatkv_entry *present(moatkv *kv,
                                   const struct mkv_client_output *output,
                                   struct moatkv_entry *entry)
{
    if (output->entry == NULL) {
        return NULL;
    }
    mkv_entry_present(entry, output->key, output->entry, &kv->path);
    return entry;
}

static void deliver_row(moatkv *kv, const struct mkv_client_output *output)
{
    const struct mkv_operation *operation = mkv_map_get(&kv->operations, output->id);
    struct moatkv_entry entry;

    if (operation != NULL && operation->on_entry != NULL) {
        operation->on_entry(operation->user, MOATKV_ROW, present(kv, output, &entry));
    }
}

static void deliver_child(moatkv *kv, const struct mkv_client_output *output)
{
    const struct mkv_operation *operation = mkv_map_get(&kv->operations, output->id);

    if (operation != NULL && operation->on_child != NULL) {
        struct moatkv_child child = {.path = mkv_entry_dotted(output->key, &kv->path),
                                     .n_entries = output->n,
                                     .own = output->own};

        operation->on_child(operation->user, MOATKV_ROW, &child);
    }
}

static void deliver_fact(moatkv *kv, const struct mkv_client_output *output)
{
    const struct mkv_operation *operation = mkv_map_get(&kv->operations, output->id);
    moatkv_bytes map = {.at = output->payload.at, .len = output->payload.len};

    if (operation != NULL && operation->on_report != NULL) {
        operation->on_report(operation->user, MOATKV_ROW, map);
    }
}

static void deliver_lost(moatkv *kv, const struct mkv_client_output *output)
{
    const struct mkv_operation *operation = mkv_map_get(&kv->operations, output->id);
    struct moatkv_conflict conflict;

    if (operation == NULL || operation->on_conflict == NULL) {
        return;
    }
    if (output->entry == NULL) {
        operation->on_conflict(operation->user, MOATKV_SYNCED, NULL);
    } else {
        mkv_conflict_present(&conflict, output, &kv->path);
        operation->on_conflict(operation->user, MOATKV_ROW, &conflict);
    }
}

static void deliver_watch(moatkv *kv, const struct mkv_client_output *output)
{
    const struct mkv_operation *operation = mkv_map_get(&kv->operations, output->id);
    struct moatkv_entry entry;

    if (operation != NULL && operation->on_watch != NULL) {
        operation->on_watch(operation->user, (int)output->watch, 0, present(kv, output, &entry));
    }
}

static void complete(moatkv *kv,
                     const struct mkv_operation *operation,
                     const struct mkv_client_output *output)
{
    struct moatkv_entry entry;
    moatkv_bytes report = {.at = output->payload.at, .len = output->payload.len};

    if (operation->on_entry != NULL) {
        operation->on_entry(operation->user, output->status, present(kv, output, &entry));
    } else if (operation->on_child != NULL) {
        operation->on_child(operation->user, output->status, NULL);
    } else if (operation->on_conflict != NULL) {
        operation->on_conflict(operation->user, output->status, NULL);
    } else if (operation->on_watch != NULL) {
        operation->on_watch(operation->user, MOATKV_WATCH_END, output->status, NULL);
    } else if (operation->on_report != NULL) {
        operation->on_report(operation->user, output->status, report);
    } else if (operation->on_done != NULL) {
        operation->on_done(operation->user, output->status);
    }
}

static void deliver_done(moatkv *kv, const struct mkv_client_output *output)
{
    struct mkv_operation *operation = mkv_map_remove(&kv->operations, output->id);

    if (operation != NULL) {
        complete(kv, operation, output);
        mkv_mem_free(operation);
    }
}

static void deliver(moatkv *kv, const struct mkv_client_output *output)
{
    switch (output->kind) {
    case MKV_CLIENT_ROW:
        deliver_row(kv, output);
        break;
    case MKV_CLIENT_LOST:
        deliver_lost(kv, output);
        break;
    case MKV_CLIENT_FACT:
        deliver_fact(kv, output);
        break;
    case MKV_CLIENT_CHILD:
        deliver_child(kv, output);
        break;
    case MKV_CLIENT_TELL:
        deliver_watch(kv, output);
        break;
    case MKV_CLIENT_DONE:
        deliver_done(kv, output);
        break;
    case MKV_CLIENT_NOTICE:
        mkv_event_deliver(kv, output);
        break;
    case MKV_CLIENT_LINK_CONNECT:
    case MKV_CLIENT_LINK_SEND:
    case MKV_CLIENT_LINK_PROVE:
    case MKV_CLIENT_LINK_CLOSE:
    case MKV_CLIENT_MQTT_CONNECT:
    case MKV_CLIENT_MQTT_REDIRECT:
    case MKV_CLIENT_MQTT_DISCONNECT:
    case MKV_CLIENT_MQTT_SUBSCRIBE:
    case MKV_CLIENT_MQTT_UNSUBSCRIBE:
    case MKV_CLIENT_MQTT_PUBLISH: /* carried out already */
        break;
    }
}

void mkv_handle_deliver(moatkv *kv)
{
    while (kv->told != NULL) {
        struct mkv_client_output *output = kv->told;

        kv->told = output->next;
        if (kv->told == NULL) {
            kv->told_last = NULL;
        }
        deliver(kv, output);
        mkv_client_output_free(output);
    }
}
