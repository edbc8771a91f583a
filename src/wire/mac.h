/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The MAC of an update (docs/protocol.md, section 13.6): that its writer has the session, where the broker does not look.
 *
 *     cluster's key --(name, seq)--> key of the session --(topic, message)--> 16 bytes at the end
 *
 * Servers find the key of each session from their own; a client is given that of its own session.
 */
#ifndef MKV_WIRE_MAC_H
#define MKV_WIRE_MAC_H

#include "wire/ring.h"
#include "wire/update.h"

#define MKV_RING_UPDATE                                                                            \
    "moat-kv update 1" /* the use of the cluster's keys, see mkv_ring_derive() */
#define MKV_MAC_KEY_LEN MKV_RING_KEY_LEN

/* The key of the session that @dot names, from one of the keys for updates. */
void mkv_mac_key(const uint8_t key[MKV_RING_KEY_LEN],
                 const struct mkv_tick *dot,
                 uint8_t ret_key[MKV_MAC_KEY_LEN]);

/* Writes the MAC to the end of @message, which has room for it: mkv_update_encode_room(). */
void mkv_mac_sign(const uint8_t key[MKV_MAC_KEY_LEN],
                  struct mkv_bytes topic,
                  uint8_t *message,
                  size_t len);

/* Appends the message with its MAC by the session's @key.  TOO_LARGE, NO_MEMORY: @out is as it was. */
int mkv_mac_encode(const struct mkv_update *update,
                   struct mkv_bytes topic,
                   const uint8_t key[MKV_MAC_KEY_LEN],
                   struct mkv_buf *out) MKV_MUST_CHECK;

/* Whether @message ends with a MAC for the session that @dot names, by any of the @keys for updates. */
bool mkv_mac_check(const struct mkv_ring *keys,
                   const struct mkv_tick *dot,
                   struct mkv_bytes topic,
                   struct mkv_bytes message);

#endif
