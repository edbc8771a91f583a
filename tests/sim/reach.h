/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a run has come by: the rules that decided something (base/rule.h), and what this list names.
 * Over many seeds each must be reached, or something is not tested at all.
 */
#ifndef MKV_TESTS_SIM_REACH_H
#define MKV_TESTS_SIM_REACH_H

#include "base/rule.h"
#include "fault.h"

/* clang-format off */
#define REACHES(X)                                                                                 \
    X(BROKER_DROPS,      "a broker's queue overflows (hole 13)")                                   \
    X(OVERSIZE,          "a message is too large for a subscriber (16)")                           \
    X(REPEAT_ASKED,      "a server asks for a repeat")                                             \
    X(VOIDED,            "a client says that counters are void (17)")                              \
    X(NACK_FUTURE,       "a tock is refused as too great (1)")                                     \
    X(NACK_VOID,         "a counter is given up (17)")                                             \
    X(STAMPED,           "a missing tock is stamped (2)")                                          \
    X(EQUIVOCATION,      "one dot with different content is merged (4, 20)")                       \
    X(RESTORED,          "a server starts on a restored store (6, 28)")                            \
    X(RESTORED_TWICE,    "... and again from the same backup")                                     \
    X(CLOCK_BACK,        "a clock goes back (9)")                                                  \
    X(CLOCK_AHEAD,       "a clock is far ahead (10)")                                              \
    X(KILLED_OPEN,       "a server is killed with something uncommitted")                          \
    X(KILLED_MUTE,       "a server is killed between commit and speech")                           \
    X(READ_ONLY,         "a server cannot write to its disk (39)")                                 \
    X(ROW_LOST,          "a damaged row is left out (41)")                                         \
    X(RESUMED,           "a client resumes its session")                                           \
    X(CONFLICT,          "a conflict is told to its writer")                                       \
    X(CONFLICT_POSSIBLE, "... of class possible (22)")                                             \
    X(TOMBSTONE,         "an entry is deleted")                                                    \
    X(RECREATED,         "a deleted entry is written again")                                       \
    X(WATCH_REPAIRED,    "a watcher finds that it has missed something")                           \
    X(WATCH_WITHDRAWN,   "a watcher is told that an entry was none")                               \
    X(QUARANTINED,       "an entry is set aside (35)")                                              \
    X(ACCEPTED,          "a restored store starts because it is told to")                           \
    X(REST,              "nothing is left to be forgotten")                                        \
    X(EVICTED,           "a server is evicted (35)")                                               \
    X(HEALED,            "what lies below the floor is read from another")                        \
    X(REOPENED,          "a store is opened again with what it held")                              \
    X(PLACE_HELD,        "a place that was told before is still valid")                            \
    X(PLACE_ENDED,       "... and one is not any more (28)")                                       \
    X(OVERWRITTEN,       "somebody overwrites what he did not know")                               \
    X(FLOOR,             "a floor is raised (34)")                                                  \
    X(QUERIED,           "a client finds its server by MQTT")
/* clang-format on */

enum reach {
#define REACH_NUMBER(id, text) REACH_##id,
    REACHES(REACH_NUMBER)
#undef REACH_NUMBER
    REACHES_N
};

struct reached {
    uint64_t rules[MKV_RULES_N];
    uint64_t of[REACHES_N];
    uint64_t faults[FAULTS_N];
};

static inline void reach(struct reached *reached, enum reach what)
{
    reached->of[what]++;
}

void reach_add(struct reached *sum, const struct reached *one);
const char *reach_text(enum reach what);

/* Says what was never reached; returns how many things that are. */
unsigned reach_report(const struct reached *reached, bool all);

/* The rules of the server's core: all are on, but @off (MKV_RULES_N: none); counts start at 0. */
void rules_reset(enum mkv_rule off);
const uint64_t *rules_counts(void);
enum mkv_rule rule_named(const char *name); /* MKV_RULES_N: there is none of this name */
const char *rule_name(enum mkv_rule rule);

#endif
