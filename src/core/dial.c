/* SPDX-License-Identifier: Apache-2.0 */
#include "core/dial.h"

#include <string.h>

void mkv_fault_set(struct mkv_fault *fault, int error, struct mkv_bytes why)
{
    size_t len = why.len < MKV_DIAL_WHY_MAX ? why.len : MKV_DIAL_WHY_MAX;

    fault->error = error;
    fault->len = (uint32_t)len;
    if (len > 0) {
        memcpy(fault->why, why.at, len);
    }
}

static struct mkv_bytes text_of(const struct mkv_dial_address *address)
{
    return mkv_bytes(address->text, address->len);
}

static bool holds(const struct mkv_dial *dial, struct mkv_bytes address)
{
    for (uint32_t i = 0; i < dial->n; i++) {
        if (mkv_bytes_equal(text_of(&dial->at[i]), address)) {
            return true;
        }
    }
    return false;
}

static void append(struct mkv_dial *dial, struct mkv_bytes address)
{
    struct mkv_dial_address *new = &dial->at[dial->n++];

    *new = (struct mkv_dial_address){.len = (uint32_t)address.len};
    memcpy(new->text, address.at, address.len);
}

int mkv_dial_add(struct mkv_dial *dial, struct mkv_bytes address)
{
    if (dial->n_configured == MKV_ADDRESSES_MAX) {
        return MKV_E_TOO_MANY;
    }
    if (address.len == 0 || address.len > MKV_ADDRESS_LEN_MAX) {
        return MKV_E_TOO_LARGE;
    }
    append(dial, address);
    dial->n_configured++;
    return 0;
}

void mkv_dial_learn(struct mkv_dial *dial, const struct mkv_addresses *addresses, int64_t now_ms)
{
    uint32_t n_configured = dial->n_configured;

    dial->n = n_configured;
    for (uint32_t i = 0; i < addresses->n; i++) {
        struct mkv_bytes address = addresses->at[i];

        if (address.len > 0 && address.len <= MKV_ADDRESS_LEN_MAX && !holds(dial, address)) {
            append(dial, address);
        }
    }
    dial->first = dial->n > n_configured ? n_configured : 0;
    dial->tried = 0;
    dial->next_ms = now_ms;
}

static uint32_t turn(const struct mkv_dial *dial)
{
    if (dial->tried == 0) {
        return dial->first;
    }
    /* The others in their order: the first one is taken out of it. */
    return dial->tried <= dial->first ? dial->tried - 1 : dial->tried;
}

struct mkv_bytes mkv_dial_next(const struct mkv_dial *dial)
{
    return text_of(&dial->at[turn(dial)]);
}

bool mkv_dial_is_learned(const struct mkv_dial *dial)
{
    return turn(dial) >= dial->n_configured;
}

static int64_t pause_ms(uint32_t n_rounds, uint64_t jitter)
{
    uint32_t doublings = n_rounds < 6 ? n_rounds : 6;
    int64_t pause = (int64_t)MKV_DIAL_PAUSE_MIN << doublings;

    if (pause > MKV_DIAL_PAUSE_MAX) {
        pause = MKV_DIAL_PAUSE_MAX;
    }
    return pause / 2 + (int64_t)(jitter % (uint64_t)(pause / 2 + 1));
}

void mkv_dial_failed(struct mkv_dial *dial,
                     int64_t now_ms,
                     const struct mkv_fault *fault,
                     uint64_t jitter)
{
    dial->at[turn(dial)].fault = *fault;
    dial->tried++;
    if (dial->tried < dial->n) {
        dial->next_ms = now_ms;
        return;
    }
    dial->next_ms = now_ms + pause_ms(dial->n_rounds, jitter);
    dial->tried = 0;
    dial->n_rounds++;
}

void mkv_dial_settled(struct mkv_dial *dial)
{
    dial->first = turn(dial);
    dial->tried = 0;
    dial->n_rounds = 0;
    dial->next_ms = 0;
}
