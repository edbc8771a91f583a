/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the application is told about the handle as a whole.
 */
#ifndef MKV_CLIENT_EVENT_H
#define MKV_CLIENT_EVENT_H

#include "client/handle.h"

/* @output is a notice. */
void mkv_event_deliver(moatkv *kv, const struct mkv_client_output *output);

#endif
