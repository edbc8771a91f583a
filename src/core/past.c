/* SPDX-License-Identifier: Apache-2.0 */
#include "core/past.h"

#include "base/mem.h"

void mkv_past_deinit(struct mkv_past *past)
{
    mkv_mem_free(past->at);
    *past = (struct mkv_past){0};
}

int mkv_past_add(struct mkv_past *past, struct mkv_digest digest)
{
    if (past->at == NULL) {
        past->at = mkv_mem_alloc(MKV_PAST_MAX * sizeof(*past->at));
        if (past->at == NULL) {
            return MKV_E_NO_MEMORY;
        }
    }
    past->at[past->next] = digest;
    past->next = (past->next + 1) % MKV_PAST_MAX;
    if (past->n < MKV_PAST_MAX) {
        past->n++;
    }
    return 0;
}

bool mkv_past_has(const struct mkv_past *past, struct mkv_digest digest)
{
    for (uint32_t i = 0; i < past->n; i++) {
        if (past->at[i].high == digest.high && past->at[i].low == digest.low) {
            return true;
        }
    }
    return false;
}

void mkv_past_clear(struct mkv_past *past)
{
    past->n = 0;
    past->next = 0;
}
