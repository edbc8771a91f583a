/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a gateway writes about itself into [null, "gate-status", NAME] and below
 * (docs/gateway.md): one map for itself, and one for each rule.
 */
#ifndef MKV_CLI_GATE_REPORT_H
#define MKV_CLI_GATE_REPORT_H

#include "base/buf.h"
#include "base/error.h"
#include "cli/cli.h"
#include "gate/gate.h"
#include "gate/rule.h"

#define MKV_GATE_REPORTS_MAX (2U * MKV_GATE_RULES_MAX + 1U)

struct mkv_gate_reports {
    struct mkv_cli *cli;                          /* borrowed */
    const char *gate;                             /* its name; borrowed */
    struct mkv_buf written[MKV_GATE_REPORTS_MAX]; /* owned: what the tree has been told */
    unsigned n;                                   /* of these, the present round */
    unsigned n_flying;
};

void mkv_gate_reports_init(struct mkv_gate_reports *reports, struct mkv_cli *cli, const char *gate);
void mkv_gate_reports_deinit(struct mkv_gate_reports *reports);

/* A round: each report is written unless it is as it was.  They come in the same order each time. */
void mkv_gate_reports_begin(struct mkv_gate_reports *reports);
void mkv_gate_report_self(struct mkv_gate_reports *reports, const char *state, const char *problem);
void mkv_gate_report_rule(struct mkv_gate_reports *reports, const struct mkv_gate_report *report);
void mkv_gate_report_bad(struct mkv_gate_reports *reports, const char *rule, const char *problem);

/* Removes what there is about rules that are gone; @keep says which are not. */
enum mkv_exit mkv_gate_reports_tidy(struct mkv_gate_reports *reports,
                                    bool (*keep)(const void *context, struct mkv_bytes rule),
                                    const void *context) MKV_MUST_CHECK;

#endif
