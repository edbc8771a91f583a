/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can go wrong, and what is done meanwhile.
 *
 * Swarm testing: each run draws which of them there are at all, and how often.  So faults that
 * would hide one another are seen apart.
 */
#ifndef MKV_TESTS_SIM_FAULT_H
#define MKV_TESTS_SIM_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "lib/prng.h"

/*
 * Name, kind, greatest rate.  A fault of messages strikes that many of 1,000 deliveries; one of the
 * whole run is there or not; of the steps, the rate is the weight in the drawing.
 */
/* clang-format off */
#define FAULTS(X)                                                                                  \
    X(LOSS,           loss,           MESSAGE, 300) /* the broker drops a delivery */              \
    X(DUPLICATE,      duplicate,      MESSAGE, 150)                                                \
    X(REORDER,        reorder,        MESSAGE, 150) /* overtaken by what comes within 3 s */       \
    X(LATE,           late,           MESSAGE, 60)  /* one to five horizons late */                \
    X(SLOW,           slow,           RUN, 1)  /* all takes up to 2 s */                           \
    X(NARROW,         narrow,         RUN, 1)  /* brokers queue little, and 20 are in flight */    \
    X(OVERSIZE,       oversize,       RUN, 1)  /* brokers drop what is large */                    \
    X(LOOP,           loop,           RUN, 1)  /* bridges in a ring: copies go round */            \
    X(SKEW,           skew,           RUN, 1)  /* clocks differ by up to 10 s */                   \
    X(UNTRUSTED,      untrusted,      RUN, 1)  /* some clocks are not trusted */                   \
    X(WRITE,          write,          STEP, 100)                                                   \
    X(RUDE,           rude,           STEP, 60) /* a writer that keeps nothing and repeats nothing */ \
    X(NO_TOCK,        no_tock,        STEP, 20)                                                    \
    X(LOW_TOCK,       low_tock,       STEP, 10)                                                    \
    X(HUGE_TOCK,      huge_tock,      STEP, 5)                                                     \
    X(CHANGED_REPEAT, changed_repeat, STEP, 10) /* the same dot and tock, other bytes */           \
    X(REUSED_COUNTER, reused_counter, STEP, 10) /* the same dot, another tock */                   \
    X(COUNTER_JUMP,   counter_jump,   STEP, 5)                                                     \
    X(FORGED_NAME,    forged_name,    STEP, 5)                                                     \
    X(MALFORMED,      malformed,      STEP, 5)                                                     \
    X(USER_DIES,      user_dies,      STEP, 10)                                                    \
    X(LINK_CUT,       link_cut,       STEP, 10)                                                    \
    X(MQTT_CUT,       mqtt_cut,       STEP, 10)                                                    \
    X(CUT,            cut,            STEP, 10) /* between two hosts */                            \
    X(ONE_WAY,        one_way,        STEP, 10) /* the same, in one direction */                   \
    X(ISOLATE,        isolate,        STEP, 10) /* one host */                                     \
    X(SPLIT,          split,          STEP, 10) /* the hosts are in two halves */                  \
    X(BRIDGE_CUT,     bridge_cut,     STEP, 10)                                                    \
    X(BROKER_KILL,    broker_kill,    STEP, 5)                                                     \
    X(SERVER_KILL,    server_kill,    STEP, 15) /* at any moment */                                \
    X(SERVER_MUTE,    server_mute,    STEP, 10) /* killed after an input, before it speaks */      \
    X(SERVER_LEAVE,   server_leave,   STEP, 5)  /* ended in order */                               \
    X(PAUSE,          pause,          STEP, 5)                                                     \
    X(DISK_FULL,      disk_full,      STEP, 5)                                                     \
    X(DISK_FAIL,      disk_fail,      STEP, 10) /* one access */                                   \
    X(DISK_FLIP,      disk_flip,      STEP, 3)  /* a bit of a row */                               \
    X(DISK_LOST,      disk_lost,      STEP, 2)                                                     \
    X(BACKUP,         backup,         STEP, 15)                                                    \
    X(RESTORE,        restore,        STEP, 10)                                                     \
    X(JOIN,           join,           STEP, 5)                                                     \
    X(EVICT,          evict,          STEP, 5)                                                     \
    X(CLOCK_STEP,     clock_step,     STEP, 5)                                                     \
    X(CLOCK_STUCK,    clock_stuck,    STEP, 3)                                                     \
    X(CLOCK_1970,     clock_1970,     STEP, 3)                                                     \
    X(CLOCK_2038,     clock_2038,     STEP, 2)                                                     \
    X(CLOCK_DOUBT,    clock_doubt,    STEP, 5)  /* trusted from now on, or no longer */
/* clang-format on */

enum fault {
#define FAULT_NUMBER(id, name, kind, rate) FAULT_##id,
    FAULTS(FAULT_NUMBER)
#undef FAULT_NUMBER
    FAULTS_N
};

enum fault_kind {
    FAULT_MESSAGE,
    FAULT_RUN,
    FAULT_STEP,
};

struct fault_rates {
    unsigned of[FAULTS_N]; /* 0: it does not happen */
};

/* FAULTS_N if there is none of this name. */
enum fault fault_named(const char *name);
const char *fault_name(enum fault fault);
enum fault_kind fault_kind(enum fault fault);

/* Which there are, and how often. */
struct fault_rates fault_draw(struct prng *prng);

#endif
