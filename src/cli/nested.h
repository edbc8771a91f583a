/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A subtree as one JSON or YAML document on an output (cli/document.h).
 */
#ifndef MKV_CLI_NESTED_H
#define MKV_CLI_NESTED_H

#include "base/error.h"
#include "cli/cli.h"
#include "cli/place.h"

/*
 * Reads what @how asks for, and writes it in cli->format.  *ret_n: how many entries there were;
 * without any, nothing is written.
 */
enum mkv_exit mkv_nested_put(struct mkv_cli *cli,
                             const struct mkv_place *place,
                             const moatkv_read_how *how,
                             struct mkv_out *out,
                             uint64_t *ret_n) MKV_MUST_CHECK;

#endif
