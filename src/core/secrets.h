/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the servers know of users' passwords, and give to each other over their links (docs/protocol.md, 12.10).
 *
 * A table by user's name beside the tree, of which each server holds all: of two secrets of one user the one with
 * the greater tock counts, of two with one tock that with the greater bytes.  Nothing is ever told of the secret
 * of somebody who is no user, and when there is no room it goes first.
 */
#ifndef MKV_CORE_SECRETS_H
#define MKV_CORE_SECRETS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "core/now.h"
#include "wire/frame.h"
#include "wire/secret.h"

#define MKV_SECRETS_MAX  4096U /* as many as users */
#define MKV_SECRETS_PAGE 256U  /* told at once */

/* Zeroed is: not looked at yet. */
struct mkv_secrets {
    bool counted;                   /* what follows is of the table as it is ... */
    uint32_t under;                 /* ... with the users of this version of the grants */
    uint32_t n;                     /* all */
    uint8_t digest[MKV_DIGEST_LEN]; /* of those of users; zeros: there is none */
};

struct mkv_server;
struct mkv_server_link;
struct mkv_known;

/* Before a commit, and once at the start: looks what there is, if that has changed. */
int mkv_secrets_refresh(struct mkv_server *server) MKV_MUST_CHECK;

/* What has been stored last may be gone. */
void mkv_secrets_rollback(struct mkv_server *server);

/*
 * A password is set here: from now on this one counts.  TOO_MANY: there are as many users with one as there may
 * be.
 */
int mkv_secrets_set(struct mkv_server *server,
                    struct mkv_now now,
                    const struct mkv_frame_passwd *passwd) MKV_MUST_CHECK;

/* Whether @known has others than we have, which we have not read. */
bool mkv_secrets_wanted(const struct mkv_server *server, const struct mkv_known *known);

/* Another server told us one.  BAD_NUMBER, BAD_NAME: it is none. */
int mkv_secrets_take(struct mkv_server *server,
                     const struct mkv_frame_passwd *secret) MKV_MUST_CHECK;

/* Another server asks for those of the users behind one. */
int mkv_secrets_tell(struct mkv_server *server,
                     const struct mkv_server_link *link,
                     const struct mkv_frame *frame) MKV_MUST_CHECK;

#endif
