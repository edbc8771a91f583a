/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of gateways and what gateways say of themselves, as the tree has them
 * (docs/gateway.md), for `moat-kv gate`.
 */
#ifndef MKV_CLI_GATE_RULES_H
#define MKV_CLI_GATE_RULES_H

#include "base/error.h"
#include "cli/cli.h"
#include "cli/known.h"
#include "gate/rule.h"

#define MKV_GATE_RULES_PATH  ":n.gate"
#define MKV_GATE_STATUS_PATH ":n.gate-status"

/* Reads all entries below @path, which is one of the above. */
enum mkv_exit mkv_gate_rules_read(struct mkv_cli *cli,
                                  const char *path,
                                  struct mkv_known *known) MKV_MUST_CHECK;

/* The name in the path of a rule; empty if it is no path of one.  Borrowed from @room. */
struct mkv_bytes mkv_gate_rules_name(const struct mkv_known *known,
                                     const struct mkv_known_row *row,
                                     struct mkv_buf *room);

/* The live row of that name; NULL: there is none. */
struct mkv_known_row *mkv_gate_rules_find(const struct mkv_known *known, const char *name);

/* Reads the row as a rule; deinitialise in any case. */
int mkv_gate_rules_parse(const struct mkv_known *known,
                         const struct mkv_known_row *row,
                         struct mkv_gate_rule *rule,
                         struct mkv_problem *problem) MKV_MUST_CHECK;

/* The place of a rule. */
enum mkv_exit mkv_gate_rules_place(const char *name, struct mkv_place *place) MKV_MUST_CHECK;

#endif
