/* SPDX-License-Identifier: Apache-2.0 */
#include "client/options.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "io/home.h"
#include "wire/cbor.h"
#include "wire/topic.h"

#define ROOT_DEFAULT "moat/main"

/* Replaces @out, of @size bytes, which is left alone on error. */
static int copy_text(char *out, size_t size, struct mkv_bytes text)
{
    if (text.len >= size || memchr(text.at, 0, text.len) != NULL) {
        return MKV_E_BAD_ARGUMENT;
    }
    memcpy(out, text.at, text.len);
    out[text.len] = '\0';
    return 0;
}

static struct mkv_bytes trim(struct mkv_bytes text)
{
    while (text.len > 0 && text.at[0] == ' ') {
        text = mkv_bytes_after(text, 1);
    }
    while (text.len > 0 && text.at[text.len - 1] == ' ') {
        text.len--;
    }
    return text;
}

static int parse_server(struct moatkv_options *options, struct mkv_bytes text, struct mkv_why *why)
{
    struct mkv_address address;

    if (options->n_servers == MKV_ADDRESSES_MAX) {
        return mkv_why_error(why, MKV_E_BAD_ARGUMENT, "at most %u servers", MKV_ADDRESSES_MAX);
    }
    int error = mkv_address_parse(text, &address, why);

    if (error == 0 && address.scheme == MKV_ADDRESS_MQTT) {
        return mkv_why_error(why, MKV_E_BAD_ARGUMENT,
                             "%.*s: a server has an address like unix:/path or tcp://host:port; "
                             "mqtt:// is for MOAT_KV_BROKER",
                             (int)text.len, (const char *)text.at);
    }
    if (error == 0) {
        error = copy_text(options->servers[options->n_servers], sizeof(options->servers[0]), text);
    }
    if (error == 0) {
        options->n_servers++;
    }
    return error;
}

static int parse_servers(struct moatkv_options *options, struct mkv_bytes rest, struct mkv_why *why)
{
    while (rest.len > 0) {
        const uint8_t *comma = memchr(rest.at, ',', rest.len);
        size_t len = comma != NULL ? (size_t)(comma - rest.at) : rest.len;
        struct mkv_bytes one = trim(mkv_bytes(rest.at, len));

        if (one.len > 0) {
            int error = parse_server(options, one, why);

            if (error != 0) {
                return error;
            }
        }
        rest = mkv_bytes_after(rest, comma != NULL ? len + 1 : len);
    }
    return 0;
}

static int set_servers(struct moatkv_options *options, const char *text, struct mkv_why *why)
{
    struct moatkv_options *changed = mkv_mem_alloc(sizeof(*changed));

    if (changed == NULL) {
        return MKV_E_NO_MEMORY;
    }
    *changed = *options;
    changed->n_servers = 0;
    int error = parse_servers(changed, mkv_bytes_of(text), why);

    if (error == 0) {
        *options = *changed;
    }
    mkv_mem_free(changed);
    return error;
}

/* Whoever names a broker means the servers there, and not one that happens to run here. */
static int set_broker(struct moatkv_options *options, const char *text, struct mkv_why *why)
{
    struct mkv_bytes trimmed = trim(mkv_bytes_of(text));
    struct mkv_address address;

    if (trimmed.len > 0) {
        int error = mkv_address_parse(trimmed, &address, why);

        if (error != 0) {
            return error;
        }
        options->n_servers = options->named ? options->n_servers : 0;
    }
    return copy_text(options->broker, sizeof(options->broker), trimmed);
}

static int set_root(struct moatkv_options *options, const char *text, struct mkv_why *why)
{
    int error = mkv_root_check(mkv_bytes_of(text));

    if (error != 0) {
        return mkv_why_error(why, error, "%s: not a topic root, like %s", text, ROOT_DEFAULT);
    }
    return copy_text(options->root, sizeof(options->root), mkv_bytes_of(text));
}

static int set(struct moatkv_options *options,
               enum mkv_option option,
               const char *text,
               struct mkv_why *why)
{
    switch (option) {
    case MKV_OPTION_SERVERS:
        options->named = true;
        return set_servers(options, text, why);
    case MKV_OPTION_BROKER:
        return set_broker(options, text, why);
    case MKV_OPTION_ROOT:
        return set_root(options, text, why);
    case MKV_OPTION_TOKEN: /* it is read from its file alone */
    case MKV_OPTION_COUNT:
        break;
    }
    return MKV_E_BAD_ARGUMENT;
}

static void from_environment(struct moatkv_options *options,
                             const char *name,
                             enum mkv_option option)
{
    const char *text = getenv(name);
    struct mkv_why why = {{0}};

    if (text != NULL && set(options, option, text, &why) != 0) {
        options->bad[option] = true;
        mkv_why_set(&options->why, "%s: %s", name, why.text);
    }
}

