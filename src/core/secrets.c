/* SPDX-License-Identifier: Apache-2.0 */
#include "core/secrets.h"

#include <sodium.h>

#include "core/server_state.h"

#define PING_SOON_MS 100  /* after a password was set: once that is on the disk ... */
#define PINGS_MS     1000 /* ... but not more often than this */

/* --- The table ---------------------------------------------------------------------------- */

/* A name, which the store only lends. */
struct name {
    size_t len;
    uint8_t at[MKV_STORE_SECRET_NAME_MAX];
};

static struct mkv_bytes bytes_of(const struct name *name)
{
    return mkv_bytes(name->at, name->len);
}

/* The next one that is of a user, or could be; NOT_FOUND at the end.  The server keeps others of its own. */
static int next_name(struct mkv_server *server, struct name *name)
{
    struct mkv_bytes found;

    do {
        int error = mkv_store_secret_next(server->store, bytes_of(name), &found);

        if (error != 0) {
            return error;
        }
        memcpy(name->at, found.at, found.len);
        name->len = found.len;
    } while (!mkv_acl_name_valid(bytes_of(name)));
    return 0;
}

static bool is_user(const struct mkv_server *server, struct mkv_bytes name)
{
    return server->grants.acl != NULL && mkv_acl_user(server->grants.acl, name) != NULL;
}

/* @bytes keeps what @ret_secret borrows.  CORRUPT: as if it were not there. */
static int read_secret(struct mkv_server *server,
                       struct mkv_bytes name,
                       struct mkv_buf *bytes,
                       struct mkv_secret *ret_secret)
{
    mkv_buf_clear(bytes);

    int error = mkv_store_secret_get(server->store, name, bytes);

    if (error == 0 && mkv_secret_decode(mkv_buf_bytes(bytes), ret_secret) != 0) {
        error = MKV_E_CORRUPT;
    }
    return error;
}

/* --- What there is ------------------------------------------------------------------------ */

static void hash_number(crypto_generichash_state *state, uint64_t number)
{
    uint8_t bytes[8];

    for (unsigned i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(number >> (56 - 8 * i));
    }
    (void)crypto_generichash_update(state, bytes, sizeof(bytes));
}

static void hash_short(crypto_generichash_state *state, struct mkv_bytes bytes)
{
    uint8_t len = (uint8_t)bytes.len;

    (void)crypto_generichash_update(state, &len, 1);
    (void)crypto_generichash_update(state, bytes.at, bytes.len);
}

/* When it was set and with which salt says which it is; and tells nothing by which a password could be tried. */
static int count_one(struct mkv_server *server,
                     struct mkv_bytes name,
                     struct mkv_buf *bytes,
                     crypto_generichash_state *state,
                     bool *some)
{
    struct mkv_secret secret;
    int error = is_user(server, name) ? read_secret(server, name, bytes, &secret) : MKV_E_CORRUPT;

    server->secrets.n++;
    if (error == MKV_E_CORRUPT) {
        return 0;
    }
    if (error == 0) {
        hash_short(state, name);
        hash_number(state, secret.tock);
        hash_short(state, secret.salt);
        *some = true;
    }
    return error;
}

int mkv_secrets_refresh(struct mkv_server *server)
{
    struct mkv_secrets *secrets = &server->secrets;
    crypto_generichash_state state;
    struct name name = {0};
    struct mkv_buf bytes;
    bool some = false;
    int error = 0;

    if (secrets->counted && secrets->under == server->grants.n_versions) {
        return 0;
    }
    secrets->n = 0;
    mkv_buf_init(&bytes, MKV_STORE_SECRET_MAX);
    (void)crypto_generichash_init(&state, NULL, 0, MKV_DIGEST_LEN);
    while (error == 0 && (error = next_name(server, &name)) == 0) {
        error = count_one(server, bytes_of(&name), &bytes, &state, &some);
    }
    (void)crypto_generichash_final(&state, secrets->digest, MKV_DIGEST_LEN);
    mkv_buf_deinit(&bytes);
    if (!some) {
        memset(secrets->digest, 0, MKV_DIGEST_LEN);
    }
    if (error != MKV_E_NOT_FOUND) {
        return error;
    }
    secrets->counted = true;
    secrets->under = server->grants.n_versions;
    return 0;
}

