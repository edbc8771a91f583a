/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cluster's keys on disk: DIR/cluster.key, for the server's own user alone (wire/ring.h).
 */
#ifndef MKV_DAEMON_KEYRING_H
#define MKV_DAEMON_KEYRING_H

#include "base/error.h"
#include "daemon/config.h"
#include "io/why.h"
#include "wire/ring.h"

#define MKV_KEYRING_NAME_MAX (MKV_DAEMON_TEXT_MAX + 32U)

/*
 * The keys to start with: those of the file, and of the token that config->join_file names (then
 * they are written at once).  *ret_founds: there was neither, and the key is a new one, to be
 * written by mkv_keyring_save() as soon as the server serves; so one that cannot join the servers
 * that are there leaves no key that would be in the way.
 *
 * IO; MALFORMED: damaged, or a mistake in the token; NOT_AUTHORISED: others could read the file;
 * UNEXPECTED: the token is for another cluster or root.  @why has the mend; no file is changed then.
 */
int mkv_keyring_open(const struct mkv_daemon_config *config,
                     struct mkv_ring *ret_ring,
                     bool *ret_founds,
                     struct mkv_why *why) MKV_MUST_CHECK;

/* Reads the file again.  Errors as above, and IO if there is none. */
int mkv_keyring_read(const char *state,
                     struct mkv_ring *ret_ring,
                     struct mkv_why *why) MKV_MUST_CHECK;

/* Replaces the file; it is on the disk then.  IO. */
int mkv_keyring_save(const char *state,
                     const struct mkv_ring *ring,
                     struct mkv_why *why) MKV_MUST_CHECK;

/* `moat-kvd key`, from the word "key" on.  BAD_ARGUMENT: wrong use. */
int mkv_keyring_command(int argc, char **argv, struct mkv_why *why) MKV_MUST_CHECK;

#endif
