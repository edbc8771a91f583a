/* SPDX-License-Identifier: Apache-2.0 */
/*
 * At which addresses others are told to look for this server: those of --advertise, and then those that it
 * listens on, as far as these lead anywhere.
 */
#ifndef MKV_DAEMON_ADVERTISE_H
#define MKV_DAEMON_ADVERTISE_H

#include "daemon/config.h"
#include "wire/svc.h"

/* One of --advertise.  TOO_MANY, BAD_ARGUMENT; text in @why. */
int mkv_advertise_add(struct mkv_daemon_config *config,
                      const char *text,
                      struct mkv_why *why) MKV_MUST_CHECK;

/*
 * Adds @address, that of a listener, with its real port, to the @n of @list.  That of all addresses of this
 * machine (0.0.0.0, [::]) is none: @host, its name, stands for it, unless something is advertised.  What is there already
 * is not added again, nor what is beyond MKV_ADDRESSES_MAX.
 */
void mkv_advertise_listener(const struct mkv_daemon_config *config,
                            const struct mkv_address *address,
                            const char *host,
                            struct mkv_address *list,
                            uint32_t *n);

#endif
