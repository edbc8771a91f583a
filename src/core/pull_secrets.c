/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server_state.h"

/*
 * Reading what another server knows of users' passwords, before all else (docs/protocol.md, 12.10).
 */
static void ask(struct mkv_server *server)
{
    struct mkv_pull *pull = &server->cluster.pull;
    const struct mkv_frame frame = {
        .kind = MKV_FRAME_SECRETS,
        .id = ++pull->id,
        .passwd = {.user = mkv_bytes_of(pull->user)},
    };

    mkv_effect_send(server->effects, pull->link, &frame);
    pull->step = MKV_PULL_SECRETS;
    pull->n_secrets = 0;
}

bool mkv_pull_begin_secrets(struct mkv_server *server)
{
    struct mkv_pull *pull = &server->cluster.pull;
    const struct mkv_known *known = mkv_actor_find(&server->cluster, pull->uuid);

    if (known == NULL || !mkv_secrets_wanted(server, known)) {
        return false;
    }
    memcpy(pull->secrets, known->ping.secrets, sizeof(pull->secrets));
    pull->user[0] = '\0';
    ask(server);
    return true;
}

/* They ascend, so that there is an end to them. */
static int take_secret(struct mkv_server *server, const struct mkv_frame_passwd *secret)
{
    struct mkv_pull *pull = &server->cluster.pull;

    if (!mkv_acl_name_valid(secret->user) || pull->n_secrets == MKV_SECRETS_PAGE ||
        mkv_bytes_compare(secret->user, mkv_bytes_of(pull->user)) <= 0) {
        return MKV_E_MALFORMED;
    }
    memcpy(pull->user, secret->user.at, secret->user.len);
    pull->user[secret->user.len] = '\0';
    pull->n_secrets++;
    return mkv_secrets_take(server, secret);
}

static int take_end(struct mkv_server *server, struct mkv_now now, const struct mkv_frame_end *tail)
{
    struct mkv_pull *pull = &server->cluster.pull;
    struct mkv_known *known = mkv_actor_find(&server->cluster, pull->uuid);

    if (tail->n_rows != pull->n_secrets) {
        return MKV_E_MALFORMED;
    }
    if (pull->n_secrets == MKV_SECRETS_PAGE) { /* there may be more */
        ask(server);
        return 0;
    }
    if (known != NULL) {
        known->has_read_secrets = true;
        memcpy(known->read_secrets, pull->secrets, sizeof(pull->secrets));
    }
    return mkv_pull_begin(server, now);
}

int mkv_pull_secret(struct mkv_server *server, struct mkv_now now, const struct mkv_frame *frame)
{
    if (frame->kind == MKV_FRAME_SECRET) {
        return take_secret(server, &frame->passwd);
    }
    return frame->kind == MKV_FRAME_END ? take_end(server, now, &frame->end) : MKV_E_UNEXPECTED;
}
