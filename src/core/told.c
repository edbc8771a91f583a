/* SPDX-License-Identifier: Apache-2.0 */
#include "core/told.h"

#include "base/mem.h"

struct mkv_told_one {
    struct mkv_told_one *next;
    uint64_t id;
    uint64_t more;
};

static void forget_first(struct mkv_told *told)
{
    struct mkv_told_one *one = told->first;

    told->first = one->next;
    if (told->first == NULL) {
        told->last = NULL;
    }
    (void)mkv_map_remove(&told->by_id, one->id);
    mkv_mem_free(one);
}

static int add(struct mkv_told *told, uint64_t id, uint64_t more)
{
    struct mkv_told_one *one = mkv_mem_alloc(sizeof(*one));

    if (one == NULL) {
        return MKV_E_NO_MEMORY;
    }
    one->id = id;
    one->more = more;
    told->by_id.n_max = MKV_TOLD_MAX + 1;

    int error = mkv_map_add(&told->by_id, id, one);

    if (error != 0) {
        mkv_mem_free(one);
        return error;
    }
    if (told->last == NULL) {
        told->first = one;
    } else {
        told->last->next = one;
    }
    told->last = one;
    if (told->by_id.n > MKV_TOLD_MAX) {
        forget_first(told);
    }
    return 0;
}

int mkv_told_note(struct mkv_told *told, uint64_t id, uint64_t more, bool *ret_news)
{
    struct mkv_told_one *one = mkv_map_get(&told->by_id, id);

    if (one == NULL) {
        int error = add(told, id, more);

        if (error == 0) {
            *ret_news = true;
        }
        return error;
    }
    *ret_news = more > one->more;
    if (more > one->more) {
        one->more = more;
    }
    return 0;
}

void mkv_told_deinit(struct mkv_told *told)
{
    while (told->first != NULL) {
        forget_first(told);
    }
    mkv_map_deinit(&told->by_id);
}
