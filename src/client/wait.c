/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <poll.h>

#include "base/mem.h"
#include "client/entry.h"
#include "client/handle.h"

#define FINDING_MS 5000 /* how long a broker is given to name a server */

/* Until when to wait; -1 ms is without end. */
static int64_t deadline_of(int timeout_ms)
{
    return timeout_ms < 0 ? INT64_MAX : mkv_handle_now_ms() + timeout_ms;
}

static int left_ms(int64_t deadline_ms)
{
    int64_t left = deadline_ms == INT64_MAX ? INT_MAX : deadline_ms - mkv_handle_now_ms();

    if (deadline_ms == INT64_MAX) {
        return -1;
    }
    return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

int moatkv_wait(moatkv *kv, int timeout_ms)
{
    struct pollfd pollfd = {.fd = moatkv_fd(kv), .events = POLLIN};
    int own_ms = moatkv_timeout_ms(kv);

    if (kv->dispatching) {
        return MKV_E_BAD_STATE;
    }
    if (timeout_ms < 0 || (own_ms >= 0 && own_ms < timeout_ms)) {
        timeout_ms = own_ms;
    }
    if (poll(&pollfd, 1, timeout_ms) < 0 && errno != EINTR) {
        return MKV_E_IO;
    }
    return moatkv_dispatch(kv);
}

/* Whether all that can be tried at once has been. */
static bool has_tried_all(const moatkv *kv, int64_t *finding_until_ms)
{
    const struct mkv_client *client = &kv->node.client;

    if (client->dial.n > 0 && client->dial.n_rounds == 0) {
        return false;
    }
    if (client->config.broker.len == 0 || (!client->mqtt_up && client->mqtt_fault.error != 0)) {
        return true;
    }
    if (*finding_until_ms == 0) {
        *finding_until_ms = mkv_handle_now_ms() + FINDING_MS;
    }
    return mkv_handle_now_ms() >= *finding_until_ms;
}

int moatkv_connect(moatkv *kv, int timeout_ms)
{
    int64_t deadline_ms = deadline_of(timeout_ms);
    int64_t finding_until_ms = 0;

    if (kv->dispatching) {
        return MKV_E_BAD_STATE;
    }
    while (kv->node.client.phase != MKV_CLIENT_UP) {
        if (timeout_ms < 0 && has_tried_all(kv, &finding_until_ms)) {
            return MKV_E_NO_CONNECTION;
        }
        if (timeout_ms >= 0 && left_ms(deadline_ms) == 0) {
            return MKV_E_TIMEOUT;
        }
        int error = moatkv_wait(kv, left_ms(finding_until_ms != 0 && finding_until_ms < deadline_ms
                                                ? finding_until_ms
                                                : deadline_ms));

        if (error != 0) {
            return error;
        }
    }
    return 0;
}

int moatkv_flush(moatkv *kv, int timeout_ms)
{
    int64_t deadline_ms = deadline_of(timeout_ms);

    if (kv->dispatching) {
        return MKV_E_BAD_STATE;
    }
    while (moatkv_unacknowledged(kv) > 0 || kv->told != NULL) {
        if (left_ms(deadline_ms) == 0) {
            return moatkv_unacknowledged(kv) > 0 ? MKV_E_TIMEOUT : moatkv_dispatch(kv);
        }
        int error = moatkv_wait(kv, left_ms(deadline_ms));

        if (error != 0) {
            return error;
        }
    }
    return 0;
}

/* An operation that somebody waits for; it outlives him if he does not wait long enough. */
struct waiter {
    bool is_done;
    bool is_alone; /* nobody waits any more */
    int status;
    moatkv_entry *entry; /* owned */
};

static void on_waited(void *user, int status, const moatkv_entry *entry)
{
    struct waiter *waiter = user;

    if (waiter->is_alone) {
        mkv_mem_free(waiter);
        return;
    }
    waiter->is_done = true;
    waiter->status = status;
    if (entry != NULL) {
        waiter->entry = moatkv_entry_copy(entry);
        if (waiter->entry == NULL && status == 0) {
            waiter->status = MKV_E_NO_MEMORY;
        }
    }
}

/* Returns 0 once it is done, else why nobody waits any longer; then the waiter is not ours. */
static int await(moatkv *kv, struct waiter *waiter, int timeout_ms)
{
    int64_t deadline_ms = deadline_of(timeout_ms);

    while (!waiter->is_done) {
        int error = left_ms(deadline_ms) == 0 ? MKV_E_TIMEOUT : 0;

        if (error == 0) {
            error = moatkv_wait(kv, left_ms(deadline_ms));
        }
        if (waiter->is_done) {
            break; /* also when a callback closed the handle: that completes everything */
        }
        if (error != 0) {
            waiter->is_alone = true;
            return error;
        }
    }
    return 0;
}

static int finish(moatkv *kv, struct waiter *waiter, int timeout_ms, moatkv_entry **ret_entry)
{
    int error = await(kv, waiter, timeout_ms);

    if (error != 0) {
        return error;
    }
    int status = waiter->status;

    if (ret_entry != NULL) {
        *ret_entry = waiter->entry;
    } else {
        moatkv_entry_free(waiter->entry);
    }
    mkv_mem_free(waiter);
    return status;
}

static int waiter_new(const moatkv *kv, struct waiter **ret_waiter)
{
    if (kv->dispatching) {
        return MKV_E_BAD_STATE;
    }
    *ret_waiter = mkv_mem_alloc(sizeof(**ret_waiter));
    return *ret_waiter != NULL ? 0 : MKV_E_NO_MEMORY;
}

int moatkv_get_sync(moatkv *kv, moatkv_bytes path, int timeout_ms, moatkv_entry **ret_entry)
{
    struct waiter *waiter;
    int error = waiter_new(kv, &waiter);

    if (ret_entry != NULL) {
        *ret_entry = NULL;
    }
    if (error != 0) {
        return error;
    }
    error = moatkv_get(kv, path, on_waited, waiter);
    if (error != 0) {
        mkv_mem_free(waiter);
        return error;
    }
    uint64_t id = kv->last_id;

    error = finish(kv, waiter, timeout_ms, ret_entry);
    if (error == MKV_E_TIMEOUT) {
        (void)!moatkv_cancel(kv, id); /* it may have completed, and be about to be told */
    }
    return error;
}

int moatkv_set_sync(
    moatkv *kv, moatkv_bytes path, moatkv_bytes value, uint32_t flags, int timeout_ms)
{
    struct waiter *waiter;
    int error = waiter_new(kv, &waiter);

    if (error != 0) {
        return error;
    }
    error = moatkv_set(kv, path, value, flags, on_waited, waiter);
    if (error != 0) {
        mkv_mem_free(waiter);
        return error;
    }
    return finish(kv, waiter, timeout_ms, NULL);
}

int moatkv_delete_sync(moatkv *kv, moatkv_bytes path, uint32_t flags, int timeout_ms)
{
    struct waiter *waiter;
    int error = waiter_new(kv, &waiter);

    if (error != 0) {
        return error;
    }
    error = moatkv_delete(kv, path, flags, on_waited, waiter);
    if (error != 0) {
        mkv_mem_free(waiter);
        return error;
    }
    return finish(kv, waiter, timeout_ms, NULL);
}
