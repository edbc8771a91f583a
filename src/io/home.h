/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a server keeps its state unless told otherwise, and so where a client looks for its link.
 */
#ifndef MKV_IO_HOME_H
#define MKV_IO_HOME_H

#include <stddef.h>

#include "base/error.h"
#include "io/why.h"

#define MKV_HOME_SYSTEM                                                                            \
    "/var/lib/moat-kv" /* the state of a server that root, or systemd, started */

/*
 * Writes the state directory of the present user: $XDG_STATE_HOME/moat-kv or
 * $HOME/.local/state/moat-kv, and for root MKV_HOME_SYSTEM.  BAD_STATE if there is no home, TOO_LARGE; the text is in
 * @why (may be NULL).
 */
int mkv_home_state(char *out, size_t size, struct mkv_why *why) MKV_MUST_CHECK;

#endif
