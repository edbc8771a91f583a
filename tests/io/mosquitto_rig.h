/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mosquitto for tests of the MQTT side, started without the code under test.
 */
#ifndef MKV_TESTS_IO_MOSQUITTO_RIG_H
#define MKV_TESTS_IO_MOSQUITTO_RIG_H

#include <sys/types.h>

#include "rig.h"

struct mosquitto_rig {
    pid_t pid; /* 0: does not run */
    char directory[64];
    char config[96];
    char socket[96];
    uint16_t port;
};

/* Makes a directory and finds a port; @extra is added to the configuration.  Starts nothing. */
void mosquitto_rig_init(struct mosquitto_rig *rig, const char *extra);

/* Starts it and waits until it listens on its socket and on its port. */
void mosquitto_rig_start(struct mosquitto_rig *rig);

/* Ends it by @signal_number and waits for that. */
void mosquitto_rig_end(struct mosquitto_rig *rig, int signal_number);

void mosquitto_rig_deinit(struct mosquitto_rig *rig);

#endif
