/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lines `plugin_opt_KEY VALUE` of the broker's configuration:
 *
 *     plugin_opt_rights FILE              where the server writes who may do what; required
 *     plugin_opt_others deny|defer|allow  topics and connections of others: deny (the default), let
 *                                         the rest of the configuration decide, or allow the topics
 *     plugin_opt_finders deny|allow       without credentials one may look for a server
 *     plugin_opt_rate N                   messages a second of one connection, 5000
 *     plugin_opt_burst N                  ... and at once, 100000
 */
#ifndef MKV_GUARD_OPTIONS_H
#define MKV_GUARD_OPTIONS_H

#include "base/bytes.h"
#include "base/error.h"
#include "guard/guard.h"

#define MKV_GUARD_RATE_MAX 1000000000U /* of rate and burst; the least is 1 */

enum mkv_guard_others {
    MKV_GUARD_OTHERS_DENY,
    MKV_GUARD_OTHERS_DEFER,
    MKV_GUARD_OTHERS_ALLOW,
};

struct mkv_guard_options {
    const char *rights; /* borrowed; NULL: not given */
    enum mkv_guard_others others;
    struct mkv_guard_limits limits;
};

/* The defaults. */
void mkv_guard_options_init(struct mkv_guard_options *options);

/* One line.  NOT_FOUND: there is no such key; BAD_ARGUMENT: not with this value. */
int mkv_guard_options_set(struct mkv_guard_options *options,
                          const char *key,
                          const char *value) MKV_MUST_CHECK;

#endif
