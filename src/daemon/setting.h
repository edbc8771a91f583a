/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The settings of moat-kvd, one by one: what each is called, and how its text is read.
 */
#ifndef MKV_DAEMON_SETTING_H
#define MKV_DAEMON_SETTING_H

#include "daemon/config.h"

struct mkv_setting {
    const char *name;
    /* An error, with what is wrong and its mend in @why; then @config may be half changed. */
    int (*set)(struct mkv_daemon_config *config, const char *text, struct mkv_why *why);
    void (*clear)(struct mkv_daemon_config *config); /* of a list: it may be given several times */
};

/* NULL: there is none of this name. */
const struct mkv_setting *mkv_setting_find(const char *name);

/* Its number, from 0 on, below 32. */
uint32_t mkv_setting_number(const struct mkv_setting *setting);

/* What a server listens on if nothing is said: a socket in its state directory.  BAD_ARGUMENT. */
int mkv_setting_listen_default(struct mkv_daemon_config *config,
                               struct mkv_why *why) MKV_MUST_CHECK;

#endif
