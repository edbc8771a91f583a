/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An update as a message that any MQTT program understands (docs/retained.md): its payload is the
 * value alone, in the codec of the cluster, and what else there is of the update is a *tag*, a text
 * that travels in a user property.
 *
 *     update  =  payload  +  tag
 *
 *     cbor   one CBOR item                             any value, byte for byte
 *     json   one line of JSON as in docs/formats.md    any value whose numbers have their usual width
 *     text   UTF-8, not empty                          texts
 *     raw    bytes, not empty                          byte strings
 *
 * An empty payload is a deletion, for MQTT has it so.
 */
#ifndef MKV_NOTATION_PLAIN_H
#define MKV_NOTATION_PLAIN_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "wire/frame.h"

#define MKV_PLAIN_PAYLOAD_MAX                                                                      \
    (8U << 20) /* bytes of JSON that a value of 1 MiB may make; more: UNFIT */

/*
 * Appends the payload and the tag of the update that is encoded in @update, as wire/update.h does.  UNFIT:
 * @mode, one that retains, has no payload that is read as this very value again.  Errors of
 * mkv_update_decode(); NO_MEMORY.  After an error both are as before.
 */
int mkv_plain_split(enum mkv_mode mode,
                    struct mkv_bytes update,
                    struct mkv_buf *payload,
                    struct mkv_buf *tag) MKV_MUST_CHECK;

/*
 * The other way: appends the encoded update.  MALFORMED and others of mkv_update_decode() if the tag is
 * none; errors of mkv_plain_read().
 */
int mkv_plain_join(enum mkv_mode mode,
                   struct mkv_bytes payload,
                   struct mkv_bytes tag,
                   struct mkv_buf *update) MKV_MUST_CHECK;

/*
 * Appends the value that @payload, which is not empty, stands for.  MALFORMED, TOO_LARGE, TOO_DEEP,
 * BAD_UTF8 ...: it is none that every server takes; NO_MEMORY.
 */
int mkv_plain_read(enum mkv_mode mode,
                   struct mkv_bytes payload,
                   struct mkv_buf *value) MKV_MUST_CHECK;

/* Appends the payload of @value.  UNFIT, NO_MEMORY. */
int mkv_plain_write(enum mkv_mode mode,
                    struct mkv_bytes value,
                    struct mkv_buf *payload) MKV_MUST_CHECK;

#endif