/* What we took from them is not here. */
static void forget_read(struct mkv_server *server)
{
    size_t cursor = 0;
    struct mkv_known *known;

    while ((known = mkv_map_each(&server->cluster.known, &cursor)) != NULL) {
        known->has_read_secrets = false;
    }
}

void mkv_secrets_rollback(struct mkv_server *server)
{
    server->secrets.counted = false;
    forget_read(server);
}

/* --- Changing it -------------------------------------------------------------------------- */

/* The first one whose owner is no user here.  NOT_FOUND: there is none. */
static int drop_one(struct mkv_server *server)
{
    struct name name = {0};
    int error;

    while ((error = next_name(server, &name)) == 0) {
        if (!is_user(server, bytes_of(&name))) {
            forget_read(server);
            server->secrets.n--;
            return mkv_store_secret_delete(server->store, bytes_of(&name));
        }
    }
    return error;
}

static int put(struct mkv_server *server,
               struct mkv_bytes name,
               struct mkv_bytes bytes,
               bool is_new)
{
    int error = mkv_secrets_refresh(server);

    if (error == 0 && is_new && server->secrets.n >= MKV_SECRETS_MAX) {
        error = drop_one(server);
        error = error == MKV_E_NOT_FOUND ? MKV_E_TOO_MANY : error;
    }
    if (error == 0) {
        error = mkv_store_secret_put(server->store, name, bytes);
    }
    if (error == 0) {
        server->secrets.n += is_new;
        server->secrets.counted = false;
    }
    return error;
}

static struct mkv_secret secret_of(const struct mkv_frame_passwd *passwd, uint64_t tock)
{
    return (struct mkv_secret){
        .tock = tock,
        .iterations = passwd->iterations,
        .salt = passwd->salt,
        .stored_key = passwd->stored_key,
        .server_key = passwd->server_key,
    };
}

/* The others hear of it soon. */
static void ping_soon(struct mkv_server *server, struct mkv_now now)
{
    struct mkv_cluster *cluster = &server->cluster;
    int64_t due_ms = now.ms + PING_SOON_MS;

    if (due_ms < cluster->pinged_ms + PINGS_MS) {
        due_ms = cluster->pinged_ms + PINGS_MS;
    }
    if (due_ms < cluster->ping_ms) {
        cluster->ping_ms = due_ms;
        mkv_server_wake_at(server, due_ms);
    }
}

int mkv_secrets_set(struct mkv_server *server,
                    struct mkv_now now,
                    const struct mkv_frame_passwd *passwd)
{
    struct mkv_secret held = {0};
    struct mkv_secret secret;
    struct mkv_buf bytes;
    int found;
    int error;

    mkv_buf_init(&bytes, MKV_STORE_SECRET_MAX);
    found = read_secret(server, passwd->user, &bytes, &held);
    if (found == 0) { /* whatever it is, it counts no more */
        mkv_tock_see(&server->tock, held.tock);
    }
    secret = secret_of(passwd, mkv_tock_next(&server->tock, mkv_server_wall(server, now)));
    mkv_buf_clear(&bytes);
    error = found == 0 || found == MKV_E_NOT_FOUND || found == MKV_E_CORRUPT ? 0 : found;
    if (error == 0) {
        error = mkv_secret_encode(&secret, &bytes);
    }
    if (error == 0) {
        error = put(server, passwd->user, mkv_buf_bytes(&bytes), found == MKV_E_NOT_FOUND);
    }
    if (error == 0) {
        ping_soon(server, now);
    }
    mkv_buf_deinit(&bytes);
    return error;
}

static bool counts_more(const struct mkv_secret *secret,
                        struct mkv_bytes bytes,
                        const struct mkv_secret *held,
                        struct mkv_bytes held_bytes)
{
    if (secret->tock != held->tock) {
        return secret->tock > held->tock;
    }
    return mkv_bytes_compare(bytes, held_bytes) > 0;
}

static int merge(struct mkv_server *server,
                 struct mkv_bytes name,
                 const struct mkv_secret *secret,
                 struct mkv_bytes bytes)
{
    struct mkv_secret held = {0};
    struct mkv_buf held_bytes;
    int error;

