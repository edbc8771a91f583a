/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gateway at work: moves what gate/gate.h says between a broker's topics and a server.
 */
#ifndef MKV_CLI_GATE_RUN_H
#define MKV_CLI_GATE_RUN_H

#include "base/error.h"
#include "cli/cli.h"

struct mkv_gate_run_options {
    const char *broker;       /* address; NULL: the default */
    const char *user;         /* to log in there as, with MOAT_KV_GATE_PASSWORD; NULL: without */
    const char *name;         /* of the gateway; NULL: the name of the machine */
    const char *const *rules; /* the names of those to follow ... */
    unsigned n_rules;         /* ... 0: all */
};

/*
 * Goes on until a signal comes, which is no failure.  Rules that change are followed at once; those
 * that are wrong are told in the status.  The session is open, and is closed at the end.
 */
enum mkv_exit mkv_gate_run(struct mkv_cli *cli,
                           const struct mkv_gate_run_options *how) MKV_MUST_CHECK;

#endif
