/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cluster's topic root, as the server tells it.
 */
#ifndef MKV_CLI_ROOT_H
#define MKV_CLI_ROOT_H

#include "base/buf.h"
#include "base/error.h"
#include "cli/cli.h"

/* Appends it to @root. */
enum mkv_exit mkv_root_ask(struct mkv_cli *cli, struct mkv_buf *root) MKV_MUST_CHECK;

#endif
