/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests that are linked with `ruled` and run by tests/rules: the rule that is named by RULE_OFF
 * in the environment is off, and only the case named by RULE_CASE is run.
 */
#include <stdlib.h>
#include <string.h>

#include "base/rule.h"
#include "check.h"

static const char *const names[MKV_RULES_N] = {
#define RULE_NAME(name) #name,
    MKV_RULES(RULE_NAME)
#undef RULE_NAME
};

bool mkv_rule_decides(enum mkv_rule rule)
{
    const char *off = getenv("RULE_OFF");

    return off == NULL || strcmp(off, names[rule]) != 0;
}

/* Before main() runs the cases. */
__attribute__((constructor)) static void choose_case(void)
{
    const char *name = getenv("RULE_CASE");

    if (name != NULL) {
        cmocka_set_test_filter(name);
    }
}
