/* SPDX-License-Identifier: Apache-2.0 */
#include "messages.h"

static struct mkv_bytes some_bytes(struct messages *m, uint64_t min, uint64_t max)
{
    static uint8_t bytes[MKV_SASL_MAX];

    bytes[7] = 0xff;
    return mkv_bytes(bytes, min + prng_below(&m->prng, max - min + 1));
}

static struct mkv_bytes some_user(struct messages *m)
{
    static const char user[] = "ann.example@attic_7-ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefgh";

    return mkv_bytes(user, 1 + prng_below(&m->prng, MKV_SCRAM_USER_MAX));
}

void messages_login(struct messages *m, struct mkv_frame *frame)
{
    uint32_t more = MKV_SCRAM_ITERATIONS_MAX - MKV_SCRAM_ITERATIONS_MIN + 1;

    switch ((int)frame->kind) {
    case MKV_FRAME_AUTH:
        frame->auth.initial = some_bytes(m, 0, MKV_SASL_MAX);
        break;
    case MKV_FRAME_CHALLENGE:
    case MKV_FRAME_RESPONSE:
        frame->sasl = some_bytes(m, 0, MKV_SASL_MAX);
        break;
    case MKV_FRAME_SECRETS:
        if (prng_below(&m->prng, 2) == 0) {
            frame->passwd.user = some_user(m);
        }
        break;
    case MKV_FRAME_PASSWD:
    case MKV_FRAME_SECRET:
        frame->passwd = (struct mkv_frame_passwd){
            .user = some_user(m),
            .iterations = MKV_SCRAM_ITERATIONS_MIN + (uint32_t)prng_below(&m->prng, more),
            .salt = some_bytes(m, MKV_SCRAM_SALT_MIN, MKV_SCRAM_SALT_MAX),
            .stored_key = some_bytes(m, MKV_SCRAM_KEY_LEN, MKV_SCRAM_KEY_LEN),
            .server_key = some_bytes(m, MKV_SCRAM_KEY_LEN, MKV_SCRAM_KEY_LEN),
        };
        if (frame->kind == MKV_FRAME_SECRET) {
            frame->passwd.tock = prng_below(&m->prng, MKV_INTEGER_MAX);
        }
        break;
    default:
        break;
    }
}