/* The socket of this user's server, as moat-kvd makes it. */
static void default_server(struct moatkv_options *options)
{
    char state[MKV_ADDRESS_TEXT_MAX];
    char text[sizeof(state) + 16];

    if (mkv_home_state(state, sizeof(state), NULL) == 0) {
        (void)snprintf(text, sizeof(text), "unix:%s/link.sock", state);
        (void)!set_servers(options, text, NULL); /* a home that long has no default server */
    }
}

/* Where this user has logged in: then that is the server, unless another one is named. */
static void from_token(struct moatkv_options *options)
{
    struct mkv_identity_options *login = &options->login;
    char name[MKV_TOKEN_NAME_MAX] = "";
    int error = mkv_token_name(name);

    if (error == 0 && name[0] != '\0') {
        error = mkv_token_read(name, &login->token, &options->why);
    }
    if (error == MKV_E_NOT_FOUND || error == MKV_E_BAD_STATE || name[0] == '\0') {
        options->why.text[0] = '\0';
        return;
    }
    if (error == 0) {
        error = set_servers(options, login->token.server, &options->why);
    }
    if (error != 0) {
        options->bad[MKV_OPTION_TOKEN] = true;
        return;
    }
    login->has_token = true;
    memcpy(login->server, login->token.server, sizeof(login->server));
    memcpy(login->user, login->token.user, sizeof(login->user));
}

void mkv_options_init(struct moatkv_options *options)
{
    *options = (struct moatkv_options){.root = ROOT_DEFAULT, .software = "libmoatkv"};
    default_server(options);
    from_token(options);
    from_environment(options, "MOAT_KV_SERVER", MKV_OPTION_SERVERS);
    from_environment(options, "MOAT_KV_BROKER", MKV_OPTION_BROKER);
    from_environment(options, "MOAT_KV_ROOT", MKV_OPTION_ROOT);
}

moatkv_options *moatkv_options_new(void)
{
    moatkv_options *options = mkv_mem_alloc(sizeof(*options));

    if (options != NULL) {
        mkv_options_init(options);
    }
    return options;
}

void moatkv_options_free(moatkv_options *options)
{
    if (options != NULL) {
        sodium_memzero(&options->login, sizeof(options->login));
    }
    mkv_mem_free(options);
}

bool mkv_options_bad(const struct moatkv_options *options)
{
    for (unsigned i = 0; i < MKV_OPTION_COUNT; i++) {
        if (options->bad[i]) {
            return true;
        }
    }
    return false;
}

/* The caller's choice makes up for a bad one in the environment. */
static int choose(struct moatkv_options *options, enum mkv_option option, const char *text)
{
    if (options == NULL || text == NULL) {
        return MKV_E_BAD_ARGUMENT;
    }
    int error = set(options, option, text, &options->why);

    if (error == 0) {
        options->bad[option] = false;
    }
    return error;
}

int moatkv_options_set_servers(moatkv_options *options, const char *addresses)
{
    return choose(options, MKV_OPTION_SERVERS, addresses);
}

int moatkv_options_set_login(moatkv_options *options, const char *user, const char *password)
{
    struct mkv_identity_options login = {.has_token = false};

    if (options == NULL || user == NULL || password == NULL || user[0] == '\0') {
        return MKV_E_BAD_ARGUMENT;
    }
    memcpy(login.ca, options->login.ca, sizeof(login.ca));

    int error = copy_text(login.user, sizeof(login.user), mkv_bytes_of(user));

    if (error == 0) {
        error = copy_text(login.password, sizeof(login.password), mkv_bytes_of(password));
    }
    if (error == 0) {
        options->login = login;
        options->bad[MKV_OPTION_TOKEN] = false;
    }
    return error;
}

int moatkv_options_set_ca(moatkv_options *options, const char *file)
{
    if (options == NULL || file == NULL) {
        return MKV_E_BAD_ARGUMENT;
    }
    return copy_text(options->login.ca, sizeof(options->login.ca), mkv_bytes_of(file));
}

int moatkv_options_set_broker(moatkv_options *options, const char *address)
{
    return choose(options, MKV_OPTION_BROKER, address);
}

int moatkv_options_set_root(moatkv_options *options, const char *root)
{
    return choose(options, MKV_OPTION_ROOT, root);
}

int moatkv_options_set_software(moatkv_options *options, const char *software)
{
    if (options == NULL || software == NULL || !mkv_utf8_valid(mkv_bytes_of(software))) {
        return MKV_E_BAD_ARGUMENT;
    }
    return copy_text(options->software, sizeof(options->software), mkv_bytes_of(software));
}

const char *moatkv_options_detail(const moatkv_options *options)
{
    return options->why.text;
}
