/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/ring.h"

#include <sodium.h>

#include "wire/act.h"

#define ID_LEN      4U /* bytes of a key's hash */
#define ID_DIGITS   (2U * ID_LEN)
#define KEY_DIGITS  (2U * MKV_RING_KEY_LEN)
#define LINE_LEN    (ID_DIGITS + 1U + KEY_DIGITS + 1U)
#define SUM_LEN     4U
#define TOKEN_HEAD  2U /* version, number of keys */
#define TOKEN_BYTES (TOKEN_HEAD + MKV_RING_KEYS_MAX * MKV_RING_KEY_LEN + MKV_ROOT_MAX + SUM_LEN)

static const char prefix[] = "moatkv1-";
static const char id_label[] = "moat-kv key 1";
static const char sum_label[] = "moat-kv token 1";

/* BLAKE2b of @label and @bytes, without a key, shortened. */
static void hash_of(const char *label, struct mkv_bytes bytes, uint8_t *ret_hash, size_t len)
{
    crypto_generichash_state state;
    uint8_t hash[crypto_generichash_BYTES_MIN];

    (void)crypto_generichash_init(&state, NULL, 0, sizeof(hash));
    (void)crypto_generichash_update(&state, (const uint8_t *)label, strlen(label));
    (void)crypto_generichash_update(&state, bytes.at, bytes.len);
    (void)crypto_generichash_final(&state, hash, sizeof(hash));
    memcpy(ret_hash, hash, len);
}

static bool ring_has(const struct mkv_ring *ring, const uint8_t key[MKV_RING_KEY_LEN])
{
    bool has = false;

    for (uint32_t i = 0; i < ring->n; i++) {
        has |= sodium_memcmp(ring->keys[i], key, MKV_RING_KEY_LEN) == 0;
    }
    return has;
}

/* False: it is there already. */
static bool append_key(struct mkv_ring *ring, const uint8_t key[MKV_RING_KEY_LEN])
{
    if (ring->n == MKV_RING_KEYS_MAX || ring_has(ring, key)) {
        return false;
    }
    memcpy(ring->keys[ring->n++], key, MKV_RING_KEY_LEN);
    return true;
}

/* --- The file ----------------------------------------------------------------------------- */

static void write_id(const uint8_t key[MKV_RING_KEY_LEN], char ret_id[ID_DIGITS + 1])
{
    uint8_t id[ID_LEN];

    hash_of(id_label, mkv_bytes(key, MKV_RING_KEY_LEN), id, sizeof(id));
    (void)sodium_bin2hex(ret_id, ID_DIGITS + 1, id, sizeof(id));
}

static void write_line(const uint8_t key[MKV_RING_KEY_LEN], char ret_line[LINE_LEN + 1])
{
    write_id(key, ret_line);
    (void)sodium_bin2hex(ret_line + ID_DIGITS + 1, KEY_DIGITS + 1, key, MKV_RING_KEY_LEN);
    ret_line[ID_DIGITS] = ' ';
    ret_line[LINE_LEN - 1] = '\n';
    ret_line[LINE_LEN] = '\0';
}

static bool read_line(const uint8_t *line, uint8_t ret_key[MKV_RING_KEY_LEN])
{
    char again[LINE_LEN + 1];
    size_t len = 0;
    bool good = sodium_hex2bin(ret_key, MKV_RING_KEY_LEN, (const char *)line + ID_DIGITS + 1,
                               KEY_DIGITS, NULL, &len, NULL) == 0 &&
                len == MKV_RING_KEY_LEN;

    if (good) {
        write_line(ret_key, again);
        good = memcmp(again, line, LINE_LEN) == 0;
        sodium_memzero(again, sizeof(again));
    }
    return good;
}

int mkv_ring_read(struct mkv_bytes text, struct mkv_ring *ret_ring)
{
    struct mkv_ring ring = {0};
    bool good = text.len > 0 && text.len % LINE_LEN == 0;

    for (size_t at = 0; at < text.len && good; at += LINE_LEN) {
        uint8_t key[MKV_RING_KEY_LEN];

        good = read_line(text.at + at, key) && append_key(&ring, key);
        sodium_memzero(key, sizeof(key));
    }
    if (good) {
        *ret_ring = ring;
    }
    mkv_ring_forget(&ring);
    return good ? 0 : MKV_E_MALFORMED;
}

