/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The servers of the cluster, as the one that we are connected to knows them.
 */
#ifndef MKV_CLI_ROSTER_H
#define MKV_CLI_ROSTER_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "cli/cli.h"

#define MKV_ROSTER_MAX (64U << 20) /* bytes of all reports; a server knows a few thousand at most */

/* Zeroed is empty. */
struct mkv_roster {
    struct mkv_buf reports; /* owned: one behind the other */
    struct mkv_bytes *at;   /* owned: each of them, in the order of their names */
    size_t n;
};

/* Asks for them, and tells the user if that fails. */
enum mkv_exit mkv_roster_read(struct mkv_roster *roster, struct mkv_cli *cli) MKV_MUST_CHECK;
void mkv_roster_deinit(struct mkv_roster *roster);

#endif
