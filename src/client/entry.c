/* SPDX-License-Identifier: Apache-2.0 */
#include "client/entry.h"

#include "base/mem.h"
#include "wire/path.h"

struct mkv_bytes mkv_entry_dotted(struct mkv_bytes key, struct mkv_buf *path)
{
    mkv_buf_clear(path);
    if (mkv_path_to_dotted(key, path) != 0 || mkv_buf_append_u8(path, 0) != 0) {
        return mkv_bytes("", 0);
    }
    return mkv_bytes(path->at, path->len - 1);
}

void mkv_entry_present(struct moatkv_entry *entry,
                       struct mkv_bytes key,
                       const struct mkv_update *update,
                       struct mkv_buf *path)
{
    entry->path = mkv_entry_dotted(key, path);
    entry->update = *update;
}

moatkv_bytes moatkv_text(const char *text)
{
    return (moatkv_bytes){.at = text, .len = text != NULL ? strlen(text) : 0};
}

moatkv_bytes moatkv_entry_path(const moatkv_entry *entry)
{
    return (moatkv_bytes){.at = entry->path.at, .len = entry->path.len};
}

int moatkv_entry_deleted(const moatkv_entry *entry)
{
    return !entry->update.present;
}

moatkv_bytes moatkv_entry_value(const moatkv_entry *entry)
{
    return (moatkv_bytes){.at = entry->update.value.at, .len = entry->update.value.len};
}

uint64_t moatkv_entry_tock(const moatkv_entry *entry)
{
    return entry->update.tock;
}

size_t moatkv_entry_n_ticks(const moatkv_entry *entry)
{
    return entry->update.ticks.n;
}

int moatkv_entry_tick(const moatkv_entry *entry,
                      size_t i,
                      moatkv_bytes *ret_name,
                      uint64_t *ret_seq,
                      uint64_t *ret_counter)
{
    if (i >= entry->update.ticks.n) {
        return MOATKV_E_BAD_ARGUMENT;
    }
    const struct mkv_tick *tick = &entry->update.ticks.at[i];

    *ret_name = (moatkv_bytes){.at = tick->name.at, .len = tick->name.len};
    *ret_seq = tick->seq;
    *ret_counter = tick->counter;
    return 0;
}

/* Copies @bytes and a NUL to *at, and moves it on. */
static struct mkv_bytes place(uint8_t **at, struct mkv_bytes bytes)
{
    struct mkv_bytes placed = mkv_bytes(*at, bytes.len);

    if (bytes.len > 0) {
        memcpy(*at, bytes.at, bytes.len);
    }
    (*at)[bytes.len] = 0;
    *at += bytes.len + 1;
    return placed;
}

moatkv_entry *moatkv_entry_copy(const moatkv_entry *entry)
{
    const struct mkv_ticks *ticks = &entry->update.ticks;
    size_t n_bytes = entry->path.len + 1 + entry->update.value.len + 1;

    for (uint32_t i = 0; i < ticks->n; i++) {
        n_bytes += ticks->at[i].name.len + 1;
    }
    moatkv_entry *copy = mkv_mem_alloc(sizeof(*copy) + n_bytes);

    if (copy == NULL) {
        return NULL;
    }
    uint8_t *at = (uint8_t *)(copy + 1);

    *copy = *entry;
    copy->path = place(&at, entry->path);
    copy->update.value = place(&at, entry->update.value);
    for (uint32_t i = 0; i < ticks->n; i++) {
        copy->update.ticks.at[i].name = place(&at, ticks->at[i].name);
    }
    return copy;
}

void moatkv_entry_free(moatkv_entry *entry)
{
    mkv_mem_free(entry);
}
