/* SPDX-License-Identifier: Apache-2.0 */
#include "io/reason.h"

#include "base/error.h"

struct row {
    int code;
    int error;
    const char *text;
};

static const struct row rows[] = {
    {0x80, MKV_E_REFUSED, "it gives no reason"},
    {0x81, MKV_E_REFUSED, "malformed packet"},
    {0x82, MKV_E_REFUSED, "protocol error"},
    {0x83, MKV_E_REFUSED, "refused for a reason of its own; see the broker's log"},
    {0x84, MKV_E_REFUSED, "it does not speak this version of MQTT"},
    {0x85, MKV_E_REFUSED, "it does not accept our client id"},
    {0x86, MKV_E_NOT_AUTHORISED, "wrong user name or password"},
    {0x87, MKV_E_NOT_AUTHORISED, "not authorised: check user, password and the broker's ACL"},
    {0x88, MKV_E_REFUSED, "it is not available now"},
    {0x89, MKV_E_REFUSED, "it is busy"},
    {0x8a, MKV_E_NOT_AUTHORISED, "this client is banned"},
    {0x8b, MKV_E_NO_CONNECTION, "it is shutting down"},
    {0x8c, MKV_E_NOT_AUTHORISED, "wrong authentication method"},
    {0x8d, MKV_E_TIMEOUT, "it heard nothing from us within the keepalive time"},
    {0x8e, MKV_E_REFUSED, "another client has connected under our client id"},
    {0x8f, MKV_E_BAD_TOPIC, "topic filter not valid"},
    {0x90, MKV_E_BAD_TOPIC, "topic name not valid"},
    {0x91, MKV_E_REFUSED, "packet identifier in use"},
    {0x92, MKV_E_REFUSED, "packet identifier not found"},
    {0x93, MKV_E_REFUSED, "more messages in flight than it allows"},
    {0x94, MKV_E_REFUSED, "topic alias not valid"},
    {0x95, MKV_E_TOO_LARGE, "packet too large: raise the broker's limit (max_packet_size)"},
    {0x96, MKV_E_REFUSED, "more messages per second than it allows"},
    {0x97, MKV_E_REFUSED, "a quota is used up"},
    {0x98, MKV_E_NO_CONNECTION, "its administrator has disconnected us"},
    {0x99, MKV_E_REFUSED, "payload format not valid"},
    {0x9a, MKV_E_REFUSED, "it has no retained messages"},
    {0x9b, MKV_E_REFUSED, "it does not support this quality of service"},
    {0x9c, MKV_E_REFUSED, "use another broker"},
    {0x9d, MKV_E_REFUSED, "it has moved"},
    {0x9e, MKV_E_REFUSED, "it has no shared subscriptions"},
    {0x9f, MKV_E_REFUSED, "more connections per second than it allows"},
    {0xa0, MKV_E_REFUSED, "connected for as long as it allows"},
    {0xa1, MKV_E_REFUSED, "it has no subscription identifiers"},
    {0xa2, MKV_E_REFUSED, "it has no wildcard subscriptions"},
};

static const struct row unknown = {0, MKV_E_REFUSED, "an unknown reason"};

static const struct row *find(int code)
{
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].code == code) {
            return &rows[i];
        }
    }
    return &unknown;
}

int mkv_reason_error(int code)
{
    return code < 0x80 ? 0 : find(code)->error;
}

const char *mkv_reason_text(int code)
{
    return find(code)->text;
}

/* To a plugin mosquitto leaves no other code, so it stands for all that a guard refuses. */
const char *mkv_reason_text_of_message(int code)
{
    if (code == 0x87) {
        return "it does not let this pass: no right to write there, a clock that is ahead, or too "
               "many "
               "messages at once; its log says which";
    }
    return mkv_reason_text(code);
}

int mkv_reason_of_connack(int code)
{
    static const int codes[] = {0, 0x84, 0x85, 0x88, 0x86, 0x87};

    return code >= 0 && code <= 5 ? codes[code] : code;
}
