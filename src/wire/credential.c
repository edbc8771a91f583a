/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/credential.h"

#include <sodium.h>

#include "wire/text.h"
#include "wire/tick.h"

#define DIGITS_MAX 20U /* of 2^64-1 */
#define TAG_LEN    (MKV_PASSWORD_LEN / 2U)

static const char label[] = "moat-kv session 1";
static const char hex_digits[] = "0123456789abcdef";

static bool is_user_character(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '@' || c == '-';
}

bool mkv_user_valid(struct mkv_bytes user)
{
    if (user.len == 0 || user.len > MKV_USER_MAX) {
        return false;
    }
    for (size_t i = 0; i < user.len; i++) {
        if (!is_user_character(user.at[i])) {
            return false;
        }
    }
    return true;
}

struct mkv_bytes mkv_credential_user(const struct mkv_credential *credential)
{
    switch (credential->role) {
    case MKV_ROLE_OWN:
        return mkv_bytes_of(MKV_USER_OWN);
    case MKV_ROLE_SERVER:
        return mkv_bytes_of(MKV_USER_SERVER);
    case MKV_ROLE_USER:
        break;
    }
    return credential->user;
}

static void write_decimal(struct mkv_text_writer *w, uint64_t number)
{
    char digits[DIGITS_MAX];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    mkv_text_write(w, mkv_bytes(digits + at, sizeof(digits) - at));
}

int mkv_credential_id(const struct mkv_credential *credential, struct mkv_buf *id)
{
    struct mkv_text_writer w;

    mkv_text_writer_init(&w, id);
    mkv_text_write(&w, credential->name);
    mkv_text_write_char(&w, ':');
    write_decimal(&w, credential->seq);
    mkv_text_write_char(&w, ':');
    write_decimal(&w, credential->expiry_s);
    if (credential->role == MKV_ROLE_SERVER) {
        mkv_text_write_char(&w, ':');
        mkv_text_write(&w, credential->mark);
    }
    return mkv_text_finish(&w);
}

/* Up to the next colon, which is taken as well; false if there is none. */
static bool take_part(struct mkv_bytes *rest, struct mkv_bytes *ret_part)
{
    const uint8_t *colon = rest->len > 0 ? memchr(rest->at, ':', rest->len) : NULL;

    if (colon == NULL) {
        return false;
    }
    *ret_part = mkv_bytes(rest->at, (size_t)(colon - rest->at));
    *rest = mkv_bytes_after(*rest, ret_part->len + 1);
    return true;
}

/* Decimal without a leading zero, at most 2^63-1. */
static bool read_decimal(struct mkv_bytes digits, uint64_t *ret_number)
{
    uint64_t number = 0;

    if (digits.len == 0 || digits.len >= DIGITS_MAX || (digits.len > 1 && digits.at[0] == '0')) {
        return false;
    }
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.at[i] < '0' || digits.at[i] > '9') {
            return false;
        }
        number = number * 10 + (digits.at[i] - '0'); /* no overflow: 19 digits at most */
    }
    *ret_number = number;
    return number <= MKV_INTEGER_MAX;
}

static bool is_mark(struct mkv_bytes mark)
{
    for (size_t i = 0; i < mark.len; i++) {
        if (mark.at[i] == '\0' || strchr(hex_digits, mark.at[i]) == NULL) {
            return false;
        }
    }
    return mark.len == MKV_SERVER_MARK;
}

static bool read_id(struct mkv_bytes id, struct mkv_credential *credential)
{
    struct mkv_bytes rest = id;
    struct mkv_bytes seq;
    struct mkv_bytes expiry;

    if (id.len > MKV_CLIENT_ID_MAX || !take_part(&rest, &credential->name) ||
        !take_part(&rest, &seq) || !mkv_name_valid(credential->name) ||
        !read_decimal(seq, &credential->seq)) {
        return false;
    }
    if (credential->seq > 0) {
        return read_decimal(rest, &credential->expiry_s);
    }
    if (!take_part(&rest, &expiry) || !is_mark(rest)) {
        return false;
    }
    credential->mark = rest;
    return read_decimal(expiry, &credential->expiry_s);
}

bool mkv_credential_is_id(struct mkv_bytes id)
{
    struct mkv_credential ignored = {0};

    return read_id(id, &ignored);
}

bool mkv_credential_read(struct mkv_bytes id,
                         struct mkv_bytes user,
                         struct mkv_credential *ret_credential)
{
    struct mkv_credential credential = {0};

    if (!read_id(id, &credential)) {
        return false;
    }
    if (mkv_bytes_equal(user, mkv_bytes_of(MKV_USER_SERVER))) {
        credential.role = MKV_ROLE_SERVER;
    } else if (mkv_bytes_equal(user, mkv_bytes_of(MKV_USER_OWN))) {
        credential.role = MKV_ROLE_OWN;
    } else if (mkv_user_valid(user)) {
        credential.role = MKV_ROLE_USER;
        credential.user = user;
    } else {
        return false;
    }
    if ((credential.role == MKV_ROLE_SERVER) != (credential.seq == 0)) {
        return false;
    }
    *ret_credential = credential;
    return true;
}

static void hash_bytes(crypto_generichash_state *state, struct mkv_bytes bytes)
{
    if (bytes.len > 0) {
        (void)crypto_generichash_update(state, bytes.at, bytes.len);
    }
}

void mkv_credential_password(const uint8_t key[MKV_GUARD_KEY_LEN],
                             struct mkv_bytes id,
                             struct mkv_bytes user,
                             char ret_password[MKV_PASSWORD_LEN])
{
    crypto_generichash_state state;
    uint8_t user_len = (uint8_t)user.len; /* what is longer is no user, and refused before */
    uint8_t tag[TAG_LEN];

    (void)crypto_generichash_init(&state, key, MKV_GUARD_KEY_LEN, sizeof(tag));
    hash_bytes(&state, mkv_bytes_of(label));
    hash_bytes(&state, mkv_bytes(&user_len, 1));
    hash_bytes(&state, user);
    hash_bytes(&state, id);
    (void)crypto_generichash_final(&state, tag, sizeof(tag));
    for (size_t i = 0; i < sizeof(tag); i++) {
        ret_password[2 * i] = hex_digits[tag[i] >> 4];
        ret_password[2 * i + 1] = hex_digits[tag[i] & 15];
    }
    sodium_memzero(tag, sizeof(tag));
    sodium_memzero(&state, sizeof(state));
}

bool mkv_credential_proves(const uint8_t key[MKV_GUARD_KEY_LEN],
                           struct mkv_bytes id,
                           struct mkv_bytes user,
                           struct mkv_bytes password)
{
    char right[MKV_PASSWORD_LEN];
    bool proves = false;

    mkv_credential_password(key, id, user, right);
    if (password.len == sizeof(right)) {
        proves = sodium_memcmp(right, password.at, sizeof(right)) == 0;
    }
    sodium_memzero(right, sizeof(right));
    return proves;
}
