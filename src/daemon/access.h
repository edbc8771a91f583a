/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon does for the guard in the broker (docs/protocol.md, section 13):
 *
 *     DIR/guard/rights    who may do what, for us and the broker (wire/rights.h)
 *
 * Credentials are proven by the cluster's keys (wire/ring.h): given by the one in use, good as long
 * as theirs is in the ring.  So what one server gives counts wherever another one's rights do.
 */
#ifndef MKV_DAEMON_ACCESS_H
#define MKV_DAEMON_ACCESS_H

#include "base/bytes.h"
#include "base/error.h"
#include "core/acl.h"
#include "daemon/config.h"
#include "io/why.h"
#include "wire/credential.h"
#include "wire/ring.h"

#define MKV_ACCESS_NAME_MAX (MKV_DAEMON_TEXT_MAX + 32U)
#define MKV_ACCESS_RIGHTS   "guard/rights" /* below the state directory */

struct mkv_access {
    char rights[MKV_ACCESS_NAME_MAX]; /* the file */
    char plugin[MKV_ACCESS_NAME_MAX]; /* of the embedded broker */
    struct mkv_ring keys;             /* for the guard */
};

/*
 * Takes its keys from the cluster's, makes the directory of the rights, and looks for the plugin if
 * the broker is embedded.  IO, NOT_FOUND (no plugin); @why has the mend.
 */
int mkv_access_init(struct mkv_access *access,
                    const struct mkv_daemon_config *config,
                    const struct mkv_ring *ring,
                    struct mkv_why *why) MKV_MUST_CHECK;

/* Others from now on: write the rights anew, so that the guard knows them. */
void mkv_access_keys(struct mkv_access *access, const struct mkv_ring *ring);

/* Forgets the keys. */
void mkv_access_deinit(struct mkv_access *access);

/*
 * Replaces the file of rights by one with the users and rules of @acl (NULL: there are none); it is
 * on the disk then, and the guard sees it whole.  IO, TOO_LARGE, NO_MEMORY: the old one stays.
 */
int mkv_access_write(const struct mkv_access *access,
                     const struct mkv_daemon_config *config,
                     const struct mkv_acl *acl,
                     struct mkv_why *why) MKV_MUST_CHECK;

/* How the server itself connects to the broker: as one that has the key anyway, for ever. */
struct mkv_access_login {
    char client_id[MKV_CLIENT_ID_MAX + 1];
    char password[MKV_PASSWORD_LEN + 1];
};
void mkv_access_login(const struct mkv_access *access,
                      const char *name,
                      uint32_t mark,
                      struct mkv_access_login *ret_login);

#endif
