/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an MQTT broker's numbers mean: as one of our errors, and as a text with the mend in it.
 */
#ifndef MKV_IO_REASON_H
#define MKV_IO_REASON_H

/* The error for a reason code of MQTT 5; 0 below 128, which is success in one form or another. */
int mkv_reason_error(int code);

/* Static text for a reason code of MQTT 5, never NULL. */
const char *mkv_reason_text(int code);

/* The same for the answer to a message: who may connect is not who may write anything at any time. */
const char *mkv_reason_text_of_message(int code);

/* The MQTT 5 code for a return code of a 3.1.1 CONNACK (0 to 5); others are passed through. */
int mkv_reason_of_connack(int code);

#endif
