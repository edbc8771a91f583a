/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "core/server_state.h"
#include "wire/path.h"

/*
 * What users may ask and write (docs/protocol.md, section 13).  Links of the server's own user and of
 * other servers have no user, and may do everything.
 */

int mkv_grants_asker(struct mkv_server *server,
                     const struct mkv_session *session,
                     struct mkv_asker *ret_asker)
{
    int error;

    *ret_asker = (struct mkv_asker){.acl = NULL};
    if (session == NULL || session->user[0] == '\0') {
        return 0;
    }
    error = mkv_grants_refresh(&server->grants, server->store, server->effects);
    ret_asker->acl = server->grants.acl;
    ret_asker->user = mkv_bytes_of(session->user);
    return error;
}

int mkv_grants_read_path(struct mkv_server *server,
                         const struct mkv_session *session,
                         struct mkv_bytes key,
                         enum mkv_right right,
                         bool *ret_may)
{
    struct mkv_asker asker;
    int error = mkv_grants_asker(server, session, &asker);

    *ret_may = right == MKV_RIGHT_READ ? mkv_asker_below(&asker, key, right) != MKV_ACL_NONE
                                       : mkv_asker_may(&asker, key, right);
    return error;
}

int mkv_grants_servers(struct mkv_server *server, const struct mkv_session *session, bool *ret_may)
{
    struct mkv_asker asker;
    struct mkv_buf from;
    struct mkv_buf to;
    int error = mkv_grants_asker(server, session, &asker);

    mkv_buf_init(&from, MKV_PATH_KEY_MAX);
    mkv_buf_init(&to, MKV_PATH_KEY_MAX);
    if (error == 0) {
        error = mkv_members_range(&from, &to);
    }
    *ret_may = error == 0 && mkv_asker_may(&asker, mkv_buf_bytes(&from), MKV_RIGHT_ADMIN);
    mkv_buf_deinit(&to);
    mkv_buf_deinit(&from);
    return error;
}

/* --- Updates ------------------------------------------------------------------------------ */

static enum mkv_right needed(const struct mkv_server *server,
                             struct mkv_bytes key,
                             const struct mkv_update *update)
{
    struct mkv_tree_entry held;

    if (key.len > 0 && key.at[0] == 0x10) { /* the meta tree */
        return MKV_RIGHT_ADMIN;
    }
    if (!update->present) {
        return MKV_RIGHT_DELETE;
    }
    return mkv_tree_find(mkv_store_tree(server->store), key, &held) && held.head.present
               ? MKV_RIGHT_WRITE
               : MKV_RIGHT_CREATE;
}

int mkv_grants_judge(struct mkv_server *server,
                     const struct mkv_session *session,
                     struct mkv_bytes key,
                     const struct mkv_update *update,
                     bool *ret_may)
{
    struct mkv_asker asker;
    int error = mkv_grants_asker(server, session, &asker);

    *ret_may = error == 0 && mkv_asker_may(&asker, key, needed(server, key, update));
    return error;
}

/* What is held now, or a deletion where there is nothing, behind @update. */
static int make_back(struct mkv_server *server,
                     struct mkv_now now,
                     const struct mkv_tree_entry *held,
                     const struct mkv_update *update,
                     struct mkv_buf *value,
                     struct mkv_update *ret_back)
{
    struct mkv_bytes key;
    struct mkv_update row;
    int error = 0;

    mkv_tock_see(&server->tock, update->tock);
    *ret_back =
        (struct mkv_update){.has_tock = true, .tock = mkv_tock_next(&server->tock, now.wall_ms)};
    ret_back->ticks.at[0] = (struct mkv_tick){server->config.name, 0, ret_back->tock};
    ret_back->ticks.at[1] = update->ticks.at[0];
    ret_back->ticks.n = 2;
    if (held == NULL || !held->head.present) {
        return 0;
    }
    error = mkv_store_row(server->store, held->position, &key, &row);
    if (error == 0) {
        error = mkv_buf_append(value, row.value);
    }
    ret_back->present = true;
    ret_back->value = mkv_buf_bytes(value);
    return error;
}

/* What was there is known to the update that brings it back, unless it is of the same stream. */
static void name_held(const struct mkv_tree_entry *held, struct mkv_update *back)
{
    struct mkv_tick known = {held->head.name, held->head.seq, held->head.counter};

    for (uint32_t i = 0; i < back->ticks.n; i++) {
        if (mkv_tick_same_stream(&back->ticks.at[i], &known)) {
            return;
        }
    }
    back->ticks.at[back->ticks.n++] = known;
}

int mkv_grants_put_back(struct mkv_server *server,
                        struct mkv_now now,
                        struct mkv_bytes key,
                        const struct mkv_update *update)
{
    struct mkv_head head = mkv_head_of(update);
    struct mkv_tree_entry held;
    struct mkv_update back;
    struct mkv_buf value;
    bool found = mkv_tree_find(mkv_store_tree(server->store), key, &held);
    int error;

    if (found && mkv_head_compare(&held.head, &head) >= 0) {
        return 0; /* it loses everywhere */
    }
    mkv_buf_init(&value, MKV_VALUE_MAX);
    error = make_back(server, now, found ? &held : NULL, update, &value, &back);
    if (error == 0) {
        if (found) {
            name_held(&held, &back);
        }
        server->counts.put_back++;
        mkv_effect_publish(server->effects, key, &back);
        error = mkv_ingest_merge(server, now, key, &back);
    } else if (error == MKV_E_CORRUPT) { /* it cannot be read any more: nobody has it from us */
        error = 0;
    }
    mkv_buf_deinit(&value);
    return error;
}
