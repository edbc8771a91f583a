/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Marks where a rule of the algorithm decides:
 *
 *     if (update->tock <= server->floor && MKV_RULE(FLOOR_REFUSES)) {
 *
 * It is true, and costs nothing.  Only tests (tests/rules, tests/sim) build the sources with a body
 * for it: that counts how often each rule had something to decide, and can switch one off, to prove
 * that its absence is noticed.  So it stands behind the other conditions, and a rule that is
 * switched off must leave a program that runs.
 */
#ifndef MKV_BASE_RULE_H
#define MKV_BASE_RULE_H

#include <stdbool.h>

/* clang-format off */
#define MKV_RULES(X)                                                                               \
    X(ORDER_TOTAL)     /* K goes on behind the tock */                                             \
    X(ORDER_VALUE)     /* K ends with the value's hash */                                          \
    X(TOCK_FOLLOWS)    /* a server's tock goes on behind each that it has seen */                  \
    X(TOCK_KEPT)       /* ... and each that it gave before it was started again */                 \
    X(CONFLICT_TOLD)   /* whoever is overwritten by one who did not know it is in conflict */      \
    X(CONFLICT_KNOWN)  /* ... but not by one who did */                                            \
    X(CONFLICT_CUT)    /* ... nor for certain, where not all is told that was known */             \
    X(HORIZON_REFUSES) /* an update from MQTT below the horizon is refused */                      \
    X(FUTURE_REFUSES)  /* ... and one far above the clock */                                       \
    X(STAMP_ONCE)      /* a repeat of an update without a tock is not stamped again */             \
    X(STAMP_OWNER)     /* only the server named in it stamps it, while that is there */            \
    X(JOIN_FIRST)      /* no ACK, number, duty before the state is that of the others */           \
    X(JOIN_MARKER)     /* a joiner reads after its ping was seen on the other's side */            \
    X(JOIN_KNOWN)      /* what an unknown joiner has is frozen up to the horizon, not the floor */ \
    X(JOIN_UNSURE)     /* whoever may not be what the others know joins as unknown */              \
    X(RESTORED_WAITS)  /* a store that is a copy of an earlier state does not start alone */       \
    X(PLACE_NONCE)     /* a place counts only within its boot's range */                           \
    X(PLACE_ENDS)      /* ... and as long as nothing was removed that is told to nobody */         \
    X(PULL_ATOMIC)     /* the checkpoint is committed with the data it stands for */               \
    X(MARK_BEFORE)     /* a pull completes up to the horizon of before it */                       \
    X(MARK_MEMBERS)    /* ... if both agree on who the members are */                              \
    X(MEMBERS_ONLY)    /* nothing is read from who is no active member */                          \
    X(MEMBERS_AGREE)   /* ... nor before both know the same members */                             \
    X(FROZEN_SKIPS)    /* a pull merges nothing below the floor */                                 \
    X(FROZEN_WINS)     /* below the other's floor its entries replace ours */                      \
    X(FLOOR_OF_ALL)    /* the floor is what all members have completed, not a matter of age */     \
    X(FLOOR_MEMBERS)   /* ... all of whom agree on who the members are */                          \
    X(FLOOR_HEARD)     /* ... and have been heard since this boot */                               \
    X(FLOOR_ADOPT)     /* another's floor is taken over only by who is complete up to it */        \
    X(ONE_ACTS)        /* of those who could, the first acts; two that do, do no harm */           \
    X(COMMIT_FIRST)    /* what is said has been committed before */
/* clang-format on */

enum mkv_rule {
#define MKV_RULE_NUMBER(name) MKV_RULE_##name,
    MKV_RULES(MKV_RULE_NUMBER)
#undef MKV_RULE_NUMBER
    MKV_RULES_N
};

#ifdef MKV_RULES_SWITCHED
/* Counts, and tells whether the rule is on. */
bool mkv_rule_decides(enum mkv_rule rule);
#    define MKV_RULE(name) mkv_rule_decides(MKV_RULE_##name)
#else
#    define MKV_RULE(name) ((void)MKV_RULE_##name, true)
#endif

#endif
