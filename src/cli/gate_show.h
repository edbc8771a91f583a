/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `moat-kv gate` prints: rules, what a rule would do, how gateways are.
 */
#ifndef MKV_CLI_GATE_SHOW_H
#define MKV_CLI_GATE_SHOW_H

#include "base/error.h"
#include "cli/cli.h"

enum mkv_exit mkv_gate_show_rules(struct mkv_cli *cli, const char *name) MKV_MUST_CHECK;
enum mkv_exit mkv_gate_show_status(struct mkv_cli *cli) MKV_MUST_CHECK;

/* What the rule would do with a message; NOT_FOUND: its topic is not of the rule's. */
enum mkv_exit mkv_gate_show_message(struct mkv_cli *cli,
                                    const char *name,
                                    const char *topic,
                                    const char *payload) MKV_MUST_CHECK;
/* What it would do with an entry; @value NULL: it is deleted. */
enum mkv_exit mkv_gate_show_entry(struct mkv_cli *cli,
                                  const char *name,
                                  const char *path,
                                  const char *value) MKV_MUST_CHECK;

#endif
