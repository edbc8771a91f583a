/* SPDX-License-Identifier: Apache-2.0 */
#include "io/signals.h"

#include <event2/event.h>
#include <signal.h>

#include "base/mem.h"

#define N_SIGNALS 3

static const int watched[N_SIGNALS] = {SIGTERM, SIGINT, SIGHUP};

struct mkv_signals {
    struct event *events[N_SIGNALS];
    void (*fn)(void *context, int signal_number);
    void *context;
};

static void on_signal(evutil_socket_t number, short what, void *context)
{
    struct mkv_signals *signals = context;

    (void)what;
    signals->fn(signals->context, (int)number);
}

void mkv_signals_free(struct mkv_signals *signals)
{
    if (signals == NULL) {
        return;
    }
    for (unsigned i = 0; i < N_SIGNALS; i++) {
        if (signals->events[i] != NULL) {
            event_free(signals->events[i]);
        }
    }
    (void)signal(SIGPIPE, SIG_DFL);
    (void)signal(SIGXFSZ, SIG_DFL);
    mkv_mem_free(signals);
}

int mkv_signals_new(struct mkv_loop *loop,
                    void (*fn)(void *context, int signal_number),
                    void *context,
                    struct mkv_signals **ret_signals)
{
    struct mkv_signals *signals = mkv_mem_alloc(sizeof(*signals));

    if (signals == NULL) {
        return MKV_E_NO_MEMORY;
    }
    signals->fn = fn;
    signals->context = context;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a file at the process's limit is a full disk, no more */
    for (unsigned i = 0; i < N_SIGNALS; i++) {
        signals->events[i] = evsignal_new(mkv_loop_base(loop), watched[i], on_signal, signals);
        if (signals->events[i] == NULL || event_add(signals->events[i], NULL) != 0) {
            mkv_signals_free(signals);
            return MKV_E_NO_MEMORY;
        }
    }
    *ret_signals = signals;
    return 0;
}