int mkv_ring_write(const struct mkv_ring *ring, struct mkv_buf *out)
{
    size_t before = out->len;
    int error = 0;

    for (uint32_t i = 0; i < ring->n && error == 0; i++) {
        char line[LINE_LEN + 1];

        write_line(ring->keys[i], line);
        error = mkv_buf_append(out, mkv_bytes(line, LINE_LEN));
        sodium_memzero(line, sizeof(line));
    }
    if (error != 0) {
        mkv_buf_truncate(out, before);
    }
    return error;
}

/* --- The token ---------------------------------------------------------------------------- */

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct mkv_bytes without_blanks(struct mkv_bytes text)
{
    while (text.len > 0 && is_blank(text.at[0])) {
        text = mkv_bytes_after(text, 1);
    }
    while (text.len > 0 && is_blank(text.at[text.len - 1])) {
        text.len--;
    }
    return text;
}

/* What has been decoded: version, number of keys, keys, root, checksum. */
static bool take_token(const uint8_t *bytes, size_t len, struct mkv_ring_token *token)
{
    uint8_t sum[SUM_LEN];
    size_t n = bytes[1];
    size_t keys_end = TOKEN_HEAD + n * MKV_RING_KEY_LEN;
    size_t root_len;

    if (bytes[0] != 1 || n == 0 || n > MKV_RING_KEYS_MAX || len < keys_end + SUM_LEN) {
        return false;
    }
    hash_of(sum_label, mkv_bytes(bytes, len - SUM_LEN), sum, sizeof(sum));
    root_len = len - SUM_LEN - keys_end;
    if (memcmp(sum, bytes + len - SUM_LEN, SUM_LEN) != 0 || root_len > MKV_ROOT_MAX ||
        memchr(bytes + keys_end, '\0', root_len) != NULL) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!append_key(&token->ring, bytes + TOKEN_HEAD + i * MKV_RING_KEY_LEN)) {
            return false;
        }
    }
    memcpy(token->root, bytes + keys_end, root_len);
    return true;
}

