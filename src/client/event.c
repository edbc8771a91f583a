/* SPDX-License-Identifier: Apache-2.0 */
#include "client/event.h"

#include <inttypes.h>
#include <stdio.h>

#include "client/entry.h"

#define TEXT_MAX 1100U /* a text from a frame, and a NUL */

struct moatkv_event {
    int kind;
    int code;
    size_t text_len;
    char text[TEXT_MAX];
    uint64_t more;
    bool has_entries;
    struct moatkv_entry loser;
    struct moatkv_entry winner;
};

_Static_assert((int)MKV_CLIENT_CONNECTED == (int)MOATKV_EVENT_CONNECTED &&
                   (int)MKV_CLIENT_DISCONNECTED == (int)MOATKV_EVENT_DISCONNECTED &&
                   (int)MKV_CLIENT_FAILED == (int)MOATKV_EVENT_FAILED &&
                   (int)MKV_CLIENT_READY == (int)MOATKV_EVENT_READY &&
                   (int)MKV_CLIENT_CONFLICT == (int)MOATKV_EVENT_CONFLICT &&
                   (int)MKV_CLIENT_STORING == (int)MOATKV_EVENT_STORING &&
                   (int)MKV_CLIENT_ROOM == (int)MOATKV_EVENT_ROOM &&
                   (int)MKV_CLIENT_REPAIRED == (int)MOATKV_EVENT_REPAIRED,
               "the kinds of events cross the ABI as they are");

int moatkv_event_kind(const moatkv_event *event)
{
    return event->kind;
}

int moatkv_event_code(const moatkv_event *event)
{
    return event->code;
}

moatkv_bytes moatkv_event_text(const moatkv_event *event)
{
    return (moatkv_bytes){.at = event->text, .len = event->text_len};
}

uint64_t moatkv_event_more(const moatkv_event *event)
{
    return event->more;
}

const moatkv_entry *moatkv_event_loser(const moatkv_event *event)
{
    return event->has_entries ? &event->loser : NULL;
}

const moatkv_entry *moatkv_event_winner(const moatkv_event *event)
{
    return event->has_entries ? &event->winner : NULL;
}

static void fill_text(struct moatkv_event *event, const struct mkv_client_output *output)
{
    size_t len = output->text.len < TEXT_MAX - 1 ? output->text.len : TEXT_MAX - 1;

    if (output->notice == MKV_CLIENT_REPAIRED) {
        int n = snprintf(event->text, TEXT_MAX,
                         "a watch differed from the server in %" PRIu64 " entries", output->n);

        event->text_len = n > 0 ? (size_t)n : 0;
        return;
    }
    if (len > 0) {
        memcpy(event->text, output->text.at, len);
    }
    event->text[len] = '\0';
    event->text_len = len;
}

void mkv_event_deliver(moatkv *kv, const struct mkv_client_output *output)
{
    struct moatkv_event event = {.kind = (int)output->notice, .code = output->status};

    if (kv->on_event == NULL) {
        return;
    }
    fill_text(&event, output);
    if (output->entry != NULL && output->winner != NULL) {
        mkv_entry_present(&event.loser, output->key, output->entry, &kv->path);
        event.winner = (struct moatkv_entry){.path = event.loser.path, .update = *output->winner};
        event.has_entries = true;
        event.more = output->n;
    }
    kv->on_event(kv->event_user, &event);
}