    mkv_buf_init(&held_bytes, MKV_STORE_SECRET_MAX);
    error = read_secret(server, name, &held_bytes, &held);
    if (error == 0 && !counts_more(secret, bytes, &held, mkv_buf_bytes(&held_bytes))) {
        mkv_buf_deinit(&held_bytes);
        return 0;
    }
    mkv_buf_deinit(&held_bytes);
    if (error != 0 && error != MKV_E_NOT_FOUND && error != MKV_E_CORRUPT) {
        return error;
    }
    error = put(server, name, bytes, error == MKV_E_NOT_FOUND);
    if (error == 0) {
        mkv_users_password(server, NULL, name);
    }
    return error == MKV_E_TOO_MANY ? 0 : error; /* those of users are here, and it is none yet */
}

int mkv_secrets_take(struct mkv_server *server, const struct mkv_frame_passwd *passwd)
{
    const struct mkv_secret secret = secret_of(passwd, passwd->tock);
    struct mkv_buf bytes;
    int error;

    if (!mkv_acl_name_valid(passwd->user)) {
        return MKV_E_BAD_NAME;
    }
    if (passwd->tock > MKV_TOCK_HELD_MAX) {
        return MKV_E_BAD_NUMBER;
    }
    mkv_tock_see(&server->tock, passwd->tock);
    mkv_buf_init(&bytes, MKV_STORE_SECRET_MAX);
    error = mkv_secret_encode(&secret, &bytes);
    if (error == 0) {
        error = merge(server, passwd->user, &secret, mkv_buf_bytes(&bytes));
    }
    mkv_buf_deinit(&bytes);
    return error;
}

/* --- Between servers ---------------------------------------------------------------------- */

bool mkv_secrets_wanted(const struct mkv_server *server, const struct mkv_known *known)
{
    const uint8_t *theirs = known->ping.secrets;

    return memcmp(theirs, server->secrets.digest, MKV_DIGEST_LEN) != 0 &&
           !(known->has_read_secrets && memcmp(theirs, known->read_secrets, MKV_DIGEST_LEN) == 0);
}

static void send_secret(struct mkv_server *server,
                        const struct mkv_server_link *link,
                        uint64_t id,
                        struct mkv_bytes name,
                        const struct mkv_secret *secret)
{
    const struct mkv_frame frame = {
        .kind = MKV_FRAME_SECRET,
        .id = id,
        .passwd = {.user = name,
                   .iterations = secret->iterations,
                   .salt = secret->salt,
                   .stored_key = secret->stored_key,
                   .server_key = secret->server_key,
                   .tock = secret->tock},
    };

    mkv_effect_send(server->effects, link->number, &frame);
}

static int send_page(struct mkv_server *server,
                     const struct mkv_server_link *link,
                     const struct mkv_frame *frame,
                     uint64_t *ret_n)
{
    struct name name = {.len = frame->passwd.user.len};
    struct mkv_buf bytes;
    int error = 0;

    mkv_buf_init(&bytes, MKV_STORE_SECRET_MAX);
    if (name.len > 0) {
        memcpy(name.at, frame->passwd.user.at, name.len);
    }
    for (*ret_n = 0; *ret_n < MKV_SECRETS_PAGE && error == 0;) {
        struct mkv_secret secret;

        error = next_name(server, &name);
        if (error != 0 || !is_user(server, bytes_of(&name))) {
            continue;
        }
        error = read_secret(server, bytes_of(&name), &bytes, &secret);
        if (error == 0) {
            send_secret(server, link, frame->id, bytes_of(&name), &secret);
            ++*ret_n;
        }
        error = error == MKV_E_CORRUPT ? 0 : error;
    }
    mkv_buf_deinit(&bytes);
    return error == MKV_E_NOT_FOUND ? 0 : error;
}

int mkv_secrets_tell(struct mkv_server *server,
                     const struct mkv_server_link *link,
                     const struct mkv_frame *frame)
{
    struct mkv_frame end = {.kind = MKV_FRAME_END, .id = frame->id};
    int error = mkv_grants_refresh(&server->grants, server->store, server->effects);

    if (error == 0) {
        error = send_page(server, link, frame, &end.end.n_rows);
    }
    if (error == 0) {
        mkv_effect_send(server->effects, link->number, &end);
    }
    return error;
}