int mkv_ring_token_read(struct mkv_bytes text, struct mkv_ring_token *ret_token)
{
    struct mkv_ring_token token = {0};
    uint8_t bytes[TOKEN_BYTES];
    size_t len = 0;
    bool good;

    text = without_blanks(text);
    good = mkv_bytes_starts_with(text, mkv_bytes_of(prefix));
    if (good) {
        text = mkv_bytes_after(text, sizeof(prefix) - 1);
        good = sodium_base642bin(bytes, sizeof(bytes), (const char *)text.at, text.len, NULL, &len,
                                 NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 &&
               len >= TOKEN_HEAD + SUM_LEN && take_token(bytes, len, &token);
    }
    if (good) {
        *ret_token = token;
    }
    sodium_memzero(bytes, sizeof(bytes));
    sodium_memzero(&token, sizeof(token));
    return good ? 0 : MKV_E_MALFORMED;
}

int mkv_ring_token_write(const struct mkv_ring_token *token, struct mkv_buf *out)
{
    uint8_t bytes[TOKEN_BYTES] = {1, (uint8_t)token->ring.n};
    char text[sodium_base64_ENCODED_LEN(TOKEN_BYTES, sodium_base64_VARIANT_URLSAFE_NO_PADDING)];
    size_t keys_len = token->ring.n * MKV_RING_KEY_LEN;
    size_t root_len = strlen(token->root);
    size_t len = TOKEN_HEAD + keys_len + root_len;
    size_t before = out->len;
    int error;

    memcpy(bytes + TOKEN_HEAD, token->ring.keys, keys_len);
    memcpy(bytes + TOKEN_HEAD + keys_len, token->root, root_len);
    hash_of(sum_label, mkv_bytes(bytes, len), bytes + len, SUM_LEN);
    (void)sodium_bin2base64(text, sizeof(text), bytes, len + SUM_LEN,
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    error = mkv_buf_append(out, mkv_bytes_of(prefix));
    if (error == 0) {
        error = mkv_buf_append(out, mkv_bytes_of(text));
    }
    if (error != 0) {
        mkv_buf_truncate(out, before);
    }
    sodium_memzero(bytes, sizeof(bytes));
    sodium_memzero(text, sizeof(text));
    return error;
}

/* --- Keys --------------------------------------------------------------------------------- */

void mkv_ring_add(struct mkv_ring *ring, const uint8_t key[MKV_RING_KEY_LEN])
{
    ring->n += ring->n < MKV_RING_KEYS_MAX;
    memmove(ring->keys[1], ring->keys[0], (ring->n - 1) * MKV_RING_KEY_LEN);
    memcpy(ring->keys[0], key, MKV_RING_KEY_LEN);
}

int mkv_ring_join(struct mkv_ring *ring, const struct mkv_ring *other)
{
    if (ring->n > 0 && ring_has(ring, other->keys[0])) {
        return 0; /* ours is the same, or a later one */
    }
    if (ring->n > 0 && !ring_has(other, ring->keys[0])) {
        return MKV_E_UNEXPECTED;
    }
    *ring = *other;
    return 0;
}

void mkv_ring_derive(const struct mkv_ring *ring, const char *use, struct mkv_ring *ret_ring)
{
    *ret_ring = (struct mkv_ring){.n = ring->n};
    for (uint32_t i = 0; i < ring->n; i++) {
        (void)crypto_generichash(ret_ring->keys[i], MKV_RING_KEY_LEN, (const uint8_t *)use,
                                 strlen(use), ring->keys[i], MKV_RING_KEY_LEN);
    }
}

void mkv_ring_login(const struct mkv_ring *ring, uint32_t i, struct mkv_ring_login *ret_login)
{
    struct mkv_ring links;

    mkv_ring_derive(ring, MKV_RING_LINK, &links);
    memcpy(ret_login->user, MKV_RING_LOGIN_START, sizeof(MKV_RING_LOGIN_START));
    write_id(ring->keys[i], ret_login->user + sizeof(MKV_RING_LOGIN_START) - 1);
    (void)sodium_bin2hex(ret_login->password, sizeof(ret_login->password), links.keys[i],
                         MKV_RING_KEY_LEN);
    mkv_ring_forget(&links);
}

void mkv_ring_forget(struct mkv_ring *ring)
{
    sodium_memzero(ring, sizeof(*ring));
}

/* --- Proofs ------------------------------------------------------------------------------- */

static void proof_of(const uint8_t key[MKV_RING_KEY_LEN],
                     struct mkv_bytes topic,
                     struct mkv_bytes message,
                     uint8_t ret_proof[MKV_PROOF_LEN])
{
    uint8_t topic_len[2] = {(uint8_t)(topic.len >> 8), (uint8_t)topic.len};
    crypto_generichash_state state;

    (void)crypto_generichash_init(&state, key, MKV_RING_KEY_LEN, MKV_PROOF_LEN);
    (void)crypto_generichash_update(&state, topic_len, sizeof(topic_len));
    (void)crypto_generichash_update(&state, topic.at, topic.len);
    (void)crypto_generichash_update(&state, message.at, message.len - MKV_PROOF_LEN);
    (void)crypto_generichash_final(&state, ret_proof, MKV_PROOF_LEN);
    sodium_memzero(&state, sizeof(state));
}

void mkv_ring_prove(const struct mkv_ring *ring,
                    struct mkv_bytes topic,
                    uint8_t *message,
                    size_t len)
{
    proof_of(ring->keys[0], topic, mkv_bytes(message, len), message + len - MKV_PROOF_LEN);
}

bool mkv_ring_proves(const struct mkv_ring *ring, struct mkv_bytes topic, struct mkv_bytes message)
{
    bool proves = false;

    for (uint32_t i = 0; i < ring->n && message.len > MKV_PROOF_LEN; i++) {
        uint8_t proof[MKV_PROOF_LEN];

        proof_of(ring->keys[i], topic, message, proof);
        proves |=
            sodium_memcmp(proof, message.at + message.len - MKV_PROOF_LEN, sizeof(proof)) == 0;
    }
    return proves;
}
