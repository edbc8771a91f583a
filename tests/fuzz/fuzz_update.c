/* SPDX-License-Identifier: Apache-2.0 */
/* Updates: what is accepted encodes to a message that means the same, and its value survives. */
#include "base/assert.h"
#include "base/limits.h"
#include "fuzz.h"
#include "wire/messages.h"

/* Nothing that is read lies outside of what was received. */
static void check_inside(struct mkv_bytes part, struct mkv_bytes whole)
{
    MKV_ASSERT(part.len == 0 ||
               (part.at >= whole.at && part.at + part.len <= whole.at + whole.len));
}

static void check_content(const struct mkv_update *update, struct mkv_bytes in)
{
    MKV_ASSERT(update->tock <= MKV_INTEGER_MAX);
    MKV_ASSERT(update->has_tock || update->tock == 0);
    MKV_ASSERT(update->present == (update->value.len > 0));
    MKV_ASSERT(!update->present || mkv_cbor_check(update->value) == 0);
    check_inside(update->value, in);
    MKV_ASSERT(update->ticks.n >= 1 && update->ticks.n <= MKV_TICKS_MAX);
    for (uint32_t i = 0; i < update->ticks.n; i++) {
        MKV_ASSERT(mkv_name_valid(update->ticks.at[i].name));
        MKV_ASSERT(update->ticks.at[i].counter >= 1);
        check_inside(update->ticks.at[i].name, in);
    }
}

static void check_again(const struct mkv_update *update)
{
    struct mkv_update again;
    struct mkv_buf out;

    mkv_buf_init(&out, MKV_UPDATE_MAX);
    MKV_ASSERT(mkv_update_encode(update, &out) == 0);
    MKV_ASSERT(mkv_update_decode(mkv_buf_bytes(&out), &again) == 0);
    MKV_ASSERT(messages_same_update(update, &again));
    mkv_buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mkv_bytes in = mkv_bytes(data, size);
    struct mkv_update update;
    struct mkv_tick dot;
    bool found = mkv_update_find_dot(in, &dot);

    if (found) {
        MKV_ASSERT(mkv_name_valid(dot.name) && dot.counter >= 1);
        check_inside(dot.name, in);
    }
    if (mkv_update_decode(in, &update) == 0) {
        MKV_ASSERT(found && mkv_tick_equal(&dot, &update.ticks.at[0]));
        check_content(&update, in);
        check_again(&update);
    }
    return 0;
}
