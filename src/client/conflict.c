/* SPDX-License-Identifier: Apache-2.0 */
#include "client/conflict.h"

uint64_t moatkv_conflict_id(const moatkv_conflict *conflict)
{
    return conflict->id;
}

int moatkv_conflict_possible(const moatkv_conflict *conflict)
{
    return conflict->possible;
}

uint64_t moatkv_conflict_tock(const moatkv_conflict *conflict)
{
    return conflict->when;
}

uint64_t moatkv_conflict_more(const moatkv_conflict *conflict)
{
    return conflict->more;
}

const moatkv_entry *moatkv_conflict_loser(const moatkv_conflict *conflict)
{
    return &conflict->loser;
}

const moatkv_entry *moatkv_conflict_winner(const moatkv_conflict *conflict)
{
    return &conflict->winner;
}

void mkv_conflict_present(struct moatkv_conflict *conflict,
                          const struct mkv_client_output *output,
                          struct mkv_buf *path)
{
    *conflict = (struct moatkv_conflict){
        .id = output->conflict.id,
        .when = output->conflict.when,
        .more = output->conflict.more,
        .possible = output->conflict.class_ != 0,
    };
    mkv_entry_present(&conflict->loser, output->key, output->entry, path);
    conflict->winner =
        (struct moatkv_entry){.path = conflict->loser.path, .update = *output->winner};
}
