/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The running server: the node bound to sockets, broker, clocks and disk.
 *
 *     store -> (embedded broker) -> listeners -> node -> MQTT -> subscribed: "ready" -> serve
 */
#ifndef MKV_DAEMON_DAEMON_H
#define MKV_DAEMON_DAEMON_H

#include "daemon/config.h"
#include "io/why.h"

#define MKV_DAEMON_SOFTWARE "moat-kvd 3.0.0"

/*
 * Serves until a signal ends it: 0.  Otherwise an error, and @why says what happened and how to
 * mend it.
 */
int mkv_daemon_run(const struct mkv_daemon_config *config, struct mkv_why *why);

#endif
