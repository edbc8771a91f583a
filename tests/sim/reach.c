/* SPDX-License-Identifier: Apache-2.0 */
#include "reach.h"

#include <stdio.h>

static const char *const texts[REACHES_N] = {
#define REACH_TEXT(id, text) text,
    REACHES(REACH_TEXT)
#undef REACH_TEXT
};

static const char *const rule_names[MKV_RULES_N] = {
#define RULE_NAME(name) #name,
    MKV_RULES(RULE_NAME)
#undef RULE_NAME
};

static uint64_t counts[MKV_RULES_N];
static enum mkv_rule rule_off = MKV_RULES_N;

bool mkv_rule_decides(enum mkv_rule rule)
{
    counts[rule]++;
    return rule != rule_off;
}

void rules_reset(enum mkv_rule off)
{
    memset(counts, 0, sizeof(counts));
    rule_off = off;
}

const uint64_t *rules_counts(void)
{
    return counts;
}

const char *rule_name(enum mkv_rule rule)
{
    return rule_names[rule];
}

enum mkv_rule rule_named(const char *name)
{
    unsigned i = 0;

    while (i < MKV_RULES_N && strcmp(rule_names[i], name) != 0) {
        i++;
    }
    return (enum mkv_rule)i;
}

const char *reach_text(enum reach what)
{
    return texts[what];
}

void reach_add(struct reached *sum, const struct reached *one)
{
    for (unsigned i = 0; i < MKV_RULES_N; i++) {
        sum->rules[i] += one->rules[i];
    }
    for (unsigned i = 0; i < REACHES_N; i++) {
        sum->of[i] += one->of[i];
    }
    for (unsigned i = 0; i < FAULTS_N; i++) {
        sum->faults[i] += one->faults[i];
    }
}

static unsigned show(const char *kind, const char *name, uint64_t n, bool all)
{
    if (all) {
        printf("%12llu  %s %s\n", (unsigned long long)n, kind, name);
    } else if (n == 0) {
        printf("never reached: %s %s\n", kind, name);
    }
    return n == 0;
}

unsigned reach_report(const struct reached *reached, bool all)
{
    unsigned missing = 0;

    for (unsigned i = 0; i < FAULTS_N; i++) {
        missing += show("fault", fault_name((enum fault)i), reached->faults[i], all);
    }
    for (unsigned i = 0; i < MKV_RULES_N; i++) {
        missing += show("rule", rule_names[i], reached->rules[i], all);
    }
    for (unsigned i = 0; i < REACHES_N; i++) {
        bool missed = show("state:", texts[i], reached->of[i], all || i == REACH_HEALED);

        missing += missed && i != REACH_HEALED; /* the less often, the better */
    }
    return missing;
}
