/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server_state.h"

/*
 * Links that are open when users, rights or passwords change (docs/protocol.md, 13.2).
 */
#define RIGHTS_PAUSE_MS 1000 /* between two `rights`: many rules are often changed at once */

static bool is_user(const struct mkv_server_link *link)
{
    return link->state == LINK_OPEN && link->user[0] != '\0';
}

/* Whether it would still be let in, in the way it was. */
static bool may_stay(const struct mkv_server *server, const struct mkv_server_link *link)
{
    const struct mkv_acl *acl = server->grants.acl;
    const struct mkv_acl_user *user = mkv_acl_user(acl, mkv_bytes_of(link->user));

    if (user == NULL || user->off) {
        return false;
    }
    return !link->has_uid || link->by_password || mkv_acl_user_of_uid(acl, link->uid) == user;
}

static void send_away(struct mkv_server *server, struct mkv_server_link *link, const char *why)
{
    mkv_effect_log(server->effects, MKV_LOG_INFO, "link %llu: '%s' has to leave: %s",
                   (unsigned long long)link->number, link->user, why);
    mkv_server_send_error(server, link, 0, MKV_E_NOT_AUTHORISED, why);
}

static void tell_rights(struct mkv_server *server, struct mkv_now now)
{
    const struct mkv_frame frame = {.kind = MKV_FRAME_RIGHTS};
    size_t cursor = 0;
    struct mkv_server_link *link;

    while ((link = mkv_map_each(&server->links, &cursor)) != NULL) {
        if (is_user(link)) {
            mkv_effect_send(server->effects, link->number, &frame);
        }
    }
    server->rights_due = false;
    server->rights_ms = now.ms + RIGHTS_PAUSE_MS;
}

void mkv_users_time(struct mkv_server *server, struct mkv_now now)
{
    if (server->rights_due && now.ms >= server->rights_ms) {
        tell_rights(server, now);
    } else if (server->rights_due) {
        mkv_server_wake_at(server, server->rights_ms);
    }
}

void mkv_users_settle(struct mkv_server *server, struct mkv_now now)
{
    size_t cursor = 0;
    struct mkv_server_link *link;

    if (server->users_version == server->grants.n_versions) {
        return;
    }
    server->users_version = server->grants.n_versions;
    while ((link = mkv_map_each(&server->links, &cursor)) != NULL) {
        if (is_user(link) && !may_stay(server, link)) {
            send_away(server, link, "not authorised: this user may not be here any more");
        }
    }
    server->rights_due = true;
    mkv_users_time(server, now);
}

/* Whoever is just logging in may be doing so by the password that was. */
static bool is_logging_in(const struct mkv_server_link *link)
{
    return link->state == LINK_JUDGING || link->state == LINK_ANSWERING;
}

void mkv_users_password(struct mkv_server *server,
                        const struct mkv_server_link *by,
                        struct mkv_bytes name)
{
    size_t cursor = 0;
    struct mkv_server_link *link;

    while ((link = mkv_map_each(&server->links, &cursor)) != NULL) {
        if (is_logging_in(link)) {
            mkv_server_send_error(server, link, 0, MKV_E_BUSY,
                                  "a password was set meanwhile: try again");
        } else if (link != by && is_user(link) && link->by_password &&
                   mkv_bytes_equal(mkv_bytes_of(link->user), name)) {
            send_away(server, link, "not authorised: the password was changed");
        }
    }
}
